"""Looks whatever the numbers are, and how often they are wrong on normal scores (fixed seeds)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from decide_tools import FINE, candidate, score
from hypothesis import given, settings
from hypothesis import strategies as st

from rtloop.decide import boundary
from rtloop.decide.look import Candidate, LookSpec, Outcome, look
from rtloop.decide.mapping import Question
from rtloop.decide.shrinkage import shrunk
from rtloop.errors import ValidationProblem
from rtloop.model.estimate import Estimate

_EASY = settings(max_examples=100, deadline=None, derandomize=True)
_NUMBER = st.floats(-1, 1).map(lambda x: round(x, 5))
_SE = st.floats(1e-4, 1).map(lambda x: round(x, 5))
_MAPS = st.lists(st.tuples(_NUMBER, _NUMBER, _SE, st.integers(3, 300)), min_size=2, max_size=6)
LOW = LookSpec(question=Question.LOW, n0=3)


def _made(rows, scale=1.0, sign=1.0, origin=0.0):
    return [
        candidate(f"t{k}", sign * scale * (r + origin), sign * scale * (m + origin), se=scale * se, n=n)
        for k, (r, m, se, n) in enumerate(rows)
    ]


@_EASY
@given(_MAPS, st.integers(1, 2))
def test_neither_order_unit_origin_nor_sign_matter(rows, number) -> None:
    plain = look(_made(rows), FINE, LOW, number)
    assert look(_made(rows)[::-1], FINE, LOW, number) == plain
    bigger = look(_made(rows, scale=64.0), FINE, LOW, number)
    assert (bigger.outcome, bigger.leader) == (plain.outcome, plain.leader)
    high = replace(LOW, question=Question.HIGH)
    turned = look(_made(rows, sign=-1.0), FINE, high, number)
    assert (turned.outcome, turned.leader, turned.challenger) == (
        plain.outcome,
        plain.leader,
        plain.challenger,
    )


@_EASY
@given(_MAPS)
def test_a_name_beats_all_others_on_both_scores(rows) -> None:
    """Twin: the definition, written out."""
    made = _made(rows)
    found = look(made, FINE, LOW, 2)
    winners = [
        a.target
        for a in made
        if all(
            (getattr(b, s).value - getattr(a, s).value) / math.hypot(getattr(a, s).se, getattr(b, s).se) >= 1.9
            for b in made if b is not a for s in ("raw", "matched")
        )
    ]  # fmt: skip
    assert (found.outcome is Outcome.NAMED) == bool(winners)
    if winners:
        assert winners == [found.leader]


@_EASY
@given(_MAPS, st.integers(3, 400))
def test_never_below_n0(rows, n0) -> None:
    found = look(_made(rows), FINE, replace(LOW, n0=n0), 1)
    assert (found.outcome is Outcome.NOT_COMPARABLE) == (min(n for *_, n in rows) < n0)


def _course(rng: np.random.Generator, truth: np.ndarray, spec: LookSpec) -> tuple[int | None, int]:
    """Normal scores; raw and matched are one (the worst case for agreement). Returns (named, pulses)."""
    s100 = np.exp(0.25 * rng.standard_normal(truth.size))
    n = np.full(truth.size, spec.n0)
    total = spec.n0 * truth + np.sqrt(spec.n0) * 10 * s100 * rng.standard_normal(truth.size)
    for number in range(1, spec.looks + 1):
        made = []
        for k in range(truth.size):
            e = score(total[k] / n[k], 10 * s100[k] / math.sqrt(n[k]), n=int(n[k]))
            made.append(Candidate(target=f"t{k}", visits=1, raw=e, matched=e))
        found = look(made, FINE, spec, number)
        if found.outcome is not Outcome.RETURN:
            break
        for k in (int(found.leader[1:]), int(found.challenger[1:])):
            total[k] += spec.block * truth[k] + math.sqrt(spec.block) * 10 * s100[k] * rng.standard_normal()
            n[k] += spec.block
    return (int(found.leader[1:]) if found.outcome is Outcome.NAMED else None), int(n.sum())


@pytest.mark.parametrize(
    ("n0", "block", "looks", "decided_gap_3"),
    [(100, 100, 1, 38), (60, 90, 2, 44), (60, 45, 3, 45), (100, 100, 2, 64)],
)
def test_wrong_names_in_the_near_tie(n0: int, block: int, looks: int, decided_gap_3: int) -> None:
    """Two lowest tied, two far: the wrong one of the two is named in at most 5 %. Gap 3: as often as the note says."""
    spec = LookSpec(question=Question.LOW, n0=n0, block=block, looks=looks)
    rng, draws = np.random.default_rng([7, n0, looks]), 2000
    named = [_course(rng, np.array([0.0, 0.0, 12.0, 12.0]), spec)[0] for _ in range(draws)]
    wrong = sum(k is not None and k != 0 for k in named) / draws
    assert wrong <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / draws)
    assert wrong > 0.02  # the boundary is not wider than it has to be
    named = [_course(rng, np.array([0.0, 3.0, 3.0, 3.0]), spec)[0] for _ in range(600)]
    assert sum(k == 0 for k in named) / 600 == pytest.approx(decided_gap_3 / 100, abs=0.06)
    assert sum(k not in (0, None) for k in named) / 600 < 0.01


def test_boundary_values() -> None:
    assert [boundary.z_needed(k) for k in range(1, 6)] == [1.65, 1.90, 2.00, 2.07, 2.12]
    for wrong in (0, 6):
        with pytest.raises(ValidationProblem):
            boundary.z_needed(wrong)
    assert boundary.chance_left(0.0, 2.0, 1.0) == pytest.approx(1.28)
    assert boundary.chance_left(1.0, 1.0, 1.0) == pytest.approx(1.0)
    assert boundary.separation(0.1, 0.0, 0.0) == math.inf


def test_shrinkage_gains_what_the_note_says_and_hides_change() -> None:
    """K = 3: SEM falls 37 % when the day-to-day SD is half the SE, 21 % when it is equal."""
    past = [score(0.2, 0.1)] * 3
    for day_sd, gain in ((0.05, 0.37), (0.1, 0.21)):
        rng = np.random.default_rng(1)
        true = rng.normal(0, day_sd, (20_000, 4))
        seen = true + rng.normal(0, 0.1, true.shape)
        errors = [
            shrunk(score(x[3], 0.1), [score(p, 0.1) for p in x[:3]], day_sd).value - t[3]
            for x, t in zip(seen[:4000], true[:4000], strict=True)
        ]
        assert 1 - np.std(errors) / 0.1 == pytest.approx(gain, abs=0.025)
    found = shrunk(score(0.4, 0.1), past, 0.05)
    assert 0.2 < found.value < 0.3
    assert found.se < 0.1
    for none in (
        shrunk(Estimate.absent("no trial"), past, 0.1),
        shrunk(score(0.2, 0.1), [], 0.1),
        shrunk(score(0.2, 0.1), [Estimate.absent("x")], 0.1),
        shrunk(score(0.2, 0.1), past, math.nan),
        shrunk(score(0.2, 0.0), past, 0.1),
    ):
        assert none.why_absent
