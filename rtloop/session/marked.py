"""Owns which trials of a recording are left out for the file marks their samples as BAD; owns no mark and no other judgement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rtloop.record.read_open import Stretch

RULE = "marked BAD in the recording"
#: the command line's word for not heeding the marks
KEEP = "--keep-bad-annotated"
Reason = tuple[str, float, float, str]


def refusing(stretches: Sequence[Stretch], rate_hz: float) -> Callable[[int, int], Reason | None]:
    """(first sample, number of samples) of an epoch -> why it is left out: (rule, seconds marked, 0, "s"); None: it is not."""

    def why(first: int, count: int) -> Reason | None:
        met = [s for s in stretches if s.meets(first, count)]
        if not met:
            return None
        marked: set[int] = set()
        for s in met:
            marked.update(range(max(first, s.first), min(first + count, s.end)))
        return RULE, len(marked) / rate_hz, 0.0, "s"

    return why


def words(stretches: Sequence[Stretch], rate_hz: float, *, keep: bool) -> tuple[str, ...]:
    """What is done about the marks, in words; empty: there are none."""
    if not stretches:
        return ()
    names: dict[str, int] = {}
    for s in stretches:
        names[s.name] = names.get(s.name, 0) + 1
    rows = ", ".join(f"{name!r} x {n}" for name, n in sorted(names.items(), key=lambda row: -row[1])[:8])
    seconds = sum(s.end - s.first for s in stretches) / rate_hz
    done = "not heeded, as asked" if keep else f"a trial that touches one is rejected ({KEEP}: it is not)"
    return (f"marked BAD in the file: {rows}, {seconds:.1f} s: {done}",)


def bad_dict(stretches: Sequence[Stretch]) -> list[list[Any]]:
    """[first sample, end, name] of each stretch, as JSON values."""
    return [[s.first, s.end, s.name] for s in stretches]


def bad_from(started: Mapping[str, Any]) -> tuple[Stretch, ...]:
    """What a session that was made of a recording heeded; empty for every other session."""
    rows = (started.get("recorded") or {}).get("bad", ())
    return tuple(Stretch(first=int(first), end=int(end), name=str(name)) for first, end, name in rows)
