"""Owns the commands that only look: check, sim, streams, verify, replay, report; each returns words, JSON, exit code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtloop.clock import WALL
from rtloop.errors import UsageProblem, ValidationProblem

if TYPE_CHECKING:
    from rtloop.record.folder import SessionFolder

Told = tuple[str, Any, int]


def check_plan(
    plan: str, site: Path | None, waivers: Path | None = None, *, target: str | None = None, rmt_pct_mso: int | None = None,
    rmt_date: str = "", mode: str = "simulated", threshold: Path | None = None,
) -> Told:  # fmt: skip
    """Rehearse, and say what each waiver lifts; exit 3 when any rule is broken or a waiver is not valid.

    A treatment plan and a course are checked as such; what follows ``waivers`` is for them (``CheckAsked``), but ``threshold``, a
    file of `rtloop threshold`, joins any plan in % of threshold.
    """
    from rtloop.app.treatment_check import CheckAsked, check_course, check_treatment
    from rtloop.plan.sections import kind_of

    today, kind = WALL.utc()[:10], kind_of(plan)
    asked = CheckAsked(
        site=site, waivers=waivers, target=target, rmt_pct_mso=rmt_pct_mso, rmt_date=rmt_date, mode=mode,
        threshold=threshold,
    )  # fmt: skip
    if kind == "treat":
        return check_treatment(plan, asked, today)
    if kind == "course":
        return check_course(plan, asked, today)
    if asked.only_of_treatments:
        raise UsageProblem(
            f"{', '.join(asked.only_of_treatments)}: of treatments only", expected='a plan of kind = "treat" or "course"',
            found=f"a {kind or 'plan without a kind'}",
            todo="give the threshold with --threshold FILE, or write it into the plan's own [threshold]",
        )  # fmt: skip
    return _check_session(plan, site, waivers, today, threshold)


def _check_session(
    plan: str, site: Path | None, waivers: Path | None, today: str, threshold: Path | None
) -> Told:
    from rtloop.app.config import load_site
    from rtloop.app.setting import chain_of
    from rtloop.app.threshold_bound import bound
    from rtloop.model.status import Mode
    from rtloop.plan.load import load_plan
    from rtloop.plan.rehearse import rehearse
    from rtloop.record.thresholds import read_threshold
    from rtloop.safety.waivers import WAIVABLE, load_waivers

    loaded = load_plan(plan)
    chain_of(loaded)
    limits = load_site(site).limits()
    lines = [f"SHA-256 of the plan, as a waiver names it: {loaded.sha256}"]
    if threshold is not None:
        taken, _ = read_threshold(threshold)
        lines.append(f"threshold: {taken.words()}")
        loaded, _ = bound(
            loaded, threshold, participant=taken.participant, mode=Mode.SIMULATED, today=today,
            max_age_days=limits.threshold_max_age_days,
        )  # fmt: skip
    signed = () if waivers is None else load_waivers(waivers, plan_sha256=loaded.sha256, today=today)
    rehearsal = rehearse(loaded, limits=limits, today=today, waivers=signed)
    needs = rehearse(loaded, limits=limits, today=today).breaches if signed else ()
    lifts = [
        w.data()
        | {
            "lifts": WAIVABLE[w.rule],
            "words": w.words(),
            "needed_by": [b.where for b in needs if b.rule == w.rule],
        }
        for w in signed
    ]
    data = {
        "plan": rehearsal.plan_name, "sha256": rehearsal.plan_sha256, "kind": rehearsal.kind.value,
        "duration_s": rehearsal.duration_s, "pulses": rehearsal.pulses, "targets": [asdict(r) for r in rehearsal.table],
        "breaches": [asdict(b) for b in rehearsal.breaches], "may_arm": rehearsal.may_arm, "waivers": lifts,
    }  # fmt: skip
    lines.append(rehearsal.words())
    for row in lifts:
        where = (
            f"needed by {', '.join(row['needed_by'])}"
            if row["needed_by"]
            else "no step of this plan needs it"
        )
        lines.append(f"{row['words']}; it lifts: {row['lifts']} ({where})")
    return "\n".join(lines), data, 3 if rehearsal.breaches else 0


def list_found(wait_s: float) -> Told:
    """Every LSL stream that can be seen, and what rtloop makes of each EEG stream."""
    from rtloop.eeg.lsl import find_stream, list_streams
    from rtloop.errors import RtloopError

    lines, data = [], []
    for s in list_streams(wait_s):
        words = s.words()
        if s.kind.lower() == "eeg":
            try:
                found = find_stream(name=s.name, source_id=s.source_id)
                assert found.layout is not None
                trigger = found.layout.trigger_column
                words += f": {len(found.layout.eeg_columns)} EEG channels with positions, " + (
                    "no trigger channel"
                    if trigger is None
                    else f"trigger channel {found.layout.names[trigger]}"
                )
            except RtloopError as err:
                words += f": NOT usable: {err}"
        lines.append(words)
        data.append(
            {"name": s.name, "kind": s.kind, "source_id": s.source_id, "rate_hz": s.rate_hz, "words": words}
        )
    text = (
        "\n".join(lines)
        or "no LSL stream can be seen; start the amplifier software's LSL output, check the firewall"
    )
    return text, {"streams": data}, 0


def serve_bedside(
    *, scene: str, seed: int, channels: int, rate_hz: float, transport: str, background: Path | None,
    faults: Path | None, target: str, fire_every_s: float | None, seconds: float | None, say: Callable[[str], None],
) -> int:  # fmt: skip
    """The simulated bedside in this process until ``quit``, Ctrl-C, or ``seconds`` are over."""
    from hardware_sim.bedside import BedsideSpec
    from hardware_sim.bench import run_forever

    if fire_every_s is not None and not fire_every_s >= 0.5:
        raise UsageProblem("too fast", expected="--fire-every-s of at least 0.5", found=str(fire_every_s))
    spec = BedsideSpec(
        scene=scene, seed=seed, n_channels=channels, rate_hz=rate_hz, transport=transport,
        background=None if background is None else str(background), unit_faults=faults.read_text() if faults else "",
        target=target, auto_fire_s=None if fire_every_s is None else (fire_every_s, 1.1 * fire_every_s),
    )  # fmt: skip
    run_forever(spec, say, seconds=seconds)
    return 0


def _folder(folder: Path) -> Any:
    from rtloop.record.folder import SessionFolder

    if not (folder / "journal.jsonl").is_file():
        raise ValidationProblem(
            f"{folder} is no session folder", expected="a folder with journal.jsonl and recording.xdf",
            found="no journal.jsonl there", todo="name the folder that the session printed",
        )  # fmt: skip
    return SessionFolder(path=folder)


def verify_folder(folder: Path) -> Told:
    """Walk journal and recording; exit 7 when anything is wrong that a crash does not explain."""
    from rtloop.record.verify import verify

    _folder(folder)
    result = verify(folder)
    words = "\n".join([*result.lines, "the record is whole" if result.ok else "the record is NOT whole"])
    return (
        words,
        {"ok": result.ok, "lines": list(result.lines), "counts": result.counts},
        0 if result.ok else 7,
    )


def replay_folder(folder: Path) -> Told:
    """Run the recording through the same code; exit 7 when pulses, verdicts or scores differ from the record."""
    from rtloop.session.display import table
    from rtloop.session.replay import replay

    out = replay(_folder(folder))
    same = not out.differences
    lines = ["as recorded:", table(out.view), *out.differences[:20]]
    lines.append(
        f"replayed {out.trials} trials, {out.scores} score updates, {out.pulses_found} pulses found again: "
        + ("the same as recorded" if same else f"{len(out.differences)} difference(s)")
    )
    data = {
        "trials": out.trials,
        "scores": out.scores,
        "pulses": out.pulses_found,
        "differences": out.differences,
    }
    return "\n".join(lines), data, 0 if same else 7


def report_folder(folder: Path) -> Told:
    """Write report.html again from the recording and the journal."""
    from rtloop.model.status import Mode
    from rtloop.session.earlier import Visit, earlier_probes
    from rtloop.session.outcome import write_report
    from rtloop.session.replay import replay

    session = _folder(folder)
    if _is_treatment(session):
        from rtloop.record.treat_report import write_treatment_report

        write_treatment_report(session)
        return f"report: {session.report}", {"report": str(session.report)}, 0
    out = replay(session)
    started = out.view.started
    visits: tuple[Visit, ...] = ()
    if started.get("kind") == "probe":
        visits = earlier_probes(
            session.path.resolve().parent, started["participant"], started["targets"][0],
            simulated=started["mode"] == Mode.SIMULATED or started.get("scene") is not None, but=session.path.resolve(),
        )  # fmt: skip
    write_report(session, out.view, out.line, out.head_hash, visits)
    return f"report: {session.report}", {"report": str(session.report)}, 0


def _is_treatment(session: SessionFolder) -> bool:
    from rtloop.record.journal import read_journal
    from rtloop.record.kinds import SESSION_STARTED

    started = (e.data for e in read_journal(session.journal).events if e.kind == SESSION_STARTED)
    return next(started, {}).get("kind") == "treat"
