"""What a pulse takes and gives back: no more than is handed out and little beside it, and nothing stays."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

from rtloop.dsp.chain import Chain
from rtloop.dsp.spec import ChainSpec
from rtloop.model.montage import Montage, names_for
from rtloop.model.samples import F32, Epoch
from rtloop.model.trial import CleanTrial

RATE = 5000.0
MONTAGE = Montage.from_names(names_for(64))
LEARNING = ChainSpec(muscle=True, muscle_early=True, decay=False, decay_first=True)
#: bytes that a pulse may take and give back beside the trial that it hands out (0.49 MB; measured: 28 kB), and may leave behind
BESIDE, LEFT = 60_000, 500


def epochs(chain: Chain, count: int) -> list[Epoch]:
    """Raw epochs as the ring holds them: EEG, noise, an offset of mV, a burst of three muscle fields and a decay."""
    rng = np.random.default_rng(1)
    n = chain.before + chain.after + 1
    t = (np.arange(n) - chain.before) / RATE
    waves = (
        np.sin(2 * np.pi * np.array([[120], [180], [250]]) * t) * np.exp(-np.maximum(t, 0) / 0.01) * (t > 0)
    )
    fields, decay = rng.standard_normal((64, 3)) * 100, (t > 0) * (1 + np.maximum(t, 0) / 0.01) ** -2
    out = []
    for _ in range(count):
        x = np.cumsum(rng.standard_normal((64, n)), axis=1) * 0.3 + rng.standard_normal((64, n))
        x += 3000.0 + (fields * rng.lognormal(0, 0.4, 3)) @ waves
        x[7] += 400 * decay
        out.append(
            Epoch(
                data=np.ascontiguousarray(x.astype(np.float32).T).T, rate_hz=RATE, pulse_sample=chain.before
            )
        )
    return out


def handed_out(trial: CleanTrial) -> tuple[F32, ...]:
    return (
        trial.eeg_uv, trial.analytic_re, trial.analytic_im, trial.ongoing_re, trial.ongoing_im, trial.decay_uv,
    )  # fmt: skip


def next_trial(chain: Chain, epoch: Epoch, i: int) -> CleanTrial:
    trial = chain.process(epoch, trial_id=i)
    if chain.spatial is not None:
        chain.spatial.prepare()
    return trial


@pytest.mark.parametrize("spec", [ChainSpec(), LEARNING], ids=["fast", "full"])
def test_a_pulse_takes_what_it_hands_out_and_little_beside_and_leaves_nothing(spec: ChainSpec) -> None:
    chain = Chain(spec, rate_hz=RATE, montage=MONTAGE)
    some = epochs(chain, 4)
    for i in range(14):
        next_trial(chain, some[i % 4], i)
    gc.collect()
    tracemalloc.start()
    try:
        next_trial(chain, some[2], 14)  # what is made anew in place of the old is traced from here on
        start, most, handed = tracemalloc.get_traced_memory()[0], 0, 0
        for i in range(15, 27):
            held = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            trial = chain.process(some[i % 4], trial_id=i)
            most = max(most, tracemalloc.get_traced_memory()[1] - held)
            handed = sum(part.nbytes for part in handed_out(trial))
            del trial
            if chain.spatial is not None:
                chain.spatial.prepare()
        gc.collect()
        left = tracemalloc.get_traced_memory()[0] - start
    finally:
        tracemalloc.stop()
    assert handed == 4 * 64 * (1401 + 4 * 128 + 1)
    assert most - handed <= BESIDE, f"{most - handed} bytes beside what is handed out"
    assert left <= 12 * LEFT, f"{left / 12:.0f} bytes a pulse stay"


@pytest.mark.parametrize("spec", [ChainSpec(), LEARNING], ids=["fast", "full"])
def test_a_trial_stays_what_it_was_when_others_come(spec: ChainSpec) -> None:
    chain = Chain(spec, rate_hz=RATE, montage=MONTAGE)
    some = epochs(chain, 3)
    kept = [next_trial(chain, some[i % 3], i) for i in range(12)]
    copies = [[part.copy() for part in handed_out(trial)] for trial in kept]
    for i in range(12, 16):
        next_trial(chain, some[i % 3], i)
    for trial, were in zip(kept, copies, strict=True):
        for part, was in zip(handed_out(trial), were, strict=True):
            assert np.array_equal(part, was)
