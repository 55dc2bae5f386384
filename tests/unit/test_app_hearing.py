"""Words nobody reads, presence of a window, what a session tells at its start: each by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from plan_tools import GOOD

from rtloop.app.opening import dose_before
from rtloop.board import Board
from rtloop.clock import SteppedClock
from rtloop.errors import ValidationProblem
from rtloop.model.pulse import Delivery
from rtloop.model.status import Fault, Lamp
from rtloop.plan.load import parse_plan
from rtloop.safety.ledger import Charge, Ledger
from rtloop.safety.limits import load_limits
from rtloop.session.vigil import Vigil

TALK = """
import sys
from rtloop.app.voice import say, tell
for i in range(2000):
    say(f"words {i} " + "x" * 200)
    tell(f"result {i} " + "x" * 200)
print("still here")
sys.exit(6)
"""


def test_words_nobody_reads_end_nothing() -> None:
    for closed in ("pipes", "closed") if os.name == "posix" else ("pipes",):
        if closed == "pipes":
            child = subprocess.Popen(
                [sys.executable, "-c", TALK], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            assert child.stdout is not None
            assert child.stderr is not None
            child.stdout.close()
            child.stderr.close()
        else:
            child = subprocess.Popen(
                ["sh", "-c", 'exec "$0" -c "$1" >&- 2>&-', sys.executable, TALK], stdin=subprocess.DEVNULL
            )
        assert child.wait(30.0) == 6, closed


def test_until_a_window_sits_down_nobody_is_there(tmp_path: Path) -> None:
    clock = SteppedClock(1000.0)
    source = type("Stream", (), {"health": lambda self, now_s: type("H", (), {"breaches": ()})()})()
    with Board.create(tmp_path / "board", clock=clock) as board:
        vigil = Vigil(
            source=source, board=board, limits=load_limits({}), status=lambda: None,  # type: ignore[arg-type, return-value]
            recording=False, window=True,
        )  # fmt: skip
        vigil._unit = lambda now_s, lamp: {}  # type: ignore[method-assign]
        board.beat("port")
        found = dict(vigil.look(clock.now_s(), Lamp.READY)[0])
        assert list(found) == [Fault.OPERATOR_GONE]
        assert "no window has taken" in found[Fault.OPERATOR_GONE]

        def after(seconds: float, *, window: bool) -> tuple[dict[Fault, str], list[Fault]]:
            clock.advance(seconds)
            board.beat("port")
            if window:
                board.beat("operator")
            vigil.waited(clock.now_s())
            raised, cleared = vigil.look(clock.now_s(), Lamp.READY)
            return dict(raised), cleared

        assert after(0.1, window=True) == ({}, [Fault.OPERATOR_GONE])
        assert after(1.5, window=False) == ({}, [])
        raised, _ = after(1.0, window=False)
        assert "operator's window for 2.5 s" in raised[Fault.OPERATOR_GONE]


def test_the_dose_before_counts_the_day_and_the_course() -> None:
    ledger = Ledger()
    days = ["2026-01-01"] * 3 + ["2026-01-02"] * 2
    for n, day in enumerate(days):
        charge = Charge(
            run_id="r", session_id="r", permit_id=n, pulse_id=n, target="M1", purpose="mapping", power_pct_mso=45,
            power_pct_rmt=None, day=day,
        )  # fmt: skip
        ledger.charge(charge)
        if n == 4:
            ledger.close(charge, Delivery.NOT_DELIVERED)
    none = {"session": 0, "targets": {}, "treatment": {"session": 0, "day": 0, "course": 0}}
    assert dose_before(ledger, "2026-01-02") == {"day": 1, "course": 4, "day_utc": "2026-01-02", **none}
    treated = Charge(
        run_id="t", session_id="t", permit_id=1, pulse_id=1, target="M1", purpose="treatment", power_pct_mso=45,
        power_pct_rmt=None, day="2026-01-02", n_pulses=10,
    )  # fmt: skip
    ledger.charge(treated)
    assert dose_before(ledger, "2026-01-02", "t")["treatment"] == {"session": 10, "day": 10, "course": 10}
    assert dose_before(ledger, "2026-01-03", "u")["treatment"] == {"session": 0, "day": 0, "course": 10}


def test_a_plan_may_blind_its_arm() -> None:
    assert not parse_plan(GOOD).arm.blinded
    assert parse_plan(GOOD.replace("[arm]\n", "[arm]\nblinded = true\n")).arm.blinded
    with pytest.raises(ValidationProblem, match="blinded"):
        parse_plan(GOOD.replace("[arm]\n", "[arm]\nblinded = 1\n"))
