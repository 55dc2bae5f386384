"""Owns what the start screen says: what lacks, is found, rehearsed, under way; owns no widget and starts nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gui.desk import Devices, Exit, Form, Rehearsed
from gui.shown import Button, Line, Start, Status, Tick, Tone
from rtloop.model.course import is_code

KINDS = {"map": "Mapping", "probe": "Probe M1", "watch": "Listen only", "treat": "Treatment"}
#: first choice of plan, of the simulated bedside and of the real one
PLANS = {"map": ("bedside", "map-200"), "probe": ("probe-m1-quick", "probe-m1"), "watch": ("watch", "watch"),
         "treat": ("treat-quick", "treat-10hz-4s")}  # fmt: skip
HUMAN_NOT = (
    "Mode HUMAN is started from a terminal, not from this window: rtloop map --mode human --plan PLAN --participant CODE "
    "(M1 alone: rtloop probe; a treatment: rtloop treat). It needs a commissioning record of unit, software and site: "
    'rtloop commission --by "YOUR NAME" makes one, rtloop doctor says whether it covers. '
    "Here: BENCH with the coil on a phantom, or listen only beside any stimulator."
)
OF_THE_STUDY = (
    "the study's calendar and allocation say which visit, plan and target; the session rehearses them, and where it may not "
    "begin it says every reason here"
)
_CODE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")
#: what an engine does one after the other, by its events
_STEPS = {
    "journal_opened": "the journal is open",
    "stream_opened": "the stream is open",
    "unit_opened": "the unit answers",
    "session_started": "the session is set",
    "preflight_checked": "the pre-flight is made",
}


@dataclass(frozen=True, kw_only=True)
class Under:
    """A start under way, or that failed: steps done so far, the pre-flight, the engine's newest words, how it ended."""

    run_id: str
    since_s: float
    steps: tuple[str, ...] = ()
    ticks: tuple[Tick, ...] = ()
    words: tuple[str, ...] = ()
    passed: bool = False
    exit: Exit | None = None

    def heard(self, kind: str, data: Mapping[str, Any]) -> Under:
        """After one event of its journal."""
        now = self
        if kind in _STEPS and _STEPS[kind] not in self.steps:
            now = replace(now, steps=(*self.steps, _STEPS[kind]))
        if kind == "preflight_checked":
            ticks = preflight_ticks(data.get("items", ()))
            now = replace(now, ticks=ticks, passed=bool(ticks) and all(t.tone is Tone.GOOD for t in ticks))
        return now


@dataclass(frozen=True, kw_only=True)
class Known:
    """All the start screen knows at one look. None: asked for, and not known yet."""

    devices: Devices | None = None
    devices_error: str = ""
    rehearsed: Rehearsed | None = None
    check_error: str = ""
    settings_error: str = ""
    under: Under | None = None
    running: tuple[str, ...] = ()


def preflight_ticks(items: Sequence[Mapping[str, Any]]) -> tuple[Tick, ...]:
    """The items of ``preflight_checked``; older journals lack ``todo``."""
    return tuple(
        Tick(
            name=str(i["name"]), expected=str(i["expected"]), found=str(i["found"]),
            tone=Tone.GOOD if i["ok"] else Tone.BAD, todo="" if i["ok"] else str(i.get("todo") or "put it right and start again"),
        )
        for i in items
    )  # fmt: skip


def mode_line(form: Form) -> Line:
    """The banner of the start screen: what would be started."""
    if form.kind == "watch":
        simulated = Line(text="LISTEN · SIMULATED", tone=Tone.ATTENTION)
        return simulated if form.simulate else Line(text="LISTEN", tone=Tone.OFF)
    if form.simulate:
        return Line(text="SIMULATED", tone=Tone.ATTENTION)
    return (
        Line(text="HUMAN", tone=Tone.BAD) if form.mode == "HUMAN" else Line(text="BENCH", tone=Tone.ATTENTION)
    )


def mode_words(form: Form) -> str:
    """What the chosen mode means, under its buttons."""
    if form.simulate:
        return "Everything is simulated: amplifier, head" + (
            "." if form.kind == "watch" else ", stimulator. Nobody is under a coil."
        )
    if form.kind == "watch":
        return "No unit is connected: nothing can be fired. Any stimulator of any make may fire; its pulses are found."
    return (
        HUMAN_NOT
        if form.mode == "HUMAN"
        else "The real unit fires. The coil lies on a phantom; nobody is under it."
    )


def problems_of(form: Form, known: Known) -> tuple[str, ...]:
    """Everything that keeps Start disabled, in the order of the form; empty: it may be pressed."""
    out = [known.settings_error] if known.settings_error else []
    if form.mode == "HUMAN" and form.kind != "watch":
        out.append(HUMAN_NOT)
    if form.participant and not _CODE.match(form.participant):
        out.append("Participant: letters, digits, - _ . only, at most 40. A code, never a name.")
    elif not form.participant and not form.simulate:
        out.append("Participant: a pseudonymous code is needed; never a name.")
    out += [
        f"{name}: there is no file {path}"
        for name, path in _files(form)
        if not Path(path).expanduser().is_file()
    ]
    out += _treatment_problems(form) if form.kind == "treat" else []
    out += _plan_problems(form, known)
    if known.devices_error:
        out.append(known.devices_error)
    elif known.devices is None:
        out.append("The devices are still being looked for.")
    else:
        out += [
            f"{t.name}: {t.found}. {_sentence(t.todo)}" for t in known.devices.ticks if t.tone is Tone.BAD
        ]
    return tuple(out)


def _files(form: Form) -> list[tuple[str, str]]:
    files = [] if form.kind == "watch" else [("Waivers", form.waivers), ("Threshold", form.threshold)]
    if form.simulate and form.kind != "treat":
        files += [("Background", form.background), ("Faults", "" if form.kind == "watch" else form.faults)]
    return [(name, path) for name, path in files if path]


def _treatment_problems(form: Form) -> list[str]:
    """What a treatment lacks before it is even rehearsed."""
    out = []
    if form.participant and _CODE.match(form.participant) and not is_code(form.participant):
        out.append("Participant: a treatment wants a code of letters and digits such as P017.")
    if form.study and not Path(form.study).expanduser().is_dir():
        out.append(f"Study: there is no folder {form.study}")
    if not form.by and (form.study or not form.simulate):
        out.append("Treated by: who treats, and signs the checklists?")
    if form.study and not form.participant:
        out.append("Participant: the study wants to know whose visit it is.")
    if not form.threshold and not form.simulate:
        out.append("Threshold: choose the file that rtloop threshold wrote for this participant.")
    return out


def _plan_problems(form: Form, known: Known) -> list[str]:
    if form.kind == "treat" and form.study:
        return []  # the study's calendar names it; the session refuses with all reasons
    if not form.plan:
        return ["Plan: choose one, or give the path of a .toml file."]
    if known.check_error:
        return [f"Plan: {known.check_error}"]
    if known.rehearsed is None:
        return ["The plan is still being rehearsed."]
    if known.rehearsed.kind and known.rehearsed.kind != form.kind:
        of = KINDS.get(known.rehearsed.kind, known.rehearsed.kind)
        return [
            f"Plan: it is a plan for “{of}”, not for “{KINDS[form.kind]}”. Choose another plan or another kind of session."
        ]
    return [f"Plan: {breach}" for breach in known.rehearsed.problems]


def in_short(problems: Sequence[str]) -> list[str]:
    """The reasons as they stand beside the button: first lines, several breaches of the plan as one."""
    plan = [p for p in problems if p.startswith("Plan: ")]
    short = [p.splitlines()[0] for p in problems if len(plan) < 2 or p not in plan]
    return short if len(plan) < 2 else [*short, f"The plan breaks {len(plan)} rules, listed above."]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("." if text and text[-1] not in ".!?" else "")


def plan_lines(known: Known) -> tuple[Line, ...]:
    """The rehearsal in words, every breach with its step and citation."""
    if known.check_error:
        return (Line(text=known.check_error, tone=Tone.BAD),)
    if known.rehearsed is None:
        return (Line(text="being rehearsed …", tone=Tone.OFF),)
    breaches = tuple(Line(text=p, tone=Tone.BAD) for p in known.rehearsed.problems)
    good = () if breaches else (Line(text="it breaks no rule", tone=Tone.GOOD),)
    return known.rehearsed.words + breaches + good


def device_ticks(known: Known) -> tuple[Tick, ...]:
    """Found against expected, or why that is not known."""
    if known.devices is not None:
        return known.devices.ticks
    if known.devices_error:
        return (
            Tick(
                name="devices",
                expected="an answer",
                found=known.devices_error,
                tone=Tone.BAD,
                todo="look again (F5)",
            ),
        )
    return (Tick(name="devices", expected="", found="being looked for …", tone=Tone.OFF),)


def start_shown(form: Form, known: Known, now_s: float) -> Start:
    """Everything on the start screen but the form's own fields."""
    problems = problems_of(form, known)
    under = known.under
    starting = under is not None and under.exit is None
    text = f"Start {KINDS[form.kind].lower()}" + (" (simulated)" if form.simulate else "")
    why = "It is being started." if starting else next(iter(problems), "")
    button = Button(
        word="start",
        text="Starting …" if starting else text,
        key="Ctrl+Return",
        enabled=not why,
        why_not=why,
        primary=True,
    )
    words = (Line(text=OF_THE_STUDY),) if form.kind == "treat" and form.study else plan_lines(known)
    return Start(
        banner=mode_line(form), status=_status(form, problems, under, now_s), devices=device_ticks(known),
        preflight=() if under is None else under.ticks, plan_words=words, problems=problems, start=button,
        running=known.running,
    )  # fmt: skip


def _status(form: Form, problems: tuple[str, ...], under: Under | None, now_s: float) -> Status:
    if under is not None and under.exit is not None:
        return _ended(under, under.exit)
    if under is not None:
        doing = under.steps[-1] if under.steps else "the engine begins"
        last = under.words[-1] if under.words else ""
        return Status(
            tone=Tone.PLAIN, what=f"Starting: {doing} ({max(0.0, now_s - under.since_s):.0f} s)",
            todo=last or "wait a few seconds",
        )  # fmt: skip
    if problems:
        waiting = all("still being" in p for p in problems)
        return Status(
            tone=Tone.PLAIN if waiting else Tone.ATTENTION, more=problems[1:],
            what=problems[0] if waiting else f"Before it can start: {problems[0]}",
        )  # fmt: skip
    return Status(
        tone=Tone.GOOD, what=f"Ready to start: {KINDS[form.kind]}", todo="press Start (Ctrl+Return)"
    )


def _ended(under: Under, end: Exit) -> Status:
    wrong = [t for t in under.ticks if t.tone is not Tone.GOOD]
    if wrong:
        return Status(
            tone=Tone.BAD, what=f"The pre-flight did not pass: {wrong[0].name}: {wrong[0].found}",
            todo=f"{wrong[0].todo}; then press Start again", more=tuple(f"{t.name}: {t.found}; {t.todo}" for t in wrong[1:]),
        )  # fmt: skip
    words = end.words or (f"the engine ended with code {end.code} and said nothing",)
    todo = next(
        (w.removeprefix("what to do: ") for w in words if w.startswith("what to do: ")),
        "mend it and press Start again",
    )
    rest = tuple(w for w in words[1:] if not w.startswith("what to do: "))
    return Status(tone=Tone.BAD, what=f"The session did not start: {words[0]}", todo=todo, more=rest)
