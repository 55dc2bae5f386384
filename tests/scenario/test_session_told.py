"""What the port process does about its unit reaches the session's interlock at once, in the driver's own words."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from contract_tools import Bench, bench

from hardware_sim.faults import FaultKind
from rtloop.model.status import Fault, Lamp
from rtloop.safety.limits import load_limits
from rtloop.session.vigil import LOOK_EVERY_S, Vigil


class Stream:
    """An amplifier in order."""

    def health(self, now_s: float) -> object:
        return type("Health", (), {"breaches": ()})()


def watch(b: Bench) -> Vigil:
    """The look-out of a session over this unit, whose recorder and stream are in order."""
    source = Stream()
    return Vigil(
        source=source,
        board=b.board,
        limits=load_limits(),
        status=b.unit.status,
        recording=False,
        told=b.unit.told,
    )  # type: ignore[arg-type]


def look(b: Bench, vigil: Vigil, lamp: Lamp, *, within_s: float) -> tuple[float, dict[Fault, str]]:
    """Faults of the unit that are raised first, and when; everybody else shows life meanwhile."""
    found: dict[Fault, str] = {}

    def raised() -> bool:
        b.board.beat("operator")
        found.update(vigil.look(b.clock.now_s(), lamp)[0])
        found.pop(Fault.ENGINE_LATE, None)  # of this test's own passes, on a busy machine
        return bool(found)

    b.until(raised, within_s=within_s)
    return b.clock.now_s(), found


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize("kind", ["stepped", "socket"])
def test_a_unit_that_falls_silent_trips_the_session_as_soon_as_the_driver_has_acted(
    kind: str, tmp_path: Path
) -> None:
    with bench(kind, tmp_path) as b:
        b.ready()
        vigil = watch(b)
        b.board.beat("operator")
        assert vigil.look(b.clock.now_s(), Lamp.ARMED)[0] == []
        silent_s = b.clock.now_s()
        b.inject(FaultKind.MUTE)
        raised_s, found = look(b, vigil, Lamp.ARMED, within_s=1.5)
        assert list(found) == [Fault.UNIT_SILENT]
        assert "the unit is disarmed" in found[Fault.UNIT_SILENT]
        assert "in reply to" in found[Fault.UNIT_SILENT]
        asked_s, ea_s = (
            b.sent(b"", since_s=silent_s)[0],
            b.sent(b"EA", since_s=silent_s)[0],
        )  # J, or Q as it falls
        late_s = LOOK_EVERY_S if kind == "stepped" else 0.1  # processes: a stall of the machine
        assert raised_s - asked_s <= 0.5 + late_s
        assert abs(raised_s - ea_s) <= 2 * LOOK_EVERY_S + (0.0 if kind == "stepped" else 0.1)
        b.sleep(0.1)
        b.board.beat("operator")
        vigil.waited(b.clock.now_s())
        assert vigil.look(b.clock.now_s(), Lamp.SAFE)[0] == []  # told once, and by no age of a status yet


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be stopped by a signal there")
def test_a_port_process_that_stalls_for_a_moment_is_told_by_nobody_and_one_that_ended_at_once(
    tmp_path: Path,
) -> None:
    with bench("socket", tmp_path) as b:
        vigil, pid = watch(b), b.unit.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            b.until(
                lambda: b.board.age_s("port") > 0.32, within_s=2.0
            )  # older than what ``trouble`` takes for dead
            assert b.unit.trouble() is not None
            assert b.unit.told() is None
        finally:
            os.kill(pid, signal.SIGCONT)
        b.until(lambda: b.board.age_s("port") < 0.1, within_s=2.0)
        b.board.beat("operator")
        assert vigil.look(b.clock.now_s(), Lamp.READY)[0] == []
        killed_s = b.clock.now_s()
        os.kill(pid, signal.SIGKILL)
        raised_s, found = look(b, vigil, Lamp.READY, within_s=0.9)
        assert list(found) == [Fault.PORT_DEAD]
        assert "it ended" in found[Fault.PORT_DEAD]
        assert raised_s - killed_s < load_limits().port_max_age_s  # its heartbeat alone would tell later
