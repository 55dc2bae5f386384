"""Owns the report of one treatment session as a document: planned and given, intensity, checklists, what was felt, the record;
owns no number (the journal's) and no layout (rtloop.record.document)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from rtloop.errors import IntegrityProblem, ValidationProblem
from rtloop.model.waiver import waiver_words
from rtloop.record.document import ABSENT, Document, Grid, Section, render
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.record.report import MODE_WORDS, number
from rtloop.record.study_items import ADVICE, SOURCES
from rtloop.record.treat_facts import TrainRow, TreatFacts, facts_of
from rtloop.record.treat_figure import session_figure
from rtloop.record.verify import verify

NOT_THERE = "not known here: tell it yourself"


def write_treatment_report(folder: SessionFolder) -> None:
    """Render report.html into the session folder, in place at once.

    ValidationProblem where the folder is of no treatment session, IntegrityProblem where it cannot be written.
    """
    read = read_journal(folder.journal)
    facts = facts_of(read.events)
    if facts is None:
        raise ValidationProblem(
            f"{folder.path} holds no treatment session",
            expected="a session of rtloop treat",
            found="another, or none",
        )
    text = render(document_of(facts, read.head_hash, verify(folder.path).lines))
    part = folder.report.with_name(folder.report.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, folder.report)
    except OSError as err:
        raise IntegrityProblem(
            f"cannot write the report {folder.report}",
            found=str(err),
            todo="free space, then rtloop report FOLDER",
        ) from err


def document_of(f: TreatFacts, head_hash: str, verified: Iterable[str]) -> Document:
    """The whole report."""
    s = f.started
    mode = str(s["mode"])
    ended = "nobody wrote an end: counted from the journal" if f.given is None else str(f.given["words"])
    facts = {
        "Participant code": str(s["participant"]), "Target": str(s["targets"][0]), "Plan": str(s["plan"]),
        "Ended": f"{ABSENT if f.given is None else f.given['ended']}", "Run": str(s["run_id"]), "Session": str(s["session_id"]),
        "Started (UTC)": _utc(f.utc[0]), "Ended (UTC)": _utc(f.utc[1]), "Computer": str(s["treatment"]["host"]),
        "Treated by": str(s["treatment"]["by"] or s["answered_by"]), "Software": f"rtloop {s['software_version']}",
        "SHA-256 of the plan": str(s["plan_sha256"]), "Head hash of the journal": head_hash,
    }  # fmt: skip
    sections = [_dose(f), _intensity(f), _gates(f), _course(f), *_checklists(f), _felt(f), _items(f)]
    verified_words = tuple(verified)
    sections.append(Section(title="Record", words=verified_words[-1:], notes=verified_words[:-1]))
    warnings = tuple(waiver_words(s))
    if s["threshold"]["mode"] == "SIMULATED" and not s["threshold"]["sha256"]:
        warnings = ("The motor threshold was assumed for this simulation: nobody measured it.", *warnings)
    return Document(
        title="Treatment session", sub=f"{s['participant']} · {s['targets'][0]} · {f.utc[0][:10]} · {ended}", mode=mode,
        mode_words=MODE_WORDS[mode], facts=facts, sections=tuple(x for x in sections if x is not None), footer=ADVICE,
        warnings=warnings,
    )  # fmt: skip


def _utc(text: str) -> str:
    return text[:19].replace("T", " ")


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def _dose(f: TreatFacts) -> Section:
    s, planned = f.started["treatment"], None if f.begun is None else int(f.begun["planned"])
    least, most = sum(r.least for r in f.trains), sum(r.most for r in f.trains)
    if planned is None:
        return Section(title="Planned and given", words=("No pulse was set out to be given.",))
    words = [
        f"Planned {planned} pulses = delivered {least} + not given {planned - most} + uncertain {most - least}, in "
        f"{sum(r.most > 0 for r in f.trains)} of {f.begun['trains_planned'] if f.begun else 0} trains of this run. "
        "Uncertain pulses count as given."
    ]  # fmt: skip
    if s["trains_before"]:
        words.append(
            f"This run went on with session {f.started['session_id']}: {s['trains_before']} trains "
            f"({s['pulses_before']} pulses) had been given before it, of {s['trains']} trains planned in all."
        )  # fmt: skip
    rows = [*(_train(r) for r in f.trains), _sum(f.trains, planned)]
    figures = ()
    if f.trains:
        caption = "Trains (filled: delivered; yellow: uncertain; outline: planned) and the coil's temperature with its limit."
        figures = ((session_figure(f, float(f.started["limits"]["coil_stop_c"])), caption),)  # type: ignore[assignment]
    return Section(
        title="Planned and given", words=tuple(words), figures=figures,
        tables=(Grid(
            head=("Train", "At (min:s)", "Pause before (s)", "% RMT", "% MSO", "Planned", "Delivered", "Uncertain", "Not given",
                  "Seen in the EEG", "Remarks"),
            rows=tuple(rows), numbers=frozenset(range(10)), small=True,
        ),),
        notes=("Pause: from the end of the train before (pulses over frequency after its first pulse) to the first pulse; by the "
               "instants at which the fire commands were sent.",),
    )  # fmt: skip


def _train(r: TrainRow) -> tuple[str, ...]:
    remarks = "; ".join(x for x in ("" if r.outcome == "fired" else r.outcome, r.words) if x)
    return (
        str(r.train), _clock(r.begun_s), ABSENT if r.pause_s is None else f"{r.pause_s:.2f}", number(r.power_pct_rmt),
        str(r.power_pct_mso), str(r.planned), str(r.least), str(r.most - r.least), str(r.planned - r.most),
        ABSENT if r.seen is None else str(r.seen), remarks,
    )  # fmt: skip


def _sum(rows: list[TrainRow], planned: int) -> tuple[str, ...]:
    least, most, seen = sum(r.least for r in rows), sum(r.most for r in rows), sum(r.seen or 0 for r in rows)
    counts = (str(planned), str(least), str(most - least), str(planned - most), str(seen))
    return ("in all", "", "", "", "", *counts, "")


def _intensity(f: TreatFacts) -> Section:
    t, s = f.started["threshold"], f.started["treatment"]
    low, high = t["low_pct_mso"], t["high_pct_mso"]
    interval = "no interval" if low is None and high is None else (
        f"95 % interval {'open' if low is None else number(low)} to {'open' if high is None else number(high)}"
    )  # fmt: skip
    rows = (
        ("Motor threshold", f"{t['pct_mso']} % MSO ({interval}), {t['made_utc'][:10]}"),
        ("How it was taken", f"{t['method']}, told by {t['told_by']}: {t['criterion']}; {t['pulses_given']} pulses"),
        ("File of the threshold, SHA-256", t["sha256"] or "none: assumed for a simulation"),
        ("Intensity", f"{number(s['intensity_pct_rmt'])} % of it"),
        ("Power", " % then ".join(dict.fromkeys(str(r.power_pct_mso) for r in f.trains)) + " % MSO" if f.trains else ABSENT),
        ("Unit, waveform, current", f"{t['rig']['unit_model']}, {s['waveform']}, {s['current_direction']}"),
        ("Coil", f"{s['coil']} at {s['coil_at']}; EEG cap {'on' if t['cap_on'] else 'off'} when the threshold was taken"),
    )  # fmt: skip
    return Section(title="Intensity", tables=(Grid(head=("What", "Found"), rows=rows),))


def _gates(f: TreatFacts) -> Section | None:
    if not f.gates and f.calibrated is None:
        return None
    ends = {"time_out": "time out", "no_stream": "no EEG"}
    rows = tuple(
        (str(g["train"]), f"{g['waited_s']:.1f}", str(g["looks"]), str(g["valid"]), ends.get(g["by"], "opened"),
         "yes" if g["give"] else "no")
        for g in f.gates
    )  # fmt: skip
    return Section(
        title="Waits for a state of the EEG",
        words=f.gate_words,
        tables=(
            Grid(head=("Train", "Waited (s)", "Looks", "Valid", "Ended by", "Given"), rows=rows, numbers=frozenset(range(4))),
        ),
        notes=("What begins the trains, and the values, are in the journal and left out here: both arms are told the same.",),
    )  # fmt: skip


def _course(f: TreatFacts) -> Section:
    rows = [(_clock(t), what, words) for t, what, words in sorted(f.deviations)]
    rows += [(_clock(t), "note", words) for t, words in f.notes]
    hot = (
        ""
        if not f.coil
        else f" Coil: {min(c for _, c in f.coil):.1f} to {max(c for _, c in f.coil):.1f} °C between trains."
    )
    end = "the session did not end in order" if f.ended is None else str(f.ended["words"])
    return Section(
        title="Course of the session",
        words=(f"Armed {f.armed} time(s), each in two steps. End: {end}.{hot}",),
        tables=(Grid(head=("At (min:s)", "What", "Words"), rows=tuple(sorted(rows))),) if rows else (),
        notes=() if rows else ("No pause, no refusal, no fault that disarmed.",),
    )  # fmt: skip


def _checklists(f: TreatFacts) -> list[Section]:
    out = [
        Section(
            title=str(c["title"]),
            words=(f"{c['form']}, version {c['form_version']}, signed by {c['signed_by']}.",),
            tables=(Grid(
                head=("Question", "Answer", "Words"),
                rows=tuple(
                    (a["question"], a["answer"] if a["as_expected"] else f"{a['answer']} (!)", a["words"] or "")
                    for a in c["answers"]
                ),
            ),),
        )
        for c in f.checklists
    ]  # fmt: skip
    had = {c["when"] for c in f.checklists}
    lacking = [w for w in ("before", "after") if w not in had]
    if lacking:
        out.append(Section(title="Checklists not signed", words=(f"Not signed: {', '.join(lacking)}.",)))
    return out


def _felt(f: TreatFacts) -> Section:
    tables = []
    if f.sensations:
        tables.append(Grid(
            caption="Sensations", head=("At (min:s)", "After train", "Severity", "What"),
            rows=tuple((_clock(t), str(d["train"]), d["severity"] or ABSENT, d["what"]) for t, d in f.sensations),
        ))  # fmt: skip
    if f.adverse:
        tables.append(Grid(
            caption="Adverse events (axes of ISO 14155)",
            head=("At (min:s)", "After train", "What", "Severity", "Serious", "Related", "Anticipated", "Device deficiency",
                  "State"),
            rows=tuple(
                (_clock(t), str(d["train"]), d["what"], d["severity"], ", ".join(d["serious"]) or "no", d["related"],
                 _yes(d["anticipated"]), _yes(d["device_deficiency"]), d["state"])
                for t, d in f.adverse
            ),
            small=True,
        ))  # fmt: skip
    words = () if tables else ("None was told during the session; see the checklist after it.",)
    return Section(title="Sensations and adverse events", words=words, tables=tuple(tables))


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _items(f: TreatFacts) -> Section:
    s, t = f.started["treatment"], f.started["threshold"]
    pause = f", pauses of {s['pause_s']:g} s from the end of a train" if s["pause_s"] is not None else ""
    rows: list[tuple[str, Any]] = [
        ("Brief name", f"repetitive TMS, plan {f.started['plan']} [{s['label']}]"),
        ("Why", s["citation"]),
        ("Materials: stimulator, coil", f"{t['rig']['unit_model']}; {s['coil']}"),
        ("Procedure", f"{s['frequency_hz']:g} Hz, {s['trains']} trains of {s['train_pulses']} pulses{pause}"),
        ("Where on the head, coil's direction", f"{f.started['targets'][0]} ({s['coil_at']}); {s['current_direction']}"),
        ("How the coil's place was held", NOT_THERE),
        ("Waveform", s["waveform"]),
        ("Motor threshold: how", f"{t['method']}, {t['criterion']}, muscle {t['muscle']}"),
        ("Intensity", f"{number(s['intensity_pct_rmt'])} % of the resting motor threshold"),
        ("When and how much", f"{f.utc[0][:10]}, {_planned(f.begun)}"),
        ("Who provided", f"{s['by'] or f.started['answered_by']}"),
        ("Tailoring", "the intensity follows from the participant's own threshold"),
        ("Modifications", f"{len(f.deviations)} rows under the course of the session"),
        ("How well: planned and actual", "see planned and given"),
        ("Hearing protection, sleep, medicine, alcohol", "see the checklist before"),
        ("Attention, caffeine, muscle at rest", NOT_THERE),
        ("Age, sex, handedness, diagnosis", "by code only here: kept elsewhere"),
    ]  # fmt: skip
    return Section(
        title="Items of a report",
        tables=(Grid(head=("Item", "What is known"), rows=tuple(rows)),),
        notes=(SOURCES,),
    )


def _planned(begun: Mapping[str, Any] | None) -> str:
    return (
        "nothing was begun" if begun is None else f"{begun['session_planned']} pulses planned in the session"
    )
