"""What the loop leaves for a window: the trial as it was, the sums as they are, and never a stop of the loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtloop.clock import SteppedClock
from rtloop.dsp.spec import ChainSpec
from rtloop.eeg.layout import Channel, Kind, Layout
from rtloop.eeg.source import EegSource
from rtloop.link.pages import PagesReader, PagesWriter
from rtloop.model.montage import Montage
from rtloop.model.pulse import PulseSeen, Source
from rtloop.session.line import Label, SignalLine, Spot, Trial
from rtloop.session.results import Results, pages_spec

NAMES = ("Fz", "C3", "Cz", "C4", "Pz", "FC1")
RATE = 1000.0


class Ground:
    def __init__(self, tmp_path: Path) -> None:
        places = Montage.from_names(list(NAMES)).positions_m
        layout = Layout(
            channels=tuple(
                Channel(name=n, kind=Kind.EEG, unit="µV", position_m=(float(p[0]), float(p[1]), float(p[2])))
                for n, p in zip(NAMES, places, strict=True)
            )
        )
        self.clock = SteppedClock()
        self.source = EegSource.pushed(layout, RATE, tmp_path / "ring", self.clock)
        self.line = SignalLine(self.source, ChainSpec(), {"M1": Spot(coil_m=np.array([0.0, 0.0, 0.09]))})
        self.pages = tmp_path / "pages"
        self.rng = np.random.default_rng(7)
        self.pushed = np.empty((0, len(NAMES)), np.float32)
        self.push(2000)

    def push(self, n: int) -> None:
        frames = self.rng.normal(0, 5, (n, len(NAMES))).astype(np.float32)
        for a in range(0, n, 100):
            self.clock.advance(len(frames[a : a + 100]) / RATE)
            self.source.push(frames[a : a + 100], self.clock.now_s())
        self.pushed = np.concatenate([self.pushed, frames])

    def trial(self, block: str = "run") -> Trial:
        sample = self.source.head()
        label = Label(pulse_id=sample, target="M1", block=block)
        self.line.take(PulseSeen(sample=sample, source=Source.ARTIFACT, t_s=0.0), label)
        self.push(2500)
        (trial,) = self.line.trials()
        return trial


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    g = Ground(tmp_path)
    yield g
    g.source.close()


def judged(results: Results, trial: Trial) -> None:
    assert results.trial(trial) == ""
    assert results.block(trial.label.target, trial.label.block) == ""


def test_a_trial_is_there_as_it_was(ground: Ground) -> None:
    results = Results.open(ground.pages, ground.line, ground.source)
    assert not results.words
    reader = PagesReader(ground.pages)
    trial = ground.trial("preview")
    judged(results, trial)
    page = reader.latest()
    assert page is not None
    assert (page.trial_id, page.pulse_id, page.block) == (trial.trial_id, trial.label.pulse_id, "M1/preview")
    at = trial.seen.sample
    np.testing.assert_array_equal(page.raw_uv, ground.pushed[at - 50 : at + 151].T)
    assert reader.spec.raw_times_s[50] == 0.0
    assert trial.clean is not None
    scorer = ground.line.scorers["M1/preview"]
    np.testing.assert_array_equal(reader.spec.times_s, scorer.times_s)
    np.testing.assert_array_equal(page.clean_uv, trial.clean.eeg_uv[:, scorer.kept])
    np.testing.assert_array_equal(page.decay_uv, trial.clean.decay_uv)
    np.testing.assert_array_equal(page.good, trial.clean.good)
    block = reader.block("M1/preview")
    assert block is not None
    assert np.isnan(block.pairs).all()
    reader.close()
    results.close()


def test_the_sums_follow_a_trial_that_moves_and_a_block_that_restarts(ground: Ground) -> None:
    results = Results.open(ground.pages, ground.line, ground.source)
    reader = PagesReader(ground.pages)
    for _ in range(4):
        trial = ground.trial()
        if not trial.verdict.accepted:
            ground.line.reinstate(trial.trial_id)
        judged(results, trial)
    scorer = ground.line.scorers["M1"]
    four = reader.block("M1")
    assert four is not None
    assert four.n == 4
    np.testing.assert_array_equal(four.average_uv, scorer.average())
    values = scorer._connectivity.pair_values()["dwpli2"]
    np.testing.assert_allclose(four.pairs[:-1], values.T, rtol=1e-6)
    np.testing.assert_allclose(four.pairs[-1], values.mean(axis=1), rtol=1e-6)
    assert reader.spec.bands == (*scorer._bands, "pooled")
    ground.line.take_out(0)
    results.block("M1", "run")
    three = reader.block("M1")
    assert three is not None
    assert three.n == 3
    assert np.abs(three.average_uv - four.average_uv).max() > 0.1
    ground.line.take_out(1)
    results.block("M1", "run")
    two = reader.block("M1")
    assert two is not None
    assert np.isnan(two.pairs).all(), "with two trials nothing is known of any pair"
    ground.line.restart("M1", "run")
    results.block("M1", "run")
    none = reader.block("M1")
    assert none is not None
    assert none.n == 0
    assert not none.average_uv.any()
    reader.close()
    results.close()


def test_where_samples_are_missing_there_is_nothing(ground: Ground) -> None:
    """A trial near the beginning of the stream, and one whose raw window is not all there yet."""
    results = Results.open(ground.pages, ground.line, ground.source)
    reader = PagesReader(ground.pages)
    trial = ground.trial()
    head = ground.source.head()
    for sample, first, last in ((20, 30, 201), (head - 100, 0, 150)):
        odd = replace(trial, seen=replace(trial.seen, sample=sample), clean=None, trial_id=sample)
        assert results.trial(odd) == ""
        page = reader.trial(sample)
        assert page is not None
        assert page.clean_uv is None
        assert not page.good.any()
        there = ~np.isnan(page.raw_uv).any(axis=0)
        assert list(np.flatnonzero(there)) == list(range(first, last))
        np.testing.assert_array_equal(
            page.raw_uv[:, first:last], ground.pushed[sample - 50 + first : sample - 50 + last].T
        )
    reader.close()
    results.close()


def test_a_failure_is_told_once_and_stops_nothing(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    results = Results.open(ground.pages, ground.line, ground.source)
    trial = ground.trial()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PagesWriter, "write_trial", full)
    words = results.trial(trial)
    assert "No space left" in words
    assert "not touched" in words
    assert results.words == words
    assert results.trial(trial) == ""
    assert results.block("M1", "run") == ""
    results.close()
    assert Results.open(None, ground.line, ground.source).trial(trial) == ""
    blocked = Results.open(ground.pages, ground.line, ground.source)  # the file exists
    assert "no room" in blocked.words
    assert blocked.trial(trial) == ""
    missing = Results.open(ground.pages.parent / "none" / "pages", ground.line, ground.source)
    assert "No such file" in missing.words


def test_little_memory_means_fewer_trials_but_at_least_eight(ground: Ground) -> None:
    assert pages_spec(ground.line, ground.source).n_trials == 400
    few = pages_spec(ground.line, ground.source, max_bytes=4_000_000)
    assert 8 < few.n_trials < 400
    assert pages_spec(ground.line, ground.source, max_bytes=1000).n_trials == 8
