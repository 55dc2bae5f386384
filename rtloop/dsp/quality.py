"""Owns the judgement of channels and trials by numbers with limits; owns no repair.

A bad channel does not count in that trial: it is left out of the average reference and adds nothing to any
sum, so every pair is scored over the trials in which both its channels were good. Nothing is interpolated.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rtloop.dsp.spec import ChainSpec
from rtloop.jit import kernel
from rtloop.model.estimate import Verdict
from rtloop.model.montage import Montage, position_of
from rtloop.model.samples import F32, F64, I64, Bool

#: gain of the second difference at 150 Hz and 1 kHz; muscle is read as if it were at that frequency
_GAIN_HZ = 150.0


@kernel("void(float32[:,::1], int64[::1], int64[:,::1], float32[::1])", sums=True)
def prepare(x: F32, baseline: I64, stretches: I64, spread: F32) -> None:
    """Subtract each channel's baseline mean; ``spread``: mean |x - x[0]| outside the gaps, NaN or inf if x
    has any."""
    for c in range(x.shape[0]):
        row = x[c]
        at = row[baseline[0]]
        total = np.float32(0.0)
        for i in range(baseline[0], baseline[1]):
            total += row[i] - at
        mean = at + total / np.float32(baseline[1] - baseline[0])
        absolute, count = np.float32(0.0), 0
        for s in range(stretches.shape[0]):
            part = row[stretches[s, 0] : stretches[s, 1]]
            for i in range(part.size):
                absolute += abs(part[i] - at)
            count += part.size
        spread[c] = absolute / np.float32(count)
        for i in range(row.size):
            row[i] -= mean


@kernel("void(float32[:,::1], boolean[::1], float32[::1])")
def mean_of(x: F32, good: Bool, mean: F32) -> None:
    """Mean over the good channels, float32[n_times]."""
    mean[:] = np.float32(0.0)
    count = 0
    for c in range(x.shape[0]):
        if good[c]:
            count += 1
            row = x[c]
            for i in range(row.size):
                mean[i] += row[i]
    if count:
        share = np.float32(1.0 / count)
        for i in range(mean.size):
            mean[i] *= share


@kernel("void(float32[:,::1], float32[::1], int64, int64, float32[::1])", sums=True)
def spread_about(x: F32, mean: F32, first: int, stop: int, sd: F32) -> None:
    """RMS over [first, stop) of each channel minus ``mean``."""
    for c in range(x.shape[0]):
        row = x[c]
        acc = np.float32(0.0)
        for i in range(first, stop):
            d = row[i] - mean[i]
            acc += d * d
        sd[c] = np.sqrt(acc / np.float32(stop - first))


@kernel("void(float32[:,::1], int64, int64, float32[::1])", sums=True)
def fast_energy(x: F32, first: int, stop: int, energy: F32) -> None:
    """Add the squared second differences that lie wholly inside [first, stop), per channel."""
    for c in range(x.shape[0]):
        row = x[c]
        acc = np.float32(0.0)
        for i in range(first + 1, stop - 1):
            d = row[i - 1] - np.float32(2.0) * row[i] + row[i + 1]
            acc += d * d
        energy[c] += acc


def swing_uv(x: F32, stretches: list[tuple[int, int]]) -> float:
    """Largest peak-to-peak of a channel over the given stretches."""
    high = np.max([x[:, a:b].max(axis=1) for a, b in stretches], axis=0)
    low = np.min([x[:, a:b].min(axis=1) for a, b in stretches], axis=0)
    return float((high - low).max())


def fast_uv(x: F32, stretches: list[tuple[int, int]]) -> float:
    """Largest RMS of the second difference of a channel over the given stretches."""
    energy = np.zeros(x.shape[0], dtype=np.float32)
    for a, b in stretches:
        fast_energy(x, a, b, energy)
    count = sum(max(0, b - a - 2) for a, b in stretches)
    return float(np.sqrt(energy.max() / max(1, count)))


class Judge:
    """Limits of ``ChainSpec`` on the layout of one stream."""

    def __init__(self, spec: ChainSpec, montage: Montage, times_s: F64, valid: Bool) -> None:
        self._spec, self._valid = spec, valid
        self._pre = self._columns(times_s, spec.baseline_s)
        self._post = _stretches(valid, *self._columns(times_s, spec.post_s))
        self._muscle = _stretches(valid, *self._columns(times_s, spec.muscle_s))
        self._late = valid & ((times_s < spec.gap_s[0]) | (times_s > 0.05))
        self._gain = float(4 * np.sin(np.pi * _GAIN_HZ / spec.rate_out_hz) ** 2)
        self._width = max(1, round(0.02 * spec.rate_out_hz))
        fpz = position_of("Fpz")
        assert fpz is not None
        unit = montage.positions_m / np.linalg.norm(montage.positions_m, axis=1, keepdims=True).clip(1e-9)
        nearest = np.argsort(-(unit @ fpz), kind="stable")[:3]
        self._frontal = nearest[(unit @ fpz)[nearest] > np.cos(np.deg2rad(40.0))]

    @staticmethod
    def _columns(times_s: F64, span_s: tuple[float, float]) -> tuple[int, int]:
        a, b = np.searchsorted(times_s, [span_s[0] - 1e-9, span_s[1] + 1e-9])
        return int(a), int(b)

    def channels(self, x: F32, bad: Mapping[int, str]) -> tuple[dict[int, str], F32]:
        """Add the channels whose SD before the pulse is extreme; returns (reasons, mean of the good ones).

        x : float32[n_channels, n_times], baseline-corrected, any reference
        """
        spec, reasons = self._spec, dict(bad)
        good = np.ones(x.shape[0], dtype=np.bool_)
        good[list(reasons)] = False
        mean, sd = np.zeros(x.shape[1], dtype=np.float32), np.zeros(x.shape[0], dtype=np.float32)
        for _ in range(4):
            mean_of(x, good, mean)
            if not spec.quality or not good.any():
                break
            spread_about(x, mean, *self._pre, sd)
            limit = max(spec.channel_sd_min_uv, spec.channel_sd_ratio * float(np.median(sd[good])))
            new = np.flatnonzero(good & ~(sd <= limit))
            if not new.size:
                break
            for c in new:
                reasons[int(c)] = f"SD before the pulse {float(sd[c]):.0f} µV (limit {limit:.0f} µV)"
            good[new] = False
        return reasons, mean

    def trial(self, x: F32, good: Bool, *, removed_uv: F32, residual_uv: F32) -> Verdict:
        """All numbers and the reasons for a referenced trial (bad rows zero); the numbers are recorded for
        accepted trials too."""
        spec, n = self._spec, x.shape[0]
        bad_pct = 100.0 * float(np.count_nonzero(~good)) / n
        numbers = {"bad_channels_pct": bad_pct, "good_channels": float(np.count_nonzero(good))}
        reasons: list[tuple[str, float, float, str]] = []
        if not bad_pct <= spec.max_bad_channels_pct:
            reasons.append(("bad channels", bad_pct, spec.max_bad_channels_pct, "%"))
        if not numbers["good_channels"] >= spec.min_channels:
            reasons.append(("good channels", numbers["good_channels"], float(spec.min_channels), ""))
        if not good.any():
            return Verdict(accepted=False, reasons=tuple(reasons), numbers=numbers)
        for when, limit, stretches in (
            ("pre", spec.max_pre_pp_uv, [self._pre]),
            ("post", spec.max_post_pp_uv, self._post),
        ):
            numbers[f"{when}_pp_uv"] = found = swing_uv(x, stretches)
            if not found <= limit:
                reasons.append((f"peak to peak {when} pulse", found, limit, "µV"))
        numbers["muscle_pre_uv"] = fast_uv(x, [self._pre]) / self._gain
        numbers["muscle_post_uv"] = fast_uv(x, self._muscle) / self._gain
        numbers["removed_decay_uv"] = float(np.abs(removed_uv[good]).max())
        numbers["residual_decay_uv"] = float(residual_uv[good].max())
        frontal = self._frontal[good[self._frontal]]
        if frontal.size:
            summed = np.cumsum(x[frontal].mean(axis=0), dtype=np.float64)
            smooth = (summed[self._width :] - summed[: -self._width]) / self._width
            centre = self._late[self._width // 2 : self._width // 2 + smooth.size]
            numbers["blink_uv"] = float(np.abs(smooth[centre]).max())
        for rule, key, limit in (
            ("blink-like frontal amplitude", "blink_uv", spec.max_blink_uv),
            ("residual decay", "residual_decay_uv", spec.max_residual_decay_uv),
            ("fast activity before the pulse", "muscle_pre_uv", spec.max_muscle_pre_uv),
            ("fast activity after the pulse", "muscle_post_uv", spec.max_muscle_post_uv),
        ):
            if key in numbers and not numbers[key] <= limit:
                reasons.append((rule, numbers[key], limit, "µV"))
        if not spec.quality:
            reasons = [r for r in reasons if r[0] == "good channels"]
        return Verdict(accepted=not reasons, reasons=tuple(reasons), numbers=numbers)


def _stretches(valid: Bool, first: int, stop: int) -> list[tuple[int, int]]:
    """The runs of valid samples inside [first, stop)."""
    inside = np.zeros(valid.size + 1, dtype=np.int8)
    inside[first:stop] = valid[first:stop]
    edges = np.flatnonzero(np.diff(inside, prepend=0))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
