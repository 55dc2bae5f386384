"""Owns the size of a motor-evoked potential in a stretch of EMG, and why a pulse cannot be judged; owns no stream.

A response is a peak-to-peak of at least 50 µV (Rossini 2015, 10.1016/j.clinph.2015.02.001) in a window after the pulse.
A muscle that was not at rest answers too easily: such a pulse is not judged at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.model.pulse import finite
from rtloop.model.samples import F32, F64, Bool


@dataclass(frozen=True, kw_only=True)
class MepSpec:
    """Milliseconds from the pulse, microvolts. Grades as in the design notes.

    ``criterion_uv`` 50 [S, Rossini 2015]. ``window_ms`` 15 to 50 [A]: hand muscles answer at about 22 ms, the pulse's own
    artifact is over by then. ``rest_ms`` -105 to -5 [A]: the muscle before the pulse; it is at rest up to ``rest_rms_uv`` 10
    [A, a usual limit; below it activity still raises the chance of a response] and while no stretch of it as long as the
    window reaches the criterion by itself. ``rail_uv`` None: the amplifier's range is not known; a flat top is found in any
    case: equal samples at the stretch's own maximum or minimum for ``flat_ms`` 2 [A] (at least 4 samples).
    """

    window_ms: tuple[float, float] = (15.0, 50.0)
    rest_ms: tuple[float, float] = (-105.0, -5.0)
    criterion_uv: float = 50.0
    rest_rms_uv: float = 10.0
    rail_uv: float | None = None
    flat_ms: float = 2.0

    def __post_init__(self) -> None:
        (a, b), (c, d) = self.window_ms, self.rest_ms
        span_ms = finite(b) - finite(a)
        wrong = []
        if not 0 <= finite(a) < finite(b) <= 500:
            wrong.append(f"the window lies 0 to 500 ms after the pulse, not at {self.window_ms}")
        if not -2000 <= finite(c) < finite(d) <= 0 or not finite(d) - finite(c) >= span_ms:
            wrong.append(
                f"rest is looked at in the 2 s before the pulse, at least as long as the window, not at {self.rest_ms}"
            )
        if not (finite(self.criterion_uv) > 0 and finite(self.rest_rms_uv) > 0):
            wrong.append("criterion and limit of rest are above 0 µV")
        if self.rail_uv is not None and not finite(self.rail_uv) > self.criterion_uv:
            wrong.append(f"the rail lies above the criterion, not at {self.rail_uv!r}")
        if not 0 < finite(self.flat_ms) <= 20:
            wrong.append(f"a flat top lasts 0 to 20 ms, not {self.flat_ms!r}")
        if wrong:
            raise ValidationProblem("an MEP cannot be measured so", found="; ".join(wrong))

    def words(self) -> str:
        """What counts as a response."""
        first_ms, last_ms = self.window_ms
        return (
            f"at least {self.criterion_uv:g} µV peak to peak, {first_ms:g} to {last_ms:g} ms after the pulse"
        )

    def reach_s(self) -> tuple[float, float]:
        """Seconds before and after the pulse that ``measured`` needs."""
        return -self.rest_ms[0] * 1e-3, self.window_ms[1] * 1e-3


@dataclass(frozen=True, kw_only=True)
class Mep:
    """What a stretch of EMG shows. ``reasons``: why it cannot be judged; then there is no ``response``."""

    pp_uv: float | None
    rest_rms_uv: float | None
    response: bool | None
    reasons: tuple[str, ...] = ()

    def words(self) -> str:
        """For the operator."""
        if self.response is None:
            return "not judged: " + "; ".join(self.reasons)
        assert self.pp_uv is not None
        assert self.rest_rms_uv is not None
        return f"{'response' if self.response else 'no response'}, {self.pp_uv:.0f} µV (at rest {self.rest_rms_uv:.1f} µV RMS)"


def measured(emg_uv: F32, rate_hz: float, pulse: int, spec: MepSpec) -> Mep:
    """Judge one pulse. ``emg_uv`` float32[n_samples], µV; the pulse is at index ``pulse``.

    A stretch that cannot be judged gives every reason in words. ValidationProblem where it is too short, or is no such array.
    """
    if emg_uv.ndim != 1 or not finite(rate_hz) > 0:
        raise ValidationProblem(
            "this is no stretch of one channel", expected="one row of samples and its rate",
            found=f"shape {emg_uv.shape}, {rate_hz!r} Hz",
        )  # fmt: skip
    rest = _span(spec.rest_ms, rate_hz, pulse)
    window = _span(spec.window_ms, rate_hz, pulse)
    if rest[0] < 0 or window[1] > len(emg_uv) or window[1] - window[0] < 2:
        raise ValidationProblem(
            "the stretch of EMG is too short", expected=f"samples {rest[0]} to {window[1]}", found=f"0 to {len(emg_uv)}"
        )  # fmt: skip
    before, after = emg_uv[slice(*rest)].astype(np.float64), emg_uv[slice(*window)].astype(np.float64)
    reasons: list[str] = []
    for where, part in (("before the pulse", before), ("in the window", after)):
        reasons += _damaged(where, part, rate_hz, spec)
    if reasons:
        return Mep(pp_uv=None, rest_rms_uv=None, response=None, reasons=tuple(reasons))
    rms_uv, pp_uv = float(before.std()), float(np.ptp(after))
    if not rms_uv <= spec.rest_rms_uv:
        reasons.append(
            f"the muscle was not at rest: expected at most {spec.rest_rms_uv:g} µV RMS, found {rms_uv:.1f}"
        )
    own_uv = float(np.ptp(np.lib.stride_tricks.sliding_window_view(before, len(after)), axis=1).max())
    if not own_uv < spec.criterion_uv:
        reasons.append(
            f"the channel reaches the criterion without a pulse: expected less than {spec.criterion_uv:g} µV peak to peak, "
            f"found {own_uv:.0f}"
        )
    return Mep(
        pp_uv=pp_uv, rest_rms_uv=rms_uv, response=None if reasons else pp_uv >= spec.criterion_uv, reasons=tuple(reasons)
    )  # fmt: skip


def _span(span_ms: tuple[float, float], rate_hz: float, pulse: int) -> tuple[int, int]:
    first, last = (pulse + round(ms * 1e-3 * rate_hz) for ms in span_ms)
    return first, last


def _damaged(where: str, part: F64, rate_hz: float, spec: MepSpec) -> list[str]:
    bad = int((~np.isfinite(part)).sum())
    if bad:
        return [f"{bad} of {len(part)} samples {where} are no numbers: expected none"]
    top = float(np.abs(part).max())
    if spec.rail_uv is not None and not top < spec.rail_uv:
        return [
            f"the amplifier is at its rail {where}: expected less than {spec.rail_uv:g} µV, found {top:.0f}"
        ]
    if float(np.ptp(part)) == 0.0:
        return [f"the channel stands still {where}: expected a signal, found {part[0]:g} µV throughout"]
    run, least = (
        max(_longest(part == part.max()), _longest(part == part.min())),
        max(4, spec.flat_ms * 1e-3 * rate_hz),
    )
    if run >= least:
        return [
            f"the signal {where} is cut off: expected fewer than {least:g} equal samples at its peak, found {run}"
        ]
    return []


def _longest(equal: Bool) -> int:
    """Length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], equal.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0
