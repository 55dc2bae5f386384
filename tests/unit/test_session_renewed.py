"""A block that goes on after the coil was moved: what was learnt of artifacts is forgotten, what was summed is not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from rtloop.dsp.spec import ChainSpec
from rtloop.model.montage import Montage
from rtloop.model.samples import Epoch
from rtloop.session.line import SignalLine, Spot

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


def _line() -> SignalLine:
    source = SimpleNamespace(montage=MONTAGE, rate_hz=1000.0)
    return SignalLine(source, SPEC, {"M1": Spot(coil_m=MONTAGE.positions_m[4])})  # type: ignore[arg-type]


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


def test_a_chain_that_learns_nothing_has_nothing_to_forget() -> None:
    source = SimpleNamespace(montage=MONTAGE, rate_hz=1000.0)
    line = SignalLine(source, ChainSpec(max_pre_pp_uv=1e4, max_post_pp_uv=1e4), {})  # type: ignore[arg-type]
    line.scorer("M1", "run").process(_epoch(0), 0)
    chain = line.scorer("M1", "run").chain
    assert not line.renew("M1", "run")
    assert line.scorer("M1", "run").chain is chain
