"""Owns the days of a course as a calendar file for other programs (iCalendar, RFC 5545); owns no calendar and no file.

All-day events by code alone: no name, no target, no arm. An event keeps its UID, so that a file made anew moves it.
"""

from __future__ import annotations

from collections.abc import Iterable

from rtloop.model.course import Course
from rtloop.study.adherence import assessments
from rtloop.study.calendar import Calendar, Span, shifted, span

_OCTETS = 75


def ics(
    study: str,
    people: Iterable[tuple[str, Calendar]],
    course: Course,
    *,
    today: str,
    utc: str,
    outcomes: bool,
) -> str:
    """What is still open of each (code, calendar), as far as its days are known; ``outcomes``: the assessments too.

    ``today`` a UTC day, ``utc`` the instant at which it is made (ISO 8601).
    """
    stamp = utc[:19].replace("-", "").replace(":", "") + "Z"
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//rtloop//study//EN"]
    for code, calendar in people:
        if calendar.stopped is None:
            for visit in course.visits:
                window = span(course, calendar, visit)
                if visit.number not in calendar.done | calendar.missed and window is not None:
                    lines += _event(study, code, f"treatment {visit.number}", window, stamp)
        for due in assessments(course, calendar, today) if outcomes else ():
            if due.taken is None and due.span is not None:
                lines += _event(study, code, f"assessment {due.name}", due.span, stamp)
    return "".join(f"{part}\r\n" for line in [*lines, "END:VCALENDAR"] for part in _folded(line))


def _event(study: str, code: str, what: str, window: Span, stamp: str) -> list[str]:
    day = shifted(window.due, 1)
    return [
        "BEGIN:VEVENT", f"UID:{_text('-'.join((study, code, what)).replace(' ', '-'))}@rtloop", f"DTSTAMP:{stamp}",
        f"DTSTART;VALUE=DATE:{window.due.replace('-', '')}", f"DTEND;VALUE=DATE:{day.replace('-', '')}",
        f"SUMMARY:{_text(f'{code}: {what}')}",
        f"DESCRIPTION:{_text(f'{window.earliest} to {window.latest}' if window.fits else 'no open day in its window: move it')}",
        "END:VEVENT",
    ]  # fmt: skip


def _text(value: str) -> str:
    for sign in ("\\", ";", ","):
        value = value.replace(sign, f"\\{sign}")
    return value.replace("\n", "\\n")


def _folded(line: str) -> list[str]:
    """Lines of at most 75 octets; all but the first begin with a space. No character is cut."""
    out, now = [], ""
    for sign in line:
        if len((now + sign).encode()) > _OCTETS:
            out.append(now)
            now = " "
        now += sign
    return [*out, now]
