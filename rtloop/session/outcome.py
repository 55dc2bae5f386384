"""Owns what a session leaves for people: the result as JSON values and the report's input, both from the view; owns no layout."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from rtloop.decide.mapping import TRIAL_NOTE
from rtloop.decide.ranking import SAMPLING_ONLY
from rtloop.errors import RtloopError
from rtloop.model.estimate import Estimate
from rtloop.model.status import Mode
from rtloop.model.view import TargetView, View, key_of, permitted
from rtloop.model.waiver import waiver_words
from rtloop.record.folder import SessionFolder
from rtloop.record.report import write_report as render
from rtloop.record.report_input import (
    Evoked,
    HistoryRow,
    LightRow,
    PulseRow,
    RankRow,
    ReportInput,
    TargetReport,
    TimingRow,
)
from rtloop.record.verify import verify
from rtloop.session.beside_rows import (
    beside_result,
    beside_rows,
    beside_words,
    contrast_rows,
    contrast_words,
    equal_rows,
    equal_words,
    subtracted_evoked,
    subtracted_rows,
)
from rtloop.session.deciding import decision_tables
from rtloop.session.display import blinded, decision_words, number, scores_of
from rtloop.session.earlier import Visit
from rtloop.session.line import SignalLine
from rtloop.session.lit import findings_of, lit_words
from rtloop.session.loopback import band_words

#: stages of a trial shown in the report, with their budget in ms (design note PERFORMANCE)
STAGES = {
    "clean_and_sum": ("cut, clean, judge, sum one trial", 2.0),
    "scores": ("all scores with exact jackknife", None),
    "sample_to_scores": ("last sample to every result", 10.0),
}
#: shown beside them
LOOPBACK = {"loopback": ("fire command to pulse in the EEG", None)}


def result_dict(view: View, reason: str, head_hash: str) -> dict[str, Any]:
    """The result as JSON values: scores, ranking as displayed, decision, accounting."""
    pulses = list(view.pulses.values())
    outcomes = [p.get("outcome") for p in pulses]
    return {
        "mode": view.started.get("mode"), "kind": view.started.get("kind"), "run_id": view.started.get("run_id"),
        "participant": view.started.get("participant"), "plan": view.started.get("plan"),
        "plan_sha256": view.started.get("plan_sha256"), "software_version": view.started.get("software_version"),
        "journal_head": head_hash, "reason": reason,
        "targets": {
            key: {"n_accepted": t.n_accepted, "n_rejected": t.n_rejected, "rejected_for": dict(t.reasons), "scores": t.scores,
                  "quality": t.quality, **beside_result(view, t)}
            for key, t in view.targets.items()
        },
        "ranking": view.ranking, "decision": view.decision, "equal_n": view.equal_n,
        "pulses": {
            "commanded": sum(permitted(p) or "outcome" in p for p in pulses),
            "permitted": sum(permitted(p) for p in pulses),
            **{o: outcomes.count(o) for o in ("fired", "missed", "refused", "uncertain")},
            "seen": sum("sample" in p for p in pulses), "not_seen": sum(bool(p.get("not_seen")) for p in pulses),
        },
        "faults": [h for h in view.history if h["kind"] == "fault_raised"],
    }  # fmt: skip


def write_report(
    folder: SessionFolder, view: View, line: SignalLine, head_hash: str, earlier: tuple[Visit, ...] = ()
) -> None:
    """Render report.html into the session folder. IntegrityProblem when it cannot be written."""
    render(folder.report, report_input(folder, view, line, head_hash, earlier))


def report_input(
    folder: SessionFolder, view: View, line: SignalLine, head_hash: str, earlier: tuple[Visit, ...] = ()
) -> ReportInput:
    """Everything on the report, from the view and the averages of the line."""
    started = view.started
    first_s = min((h["t_s"] for h in view.history), default=0.0)
    ranked = view.ranking or {"places": [], "lowest_first": []}
    places = {p["target"]: p for p in ranked["places"]}
    is_map = started.get("kind") == "map"
    return ReportInput(
        mode=Mode(started["mode"]), participant=started["participant"], plan_name=started["plan"],
        plan_sha256=started["plan_sha256"], software_version=started["software_version"], run_id=started["run_id"],
        journal_head=head_hash, started_utc=_utc(view, first=True), ended_utc=_utc(view, first=False),
        title="Replayed recording" if started.get("recorded") else {
            "map": "Mapping", "probe": "Probe", "watch": "Listen-only"
        }.get(started.get("kind", ""), "Session"),
        ended_words=str((view.ended or {}).get("words", "the session did not end in order")),
        targets=tuple(
            _target(t, view, line, () if blinded(view) else earlier)
            for t in view.targets.values()
            if t.scores is not None and t.block != "preview"
        ),
        ranking=tuple(
            RankRow(
                target=name, score=Estimate.from_dict(places[name]["score"]), p_lowest=places[name]["p_lowest"],
                p_highest=places[name]["p_highest"], n_accepted=view.targets[name].n_accepted,
            )
            for name in ranked["lowest_first"]
        ),
        ranking_words=f"Lowest GLOBAL score first, as displayed. P(lowest) and P(highest): {SAMPLING_ONLY}." if is_map else "",
        decision_words=tuple(decision_words(view)[:1]),
        decision_tables=decision_tables(view),
        trial_note=TRIAL_NOTE if is_map else "",
        pulses=tuple(_pulse(p, started) for p in view.pulses.values()),
        timings=tuple(_timings(_with_loopback(view))),
        history=tuple(
            HistoryRow(t_s=h["t_s"] - first_s, what=h["kind"].replace("_", " "), words=_history_words(h))
            for h in view.history
        ),
        conditions=_conditions(view, line),
        verified=_verified(folder), masked=blinded(view), equal=equal_rows(view), equal_words=equal_words(view),
    )  # fmt: skip


def _utc(view: View, *, first: bool) -> str:
    stamps = [h["utc"] for h in view.history]
    return (stamps[0] if first else stamps[-1]) if stamps else datetime.min.isoformat()


def _target(t: TargetView, view: View, line: SignalLine, earlier: tuple[Visit, ...]) -> TargetReport:
    scores = scores_of(t)
    assert scores is not None
    key = key_of(t.name, t.block)
    scorer = line.scorers.get(key)
    evoked = None
    facts: dict[str, str] = {"block": t.block}
    if scorer is not None:
        local = tuple(line.montage.names[i] for i in scorer.local_channels)
        facts["LOCAL electrodes"] = ", ".join(local) or "none"
        for band, leak in scorer.leakage.items():
            facts[f"{band.replace('_', ' ')}: leakage into the window"] = (
                f"{100 * float(leak.gap_share.mean()):.0f} % gap, {100 * float(leak.pre_share.mean()):.0f} % before the pulse"
            )
        if t.n_accepted:
            gap = scorer.spec.gap_s
            evoked = Evoked(
                data_uv=scorer.average(), times_ms=np.asarray(scorer.times_s * 1e3), montage=line.montage,
                gap_ms=(gap[0] * 1e3, gap[1] * 1e3) if line.spec.bridge else None, local_names=local,
            )  # fmt: skip
    if t.bad_channels:
        facts["bad channels in the last trial"] = ", ".join(t.bad_channels)
    for visit in earlier:
        facts[f"earlier probe {visit.utc[:10]}"] = (
            f"LOCAL dwPLI² x1000 {number(visit.local, 1e3)}, LMFP {number(visit.lmfp_uv)} µV, n = {visit.n_accepted}"
        )
    return TargetReport(
        scores=scores,
        evoked=evoked,
        rejected_for=t.reasons,
        facts=facts,
        lights=light_rows(t),
        words=(*quality_words(t), *contrast_words(view, t), *(() if blinded(view) else beside_words(t))),
        beside=beside_rows(t),
        asks_control=t.block == "run",
        contrast=contrast_rows(t),
        subtracted=subtracted_rows(t),
        subtracted_evoked=subtracted_evoked(t, line, evoked),
    )


def light_rows(t: TargetView) -> tuple[LightRow, ...]:
    """Every judged number of a block for the report's table, the worst first; those that are absent too."""
    found = [] if t.quality is None else t.quality["findings"]
    rows = [
        LightRow(
            what=f["what"], light=f["light"], value=f["value"], unit=f["unit"], worse=f["worse"], yellow=f["yellow"],
            red=f["red"], words=_reason(f), todo=f["todo"],
        )
        for f in found
    ]  # fmt: skip
    order = ("red", "yellow", "absent", "green")
    return tuple(sorted(rows, key=lambda row: order.index(row.light)))


def _reason(f: Mapping[str, Any]) -> str:
    """What there is to say beside a number and its limits: why it is not GREEN or not there, or its details."""
    words = str(f["words"])
    if f["light"] == "absent":
        return words.removeprefix(f"{f['what']}: ")
    if f["light"] == "green":
        return words.partition("); ")[2] if "(limit " in words else words
    return words.removeprefix(f"{f['what']} ").replace("(yellow light; ", "(").replace("(red light; ", "(")


def quality_words(t: TargetView) -> tuple[str, ...]:
    """The light of a block with its reason, for the report."""
    if t.quality is None:
        return ()
    when = " (as of the last look, the block was never reviewed)" if t.quality["running"] else ""
    return (f"Quality of the recording: {t.quality['light'].upper()}{when}: {t.quality['words']}",)


def _pulse(p: Mapping[str, Any], started: Mapping[str, Any]) -> PulseRow:
    accepted = p.get("accepted")
    why = (
        p.get("verdict", ""),
        lit_words(p, findings_of(p, started)),
        p.get("alarm", ""),
        "; ".join(p.get("refusals", [])),
    )
    return PulseRow(
        pulse_id=int(p["pulse_id"]), target=str(p.get("target", "")),
        purpose=str(p.get("purpose") or p.get("block") or "not commanded"),
        power_pct_mso=p.get("power_pct_mso"), commanded_s=p.get("t_sent_s"),
        permitted=permitted(p) if "outcome" in p else None,
        outcome=str(p.get("outcome", "heard")), delivered=_delivered(p), unit_reply=str(p.get("reason", "")) or _reply(p),
        seen_source=_seen_by(p), sample=p.get("sample"),
        disagreement_samples=p.get("disagreement_samples"),
        verdict="not judged" if accepted is None else "accepted" if accepted else "rejected",
        reasons="; ".join(str(x) for x in why if x),
    )  # fmt: skip


def _seen_by(p: Mapping[str, Any]) -> str:
    """Every source that showed the pulse; of a train with how many."""
    n = int(p.get("n_seen", 0))
    told = [(s, int(p.get(f"seen_{s}", 0))) for s in ("trigger", "artifact", "marker")]
    words = [s if n == 1 else f"{s} {k}" for s, k in told if k]
    return ", ".join(words) or str(p.get("source", ""))


def _delivered(p: Mapping[str, Any]) -> str:
    """What the closed record says of a train or pair, or of an uncertain pulse; empty where the outcome says it all."""
    account = p.get("account")
    if account is None or not account["delivered_max"]:
        return ""
    if account["commanded"] == 1 and p.get("outcome") != "uncertain":
        return ""
    return f"{account['words']} of {account['commanded']}, {account['seen']} seen"


def _reply(p: Mapping[str, Any]) -> str:
    sent, reply = p.get("t_sent_s"), p.get("t_reply_s")
    return "" if sent is None or reply is None else f"acknowledged after {(reply - sent) * 1e3:.1f} ms"


def _with_loopback(view: View) -> dict[str, tuple[float, ...]]:
    """The timings of the view, with the delay from fire command to EEG of each pulse that trigger or artifact showed."""
    took = [
        p.get("after_command_s") for p in view.pulses.values() if p.get("source") in ("trigger", "artifact")
    ]
    return {**view.timings_s, "loopback": tuple(s for s in took if s is not None)}


def _timings(timings_s: Mapping[str, tuple[float, ...]]) -> list[TimingRow]:
    rows = []
    for stage, (name, budget_ms) in {**STAGES, **LOOPBACK}.items():
        ms = 1e3 * np.array(timings_s.get(stage, ()))
        if len(ms):
            p = [float(np.percentile(ms, q)) for q in (50, 95, 99)]
            rows.append(
                TimingRow(name=name, n=len(ms), median_ms=p[0], p95_ms=p[1], p99_ms=p[2], max_ms=float(ms.max()),
                          budget_ms=budget_ms)
            )  # fmt: skip
    return rows


def _history_words(h: Mapping[str, Any]) -> str:
    match h["kind"]:
        case "lamp_changed":
            return f"{h['before']} -> {h['after']} {h['words']}"
        case "command_received":
            return " ".join([h["word"], *h["args"]])
        case "power_set":
            return f"{h['power_pct_mso']} % MSO, read back"
        case "disarmed":
            return str(h["words"])
    words = h.get("words") or h.get("fault") or ""
    return "; ".join(words) if isinstance(words, list) else str(words)


def _conditions(view: View, line: SignalLine) -> dict[str, str]:
    s = view.started
    out = {
        "EEG": f"{line.montage.n_channels} channels at {s['rate_hz']:g} Hz",
        "score window": f"{1e3 * line.spec.window_s[0]:.0f} to {1e3 * line.spec.window_s[1]:.0f} ms after the pulse",
        "seed of the intervals": str(s.get("seed")),
    }
    if s.get("scene"):
        out["simulated scene"] = str(s["scene"])
    if recorded := s.get("recorded"):
        kinds = ", ".join(f"{n} {kind}" for kind, n in recorded["channels"].items())
        out["made from the recording"] = (
            f"{recorded['file']} ({recorded['form']}): {kinds}; breaks: {recorded['breaks']}"
        )
        out["pulses found by"] = recorded["pulses_by"]
        out["remarks on the recording"] = " | ".join(n["words"] for n in view.notes) or "none"
    if view.loopback is not None and view.loopback.get("expected_s") is not None:
        out["fire command to EEG"] = "; ".join(
            w for w in (view.loopback["words"], band_words(view.loopback)) if w
        )
    if view.locked:
        out["EMERGENCY"] = view.locked
    if signed := waiver_words(s):
        out["WAIVERS in force"] = " | ".join(signed)
    stages = ("bridge", "decay", "detrend", "average_reference", "blink", "sound", "muscle", "quality")
    out["chain"] = ", ".join(
        f"{n.replace('_', ' ')} {'on' if getattr(line.spec, n) else 'off'}" for n in stages
    ) + (" (decay: in the first trials, before there is a filter)" if line.spec.decay_first else "")
    for key, t in view.targets.items():
        if t.block != "preview" and (words := line.filters.words(key, line.spec)):
            out[f"artifact patterns, {key}"] = words
    return out


def _verified(folder: SessionFolder) -> tuple[str, ...]:
    try:
        return verify(folder.path).lines
    except RtloopError as err:
        return (f"PROBLEM: {err}",)
