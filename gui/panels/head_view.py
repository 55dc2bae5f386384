"""Owns the drawing of the head from above: electrodes, what is wrong with which, the coil, connections; owns no choice."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QToolTip, QWidget

from gui import shown
from gui.panels.outline import draw_outline
from gui.shown import Tone
from gui.theme import Theme

Link = tuple[int, int, float]  # channel, channel, value
_WIDTH_PX = (1.0, 5.5)  # weakest and strongest line shown
_DISC_PX = (
    9.0,
    15.0,
)  # an electrode's disc holds its name from the first size on; never larger than the second
_LEGEND_PX = 46  # its height below the head
_SIDE_PX, _SIDE_FROM = 132, 1.5  # its width beside the head, from this width to height on


class HeadView(QWidget):
    """Names, places and links are put in from outside; ``renew`` draws them."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.head: shown.Head | None = None
        self.names: tuple[str, ...] = ()
        self.places = np.empty((0, 2))
        self.links: list[Link] = []
        self.legend = ""
        self._drawn = QPixmap()
        self.setMinimumSize(200, 130)
        self.setMouseTracking(True)

    def sizeHint(self) -> QSize:
        return QSize(420, 420)

    def _frame(self) -> tuple[QPointF, float]:
        """Centre and radius of the main ring in px."""
        across, up, down = (
            float(a.max(initial=1.0))
            for a in (np.abs(self.places[:, 0]), self.places[:, 1], -self.places[:, 1])
        )
        side = _SIDE_PX if self._beside_it() else 0
        wide, high = (self.width() - side) / 2 - 4, self.height() - (4 if side else _LEGEND_PX + 4)
        above, below = max(up + 0.1, 1.15), down + 0.1  # the nose; half a disc
        radius = max(min(wide / (across + 0.1), high / (above + below)), 10.0)
        return QPointF(
            side + (self.width() - side) / 2, 2 + above * radius + (high - (above + below) * radius) / 2
        ), radius

    def _beside_it(self) -> bool:
        """Whether the legend stands left of the head: where a row below would cost the head its size."""
        return self.width() >= _SIDE_FROM * self.height()

    def points(self) -> tuple[list[QPointF], float]:
        """Places of the electrodes in px, and the radius of their discs."""
        centre, radius = self._frame()
        points = [QPointF(centre.x() + x * radius, centre.y() - y * radius) for x, y in self.places]
        spacing = 2 * _DISC_PX[1]
        if len(points) > 1:
            apart = np.hypot(*(self.places[:, None] - self.places[None]).transpose(2, 0, 1))
            np.fill_diagonal(apart, np.inf)
            spacing = float(np.percentile(apart.min(axis=0), 10)) * radius
        return points, min(max(0.47 * spacing, 2.5), _DISC_PX[1])

    def renew(self) -> None:
        """Draw again: something to be seen has changed."""
        self._drawn = QPixmap()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        ratio = self.devicePixelRatioF()
        if self._drawn.isNull() or self._drawn.size() != self.size() * ratio:
            self._drawn = QPixmap(self.size() * ratio)
            self._drawn.setDevicePixelRatio(ratio)
            self._drawn.fill(QColor(self.theme.panel))
            self._draw(QPainter(self._drawn))
        p = QPainter(self)
        p.drawPixmap(0, 0, self._drawn)
        p.end()

    def _draw(self, p: QPainter) -> None:
        t, head = self.theme, self.head
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        p.setFont(self._font(13.0, False))
        p.setPen(QPen(QColor(t.line), 2.0))
        centre, radius = self._frame()
        draw_outline(p, centre, radius)
        if head is None or not self.names:
            p.setPen(QColor(t.muted))
            p.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "no montage yet")
            p.end()
            return
        points, disc = self.points()
        self._draw_coil(p, head, points, radius)
        self._draw_links(p, points)
        bad, local = dict(head.bad), set(head.local)
        linked = {i for link in self.links for i in link[:2]}
        named = disc >= _DISC_PX[0]
        plain = [i for i, n in enumerate(self.names) if n not in bad and n not in local and i not in linked]
        loud = [i for i in range(len(self.names)) if i not in set(plain)]
        loud.sort(key=lambda i: (self.names[i] in bad, self.names[i] in local))
        for i in plain:
            self._disc(p, points[i], disc if named else min(disc, 3.0), t.line, 1.0)
            if named:
                self._name(p, points[i], self.names[i], disc, t.muted, bold=False)
        taken: list[QRectF] = []
        for i in loud:
            name = self.names[i]
            ink = t.tone(Tone.BAD) if name in bad else t.ink
            border, width = (
                (t.local, 3.0) if name in local else (t.accent, 1.5) if i in linked else (ink, 1.5)
            )
            self._disc(p, points[i], disc, border, width)
            if name in bad:
                p.setPen(QPen(QColor(ink), 2.0))
                for dx in (-1, 1):
                    for dy in (-1, 1):
                        arm = QPointF(dx, dy) * max(disc, 5.0)
                        p.drawLine(points[i] + arm * (0.55 if named else 0.0), points[i] + arm * 1.1)
            if named:
                self._name(p, points[i], name, disc, ink, bold=True)
        if not named:
            half = QPointF(disc, disc)
            discs = [QRectF(points[i] - half, points[i] + half) for i in loud]
            for i in reversed(loud):  # bad before local before connected, where there is room for few
                name = self.names[i]
                ink = t.tone(Tone.BAD) if name in bad else t.ink
                others = [box for box in discs if not box.contains(points[i])]
                if not self._beside(p, points[i], name, disc, ink, taken, others) and (
                    name in bad or name in local
                ):
                    self._beside(
                        p, points[i], name, disc, ink, taken, []
                    )  # these are named even over another electrode
        self._draw_legend(p)
        p.end()

    def _disc(self, p: QPainter, at: QPointF, size: float, border: str, width: float) -> None:
        p.setPen(QPen(QColor(border), width))
        p.setBrush(QColor(self.theme.panel))
        p.drawEllipse(at, size, size)
        p.setBrush(Qt.BrushStyle.NoBrush)

    def _font(self, px: float, bold: bool) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(max(6, round(px)))
        font.setBold(bold)
        return font

    def _name(self, p: QPainter, at: QPointF, name: str, disc: float, ink: str, *, bold: bool) -> None:
        font = self._font(min(disc * (1.0 if bold else 0.86), 14.0), bold)
        room, wide = 2.0 * disc - 1.0, QFontMetricsF(font).horizontalAdvance(name)
        if wide > room:
            font.setPixelSize(max(6, int(font.pixelSize() * room / wide)))
        p.setFont(font)
        p.setPen(QColor(ink))
        p.drawText(QRectF(at.x() - 40, at.y() - 20, 80, 40), Qt.AlignmentFlag.AlignCenter, name)

    def _beside(
        self,
        p: QPainter,
        at: QPointF,
        name: str,
        disc: float,
        ink: str,
        taken: list[QRectF],
        kept: list[QRectF],
    ) -> bool:
        """Write a name where it hides neither a name nor what is kept free; whether there was room."""
        font = self._font(11.0, True)
        metrics = QFontMetricsF(font)
        wide, high = metrics.horizontalAdvance(name) + 2, metrics.height()
        for dx, dy in (
            (disc + 2, -high / 2),
            (-disc - 2 - wide, -high / 2),
            (-wide / 2, disc),
            (-wide / 2, -disc - high),
            (disc, -disc - high * 0.8),
            (disc, disc - high * 0.2),
            (-disc - wide, -disc - high * 0.8),
            (-disc - wide, disc - high * 0.2),
        ):
            box = QRectF(at.x() + dx, at.y() + dy, wide, high)
            if not any(box.intersects(other) for other in (*taken, *kept)):
                taken.append(box)
                ground = QColor(self.theme.panel)
                ground.setAlpha(200)
                p.fillRect(box, ground)
                p.setFont(font)
                p.setPen(QColor(ink))
                p.drawText(box, Qt.AlignmentFlag.AlignCenter, name)
                return True
        return False

    def _draw_coil(self, p: QPainter, head: shown.Head, points: list[QPointF], radius: float) -> None:
        """A figure of eight over the middle of the LOCAL electrodes: where the plan wants the coil, not where it is."""
        local = [points[i] for i, n in enumerate(self.names) if n in head.local]
        if not local:
            return
        x, y = sum(q.x() for q in local) / len(local), sum(q.y() for q in local) / len(local)
        wing = 0.3 * radius
        p.save()
        p.translate(x, y)
        p.rotate(-45.0 if x <= self.width() / 2 else 45.0)
        fill = QColor(self.theme.local)
        fill.setAlpha(34)
        p.setBrush(fill)
        p.setPen(QPen(QColor(self.theme.local), 1.5, Qt.PenStyle.DashLine))
        for side in (-1, 1):
            p.drawEllipse(QPointF(side * wing, 0.0), wing, wing)
        p.restore()

    def _ink(self, share: float) -> QColor:
        a, b = QColor(self.theme.line), QColor(self.theme.accent)
        mix = [
            round(u + (v - u) * (0.35 + 0.65 * share))
            for u, v in zip(a.getRgb()[:3], b.getRgb()[:3], strict=True)
        ]
        return QColor(*mix)

    def _draw_links(self, p: QPainter, points: list[QPointF]) -> None:
        if not self.links:
            return
        most, least = self.links[0][2], self.links[-1][2]
        for a, b, value in reversed(self.links):
            share = (value - least) / (most - least) if most > least else 1.0
            width = _WIDTH_PX[0] + share * (_WIDTH_PX[1] - _WIDTH_PX[0])
            p.setPen(QPen(self._ink(share), width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            p.drawLine(points[a], points[b])

    def _draw_legend(self, p: QPainter) -> None:
        """Words and three lines with their numbers: below the head, or left of it."""
        p.setFont(self._font(12.0, False))
        p.setPen(QColor(self.theme.ink))
        beside, wrap = self._beside_it(), Qt.TextFlag.TextWordWrap
        line = p.fontMetrics().height()
        if beside:
            area = QRectF(2, 2, _SIDE_PX - 4, self.height() - 4)
            flags = int(wrap | Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
            used = p.boundingRect(area, flags, self.legend)
        else:
            area = QRectF(4, self.height() - _LEGEND_PX + 2, self.width() - 8, 20)
            flags, used = int(Qt.AlignmentFlag.AlignCenter), area
        p.drawText(area, flags, self.legend)
        if not self.links:
            return
        most, least = self.links[0][2], self.links[-1][2]
        shares = (1.0, 0.5, 0.0) if most > least else (1.0,)
        cell = _SIDE_PX if beside else min(110.0, (self.width() - 8) / len(shares))
        x = 2.0 if beside else (self.width() - cell * len(shares)) / 2
        y = used.bottom() + line if beside else self.height() - _LEGEND_PX + 33.0
        for share in shares:
            width = _WIDTH_PX[0] + share * (_WIDTH_PX[1] - _WIDTH_PX[0])
            p.setPen(QPen(self._ink(share), width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            p.drawLine(QPointF(x + 6, y), QPointF(x + 42, y))
            p.setPen(QColor(self.theme.ink))
            value = least + share * (most - least)
            place = QRectF(x + 48, y - 10, cell - 48, 20)
            p.drawText(place, Qt.AlignmentFlag.AlignVCenter, f"{1e3 * value:.0f}")
            x, y = (x, y + 1.25 * line) if beside else (x + cell, y)

    def says(self, at: QPointF) -> str:
        """What is known about the electrode at this place; empty where none is."""
        if self.head is None or not self.names:
            return ""
        points, disc = self.points()
        far = [np.hypot(q.x() - at.x(), q.y() - at.y()) for q in points]
        i = int(np.argmin(far))
        if far[i] > max(disc, 6.0) + 2.0:
            return ""
        name, bad = self.names[i], dict(self.head.bad)
        lines = [f"{name}: bad: {bad[name]}" if name in bad else name]
        if name in self.head.local:
            lines.append(f"LOCAL electrode of {self.head.target}")
        for a, b, value in self.links:
            if i in (a, b):
                lines.append(f"{self.names[a]} – {self.names[b]}: dwPLI² {1e3 * value:.0f} × 10⁻³")
        return "\n".join(lines)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            words = self.says(QPointF(event.pos()))
            if words:
                QToolTip.showText(event.globalPos(), words, self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)
