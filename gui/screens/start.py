"""Owns the start screen: form, found against expected, rehearsal, pre-flight, Start; owns no engine and no rule.

Signals: ``started(desk.Started)`` once the pre-flight of a started engine passed and it can be joined; ``rejoin(Path)``;
``told(gui.shown.Status | None)`` for the status line.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui.desk import Desk, Form, Job, Settings, Started
from gui.panels.parts import Panel
from gui.screens.choosing import ChoosingPage
from gui.screens.form import StartForm
from gui.screens.ticks import Lines, Ticks
from gui.shown import Line, Start, Tone
from gui.starting import Known, Under, in_short, mode_line, start_shown
from gui.theme import Theme
from rtloop.clock import WALL
from rtloop.errors import RtloopError
from rtloop.link.tail import JournalTail

SETTLED_S = 0.4  # a field that changed is acted on when nobody typed for so long
RUNNING_EVERY_S = 1.0
REASONS = 3  # reasons beside the button; all of them stand on the status line and in the panels
_CHOOSE = {
    "plan": ("Choose a plan", "Plans (*.toml);;All files (*)"),
    "data_dir": ("Choose the data folder", ""),
    "background": (
        "Choose a recording as ongoing EEG",
        "Recordings (*.xdf *.edf *.bdf *.vhdr *.set *.fif);;All files (*)",
    ),
    "waivers": ("Choose a file of signed waivers", "Waivers (*.toml);;All files (*)"),
    "threshold": ("Choose the file of a motor threshold", "Thresholds (threshold.json);;All files (*)"),
    "study": ("Choose the study's folder", ""),
    "faults": ("Choose a scenario of faults", "Scenarios (*.toml);;All files (*)"),
}


class StartScreen(QWidget):
    """See the module's words."""

    started = Signal(object)
    rejoin = Signal(object)
    told = Signal(object)

    def __init__(self, desk: Desk, theme: Theme, form: Form, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.desk = desk
        self.known = Known()
        self.shown: Start | None = None
        self._devices: Job | None = None
        self._check: Job | None = None
        self._looked: tuple[object, ...] = ()  # fields that the last look was for
        self._checked: tuple[object, ...] | None = None  # fields that the last rehearsal was for
        self._asked_whose: tuple[object, ...] = ()  # fields that the thresholds on offer are for
        self._changed_s = -1.0
        self._running_s = -1.0
        self._running: dict[str, Path] = {}
        self._begun: Started | None = None
        self._tail: JournalTail | None = None
        try:
            settings = desk.settings()
        except RtloopError as err:
            settings = Settings()
            self.known = replace(self.known, settings_error=str(err))
        self.form = StartForm(desk.plans, desk.scenes(), settings)
        self._build(theme)
        self.form.fill(form)
        self.form.changed.connect(self._on_change)
        self.form.browse.connect(self._browse)
        self._ask()

    # -- building -------------------------------------------------------------------------------------------------

    def _build(self, theme: Theme) -> None:
        self.pages, self.choosing = QStackedWidget(), ChoosingPage()
        self.choosing.chosen.connect(self._chosen)
        self.choosing.given_up.connect(lambda: self.pages.setCurrentIndex(0))
        self._field = ""
        self.devices, self.plan, self.preflight = (
            Ticks(),
            Lines("middle"),
            Ticks("made by the engine when a session starts"),
        )
        self.steps = Lines()
        self.again = QPushButton("Look again  F5")
        self.again.setProperty("thin", "true")
        self.again.clicked.connect(self.look_again)
        self.rejoins = QVBoxLayout()
        self.panels = {
            "running": Panel("Sessions that run", theme), "devices": Panel("Devices: found against expected", theme),
            "plan": Panel("The plan, rehearsed", theme), "preflight": Panel("Pre-flight", theme),
        }  # fmt: skip
        self.panels["running"].body.addLayout(self.rejoins)
        self.panels["devices"].body.addWidget(self.devices)
        self.panels["devices"].body.addWidget(self.again, 0, Qt.AlignmentFlag.AlignLeft)
        self.panels["plan"].body.addWidget(self.plan)
        self.panels["preflight"].body.addWidget(self.steps)
        self.panels["preflight"].body.addWidget(self.preflight)
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 4, 0)
        for panel in self.panels.values():
            column.addWidget(panel)
        column.addStretch(1)
        self.start = QPushButton()
        self.start.setEnabled(False)  # until the first look
        self.start.setProperty("primary", "true")
        self.start.setProperty("letters", "big")
        self.start.setMinimumHeight(56)
        self.start.clicked.connect(self.begin)
        self.reasons = Lines("middle")
        foot = QHBoxLayout()
        foot.addWidget(self.start)
        foot.addWidget(self.reasons, 1)
        main, both, box = QWidget(), QHBoxLayout(), QVBoxLayout()
        both.addWidget(_scrolled(self.form), 5)
        both.addWidget(_scrolled(right), 6)
        box.addLayout(both, 1)
        box.addLayout(foot)
        main.setLayout(box)
        self.pages.addWidget(main)
        self.pages.addWidget(self.choosing)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.pages)
        for key, do in (("F5", self.look_again), ("Ctrl+Return", self.begin), ("Ctrl+Enter", self.begin)):
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(
                Qt.ShortcutContext.WindowShortcut
            )  # wherever the keyboard is, while this is shown
            shortcut.activated.connect(do)

    # -- what the window asks -------------------------------------------------------------------------------------

    def set_theme(self, theme: Theme) -> None:
        for panel in self.panels.values():
            panel.set_theme(theme)

    def banner(self) -> Line:
        """Mode of the form."""
        return mode_line(self.form.value())

    def tick(self) -> None:
        """Look at what runs in other processes; draw what changed."""
        now_s = WALL.now_s()
        if self._changed_s >= 0 and now_s - self._changed_s >= SETTLED_S:
            self._changed_s = -1.0
            self._ask()
        self._take_jobs()
        self._follow(now_s)
        if now_s - self._running_s >= RUNNING_EVERY_S:
            self._running_s = now_s
            self._look_for_running()
        self._draw(now_s)

    def close_down(self) -> None:
        for job in (self._devices, self._check):
            if job is not None:
                job.cancel()
        self._devices = self._check = None
        self._stop_following()

    # -- looking --------------------------------------------------------------------------------------------------

    def look_again(self) -> None:
        """Devices and plan anew, whatever is known."""
        self._looked, self._checked = (), None
        try:
            self.desk.settings()
            self.known = replace(self.known, settings_error="")
        except RtloopError as err:
            self.known = replace(self.known, settings_error=str(err))
        self._ask()

    def _on_change(self) -> None:
        self._changed_s = WALL.now_s()
        form, under = self.form.value(), self.known.under
        if (
            _wanted(form) != self._looked
        ):  # what was known is dropped: to be asked again, even if it is changed back
            self._looked = ()
            self.known = replace(self.known, devices=None, devices_error="")
        if _rehearsed(form) != self._checked:
            self._checked = None
            self.known = replace(self.known, rehearsed=None, check_error="")
        if under is not None and under.exit is not None:
            self.known = replace(self.known, under=None)

    def _ask(self) -> None:
        form = self.form.value()
        if _wanted(form) != self._looked:
            if self._devices is not None:
                self._devices.cancel()
            self._looked, self._devices = _wanted(form), self.desk.devices(form)
            self.known = replace(self.known, devices=None, devices_error="")
        if _rehearsed(form) != self._checked:
            if self._check is not None:
                self._check.cancel()
            self._checked, self._check = _rehearsed(form), None
            if form.plan and not form.study:
                treats = form.kind == "treat"
                self._check = (
                    self.desk.check_treatment(form) if treats else self.desk.check(form.plan, form.waivers)
                )
            self.known = replace(self.known, rehearsed=None, check_error="")
        self._offer_thresholds(form)

    def _offer_thresholds(self, form: Form) -> None:
        """The participant's own, to choose from."""
        whose = (form.participant, form.data_dir, form.simulate)
        if form.kind != "treat" or whose == self._asked_whose:
            return
        self._asked_whose = whose
        try:
            self.form.treatment.offer(self.desk.thresholds(form) if form.participant else ())
        except RtloopError as err:
            self.known = replace(self.known, settings_error=str(err))

    def _take_jobs(self) -> None:
        if self._devices is not None and self._devices.done:
            job, self._devices = self._devices, None
            self.known = replace(self.known, devices=job.result, devices_error=job.error)
            if job.result is not None:
                self.form.offer(job.result)
        if self._check is not None and self._check.done:
            job, self._check = self._check, None
            self.known = replace(self.known, rehearsed=job.result, check_error=job.error)

    def _look_for_running(self) -> None:
        mine = None if self._begun is None else self._begun.run_id
        self._running = {
            f.path.name: f.path for f in self.desk.running() if mine is None or not f.path.name.endswith(mine)
        }
        self.known = replace(self.known, running=tuple(self._running))

    # -- starting -------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start an engine, if nothing keeps it; what it does is followed until its pre-flight passed."""
        now_s = WALL.now_s()
        self._draw(now_s)
        if self.shown is None or not self.shown.start.enabled:
            return
        try:
            self._begun = self.desk.start(self.form.value())
        except RtloopError as err:
            self.known = replace(self.known, settings_error=str(err))
        else:
            self.known = replace(self.known, under=Under(run_id=self._begun.run_id, since_s=now_s))
        self._draw(now_s)

    def _follow(self, now_s: float) -> None:
        begun, under = self._begun, self.known.under
        if begun is None or under is None:
            return
        end = self.desk.engine_exit(
            begun.run_id
        )  # asked first: everything it wrote is there when it has ended
        try:
            if self._tail is None:
                found = sorted(begun.data_dir.glob(f"*_{begun.run_id}/journal.jsonl"))
                self._tail = JournalTail(found[-1]) if found else None
            for event in [] if self._tail is None else self._tail.take():
                under = under.heard(event.kind, event.data)
        except RtloopError:  # the session screen tells of a damaged journal
            pass
        under = replace(
            under, words=self.desk.engine_words(begun.run_id) if end is None else under.words, exit=end
        )
        self.known = replace(self.known, under=under)
        if end is not None:
            self._stop_following()
        elif under.passed and self.desk.folder_of(begun) is not None:
            self._stop_following()
            self.known = replace(self.known, under=None)
            self.started.emit(begun)

    def _stop_following(self) -> None:
        if self._tail is not None:
            self._tail.close()
        self._tail = self._begun = None

    # -- drawing --------------------------------------------------------------------------------------------------

    def _draw(self, now_s: float) -> None:
        shown = start_shown(self.form.value(), self.known, now_s)
        if shown == self.shown:
            return
        before, self.shown = self.shown, shown
        self.devices.show_it(shown.devices)
        self.plan.show_it(shown.plan_words)
        self.preflight.show_it(shown.preflight)
        under = self.known.under
        self.steps.show_it([] if under is None else [Line(text=s, tone=Tone.GOOD) for s in under.steps])
        self.start.setText(f"{shown.start.text}\n{shown.start.key}")
        self.start.setEnabled(shown.start.enabled)
        self.start.setToolTip(shown.start.why_not)
        starting = under is not None and under.exit is None
        self.form.setEnabled(not starting)
        self.again.setEnabled(not starting)
        reasons = [] if starting else [Line(text=p, tone=Tone.ATTENTION) for p in in_short(shown.problems)]
        more = (
            [Line(text=f"and {len(reasons) - REASONS} more, above", tone=Tone.ATTENTION)]
            if len(reasons) > REASONS
            else []
        )
        self.reasons.show_it([*reasons[:REASONS], *more])
        if before is None or before.running != shown.running:
            self._draw_running(shown.running)
        if before is None or before.status != shown.status:
            self.told.emit(shown.status)

    def _draw_running(self, names: tuple[str, ...]) -> None:
        while (item := self.rejoins.takeAt(0)) is not None:
            if (row := item.widget()) is not None:
                row.setParent(None)
                row.deleteLater()
        for name in names:
            row = QWidget()
            line = QHBoxLayout(row)
            line.setContentsMargins(0, 0, 0, 0)
            button = QPushButton("Rejoin")
            button.clicked.connect(partial(self.rejoin.emit, self._running[name]))
            line.addWidget(QLabel(name), 1)
            line.addWidget(button)
            self.rejoins.addWidget(row)
        self.panels["running"].setVisible(bool(names))

    # -- choosing a path ------------------------------------------------------------------------------------------

    def _browse(self, field: str) -> None:
        title, patterns = _CHOOSE[field]
        value = self.form.value()
        near = {"plan": value.plan if "/" in value.plan else "", "data_dir": value.data_dir}.get(field) or "~"
        self._field = field
        self.pages.setCurrentIndex(1)
        self.choosing.ask(title, Path(near), patterns, folders=field in ("data_dir", "study"))

    def _chosen(self, path: Path) -> None:
        self.pages.setCurrentIndex(0)
        self.form.put(self._field, str(path))


def _rehearsed(form: Form) -> tuple[object, ...]:
    """The fields that a rehearsal depends on."""
    own = (form.target, form.threshold, form.simulate, form.study) if form.kind == "treat" else ()
    return (form.kind == "treat", form.plan, form.waivers, *own)


def _wanted(form: Form) -> tuple[object, ...]:
    """The fields that a look for devices depends on."""
    return (form.kind, form.simulate, form.stream, form.source_id, form.markers, form.port, form.data_dir)


def _scrolled(widget: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setWidget(widget)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return area
