"""Slow twins of the study: the calendar by looking at each day, the blocks by hand."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta

from rtloop.model.course import WEEKDAYS, Course


def may_treat(
    course: Course, given: dict[int, str], missed: set[int], moved: dict[int, str], enrolled: str, today: str
) -> int:
    """The number of the treatment that may be given today, or 0; ``given``: whole treatments by number."""
    day = date.fromisoformat(today)
    left = [v for v in course.visits if v.number not in given and v.number not in missed]
    if not left or WEEKDAYS[day.weekday()] in course.closed:
        return 0
    v = left[0]
    days = sorted(date.fromisoformat(d) for d in given.values())
    if any(d >= day for d in days) or (days and (day - days[-1]).days < v.min_gap_days):
        return 0
    if not days:
        first, last = date.fromisoformat(enrolled), timedelta(days=course.start_within_days or 0)
        window = (first, first + last)
    else:
        start = min((date.fromisoformat(d), n) for n, d in given.items())
        zero = start[0] - timedelta(days=course.visits[start[1] - 1].day)
        if course.last_day is not None and (day - zero).days > course.last_day:
            return 0
        window = (zero + timedelta(days=v.day - v.early_days), zero + timedelta(days=v.day + v.late_days))
    if v.number in moved:
        window = (date.fromisoformat(moved[v.number]),) * 2
    return v.number if window[0] <= day <= window[1] else 0


def numbers(seed: str, stratum: str, n: int) -> list[int]:
    """The first numbers that blocks are drawn from."""
    return [int(hashlib.sha256(f"{seed}|{stratum}|{k}".encode()).hexdigest()[:16], 16) for k in range(n)]
