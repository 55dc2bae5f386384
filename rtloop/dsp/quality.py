"""Owns the judgement of channels and trials by numbers with limits; owns no repair.

A bad channel does not count in that trial: it is left out of the average reference and adds nothing to any
sum, so every pair is scored over the trials in which both its channels were good. What is left out over several
trials is ``rtloop.dsp.channels``; what is rebuilt for people to look at, ``rtloop.dsp.rebuild``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np

from rtloop.dsp.rows import fast, slow_peak, spread_about, swing
from rtloop.dsp.settle import LineNoise
from rtloop.dsp.spec import ChainSpec
from rtloop.model.estimate import Verdict
from rtloop.model.montage import Montage, position_of
from rtloop.model.samples import F32, F64, I64, Bool

#: gain of the second difference at 150 Hz and 1 kHz; muscle is read as if it were at that frequency
_GAIN_HZ = 150.0
#: a channel that is nearer to the mean of all (SD before the pulse) has no signal of its own (an assumption)
OWN_UV = 0.05


class Judge:
    """Limits of ``ChainSpec`` on the layout of one stream."""

    def __init__(self, spec: ChainSpec, montage: Montage, times_s: F64, valid: Bool) -> None:
        self._spec, self._n = spec, montage.n_channels
        self._pre = np.array([self._columns(times_s, spec.baseline_s)], dtype=np.int64)
        self._line = LineNoise(times_s, int(self._pre[0, 0]), int(self._pre[0, 1]))
        self._post = _stretches(valid, *self._columns(times_s, spec.post_s))
        self._muscle = _stretches(valid, *self._columns(times_s, spec.muscle_s))
        self.late = valid & ((times_s < spec.gap_s[0]) | (times_s > 0.05))
        self._gain = float(4 * np.sin(np.pi * _GAIN_HZ / spec.rate_out_hz) ** 2)
        self._width = max(1, round(0.02 * spec.rate_out_hz))
        fpz = position_of("Fpz")
        assert fpz is not None
        unit = montage.positions_m / np.linalg.norm(montage.positions_m, axis=1, keepdims=True).clip(1e-9)
        nearest = np.argsort(-(unit @ fpz), kind="stable")[:3]
        #: the channels in which a blink is seen, and the instants at which nothing of the pulse hides it
        self.frontal: I64 = nearest[(unit @ fpz)[nearest] > np.cos(np.deg2rad(40.0))]

    @staticmethod
    def _columns(times_s: F64, span_s: tuple[float, float]) -> tuple[int, int]:
        a, b = np.searchsorted(times_s, [span_s[0] - 1e-9, span_s[1] + 1e-9])
        return int(a), int(b)

    def channels(
        self, x: F32, bad: Mapping[int, str], held: Collection[int] = ()
    ) -> tuple[dict[int, str], F32, tuple[int, ...]]:
        """Add the channels whose SD before the pulse is extreme; returns (reasons, mean of the good ones, those of
        ``held`` that would have passed).

        x : float32[n_times, n_channels or more], baseline-corrected, any reference
        held : channels of ``bad`` that are there only because of earlier trials
        """
        spec, reasons, passed = self._spec, dict(bad), tuple(held)
        good = np.ones(self._n, dtype=np.bool_)
        good[list(reasons)] = False
        share, sd = np.zeros(x.shape[1], dtype=np.float32), np.zeros(x.shape[1], dtype=np.float32)
        for _ in range(4):
            share[: self._n] = good / np.float32(max(1, int(good.sum())))
            mean = x @ share
            if not spec.quality or not good.any():
                break
            spread_about(x, mean, int(self._pre[0, 0]), int(self._pre[0, 1]), sd)
            limit = max(spec.channel_sd_min_uv, spec.channel_sd_ratio * _middle(sd[: self._n][good]))
            passed = tuple(c for c in held if OWN_UV <= sd[c] <= limit)
            new = np.flatnonzero(good & ~((sd[: self._n] >= OWN_UV) & (sd[: self._n] <= limit)))
            if not new.size:
                break
            for c in new:
                found = float(sd[c])
                reasons[int(c)] = f"SD before the pulse {found:.0f} µV (limit {limit:.0f} µV)"
                if found < OWN_UV:
                    reasons[int(c)] = (
                        f"the same as the mean of all channels (within {OWN_UV:g} µV): no signal"
                    )
            good[new] = False
        return reasons, mean, passed

    def trial(
        self, x: F32, good: Bool, *, decay_uv: tuple[F32, F32] | None = None, back_ms: float = math.nan
    ) -> Verdict:
        """All numbers and the reasons for a referenced trial float32[n_times, n_channels or more] (bad channels
        zero); the numbers are recorded for accepted trials too. ``decay_uv``: removed and left, None: not fitted."""
        spec, n = self._spec, self._n
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
            ("pre", spec.max_pre_pp_uv, self._pre),
            ("post", spec.max_post_pp_uv, self._post),
        ):
            numbers[f"{when}_pp_uv"] = found = float(swing(x, stretches))
            if not found <= limit:
                reasons.append((f"peak to peak {when} pulse", found, limit, "µV"))
        line_uv = self._line.worst_uv(x, good)
        more = {"line_noise_uv": line_uv, "decay_back_ms": back_ms}
        numbers |= {name: value for name, value in more.items() if math.isfinite(value)}
        numbers["muscle_pre_uv"] = float(fast(x, self._pre)) / self._gain
        numbers["muscle_post_uv"] = float(fast(x, self._muscle)) / self._gain
        if decay_uv is not None:
            numbers["removed_decay_uv"] = float(np.abs(decay_uv[0][good]).max())
            numbers["residual_decay_uv"] = float(decay_uv[1][good].max())
        frontal = self.frontal[good[self.frontal]]
        if frontal.size:
            numbers["blink_uv"] = float(slow_peak(x, frontal, self._width, self.late))
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


def _middle(values: F32) -> float:
    """The median, without the checks of ``numpy.median``, which take longer than the rest of the judgement of channels."""
    values, half = np.sort(values), values.size // 2
    return float(values[half] if values.size % 2 else (values[half - 1] + values[half]) / 2)


def _stretches(valid: Bool, first: int, stop: int) -> I64:
    """The runs of valid samples inside [first, stop), int64[n, 2]."""
    inside = np.zeros(valid.size + 1, dtype=np.int8)
    inside[first:stop] = valid[first:stop]
    edges = np.flatnonzero(np.diff(inside, prepend=0))
    return np.ascontiguousarray(edges.reshape(-1, 2), dtype=np.int64)
