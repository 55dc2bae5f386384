"""Owns a row of scalp maps with one colour bar; owns neither the choice of latencies nor the interpolation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.panels.outline import draw_outline
from gui.theme import Theme
from gui.topo import EDGE, MapGrid, limit_of, scale_of
from rtloop.model.samples import F32, F64
from rtloop.record.topography import flat

BAR_PX = 78  # the colour bar with its numbers
_LABEL_PX, _HEAD = 18, 1.2  # latency; head with nose in units of its radius


class Maps(QWidget):
    """Topographies at some latencies, nose up, on one scale of ± ``limit_uv``; ``labels``: each with its latency below."""

    def __init__(
        self,
        theme: Theme,
        parent: QWidget | None = None,
        *,
        bar_px: int = BAR_PX,
        labels: bool = True,
        unit: str = " µV",
    ) -> None:
        super().__init__(parent)
        self._unit = unit
        self._bar_px, self._label_px = bar_px, _LABEL_PX if labels else 0
        self._grid: MapGrid | None = None
        self._places = np.empty((0, 2))
        self._values: F32 | None = None
        self._latencies_ms: tuple[float, ...] = ()
        self._pictures: list[QImage] = []
        self._pixels = np.empty((0, 0, 0), np.uint32)
        self._front = QPixmap()
        self._front_is: tuple[object, ...] = ()
        self.limit_uv = 1.0
        self.setMinimumHeight(64)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.set_theme(theme)

    def sizeHint(self) -> QSize:
        """Five maps of about 110 px."""
        return QSize(680, 150)

    def set_theme(self, theme: Theme) -> None:
        """Take another set of colours."""
        self._theme, self._scale = theme, scale_of(theme)
        self._colour()

    def set_positions(self, names: Sequence[str], positions_m: F64) -> None:
        """The montage: names and positions float64[n_channels, 3] metres. Forgets what was shown."""
        if len(names) != len(positions_m):
            raise ValueError(f"{len(names)} names, {len(positions_m)} positions")
        self._grid = MapGrid(positions_m)
        places = flat(np.asarray(positions_m, float))
        self._places = places[np.hypot(places[:, 0], places[:, 1]) <= EDGE]
        self._values, self._latencies_ms, self._pictures, self._front_is = None, (), [], ()
        self.update()

    def show_values(self, values: F32, latencies_ms: Sequence[float], limit_uv: float = 0.0) -> None:
        """Show ``values`` float32[n_channels, k] µV at k latencies; a limit that is not above 0 is found from the values."""
        if values.ndim != 2 or values.shape[1] != len(latencies_ms):
            raise ValueError(f"values {values.shape} do not fit {len(latencies_ms)} latencies")
        self._values, self._latencies_ms = values, tuple(latencies_ms)
        self.limit_uv = float(limit_uv) if limit_uv > 0.0 else limit_of(values)
        self._colour()
        said = ", ".join(f"{t:.0f} ms" for t in self._latencies_ms)
        self.setAccessibleDescription(f"Topographies at {said}; scale ±{self.limit_uv:g} microvolts")

    def _colour(self) -> None:
        if self._grid is not None and self._values is not None:
            self._pixels = self._grid.pictures(self._values, self.limit_uv, self._scale)
            size = self._grid.size
            self._pictures = [
                QImage(a.data, size, size, 4 * size, QImage.Format.Format_ARGB32_Premultiplied)
                for a in self._pixels
            ]
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Called by Qt."""
        p = QPainter(self)
        if not self._pictures:
            p.setPen(QColor(self._theme.muted))
            p.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "no average yet")
            p.end()
            return
        p.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        cell, middle, radius = self._layout()
        box = QRectF(0.0, 0.0, 2 * EDGE * radius, 2 * EDGE * radius)
        for i, picture in enumerate(self._pictures):
            box.moveCenter(QPointF((i + 0.5) * cell, middle))
            p.drawImage(box, picture)
        wanted = (self.size(), self.devicePixelRatioF(), self._latencies_ms, self.limit_uv, self._theme.name)
        if wanted != self._front_is:
            self._front, self._front_is = self._draw_front(), wanted
        p.drawPixmap(0, 0, self._front)
        p.end()

    def _layout(self) -> tuple[float, float, float]:
        """Width of a map's cell, height of the maps' centre, radius of a head, all in px."""
        cell = (self.width() - self._bar_px) / max(1, len(self._pictures))
        radius = max(min(cell / 2, (self.height() - self._label_px) / 2) / _HEAD, 4.0)
        return cell, (self.height() - self._label_px) / 2 + 0.03 * radius, radius

    def _draw_front(self) -> QPixmap:
        """Outlines, electrodes, latencies and colour bar: what stays while the values change."""
        ratio = self.devicePixelRatioF()
        front = QPixmap(self.size() * ratio)
        front.setDevicePixelRatio(ratio)
        front.fill(Qt.GlobalColor.transparent)
        p = QPainter(front)
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = QFont(self.font())
        font.setPixelSize(12)
        p.setFont(font)
        cell, middle, radius = self._layout()
        for i, t_ms in enumerate(self._latencies_ms):
            centre = QPointF((i + 0.5) * cell, middle)
            p.setPen(QPen(QColor(self._theme.ink), 1.8))
            draw_outline(p, centre, radius)
            if radius > 30:
                p.setPen(QPen(QColor(self._theme.muted), 2.0, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
                p.drawPoints(
                    [QPointF(centre.x() + x * radius, centre.y() - y * radius) for x, y in self._places]
                )
            p.setPen(QColor(self._theme.ink))
            if not self._label_px:
                continue
            label = QRectF(i * cell, self.height() - self._label_px, cell, self._label_px)
            p.drawText(label, Qt.AlignmentFlag.AlignCenter, f"{t_ms:.0f} ms")
        self._draw_bar(p)
        p.end()
        return front

    def _draw_bar(self, p: QPainter) -> None:
        bar = QImage(self._scale[::-1].copy().data, 1, 256, 4, QImage.Format.Format_RGB32).copy()
        left, top, height = self.width() - self._bar_px + 2.0, 9.0, self.height() - self._label_px - 18.0
        p.drawImage(QRectF(left, top, 12.0, height), bar)
        p.setPen(QPen(QColor(self._theme.muted), 1.0))
        p.drawRect(QRectF(left, top, 12.0, height))
        p.setPen(QColor(self._theme.ink))
        for share, text in (
            (0.0, f"+{self.limit_uv:g}{self._unit}"),
            (0.5, "0"),
            (1.0, f"−{self.limit_uv:g}{self._unit}"),
        ):
            place = QRectF(left + 17.0, top + share * height - 9.0, self._bar_px - 19.0, 18.0)
            p.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)
