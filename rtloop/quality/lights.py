"""Owns a judged number (value, unit, limits, light, reason, remedy) and the worst of several; owns no limit of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

#: worse is above or below the limits
ABOVE, BELOW = "above", "below"


class Light(StrEnum):
    """ABSENT: there is no number, and the words say why. It is never taken for GREEN."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    ABSENT = "absent"


_ORDER = (Light.ABSENT, Light.GREEN, Light.YELLOW, Light.RED)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is judged: ``limits`` are where YELLOW and (if there is a second) RED begin, exclusive; ``source`` says where
    they come from ("assumption" where nobody published one); ``todo`` what a person can do about it."""

    name: str  # with its unit as suffix
    what: str  # in words
    unit: str
    worse: str  # ABOVE or BELOW the limits
    limits: tuple[float, ...]
    source: str
    todo: str

    def judge(self, value: float, limits: tuple[float, ...] | None = None, *, more: str = "") -> Finding:
        """The finding for a value; a value that is no number is ABSENT. ``more``: words after the reason."""
        at = self.limits if limits is None else limits
        yellow, red = at[0], at[1] if len(at) > 1 else None
        if not math.isfinite(value):
            return self.absent("the number could not be computed", at)
        sign = 1.0 if self.worse == ABOVE else -1.0
        light, limit = Light.GREEN, yellow
        if not sign * value <= sign * yellow:
            light = Light.YELLOW
        if red is not None and not sign * value <= sign * red:
            light, limit = Light.RED, red
        side = "at most" if self.worse == ABOVE else "at least"
        words = f"{self.what} {spoken(value, self.unit)} ({light} light; {side} {spoken(limit, self.unit)} wanted)"
        if light is Light.GREEN:
            words = f"{self.what} {spoken(value, self.unit)} (limit {spoken(limit, self.unit)})"
        return Finding(
            name=self.name, what=self.what, value=float(value), unit=self.unit, light=light, yellow=yellow, red=red,
            worse=self.worse, words=f"{words}{f'; {more}' if more else ''}",
            todo="" if light is Light.GREEN else self.todo,
        )  # fmt: skip

    def absent(self, why: str, limits: tuple[float, ...] | None = None) -> Finding:
        """No number, and the reason."""
        at = self.limits if limits is None else limits
        return Finding(
            name=self.name, what=self.what, value=None, unit=self.unit, light=Light.ABSENT, yellow=at[0],
            red=at[1] if len(at) > 1 else None, worse=self.worse, words=f"{self.what}: none ({why})", todo="",
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One judged number. ``value`` None: no finite number (ABSENT, or RED where a trial was rejected for that); ``red``
    None: never RED; ``yellow`` None: RED only, by the chain."""

    name: str
    what: str
    value: float | None
    unit: str
    light: Light
    yellow: float | None
    red: float | None
    worse: str
    words: str
    todo: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"light": self.light.value}

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Finding:
        return cls(**{**d, "light": Light(d["light"])})


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Findings and what they come to: ``light`` is that of the worst, ``words`` are its reason."""

    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Finding | None:
        """The first of the worst that has a number; None where nothing has one."""
        known = [f for f in self.findings if f.light is not Light.ABSENT]
        return max(known, key=lambda f: _ORDER.index(f.light)) if known else None

    @property
    def light(self) -> Light:
        return Light.ABSENT if self.worst is None else self.worst.light

    @property
    def words(self) -> str:
        """The reason of the light."""
        worst = self.worst
        if worst is None:
            return "nothing could be judged"
        if worst.light is Light.GREEN:
            none = sum(f.light is Light.ABSENT for f in self.findings)
            return "all that could be judged is good" + (f"; {none} number(s) are absent" if none else "")
        return worst.words

    def __getitem__(self, name: str) -> Finding:
        """By name; KeyError if there is none."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, without NaN."""
        return {
            "light": self.light.value,
            "words": self.words,
            "findings": [f.to_dict() for f in self.findings],
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Judgement:
        return cls(findings=tuple(Finding.from_dict(f) for f in d["findings"]))


def of(findings: Iterable[Finding]) -> Judgement:
    """A judgement of these findings."""
    return Judgement(findings=tuple(findings))


def spoken(value: float, unit: str) -> str:
    """A number for reading, with its unit."""
    return f"{value:.3g} {unit}".strip() if abs(value) < 1000 else f"{value:.0f} {unit}".strip()
