"""STOP, the end of the process, a dead engine, a unit armed by another: heard while a unit and its trigger line are opened.

A BiStim² found set to pairs is opened for 6 s, while its power B falls.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from contract_tools import EA, EB, EH, KEY, RUN, bench, open_unit
from trigger_tools import Desk, FakePort, output_desk

from drivers.magstim.line import READ_TIMEOUT_S
from drivers.magstim.units import facts_of
from drivers.pause import pause_until
from drivers.requests import Options
from drivers.trigger import OutputSetting, TriggerLine
from drivers.trouble import Lost, UnitProblem
from drivers.watch import CLOSED, FAILED
from drivers.worker import PortWorker
from hardware_sim.faults import Fault as SimFault
from hardware_sim.faults import FaultKind
from hardware_sim.line import SocketLine, SteppedLine
from hardware_sim.magstim import unit_of
from hardware_sim.packet import crc
from hardware_sim.unit import Unit
from rtloop.board import Board
from rtloop.clock import WALL, SteppedClock
from rtloop.model.pulse import Delivery
from rtloop.model.status import Fault

PAIRS: dict[str, Any] = {"power_b_pct_mso": 60, "interval": 25, "power_pct_mso": 40}


class Bed:
    """A worker on a stepped line; ``at`` does something once, so many seconds after the first command."""

    def __init__(self, board: Board, clock: SteppedClock, sim: Unit, model: str, **more: Any) -> None:
        self.board, self.clock, self.sim = board, clock, sim
        self.line = SteppedLine(sim, clock)
        self.line.timeout = READ_TIMEOUT_S
        self.parent_lives = True
        self.done_s = math.inf
        self.worker = PortWorker(
            line=self.line, facts=facts_of(model), board=board, clock=clock, run_id=RUN, key=KEY, options=Options(),
            parent_alive=lambda: self.parent_lives, **more,
        )  # fmt: skip

    def at(self, after_s: float, do: Callable[[], object]) -> None:
        when_s = self.clock.now_s() + after_s

        def look(now_s: float) -> None:
            if now_s >= when_s and self.done_s == math.inf:
                self.done_s = now_s
                do()

        self.clock.listen(look)

    def orphan(self) -> None:
        self.parent_lives = False

    def ask(self, what: str) -> None:
        {"stop": self.board.ask_stop, "end": lambda: self.worker.leave("SIGTERM"), "orphan": self.orphan}[
            what
        ]()

    def sent(self, command: bytes) -> list[float]:
        self.line.wire.visible(self.clock.now_s() + 0.1)
        return [t_s for t_s, packet in self.sim.packets if packet.startswith(command) and t_s >= self.done_s]


@contextmanager
def bed(tmp_path: Path, model: str = "bistim", **unit: Any) -> Iterator[Bed]:
    clock = SteppedClock()
    with Board.create(tmp_path / "board", clock=clock) as board:
        yield Bed(board, clock, unit_of(model, **(unit or PAIRS)), model)


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize(
    ("what", "fault", "words"),
    [
        ("stop", Fault.STOP, "STOP was asked"),
        ("end", Fault.PORT_DEAD, "told to end: SIGTERM"),
        ("orphan", Fault.ENGINE_LATE, "the engine's process is gone"),
    ],
)
@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.05, 1.0, 5.9])
def test_what_stops_a_run_stops_an_opening_at_once_and_in_words(
    tmp_path: Path, what: str, fault: Fault, words: str, after_s: float
) -> None:
    with bed(tmp_path) as b:
        b.at(after_s, lambda: b.ask(what))
        with pytest.raises(UnitProblem, match=words) as problem:
            b.worker.open()
        assert problem.value.fault is fault
        assert b.clock.now_s() - b.done_s < 0.01
        b.worker.shut()
        assert b.sent(EA)[0] - b.done_s <= 0.05
        assert not b.sent(EB)
        assert b.board["port_state"] in (FAILED, CLOSED)
        assert (b.board["stop_served"] > 0) == (what == "stop")
        if what == "stop" and after_s > 0.02:  # it had given control: it is asked whether it rests
            assert b.board["stop_confirmed"] == 1


def test_a_ramp_is_waited_for_between_looks_and_not_by_asking_without_end(tmp_path: Path) -> None:
    with bed(tmp_path) as b:
        b.done_s = 0.0
        b.worker.open()
        assert 5.9 < b.clock.now_s() - 1000.0 < 6.6
        assert len(b.sent(b"Q@")) <= 6 / b.worker._watch.facts.keep_standby_s + 4
        b.worker.shut()


@pytest.mark.req("R-DISARM")
def test_stop_goes_past_the_reply_that_an_opening_waits_for(tmp_path: Path) -> None:
    with bed(tmp_path, "rapid", version=(7, 1), faults=(SimFault(kind=FaultKind.MUTE),)) as b:
        b.at(0.1, b.board.ask_stop)
        with pytest.raises(UnitProblem, match="STOP was asked"):
            b.worker.open()
        assert b.clock.now_s() - b.done_s < 0.01
        b.worker.shut()
        assert b.sent(EA)[0] - b.done_s <= 0.05


@pytest.mark.req("R-DISARM")
def test_a_unit_that_another_arms_while_it_is_opened_is_found_as_soon_as_in_any_standby(
    tmp_path: Path,
) -> None:
    with bed(tmp_path) as b:
        b.at(
            1.5,  # a second before the next look: it lets go of what nobody keeps armed
            lambda: b.sim.inject(SimFault(kind=FaultKind.TWO_OWNERS, data=EB + bytes([crc(EB)])), b.done_s),
        )
        with pytest.raises(UnitProblem, match="does not go to standby"):
            b.worker.open()
        assert b.clock.now_s() - b.done_s <= 2.1  # of the 5 s that were left
        b.worker.shut()
        assert b.sent(EA)
        assert not b.sim.state().armed


@pytest.mark.req("R-DISARM")
def test_stop_ends_an_opening_through_the_port_process_too(tmp_path: Path) -> None:
    sim = unit_of("bistim", **PAIRS)
    line = SocketLine(sim, WALL)
    line.start()
    told: list[Exception] = []
    try:
        with Board.create(tmp_path / "board") as board:

            def opens() -> None:
                try:
                    open_unit(line.port, tmp_path, model="bistim").close()
                except Exception as err:
                    told.append(err)

            thread = threading.Thread(target=opens)
            thread.start()
            end_s = WALL.now_s() + 30.0
            while not any(packet.startswith(b"C") for _, packet in sim.packets) and WALL.now_s() < end_s:
                WALL.sleep_until(WALL.now_s() + 0.01)
            asked_s = WALL.now_s()
            board.ask_stop()
            thread.join(5.0)
            assert not thread.is_alive()
            assert board["stop_confirmed"] == 1
        with line.lock:
            eas = [t_s for t_s, packet in sim.packets if packet.startswith(EA) and t_s >= asked_s]
        assert eas[0] - asked_s <= 0.05
    finally:
        line.close()
    (problem,) = told
    assert isinstance(problem, UnitProblem)
    assert problem.fault is Fault.STOP


# ---- beside a trigger line


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with output_desk(tmp_path) as made:
        yield made


def trigger_of(desk: Desk, clock: SteppedClock, port: Any, **more: Any) -> Callable[..., TriggerLine]:
    setting = OutputSetting(port=desk.name)
    return lambda standby, wait_until: TriggerLine.open(
        setting, unit_port="the unit's", standby=standby, clock=clock, make_port=lambda _: port, wait_until=wait_until,
        **more,
    )  # fmt: skip


@pytest.mark.req("R-DISARM", "R-TRIGGER")
@pytest.mark.parametrize("what", ["stop", "disarm"])
def test_stop_while_the_trigger_line_is_opened_leaves_it_closed(
    tmp_path: Path, desk: Desk, what: str
) -> None:
    clock = SteppedClock()
    with Board.create(tmp_path / "board", clock=clock) as board:
        port = FakePort(desk.story, clock)
        b = Bed(board, clock, unit_of("200"), "200", make_trigger=trigger_of(desk, clock, port))

        def opened(now_s: float) -> None:
            if port.is_open and b.done_s == math.inf:
                b.done_s = now_s
                if what == "stop":
                    board.ask_stop()
                else:
                    board["disarm_asked"] += 1

        clock.listen(opened)
        with pytest.raises(UnitProblem, match="STOP was asked" if what == "stop" else "cut short"):
            b.worker.open()
        b.worker.shut()
        assert b.sent(EA)[0] - b.done_s <= 0.006  # not after the 50 ms that the line settles
        assert not port.is_open


@pytest.mark.req("R-TRIGGER")
def test_a_unit_that_falls_silent_beside_its_trigger_line_is_told_in_words(
    tmp_path: Path, desk: Desk
) -> None:
    clock = SteppedClock()
    with Board.create(tmp_path / "board", clock=clock) as board:
        port = FakePort(desk.story, clock)
        b = Bed(board, clock, unit_of("200"), "200", make_trigger=trigger_of(desk, clock, port))
        clock.listen(lambda now_s: port.is_open and b.sim.inject(SimFault(kind=FaultKind.MUTE), now_s))
        with pytest.raises(UnitProblem, match="does not say that it rests") as problem:
            b.worker.open()
        assert problem.value.fault is Fault.UNIT_SILENT
        b.worker.shut()
        assert not port.is_open


@pytest.mark.req("R-DISARM", "R-TRIGGER")
@pytest.mark.parametrize("lost", [False, True])
def test_stop_while_the_line_is_high_goes_out_at_once_and_the_line_falls(
    tmp_path: Path, desk: Desk, lost: bool
) -> None:
    """The edge is out, so the pulse is of unknown outcome; ``lost``: the unit's own line fails under that EA."""
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40) as b:
        worker, port = b.unit._worker, FakePort(desk.story, b.clock)
        worker._make_trigger = trigger_of(desk, b.clock, port, width_s=0.05)
        with b.unit._at_work():
            worker._firing.trigger = worker._make_trigger(
                worker._watch.look, lambda t_s: pause_until(worker._watch, t_s)
            )
        b.ready(40)
        asked: list[float] = []

        def high(now_s: float) -> None:
            if port.pin["rts"] and not asked:
                asked.append(now_s)
                b.board.ask_stop()
                if lost:
                    b.inject(FaultKind.UNPLUG)

        b.clock.listen(high)
        receipt = b.unit.fire(b.permit(40))
        assert receipt.delivery is Delivery.UNCERTAIN
        assert not port.pin["rts"]
        assert b.clock.now_s() - asked[0] < 0.06
        if not lost:
            assert b.sent(EA, since_s=asked[0])[0] - asked[0] <= 0.006  # the line is high for 50 ms
        assert not b.sent(EH)
        worker._firing.trigger.close()


def test_a_pause_is_polled_every_2_ms_and_sends_one_ea(tmp_path: Path) -> None:
    with bench("stepped", tmp_path, arming_s=0.1) as b:
        watch, polls = b.unit._worker._watch, []
        whole = watch.urgent
        watch.urgent = lambda: polls.append(b.clock.now_s()) or whole()
        start_s = b.clock.now_s()
        with b.unit._at_work():
            pause_until(watch, start_s + 0.009)
            assert b.clock.now_s() == pytest.approx(start_s + 0.009)
            assert [round(1e3 * (t_s - start_s)) for t_s in polls] == [0, 2, 4, 6, 8]
            b.board.ask_stop()
            pause_until(watch, b.clock.now_s() + 0.02)
            assert watch.trip is None  # left to the next exchange
        b.sleep(0.001)
        assert len(b.sent(EA, since_s=start_s)) == 2  # the pause's, and the watch's own
        pause_until(watch, b.clock.now_s() - 1.0)


def test_a_line_that_fails_under_a_pause_is_lost(tmp_path: Path) -> None:
    with bench("stepped", tmp_path, arming_s=0.1) as b:
        b.inject(FaultKind.UNPLUG)
        b.board.ask_stop()
        with b.unit._at_work(), pytest.raises(Lost):
            pause_until(b.unit._worker._watch, b.clock.now_s() + 0.02)
