"""Owns the named settings of the fast cleaning chain; owns no processing.

Every default is an assumption of this project ([A] in the design notes) unless the comment names a source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from rtloop.dsp.channels import ChannelMemory, HoldRule
from rtloop.errors import ValidationProblem

Span = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class ChainSpec:
    """How a raw epoch becomes a clean trial. Times are seconds from the pulse."""

    epoch_s: Span = (-0.8, 0.6)
    baseline_s: Span = (-0.6, -0.01)
    rate_out_hz: float = 1000.0
    # 1 bridge
    bridge: bool = True
    gap_s: Span = (-0.002, 0.012)  # pulse and amplifier recovery; missing data, not repairable
    recharge_gap_s: Span | None = None  # a second gap at the unit's recharge spike
    flank_s: float = 0.010
    # 2 decay, power law A/(1+t/tau)^2 (Freche 2018, 10.1371/journal.pcbi.1006177)
    decay: bool = True
    decay_end_s: float = 0.150
    decay_tau_s: Span = (0.0005, 0.05)
    decay_taus: int = 24
    decay_min_uv: float = 20.0  # gate: amplitude at the end of the gap
    decay_noise_ratio: float = 4.0  # gate: amplitude over that of the same fit to ongoing EEG
    decay_min_share: float = 0.5  # gate: share of the window's variance explained
    # 3 anti-alias and decimation
    pass_hz: float = 300.0
    stop_hz: float = 700.0  # folds to 300 Hz and above: nothing aliases into the pass band
    stop_db: float = 60.0
    detrend: bool = True  # line through baseline and the last 150 ms, instead of a high-pass filter
    # 4 reference
    average_reference: bool = True
    # 5 spatial stage: off unless a plan says so
    sound: bool = False  # each electrode's own noise (Mutanen 2018, 10.1016/j.neuroimage.2017.10.021)
    sound_lambda0: float = 0.1  # Mutanen 2018
    sound_rounds: int = 8
    # patterns of muscle and decay, the evoked response allowed for (rtloop.dsp.muscle); needs no per-trial decay fit:
    # that breaks up across channels and trials what is one pattern (decay=False with it: docs/decisions/0014);
    # decay_first: the fit serves trials that no filter cleans (the first ones), and teaches nothing
    decay_first: bool = False
    leave_out_first: bool = False  # trials before the first filter are kept, but do not count
    reclean_earlier: bool = (
        False  # they are cleaned again by the first filter, between pulses (rtloop.dsp.earlier)
    )
    muscle: bool = False
    muscle_fast: bool = True  # look first in the second difference, where an evoked response hardly appears
    muscle_allowance: float = 10.0  # power of an evoked response over that of ongoing EEG, in either look
    muscle_sources: bool = False  # reconstruct from sources alone (Mutanen 2016)
    muscle_fit_s: Span = (0.011, 0.030)  # what lies in the gap is left out
    muscle_until_s: float = 0.100  # they are taken out from the start of the gap, bridge included, until here
    muscle_ratio: float = 4.0  # power after the pulse over power before
    muscle_most: int = 8
    # learn muscle from samples before the brain can have answered, and subtract what decay and step are constant at each
    # electrode (rtloop.dsp.unanswered, docs/decisions/0015); off here so that older records replay as they were, on in a plan
    muscle_early: bool = False
    early_s: Span = (0.0035, 0.0085)  # behind the amplifier's recovery, bins of 1 ms; the gap does not matter
    early_most_uv: float = 5000.0  # larger in a good channel: it had not recovered, the trial teaches nothing
    spatial_first: int = 10  # trials learnt before the first one is cleaned
    spatial_every: int = 5  # trials between two filters
    spatial_memory: int = 0  # trials after which one has faded to 1/e; 0: none is forgotten
    spatial_channels: int = 16  # fewer good ones: the trial is not cleaned
    # blinks, before the spatial stage (rtloop.dsp.blink); off unless a plan says so
    blink: bool = False
    blink_gate_uv: float = 60.0  # of the smoothed frontal mean
    blink_first: int = 2  # blinks learnt before one is removed
    blink_most: int = 2  # fields
    # 6 quality
    quality: bool = True
    flat_uv: float = 0.2  # peak to peak over the epoch
    wild_uv: float = 1e5  # mean deviation over the epoch: no EEG, whatever the amplifier
    channel_sd_ratio: float = 5.0  # over the median SD of the channels, before the pulse
    channel_sd_min_uv: float = 30.0  # and at least this
    post_s: Span = (0.015, 0.59)
    muscle_s: Span = (0.012, 0.060)
    max_pre_pp_uv: float = 200.0
    max_post_pp_uv: float = 600.0
    max_blink_uv: float = 80.0
    max_residual_decay_uv: float = 150.0
    max_muscle_pre_uv: float = 30.0
    max_muscle_post_uv: float = 150.0
    max_bad_channels_pct: float = 30.0  # Casarotto 2022, 10.1016/j.jneumeth.2022.109486
    min_channels: int = 4
    # channels over trials (rtloop.dsp.channels); off here so that older records replay as they were, on in a plan
    hold_bad_trials: int = 0  # bad in so many of the last hold_of_last trials: left out (0: never)
    hold_of_last: int = 10
    hold_good_trials: int = 5  # so many good trials in a row take it back
    max_still_s: float = 0.0  # a channel that has one value for longer is bad (0: not looked for)
    rebuild: bool = False  # bad channels from their neighbours, for people to look at; they count nowhere
    # 7 analytic signal
    window_s: Span = (0.015, 0.300)
    # parts of it that measures are given for beside the scores (SCIENCE section 1)
    sub_windows_s: tuple[Span, ...] = ((0.015, 0.120), (0.120, 0.180), (0.180, 0.300))
    points: tuple[int, int, int] = (32, 32, 64)  # per band of BANDS_HZ
    max_gap_share: float = 0.125  # share of a kernel's energy inside the gap; the band starts where it is met
    kernel_sigmas: float = 3.5
    # what is kept of every trial for the average
    average_s: Span = (-0.3, 0.5)

    def __post_init__(self) -> None:
        ok = (
            self.epoch_s[0] <= self.baseline_s[0] < self.baseline_s[1] <= self.gap_s[0] < 0 < self.gap_s[1]
            and self.gap_s[1] <= self.window_s[0] < self.window_s[1] <= self.epoch_s[1]
            and self.gap_s[1] < self.decay_end_s <= self.epoch_s[1]
            and self.epoch_s[0] <= self.average_s[0] < self.average_s[1] <= self.epoch_s[1]
            and self.gap_s[1] <= self.post_s[0] < self.post_s[1] <= self.epoch_s[1]
            and self.gap_s[1] <= self.muscle_s[0] < self.muscle_s[1] <= self.epoch_s[1]
            and 0 < self.pass_hz < self.stop_hz
            and min(self.points) >= 1
            and self.flank_s >= 0.003
            and 0 <= self.hold_bad_trials <= self.hold_of_last
            and self.hold_good_trials >= 1
            and self.max_still_s >= 0
            and self.blink_gate_uv > 0
            and min(self.blink_first, self.blink_most) >= 1
            and not (self.blink and not self.average_reference)
            and all(0 < first < last for first, last in self.sub_windows_s)
        )
        second = self.recharge_gap_s
        if second is not None:
            ok = (
                ok and self.gap_s[1] + self.flank_s <= second[0] < second[1] <= self.epoch_s[1] - self.flank_s
            )
        if not ok:
            raise ValidationProblem(
                "the settings of the cleaning chain contradict each other",
                expected="epoch start <= baseline <= gap < pulse < gap end <= windows <= epoch end",
                found=f"epoch {self.epoch_s}, baseline {self.baseline_s}, gap {self.gap_s}, "
                f"window {self.window_s}",
                todo="correct the times; a longer gap needs later windows",
            )
        if (self.sound or self.muscle) and not self._spatial_fits():
            raise ValidationProblem(
                "the settings of the spatial stage contradict each other or the rest of the chain",
                expected="average reference on; muscle_fit_s ends after the gap; muscle_fit_s <= muscle_until_s <= epoch; "
                "lambda0 > 0, ratio > 1, allowance >= 0, counts >= 1, first and channels >= 4, memory 0 or >= first",
                found=f"muscle_fit_s {self.muscle_fit_s}, muscle_until_s {self.muscle_until_s}, "
                f"average reference {self.average_reference}",
                todo="correct them, or switch sound and muscle off",
            )
        if self.reclean_earlier and not (self.sound or self.muscle):
            raise ValidationProblem(
                "earlier trials cannot be cleaned again without a stage that learns", expected="sound or muscle on",
                found="both off", todo="switch one of them on, or keep earlier trials as they are",
            )  # fmt: skip
        if self.muscle and self.muscle_early and not self._early_fits():
            raise ValidationProblem(
                "learning before the brain can have answered contradicts the other settings",
                expected="decay off; early_s after the pulse, at least 4 ms long, over before the stretch that is cleaned; "
                "early_most_uv > 0", found=f"decay {self.decay}, early_s {self.early_s}, {self.early_most_uv:g} µV",
                todo="correct them, or switch muscle_early off",
            )  # fmt: skip
        if self.decay_first and (self.decay or not (self.sound or self.muscle)):
            raise ValidationProblem(
                "the decay fit for the first trials contradicts the other stages",
                expected="decay off, and sound or muscle on", found=f"decay {self.decay}, sound {self.sound}, "
                f"muscle {self.muscle}", todo="switch decay_first off, or the decay",
            )  # fmt: skip

    def _spatial_fits(self) -> bool:
        return (
            self.average_reference
            and self.epoch_s[0] <= self.muscle_fit_s[0] < self.muscle_fit_s[1] <= self.epoch_s[1]
            and self.gap_s[1] < self.muscle_fit_s[1]
            and self.muscle_fit_s[1] <= self.muscle_until_s <= self.epoch_s[1]
            and self.sound_lambda0 > 0
            and self.muscle_ratio > 1
            and self.muscle_allowance >= 0
            and min(self.sound_rounds, self.muscle_most, self.spatial_every) >= 1
            and min(self.spatial_first, self.spatial_channels) >= 4
            and (self.spatial_memory == 0 or self.spatial_memory >= self.spatial_first)
        )

    def _early_fits(self) -> bool:
        return (
            not self.decay
            and self.early_s[0] > 0
            and self.early_s[0] + 0.004 <= self.early_s[1] + 1e-9
            and self.early_s[1] <= min(self.muscle_fit_s[1], self.muscle_until_s)
            and self.early_most_uv > 0
        )

    @property
    def gaps_s(self) -> tuple[Span, ...]:
        """All stretches that are missing data."""
        return (self.gap_s,) if self.recharge_gap_s is None else (self.gap_s, self.recharge_gap_s)

    def memory(self, n_channels: int) -> ChannelMemory:
        """Of the channels over trials, by these settings."""
        return ChannelMemory(
            n_channels,
            HoldRule(
                bad_trials=self.hold_bad_trials,
                of_last=self.hold_of_last,
                good_trials=self.hold_good_trials,
            ),
        )

    def without_learning(self) -> ChainSpec:
        """The same without what is learnt from past pulses, and what hangs on it: for samples without one, or for times alone."""
        return replace(
            self, sound=False, muscle=False, decay_first=False, leave_out_first=False, reclean_earlier=False
        )

    def fitted_to(self, start_s: float, end_s: float) -> ChainSpec:
        """The same settings on a recording that only reaches from ``start_s`` to ``end_s``."""
        a, b = max(self.epoch_s[0], start_s), min(self.epoch_s[1], end_s)

        def within(span: Span) -> Span:
            return (max(span[0], a), min(span[1], b))

        return replace(
            self,
            epoch_s=(a, b),
            baseline_s=within(self.baseline_s),
            average_s=within(self.average_s),
            window_s=within(self.window_s),
            post_s=within(self.post_s),
            muscle_s=within(self.muscle_s),
            decay_end_s=min(self.decay_end_s, b),
        )

    def to_dict(self) -> dict[str, Any]:
        """For the record."""
        return asdict(self)

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> ChainSpec:
        """Inverse of ``to_dict`` (lists become tuples); unknown names are refused."""
        unknown = sorted(set(d) - {f.name for f in fields(cls)})
        if unknown:
            raise ValidationProblem(
                "unknown setting(s) of the cleaning chain",
                expected="names of ChainSpec",
                found=", ".join(unknown),
            )
        return cls(**{k: _tuples(v) for k, v in d.items()})


def _tuples(value: Any) -> Any:
    """Lists, as JSON has them, as tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
