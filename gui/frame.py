"""Owns the frame around every screen: banner stripe, status line, lamp and STOP; owns no session and decides nothing."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from gui import theme as looks
from gui.shown import Line, Status, Stop, Tone, Unit
from gui.theme import Theme

_FLAGS = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap


class FitText(QWidget):
    """Words as big as their place allows, between two sizes; never cut off in silence: the tool tip holds them whole."""

    def __init__(
        self,
        largest_pt: int,
        smallest_pt: int,
        lines: float = 1.0,
        *,
        bold: bool = False,
        centred: bool = False,
    ) -> None:
        super().__init__()
        self._largest_pt, self._smallest_pt, self._lines = largest_pt, smallest_pt, lines
        self._bold, self._scale = bold, 1.0
        self._align = Qt.AlignmentFlag.AlignHCenter if centred else Qt.AlignmentFlag.AlignLeft
        self.text, self._ink, self._ground = "", QColor("black"), QColor(0, 0, 0, 0)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def set_scale(self, scale: float) -> None:
        self._scale = scale
        self.setFixedHeight(round(QFontMetrics(self._font(self._largest_pt)).height() * self._lines + 4))
        self.update()

    def say(self, text: str, ink: str, ground: str = "") -> None:
        """Show ``text`` in the colours given; no ground: the one behind."""
        colour = QColor(ground) if ground else QColor(0, 0, 0, 0)
        if (text, QColor(ink), colour) == (self.text, self._ink, self._ground):
            return
        self.text, self._ink, self._ground = text, QColor(ink), colour
        self.setToolTip(text)
        self.setAccessibleName(text)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(80, self.height())

    def minimumSizeHint(self) -> QSize:
        return QSize(40, self.height())

    def _font(self, size_pt: float) -> QFont:
        font = QFont("DejaVu Sans")
        font.setPointSizeF(size_pt * self._scale)
        font.setBold(self._bold)
        return font

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        room = self.rect()
        if self._ground.alpha():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setBrush(self._ground)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.drawRoundedRect(room, 4, 4)
            room = room.adjusted(6, 0, -6, 0)
        painter.setPen(self._ink)
        flags = int(_FLAGS) | int(self._align)
        size_pt = self._largest_pt
        while size_pt > self._smallest_pt and not self._fits(size_pt, room, flags):
            size_pt -= 1
        font = self._font(size_pt)
        painter.setFont(font)
        text = self.text
        if not self._fits(size_pt, room, flags):
            metrics = QFontMetrics(font)
            whole_lines = max(1, room.height() // metrics.lineSpacing())
            text = metrics.elidedText(
                text, Qt.TextElideMode.ElideRight, int(room.width() * whole_lines * 0.92)
            )
        painter.drawText(room, flags, text)
        painter.end()

    def _fits(self, size_pt: float, room: QRect, flags: int) -> bool:
        needs = QFontMetrics(self._font(size_pt)).boundingRect(
            QRect(0, 0, room.width(), 10_000), flags, self.text
        )
        return needs.height() <= room.height() and needs.width() <= room.width()


class Stripe(QWidget):
    """The banner across the whole width: hatched and spelled out again and again when everything is simulated."""

    def __init__(self) -> None:
        super().__init__()
        self.line, self._theme, self._scale = Line(), looks.LIGHT, 1.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def dress(self, theme: Theme, scale: float) -> None:
        self._theme, self._scale = theme, scale
        self.setFixedHeight(round(28 * scale))
        self.update()

    def show_it(self, line: Line) -> None:
        if line != self.line:
            self.line = line
            self.setVisible(bool(line.text))
            self.setAccessibleName(line.text)
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        room, simulated = self.rect(), "SIMULATED" in self.line.text.upper()
        ground, ink = self._theme.banner(self.line.tone, simulated)
        painter.fillRect(room, QColor(ground))
        font = QFont("DejaVu Sans")
        font.setPointSizeF(looks.MIDDLE_PT * self._scale)
        font.setBold(True)
        painter.setFont(font)
        wide = QFontMetrics(font).horizontalAdvance(self.line.text) + 36
        if simulated:
            painter.fillRect(room, QBrush(QColor(ink), Qt.BrushStyle.BDiagPattern))
            n = 3 if room.width() > 3.2 * wide else 1
        else:
            n = 1
        painter.setPen(QColor(ink))
        for k in range(n):
            centre = room.width() * (2 * k + 1) // (2 * n)
            plate = QRect(centre - wide // 2, 0, wide, room.height())
            painter.fillRect(plate, QColor(ground))
            painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, self.line.text)
        painter.end()


class StatusLine(QFrame):
    """What is wrong or going on, big; what to do about it, below; "n more" opens the lesser things."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("panel", "true")
        self.status = Status(tone=Tone.PLAIN, what="")
        self._what = FitText(looks.HUGE_PT, looks.MIDDLE_PT, 1.15, bold=True)
        self._todo = FitText(looks.BIG_PT, looks.SMALL_PT, 1.15)
        self.more = QPushButton()
        self.more.setCheckable(True)
        self.more.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.more.setProperty("thin", "true")
        self.rest = QLabel()
        self.rest.setWordWrap(True)
        self.rest.setProperty("letters", "middle")
        self.rest.hide()
        self.more.toggled.connect(self._open)
        row = QHBoxLayout()
        row.addWidget(self._todo, 1)
        row.addWidget(self.more, 0, Qt.AlignmentFlag.AlignTop)
        box = QVBoxLayout(self)
        box.setContentsMargins(10, 2, 8, 2)
        box.setSpacing(0)
        box.addWidget(self._what)
        box.addLayout(row)
        box.addWidget(self.rest)
        box.addStretch(1)
        self._theme = looks.LIGHT

    def dress(self, theme: Theme, scale: float) -> None:
        self._theme = theme
        for words in (self._what, self._todo):
            words.set_scale(scale)
        self._draw()

    def show_it(self, status: Status) -> None:
        if status != self.status:
            self.status = status
            self._draw()

    def _open(self, open_: bool) -> None:
        self.rest.setVisible(open_ and bool(self.status.more))

    def _draw(self) -> None:
        s, t = self.status, self._theme
        self._what.say(looks.words(s.tone, s.what), t.tone(s.tone))
        self._todo.say(s.todo, t.ink)
        self.more.setVisible(bool(s.more))
        self.more.setText(f"{len(s.more)} more")
        self.rest.setText("\n".join(s.more))
        self._open(self.more.isChecked())


class Lamp(QFrame):
    """The unit's lamp in short: its state as a filled plate with its power below."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("panel", "true")
        self._lamp = FitText(looks.HUGE_PT, looks.MIDDLE_PT, 1.2, bold=True, centred=True)
        self._power = FitText(looks.BIG_PT, looks.SMALL_PT, 1.15, centred=True)
        box = QVBoxLayout(self)
        box.setContentsMargins(4, 4, 4, 2)
        box.setSpacing(0)
        box.addWidget(self._lamp)
        box.addWidget(self._power)
        box.addStretch(1)
        self._unit: Unit | None = None
        self._theme = looks.LIGHT

    def dress(self, theme: Theme, scale: float) -> None:
        self._theme = theme
        self.setFixedWidth(round(210 * scale))
        for words in (self._lamp, self._power):
            words.set_scale(scale)
        self._draw()

    def show_it(self, unit: Unit | None) -> None:
        if unit != self._unit:
            self._unit = unit
            self._draw()

    def _draw(self) -> None:
        unit, t = self._unit, self._theme
        if unit is None:
            self._lamp.say("no session", t.muted)
            self._power.say("", t.muted)
            self.setToolTip("no session runs in this window")
            return
        self._lamp.say(looks.words(unit.tone, unit.lamp), t.panel, t.tone(unit.tone))
        power = unit.power.value if unit.connected else "no unit"
        self._power.say(power, t.tone(unit.power.tone) if unit.connected else t.muted)
        self.setToolTip(unit.says)


class StopPlace(QFrame):
    """The STOP, acting when the button goes down, and beside it what became of it."""

    asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("panel", "true")
        self.button = QPushButton("STOP  Esc")
        self.button.setProperty("role", "stop")
        self.button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.button.pressed.connect(self.asked)
        self.button.setAccessibleName("STOP")
        self._words = FitText(looks.MIDDLE_PT, looks.SMALL_PT - 2, 2.0)
        box = QHBoxLayout(self)
        box.setContentsMargins(4, 4, 4, 4)
        box.setSpacing(6)
        box.addWidget(self.button)
        box.addWidget(self._words, 1)
        self.stop = Stop(enabled=False)
        self._theme, self._scale = looks.LIGHT, 1.0

    @property
    def words(self) -> str:
        return self._words.text

    def dress(self, theme: Theme, scale: float) -> None:
        self._theme, self._scale = theme, scale
        self.setFixedWidth(round(440 * scale))
        self.button.setMinimumHeight(round(76 * scale))
        self.button.setFixedWidth(round(225 * scale))
        self._words.set_scale(scale)
        self._words.setFixedHeight(round(80 * scale))
        self._draw()

    def show_it(self, stop: Stop) -> None:
        if stop != self.stop:
            self.stop = stop
            self._draw()

    def _draw(self) -> None:
        s, t = self.stop, self._theme
        self.button.setText(f"{s.text}  {s.key}")
        self.button.setEnabled(s.enabled)
        if s.words:
            self._words.say(looks.words(s.tone, s.words), t.tone(s.tone))
        else:
            self._words.say(s.last_line, t.muted)
        self.button.setToolTip(s.last_line if s.enabled else (s.words or s.last_line))
