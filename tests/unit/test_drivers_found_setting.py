"""A unit that is set to give more than one pulse, found at its opening, before a pulse, or only after it."""

from __future__ import annotations

from pathlib import Path

import pytest
from contract_tools import KEY, RUN, bench

from drivers.stepped import SteppedUnit
from drivers.trouble import UnitProblem
from hardware_sim.line import SteppedLine
from hardware_sim.magstim import unit_of
from rtloop.board import Board
from rtloop.clock import SteppedClock
from rtloop.model.pulse import Delivery
from rtloop.model.status import Fault

# ---- a BiStim² taken for a 200²


@pytest.mark.req("R-PERMIT")
@pytest.mark.parametrize(
    ("power_b", "interval", "words"),
    [(60, 25, "power B 60 %"), (0, 10, "interval 10"), (1, 0, "power B 1 %")],
)
def test_a_bistim_is_no_200(tmp_path: Path, power_b: int, interval: int, words: str) -> None:
    """It would give two pulses on a permit for one, and MagPy's 200² does not read those digits."""
    sim = unit_of("bistim", power_b_pct_mso=power_b, interval=interval)
    clock = SteppedClock()
    line = SteppedLine(sim, clock)
    with (
        Board.create(tmp_path / "board", clock=clock) as board,
        pytest.raises(UnitProblem, match=words) as problem,
    ):
        SteppedUnit.open(line=line, clock=clock, board=board, run_id=RUN, key=KEY, model="200")
    assert "a BiStim²?" in str(problem.value)
    assert "correct the model" in problem.value.todo
    assert not [packet for _, packet in sim.packets if packet[:2] in (b"EB", b"EH")]


def test_a_second_pulse_that_appears_on_a_200_trips(tmp_path: Path) -> None:
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)
        b.sim.power_b_pct_mso, b.sim.interval = 30, 10  # type: ignore[attr-defined]
        b.sim.commands = {**b.sim.commands, ord("J"): unit_of("bistim").commands[ord("J")]}
        b.sleep(2.5)
        assert b.unit.trouble().fault is Fault.UNIT_UNEXPECTED
        assert "power B 30 %" in str(b.unit.trouble())
        assert b.unit.fire(b.permit(40)).delivery is Delivery.NOT_DELIVERED


def test_what_is_no_number_where_a_second_pulse_would_stand_is_refused(tmp_path: Path) -> None:
    sim = unit_of("200")
    known = sim.commands[ord("J")]
    odd = type(known)(data_bytes=1, reply_bytes=12, effect=lambda *_: b"040" + b"00x000")
    sim.commands = {**sim.commands, ord("J"): odd}
    clock = SteppedClock()
    line = SteppedLine(sim, clock)
    with (
        Board.create(tmp_path / "board", clock=clock) as board,
        pytest.raises(UnitProblem, match="no digits where power B"),
    ):
        SteppedUnit.open(line=line, clock=clock, board=board, run_id=RUN, key=KEY, model="200")
