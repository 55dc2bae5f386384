"""Owns the one answer to what a role may read and may write in a study; reads and writes nothing.

In a blinded study the operator sees the target, since it must be treated, and neither arm nor score nor outcome; the assessor
sees what concerns outcomes and adverse events, and nothing else that differs between targets. Reasons and other free text of
the log are shown to the unblinded only: what people write may tell what it should not; both blinded roles see what is written
of adverse events. This protects against reading, not against an administrator of the computer.
"""

from __future__ import annotations

from collections.abc import Mapping

from rtloop.study.fields import Role
from rtloop.study.schema import OPEN, SEALED, columns_of

Columns = Mapping[str, tuple[str, ...]]

_WHO = ("n", "participant")
_TRAIL = ("n", "utc", "by", "role", "kind", "participant", "hash")
#: every table of the open store and all its columns that anybody reads
ALL: Columns = {
    "entry": (*_TRAIL, "reason", "old", "new"),
    "study": ("n", "name", "course", "blinded", "simulated", "strata", "version"),
    "person": ("n", "person", "role"),
    "participant": (*_WHO, "day", "stratum"),
    "screening": (*_WHO, "day", "form", "form_version", "eligible", "findings", "signed_by"),
    "threshold": (
        *_WHO, "day", "pct_mso", "low_pct_mso", "high_pct_mso", "method", "unit", "coil", "waveform",
    ),
    "target": (*_WHO, "target"),
    "treatment_begun": (
        *_WHO, "visit", "session_id", "run_id", "day", "utc", "mode", "host", "folder", "plan", "target", "planned",
    ),
    "treatment_given": (
        *_WHO, "visit", "session_id", "run_id", "day", "utc", "ended_utc", "ended", "mode", "host", "folder", "plan",
        "plan_sha256", "target", "unit", "coil", "threshold_pct_mso", "threshold_day", "intensity_pct_rmt", "power_pct_mso",
        "planned", "session_planned", "trains_planned", "delivered", "refused", "uncertain", "trains_given", "words", "head_hash",
    ),
    "missed": (*_WHO, "visit"),
    "moved": (*_WHO, "visit", "to_day"),
    "deviation": (*_WHO, "visit", "what"),
    "stopped": (*_WHO, "day"),
    "outcome": (*_WHO, "assessment", "day", "scale", "value", "corrects"),
    "adverse_event": (
        *_WHO, "day", "what", "severity", "serious", "related", "anticipated", "device_deficiency", "state", "action", "corrects",
    ),
    "kept": (*_WHO, "kept", "sealed_n", "sealed_hash"),
}  # fmt: skip
#: the same of the sealed store
HIDDEN: Columns = {
    "entry": (*_TRAIL, "reason", "old", "new"),
    "allocation_source": ("n", "source", "seed", "blocks"),
    "allocation_list": ("n", "position", "stratum", "arm", "participant"),
    "allocation": (*_WHO, "arm", "stratum", "position"),
    "mapping": (
        *_WHO,
        "day",
        "session",
        "target",
        "score",
        "low",
        "high",
        "n_accepted",
        "accepted",
        "decision",
    ),
    "map_answer": (*_WHO, "day", "session", "question", "answer", "target", "more_pulses", "words"),
    "resolution": (*_WHO, "day", "session", "target", "rule", "words"),
    "probe": (*_WHO, "day", "session", "target", "name", "value", "low", "high", "n_accepted"),
}
_OPERATOR: Columns = {k: v for k, v in ALL.items() if k != "outcome"} | {"entry": _TRAIL}
_ASSESSOR: Columns = {
    "entry": _TRAIL,
    **{k: ALL[k] for k in ("study", "person", "participant", "stopped", "outcome", "missed", "moved")},
    "treatment_given": (*_WHO, "visit", "day"),
    "adverse_event": ALL["adverse_event"],
}
#: kinds of record that a role may write; the others may not
_MAY_WRITE: Mapping[Role, frozenset[str]] = {
    Role.OPERATOR: frozenset({
        "enrolled", "screened", "threshold_taken", "treatment_begun", "treatment_given", "missed", "moved", "deviation",
        "course_stopped", "adverse_event", "mapped", "probed", "allocated", "kept", "target_chosen", "target_resolved",
    }),
    Role.ASSESSOR: frozenset({"outcome_taken", "adverse_event"}),
    Role.UNBLINDED: frozenset({
        "person_added", "enrolled", "screened", "threshold_taken", "treatment_begun", "treatment_given", "missed", "moved",
        "deviation", "course_stopped", "adverse_event", "mapped", "probed", "list_made", "allocated", "target_chosen", "kept",
        "read_unblinded", "target_resolved",
    }),
}  # fmt: skip


def readable(role: Role, *, blinded: bool) -> tuple[Columns, Columns]:
    """(of the open store, of the sealed store): the columns of each table that this role may read. What is not named is not read.

    In a study that is not blinded everybody reads everything.
    """
    if not blinded or role is Role.UNBLINDED:
        return ALL, HIDDEN
    return (_OPERATOR if role is Role.OPERATOR else _ASSESSOR), {}


def may_write(role: Role, kind: str, *, blinded: bool) -> bool:
    """Whether this role may write a record of this kind. Where nobody is blinded, outcomes may be taken by anybody."""
    return kind in _MAY_WRITE[role] or (not blinded and kind == "outcome_taken")


def tables() -> tuple[set[str], set[str]]:
    """Names of all tables of the open and of the sealed store: a new one must be thought of here."""
    return set(columns_of(OPEN)), set(columns_of(SEALED))
