"""Owns the relative-frequency method: the lowest power at which at least 5 of 10 pulses are answered; owns no way to tell a
response.

Up in steps of 5 % until the muscle answers reliably, then down in steps of 1 % until fewer than 5 of 10 pulses are answered:
the power above that one is the threshold (Rossini 2015, 10.1016/j.clinph.2015.02.001; Rothwell 1999). A power is left as soon
as its ten can only end one way. It needs many pulses and lies a little high over a population (Wang 2023,
10.1088/1741-2552/acf1cc); the interval is that of the likelihood of all pulses (``curve``), not the method's own.

A pure function of the answers so far. They must be those that the method asked for: ValidationProblem otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rtloop.errors import ValidationProblem
from rtloop.model.threshold import Answer
from rtloop.threshold.curve import Curve, fitted
from rtloop.threshold.steps import Do, Step, failed, give

NAME = "relative frequency"


@dataclass(frozen=True, kw_only=True)
class RelativeSpec:
    """Powers and steps in whole % of maximum output. 5, 1, 5 of 10: Rossini 2015 [S]; the rest are assumptions [A].

    ``sure``: so many answers in a row are reliable. ``start_pct_mso``: below the threshold, the climb begins there.
    """

    start_pct_mso: int = 30
    coarse_pct: int = 5
    fine_pct: int = 1
    sure: int = 3
    needed: int = 5
    of: int = 10
    least_pct_mso: int = 10
    most_pct_mso: int = 100
    pulses_max: int = 150
    curve: Curve = field(default_factory=Curve)

    def __post_init__(self) -> None:
        ok = all(type(n) is int and n >= 1 for n in self.settings_whole().values())
        ok = ok and self.needed <= self.of and self.fine_pct <= self.coarse_pct
        if not (ok and self.least_pct_mso <= self.start_pct_mso <= self.most_pct_mso <= 100):
            raise ValidationProblem(
                "the relative-frequency method cannot work so",
                expected="whole numbers from 1 on, least <= start <= most (at most 100 %), needed <= of, the fine step no larger "
                "than the coarse one",
                found=str(self),
            )  # fmt: skip

    def settings_whole(self) -> dict[str, int]:
        names = (
            "start_pct_mso", "coarse_pct", "fine_pct", "sure", "needed", "of", "least_pct_mso", "most_pct_mso", "pulses_max",
        )  # fmt: skip
        return {n: getattr(self, n) for n in names}

    def settings(self) -> dict[str, float]:
        """The numbers, for the record."""
        curve = {"spread": self.curve.spread, "lapse": self.curve.lapse}
        return {n: float(v) for n, v in self.settings_whole().items()} | curve


@dataclass
class _At:
    """Where the method stands: the power asked for, the climb's answers in a row, and the counts of each tested power."""

    pct_mso: int
    climbing: bool = True
    in_a_row: int = 0
    tested: dict[int, list[int]] = field(default_factory=dict)  # power -> responses, pulses
    end: Step | None = None


def next_step(spec: RelativeSpec, answers: Sequence[Answer]) -> Step:
    """What to do after ``answers``."""
    at = _At(pct_mso=spec.start_pct_mso)
    for number, answer in enumerate(answers, start=1):
        if at.end is not None or answer.pct_mso != at.pct_mso:
            asked = "no pulse: the method had ended" if at.end is not None else f"{at.pct_mso} %"
            raise ValidationProblem(
                f"pulse {number} is not one that the relative-frequency method asked for", expected=asked,
                found=f"{answer.pct_mso} %", todo="start again; or use the adaptive method, which takes any pulse",
            )  # fmt: skip
        (_climbed if at.climbing else _tested)(spec, at, answer.response)
        if at.end is None and number >= spec.pulses_max:
            at.end = failed(
                f"no threshold within {spec.pulses_max} pulses: look for the hot spot, at coil and EMG"
            )
    if at.end is not None and at.end.do is Do.FOUND:
        return _with_interval(spec, at.end, answers)
    if at.end is not None:
        return at.end
    if at.climbing:
        row = f" ({at.in_a_row} of {spec.sure} in a row)" if at.in_a_row else ""
        return give(at.pct_mso, f"up in steps of {spec.coarse_pct} % until the muscle answers reliably{row}")
    yes, n = at.tested.get(at.pct_mso, [0, 0])
    return give(
        at.pct_mso, f"{yes} of {n} pulses answered at {at.pct_mso} %; {spec.needed} of {spec.of} wanted"
    )


def _climbed(spec: RelativeSpec, at: _At, response: bool) -> None:
    if response:
        at.in_a_row += 1
        if at.in_a_row >= spec.sure:
            at.climbing = False  # tested anew from here: three in a row were chosen for being three in a row
        return
    at.in_a_row = 0
    if at.pct_mso >= spec.most_pct_mso:
        at.end = failed(
            f"the muscle does not answer reliably up to {spec.most_pct_mso} %: look for the hot spot, at coil and EMG"
        )
    at.pct_mso = min(at.pct_mso + spec.coarse_pct, spec.most_pct_mso)


def _tested(spec: RelativeSpec, at: _At, response: bool) -> None:
    row = at.tested.setdefault(at.pct_mso, [0, 0])
    row[0], row[1] = row[0] + response, row[1] + 1
    if row[0] >= spec.needed:
        _moved(spec, at, -spec.fine_pct, at.pct_mso)
    elif row[1] - row[0] > spec.of - spec.needed:
        _moved(spec, at, spec.fine_pct, at.pct_mso + spec.fine_pct)


def _moved(spec: RelativeSpec, at: _At, step: int, lowest: int) -> None:
    """This power is decided. If its neighbour was decided the other way, ``lowest`` is the threshold."""
    there = at.pct_mso + step
    if there in at.tested:
        yes, n = at.tested[lowest]
        below = at.tested[lowest - spec.fine_pct]
        at.end = Step(
            do=Do.FOUND, estimate_pct_mso=float(lowest),
            why=f"{yes} of {n} pulses answered at {lowest} %, {below[0]} of {below[1]} at {lowest - spec.fine_pct} %",
        )  # fmt: skip
    elif there > spec.most_pct_mso:
        at.end = failed(
            f"fewer than {spec.needed} of {spec.of} pulses answered at {at.pct_mso} %, the most allowed: look for the hot spot"
        )
    elif there < spec.least_pct_mso:
        at.end = failed(
            f"the muscle answers down to {at.pct_mso} %: look at the EMG, and whether the muscle is at rest"
        )
    else:
        at.pct_mso = there


def _with_interval(spec: RelativeSpec, end: Step, answers: Sequence[Answer]) -> Step:
    """With the likelihood's interval of all pulses, widened where it would not hold what the method found."""
    found, estimate = fitted(spec.curve, answers), end.estimate_pct_mso
    low, high = found.low_pct_mso, found.high_pct_mso
    return Step(
        do=Do.FOUND, why=end.why, estimate_pct_mso=estimate, low_pct_mso=None if low is None else min(low, estimate),
        high_pct_mso=None if high is None else max(high, estimate),
    )  # fmt: skip
