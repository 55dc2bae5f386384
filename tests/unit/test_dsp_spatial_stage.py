"""The spatial stage in the chain: past pulses only, and a stated outcome for every kind of bad input."""

from __future__ import annotations

import numpy as np
import pytest

from rtloop.dsp.chain import Chain
from rtloop.dsp.spec import ChainSpec
from rtloop.errors import ValidationProblem
from rtloop.model.montage import Montage, names_for
from rtloop.model.samples import Epoch
from rtloop.sphere import leadfield

RATE, PULSE, N = 1000.0, 800, 24
MONTAGE = Montage.from_names(names_for(N))
SPEC = ChainSpec(sound=True, muscle=True, spatial_first=4, spatial_every=3, quality=False, decay=False)
TIMES = (np.arange(1401) - PULSE) / RATE


def brain(n, seed=0):
    """float32[n, N, 1401] µV: 80 pink dipoles, average-referenced."""
    rng = np.random.default_rng(seed)
    where = np.random.default_rng(99).standard_normal((80, 3))
    where[:, 2] = np.abs(where[:, 2])
    field = leadfield(MONTAGE.positions_m, 0.07 * where / np.linalg.norm(where, axis=1)[:, None])
    f = np.fft.rfftfreq(1500, 1 / RATE)
    spectrum = np.fft.rfft(rng.standard_normal((n, 80, 1500))) / np.maximum(f, 2.0)
    x = np.einsum("cs,kst->kct", field, np.fft.irfft(spectrum)[:, :, :1401])
    return (6 * (x - x.mean(axis=1, keepdims=True)) / x.std()).astype(np.float32)


def jaw(n, seed=0):
    """Muscle answer of two fields, 150 Hz and the slow flank of its second peak, sizes vary by trial."""
    rng = np.random.default_rng(seed + 1000)
    near = np.exp(
        -(np.linalg.norm(MONTAGE.positions_m - MONTAGE.positions_m[[3, 8]][:, None], axis=2) ** 2) / 0.002
    )
    t = np.maximum(TIMES, 0.0)
    ripple = np.sin(2 * np.pi * 150 * t) * np.exp(-0.5 * ((t - 0.012) / 0.008) ** 2) * (TIMES > 0)
    flank = np.exp(-0.5 * ((t - 0.0105) / 0.0025) ** 2) * (TIMES > 0)
    size = rng.lognormal(0, 0.4, (n, 2, 2))
    return (200 * np.einsum("kpq,pc,qt->kct", size, near, np.stack([ripple, flank]))).astype(np.float32)


def noisy(n, seed=0):
    rng = np.random.default_rng(seed + 2000)
    return brain(n, seed) + jaw(n, seed) + rng.standard_normal((n, N, 1401)).astype(np.float32)


def run(data, spec=SPEC, between=False, chain=None):
    chain = chain or Chain(spec, rate_hz=RATE, montage=MONTAGE)
    out = []
    for i, x in enumerate(data):
        out.append(chain.process(Epoch(data=x, rate_hz=RATE, pulse_sample=PULSE), trial_id=i))
        if between:
            chain.spatial.prepare()
    return out


def agreement(trials, truth):
    late = (TIMES > 0.0125) & (TIMES < 0.05)
    return np.mean([
        np.corrcoef((t.eeg_uv[:, late]).ravel(), x[:, late].ravel())[0, 1]
        for t, x in zip(trials, truth, strict=True)
    ])  # fmt: skip


DATA = noisy(16)
USUAL = run(DATA)


def test_trials_after_the_first_few_are_much_nearer_to_the_truth():
    plain = run(DATA, ChainSpec(quality=False, decay=False))
    truth = brain(16)
    assert agreement(plain[4:], truth[4:]) < 0.6
    assert agreement(USUAL[4:], truth[4:]) > 0.75
    assert "spatial_trials" not in plain[5].verdict.numbers
    assert [t.verdict.numbers["spatial_trials"] for t in USUAL] == [0] * 4 + [4] * 3 + [7] * 3 + [10] * 3 + [
        13
    ] * 3
    assert USUAL[-1].verdict.numbers["spatial_patterns"] == 2
    assert np.array_equal(USUAL[0].eeg_uv, plain[0].eeg_uv)


def test_a_trial_is_cleaned_by_the_past_alone_and_work_between_pulses_changes_nothing():
    other = DATA.copy()
    other[9] = 3 * noisy(1, seed=77)[0]
    changed = run(other)
    for k in range(9):
        assert np.array_equal(changed[k].eeg_uv, USUAL[k].eeg_uv)
    alone = run(other[9:10], chain=_after(DATA[:9]))
    assert np.array_equal(changed[9].eeg_uv, alone[0].eeg_uv)
    assert not np.array_equal(changed[12].eeg_uv, USUAL[12].eeg_uv)
    for a, b in zip(run(DATA, between=True), USUAL, strict=True):
        assert np.array_equal(a.eeg_uv, b.eeg_uv)


def test_work_between_pulses_changes_nothing_where_a_channel_was_lost_and_returns():
    broken = DATA.copy()
    broken[:8, 5] = 0.0
    for a, b in zip(run(broken, between=True), run(broken), strict=True):
        assert np.array_equal(a.eeg_uv, b.eeg_uv)
        assert a.verdict.numbers == b.verdict.numbers


def _after(data):
    chain = Chain(SPEC, rate_hz=RATE, montage=MONTAGE)
    run(data, chain=chain)
    return chain


@pytest.mark.parametrize(("size_uv", "at_s", "width_s"), [(4.0, 0.022, 0.004), (8.0, 0.016, 0.002)])
def test_an_early_answer_of_the_cortex_is_not_taken_for_an_artifact(size_uv, at_s, width_s):
    field = leadfield(MONTAGE.positions_m, MONTAGE.positions_m[10:11] * (0.07 / 0.088))[:, 0]
    field = size_uv * (field - field.mean()) / field.std()
    course = np.exp(-0.5 * ((TIMES - at_s) / width_s) ** 2) * (TIMES > 0)
    answer = (field[:, None] * course).astype(np.float32)
    quiet = brain(12) + 0.5 * np.random.default_rng(5).standard_normal((12, N, 1401)).astype(np.float32)
    shown = (TIMES > 0.0125) & (course > 0.1)

    def survival(spec):
        pair = []
        for last in (quiet[11] + answer, quiet[11]):
            chain = Chain(spec, rate_hz=RATE, montage=MONTAGE)
            run(quiet[:11] + answer, chain=chain)
            pair.append(run([last], chain=chain)[0].eeg_uv)
        got = (pair[0] - pair[1])[:, shown]
        return float(np.sum(got * answer[:, shown]) / np.sum(answer[:, shown] ** 2))

    assert survival(SPEC) > 0.85
    published = ChainSpec.from_dict({**SPEC.to_dict(), "muscle_fast": False, "muscle_allowance": 0.0})
    assert survival(published) < 0.5  # why the allowance is there


def test_a_lost_channel_changes_the_filter_at_once_and_a_returning_one_waits():
    chain = _after(DATA[:8])
    lost = DATA[8].copy()
    lost[5] = np.nan
    trial = run([lost], chain=chain)[0]
    assert trial.verdict.numbers["spatial_trials"] == 8
    assert list(trial.bad_channels) == [5]
    assert np.isfinite(trial.eeg_uv).all()
    assert not trial.eeg_uv[5].any()
    assert agreement([trial], brain(16)[8:9]) > 0.7
    broken = DATA[:10].copy()
    broken[:8, 5] = 0.0
    back = run(broken)
    assert "flat" in back[7].bad_channels[5]
    assert "fewer than 4 trials" in back[8].bad_channels[5]
    later = run(DATA[10:14], chain=_after(broken))
    assert 5 not in later[3].bad_channels
    assert later[3].eeg_uv[5].any()


def test_too_few_good_channels_or_dimensions_leave_the_trial_as_it_was_and_say_so():
    chain = _after(DATA[:6])
    few = DATA[6].copy()
    few[:10] = 0.0
    trial = run([few], chain=chain)[0]
    assert trial.verdict.numbers["spatial_trials"] == 0
    assert "14 good channels, at least 16" in chain.spatial.why
    alike = DATA[:8].copy()
    alike[:, 12:] = alike[:, :12]
    chain = Chain(SPEC, rate_hz=RATE, montage=MONTAGE)
    assert run(alike, chain=chain)[-1].verdict.numbers["spatial_trials"] == 0
    assert "dimensions" in chain.spatial.why
    one_pair = DATA[:8].copy()
    one_pair[:, 12] = one_pair[:, 11]
    last = run(one_pair)[-1]
    assert last.verdict.numbers["spatial_trials"] == 7
    assert np.isfinite(last.eeg_uv).all()


def test_rejected_trials_teach_only_if_rejected_for_what_is_cleaned():
    chain = Chain(
        ChainSpec(sound=True, muscle=True, spatial_first=4, decay=False), rate_hz=RATE, montage=MONTAGE
    )
    wild = DATA[:3].copy()
    wild[:, :, 300:310] += 900 * np.sign(MONTAGE.positions_m[:, :1]).astype(np.float32)
    assert all("pre pulse" in t.verdict.words() for t in run(wild, chain=chain))
    assert chain.spatial.trials == 0
    gone = np.full_like(DATA[0], np.nan)
    assert not run([gone], chain=chain)[0].verdict.accepted
    assert chain.spatial.trials == 0
    loud = DATA[:5] + 6 * jaw(5, seed=3)
    trials = run(loud, chain=chain)
    assert "post pulse" in trials[0].verdict.words()
    assert chain.spatial.trials == 5
    assert trials[4].verdict.numbers["muscle_post_uv"] < 0.2 * trials[3].verdict.numbers["muscle_post_uv"]


def test_the_bridge_is_cleaned_too_and_nothing_before_it_is_touched():
    plain = run(DATA, ChainSpec(quality=False, decay=False))[15]
    trial = USUAL[15]
    spec = ChainSpec.from_dict({**SPEC.to_dict(), "sound": False})
    alone = run(DATA, spec)[15]
    before, late = TIMES < -0.0105, TIMES > 0.1045
    np.testing.assert_allclose(alone.eeg_uv[:, before], plain.eeg_uv[:, before], atol=1e-4)
    np.testing.assert_allclose(alone.eeg_uv[:, late], plain.eeg_uv[:, late], atol=1e-4)
    gap = (TIMES > 0.004) & (TIMES < 0.012)
    assert np.abs(trial.eeg_uv[:, gap]).max() < 0.4 * np.abs(plain.eeg_uv[:, gap]).max()
    assert not trial.valid[gap].any()


def test_reconstruction_from_sources_is_a_switch():
    spec = ChainSpec.from_dict({**SPEC.to_dict(), "muscle_sources": True, "muscle_until_s": 0.06})
    trials = run(DATA[:10], spec)
    assert agreement(trials[4:], brain(16)[4:10]) > 0.7
    assert not np.array_equal(trials[9].eeg_uv, USUAL[9].eeg_uv)


def test_contradictions_and_old_records():
    with pytest.raises(ValidationProblem, match="too few channels for the spatial stage"):
        Chain(SPEC, rate_hz=RATE, montage=Montage.from_names(names_for(12)))
    for wrong in (
        {"average_reference": False}, {"muscle_ratio": 1.0}, {"muscle_allowance": -1.0}, {"sound_lambda0": 0.0},
        {"muscle_fit_s": (0.001, 0.012)}, {"muscle_until_s": 0.02}, {"muscle_until_s": 0.7}, {"spatial_memory": 2},
        {"spatial_every": 0},
    ):  # fmt: skip
        with pytest.raises(ValidationProblem):
            ChainSpec(sound=True, **wrong)
    with pytest.raises(ValidationProblem, match="too few samples"):
        Chain(ChainSpec(muscle=True, baseline_s=(-0.06, -0.01)), rate_hz=RATE, montage=MONTAGE)
    old = {
        k: v for k, v in ChainSpec().to_dict().items() if not k.startswith(("sound", "muscle_", "spatial"))
    }
    old = {k: v for k, v in old.items() if k != "muscle"} | {"muscle_s": (0.012, 0.060)}
    assert ChainSpec.from_dict(old) == ChainSpec()
    assert ChainSpec.from_dict(SPEC.to_dict()) == SPEC


def test_until_there_is_a_filter_the_decay_is_fitted_and_teaches_nothing():
    t = np.maximum(TIMES, 0.0)
    decay = np.linspace(-300, 300, N)[:, None] * (1 + t / 0.008) ** -2 * (TIMES > 0)
    data = (noisy(8, 5) + decay).astype(np.float32)
    off = ChainSpec.from_dict({**SPEC.to_dict(), "sound": False})
    spec = ChainSpec.from_dict({**off.to_dict(), "decay_first": True})
    fitted, plain, ours = (run(data, s) for s in (ChainSpec(quality=False), off, spec))
    for i in range(4):
        assert np.abs(fitted[i].decay_uv).max() > 30
        np.testing.assert_allclose(ours[i].eeg_uv, fitted[i].eeg_uv, atol=1e-3)
        np.testing.assert_allclose(ours[i].decay_uv, fitted[i].decay_uv, rtol=1e-5)
        assert ours[i].verdict.numbers["residual_decay_uv"] == pytest.approx(
            fitted[i].verdict.numbers["residual_decay_uv"], rel=1e-4
        )
    for i in range(4, 8):  # learnt from what the pulse left, not from what the fit left
        np.testing.assert_array_equal(ours[i].eeg_uv, plain[i].eeg_uv)
        assert "residual_decay_uv" not in ours[i].verdict.numbers
    for wrong in ({"decay": True}, {"sound": False, "muscle": False}):
        with pytest.raises(ValidationProblem, match="decay fit for the first trials"):
            ChainSpec.from_dict({**spec.to_dict(), **wrong})


def test_left_out_first_trials_teach_like_any_other():
    spec = ChainSpec.from_dict({**SPEC.to_dict(), "leave_out_first": True})
    ours = run(DATA[:7], spec)
    assert [t.verdict.accepted for t in ours] == [False] * 4 + [True] * 3
    assert ours[2].verdict.reasons == (("no artifact filter yet, trials learnt", 2.0, 4.0, ""),)
    for a, b in zip(ours, USUAL, strict=False):
        np.testing.assert_array_equal(a.eeg_uv, b.eeg_uv)


RECLEAN = ChainSpec.from_dict({**SPEC.to_dict(), "reclean_earlier": True})


def test_earlier_trials_are_cleaned_again_by_the_first_filter_and_later_ones_are_the_same_to_the_bit():
    chain = Chain(RECLEAN, rate_hz=RATE, montage=MONTAGE)
    first = run(DATA[:4], chain=chain)
    for a, b in zip(first, USUAL, strict=False):
        assert np.array_equal(a.eeg_uv, b.eeg_uv)
    assert chain.earlier() == (0, 1, 2, 3)
    again = [chain.again(k) for k in chain.earlier()]
    assert chain.earlier() == ()
    assert agreement(first, brain(16)[:4]) < 0.6
    assert agreement(again, brain(16)[:4]) > 0.75
    used = chain.spatial.used
    assert used.trials == 4
    for old, new in zip(first, again, strict=True):
        assert new.verdict.numbers["spatial_trials"] == 4
        assert new.verdict.accepted
        inside = (TIMES > 0.012) & (TIMES < 0.09)
        np.testing.assert_allclose(new.eeg_uv[:, inside], used.inside @ old.eeg_uv[:, inside], atol=2e-3)
        before = TIMES < -0.05
        np.testing.assert_allclose(new.eeg_uv[:, before], used.outside @ old.eeg_uv[:, before], atol=2e-3)
        assert np.abs(new.analytic_re - old.analytic_re).max() > 0.1
    for a, b in zip(run(DATA[4:9], chain=chain), USUAL[4:], strict=False):
        assert np.array_equal(a.eeg_uv, b.eeg_uv)
    assert chain.earlier() == ()
    with pytest.raises(ValidationProblem, match="trial 2 cannot be cleaned again"):
        chain.again(2)


def test_an_earlier_trial_with_another_set_of_channels_is_cleaned_for_its_own():
    broken = DATA[:5].copy()
    broken[1, 5] = 0.0  # not good in four trials: it cannot be cleaned yet where it is good either
    chain = Chain(RECLEAN, rate_hz=RATE, montage=MONTAGE)
    run(broken[:4], chain=chain)
    again = {k: chain.again(k) for k in chain.earlier()}
    assert again[1].bad_channels[5].startswith("flat")
    assert again[0].bad_channels[5] == "good in fewer than 4 trials before: cannot be cleaned yet"
    assert all(np.isfinite(t.eeg_uv).all() and not t.eeg_uv[5].any() for t in again.values())


def test_what_waits_for_the_first_filter_is_bounded_and_none_waits_where_they_are_kept():
    refused = ChainSpec.from_dict({**RECLEAN.to_dict(), "quality": True, "max_pre_pp_uv": 1.0})
    chain = Chain(refused, rate_hz=RATE, montage=MONTAGE)  # every trial is rejected for what teaches nothing
    for k in range(11):
        run(DATA[k : k + 1], chain=chain) if k == 0 else chain.process(
            Epoch(data=DATA[k], rate_hz=RATE, pulse_sample=PULSE), trial_id=k
        )
    assert chain.earlier() == ()  # no filter
    assert chain.earlier_lost == 3
    assert chain.earlier_bytes == 8 * 1401 * 32 * 4
    kept = Chain(SPEC, rate_hz=RATE, montage=MONTAGE)
    run(DATA[:5], chain=kept)
    assert (kept.earlier(), kept.earlier_lost, kept.earlier_bytes) == ((), 0, 0)
    with pytest.raises(ValidationProblem, match="without a stage that learns"):
        ChainSpec(reclean_earlier=True)


def test_left_out_first_trials_count_once_they_are_cleaned_again():
    spec = ChainSpec.from_dict({**RECLEAN.to_dict(), "leave_out_first": True})
    chain = Chain(spec, rate_hz=RATE, montage=MONTAGE)
    assert not any(t.verdict.accepted for t in run(DATA[:4], spec, chain=chain))
    assert all(chain.again(k).verdict.accepted for k in chain.earlier())
