"""Owns what of today's treatment a participant was given before this run, and whether it may go on; owns no count.

Pessimistic: a train of which a pulse may have been given was given, also one that was cut or that nobody closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtloop.app.study_sessions import treatment_of
from rtloop.errors import ValidationProblem
from rtloop.model.course import LEAST_HOURS, TreatmentGiven, rest_faults
from rtloop.session.earlier import earlier_events


@dataclass(frozen=True, kw_only=True)
class Today:
    """The session of today that this run goes on with. ``trains``: given already, from the plan's first on."""

    session_id: str = ""  # "": a new session
    trains: int = 0
    pulses: int = 0
    runs: tuple[TreatmentGiven, ...] = ()


def runs_of(data_dir: Path, participant: str, *, simulated: bool) -> tuple[TreatmentGiven, ...]:
    """Every run of a treatment of this participant, oldest first. IntegrityProblem where a journal is damaged."""
    all_ = (
        treatment_of(events, head_hash="")
        for _, events in earlier_events(data_dir, participant, simulated=simulated)
    )
    return tuple(given for given in all_ if given is not None)


def refuse_too_soon(runs: tuple[TreatmentGiven, ...], utc: str) -> None:
    """ValidationProblem where a new session at this instant would begin too soon after another one, whatever UTC days say."""
    if no := rest_faults((r for r in runs if r.given_most > 0), utc):
        raise ValidationProblem(
            "a treatment was given too short a time ago", expected=f"{LEAST_HOURS} hours between two treatments",
            found="; ".join(no), todo="wait; what is left of an interrupted one is given on its own UTC day, with --resume",
        )  # fmt: skip


def today_of(
    runs: tuple[TreatmentGiven, ...], *, resume: bool, plan_sha256: str, target: str, threshold_pct_mso: int, trains: int,
    known: Today | None = None,
) -> Today:  # fmt: skip
    """What this run goes on with; ValidationProblem with every reason where it may give nothing.

    A second treatment of a day is refused; what is left of an interrupted one is given only when it is asked for (``resume``),
    by the same plan, at the same target, from the same threshold. ``known``: what a study knows of today's session; more than
    the journals of this computer where another one gave some of it.
    """
    begun = [r for r in runs if r.given_most > 0]
    if known is not None and not begun:
        return known
    if not begun:
        if resume:
            raise ValidationProblem(
                "there is nothing to resume", expected="a treatment of today (UTC) that was interrupted",
                found="none in this data directory" if not runs else "one that gave no pulse",
                todo="leave --resume away",
            )  # fmt: skip
        return Today()
    last = begun[-1]
    same = tuple(r for r in begun if r.session_id == last.session_id)
    given, pulses = sum(r.trains_given for r in same), sum(r.given_most for r in same)
    words = f"session {last.session_id} gave {pulses} of {last.session_planned} pulses in {given} trains"
    no = [f"another session of today, {r.session_id}, gave pulses too" for r in begun if r not in same]
    if known is not None and known.session_id != last.session_id:
        no.append(f"the study knows of another session today, {known.session_id}")
    if given >= trains and last.plan_sha256 == plan_sha256:
        no.append(f"{words}: one treatment a day")
    elif not resume:
        no.append(f"{words}, and was not finished: what is left is given with --resume")
    else:
        no += _other(last, plan_sha256, target, threshold_pct_mso)
    if no:
        raise ValidationProblem(
            "a treatment was given today already", expected="no pulse that is given twice", found="; ".join(no),
            todo="go on with --resume, with exactly what was begun, or tomorrow (UTC)",
        )  # fmt: skip
    return Today(
        session_id=last.session_id, trains=max(given, known.trains if known else 0), pulses=pulses, runs=same
    )


def _other(last: TreatmentGiven, plan_sha256: str, target: str, threshold_pct_mso: int) -> list[str]:
    rows = (
        ("plan (SHA-256)", last.plan_sha256, plan_sha256),
        ("target", last.target, target),
        ("threshold, % MSO", last.threshold_pct_mso, threshold_pct_mso),
    )
    return [f"{what}: begun with {was}, now {now}" for what, was, now in rows if was != now]
