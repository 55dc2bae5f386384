"""Owns the names of the lanes and the picture of the traces, as items of a pyqtgraph view; owns neither samples nor spans."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFont, QImage, QPainter

from gui.raster import Raster
from gui.shown import Tone
from gui.theme import SYMBOL

_NAME_PX = (8, 15)  # least and greatest height of a channel's name


class LaneNames(pg.AxisItem):
    """The left axis: one name per lane; where lanes are too low for all, every other (third ...), and every bad one."""

    def __init__(self) -> None:
        super().__init__("left")
        self.names: tuple[str, ...] = ()
        self.bad: frozenset[str] = frozenset()
        self.inks = ("#000000", "#000000")
        self.setStyle(tickLength=0, showValues=True)
        self.setWidth(78)

    def renew(self) -> None:
        """Draw the names again."""
        self.picture = None
        self.update()

    def drawPicture(self, p: QPainter, axisSpec: object, tickSpecs: object, textSpecs: object) -> None:
        """Called by pyqtgraph when the axis changes."""
        if not self.names:
            return
        box = self.mapRectFromParent(self.geometry())
        lane = box.height() / len(self.names)
        px = int(min(max(lane * 0.82, _NAME_PX[0]), _NAME_PX[1]))
        font = QFont(p.font())
        every = max(1, int(np.ceil(px * 1.05 / lane)))
        taken: list[float] = []
        bad = [i for i, n in enumerate(self.names) if n in self.bad]
        for i in [*bad, *(i for i in range(0, len(self.names), every) if i not in bad)]:
            y = box.top() + (i + 0.5) * lane
            if any(abs(y - t) < min(px, every * lane) * 0.98 for t in taken):
                continue
            taken.append(y)
            name, is_bad = self.names[i], i in bad
            font.setPixelSize(px)
            font.setBold(is_bad)
            p.setFont(font)
            p.setPen(self.inks[is_bad])
            text = f"{SYMBOL[Tone.ATTENTION]} {name}" if is_bad else name
            flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            p.drawText(QRectF(box.left(), y - px, box.width() - 6, 2.0 * px), flags, text)


class Picture(pg.GraphicsObject):
    """Puts the raster's image into the view, pixel on pixel."""

    def __init__(self, box: pg.ViewBox) -> None:
        super().__init__()
        self._box = box
        self.raster: Raster | None = None
        self._image: QImage | None = None
        self.setFlag(self.GraphicsItemFlag.ItemUsesExtendedStyleOption)

    def put(self, raster: Raster | None) -> None:
        """Show this raster's image from now on."""
        self.raster = raster
        self._image = None
        if raster is not None:  # the image shares the array's memory, which the raster keeps alive
            format_ = QImage.Format.Format_RGB32
            self._image = QImage(raster.image.data, raster.width, raster.height, raster.width * 4, format_)
        self.update()

    def boundingRect(self) -> QRectF:
        """The whole view."""
        return QRectF(self._box.viewRect())

    def viewRangeChanged(self) -> None:
        """Called by pyqtgraph."""
        self.prepareGeometryChange()

    def paint(self, p: QPainter, *_: object) -> None:
        """Called by Qt."""
        if self._image is None:
            return
        ratio = p.device().devicePixelRatioF()
        corner = self._box.sceneTransform().map(QPointF(0.0, 0.0))
        p.resetTransform()
        self._image.setDevicePixelRatio(ratio)
        p.drawImage(
            QPointF(round(corner.x() * ratio) / ratio, round(corner.y() * ratio) / ratio), self._image
        )
