"""An hour of trains, 3000 pulses, on a line with noise: the dose is known exactly, over trips and new runs.

Once by the wall clock, with the real port process: ``python tests/bench/soak_stimulator.py --real``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hour_tools import HOUR_S, Hour

SEED = 4


@pytest.mark.timeout(300)
@pytest.mark.req("R-DOSE")
def test_ten_minutes_without_noise_give_what_was_asked(tmp_path: Path) -> None:
    hour = Hour(tmp_path, SEED)
    hour.go(600.0, noise=0.0)
    assert (hour.given, hour.spare, hour.runs) == (625, 0, 1), hour.outcomes
    assert hour.ledger.count() == 625


@pytest.mark.timeout(300)
@pytest.mark.req("R-DOSE")
def test_an_hour_with_noise_on_the_line_is_counted_exactly(tmp_path: Path) -> None:
    """Every trip ends its run; the next goes on with the same dose, up to the cap of 3000 a session."""
    hour = Hour(tmp_path, SEED)
    hour.go(HOUR_S, noise=0.15)
    print(
        f"seed {SEED}: {hour.given} pulses in {hour.runs} runs, {hour.spare} more counted; {dict(hour.outcomes)}"
    )
    assert hour.runs > 1
    assert hour.outcomes["uncertain"] >= 1
    assert hour.folded() == hour.ledger.count() == hour.given + hour.spare == 3000
