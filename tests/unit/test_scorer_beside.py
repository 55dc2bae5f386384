"""What the scorer gives beside its scores: present, finite or absent in words, and equal to the functions on arrays."""

from __future__ import annotations

import math

import naive_measures
import numpy as np
import pytest
from test_scorer_target import BANDS, MONTAGE, PULSE, RATE, every_estimate, run, trials

from rtloop.dsp.spec import ChainSpec
from rtloop.errors import ValidationProblem
from rtloop.measures.connectivity import RunningConnectivity
from rtloop.measures.contrast import contrasted
from rtloop.measures.oscillation import RunningOscillation
from rtloop.measures.uncertainty import jackknife_se
from rtloop.model.estimate import MEASURES, Scores
from rtloop.model.samples import Epoch
from rtloop.session import beside
from rtloop.session.scorer import TargetScorer


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    monkeypatch.setattr(beside, "HALVES", 4)
    monkeypatch.setattr(beside, "NOISES", 3)


@pytest.fixture(scope="module")
def scorer():
    return run(trials(n=14, seed=2, evoked_uv=8, lag_rad=0.6))


def test_everything_is_there_with_an_error_or_its_reason_in_words(scorer):
    calls = []
    found = scorer.beside(meanwhile=lambda: calls.append(1))
    assert Scores.from_dict(found.to_dict()) == found
    for name, e in every_estimate(found):
        if e.present:
            assert all(map(math.isfinite, (e.value, e.se, e.low, e.high))), name
            assert e.se > 0, name
        else:
            absent = [f"{m}_15-120 " for m in (*MEASURES, "imcoh")]
            assert name.startswith(("ersp_local_db:alpha:15-120", "itc_local:alpha:15-120", *absent)) or (
                name == "itc_local:pooled:15-120"
            ), name
            assert name.endswith((":15-120", "alpha", "pooled")), name
            assert "no instant of a band" in e.why_absent
    assert found.evoked["natural_frequency_hz"].unit == "Hz"
    assert 8 <= found.evoked["natural_frequency_hz"].value <= 13  # the trials hold 10 Hz
    assert found.evoked["pcist"].value > 0
    parts = [f"{m}_{w}" for m in (*MEASURES, "imcoh") for w in ("15-120", "120-180", "180-300")]
    for m in ("dwpli2_shift", "dwpli2_evoked_subtracted", "imcoh", *parts):
        assert tuple(found.connectivity[m]) == ("global", "local")
        assert tuple(found.connectivity[m]["local"]) == BANDS
    assert tuple(found.connectivity["dwpli2_ongoing"]) == ("local", "local_8")
    assert len(calls) > 15


def test_the_numbers_are_those_of_the_twins_on_the_same_trials(scorer):
    re, im, _ = scorer._connectivity.kept()
    a = re.astype(float) + 1j * im
    w = scorer.used()[2][:2]
    found = scorer.beside().connectivity
    twins = {
        "dwpli2_shift": naive_measures.shift_predictor(a),
        "dwpli2_evoked_subtracted": naive_measures.evoked_subtracted(a),
        "imcoh": np.abs(naive_measures.imaginary_coherence(a)),
    }
    for measure, at_points in twins.items():
        for s, scope in enumerate(("global", "local")):
            for band, columns in scorer._connectivity.slices.items():
                wanted = (w[s] @ at_points)[columns].mean()
                assert found[measure][scope][band].value == pytest.approx(wanted, abs=1e-4), (measure, scope)


@pytest.mark.parametrize("windows_s", [((0.18, 0.3),), ((0.1, 0.2), (0.15, 0.25))])
def test_each_part_of_the_window_is_that_of_the_twins_over_its_instants(windows_s):
    scorer = run(trials(n=8, seed=3, evoked_uv=8, lag_rad=0.6), spec=ChainSpec(sub_windows_s=windows_s))
    re, im, _ = scorer._connectivity.kept()
    a, w = re.astype(float) + 1j * im, scorer.used()[2][:2]
    t, bands = scorer.chain.kernels.points_s, scorer._connectivity.slices
    found = scorer.beside()
    for first_s, last_s in windows_s:
        name = f"{1e3 * first_s:.0f}-{1e3 * last_s:.0f}"
        inside = {
            b: np.flatnonzero(
                (t >= first_s - 1e-9)
                & (t <= last_s + 1e-9)
                & (np.arange(t.size) >= s.start)
                & (np.arange(t.size) < s.stop)
            )
            for b, s in bands.items()
        }
        wanted, each = naive_measures.scores(a, inside, w), naive_measures.without_each(a, inside, w)
        coherence = [
            np.abs(naive_measures.imaginary_coherence(a[np.arange(8) != k])) for k in (-1, *range(8))
        ]
        for measure in (*MEASURES, "imcoh"):
            for s, scope in enumerate(("global", "local")):
                got = found.connectivity[f"{measure}_{name}"][scope]
                for j, band in enumerate(bands):
                    if measure == "imcoh":
                        value, *left = [(w[s] @ c)[inside[band]].mean() for c in coherence]
                    else:
                        value, left = wanted[measure][s, j], each[measure][:, s, j]
                    assert got[band].value == pytest.approx(value, abs=1e-4), (measure, scope, band)
                    assert got[band].se == pytest.approx(jackknife_se(np.array(left)), abs=2e-4)
                assert got["pooled"].value == pytest.approx(np.mean([got[b].value for b in bands]), abs=1e-9)
        itc = naive_measures.itc(a, inside)[list(scorer.local_channels)].mean(axis=0)
        for j, band in enumerate(bands):
            e = found.evoked[f"itc_local:{band}:{name}"]
            left = [
                naive_measures.itc(np.delete(a, k, 0), inside)[list(scorer.local_channels), j].mean()
                for k in range(8)
            ]
            assert e.value == pytest.approx(itc[j], abs=1e-5)
            assert e.se == pytest.approx(jackknife_se(np.array(left)), abs=1e-5)
            assert e.low < e.value < e.high
    assert set(found.evoked) >= {f"ersp_local_db:pooled:{name}", f"itc_local:pooled:{name}"}


def test_wider_scopes_are_the_pairs_of_the_8_nearest_and_of_near_with_far(scorer):
    values = scorer._connectivity.pair_values()["dwpli2"][:, 0]
    first, second = np.triu_indices(8, 1)
    near = set(scorer.local_channels)
    scores = scorer.scores()
    assert scores.score("local_8", band="alpha").value == pytest.approx(values.mean())  # of 8 channels, all
    d = np.linalg.norm(MONTAGE.positions_m[first] - MONTAGE.positions_m[second], axis=1)
    d *= [(a in near) != (b in near) for a, b in zip(first, second, strict=True)]
    assert scores.score("seed", band="alpha").value == pytest.approx(d @ values / d.sum())


def test_taken_out_is_never_added_beside_the_scores_too():
    x = trials(n=9)
    scorer = run(x, capacity=2)
    scorer.take_out(4)
    fresh = run(np.delete(x, 4, 0)).beside()
    for (name, a), (_, b) in zip(every_estimate(scorer.beside()), every_estimate(fresh), strict=True):
        assert a.value == pytest.approx(b.value, abs=2e-3, nan_ok=True), name
    kept = (scorer._beside.oscillation.slots, scorer._beside.ongoing.sums.slots)
    assert [k.ids() for k in kept] == [[0, 1, 2, 3, 5, 6, 7, 8]] * 2
    scorer.reinstate(4)
    assert [k.n for k in kept] == [9, 9]


def test_without_coil_or_trials_or_a_long_epoch_the_reasons_are_given():
    found = run(trials(n=5), coil=None).beside()
    assert "no coil position" in found.connectivity["dwpli2_shift"]["local"]["alpha"].why_absent
    assert found.connectivity["dwpli2_shift"]["global"]["alpha"].present
    for name in ("natural_frequency_hz", "ersp_local_db:alpha:120-180"):
        assert "no coil position" in found.evoked[name].why_absent
    assert "no coil position" in found.connectivity["ppc_ongoing"]["local"]["pooled"].why_absent
    assert found.evoked["pcist"].present
    assert not list(every_estimate(run(trials(n=2)).beside()))
    short = TargetScorer(
        "M1", ChainSpec(epoch_s=(-0.3, 0.6), baseline_s=(-0.25, -0.01)), RATE, MONTAGE, MONTAGE.positions_m[2]
    )
    for i, data in enumerate(trials(n=4)):
        short.process(Epoch(data=data, rate_hz=RATE, pulse_sample=PULSE), i)
    found = short.beside()
    assert "too short" in found.evoked["natural_frequency_hz"].why_absent
    assert "too little before the pulse" in found.connectivity["ppc_ongoing"]["local"]["alpha"].why_absent


def test_a_channel_of_no_numbers_and_one_electrode_near_the_coil_leave_numbers_or_words():
    x = trials(n=6)
    x[:, 5] = np.nan
    x[2, 2] = np.inf
    for _, e in every_estimate(run(x).beside()):
        assert e.present or e.why_absent
    one = run(trials(n=5), coil=None, local=(MONTAGE.names[1],))
    assert "too few good channels" in one.scores().score("local").why_absent
    assert one.scores().score("seed").present
    assert one.beside().evoked["natural_frequency_hz"].present


def test_at_equal_n_the_biased_measures_of_the_same_signal_agree_and_can_be_drawn_again():
    x = trials(n=40, seed=3)
    many, few = run(x), run(x[:10])
    a, b = many.at_equal_n(10, draws=6), few.at_equal_n(10, draws=6)
    assert (a.n, a.n_of, a.draws, b.draws, a.seed) == (10, 40, 6, 1, b.seed)
    assert a.to_dict() == many.at_equal_n(10, draws=6).to_dict()
    for m in ("plv", "wpli"):
        raw, at_10, wanted = (
            (m1.connectivity[m]["global"]["pooled"].value) for m1 in (many.scores(), a, few.scores())
        )
        assert raw < 0.85 * wanted
        assert at_10 == pytest.approx(wanted, rel=0.12), m
        assert b.connectivity[m]["global"]["pooled"].value == pytest.approx(wanted, abs=1e-5)
    assert b.evoked["itc_local:alpha"].value == pytest.approx(few.scores().evoked["itc_local:alpha"].value)
    for name in ("gmfp_uv", "lmfp_uv", "early_local_pp_uv"):
        wanted = few.scores().evoked[name]
        assert b.evoked[name].value == pytest.approx(wanted.value, rel=1e-4), name
        assert b.evoked[name].se == pytest.approx(wanted.se, rel=1e-3), name
        assert many.scores().evoked[name].value < 0.8 * a.evoked[name].value, name
    assert a.evoked["pcist"].se > 0
    for n in (2, 41):
        with pytest.raises(ValidationProblem, match=f"at {n} trials"):
            many.at_equal_n(n)


def test_a_block_of_the_same_trials_as_its_control_leaves_nothing():
    x = trials(n=8)
    scores = run(x).scores()
    left = contrasted(scores, scores)
    for name, e in every_estimate(left):
        assert e.value == 0, name
        assert e.se > 0
    other = contrasted(scores, run(x[:6]).scores())
    assert other.score("global").present
    assert "8 real and 6 control" in other.connectivity["plv"]["global"]["alpha"].why_absent
    assert other.evoked["snr"].present


def test_a_trial_cleaned_again_counts_as_if_it_had_come_so_and_an_operators_word_holds():
    spec = ChainSpec(
        muscle=True, decay=False, spatial_first=4, spatial_channels=8, reclean_earlier=True, max_post_pp_uv=2000.0
    )  # fmt: skip
    x = trials(n=7, seed=5, evoked_uv=8, lag_rad=0.6)
    x[:, :4, 801:830] += 400 * np.random.default_rng(1).standard_normal((7, 1, 29)) * np.hanning(29)
    scorer = TargetScorer("M1", spec, RATE, MONTAGE, MONTAGE.positions_m[2], capacity=2)
    seen = {}
    for i, data in enumerate(x):
        seen[i] = scorer.process(Epoch(data=data, rate_hz=RATE, pulse_sample=PULSE), i)
        if i == 2:
            scorer.take_out(1)
            scorer._beside.oscillation.power()  # what is transformed by now is transformed again
        for k in scorer.earlier():
            seen[k] = scorer.again(k, overruled=k == 1)
    assert [t.verdict.numbers["spatial_trials"] for t in seen.values()] == [4] * 7
    fresh = RunningConnectivity(8, scorer._connectivity.slices)
    evoked, powers = 0.0, scorer._beside.oscillation.power()
    for i, trial in seen.items():
        if i != 1:
            fresh.add(i, trial.analytic_re, trial.analytic_im, trial.good)
            evoked = evoked + trial.eeg_uv[:, scorer.kept] / 6
    assert scorer.n_accepted == 6
    for m, values in fresh.pair_values().items():
        np.testing.assert_allclose(scorer._connectivity.pair_values()[m], values, atol=2e-5)
    np.testing.assert_allclose(scorer.average(), evoked, atol=1e-4)
    again = RunningOscillation(4, scorer.chain.times_s, spec.gap_s[0])
    for i, trial in seen.items():
        again.add(i, trial.eeg_uv[list(scorer.local_channels)], trial.good[:4], counts=i != 1)
    for a, b in zip(powers, again.power(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    assert scorer._beside.ongoing.sums.slots.ids() == [0, 2, 3, 4, 5, 6]
    assert not scorer.connectivity.slots.counts(1)
    with pytest.raises(ValidationProblem, match="trial 9 is unknown"):
        fresh.replace(9, seen[0].analytic_re, seen[0].analytic_im)
