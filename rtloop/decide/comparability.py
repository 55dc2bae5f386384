"""Owns whether targets may be compared at all, row by row, with the remedy in words; owns no ranking.

Run before every ranking. One failure means "not comparable": that is an answer, with the target, the number and
what to do (design note DECISION section 2). All limits are assumptions informed by simulation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from rtloop.decide.matching import MatchedScore
from rtloop.decide.signals import TargetSignal, rhythm_change, worst_residue
from rtloop.errors import ValidationProblem
from rtloop.model.estimate import Estimate


@dataclass(frozen=True, kw_only=True)
class ComparabilitySpec:
    """The plan's limits."""

    accepted_min: int = 60
    accepted_ratio_max: float = 2.5
    snr_min: float = 0.07  # single-trial power ratio, pooled
    snr_ratio_alike: float = 0.8  # of the best target's: a label only
    snr_ratio_min: float = 0.4
    residue_max: float = 2.0  # phase-locked over ongoing amplitude at the worst channel, highest band
    rhythm_ratio_max: float = 1.25  # of alpha power after/before at quiet electrodes, largest over smallest

    def __post_init__(self) -> None:
        ok = (
            self.accepted_min >= 3
            and self.accepted_ratio_max >= 1
            and self.snr_min >= 0
            and 0 <= self.snr_ratio_min <= self.snr_ratio_alike <= 1
            and self.residue_max > 0
            and self.rhythm_ratio_max >= 1
        )
        if not ok:
            raise ValidationProblem("the limits of the comparability test make no sense", found=str(self))


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the test looks at, of one target. ``setup`` name -> value in words: coil, waveform, reference, bad
    channels, filter; what was not recorded is left out at every target."""

    target: str
    accepted: int
    snr: Estimate
    residue: float
    residue_at: str  # channel
    rhythm_change: float  # alpha power after over before the pulse at quiet electrodes
    setup: Mapping[str, str] = field(default_factory=dict)


class Check(StrEnum):
    """The rows of the test."""

    ACCEPTED = "accepted trials"
    ACCEPTED_RATIO = "accepted trials, most over fewest"
    SNR_PRESENT = "response is there"
    SNR_RATIO = "SNR over the best target's"
    RESIDUE = "phase-locked residue at the worst channel"
    RHYTHM = "rhythm change at quiet electrodes, largest over smallest"
    SETUP = "same set-up"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row for one target: what was found against which limit, and what to do if it failed."""

    check: Check
    target: str
    found: float
    limit: float
    passed: bool
    words: str
    remedy: str = ""
    more_pulses: int | None = None  # accepted pulses missing, where pulses are the remedy


@dataclass(frozen=True, kw_only=True)
class Comparability:
    """All rows. ``label`` is "comparable" or "comparable after matching" where every row passed."""

    findings: tuple[Finding, ...]
    label: str

    @property
    def failures(self) -> tuple[Finding, ...]:
        """Rows that failed."""
        return tuple(f for f in self.findings if not f.passed)

    @property
    def passed(self) -> bool:
        """Whether the targets may be ranked."""
        return not self.failures

    @property
    def words(self) -> str:
        """The label, or every failure with its remedy."""
        if self.passed:
            return f"The targets are {self.label}."
        told = " ".join(f"{f.words} What to do: {f.remedy}." for f in self.failures)
        return f"The targets are not comparable. {told}"


def facts_of(
    signal: TargetSignal, score: MatchedScore, names: Sequence[str], setup: Mapping[str, str] | None = None
) -> Facts:
    """Facts of one target from its trials; ``names`` are the channels'."""
    residue, channel = worst_residue(signal)
    where = names[channel] if channel >= 0 else "no channel"
    return Facts(
        target=signal.target, accepted=signal.n, snr=score.snr, residue=residue, residue_at=where,
        rhythm_change=rhythm_change(signal), setup=setup or {},
    )  # fmt: skip


def compare(facts: Sequence[Facts], spec: ComparabilitySpec | None = None) -> Comparability:
    """Judge the targets against each other. The order of the targets does not matter, only that of the findings does.

    ``ValidationProblem`` for fewer than two targets or one twice.
    """
    spec = spec or ComparabilitySpec()
    names = [f.target for f in facts]
    if len(facts) < 2 or len(set(names)) != len(names):
        raise ValidationProblem("a comparison needs two targets or more, each once", found=", ".join(names))
    found: list[Finding] = []
    for row in _ROWS:
        found.extend(row(facts, spec))
    best = max((f.snr.value for f in facts if f.snr.present), default=math.nan)
    alike = all(f.snr.value >= spec.snr_ratio_alike * best for f in facts)
    return Comparability(findings=tuple(found), label="comparable" if alike else "comparable after matching")


def _accepted(facts: Sequence[Facts], spec: ComparabilitySpec) -> list[Finding]:
    most = max(f.accepted for f in facts)
    out = []
    for f in facts:
        missing = max(0, spec.accepted_min - f.accepted)
        out.append(
            Finding(
                check=Check.ACCEPTED,
                target=f.target,
                found=f.accepted,
                limit=spec.accepted_min,
                passed=not missing,
                more_pulses=missing or None,
                words=f"{f.target} has {f.accepted} accepted trials, {spec.accepted_min} are needed.",
                remedy=f"record {missing} more accepted pulses at {f.target}, placed and set as before",
            )
        )
        least = math.ceil(most / spec.accepted_ratio_max)
        short = max(0, least - f.accepted)
        ratio = most / f.accepted if f.accepted else math.inf
        out.append(
            Finding(
                check=Check.ACCEPTED_RATIO,
                target=f.target,
                found=ratio,
                limit=spec.accepted_ratio_max,
                passed=ratio <= spec.accepted_ratio_max,
                more_pulses=short or None,
                words=f"Another target has {most} accepted trials, {f.target} {f.accepted}: over "
                f"{spec.accepted_ratio_max:g} to 1.",
                remedy=f"record {short} more accepted pulses at {f.target}, placed and set as before",
            )
        )
    return out


def _present(facts: Sequence[Facts], spec: ComparabilitySpec) -> list[Finding]:
    out = []
    for f in facts:
        there = f.snr.present and f.snr.low > 0 and f.snr.value >= spec.snr_min
        size = f"{f.snr.value:.2f} (95 % from {f.snr.low:.2f})" if f.snr.present else f.snr.why_absent
        out.append(
            Finding(
                check=Check.SNR_PRESENT,
                target=f.target,
                found=f.snr.value,
                limit=spec.snr_min,
                passed=there,
                words=f"{f.target} shows no measurable response: SNR {size}, needed {spec.snr_min:g} and more "
                "than 0 with its error.",
                remedy=f"place and turn the coil anew at {f.target}, find the response by preview pulses, or raise "
                f"the intensity within the plan, and record {f.target} from the beginning",
            )
        )
    return out


def _snr_ratio(facts: Sequence[Facts], spec: ComparabilitySpec) -> list[Finding]:
    present = [f for f in facts if f.snr.present]
    if not present:
        return []
    best = max(present, key=lambda f: (f.snr.value, f.target))
    out = []
    for f in present:
        ratio = f.snr.value / best.snr.value if best.snr.value > 0 else math.nan
        out.append(
            Finding(
                check=Check.SNR_RATIO,
                target=f.target,
                found=ratio,
                limit=spec.snr_ratio_min,
                passed=ratio >= spec.snr_ratio_min,
                words=f"The SNR at {f.target} is {ratio:.2f} of that at {best.target} ({f.snr.value:.2f} against "
                f"{best.snr.value:.2f}); under {spec.snr_ratio_min:g} no matching is trusted.",
                remedy=f"look at {best.target} first: early muscle there reads as response; if it is clean, bring "
                f"{f.target} up at the bedside (angle, place, intensity) and record it from the beginning",
            )
        )
    return out


def _residue(facts: Sequence[Facts], spec: ComparabilitySpec) -> list[Finding]:
    return [
        Finding(
            check=Check.RESIDUE, target=f.target, found=f.residue, limit=spec.residue_max,
            passed=f.residue <= spec.residue_max,
            words=f"At {f.target} what is locked to the pulse is {f.residue:.1f} x the ongoing amplitude at "
            f"{f.residue_at} (limit {spec.residue_max:g}): muscle or artifact, or a very large response.",
            remedy=f"look at the single trials of {f.target} there; turn or shift the coil, lower the intensity or "
            "mark the channel bad at all targets, and record it from the beginning",
        )
        for f in facts
    ]  # fmt: skip


def _rhythm(facts: Sequence[Facts], spec: ComparabilitySpec) -> list[Finding]:
    known = [f for f in facts if f.rhythm_change > 0]
    out = [
        Finding(
            check=Check.RHYTHM, target=f.target, found=f.rhythm_change, limit=spec.rhythm_ratio_max, passed=False,
            words=f"At {f.target} the rhythm change at quiet electrodes is unknown.",
            remedy=f"look at the channels of {f.target}: too few count",
        )
        for f in facts
        if f not in known
    ]  # fmt: skip
    if not known:
        return out
    low = min(known, key=lambda f: (f.rhythm_change, f.target))
    high = max(known, key=lambda f: (f.rhythm_change, f.target))
    ratio = high.rhythm_change / low.rhythm_change
    middle = math.sqrt(high.rhythm_change * low.rhythm_change)
    above = sum(f.rhythm_change > middle for f in known)
    odd, other = (low, high) if 2 * above >= len(known) else (high, low)  # the one that few are near
    out.append(
        Finding(
            check=Check.RHYTHM,
            target=odd.target,
            found=ratio,
            limit=spec.rhythm_ratio_max,
            passed=ratio <= spec.rhythm_ratio_max,
            words=f"Where there is least response, alpha power after the pulse is {odd.rhythm_change:.2f} of that "
            f"before at {odd.target} and {other.rhythm_change:.2f} at {other.target}: the pulse changes the ongoing "
            "rhythms differently, and the matching takes them for unchanged.",
            remedy=f"check wakefulness, eyes and masking, and record {odd.target} from the beginning, then "
            f"{other.target} if they still differ",
        )
    )
    return out


def _setup(facts: Sequence[Facts], spec: ComparabilitySpec) -> list[Finding]:
    out = []
    first = min(facts, key=lambda f: f.target)
    for name in sorted({n for f in facts for n in f.setup}):
        for f in facts:
            mine, other = f.setup.get(name, "not recorded"), first.setup.get(name, "not recorded")
            out.append(
                Finding(
                    check=Check.SETUP,
                    target=f.target,
                    found=float(mine != other),
                    limit=0.0,
                    passed=mine == other,
                    words=f"{name} differs: {mine} at {f.target}, {other} at {first.target}.",
                    remedy=f"record {f.target} and {first.target} with the same {name}, or leave it out at both",
                )
            )
    return out


_Row = Callable[[Sequence[Facts], ComparabilitySpec], list[Finding]]
_ROWS: tuple[_Row, ...] = (_accepted, _present, _snr_ratio, _residue, _rhythm, _setup)
