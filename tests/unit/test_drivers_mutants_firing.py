"""What mutation testing found unproved at the pulse itself: each refusal by itself, each outcome, what follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contract_tools import EA, EH, Bench, bench

from drivers.requests import Trip
from drivers.train_run import TrainRun
from drivers.trouble import Cut, Garbled, LineTrouble, Lost, Refused, Silent
from hardware_sim.faults import FaultKind
from rtloop.model.pulse import Delivery, FireReceipt, Pair, Train
from rtloop.model.status import Fault

NOT, SURE, MAYBE = Delivery.NOT_DELIVERED, Delivery.DELIVERED, Delivery.UNCERTAIN
TRAIN, PAIR = Train(frequency_hz=10, n_pulses=20), Pair(power_b_pct_mso=35, interval_ms=3)


class Edge:
    """A trigger line straight into the simulated unit; ``broken`` is raised instead of an edge."""

    def __init__(self) -> None:
        self.b: Bench | None = None
        self.broken: Exception | None = None
        self.edges: list[tuple[float, float]] = []  # when, not after

    def fire(self, *, not_after_s: float = math.inf) -> float:
        assert self.b is not None
        if self.broken is not None:
            raise self.broken
        now_s = self.b.clock.now_s()
        self.edges.append((now_s, not_after_s))
        self.b.sim.trigger_edge(now_s)
        return now_s

    def close(self) -> None: ...


@contextmanager
def armed(
    tmp_path: Path, *, model: str = "200", setting: Train | Pair | None = None, edge: Edge | None = None,
    **driver: Any,
) -> Iterator[Bench]:  # fmt: skip
    """A unit ready to fire at 40 %."""
    driver |= {} if edge is None else {"trigger": edge}
    with bench("stepped", tmp_path, model=model, arming_s=0.1, power_pct_mso=40, driver=driver) as b:
        if edge is not None:
            edge.b = b
        if isinstance(setting, Train):
            b.unit.set_train(setting)
        elif setting is not None:
            b.unit.set_pair(setting)
        b.ready(40)
        yield b


def fire(b: Bench, power: int = 40, **permit: Any) -> FireReceipt:
    """``Firing.fire`` alone: nothing else of the worker has a word before it."""
    with b.unit._at_work():
        made: FireReceipt = b.unit._worker._firing.fire(b.permit(power, **permit))
    return made


# ---- refusals


def _stopped(b: Bench) -> None:
    b.unit._worker._watch.trip = Trip(fault=Fault.STOP, words="STOP was asked", t_s=0.0)


def _set(**fields: Any) -> Callable[[Bench], None]:
    def spoil(b: Bench) -> None:
        for name, value in fields.items():
            setattr(b.unit._worker._watch, name, value)

    return spoil


def _status(age_s: float | None = None, **fields: Any) -> Callable[[Bench], None]:
    def spoil(b: Bench) -> None:
        now_s, watch = b.clock.now_s(), b.unit._worker._watch
        t_s = watch.status.t_s if age_s is None else now_s - age_s
        assert age_s is None or age_s != 1.0 or now_s - t_s == age_s  # exactly the limit
        watch.status = replace(watch.status, t_s=t_s, **fields)

    return spoil


def _numbers(age_s: float) -> Callable[[Bench], None]:
    return lambda b: setattr(b.unit._worker._watch, "numbers_s", b.clock.now_s() - age_s)


def _beat(age_ns: int) -> Callable[[Bench], None]:
    def spoil(b: Bench) -> None:
        b.board["beat_engine"] = b.board.now_ns() - age_ns

    return spoil


def _under_way(b: Bench) -> None:
    b.unit._worker._watch.run = TrainRun(TRAIN, t_sent_s=b.clock.now_s(), t_reply_s=None, stops=False)


def _gave(ago_s: float) -> Callable[[Bench], None]:
    return lambda b: b.unit._worker._firing.pace.given(b.clock.now_s() - ago_s, 40, None)


@pytest.mark.req("R-PERMIT")
@pytest.mark.parametrize(
    ("spoil", "power", "words"),
    [
        (_stopped, 40, "refused: the unit is disarmed for the rest of this run"),
        (_set(armed=False), 40, "refused: not armed"),
        (_set(status=None), 40, "refused: not armed"),
        (_beat(250_000_001), 40, "refused: the engine's heartbeat is stale"),
        (_set(power_pct_mso=101), 101, "refused: 101 % MSO is no power of this unit"),
        (_set(power_pct_mso=-1), -1, "refused: -1 % MSO is no power of this unit"),
        (_set(power_pct_mso=41), 40, "the permit is for 40 % MSO, read back was 41"),
        (_set(power_pct_mso=None), 40, "the permit is for 40 % MSO, read back was None"),
        (_set(setting_known=False), 40, "is for single pulses, read back was nothing known"),
        (_set(setting=PAIR), 40, "is for single pulses, read back was Pair"),
        (_under_way, 40, "refused: a train is under way"),
        (_status(1.0), 40, "refused: the last status byte is 1.00 s old"),
        (_status(math.nan), 40, "refused: the last status byte is nan s old"),
        (_numbers(1.0), 40, "refused: the power and what it gives by one command were read 1.00 s ago"),
        (_numbers(math.nan), 40, "refused: the power and what it gives by one command were read nan s ago"),
        (_status(ready=False), 40, "refused: the unit is not ready: "),
        (_status(coil_present=False), 40, "refused: the unit is not ready: no coil"),
        (_gave(1.99), 40, "refused: 1.990 s since a pulse at 40 %, 2 s needed"),
    ],
)  # fmt: skip
def test_one_thing_wrong_refuses_and_spends_nothing(
    tmp_path: Path, spoil: Callable[[Bench], None], power: int, words: str
) -> None:
    with armed(tmp_path) as b:
        b.sleep(math.ceil(b.clock.now_s()) - b.clock.now_s())
        watch, before = b.unit._worker._watch, dict(vars(b.unit._worker._watch))
        pace, kept = b.unit._worker._firing.pace, dict(vars(b.unit._worker._firing.pace))
        spoil(b)
        status = watch.status
        receipt = fire(b, power, permit_id=7)
        assert (receipt.delivery, receipt.t_sent_s, receipt.t_reply_s) == (NOT, None, None)
        assert receipt.status is status
        assert (receipt.pulses_min, receipt.pulses_max) == (None, None)
        assert words in receipt.reason
        assert not b.sent(EH)
        vars(watch).update(before)
        vars(pace).update(kept)
        b.board.beat("engine")
        assert (
            fire(b, permit_id=7).delivery is SURE
        )  # the same permit: it was not spent, no interval has begun
        assert len(b.sent(EH)) == 1


@pytest.mark.parametrize(
    ("allow", "power"),
    [
        (_beat(250_000_000), 40), (_set(power_pct_mso=0), 0), (_set(power_pct_mso=100), 100),
        (_status(0.999), 40), (_numbers(0.999), 40), (_gave(2.001), 40),
    ],
)  # fmt: skip
def test_what_is_just_allowed_is_fired(tmp_path: Path, allow: Callable[[Bench], None], power: int) -> None:
    with armed(tmp_path) as b:
        allow(b)
        assert fire(b, power).delivery is SURE


# ---- what comes after a pulse


def test_the_receipt_of_a_pulse_and_the_look_that_follows(tmp_path: Path) -> None:
    with armed(tmp_path) as b:
        watch, called_s = b.unit._worker._watch, b.clock.now_s()
        watch.look_at_s = called_s + 10
        receipt = fire(b)
        assert (receipt.delivery, receipt.reason) == (SURE, "")
        assert called_s <= receipt.t_sent_s < receipt.t_reply_s == b.clock.now_s()
        assert receipt.status.ready
        assert receipt.status.t_s == receipt.t_reply_s
        assert watch.look_at_s == receipt.t_reply_s + 0.05
        assert (watch.run, watch.trip) == (None, None)
        assert "not above the last spent" in fire(b, permit_id=1).reason


def test_a_look_that_is_due_sooner_stays_so(tmp_path: Path) -> None:
    with armed(tmp_path) as b:
        b.unit._worker._watch.look_at_s = due_s = b.clock.now_s() + 0.001
        assert fire(b).delivery is SURE
        assert b.unit._worker._watch.look_at_s == due_s


# ---- the deadline of the fire command


class SlowLine:
    """The line of ``b``, which takes its time over the drain before a command, or over the write of one."""

    def __init__(self, b: Bench, *, drain_s: float = 0.0, write_s: float = 0.0) -> None:
        self._line, self._clock, self._drain_s, self._write_s = b.line, b.clock, drain_s, write_s
        b.unit._worker._watch.unit.exchange._line = self

    @property
    def in_waiting(self) -> int:
        self._clock.advance(self._drain_s)
        return int(self._line.in_waiting)

    def write(self, data: bytes) -> int:
        n = int(self._line.write(data))
        self._clock.advance(self._write_s if data.startswith(EH) else 0.0)
        return n

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)


@pytest.mark.req("R-STALE")
@pytest.mark.parametrize("train", [None, TRAIN])
@pytest.mark.parametrize(
    ("ttl_s", "fired"), [(0.01, False), (0.0312, False), (0.0312 + 2e-6, True), (0.05, True)]
)
def test_a_drain_that_outlasts_the_deadline_leaves_the_pulse_unsent(
    tmp_path: Path, train: Train | None, ttl_s: float, fired: bool
) -> None:
    with armed(tmp_path, model="super-rapid" if train else "200", setting=train) as b:
        watch = b.unit._worker._watch
        SlowLine(b, drain_s=0.0312)
        receipt = fire(b, train=train, ttl_s=ttl_s)
        assert watch.trip is None
        assert watch.armed
        assert len(b.sent(EH)) == fired
        if fired:
            assert (receipt.delivery, receipt.reason) == (SURE, "")
            return
        assert (receipt.delivery, receipt.t_sent_s, receipt.t_reply_s) == (NOT, None, None)
        assert receipt.reason == f"missed: {1e3 * (0.0312 - ttl_s):.1f} ms after its deadline, not sent"
        SlowLine(b)
        assert b.unit.refresh().ready  # other commands have no deadline
        assert fire(b, train=train).delivery is SURE  # nothing was given: no interval has begun


@pytest.mark.req("R-STALE")
@pytest.mark.parametrize("train", [None, TRAIN])
@pytest.mark.parametrize(("ttl_s", "late"), [(0.02, True), (0.04, False)])
def test_a_pulse_that_went_out_late_is_counted_and_told(
    tmp_path: Path, train: Train | None, ttl_s: float, late: bool
) -> None:
    """The write itself took its time: the pulse is given, the unit said so, and it came too late."""
    with armed(tmp_path, model="super-rapid" if train else "200", setting=train) as b:
        watch, called_s = b.unit._worker._watch, b.clock.now_s()
        SlowLine(b, write_s=0.03)
        receipt = fire(b, train=train, ttl_s=ttl_s)
        assert receipt.delivery is SURE
        assert receipt.t_sent_s == pytest.approx(called_s + 0.03, abs=1e-9)
        assert receipt.reason == ("given up to 10.0 ms after its deadline" if late else "")
        assert (watch.run is None) == (train is None)
        assert watch.armed == (not late)
        assert _eas(b, called_s) == late
        if not late:
            assert watch.trip is None
            return
        told = b.unit.trouble()
        assert told.fault is Fault.ENGINE_LATE
        assert "a pulse was given up to 10.0 ms after its deadline" in str(told)
        b.sleep(2.5)
        assert b.unit.status().standby
        assert b.unit.arm().ready  # the operator has been told, and armed anew
        assert b.unit.trouble() is None


@pytest.mark.req("R-STALE")
def test_a_pulse_at_its_very_deadline_is_not_late(tmp_path: Path) -> None:
    with armed(tmp_path) as b:
        watch, until_s = b.unit._worker._watch, b.clock.now_s() + 0.3
        whole = watch.unit.fire
        watch.unit.fire = lambda **how: replace(whole(**how), t_sent_s=until_s)
        receipt = fire(b, expires_s=until_s)
        assert (receipt.delivery, receipt.reason, watch.trip) == (SURE, "", None)


# ---- the fire command goes wrong

FAILURES: list[tuple[Exception, Delivery, int, Fault | None]] = [  # raised, outcome, EAs of ours, trip
    (Refused("no", written=True), NOT, 0, None),
    (Refused("no", written=False), NOT, 0, None),
    (Silent("no reply", written=False), NOT, 0, None),
    (Silent("no reply", written=True), MAYBE, 1, Fault.UNCERTAIN_PULSE),
    (Garbled("bad", written=True), MAYBE, 1, Fault.UNCERTAIN_PULSE),
    (Lost("gone", written=True), MAYBE, 0, Fault.UNIT_LOST),
    (Lost("gone", written=False), NOT, 0, Fault.UNIT_LOST),
    (Cut("cut short", written=True), MAYBE, 0, Fault.UNCERTAIN_PULSE),  # its EA was on the line before
    (Cut("cut short", written=False), NOT, 0, None),
    (ValueError("a bug"), MAYBE, 1, Fault.UNCERTAIN_PULSE),
]
NAMES = [f"{type(err).__name__} {getattr(err, 'written', '')}" for err, *_ in FAILURES]


def _eas(b: Bench, since_s: float) -> int:
    b.line.wire.visible(b.clock.now_s() + 0.01)
    return len(b.sent(EA, since_s=since_s))


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize(("err", "outcome", "eas", "fault"), FAILURES, ids=NAMES)
def test_a_fire_command_that_fails(
    tmp_path: Path, err: Exception, outcome: Delivery, eas: int, fault: Fault | None, stale: bool
) -> None:
    """``stale``: the exchange never came to note the instant of this command."""
    with armed(tmp_path) as b:
        watch, called_s = b.unit._worker._watch, b.clock.now_s()
        exchange, was_armed = watch.unit.exchange, watch.status

        def broken(*, not_after_s: float) -> None:
            b.clock.advance(0.003)
            if not stale:
                exchange.t_sent_s = b.clock.now_s()
            raise err

        whole, watch.unit.fire = watch.unit.fire, broken
        watch.look_at_s = called_s + 10
        receipt = fire(b)
        written = getattr(err, "written", True)
        sent_s = called_s if stale else called_s + 0.003
        assert receipt.delivery is outcome
        assert receipt.t_sent_s == (pytest.approx(sent_s, abs=1e-9) if written else None)
        assert (receipt.t_reply_s, receipt.pulses_min, receipt.pulses_max) == (None, None, None)
        assert receipt.status is was_armed
        assert str(err) in receipt.reason
        assert _eas(b, called_s) == eas
        assert (watch.trip.fault if watch.trip else None) is fault
        assert watch.armed == (outcome is NOT and fault is None and not isinstance(err, Cut))
        assert watch.lost == isinstance(err, Lost)
        assert (watch.look_at_s == called_s) == (outcome is NOT)
        if watch.trip is not None:
            assert str(err) in watch.trip.words
        elif watch.armed:
            watch.unit.fire = whole
            assert fire(b).delivery is SURE  # nothing of it was given: no interval has begun


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("where", ["edge", "after"])
@pytest.mark.parametrize(("err", "outcome", "eas", "fault"), FAILURES, ids=NAMES)
def test_a_trigger_that_fails(
    tmp_path: Path, err: Exception, outcome: Delivery, eas: int, fault: Fault | None, where: str
) -> None:
    """Of the trigger's own line (``edge``), or of the question after the edge: then the pulse may be out."""
    edge = Edge()
    with armed(tmp_path, edge=edge) as b:
        watch, called_s = b.unit._worker._watch, b.clock.now_s()
        if where == "edge":
            edge.broken = err
        else:

            def look(*, mode: bool) -> None:
                b.clock.advance(0.003)
                raise err

            watch.unit.look = look
        written = getattr(err, "written", True) or where == "after"
        receipt = fire(b)
        assert receipt.delivery is (MAYBE if written else NOT)
        assert receipt.t_sent_s == (called_s if written else None)
        assert ("after a trigger edge" in receipt.reason) == (
            where == "after" and isinstance(err, LineTrouble)
        )
        assert str(err) in receipt.reason
        assert _eas(b, called_s) == (1 if written and not isinstance(err, Cut) else 0)
        assert not watch.lost  # the unit's own line took EA
        assert (watch.trip.fault if watch.trip else None) is (Fault.UNCERTAIN_PULSE if written else None)


# ---- the reply says something else


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("by", ["line", "edge"])
@pytest.mark.parametrize(("instr", "words"), [(0x8A, "ready"), (0x8C, "ready"), (0x88 | 0x40, "an error")])
def test_a_reply_that_does_not_fit_is_uncertain(tmp_path: Path, by: str, instr: int, words: str) -> None:
    """Before ``EH`` a unit is ready (0x8C); after an edge it is not (0x8A)."""
    edge = Edge() if by == "edge" else None
    with armed(tmp_path, edge=edge) as b:
        watch, called_s = b.unit._worker._watch, b.clock.now_s()
        name = "look" if edge else "fire"
        asked = getattr(watch.unit, name)
        setattr(watch.unit, name, lambda **how: replace(asked(**how), instr=instr))
        receipt = fire(b)
        fits = instr == (0x8A if edge else 0x8C)
        assert receipt.delivery is (SURE if fits else MAYBE)
        assert receipt.t_sent_s >= called_s
        assert receipt.t_reply_s == receipt.status.t_s
        assert receipt.status.ready == (instr == 0x8C)
        assert _eas(b, called_s) == (0 if fits else 1)
        assert (watch.trip is None) == fits
        if not fits:
            said = {"line": "not ready", "edge": "still ready: it took no trigger"}[by]
            assert receipt.reason == (
                f"{'triggered' if edge else 'acknowledged'}, and the status byte {instr:#04x} of the reply says "
                f"{said if words == 'ready' else words}"
            )
            assert receipt.reason in watch.trip.words


# ---- by a trigger


def test_an_edge_has_the_permits_deadline_and_the_unit_is_asked_5_ms_after_it(tmp_path: Path) -> None:
    edge = Edge()
    with armed(tmp_path, edge=edge) as b:
        until_s = b.clock.now_s() + 0.3
        receipt = fire(b, expires_s=until_s)
        assert receipt.delivery is SURE
        ((edge_s, not_after_s),) = edge.edges
        assert (receipt.t_sent_s, not_after_s) == (edge_s, until_s)
        assert edge_s + 0.0075 < b.sent(b.keep, since_s=edge_s)[0] < edge_s + 0.0095  # 3 bytes are 3.1 ms
        assert not b.sent(EH)


@pytest.mark.parametrize("setting", [None, TRAIN])
def test_after_an_edge_the_unit_is_asked_for_what_it_can_say(tmp_path: Path, setting: Train | None) -> None:
    edge = Edge()
    with armed(tmp_path, model="super-rapid", setting=setting, edge=edge) as b:
        asked: list[bool] = []
        whole = b.unit._worker._watch.unit.look

        def look(*, mode: bool, numbers: bool = False) -> Any:
            asked.append(mode)
            assert not numbers
            return whole(mode=mode)

        b.unit._worker._watch.unit.look = look
        assert fire(b, train=setting).delivery is SURE
        assert asked == ([False, True] if setting is None else [True])  # a single pulse: whether it was one


# ---- trains and pairs


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("setting", [TRAIN, PAIR])
@pytest.mark.parametrize("how", ["sure", "refused", "silent", "not as it should be"])
def test_the_bounds_of_a_train_or_pair(tmp_path: Path, setting: Train | Pair, how: str) -> None:
    train = setting if isinstance(setting, Train) else None
    model = "super-rapid" if train else "bistim"
    with armed(tmp_path, model=model, setting=setting) as b:
        if how == "refused":
            b.inject(FaultKind.ANSWER_CONFLICT, only="EH")
        elif how == "silent":
            b.inject(FaultKind.UNCERTAIN_FIRE, how="lost")
        elif how == "not as it should be":
            b.inject(FaultKind.REPLACE_COIL)
        watch, called_s = b.unit._worker._watch, b.clock.now_s()
        watch.train_receipt = earlier = FireReceipt(delivery=SURE, t_sent_s=0.0, t_reply_s=0.1, status=None)
        receipt = fire(b, train=train, pair=None if train else PAIR)
        n = 20 if train else 2
        outcome, bounds = {
            "sure": (SURE, (None, None) if train else (2, 2)), "refused": (NOT, (0, 0)),
            "silent": (MAYBE, (0, n)), "not as it should be": (MAYBE, (0, n)),
        }[how]  # fmt: skip
        assert (receipt.delivery, (receipt.pulses_min, receipt.pulses_max)) == (outcome, bounds)
        if train is None or how == "refused":
            assert watch.run is None
            assert watch.train_receipt is earlier
            return
        assert watch.train_receipt is None
        assert called_s <= watch.run.t_sent_s == receipt.t_sent_s
        told = watch.run.receipt(None)
        assert told.t_reply_s == (receipt.t_reply_s if how == "sure" else None)


@pytest.mark.req("R-RATE")
def test_the_wait_after_a_train_counts_from_the_end_that_the_unit_told(tmp_path: Path) -> None:
    short = Train(frequency_hz=10, n_pulses=3)
    with armed(tmp_path, model="super-rapid", setting=short) as b:
        firing = b.unit._worker._firing
        firing.note_end()  # nothing has run
        assert fire(b, train=short).delivery is SURE
        run = b.unit._worker._watch.run
        firing.note_end()  # and nothing has ended
        b.sleep(1.0)
        assert b.unit._worker._watch.run is None
        run.ended_s = told_s = b.clock.now_s()  # later than it should have been
        firing.note_end()
        for after_s, refused in ((0.499, True), (0.501, False)):
            why = firing.pace.refusal(b.unit._facts, told_s + after_s, 40, short)
            assert ("s since the end of a train at 40 %, 0.5 s needed" in why) == refused


@pytest.mark.parametrize("stops", [False, True])
def test_a_unit_known_to_stop_a_train_bounds_what_was_given_more_closely(tmp_path: Path, stops: bool) -> None:
    with armed(tmp_path, model="super-rapid", setting=TRAIN, stops_running_train=stops) as b:
        b.inject(FaultKind.TRAIN_OBEYS_EA)
        assert fire(b, train=TRAIN).delivery is SURE
        b.sleep(0.5)
        b.unit.disarm()
        end = b.train_end(within_s=0.5)
        assert end.pulses_max == (7 if stops else 20)
        assert 4 <= end.pulses_min <= b.discharges <= end.pulses_max
