"""Owns which block each pulse of a foreign recording belongs to: by its event, by sections, by the plan's order; never a guess.

It owns no finding of pulses and no score.
"""

from __future__ import annotations

import tomllib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rtloop.errors import UsageProblem, ValidationProblem
from rtloop.model.pulse import PulseSeen
from rtloop.model.view import key_of
from rtloop.plan.expand import targets_in_order
from rtloop.plan.schema import Plan
from rtloop.record.read_open import Mark

BLOCKS = ("run", "control", "preview")
NOBODY = "nobody"
#: a pulse and the event that names it lie this near, s: an amplifier's own event, a marker from another line
NEAR_S, NEAR_MARKER_S = 0.010, 0.040
Block = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class BlockMap:
    """Which events name blocks: ``pulses``: the event of a pulse -> its block; ``sections``: from this event on, every pulse.

    ``numbers``: (first, last) of the pulses counted from 1 -> their block. ``spans``: (first, end) of samples, of files that
    were joined. What is named first in this order holds: spans, numbers, pulses, sections. Names are regular expressions
    that match a whole name. A block is (target, "run" | "control" | "preview"), None: nobody's.
    """

    pulses: Mapping[str, Block | None] = field(default_factory=dict)
    sections: Mapping[str, Block | None] = field(default_factory=dict)
    numbers: Mapping[tuple[int, int], Block | None] = field(default_factory=dict)
    spans: Mapping[tuple[int, int], Block | None] = field(default_factory=dict)


def read_block_map(path: Path, plan: Plan) -> BlockMap:
    """A TOML file with the tables ``[pulses]`` and ``[sections]``, event = "target", "target/control" or "nobody", and
    ``[numbers]``, "1-100" = "target".

    ValidationProblem tells everything that is wrong with it.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as err:
        raise ValidationProblem(
            f"the map of events {path} cannot be read",
            expected="a TOML file",
            found=str(err),
            todo="correct it",
        ) from err
    wrong: list[str] = [f"unknown table [{k}]" for k in raw if k not in ("pulses", "sections", "numbers")]
    tables: dict[str, dict[str, Block | None]] = {"pulses": {}, "sections": {}, "numbers": {}}
    for name, table in tables.items():
        rows = raw.get(name, {})
        if not isinstance(rows, dict):
            wrong.append(f"[{name}] is no table")
            continue
        for event, block in rows.items():
            try:
                table[event] = None if block == NOBODY else block_of(str(block), plan)
            except ValidationProblem as err:
                wrong.append(f"{name}.{event!r}: {err.what}")
    numbers: dict[tuple[int, int], Block | None] = {}
    for text, block in tables.pop("numbers").items():
        span = _span(text)
        if span is None or any(span[0] <= b and a <= span[1] for a, b in numbers):
            wrong.append(f"numbers.{text!r} is no span of pulses of its own")
        else:
            numbers[span] = block
    if not wrong and not numbers and not any(tables.values()):
        wrong.append("it names no event and no pulse")
    if wrong:
        raise ValidationProblem(
            f"the map of events {path.name} does not fit the plan",
            expected=f'event (or "1-100") = "TARGET", "TARGET/control" or "{NOBODY}"; targets: {_names(plan)}',
            found="; ".join(wrong), todo="correct the map",
        )  # fmt: skip
    return BlockMap(pulses=tables["pulses"], sections=tables["sections"], numbers=numbers)


def _span(text: str) -> tuple[int, int] | None:
    """(1, 100) of "1-100", (7, 7) of "7"; None: no such thing."""
    first, _, last = text.partition("-")
    if not (first.strip().isdecimal() and (last or first).strip().isdecimal()):
        return None
    span = int(first), int(last or first)
    return span if 1 <= span[0] <= span[1] else None


def block_of(text: str, plan: Plan) -> Block:
    """("M1", "run") of "M1", ("M1", "control") of "M1/control"; ValidationProblem where the plan has no such target."""
    target, _, block = text.partition("/")
    if target not in [t.name for t in plan.targets]:
        raise ValidationProblem(
            f"the plan {plan.name} has no target {target!r}",
            expected=_names(plan),
            found=target,
            todo="correct the name",
        )
    if (block or "run") not in BLOCKS:
        raise ValidationProblem(f"there is no block {block!r}", expected=", ".join(BLOCKS), found=block)
    return target, block or "run"


def _names(plan: Plan) -> str:
    return ", ".join(t.name for t in plan.targets)


def deal(
    pulses: Sequence[PulseSeen],
    marks: Sequence[Mark],
    plan: Plan,
    *,
    target: str | None = None,
    events: tuple[str, ...] = (),
    blocks: BlockMap | None = None,
) -> dict[int, Block | None]:
    """Sample of each pulse -> its block, None where it is nobody's.

    ``marks`` are in order of time. ``events``: only pulses with such an event near count. Then ``blocks``, or all are
    ``target``'s, or in the plan's order.

    Raises
    ------
    UsageProblem : both ``target`` and ``blocks``
    ValidationProblem : no pulse; no such target; more than one target and a number of pulses that is not the plan's
    """
    if target is not None and blocks is not None:
        raise UsageProblem("--target and --blocks exclude each other", expected="one of them", found="both")
    ours = [p for p in pulses if not events or _event_at(p, marks, events) is not None]
    if not ours:
        raise ValidationProblem(
            "no pulse was found", expected="events, a trigger channel, or pulse artifacts (a jump of 0.5 mV on a fifth of "
            "the channels within 1 ms)", found=_found(marks), todo="name the pulses with --events",
        )  # fmt: skip
    out: dict[int, Block | None] = dict.fromkeys(p.sample for p in pulses)
    if blocks is not None:
        out |= {p.sample: _by_map(p, i, marks, blocks) for i, p in enumerate(ours, start=1)}
        if not any(out.values()):
            raise ValidationProblem(
                "the map of events gives no pulse to any target", expected="events near the pulses",
                found=_found(marks), todo="correct the map",
            )  # fmt: skip
        return out
    if target is not None or len(plan.targets) == 1:
        block = block_of(target or plan.targets[0].name, plan)
        return out | dict.fromkeys((p.sample for p in ours), block)
    order = targets_in_order(plan)
    wanted = sum(t.pulses_wanted for t in order)
    if len(ours) != wanted:
        raise ValidationProblem(
            "which pulse belongs to which target is not known",
            expected=f"{wanted} pulses, as the plan wants them in this order: "
            + ", ".join(f"{t.name} {t.pulses_wanted}" for t in order),
            found=f"{len(ours)} pulses",
            todo="say it with --blocks MAP.toml (events, sections or numbers of pulses -> targets), or --target for all of them",
        )  # fmt: skip
    left = iter(ours)
    for t in order:
        out |= {next(left).sample: (t.name, "run") for _ in range(t.pulses_wanted)}
    return out


def _found(marks: Sequence[Mark]) -> str:
    counts: dict[str, int] = {}
    for mark in marks:
        counts[mark.names[0]] = counts.get(mark.names[0], 0) + 1
    named = ", ".join(f"{name!r} x {n}" for name, n in sorted(counts.items(), key=lambda row: -row[1])[:12])
    return f"events {named}" if named else "no events"


def _event_at(pulse: PulseSeen, marks: Sequence[Mark], patterns: tuple[str, ...]) -> Mark | None:
    """The nearest event of these names to a pulse, near enough to be its own."""
    i = bisect_left(marks, pulse.t_s - NEAR_MARKER_S, key=lambda m: m.t_s)
    best: Mark | None = None
    while i < len(marks) and marks[i].t_s <= pulse.t_s + NEAR_MARKER_S:
        mark, i = marks[i], i + 1
        away_s = abs(mark.t_s - pulse.t_s)
        if away_s > (NEAR_S if mark.exact else NEAR_MARKER_S) or not mark.is_one_of(patterns):
            continue
        if best is None or away_s < abs(best.t_s - pulse.t_s):
            best = mark
    return best


def _by_map(pulse: PulseSeen, number: int, marks: Sequence[Mark], blocks: BlockMap) -> Block | None:
    for (first, end), block in blocks.spans.items():
        if first <= pulse.sample < end:
            return block
    for (first, last), block in blocks.numbers.items():
        if first <= number <= last:
            return block
    for pattern, block in blocks.pulses.items():
        if _event_at(pulse, marks, (pattern,)) is not None:
            return block
    for mark in reversed(
        marks[: bisect_right(marks, pulse.t_s, key=lambda m: m.t_s)] if blocks.sections else ()
    ):
        for pattern, block in blocks.sections.items():
            if mark.is_one_of((pattern,)):
                return block
    return None


def told(dealt: Mapping[int, Block | None], rate_hz: float) -> list[str]:
    """Which pulses each block has, one line each, in words."""
    lines = []
    for block in dict.fromkeys(dealt.values()):
        samples = sorted(s for s, b in dealt.items() if b == block)
        span = f"{samples[0] / rate_hz:.1f} to {samples[-1] / rate_hz:.1f} s"
        lines.append(f"{NOBODY if block is None else key_of(*block)}: {len(samples)} pulse(s), {span}")
    return lines


def return_visits(dealt: Mapping[int, Block | None], fewest: int) -> frozenset[int]:
    """First samples of the stretches, ``fewest`` pulses or more, in which a run goes on after another target had the coil.

    Shorter ones are no visit from which anything could be learnt: pulses that go from target to target in turn.
    """
    rows = [(sample, block) for sample, block in sorted(dealt.items()) if block is not None]
    starts = [i for i, (_, block) in enumerate(rows) if i == 0 or rows[i - 1][1] != block]
    ends = [*starts[1:], len(rows)]
    here: str | None = None  # whose run had the last pulses
    found, seen = set[int](), set[str]()
    for a, b in zip(starts, ends, strict=True):
        sample, (target, block) = rows[a][0], rows[a][1] or ("", "")
        if block == "run" and target in seen and here != target and b - a >= fewest:
            found.add(sample)
        if block == "run":
            seen.add(target)
        here = target
    return frozenset(found)
