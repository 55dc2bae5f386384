"""Owns the way from the start screen's form to the command line of an engine; starts nothing."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path

from gui.desk import Form
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
_OF_A_UNIT = ("--unit", "--port", "--faults", "--mode", "--waivers")


def engine_command(form: Form, run_id: str) -> list[str]:
    """The command of an engine that is answered by a window, after ``rtloop``."""
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
            out += [option, full_path(text) if name in ("data_dir", "background", "faults") else text]
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
    for file in sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name):
        name = file.name.removesuffix(".toml")
        out.append((name, str(parse_toml("plan", name, file.read_bytes())["plan"]["kind"])))
    return tuple(out)
