"""Owns the way from the start screen's form to the command line of an engine; starts nothing."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path

from gui.desk import Form
from rtloop.model.threshold import SIMULATED_PCT_MSO
from rtloop.plan.problems import parse_toml

#: form field -> option of the command line; those of the simulated bedside are given only to it
OPTIONS = {
    "stream": "--stream", "source_id": "--source-id", "markers": "--markers", "unit": "--unit", "port": "--port",
    "data_dir": "--data-dir",
}  # fmt: skip
_SIMULATED = {
    "scene": "--scene", "seed": "--seed", "channels": "--channels", "rate_hz": "--rate-hz",
    "background": "--background", "faults": "--faults",
}  # fmt: skip
#: of a treatment, whose simulated bedside knows a seed only
_TREAT = {
    "participant": "--participant", "target": "--target", "threshold": "--threshold", "by": "--by", "study": "--study",
    "waivers": "--waivers", "data_dir": "--data-dir",
}  # fmt: skip
_PATHS = ("data_dir", "background", "faults", "threshold", "study", "waivers")
_OF_A_UNIT = ("--unit", "--port", "--faults", "--mode", "--waivers")


def engine_command(form: Form, run_id: str) -> list[str]:
    """The command of an engine that is answered by a window, after ``rtloop``."""
    if form.kind == "treat":
        return _treat_command(form, run_id)
    command = [form.kind, "--window", "--run-id", run_id, "--json"]
    if form.plan:
        command += ["--plan", given(form.plan)]
    if form.participant:
        command += ["--participant", form.participant]
    options = given_options(form, OPTIONS)
    if form.simulate:
        options += ["--simulate", *given_options(form, _SIMULATED)]
    if form.mode:
        options += ["--mode", form.mode.lower()]
    if form.waivers:
        options += ["--waivers", full_path(form.waivers)]
    if form.kind == "watch":  # it knows no unit and no mode
        kept: list[str] = []
        for name, value in _pairs(options):
            kept += [] if name in _OF_A_UNIT else [name, *value]
        options = kept
    return command + options


def _treat_command(form: Form, run_id: str) -> list[str]:
    plan = [given(form.plan)] if form.plan and not form.study else []
    command = ["treat", *plan, "--window", "--run-id", run_id, "--json", *given_options(form, _TREAT)]
    if form.simulate:
        command += ["--simulate", *given_options(form, {"seed": "--seed"})]
    else:
        command += [
            *given_options(form, {"stream": "--stream", "port": "--port"}),
            "--mode",
            form.mode.lower() or "bench",
        ]
    return [*command, "--resume"] if form.resume else command


def treatment_check(form: Form) -> list[str]:
    """The command that rehearses the form's treatment, after ``rtloop``; simulated without a file: by the assumed threshold."""
    options = {"target": "--target", "threshold": "--threshold", "waivers": "--waivers"}
    rmt = ["--rmt", str(SIMULATED_PCT_MSO)] if form.simulate and not form.threshold else []
    mode = "simulated" if form.simulate else form.mode.lower() or "bench"
    return ["check", given(form.plan), *given_options(form, options), *rmt, "--mode", mode, "--json"]


def _pairs(options: list[str]) -> list[tuple[str, list[str]]]:
    out: list[tuple[str, list[str]]] = []
    for part in options:
        if part.startswith("--"):
            out.append((part, []))
        else:
            out[-1][1].append(part)
    return out


def given_options(form: Form, options: dict[str, str]) -> list[str]:
    """Options of the filled-in fields; paths in full."""
    out: list[str] = []
    for name, option in options.items():
        value = getattr(form, name)
        if value not in ("", None):
            text = f"{value:g}" if isinstance(value, float) else str(value)
            out += [option, full_path(text) if name in _PATHS else text]
    return out


def full_path(text: str) -> str:
    """A path as an engine needs it, which does not know where the window stands."""
    return str(Path(text).expanduser().resolve())


def given(plan: str) -> str:
    """A plan as the command line takes it: a name of the library as it is, a path in full."""
    path = Path(plan).expanduser()
    return str(path.resolve()) if path.suffix == ".toml" or path.name != plan else plan


@lru_cache(maxsize=1)
def library_kinds() -> tuple[tuple[str, str], ...]:
    """(name, kind) of the plans that ship."""
    folder = resources.files("rtloop.plan") / "library"
    out = []
    files = [
        f for place in (folder, folder / "treatment") for f in place.iterdir() if f.name.endswith(".toml")
    ]
    for file in sorted(files, key=lambda f: f.name):
        name = file.name.removesuffix(".toml")
        out.append((name, str(parse_toml("plan", name, file.read_bytes())["plan"]["kind"])))
    return tuple(out)
