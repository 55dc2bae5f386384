"""Owns what a report is made of: plain values that the session fills; owns no computing and no layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rtloop.model.estimate import Estimate, Scores
from rtloop.model.montage import Montage
from rtloop.model.samples import F32, F64
from rtloop.model.status import Mode


@dataclass(frozen=True, kw_only=True)
class Evoked:
    """The average of the accepted trials: ``data_uv`` float32[n_channels, n_times], µV, average reference.

    ``times_ms`` float64[n_times], relative to the pulse; ``gap_ms`` is the stretch that was removed and
    bridged.
    """

    data_uv: F32
    times_ms: F64
    montage: Montage
    gap_ms: tuple[float, float] | None = None
    local_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.data_uv.shape != (self.montage.n_channels, len(self.times_ms)):
            raise ValueError(
                f"evoked {self.data_uv.shape} does not fit {self.montage.n_channels} x {len(self.times_ms)}"
            )


@dataclass(frozen=True, kw_only=True)
class BesideRow:
    """One measure beside the scores in one scope: band (or "") -> estimate."""

    measure: str
    where: str
    values: Mapping[str, Estimate]
    definition: str


@dataclass(frozen=True, kw_only=True)
class ContrastRow:
    """A number of the run, of its control block, and their difference."""

    what: str
    real: Estimate
    control: Estimate
    difference: Estimate


@dataclass(frozen=True, kw_only=True)
class LightRow:
    """One judged number of a block (rtloop.quality): its light in words, value and limits; None where there is none."""

    what: str
    light: str  # green, yellow, red, absent
    value: float | None
    unit: str
    worse: str  # above or below the limits
    yellow: float | None
    red: float | None
    words: str
    todo: str


@dataclass(frozen=True, kw_only=True)
class EqualRow:
    """One number of all targets at equal numbers of trials: target -> estimate."""

    what: str
    values: Mapping[str, Estimate]


@dataclass(frozen=True, kw_only=True)
class TargetReport:
    """One target. ``facts`` are shown as they are (intensity, coil, angle, early response, muscle ...)."""

    scores: Scores
    evoked: Evoked | None = None
    rejected_for: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    companions: Mapping[str, Estimate] = field(
        default_factory=dict
    )  # shift predictor, evoked-subtracted, ...
    words: tuple[str, ...] = ()  # remarks, e.g. why the target is not comparable
    lights: tuple[LightRow, ...] = ()  # the worst first
    beside: tuple[BesideRow, ...] = ()
    asks_control: bool = True  # False: it is a control block itself
    contrast: tuple[ContrastRow, ...] = ()
    subtracted: Mapping[str, Estimate] = field(default_factory=dict)  # of the average of run minus control
    subtracted_evoked: Evoked | None = None


@dataclass(frozen=True, kw_only=True)
class RankRow:
    """One target in the order displayed."""

    target: str
    score: Estimate
    p_lowest: float | None
    p_highest: float | None
    n_accepted: int


@dataclass(frozen=True, kw_only=True)
class PulseRow:
    """One pulse through its life; None where there is nothing to say."""

    pulse_id: int
    target: str
    purpose: str
    power_pct_mso: int | None
    commanded_s: float | None
    permitted: bool | None
    outcome: str
    unit_reply: str = ""
    seen_source: str = ""  # every source that showed it; empty: not seen
    sample: int | None = None
    disagreement_samples: float | None = None
    verdict: str = ""  # accepted, rejected, not judged
    reasons: str = ""
    delivered: str = ""  # bounds of a train, or of an uncertain pulse, in words


@dataclass(frozen=True, kw_only=True)
class TimingRow:
    """Percentiles of one latency, in milliseconds."""

    name: str
    n: int
    median_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    budget_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class HistoryRow:
    """One line of the fault and interlock history; ``t_s`` since the start of the session."""

    t_s: float
    what: str  # "fault", "cleared", "lamp", "operator"
    words: str


@dataclass(frozen=True, kw_only=True)
class ReportInput:
    """Everything on the report. ``masked``: a blinded study, scores and ranking are left out by design."""

    mode: Mode
    participant: str  # a code, never a name
    plan_name: str
    plan_sha256: str
    software_version: str
    run_id: str
    journal_head: str
    started_utc: str
    ended_utc: str
    title: str = "TMS-EEG session"
    ended_words: str = ""
    targets: tuple[TargetReport, ...] = ()
    ranking: tuple[RankRow, ...] = ()
    ranking_words: str = ""
    decision_words: tuple[str, ...] = ()
    # (caption, rows with the head first)
    decision_tables: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = ()
    trial_note: str = ""
    pulses: tuple[PulseRow, ...] = ()
    timings: tuple[TimingRow, ...] = ()
    history: tuple[HistoryRow, ...] = ()
    conditions: Mapping[str, str] = field(default_factory=dict)  # coil, waveform, threshold method, dose ...
    verified: tuple[str, ...] = ()  # lines of ``verify``
    equal: tuple[EqualRow, ...] = ()
    equal_words: str = ""
    masked: bool = False
