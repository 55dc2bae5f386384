"""Owns the limits as values, each with its citation, and how the tightest is found; judges no pulse."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from importlib import resources
from typing import Any

from rtloop.errors import ValidationProblem

_ROW_KEYS = {"name": str, "value": float, "unit": str, "stricter": str, "citation": str, "verified": bool}
_TRAIN_KEYS = {
    "hz": float, "pct_mt": float, "longest_s": float, "longest_tested": bool, "citation": str, "verified": bool,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LimitRow:
    """One limit: ``stricter`` is "lower" or "higher"; ``verified`` False means typed from memory."""

    name: str
    value: float
    unit: str
    stricter: str
    citation: str
    verified: bool
    set_by: str = "published"

    def loosened_by(self, value: float) -> bool:
        """Whether ``value`` would allow more than this row (NaN would)."""
        return not (value <= self.value if self.stricter == "lower" else value >= self.value)


@dataclass(frozen=True, kw_only=True)
class TrainRow:
    """Longest single train, s, at ``hz`` and ``pct_mt`` (% of motor threshold).

    ``longest_tested``: no upper bound was found up to ``longest_s``; the table prints ">".
    """

    hz: float
    pct_mt: float
    longest_s: float
    longest_tested: bool
    citation: str
    verified: bool


@dataclass(frozen=True, kw_only=True)
class Limits:
    """All limits of a run. Units are in the names; pulses are counts. ``rows`` keeps where each came from."""

    max_power_pct_mso: float
    max_single_pct_rmt: float
    min_interval_s: float
    interval_margin_s: float
    max_pulses_target_session: float
    max_pulses_session: float
    max_pulses_day: float
    arm_timeout_s: float
    confirm_window_s: float
    permit_max_life_s: float
    threshold_max_age_days: float
    status_max_age_s: float
    port_max_age_s: float
    eeg_hold_s: float
    eeg_disarm_s: float
    recorder_max_age_s: float
    durable_max_lag_s: float
    operator_max_age_s: float
    coil_warn_c: float
    coil_stop_c: float
    max_train_pct_rmt: float
    min_between_trains_s: float
    train_end_max_wait_s: float
    max_treatment_pulses_session: float
    max_treatment_pulses_day: float
    max_treatment_sessions_day: float
    max_treatment_pulses_course: float
    max_treatment_sessions_course: float
    rows: tuple[LimitRow, ...]
    trains: tuple[TrainRow, ...]

    def row(self, name: str) -> LimitRow:
        """The row behind a limit; KeyError when there is none."""
        return {r.name: r for r in self.rows}[name]

    def train_row(self, hz: float, pct_mt: Fraction | float | None) -> TrainRow | None:
        """The table read upward: the row of the next higher frequency and intensity; None beyond the table.

        ``pct_mt`` None (no threshold): the highest intensity of the table. NaN lies beyond it.
        """
        hz_up = min((t.hz for t in self.trains if t.hz >= hz), default=None)
        row = [t for t in self.trains if t.hz == hz_up]
        if pct_mt is None:
            return max(row, key=lambda t: t.pct_mt, default=None)
        return min((t for t in row if t.pct_mt >= pct_mt), key=lambda t: t.pct_mt, default=None)

    @property
    def unverified(self) -> tuple[str, ...]:
        """What nobody has yet checked against its source, as words for the doctor command."""
        trains = [train_name(t) for t in self.trains if not t.verified]
        return tuple([r.name for r in self.rows if not r.verified] + trains)


def train_name(row: TrainRow) -> str:
    """What a row of the table of trains is called."""
    return f"train {row.hz:g} Hz {row.pct_mt:g} %"


NAMES = tuple(f.name for f in fields(Limits) if f.name not in ("rows", "trains"))


def _is(value: object, kind: type) -> bool:
    if kind is float:
        return type(value) in (int, float) and 0 < value < math.inf  # type: ignore[operator]
    return isinstance(value, kind) and bool(str(value).strip())  # no blank words


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _row_faults(row: Any, keys: Mapping[str, type], where: str) -> list[str]:
    if not isinstance(row, dict):
        return [f"{where} is not a table"]
    faults = [f"{where}: unknown key {k!r}" for k in row if k not in keys]
    faults += [f"{where}: {k} is missing" for k in keys if k not in row]
    return faults + [f"{where}: {k} = {row[k]!r}" for k, t in keys.items() if k in row and not _is(row[k], t)]


def parse_limits(text: str) -> Limits:
    """Limits from TOML; every fault of the text is told at once (ValidationProblem)."""
    try:
        doc = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise ValidationProblem("the limits cannot be read", expected="TOML", found=str(err)) from err
    faults = [f"unknown key {k!r}" for k in doc if k not in ("limits", "trains")]
    table = doc.get("trains", {})
    rows = _listed(doc.get("limits", []))
    trains = _listed(table.get("rows", [])) if isinstance(table, dict) else [table]
    if isinstance(table, dict):
        faults += [f"trains: unknown key {k!r}" for k in table if k not in ("citation", "rows")]
        source = (
            {"citation": table["citation"]} if "citation" in table else {}
        )  # of every row that names no other
        trains = [source | t if isinstance(t, dict) else t for t in trains]
    for i, row in enumerate(rows):
        faults += _row_faults(row, _ROW_KEYS, f"limit {i + 1}")
    for i, row in enumerate(trains):
        faults += _row_faults(row, _TRAIN_KEYS, f"train row {i + 1}")
    if not faults:
        names = [r["name"] for r in rows]
        faults += [f"{n} is missing" for n in NAMES if n not in names]
        faults += [f"{n} is unknown or occurs twice" for n in names if n not in NAMES or names.count(n) > 1]
        faults += [f"{r['name']}: stricter" for r in rows if r["stricter"] not in ("lower", "higher")]
        faults += _table_faults(trains)
    if faults:
        raise ValidationProblem(
            "the limits are not valid", expected="known names and keys, finite positive values",
            found="; ".join(faults), todo="correct the file; a limit is never guessed",
        )  # fmt: skip
    made = tuple(LimitRow(**r) for r in rows)
    return Limits(rows=made, trains=tuple(TrainRow(**t) for t in trains), **{r.name: r.value for r in made})


def _table_faults(rows: list[dict[str, Any]]) -> list[str]:
    """Holes, doubles, and cells that allow more than one of lower frequency or intensity; read upward, each matters."""
    cells = [(t["hz"], t["pct_mt"]) for t in rows]
    whole = {(hz, pct) for hz, _ in cells for _, pct in cells}
    faults = [f"train {hz:g} Hz {pct:g} % is missing" for hz, pct in sorted(whole - set(cells))]
    faults += [f"train {hz:g} Hz {pct:g} % occurs twice" for hz, pct in whole if cells.count((hz, pct)) > 1]
    faults += [
        f"train {b['hz']:g} Hz {b['pct_mt']:g} % is longer than at {a['hz']:g} Hz {a['pct_mt']:g} %"
        for a in rows for b in rows
        if a["hz"] <= b["hz"] and a["pct_mt"] <= b["pct_mt"] and b["longest_s"] > a["longest_s"]
    ]  # fmt: skip
    return faults if rows else ["the table of trains is empty"]


def _with(limits: Limits, new: Mapping[str, float], set_by: str) -> Limits:
    rows = tuple(replace(r, value=new[r.name], set_by=set_by) if r.name in new else r for r in limits.rows)
    changed: dict[str, Any] = dict(new)
    return replace(limits, rows=rows, **changed)


def _check(values: Mapping[str, float], set_by: str) -> None:
    faults = [f"{n} = {v!r}" for n, v in values.items() if n not in NAMES or not _is(v, float)]
    if faults:
        raise ValidationProblem(
            f"limits of the {set_by} are not valid", expected="names of limits with finite positive numbers",
            found="; ".join(faults), todo=f"names are {', '.join(NAMES)}",
        )  # fmt: skip


def tightest(
    published: Limits, *, device: Mapping[str, float] | None = None,
    site: Mapping[str, float] | None = None, prescription: Mapping[str, float] | None = None,
) -> Limits:  # fmt: skip
    """Limit by limit the strictest of the four; ValidationProblem for unknown names, NaN, values <= 0."""
    limits = published
    for set_by, values in (("device", device), ("site", site), ("prescription", prescription)):
        _check(values or {}, set_by)
        limits = _with(
            limits, {n: v for n, v in (values or {}).items() if not limits.row(n).loosened_by(v)}, set_by
        )
    return limits


def load_limits(site: Mapping[str, float] | None = None) -> Limits:
    """The published limits, tightened by ``site``; ValidationProblem with words when it loosens one."""
    limits = parse_limits(resources.files("rtloop.safety").joinpath("limits.toml").read_text("utf-8"))
    _check(site or {}, "site")
    loose = [(limits.row(n), v) for n, v in (site or {}).items() if limits.row(n).loosened_by(v)]
    if loose:
        raise ValidationProblem(
            "the site file loosens a limit", found="; ".join(f"{r.name} = {v:g}" for r, v in loose),
            expected="; ".join(f"{r.name} {r.stricter} than {r.value:g} {r.unit}" for r, _ in loose),
            todo="a site may only tighten limits; remove the line",
        )  # fmt: skip
    return tightest(limits, site=site)


def confirmed(limits: Limits, names: Collection[str]) -> Limits:
    """The same limits with these rows (as ``unverified`` names them) checked against their source by the site.

    ValidationProblem for a name that is no row: a word that confirms nothing must not pass for one that does.
    """
    known = {r.name for r in limits.rows} | {train_name(t) for t in limits.trains}
    if not set(names) <= known:
        raise ValidationProblem(
            "the site confirms limits that do not exist", expected="names as rtloop doctor prints them",
            found=", ".join(sorted(set(names) - known)),
        )  # fmt: skip
    rows = tuple(replace(r, verified=r.verified or r.name in names) for r in limits.rows)
    trains = tuple(replace(t, verified=t.verified or train_name(t) in names) for t in limits.trains)
    return replace(limits, rows=rows, trains=trains)
