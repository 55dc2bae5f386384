"""Owns ``rtloop replay FILE``: a recording of any lab, described or run through the line of a live session; owns no stage."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rtloop import __version__
from rtloop.app.config import load_site
from rtloop.app.opening import controls_of, criteria_of, places_of
from rtloop.app.setting import chain_of, quality_of
from rtloop.app.wiring import new_run_id
from rtloop.clock import WALL
from rtloop.errors import NotReady, UsageProblem, ValidationProblem
from rtloop.model.status import Mode
from rtloop.plan.expand import targets_in_order
from rtloop.plan.load import load_plan
from rtloop.plan.schema import Plan
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal
from rtloop.record.read_join import joined
from rtloop.record.read_layout import layout_for
from rtloop.record.read_open import OpenRecording, open_recording
from rtloop.record.verify import verify
from rtloop.session import marked
from rtloop.session.dealing import BlockMap, block_of, deal, read_block_map, told
from rtloop.session.deciding import decision_lines
from rtloop.session.display import decision_words, table
from rtloop.session.outcome import result_dict, write_report
from rtloop.session.recorded import Looked, RecordedClock, Wanted, facts, look, refuse_unit, settled_chain
from rtloop.session.recorded_run import run_recorded

Say = Callable[[str], None]
#: recordings of other labs are kept apart from the sessions of this site: they are nobody's dose and nobody's earlier probe
FOLDER = "replays"
#: work that lasts longer tells how far it is
TOLD_AFTER_S = 4.0


@dataclass(frozen=True, kw_only=True)
class ReplayRequest:
    """What the command line asks for. ``plan`` None: only describe the recording. ``targets``: one for all, or one a file.

    ``stream``: the EEG stream's name, where a file holds several; ``keep_bad``: marks BAD of the file are not heeded.
    """

    files: tuple[Path, ...]
    plan: str | None = None
    events: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    blocks: Path | None = None
    not_eeg: tuple[str, ...] = ()
    stream: str | None = None
    keep_bad: bool = False
    participant: str | None = None
    data_dir: Path | None = None
    site: Path | None = None


def replay_recording(request: ReplayRequest, say: Say) -> tuple[str, dict[str, Any], int]:
    """(words, JSON values, exit code 0, or 7 where the record that was made is not whole).

    Raises UsageProblem, ValidationProblem or NotReady in words for everything that cannot be run, before a folder is made.
    """
    patterns = (*request.events, *request.not_eeg)
    plan = None if request.plan is None else load_plan(request.plan)
    blocks: BlockMap | None = None
    if plan is not None and request.blocks is not None:
        blocks = read_block_map(request.blocks, plan)
        patterns += (*blocks.pulses, *blocks.sections)
    _refuse_patterns(patterns)
    events = request.events or tuple({} if blocks is None else blocks.pulses)
    rec, spans = joined([open_recording(file, stream=request.stream) for file in request.files])
    layout, decided = layout_for(rec.channels, not_eeg=request.not_eeg, events=bool(events))
    wanted = Wanted(rec=rec, layout=layout, events=events, keep_bad=request.keep_bad)
    decided += marked.words(rec.bad, rec.rate_hz, keep=request.keep_bad)
    _say_recording(wanted, decided, say)
    if events and not wanted.pulse_marks:
        raise ValidationProblem(
            f"no event of {rec.path.name} is called {' or '.join(events)}", expected="the name of an event that is a pulse",
            found=_events(rec), todo="correct --events, or leave it away to look for triggers and artifacts",
        )  # fmt: skip
    if plan is None:
        return _described(
            wanted, look(wanted, chain_of(load_plan("watch")), _told_share(say, "looking for pulses"))
        )
    spec = chain_of(plan)
    _refuse_local(plan, wanted)
    looked = look(wanted, spec, _told_share(say, "looking for pulses"))
    refuse_unit(wanted, looked)
    target, blocks = _dealt_by(request, plan, blocks, spans)
    dealt = deal(looked.pulses, rec.marks, plan, target=target, events=events, blocks=blocks)
    chain, raised = settled_chain(spec, looked, plan.signal.limits)
    notes = (*rec.notes, *decided, *looked.words(), *raised, *told(dealt, rec.rate_hz))
    for words in (*looked.words(), *raised, *told(dealt, rec.rate_hz)):
        say(f"   {words}")
    return _run(request, wanted, plan, looked, chain, dealt, notes, say)


def _dealt_by(
    request: ReplayRequest, plan: Plan, blocks: BlockMap | None, spans: tuple[tuple[int, int], ...]
) -> tuple[str | None, BlockMap | None]:
    """The one target of all pulses, or the map of each file to its own; both None: in the order of the plan."""
    targets = request.targets
    if len(targets) < 2:
        return (targets[0] if targets else None), blocks
    if len(targets) != len(spans) or blocks is not None:
        raise UsageProblem(
            "which file belongs to which target is not known", expected="--target once, or once for each file in their order, "
            "and no --blocks", found=f"{len(spans)} file(s), {len(targets)} --target", todo="correct the command",
        )  # fmt: skip
    named = [block_of(t, plan) for t in targets]
    return None, BlockMap(spans=dict(zip(spans, named, strict=True)))


def _refuse_patterns(patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as err:
            raise UsageProblem(
                f"{pattern!r} is no regular expression", expected="a name, or a regular expression", found=str(err),
                todo="write a backslash before a sign that is meant as it stands",
            ) from err  # fmt: skip


def _refuse_local(plan: Plan, wanted: Wanted) -> None:
    try:
        for target in plan.targets:
            target.local_in(wanted.layout.montage)
    except ValueError as err:
        raise ValidationProblem(
            f"the plan {plan.name} does not fit the recording", expected="its local_electrodes among the EEG channels",
            found=str(err), todo="correct local_electrodes, or leave them away: then the 4 nearest the coil count",
        ) from err  # fmt: skip


def _events(rec: OpenRecording, most: int = 12) -> str:
    rows = [f"{name!r} x {n}" for name, n in rec.counts().items()]
    return (
        ", ".join(rows[:most]) + (f" and {len(rows) - most} more" if len(rows) > most else "")
    ) or "no events"


def _say_recording(wanted: Wanted, decided: tuple[str, ...], say: Say) -> None:
    rec, row = wanted.rec, facts(wanted)
    channels = ", ".join(f"{n} {kind}" for kind, n in row["channels"].items())
    say(f"{rec.path.name}: {rec.form}, {rec.duration_s:.1f} s at {rec.rate_hz:g} Hz; {channels}")
    say(f"   events: {_events(rec)}; breaks: {len(rec.breaks)}")
    say(f"   pulses are found by {wanted.by_what()}")
    say(
        "   reference: as recorded, then the average of the good channels; a flat reference electrode counts as bad"
    )
    for words in (*rec.notes, *decided):
        say(f"   {words}")


def _described(wanted: Wanted, looked: Looked) -> tuple[str, dict[str, Any], int]:
    rate_hz = wanted.rec.rate_hz
    lines = [f"{len(looked.pulses)} pulse(s) found", *looked.words()]
    if looked.unit.words:
        lines.append(f"the unit cannot be right: {looked.unit.words}")
    if looked.pulses:
        at = [p.sample / rate_hz for p in looked.pulses]
        lines.append(f"first at {at[0]:.3f} s, last at {at[-1]:.3f} s")
    lines.append("to score them: --plan PLAN, and --target or --blocks where the plan has several targets")
    data = {**facts(wanted), "pulses": [p.sample for p in looked.pulses], "words": lines}
    return "\n".join(lines), data, 0


def _told_share(say: Say, words: str, every: float = 0.2) -> Callable[[float], None]:
    """Says at every fifth of long work how far it is; a recording that takes less than some seconds says nothing."""
    begun_s, due = WALL.now_s(), every

    def told_share(share: float) -> None:
        nonlocal due
        if share >= due and share < 1.0:
            due += every
            if WALL.now_s() - begun_s > TOLD_AFTER_S:
                say(f"   {words}: {100 * share:.0f} %")

    return told_share


def _run(
    request: ReplayRequest, wanted: Wanted, plan: Plan, looked: Looked, chain: Any, dealt: Any, notes: tuple[str, ...],
    say: Say,
) -> tuple[str, dict[str, Any], int]:  # fmt: skip
    rec, run_id = wanted.rec, new_run_id()
    data_dir = request.data_dir or Path(load_site(request.site).data_dir) / FOLDER
    folder = SessionFolder.create(data_dir, run_id)
    _refuse_full(folder, wanted)
    folder.keep_plan(plan.source)
    utc0_s = rec.start_utc_s if rec.start_utc_s is not None else _now_utc_s()
    clock = RecordedClock(rec.time_of(0), utc0_s)
    journal = Journal(folder.journal, run_id=run_id, plan_sha=plan.sha256, clock=clock)
    order = targets_in_order(plan)
    started = {
        "mode": Mode.LISTEN.value, "kind": plan.kind.value, "participant": request.participant or f"REC-{run_id}",
        "plan": plan.name, "plan_sha256": plan.sha256, "software_version": __version__, "run_id": run_id,
        "targets": [t.name for t in order], "question": plan.arm.question.value, "ongoing_eeg_uv": looked.ongoing,
        "seed": 0, "scene": None, "limits": {}, "waivers": [], "blinded": plan.arm.blinded, "answered_by": "recording",
        "steps": _steps(plan), "criteria": criteria_of(plan), "places": places_of(plan), "session_id": run_id,
        "controls": controls_of(plan), "recorded": facts(wanted),
    }  # fmt: skip
    try:
        ran = run_recorded(
            wanted, plan, chain, quality_of(plan), dealt, folder, journal, clock, started, notes=notes
        )
    finally:
        journal.close()
    checked = verify(folder.path)
    write_report(folder, ran.view, ran.line, ran.head_hash)
    code = 0 if checked.ok else 7
    result = result_dict(ran.view, "the recording was run to its end", ran.head_hash) | {
        "exit_code": code, "folder": str(folder.path), "record_whole": checked.ok, "report": str(folder.report),
        "recorded": facts(wanted), "notes": list(notes),
    }  # fmt: skip
    folder.result.write_text(json.dumps(result, indent=1, allow_nan=False), encoding="utf-8")
    if checked.ok:
        folder.tidy()
    words = [table(ran.view), *decision_words(ran.view), *decision_lines(ran.view)]
    words += [n["words"] for n in ran.view.notes if n["words"] not in notes]
    words += [f"record: {'whole' if checked.ok else 'NOT whole, see rtloop verify'} in {folder.path}"]
    words += [f"report: {folder.report}"]
    return "\n".join(words), result, code


def _steps(plan: Plan) -> list[dict[str, Any]]:
    """A block for each target: somebody else's stimulator fired, so no power is known."""
    return [
        {
            "target": t.name, "block": "run", "power_pct_mso": None, "power_pct_rmt": None,
            "pulses_wanted": t.pulses_wanted, "pulses_max": None,
        }
        for t in targets_in_order(plan)
    ]  # fmt: skip


def _now_utc_s() -> float:
    return datetime.fromisoformat(WALL.utc()).timestamp()


def _refuse_full(folder: SessionFolder, wanted: Wanted) -> None:
    """NotReady where the disk cannot take the copy of the recording; the empty folder is removed again."""
    rec = wanted.rec
    needed = int(1.05 * rec.n_samples * (9 + 4 * len(wanted.layout.channels))) + 200_000_000
    free = shutil.disk_usage(folder.path).free
    if free < needed:
        folder.path.rmdir()
        raise NotReady(
            f"{folder.path.parent} has no room for the session that is made of {rec.path.name}",
            expected=f"{needed / 1e9:.1f} GB", found=f"{free / 1e9:.1f} GB", todo="free space, or name another --data-dir",
        )  # fmt: skip
