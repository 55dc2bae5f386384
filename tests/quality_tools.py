"""Owns what the tests of quality and of bad input share: plain simulated epochs at 1 kHz."""

from __future__ import annotations

import numpy as np

from rtloop.dsp.spec import ChainSpec
from rtloop.model.montage import Montage, names_for
from rtloop.model.samples import Epoch
from rtloop.session.scorer import TargetScorer

RATE = 1000.0
PULSE = 800
COUNT = 1401
MONTAGE = Montage.from_names(names_for(16))
TIMES_S = (np.arange(COUNT) - PULSE) / RATE


def trials(n: int = 12, channels: int = 16, seed: int = 0) -> np.ndarray:
    """float32[n, channels, COUNT], µV: pink noise of 6 µV with an evoked 10 Hz wave, its phase by channel."""
    rng = np.random.default_rng(seed)
    f = np.fft.rfftfreq(2 * COUNT, 1 / RATE)
    x = np.fft.irfft(np.fft.rfft(rng.standard_normal((n, channels, 2 * COUNT))) / np.maximum(f, 1) ** 0.5)
    x = x[..., :COUNT] * (6 / x.std())
    phase = 0.4 * np.arange(channels)[None, :, None]
    bump = np.exp(-(((TIMES_S - 0.12) / 0.08) ** 2)) * (TIMES_S > 0)
    return (x + 8 * bump * np.cos(2 * np.pi * 10 * TIMES_S - phase)).astype(np.float32)


def epoch(data: np.ndarray) -> Epoch:
    return Epoch(data=data, rate_hz=RATE, pulse_sample=PULSE)


def scorer(spec: ChainSpec | None = None, montage: Montage = MONTAGE, **kw) -> TargetScorer:
    coil = kw.pop("coil_m") if "coil_m" in kw else montage.positions_m[2]
    return TargetScorer("M1", spec or ChainSpec(), RATE, montage, coil, **kw)
