"""Owns the commands of ``rtloop study`` that keep what happened to a participant: visits, thresholds, outcomes, events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rtloop.app.study_options import (
    By,
    Code,
    Day,
    Folder,
    Json,
    Reason,
    next_of,
    opened,
    tell_and_exit,
    write_and_exit,
)
from rtloop.errors import UsageProblem

if TYPE_CHECKING:
    from rtloop.study.records import AdverseEvent, OutcomeTaken
    from rtloop.study.study import Study

taken = typer.Typer()


@taken.command()
def missed(folder: Folder, by: By, code: Code, visit: int, reason: Reason, json_: Json = False) -> None:
    """A treatment will not be given: say why."""
    from rtloop.study.records import Missed

    write_and_exit(
        folder,
        Missed(participant=code, visit=visit),
        by,
        reason,
        json_,
        f"treatment {visit} of {code} recorded as missed",
    )


@taken.command()
def move(
    folder: Folder, by: By, code: Code, visit: int,
    to_day: Annotated[str, typer.Argument(help="The day instead, YYYY-MM-DD.")], reason: Reason, json_: Json = False,
) -> None:  # fmt: skip
    """A treatment is due on another day instead: say why."""
    from rtloop.study.records import Moved

    record = Moved(participant=code, visit=visit, to_day=to_day)
    write_and_exit(folder, record, by, reason, json_, f"treatment {visit} of {code} moved to {to_day}")


@taken.command()
def deviation(
    folder: Folder, by: By, code: Code, what: Annotated[str, typer.Argument(help="What was not as planned.")], reason: Reason,
    visit: Annotated[int, typer.Option("--visit", help="Of this treatment.")] = 0, json_: Json = False,
) -> None:  # fmt: skip
    """Anything else that was not as planned: say what and why."""
    from rtloop.study.records import Deviation

    write_and_exit(
        folder,
        Deviation(participant=code, visit=visit, what=what),
        by,
        reason,
        json_,
        f"deviation of {code} recorded",
    )


@taken.command()
def lost(
    folder: Folder, by: By, code: Code, run_id: Annotated[str, typer.Argument(help="The run, as next tells it.")], reason: Reason,
    json_: Json = False,
) -> None:  # fmt: skip
    """The folder of a run that has no end is gone for good: all its pulses count as given for ever, and the course goes on."""
    from rtloop.model.course import Ended, TreatmentGiven
    from rtloop.study.state import runs_of

    with opened(folder) as study:
        next_of(study, code, by)  # refuses who is not enrolled
        with study.lease(code):  # nobody runs it any more
            study.follow()
            run = runs_of(study.state.participants[code]).get(run_id)
            if run is None or isinstance(run, TreatmentGiven):
                raise UsageProblem(
                    f"{run_id} is no run of {code} without an end", expected="one that rtloop study next names",
                    found="none of that name" if run is None else "a run whose end is known",
                )  # fmt: skip
            end = TreatmentGiven(
                **run.data(), ended_utc=study.clock.utc(), ended=Ended.CRASHED, delivered=0, refused=0, uncertain=run.planned,
                trains_given=run.trains_planned, words="its folder is lost: all its pulses count as given",
            )  # fmt: skip
            study.write(end, by=by, reason=reason)
        text, told = next_of(study, code, by)
        tell_and_exit(f"all {run.planned} pulses of {run_id} count as given\n{text}", told, json_)


@taken.command("stop-course")
def stop_course(
    folder: Folder, by: By, code: Code, reason: Reason, day: Day = None, json_: Json = False
) -> None:
    """No more treatment for this participant; outcomes may still be taken."""
    from rtloop.study.records import CourseStopped

    with opened(folder) as study:
        study.write(CourseStopped(participant=code, day=day or study.today), by=by, reason=reason)
        tell_and_exit(f"the course of {code} is stopped", next_of(study, code, by)[1], json_)


@taken.command()
def threshold(
    folder: Folder, by: By, code: Code,
    pct_mso: Annotated[int, typer.Argument(help="Resting motor threshold, % of the unit's maximum.")],
    unit: Annotated[str, typer.Option("--unit")], coil: Annotated[str, typer.Option("--coil")],
    waveform: Annotated[str, typer.Option("--waveform")],
    low: Annotated[float | None, typer.Option("--low", help="Lower end of its interval.")] = None,
    high: Annotated[float | None, typer.Option("--high", help="Upper end of its interval.")] = None,
    method: Annotated[str, typer.Option("--method")] = "EMG", day: Day = None, json_: Json = False,
) -> None:  # fmt: skip
    """Keep a motor threshold that was taken by EMG."""
    from rtloop.study.records import ThresholdTaken

    with opened(folder) as study:
        record = ThresholdTaken(participant=code, day=day or study.today, pct_mso=pct_mso, low_pct_mso=low, high_pct_mso=high,
                                method=method, unit=unit, coil=coil, waveform=waveform)  # fmt: skip
        study.write(record, by=by)
        tell_and_exit(f"threshold of {code}: {pct_mso} % MSO", next_of(study, code, by)[1], json_)


@taken.command()
def outcome(
    folder: Folder, by: By, code: Code,
    assessment: Annotated[str, typer.Argument(help="Assessment of the course, such as baseline.")],
    pain: Annotated[float | None, typer.Option("--pain", help="Pain, 0 to 10.")] = None,
    pgic: Annotated[float | None, typer.Option("--pgic", help="Global impression of change, 1 to 7.")] = None,
    scale: Annotated[list[str] | None, typer.Option("--scale", help="NAME=NUMBER; as often as needed.")] = None,
    corrects: Annotated[int | None, typer.Option("--corrects", help="Number of the entry that this one replaces.")] = None,
    reason: Reason = "", day: Day = None, json_: Json = False,
) -> None:  # fmt: skip
    """Keep outcomes of a participant; a correction names the entry that it replaces, and why, and keeps its day."""
    from rtloop.study.records import OutcomeTaken

    scales = {k: v for k, v in (("pain", pain), ("pgic", pgic)) if v is not None} | dict(
        map(_named, scale or ())
    )
    with opened(folder) as study:
        record = OutcomeTaken(
            participant=code, assessment=assessment, day=day or _day(study, code, corrects), scales=scales, corrects=corrects
        )  # fmt: skip
        entry = study.write(record, by=by, reason=reason)
        told = {"n": entry.n, **next_of(study, code, by)[1]}
        tell_and_exit(
            f"kept as entry {entry.n}: {', '.join(f'{k} {v:g}' for k, v in scales.items())}", told, json_
        )


def _day(study: Study, code: str, corrects: int | None) -> str:
    """Of the record that is corrected, else today: a correction does not move what was taken to another day."""
    who = study.state.participants.get(code)
    rows: tuple[tuple[int, OutcomeTaken | AdverseEvent], ...] = (
        () if who is None else (*who.outcomes, *who.events)
    )
    return next((r.day for n, r in rows if n == corrects), study.today)


def _named(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise UsageProblem("--scale is not clear", expected="NAME=NUMBER", found=text) from None


@taken.command("event")
def event(
    folder: Folder, by: By, code: Code, what: Annotated[str, typer.Argument(help="What happened, without names.")],
    severity: Annotated[str, typer.Option("--severity", help="mild, moderate or severe.")],
    related: Annotated[str, typer.Option("--related", help="not related, possible, probable or causal.")],
    serious: Annotated[list[str] | None, typer.Option("--serious", help="What makes it serious; as often as needed.")] = None,
    anticipated: Annotated[bool, typer.Option("--anticipated/--unanticipated")] = False,
    device_deficiency: Annotated[bool, typer.Option("--device-deficiency")] = False,
    state: Annotated[str, typer.Option("--state", help="ongoing, resolved, ...")] = "ongoing",
    action: Annotated[str, typer.Option("--action", help="What was done.")] = "",
    corrects: Annotated[int | None, typer.Option("--corrects", help="Number of the entry that this one replaces.")] = None,
    reason: Reason = "", day: Day = None, json_: Json = False,
) -> None:  # fmt: skip
    """Keep an adverse event on its axes: severity, seriousness, relation, expectedness, device deficiency."""
    from rtloop.study.records import AdverseEvent

    with opened(folder) as study:
        record = AdverseEvent(participant=code, day=day or _day(study, code, corrects), what=what, severity=severity,
                              serious=tuple(serious or ()), related=related, anticipated=anticipated,
                              device_deficiency=device_deficiency, state=state,
                              action=action, corrects=corrects)  # fmt: skip
        entry = study.write(record, by=by, reason=reason)
        tell_and_exit(f"kept as entry {entry.n}", {"n": entry.n}, json_)
