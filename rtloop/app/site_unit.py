"""Owns what a site file says of its stimulator (``[unit]`` and its tables), what of that cannot be, and what the driver takes
of it; opens nothing and reads no file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rtloop.errors import RtloopError, ValidationProblem
from rtloop.plan.problems import Problem

if TYPE_CHECKING:
    from drivers.trigger import OutputSetting

MODELS = ("200", "bistim", "rapid", "super-rapid", "super-rapid-plus")
SUPPLY_V = 240
Text = Annotated[str, Field(min_length=1, max_length=200)]
_Byte = Annotated[int, Field(ge=0, le=255)]


class Table(BaseModel):
    """A table of the site file: no unknown key, no conversion, frozen."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class OutputAt(Table):
    """``[unit.trigger]``: a line on a port of its own that fires the unit (``drivers.trigger``), by RTS or by a byte to a box."""

    port: Text
    by: Literal["rts", "byte"] = "rts"
    high_byte: _Byte = 0x01
    low_byte: _Byte = 0x00

    def words(self, port: str) -> str:
        """The line in words; ``port``: how its port is called."""
        how = "RTS" if self.by == "rts" else f"byte {self.high_byte} high, {self.low_byte} low,"
        return f"{how} on {port}"


class StopAt(OutputAt):
    """``[unit.stop_line]``: a line to the unit's STOP input (``drivers.stop_line``); ``level``: the one that stops."""

    level: Literal["low", "high"] = "low"

    def words(self, port: str) -> str:
        return f"{super().words(port)}, {self.level} stops"


class SiteUnit(Table):
    """``[unit]``: the stimulator of the site. ``port`` None: none is connected.

    Of a Rapid² only: ``supply_v``; ``unlock_code``, needed from software 9 and nowhere printed; ``software_at_least``
    refuses an older unit.
    """

    model: Annotated[str, Field(pattern=rf"^({'|'.join(MODELS)})$")] = "200"
    port: Text | None = None
    supply_v: Literal[115, 240] = 240
    unlock_code: Annotated[str, Field(max_length=40)] = ""
    software_at_least: Annotated[tuple[int, ...], Field(max_length=4)] = ()
    trigger: OutputAt | None = None
    stop_line: StopAt | None = None

    @property
    def lines(self) -> dict[str, OutputAt]:
        """The output lines that there are, by the name of their table."""
        both = {"trigger": self.trigger, "stop_line": self.stop_line}
        return {name: line for name, line in both.items() if line is not None}

    @property
    def lines_words(self) -> str:
        """How the unit is fired and stopped beside its own line; "" when by nothing else."""
        called = {"trigger": "trigger line", "stop_line": "STOP line"}
        return "; ".join(f"{called[name]}: {line.words(line.port)}" for name, line in self.lines.items())


def driver_options(unit: SiteUnit) -> dict[str, Any]:
    """What the driver needs to know of a real unit beside model and port (``drivers.requests.Options``).

    ValidationProblem where an output line cannot be.
    """
    found: dict[str, Any] = {name: _output(line) for name, line in unit.lines.items()}
    if unit.stop_line is not None:
        found["stop_level"] = unit.stop_line.level
    if "rapid" in unit.model:
        found |= {
            "supply_v": unit.supply_v, "unlock_code": unit.unlock_code, "software_at_least": unit.software_at_least,
        }  # fmt: skip
    return found


def simulated_options(model: str) -> dict[str, Any]:
    """The same of a simulated unit: a Rapid² wants the code that it is known to want."""
    from hardware_sim.magstim import UNLOCK_CODE

    return {"unlock_code": UNLOCK_CODE} if "rapid" in model else {}


def simulated_in_place_of(unit: SiteUnit, model: str) -> tuple[SiteUnit, str]:
    """A simulated unit of this model instead: nothing that the site file says of the real one holds for it. And that in words."""
    if model not in MODELS:
        raise ValidationProblem(
            "the unit is not supported", expected=f"one of {', '.join(MODELS)}", found=repr(model), todo="use one of these"
        )  # fmt: skip
    left = [] if model == unit.model else [f"a {model} is simulated, not the site's {unit.model}"]
    left += [f"not used with a simulated unit: {unit.lines_words}"] if unit.lines else []
    return SiteUnit(model=model), "; ".join(left)


def wrong_unit(unit: SiteUnit) -> list[Problem]:
    """Everything in it that contradicts the model or itself, and that would else be dropped in silence."""
    wrong: list[Problem] = []
    broken: list[Problem] = []
    only_rapid = {
        "supply_v": unit.supply_v != SUPPLY_V, "unlock_code": bool(unit.unlock_code),
        "software_at_least": bool(unit.software_at_least),
    }  # fmt: skip
    for name, said in only_rapid.items():
        if said and "rapid" not in unit.model:
            wrong.append(
                Problem(
                    where=f"unit.{name}", what="only a Rapid² has this", expected=f"nothing, for the model {unit.model}",
                    found="it is set", todo="take it out, or correct the model",
                )
            )  # fmt: skip
    for name, line in unit.lines.items():
        if line.by == "rts" and (named := sorted(line.model_fields_set & {"high_byte", "low_byte"})):
            wrong.append(
                Problem(
                    where=f"unit.{name}", what="RTS takes no bytes", expected='by = "byte", or no bytes',
                    found=", ".join(named), todo="take them out, or correct by",
                )
            )  # fmt: skip
        try:
            _output(line)
        except ValidationProblem as no:
            broken.append(
                Problem(where=f"unit.{name}", what=no.what, found=no.found, todo="correct the line")
            )
    if not broken and (unit.lines or any(only_rapid.values())):
        from drivers.refusals import (
            wrong_options,
        )  # a STOP from another terminal must not wait for its imports
        from drivers.requests import Options

        try:
            wrong_options(unit.model, Options(**driver_options(unit)), port=unit.port)
        except RtloopError as no:
            broken.append(Problem(where="unit", what=no.what, found=no.found, todo="correct the unit"))
    return wrong + broken


def _output(line: OutputAt) -> OutputSetting:
    from drivers.trigger import OutputSetting

    return OutputSetting(port=line.port, by=line.by, high_byte=line.high_byte, low_byte=line.low_byte)
