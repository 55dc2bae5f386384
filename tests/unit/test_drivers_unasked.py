"""A discharge that nobody asked for here: told and tripped by the driver, where no stream can show it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from contract_tools import EA, Bench, bench

from drivers.unasked import WORDS, Unasked
from hardware_sim.faults import FaultKind
from hardware_sim.magstim import crc
from rtloop.model.pulse import Delivery, Pair, Train
from rtloop.model.status import Fault, UnitStatus

STANDBY, BUSY, READY = 0x89, 0x8A, 0x8C


def status(instr: int, t_s: float) -> UnitStatus:
    return UnitStatus.from_instr(instr, t_s=t_s, power_pct_mso=40, coil_temp_c=25.0)


def words(*seen: tuple[int, float], ours: bool = False, fired_s: float | None = None) -> list[str]:
    """What each of these status bytes says."""
    u = Unasked()
    if fired_s is not None:
        u.fired(fired_s)
    return [u.look(status(instr, t_s), ours=ours) for instr, t_s in seen]


def test_from_ready_to_busy_is_a_discharge_told_once() -> None:
    assert words((READY, 1.0), (READY, 1.4), (BUSY, 1.8), (BUSY, 2.2)) == ["", "", WORDS, ""]
    assert words((BUSY, 1.0), (READY, 1.4), (STANDBY, 1.8), (BUSY, 2.2)) == ["", "", "", ""]
    assert words((READY, 1.0), (BUSY, 1.4), ours=True) == ["", ""]


def test_our_own_discharge_explains_one_change_and_only_soon_after_it() -> None:
    assert words((READY, 1.0), (BUSY, 1.4), fired_s=1.2) == ["", ""]
    again = ((READY, 1.0), (BUSY, 1.4), (READY, 1.6), (BUSY, 1.8))
    assert words(*again, fired_s=1.2) == ["", "", "", WORDS]
    assert words((READY, 1.0), (BUSY, 1.984375), fired_s=1.0) == ["", ""]
    assert words((READY, 1.0), (BUSY, 2.0), fired_s=1.0) == ["", WORDS]


def test_what_was_ready_before_something_was_set_or_before_it_was_ours_says_nothing() -> None:
    u = Unasked()
    u.look(status(READY, 1.0), ours=False)
    u.forget()
    assert u.look(status(BUSY, 1.1), ours=False) == ""
    u.look(status(READY, 1.2), ours=True)
    assert u.look(status(BUSY, 1.3), ours=False) == ""
    u.look(status(READY, 1.4), ours=False)
    assert u.look(status(BUSY, 1.5), ours=True) == ""


# -- at the simulated unit ------------------------------------------------------------------------------------------


def packet(body: bytes) -> bytes:
    return body + bytes([crc(body)])


def at_its_panel(b: Bench) -> None:
    with b.lock():
        assert b.sim.external_fire(b.clock.now_s(), needs_arming=True) is not None


def at_the_trigger(b: Bench) -> None:
    with b.lock():
        assert b.sim.trigger_edge(b.clock.now_s()) is not None


def on_the_line(b: Bench) -> None:
    b.inject(FaultKind.TWO_OWNERS, data=packet(b"EH"))


@pytest.mark.req("R-BELIEF")
@pytest.mark.parametrize("how", [at_its_panel, at_the_trigger, on_the_line])
@pytest.mark.parametrize("model", ["200", "bistim", "super-rapid"])
def test_somebody_elses_discharge_disarms_and_trips_for_good(
    tmp_path: Path, model: str, how: Callable[[Bench], None]
) -> None:
    with bench("stepped", tmp_path, model=model, arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)
        b.sleep(1.0)
        assert b.unit.told() is None
        how(b)
        took_s = b.until(lambda: not b.armed(), within_s=0.6)
        assert b.discharges == 1
        told = b.unit.told()
        assert (told.fault, "nobody asked for it here" in told.found + told.what) == (
            Fault.PULSE_UNCOMMANDED,
            True,
        )
        assert b.sent(EA, since_s=b.clock.now_s() - took_s)
        assert b.unit.fire(b.permit(40)).delivery is Delivery.NOT_DELIVERED
        with pytest.raises(Exception, match="nobody asked"):
            b.unit.arm()


@pytest.mark.req("R-BELIEF")
def test_a_pulse_that_was_refused_explains_no_discharge(tmp_path: Path) -> None:
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)
        b.sleep(1.0)
        assert b.unit.fire(b.permit(41)).delivery is Delivery.NOT_DELIVERED
        at_its_panel(b)
        b.until(lambda: not b.armed(), within_s=0.6)
        assert b.unit.told().fault is Fault.PULSE_UNCOMMANDED


@pytest.mark.parametrize("model", ["200", "bistim", "super-rapid"])
def test_nothing_of_our_own_is_taken_for_somebody_elses(tmp_path: Path, model: str) -> None:
    with bench("stepped", tmp_path, model=model, arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)
        for power in (40, 41, 60, 30):
            b.unit.set_power(power)
            b.until(lambda: b.unit.status().ready, within_s=5.0)
            assert b.unit.fire(b.permit(power)).delivery is Delivery.DELIVERED
            b.sleep(3.2)
        b.unit.disarm()
        b.sleep(0.5)
        if model == "200":
            return
        train, pair = Train(frequency_hz=10.0, n_pulses=5), Pair(power_b_pct_mso=30, interval_ms=500.0)
        shape = {"train": train} if model == "super-rapid" else {"pair": pair}
        b.unit.set_train(train) if model == "super-rapid" else b.unit.set_pair(pair)
        assert b.unit.arm().ready
        for _ in range(2):
            assert b.unit.fire(b.permit(30, **shape)).delivery is Delivery.DELIVERED  # type: ignore[arg-type]
            b.sleep(7.0)
        assert b.unit.told() is None
        assert b.armed()


def test_a_power_that_is_set_makes_it_busy_and_that_is_no_discharge(tmp_path: Path) -> None:
    """A stronger pulse needs a longer wait after the last one: ready at the old power, busy at the new."""
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=49) as b:
        b.ready(49)
        b.sleep(3.0)
        assert b.unit.fire(b.permit(49)).delivery is Delivery.DELIVERED
        b.sleep(2.2)
        b.unit.refresh()
        b.sleep(0.01)
        assert b.unit.status().ready
        assert not b.unit.set_power(50).ready
        b.until(lambda: b.unit.status().ready, within_s=2.0)
        assert b.unit.told() is None


def test_what_it_says_while_a_train_runs_is_no_discharge_of_somebody_else(tmp_path: Path) -> None:
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)
        worker = b.unit._worker
        watch = worker._watch
        watch.step = lambda: None

        def says(*instrs: int) -> None:
            for instr in instrs:
                watch.status = status(instr, b.clock.now_s())
                worker.step()

        watch.status = None  # nothing was said yet
        worker.step()
        watch.run = object()
        says(READY, BUSY, READY, BUSY)
        assert worker.trip is None
        watch.run = None
        says(READY, BUSY)
        assert worker.trip.fault is Fault.PULSE_UNCOMMANDED
        watch.run, watch.step = None, lambda: None
