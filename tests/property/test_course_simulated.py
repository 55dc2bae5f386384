"""A small simulated trial with everything that may befall a visit; tests/bench/simulate_course.py runs one of 90 participants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from course_sessions import BEFALLS, Held, visit_of
from course_twin import blinding_faults
from course_world import Trial, coverage, outcomes_only
from study_tools import folder_in_memory

from rtloop.study.association import share_interval


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_in_memory() as made:
        yield made


@pytest.mark.timeout(600)
def test_everything_that_may_befall_a_visit_once(folder: Path) -> None:
    """Over one course of two people, in this order: nothing is given twice, nothing is lost, everything adds up."""
    left = [*BEFALLS]
    trial = Trial(folder, 2, "ci")
    while left:
        held: list[Held] = []
        for code in trial.open_day():
            held += visit_of(
                trial.place, code, trial.today, "ci", [left.pop(0) if left else "nothing", "nothing"]
            )
        trial.close_day(held)
    assert {h.befell for h in trial.held} == set(BEFALLS)
    assert trial.problems() == []
    assert blinding_faults(trial, folder) == []
    crashed = [h for h in trial.held if h.befell.startswith("crash")]
    assert {h.ended for h in crashed} == {"crashed"}
    assert all(
        h.ended == "complete" for h in trial.held if h.befell in ("nothing", "hot coil", "another computer")
    )
    trial.study.close()


def test_the_report_has_each_outcome_in_its_own_arm(folder: Path) -> None:
    """The associations that the study's report tells, from what the people of each arm were made of."""
    trial = outcomes_only(folder, 18, "ci")
    arms = {code: str(trial.study.arm_of(code).arm) for code in trial.people}  # type: ignore[union-attr]
    for arm, found in trial.associations().items():
        mine = [p for code, p in trial.people.items() if arms[code] == arm]
        slope, _ = np.polyfit([p.measured for p in mine], [p.fall_pct(arm) for p in mine], 1)
        assert found.n == len(mine) >= 5
        assert found.slope == pytest.approx(slope, rel=1e-6)
        assert found.low < found.slope < found.high
    assert trial.problems() == []
    trial.study.close()


def test_the_known_slope_is_covered_as_often_as_the_interval_says() -> None:
    n = 400
    covered, _ = coverage(n, "ci")
    low, high = share_interval(covered, n)
    assert low <= 0.95 <= high
