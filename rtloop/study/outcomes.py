"""Owns what is made of outcome values: the current ones, the fall of pain, the responder flag; owns no store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from rtloop.model.course import Course
from rtloop.study.records import OutcomeTaken

#: a responder's pain has fallen by at least this share of the baseline (SCIENCE section 1, grade S)
RESPONDER_FALL = Fraction(3, 10)
PAIN = "pain"


def current(taken: Iterable[tuple[int, OutcomeTaken]]) -> dict[str, dict[str, float]]:
    """assessment -> scale -> value, of (number of entry, record): a corrected record no longer counts, later values of a
    scale replace earlier ones."""
    rows = list(taken)
    gone = {r.corrects for _, r in rows}
    out: dict[str, dict[str, float]] = {}
    for n, record in rows:
        if n not in gone:
            out.setdefault(record.assessment, {}).update(record.scales)
    return out


def fall(baseline: float | None, later: float | None) -> Fraction | None:
    """Share of the baseline by which a value fell, exact; negative when it rose; None where it is not defined."""
    if baseline is None or later is None or not baseline > 0:
        return None
    return (Fraction(str(baseline)) - Fraction(str(later))) / Fraction(str(baseline))


def responder(baseline: float | None, later: float | None) -> bool | None:
    """Whether pain fell by at least 30 % of the baseline; None where a value is missing or the baseline is 0."""
    share = fall(baseline, later)
    return None if share is None else share >= RESPONDER_FALL


@dataclass(frozen=True, kw_only=True)
class Response:
    """Pain at the course's baseline and primary assessment, and what follows."""

    baseline: float | None
    primary: float | None
    fall_pct: float | None
    responder: bool | None


def response(course: Course, values: Mapping[str, Mapping[str, float]]) -> Response:
    """Of one participant's current values."""
    before, after = (values.get(name, {}).get(PAIN) for name in (course.baseline, course.primary))
    share = fall(before, after)
    return Response(
        baseline=before,
        primary=after,
        fall_pct=None if share is None else float(100 * share),
        responder=responder(before, after),
    )
