"""Owns the export of a study: CSV of each table that a person may read, a dictionary of every column; decides no right."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from rtloop.errors import IntegrityProblem, ValidationProblem
from rtloop.model.course import Arm, Ended
from rtloop.study.fields import AE_STATE, RELATED, RULES, SERIOUS, SEVERITY, Role
from rtloop.study.shown import participant
from rtloop.study.study import Study

_YES = "1 yes, 0 no"
#: column -> (kind of value, meaning, choices or unit); a column means the same in every table
MEANING: dict[str, tuple[str, str, str]] = {
    "n": ("integer", "number of the entry in the log that made the row", ""),
    "participant": ("text", "pseudonymous code", ""),
    "utc": ("text", "instant, ISO 8601", "UTC"),
    "by": ("text", "person of the study who wrote it", ""),
    "role": ("text", "role of that person", ", ".join(Role)),
    "kind": ("text", "kind of record", ""),
    "hash": ("text", "SHA-256 of the entry, chained to the one before", ""),
    "reason": ("text", "why", ""),
    "old": ("text", "values before a correction, JSON", ""),
    "new": ("text", "values, JSON", ""),
    "name": ("text", "name of the study, or of a value of a probe", ""),
    "course": ("text", "the course, JSON", ""),
    "blinded": ("integer", "whether roles hide arms and scores", _YES),
    "simulated": ("integer", "whether the study takes simulated treatments only", _YES),
    "strata": ("text", "strata of the allocation, JSON", ""),
    "version": ("text", "version of rtloop that made the study", ""),
    "person": ("text", "name of a person who works in the study", ""),
    "day": ("date", "UTC day", "YYYY-MM-DD"),
    "to_day": ("date", "UTC day to which a treatment was moved", "YYYY-MM-DD"),
    "stratum": ("text", "stratum of the allocation", ""),
    "form": ("text", "name of the checklist", ""),
    "form_version": ("text", "version of the checklist", ""),
    "eligible": ("integer", "whether the participant may take part", _YES),
    "findings": ("text", "what the checklist found, JSON", ""),
    "signed_by": ("text", "who signed the checklist", ""),
    "pct_mso": ("integer", "resting motor threshold", "% of the unit's maximum output"),
    "low_pct_mso": ("number", "lower end of its interval", "% of the unit's maximum output"),
    "high_pct_mso": ("number", "upper end of its interval", "% of the unit's maximum output"),
    "method": ("text", "how the threshold was taken", "EMG"),
    "unit": ("text", "model of the stimulator", ""),
    "coil": ("text", "coil", ""),
    "waveform": ("text", "waveform", ""),
    "target": ("text", "target", ""),
    "visit": ("integer", "number of the treatment in the course; 0: outside of it", ""),
    "session_id": ("text", "treatment session; its runs share it", ""),
    "run_id": ("text", "run of a session", ""),
    "mode": ("text", "mode of the session", "SIMULATED, HUMAN"),
    "host": ("text", "computer of the run", ""),
    "folder": ("text", "session folder of the run", ""),
    "plan": ("text", "treatment plan", ""),
    "plan_sha256": ("text", "SHA-256 of the plan", ""),
    "threshold_pct_mso": ("integer", "threshold that the intensity follows from", "% of the unit's maximum output"),
    "threshold_day": ("date", "day of that threshold", "YYYY-MM-DD"),
    "intensity_pct_rmt": ("number", "intensity", "% of resting motor threshold"),
    "power_pct_mso": ("integer", "power", "% of the unit's maximum output"),
    "planned": ("integer", "what the run set out to give = delivered + refused + uncertain", "pulses"),
    "session_planned": ("integer", "what the whole session was planned with", "pulses"),
    "trains_planned": ("integer", "what the run set out to give", "trains"),
    "ended_utc": ("text", "end of the run, ISO 8601", "UTC"),
    "ended": ("text", "how the run ended", ", ".join(Ended)),
    "delivered": ("integer", "certainly given", "pulses"),
    "refused": ("integer", "certainly not given", "pulses"),
    "uncertain": ("integer", "not known whether given; counts as given", "pulses"),
    "trains_given": ("integer", "trains of which a pulse may have been given", "trains"),
    "words": ("text", "how the run ended, or why, in words", ""),
    "head_hash": ("text", "hash of the last record of the session's journal", ""),
    "what": ("text", "what happened", ""),
    "assessment": ("text", "assessment of the course", ""),
    "scale": ("text", "name of the scale", "pain: 0 to 10; pgic: 1 (very much improved) to 7 (very much worse)"),
    "value": ("number", "value", ""),
    "corrects": ("integer", "number of the entry that this one takes the place of: that one no longer counts", ""),
    "severity": ("text", "severity of an adverse event", ", ".join(SEVERITY)),
    "serious": ("text", "what makes it serious, JSON; empty list: not serious", ", ".join(SERIOUS)),
    "related": ("text", "relation to stimulation or procedure", ", ".join(RELATED)),
    "anticipated": ("integer", "whether it was expected", _YES),
    "device_deficiency": ("integer", "whether a deficiency of the device was part of it", _YES),
    "state": ("text", "what became of it", ", ".join(AE_STATE)),
    "action": ("text", "what was done", ""),
    "kept": ("text", "kind of sealed record", ""),
    "sealed_n": ("integer", "its number in the sealed log", ""),
    "sealed_hash": ("text", "its hash", ""),
    "source": ("text", "where the allocation list is from", "imported, generated"),
    "seed": ("text", "seed of the generated list", ""),
    "blocks": ("text", "sizes of its blocks, JSON", ""),
    "position": ("integer", "place in the allocation list", ""),
    "arm": ("text", "arm", ", ".join(Arm)),
    "session": ("text", "session folder of the mapping or probe", ""),
    "score": ("number", "GLOBAL score of the target", "debiased weighted phase-lag index squared"),
    "low": ("number", "lower end of the interval", ""),
    "high": ("number", "upper end of the interval", ""),
    "n_accepted": ("integer", "accepted trials", "trials"),
    "accepted": ("integer", "whether the mapping was accepted", _YES),
    "decision": ("text", "what was decided of the map", ""),
    "question": ("text", "what an arm may ask of the map", "low, high"),
    "answer": ("text", "what the map answers to it", "decided, undecided, not_comparable"),
    "more_pulses": ("integer", "accepted pulses after which it would be expected to be decided, scores as they are", "pulses"),
    "rule": ("text", "by what the target was chosen", ", ".join(RULES)),
    "visits": ("integer", "treatments of the course", ""),
    "done": ("integer", "treatments given, at least in part", ""),
    "whole": ("integer", "treatments given whole", ""),
    "missed": ("integer", "treatments recorded as missed", ""),
    "moved": ("integer", "treatments moved", ""),
    "overdue": ("integer", "treatments not given in their window and not recorded as missed", ""),
    "share": ("number", "done / (done + missed + overdue)", "share"),
    "baseline": ("number", "pain at the baseline assessment", "0 to 10"),
    "primary": ("number", "pain at the primary assessment", "0 to 10"),
    "fall_pct": ("number", "fall of pain from baseline to primary assessment", "% of the baseline"),
    "responder": ("integer", "whether pain fell by at least 30 % of the baseline", _YES),
}  # fmt: skip


def export(study: Study, folder: Path, *, by: str) -> list[Path]:
    """Write everything that ``by`` may read into a new or empty folder (0700, files 0600); returns the files.

    ValidationProblem when something is there, IntegrityProblem when it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValidationProblem(
            f"the export cannot go into {folder}", expected="a new or empty folder", found="something is there",
            todo="name another folder: nothing is written over",
        )  # fmt: skip
    open_, sealed = study.read(by=by, what="export")
    tables = open_ | {f"sealed_{t}": v for t, v in sealed.items()}
    tables["summary"] = _summary(study, by)
    files = {f"{name}.csv": _csv(*table) for name, table in tables.items()}
    files["dictionary.csv"] = _csv(*dictionary({name: columns for name, (columns, _) in tables.items()}))
    head, sealed_head = study.heads
    heads = f"head of the log: {head}\n" + (f"head of the sealed log: {sealed_head}\n" if sealed else "")
    files["README.txt"] = (
        f"Export of the study {study.state.study.name if study.state.study else ''} for {by} ({study.role_of(by)}), "
        f"{study.clock.utc()} UTC\nThe columns are told in dictionary.csv. Empty cells: no value.\n"
        f"Rows that were corrected are here too: one whose n stands in another row's column corrects no longer counts.\n{heads}"
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in files.items():
            fd = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(fd, "w", encoding="utf-8", newline="") as file:
                file.write(text)
    except OSError as err:
        raise IntegrityProblem(f"the export cannot be written into {folder}", found=str(err)) from err
    return [folder / name for name in files]


def dictionary(tables: dict[str, Sequence[str]]) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """(columns, rows): every column of every table, with its kind, meaning and choices or unit."""
    rows = [(name, c, *MEANING[c]) for name, columns in tables.items() for c in columns]
    return ("table", "column", "type", "meaning", "choices_or_unit"), rows


def _summary(study: Study, by: str) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """One row for each participant, of what this person may be told."""
    flat = []
    for code in sorted(study.state.participants):
        told = participant(study, code, by=by, arm=True)
        row = {k: told[k] for k in ("participant", "stratum", "target", "arm") if k in told}
        flat.append(row | told.get("adherence", {}) | told.get("response", {}))
    columns = tuple(flat[0]) if flat else ("participant", "stratum")
    return columns, [tuple(int(v) if isinstance(v, bool) else v for v in row.values()) for row in flat]


def _csv(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """RFC 4180 text. A cell that a spreadsheet would run as a formula begins with an apostrophe."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(v) for v in row] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
