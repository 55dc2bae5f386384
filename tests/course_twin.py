"""Two more studies of a simulated trial, lived again from its open log with other arms and scores: what a blinded role can read
must not differ. Owns the second life and the comparison."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from unittest import mock

from course_sessions import instant
from course_world import FIRST_DAY, TARGETS, Trial
from study_tools import AS, OP, STAT

from rtloop.app.study_words import audit_words, next_words, status_words
from rtloop.clock import SteppedClock
from rtloop.model.course import Arm
from rtloop.record.course_report import course_report
from rtloop.record.document import render
from rtloop.record.study_report import study_report
from rtloop.study.export import export
from rtloop.study.fields import Role
from rtloop.study.records import ListMade
from rtloop.study.shown import participant, status
from rtloop.study.study import Study


class _Set(SteppedClock):
    def go(self, utc: str) -> None:
        self._now_s = datetime.fromisoformat(utc).timestamp() + 1e-4  # its own text cuts off below 1 ms


def twin(trial: Trial, folder: Path, *, same_targets: bool) -> Study:
    """The same open log lived again with other arms and scores, and with the same targets or all others."""
    other = dict(zip(TARGETS, (*TARGETS[1:], TARGETS[0]), strict=True))
    people, source = trial.study.state.participants, trial.study
    arms: dict[str, str] = {}
    target = {code: who.target if same_targets else other[str(who.target)] for code, who in people.items()}
    for code in people:
        had = source.arm_of(code)
        assert had is not None
        free = [a for a in Arm if a != had.arm and (a != Arm.CLASSIC or target[code] == "M1")]
        arms[code] = str(free[len(arms) % len(free)])
    order = sorted(people, key=lambda c: source.arm_of(c).position)  # type: ignore[union-attr]
    listed = ListMade(source="imported", seed="", blocks=(), entries=tuple(("", arms[c], "") for c in order))
    clock = _Set(instant(FIRST_DAY, 7))
    study = Study.make(folder, name="trial", course=trial.course, by=STAT, simulated=True,
                       people={OP: Role.OPERATOR, AS: Role.ASSESSOR}, clock=clock)  # fmt: skip
    for entry in source._store.entries():
        record, code = entry.record, str(getattr(entry.record, "participant", ""))
        clock.go(entry.utc)
        match entry.kind, getattr(record, "kept", ""):
            case "kept", "list_made":
                study.write(listed, by=entry.by)
            case "kept", "allocated":
                study.allocate(code, by=entry.by)
            case "kept", "mapped":
                study.write(
                    trial.people[code].mapped(target[code] or "", target[code] or "", "twin"), by=entry.by
                )
            case "kept", "probed":
                probe = trial.people[code].probed()
                moved = {k: tuple(x + 0.1 for x in v) for k, v in probe.values.items()}
                study.write(type(probe)(**{**probe.__dict__, "values": moved}), by=entry.by)
            case "kept", "target_resolved":
                study.resolve(code, by=entry.by)
            case (("study_made" | "person_added" | "target_chosen"), _):
                pass
            case _:
                if hasattr(record, "target"):
                    record = type(record)(**{**record.__dict__, "target": target[code]})
                study.write(record, by=entry.by, reason=entry.reason)
    clock.sleep_until(trial.clock.now_s())
    return study


def readable_by(study: Study, by: str, out: Path, codes: Iterable[str]) -> str:
    """All that a person can get of a study: status, next, tables, audit, export, reports (figures as data); hashes left out."""
    told = status(study, by=by)
    parts = [json.dumps(told), status_words(told)]
    for code in codes:
        one = participant(study, code, by=by)
        parts += [json.dumps(one), next_words(one)]
    open_, sealed = study.read(by=by, what="all")
    parts += [repr(open_), repr(sealed), audit_words(study.problems(), study.heads, *open_["entry"])]
    parts += [f"{f.name}\n{f.read_text()}" for f in export(study, out, by=by)]
    figures = (
        "course_report.dose",
        "course_report.weeks",
        "study_report.courses",
        "study_report.association",
    )
    patches = [mock.patch(f"rtloop.record.{f}_figure", lambda *given: repr(given)) for f in figures]
    try:
        for patch in patches:
            patch.start()
        parts += [
            render(study_report(study, by=by)),
            *(render(course_report(study, c, by=by)) for c in codes),
        ]
    finally:
        for patch in patches:
            patch.stop()
    return re.sub("[0-9a-f]{16,64}", "HASH", "\n".join(parts))


def blinding_faults(trial: Trial, folder: Path) -> list[str]:
    """What a blinded role could tell the arm by."""
    codes, bad, seen = list(trial.people), list[str](), dict[tuple[str, str], str]()
    studies = {"live": trial.study, "arms": twin(trial, folder / "arms", same_targets=True),
               "targets": twin(trial, folder / "targets", same_targets=False)}  # fmt: skip
    try:
        same = [c for c in codes if studies["arms"].arm_of(c).arm == trial.study.arm_of(c).arm]  # type: ignore[union-attr]
        bad += [f"the twin differs in no arm of {', '.join(same)}"] if same else []
        for name, study in studies.items():
            for by in (OP, AS):
                seen[name, by] = readable_by(study, by, folder / f"{name}-{by}", codes)
    finally:
        studies["arms"].close()
        studies["targets"].close()
    for by, others in ((OP, ("arms",)), (AS, ("arms", "targets"))):
        for name in others:
            if seen["live", by] != seen[name, by]:
                bad.append(
                    f"{by} can tell {name} apart: {_first_difference(seen['live', by], seen[name, by])}"
                )
    if seen["live", OP] == seen["targets", OP]:
        bad.append("the targets of the third study are not others")
    return bad


def _first_difference(a: str, b: str) -> str:
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return f"...{a[max(0, at - 80) : at + 60]!r}, ...{b[max(0, at - 80) : at + 60]!r}"
