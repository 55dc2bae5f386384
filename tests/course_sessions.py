"""One treatment visit of a simulated course: the product's own objects on a stepped clock, with what befalls it; ground for the
simulation of whole courses.

Owns what happens at one bedside on one day and what must hold after it. It owns no calendar and no outcome (course_world). What
differs from a bedside: no process and no network; a visit's lease is kept by the clock, not by a thread; the amplifier sends in
blocks of 10 ms as the simulated one does, and the loop passes every 2 ms as its thread does, not after each step of the clock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from stepped_script_tools import Stepped, SteppedLoop, stepped_script
from study_tools import OP
from treat_session_tools import Person

from rtloop.app import script_setting, treat_asked
from rtloop.app.dose import ledger_of
from rtloop.app.script_loop import TICK_S
from rtloop.app.stepped import _Feed
from rtloop.app.study_sessions import treatment_of
from rtloop.app.treat import _wanted
from rtloop.app.treat_asked import TreatRequest
from rtloop.app.treat_given import Books
from rtloop.app.treat_run import Runner
from rtloop.app.treat_unit import TreatTms
from rtloop.app.treat_visit import Visit
from rtloop.clock import SteppedClock
from rtloop.errors import RtloopError
from rtloop.model.course import Ended, TreatmentBegun, TreatmentGiven
from rtloop.model.status import Mode
from rtloop.plan.treat_load import load_treatment
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.record.verify import verify
from rtloop.study.study import Study
from rtloop.treat.orders import Phase

AMPLIFIER_S = 0.010
#: what may befall a run, and how often of 1000
BEFALLS = {
    "nothing": 560, "crash of the engine": 60, "crash of the computer": 60, "freeze of 1.5 s": 50, "freeze of 7 s": 40,
    "hot coil": 40, "mute unit": 40, "uncertain fire": 40, "another computer": 40, "operator stops": 30, "operator halts": 20,
    "operator pauses": 20,
}  # fmt: skip
#: durable in the journal before anything follows: a power cut takes nothing up to the last of these
DURABLE = ("session_started", "checklist_signed", "treatment_begun", "pulse_intended")


class Crash(BaseException):
    """The session's objects are dropped where they stand."""


class CourseClock(SteppedClock):
    """A stepped clock whose amplifier and loop act as often as at a bedside, not at each step of a serial line."""

    def listen(self, listener: Any) -> None:
        of = getattr(listener, "__self__", listener)
        every_s = AMPLIFIER_S if isinstance(of, _Feed) else TICK_S if isinstance(of, SteppedLoop) else 0.0
        super().listen(listener if not every_s else _Seldom(of, listener, every_s))

    @contextlib.contextmanager
    def without(self, *gone: Any) -> Iterator[None]:
        """Some of the listeners stand still meanwhile."""
        kept = self._listeners
        self._listeners = [r for r in kept if not any(_owner(r) is g for g in gone)]
        try:
            yield
        finally:
            self._listeners = kept


class _Seldom:
    def __init__(self, owner: Any, listener: Callable[[float], None], every_s: float) -> None:
        self.owner, self._listener, self._every_s, self._last_s = owner, listener, every_s, float("-inf")

    def __call__(self, now_s: float) -> None:
        if now_s - self._last_s >= self._every_s - 1e-9:
            self._last_s = now_s
            self._listener(now_s)


def _owner(listener: Any) -> Any:
    return listener.owner if isinstance(listener, _Seldom) else getattr(listener, "__self__", listener)


class OnClock:
    """A visit whose lease is kept by the clock, once a second: what ``StudyThread`` does with threads."""

    def __init__(self, visit: Visit, clock: SteppedClock) -> None:
        self.visit, self.trouble, self._clock, self._kept_s = visit, "", clock, clock.now_s()
        clock.listen(self.keep)

    def keep(self, now_s: float) -> None:
        if not self.trouble and now_s - self._kept_s >= 1.0:
            self._kept_s = now_s
            try:
                self.visit.keep()
            except RtloopError as err:
                self.trouble = str(err)

    @property
    def number(self) -> int:
        return self.visit.number

    @property
    def held(self) -> bool:
        return not self.trouble and self.visit.held

    def begin(self, begun: TreatmentBegun) -> None:
        self.visit.begin(begun)

    def end(self, given: TreatmentGiven) -> None:
        self.visit.end(given)


@dataclass(kw_only=True)
class Held:
    """One run, as it went: counts in pulses; ``discharges`` is the simulated unit's own count; ``faults``: what must not be."""

    code: str
    visit: int
    day: str
    befell: str
    run_id: str = ""
    session_id: str = ""
    ended: str = ""
    planned: int = 0
    delivered: int = 0
    refused: int = 0
    uncertain: int = 0
    discharges: int = 0
    left: int = 0
    told: str = ""
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a trial lies: the study's folder, the plan's file; a participant's session folders."""

    study: Path
    plan: Path
    data: Path

    def data_of(self, code: str) -> Path:
        return self.data / code


def drawn(chance: Random) -> str:
    return chance.choices(list(BEFALLS), list(BEFALLS.values()))[0]


def instant(day: str, hour: float) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() + 3600 * hour


def visit_of(place: Place, code: str, day: str, seed: str, befalls: list[str] | None = None) -> list[Held]:
    """A visit of one day: a run, and after one that was interrupted perhaps the rest of it. ``befalls``: instead of chance."""
    chance, out = Random(f"{seed}|{code}|{day}"), list[Held]()
    for turn in range(4):
        befalls_now = befalls.pop(0) if befalls else "nothing" if turn == 3 else drawn(chance)
        out.append(run_of(place, code, instant(day, 9 + turn), befalls_now, chance))
        if not (out[-1].left and chance.random() < 0.7):
            break
    return out


def run_of(place: Place, code: str, start_s: float, befalls: str, chance: Random) -> Held:
    """One run with what befalls it; what must hold afterwards was looked at."""
    clock = CourseClock(start_s)
    row = Held(code=code, visit=0, day=clock.utc()[:10], befell=befalls)
    with contextlib.ExitStack() as stack:
        for module in (treat_asked, script_setting):
            stack.enter_context(mock.patch.object(module, "WALL", clock))
        data = place.data_of(code)
        visit = Visit.open(place.study, code, OP, clock, mode=Mode.SIMULATED, data_dir=data)
        row.visit = visit.number
        request = TreatRequest(plan=str(place.plan), simulate=True, participant=code, by=OP, data_dir=data,
                               resume=bool(visit.session_id))  # fmt: skip
        folder, discharges = _held(OnClock(visit, clock), request, clock, row, chance)
        row.discharges = len(discharges)
        _look(place, row, folder, crashed=befalls.startswith("crash") and not row.ended)
    return row


def _held(
    side: OnClock, request: TreatRequest, clock: CourseClock, row: Held, chance: Random
) -> tuple[SessionFolder, list[Any]]:
    script: Stepped | None = None
    crashed = False
    try:
        want, setting = _wanted(request, side, print)  # type: ignore[arg-type]
        with stepped_script(setting, of=TreatTms, clock=clock) as script:
            assert isinstance(script.tms, TreatTms)
            SessionFolder(path=script.folder.path).keep_plan(want.plan.source)
            books = Books(want, clock, side)
            runner = Runner(script.tms, want, Person(), books, clock, study=side)
            turn, due = runner.turn, _Due(row.befell, len(want.steps), chance)

            def turned() -> None:
                if due.now(runner):
                    _befall(runner, script, clock, side, row, chance)
                turn()

            runner.turn = turned  # type: ignore[method-assign]
            runner.run()
        assert runner.machine.end is not None
        row.told = runner.machine.end.words
        if books.trouble:
            row.faults.append(books.trouble)
    except Crash:
        crashed = True
    finally:
        side.visit._study.close() if crashed else side.visit.close()
    assert script is not None
    if crashed and row.befell.endswith("computer"):
        _cut(script.folder, chance)
    return script.folder, script.bench.discharges


class _Due:
    """When something befalls a run: once, in a train or in a pause, both equally often."""

    def __init__(self, befalls: str, trains: int, chance: Random) -> None:
        self._none = befalls == "nothing"
        self._train, self._in_train, self._turns = (
            chance.randrange(trains),
            chance.random() < 0.5,
            chance.randrange(12),
        )

    def now(self, runner: Runner) -> bool:
        m = runner.machine
        if self._none or len(m.given) < self._train or runner.books.begun is None or m.end is not None:
            return False
        there = m.running is not None if self._in_train else m.running is None and m.phase is Phase.PAUSE
        later = len(m.given) > self._train or m.phase is Phase.AFTER  # it was over before
        if there or later:
            self._turns -= 1
        self._none = (there or later) and self._turns < 0
        return self._none


def _befall(runner: Runner, s: Stepped, clock: CourseClock, side: OnClock, row: Held, chance: Random) -> None:
    loop = s.tms._loop
    match row.befell.split():
        case ["crash", *_, what]:
            # the port process outlives its engine and lets go; with the computer it is gone too, and the unit is alone
            gone = (loop, side) if what == "engine" else (loop, side, s.tms._unit)
            _alone(clock, 2.5, gone)
            raise Crash
        case ["freeze", _, seconds, _]:
            _alone(clock, float(seconds), (loop, side))
        case ["hot", *_]:
            s.bench.inject({"kind": "hot_coil", "temp_c": 39.5, "end_s": 8.0})
        case ["mute", *_]:
            s.bench.inject({"kind": "mute", "end_s": chance.choice((0.3, 3.0))})
        case ["uncertain", *_]:
            s.bench.inject({"kind": "uncertain_fire", "how": chance.choice(("lost", "bad_crc"))})
        case ["another", *_]:
            _second(side, row, clock)
        case ["operator", word]:
            runner.hear(_said({"stops": "stop", "halts": "halt", "pauses": "pause"}[word]))


def _said(word: str) -> Any:
    from rtloop.session.orders import Said

    return Said(word=word, args=())


def _alone(clock: CourseClock, seconds: float, gone: tuple[Any, ...]) -> None:
    end_s = clock.now_s() + seconds
    with clock.without(*gone):
        while clock.now_s() < end_s:
            clock.advance(0.004)


def _second(side: OnClock, row: Held, clock: SteppedClock) -> None:
    """Another computer wants the same participant: refused, and the one that runs it notices nothing."""
    visit = side.visit
    try:
        Visit.open(visit._study.folder, visit.participant, OP, clock, host="bedside-2", wait_s=0.0).close()
    except RtloopError:
        return
    row.faults.append("a second computer was let in")


def _cut(folder: SessionFolder, chance: Random) -> None:
    """What a power cut may take of the journal: anything after the last record that was made durable."""
    raw = folder.journal.read_bytes()
    end, least = 0, 0
    for line in raw.splitlines(keepends=True):
        end += len(line)
        if any(f'"kind":"{kind}"'.encode() in line for kind in DURABLE):
            least = end
    folder.journal.write_bytes(raw[: chance.randint(least, len(raw))])


def _look(place: Place, row: Held, folder: SessionFolder, *, crashed: bool) -> None:
    """What must hold after a run, by its journal, the ledger, the study, and the simulated unit's own count."""
    bad = row.faults
    read = read_journal(folder.journal)
    given = treatment_of(read.events, head_hash=read.head_hash)
    if not crashed and not verify(folder.path).ok:
        bad.append("its record does not verify")
    if given is None:
        bad += ["pulses without a beginning"] if row.discharges else []
        return
    row.run_id, row.session_id, row.ended = given.run_id, given.session_id, str(given.ended)
    row.planned, row.delivered, row.refused, row.uncertain = (
        given.planned,
        given.delivered,
        given.refused,
        given.uncertain,
    )
    if given.planned != given.delivered + given.refused + given.uncertain:
        bad.append("planned is not delivered + refused + uncertain")
    if not given.delivered <= row.discharges <= given.given_most:
        bad.append(f"the unit gave {row.discharges} pulses, told {given.delivered} to {given.given_most}")
    ledger = ledger_of(place.data_of(row.code), row.code, simulated=True)
    if ledger.count(run_id=row.run_id) != given.given_most:
        bad.append(
            f"the ledger has {ledger.count(run_id=row.run_id)} pulses of the run, told {given.given_most}"
        )
    plan = load_treatment(place.plan)
    of_day, of_session = (
        ledger.count(day=row.day),
        ledger.counts(target=given.target, session_id=row.session_id, day=row.day),
    )
    if of_day > plan.pulses or of_session.treatment_session > plan.pulses:
        bad.append(f"{of_day} pulses of the day count as given, {plan.pulses} are planned")
    if given.ended is Ended.CRASHED:  # nobody told the study: it takes it in by itself, before the next run
        row.left = given.planned - given.given_most
        return
    with Study.open(place.study, clock=SteppedClock(instant(row.day, 20))) as study:
        known = [
            r
            for s in study.state.participants[row.code].calendar.sessions.values()
            for r in s.runs
            if r.run_id == row.run_id
        ]
        bad += [] if known == [given] else ["the study was told something else than the journal"]
    row.left = (given.trains_planned - given.trains_given) if given.given_most else 0
    for name in ("ring.f32", "recording.xdf"):  # a whole trial of them is some GB
        (folder.path / name).unlink(missing_ok=True)
