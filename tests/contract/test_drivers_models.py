"""The contract of the drivers for every other unit, inherited whole, with what trains and pairs add to it."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from contract_tools import EA, EH, Bench, bench
from test_drivers_contract import Ends, InThisProcess, Stepped, Whole

from drivers.trouble import UnitProblem
from hardware_sim.faults import FaultKind
from rtloop.model.pulse import Delivery, Pair, Train
from rtloop.model.status import Fault

LONG = bool(os.environ.get("RTLOOP_LONG"))
TRAIN = Train(frequency_hz=10, n_pulses=20)
SHORT = Train(frequency_hz=20, n_pulses=6)


class SomeTrains:
    """What is tried on every kind of line."""

    @pytest.mark.req("R-PERMIT")
    def test_a_train_is_set_fired_once_and_followed_to_its_end(self, b: Bench) -> None:
        assert b.unit.capabilities.trains
        b.unit.set_power(40)
        assert b.unit.set_train(SHORT).standby
        assert b.unit.arm().ready
        assert b.unit.train_end() is None
        receipt = b.unit.fire(b.permit(40, train=SHORT))
        assert (receipt.delivery, receipt.pulses_min, receipt.pulses_max) == (Delivery.DELIVERED, None, None)
        assert b.unit.train_end() is None  # it is under way
        end = b.train_end(within_s=SHORT.duration_s + 1.0)
        assert (end.delivery, end.pulses_min, end.pulses_max) == (Delivery.DELIVERED, 6, 6), end
        assert b.discharges == 6
        b.sleep(0.2)
        assert b.unit.train_end() == end
        assert b.unit.trouble() is None
        assert len(b.sent(EH)) == 1

    @pytest.mark.req("R-DISARM")
    def test_disarm_goes_out_in_the_middle_of_a_train(self, b: Bench) -> None:
        _armed(b, TRAIN)
        assert b.unit.fire(b.permit(40, train=TRAIN)).delivery is Delivery.DELIVERED
        b.sleep(0.7)
        asked_s = b.clock.now_s()
        b.unit.disarm()
        assert b.sent(EA, since_s=asked_s)[0] - asked_s <= 0.1
        end = b.train_end(within_s=TRAIN.duration_s + 1.0)
        _bounded(end, b.discharges, 20)
        b.until(lambda: not b.armed(), within_s=1.0)
        b.until(lambda: b.unit.status().standby, within_s=1.0)


class Trains(SomeTrains):
    """What is tried on the stepped line, where time costs nothing."""

    fast_hz = 30  # at 40 %, not at 100 %

    @pytest.mark.req("R-PERMIT")
    def test_a_permit_for_another_train_puts_no_fire_on_the_line(self, b: Bench) -> None:
        _armed(b, TRAIN)
        wrong = {
            "single": b.permit(40),
            "fewer": b.permit(40, train=Train(frequency_hz=10, n_pulses=19)),
            "faster": b.permit(40, train=Train(frequency_hz=20, n_pulses=20)),
            "a pair": b.permit(40, pair=Pair(power_b_pct_mso=40, interval_ms=3)),
            "changed": replace(b.permit(40, train=TRAIN), train=Train(frequency_hz=10, n_pulses=30)),
            "another key": b.permit(40, train=TRAIN, key=b"z" * 32),
            "expired": b.permit(40, train=TRAIN, ttl_s=-0.001),
        }
        for name, permit in wrong.items():
            receipt = b.unit.fire(permit)
            assert (receipt.delivery, receipt.t_sent_s) == (Delivery.NOT_DELIVERED, None), name
            assert receipt.pulses_max in (None, 0), name
        assert not b.sent(EH)
        assert b.unit.train_end() is None
        assert b.discharges == 0

    def test_a_train_permit_gives_nothing_where_single_pulses_are_set(self, b: Bench) -> None:
        b.ready(40)
        assert b.unit.fire(b.permit(40, train=TRAIN)).delivery is Delivery.NOT_DELIVERED
        assert not b.sent(EH)

    @pytest.mark.req("R-PERMIT")
    def test_one_permit_never_gives_a_second_train(self, b: Bench) -> None:
        _armed(b, SHORT)
        permit = b.permit(40, train=SHORT, ttl_s=20)
        assert b.unit.fire(permit).delivery is Delivery.DELIVERED
        b.sleep(3.0)
        assert b.unit.status().ready
        assert "not above the last spent" in b.unit.fire(permit).reason
        assert b.discharges == 6
        assert len(b.sent(EH)) == 1

    def test_nothing_else_is_fired_set_or_armed_while_a_train_runs(self, b: Bench) -> None:
        _armed(b, TRAIN)
        assert b.unit.fire(b.permit(40, train=TRAIN)).delivery is Delivery.DELIVERED
        b.sleep(0.5)
        second = b.unit.fire(b.permit(40, train=TRAIN))
        assert (second.delivery, second.t_sent_s) == (Delivery.NOT_DELIVERED, None)
        assert "under way" in second.reason
        for ask in (lambda: b.unit.set_power(30), lambda: b.unit.set_train(None), b.unit.arm):
            with pytest.raises(UnitProblem, match="under way"):
                ask()
        assert b.train_end(within_s=3.0).delivery is Delivery.DELIVERED
        assert b.discharges == 20
        assert len(b.sent(EH)) == 1

    @pytest.mark.req("R-RATE")
    def test_the_wait_after_a_train_counts_from_its_end(self, b: Bench) -> None:
        train = Train(
            frequency_hz=20, n_pulses=40
        )  # 2 s at 60 %: 0.5 s would do for the unit, the energy wants 1.5
        b.unit.set_power(60)
        b.unit.set_train(train)
        b.unit.arm()
        wait_s = b.unit.min_interval_s(60, train)
        assert wait_s == pytest.approx(40 * (20 * 252 * 0.36 - 1050) / (1050 * 20))
        b.sleep(wait_s)  # nobody knows what was given before the opening
        assert b.unit.fire(b.permit(60, train=train)).delivery is Delivery.DELIVERED
        b.train_end(within_s=3.1)
        b.sleep(wait_s - 0.3)
        assert b.unit.status().ready
        receipt = b.unit.fire(b.permit(60, train=train))
        assert (receipt.delivery, receipt.t_sent_s) == (Delivery.NOT_DELIVERED, None)
        assert "the end of a train" in receipt.reason
        b.sleep(0.4)
        assert b.unit.fire(b.permit(60, train=train)).delivery is Delivery.DELIVERED

    def test_everything_that_speaks_against_a_train_is_said_at_once_and_nothing_is_sent(
        self, b: Bench
    ) -> None:
        b.unit.set_power(100)
        mark_s = b.clock.now_s()
        with pytest.raises(UnitProblem) as problem:
            b.unit.set_train(Train(frequency_hz=50.5, n_pulses=7000))
        for words in ("whole numbers", "at most 6000", "Hz on this unit", "a minute", "0.1 s"):
            assert words in str(problem.value), words
        for head in (b"[", b"B", b"D"):
            assert not b.sent(head, since_s=mark_s)
        for none in (math.nan, "10 Hz", 10, True):
            with pytest.raises(UnitProblem):
                b.unit.set_train(none)

    def test_a_power_that_the_train_does_not_allow_is_not_set(self, b: Bench) -> None:
        fast = Train(frequency_hz=self.fast_hz, n_pulses=self.fast_hz)
        b.unit.set_power(40)
        b.unit.set_train(fast)
        with pytest.raises(UnitProblem, match="Hz at 100 %"):
            b.unit.set_power(100)
        assert b.unit.status().power_pct_mso == 40
        assert not b.sent(b"@100")

    def test_trains_are_set_in_standby_only(self, b: Bench) -> None:
        b.ready(40)
        with pytest.raises(UnitProblem, match="standby only"):
            b.unit.set_train(TRAIN)
        assert not b.sent(b"B")
        b.unit.disarm()
        assert b.unit.set_train(TRAIN).standby

    def test_back_to_single_pulses_after_a_train(self, b: Bench) -> None:
        _armed(b, SHORT)
        b.unit.fire(b.permit(40, train=SHORT))
        b.train_end(within_s=2.0)
        b.unit.disarm()
        b.unit.set_train(None)
        assert b.unit.arm().ready
        b.until(lambda: b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED, within_s=2.5)
        b.sleep(0.2)
        assert b.discharges == 7

    def test_a_setting_that_does_not_come_back_is_refused_and_nothing_is_armed(self, b: Bench) -> None:
        b.unit.set_power(40)
        b.inject(FaultKind.TRAIN_MODE)
        b.sleep(2.5)  # the unit is read, and is found set to what nobody asked for
        with pytest.raises(UnitProblem, match="not known"):
            b.unit.arm()
        assert not b.sent(b"EB")
        b.unit.set_train(None)
        assert b.unit.arm().ready

    def test_found_in_train_mode_while_armed_disarms(self, b: Bench) -> None:
        b.ready(40)
        b.inject(FaultKind.TRAIN_MODE)
        b.until(lambda: not b.armed(), within_s=2.5)
        assert b.unit.fire(b.permit(40)).delivery is Delivery.NOT_DELIVERED
        assert b.discharges == 0
        assert b.unit.trouble().fault is Fault.UNIT_UNEXPECTED

    @pytest.mark.req("R-UNCERTAIN")
    def test_trains_set_right_before_a_single_pulse_trip_and_tell_how_many(self, b: Bench) -> None:
        b.ready(40)
        b.inject(FaultKind.TRAIN_MODE)
        receipt = b.unit.fire(b.permit(40))
        assert (receipt.delivery, receipt.pulses_min, receipt.pulses_max) == (Delivery.UNCERTAIN, 0, 20)
        assert b.sent(EA, since_s=receipt.t_sent_s)
        b.until(lambda: b.unit.trouble() is not None, within_s=0.5)  # it comes after the receipt
        assert b.unit.trouble().fault is Fault.UNCERTAIN_PULSE
        b.sleep(2.5)
        assert b.discharges == 20

    @pytest.mark.req("R-UNCERTAIN")
    @pytest.mark.parametrize("how", ["lost", "bad_crc"])
    def test_a_train_of_unknown_outcome_is_bounded(self, b: Bench, how: str) -> None:
        _armed(b, TRAIN)
        b.inject(FaultKind.UNCERTAIN_FIRE, how=how)
        receipt = b.unit.fire(b.permit(40, train=TRAIN))
        assert (receipt.delivery, receipt.pulses_min, receipt.pulses_max) == (Delivery.UNCERTAIN, 0, 20)
        end = b.train_end(within_s=TRAIN.duration_s + 1.0)
        _bounded(end, b.discharges, 20)
        assert b.unit.trouble().fault is Fault.UNCERTAIN_PULSE
        assert b.unit.fire(b.permit(40, train=TRAIN)).delivery is Delivery.NOT_DELIVERED

    @pytest.mark.parametrize("obeys", [False, True])
    def test_stop_in_mid_train_whether_the_unit_obeys_or_not(self, b: Bench, obeys: bool) -> None:
        b.inject(FaultKind.TRAIN_OBEYS_EA if obeys else FaultKind.TRAIN_IGNORES_EA)
        _armed(b, TRAIN)
        b.unit.fire(b.permit(40, train=TRAIN))
        b.sleep(1.0)
        asked_s = b.clock.now_s()
        b.board.ask_stop()
        b.until(lambda: bool(b.sent(EA, since_s=asked_s)), within_s=0.1)
        end = b.train_end(within_s=2.1)
        assert (b.discharges < 13) == obeys
        if obeys:
            assert end.delivery is Delivery.UNCERTAIN
            assert (end.pulses_min, end.pulses_max) != (20, 20)
        _bounded(end, b.discharges, 20)
        b.until(lambda: b.board["stop_confirmed"] == 1, within_s=1.5)
        assert not b.armed()
        assert b.unit.trouble().fault is Fault.STOP

    def test_a_unit_that_ignores_ea_in_mid_train_can_still_be_asked(self, b: Bench) -> None:
        _armed(b, TRAIN)
        b.unit.fire(b.permit(40, train=TRAIN))
        b.sleep(0.3)
        b.unit.disarm()
        asked_s = b.clock.now_s()
        assert not b.unit.refresh().standby
        assert b.clock.now_s() - asked_s < 0.5  # long before the train is over
        assert b.unit.trouble() is None

    def test_a_train_that_the_unit_ends_by_itself_trips(self, b: Bench) -> None:
        _armed(b, TRAIN)
        b.unit.fire(b.permit(40, train=TRAIN))
        b.sleep(0.5)
        b.inject(FaultKind.COIL_ABSENT)
        end = b.train_end(within_s=2.6)
        _bounded(end, b.discharges, 20)
        assert b.discharges < 20
        assert end.delivery is Delivery.UNCERTAIN
        assert b.unit.trouble() is not None

    @pytest.mark.parametrize("kind", [FaultKind.MUTE, FaultKind.UNPLUG])
    def test_a_unit_that_is_silent_or_gone_in_mid_train_is_told_of_in_time(
        self, b: Bench, kind: FaultKind
    ) -> None:
        _armed(b, TRAIN)
        fired_s = b.clock.now_s()
        b.unit.fire(b.permit(40, train=TRAIN))
        b.sleep(0.6)
        b.inject(kind)
        end = b.train_end(within_s=TRAIN.duration_s + 1.0 - 0.6)
        assert b.clock.now_s() - fired_s <= TRAIN.duration_s + 1.0
        assert (end.delivery, end.pulses_max) == (Delivery.UNCERTAIN, 20)
        _bounded(end, b.discharges, 20)
        assert b.unit.trouble().fault in (Fault.UNIT_SILENT, Fault.UNIT_LOST)

    def test_an_engine_that_freezes_in_mid_train_loses_the_unit(self, b: Bench) -> None:
        _armed(b, TRAIN)
        b.unit.fire(b.permit(40, train=TRAIN))
        b.sleep(0.5)
        b.beating = False
        frozen_s = b.board["beat_engine"] * 1e-9
        b.until(lambda: bool(b.sent(EA, since_s=frozen_s)), within_s=0.4)
        assert b.sent(EA, since_s=frozen_s)[0] - frozen_s <= 0.3
        b.sleep(3.0)
        assert not b.armed()
        _bounded(b.unit.train_end(), b.discharges, 20)

    def test_keep_alives_go_on_during_a_long_train(self, b: Bench) -> None:
        long = Train(frequency_hz=5, n_pulses=30)
        _armed(b, long)
        b.unit.fire(b.permit(40, train=long))
        oldest_s = 0.0
        for _ in range(60):
            b.sleep(0.1)
            oldest_s = max(oldest_s, b.unit.status().age_s(b.clock.now_s()))
        assert oldest_s < 0.25
        assert b.train_end(within_s=1.0).pulses_min == 30
        assert b.discharges == 30


class SomePairs:
    """What is tried on every kind of line."""

    @pytest.mark.req("R-PERMIT")
    def test_a_pair_is_set_read_back_and_fired_once(self, b: Bench) -> None:
        pair = Pair(power_b_pct_mso=35, interval_ms=3)
        assert b.unit.capabilities.pairs
        b.unit.set_power(40)
        b.unit.set_pair(pair)
        assert b.unit.arm().ready
        for permit in (b.permit(40), b.permit(40, pair=replace(pair, power_b_pct_mso=36))):
            assert b.unit.fire(permit).delivery is Delivery.NOT_DELIVERED
        assert not b.sent(EH)
        receipt = b.unit.fire(b.permit(40, pair=pair))
        assert (receipt.delivery, receipt.pulses_min, receipt.pulses_max) == (Delivery.DELIVERED, 2, 2)
        b.sleep(0.1)
        first, second = b.sim.discharges
        assert (first.power_pct_mso, second.power_pct_mso) == (40, 35)
        assert second.t_s - first.t_s == pytest.approx(0.003, abs=1e-6)


class Pairs(SomePairs):
    """What is tried on the stepped line."""

    @pytest.mark.parametrize("interval_ms", [0, 0.7, 2.5, 99.9, 100, 999])
    def test_every_kind_of_interval(self, b: Bench, interval_ms: float) -> None:
        pair = Pair(power_b_pct_mso=35, interval_ms=interval_ms)
        b.unit.set_power(40)
        b.unit.set_pair(pair)
        b.unit.arm()
        assert b.unit.fire(b.permit(40, pair=pair)).delivery is Delivery.DELIVERED
        b.sleep(1.2)
        first, second = b.sim.discharges
        assert second.t_s - first.t_s == pytest.approx(interval_ms / 1000, abs=1e-6)

    def test_single_again_after_a_pair(self, b: Bench) -> None:
        pair = Pair(power_b_pct_mso=35, interval_ms=2.5)
        b.unit.set_power(40)
        b.unit.set_pair(pair)
        b.unit.set_pair(None)
        b.unit.arm()
        assert b.unit.fire(b.permit(40, pair=pair)).delivery is Delivery.NOT_DELIVERED
        assert b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED
        b.sleep(0.2)
        assert [d.power_pct_mso for d in b.sim.discharges] == [40]

    def test_pairs_are_set_in_standby_only_and_trains_never(self, b: Bench) -> None:
        b.ready(40)
        with pytest.raises(UnitProblem, match="standby only"):
            b.unit.set_pair(Pair(power_b_pct_mso=35, interval_ms=3))
        b.unit.disarm()
        with pytest.raises(UnitProblem, match="no trains"):
            b.unit.set_train(TRAIN)
        with pytest.raises(UnitProblem, match="no pair"):
            b.unit.set_pair("2 ms")
        for head in (b"B", b"[", b"Y"):
            assert not b.sent(head)

    @pytest.mark.req("R-UNCERTAIN")
    def test_a_pair_of_unknown_outcome_is_none_to_two(self, b: Bench) -> None:
        pair = Pair(power_b_pct_mso=35, interval_ms=3)
        b.unit.set_power(40)
        b.unit.set_pair(pair)
        b.unit.arm()
        b.inject(FaultKind.UNCERTAIN_FIRE, how="lost")
        receipt = b.unit.fire(b.permit(40, pair=pair))
        assert (receipt.delivery, receipt.pulses_min, receipt.pulses_max) == (Delivery.UNCERTAIN, 0, 2)


def _armed(b: Bench, train: Train) -> None:
    b.unit.set_power(40)
    b.unit.set_train(train)
    assert b.unit.arm().ready


def _bounded(end: Any, given: int, n: int) -> None:
    assert end is not None
    assert 0 <= end.pulses_min <= given <= end.pulses_max <= n, (end, given)


class OnBistim:
    model = "bistim"
    gap_s = 4.0
    heads = frozenset((b"Q", b"E", b"@", b"J", b"F"))


class OnRapid9:
    model = "rapid"
    sim: ClassVar[dict[str, Any]] = {"version": (9, 0, 0)}
    gap_s = 1.0
    heads = frozenset((b"N", b"Q", b"E", b"@", b"\\", b"F", b"x"))


class OnRapid7(OnRapid9):
    sim: ClassVar[dict[str, Any]] = {"version": (7, 1)}


class OnRapid10(OnRapid9):
    sim: ClassVar[dict[str, Any]] = {"version": (10, 1, 0)}


class OnRapidPlus(OnRapid9):
    model = "super-rapid-plus"
    fast_hz = 50


class OnRapid5(OnRapid9):
    model = "super-rapid"
    sim: ClassVar[dict[str, Any]] = {"version": (5, 0, 0)}


class TestSteppedBistim(OnBistim, Stepped, Pairs):
    kind = "stepped"


class TestSteppedRapid9(OnRapid9, Stepped, Trains):
    kind = "stepped"


class TestSteppedRapid7(OnRapid7, Stepped, Trains):
    kind = "stepped"


class TestSteppedRapid10(OnRapid10, Stepped, Trains):
    kind = "stepped"


class TestSteppedRapidPlus(OnRapidPlus, Stepped, Trains):
    kind = "stepped"


class TestSteppedRapid5(OnRapid5, Stepped, Trains):
    kind = "stepped"


class Edges:
    """A trigger line whose edge goes straight into the simulated unit's trigger input."""

    def __init__(self) -> None:
        self.bench: Bench | None = None
        self.edges: list[float] = []

    def fire(self, *, not_after_s: float = math.inf) -> float:
        assert self.bench is not None
        now_s = self.bench.clock.now_s()
        assert now_s < not_after_s
        self.edges.append(now_s)
        self.bench.sim.trigger_edge(now_s)
        return now_s

    def close(self) -> None: ...


class ByTrigger(InThisProcess):
    """The same unit fired by its trigger line: no ``EH`` is ever sent, and no reply says that a pulse was given."""

    told_by_the_reply = False

    @pytest.fixture
    def b(self, tmp_path: Path) -> Iterator[Bench]:
        line = Edges()
        with bench(
            self.kind, tmp_path, model=self.model, arming_s=0.1, power_pct_mso=40, driver={"trigger": line}, **self.sim
        ) as made:  # fmt: skip
            line.bench = made
            yield made
            assert not made.sent(EH)

    def fires(self, b: Bench, *, since_s: float = 0.0) -> list[float]:
        return [t_s for t_s in b.unit._worker._firing.trigger.edges if t_s >= since_s]

    def spoil(self, b: Bench, how: str = "bad_crc") -> None:
        """The look after the edge is damaged or lost."""
        kind = {"bad_crc": FaultKind.BAD_CRC, "lost": FaultKind.MUTE}[how]
        b.inject(kind, only=b.keep[:1].decode(), times=1)


class TestSteppedByTrigger(ByTrigger):
    kind = "stepped"


class TestSteppedRapid9ByTrigger(OnRapid9, ByTrigger):
    kind = "stepped"


class TestSocketBistim(OnBistim, Whole if LONG else Ends, Pairs if LONG else SomePairs):  # type: ignore[misc]
    kind = "socket"


class TestSocketRapid9(OnRapid9, Whole if LONG else Ends, Trains if LONG else SomeTrains):  # type: ignore[misc]
    kind = "socket"


class TestSocketRapid7(OnRapid7, Whole if LONG else Ends, Trains if LONG else SomeTrains):  # type: ignore[misc]
    kind = "socket"


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
class TestPtyRapid5(OnRapid5, Whole if LONG else Ends, Trains if LONG else SomeTrains):  # type: ignore[misc]
    kind = "pty"


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
class TestPtyBistim(OnBistim, Whole if LONG else Ends, Pairs if LONG else SomePairs):  # type: ignore[misc]
    kind = "pty"


if LONG:

    class TestSocketRapid10(OnRapid10, Whole, Trains):
        kind = "socket"

    @pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
    class TestPtyRapidPlus(OnRapidPlus, Whole, Trains):
        kind = "pty"
