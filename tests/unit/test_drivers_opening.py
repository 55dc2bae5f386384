"""The taking of a unit that is not what the site says, or was left in a bad state; the transcript; the trigger."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract_tools import EA, EH, KEY, RUN, Bench, bench
from watch_tools import StopLine

from drivers.client import MagstimUnit
from drivers.magstim.line import READ_TIMEOUT_S
from drivers.magstim.units import facts_of
from drivers.requests import Options
from drivers.stepped import SteppedUnit
from drivers.trigger import OutputSetting
from drivers.trouble import LineTrouble, UnitProblem
from drivers.watch import CLOSED, FAILED
from drivers.worker import PortWorker
from hardware_sim.faults import Fault as SimFault
from hardware_sim.faults import FaultKind
from hardware_sim.line import SteppedLine
from hardware_sim.magstim import UNLOCK_CODE, unit_of
from hardware_sim.unit import Unit
from rtloop.board import Board
from rtloop.clock import SteppedClock
from rtloop.errors import NotReady
from rtloop.model.pulse import Delivery, Pair, Train
from rtloop.model.status import Fault

TRAIN = Train(frequency_hz=10, n_pulses=20)


def refused(tmp_path: Path, sim: Unit, *, model: str, **options: Any) -> tuple[UnitProblem, list[bytes]]:
    """What opening says, and the commands that the unit saw until the line was closed, as the port process does it."""
    clock = SteppedClock()
    line = SteppedLine(sim, clock)
    line.timeout = READ_TIMEOUT_S
    with Board.create(tmp_path / "board", clock=clock) as board:
        worker = PortWorker(
            line=line,
            facts=facts_of(model),
            board=board,
            clock=clock,
            run_id=RUN,
            key=KEY,
            options=Options(**options),
        )
        try:
            with pytest.raises(UnitProblem) as problem:
                worker.open()
        finally:
            worker.shut()
        assert board["port_state"] in (FAILED, CLOSED)
    assert clock.now_s() < 1002.0
    line.wire.visible(clock.now_s() + 0.2)  # what was written last reaches the unit
    return problem.value, [packet[:2] for _, packet in sim.packets]


# ---- the right unit


@pytest.mark.parametrize(
    ("version", "options", "words"),
    [
        ((9, 0, 0), {}, "needs its unlock code"),
        ((7, 1), {"unlock_code": "1234-12345678-ab"}, "below 9 does not take"),
        ((5, 0, 0), {"software_at_least": (7,)}, "at least 7"),
        ((9, 0, 0), {"software_at_least": (9, 1), "unlock_code": UNLOCK_CODE}, "at least 9.1"),
    ],
)
def test_a_unit_of_a_version_that_contradicts_the_site_is_sent_the_question_and_one_ea(
    tmp_path: Path, version: tuple[int, ...], options: dict[str, Any], words: str
) -> None:
    problem, sent = refused(tmp_path, unit_of("rapid", version=version), model="rapid", **options)
    assert words in str(problem)
    assert ".".join(map(str, version)) in str(problem)
    assert sent == [b"ND", EA]  # it may be armed, and nobody looks after it


def test_everything_wrong_with_the_version_is_told_at_once(tmp_path: Path) -> None:
    problem, _ = refused(
        tmp_path, unit_of("rapid", version=(7, 1)), model="rapid", unlock_code="1-2", software_at_least=(8,)
    )
    assert "at least 8" in str(problem)
    assert "below 9 does not take" in str(problem)


def test_a_wrong_unlock_code_is_told_in_time_and_never_sent_again(tmp_path: Path) -> None:
    wrong = UNLOCK_CODE[:-2] + "zz"
    problem, sent = refused(tmp_path, unit_of("rapid"), model="rapid", unlock_code=wrong)
    assert "unlock code" in str(problem)
    assert problem.fault is Fault.UNIT_SILENT
    assert sent == [b"ND", b"Q1", EA]


def test_another_unit_than_a_rapid_is_told(tmp_path: Path) -> None:
    problem, sent = refused(tmp_path, unit_of("200"), model="rapid")
    assert "software version" in str(problem)
    assert sent == [EA]  # a 200² does not even know the question


@pytest.mark.parametrize("found", ["rapid", "200"])
def test_another_unit_than_a_bistim_or_200_is_told(tmp_path: Path, found: str) -> None:
    model = "bistim" if found == "200" else "200"
    sim = unit_of(found, **({"version": (7, 1)} if found == "rapid" else {}))
    problem, sent = refused(tmp_path, sim, model=model)
    assert problem.todo
    assert not {packet for packet in sent if packet in (b"EB", b"EH")}
    assert sent[-1] == EA or sent[-1] == b"R@"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "200", "unlock_code": "1"}, "neither unlock code nor a version"),
        ({"model": "bistim", "software_at_least": (7,)}, "neither unlock code nor a version"),
        ({"model": "rapid", "unlock_code": "12\n3"}, "single bytes"),
        ({"model": "rapid", "unlock_code": None}, "single bytes"),
        ({"model": "rapid", "software_at_least": (math.nan,)}, "whole numbers"),
        ({"model": "rapid", "software_at_least": "7"}, "whole numbers"),
    ],
)
def test_options_that_no_such_unit_has_are_refused_before_a_byte_is_sent(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    clock, sim = SteppedClock(), unit_of("200")
    line = SteppedLine(sim, clock)
    with (
        Board.create(tmp_path / "board", clock=clock) as board,
        pytest.raises(UnitProblem, match=words),
    ):
        SteppedUnit.open(line=line, clock=clock, board=board, run_id=RUN, key=KEY, **options)
    line.wire.visible(clock.now_s() + 0.2)
    assert sim.packets == []


def test_a_trigger_on_the_units_own_port_is_refused_before_a_process_is_started(tmp_path: Path) -> None:
    own = OutputSetting(port="/dev/ttyUSB7")
    with pytest.raises(UnitProblem, match="the trigger line /dev/ttyUSB7 is the port of the unit"):
        MagstimUnit.open(
            port=own.port, board_path=tmp_path / "none", run_id=RUN, key=KEY, simulated=False, trigger=own
        )


# ---- left in a bad state


@pytest.mark.parametrize("version", [(9, 0, 0), (7, 1), (5, 0, 0)])
def test_a_unit_found_in_train_mode_is_forced_to_single_pulses(
    tmp_path: Path, version: tuple[int, ...]
) -> None:
    with bench(
        "stepped", tmp_path, model="rapid", version=version, found_in_train_mode=True, arming_s=0.1,
        power_pct_mso=40,
    ) as b:  # fmt: skip
        assert b.unit.opened.found_setting == "train mode"
        assert b.unit.opened.software == version
        assert b.unit.identity.firmware == ".".join(map(str, version))
        assert b.sim.single_pulse_mode
        b.unit.arm()
        assert b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED
        b.sleep(2.5)
        assert b.discharges == 1


def test_a_unit_that_stays_in_train_mode_is_not_opened(tmp_path: Path) -> None:
    stuck = SimFault(kind=FaultKind.ANSWER_CONFLICT, only="[")
    sim = unit_of("rapid", version=(7, 1), found_in_train_mode=True, faults=(stuck,))
    _, sent = refused(tmp_path, sim, model="rapid")
    assert b"EB" not in sent


def test_a_bistim_found_set_to_pairs_is_set_to_single_pulses(tmp_path: Path) -> None:
    with bench(
        "stepped", tmp_path, model="bistim", power_b_pct_mso=60, interval=25, arming_s=0.1, power_pct_mso=40
    ) as b:
        assert "60 %" in b.unit.opened.found_setting
        b.unit.arm()
        assert b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED
        b.sleep(0.3)
        assert [d.power_pct_mso for d in b.sim.discharges] == [40]


# ---- the transcript


def test_the_transcript_has_every_byte_with_its_time_and_an_end(tmp_path: Path) -> None:
    path = tmp_path / "bytes.jsonl"
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40, driver={"transcript": path}) as b:
        b.ready(40)
        assert b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED
        b.inject(FaultKind.UNSOLICITED_BYTES, data=b"\x01\x02")
        b.sleep(3.0)
        seen = [json.loads(line) for line in path.read_text().splitlines()]  # flushed while it goes on
        assert b"EH" in b"".join(bytes.fromhex(entry.get("sent", "")) for entry in seen)
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    sent = b"".join(bytes.fromhex(entry.get("sent", "")) for entry in entries)
    got = b"".join(bytes.fromhex(e.get("received", "") + e.get("dropped", "")) for e in entries)
    assert sent == b"".join(packet for _, packet in b.sim.packets)
    assert entries[-1]["end"] is True
    assert (entries[-1]["bytes_sent"], entries[-1]["bytes_received"]) == (len(sent), len(got))
    assert b"\x01\x02" in got
    times = [entry["t_s"] for entry in entries]
    assert times == sorted(times)
    assert path.stat().st_mode & 0o077 == 0


def test_a_transcript_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "bytes.jsonl"
    path.write_text("kept")
    with (
        pytest.raises(NotReady, match="transcript"),
        bench("stepped", tmp_path, driver={"transcript": path}),
    ):
        pass
    assert path.read_text() == "kept"


def test_a_transcript_that_cannot_be_written_does_not_stop_the_line(tmp_path: Path) -> None:
    with bench(
        "stepped", tmp_path, arming_s=0.1, power_pct_mso=40, driver={"transcript": tmp_path / "b.jsonl"}
    ) as b:

        class Full:
            closed = False

            def write(self, _: str) -> int:
                raise OSError(28, "No space left on device")

            def close(self) -> None: ...

        line = b.unit._worker._watch.unit._line
        line._file.close()
        line._file = Full()
        b.ready(40)
        assert b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED
        assert "No space left" in line.trouble


# ---- fired by a trigger line


class FakeTrigger:
    """An edge straight into the simulated unit's trigger input."""

    def __init__(self) -> None:
        self.bench: Bench | None = None
        self.fired: list[float] = []
        self.broken: LineTrouble | None = None
        self.loose = self.closed = False

    def fire(self, *, not_after_s: float = math.inf) -> float:
        assert self.bench is not None
        now_s = self.bench.clock.now_s()
        assert now_s < not_after_s
        if self.broken is not None:
            raise self.broken
        self.fired.append(now_s)
        if not self.loose:
            self.bench.sim.trigger_edge(now_s)
        return now_s

    def close(self) -> None:
        self.closed = True


@pytest.fixture(params=["200", "rapid"])
def triggered(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Bench, FakeTrigger]]:
    trigger = FakeTrigger()
    with bench(
        "stepped", tmp_path, model=request.param, arming_s=0.1, power_pct_mso=40, driver={"trigger": trigger}
    ) as b:
        trigger.bench = b
        yield b, trigger
    assert trigger.closed


@pytest.mark.req("R-PERMIT")
def test_a_trigger_fires_on_a_permit_and_never_by_serial(triggered: tuple[Bench, FakeTrigger]) -> None:
    b, trigger = triggered
    b.ready(40)
    assert b.unit.fire(b.permit(40, key=b"z" * 32)).delivery is Delivery.NOT_DELIVERED
    assert trigger.fired == []
    receipt = b.unit.fire(b.permit(40))
    assert receipt.delivery is Delivery.DELIVERED, receipt
    assert receipt.t_sent_s == trigger.fired[0]
    b.sleep(0.1)
    assert b.discharges == 1
    assert not b.sent(EH)


@pytest.mark.req("R-UNCERTAIN")
def test_a_unit_that_still_says_ready_after_the_edge_is_uncertain(
    triggered: tuple[Bench, FakeTrigger],
) -> None:
    b, trigger = triggered
    trigger.loose = True
    b.ready(40)
    receipt = b.unit.fire(b.permit(40))
    assert receipt.delivery is Delivery.UNCERTAIN
    assert "still ready" in receipt.reason
    assert b.sent(EA, since_s=receipt.t_sent_s)
    assert b.unit.trouble().fault is Fault.UNCERTAIN_PULSE


@pytest.mark.req("R-UNCERTAIN")
def test_a_unit_that_had_fallen_to_standby_before_the_edge_is_uncertain(
    triggered: tuple[Bench, FakeTrigger],
) -> None:
    """Not ready after the edge is not enough: in standby it gave nothing, or fell there by itself after it."""
    b, _ = triggered
    b.ready(40)
    b.inject(FaultKind.STANDBY_UNEXPECTEDLY)
    receipt = b.unit.fire(b.permit(40))
    assert receipt.delivery is Delivery.UNCERTAIN
    assert "standby" in receipt.reason
    assert b.unit.trouble().fault is Fault.UNCERTAIN_PULSE
    assert b.discharges == 0


@pytest.mark.parametrize("written", [False, True])
def test_a_trigger_line_in_trouble_is_not_delivered_or_uncertain(
    triggered: tuple[Bench, FakeTrigger], written: bool
) -> None:
    b, trigger = triggered
    trigger.broken = LineTrouble("the adapter is gone", written=written)
    b.ready(40)
    receipt = b.unit.fire(b.permit(40))
    assert receipt.delivery is (Delivery.UNCERTAIN if written else Delivery.NOT_DELIVERED)
    assert "adapter" in receipt.reason
    assert (receipt.t_sent_s is not None) == written
    assert bool(b.unit.trouble()) == written
    assert b.discharges == 0


def test_a_unit_that_is_silent_after_the_edge_is_uncertain(triggered: tuple[Bench, FakeTrigger]) -> None:
    b, _ = triggered
    b.ready(40)
    b.inject(FaultKind.MUTE)
    receipt = b.unit.fire(b.permit(40))
    assert receipt.delivery is Delivery.UNCERTAIN
    assert "after a trigger edge" in receipt.reason


def test_a_train_by_trigger_is_followed_to_its_end(tmp_path: Path) -> None:
    trigger = FakeTrigger()
    with bench(
        "stepped", tmp_path, model="rapid", arming_s=0.1, power_pct_mso=40, driver={"trigger": trigger}
    ) as b:
        trigger.bench = b
        b.unit.set_train(TRAIN)
        b.unit.arm()
        assert b.unit.fire(b.permit(40, train=TRAIN)).delivery is Delivery.DELIVERED
        end = b.train_end(within_s=3.0)
        assert (end.delivery, end.pulses_min) == (Delivery.DELIVERED, 20)
        assert b.discharges == 20
        assert not b.sent(EH)


def test_a_pair_permit_on_a_unit_without_pairs(tmp_path: Path) -> None:
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40) as b:
        pair = Pair(power_b_pct_mso=40, interval_ms=3)
        with pytest.raises(UnitProblem, match="gives no pairs"):
            b.unit.set_pair(pair)
        with pytest.raises(UnitProblem, match="gives no trains"):
            b.unit.set_train(TRAIN)
        assert b.unit.set_train(None).standby
        b.ready(40)
        assert b.unit.fire(b.permit(40, pair=pair)).delivery is Delivery.NOT_DELIVERED
        assert b.unit.fire(b.permit(40, train=TRAIN)).delivery is Delivery.NOT_DELIVERED
        assert not b.sent(EH)


# ---- the STOP line


def test_the_stop_line_stops_at_trips_and_lets_go_only_on_the_way_to_arming(tmp_path: Path) -> None:
    stop = StopLine()
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40, driver={"stop_line": stop}) as b:
        assert stop.asked == []
        b.ready(40)
        assert set(stop.asked) == {"release"}
        b.unit.disarm()  # a plain disarm is no stop
        b.unit.arm()
        stop.asked.clear()
        b.inject(FaultKind.MUTE, times=3)
        b.sleep(1.5)
        assert "stop" in stop.asked
        stop.asked.clear()
        b.unit.arm()  # clears the trip
        assert stop.asked[0] == "release"
        stop.asked.clear()
        b.board.ask_stop()
        b.sleep(0.5)
        assert set(stop.asked) == {"stop"}
        for ask in (b.unit.arm, lambda: b.unit.set_power(30)):
            with pytest.raises(UnitProblem):
                ask()
        assert "release" not in stop.asked
    assert stop.asked[-1] == "close"


def test_the_stop_line_stops_when_the_unit_is_unplugged(tmp_path: Path) -> None:
    stop = StopLine()
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40, driver={"stop_line": stop}) as b:
        b.ready(40)
        stop.asked.clear()
        b.inject(FaultKind.UNPLUG)
        b.sleep(1.0)
        assert "stop" in stop.asked


@pytest.mark.parametrize("version", [(9, 0, 0), (5, 0, 0)])
def test_the_error_code_of_a_rapid_can_be_read(tmp_path: Path, version: tuple[int, ...]) -> None:
    with bench("stepped", tmp_path, model="rapid", version=version) as b:
        unit = b.unit._worker._watch.unit
        with b.unit._at_work():
            assert unit.error_code() == "000"
            b.inject(FaultKind.ERROR_BIT)
            assert unit.error_code() == "101"
