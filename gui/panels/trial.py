"""Owns the drawing of a single trial, raw and cleaned, with what was removed; owns no verdict and no cleaning."""

from __future__ import annotations

import numpy as np
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from gui.panels.parts import FactGrid, Panel, ToneLabel, WordButton
from gui.panels.plots import Butterfly, is_local, outside_gap, round_up, some_columns, steady_limit
from gui.panels.topography import Maps
from gui.shown import Button, Trial
from gui.theme import Theme
from rtloop.link.pages import PagesSpec, TrialPage

RANGE_MS = (-100.0, 400.0)
RAW_RANGES: dict[str, float | None] = {"raw: auto": None, "raw: ±100 µV": 100.0, "raw: ±1000 µV": 1000.0}


class TrialPanel(Panel):
    """Raw (left) and cleaned (right), gap shaded, LOCAL in front; the numbers; the removed map; take out or reinstate."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Single trial", theme, parent)
        self.verdict = ToneLabel("middle")
        self.move = WordButton(Button(word="", text="", enabled=False), reason=False)
        self.move.said.connect(self.said)
        self.raw_range = QComboBox()
        self.raw_range.addItems(list(RAW_RANGES))
        self.raw_range.setAccessibleName("Range of the raw plot")
        self.raw_range.currentIndexChanged.connect(self._show_raw_range)
        self.raw = Butterfly(theme, left="raw, µV", bottom="ms after the pulse")
        self.clean = Butterfly(theme, left="cleaned, µV", bottom="ms after the pulse")
        self.removed = Maps(theme)
        self.removed.setMinimumSize(110, 110)
        self.caption = ToneLabel("small")
        self.facts = FactGrid(columns=3)
        head = QHBoxLayout()
        head.addWidget(self.verdict, 1)
        head.addWidget(self.raw_range)
        head.addWidget(self.move)
        side = QVBoxLayout()
        side.addWidget(self.removed, 1)
        side.addWidget(self.caption)
        row = QHBoxLayout()
        row.addWidget(self.raw, 5)
        row.addWidget(self.clean, 5)
        row.addLayout(side, 3)
        self.body.addLayout(head)
        self.body.addLayout(row, 1)
        self.body.addWidget(self.facts)
        self._spec: PagesSpec | None = None
        self._page: TrialPage | None = None
        self._gap = (0.0, 0.0)
        self._local: tuple[str, ...] = ()

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        for part in (self.raw, self.clean, self.removed):
            part.set_theme(theme)

    def show_it(
        self, trial: Trial, page: TrialPage | None, spec: PagesSpec | None, local_names: tuple[str, ...]
    ) -> None:
        """Show a trial; ``page`` None where its arrays are no longer (or not yet) there."""
        if self.changed("trial", trial):
            self.set_title(trial.title)
            self.verdict.show_it(trial.verdict)
            self.facts.show_it(trial.facts)
            self.move.setHidden(trial.move is None)
            if trial.move is not None:
                self.move.show_it(trial.move)
        if spec is not None and spec is not self._spec:
            self.removed.set_positions(spec.names, spec.positions_m)
        same = spec is self._spec and _same(page, self._page)
        if same and trial.gap_ms == self._gap and local_names == self._local:
            return
        self._spec, self._page, self._gap, self._local = spec, page, trial.gap_ms, local_names
        self._show_arrays()

    def _show_arrays(self) -> None:
        page, spec = self._page, self._spec
        self.raw.show_gap(self._gap)
        self.clean.show_gap(self._gap)
        if page is None or spec is None:
            self.raw.clear_lines()
            self.clean.clear_lines()
            self.caption.say("no samples of this trial here")
            return
        front = is_local(spec.names, self._local)[page.good]
        self.raw.lines.set_data(spec.raw_times_s * 1e3, page.raw_uv[page.good], front)
        self._show_raw_range()
        if page.clean_uv is None:
            self.clean.clear_lines()
        else:
            times, values = spec.times_s * 1e3, page.clean_uv[page.good]
            self.clean.lines.set_data(times, values, front)
            seen = some_columns(outside_gap(times, self._gap, RANGE_MS))
            self.clean.show_range(RANGE_MS, steady_limit(self.clean.limit, values[:, seen]))
        bad = int((~page.good).sum())
        left_out = f"; {bad} bad channel{'s' * (bad > 1)} not drawn" if bad else ""
        self.caption.say(f"removed: decay at the end of the gap, µV{left_out}")
        size = np.abs(page.decay_uv[np.isfinite(page.decay_uv)])
        limit = round_up(float(size.max())) if size.size else 1.0
        self.removed.show_values(page.decay_uv[:, None], (self._gap[1],), limit)

    def _show_raw_range(self) -> None:
        page, spec = self._page, self._spec
        if page is None or spec is None:
            return
        limit = RAW_RANGES[self.raw_range.currentText()]
        if limit is None:
            times = spec.raw_times_s * 1e3
            seen = some_columns(outside_gap(times, self._gap, RANGE_MS))
            limit = steady_limit(self.raw.limit, page.raw_uv[:, seen][page.good])
        self.raw.show_range(RANGE_MS, limit)


def _same(a: TrialPage | None, b: TrialPage | None) -> bool:
    if a is b:
        return True
    if a is None or b is None or (a.trial_id, a.sample, a.block) != (b.trial_id, b.sample, b.block):
        return False
    return (a.clean_uv is None) == (b.clean_uv is None) and np.array_equal(a.raw_uv, b.raw_uv)
