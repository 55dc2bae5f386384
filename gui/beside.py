"""Owns what stands beside a run's scores as words and tables of texts, masked where a study is blinded; owns no number.

The same rows as in the report: companions, real against control, equal numbers of trials, both scores of the last look.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gui.kept import kept
from gui.numbers import split_key
from gui.scores import masked
from gui.shown import Beside, Line, Table, Tone
from rtloop.model.estimate import BANDS_HZ, POOLED
from rtloop.model.view import TargetView, View, key_of
from rtloop.record.report import evoked_name, with_error
from rtloop.record.report_input import BesideRow
from rtloop.session.beside_rows import (
    beside_rows,
    beside_words,
    contrast_rows,
    contrast_words,
    equal_rows,
    equal_words,
    subtracted_rows,
)
from rtloop.session.deciding import decision_tables

_PART = re.compile(r", (\d+)-\d+ ms$")
_BANDS = (POOLED, *BANDS_HZ)
NOT_YET = "measured when a run is reviewed, with the unit disarmed: nothing was yet"
ONLY_RUNS = "beside a run's scores only: choose a trial of a run"


def beside_shown(view: View, block: str, role: str) -> Beside:
    """Beside the scores of the block that is looked at ("M1", "M1/preview"), and of all targets together."""
    why = masked(view, role)
    if why:
        return _hidden(why)
    name, kind = split_key(block) if block else ("", "")
    run, control = view.targets.get(name), view.targets.get(key_of(name, "control"))
    return _beside(run if kind != "preview" else None, control, view.started, view.decision, view.equal_n)


@kept
def _hidden(why: str) -> Beside:
    return Beside(title="Beside the scores", words=(Line(text=why, tone=Tone.OFF),))


@kept
def _beside(
    run: TargetView | None, control: TargetView | None, started: Mapping[str, Any], decision: Mapping[str, Any] | None,
    equal_n: Mapping[str, Any] | None,
) -> Beside:  # fmt: skip
    blocks = {} if run is None else {run.name: run}
    if control is not None:
        blocks[key_of(control.name, "control")] = control
    view = View(started={**started, "blinded": False}, targets=blocks, decision=decision, equal_n=equal_n)
    words: list[str] = []
    tables: list[Table] = []
    if run is None:
        words.append(ONLY_RUNS)
    elif run.beside is None and run.control is None:
        words.append(NOT_YET)
    else:
        words += [*contrast_words(view, run), *beside_words(run)]
        tables += [t for t in (_companions(run), _contrast(run)) if t.rows]
    if said := equal_words(view):
        words.append(said)
        tables += _equal(view)
    tables += [Table(caption=name, head=rows[0], rows=rows[1:]) for name, rows in decision_tables(view)]
    title = "Beside the scores" if run is None else f"Beside the scores of {run.name}"
    return Beside(title=title, words=tuple(Line(text=w) for w in words), tables=tuple(tables))


def _companions(run: TargetView) -> Table:
    rows = []
    for row in sorted(beside_rows(run), key=_place):
        one = row.values.get("")
        values = (
            (with_error(one), "", "", "") if one else tuple(with_error(row.values.get(b)) for b in _BANDS)
        )
        name = " ".join(part for part in (row.measure, row.where) if part)
        rows.append((name, *values, str(next(iter(row.values.values())).n)))
    head = ("Measure", *(b.replace("_", " ") for b in _BANDS), "Trials")
    return Table(caption="Value ± SE", head=head, rows=tuple(rows))


def _place(row: BesideRow) -> tuple[bool, str, int]:
    """Parts of the window last, by measure and then by time; the rest as it comes."""
    part = _PART.search(row.measure)
    return (False, "", 0) if part is None else (True, row.measure[: part.start()], int(part[1]))


def _contrast(run: TargetView) -> Table:
    rows = [
        (_name(c.what), with_error(c.real), with_error(c.control), with_error(c.difference))
        for c in contrast_rows(run)
    ]
    rows += [
        (f"{evoked_name(k)}, of the average of real minus control", "", "", with_error(e))
        for k, e in subtracted_rows(run).items()
    ]
    head = ("Real against control", "Real ± SE", "Control ± SE", "Real minus control ± SE")
    return Table(caption="Real against control", head=head, rows=tuple(rows))


def _equal(view: View) -> list[Table]:
    rows = equal_rows(view)
    if not rows:
        return []
    names = tuple(rows[0].values)
    found = tuple((_name(r.what), *(with_error(r.values.get(n)) for n in names)) for r in rows)
    return [
        Table(caption="All targets at equal numbers of trials, ± SE", head=("Measure", *names), rows=found)
    ]


def _name(what: str) -> str:
    """A measure with its scope is written already; a key of the evoked numbers is not."""
    return what if " " in what else evoked_name(what)
