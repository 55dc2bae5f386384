"""Owns the plot all panels use and the butterfly: all channels over time as one picture; owns no values.

A butterfly is drawn as counts of lines per pixel (gui.panels.spans) rather than as curves, which take 25 ms for 64 channels of
raw samples. The picture is made anew only when data, range, size or colours change, so dragging a line over it is one blit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter
from PySide6.QtWidgets import QWidget

from gui.panels.spans import U32, LinePicture
from gui.theme import Theme
from rtloop.model.samples import F32, F64, Bool

#: tick numbers against the window's font; width of the numbers left of a plot
SMALLER, LEFT_PX = 0.9, 36
_LADDER = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0)


def round_up(value: float) -> float:
    """The next larger of 1, 1.5, 2, 3, 4, 5, 7 times a power of ten."""
    if not (math.isfinite(value) and value > 0):
        return 1.0
    ten = 10.0 ** math.floor(math.log10(value))
    return next((step * ten for step in _LADDER if step * ten >= value * (1 - 1e-9)), 10.0 * ten)


def steady_limit(
    before: float | None, values: F32 | F64, *, share_pct: float = 98.0, room: float = 1.3
) -> float:
    """A range ±limit for ``values`` that does not jump: it grows when needed and shrinks only below half.

    ``share_pct`` of the absolute values, times ``room``, must be inside; NaN is left out.
    """
    size = np.abs(values[np.isfinite(values)])
    need = float(np.percentile(size, share_pct)) * room if size.size else 0.0
    if before is not None and 0.5 * before <= need <= before:
        return before
    return round_up(need)


class NumbersBelow(pg.AxisItem):
    """The lower axis: the unit stands at its zero, which needs no row of its own."""

    def __init__(self, unit: str) -> None:
        super().__init__("bottom")
        self._unit = unit

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """Called by pyqtgraph."""
        strings = super().tickStrings(values, scale, spacing)
        return [
            f"{text} {self._unit}" if self._unit and at == 0.0 else text
            for at, text in zip(values, strings, strict=True)
        ]


class Plot(pg.PlotWidget):
    """A plot without menu or mouse modes, in the theme's colours and the window's font.

    What it shows stands in its upper left corner, ``corner``; names along the axes would be cut in a low plot.
    """

    def __init__(
        self, theme: Theme, parent: QWidget | None = None, *, corner: str = "", unit_below: str = ""
    ) -> None:
        super().__init__(parent=parent, axisItems={"bottom": NumbersBelow(unit_below)})
        self.theme = theme
        self.corner = pg.TextItem(corner)
        item = self.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.setMouseEnabled(x=False, y=False)
        item.getViewBox().setDefaultPadding(0.0)
        item.layout.setContentsMargins(0, 6, 10, 0)  # half of the outermost numbers of the axes
        for side in ("left", "bottom"):
            axis = item.getAxis(side)
            axis.enableAutoSIPrefix(False)
            axis.setStyle(tickLength=-4, tickTextOffset=3, autoReduceTextSpace=False)
        item.getAxis("left").setWidth(LEFT_PX)
        self.corner.setParentItem(item.getViewBox())
        self.corner.setPos(2, -3)
        self.corner.setZValue(100)
        self.setMinimumSize(80, 48)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFrameStyle(0)
        self._take_font()
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.theme = theme
        self.setBackground(theme.panel)
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(theme.line)
            axis.setTextPen(theme.ink)
        ground = QColor(theme.panel)
        ground.setAlpha(190)
        self.corner.fill = pg.mkBrush(ground)
        self.corner.setColor(theme.muted)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._take_font()

    def _take_font(self) -> None:
        font = QFont(self.font())
        font.setPointSizeF(SMALLER * self.font().pointSizeF())
        for side in ("left", "bottom"):
            self.getPlotItem().getAxis(side).setTickFont(font)
        self.corner.setFont(font)


class Lines(pg.GraphicsObject):
    """All channels as one picture; those in front in their own colour and two pixels wide.

    ``times_ms`` float64[n_times] ascending; ``values`` float32[n_channels, n_times] in the plot's unit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.times_ms: F64 = np.empty(0)
        self.values: F32 = np.empty((0, 0), np.float32)
        self.front: Bool = np.zeros(0, np.bool_)
        self._shades: U32 = np.zeros((2, 8), np.uint32)
        self._picture = LinePicture()
        self._image: tuple[object, QImage] | None = None
        self._version = 0
        self.n_set = 0  # how often data were taken: a panel that shows the same thing again must not raise it

    def set_data(self, times_ms: F64, values: F32, front: Bool) -> None:
        """Show these channels; ``front`` bool[n_channels] says which are LOCAL."""
        self.times_ms, self.values, self.front = times_ms, values, front
        self.n_set += 1
        self._again()

    def set_colours(self, trace: str, local: str) -> None:
        self._shades = np.stack([shades_of(trace, faint=0.22, full=0.7), shades_of(local, faint=0.95)])
        self._again()

    def _again(self) -> None:
        self._version += 1
        self.update()

    def viewTransformChanged(self) -> None:
        self.prepareGeometryChange()

    def viewRect(self) -> QRectF:
        """What the view box shows, asked of the box itself: pyqtgraph's own answer may be that of another, remembered view."""
        item = self.parentItem()
        while item is not None and not isinstance(item, pg.ViewBox):
            item = item.parentItem()
        return QRectF(item.viewRect()) if item is not None else QRectF()

    def boundingRect(self) -> QRectF:
        return self.viewRect()

    def paint(self, painter: QPainter, *_: object) -> None:
        if not self.values.size:
            return
        view = self.viewRect()
        place = painter.worldTransform().mapRect(view)
        ratio = painter.device().devicePixelRatioF()
        width, height = max(1, round(place.width() * ratio)), max(1, round(place.height() * ratio))
        key = (self._version, width, height, view.left(), view.right(), view.top(), view.bottom())
        if self._image is None or self._image[0] != key:
            image = self._draw(width, height, (view.left(), view.right()), (view.top(), view.bottom()))
            image.setDevicePixelRatio(ratio)
            self._image = (key, image)
        painter.save()
        painter.resetTransform()
        painter.drawImage(QPointF(round(place.left()), round(place.top())), self._image[1])
        painter.restore()

    def _draw(self, width: int, height: int, x: tuple[float, float], y: tuple[float, float]) -> QImage:
        picture = self._picture.draw(
            self.times_ms, self.values, self.front, x=x, y=y, size=(width, height), shades=self._shades
        )
        image = QImage(picture.data, width, height, width * 4, QImage.Format.Format_ARGB32_Premultiplied)
        return image.copy()  # the array is used again


def shades_of(colour: str, *, faint: float, full: float = 1.0) -> U32:
    """uint32[8]: premultiplied ARGB for 0, 1, ... 7 and more lines on a pixel, from ``faint`` to ``full`` opacity."""
    c = QColor(colour)
    alpha = np.concatenate([[0.0], faint + (full - faint) * np.arange(7) / 6])
    parts = [np.round(alpha * v).astype(np.uint32) for v in (255, c.red(), c.green(), c.blue())]
    return np.asarray(parts[0] << 24 | parts[1] << 16 | parts[2] << 8 | parts[3])


class Butterfly(Plot):
    """All channels over time with the bridged gap shaded and a line at the pulse."""

    def __init__(
        self, theme: Theme, parent: QWidget | None = None, *, corner: str = "µV", unit_below: str = "ms"
    ) -> None:
        self.lines = Lines()
        self.gap = pg.LinearRegionItem(movable=False)
        self.pulse = pg.InfiniteLine(0.0, angle=90)
        self.limit: float | None = None
        super().__init__(theme, parent, corner=corner, unit_below=unit_below)
        for item in (self.gap, self.lines, self.pulse):
            self.addItem(item, ignoreBounds=True)
        self.gap.setZValue(-10)
        self.lines.setZValue(0)
        self.pulse.setZValue(5)
        self.getPlotItem().disableAutoRange()
        self._range: tuple[float, ...] = ()

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.lines.set_colours(theme.trace, theme.local)
        colour = QColor(theme.gap)
        colour.setAlpha(110)
        self.gap.setBrush(colour)
        for edge in self.gap.lines:
            edge.setPen(pg.mkPen(theme.gap))
        self.pulse.setPen(pg.mkPen(theme.ink, width=1, style=Qt.PenStyle.DashLine))

    def show_gap(self, gap_ms: tuple[float, float]) -> None:
        """Shade what is bridged."""
        if tuple(self.gap.getRegion()) != gap_ms:
            self.gap.setRegion(gap_ms)
        self.gap.setVisible(gap_ms[1] > gap_ms[0])

    def show_range(self, x_ms: tuple[float, float], limit: float) -> None:
        """Show from ``x_ms[0]`` to ``x_ms[1]`` and ±limit."""
        if (*x_ms, limit) != self._range:
            self._range = (*x_ms, limit)
            self.limit = limit
            self.setRange(xRange=x_ms, yRange=(-limit, limit), padding=0.0)

    def clear_lines(self) -> None:
        """Show no channels."""
        if self.lines.values.size:
            self.lines.set_data(np.empty(0), np.empty((0, 0), np.float32), np.zeros(0, np.bool_))


def outside_gap(times_ms: F64, gap_ms: tuple[float, float], x_ms: tuple[float, float]) -> Bool:
    """bool[n_times]: within the shown range and not bridged (2 ms more, where edges ring)."""
    shown = (times_ms >= x_ms[0]) & (times_ms <= x_ms[1])
    return np.asarray(shown & ~((times_ms >= gap_ms[0] - 2.0) & (times_ms <= gap_ms[1] + 2.0)))


def some_columns(there: Bool, most: int = 200) -> npt.NDArray[np.intp]:
    """Indices of at most twice ``most`` of the columns that are there, evenly spread: enough for a range."""
    columns = np.flatnonzero(there)
    return columns[:: max(1, columns.size // most)]


def is_local(names: Sequence[str], local: Sequence[str]) -> Bool:
    """bool[n_channels]: which names are LOCAL."""
    wanted = set(local)
    return np.array([name in wanted for name in names], np.bool_)
