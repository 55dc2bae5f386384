"""Owns ``rtloop study``: options, words, exit codes; owns no rule and no right. Commands import what they need when run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtloop.app.study_options import (
    By,
    Code,
    Day,
    Folder,
    Json,
    next_of,
    opened,
    tell_and_exit,
    write_and_exit,
)
from rtloop.app.study_taken import taken
from rtloop.errors import UsageProblem

if TYPE_CHECKING:
    from rtloop.study.study import Study

app = typer.Typer(
    name="study", no_args_is_help=True, rich_markup_mode=None,
    help="A study: participants, allocation, the course, outcomes. Participants by code only.",
)  # fmt: skip

app.registered_commands += taken.registered_commands


@app.command()
def init(
    folder: Folder, by: By,
    name: Annotated[str, typer.Option("--name", help="Name of the study.")],
    course: Annotated[str, typer.Option("--course", help="A course file, or the name of one in the library.")] = "course-derived",
    operator: Annotated[list[str] | None, typer.Option("--operator", help="Who is at the bedside; repeat it.")] = None,
    assessor: Annotated[list[str] | None, typer.Option("--assessor", help="Who takes outcomes.")] = None,
    unblinded: Annotated[list[str] | None, typer.Option("--unblinded", help="Who allocates and analyses; you are one.")] = None,
    stratum: Annotated[list[str] | None, typer.Option("--stratum", help="A stratum of the allocation.")] = None,
    open_label: Annotated[bool, typer.Option("--open-label", help="Not blinded: everybody sees arms and scores.")] = False,
    simulated: Annotated[bool, typer.Option("--simulated", help="Takes simulated treatments, and only these.")] = False,
    json_: Json = False,
) -> None:  # fmt: skip
    """Make a study in a new folder. You become its first unblinded person."""
    from rtloop.app.study_words import NOT_HIDDEN, status_words
    from rtloop.app.treatment_check import course_named
    from rtloop.study.fields import Role
    from rtloop.study.shown import status as told_of
    from rtloop.study.study import Study

    rows = ((operator, Role.OPERATOR), (assessor, Role.ASSESSOR), (unblinded, Role.UNBLINDED))
    people = {p: role for names, role in rows for p in names or ()}
    if (
        sum(len(names or ()) for names, _ in rows) != len(people)
        or people.get(by, Role.UNBLINDED) is not Role.UNBLINDED
    ):
        raise UsageProblem(
            "somebody has two roles", expected="one role for each name; who makes the study is unblinded"
        )
    made = Study.make(
        folder, name=name, course=course_named(course), by=by, people=people, blinded=not open_label,
        simulated=simulated, strata=tuple(stratum or ()),
    )  # fmt: skip
    with made as study:
        told = told_of(study, by=by)
    tell_and_exit(f"{status_words(told)}\n{'' if open_label else NOT_HIDDEN}".rstrip(), told, json_)


@app.command()
def person(
    folder: Folder, by: By,
    name: Annotated[str, typer.Argument(help="Name of somebody who works in the study.")],
    role: Annotated[str, typer.Argument(help="operator, assessor or unblinded.")], json_: Json = False,
) -> None:  # fmt: skip
    """Add a person with a role; a name has one role for ever."""
    from rtloop.study.records import PersonAdded

    write_and_exit(
        folder, PersonAdded(person=name, role=role), by, "", json_, f"{name} is {role} from now on"
    )


@app.command()
def enrol(
    folder: Folder, by: By, code: Code,
    stratum: Annotated[str, typer.Option("--stratum", help="Stratum, where the study has strata.")] = "",
    day: Day = None, json_: Json = False,
) -> None:  # fmt: skip
    """Enrol a participant, by code only. Allocation comes after the screening."""
    from rtloop.study.records import Enrolled

    with opened(folder) as study:
        study.write(Enrolled(participant=code, day=day or study.today, stratum=stratum), by=by)
        tell_and_exit(f"{code} enrolled\n{next_of(study, code, by)[0]}", next_of(study, code, by)[1], json_)


@app.command()
def screen(
    folder: Folder, by: By, code: Code,
    form: Annotated[str, typer.Option("--form", help="Name of the checklist.")],
    form_version: Annotated[str, typer.Option("--form-version", help="Its version.")],
    eligible: Annotated[bool, typer.Option("--eligible/--not-eligible", help="Whether the participant may take part.")],
    finding: Annotated[list[str] | None, typer.Option("--finding", help="What was found; as often as needed.")] = None,
    signed_by: Annotated[str | None, typer.Option("--signed-by", help="Who signed it; else you.")] = None,
    day: Day = None, json_: Json = False,
) -> None:  # fmt: skip
    """Keep the result of a signed screening; the newest one holds."""
    from rtloop.study.records import Screened

    with opened(folder) as study:
        record = Screened(participant=code, day=day or study.today, form=form, form_version=form_version, eligible=eligible,
                          findings=tuple(finding or ()), signed_by=signed_by or by)  # fmt: skip
        study.write(record, by=by)
        tell_and_exit(
            f"{code} {'may take part' if eligible else 'may NOT take part'}",
            next_of(study, code, by)[1],
            json_,
        )


@app.command()
def allocate(
    folder: Folder, by: By,
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", help="Give this participant the next place.")] = None,
    list_: Annotated[Path | None, typer.Option("--list", help="Import the trial's own list: CSV with arm, stratum.")] = None,
    blocks: Annotated[int | None, typer.Option("--blocks", help="Make a list: places a stratum, blocks of 6 and 9.")] = None,
    seed: Annotated[str | None, typer.Option("--seed", help="With --blocks: the seed; else drawn. It is kept, sealed.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="With CODE, unblinded: the target that follows.")] = None,
    from_map: Annotated[bool, typer.Option("--from-map", help="With CODE: the target that follows from arm and map.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="With --target: why this one; kept for ever.")] = "",
    json_: Json = False,
) -> None:  # fmt: skip
    """Make or import the list (unblinded), or give a participant its next place. Nobody is told the arm here."""
    from secrets import token_hex

    from rtloop.study.allocation import imported, permuted_blocks
    from rtloop.study.records import TargetChosen

    if (
        (code is not None) + (list_ is not None) + (blocks is not None) != 1
        or (seed and blocks is None)
        or ((target or from_map) and not code)
        or (target and from_map)
        or bool(target) is not bool(reason.strip())
    ):
        raise UsageProblem(
            "what to allocate is not clear", todo="say one of them",
            expected="CODE (and maybe --from-map, or --target with --reason), or --list FILE, or --blocks N (and maybe --seed)",
        )  # fmt: skip
    with opened(folder) as study:
        strata = study.state.study.strata if study.state.study else ()
        if code is not None:
            if not (target or from_map) or not _is_allocated(study, code):
                study.allocate(code, by=by)
            if from_map:
                words = study.resolve(code, by=by)
                text, told = next_of(study, code, by)
                tell_and_exit(f"{words}\n{text}", told | {"map": words}, json_)
            if target is not None:
                study.write(TargetChosen(participant=code, target=target), by=by, reason=reason)
            text, told = next_of(study, code, by)
            tell_and_exit(f"{code} is allocated\n{text}", told, json_)
        if list_ is not None:
            listed = imported(_text(list_), strata=strata)
        else:
            listed = permuted_blocks(blocks or 0, seed=seed or token_hex(16), strata=strata)
        study.write(listed, by=by)
        told = {"places": len(listed.entries), "strata": list(strata), "source": listed.source}
        tell_and_exit(
            f"an allocation list of {len(listed.entries)} places was {listed.source}; it is sealed",
            told,
            json_,
        )


def _is_allocated(study: Study, code: str) -> bool:
    return code in study.state.participants and "allocated" in study.state.participants[code].kept


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise UsageProblem(f"{path} cannot be read", expected="a CSV file, UTF-8", found=str(err)) from err


@app.command("next")
def next_(
    folder: Folder, by: By,
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", help="A participant; else all.")] = None, json_: Json = False,
) -> None:  # fmt: skip
    """What is next, when, and every reason why not today. With CODE: exit 3 when no treatment may be given today."""
    with opened(folder) as study:
        study.role_of(by)
        codes = sorted(study.state.participants) if code is None else [code]
        told = [next_of(study, c, by) for c in codes]
        refused = code is not None and bool(told[0][1]["treatment"].get("not_today"))
        data = [d for _, d in told]
        tell_and_exit(
            "\n".join(t for t, _ in told) or "nobody is enrolled",
            data[0] if code else data,
            json_,
            3 if refused else 0,
        )


@app.command()
def status(folder: Folder, by: By, json_: Json = False) -> None:
    """The study and every participant, as far as you may see it."""
    from rtloop.app.study_words import status_words
    from rtloop.study.shown import status as told_of

    with opened(folder) as study:
        told = told_of(study, by=by)
        tell_and_exit(status_words(told), told, json_)


@app.command()
def audit(folder: Folder, by: By, json_: Json = False) -> None:
    """The audit trail as far as you may see it, and whether logs and stores are whole. Exit 7 if not."""
    from rtloop.app.study_words import audit_words

    with opened(folder) as study:
        columns, rows = study.read(by=by, what="audit")[0]["entry"]
        problems = study.problems()
        data = {
            "entries": [dict(zip(columns, r, strict=True)) for r in rows],
            "problems": problems,
            "head": study.heads[0],
        }
        tell_and_exit(audit_words(problems, study.heads, columns, rows), data, json_, 7 if problems else 0)


@app.command()
def export(
    folder: Folder, by: By, out: Annotated[Path, typer.Argument(help="A new or empty folder for the CSV files.")],
    json_: Json = False,
) -> None:  # fmt: skip
    """Every table that you may read as CSV, with a data dictionary."""
    from rtloop.study.export import export as write

    with opened(folder) as study:
        files = write(study, out, by=by)
        tell_and_exit(
            f"{len(files)} files in {out}", {"folder": str(out), "files": [f.name for f in files]}, json_
        )


@app.command()
def report(
    folder: Folder, by: By,
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", help="Of this participant's course; else of the study.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The file; else a new one in the working folder.")] = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """The report of a course or of the study as one HTML file, as far as you may see it."""
    from rtloop.record.course_report import course_report
    from rtloop.record.document import write
    from rtloop.record.study_report import study_report

    with opened(folder) as study:
        if code is None:
            made, name = study_report(study, by=by), study.state.study.name if study.state.study else "study"
        else:
            next_of(study, code, by)  # refuses who is not enrolled
            made, name = course_report(study, code, by=by), code
        path = out or Path(
            f"{name}-{study.role_of(by)}-{study.today}.html".replace(" ", "-").replace("/", "-")
        )
        write(path, made)
        tell_and_exit(str(path), {"file": str(path), "head": study.heads[0]}, json_)


@app.command()
def calendar(
    folder: Folder, by: By, out: Annotated[Path, typer.Argument(help="A new file, such as trial.ics.")],
    code: Annotated[str | None, typer.Option("--participant", help="Of this participant; else of all.")] = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """What is open, with its days, as a file for other calendars (.ics): codes only."""
    from rtloop.record.document import write_new
    from rtloop.study.ics import ics
    from rtloop.study.shown import sight_of

    with opened(folder) as study:
        see = sight_of(study, by)
        codes = sorted(study.state.participants) if code is None else [code]
        for one in codes:
            next_of(study, one, by)  # refuses who is not enrolled
        people = [(c, study.state.participants[c].calendar) for c in codes]
        text = ics(study.state.study.name if study.state.study else "", people, study.course, today=study.today,
                   utc=study.clock.utc(), outcomes=see.sees("outcome"))  # fmt: skip
        write_new(out, text)
        tell_and_exit(str(out), {"file": str(out)}, json_)


@app.command()
def gather(
    folder: Folder, by: By,
    data_dir: Annotated[Path, typer.Option("--data-dir", help="Where the session folders are.")], json_: Json = False,
) -> None:  # fmt: skip
    """Take in what session folders hold and the study does not know: also after a crash. Exit 7 if one is damaged."""
    from rtloop.app.study_sessions import gather as take

    with opened(folder) as study:
        found = take(study, data_dir, by=by)
    lines = [*found.taken, *(f"PROBLEM: {p}" for p in found.problems)] or ["nothing new"]
    tell_and_exit(
        "\n".join(lines),
        {"taken": found.taken, "problems": found.problems},
        json_,
        7 if found.problems else 0,
    )


@app.command()
def rebuild(folder: Folder, json_: Json = False) -> None:
    """Make the stores again from the logs: after damage, or to be sure. Nothing is lost by it."""
    from rtloop.study.study import rebuild_in

    entries = rebuild_in(folder)
    tell_and_exit(f"made again from {entries} entries", {"entries": entries}, json_)
