"""A coil that gets hot: from the unit's thermometer over the engine's vigil and the gate to EA on the line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from contract_tools import EA, KEY, RUN, Bench, bench
from safety_tools import LIMITS, good

from hardware_sim.faults import FaultKind
from rtloop.model.status import Fault, Lamp, Mode
from rtloop.safety.gate import Gate
from rtloop.safety.interlock import Interlock
from rtloop.safety.ledger import Ledger
from rtloop.session.vigil import Vigil


class Engine:
    """The part of a session's loop that looks out and tells the gate."""

    def __init__(self, b: Bench) -> None:
        self.b, self.lock = b, Interlock(Mode.SIMULATED)
        source: Any = SimpleNamespace(
            rate_hz=1000.0, head=lambda: 0, health=lambda now_s: SimpleNamespace(breaches=(), ok=True)
        )
        self.vigil = Vigil(source=source, board=b.board, limits=LIMITS, status=b.unit.status, recording=False)
        self.gate = Gate(
            stimulator=b.unit, limits=LIMITS, interlock=self.lock, ledger=Ledger(), clock=b.clock, run_id=RUN, key=KEY,
            record_intent=lambda data: None, situation=lambda pulse, now_s: good(now_s),
        )  # fmt: skip

    def arm(self) -> None:
        self.lock.preflight_ok()
        self.b.unit.set_power(40)
        self.lock.arm_requested(self.b.clock.now_s())
        self.lock.arm_confirmed(self.b.clock.now_s())
        assert self.gate.arm().ok

    def passes(self, for_s: float) -> dict[Fault, str]:
        """What the vigil finds meanwhile."""
        found: dict[Fault, str] = {}
        end_s = self.b.clock.now_s() + for_s
        while self.b.clock.now_s() < end_s:
            self.b.sleep(0.02)
            self.b.board.beat("operator")
            raised, _ = self.vigil.look(self.b.clock.now_s(), self.lock.lamp)
            for fault, words in raised:
                found[fault] = words
                self.gate.fault(fault, words)
        return found


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40) as b:
        made = Engine(b)
        made.arm()
        assert made.passes(2.5) == {}
        yield made


@pytest.mark.req("R-FAULT-TABLE")
def test_a_hot_coil_disarms_before_the_unit_does_it_itself(engine: Engine) -> None:
    b, hot_s = engine.b, engine.b.clock.now_s()
    b.inject(FaultKind.HOT_COIL, temp_c=39.5)
    found = engine.passes(2.5)  # the thermometer is read every 2 s
    assert list(found) == [Fault.UNIT_HOT]
    assert "39.5 °C" in found[Fault.UNIT_HOT]
    assert b.sent(EA, since_s=hot_s)
    assert not b.armed()
    assert engine.lock.lamp is not Lamp.ARMED
    assert b.unit.trouble() is None  # it was the engine that saw it


def test_a_warm_coil_does_not(engine: Engine) -> None:
    b, warm_s = engine.b, engine.b.clock.now_s()
    b.inject(FaultKind.HOT_COIL, temp_c=38.5)
    assert engine.passes(2.5) == {}
    assert not b.sent(EA, since_s=warm_s)
    assert engine.lock.lamp is Lamp.ARMED
