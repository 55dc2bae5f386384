"""Owns the faults of a simulated unit: values with a start time, their file format, which are active when.

It owns no effect: what a fault does to replies and to the coil is in ``hardware_sim.unit``.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from rtloop.errors import ValidationProblem


class FaultKind(StrEnum):
    """What may go wrong with a unit or its line."""

    MUTE = "mute"  # commands are obeyed, replies are never sent
    SHORT_REPLY = "short_reply"  # only the first ``n_bytes`` of a reply are sent
    DELAYED_REPLY = "delayed_reply"  # replies start ``delay_s`` late (later ones queue behind)
    BAD_CRC = "bad_crc"  # the last byte of a reply is wrong
    STRAY_BYTES = "stray_bytes"  # each reply comes with ``data`` before it, or ``delay_s`` behind ``data``
    UNSOLICITED_BYTES = "unsolicited_bytes"  # ``data`` arrives once, unasked
    ANSWER_UNKNOWN = "answer_unknown"  # command not obeyed, answered ``?``
    ANSWER_CONFLICT = "answer_conflict"  # command not obeyed, answered ``S``
    STUCK_BUSY = "stuck_busy"  # arming never completes: armed, never ready
    COIL_ABSENT = "coil_absent"
    REPLACE_COIL = "replace_coil"
    HOT_COIL = "hot_coil"  # the coil is at ``temp_c``
    ERROR_BIT = "error_bit"  # ``fatal`` sets the fatal bit too
    UNPLUG = "unplug"  # the port vanishes for good; the unit itself lives on (and so does a train)
    CABLE_OUT = "cable_out"  # pulled at the unit's end: the port stays, nothing is heard and nothing answered
    PORT_BACK = "port_back"  # the port vanishes and is back at ``end_s``
    TWO_OWNERS = (
        "two_owners"  # another program sends ``data`` (packets as on the line; none: gives control back)
    )
    TRIGGER_EDGE = "trigger_edge"  # an edge on the trigger input ``how``: "now", or at the host's "open", ...
    TRAIN_MODE = "train_mode"  # somebody sets the unit to trains at its panel
    TRAIN_OBEYS_EA = "train_obeys_ea"  # a disarm stops a running train, whatever the unit does otherwise
    TRAIN_IGNORES_EA = "train_ignores_ea"  # a disarm waits for the end of a running train
    UNCERTAIN_FIRE = "uncertain_fire"  # discharge happens; its reply is ``how``: "lost" or "bad_crc"
    FIRE_WITHOUT_DISCHARGE = "fire_without_discharge"  # acknowledged, nothing happens
    STANDBY_UNEXPECTEDLY = "standby_unexpectedly"  # falls back to standby once, keeps remote control


_REPLY = {"only", "times"}
_REQUIRED: dict[FaultKind, set[str]] = {
    FaultKind.DELAYED_REPLY: {"delay_s"},
    FaultKind.STRAY_BYTES: {"data"},
    FaultKind.UNSOLICITED_BYTES: {"data"},
    FaultKind.HOT_COIL: {"temp_c"},
    FaultKind.PORT_BACK: {"end_s"},
}
_OPTIONAL: dict[FaultKind, set[str]] = {
    FaultKind.MUTE: _REPLY,
    FaultKind.SHORT_REPLY: _REPLY | {"n_bytes"},
    FaultKind.DELAYED_REPLY: _REPLY,
    FaultKind.BAD_CRC: _REPLY,
    FaultKind.STRAY_BYTES: _REPLY | {"delay_s"},
    FaultKind.ANSWER_UNKNOWN: _REPLY,
    FaultKind.ANSWER_CONFLICT: _REPLY,
    FaultKind.ERROR_BIT: {"fatal"},
    FaultKind.UNCERTAIN_FIRE: {"times", "how"},
    FaultKind.FIRE_WITHOUT_DISCHARGE: {"times"},
    FaultKind.TWO_OWNERS: {"data"},
    FaultKind.TRIGGER_EDGE: {"times", "how"},
}
ONCE = (  # happen at their start, then are over
    FaultKind.UNSOLICITED_BYTES,
    FaultKind.STANDBY_UNEXPECTEDLY,
    FaultKind.TWO_OWNERS,
    FaultKind.TRAIN_MODE,
)
_HOW = {
    FaultKind.UNCERTAIN_FIRE: ("lost", "bad_crc"),
    FaultKind.TRIGGER_EDGE: ("now", "open", "close", "crash", "unplug"),
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault from ``start_s`` until ``end_s`` (None: for ever), counted from the start of the unit.

    ``only`` restricts a fault of replies to packets that begin so (``"EH"``, ``"Q"``), ``times`` to so many.
    Raises ValidationProblem listing everything that is wrong.
    """

    kind: FaultKind
    start_s: float = 0.0
    end_s: float | None = None
    only: str | None = None
    times: int | None = None
    n_bytes: int | None = None
    delay_s: float | None = None
    data: bytes | None = None
    temp_c: float | None = None
    fatal: bool | None = None
    how: str | None = None

    def __post_init__(self) -> None:
        given = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        _refuse(_problems(given, "fault"))


_KEYS = {f.name for f in fields(Fault)}


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _problems(given: Mapping[str, Any], where: str) -> list[str]:
    """Everything wrong with the fields of one fault, in words."""
    try:
        kind = FaultKind(given["kind"])
    except (KeyError, ValueError):
        return [f"{where}: kind must be one of {', '.join(FaultKind)}, not {given.get('kind')!r}"]
    required = _REQUIRED.get(kind, set())
    allowed = required | _OPTIONAL.get(kind, set()) | {"kind", "start_s"}
    if kind not in ONCE and kind is not FaultKind.UNPLUG:
        allowed.add("end_s")
    out = [f"{where} ({kind}): unknown key {key!r}" for key in sorted(set(given) - _KEYS)]
    out += [
        f"{where} ({kind}): {key!r} does not belong here" for key in sorted((set(given) & _KEYS) - allowed)
    ]
    out += [f"{where} ({kind}): {key!r} is missing" for key in sorted(required - set(given))]
    start_s = given.get("start_s", 0.0)
    rules: dict[str, tuple[str, Any]] = {
        "start_s": ("a number of seconds >= 0", lambda v: _number(v) and v >= 0),
        "end_s": (
            "a number of seconds after start_s",
            lambda v: _number(v) and _number(start_s) and v > start_s,
        ),
        "only": ("the first letters of a packet", lambda v: isinstance(v, str) and v != "" and v.isascii()),
        "times": ("a whole number >= 1", lambda v: type(v) is int and v >= 1),
        "n_bytes": ("a whole number >= 0", lambda v: type(v) is int and v >= 0),
        "delay_s": ("a number of seconds > 0", lambda v: _number(v) and v > 0),
        "data": ("one byte or more", lambda v: isinstance(v, bytes) and v != b""),
        "temp_c": ("0 to 99.9 degrees C", lambda v: _number(v) and 0 <= v <= 99.9),
        "fatal": ("true or false", lambda v: isinstance(v, bool)),
        "how": (" or ".join(map(repr, _HOW.get(kind, ()))), lambda v: v in _HOW.get(kind, ())),
    }
    for key, (expected, holds) in rules.items():
        if key in given and key in allowed and not holds(given[key]):
            out.append(f"{where} ({kind}): {key} must be {expected}, not {given[key]!r}")
    return out


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ValidationProblem(
            f"{len(problems)} problem(s) in the faults of the simulated unit", found="; ".join(problems),
            todo="correct the [[fault]] tables; hardware_sim.faults lists the kinds",
        )  # fmt: skip


def parse_faults(tables: Sequence[object]) -> tuple[Fault, ...]:
    """Faults from ``[[fault]]`` tables; ``data`` is a string of hex digits, ``start_s`` is required.

    Raises ValidationProblem with every problem of every table at once.
    """
    problems: list[str] = []
    cleaned: list[dict[str, Any]] = []
    for number, table in enumerate(tables, start=1):
        where = f"fault {number}"
        if not isinstance(table, Mapping):
            problems.append(f"{where}: must be a table, not {table!r}")
            continue
        given = dict(table)
        if "start_s" not in given:
            problems.append(f"{where}: 'start_s' is missing")
        if isinstance(given.get("data"), str):
            try:
                given["data"] = bytes.fromhex(given["data"])
            except ValueError:
                problems.append(f"{where}: data must be hex digits, not {given.pop('data')!r}")
        problems += _problems(given, where)
        cleaned.append(given)
    _refuse(problems)
    return tuple(Fault(**{**given, "kind": FaultKind(given["kind"])}) for given in cleaned)


def load_faults(toml_text: str) -> tuple[Fault, ...]:
    """Faults from a TOML text that holds ``[[fault]]`` tables and nothing else."""
    try:
        document = tomllib.loads(toml_text)
    except tomllib.TOMLDecodeError as err:
        raise ValidationProblem(
            "the fault file is not TOML", found=str(err), todo="correct the file"
        ) from err
    problems = [
        f"unknown key {key!r} (only [[fault]] tables belong here)"
        for key in sorted(set(document) - {"fault"})
    ]
    tables = document.get("fault", [])
    if not isinstance(tables, list):
        problems.append("fault must be written as [[fault]]")
        tables = []
    try:
        found = parse_faults(tables)
    except ValidationProblem as err:
        problems.append(err.found)
        found = ()
    _refuse(problems)
    return found


class _Entry:
    def __init__(self, fault: Fault, origin_s: float | None) -> None:
        self.fault, self.origin_s, self.left, self.done = fault, origin_s, fault.times, False


class FaultSchedule:
    """Which faults are active at an instant; counts those that apply a limited number of times."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self._entries: tuple[_Entry, ...] = tuple(_Entry(fault, None) for fault in faults)

    def begin(self, origin_s: float) -> None:
        """Faults given at construction count from here; only the first call matters."""
        for entry in self._entries:
            if entry.origin_s is None:
                entry.origin_s = origin_s

    def add(self, fault: Fault, origin_s: float | None) -> None:
        """One more; its times count from ``origin_s`` (None: from ``begin``)."""
        self._entries = (*self._entries, _Entry(fault, origin_s))

    def clear(self, kind: FaultKind | None = None) -> None:
        """Take away one kind, or all."""
        self._entries = tuple(e for e in self._entries if kind is not None and e.fault.kind is not kind)

    def starts(self, after_s: float, until_s: float) -> list[float]:
        """Starts in (after_s, until_s], in order."""
        all_s = (e.origin_s + e.fault.start_s for e in self._entries if e.origin_s is not None)
        return sorted({s for s in all_s if after_s < s <= until_s})

    def _find(self, kind: FaultKind, t_s: float, packet: bytes, how: str = "") -> _Entry | None:
        for e in self._entries:
            if how and (e.fault.how or "now") != how:
                continue
            if e.fault.kind is not kind or e.origin_s is None or e.done or e.left == 0:
                continue
            late = e.fault.end_s is not None and t_s >= e.origin_s + e.fault.end_s
            if late or t_s < e.origin_s + e.fault.start_s:
                continue
            if e.fault.only is None or packet.startswith(e.fault.only.encode()):
                return e
        return None

    def active(self, kind: FaultKind, t_s: float) -> Fault | None:
        """A fault of this kind at ``t_s``, without counting it."""
        entry = self._find(kind, t_s, b"")
        return None if entry is None else entry.fault

    def strike(self, kind: FaultKind, t_s: float, packet: bytes, how: str = "") -> Fault | None:
        """A fault of this kind (and ``how``) that meets this packet, counted against ``times``."""
        entry = self._find(kind, t_s, packet, how)
        if entry is None:
            return None
        if entry.left is not None:
            entry.left -= 1
        return entry.fault

    def once(self, kind: FaultKind, t_s: float, how: str = "") -> list[Fault]:
        """Faults of a kind (and ``how``) that have started and not yet been handed out."""
        out = []
        while (entry := self._find(kind, t_s, b"", how)) is not None:
            entry.done = True
            out.append(entry.fault)
        return out
