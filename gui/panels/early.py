"""Owns the drawing of the early response near the coil at each intensity, against the plan's criterion; owns no measuring."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QGridLayout, QWidget

from gui.panels.elided import Elided
from gui.panels.parts import Panel, WordButton, style_again
from gui.panels.plots import Plot, round_up
from gui.shown import Button, Early, EarlyStep, Tone
from gui.theme import Theme
from rtloop.model.samples import F64


class StepButton(WordButton):
    """A word about one intensity, small: the row tells the intensity, the tool tip the whole."""

    def __init__(self, button: Button) -> None:
        super().__init__(button, reason=False)

    def show_it(self, button: Button) -> None:
        """Show a button."""
        if button == self.value:
            return
        super().show_it(button)
        key = button.key.replace("Ctrl+", "^")
        self.push.setText(f"{button.word.capitalize()} {key}".strip())
        whole = f"{button.text}, {button.key}" if button.key else button.text
        self.push.setToolTip(whole if button.enabled else f"{whole}: {button.why_not}")
        self.push.setAccessibleName(whole)
        self.push.setProperty("thin", "true")
        self.push.setProperty("letters", "small")
        self.push.setStyleSheet("padding: 2px 4px")
        style_again(self.push)


class _Row:
    """The widgets of one intensity."""

    def __init__(self) -> None:
        self.power, self.value, self.counts = Elided(whole=True), Elided(whole=True), Elided(whole=True)
        self.buttons: dict[str, StepButton] = {}


class EarlyPanel(Panel):
    """One point with its 95 % interval per intensity step, the criterion as a line; below a row for each step."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Early response near the coil", theme, parent)
        self.words, self.why = Elided(), Elided()
        self.plot = Plot(theme, corner="peak to peak, µV")
        self.plot.setMinimumHeight(80)
        self.points, self.bars = pg.ScatterPlotItem(), pg.ErrorBarItem()
        self.criterion = pg.InfiniteLine(0.0, angle=0)
        self.wanted = pg.TextItem(anchor=(1.0, 0.5))  # right of all points, where no interval reaches
        for item in (self.bars, self.criterion, self.points, self.wanted):
            self.plot.addItem(item, ignoreBounds=True)
        self.plot.getPlotItem().disableAutoRange()
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(1)
        self._grid.setColumnStretch(2, 1)
        self._rows: dict[int, _Row] = {}
        self.body.setSpacing(2)
        self.body.addWidget(self.words)
        self.body.addWidget(self.plot, 1)
        self.body.addLayout(self._grid)
        self.body.addWidget(self.why)
        self._early: Early | None = None
        self.set_theme(theme)

    @property
    def buttons(self) -> tuple[StepButton, ...]:
        """Every button, row by row."""
        return tuple(button for power in sorted(self._rows) for button in self._rows[power].buttons.values())

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.plot.set_theme(theme)
        self.bars.setOpts(pen=pg.mkPen(theme.ink, width=2))
        self.criterion.setPen(pg.mkPen(theme.tone(Tone.ATTENTION), width=2, style=Qt.PenStyle.DashLine))
        self.wanted.setColor(theme.tone(Tone.ATTENTION))
        ground = QColor(theme.panel)
        ground.setAlpha(220)
        self.wanted.fill = pg.mkBrush(ground)
        if self._early is not None:
            self._show_points(self._early)

    def show_it(self, early: Early) -> None:
        """Show these steps."""
        if not self.changed("early", _comparable(early)):
            return
        self._early = early
        self.set_title(early.title)
        line = early.since if early.steps else early.words
        self.words.say(line.text, line.tone)
        self.words.setHidden(not line.text)
        self.setAccessibleDescription(early.words.text)
        self._show_points(early)
        self._show_rows(early)

    def _show_points(self, early: Early) -> None:
        there = [(i, step) for i, step in enumerate(early.steps) if step.value.present]
        theme = self.theme
        self.points.setData(
            x=[i for i, _ in there], y=[step.value.value for _, step in there], size=[15 if s.now else 10 for _, s in there],
            symbol=["d" if s.now else "o" for _, s in there], pen=pg.mkPen(theme.ink),
            brush=[pg.mkBrush(theme.accent if s.now else theme.muted) for _, s in there],
        )  # fmt: skip
        self.bars.setOpts(
            x=_array([i for i, _ in there]), y=_array([s.value.value for _, s in there]), beam=0.12,
            top=_array([s.value.high - s.value.value for _, s in there]),
            bottom=_array([s.value.value - s.value.low for _, s in there]),
        )  # fmt: skip
        n = max(len(early.steps), 1)
        right = n - 0.4 + 0.35 * n  # room for the criterion's words
        self.criterion.setVisible(early.criterion_uv is not None)
        self.wanted.setVisible(early.criterion_uv is not None)
        most = max([s.value.high for _, s in there] + [1.4 * (early.criterion_uv or 0.0), 1.0])
        if early.criterion_uv is not None:
            self.criterion.setValue(early.criterion_uv)
            self.wanted.setText(f"wanted: {early.criterion_uv:g} µV")
            self.wanted.setFont(self.font())
            self.wanted.setPos(right, early.criterion_uv)
        self.plot.setRange(xRange=(-0.6, right), yRange=(0.0, round_up(most * 1.05)), padding=0.0)
        self.plot.getPlotItem().getAxis("bottom").setTicks(
            [[(i, _tick(step)) for i, step in enumerate(early.steps)]]
        )

    def _show_rows(self, early: Early) -> None:
        steps = {step.power_pct_mso: step for step in early.steps}
        asked: dict[int, dict[str, Button]] = {}
        for button in early.buttons:
            if button.args and button.args[0].isdigit():
                asked.setdefault(int(button.args[0]), {})[button.word] = button
        powers = sorted(steps | asked)
        if self.changed("powers", powers):
            for row in self._rows.values():
                for widget in (row.power, row.value, row.counts, *row.buttons.values()):
                    self._drop(widget)
            self._rows = {power: _Row() for power in powers}
            for i, row in enumerate(self._rows.values()):
                for column, label in enumerate((row.power, row.value, row.counts)):
                    self._grid.addWidget(label, i, column)
        for i, power in enumerate(powers):
            row, step = self._rows[power], steps.get(power)
            now = step is not None and step.now
            meaning = step.words if step is not None else ""
            row.power.say(f"{'▶ ' if now else ''}{power} %", meaning=meaning)
            row.value.say(_value(step), meaning=meaning)
            row.counts.say(
                "" if step is None else f"n {step.n_accepted}, rejected {step.n_rejected}", meaning=meaning
            )
            row.power.set_bold(now)
            self._show_buttons(i, row, asked.get(power, {}))
        why = list(
            dict.fromkeys(
                f"{b.word.capitalize()}: {b.why_not}" for b in early.buttons if b.why_not and not b.enabled
            )
        )
        self.why.say("; ".join(why), Tone.OFF)
        self.why.setHidden(not why)

    def _show_buttons(self, i: int, row: _Row, asked: dict[str, Button]) -> None:
        for word in [word for word in row.buttons if word not in asked]:
            self._drop(row.buttons.pop(word))
        for word, button in asked.items():
            if word in row.buttons:
                row.buttons[word].show_it(button)
                continue
            made = row.buttons[word] = StepButton(button)
            made.said.connect(self.said)
            self._grid.addWidget(made, i, 4 if word == "go" else 3)

    def _drop(self, widget: QWidget) -> None:
        self._grid.removeWidget(widget)
        widget.setParent(None)
        widget.deleteLater()


def _value(step: EarlyStep | None) -> str:
    if step is None:
        return "not previewed yet"
    v = step.value
    return f"{v.value:.1f} µV [{v.low:.1f}, {v.high:.1f}]" if v.present else "none yet"


def _array(values: list[float]) -> F64:
    return np.asarray(values, dtype=np.float64)


def _tick(step: EarlyStep) -> str:
    return f"{step.power_pct_mso} %"


def _comparable(early: Early) -> object:
    """The same without NaN, which differs from itself."""
    steps = tuple((s.value.to_dict(), s.power_pct_mso, s.power_pct_rmt, s.now, s.words) for s in early.steps)
    return early.title, early.criterion_uv, early.words, early.since, early.buttons, steps
