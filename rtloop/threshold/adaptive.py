"""Owns the adaptive method: the next pulse at the most likely threshold (best PEST; Awiszus 2003,
10.1016/S1567-424X(09)70205-3); owns neither the curve nor how a response is told.

A pure function of the answers so far: the same answers give the same next step, live, after a crash and in a replay. Pulses
at any power count, also those that the method did not ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rtloop.errors import ValidationProblem
from rtloop.model.pulse import finite
from rtloop.model.threshold import Answer, whole
from rtloop.threshold.curve import Curve, Found, fitted
from rtloop.threshold.steps import Do, Step, failed, give

NAME = "adaptive maximum likelihood"


@dataclass(frozen=True, kw_only=True)
class AdaptiveSpec:
    """Powers in whole % of maximum output. All but the spread are assumptions [A] of this project.

    ``rise_pct``: while only one kind of answer was seen the power moves by so much; and no pulse is stronger by more than
    that than the strongest so far: nobody is surprised by a jump. ``width_share``: it ends when the interval is no wider than
    this share of the estimate, from ``pulses_min`` on; at ``pulses_max`` in any case (18 were enough to converge in 53
    healthy people, 10.1016/j.cnp.2025.12.008). ``vain``: so many pulses without a response at ``most_pct_mso`` end it, or
    with one at ``least_pct_mso``.
    """

    start_pct_mso: int = 40
    rise_pct: int = 10
    width_share: float = 0.08
    pulses_min: int = 12
    pulses_max: int = 30
    vain: int = 3
    least_pct_mso: int = 10
    most_pct_mso: int = 100
    curve: Curve = field(default_factory=Curve)

    def __post_init__(self) -> None:
        whole_numbers = (self.start_pct_mso, self.rise_pct, self.pulses_min, self.pulses_max, self.vain)
        ok = all(type(n) is int and n >= 1 for n in (*whole_numbers, self.least_pct_mso, self.most_pct_mso))
        ok = ok and self.least_pct_mso <= self.start_pct_mso <= self.most_pct_mso <= 100
        ok = ok and self.pulses_min <= self.pulses_max and 0 < finite(self.width_share) <= 1
        if not ok:
            raise ValidationProblem(
                "the adaptive method cannot work so",
                expected="least <= start <= most (at most 100 %), fewest pulses <= most pulses, whole numbers from 1 on, a "
                "width of 0 to 1",
                found=str(self),
            )  # fmt: skip

    def settings(self) -> dict[str, float]:
        """The numbers, for the record."""
        names = (
            "start_pct_mso", "rise_pct", "width_share", "pulses_min", "pulses_max", "vain", "least_pct_mso", "most_pct_mso",
        )  # fmt: skip
        curve = {"spread": self.curve.spread, "lapse": self.curve.lapse}
        return {n: float(getattr(self, n)) for n in names} | curve


def next_step(spec: AdaptiveSpec, answers: Sequence[Answer]) -> Step:
    """What to do after ``answers``."""
    n, kinds = len(answers), {a.response for a in answers}
    if not answers:
        return give(spec.start_pct_mso, "the first pulse")
    if len(kinds) == 1:
        return _one_kind(spec, answers, kinds.pop())
    found = fitted(spec.curve, answers)
    if n >= spec.pulses_max or (n >= spec.pulses_min and _narrow(spec, found)):
        return _ended(spec, found, n)
    strongest = max(a.pct_mso for a in answers)
    wanted = whole(found.estimate_pct_mso)
    pct_mso = max(spec.least_pct_mso, min(wanted, strongest + spec.rise_pct, spec.most_pct_mso))
    why = f"most likely {found.estimate_pct_mso:.1f} % after {n} pulse(s)"
    if pct_mso < wanted:
        why += f"; no pulse rises by more than {spec.rise_pct} %, nor above {spec.most_pct_mso} %"
    return give(pct_mso, why)


def _one_kind(spec: AdaptiveSpec, answers: Sequence[Answer], response: bool) -> Step:
    """All answers alike so far: there is no most likely threshold; the power moves by fixed steps."""
    powers = [a.pct_mso for a in answers]
    edge = spec.least_pct_mso if response else spec.most_pct_mso
    if (
        sum(p <= edge if response else p >= edge for p in powers) >= spec.vain
        or len(answers) >= spec.pulses_max
    ):
        if response:
            return failed(
                f"the muscle answered to every pulse, down to {min(powers)} %: look at the EMG, whether the muscle is at rest, "
                "and start lower"
            )
        return failed(
            f"the muscle answered to no pulse, up to {max(powers)} %: look for the hot spot, at coil and EMG; or the threshold "
            f"lies above {spec.most_pct_mso} %"
        )
    if response:
        return give(max(min(powers) - spec.rise_pct, edge), "only responses so far: down")
    return give(min(max(powers) + spec.rise_pct, edge), "no response so far: up")


def _narrow(spec: AdaptiveSpec, found: Found) -> bool:
    return found.width_pct_mso <= spec.width_share * found.estimate_pct_mso


def _ended(spec: AdaptiveSpec, found: Found, n: int) -> Step:
    estimate, low, high = found.estimate_pct_mso, found.low_pct_mso, found.high_pct_mso
    if not 1 <= whole(estimate) <= spec.most_pct_mso:
        return failed(
            f"after {n} pulses the most likely threshold, {estimate:.1f} %, lies outside 1 to {spec.most_pct_mso} %: look for "
            "the hot spot, or allow more power"
        )
    if low is None or high is None:
        return failed(
            f"{n} pulses do not bound the threshold: the answers contradict each other; look at coil and EMG"
        )
    ended = f"the interval is {high - low:.1f} % wide after {n} pulses"
    if not _narrow(spec, found):
        ended += f", wider than the {spec.width_share * estimate:.1f} % wanted: {spec.pulses_max} pulses are the most"
    return Step(do=Do.FOUND, why=ended, estimate_pct_mso=estimate, low_pct_mso=low, high_pct_mso=high)
