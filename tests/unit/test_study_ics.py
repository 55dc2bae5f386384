"""The days of a course for other calendars: what is open, by code alone, in the form that RFC 5545 wants."""

from __future__ import annotations

from study_tools import MONDAY, begun, course, given

from rtloop.study.calendar import Calendar, fold
from rtloop.study.ics import ics
from rtloop.study.records import CourseStopped, Enrolled, Missed, OutcomeTaken

UTC = f"{MONDAY}T12:34:56.789+00:00"


def unfolded(text: str) -> list[str]:
    assert text.endswith("\r\n")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    return text.replace("\r\n ", "").removesuffix("\r\n").split("\r\n")


def made(calendar: Calendar, name: str = "trial", outcomes: bool = True) -> list[str]:
    return unfolded(ics(name, [("P001", calendar)], course(), today=MONDAY, utc=UTC, outcomes=outcomes))


BEGUN = fold([
    Enrolled(participant="P001", day=MONDAY, stratum=""),
    OutcomeTaken(participant="P001", assessment="baseline", day=MONDAY, scales={"pain": 5.0}),
    given(begun("P001", 1, MONDAY)), Missed(participant="P001", visit=2),
])  # fmt: skip


def test_what_is_open_stands_on_its_day_with_its_window() -> None:
    lines = made(BEGUN)
    assert lines[:3] == ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//rtloop//study//EN"]
    assert lines[-1] == "END:VCALENDAR"
    assert [x for x in lines if x.startswith("SUMMARY")] == [
        "SUMMARY:P001: treatment 3", "SUMMARY:P001: treatment 4", "SUMMARY:P001: treatment 5", "SUMMARY:P001: assessment week 3",
    ]  # fmt: skip
    first = lines[lines.index("SUMMARY:P001: treatment 4") - 5 :][:8]
    assert first == [
        "BEGIN:VEVENT", "UID:trial-P001-treatment-4@rtloop", "DTSTAMP:20261123T123456Z", "DTSTART;VALUE=DATE:20261130",
        "DTEND;VALUE=DATE:20261201", "SUMMARY:P001: treatment 4", "DESCRIPTION:2026-11-28 to 2026-12-03", "END:VEVENT",
    ]  # fmt: skip
    assert lines.count("BEGIN:VEVENT") == lines.count("END:VEVENT") == 4
    assert not [x for x in made(BEGUN, outcomes=False) if "assessment" in x]


def test_before_the_first_treatment_only_that_one_has_a_day_and_after_a_stop_none() -> None:
    enrolled = fold([Enrolled(participant="P001", day=MONDAY, stratum="")])
    assert [x for x in made(enrolled) if x.startswith("SUMMARY")] == ["SUMMARY:P001: treatment 1"]
    stopped = fold([*[given(begun("P001", 1, MONDAY))], CourseStopped(participant="P001", day=MONDAY)])
    assert not [x for x in made(stopped, outcomes=False) if x.startswith("SUMMARY")]


def test_signs_of_the_form_are_escaped_and_long_lines_folded_without_cutting_a_character() -> None:
    lines = made(BEGUN, name="trial; of µ, and \\" + "é" * 80)
    uid = next(x for x in lines if x.startswith("UID"))
    assert uid.startswith("UID:trial\\;-of-µ\\,-and-\\\\é")
    assert uid.count("é") == 80
