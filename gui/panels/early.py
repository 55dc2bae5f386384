"""Owns the drawing of the early response near the coil at each intensity, against the plan's criterion; owns no measuring."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from gui.panels.parts import Flow, Panel, ToneLabel, WordButton
from gui.panels.plots import Plot, round_up
from gui.shown import Early, EarlyStep, Tone
from gui.theme import Theme
from rtloop.model.samples import F64


class EarlyPanel(Panel):
    """One point with its 95 % interval per intensity step; the criterion as a line; preview or go at an intensity."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Early response near the coil", theme, parent)
        self.words, self.steps = ToneLabel("middle"), ToneLabel()
        self.plot = Plot(theme, left="µV, peak to peak", bottom="% of maximum output")
        self.plot.setMinimumHeight(110)
        self.points, self.bars = pg.ScatterPlotItem(), pg.ErrorBarItem()
        self.criterion = pg.InfiniteLine(
            0.0,
            angle=0,
            label="criterion {value:g} µV",
            labelOpts={"position": 0.02, "anchors": [(0, 1), (0, 1)]},
        )
        for item in (self.bars, self.criterion, self.points):
            self.plot.addItem(item, ignoreBounds=True)
        self.plot.getPlotItem().disableAutoRange()
        self.buttons: tuple[WordButton, ...] = ()
        self._flow = Flow()
        holder = QWidget()
        holder.setLayout(self._flow)
        self.body.addWidget(self.words)
        self.body.addWidget(self.plot, 1)
        self.body.addWidget(self.steps)
        self.body.addWidget(holder)
        self._early: Early | None = None
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.plot.set_theme(theme)
        self.bars.setOpts(pen=pg.mkPen(theme.ink, width=2))
        self.criterion.setPen(pg.mkPen(theme.tone(Tone.ATTENTION), width=2, style=Qt.PenStyle.DashLine))
        self.criterion.label.setColor(theme.tone(Tone.ATTENTION))
        if self._early is not None:
            self._show_points(self._early)

    def show_it(self, early: Early) -> None:
        """Show these steps."""
        if not self.changed("early", _comparable(early)):
            return
        self._early = early
        self.set_title(early.title)
        self.words.show_it(early.words)
        said = [f"{'▶ ' if step.now else ''}{step.words}" for step in early.steps]
        self.steps.say("\n".join(said))
        self.steps.setHidden(not said)
        self._show_points(early)
        self._show_buttons(early)

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
        self.criterion.setVisible(early.criterion_uv is not None)
        if early.criterion_uv is not None:
            self.criterion.setValue(early.criterion_uv)
        most = max([s.value.high for _, s in there] + [1.4 * (early.criterion_uv or 0.0), 1.0])
        self.plot.setRange(
            xRange=(-0.6, max(len(early.steps), 1) - 0.4), yRange=(0.0, round_up(most * 1.05)), padding=0.0
        )
        self.plot.getPlotItem().getAxis("bottom").setTicks(
            [[(i, _tick(step)) for i, step in enumerate(early.steps)]]
        )

    def _show_buttons(self, early: Early) -> None:
        if len(early.buttons) == len(self.buttons):
            for widget, button in zip(self.buttons, early.buttons, strict=True):
                widget.show_it(button)
            return
        for widget in self.buttons:
            self._flow.removeWidget(widget)
            widget.setParent(None)
            widget.deleteLater()
        self.buttons = tuple(WordButton(button) for button in early.buttons)
        for widget in self.buttons:
            widget.said.connect(self.said)
            self._flow.addWidget(widget)


def _array(values: list[float]) -> F64:
    return np.asarray(values, dtype=np.float64)


def _tick(step: EarlyStep) -> str:
    return f"{step.power_pct_mso} %"


def _comparable(early: Early) -> object:
    """The same without NaN, which differs from itself."""
    steps = tuple((s.value.to_dict(), s.power_pct_mso, s.power_pct_rmt, s.now, s.words) for s in early.steps)
    return early.title, early.criterion_uv, early.words, early.buttons, steps
