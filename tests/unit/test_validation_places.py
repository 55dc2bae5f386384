"""The bench of what differs between places: its closed form is what simulated trials give, and an allowance costs names."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import decision_scenes
import place_spread

from rtloop.decide.matching import MatchSpec, match


def test_the_closed_form_is_what_simulated_trials_give() -> None:
    """Places whose scores differ at equal coupling, in the order and about the size of 150 simulated trials."""
    person = decision_scenes.Person(decision_scenes.SCENES["equal, own lead fields"].drawn(3), 3)
    closed = np.array([place_spread.score(person, f, 2.0) for f in person.fields])
    drawn = match([person.visit(k, 0, 150) for k in range(4)], MatchSpec(shifts=1))
    found, se = np.array([m.raw.value for m in drawn]), np.array([m.raw.se for m in drawn])
    assert np.ptp(closed) > 2 * se.mean()  # equal coupling, unequal scores
    assert found == pytest.approx(closed, abs=4 * se.max())
    assert np.corrcoef(found, closed)[0, 1] > 0.8
    assert place_spread.score(person, person.fields[0], 0.5) < 0.3 * closed[0]


def test_a_lag_of_nothing_hides_any_coupling() -> None:
    person = decision_scenes.Person(decision_scenes.SCENES["equal"].drawn(1), 1)
    f, mu = person.fields[0]
    assert place_spread.score(person, (f, 0 * mu), 2.0) < 0.05 * place_spread.score(person, (f, mu), 2.0)


def test_an_allowance_costs_right_names_as_well_as_wrong_ones() -> None:
    unequal, lowest = np.tile([0.02, 0.05, 0.05, 0.05], (20, 1)), np.zeros(20, int)
    none, some, much = (place_spread.ruled(unequal, lowest, s, 1) for s in (0.0, 0.15, 0.6))
    assert none[0] > some[0] > much[0]
    assert none[1] == 0.0
    close = np.tile([0.035, 0.05, 0.05, 0.05], (20, 1))
    false = [place_spread.ruled(close, None, s, 1)[1] for s in (0.0, 0.15)]
    assert false[0] > 0.3 > 0.1 > false[1]
    assert place_spread.ruled(close, None, 0.0, -1)[1] < 0.05
