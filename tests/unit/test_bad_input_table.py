"""Bad input, case by case: the stated outcome, told with its reason, and never a number that is none.

By the chain of a plan without stages of its own, and by that of the shipped plans, which learns patterns of muscle and decay.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from quality_tools import MONTAGE, PULSE, RATE, TIMES_S, epoch, scorer, trials

from rtloop.app.setting import chain_of
from rtloop.clock import SteppedClock
from rtloop.dsp.chain import Chain
from rtloop.dsp.spec import ChainSpec
from rtloop.eeg.layout import Channel, Kind, Layout
from rtloop.eeg.source import EegSource
from rtloop.errors import ValidationProblem
from rtloop.model.montage import Montage, names_for
from rtloop.model.pulse import PulseSeen, Source
from rtloop.model.view import View
from rtloop.plan.load import load_plan
from rtloop.quality.lights import Light
from rtloop.session.judging import block_judged, trial_judged
from rtloop.session.line import Label, SignalLine, Spot, Trial, trial_dict

#: as a plan sets them by default (rtloop.app.setting.chain_of)
SPEC = ChainSpec(
    hold_bad_trials=3, hold_of_last=10, hold_good_trials=5, rebuild=True, max_still_s=0.03
)  # fmt: skip
#: that of the shipped plans
SHIPPED = chain_of(load_plan("map-200"))
VERTEX = np.array([0.0, 0.0, 0.088])


class Ground:
    """A line over a pushed stream, with its own clock."""

    def __init__(self, tmp_path: Path, montage: Montage = MONTAGE, spec: ChainSpec = SPEC, **spot) -> None:
        layout = Layout(
            channels=tuple(
                Channel(name=n, kind=Kind.EEG, unit="µV", position_m=(float(p[0]), float(p[1]), float(p[2])))
                for n, p in zip(montage.names, montage.positions_m, strict=True)
            )
        )
        self.clock = SteppedClock()
        self.source = EegSource.pushed(layout, RATE, tmp_path / "ring", self.clock)
        self.line = SignalLine(self.source, spec, {"M1": Spot(**({"coil_m": VERTEX} | spot))})
        self.line.restart("M1", "run")
        self.pulses = 0

    def push(self, data: np.ndarray) -> None:
        """float32[n_channels, n_samples]; time goes on with it."""
        frames = np.ascontiguousarray(data.T)
        for a in range(0, len(frames), 100):
            piece = frames[a : a + 100]
            self.clock.advance(len(piece) / RATE)
            self.source.push(piece, self.clock.now_s())

    def see(self, sample: int) -> None:
        self.pulses += 1
        seen = PulseSeen(sample=sample, source=Source.ARTIFACT, t_s=0.0)
        self.line.note(sample)
        self.line.take(seen, Label(pulse_id=self.pulses, target="M1", block="run"))

    def trial(self, data: np.ndarray) -> Trial:
        """Push one epoch (float32[n_channels, 1401]) and judge it."""
        self.see(self.source.head() + PULSE)
        self.push(data)
        self.push(np.random.default_rng(0).normal(0, 5, (len(data), 10)).astype(np.float32))
        (trial,) = self.line.trials()
        return trial

    def block(self, running: bool = False) -> dict:
        return block_judged(View(), self.line, "M1", "run", {}, running=running)


@pytest.fixture(params=[SPEC, SHIPPED], ids=["plain", "shipped"])
def ground(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ground]:
    g = Ground(tmp_path, spec=request.param)
    yield g
    g.source.close()


@pytest.fixture
def learnt(tmp_path: Path) -> Iterator[Ground]:
    """The chain of the shipped plans after twelve good trials: its filter cleans."""
    g = Ground(tmp_path, spec=SHIPPED)
    for data in trials(12):
        row = told(g, g.trial(data))
    assert row["numbers"]["spatial_trials"] == 10
    yield g
    g.source.close()


def told(ground: Ground, trial: Trial) -> dict:
    """What the journal gets of a trial and of its block: JSON without NaN, every absent number with its reason."""
    row = trial_dict(trial, ground.line.montage, trial_judged(trial, ground.line.spec, ground.line.limits))
    block = ground.block()
    for d in (row, block, trial.scores.to_dict() if trial.scores else {}):
        json.dumps(d, allow_nan=False)
        for why in absent_in(d):
            assert why
    assert (row["quality"]["light"] == "red") == (not row["accepted"])
    assert bool(row["words"]) == (not row["accepted"])
    return row | {"block": block}


def absent_in(d) -> Iterator[str]:
    """Of every value that is null: the reason that stands beside it."""
    if isinstance(d, dict):
        if "value" in d and d["value"] is None:
            yield d.get("why_absent") or (d["words"] if "none (" in d.get("words", "") else "")
        for v in d.values():
            yield from absent_in(v)
    elif isinstance(d, list | tuple):
        for v in d:
            yield from absent_in(v)


# -- too few channels --------------------------------------------------------------------------------------------------


def test_one_channel_is_refused_before_anything_starts():
    with pytest.raises(ValidationProblem, match=r"too few channels.*at least 2"):
        Chain(SPEC, rate_hz=RATE, montage=Montage.from_names(["Cz"]))


@pytest.mark.parametrize("names", [["C3", "Cz"], ["C3", "Cz", "C4"]])
def test_fewer_channels_than_the_chain_needs_reject_each_trial_with_the_number(names, tmp_path):
    g = Ground(tmp_path, Montage.from_names(names))
    try:
        for data in trials(4, len(names)):
            row = told(g, g.trial(data))
            assert not row["accepted"]
            assert "good channels" in row["words"]
            assert f"good channels {len(names)} (at least 4)" in row["quality"]["words"]
        assert g.block()["rejected_for"] == {"good channels": 4}
    finally:
        g.source.close()


def test_two_channels_where_they_are_allowed_give_one_pair():
    montage = Montage.from_names(["C3", "Pz"])
    s = scorer(ChainSpec(min_channels=2, average_reference=False), montage, coil_m=VERTEX)
    for k, data in enumerate(trials(5, 2)):
        assert s.process(epoch(data), k).verdict.accepted
    assert s.scores().score("global").value == pytest.approx(s.scores().score("local").value)


def test_too_few_good_electrodes_near_the_coil_leave_local_absent_and_global_there(ground):
    near = MONTAGE.nearest(VERTEX, 3)
    for data in trials(5):
        data[list(near)] = 0.0
        trial = ground.trial(data)
        row = told(ground, trial)
        assert row["accepted"]
    assert trial.scores is not None
    assert "too few good channels near the coil" in trial.scores.score("local").why_absent
    assert trial.scores.score("global").present
    assert row["block"]["light"] == "red"  # few trials
    bad = next(f for f in row["block"]["findings"] if f["name"] == "bad_channels_pct")
    assert all(MONTAGE.names[c] in bad["words"] for c in near)


# -- rank ------------------------------------------------------------------------------------------------------------


def test_channels_made_of_others_give_the_pairs_of_the_rest_the_same_numbers(ground):
    x = trials(6)
    plain = scorer(ChainSpec(average_reference=False))
    joined = scorer(ChainSpec(average_reference=False))
    for k, data in enumerate(x):
        plain.process(epoch(data), k)
        twin = data.copy()
        twin[1], twin[3] = twin[0], twin[4] + twin[5]
        assert joined.process(epoch(twin), k).verdict.accepted
    a, b = np.triu_indices(16, 1)
    rest = ~np.isin(a, (1, 3)) & ~np.isin(b, (1, 3))
    assert np.array_equal(plain.lagged_pairs()[:, rest], joined.lagged_pairs()[:, rest])
    assert np.isfinite(joined.lagged_pairs()).all()
    for data in x:
        data[1] = data[0]
        row = told(ground, ground.trial(data))
    equal = next(f for f in row["block"]["findings"] if f["name"] == "equal_channels")
    assert (equal["light"], equal["value"]) == ("yellow", 1.0)
    assert f"{MONTAGE.names[0]}={MONTAGE.names[1]}" in equal["words"]


def test_one_signal_on_all_channels_is_rejected_for_it_has_none_after_the_reference(ground):
    for data in trials(4):
        row = told(ground, ground.trial(np.repeat(data[:1], 16, axis=0)))
        assert not row["accepted"]
        assert "bad channels: 100 %" in row["words"]
    trial = scorer().process(epoch(np.repeat(trials(1)[0][:1], 16, axis=0)), 0)
    assert "the same as the mean of all channels" in trial.bad_channels[0]


# -- nothing usable ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda x: np.full_like(x, 2e5), "flat"),
        (lambda x: np.where(np.arange(x.shape[1]) % 3, 2e5, -2e5) + 0 * x, "wild"),
        (lambda x: np.clip(1000 * x, -5000, 5000), ""),
        (lambda x: np.full_like(x, np.nan), "not a number"),
        (lambda x: np.where(TIMES_S > 0.05, 300.0, x), "stands still for"),
        (lambda x: np.where(TIMES_S < -0.3, 0.0, x), "stands still for"),
    ],
    ids=[
        "all at one rail",
        "rail to rail",
        "clipped",
        "no numbers",
        "stuck after the pulse",
        "stuck before it",
    ],
)
def test_a_recording_of_which_nothing_is_usable_says_so_everywhere(spoil, reason, ground):
    for data in trials(12):
        spoilt = spoil(data).astype(np.float32)
        trial = ground.trial(spoilt)
        row = told(ground, trial)
        assert not row["accepted"]
        assert trial.clean is not None
        assert all(reason in w for w in trial.clean.bad_channels.values())
        for part in (trial.clean.eeg_uv, trial.clean.analytic_re, trial.clean.ongoing_im):
            assert np.isfinite(part).all()
    assert row["block"]["light"] == "red"
    assert row["block"]["n_accepted"] == 0
    rejected = next(f for f in row["block"]["findings"] if f["name"] == "rejected_pct")
    assert rejected["value"] == 100.0
    assert "100 % for " in rejected["words"]
    s = ground.line.scorer("M1", "run")
    scores = s.scores()
    assert "only 0 accepted trial(s) of 12" in scores.score("global").why_absent
    json.dumps(scores.to_dict(), allow_nan=False)
    for why in absent_in(scores.to_dict()):
        assert "only 0 accepted" in why
    assert not ground.line.channels.held  # a fault of the trials, not of sixteen electrodes
    assert np.isfinite(s.average()).all()


def test_channels_that_stick_after_the_pulse_are_the_only_ones_left_out(ground):
    x = trials(1)[0]
    x[2, PULSE + 40 : PULSE + 75] = 123.0
    x[3, PULSE + 40 : PULSE + 60] = 123.0  # 20 ms: may be clipping of a moment
    trial = ground.trial(x)
    assert trial.verdict.accepted
    assert trial.clean is not None
    assert list(trial.clean.bad_channels) == [2]
    assert "stands still for 34 ms (limit 30 ms)" in trial.clean.bad_channels[2]


# -- gaps and neighbours ---------------------------------------------------------------------------------------------


def test_a_gap_inside_the_epoch_rejects_that_trial_alone(ground):
    x = trials(3)
    first = ground.trial(x[0])
    ground.see(ground.source.head() + PULSE)
    ground.push(x[1][:, :900])
    ground.clock.advance(0.05)  # fifty samples are lost
    ground.push(x[1][:, 900:])
    ground.push(np.random.default_rng(0).normal(0, 5, (16, 20)).astype(np.float32))
    (second,) = ground.line.trials()
    row = told(ground, second)
    assert row["reasons"] == ["gap in the samples of the epoch"]
    assert second.clean is None
    assert row["quality"]["findings"][0]["todo"].startswith("look at the stream")
    third = ground.trial(x[2])
    assert (first.verdict.accepted, third.verdict.accepted) == (True, True)
    assert ground.line.scorer("M1", "run").n_accepted == 2
    assert ground.block()["rejected_for"] == {"gap in the samples of the epoch": 1}


def test_a_pulse_inside_the_epoch_of_another_spoils_both_and_tells_how_near_it_was(ground):
    x = np.concatenate([trials(1)[0], trials(1, seed=1)[0], trials(1, seed=2)[0]], axis=1)
    at = ground.source.head() + PULSE
    ground.see(at)
    ground.see(at + 500)  # inside the 0.6 s after the first, and the 0.8 s before the second
    ground.push(x)
    a, b = ground.line.trials()
    for trial, room in ((a, "0.6 s"), (b, "0.8 s")):
        row = told(ground, trial)
        assert row["reasons"] == ["another pulse inside the epoch"]
        assert f"0.5 s (at least {room})" in row["quality"]["words"]
    assert ground.line.scorer("M1", "run").seen == 0


def test_a_pulse_too_early_for_its_baseline_is_told_with_what_is_missing(ground):
    ground.see(300)
    ground.push(trials(1)[0])
    (trial,) = ground.line.trials()
    row = told(ground, trial)
    assert "samples before the pulse: 0.3 s (limit 0.8)" in row["words"]
    assert "0.3 s (at least 0.8 s)" in row["quality"]["words"]


# -- places ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [np.nan, 0.0])
def test_channels_without_a_place_are_named_and_refused(place):
    positions_m = MONTAGE.positions_m.copy()
    positions_m[[3, 8]] = place
    with pytest.raises(ValidationProblem) as refused:
        Montage(names=MONTAGE.names, positions_m=positions_m)
    assert "2 channel(s) have no position" in str(refused.value)
    assert f"{MONTAGE.names[3]}, {MONTAGE.names[8]}" in str(refused.value)


def test_names_nobody_knows_are_all_told():
    with pytest.raises(ValidationProblem, match=r"2 channel name\(s\) have no known position.*E1, E2"):
        Montage.from_names(["C3", "E1", "E2"])


@pytest.mark.parametrize("spec", [None, SHIPPED], ids=["plain", "shipped"])
def test_electrodes_at_one_place_have_no_global_and_it_says_why(spec):
    montage = Montage(names=MONTAGE.names, positions_m=np.repeat(MONTAGE.positions_m[:1], 16, axis=0))
    s = scorer(spec, montage)
    for k, data in enumerate(trials(4 if spec is None else 11)):
        s.process(epoch(data), k)
    assert "all electrodes lie at one place" in s.scores().score("global").why_absent


def test_without_a_coil_every_local_number_is_absent_and_one_that_is_no_number_is_refused(tmp_path):
    g = Ground(tmp_path, spec=SHIPPED, coil_m=None)
    try:
        for data in trials(11):
            trial = g.trial(data)
            row = told(g, trial)
        assert trial.scores is not None
        assert "no coil position" in trial.scores.score("local").why_absent
        early = next(f for f in row["block"]["findings"] if f["name"] == "early_local_pp_uv")
        assert early["light"] == Light.ABSENT.value
        assert "no coil position" in early["words"]
    finally:
        g.source.close()
    with pytest.raises(ValidationProblem, match="no number"):
        scorer(coil_m=np.array([math.nan, 0.0, 0.09]))


# -- with a filter that was learnt -----------------------------------------------------------------------------------


def usable(ground: Ground, seed: int = 7) -> dict:
    """A good trial counts, is cleaned by a filter and has scores without a number that is none."""
    before = ground.line.scorer("M1", "run").n_accepted
    trial = ground.trial(trials(1, seed=seed)[0])
    row = told(ground, trial)
    assert row["accepted"]
    assert row["numbers"]["spatial_trials"] >= 10
    assert trial.scores is not None
    assert trial.scores.score("global").present
    assert trial.scores.n_accepted == before + 1
    return row


def test_a_spoilt_trial_among_learnt_ones_is_rejected_and_teaches_nothing(learnt):
    x, learns = trials(2, seed=4), learnt.line.scorer("M1", "run").chain.spatial
    for k, spoilt in enumerate((
        np.full_like(x, 2e5), np.clip(1000 * x, -5000, 5000), np.full_like(x, np.nan), np.full_like(x, np.inf),
        np.repeat(x[:, :1], 16, axis=1),
    )):  # fmt: skip
        before = learns.trials
        for data in spoilt:
            trial = learnt.trial(data)
            row = told(learnt, trial)
            assert not row["accepted"]
            assert trial.clean is not None
            assert np.isfinite(trial.clean.eeg_uv).all()
            assert np.isfinite(trial.clean.analytic_re).all()
            assert not learnt.line.filters.hindered("M1", trial.trial_id)  # rejected, and told so
        assert learns.trials == before
        assert (
            usable(learnt, seed=10 + k)["numbers"]["spatial_trials"] == before
        )  # made anew: the channels are good again


def test_a_gap_and_a_pulse_in_the_window_before_spoil_their_trials_alone(learnt):
    x = trials(3, seed=4)
    learnt.see(learnt.source.head() + PULSE)
    learnt.push(x[0][:, :900])
    learnt.clock.advance(0.05)
    learnt.push(x[0][:, 900:])
    learnt.push(np.zeros((16, 50), np.float32))
    at = learnt.source.head() + PULSE
    learnt.see(at)
    learnt.see(at + 1000)
    learnt.see(at + 1700)  # 0.7 s after it: outside its 0.6 s, inside the 0.8 s before this one
    learnt.push(np.concatenate(x, axis=1)[:, :3200])
    rows = [told(learnt, t) for t in learnt.line.trials()]
    assert [r["reasons"] for r in rows] == [
        ["gap in the samples of the epoch"],
        [],
        [],
        ["another pulse inside the epoch"],
    ]
    usable(learnt)
    assert learnt.line.scorer("M1", "run").seen == 12 + 2 + 1


def test_fewer_good_channels_than_the_filter_needs_count_as_they_came_and_it_is_said_once(learnt):
    notes = []
    for data in trials(3, seed=4):
        data[5] = 0.0
        trial = learnt.trial(data)
        row = told(learnt, trial)
        assert row["accepted"]
        assert row["numbers"]["spatial_trials"] == 0
        notes.append(learnt.line.filters.hindered("M1", trial.trial_id))
    assert notes[0].endswith(
        "counts as it came, not cleaned of artifact patterns: 15 good channels, at least 16 are needed"
    )
    assert notes[1:] == ["", ""]
    words = learnt.line.filters.words("M1", SHIPPED)
    assert "3 more could not be cleaned (15 good channels, at least 16 are needed)" in words


def test_data_of_too_few_dimensions_have_no_filter_and_the_reason_is_said(tmp_path):
    g = Ground(tmp_path, spec=SHIPPED)
    try:
        for data in trials(13):
            data[8:] = data[:8] * (1 + np.arange(8)[:, None] / 100)
            trial = g.trial(data)
            row = told(g, trial)
            assert row["accepted"]
            assert row["numbers"]["spatial_trials"] == 0
            why = g.line.filters.hindered("M1", trial.trial_id)
            assert ("8 dimensions, at least 15 are needed" in why) == (trial.trial_id == 10)
        assert trial.scores is not None
        assert trial.scores.score("global").present
        words = g.line.filters.words("M1", SHIPPED)
        assert words.startswith("no filter came to be (13 trials; the data have 8 dimensions")
    finally:
        g.source.close()


def test_a_line_with_too_few_channels_for_the_shipped_chain_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(ValidationProblem, match=r"at least 16 EEG channels; found: 15.*write muscle = false"):
        Ground(tmp_path, Montage.from_names(MONTAGE.names[:15]), SHIPPED)


def test_256_channels_with_places_of_their_own_go_through_the_shipped_chain(tmp_path):
    places = Montage.from_names(names_for(256))
    net = Montage(names=tuple(f"E{k}" for k in range(1, 257)), positions_m=places.positions_m)
    g = Ground(tmp_path, net, replace(SHIPPED, spatial_first=4))
    try:
        for data in trials(5, 256):
            trial = g.trial(data)
            assert trial.verdict.accepted
        row = told(g, trial)
        assert row["numbers"]["spatial_trials"] == 4
        assert g.line.scorer("M1", "run").scores(se=False).score("global").present
    finally:
        g.source.close()
