"""Owns the checks between the keys of a plan; owns neither the shape of a key nor a safety limit.

Every check runs on whatever tables are well formed, so that a file's problems are told all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from rtloop.model.montage import HEAD_RADIUS_M, position_of
from rtloop.plan.decision import decision_wrong, pulses_of_returns
from rtloop.plan.dose import pct_mso_from_rmt, unit_gap_s
from rtloop.plan.problems import Problem
from rtloop.plan.schema import (
    Caps,
    Kind,
    Order,
    Point,
    Quality,
    Range,
    Signal,
    Target,
    Threshold,
    Timing,
    Unit,
)
from rtloop.plan.stage_checks import stage_problems
from rtloop.quality.limits import RECORDING, REJECTING, TRIAL, limits_wrong

_MASTOIDS = {"M1": "TP9", "M2": "TP10", "A1": "T9", "A2": "T10"}
AUTO_DISARM_S = (
    60.0  # a unit armed for so long without a pulse disarms itself (design note STIMULATOR section 1)
)


class Named(Protocol):
    """A target of any kind of plan."""

    @property
    def name(self) -> str: ...


def contradictions(tables: Mapping[str, Any]) -> list[Problem]:
    """Everything wrong between keys. ``tables`` maps table name -> its value; malformed ones are left out,
    and
    ``targets`` may hold None in the place of a malformed target."""
    head = tables.get("plan")
    kind: Kind | None = head.kind if head else None
    targets = [(f"targets[{i}]", t) for i, t in enumerate(tables.get("targets") or ()) if t is not None]
    out: list[Problem] = []
    out += names_twice(targets)
    for where, target in targets:
        out += _places(where, target)
        out += _doses(where, target, kind)
        if target.gap_ms is not None:
            out += _range(f"{where}.gap_ms", target.gap_ms)
    out += _kind(tables, kind, targets)
    out += _times(tables, targets)
    out += _powers(tables, targets)
    out += _threshold(tables.get("unit"), tables.get("threshold"))
    out += _signal(tables.get("signal"), targets)
    out += _order(tables.get("order"))
    out += _quality(tables.get("quality"))
    out += decision_wrong(tables, [t for _, t in targets], kind)
    return out


def names_twice(targets: Iterable[tuple[str, Named]]) -> Iterator[Problem]:
    """Targets of one name, however it is written."""
    first: dict[str, str] = {}
    for where, target in targets:
        key = target.name.casefold()
        if key in first:
            yield Problem(
                where=f"{where}.name", what=f"the target name {target.name} occurs twice",
                expected="each target name once", found=f"also in {first[key]}",
                todo="rename one of the two targets",
            )  # fmt: skip
        first.setdefault(key, where)


def _electrode(where: str, name: str) -> Iterator[Problem]:
    key = name.strip().upper()
    if key in _MASTOIDS:
        yield Problem(
            where=where,
            what=f"{key} is the name of a mastoid or ear electrode ({_MASTOIDS[key]}), not of the cortex",
            expected="an electrode of the 10-20, 10-10 or 10-5 system", found=name,
            todo=f"write C3 for left motor cortex, or {_MASTOIDS[key]} if the mastoid is meant",
        )  # fmt: skip
    elif position_of(name) is None:
        yield Problem(
            where=where, what="the electrode is not known",
            expected="a name of the 10-20, 10-10 or 10-5 system",
            found=name, todo="correct the name, or give the place as x_m, y_m, z_m",
        )  # fmt: skip


def coil_misplaced(where: str, coil_at: str | Point, key: str = "coil_at") -> Iterator[Problem]:
    """A place (of a coil, unless ``key`` says of what) that is not on a head, or at an electrode that nobody knows."""
    if isinstance(coil_at, Point):
        distance_m = float(np.hypot(np.hypot(coil_at.x_m, coil_at.y_m), coil_at.z_m))
        if not 0.5 * HEAD_RADIUS_M <= distance_m <= 2 * HEAD_RADIUS_M:
            yield Problem(
                where=f"{where}.{key}", what="the place is not on a head",
                expected=f"{0.5 * HEAD_RADIUS_M:.3f} to {2 * HEAD_RADIUS_M:.3f} m from the head's centre",
                found=f"{distance_m:g} m",
                todo="write metres from the centre of the head, not millimetres",
            )  # fmt: skip
    else:
        yield from _electrode(f"{where}.{key}", coil_at)


def _places(where: str, target: Target) -> Iterator[Problem]:
    yield from coil_misplaced(where, target.coil_at)
    local = target.local_electrodes or ()
    for i, name in enumerate(local):
        yield from _electrode(f"{where}.local_electrodes[{i}]", name)
    twice = sorted({n for n in local if [m.upper() for m in local].count(n.upper()) > 1})
    if twice:
        yield Problem(
            where=f"{where}.local_electrodes", what="an electrode occurs twice",
            expected="each electrode once",
            found=", ".join(twice), todo="name different electrodes",
        )  # fmt: skip


def _doses(where: str, target: Target, kind: Kind | None) -> Iterator[Problem]:
    if target.pulses_max is not None and target.pulses_wanted > target.pulses_max:
        yield Problem(
            where=f"{where}.pulses_max", what="fewer pulses allowed than wanted",
            expected=f"at least pulses_wanted = {target.pulses_wanted}", found=str(target.pulses_max),
            todo="raise pulses_max or lower pulses_wanted",
        )  # fmt: skip
    if kind is None:
        return
    mso, rmt = target.intensity_pct_mso, target.intensity_pct_rmt
    if kind is Kind.WATCH:
        for key in ("intensity_pct_mso", "intensity_pct_rmt", "pulses_max", "preview", "accept", "control"):
            if getattr(target, key) is not None:
                yield _no_unit(f"{where}.{key}")
        return
    if (mso is None) == (rmt is None):
        yield Problem(
            where=where, what="the intensity is not given once",
            expected="intensity_pct_rmt or intensity_pct_mso, one of the two",
            found="neither" if mso is None else "both", todo="write exactly one of them; it has no default",
        )  # fmt: skip
    for key in ("pulses_max", "preview", "accept"):
        if getattr(target, key) is None:
            yield _lacking(f"{where}.{key}", kind)
    if target.preview is None:
        return
    steps_mso, steps_rmt = target.preview.steps_pct_mso, target.preview.steps_pct_rmt
    if (steps_mso is None) == (steps_rmt is None):
        yield Problem(
            where=f"{where}.preview", what="the steps of intensity are not given once",
            expected="steps_pct_rmt or steps_pct_mso, one of the two",
            found="neither" if steps_mso is None else "both", todo="write exactly one of them",
        )  # fmt: skip
    elif (mso is None) != (rmt is None) and (steps_mso is None) != (mso is None):
        yield Problem(
            where=f"{where}.preview", what="the steps are in another unit than the intensity",
            expected="steps_pct_mso" if mso is not None else "steps_pct_rmt",
            found="steps_pct_rmt" if mso is not None else "steps_pct_mso", todo="use one unit for both",
        )  # fmt: skip


def _lacking(where: str, kind: Kind) -> Problem:
    return Problem(
        where=where, what="the key is missing", expected=f"a value: a {kind.value} plan gives pulses",
        found="nothing", todo="add the key; it has no default",
    )  # fmt: skip


def _no_unit(where: str) -> Problem:
    return Problem(
        where=where, what="a watch plan gives no pulses", expected="no such key in a watch plan",
        found="the key",
        todo="remove the key, or make it a map or probe plan",
    )  # fmt: skip


def _kind(
    tables: Mapping[str, Any], kind: Kind | None, targets: list[tuple[str, Target]]
) -> Iterator[Problem]:
    if kind is None:
        return
    for key in ("unit", "timing", "caps"):
        if key in tables and tables[key] is None and kind is not Kind.WATCH:
            yield _lacking(key, kind)
        if kind is Kind.WATCH and tables.get(key) is not None:
            yield _no_unit(key)
    if kind is Kind.WATCH and tables.get("threshold") is not None:
        yield _no_unit("threshold")
    count = len(tables.get("targets") or ())
    if kind is Kind.PROBE and count > 1:
        yield Problem(
            where="targets", what="a probe looks at one target", expected="1 target",
            found=f"{count} targets",
            todo="keep one target, or make it a map plan",
        )  # fmt: skip


def _range(where: str, pair: Range) -> Iterator[Problem]:
    if not pair[0] < pair[1]:
        yield Problem(
            where=where, what="the range is upside down or empty", expected="[low, high] with low below high",
            found=f"[{pair[0]:g}, {pair[1]:g}]", todo="exchange or correct the two numbers",
        )  # fmt: skip


def powers_of(target: Target, threshold: Threshold | None) -> list[tuple[str, int]]:
    """(key, whole % MSO) of the run and of every preview step that can be known; %RMT needs the threshold."""
    preview = target.preview
    mso = [("intensity_pct_mso", target.intensity_pct_mso)] if target.intensity_pct_mso is not None else []
    rmt = [("intensity_pct_rmt", target.intensity_pct_rmt)] if target.intensity_pct_rmt is not None else []
    if preview:
        mso += [(f"preview.steps_pct_mso[{i}]", p) for i, p in enumerate(preview.steps_pct_mso or ())]
        rmt += [(f"preview.steps_pct_rmt[{i}]", p) for i, p in enumerate(preview.steps_pct_rmt or ())]
    if threshold is not None:
        mso += [(key, pct_mso_from_rmt(p, threshold.pct_mso)) for key, p in rmt]
    return mso


def _times(tables: Mapping[str, Any], targets: list[tuple[str, Target]]) -> Iterator[Problem]:
    timing: Timing | None = tables.get("timing")
    if timing is None:
        return
    low, high = timing.isi_s
    if not 0 < low <= high:
        yield Problem(
            where="timing.isi_s", what="not a range of intervals",
            expected="[low, high] with 0 < low <= high",
            found=f"[{low:g}, {high:g}]", todo="correct the two numbers",
        )  # fmt: skip
        return
    if not high < AUTO_DISARM_S:
        yield Problem(
            where="timing.isi_s", what="the unit disarms itself between two pulses",
            expected=f"less than {AUTO_DISARM_S:g} s", found=f"{high:g} s", todo="shorten the interval",
        )  # fmt: skip
    threshold: Threshold | None = tables.get("threshold")
    for where, target in targets:
        powers = [p for _, p in powers_of(target, threshold) if 0 <= p <= 100]
        power = max(powers, default=0)
        gap_s = unit_gap_s(power)
        if powers and not low >= gap_s:
            yield Problem(
                where="timing.isi_s", what=f"the interval is shorter than the unit's gap at {where}",
                expected=f"at least {gap_s:g} s at {power} % MSO", found=f"{low:g} s",
                todo="lengthen the interval or lower the intensity",
            )  # fmt: skip


def _powers(tables: Mapping[str, Any], targets: list[tuple[str, Target]]) -> Iterator[Problem]:
    caps: Caps | None = tables.get("caps")
    if caps is None:
        return
    for where, target in targets:
        for key, power in powers_of(target, tables.get("threshold")):
            if power < 1 or power > 100:
                yield Problem(
                    where=f"{where}.{key}", what="the unit has no such output", expected="1 to 100 % MSO",
                    found=f"{power} % MSO", todo="change the intensity or check the motor threshold",
                )  # fmt: skip
            elif power > caps.power_pct_mso_max:
                yield Problem(
                    where=f"{where}.{key}", what="the intensity is over the plan's own cap",
                    expected=f"at most {caps.power_pct_mso_max} % MSO (caps.power_pct_mso_max)",
                    found=f"{power} % MSO", todo="lower the intensity; it is never lowered for you",
                )  # fmt: skip
    total = sum(t.pulses_most for _, t in targets)
    if (decision := tables.get("decision")) is not None:
        total += pulses_of_returns(decision, len(targets), tables.get("comparability"))
    if total > caps.pulses_total_max:
        yield Problem(
            where="caps.pulses_total_max", what="the plan may give more pulses than its own cap",
            expected=f"at most {caps.pulses_total_max} pulses", found=f"{total} pulses",
            todo="lower the pulses of the targets or raise the cap",
        )  # fmt: skip


def _threshold(unit: Unit | None, threshold: Threshold | None) -> Iterator[Problem]:
    if unit is None or threshold is None:
        return
    for key in ("coil", "waveform"):
        if getattr(unit, key) != getattr(threshold, key):
            yield Problem(
                where=f"threshold.{key}", what=f"the threshold was taken with another {key}",
                expected=getattr(unit, key), found=getattr(threshold, key),
                todo=f"take the threshold with this {key}; it does not carry over",
            )  # fmt: skip


def _signal(signal: Signal | None, targets: list[tuple[str, Target]]) -> Iterator[Problem]:
    if signal is None:
        return
    yield from _range("signal.window_ms", signal.window_ms)
    yield from _range("signal.gap_ms", signal.gap_ms)
    gaps = [("signal.gap_ms", signal.gap_ms)]
    gaps += [(f"{w}.gap_ms", t.gap_ms) for w, t in targets if t.gap_ms is not None]
    for where, gap in gaps:
        if not gap[0] <= 0 <= gap[1]:
            yield Problem(
                where=where, what="the pulse is not inside its own gap", expected="low <= 0 <= high",
                found=f"[{gap[0]:g}, {gap[1]:g}]", todo="the gap is in ms from the pulse: let it hold 0",
            )  # fmt: skip
        if not signal.window_ms[0] >= gap[1]:
            yield Problem(
                where="signal.window_ms", what=f"the score window begins inside the gap ({where})",
                expected=f"a start at or after {gap[1]:g} ms", found=f"{signal.window_ms[0]:g} ms",
                todo="start the window where the gap ends; samples in the gap are missing data",
            )  # fmt: skip
    yield from stage_problems(signal)


def _order(order: Order | None) -> Iterator[Problem]:
    if order is None:
        return
    if order.kind == "random" and order.seed is None:
        yield Problem(
            where="order.seed", what="a random order needs a seed", expected="a whole number",
            found="nothing",
            todo="add a seed, so that the order can be repeated and checked",
        )  # fmt: skip
    if order.kind == "as_listed" and order.seed is not None:
        yield Problem(
            where="order.seed", what="the seed is not used", expected="no seed when the order is as_listed",
            found=str(order.seed), todo='remove the seed or write kind = "random"',
        )  # fmt: skip


def _quality(quality: Quality | None) -> Iterator[Problem]:
    if quality is None:
        return
    for key, rows, given in (("limits", RECORDING, quality.limits), ("trial", TRIAL, quality.trial)):
        for words in limits_wrong(rows, given):
            yield Problem(
                where=f"quality.{key}", what="a limit cannot be used", expected="one or two numbers for a known name",
                found=words, todo="correct the name or the numbers",
            )  # fmt: skip
    names = [limit for _, limit, _ in REJECTING.values()]
    for name in quality.reject:
        if name not in names:
            yield Problem(
                where="quality.reject", what="no such limit rejects a trial", expected=", ".join(names), found=name,
                todo="correct the name",
            )  # fmt: skip
        elif not (quality.reject[name] >= 0 and (name != "min_channels" or quality.reject[name] % 1 == 0)):
            yield Problem(
                where=f"quality.reject.{name}", what="not a limit", expected="0 or more, whole for a count",
                found=f"{quality.reject[name]:g}", todo="correct the number",
            )  # fmt: skip
    bad, of_last, _ = quality.hold
    if not bad <= of_last:
        yield Problem(
            where="quality.hold", what="more bad trials wanted than are looked at", expected=f"at most {of_last}",
            found=str(bad), todo="write [bad trials, of the last, good trials]",
        )  # fmt: skip
