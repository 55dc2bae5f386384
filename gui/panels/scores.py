"""Owns the drawing of local and global score after each pulse, with its 95 % band; owns no score and no ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QPolygonF, QResizeEvent
from PySide6.QtWidgets import QComboBox, QGraphicsPolygonItem, QHBoxLayout, QVBoxLayout, QWidget

from gui.panels.parts import Panel, ToneLabel
from gui.panels.plots import Plot
from gui.shown import Scores, Series
from gui.theme import Theme
from rtloop.model.samples import F64

STYLES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine)
MARKS = {"o": "●", "s": "■", "t": "▼", "d": "◆"}  # as pyqtgraph calls them, as they are written
_ROOM_FOR_NAMES = (0.06, 0.3)  # of the width, right of the wanted number
_CORNER = 0.6  # of the width, at most
_NAMES_APART = 0.14  # of the height, at least


@dataclass(frozen=True)
class _Drawn:
    curve: pg.PlotDataItem
    end: pg.ScatterPlotItem
    band: QGraphicsPolygonItem
    name: pg.TextItem


class ScorePlot(Plot):
    """One score of all targets over accepted pulses; colour, line style, marker and name per target."""

    def __init__(self, theme: Theme, parent: QWidget | None = None, *, corner: str, more: str = "") -> None:
        """``more`` stands after ``corner`` where the curves' names have room beside it."""
        self._corners = (corner + more, corner)
        self.drawn: dict[str, _Drawn] = {}
        self._order: tuple[str, ...] = ()
        self._series: dict[str, Series] = {}
        self.n_set = 0
        super().__init__(theme, parent, corner=corner + more)
        self.getPlotItem().disableAutoRange()
        self._range: tuple[float, ...] = ()
        self._wanted = 0

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        for target in self.drawn:
            self._colour(target)

    def show_series(self, series: tuple[Series, ...], order: tuple[str, ...], wanted: int = 0) -> None:
        """Show these; ``order`` is the plan's, which fixes each target's colour and style; ``wanted`` accepted pulses."""
        self._wanted = wanted
        new_order = order != self._order
        self._order = order
        wanted = {s.target: s for s in series if s.n}
        for target in [t for t in self.drawn if t not in wanted]:
            gone = self.drawn.pop(target)
            self._series.pop(target, None)
            for item in (gone.curve, gone.end, gone.band, gone.name):
                self.removeItem(item)
        for target, one in wanted.items():
            if target not in self.drawn:
                self._add(target)
            elif new_order:
                self._colour(target)
            if self._series.get(target) != one:
                self._series[target] = one
                self._set(target, one)
        self._frame()

    def _add(self, target: str) -> None:
        made = _Drawn(
            pg.PlotDataItem(),
            pg.ScatterPlotItem(),
            QGraphicsPolygonItem(),
            pg.TextItem(target, anchor=(0, 0.5)),
        )
        for z, item in enumerate((made.band, made.curve, made.end, made.name)):
            self.addItem(item, ignoreBounds=True)
            item.setZValue(10 * z)
        self.drawn[target] = made
        self._colour(target)

    def _colour(self, target: str) -> None:
        index = self._order.index(target) if target in self._order else len(self._order)
        colour, made = self.theme.curve(index), self.drawn[target]
        made.curve.setPen(pg.mkPen(colour, width=2, style=STYLES[index % len(STYLES)]))
        mark = tuple(MARKS)[index % len(MARKS)]
        made.end.setSymbol(mark)
        made.name.setText(target)
        made.end.setSize(11)
        made.end.setBrush(colour)
        made.end.setPen(self.theme.panel)
        made.name.setColor(colour)
        made.name.setFont(self.font())
        veil = QColor(colour)
        veil.setAlpha(40)
        made.band.setBrush(veil)
        made.band.setPen(pg.mkPen(None))

    def _set(self, target: str, one: Series) -> None:
        self.n_set += 1
        made = self.drawn[target]
        n, value, low, high = _finite(one)
        made.curve.setData(n, value)
        made.end.setData(n[-1:], value[-1:])
        edge = [QPointF(x, y) for x, y in zip(n, high, strict=True)]
        edge += [QPointF(x, y) for x, y in zip(n[::-1], low[::-1], strict=True)]
        made.band.setPolygon(QPolygonF(edge))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if getattr(self, "_series", None):
            self._frame()

    def _frame(self) -> None:
        """Range that holds all values, and the bands of the last two thirds; names at the curves' ends, none over another.

        The first intervals, of a handful of pulses, are many times as wide as those that decide.
        """
        last: list[tuple[float, float, str]] = []
        low, high, most = 0.0, 0.0, float(self._wanted or 10)
        for target, one in self._series.items():
            n, value, lows, highs = _finite(one)
            if not n.size:
                self.drawn[target].name.setVisible(False)
                continue
            late = n >= n[-1] / 3
            low = min(low, float(lows[late].min()), float(value.min()))
            high = max(high, float(highs[late].max()), float(value.max()))
            most = max(most, float(n[-1]))
            last.append((float(value[-1]), float(n[-1]), target))
        low, high = _outward(low), _outward(high) or 1.0
        metrics = QFontMetricsF(self.font())
        box = self.getPlotItem().getViewBox()
        whole, short = self._corners
        text = whole if metrics.horizontalAdvance(whole) < _CORNER * box.width() else short
        if self.corner.toPlainText() != text:
            self.corner.setPlainText(text)
        wide = max([metrics.horizontalAdvance(target) for *_, target in last], default=0.0) + 16
        room_x = min(max(wide / max(box.width(), 100.0), _ROOM_FOR_NAMES[0]), _ROOM_FOR_NAMES[1])
        right = most / (1.0 - room_x)
        if (low, high, right) != self._range:
            self._range = (low, high, right)
            self.setRange(xRange=(0.0, right), yRange=(low, high), padding=0.0)
        share = min(max(metrics.height() / max(box.height(), 40.0), _NAMES_APART), 0.3)
        room = share * (high - low)
        at = -np.inf
        places = []
        for value, *_ in sorted(last):
            at = max(value, at + room, low + room / 2)
            places.append(at)
        over = max(0.0, places[-1] - (high - room / 2)) if places else 0.0
        for (_, n_last, target), y in zip(sorted(last), places, strict=True):
            name = self.drawn[target].name
            name.setVisible(True)
            name.setPos(n_last + right * 5.0 / max(box.width(), 100.0), y - over)


def _outward(value: float) -> float:
    """The next step away from zero, coarse enough not to move with every pulse."""
    if value == 0.0:
        return 0.0
    step = 10.0 ** np.floor(np.log10(abs(value))) / 2
    return float(np.sign(value) * step * np.ceil(abs(value) / step))


def _finite(one: Series) -> tuple[F64, F64, F64, F64]:
    n, value, low, high = (np.asarray(v, dtype=np.float64) for v in (one.n, one.value, one.low, one.high))
    kept = np.isfinite(value) & np.isfinite(low) & np.isfinite(high)
    return n[kept], value[kept], low[kept], high[kept]


class ScoresPanel(Panel):
    """LOCAL and GLOBAL dwPLI² × 1000 of the chosen band; nothing but words where scores are masked."""

    band = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(
            "Connectivity after each pulse", theme, parent, meaning="Value and 95 % interval, × 1000."
        )
        self.masked = ToneLabel("big")
        self.masked.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.local = ScorePlot(theme, corner="LOCAL × 1000")
        self.global_ = ScorePlot(theme, corner="GLOBAL × 1000", more=" · by accepted pulses")
        self.bands = QComboBox()
        self.bands.setAccessibleName("Band")
        self.bands.activated.connect(lambda i: self.band.emit(self.bands.itemText(i)))
        self.plots = QWidget()
        self.local.getPlotItem().getAxis("bottom").setStyle(showValues=False)
        self.local.getPlotItem().getAxis("bottom").setHeight(8)  # half of the lowest number at the left
        title = QHBoxLayout()
        self.body.removeWidget(self.title)
        title.addWidget(self.title, 1)
        title.addWidget(self.bands)
        column = QVBoxLayout(self.plots)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.local, 10)
        column.addWidget(self.global_, 13)
        for plot in (self.local, self.global_):
            plot.setMinimumHeight(60)
        self.body.setSpacing(2)
        self.body.addLayout(title)
        self.body.addWidget(self.masked, 1)
        self.body.addWidget(self.plots, 1)
        self.masked.setVisible(False)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.local.set_theme(theme)
        self.global_.set_theme(theme)

    def show_it(self, scores: Scores) -> bool:
        """Show the series, or the words that say why they are not shown; whether a plot was drawn anew."""
        drawn = False
        order = tuple(row.target for row in scores.table) or tuple(s.target for s in scores.global_)
        if self.changed("masked", scores.masked):
            self.masked.say(scores.masked)
            self.masked.setHidden(not scores.masked)
            self.plots.setHidden(bool(scores.masked))
            self.bands.setHidden(bool(scores.masked))
        if self.changed("bands", (scores.bands, scores.band)):
            self.bands.clear()
            self.bands.addItems(list(scores.bands))
            self.bands.setCurrentText(scores.band)
            self.set_title(f"Connectivity after each pulse · dwPLI² · {scores.band}")
        hidden = bool(scores.masked)
        for name, plot, series in (
            ("local", self.local, scores.local),
            ("global", self.global_, scores.global_),
        ):
            series = () if hidden else series
            if self.changed(name, (series, order, scores.wanted)):
                plot.show_series(series, order, scores.wanted)
                drawn = True
        return drawn
