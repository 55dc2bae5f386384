"""Owns the drawing of a single trial, raw and cleaned, with what was removed; owns no verdict and no cleaning."""

from __future__ import annotations

import numpy as np
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from gui.panels.elided import Elided, FactLines
from gui.panels.parts import Panel, ToneLabel, WordButton, style_again
from gui.panels.plots import Butterfly, is_local, outside_gap, round_up, some_columns, steady_limit
from gui.panels.topography import Maps
from gui.shown import Button, Trial
from gui.theme import Theme
from rtloop.link.pages import PagesSpec, TrialPage

RANGE_MS = (-100.0, 400.0)
#: what the cleaned plot shows: as much as there is of the raw samples, or all that counts
SPANS = ("cleaned: as raw", "cleaned: all")
RAW_RANGES: dict[str, float | None] = {"raw: auto": None, "raw: ±100": 100.0, "raw: ±1000": 1000.0}


class TrialPanel(Panel):
    """Raw (left) and cleaned (right), gap shaded, LOCAL in front; the numbers; the removed map; take out or reinstate."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Single trial", theme, parent)
        self.verdict = ToneLabel("middle")
        self.move = WordButton(Button(word="", text="", enabled=False), reason=False)
        self.move.push.setProperty("thin", "true")
        self.move.said.connect(self.said)
        self.raw_range, self.span = QComboBox(), QComboBox()
        self.raw_range.addItems(list(RAW_RANGES))
        self.raw_range.setAccessibleName("Range of the raw plot")
        self.raw_range.currentIndexChanged.connect(self._show_raw_range)
        self.span.addItems(list(SPANS))
        self.span.setAccessibleName("Time shown of the cleaned trial")
        self.span.currentIndexChanged.connect(self._show_clean_range)
        self.raw = Butterfly(theme, corner="raw, µV")
        self.clean = Butterfly(theme, corner="cleaned, µV")
        for plot in (self.raw, self.clean):
            plot.setMinimumHeight(100)
        self.removed = Maps(theme, bar_px=52, labels=False, unit="")
        self.removed.setMinimumSize(130, 76)
        self.caption, self.left_out = Elided(), Elided()
        self.facts = FactLines()
        title = QHBoxLayout()
        self.body.removeWidget(self.title)
        title.addWidget(self.title, 1)
        title.addWidget(self.raw_range)
        title.addWidget(self.span)
        head = QHBoxLayout()
        head.addWidget(self.verdict, 1)
        head.addWidget(self.move)
        side = QVBoxLayout()
        side.setSpacing(1)
        side.addWidget(self.removed, 1)
        side.addWidget(self.caption)
        side.addWidget(self.left_out)
        row = QHBoxLayout()
        row.addWidget(self.raw, 5)
        row.addWidget(self.clean, 5)
        row.addLayout(side, 3)
        self.body.setSpacing(3)
        self.body.addLayout(title)
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
    ) -> bool:
        """Show a trial; ``page`` None where its arrays are no longer (or not yet) there. Whether a plot was drawn anew."""
        if self.changed("trial", trial):
            self.set_title(trial.title)
            self.verdict.show_it(trial.verdict)
            self.facts.show_it(trial.facts)
            self.move.setHidden(trial.move is None)
            if trial.move is not None:
                self.move.show_it(trial.move)
                if self.changed(
                    "letters", trial.move.primary
                ):  # it answers no question: not as big as those that do
                    self.move.push.setProperty("letters", "small")
                    style_again(self.move.push)
        if spec is not None and spec is not self._spec:
            self.removed.set_positions(spec.names, spec.positions_m)
        same = spec is self._spec and _same(page, self._page)
        if same and trial.gap_ms == self._gap and local_names == self._local:
            return False
        self._spec, self._page, self._gap, self._local = spec, page, trial.gap_ms, local_names
        self._show_arrays()
        return True

    def _show_arrays(self) -> None:
        page, spec = self._page, self._spec
        self.raw.show_gap(self._gap)
        self.clean.show_gap(self._gap)
        if page is None or spec is None:
            self.raw.clear_lines()
            self.clean.clear_lines()
            self.caption.say("no samples of this trial here")
            self.left_out.say("")
            return
        front = is_local(spec.names, self._local)[page.good]
        self.raw.lines.set_data(spec.raw_times_s * 1e3, page.raw_uv[page.good], front)
        self._show_raw_range()
        if page.clean_uv is None:
            self.clean.clear_lines()
        else:
            times, values = spec.times_s * 1e3, page.clean_uv[page.good]
            self.clean.lines.set_data(times, values, front)
            self._show_clean_range()
        bad = int((~page.good).sum())
        self.left_out.say(f"{bad} bad, not drawn" if bad else "", meaning="bad channels of this trial")
        self.caption.say(
            f"removed, {self._gap[1]:g} ms, µV",
            meaning="the decay that was removed, at the end of the gap, µV",
        )
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
        self.raw.show_range(_raw_ms(spec), limit)

    def _show_clean_range(self) -> None:
        page, spec = self._page, self._spec
        if page is None or spec is None or page.clean_uv is None:
            return
        times = spec.times_s * 1e3
        seen = some_columns(outside_gap(times, self._gap, RANGE_MS))
        limit = steady_limit(self.clean.limit, page.clean_uv[:, seen][page.good])
        self.clean.show_range(RANGE_MS if self.span.currentIndex() else _raw_ms(spec), limit)


def _raw_ms(spec: PagesSpec) -> tuple[float, float]:
    """What there is of the raw samples, ms, within what is looked at."""
    times = spec.raw_times_s
    return max(round(1e3 * float(times[0])), RANGE_MS[0]), min(round(1e3 * float(times[-1])), RANGE_MS[1])


def _same(a: TrialPage | None, b: TrialPage | None) -> bool:
    if a is b:
        return True
    if a is None or b is None or (a.trial_id, a.sample, a.block) != (b.trial_id, b.sample, b.block):
        return False
    return (a.clean_uv is None) == (b.clean_uv is None) and np.array_equal(a.raw_uv, b.raw_uv)
