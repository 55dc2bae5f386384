"""Owns the tables of the store, as numbered migrations, and which rows a log entry makes in them; opens no file.

A migration is never edited once it has shipped. It may add tables and views; tables that it adds are filled from the log's
lines that the store holds, so an older store becomes what a new one would be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rtloop.model.course import TreatmentBegun, TreatmentGiven
from rtloop.study.log import Entry
from rtloop.study.records import ListMade, Mapped, OutcomeTaken, Probed, Record

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One step: tables with their columns (SQL), then further SQL such as views."""

    tables: dict[str, str]
    sql: str = ""


_N = "n INTEGER NOT NULL REFERENCES entry(n)"
_ONE = f"{_N} PRIMARY KEY"  # rows of one entry: one
_P = "participant TEXT NOT NULL"
_RUN = f"""{_ONE}, {_P}, visit INTEGER NOT NULL, session_id TEXT NOT NULL, run_id TEXT NOT NULL, day TEXT NOT NULL,
 utc TEXT NOT NULL, mode TEXT NOT NULL, host TEXT NOT NULL, folder TEXT NOT NULL, plan TEXT NOT NULL,
 plan_sha256 TEXT NOT NULL, target TEXT NOT NULL, unit TEXT NOT NULL, coil TEXT NOT NULL, threshold_pct_mso INTEGER NOT NULL,
 threshold_day TEXT NOT NULL, intensity_pct_rmt REAL NOT NULL, power_pct_mso INTEGER NOT NULL, planned INTEGER NOT NULL,
 session_planned INTEGER NOT NULL, trains_planned INTEGER NOT NULL"""

_LINES = """n INTEGER PRIMARY KEY, utc TEXT NOT NULL, by TEXT NOT NULL, role TEXT NOT NULL, kind TEXT NOT NULL,
 participant TEXT, reason TEXT NOT NULL, old TEXT, new TEXT NOT NULL, hash TEXT NOT NULL, line TEXT NOT NULL"""

OPEN: tuple[Migration, ...] = (
    Migration(
        tables={
            "entry": _LINES,
            "study": f"{_ONE}, name TEXT NOT NULL, course TEXT NOT NULL, blinded INTEGER NOT NULL, simulated INTEGER NOT NULL, "
            "strata TEXT NOT NULL, version TEXT NOT NULL",
            "person": f"{_ONE}, person TEXT NOT NULL UNIQUE, role TEXT NOT NULL",
            "participant": f"{_ONE}, participant TEXT NOT NULL UNIQUE, day TEXT NOT NULL, stratum TEXT NOT NULL",
            "screening": f"{_ONE}, {_P}, day TEXT NOT NULL, form TEXT NOT NULL, form_version TEXT NOT NULL, "
            "eligible INTEGER NOT NULL, findings TEXT NOT NULL, signed_by TEXT NOT NULL",
            "threshold": f"{_ONE}, {_P}, day TEXT NOT NULL, pct_mso INTEGER NOT NULL, low_pct_mso REAL, high_pct_mso REAL, "
            "method TEXT NOT NULL, unit TEXT NOT NULL, coil TEXT NOT NULL, waveform TEXT NOT NULL",
            "target": f"{_ONE}, {_P}, target TEXT NOT NULL",
            "treatment_begun": _RUN,
            "treatment_given": f"{_RUN}, ended_utc TEXT NOT NULL, ended TEXT NOT NULL, delivered INTEGER NOT NULL, "
            "refused INTEGER NOT NULL, uncertain INTEGER NOT NULL, trains_given INTEGER NOT NULL, words TEXT NOT NULL, "
            "head_hash TEXT NOT NULL, CHECK (planned = delivered + refused + uncertain)",
            "missed": f"{_ONE}, {_P}, visit INTEGER NOT NULL",
            "moved": f"{_ONE}, {_P}, visit INTEGER NOT NULL, to_day TEXT NOT NULL",
            "deviation": f"{_ONE}, {_P}, visit INTEGER NOT NULL, what TEXT NOT NULL",
            "stopped": f"{_ONE}, {_P}, day TEXT NOT NULL",
            "outcome": f"{_N}, {_P}, assessment TEXT NOT NULL, day TEXT NOT NULL, scale TEXT NOT NULL, value REAL NOT NULL, "
            "corrects INTEGER, PRIMARY KEY (n, scale)",
            "kept": f"{_ONE}, participant TEXT, kept TEXT NOT NULL, sealed_n INTEGER NOT NULL, sealed_hash TEXT NOT NULL",
        },
        sql="CREATE INDEX entry_participant ON entry(participant)",
    ),
    Migration(
        tables={
            "adverse_event": f"{_ONE}, {_P}, day TEXT NOT NULL, what TEXT NOT NULL, severity TEXT NOT NULL, "
            "serious TEXT NOT NULL, related TEXT NOT NULL, anticipated INTEGER NOT NULL, device_deficiency INTEGER NOT NULL, "
            "state TEXT NOT NULL, action TEXT NOT NULL, corrects INTEGER",
        },
        sql="CREATE VIEW outcome_now AS SELECT * FROM outcome WHERE n NOT IN "
        "(SELECT corrects FROM outcome WHERE corrects IS NOT NULL)",
    ),
)
SEALED: tuple[Migration, ...] = (
    Migration(
        tables={
            "entry": _LINES,
            "allocation_list": f"{_N}, position INTEGER NOT NULL, stratum TEXT NOT NULL, arm TEXT NOT NULL, "
            "participant TEXT NOT NULL, PRIMARY KEY (n, position)",
            "allocation_source": f"{_ONE}, source TEXT NOT NULL, seed TEXT NOT NULL, blocks TEXT NOT NULL",
            "allocation": f"{_ONE}, participant TEXT NOT NULL UNIQUE, arm TEXT NOT NULL, stratum TEXT NOT NULL, "
            "position INTEGER NOT NULL UNIQUE",
        },
    ),
    Migration(
        tables={
            "mapping": f"{_N}, {_P}, day TEXT NOT NULL, session TEXT NOT NULL, target TEXT NOT NULL, score REAL NOT NULL, "
            "low REAL, high REAL, n_accepted INTEGER, accepted INTEGER NOT NULL, decision TEXT NOT NULL, PRIMARY KEY (n, target)",
            "probe": f"{_N}, {_P}, day TEXT NOT NULL, session TEXT NOT NULL, target TEXT NOT NULL, name TEXT NOT NULL, "
            "value REAL NOT NULL, low REAL, high REAL, n_accepted INTEGER, PRIMARY KEY (n, name)",
        },
    ),
    Migration(
        tables={
            "map_answer": f"{_N}, {_P}, day TEXT NOT NULL, session TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL, "
            "target TEXT NOT NULL, more_pulses INTEGER, words TEXT NOT NULL, PRIMARY KEY (n, question)",
            "resolution": f"{_ONE}, {_P}, day TEXT NOT NULL, session TEXT NOT NULL, target TEXT NOT NULL, rule TEXT NOT NULL, "
            "words TEXT NOT NULL",
        },
    ),
)
#: kind of record -> table, where each record is one row with the record's fields as columns
_TABLE = {
    "study_made": "study", "person_added": "person", "enrolled": "participant", "screened": "screening",
    "threshold_taken": "threshold", "target_chosen": "target", "treatment_begun": "treatment_begun",
    "treatment_given": "treatment_given", "missed": "missed", "moved": "moved", "deviation": "deviation",
    "course_stopped": "stopped", "adverse_event": "adverse_event", "kept": "kept", "allocated": "allocation",
    "target_resolved": "resolution",
}  # fmt: skip


def columns_of(migrations: tuple[Migration, ...]) -> tuple[str, ...]:
    """Names of all tables."""
    return tuple(t for m in migrations for t in m.tables)


def script(migration: Migration) -> list[str]:
    """Its SQL statements: strict tables that refuse every change and every deletion."""
    out = []
    for table, columns in migration.tables.items():
        out.append(f"CREATE TABLE {table} ({columns}) STRICT")
        out += [
            f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, 'the store only grows: {table}'); END"
            for verb in ("update", "delete")
        ]
    return out + ([migration.sql] if migration.sql else [])


def lines_row(entry: Entry, line: bytes) -> Row:
    """The row of the audit trail: who, when, what, old, new, why, with the line itself."""
    return {
        "n": entry.n, "utc": entry.utc, "by": entry.by, "role": entry.role, "kind": entry.kind,
        "participant": getattr(entry.record, "participant", None), "reason": entry.reason,
        "old": None if entry.old is None else _json(entry.old), "new": _json(entry.record.data()), "hash": entry.hash,
        "line": line.decode().rstrip("\n"),
    }  # fmt: skip


def rows_of(entry: Entry) -> Iterator[tuple[str, Row]]:
    """(table, row) of each row that an entry makes, beside that of the audit trail."""
    record, n = entry.record, {"n": entry.n}
    if isinstance(record, OutcomeTaken):
        same = _flat(record) | n
        scales = same.pop("scales")
        yield from (
            ("outcome", {**same, "scale": k, "value": float(v)}) for k, v in json.loads(scales).items()
        )
    elif isinstance(record, ListMade):
        yield (
            "allocation_source",
            n | {"source": record.source, "seed": record.seed, "blocks": _json(record.blocks)},
        )
        for position, (stratum, arm, who) in enumerate(record.entries, start=1):
            yield (
                "allocation_list",
                n | {"position": position, "stratum": stratum, "arm": arm, "participant": who},
            )
    elif isinstance(record, Mapped):
        same = n | {"participant": record.participant, "day": record.day, "session": record.session}
        same |= {"accepted": int(record.accepted), "decision": record.decision}
        for target, (score, low, high) in record.scores.items():
            yield (
                "mapping",
                same
                | {
                    "target": target,
                    "n_accepted": record.n_accepted.get(target),
                    **_limits("score", score, low, high),
                },
            )
        same = {k: same[k] for k in ("n", "participant", "day", "session")}
        for question, (answer, target, more, words) in record.answers.items():
            told = {
                "question": question,
                "answer": answer,
                "target": target,
                "more_pulses": more,
                "words": words,
            }
            yield "map_answer", same | told
    elif isinstance(record, Probed):
        same = n | {
            "participant": record.participant,
            "day": record.day,
            "session": record.session,
            "target": record.target,
        }
        same |= {"n_accepted": record.n_accepted.get(record.target)}
        for name, (value, low, high) in record.values.items():
            yield "probe", same | {"name": name, **_limits("value", value, low, high)}
    elif entry.kind in _TABLE:
        yield _TABLE[entry.kind], _flat(record) | n


def _limits(name: str, value: float, low: float | None, high: float | None) -> Row:
    return {
        name: float(value),
        "low": None if low is None else float(low),
        "high": None if high is None else float(high),
    }


def _flat(record: Record | TreatmentBegun | TreatmentGiven) -> Row:
    out: Row = {}
    for k, v in record.data().items():
        if isinstance(v, bool):
            out[k] = int(v)
        elif isinstance(v, list | dict):
            out[k] = _json(v)
        else:
            out[k] = float(v) if k.startswith(("low_", "high_", "intensity_")) and v is not None else v
    return out


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
