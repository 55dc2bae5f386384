"""The bench that joins signals, matching, comparability and looks simulates what it says, and steps as a session would."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import decision_chain
import decision_scenes
import simulate_decision

from rtloop.decide.mapping import Question
from rtloop.decide.matching import MatchSpec
from rtloop.decide.signals import snr_of


def test_scenes_have_the_snr_and_the_truth_they_state() -> None:
    person = decision_scenes.Person(decision_scenes.SCENES["equal, one at 0.7"].drawn(1), 1)
    weak, full = (snr_of(person.visit(k, 0, 150))[1].value for k in (0, 1))
    assert full == pytest.approx(0.6, abs=0.12)
    assert weak / full == pytest.approx(0.49, abs=0.1)
    again = person.visit(1, 0, 20)
    assert (again.re == person.visit(1, 0, 20).re).all()
    assert not np.allclose(again.re, person.visit(1, 1, 20).re)
    drawn = decision_scenes.SCENES["people, kappa 0.3-3, amplitudes 0.7-1"].drawn(4)
    assert drawn.kappa[drawn.lowest] == min(drawn.kappa)
    assert drawn.kappa[drawn.highest] == max(drawn.kappa)
    assert all(0.7 <= a <= 1 for a in drawn.amplitude)


def test_a_whole_mapping_costs_what_its_steps_cost() -> None:
    """Four visits and a look; a silent target ends it "not comparable", without the test the map goes on."""
    person = decision_scenes.Person(replace(decision_scenes.SCENES["no response at one"], snr=0.3), 2)
    person.names = person.montage.names
    mapping = simulate_decision.Mapping(person, MatchSpec(shifts=1))
    rule = simulate_decision.Rule(first=60, block=30)
    found = simulate_decision.hold(mapping, rule, Question.LOW, 2)
    assert (found["outcome"], found["named"]) == ("not comparable", None)
    assert "response is there: M1" in found["failed"]
    assert found["minutes"] == pytest.approx((4 * 150 + 240 * 3) / 60)
    going_on = simulate_decision.hold(mapping, replace(rule, test=False), Question.LOW, 2)
    assert going_on["outcome"] in ("named", "undecided")
    assert [m.raw.n for m in mapping.scored(((60,),) * 4)[0]] == [60] * 4


def test_every_scene_of_the_chain_is_there_and_its_right_name_has_the_lowest_coupling() -> None:
    for name, (question, right) in decision_chain.CHAIN_SCENES.items():
        scene = decision_chain.scene_of(name)
        kappa = {n: t.kappa_global for n, t in scene.targets.items()}
        assert (right is None) == (len(set(kappa.values())) == 1), name
        if right is not None:
            assert question is Question.LOW
            assert kappa[right] == min(kappa.values()), name
    weak = decision_chain.scene_of("near_tie, wrong one at 0.75").targets
    assert (weak["PSI"].amplitude, weak["M1"].amplitude) == (0.75, 1.0)
