"""Random operations with faults on gate, driver and simulated unit: no unpermitted discharge, a ledger that is never below.

The long one is a command of its own: ``python tests/bench/soak_stimulator.py --operations 1000000``.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import soak_tools
from soak_kinds import MEDDLES
from soak_tools import Broken, Soak

from drivers.permits import PermitCheck
from hardware_sim.faults import FaultKind
from rtloop.model.pulse import Delivery
from rtloop.ports import Permit
from rtloop.safety.ledger import Ledger

SEED, OPERATIONS = 20261122, 3000


@pytest.mark.req("R-PERMIT")
def test_operations_with_faults() -> None:
    soak = Soak(SEED)
    tally = soak.go(OPERATIONS)
    print(f"seed {SEED}: {tally.words()}")
    assert tally.operations == OPERATIONS
    assert tally.discharges >= 20  # it would be worth nothing if nothing were ever fired
    assert tally.uncertain >= 1
    assert tally.runs >= 4
    assert tally.outcomes["refused"] > 50
    assert not any("bug" in end for end in tally.trips)


@pytest.mark.req("R-DOSE")
@pytest.mark.parametrize(
    ("model", "operations", "seed"),
    [
        ("super-rapid-plus", 1500, SEED),
        ("rapid-7", 1500, SEED),
        ("rapid-trigger", 1000, SEED),
        ("bistim", 800, 2),
    ],
)
def test_trains_and_pairs_with_faults(model: str, operations: int, seed: int) -> None:
    soak = Soak(seed, model=model)
    tally = soak.go(operations)
    print(f"seed {seed}, {model}: {tally.words()}")
    assert tally.trains + tally.pairs >= 5
    assert tally.uncertain >= 1
    assert not any("bug" in end for end in tally.trips)


@pytest.mark.req("R-DOSE", "R-UNCERTAIN")
@pytest.mark.parametrize("model", ["200-trigger", "super-rapid-5"])
def test_beside_another_program_and_somebody_at_the_panel(model: str) -> None:
    soak = Soak(SEED, model=model)
    soak.faults = tuple(what for what in soak.faults if what["kind"] in MEDDLES)
    soak.weights = {"line_fault": 4.0, "shoot": 6.0, "wait": 1.0, "mend": 1.0, "set_shape": 0.5}
    tally = soak.go(500)
    print(f"seed {SEED}, {model}: {tally.words()}")
    assert tally.foreign >= 1
    assert tally.discharges - tally.foreign >= 20


def test_it_sees_a_driver_that_does_not_look_whether_it_was_one_pulse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def meddled(soak: Soak) -> None:
        soak.get_armed()
        soak._pass(2.0)
        soak.line_fault()
        soak.shoot()

    monkeypatch.setattr("drivers.firing.found_in_trains", lambda watch: "")
    monkeypatch.setitem(soak_tools.OPERATIONS, "line_fault", meddled)
    soak = Soak(3, model="rapid")
    soak.faults = ({"kind": FaultKind.TRAIN_MODE},)
    soak.weights = {"line_fault": 1.0}
    with pytest.raises(Broken, match="20 discharges, said to be 1 to 1"):
        soak.go(20)


def test_it_sees_a_driver_that_lets_any_permit_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def any_permit(self: PermitCheck, permit: object, *, now_s: float) -> str:
        return "" if isinstance(permit, Permit) else "refused: no permit"

    monkeypatch.setattr(PermitCheck, "refusal", any_permit)
    with pytest.raises(Broken, match=r"a \w+ permit: (delivered|uncertain)"):
        Soak(1).go(2000)


def test_it_sees_an_engine_that_may_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.watch.HEARTBEAT_FRESH_S", math.inf)
    soak = Soak(2)
    soak.weights = {"get_armed": 1.0, "freeze": 1.0}
    with pytest.raises(Broken, match="hung"):
        soak.go(200)


def test_it_sees_a_ledger_that_forgets_the_uncertain(monkeypatch: pytest.MonkeyPatch) -> None:
    close = Ledger.close

    def forgets(self: Ledger, charge: Any, delivery: Delivery, *more: Any) -> Any:
        return close(
            self,
            charge,
            *((Delivery.NOT_DELIVERED,) if delivery is Delivery.UNCERTAIN else (delivery, *more)),
        )

    monkeypatch.setattr(Ledger, "close", forgets)
    with pytest.raises(Broken, match="said to be 0 to 0"):
        Soak(SEED).go(OPERATIONS)
