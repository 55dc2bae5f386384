"""Owns what is known of a session so far, as a fold over its events; owns no drawing and no words of its own.

``fold`` is the only reducer: the live view, the report and a replayed journal are the same function of the same events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rtloop.model import treat_view
from rtloop.model.event import Event


@dataclass(frozen=True, kw_only=True)
class TargetView:
    """One target (or control block, or preview) so far."""

    name: str
    block: str = "run"
    n_accepted: int = 0
    n_rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    scores: Mapping[str, Any] | None = None
    bad_channels: tuple[str, ...] = ()
    accepted_by_operator: bool = False
    quality: Mapping[str, Any] | None = None  # newest quality_judged of the block
    beside: Mapping[str, Any] | None = None  # of a run: beside_measured of these very trials
    control: Mapping[str, Any] | None = None  # of a run: control_compared of these very trials


@dataclass(frozen=True, kw_only=True)
class View:
    """A session as it stands after the last folded event."""

    started: Mapping[str, Any] = field(default_factory=dict)
    devices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    phase: str = "not started"
    target: str = ""
    asking: str = ""
    options: tuple[str, ...] = ()
    block: str = ""  # of the phase
    asked_pct_mso: int | None = None  # % MSO that arming is asked for
    placed: Mapping[str, int] = field(default_factory=dict)  # target -> last pulse before its coil was placed
    lamp: str = "SAFE"
    faults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()  # lamps, faults, operator's words, in order
    targets: Mapping[str, TargetView] = field(default_factory=dict)  # "M1" or "M1/preview", "M1/control"
    pulses: Mapping[int, Mapping[str, Any]] = field(
        default_factory=dict
    )  # by pulse_id; uncommanded by -sample
    ranking: Mapping[str, Any] | None = None
    decision: Mapping[str, Any] | None = None
    equal_n: Mapping[str, Any] | None = None  # equal_n_compared
    map_look: Mapping[str, Any] | None = None  # newest, while no target of it was restarted
    timings_s: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    ended: Mapping[str, Any] | None = None
    preflight: tuple[Mapping[str, Any], ...] = ()  # name, ok, expected, found, todo
    early: Mapping[str, tuple[Mapping[str, Any], ...]] = field(
        default_factory=dict
    )  # newest of each intensity, in order; ``earlier``: seen before the coil was placed for the visit under way
    visits: Mapping[str, int] = field(
        default_factory=dict
    )  # target -> visits accepted, of a map that is looked at
    paths: Mapping[str, tuple[Mapping[str, Any], ...]] = field(
        default_factory=dict
    )  # key -> a row for each scores_updated
    bad_channels: tuple[str, ...] = ()  # as the stream's watch says now
    held_channels: tuple[str, ...] = ()  # left out over trials, until they are good again
    power_pct_mso: int | None = None  # as last read back
    notes: tuple[Mapping[str, Any], ...] = ()
    loopback: Mapping[str, Any] | None = None  # the newest latency_measured of fire command to EEG
    locked: str = ""  # why nothing may be armed for this participant, after an emergency
    treatment: treat_view.TreatView | None = None  # None: no treatment session
    n_events: int = 0


def key_of(target: str, block: str) -> str:
    """Name of a target's block in the view: the run itself carries the bare name."""
    return target if block == "run" else f"{target}/{block}"


def _pulse(view: View, pulse_id: int, **more: Any) -> View:
    row = {**view.pulses.get(pulse_id, {"pulse_id": pulse_id}), **more}
    return replace(view, pulses={**view.pulses, pulse_id: row})


def _seen(view: View, d: Mapping[str, Any]) -> View:
    """One more sighting of a pulse. Of a train the row keeps the first one's instant, and counts them all, by source."""
    before = view.pulses.get(d["pulse_id"], {})
    told = d.get("sources") or [
        d.get("source"),
        d.get("checked_by"),
    ]  # older journals name two sources at most
    counts: dict[str, Any] = {
        f"seen_{s}": before.get(f"seen_{s}", 0) + (s in told) for s in ("trigger", "artifact", "marker")
    }
    counts["n_seen"] = before.get("n_seen", 0) + 1
    if before.get("n_seen"):
        alarms = dict.fromkeys(a for a in (before.get("alarm"), d.get("alarm")) if a)
        if "absent" in d:
            counts["absent"] = list(dict.fromkeys([*before.get("absent", ()), *d["absent"]]))
        return _pulse(view, d["pulse_id"], **counts, alarm="; ".join(alarms))
    return _pulse(view, d["pulse_id"], **{k: v for k, v in d.items() if k != "pulse_id"}, **counts)


def permitted(p: Mapping[str, Any]) -> bool:
    """Whether a pulse of the view got a permit: its own record says so; before that (and in older journals) its charge does."""
    return bool(p.get("account", {}).get("permitted", "permit_id" in p))


def _target(view: View, target: str, block: str) -> TargetView:
    return view.targets.get(key_of(target, block)) or TargetView(name=target, block=block)


def _put(view: View, t: TargetView) -> View:
    return replace(view, targets={**view.targets, key_of(t.name, t.block): t})


def _note(view: View, event: Event) -> View:
    return replace(
        view, history=(*view.history, {"t_s": event.t_s, "utc": event.utc, "kind": event.kind, **event.data})
    )


def _early(view: View, d: Mapping[str, Any]) -> View:
    """Keep the newest row of each intensity of a target, in the order in which they were first looked at."""
    if "early" not in d or d.get("power_pct_mso") is None:
        return view
    rows = {r["power_pct_mso"]: r for r in view.early.get(d["target"], ())} | {d["power_pct_mso"]: dict(d)}
    return replace(view, early={**view.early, d["target"]: tuple(rows.values())})


def _placing(view: View, target: str) -> View:
    """The coil is to be placed: at a return visit what was seen before stays known, as of an earlier placement."""
    early = {k: v for k, v in view.early.items() if k != target}
    if view.visits.get(target):
        early[target] = tuple({**row, "earlier": True} for row in view.early.get(target, ()))
    return replace(view, early=early, placed={**view.placed, target: max(view.pulses, default=0)})


def _visited(view: View, d: Mapping[str, Any]) -> View:
    """An entry of the history of a map that is looked at."""
    n = {"visit": view.visits.get(d.get("target", ""), 0) + 1, "restart": 0}.get(d["event"])
    return view if n is None else replace(view, visits={**view.visits, d["target"]: n})


def _path(view: View, d: Mapping[str, Any]) -> View:
    """One more point of GLOBAL and LOCAL (dwPLI²) of a block, by band: [value, low, high], null where there is none."""
    scores = d["scores"]
    row: dict[str, Any] = {"n": scores["n_accepted"]}
    for scope, bands in scores.get("connectivity", {}).get("dwpli2", {}).items():
        row[scope] = {band: [e["value"], e["low"], e["high"]] for band, e in bands.items()}
    key = key_of(d["target"], d["block"])
    return replace(view, paths={**view.paths, key: (*view.paths.get(key, ()), row)})


def _trial(view: View, d: Mapping[str, Any]) -> View:
    t = _target(view, d["target"], d["block"])
    reasons = dict(t.reasons)
    for rule in d["reasons"]:
        reasons[rule] = reasons.get(rule, 0) + 1
    accepted = bool(d["accepted"])
    t = replace(
        t,
        n_accepted=t.n_accepted + accepted,
        n_rejected=t.n_rejected + (not accepted),
        reasons=reasons,
        bad_channels=tuple(d.get("bad_channels", ())),
    )
    view = _stale(_put(view, t), d) if accepted else _put(view, t)
    # "scores" comes with scores_updated: a trial that is not scored took no time for it
    stages = {name: s for name, s in d.get("stage_s", {}).items() if name != "scores"}
    times = {name: (*view.timings_s.get(name, ()), float(s)) for name, s in stages.items()}
    view = replace(view, timings_s={**view.timings_s, **times})
    return _pulse(
        view, d["pulse_id"], trial_id=d["trial_id"], accepted=accepted, verdict=d["words"], block=d["block"],
        target=d["target"], numbers=d["numbers"], light=d.get("quality", {}).get("light", ""),
    )  # fmt: skip


def _stale(view: View, d: Mapping[str, Any]) -> View:
    """The trials of a block changed: what was measured of a run, or against it, holds no more."""
    run = view.targets.get(d["target"])
    if run is None or (run.beside is None and run.control is None) or d["block"] not in ("run", "control"):
        return view
    return _put(view, replace(run, beside=None if d["block"] == "run" else run.beside, control=None))


def _moved(view: View, d: Mapping[str, Any], into: bool) -> View:
    t = _target(view, d["target"], d["block"])
    step = 1 if into else -1
    view = _stale(_put(view, replace(t, n_accepted=t.n_accepted + step, n_rejected=t.n_rejected - step)), d)
    return _pulse(view, d["pulse_id"], accepted=into, verdict=d["words"])


def _recleaned(view: View, d: Mapping[str, Any]) -> View:
    """A trial stands in the place of itself, cleaned anew."""
    if not d["cleaned"]:
        return view
    t, step = _target(view, d["target"], d["block"]), int(d["changed"])
    reasons = dict(t.reasons)
    for rules, by in ((d["reasons_before"], -1), (d["reasons"], 1)):
        for rule in rules:
            reasons[rule] = reasons.get(rule, 0) + by
    t = replace(
        t, n_accepted=t.n_accepted + step, n_rejected=t.n_rejected - step,
        reasons={rule: n for rule, n in reasons.items() if n > 0},
    )  # fmt: skip
    return _pulse(
        _stale(_put(view, t), d), d["pulse_id"], accepted=d["counts"], verdict=d["verdict"], numbers=d["numbers"],
        light=d.get("quality", {}).get("light", ""), recleaned=d["trials_learnt"],
    )  # fmt: skip


def fold(view: View, event: Event) -> View:
    """The view after one more event. Unknown kinds only count: a newer journal can still be read."""
    d = event.data
    treatment = None if view.treatment is None else treat_view.fold(view.treatment, event)
    view = replace(view, n_events=view.n_events + 1, treatment=treatment)
    match event.kind:
        case "session_started":
            return replace(view, started=dict(d), phase="started", treatment=treat_view.begin(d))
        case "preflight_checked":
            return replace(view, preflight=tuple(dict(i) for i in d["items"]))
        case "early_measured" | "block_looked_at":
            return _early(view, d)
        case "channels_judged":
            return _note(replace(view, bad_channels=tuple(d["bad"])), event)
        case "channels_held":
            return _note(replace(view, held_channels=tuple(d["held"])), event)
        case "quality_judged":
            return _put(view, replace(_target(view, d["target"], d["block"]), quality=dict(d)))
        case "beside_measured":
            return _put(view, replace(_target(view, d["target"], d["block"]), beside=dict(d)))
        case "equal_n_compared":
            return replace(view, equal_n=dict(d))
        case "control_compared":
            return _put(view, replace(_target(view, d["target"], "run"), control=dict(d)))
        case "power_set":
            return _note(replace(view, power_pct_mso=d["power_pct_mso"]), event)
        case "note_written":
            row = {"t_s": event.t_s, "utc": event.utc, "by": "engine", **d}
            return _note(replace(view, notes=(*view.notes, row)), event)
        case "device_found":
            return replace(view, devices={**view.devices, d["device"]: dict(d)})
        case "phase_entered":
            if d["phase"] == "place":
                view = _placing(view, str(d.get("target")))
            return replace(
                view, phase=d["phase"], target=d.get("target", ""), asking=d.get("words", ""),
                options=tuple(d.get("options", ())), block=d.get("block", ""), asked_pct_mso=d.get("power_pct_mso"),
            )  # fmt: skip
        case "lamp_changed":
            return _note(replace(view, lamp=d["after"]), event)
        case "fault_raised":
            return _note(replace(view, faults={**view.faults, d["fault"]: dict(d)}), event)
        case "fault_cleared":
            left = {k: v for k, v in view.faults.items() if k != d["fault"]}
            return _note(replace(view, faults=left), event)
        case (
            "command_received"
            | "arm_requested"
            | "arm_confirmed"
            | "disarmed"
            | "refused"
            | "hold_lasts"
            | "stream_reopened"
            | "treatment_paused"
            | "treatment_resumed"
            | "train_given"
            | "train_refused"
            | "checklist_signed"
            | "sensation_told"
            | "adverse_event_told"
            | "gate_opened"
            | "filter_renewed"
        ):
            return _note(view, event)
        case "pulse_intended":
            return _pulse(view, d["pulse_id"], **{k: v for k, v in d.items() if k != "pulse_id"})
        case "pulse_refused" | "pulse_closed" | "train_started":
            return _pulse(view, d["pulse_id"], **{k: v for k, v in d.items() if k != "pulse_id"})
        case "pulse_seen" | "pulse_uncommanded":
            return _seen(view, d)
        case "pulse_not_seen":
            return _pulse(view, d["pulse_id"], not_seen=True)
        case "pulse_accounted":
            return _pulse(view, d["pulse_id"], account=dict(d))
        case "participant_locked":
            return _note(replace(view, locked=str(d["words"])), event)
        case "latency_measured" if d.get("name") == "loopback":
            return replace(view, loopback=dict(d))
        case "trial_judged":
            return _trial(view, d)
        case "trial_recleaned":
            return _recleaned(view, d)
        case "trial_taken_out":
            return _moved(view, d, into=False)
        case "trial_reinstated":
            return _moved(view, d, into=True)
        case "block_restarted":
            paths = {k: v for k, v in view.paths.items() if k != key_of(d["target"], d["block"])}
            return _put(_stale(replace(view, paths=paths), d), TargetView(name=d["target"], block=d["block"]))
        case "scores_updated":
            t = _target(view, d["target"], d["block"])
            if d.get("scores_s"):  # 0: a trial was only moved
                times = (*view.timings_s.get("scores", ()), float(d["scores_s"]))
                view = replace(view, timings_s={**view.timings_s, "scores": times})
            return _put(_path(view, d), replace(t, scores=d["scores"]))
        case "target_accepted":
            return _put(view, replace(_target(view, d["target"], "run"), accepted_by_operator=True))
        case "ranking_made":
            return replace(view, ranking=dict(d))
        case "map_looked_at":
            return replace(view, map_look=dict(d))
        case "map_resumed":
            looks = [e for e in d["history"] if e["event"] == "look"]
            for entry in d["history"]:
                view = _visited(view, entry)
            return replace(view, map_look=looks[-1] if looks else None)
        case "map_visited":
            return _visited(view, d)
        case "map_restarted":
            return _visited(replace(view, map_look=None), d)
        case "decision_made":
            return replace(view, decision=dict(d))
        case "session_ended":
            return _note(replace(view, ended=dict(d), phase="ended"), event)
    return view


def fold_all(events: Iterable[Event]) -> View:
    """The view after all of ``events``."""
    view = View()
    for event in events:
        view = fold(view, event)
    return view
