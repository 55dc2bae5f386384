"""Owns the accounting of pulses and the latencies as they are shown; owns neither a match nor a measurement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gui.kept import kept, kept_each
from gui.numbers import block_words, power_words
from gui.shown import Fact, LatencyRow, Line, Pulses, Tone
from rtloop.model.status import Fault
from rtloop.model.view import View, permitted
from rtloop.safety.interlock import FAULTS
from rtloop.session.loopback import band_words

ROWS = 14
#: stages of a trial: (name, budget in ms, what it is); as in rtloop.session.outcome, tested to be the same
STAGES: dict[str, tuple[str, float | None, str]] = {
    "clean_and_sum": ("cut, clean, judge, sum one trial", 2.0, "computing of one trial, without waiting for its samples"),
    "scores": ("all scores with exact jackknife", None, "every measure, scope and band with its standard error"),
    "sample_to_scores": ("last sample to every result", 10.0,
                         "from the last sample that a trial needs, as it arrived, to its scores: the decision's latency"),
}  # fmt: skip
FIRE = (
    "fire command to the unit's answer",
    "from the last byte of the fire command on the line to the unit's reply",
)
LATE = (
    "due instant to fire command",
    "how much later than planned the command left; past its deadline a pulse is missed",
)
LOOPBACK = (
    "fire command to pulse in the EEG",
    "the loopback: from the last byte of the fire command to the pulse as trigger channel or artifact show it",
)
_ALL = Mapping[int, Mapping[str, Any]]


def pulses_shown(view: View) -> Pulses:
    """Commanded, permitted, sent, acknowledged, seen; every mismatch with what to do; the newest pulses."""
    listening = view.started.get("mode") == "LISTEN" or view.started.get("kind") == "watch"
    return _pulses(view.pulses, listening)


_COUNTED = (
    "commanded", "permitted", "sent", "acknowledged", "trigger", "artifact", "marker", "refused", "missed", "uncertain",
    "not_seen", "uncommanded", "alarm", "heard", "seen", "no_artifact", "no_trigger",
)  # fmt: skip
_SOURCES = ("trigger", "artifact", "marker")
#: of a train each pulse counts
_EACH = ("commanded", "permitted", "sent", "acknowledged")


@kept_each
def _counted(pulse_id: int, p: Mapping[str, Any]) -> tuple[str, ...]:
    """Everything that a pulse counts as."""
    outcome, n = p.get("outcome"), int(p.get("n_pulses") or 1)
    commanded = pulse_id > 0 and ("permit_id" in p or outcome is not None)
    return tuple(
        name
        for name, counts in (
            ("commanded", commanded), ("permitted", pulse_id > 0 and permitted(p)), ("sent", p.get("t_sent_s") is not None),
            ("acknowledged", p.get("t_reply_s") is not None and outcome == "fired"),
            ("no_artifact", _without(p, "artifact", "no artifact")), ("no_trigger", _without(p, "trigger", "no edge")),
            (str(outcome), outcome in ("refused", "missed", "uncertain")),
            *(("seen", True) for _ in range(int(p.get("n_seen", "sample" in p)))),
            ("not_seen", bool(p.get("not_seen")) and "sample" not in p), ("uncommanded", pulse_id < 0),
            ("heard", pulse_id > 0 and not commanded), ("alarm", _apart(p)),
        )
        if counts
        for _ in range(n if name in _EACH else 1)
    ) + tuple(name for name in _SOURCES for _ in range(_seen_by(p, name)))  # fmt: skip


def _seen_by(p: Mapping[str, Any], source: str) -> int:
    """How many of the pulses this source showed."""
    return int(p.get(f"seen_{source}", source in (p.get("source"), p.get("checked_by"))))


def _apart(p: Mapping[str, Any]) -> bool:
    """Whether an alarm says more than that a source is absent."""
    return any(part and not part.startswith("no ") for part in str(p.get("alarm") or "").split("; "))


def _without(p: Mapping[str, Any], source: str, words: str) -> bool:
    """Whether this source was looked for and did not show the pulse; an older journal says so in the alarm's words only."""
    if "absent" in p:
        return source in p["absent"] and not (source == "artifact" and p.get("block") == "control")
    return words in str(p.get("alarm") or "")


@kept
def _pulses(pulses: _ALL, listening: bool) -> Pulses:
    c = dict.fromkeys(_COUNTED, 0)
    for names, n in Counter(_counted(pulses)).items():
        for name in names:
            c[name] += n
    newest = tuple(_row(p) for p in list(pulses.values())[-ROWS:][::-1])
    return Pulses(facts=_facts(c, listening), mismatch=_mismatch(c, listening), rows=newest)


def _facts(c: Mapping[str, int], listening: bool) -> tuple[Fact, ...]:
    seen = (
        Fact(
            name="seen by trigger", value=str(c["trigger"]), meaning="found in the stream's trigger channel"
        ),
        Fact(
            name="seen by artifact",
            value=str(c["artifact"]),
            meaning="found by the pulse's artifact in the EEG itself",
        ),
        Fact(name="seen by marker", value=str(c["marker"]), meaning="found by a marker of the marker stream"),
    )
    if listening:
        return (
            Fact(
                name="heard",
                value=str(c["heard"]),
                meaning="pulses of another stimulator found in the stream",
            ),
            *seen,
        )

    def bad(name: str, key: str, meaning: str, tone: Tone = Tone.BAD) -> Fact:
        return Fact(name=name, value=str(c[key]), tone=tone if c[key] else Tone.PLAIN, meaning=meaning)

    return (
        Fact(name="commanded", value=str(c["commanded"]), meaning="pulses that the plan asked the gate for"),
        Fact(name="permitted", value=str(c["permitted"]), meaning="got a permit; charged on disk before anything is sent"),
        Fact(name="sent", value=str(c["sent"]), meaning="fire commands that went out on the line"),
        Fact(name="acknowledged", value=str(c["acknowledged"]), meaning="answered by the unit: fired"),
        *seen,
        bad("refused", "refused", "a rule said no; nothing was sent", Tone.ATTENTION),
        bad("missed", "missed", "its deadline had passed; nothing was sent late", Tone.ATTENTION),
        bad("uncertain", "uncertain", "it may have been given; it counts as delivered"),
        bad("not seen", "not_seen", "acknowledged by the unit and not found in the EEG"),
        bad("not commanded", "uncommanded", "found in the EEG and commanded by nobody here"),
    )  # fmt: skip


def _mismatch(c: Mapping[str, int], listening: bool) -> Line:
    wrong = []
    if not listening:
        for key, fault, words in (
            ("uncommanded", Fault.PULSE_UNCOMMANDED, "that nobody commanded"),
            ("uncertain", Fault.UNCERTAIN_PULSE, "that may have been given"),
            ("not_seen", Fault.PULSE_NOT_SEEN, "acknowledged and not seen in the EEG"),
            ("no_artifact", Fault.PULSE_NOT_SEEN, "in the trigger channel without artifact in the EEG"),
            ("no_trigger", Fault.PULSE_NOT_SEEN, "with artifact and without edge in the trigger channel"),
        ):
            if c[key]:
                wrong.append(f"{c[key]} pulse{'s' if c[key] > 1 else ''} {words}: {FAULTS[fault].todo}")
    if wrong:
        return Line(text="; ".join(wrong), tone=Tone.BAD)
    alone = [] if not listening else [f"{c[key]} pulse{'s' if c[key] > 1 else ''} {words}" for key, words in (
        ("no_artifact", "in the trigger channel without artifact in the EEG: check coil, electrodes, trigger cable"),
        ("no_trigger", "with artifact and without edge in the trigger channel: check the trigger cable"),
    ) if c[key]]  # fmt: skip
    if alone:
        return Line(text="; ".join(alone), tone=Tone.ATTENTION)
    if c["alarm"]:
        return Line(text=f"{c['alarm']} pulse(s) whose instant two sources place differently: check trigger cable and threshold",
                    tone=Tone.ATTENTION)  # fmt: skip
    if listening:
        return Line(text="no pulse heard yet" if not c["heard"] else "", tone=Tone.PLAIN)
    if not c["sent"]:
        return Line(text="no pulse yet")
    return Line(text="every pulse that was sent was seen" if c["sent"] == c["seen"]
                else "the newest pulse is on its way", tone=Tone.GOOD)  # fmt: skip


def _row(p: Mapping[str, Any]) -> str:
    pulse_id = int(p["pulse_id"])
    parts = [str(pulse_id) if pulse_id > 0 else f"at sample {p.get('sample')}: NOT COMMANDED"]
    if p.get("target"):
        parts[0] += f" {block_words(str(p['target']), str(p.get('block', '')))}"
    parts.append(power_words(p))
    sent, reply = p.get("t_sent_s"), p.get("t_reply_s")
    outcome = p.get("outcome")
    if outcome is not None:
        if sent is not None and reply is not None:
            parts.append(f"{outcome}, answered after {(reply - sent) * 1e3:.1f} ms")
        else:
            parts.append(str(outcome))
        parts.append("; ".join(str(r) for r in p.get("refusals") or ()) or str(p.get("reason") or ""))
    elif "permit_id" in p:
        parts.append("on its way")
    if p.get("source"):
        parts.append(f"seen by {p['source']}" + (f" and {p['checked_by']}" if p.get("checked_by") else ""))
    elif p.get("not_seen"):
        parts.append("NOT SEEN")
    parts.append(str(p.get("alarm") or ""))
    if p.get("accepted") is not None:
        parts.append("accepted" if p["accepted"] else f"rejected ({p.get('verdict') or 'no reason given'})")
    return " · ".join(x for x in parts if x)


# -- latency ---------------------------------------------------------------------------------------------------


def latency_shown(view: View) -> tuple[LatencyRow, ...]:
    """Each stage of the chain against its budget, and the fire command."""
    rows = [
        _latency(tuple_of, name, budget_ms, meaning)
        for stage, (name, budget_ms, meaning) in STAGES.items()
        if (tuple_of := view.timings_s.get(stage, ()))
    ]
    return (*rows, *_fire(view.pulses), *_looped(view.pulses, view.loopback, view.started.get("loopback")))


@kept_each
def _took(pulse_id: int, p: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """(how late the command left, how long the answer took), seconds."""
    sent, reply, due = p.get("t_sent_s"), p.get("t_reply_s"), p.get("due_s")
    return (
        None if sent is None or due is None else sent - due,
        None if sent is None or reply is None else reply - sent,
    )


@kept
def _fire(pulses: _ALL) -> tuple[LatencyRow, ...]:
    took = _took(pulses)
    late, answered = (tuple(s for pair in took if (s := pair[k]) is not None) for k in (0, 1))
    return tuple(
        _row_of(s, name, None, meaning) for s, (name, meaning) in ((late, LATE), (answered, FIRE)) if s
    )


@kept_each
def _loop_s(pulse_id: int, p: Mapping[str, Any]) -> float | None:
    """From the fire command to the pulse in the EEG, s."""
    return p.get("after_command_s") if pulse_id > 0 and p.get("source") in ("trigger", "artifact") else None


@kept
def _looped(
    pulses: _ALL, told: Mapping[str, Any] | None, band: Mapping[str, Any] | None
) -> tuple[LatencyRow, ...]:
    """The loopback delay, against what is expected, by whose word; or that it is still to be learnt."""
    seconds = tuple(s for s in _loop_s(pulses) if s is not None)
    if not seconds:
        return ()
    name, meaning = LOOPBACK
    told = told or band
    if told is None:  # an older journal
        return (_row_of(seconds, name, None, meaning),)
    meaning = f"{meaning}; {band_words(told)}"
    if told["expected_s"] is None:
        return (_row_of(seconds, f"{name}, to be learnt", None, meaning),)
    row = _row_of(
        seconds,
        f"{name}, expected {told['expected_s'] * 1e3:.1f} ± {told['off_s'] * 1e3:g} ms",
        None,
        meaning,
    )
    return (replace(row, tone=Tone.GOOD if told.get("ok", True) else Tone.BAD),)


def _row_of(seconds: tuple[float, ...], name: str, budget_ms: float | None, meaning: str) -> LatencyRow:
    ms = sorted([1e3 * s for s in seconds])
    n = len(ms)
    p95 = _percentile(ms, 0.95)
    over = budget_ms is not None and not p95 <= budget_ms
    return LatencyRow(
        name=name, last_ms=1e3 * seconds[-1], median_ms=_percentile(ms, 0.5), p95_ms=p95, worst_ms=ms[-1], n=n,
        budget_ms=budget_ms,
        tone=Tone.PLAIN if budget_ms is None else Tone.ATTENTION if over else Tone.GOOD, meaning=meaning,
    )  # fmt: skip


def _percentile(ordered: list[float], share: float) -> float:
    """Linear between the neighbours, as numpy.percentile."""
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


_latency = kept(_row_of, results=8)
