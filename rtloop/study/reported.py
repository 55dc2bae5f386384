"""Owns what reports of a course and of a study are made of: rows that one person may read, and values that follow from them;
owns no words and no layout.

Everything comes through ``Seen``: what a role may not read is not there to be shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from rtloop.model.course import CLASSIC_TARGET
from rtloop.study.association import Row
from rtloop.study.over_time import Measured, Sem, baseline_of, retest_sem
from rtloop.study.shown import sight_of
from rtloop.study.state import Participant
from rtloop.study.study import Study

#: the value of a probe that is followed over time: dwPLI² among the four electrodes nearest the coil, pooled 8 to 30 Hz
LOCAL = "local"
_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)_")
Fields = dict[str, Any]


class Seen:
    """A study as one person sees it, read once; an unblinded person's look is kept in the log."""

    def __init__(self, study: Study, *, by: str, what: str) -> None:
        self.study, self.by, self.sight = study, by, sight_of(study, by)
        open_, sealed = study.read(by=by, what=what)
        self._open = {t: _fields(*table) for t, table in open_.items()}
        self._sealed = {t: _fields(*table) for t, table in sealed.items()}

    def sees(self, table: str, column: str = "", *, sealed: bool = False) -> bool:
        """Whether this person reads a table, or a column of it."""
        if sealed and self.study.no_seal:
            return False
        return self.sight.sees(table, column, sealed=sealed)

    def rows(self, table: str, code: str | None = None, *, sealed: bool = False) -> list[Fields]:
        """Rows of a table (of one participant), in the order of the log; [] where it is not read."""
        found = (self._sealed if sealed else self._open).get(table, [])
        return [r for r in found if code is None or r.get("participant") == code]

    def reasons(self) -> Mapping[int, str]:
        """Number of an entry -> why; {} where reasons are not read."""
        return {r["n"]: r["reason"] for r in self.rows("entry") if r.get("reason")}

    def arm_of(self, code: str) -> str | None:
        """None where it is not seen, "" where there is none yet."""
        if not self.sees("allocation", sealed=True):
            return None
        return next((str(r["arm"]) for r in self.rows("allocation", code, sealed=True)), "")

    def people(self) -> dict[str, Participant]:
        """code -> participant, sorted; show of them only what ``sees`` allows."""
        return dict(sorted(self.study.state.participants.items()))


def _fields(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[Fields]:
    return [dict(zip(columns, r, strict=True)) for r in rows]


def probed(seen: Seen, code: str, *, target: str = CLASSIC_TARGET, name: str = LOCAL) -> list[Measured]:
    """Probes of one value of a participant, oldest first; [] where they are not seen."""
    out = [
        Measured(day=r["day"], value=r["value"], low=r["low"], high=r["high"], at=instant_of(r["session"]))
        for r in seen.rows("probe", code, sealed=True)
        if r["target"] == target and r["name"] == name
    ]
    return sorted(out, key=lambda m: (m.day, m.at))


def instant_of(session: str) -> str:
    """When a session began by the name of its folder, as far as seconds (UTC); "" for another name."""
    found = _STAMP.match(session)
    return "" if found is None else "{}-{}-{}T{}:{}:{}".format(*found.groups())


def first_treated(who: Participant) -> str | None:
    """The instant of the first treatment; None before it."""
    return min((r.utc for s in who.calendar.given for r in s.runs), default=None)


def retests(seen: Seen) -> Sem | None:
    """The error of measurement by what was probed twice or more before anything was given, over the whole study."""
    pairs = []
    for code, who in seen.people().items():
        start = first_treated(who)
        before = [m for m in probed(seen, code) if start is None or (m.at or m.day) < start]
        pairs += [(a.value, b.value) for a, b in pairwise(before) if a.at != b.at]
    return retest_sem(pairs)


def baseline_rows(seen: Seen) -> list[Row]:
    """Baseline local M1 and the fall of pain (% of baseline) of everybody who has both and an arm."""
    out = []
    for code, who in seen.people().items():
        arm, base = seen.arm_of(code), baseline_of(probed(seen, code), first_treated(who))
        if not arm or base is None or not seen.sees("outcome"):
            continue
        fall = who.response(seen.study.course).fall_pct
        if fall is not None:
            out.append(Row(participant=code, arm=arm, x=base.value, y=fall, x_se=base.se))
    return out
