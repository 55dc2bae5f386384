"""Owns the settings screen: what the site file says, where each value comes from, theme and size; owns no rule of content.

Signals: ``theme_chosen(str)``, ``scale_chosen(float)``; ``told(gui.shown.Status | None)`` for the status line.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui.desk import Desk, Settings
from gui.memory import SCALES
from gui.panels.parts import Panel, ToneLabel
from gui.screens.choosing import ChoosingPage
from gui.screens.form import Choice, PathField
from gui.shown import Status, Tone
from gui.theme import THEMES, Theme
from rtloop.errors import RtloopError

#: field of Settings -> key of the site file, label, what it means
FIELDS = {
    "mode": ("mode", "&Mode", "what a session is without --simulate; HUMAN needs a commissioning record"),
    "data_dir": ("data_dir", "&Data folder", "where session folders are made"),
    "stream": (
        "stream.name",
        "EEG &stream",
        "name of the amplifier's LSL stream; empty: the only one there is",
    ),
    "source_id": ("stream.source_id", "Source &id", "source_id of that stream, where names repeat"),
    "markers": ("markers.name", "Mar&kers", "name of an LSL marker stream with pulse markers; empty: none"),
    "port": ("unit.port", "P&ort", "serial port of the stimulator, or socket://host:port; empty: none"),
}
BUILT_IN = "built-in default"


class SettingsScreen(QWidget):
    """See the module's words."""

    theme_chosen = Signal(str)
    scale_chosen = Signal(float)
    told = Signal(object)

    def __init__(self, desk: Desk, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.desk = desk
        self._settings = Settings()
        self._broken = ""  # why the site file cannot be read: it is not written over then
        self._build(theme)
        self.read()

    def _build(self, theme: Theme) -> None:
        self.pages, self.choosing = QStackedWidget(), ChoosingPage()
        self.choosing.chosen.connect(self._chosen)
        self.choosing.given_up.connect(lambda: self.pages.setCurrentIndex(0))
        self.panels = (
            Panel("This site", theme),
            Panel("Set in the file itself, or elsewhere", theme),
            Panel("This window", theme),
        )
        self.file = QLabel()
        self.file.setWordWrap(True)
        self.file.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.mode, self.data_dir = QComboBox(), PathField()
        self.mode.addItems(["SIMULATED", "BENCH", "HUMAN"])
        self.stream, self.source_id, self.markers, self.port = (QLineEdit() for _ in range(4))
        self.origins: dict[str, QLabel] = {}
        grid = QGridLayout()
        grid.setColumnStretch(1, 3)
        grid.setColumnStretch(2, 4)
        for row, (name, (_, text, meaning)) in enumerate(FIELDS.items()):
            field = getattr(self, name)
            label, origin = QLabel(text), QLabel()
            label.setBuddy(field)
            origin.setWordWrap(True)
            origin.setProperty("tone", str(Tone.OFF))
            field.setToolTip(meaning)
            field.setAccessibleName(text.replace("&", ""))
            for column, widget in enumerate((label, field, origin)):
                grid.addWidget(widget, row, column)
            self.origins[name] = origin
        self.save_button, self.revert = QPushButton("Save  Ctrl+S"), QPushButton("As it was")
        self.save_button.setProperty("primary", "true")
        self.save_button.clicked.connect(self.save)
        self.revert.clicked.connect(self.read)
        self.words = ToneLabel("middle")
        buttons = QHBoxLayout()
        buttons.addWidget(self.save_button)
        buttons.addWidget(self.revert)
        buttons.addStretch(1)
        self.panels[0].body.addWidget(self.file)
        self.panels[0].body.addLayout(grid)
        self.panels[0].body.addLayout(buttons)
        self.panels[0].body.addWidget(self.words)
        self.others = QLabel()
        self.others.setWordWrap(True)
        self.panels[1].body.addWidget(self.others)
        self.theme = Choice(tuple((n, n.capitalize()) for n in THEMES))
        self.theme.set(theme.name)
        self.theme.chosen.connect(self.theme_chosen)
        self.scale = QComboBox()
        for value in SCALES:
            self.scale.addItem(f"{value * 100:.0f} %", value)
        self.scale.activated.connect(lambda i: self.scale_chosen.emit(float(self.scale.itemData(i))))
        look = QGridLayout()
        look.setColumnStretch(2, 1)
        for row, (text, widget) in enumerate((("Theme", self.theme), ("Si&ze", self.scale))):
            label = QLabel(text)
            label.setBuddy(widget)
            look.addWidget(label, row, 0)
            look.addWidget(widget, row, 1)
        keys = QLabel(
            "The same by the buttons at the foot of the window and their keys. The layout is remembered here:"
        )
        keys.setWordWrap(True)
        self.place = QLabel(str(self.desk.config_dir))
        self.place.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.panels[2].body.addLayout(look)
        self.panels[2].body.addWidget(keys)
        self.panels[2].body.addWidget(self.place)
        inner, area, whole = QWidget(), QScrollArea(), QVBoxLayout(self)
        column = QVBoxLayout(inner)
        for panel in self.panels:
            column.addWidget(panel)
        column.addStretch(1)
        area.setWidget(inner)
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.pages.addWidget(area)
        self.pages.addWidget(self.choosing)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.pages)
        self.data_dir.browse.connect(self._browse)
        self.mode.currentTextChanged.connect(self._changed)
        self.data_dir.changed.connect(self._changed)
        for line in (self.stream, self.source_id, self.markers, self.port):
            line.textChanged.connect(self._changed)
        shortcut = QShortcut(QKeySequence("Ctrl+S"), self)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(self.save)

    # -- what the window asks -------------------------------------------------------------------------------------

    def set_theme(self, theme: Theme) -> None:
        for panel in self.panels:
            panel.set_theme(theme)

    def show_choice(self, theme_name: str, scale: float) -> None:
        """Theme and size as they are now."""
        self.theme.set(theme_name)
        self.scale.setCurrentIndex(min(range(len(SCALES)), key=lambda i: abs(SCALES[i] - scale)))

    def tick(self) -> None:
        """Nothing here moves by itself."""

    def close_down(self) -> None:
        """Nothing runs here."""

    # -- the site file --------------------------------------------------------------------------------------------

    def read(self) -> None:
        """Show what the site file says now; what was typed is dropped."""
        try:
            self._settings, self._broken = self.desk.settings(), ""
        except RtloopError as err:
            self._broken = str(err)
        s = self._settings
        for name in FIELDS:
            field, value = getattr(self, name), getattr(s, name)
            if isinstance(field, QComboBox):
                field.setCurrentText(value)
            elif isinstance(field, PathField):
                field.edit.setText(value)
            else:
                field.setText(value)
        origin = dict(s.origin)
        for name, (key, _, meaning) in FIELDS.items():
            self.origins[name].setText(f"{meaning}\nfrom: {origin.get(key, BUILT_IN)}")
        self.file.setText(
            f"Site file: {s.file}" if s.file else "There is no site file yet; saving makes one."
        )
        mine = {key for key, _, _ in FIELDS.values()}
        others = [f"{k}: {v}" for k, v in s.origin if k not in mine and v != BUILT_IN]
        self.others.setText("\n".join(others) or "Nothing else is set. All keys: rtloop config show")
        self.words.say(self._broken, Tone.BAD)
        self._changed()

    def value(self) -> Settings:
        """The settings as they stand on the screen."""
        return replace(
            self._settings, mode=self.mode.currentText(), data_dir=self.data_dir.text, stream=self.stream.text().strip(),
            source_id=self.source_id.text().strip(), markers=self.markers.text().strip(), port=self.port.text().strip(),
        )  # fmt: skip

    def save(self) -> None:
        """Write what changed; why not, in words, when the result would be wrong."""
        if not self.save_button.isEnabled():
            return
        why_not = self.desk.save_settings(self.value())
        if why_not:
            self.words.say(f"NOT saved: {why_not}" if not why_not.startswith("saved") else why_not, Tone.BAD)
            self.told.emit(
                Status(
                    tone=Tone.BAD, what="The settings were not saved as typed", todo=why_not.splitlines()[0]
                )
            )
            return
        self.read()
        self.words.say(f"saved in {self._settings.file}", Tone.GOOD)
        self.told.emit(
            Status(tone=Tone.GOOD, what="The settings are saved", todo="they hold from the next session on")
        )

    def _changed(self) -> None:
        dirty = self.value() != self._settings
        self.save_button.setEnabled(dirty and not self._broken)
        self.revert.setEnabled(dirty or bool(self._broken))
        if dirty:
            self.told.emit(None)

    def _browse(self) -> None:
        self.pages.setCurrentIndex(1)
        self.choosing.ask("Choose the data folder", Path(self.data_dir.text or "~"), folders=True)

    def _chosen(self, path: Path) -> None:
        self.pages.setCurrentIndex(0)
        self.data_dir.edit.setText(str(path))
