"""A course goes on after a crash exactly as without one: events survive JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from decide_tools import FINE, candidate, facts, signal

from rtloop.decide.comparability import compare
from rtloop.decide.course import CourseSpec, Do, Event, Restart, Visit, next_step
from rtloop.decide.look import LookSpec, look
from rtloop.decide.mapping import Question
from rtloop.decide.matching import match
from rtloop.decide.recorded import event_dict, event_of, score_dict
from rtloop.errors import ValidationProblem
from rtloop.model.estimate import Estimate

NAMES = ("M1", "DLPFC", "ACC", "PSI")
LOOKS = LookSpec(question=Question.LOW)
SPEC = CourseSpec(targets=NAMES, look=LOOKS, question=Question.LOW)


def _again(event: Event) -> Event:
    return event_of(json.loads(json.dumps(event_dict(event), allow_nan=False)))


@pytest.mark.parametrize("seed", range(8))
def test_the_next_step_is_the_same_from_the_record(seed: int) -> None:
    """Whole courses with refusals, restarts and returns; at every step the recorded history leads to the same one."""
    rng = np.random.default_rng(seed)
    history: list[Event] = []
    counts = dict.fromkeys(NAMES, 0)
    for _ in range(40):
        step = next_step(SPEC, history)
        assert next_step(SPEC, [_again(e) for e in history]) == step
        if step.do is Do.END:
            break
        if step.do is Do.VISIT:
            assert step.target is not None
            got = step.pulses - int(rng.integers(0, 60)) * (rng.random() < 0.3)
            counts[step.target] += max(got, 1)
            history.append(Visit(target=step.target, accepted=max(got, 1)))
            if rng.random() < 0.1:
                counts[step.target] = 0
                history.append(Restart(target=step.target))
            continue
        rows = compare(
            [facts(t, accepted=counts[t], residue=1.0 if rng.random() < 0.9 else math.nan) for t in NAMES]
        )
        scores = rng.normal(0, 0.02, 4)
        made = [candidate(t, x, n=max(counts[t], 1)) for t, x in zip(NAMES, scores, strict=True)]
        history.append(look(made, rows, LOOKS, step.number))
    else:
        pytest.fail("the course does not end")
    assert any(event_dict(e)["event"] == "look" for e in history)


def test_what_is_no_number_comes_back_as_none() -> None:
    broken = compare([facts("M1", snr=0.5, residue=math.nan), facts("PSI", accepted=0)])
    found = look([candidate("M1", 0.1), candidate("PSI", 0.2)], broken, LOOKS, 1)
    text = json.dumps(event_dict(found), allow_nan=False)
    back = event_of(json.loads(text))
    assert (back.outcome, back.words) == (found.outcome, found.words)
    assert back.comparability.words == broken.words
    named = look([candidate("M1", 0.1), candidate("PSI", 0.9)], FINE, LOOKS, 1)
    assert _again(named) == named


def test_scores_are_recorded_whole() -> None:
    a, b = match([signal("A", 30), signal("B", 30, amplitude=0.6, seed=1)])
    d = json.loads(json.dumps(score_dict(a), allow_nan=False))
    assert Estimate.from_dict(d["matched"]) == a.matched
    assert d["shifts"] == list(a.shifts) != []
    assert d["noise_by_band"] == pytest.approx(a.noise_by_band)
    assert score_dict(b)["shifts"] == []


@pytest.mark.parametrize("d", [{}, {"event": "pulse"}, {"event": "visit", "target": "M1"}, {"event": "look"}])
def test_anything_else_is_refused(d) -> None:
    with pytest.raises(ValidationProblem, match="no event of a mapping"):
        event_of(d)
