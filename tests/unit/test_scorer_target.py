"""The scorer as the live loop and the offline entry use it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtloop.dsp.spec import ChainSpec
from rtloop.errors import ValidationProblem
from rtloop.measures.uncertainty import jackknife_se
from rtloop.model.estimate import BANDS_HZ, MEASURES, Scores
from rtloop.model.montage import Montage, names_for
from rtloop.model.samples import Epoch
from rtloop.session.scorer import TargetScorer, score_trials

RATE = 1000.0
PULSE = 800
MONTAGE = Montage.from_names(names_for(8))
BANDS = (*BANDS_HZ, "pooled")


def trials(n=12, seed=0, evoked_uv=0.0, lag_rad=0.0, channels=8):
    rng = np.random.default_rng(seed)
    t = (np.arange(1401) - PULSE) / RATE
    spectrum = (
        np.fft.rfft(rng.standard_normal((n, channels, 2802)))
        / np.maximum(np.fft.rfftfreq(2802, 1 / RATE), 1) ** 0.5
    )
    x = np.fft.irfft(spectrum)[..., :1401]
    x *= 6 / x.std()
    bump = np.exp(-(((t - 0.15) / 0.1) ** 2))
    phase = lag_rad * np.arange(channels)[None, :, None] + rng.uniform(0, 2 * np.pi, (n, 1, 1))
    return (x + evoked_uv * bump * np.cos(2 * np.pi * 10 * t - phase)).astype(np.float32)


def every_estimate(scores: Scores):
    yield from ((k, e) for k, e in scores.evoked.items())
    for m, scopes in scores.connectivity.items():
        for s, bands in scopes.items():
            yield from ((f"{m} {s} {b}", e) for b, e in bands.items())


def run(x, **kw):
    spec = kw.pop("spec", ChainSpec())
    scorer = TargetScorer("M1", spec, RATE, MONTAGE, kw.pop("coil", MONTAGE.positions_m[2]), **kw)
    for i, data in enumerate(x):
        scorer.process(Epoch(data=data, rate_hz=RATE, pulse_sample=PULSE), i)
    return scorer


def test_everything_is_there_finite_and_serialisable():
    scores = run(trials()).scores()
    assert scores.n_accepted == 12
    for m in MEASURES:
        for s in ("global", "local"):
            assert tuple(scores.connectivity[m][s]) == BANDS
    for name, e in every_estimate(scores):
        assert e.present, (name, e.why_absent)
        assert all(map(math.isfinite, (e.value, e.se, e.low, e.high))), name
        assert e.low <= e.value <= e.high, name
    assert {"gmfp_uv", "lmfp_uv", "snr", "snr:alpha", "itc_local:alpha", "early_local_pp_uv"} <= set(
        scores.evoked
    )
    assert tuple(scores.connectivity["dwpli2"]) == ("global", "local", "local_8", "seed")
    assert tuple(scores.connectivity["plv"]) == ("global", "local")
    assert {scores.evoked[f"ersp_local_db:{b}"].unit for b in BANDS} == {"dB"}
    assert Scores.from_dict(scores.to_dict()) == scores
    for m in MEASURES:
        bands = scores.connectivity[m]["global"]
        assert bands["pooled"].value == pytest.approx(np.mean([bands[b].value for b in BANDS_HZ]))


def test_streaming_equals_batch_and_the_float64_twin():
    x = trials()
    live = run(x).scores()
    batch = score_trials(
        x, rate_hz=RATE, montage=MONTAGE, pulse_sample=PULSE, target="M1", coil=MONTAGE.names[2]
    )
    exact = score_trials(
        x, rate_hz=RATE, montage=MONTAGE, pulse_sample=PULSE, coil=MONTAGE.positions_m[2], exact=True
    )
    assert live == batch.scores
    for (name, a), (_, b) in zip(every_estimate(live), every_estimate(exact.scores), strict=True):
        assert a.value == pytest.approx(b.value, abs=1e-5), name
        assert a.se == pytest.approx(b.se, rel=1e-3, abs=1e-6), name
    assert np.allclose(batch.average_uv, run(x).average())
    assert batch.average_uv.shape == (8, batch.times_s.size)


def test_jackknife_se_equals_scoring_again_without_each_trial():
    x = trials(n=6, evoked_uv=8, lag_rad=0.6)
    scores = run(x).scores()
    again = [run(np.delete(x, i, 0)).scores() for i in range(6)]
    for k, (name, e) in enumerate(every_estimate(scores)):
        each = np.array([list(every_estimate(a))[k][1].value for a in again])
        assert e.se == pytest.approx(float(jackknife_se(each)), rel=2e-3, abs=1e-5), name


def test_taken_out_is_never_added_and_reinstated_is_never_taken_out():
    x = trials()
    whole = run(x).scores()
    scorer = run(x, capacity=1)
    assert scorer.take_out(4)
    assert not scorer.take_out(4)
    fresh = run(np.delete(x, 4, 0)).scores()
    out = scorer.scores()
    assert (out.n_accepted, out.n_rejected) == (11, 1)
    for (name, a), (_, b) in zip(every_estimate(out), every_estimate(fresh), strict=True):
        assert a.value == pytest.approx(b.value, abs=2e-5), name
    assert scorer.reinstate(4)
    for (name, a), (_, b) in zip(every_estimate(scorer.scores()), every_estimate(whole), strict=True):
        assert a.value == pytest.approx(b.value, abs=2e-5), name
    with pytest.raises(ValidationProblem, match="unknown"):
        scorer.take_out(400)


def test_coupling_is_seen_and_its_absence_reads_zero_within_the_interval():
    coupled = run(trials(n=40, seed=1, evoked_uv=8, lag_rad=0.6)).scores()
    alone = run(trials(n=40, seed=1)).scores()
    e = coupled.score("global", band="alpha")
    assert e.low > 0.1
    assert e.value > 0.2
    nothing = alone.score("global")
    assert abs(nothing.value) < 4 * nothing.se
    assert coupled.evoked["snr:alpha"].low > 0.3
    assert coupled.evoked["ersp_local_db:alpha"].low > 1 > alone.evoked["ersp_local_db:alpha"].high
    assert coupled.evoked["snr:alpha"].value > alone.evoked["snr:alpha"].high


def test_a_rejected_trial_is_counted_apart_and_may_be_reinstated():
    x = trials()
    x[3] += 3000 * (np.arange(1401) > 1000)[None, :] * np.arange(8)[:, None]
    scorer = run(x)
    scores = scorer.scores()
    assert (scores.n_accepted, scores.n_rejected) == (11, 1)
    assert scores.score("global").value == pytest.approx(
        run(np.delete(x, 3, 0)).scores().score("global").value, abs=1e-5
    )
    assert scorer.reinstate(3)
    assert scorer.scores().n_accepted == 12


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_than_three_trials_say_so(n):
    scores = run(trials(n=3)[:n]).scores()
    for name, e in every_estimate(scores):
        assert not e.present, name
        assert f"only {n} accepted" in e.why_absent


def test_all_rejected_or_all_flat_say_so():
    scores = run(np.zeros((5, 8, 1401), dtype=np.float32)).scores()
    assert (scores.n_accepted, scores.n_rejected) == (0, 5)
    assert all("only 0 accepted trial(s) of 5" in e.why_absent for _, e in every_estimate(scores))
    assert not run(np.full((3, 8, 1401), np.nan, dtype=np.float32)).average().any()


def test_a_nan_channel_is_left_out_and_the_rest_equals_a_recording_with_it_declared_bad():
    x = trials()
    declared = run(x, bad_channels=(MONTAGE.names[5],)).scores()
    x[:, 5] = np.nan
    found = run(x).scores()
    assert declared == found
    assert found.score("global").present


def test_local_is_absent_in_words_without_a_coil_or_good_electrodes_near_it():
    scores = run(trials(), coil=None).scores()
    assert "no coil position" in scores.score("local").why_absent
    assert "no coil position" in scores.evoked["lmfp_uv"].why_absent
    for scope in ("local_8", "seed"):
        assert "no coil position" in scores.score(scope).why_absent
    assert scores.score("global").present
    x = trials(channels=8)
    near = MONTAGE.nearest(MONTAGE.positions_m[2], 3)
    spec = ChainSpec(max_bad_channels_pct=60, min_channels=3)
    scorer = TargetScorer(
        "M1", spec, RATE, MONTAGE, MONTAGE.positions_m[2], bad_channels=[MONTAGE.names[c] for c in near]
    )
    for i, data in enumerate(x):
        scorer.process(Epoch(data=data, rate_hz=RATE, pulse_sample=PULSE), i)
    assert "too few good channels near the coil" in scorer.scores().score("local").why_absent


def test_rank_deficient_and_duplicate_channels_give_numbers():
    x = trials()
    x[:, 1] = x[:, 0]
    x[:, 7] = x[:, :4].mean(axis=1)
    assert all(e.present for _, e in every_estimate(run(x).scores()))


def test_without_new_standard_errors_the_last_is_carried_on_by_sqrt_n():
    x = trials(n=16)
    scorer = run(x[:8])
    first = scorer.scores()
    for i in range(8, 16):
        scorer.process(Epoch(data=x[i], rate_hz=RATE, pulse_sample=PULSE), i)
    quick, exact = scorer.scores(se=False), scorer.scores()
    for (name, q), (_, e), (_, f) in zip(
        every_estimate(quick), every_estimate(exact), every_estimate(first), strict=True
    ):
        assert q.value == pytest.approx(e.value, abs=1e-12), name
        assert q.se == pytest.approx(f.se * math.sqrt(8 / 16)), name


def test_a_short_recording_is_scored_over_what_it_offers():
    x = trials()[:, :, 300:1301]  # -500..+500 ms
    r = score_trials(x, rate_hz=RATE, montage=MONTAGE.names, pulse_sample=500, coil=MONTAGE.names[0])
    assert r.spec.epoch_s == (-0.5, 0.5)
    assert r.scores.score("global").present
    assert r.leakage["alpha"].points_s[-1] < 0.3  # stated, not hidden
    assert all(e.present or e.why_absent for _, e in every_estimate(r.scores))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trials": np.zeros((8, 1401), dtype=np.float32)}, "wrong shape"),
        ({"trials": np.zeros((0, 8, 1401), dtype=np.float32)}, "wrong shape"),
        ({"pulse_sample": 2000}, "pulse lies outside"),
        ({"rate_hz": float("nan")}, "pulse lies outside"),
        ({"rate_hz": 250.0}, "sampling rate"),
        ({"coil": "C9x"}, "no such channel"),
        ({"montage": ["Cz", "wrong", *MONTAGE.names[2:]]}, "no known position"),
    ],
)
def test_wrong_requests_are_refused_in_words(change, words):
    ask = {"trials": trials(n=3), "rate_hz": RATE, "montage": MONTAGE, "pulse_sample": PULSE} | change
    with pytest.raises(ValidationProblem, match=words):
        score_trials(ask.pop("trials"), **ask)


def test_an_id_twice_is_refused_before_anything_changes():
    x = trials(n=4)
    scorer = run(x)
    before = scorer.scores()
    with pytest.raises(ValidationProblem, match="already there"):
        scorer.process(Epoch(data=x[0], rate_hz=RATE, pulse_sample=PULSE), 0)
    assert scorer.scores() == before


def test_trial_carries_stage_times_and_target():
    scorer = run(trials(n=1))
    trial = scorer.process(Epoch(data=trials(n=2)[1], rate_hz=RATE, pulse_sample=PULSE), 7)
    assert trial.target == "M1"
    assert trial.trial_id == 7
    assert "add" in trial.stage_s
