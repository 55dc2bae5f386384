"""Accounts, vigil, simulated operator, words for people, signals: each by itself."""

from __future__ import annotations

import math
import os
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drivers.trouble import UnitProblem
from rtloop.board import Board
from rtloop.clock import SteppedClock
from rtloop.model.estimate import Estimate
from rtloop.model.event import Event
from rtloop.model.pulse import Outcome, Pulse, PulseSeen, Purpose, Source
from rtloop.model.status import Breach, Fault, Lamp, StreamHealth, UnitStatus
from rtloop.safety.limits import load_limits
from rtloop.session.accounts import NOT_SEEN_AFTER_S, Accounts
from rtloop.session.display import number
from rtloop.session.operator import GIVE_UP_AFTER, SimulatedOperator
from rtloop.session.run import Signals
from rtloop.session.vigil import LOOP_LATE_S, Vigil

# -- accounts -----------------------------------------------------------------------------------------------------


def pulse(n: int) -> Pulse:
    return Pulse(
        pulse_id=n, target="M1", purpose=Purpose.MAPPING, power_pct_mso=45, power_pct_rmt=None, due_s=0.0, deadline_s=1.0
    )  # fmt: skip


def seen(t_s: float, source: Source = Source.TRIGGER) -> PulseSeen:
    return PulseSeen(sample=round(1000 * t_s), source=source, t_s=t_s)


def test_a_seen_pulse_is_matched_with_its_own_command() -> None:
    a = Accounts()
    for n in (1, 2):
        a.closed(pulse(n), Outcome.FIRED, 2.0 * n)
    row, fault = a.saw(seen(4.01))
    assert (row.pulse.pulse_id, fault) == (2, None)  # type: ignore[union-attr]
    row, fault = a.saw(seen(2.01))
    assert (row.pulse.pulse_id, fault) == (1, None)  # type: ignore[union-attr]


@pytest.mark.parametrize("t_s", [1.9, 2.5])
def test_a_pulse_too_far_from_every_command_is_nobodys(t_s: float) -> None:
    a = Accounts()
    a.closed(pulse(1), Outcome.FIRED, 2.0)
    row, fault = a.saw(seen(t_s))
    assert row.pulse is None
    assert fault is Fault.PULSE_UNCOMMANDED


def test_one_command_explains_one_pulse_only() -> None:
    a = Accounts()
    a.closed(pulse(1), Outcome.FIRED, 2.0)
    assert a.saw(seen(2.01))[1] is None
    assert a.saw(seen(2.03))[1] is Fault.PULSE_UNCOMMANDED
    assert a.counts()["uncommanded"] == 1


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.MISSED])
def test_a_command_that_sent_nothing_explains_nothing(outcome: Outcome) -> None:
    a = Accounts()
    a.closed(pulse(1), outcome, None)
    assert a.saw(seen(2.0))[1] is Fault.PULSE_UNCOMMANDED
    assert not a.overdue(99.0)


def test_an_uncertain_pulse_may_be_seen_and_is_missed_like_a_fired_one() -> None:
    a = Accounts()
    a.closed(pulse(1), Outcome.UNCERTAIN, 2.0)
    assert not a.overdue(2.0 + NOT_SEEN_AFTER_S)
    (row,) = a.overdue(2.001 + NOT_SEEN_AFTER_S)
    assert row.pulse == pulse(1)
    assert not a.overdue(9.0)  # told once
    assert a.counts()["not_seen"] == 1


def test_our_own_fire_time_is_no_observation() -> None:
    a = Accounts()
    a.closed(pulse(1), Outcome.FIRED, 2.0)
    assert a.saw(seen(2.0, Source.HOST))[1] is None
    assert [r.pulse for r in a.overdue(4.0)] == [pulse(1)]
    assert a.counts()["seen"] == 0
    assert a.saw(seen(7.0, Source.HOST))[1] is None  # nobody's host time is no pulse either
    assert a.counts()["uncommanded"] == 0


def test_listening_welcomes_every_pulse() -> None:
    a = Accounts(listening=True)
    assert a.saw(seen(2.0))[1] is None
    assert a.saw(seen(4.0))[1] is None
    assert a.counts()["seen"] == 2


# -- vigil --------------------------------------------------------------------------------------------------------


class Stream:
    """A source as the vigil sees it."""

    rate_hz = 1000.0

    def __init__(self) -> None:
        self.breaches: tuple[Breach, ...] = ()
        self.n = 0

    def head(self) -> int:
        return self.n

    def health(self, now_s: float) -> StreamHealth:
        return type("Health", (), {"breaches": self.breaches, "ok": not self.breaches})()  # type: ignore[return-value]


class Watch:
    """A vigil with everything around it in order."""

    def __init__(self, path: Path) -> None:
        self.clock = SteppedClock(1000.0)
        self.board = Board.create(path / "board", clock=self.clock)
        self.source = Stream()
        self.status: dict[str, Any] = {
            "standby": False, "armed": True, "ready": True, "coil_present": True, "replace_coil": False, "error": False,
            "error_fatal": False, "remote": True, "coil_temp_c": 25.0, "power_pct_mso": 45,
        }  # fmt: skip
        self.age_s = 0.0
        self.told: UnitProblem | None = None
        self.vigil = Vigil(
            source=self.source,  # type: ignore[arg-type]
            board=self.board, limits=load_limits({}),
            status=lambda: UnitStatus(t_s=self.clock.now_s() - self.age_s, **self.status), told=lambda: self.told,
        )  # fmt: skip
        self.board["recorder_state"] = 1

    def look(
        self,
        *,
        step_s: float = 0.02,
        beat: tuple[str, ...] = ("port", "recorder", "operator"),
        lamp: Lamp = Lamp.ARMED,
    ) -> Any:
        self.clock.advance(step_s)
        for role in beat:
            self.board.beat(role)
        return self.vigil.look(self.clock.now_s(), lamp)

    def faults(self, **more: Any) -> dict[Fault, str]:
        return dict(self.look(**more)[0])


@pytest.fixture
def w(tmp_path: Path) -> Any:
    made = Watch(tmp_path)
    assert made.faults() == {}
    yield made
    made.board.close()


@pytest.mark.parametrize(
    ("change", "fault", "words"),
    [
        ({"error": True}, Fault.UNIT_UNEXPECTED, "error"),
        ({"coil_present": False}, Fault.UNIT_UNEXPECTED, "no coil"),
        ({"replace_coil": True}, Fault.UNIT_UNEXPECTED, "another coil"),
        ({"armed": False, "ready": False, "standby": True}, Fault.UNIT_UNEXPECTED, "standby"),
        ({"coil_temp_c": 39.0}, Fault.UNIT_HOT, "39.0 °C"),
        ({"coil_temp_c": math.nan}, Fault.UNIT_HOT, "stop at 39"),
    ],
)
def test_what_the_unit_says(w: Watch, change: dict[str, Any], fault: Fault, words: str) -> None:
    before = dict(w.status)
    w.status.update(change)
    found = w.faults()
    assert list(found) == [fault]
    assert words in found[fault]
    assert w.faults() == {}  # told once
    w.status = before
    raised, cleared = w.look()
    assert (raised, cleared) == ([], [fault])


def test_an_old_status_holds_then_counts_as_silent(w: Watch) -> None:
    w.age_s = 1.1
    assert list(w.faults()) == [Fault.UNIT_STALE]
    w.age_s = 2.1
    assert list(w.faults()) == [Fault.UNIT_SILENT]
    w.age_s = 0.0
    assert set(w.look()[1]) == {Fault.UNIT_STALE, Fault.UNIT_SILENT}
    w.age_s = 2.1  # in standby the unit is asked every 2 s only
    assert w.faults(lamp=Lamp.READY) == {}


def test_a_lost_line_is_told_at_once(w: Watch) -> None:
    w.board["port_state"] = 2
    assert list(w.faults()) == [Fault.UNIT_LOST]


def tripped(fault: Fault, found: str = "no reply") -> UnitProblem:
    return UnitProblem(fault, "the unit is disarmed", found=found, todo="arm again")


def test_what_the_driver_tells_is_raised_once_for_each_new_word_and_never_stands(w: Watch) -> None:
    w.told = tripped(Fault.UNIT_SILENT)
    assert w.look(lamp=Lamp.READY) == ([(Fault.UNIT_SILENT, "the unit is disarmed: no reply")], [])
    w.told = tripped(Fault.UNIT_SILENT)  # the same again, as a driver tells it at each look
    assert w.look(lamp=Lamp.READY) == ([], [])
    assert w.vigil.standing == {}
    w.told = tripped(Fault.UNIT_LOST, "unplugged")
    assert w.faults(lamp=Lamp.READY) == {Fault.UNIT_LOST: "the unit is disarmed: unplugged"}
    w.told = None  # armed anew
    assert w.look() == ([], [])
    w.told = tripped(Fault.UNIT_LOST, "unplugged")
    assert list(w.faults(lamp=Lamp.READY)) == [Fault.UNIT_LOST]


def test_what_the_driver_tells_is_raised_again_while_the_unit_is_believed_armed(w: Watch) -> None:
    w.told = tripped(Fault.ENGINE_LATE)
    for lamp in (Lamp.READY, Lamp.ARMED, Lamp.HELD):
        assert w.faults(lamp=lamp) == {Fault.ENGINE_LATE: "the unit is disarmed: no reply"}


def test_a_fault_seen_here_and_told_by_the_driver_is_one_with_both_words(w: Watch) -> None:
    w.told = tripped(Fault.STOP, "STOP was asked")
    w.board.ask_stop()
    assert w.look(step_s=0.001)[0] == [
        (Fault.STOP, "STOP was asked for; the unit is disarmed: STOP was asked")
    ]


def test_silent_processes(w: Watch) -> None:
    for _ in range(6):
        w.look(step_s=0.2, beat=())
    assert set(w.vigil.standing) == {Fault.PORT_DEAD, Fault.RECORDER_DEAD}
    for _ in range(6):
        w.look(step_s=0.2, beat=())
    assert set(w.vigil.standing) == {Fault.PORT_DEAD, Fault.RECORDER_DEAD, Fault.OPERATOR_GONE}


@pytest.mark.req("R-RECORD")
@pytest.mark.parametrize("how", ["state", "ended", "lag"])
def test_a_recorder_that_does_not_record(w: Watch, how: str) -> None:
    if how == "state":
        w.board["recorder_state"] = 2
    elif how == "lag":
        w.source.n = 2100
    if how == "ended":
        w.board.end("recorder")
        found = w.faults(beat=("port", "operator"))
    else:
        found = w.faults()
    assert list(found) == [Fault.RECORDER_DEAD]


def test_stop_is_seen_in_the_very_next_pass(w: Watch) -> None:
    w.board.ask_stop()
    assert Fault.STOP in w.faults(step_s=0.001)


def test_a_late_pass_is_a_fault_and_a_bounded_wait_is_not(w: Watch) -> None:
    assert list(w.faults(step_s=LOOP_LATE_S + 0.05)) == [Fault.ENGINE_LATE]
    assert w.look()[1] == [Fault.ENGINE_LATE]
    w.clock.advance(1.0)
    w.vigil.waited(w.clock.now_s())
    assert w.faults() == {}


@pytest.mark.req("R-FAULT-TABLE")
@pytest.mark.parametrize(("moved_s", "stands"), [(-3600.0, True), (2.1, True), (1.9, False), (-1.9, False)])
def test_a_moved_wall_clock_is_a_fault_for_one_comparison(
    tmp_path: Path, moved_s: float, stands: bool
) -> None:
    w = Watch(tmp_path)
    wall_s = [0.0]
    w.vigil = Vigil(
        source=w.source,  # type: ignore[arg-type]
        board=w.board, limits=load_limits({}), status=None, recording=False,
        utc=lambda: datetime.fromtimestamp(1e9 + w.clock.now_s() + wall_s[0], UTC).isoformat(),
    )  # fmt: skip
    seen = [w.faults(step_s=0.1) for _ in range(15)]
    wall_s[0] = moved_s
    seen += [w.faults(step_s=0.1) for _ in range(30)]
    told = [found for found in seen if found]
    assert [list(found) for found in told] == [[Fault.CLOCK_JUMP]] * stands
    assert [f"{moved_s:+.1f} s" in found[Fault.CLOCK_JUMP] for found in told] == [True] * stands
    assert w.vigil.standing == {}  # the new time is taken as it is
    w.board.close()


def test_breaches_of_the_stream_come_with_expected_and_found(w: Watch) -> None:
    w.source.breaches = (Breach(fault=Fault.STREAM_BAD, what="odd", expected="even", found="odder"),)
    assert w.faults() == {Fault.STREAM_BAD: "odd: expected even, found odder"}


# -- the simulated operator ----------------------------------------------------------------------------------------


def event(kind: str, t_s: float = 10.0, **data: Any) -> Event:
    return Event(n=0, t_s=t_s, utc="", kind=kind, data=data)


def test_the_simulated_operator_takes_both_steps_and_answers_after_a_while() -> None:
    placed: list[str] = []
    operator = SimulatedOperator(placed.append, after_s=0.3)
    operator.tell(event("phase_entered", phase="place", target="ACC"))
    assert placed == ["ACC"]
    assert operator.due(10.2) == []
    assert [s.word for s in operator.due(10.31)] == ["placed"]
    operator.tell(event("phase_entered", phase="arm", target="ACC"))
    assert [s.word for s in operator.due(11.0)] == ["arm"]  # confirm only after the first step was taken
    operator.tell(event("arm_requested", 11.0, accepted=True))
    assert [s.word for s in operator.due(11.4)] == ["confirm"]
    assert operator.due(99.0) == []


def test_the_simulated_operator_gives_up() -> None:
    operator = SimulatedOperator(lambda target: None)
    operator.tell(event("phase_entered", phase="place", target="M1"))
    operator.due(11.0)
    operator.tell(event("phase_entered", phase="arm", target="M1"))
    words, now_s = [], 11.0
    for _ in range(GIVE_UP_AFTER + 1):
        now_s += 10.0
        for said in operator.due(now_s):
            words.append(said.word)
            operator.tell(event("arm_requested", now_s, accepted=False))
    assert words == ["arm"] * GIVE_UP_AFTER + ["stop"]


# -- words ---------------------------------------------------------------------------------------------------------


def test_a_number_that_is_not_there_is_told_by_its_reason() -> None:
    assert number(Estimate.absent("no accepted trial yet")) == "none (no accepted trial yet)"
    assert "nan" not in number(Estimate.absent("only 1 accepted trial(s)")).lower()


# -- signals -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_the_first_ctrl_c_asks_for_the_end_and_the_second_for_stop() -> None:
    assert threading.current_thread() is threading.main_thread()
    said, stops = [], []
    before = signal.getsignal(signal.SIGINT)
    with Signals(said.append, lambda: stops.append(1)) as signals:
        signal.raise_signal(signal.SIGINT)
        assert ([s.word for s in said], stops) == (["stop"], [])
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert ([s.word for s in said], len(stops)) == (["stop"], 2)
        assert signals.count == 3
    assert signal.getsignal(signal.SIGINT) is before
