"""Owns the outline of a head seen from above, as maps and the head view draw it; owns nothing inside it."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainter, QPainterPath


def draw_outline(p: QPainter, centre: QPointF, radius: float) -> None:
    """Head, nose and ears with the painter's pen; ``radius`` px of the main ring of electrodes."""
    x, y, r = centre.x(), centre.y(), radius
    nose = QPainterPath(QPointF(x - 0.13 * r, y - 0.99 * r))
    nose.quadTo(QPointF(x - 0.04 * r, y - 1.05 * r), QPointF(x, y - 1.14 * r))
    nose.quadTo(QPointF(x + 0.04 * r, y - 1.05 * r), QPointF(x + 0.13 * r, y - 0.99 * r))
    p.drawEllipse(centre, r, r)
    p.drawPath(nose)
    for side in (-1, 1):
        box = QRectF(0.0, 0.0, 0.11 * r, 0.36 * r)
        box.moveCenter(QPointF(x + side * 1.0 * r, y))
        p.drawArc(box.translated(side * 0.03 * r, 0.0), -90 * 16, side * 180 * 16)
