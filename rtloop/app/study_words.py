"""Owns what ``rtloop study`` says on a terminal; owns no value: it shows what rtloop.study.shown lets a person see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOT_HIDDEN = "Blinding protects against reading here, not against an administrator of this computer."


def span_words(span: Mapping[str, Any] | None) -> str:
    """When, in words."""
    if span is None:
        return "no window yet"
    if span["earliest"] == span["latest"] == span["due"]:
        return f"on {span['due']}"
    return f"due on {span['due']}, from {span['earliest']} to {span['latest']}"


def next_words(told: Mapping[str, Any]) -> str:
    """What is next for one participant, with every reason why not today."""
    t = told["treatment"]
    lines = [f"{told['participant']}: {_treatment(t)}"]
    if "target" in told:
        lines.append(f"  target: {told['target'] or 'not chosen'}")
    lines += [f"  map: {told['map']}"] if "map" in told else []
    if "not_today" in t:
        lines.append("  today: it may be given" if not t["not_today"] else "  not today:")
        lines += [f"    - {reason}" for reason in t["not_today"]]
    lines += [f"  look into: {f}" for f in told.get("findings", ())]
    lines += [f"  assessment {a['name']}: {a['words']}" for a in told.get("assessments", ())]
    return "\n".join(lines)


def _treatment(t: Mapping[str, Any]) -> str:
    if t["kind"] == "over":
        return "no treatment is left"
    if t["kind"] == "stopped":
        return "the course was stopped"
    if t["kind"] == "resume":
        left = f": {t['left']} pulses are left, from train {t['trains_given'] + 1} on" if "left" in t else ""
        return f"treatment {t['visit']} of today goes on{left}"
    return f"treatment {t['visit']} is next, {span_words(t['span'])}"


def status_words(told: Mapping[str, Any]) -> str:
    """The study, a line for each participant."""
    kind = "simulated" if told["simulated"] else "of people"
    lines = [
        f"study {told['study']} ({kind}; {'blinded' if told['blinded'] else 'not blinded'}), course {told['course']} "
        f"[{told['label']}], {told['today']} UTC",
        f"for {told['by']}, {told['role']}; {told['entries']} entries, head {told['head'][:16]}",
    ]
    lines += [_line(p) for p in told["participants"]] or ["nobody is enrolled"]
    return "\n".join(lines)


def _line(p: Mapping[str, Any]) -> str:
    t = p["treatment"]
    parts = [p["participant"], _treatment(t)]
    if a := p.get("adherence"):
        parts.append(f"{a['done']} of {a['visits']} given, {a['missed']} missed, {a['overdue']} overdue")
        parts.append(
            f"{a['delivered']} pulses" + (f" and {a['uncertain']} uncertain" if a["uncertain"] else "")
        )
    elif "done" in t:
        parts.append(f"{len(t['done'])} treatments given")
    if "target" in p:
        parts.append(f"target {p['target'] or 'not chosen'}")
    if "arm" in p:
        parts.append(f"arm {p['arm'] or 'not allocated'}")
    if r := p.get("response"):
        parts.append(_response(r))
    parts += (
        [f"{p['serious']} serious of {p['adverse_events']} adverse events"] if p.get("adverse_events") else []
    )
    parts += [f"{len(p['findings'])} to look into"] if p.get("findings") else []
    return "  " + " · ".join(parts)


def _response(r: Mapping[str, Any]) -> str:
    if r["baseline"] is None:
        return "no baseline pain"
    if r["primary"] is None:
        return f"pain {r['baseline']:g}, primary not taken"
    if r["responder"] is None:
        return f"pain {r['baseline']:g} to {r['primary']:g}, response not defined"
    change = f"{-r['fall_pct']:+.0f} %"
    return f"pain {r['baseline']:g} to {r['primary']:g} ({change}), {'responder' if r['responder'] else 'no responder'}"


def audit_words(
    problems: list[str], heads: tuple[str, str], columns: tuple[str, ...], rows: list[tuple[Any, ...]]
) -> str:
    """The audit trail, a line for each entry this person may see, and whether it is whole."""
    lines = []
    for row in rows:
        e = dict(zip(columns, row, strict=True))
        about = f" {e['participant']}" if e["participant"] else ""
        more = "".join(f"; {k}: {e[k]}" for k in ("reason", "old", "new") if e.get(k))
        lines.append(
            f"{e['n']:>6} {e['utc']} {e['by']} ({e['role']}): {e['kind'].replace('_', ' ')}{about}{more}"
        )
    lines += [f"PROBLEM: {p}" for p in problems]
    lines.append(f"head of the log: {heads[0]}")
    lines.append("the study's record is whole" if not problems else "the study's record is NOT whole")
    return "\n".join(lines)
