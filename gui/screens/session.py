"""Owns the arrangement of the panels on the mapping, probe, listen-only and review screens, and their wiring; draws nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from gui.panels.beside import BesidePanel
from gui.panels.early import EarlyPanel
from gui.panels.evoked import EvokedPanel
from gui.panels.head import HeadPanel
from gui.panels.latency import LatencyPanel
from gui.panels.log import LogPanel, QualityPanel
from gui.panels.progress import ProgressPanel
from gui.panels.pulses import PulsesPanel
from gui.panels.question import OneLine, QuestionPanel
from gui.panels.scores import ScoresPanel
from gui.panels.stream import StreamPanel
from gui.panels.targets import TargetTable
from gui.panels.traces import TracesPanel
from gui.panels.trial import TrialPanel
from gui.panels.trials import TrialList
from gui.panels.unit import UnitPanel
from gui.screens.bound import BoundKeys
from gui.screens.column import Column, Either, Rest
from gui.screens.copies import Copies
from gui.screens.simulated import SimulatedSheet
from gui.screens.told import answered, checked, decided, undecided
from gui.shown import Line, Session, Tone
from gui.theme import Theme

#: share of the width of each column, and of the height within each
COLUMNS = {"a": 20, "b": 29, "c": 25, "d": 26}
EARLY = "Early response"
LEAST_HEIGHT_PX = {"trial": 250, "tabs": 140, "evoked": 320, "early": 200, "scores": 190, "head": 180}
#: height of what is asked and of the table beside it: fixed, so that nothing jumps when words change
BAND_PX = (80, 140)  # frames and paddings, and letters at scale 1


class SessionScreen(QWidget):
    """All panels of one session. ``said``: words for the engine; ``chosen``: what is looked at; ``wanted``: another screen."""

    said = Signal(str, tuple)
    chosen = Signal(dict)
    wanted = Signal(str)
    told = Signal(object)

    def __init__(self, theme: Theme, window: Any, *, review: bool = False) -> None:
        super().__init__()
        self._window, self._review, self._theme = window, review, theme
        self._copies = Copies()
        self._broken: dict[str, str] = {}
        self._ring: Any = None
        self._phase = ""
        self.unit, self.stream = UnitPanel(theme), StreamPanel(theme)
        self.progress, self.pulses = ProgressPanel(theme), PulsesPanel(theme)
        self.trial, self.trials, self.traces = TrialPanel(theme), TrialList(theme), TracesPanel(theme)
        self.evoked, self.early = EvokedPanel(theme), EarlyPanel(theme)
        self.scores, self.targets, self.head = ScoresPanel(theme), TargetTable(theme), HeadPanel(theme)
        self.latency, self.log, self.checks = LatencyPanel(theme), LogPanel(theme), LogPanel(theme)
        self.checks.set_title("Pre-flight")
        self.question, self.quality, self.beside = (
            QuestionPanel(theme),
            QualityPanel(theme),
            BesidePanel(theme),
        )
        self.sheet = SimulatedSheet()
        self._arrange()
        self._wire()

    # ---- arrangement ----

    def _arrange(self) -> None:
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        for name, panel in (
            ("Traces", self.traces), ("Trials", self.trials), ("Quality", self.quality), ("Beside", self.beside),
            ("Log", self.log), ("Pulses", self.pulses.rows), ("Pre-flight", self.checks), ("Simulated", self.sheet),
        ):  # fmt: skip
            self.tabs.addTab(panel, name)
        self._offer(self.sheet, False)
        self._offer(self.traces, not self._review)
        if self._review:
            self.unit.hide()
        self._before_bedside: QWidget = self.tabs.currentWidget()
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        self.splitters = {"columns": self.columns}
        self.eithers: dict[str, Either] = {}
        for panel, least_px in LEAST_HEIGHT_PX.items():
            getattr(self, panel).setMinimumHeight(least_px)
        for field in self.evoked.fields:  # three figures fit; their usual width is too much here
            field.setMinimumWidth(52)
        self._column("a", (self.unit, 0), (self.stream, 0), (self.progress, 1), (self.pulses, 0))
        self._column("b", (self.trial, 5), (self.tabs, 4))
        self._column(
            "c", (self.evoked, 6), (self.early, 4), either={"Average": self.evoked, EARLY: self.early}
        )
        self._column(
            "d", (self.scores, 5), (self.head, 4), (self.latency, 2), either={"Head": self.head, "Latency": self.latency}
        )  # fmt: skip
        self.columns.setSizes([19 * share for share in COLUMNS.values()])
        self.columns.setChildrenCollapsible(False)
        wide = QScrollArea()  # only where even the narrowest columns are wider than the window
        wide.setWidgetResizable(True)
        wide.setFrameShape(QFrame.Shape.NoFrame)
        wide.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        wide.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        wide.setWidget(self.columns)
        ask = QVBoxLayout()
        ask.setSpacing(4)
        ask.addWidget(self.question, 1)
        ask.addLayout(self._notes())
        below = QHBoxLayout()
        below.setSpacing(6)
        below.addLayout(ask, 5)
        below.addWidget(Rest(self.targets), 8)
        self.below = QWidget()
        self.below.setLayout(below)
        below.setContentsMargins(0, 0, 0, 0)
        main = QVBoxLayout()
        main.setSpacing(6)
        main.addWidget(wide, 1)
        main.addWidget(self.below)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addLayout(main, 1)
        self._remembered()

    def _offer(self, page: QWidget, there: bool) -> None:
        """Show or hide a page of the tabs."""
        self.tabs.setTabVisible(self.tabs.indexOf(page), there)

    def _column(
        self, name: str, *panels: tuple[QWidget, int], either: dict[str, QWidget] | None = None
    ) -> None:
        """One column of panels; when the window is too low for it one of ``either`` is seen at a time, and it scrolls."""
        if name == "a":  # words only: their height follows from their width, which a splitter does not know
            content = QWidget()
            box = QVBoxLayout(content)
            box.setContentsMargins(0, 0, 0, 0)
            for panel, stretch in panels:
                box.addWidget(panel, stretch)
        else:
            content = self.splitters[name] = QSplitter(Qt.Orientation.Vertical)
            content.setChildrenCollapsible(False)
            for place, (panel, stretch) in enumerate(panels):
                content.addWidget(panel)
                content.setStretchFactor(place, stretch)
            if either is not None:
                content = self.eithers[name] = Either(content, either)
        words = tuple(panel for panel, stretch in panels if name == "a" and not stretch)
        mixed = tuple(panel for panel, _ in panels if panel in (self.trial, self.early))
        self.columns.addWidget(Column(content, words, mixed))
        self.columns.setStretchFactor(self.columns.count() - 1, COLUMNS[name])

    def _notes(self) -> QHBoxLayout:
        self.note = QLineEdit()
        self.note.setPlaceholderText("Note for the record, Enter writes it (Ctrl+N)")
        self.note.setAccessibleName("Note for the record")
        self.note.setMaxLength(400)
        self.note.setMinimumWidth(160)
        self.answer = OneLine()
        self.bedside = QPushButton("Simulated bedside  Ctrl+B")
        self.bedside.setProperty("thin", "true")
        self.bedside.setCheckable(True)
        texts = ("New session", "Review it", "Open the report")
        self.again, self.look_back, self.report = (QPushButton(text) for text in texts)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.note, 4)
        row.addWidget(self.answer, 5)
        for button in (self.again, self.look_back, self.report, self.bedside):
            button.hide()
            row.addWidget(button)
        return row

    def _remembered(self) -> None:
        memory = self._window.memory
        for name, splitter in self.splitters.items():
            sizes = memory.splitters.get(f"session.{name}", ())
            if len(sizes) == splitter.count() and sum(sizes) > 0:
                splitter.setSizes(list(sizes))
            splitter.splitterMoved.connect(lambda *_, name=name: self._moved(name))
        chosen = memory.tabs.get("session.side", "")
        for place in range(self.tabs.count()):
            if self.tabs.tabText(place) == chosen and self.tabs.isTabVisible(place):
                self.tabs.setCurrentIndex(place)
        self.tabs.currentChanged.connect(self._tab_chosen)
        if memory.latencies_ms:
            self.evoked.set_latencies(memory.latencies_ms)

    def _moved(self, name: str) -> None:
        self._window.memory = self._window.memory.with_splitter(
            f"session.{name}", self.splitters[name].sizes()
        )

    def _tab_chosen(self, place: int) -> None:
        self.bedside.setChecked(self.tabs.currentWidget() is self.sheet)
        if self.tabs.currentWidget() is self.sheet:
            return
        self._window.memory = self._window.memory.with_tab("session.side", self.tabs.tabText(place))

    # ---- wiring ----

    def _wire(self) -> None:
        for panel in (self.question, self.trial, self.early, self.sheet):
            panel.said.connect(self._say)
        self.trials.chosen.connect(lambda trial_id: self.chosen.emit({"trial_id": trial_id}))
        self.scores.band.connect(lambda band: self.chosen.emit({"band": band}))
        self.evoked.latencies.connect(self._latencies)
        self.note.returnPressed.connect(self._write_note)
        self.bedside.toggled.connect(self._show_bedside)
        self.again.clicked.connect(lambda: self.wanted.emit("start"))
        self.look_back.clicked.connect(lambda: self.wanted.emit("look_back"))
        self.report.clicked.connect(self._open_report)
        self._bound = BoundKeys(self, self._say, self.answer)
        self._report = ""
        QShortcut(QKeySequence("Ctrl+B"), self).activated.connect(self._toggle_bedside)

    def _toggle_bedside(self) -> None:
        if self.bedside.isVisible():
            self.bedside.toggle()

    def _show_bedside(self, there: bool) -> None:
        current = self.tabs.currentWidget()
        if there and current is not self.sheet:
            self._before_bedside = current
            self._offer(self.sheet, True)
            self.tabs.setCurrentWidget(self.sheet)
        elif not there and current is self.sheet:
            self.tabs.setCurrentWidget(self._before_bedside)

    def _latencies(self, positions_ms: tuple[float, ...]) -> None:
        self._window.memory = replace(self._window.memory, latencies_ms=tuple(positions_ms))

    def _say(self, word: str, args: tuple[str, ...]) -> None:
        if word == "note" and not args:
            self.note.setFocus(Qt.FocusReason.ShortcutFocusReason)
        else:
            self.said.emit(word, args)

    def _write_note(self) -> None:
        text = self.note.text().strip()
        if text:
            self.said.emit("note", (text,))
            self.note.clear()

    def _open_report(self) -> None:
        if self._report and not QDesktopServices.openUrl(QUrl.fromLocalFile(self._report)):
            self.answer.say(f"no browser could be opened; the report is {self._report}", Tone.ATTENTION)

    # ---- drawing ----

    def restart(self) -> None:
        """Another session: forget the pictures of the last one."""
        self._copies.clear()
        self._broken.clear()
        self._ring = None
        self.bedside.setChecked(False)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        for panel in (
            self.unit, self.stream, self.progress, self.pulses, self.trial, self.trials, self.traces, self.evoked, self.early,
            self.scores, self.targets, self.head, self.latency, self.log, self.checks, self.quality, self.beside, self.question,
        ):  # fmt: skip
            panel.set_theme(theme)
        scale = self._window.scale
        self.question.set_scale(scale)
        self.below.setFixedHeight(round(BAND_PX[0] + BAND_PX[1] * scale))

    def tick(self) -> None:
        """Nothing: ``show_it`` draws."""

    def show_it(self, shown: Session, source: Any, numbers: Any) -> None:
        """Draw what is new. A panel that fails says so in its place; the others go on.

        Of the panels that take milliseconds only one is drawn anew in one look, the scores first: a pulse changes all of
        them, and its result would have to wait for the rest.
        """
        pages = source.pages
        spec = pages.spec if pages is not None else None
        local, draw = shown.evoked.local, self._draw
        draw("question", lambda: self._show_question(shown))
        draw("unit", lambda: self.unit.show_it(shown.unit, shown.stop))
        draw("stream", lambda: self.stream.show_it(shown.stream))
        draw("progress", lambda: self.progress.show_it(shown.progress))
        draw("pulses", lambda: self.pulses.show_it(shown.pulses))
        draw("early", lambda: self.early.show_it(shown.early))
        over = self._review or shown.ended
        draw("targets", lambda: self.targets.show_it(undecided(shown.scores) if over else shown.scores))
        copies, head = self._copies, shown.head
        for name, drawn_anew in (
            ("scores", lambda: self.scores.show_it(shown.scores)),
            ("trial", lambda: self.trial.show_it(shown.trial, copies.trial(pages, shown.trial.trial_id), spec, local)),
            ("evoked", lambda: self.evoked.show_it(shown.evoked, copies.block(pages, shown.evoked.block), spec)),
            ("head", lambda: self.head.show_it(head, copies.block(pages, head.block), spec)),
            ("latency", lambda: self.latency.show_it(shown.latency)),
        ):  # fmt: skip
            if draw(name, drawn_anew):
                break
        draw("trials", lambda: self.trials.show_it(shown.trials, self._chosen_trial()))
        draw("quality", lambda: self.quality.show_it(shown.quality))
        draw("log", lambda: self.log.show_it(shown.log))
        draw("checks", lambda: self.checks.show_it(tuple(checked(t) for t in shown.preflight)))
        if self.beside.isVisible():
            draw("beside", lambda: self.beside.show_it(shown.beside))
        if self.traces.isVisible():
            draw("traces", lambda: self._show_traces(shown, source))
        self._show_edges(shown, numbers)

    def _show_question(self, shown: Session) -> None:
        if not (self._review or shown.ended):
            self.question.show_it(shown.question, shown.always)
            return
        ended = Line(text=shown.question.words)
        self.question.show_end(tuple(x for x in (ended, *decided(shown.scores.words)) if x.text))

    def _draw(self, name: str, do: Callable[[], Any]) -> Any:
        """What ``do`` returns; None where it failed."""
        try:
            done = do()
        except Exception as err:
            key = f"{type(err).__name__}: {err}"
            if self._broken.get(name) != key:  # once for each panel and kind: it is tried again at each look
                self._broken[name] = key
                self._window.failed_panel(name, err)
        else:
            self._broken.pop(name, None)
            return done
        return None

    def _chosen_trial(self) -> int | None:
        place = self._window.reviewed if self._review else self._window.live
        return place.choice.trial_id if place is not None else None

    def _show_traces(self, shown: Session, source: Any) -> None:
        ring, view = source.ring, source.view
        if ring is not None and ring is not self._ring:
            layout = view.started.get("layout") or ()
            columns = [i for i, c in enumerate(layout) if c.get("kind") == "EEG"]
            if not columns:
                return
            self._ring = ring
            self.traces.set_source(ring, [layout[i]["name"] for i in columns], columns, ring.rate_hz)
        if self._ring is None:
            return
        self.traces.set_bad(dict(shown.head.bad))
        recent = sorted(p["sample"] for p in view.pulses.values() if isinstance(p.get("sample"), int))[-40:]
        self.traces.set_pulses(recent)
        self.traces.tick()

    def _show_edges(self, shown: Session, numbers: Any) -> None:
        """Notes, answers, what is offered when nothing runs, the simulated bedside."""
        self.eithers["c"].offer(EARLY, shown.kind != "watch")
        if shown.question.phase != self._phase:  # where only one is seen: the one that this step is about
            self._phase = shown.question.phase
            self.eithers["c"].choose(EARLY if self._phase in ("preview", "go") else "Average")
        simulated = "SIMULATED" in shown.banner.text.upper() and not self._review
        gone = getattr(numbers, "board_seen", False) and not getattr(numbers, "engine_lives", True)
        over = shown.ended or gone
        if self.bedside.isHidden() == (simulated and not over):
            self.bedside.setVisible(simulated and not over)
            self.bedside.setChecked(self.bedside.isChecked() and not self.bedside.isHidden())
            self._offer(self.sheet, simulated and not over)
        self.sheet.show_it(shown.unit.connected, "")
        self.note.setVisible(not self._review and not over)
        self.again.setVisible(over and not self._review)
        self.look_back.setVisible(over and not self._review)
        self._report = shown.report
        self.report.setVisible(bool(shown.report) and Path(shown.report).is_file())
        answers = getattr(numbers, "answers", ())
        line = answered(answers[-1], getattr(numbers, "now_s", 0.0)) if answers else Line()
        if line.text or not over:
            self.answer.show_it(line if line.text else shown.seat)
        self._bound.bind((shown.trial.move, *shown.early.buttons))
        if shown.question.phase == "started" and any(t.tone is Tone.BAD for t in shown.preflight):
            self.tabs.setCurrentWidget(self.checks)

    def close_down(self) -> None:
        """The window goes."""
        self._ring = None
