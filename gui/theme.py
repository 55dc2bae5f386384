"""Owns colours, symbols and sizes of the window, light and dark; owns no widget.

Colours of curves and tones are Okabe and Ito's, safe for the colour-blind (jfly.uni-koeln.de/color); each tone has a symbol
too. Sizes are points at scale 1, made to be read from two metres where it matters (lamp, status line, question, STOP).
"""

from __future__ import annotations

from dataclasses import dataclass

from gui.shown import Tone

#: points: what must be read from two metres, from the chair, from the keyboard
HUGE_PT, BIG_PT, MIDDLE_PT, SMALL_PT = 28, 18, 13, 10
SYMBOL = {Tone.PLAIN: "", Tone.GOOD: "✓", Tone.ATTENTION: "▲", Tone.BAD: "✖", Tone.OFF: "○"}


@dataclass(frozen=True, kw_only=True)
class Theme:
    """One set of colours, as #rrggbb."""

    name: str
    ground: str
    panel: str
    ink: str
    muted: str
    line: str
    accent: str
    gap: str
    stop: str
    stop_ink: str
    tones: dict[Tone, str]
    curves: tuple[str, ...]  # targets, in the plan's order
    trace: str
    local: str
    simulated: tuple[str, str]  # ground and ink of the banner when nothing is real

    def banner(self, tone: Tone, simulated: bool) -> tuple[str, str]:
        """Ground and ink of the banner across the window."""
        return self.simulated if simulated else (self.tones[tone], self.panel)

    def tone(self, tone: Tone) -> str:
        """Colour of a tone."""
        return self.tones[tone]

    def curve(self, index: int) -> str:
        """Colour of the target with this place in the plan."""
        return self.curves[index % len(self.curves)]


LIGHT = Theme(
    name="light", ground="#eef1f4", panel="#ffffff", ink="#16212c", muted="#566472", line="#c9d1d9", accent="#005a8c",
    gap="#f2c14e", stop="#b3261e", stop_ink="#ffffff",
    tones={Tone.PLAIN: "#16212c", Tone.GOOD: "#00694a", Tone.ATTENTION: "#9a5b00", Tone.BAD: "#b3261e", Tone.OFF: "#566472"},
    curves=("#0072b2", "#d55e00", "#009e73", "#aa4a85"), trace="#44515e", local="#d55e00", simulated=("#ffd24d", "#16212c"),
)  # fmt: skip
DARK = Theme(
    name="dark", ground="#10161c", panel="#19222b", ink="#e8edf2", muted="#9fb0c0", line="#33414e", accent="#56b4e9",
    gap="#8a6a1f", stop="#d5392f", stop_ink="#ffffff",
    tones={Tone.PLAIN: "#e8edf2", Tone.GOOD: "#3fd0a0", Tone.ATTENTION: "#f0b429", Tone.BAD: "#ff7b70", Tone.OFF: "#9fb0c0"},
    curves=("#56b4e9", "#e69f00", "#2bc79a", "#e49ac6"), trace="#b8c6d3", local="#f0a030", simulated=("#e0a800", "#10161c"),
)  # fmt: skip
THEMES = {t.name: t for t in (LIGHT, DARK)}


def words(tone: Tone, text: str) -> str:
    """Text with the tone's symbol in front."""
    return f"{SYMBOL[tone]} {text}" if SYMBOL[tone] and text else text


def stylesheet(t: Theme, scale: float = 1.0) -> str:
    """The window's Qt style sheet, on top of ``gui.looks.palette`` and the window's own font.

    Labels take ``tone`` and ``letters`` (huge, big, middle, small) as dynamic properties; not ``size``, which is a property
    of every QWidget already. What is not named here is drawn by Qt's Fusion style in the palette's colours.
    """

    def pt(size: int) -> str:
        return f"{size * scale:.1f}pt"

    red, green, blue = (
        int(t.accent[i : i + 2], 16) for i in (1, 3, 5)
    )  # half clear: its words stand across the bar
    tones = "\n".join(f'*[tone="{tone}"] {{ color: {colour}; }}' for tone, colour in t.tones.items())
    sizes = "\n".join(
        f'*[letters="{n}"] {{ font-size: {pt(s)}; }}'
        for n, s in (("huge", HUGE_PT), ("big", BIG_PT), ("middle", MIDDLE_PT), ("small", SMALL_PT))
    )
    return f"""
QFrame[panel="true"] {{ background: {t.panel}; border: 1px solid {t.line}; border-radius: 4px; }}
QFrame[sheet="true"] {{ background: {t.panel}; border: 3px solid {t.accent}; border-radius: 4px; }}
QLabel[role="title"] {{ color: {t.muted}; font-weight: bold; }}
QPushButton {{ background: {t.panel}; color: {t.ink}; border: 2px solid {t.line}; border-radius: 4px;
  padding: 6px 12px; font-size: {pt(MIDDLE_PT)}; }}
QPushButton:hover, QPushButton:focus, QPushButton:checked {{ border-color: {t.accent}; }}
QPushButton:disabled {{ color: {t.muted}; border-style: dashed; }}
QPushButton[primary="true"] {{ background: {t.accent}; color: {t.ground}; border-color: {t.accent}; font-weight: bold; }}
QPushButton[primary="true"]:focus {{ border-color: {t.ink}; }}
QPushButton[primary="true"]:disabled {{ background: {t.panel}; color: {t.muted}; }}
QPushButton[choice="true"]:checked {{ background: {t.accent}; color: {t.ground}; font-weight: bold; }}
QPushButton[thin="true"] {{ padding: 2px 10px; border-width: 1px; font-size: {pt(SMALL_PT)}; }}
QPushButton[thin="true"]:checked {{ border-bottom: 3px solid {t.accent}; }}
QPushButton[role="stop"] {{ background: {t.stop}; color: {t.stop_ink}; border: 3px solid {t.stop};
  font-size: {pt(HUGE_PT)}; font-weight: bold; padding: 2px; }}
QPushButton[role="stop"]:pressed {{ border-color: {t.ink}; }}
QPushButton[role="stop"]:disabled {{ background: {t.panel}; color: {t.muted}; border: 3px dashed {t.line}; }}
QTabWidget::pane {{ border: 0; }}
QTabBar {{ font-size: {pt(SMALL_PT)}; }}
QTabBar::tab {{ background: {t.ground}; color: {t.muted}; border: 1px solid {t.line}; padding: 3px 6px; }}
QTabBar::tab:selected {{ background: {t.panel}; color: {t.ink}; border-bottom: 3px solid {t.accent}; }}
QTabBar::tab:focus {{ border: 2px solid {t.accent}; }}
QSplitter::handle {{ background: {t.ground}; }}
QSplitter::handle:hover {{ background: {t.accent}; }}
QScrollArea {{ border: 0; }}
QToolTip {{ background: {t.panel}; color: {t.ink}; border: 1px solid {t.line}; font-size: {pt(SMALL_PT)}; }}
QProgressBar {{ background: {t.panel}; color: {t.ink}; border: 1px solid {t.line}; text-align: center; }}
QProgressBar::chunk {{ background: rgba({red}, {green}, {blue}, 90); }}
{tones}
{sizes}
"""
