"""Owns the site file: where it is looked for, which source wins for each key, what it says; connects nothing.

No network address and no participant data belong here. Per key: command line, then environment
(RTLOOP_SITE_<KEY>, dots as underscores), then site file, then built-in default. The file is the first of:
--site, the environment variable RTLOOP_SITE, ./rtloop.toml, rtloop.toml in the user's configuration folder;
none is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from rtloop.app.site_unit import MODELS, SiteUnit, Table, Text, simulated_in_place_of, wrong_unit
from rtloop.errors import ValidationProblem
from rtloop.model.status import Mode
from rtloop.plan.problems import Problem, as_tuples, from_pydantic, read_toml, refuse

if TYPE_CHECKING:
    from rtloop.safety.limits import Limits

FILE_NAME = "rtloop.toml"
ENV_FILE = "RTLOOP_SITE"
ENV_KEY = "RTLOOP_SITE_"


class Stream(Table):
    """``[stream]``: the EEG stream that is expected. None: not checked."""

    name: Text | None = None
    source_id: Text | None = None
    rate_hz: Annotated[float, Field(ge=1000, le=25000)] | None = None  # SCIENCE section 1
    channels: Annotated[tuple[Text, ...], Field(min_length=1, max_length=512)] | None = None
    trigger_channel: Text | None = None


class Markers(Table):
    """``[markers]``: the marker stream. None: no marker stream is used."""

    name: Text | None = None


class Commissioning(Table):
    """``[commissioning]``: for how long a record of ``rtloop commission`` is good here. A site may only shorten it."""

    valid_days: Annotated[float, Field(gt=0, le=365)] = 365.0


class Loopback(Table):
    """``[loopback]``: the delay from fire command to pulse in the EEG that is expected here, ms, and how far it may lie off.

    The median of the ``newest`` pulses is compared, and each pulse by itself with ``single_off_ms``. ``expected_ms`` None: as
    commissioned, else what a session's own first ``newest`` pulses take. A band of more than 20 ms (100 ms for one pulse), or
    of more than 20 pulses, would find nothing in time.
    """

    expected_ms: Annotated[float, Field(ge=0, le=500)] | None = None
    off_ms: Annotated[float, Field(gt=0, le=20)] = 5.0
    single_off_ms: Annotated[float, Field(gt=0, le=100)] = 20.0
    newest: Annotated[int, Field(ge=1, le=20)] = 5

    @field_validator("single_off_ms")
    @classmethod
    def _no_narrower(cls, single_off_ms: float, info: ValidationInfo) -> float:
        off_ms = info.data.get("off_ms", 0.0)
        if not single_off_ms >= off_ms:
            raise ValueError(
                f"expected at least off_ms ({off_ms:g} ms): one pulse scatters more than a median"
            )
        return single_off_ms


class Verified(Table):
    """``[verified]``: which limits a person of this site has checked against their source, by name, and who and when.

    ``limits`` names rows as ``rtloop doctor`` lists them; a row that changes its name or is new is not covered.
    """

    by: Text
    on: Text
    limits: Annotated[tuple[Text, ...], Field(min_length=1, max_length=1000)]


class Site(Table):
    """Everything a site says. ``caps`` may only tighten the published limits, by their names."""

    mode: Annotated[Mode, Field(strict=False)] = Mode.SIMULATED
    data_dir: Text = ""
    stream: Stream = Stream()
    markers: Markers = Markers()
    unit: SiteUnit = SiteUnit()
    commissioning: Commissioning = Commissioning()
    loopback: Loopback = Loopback()
    verified: Verified | None = None
    caps: dict[str, float] = Field(default_factory=dict)
    _origin: dict[str, str] = PrivateAttr(default_factory=dict)
    _file: str = PrivateAttr(default="")

    @property
    def origin(self) -> Mapping[str, str]:
        """Dotted key -> where its value comes from, in words."""
        return dict(self._origin)

    @property
    def file(self) -> str:
        """Path of the site file, empty when there is none."""
        return self._file

    def limits(self) -> Limits:
        """The published limits, tightened by the caps of this site, with the rows that it has verified."""
        from rtloop.safety.limits import confirmed, load_limits

        limits = load_limits(self.caps)
        return limits if self.verified is None else confirmed(limits, self.verified.limits)


#: dotted key -> how its text (environment, command line) is read
_READ: dict[str, str] = {
    "mode": "text",
    "data_dir": "text",
    "stream.name": "text",
    "stream.source_id": "text",
    "stream.rate_hz": "number",
    "stream.channels": "list",
    "stream.trigger_channel": "text",
    "markers.name": "text",
    "unit.model": "text",
    "unit.port": "text",
    "commissioning.valid_days": "number",
    "loopback.expected_ms": "number",
    "loopback.off_ms": "number",
    "loopback.single_off_ms": "number",
    "loopback.newest": "whole",
}
KEYS = tuple(_READ)
#: keys whose value is one line of text
TEXT_KEYS = tuple(k for k, kind in _READ.items() if kind == "text")


def user_config_dir(environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> Path:
    """Where the platform keeps a user's settings of a program."""
    env = os.environ if environ is None else environ
    home = Path(env.get("HOME") or env.get("USERPROFILE") or Path.home())
    if platform == "win32":
        return Path(env.get("APPDATA") or home / "AppData" / "Roaming") / "rtloop"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "rtloop"
    return Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "rtloop"


def user_data_dir(environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> Path:
    """Where the platform keeps what a program records for a user: the default of ``data_dir``."""
    env = os.environ if environ is None else environ
    home = Path(env.get("HOME") or env.get("USERPROFILE") or Path.home())
    if platform == "win32":
        return Path(env.get("LOCALAPPDATA") or home / "AppData" / "Local") / "rtloop" / "data"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "rtloop" / "data"
    return Path(env.get("XDG_DATA_HOME") or home / ".local" / "share") / "rtloop"


def find_file(
    site: str | Path | None,
    environ: Mapping[str, str],
    cwd: Path,
    config_dir: Path,
) -> tuple[Path, str] | None:
    """The site file and how it was found, or None; a file that was named and is not there is a problem."""
    named = [(site, "--site"), (environ.get(ENV_FILE) or None, ENV_FILE)]
    for value, how in named:
        if value is not None:
            path = Path(value).expanduser()
            path = path if path.is_absolute() else cwd / path
            if not path.is_file():
                raise ValidationProblem(
                    f"the site file named by {how} is not there", expected="a readable TOML file",
                    found=str(path), todo=f"correct {how} or leave it out",
                )  # fmt: skip
            return path, how
    for path, how in (
        (cwd / FILE_NAME, "working folder"),
        (config_dir / FILE_NAME, "user configuration folder"),
    ):
        if path.is_file():
            return path, how
    return None


def load_site(
    site: str | Path | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    config_dir: Path | None = None,
) -> Site:
    """The settings of this site, all problems at once (``FileProblem``, a ``ValidationProblem``).

    ``site`` is the path of --site; ``overrides`` are the command line's values by dotted key, such as
    "stream.name" (a None is left out). ``environ``, ``cwd`` and ``config_dir`` default to the process's own.
    """
    env = os.environ if environ is None else environ
    found = find_file(site, env, cwd or Path.cwd(), config_dir or user_config_dir(env))
    problems: list[Problem] = []
    tree: dict[str, Any] = {}
    origin = dict.fromkeys(KEYS, "built-in default")
    if found is not None:
        tree = as_tuples(read_toml("site file", found[0])[0])
        origin.update(dict.fromkeys(_dotted(tree), f"{found[0]} ({found[1]})"))
        if isinstance(tree.get("data_dir"), str) and tree["data_dir"]:
            tree["data_dir"] = str(found[0].parent / Path(tree["data_dir"]).expanduser())
    for key, value, source in _others(env, overrides or {}, problems):
        if not _put(tree, key, value):
            continue  # the file has something else than a table there: told below
        origin[key] = source
    if "data_dir" not in tree:
        tree["data_dir"] = str(user_data_dir(env))
    made: Site | None = None
    try:
        made = Site.model_validate(tree)
    except ValidationError as wrong:
        problems += [_told(p, origin) for p in from_pydantic(wrong, (), _SPECIAL)]
    problems += _caps(tree.get("caps"), origin)
    problems += [] if made is None else wrong_unit(made.unit)
    if made is not None and made.verified is not None and not problems:
        problems += _names_of_limits(made)
    if problems or made is None:
        raise refuse(
            "site file" if found else "site settings", str(found[0]) if found else "(no file)", problems
        )
    made._origin.update({k: v for k, v in origin.items() if k in KEYS or k.startswith(("caps.", "unit."))})
    made._file = str(found[0]) if found else ""
    return made


_SPECIAL = {
    "mode": ("the mode is not known", f"one of {', '.join(Mode)}", "write one of the modes"),
    "unit.model": (
        "the unit is not supported",
        f"one of {', '.join(MODELS)} (200: Magstim 200²)",
        "use a supported unit",
    ),
}


def _others(
    env: Mapping[str, str], overrides: Mapping[str, Any], problems: list[Problem]
) -> list[tuple[str, Any, str]]:
    """(key, value, source) of the environment, then of the command line: the later one wins."""
    by_name = {ENV_KEY + k.replace(".", "_").upper(): k for k in KEYS}
    out: list[tuple[str, Any, str]] = []
    for name in sorted(n for n in env if n.upper().startswith(ENV_KEY)):
        key = by_name.get(name.upper())
        if key is None:
            problems.append(_unknown(name, "the environment variable is not known", ", ".join(by_name)))
        else:
            out.append((key, _read(key, env[name]), f"environment variable {name}"))
    for key, value in overrides.items():
        if key not in _READ:
            problems.append(_unknown(key, "the setting is not known", ", ".join(KEYS)))
        elif value is not None:
            out.append((key, _read(key, value), "command line"))
    return out


def _unknown(name: str, what: str, known: str) -> Problem:
    return Problem(
        where=name, what=what, expected=f"one of {known}", found=name, todo="remove it or correct its name"
    )


def _read(key: str, value: Any) -> Any:
    """Text of the environment or the command line as the kind of value that a file would hold."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, str) and _READ[key] in ("number", "whole"):
        try:
            return float(value) if _READ[key] == "number" else int(value)
        except ValueError:
            return value  # refused in words by the schema
    if isinstance(value, str) and _READ[key] == "list":
        return tuple(part.strip() for part in value.split(","))
    return as_tuples(value)


def _put(tree: dict[str, Any], key: str, value: Any) -> bool:
    *tables, last = key.split(".")
    for name in tables:
        inner = tree.setdefault(name, {})
        if not isinstance(inner, dict):
            return False
        tree = inner
    tree[last] = value
    return True


def _dotted(tree: Mapping[str, Any], before: str = "") -> list[str]:
    out: list[str] = []
    for key, value in tree.items():
        out += _dotted(value, f"{before}{key}.") if isinstance(value, dict) else [before + key]
    return out


def _told(problem: Problem, origin: Mapping[str, str]) -> Problem:
    """The problem, with the source of the bad value where that is not the file."""
    key = problem.where.split("[")[0]
    source = origin.get(key, "")
    if source.startswith(("environment", "command")):
        return Problem(
            where=problem.where, what=problem.what, expected=problem.expected,
            found=f"{problem.found} ({source})", todo=problem.todo,
        )  # fmt: skip
    return problem


def _caps(caps: Any, origin: Mapping[str, str]) -> list[Problem]:
    """Caps are held against the published limits now, not at the first pulse."""
    from rtloop.safety.limits import load_limits

    if not isinstance(caps, dict) or not all(type(v) in (int, float) for v in caps.values()):
        return []  # none, or already told
    caps = {k: v if abs(v) < 1e9 else float("inf") for k, v in caps.items()}  # no limit is of that size
    try:
        load_limits(caps)
    except ValidationProblem as wrong:
        return [
            Problem(
                where="caps", what=wrong.what, expected=wrong.expected, found=wrong.found, todo=wrong.todo
            )
        ]
    return []


def _names_of_limits(site: Site) -> list[Problem]:
    """A name that is no limit verifies nothing, and is told."""
    try:
        site.limits()
    except ValidationProblem as wrong:
        told = {"expected": wrong.expected, "found": wrong.found, "todo": wrong.todo or "correct the name"}
        return [Problem(where="verified.limits", what=wrong.what, **told)]
    return []


def simulated_at(site: Site, model: str) -> tuple[Site, str]:
    """The site with a simulated unit of this model in place of its own; and in words in what that is not the site's."""
    unit, unlike = simulated_in_place_of(site.unit, model)
    return site.model_copy(update={"unit": unit}), unlike


def show(site: Site) -> str:
    """Every key, its value and where the value comes from, a line each."""
    keys = (*KEYS, *sorted(k for k in site.origin if k.startswith("unit.") and k not in KEYS))
    values = {key: _value(site, key) for key in keys} | {f"caps.{k}": v for k, v in sorted(site.caps.items())}
    width = max(map(len, values))
    head = f"site file: {site.file or 'none found'}"
    lines = [f"{k:<{width}} = {_shown(v)}  # {site.origin.get(k, 'made in code')}" for k, v in values.items()]
    return "\n".join([head, *lines])


def _value(site: Site, key: str) -> Any:
    if key == "unit.unlock_code":
        return "(set)" if site.unit.unlock_code else ""
    value: Any = site
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _shown(value: Any) -> str:
    if value is None:
        return "(not set)"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
