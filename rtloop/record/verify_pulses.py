"""Owns the accounting of pulses in a journal: intended, closed, seen; owns no rule about giving them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rtloop.model.event import Event
from rtloop.model.pulse import Outcome
from rtloop.record.kinds import (
    PULSE_ACCOUNTED,
    PULSE_CLOSED,
    PULSE_INTENDED,
    PULSE_NOT_SEEN,
    PULSE_REFUSED,
    PULSE_SEEN,
    PULSE_UNCOMMANDED,
)
from rtloop.record.verify_xdf import Out

#: outcomes that count as delivered
_DELIVERED = (Outcome.FIRED, Outcome.UNCERTAIN)


def check_pulses(events: Sequence[Event], end_sample: int | None, out: Out) -> None:
    """List every commanded pulse; find intents without close, doubles, and sightings that the record cannot
    hold."""
    intents = _by_id(events, PULSE_INTENDED, out)
    closes = _by_id(events, PULSE_CLOSED, out)
    seen = _by_id(events, PULSE_SEEN, out, once=False)
    not_seen = _by_id(events, PULSE_NOT_SEEN, out)
    counts = dict.fromkeys(("commanded", "fired", "uncertain", "not_fired", "seen", "not_seen", "open"), 0)
    for pulse_id, data in sorted(intents.items()):
        close = closes.get(pulse_id)
        outcome = str(close.get("outcome", "")) if close else Outcome.UNCERTAIN.value
        what = f"pulse {pulse_id} at {data.get('target', '?')}, {data.get('power_pct_mso', '?')} % MSO: "
        counts["commanded"] += 1
        if close is None:
            counts["open"] += 1
            out.explained(f"{what}intended, never closed: counted as uncertain, which counts as delivered")
        if outcome not in {o.value for o in Outcome}:
            out.problem(f"{what}unknown outcome {outcome!r}")
        counts["fired" if outcome == "fired" else "uncertain" if outcome == "uncertain" else "not_fired"] += 1
        sighting = seen.get(pulse_id)
        if sighting is not None:
            counts["seen"] += 1
            words = f"seen by {sighting.get('source')} at sample {sighting.get('sample')}"
            if outcome not in _DELIVERED:
                out.problem(f"{what}{outcome}, yet {words}")
            if pulse_id in not_seen:
                out.note(f"{what}first reported as not seen, found later")
        elif outcome in _DELIVERED:
            counts["not_seen"] += 1
            words = "NOT SEEN in the EEG"
            if pulse_id not in not_seen:
                out.left_open(f"{what}{outcome}, and the journal does not say whether it was seen")
        else:
            words = "nothing to see"
        out.fact(f"{what}{outcome}, {words}")
    for pulse_id, data in closes.items():
        if pulse_id not in intents and data.get("outcome") in _DELIVERED:
            out.problem(f"pulse {pulse_id} was closed as {data.get('outcome')} but never intended")
    _check_accounts(events, intents, closes, out)
    _check_samples(events, end_sample, out)
    counts["seen_only"] = len(set(seen) - set(intents))  # listening: nobody commands
    counts["uncommanded"] = sum(e.kind == PULSE_UNCOMMANDED for e in events)
    out.counts |= {f"pulses_{name}": value for name, value in counts.items()}
    out.fact("pulses: " + ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counts.items()))


def _check_accounts(
    events: Sequence[Event], intents: dict[int, dict[str, Any]], closes: dict[int, dict[str, Any]], out: Out
) -> None:
    """Hold each closed record (its last one) against intent, close and sightings, and against its own bounds."""
    seen: Counter[int] = Counter()
    last: dict[int, dict[str, Any]] = {}
    for event in events:
        pulse_id = event.data.get("pulse_id")
        if event.kind == PULSE_SEEN and pulse_id is not None:
            seen[int(pulse_id)] += 1
        elif event.kind == PULSE_ACCOUNTED and pulse_id is not None:
            last[int(pulse_id)] = dict(event.data)
    commanded = {*closes, *(int(e.data["pulse_id"]) for e in events if e.kind == PULSE_REFUSED)}
    if any(
        "permitted" in data for data in last.values()
    ):  # older journals keep a record only of what was sent
        for pulse_id in sorted(commanded - set(last)):
            out.left_open(f"pulse {pulse_id}: commanded, and its record was never closed")
    for pulse_id, data in sorted(last.items()):
        what = f"pulse {pulse_id}: "
        if "permitted" in data:
            _check_stations(what, data, intents.get(pulse_id), out)
        low, high, n = (data.get(name) for name in ("delivered_min", "delivered_max", "seen"))
        if pulse_id not in closes and int(data.get("commanded", 1)) == 1 and high != 0:
            out.problem(f"{what}its account is closed and the pulse itself never was")
        if not (isinstance(low, int) and isinstance(high, int) and isinstance(n, int) and 0 <= low <= high):
            out.problem(f"{what}an account that cannot be: delivered {low} to {high}, {n} seen")
            continue
        if words := _disagree(low, high, n, closes.get(pulse_id, {})):
            out.problem(f"{what}{words}")
        if n < seen[pulse_id]:
            out.note(f"{what}seen again after its account was closed")
        elif n > seen[pulse_id]:
            out.problem(f"{what}its account says {n} seen, the journal holds {seen[pulse_id]}")
        elif n > high:
            out.problem(f"{what}{n} seen, at most {high} can have been given")
        elif high > 1 or low != high:
            out.fact(f"{what}{data.get('words', '')}, {n} seen")


def _disagree(low: int, high: int, n_seen: int, close: dict[str, Any]) -> str:
    """What the dose is counted by is what the account says; a sighting raises only the fewest. Empty: they agree."""
    least, most = close.get("delivered_min"), close.get("delivered_max")
    if least is None and most is None:  # closed with a word alone, as in older journals, or never
        return ""
    if type(least) is int and type(most) is int and (low, high) == (max(least, min(n_seen, most)), most):
        return ""
    return f"closed as {least} to {most} delivered, its account says {low} to {high} with {n_seen} seen"


def _check_stations(what: str, data: dict[str, Any], intent: dict[str, Any] | None, out: Out) -> None:
    """Nothing is charged or sent without a permit, nothing given without being sent, and it is the permit of the intent."""
    permit, sent, high = data.get("permit_id"), data.get("sent"), data.get("delivered_max")
    if data["permitted"] is not (permit is not None):
        out.problem(f"{what}its account says permitted: {data['permitted']}, with permit {permit}")
    if intent is not None and intent.get("permit_id") != permit:
        out.problem(f"{what}charged with permit {intent.get('permit_id')}, its account says {permit}")
    if (intent is None or permit is None) and sent is not False:
        out.problem(f"{what}sent without a permit or a charge")
    if sent is False and high != 0:
        out.problem(f"{what}nothing was sent, yet up to {high} delivered")


def _by_id(events: Sequence[Event], kind: str, out: Out, *, once: bool = True) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for event in events:
        if event.kind == kind and event.data.get("pulse_id") is not None:
            pulse_id = int(event.data["pulse_id"])
            if pulse_id in found and once:
                out.problem(f"pulse {pulse_id} has two {kind} records (the second is record {event.n})")
            found.setdefault(pulse_id, dict(event.data))
    return found


def _check_samples(events: Sequence[Event], end_sample: int | None, out: Out) -> None:
    """A pulse cannot be seen in samples that were never recorded."""
    if end_sample is None:
        return
    for event in events:
        sample = event.data.get("sample")
        if event.kind in (PULSE_SEEN, PULSE_UNCOMMANDED) and isinstance(sample, int) and sample >= end_sample:
            out.explained(f"record {event.n} names sample {sample}, the recording ends at {end_sample}")
