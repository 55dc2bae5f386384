"""Bad channels in a stream: found live, left out, rebuilt for the eye, held with hysteresis, taken back when they recover."""

from __future__ import annotations

import numpy as np
import pytest
from quality_tools import MONTAGE, TIMES_S, epoch, scorer, trials
from scipy.special import eval_legendre

from rtloop.dsp.channels import ChannelMemory, HoldRule, held_words
from rtloop.dsp.rebuild import Rebuilder, spline_g, spline_weights
from rtloop.dsp.spec import ChainSpec
from rtloop.errors import ValidationProblem
from rtloop.model.montage import Montage
from rtloop.sphere import leadfield

SICK = 5
HOLD = {"hold_bad_trials": 3, "hold_of_last": 10, "hold_good_trials": 5}


def sickened(x, where):
    """Channel SICK swings by 300 µV before and after the pulse in the trials ``where``."""
    out = x.copy()
    for k in where:
        out[k, SICK] += 300 * np.sin(2 * np.pi * 3 * TIMES_S).astype(np.float32)
    return out


def left_out(s, x):
    """Trials in which SICK did not count, and its reasons."""
    found = {}
    for k, data in enumerate(x):
        trial = s.process(epoch(data), k)
        assert trial.verdict.accepted, trial.verdict.words()
        assert set(trial.bad_channels) <= {SICK}
        if SICK in trial.bad_channels:
            found[k] = trial.bad_channels[SICK]
    return found


def test_a_channel_that_goes_bad_is_held_and_taken_back_after_good_trials_in_a_row():
    sick = [4, 6, 9, 12, 18]  # comes and goes
    x = sickened(trials(30), sick)
    alone = left_out(scorer(), x)
    assert sorted(alone) == sick  # without holding: out in its bad trials only
    s = scorer(ChainSpec(**HOLD))
    found = left_out(s, x)
    # held from the third bad trial (9); 10 and 11 good, 12 bad; five good in a row end at 17; 18 bad is one of the new ten
    assert sorted(found) == [4, 6, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]
    assert "SD before the pulse" in found[9]
    assert found[10].startswith("held: bad in 3 of the last 10 trials (SD before the pulse")
    assert "good in the last 2 of 5 trials" in found[12]
    assert "good in the last 4 of 5 trials" in found[17]
    news = s.memory.take_news()
    assert list(news.held) == [SICK]
    assert news.freed == {SICK: 5}
    words = held_words(news, MONTAGE.names)
    assert f"{MONTAGE.names[SICK]} is left out from now on" in words
    assert f"{MONTAGE.names[SICK]} is taken back after 5 good trials" in words
    assert not s.memory.take_news()


def test_held_trials_give_exactly_the_scores_of_trials_in_which_the_channel_was_never_there():
    x = sickened(trials(16), [2, 3, 4])
    s = scorer(ChainSpec(**HOLD))
    out = left_out(s, x)
    assert sorted(out) == [2, 3, 4, 5, 6, 7, 8, 9]
    absent = x.copy()
    absent[sorted(out), SICK] = np.nan
    twin = scorer()
    for k, data in enumerate(absent):
        twin.process(epoch(data), k)
    assert s.scores() == twin.scores()
    assert np.array_equal(s.average(), twin.average())


def test_pairs_of_a_channel_that_stays_bad_leave_global_and_come_back_with_it():
    x = sickened(trials(27), range(8))
    s = scorer(ChainSpec(**HOLD))
    a, b = np.triu_indices(16, 1)
    own = (a == SICK) | (b == SICK)
    scored = []
    for k, data in enumerate(x):
        s.process(epoch(data), k)
        if k >= 3:
            pairs = s.lagged_pairs()[0]
            assert np.isfinite(pairs[~own]).all()
            scored.append((k, bool(np.isfinite(pairs[own]).any())))
        if k == 7:
            gone = scorer(bad_channels=(MONTAGE.names[SICK],))
            for j in range(8):
                gone.process(epoch(x[j]), j)
            assert s.scores().score("global").value == gone.scores().score("global").value
    # bad 0-7, held to 12, good from 13: half of all accepted trials at the 26th
    assert scored == [(k, k >= 25) for k in range(3, 27)]


def test_a_trial_that_is_bad_as_a_whole_holds_no_channel():
    x = trials(8)
    x[2:6, :10] += (400 * np.sin(2 * np.pi * 3 * TIMES_S)).astype(np.float32)
    x[2:6, 10:] *= 0.0
    s = scorer(ChainSpec(**HOLD))
    verdicts = [s.process(epoch(data), k).verdict for k, data in enumerate(x)]
    assert [v.accepted for v in verdicts] == [True, True, False, False, False, False, True, True]
    assert not s.memory.held


def test_a_flat_channel_is_held_too_and_what_was_declared_bad_never_is():
    x = trials(8)
    x[:, 3] = 7.0
    s = scorer(ChainSpec(**HOLD), bad_channels=(MONTAGE.names[3],))
    for k, data in enumerate(x):
        assert s.process(epoch(data), k).bad_channels[3]
    assert not s.memory.held
    t = scorer(ChainSpec(**HOLD))
    reasons = [t.process(epoch(data), k).bad_channels[3] for k, data in enumerate(x)]
    assert list(t.memory.held) == [3]
    assert all(r.startswith("flat") for r in reasons)  # its own fault is told while it lasts


def test_the_memory_alone_follows_its_rule_and_zero_means_never():
    m = ChannelMemory(4, HoldRule(bad_trials=2, of_last=3, good_trials=2))
    for bad in ({1: "x"}, {}, {}, {1: "x"}):  # two of four, but never two of three
        assert not m.note(bad, ())
    assert list(m.note({1: "x"}, ()).held) == [1]
    assert not m.note({}, (1,))
    assert not m.note({}, ())  # not passed: begin again
    assert not m.note({}, (1,))
    assert m.note({}, (1,)).freed == {1: 2}
    never = ChannelMemory(4, HoldRule(bad_trials=0))
    for _ in range(20):
        assert not never.note({2: "x"}, ())
    assert not never.held
    with pytest.raises(ValidationProblem):
        ChainSpec(hold_bad_trials=11)


# -- rebuilt for people to look at ---------------------------------------------------------------------------------


def naive_g(cosine):
    """Perrin's series, term by term."""
    return sum(
        (2 * n + 1) / (n**4 * (n + 1) ** 4) * eval_legendre(n, cosine) for n in range(1, 51)
    ) / (4 * np.pi)  # fmt: skip


def test_the_spline_is_perrins():
    c = np.linspace(-1, 1, 21)
    assert spline_g(c) == pytest.approx(naive_g(c), abs=1e-12)


def test_a_smooth_field_is_rebuilt_and_constants_are_kept():
    montage = Montage.from_names(list(MONTAGE.names))
    p = montage.positions_m / np.linalg.norm(montage.positions_m, axis=1, keepdims=True)
    weights = spline_weights(montage.positions_m, (2, 9))
    assert weights.sum(axis=1) == pytest.approx([1, 1], abs=1e-6)
    field = (10 * p[:, 2] + 4 * p[:, 0] + 3).astype(np.float32)[:, None] * np.ones((1, 5), np.float32)
    broken = field.copy()
    broken[[2, 9]] = 0.0
    assert Rebuilder(montage).apply(broken, (9, 2))
    assert np.abs(broken - field).max() < 1.0  # of 23 µV, from 14 electrodes
    assert np.array_equal(np.delete(broken, [2, 9], axis=0), np.delete(field, [2, 9], axis=0))
    for bad in ((), tuple(range(13))):
        kept = field.copy()
        assert not Rebuilder(montage).apply(kept, bad)
        assert np.array_equal(kept, field)


def test_rebuilding_changes_what_is_seen_of_the_bad_channel_and_no_score():
    x = sickened(trials(6), range(6))
    plain, rebuilt = scorer(), scorer(ChainSpec(rebuild=True))
    for k, data in enumerate(x):
        a, b = plain.process(epoch(data), k), rebuilt.process(epoch(data), k)
        assert not a.eeg_uv[SICK].any()
        assert b.eeg_uv[SICK].std() > 1.0
        assert np.array_equal(np.delete(a.eeg_uv, SICK, 0), np.delete(b.eeg_uv, SICK, 0))
        assert list(b.bad_channels) == [SICK]
        assert a.verdict == b.verdict
    assert plain.scores() == rebuilt.scores()
    assert np.array_equal(plain.average(), rebuilt.average())


def test_every_rebuilt_channel_resembles_what_it_was_before_it_broke():
    rng = np.random.default_rng(1)
    sources = rng.standard_normal((80, 3))
    sources *= 0.06 / np.linalg.norm(sources, axis=1, keepdims=True)
    sources[:, 2] = np.abs(sources[:, 2])
    clean = (leadfield(MONTAGE.positions_m, sources) @ rng.standard_normal((80, 400))).astype(np.float32)
    clean -= clean.mean(axis=0)
    for c in range(16):
        broken = clean.copy()
        broken[c] = np.nan
        assert Rebuilder(MONTAGE).apply(broken, (c,))
        assert np.corrcoef(broken[c], clean[c])[0, 1] > 0.6, MONTAGE.names[c]
