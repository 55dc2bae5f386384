"""The fake unit of the gate's own tests is held to what the driver does: one story, told over both, ends alike.

The fake obeys even what it should not and is always ready; so the gate may refuse over the driver for more reasons,
never for fewer. Random stories over the driver are the soaks (tests/property/test_soak_stimulator*.py).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safety_tools import KEY, LIMITS, Bench

from drivers.stepped import SteppedUnit
from hardware_sim.faults import Fault as LineFault
from hardware_sim.faults import FaultKind
from hardware_sim.line import SteppedLine
from hardware_sim.magstim import UNLOCK_CODE, unit_of
from rtloop.board import Board
from rtloop.errors import NotReady
from rtloop.model.pulse import Pair, Train
from rtloop.model.status import Capabilities, UnitStatus
from rtloop.ports import Permit
from rtloop.safety.gate import Gate, GateResult

TRAIN, PAIR = Train(frequency_hz=10.0, n_pulses=8), Pair(power_b_pct_mso=40, interval_ms=3.0)
BREAKS: dict[str, dict[str, Any]] = {
    "refuse": {"kind": FaultKind.ANSWER_CONFLICT, "only": "EH"}, "lost": {"kind": FaultKind.UNCERTAIN_FIRE, "how": "lost"},
}  # fmt: skip


class OverFake:
    """The gate over the fake unit."""

    def __init__(self, model: str) -> None:
        self.b = Bench()
        pairs = model == "bistim"
        self.b.unit.caps, self.b.unit.gap_s = (
            Capabilities(trains=not pairs, pairs=pairs),
            3.0 if pairs else 1.0,
        )

    def given(self) -> int:
        return self.b.unit.given()

    def breaks(self, how: str) -> None:
        """The next fire is refused by the unit, or given and its reply lost."""
        self.b.unit.next_fire = how


class OverDriver:
    """The same gate over the driver and the simulated unit."""

    def __init__(self, model: str, board: Board, b: Bench) -> None:
        self.b, self.sim = b, unit_of(model, arming_s=0.1)
        b.clock.listen(lambda _: board.beat("engine"))
        code = UNLOCK_CODE if model != "bistim" else ""
        b.unit = SteppedUnit.open(  # type: ignore[assignment]
            line=SteppedLine(self.sim, b.clock), clock=b.clock, board=board, run_id="run-1", key=KEY, model=model,
            unlock_code=code,
        )  # fmt: skip
        b.gate = Gate(
            stimulator=b.unit, limits=LIMITS, interlock=b.lock, ledger=b.ledger, clock=b.clock, run_id="run-1",
            key=KEY, record_intent=b._record, situation=b._situation,
        )  # fmt: skip

    def given(self) -> int:
        return len(self.sim.discharges)

    def breaks(self, how: str) -> None:
        self.sim.inject(LineFault(**BREAKS[how], times=1), self.b.clock.now_s())


def story(on: Any, shape: Train | Pair) -> list[tuple[Any, ...]]:
    """What came of each step: its outcome, the rules that refused, the lamp, the dose, what the unit gave and is."""
    b, told = on.b, []

    def wait(dt_s: float) -> None:
        for _ in range(round(dt_s / 0.05)):
            b.clock.advance(0.05)

    def step(name: str, do: Callable[[], Any], *, settles_s: float = 0.05) -> None:
        refused: set[str] = set()
        try:
            said = do()
        except NotReady:
            said = "not ready"
        if isinstance(said, GateResult):
            refused = {no.rule for no in said.refusals}
            said = (
                said.outcome,
                said.closing and (said.closing["delivered_min"], said.closing["delivered_max"]),
            )
        elif isinstance(said, tuple):
            refused, said = {no.rule for no in said}, "refused"
        elif isinstance(said, UnitStatus):
            said = said.power_pct_mso
        wait(settles_s)
        armed = b.unit.status().may_discharge
        runs = name == "many"  # a train: how much of it by now is a matter of milliseconds
        given = None if runs else on.given()
        told.append((name, refused, said, b.lock.lamp, b.ledger.count(), given, armed))

    def arm() -> str:
        now_s = b.clock.now_s()
        b.lock.preflight_ok()
        b.lock.arm_requested(now_s)
        b.lock.arm_confirmed(now_s)
        return "armed" if b.gate.arm().ok else "not armed"

    def set_shape(to: Train | Pair | None) -> Any:
        return b.gate.set_pair(to) if isinstance(to, Pair) else b.gate.set_train(to)

    def late() -> Any:
        wanted = b.pulse()
        permit = b.gate.permit(wanted, b.clock.now_s())
        assert isinstance(permit, Permit), permit
        wait(0.1)
        return b.gate.fire(wanted, permit)

    def over() -> Any:
        for _ in range(60):
            if (said := b.gate.train_over()) is not None:
                return said
            wait(0.05)
        return "no train"

    many = {"train": shape} if isinstance(shape, Train) else {"pair": shape}
    step("power", lambda: b.gate.set_power(55))
    step("pulse, not armed", b.shoot)
    step("arm", arm)
    step("pulse", b.shoot)
    step("pulse, too soon", b.shoot)
    wait(4.0)
    step("pulse again", b.shoot)
    wait(4.0)
    step("late", late)
    step("shape while armed", lambda: set_shape(shape))
    step("power that is none", lambda: b.gate.set_power(101))
    step("many, not set", lambda: b.shoot(**many))
    on.breaks("refuse")
    step("the unit refuses", b.shoot)
    step("and again", b.shoot)
    wait(4.0)
    step("disarm", lambda: b.gate.disarm("wish") and None)
    step("pulse, disarmed", b.shoot)
    step("shape", lambda: set_shape(shape))
    step("arm anew", arm)
    step("single, many set", b.shoot)
    step("many", lambda: b.shoot(**many))
    step("its end", over)
    wait(6.0)
    on.breaks("lost")
    step(
        "no reply", lambda: b.shoot(**many), settles_s=2.0
    )  # the driver waits 0.25 s for it, the fake does not
    step("after that", lambda: b.shoot(**many))
    step("no way back", arm)
    return told


@pytest.mark.req("R-DOSE", "R-PERMIT", "R-UNCERTAIN", "R-BELIEF")
@pytest.mark.parametrize(("model", "shape"), [("super-rapid", TRAIN), ("bistim", PAIR)])
def test_the_gate_tells_one_story_over_the_fake_unit_and_over_the_driver(
    tmp_path: Path, model: str, shape: Train | Pair
) -> None:
    b = Bench()
    with Board.create(tmp_path / "board", clock=b.clock) as board:
        board.start("engine")
        driver = OverDriver(model, board, b)
        told = story(driver, shape)
        b.unit.close()
    fake = story(OverFake(model), shape)
    assert len(told) == len(fake) == 22
    for (name, refused, *found), (of_fake, refused_fake, *found_fake) in zip(told, fake, strict=True):
        assert name == of_fake
        assert refused >= refused_fake, name
        assert found == found_fake, name
    n = shape.n_pulses if isinstance(shape, Train) else 2
    assert driver.given() == b.ledger.count() == 2 + 2 * n
