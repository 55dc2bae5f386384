"""Owns how a theme reaches Qt: the palette and the font of the window; owns no colour of its own."""

from __future__ import annotations

from PySide6.QtGui import QColor, QFont, QPalette

from gui.theme import SMALL_PT, Theme

FAMILY = "DejaVu Sans"


def font(scale: float = 1.0, size_pt: float = SMALL_PT) -> QFont:
    """The window's font at this scale."""
    made = QFont(FAMILY)
    made.setPointSizeF(size_pt * scale)
    return made


def palette(t: Theme) -> QPalette:
    """The theme as a palette, for everything the style sheet does not name (fields, lists, scroll bars)."""
    role, made = QPalette.ColorRole, QPalette()
    colours = {
        role.Window: t.ground, role.WindowText: t.ink, role.Base: t.panel, role.AlternateBase: t.ground, role.Text: t.ink,
        role.Button: t.panel, role.ButtonText: t.ink, role.BrightText: t.stop_ink, role.ToolTipBase: t.panel,
        role.ToolTipText: t.ink,
        role.PlaceholderText: t.muted, role.Highlight: t.accent, role.HighlightedText: t.ground, role.Link: t.accent,
        role.Light: t.panel, role.Midlight: t.line, role.Mid: t.line, role.Dark: t.muted, role.Shadow: t.line,
    }  # fmt: skip
    for which, colour in colours.items():
        made.setColor(which, QColor(colour))
    for which in (role.WindowText, role.Text, role.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, which, QColor(t.muted))
    return made
