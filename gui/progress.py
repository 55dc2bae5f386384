"""Owns where in the plan the session is, the dose and the countdown, as they are shown; owns no plan and no cap."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from gui.asking import PULSING, asked_step
from gui.heading import engine_trouble, listens
from gui.kept import kept, kept_each
from gui.live import Live
from gui.numbers import block_words, newest_pulse, power_words
from gui.shown import Fact, Progress, Step, Tone
from rtloop.model.view import TargetView, View, key_of
from rtloop.model.waiver import waiver_words

#: from this share of a cap on the dose is marked
NEAR = 0.9
Pulses = Mapping[int, Mapping[str, Any]]


def progress_shown(view: View, live: Live) -> Progress:
    """Steps with their states, share of the plan's pulses, dose against its caps, countdown."""
    rows = _plan(view.started, view.targets)
    now = _now(view, rows)
    given = _given(view.pulses, view.placed)
    steps = _steps(rows, given, now, view.ended is not None, view.targets)
    countdown_s, countdown = _countdown(view, live)
    return Progress(
        where=_where(view, rows), share=_share(rows, given, view.targets), steps=steps,
        dose=_dose(view.started, view.pulses, view.target), countdown_s=countdown_s, countdown=countdown,
    )  # fmt: skip


@kept
def _plan(started: Mapping[str, Any], targets: Mapping[str, TargetView]) -> tuple[Mapping[str, Any], ...]:
    """The steps that give pulses; of a journal without them, one run for each target."""
    steps = started.get("steps")
    if steps:
        return tuple(steps)
    return tuple(
        {"target": str(t), "block": "run", "pulses_wanted": None} for t in started.get("targets") or ()
    )


@kept_each
def _place(pulse_id: int, p: Mapping[str, Any]) -> tuple[int, str, str, int | None] | None:
    """(id, target, block, power) of a pulse that was delivered, uncertain or heard; None of any other."""
    if pulse_id < 0 or not (_counts(p) or ("outcome" not in p and "sample" in p)):
        return None
    return pulse_id, str(p.get("target", "")), str(p.get("block", "")), p.get("power_pct_mso")


@kept
def _given(pulses: Pulses, placed: Mapping[str, int]) -> Mapping[tuple[str, str, int | None], int]:
    """Pulses since the coil was placed, delivered, uncertain or heard, by target, block and power, and by target and block."""
    out: Counter[tuple[str, str, int | None]] = Counter()
    for place in _place(pulses):
        if place is not None and place[0] > placed.get(place[1], 0):
            out.update({place[1:], (*place[1:3], None)})
    return out


def _now(view: View, rows: tuple[Mapping[str, Any], ...]) -> int | None:
    """Index of the step that is under way or asked about; None before and after."""
    if view.ended is not None or not view.target or view.phase in ("not started", "started"):
        return None
    mine = [i for i, r in enumerate(rows) if r.get("target") == view.target]
    if not mine:
        return None
    asked = asked_step(view)
    power = view.power_pct_mso if asked is None else asked[0]
    block = asked[1] if asked else view.phase if view.phase in PULSING else _asked_block(view)
    same = [i for i in mine if rows[i].get("block") == block]
    exact = (i for i in same if view.phase in (*PULSING, "arm") and rows[i].get("power_pct_mso") == power)
    return next(exact, same[0] if same else mine[0])


def _asked_block(view: View) -> str:
    """The block that a question is about; when paused, that of the newest pulse of the target."""
    known = {"place": "", "place_control": "control", "go": "run", "review": "run", "listen": "run"}.get(
        view.phase
    )
    if known is not None:
        return known
    return str((newest_pulse(view.pulses, view.target) or {}).get("block", ""))


@kept
def _steps(
    rows: tuple[Mapping[str, Any], ...], given: Mapping[tuple[str, str, int | None], int], now: int | None, ended: bool,
    targets: Mapping[str, TargetView],
) -> tuple[Step, ...]:  # fmt: skip
    steps = []
    for i, r in enumerate(rows):
        target, block, power = str(r.get("target")), str(r.get("block")), r.get("power_pct_mso")
        n = given.get((target, block, power if block == "preview" else None), 0)
        if i == now:
            state = "now"
        elif n and (ended or now is None or i < now):
            state = "done"
        elif ended or (now is not None and i < now):
            state = "skipped"
        else:
            state = "next"
        wanted, t = r.get("pulses_wanted"), targets.get(key_of(target, block))
        good = t.n_accepted if t is not None and block == "run" else n
        count = "" if wanted is None else f" · {good} of {wanted}"
        steps.append(
            Step(
                text=f"{block_words(target, block)} {power_words(r).replace(' MSO', '')}".strip() + count,
                state=state,
            )
        )
    return tuple(steps)


@kept
def _share(
    rows: tuple[Mapping[str, Any], ...],
    given: Mapping[tuple[str, str, int | None], int],
    targets: Mapping[str, TargetView],
) -> float:
    have = total = 0
    for r in rows:
        wanted = r.get("pulses_wanted")
        if not wanted:
            continue
        target, block = str(r.get("target")), str(r.get("block"))
        t = targets.get(key_of(target, block))
        n = (
            (t.n_accepted if t else 0)
            if block == "run"
            else given.get((target, block, r.get("power_pct_mso")), 0)
        )
        have, total = have + min(n, int(wanted)), total + int(wanted)
    return have / total if total else 0.0


def _where(view: View, rows: tuple[Mapping[str, Any], ...]) -> str:
    if view.ended is not None:
        return "the session has ended"
    names = list(dict.fromkeys(str(r.get("target")) for r in rows))
    if not view.target or view.phase in ("not started", "started"):
        return (
            f"{len(names)} target{'s' if len(names) != 1 else ''}: {', '.join(names)}"
            if names
            else "not started"
        )
    place = f"target {names.index(view.target) + 1} of {len(names)}: " if view.target in names else ""
    where = (view.started.get("places") or {}).get(view.target, "")
    return f"{place}{view.target}{f' ({where})' if where else ''} · {view.phase.replace('_', ' ')}"


# -- dose ------------------------------------------------------------------------------------------------------


def _counts(p: Mapping[str, Any]) -> bool:
    """Whether a pulse counts for the dose: an intent without an end is uncertain, and uncertain counts as delivered."""
    if "delivery" in p:
        return bool(p["delivery"] != "not_delivered")
    if "outcome" in p:
        return p["outcome"] in ("fired", "uncertain")
    return "permit_id" in p


@kept_each
def _charge(pulse_id: int, p: Mapping[str, Any]) -> tuple[tuple[str, str], int] | None:
    """(UTC day, target) of what counts for the dose, and how many pulses (of a train what may have been given); None: nothing."""
    if not (_counts(p) or (pulse_id < 0 and "outcome" not in p)):
        return None
    most = p.get("delivered_max")
    n = int(p.get("n_pulses") or 1) if most is None else int(most)
    return (str(p.get("day") or ""), str(p.get("target") or "")), n


@kept
def _dose(started: Mapping[str, Any], pulses: Pulses, target: str) -> tuple[Fact, ...]:
    if started.get("kind") == "watch" or started.get("mode") == "LISTEN":
        return (Fact(name="dose", value="not counted: no unit is connected", tone=Tone.OFF,
                     meaning="pulses of another stimulator are heard, not commanded"),)  # fmt: skip
    charges: Counter[tuple[str, str]] = Counter()
    for where, n_pulses in (c for c in _charge(pulses) if c is not None):
        charges[where] += n_pulses
    before, treats = started.get("dose_before") or {}, started.get("kind") == "treat"
    if treats:  # the caps of treatment are its own, and so is what counts against them
        before = {**before, **(before.get("treatment") or {})}
    today = max([*(day for day, _ in charges), str(before.get("day_utc", ""))])
    n = charges.total()
    day = sum(k for (d, _), k in charges.items() if d in ("", today))
    day += int(before.get("day", 0)) if today == str(before.get("day_utc", today)) else 0
    in_all = n + int(before.get("session", 0))  # with those of the run that this one resumes
    here = sum(k for (_, t), k in charges.items() if t == target) if target else 0
    here += int((before.get("targets") or {}).get(target, 0))
    limits = started.get("limits") or {}
    kind, of = ("treatment_pulses", "treatment pulses") if treats else ("pulses", "pulses")
    course = limits.get("max_treatment_pulses_course") if treats else None
    facts = [
        _against("this session", in_all, limits.get(f"max_{kind}_session"), f"{of} of this session, uncertain ones as delivered"),
        _against("today", day, limits.get(f"max_{kind}_day"), f"{of} of this participant on the UTC day {today}"),
        _against("course", n + int(before.get("course", 0)), course, f"all {of} of this participant in this data directory"),
    ]  # fmt: skip
    if target and not treats:
        facts.insert(
            0,
            _against(
                target, here, limits.get("max_pulses_target_session"), "pulses at this target in this session"
            ),
        )
    facts += [
        _waived(str(w["rule"]), words)
        for w, words in zip(started.get("waivers") or (), waiver_words(started), strict=True)
    ]
    return tuple(facts)


def _waived(rule: str, words: str) -> Fact:
    return Fact(name="waived", value=rule, tone=Tone.ATTENTION, meaning=words)


def _against(name: str, n: int, cap: Any, meaning: str) -> Fact:
    if cap is None:
        return Fact(name=name, value=f"{n} pulses", meaning=meaning)
    tone = Tone.BAD if n >= cap else Tone.ATTENTION if n >= NEAR * cap else Tone.PLAIN
    return Fact(
        name=name, value=f"{n} of {float(cap):g}", tone=tone, meaning=f"{meaning}; the cap is {float(cap):g}"
    )


def _countdown(view: View, live: Live) -> tuple[float | None, str]:
    if (
        live.review
        or view.ended is not None
        or listens(view)
        or view.phase not in PULSING
        or engine_trouble(view, live)
    ):
        return None, ""
    if view.lamp == "HELD":
        return None, "held"
    if view.lamp != "ARMED" or live.next_due_s is None or not math.isfinite(live.next_due_s):
        return None, ""
    left_s = live.next_due_s - live.now_s
    if left_s < -1.0:
        return None, ""
    left_s = max(0.0, left_s)
    return left_s, f"next pulse in {left_s:.1f} s"
