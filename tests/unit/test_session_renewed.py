"""A block that goes on after the coil was moved: what was learnt of artifacts is forgotten, what was summed is not."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from rtloop.dsp.spec import ChainSpec
from rtloop.model.montage import Montage
from rtloop.model.pulse import PulseSeen, Source
from rtloop.model.samples import Epoch
from rtloop.session.line import Again, Label, SignalLine, Spot
from rtloop.session.ongoing import Ongoing

NAMES = (
    "Fp1",
    "Fp2",
    "F3",
    "F4",
    "C3",
    "C4",
    "P3",
    "P4",
    "O1",
    "O2",
    "F7",
    "F8",
    "T7",
    "T8",
    "P7",
    "P8",
    "Fz",
    "Cz",
)
MONTAGE = Montage.from_names(NAMES)
SPEC = ChainSpec(
    decay=False, muscle=True, spatial_first=4, spatial_every=2, max_pre_pp_uv=1e4, max_post_pp_uv=1e4
)


def _line(spec: ChainSpec = SPEC) -> SignalLine:
    """A line over a stream that has the epoch ``k`` from sample 5000 k on."""
    source = SimpleNamespace(
        montage=MONTAGE, rate_hz=1000.0, valid=lambda first, count: True, head=lambda: 10**9,
        window=lambda first, count: SimpleNamespace(data=_epoch(first // 5000).data.T),
    )  # fmt: skip
    return SignalLine(source, spec, {"M1": Spot(coil_m=MONTAGE.positions_m[4])})  # type: ignore[arg-type]


def _visit(line: SignalLine, epochs: range) -> list[Again]:
    """Judge these epochs as trials of M1, cleaning earlier ones again as a session does."""
    again = []
    for k in epochs:
        seen = PulseSeen(sample=5000 * k + 800, source=Source.ARTIFACT, t_s=5.0 * k)
        line.take(seen, Label(pulse_id=k, target="M1", block="run"))
        (trial,) = line.trials()
        assert trial.verdict.accepted
        again += [line.again(i) for i in line.earlier()]
    return again


def _epoch(k: int) -> Epoch:
    rng = np.random.default_rng(k)
    data = rng.standard_normal((len(NAMES), 1401)).cumsum(axis=1) * 0.5
    return Epoch(data=data.astype(np.float32), rate_hz=1000.0, pulse_sample=800, first=0)


def test_the_trials_after_it_are_cleaned_as_at_a_first_visit_and_the_earlier_ones_stay() -> None:
    line, fresh = _line(), _line()
    assert not line.renew("M1", "run")  # nothing was learnt yet
    scorer, first = line.scorer("M1", "run"), fresh.scorer("M1", "run")
    for k in range(6):
        trial = scorer.process(_epoch(k), k)
        line.filters.note("M1", k, scorer.chain)
    assert trial.verdict.numbers["spatial_trials"] >= 4
    before = scorer.n_accepted
    assert line.renew("M1", "run")
    for k in range(6, 12):
        again, new = scorer.process(_epoch(k), k), first.process(_epoch(k), k)
        line.filters.note("M1", k, scorer.chain)
        assert again.verdict.numbers["spatial_trials"] == new.verdict.numbers["spatial_trials"]
        assert np.array_equal(again.analytic_re, new.analytic_re)
        assert np.array_equal(again.eeg_uv, new.eeg_uv)
    assert scorer.n_accepted == before + first.n_accepted == 12
    assert line.filters.words("M1", SPEC).endswith("; 1 return visit learnt a filter of its own")
    line.filters.forget("M1")
    assert "return visit" not in line.filters.words("M1", SPEC)


@pytest.mark.parametrize("return_filter", ["fresh", "kept"])
def test_earlier_trials_of_each_visit_are_cleaned_again_by_the_filter_of_their_visit(
    return_filter: str,
) -> None:
    line = _line(replace(SPEC, reclean_earlier=True))
    line.ongoing = Ongoing()
    again = _visit(line, range(6))
    assert [(a.trial.trial_id, a.left) for a in again] == [(0, 3), (1, 2), (2, 1), (3, 0)]
    first = line.ongoing.signal("M1", line.scorer("M1", "run"))
    if return_filter == "fresh":
        assert line.renew("M1", "run")
    again = _visit(line, range(6, 12))
    assert [a.trial.trial_id for a in again] == ([6, 7, 8, 9] if return_filter == "fresh" else [])
    assert all(a.cleaned and not a.changed for a in again)
    numbers = [f.numbers["spatial_trials"] for f in line.facts["M1"].values()]
    assert numbers == [4] * 6 + ([4] * 6 if return_filter == "fresh" else [6, 6, 8, 8, 10, 10])
    both = line.ongoing.signal("M1", line.scorer("M1", "run"))
    assert both.n == line.scorer("M1", "run").n_accepted == 12  # each once
    other = _line(line.spec)
    other.ongoing = Ongoing()
    _visit(other, range(6, 12))
    alone = other.ongoing.signal("M1", other.scorer("M1", "run"))
    for name in ("re", "im", "ongoing_re", "ongoing_im", "good"):
        now = getattr(both, name)
        assert np.array_equal(now[:6], getattr(first, name))  # what was summed before stays
        if return_filter == "fresh":
            assert np.array_equal(now[6:], getattr(alone, name))  # as a first visit
    words = line.filters.words("M1", line.spec)
    if return_filter == "fresh":
        assert "8 before that were cleaned again by the first filter of their visit" in words
    else:
        assert "4 before that were cleaned again by the first filter, which" in words


def test_a_chain_that_learns_nothing_has_nothing_to_forget() -> None:
    source = SimpleNamespace(montage=MONTAGE, rate_hz=1000.0)
    line = SignalLine(source, ChainSpec(max_pre_pp_uv=1e4, max_post_pp_uv=1e4), {})  # type: ignore[arg-type]
    line.scorer("M1", "run").process(_epoch(0), 0)
    chain = line.scorer("M1", "run").chain
    assert not line.renew("M1", "run")
    assert line.scorer("M1", "run").chain is chain
