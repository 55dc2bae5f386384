"""Owns the value of a motor threshold: what was found, of whom, with what, when, and what may follow from it; owns no method
of finding one and no file.

A threshold holds for one participant, unit, coil, waveform and current direction, and for some days (Rossi 2021,
10.1016/j.clinph.2020.10.003; the age is a limit of the site). One that was seen as a twitch and not measured by EMG runs
about 11 % high (Westin 2014, 10.1016/j.clinph.2013.06.187) and sets no intensity here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from rtloop.errors import ValidationProblem
from rtloop.model.pulse import finite
from rtloop.model.status import Mode

#: of the written form; raised when a field changes its meaning
SCHEMA = 1
#: [A] how long a threshold holds where no limit of a site is at hand (rtloop/safety/limits.toml has the same)
MAX_AGE_DAYS = 7.0
#: the threshold of a simulated person that nobody measured, % MSO
SIMULATED_PCT_MSO = 50


class ToldBy(StrEnum):
    """How a response was told."""

    EMG = "EMG"
    VISUAL = "visual"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One pulse that counts: its power, whole % of maximum output, and whether the muscle answered."""

    pct_mso: int
    response: bool

    def __post_init__(self) -> None:
        if type(self.pct_mso) is not int or not 1 <= self.pct_mso <= 100 or type(self.response) is not bool:
            raise ValidationProblem(
                "this is no answer to a pulse", expected="a whole % of maximum output, 1 to 100, and yes or no",
                found=f"{self.pct_mso!r}, {self.response!r}",
            )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Rig:
    """What a threshold is bound to besides the person. ``unit_serial`` "" where nobody knows it."""

    unit_model: str
    coil: str
    waveform: str
    current_direction: str
    unit_serial: str = ""

    @property
    def waveform_words(self) -> str:
        """Waveform and current direction in one text, as plans and the gate have them."""
        return f"{self.waveform}, {self.current_direction}" if self.current_direction else self.waveform


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A resting motor threshold. Everything that follows from it follows from ``pct_mso``, the whole % nearest to the estimate
    (a half goes down): ``rtloop.plan.dose`` and the gate each make intensities of it, rounded down.

    ``low_pct_mso`` and ``high_pct_mso``: the 95 % interval, None where the pulses do not bound that side. ``settings``: the
    numbers of the method. ``answers``: the pulses that counted, in order; ``pulses_given``: with those that did not.
    ``mode``: in which it was taken; one of a simulation or a phantom says nothing of a person.
    ValidationProblem with everything that is wrong.
    """

    participant: str
    pct_mso: int
    estimate_pct_mso: float
    low_pct_mso: float | None
    high_pct_mso: float | None
    method: str
    told_by: ToldBy
    criterion: str  # what counted as a response, in words
    muscle: str
    made_utc: str
    mode: Mode
    rig: Rig
    cap_on: bool
    answers: tuple[Answer, ...]
    pulses_given: int
    ended: str  # why the method ended, in words
    software: str
    session: str  # folder of the session that took it, "" where none did
    settings: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wrong = _wrong(self)
        if wrong:
            raise ValidationProblem(
                "this is no motor threshold", expected="a whole value of everything", found="; ".join(wrong),
                todo="take it again with rtloop threshold",
            )  # fmt: skip

    @property
    def day(self) -> str:
        """The UTC day on which it was taken, YYYY-MM-DD."""
        return self.made_utc[:10]

    def words(self) -> str:
        """One line for people."""
        sides = [
            "open" if x is None else f"{x:.1f}" for x in (self.low_pct_mso, self.high_pct_mso)
        ]  # where the pulses bound nothing
        return (
            f"{self.pct_mso} % of maximum output (95 %: {sides[0]} to {sides[1]}), {self.participant}, {self.day}, "
            f"{self.method} by {self.told_by}, {self.rig.unit_model}, {self.rig.coil}, {self.rig.waveform_words}, "
            f"cap {'on' if self.cap_on else 'off'}, {self.pulses_given} pulses, {self.mode}"
        )

    def data(self) -> dict[str, Any]:
        """JSON values only; ``Threshold.of`` reads them."""
        plain = {
            "told_by": str(self.told_by),
            "mode": str(self.mode),
            "answers": [asdict(a) for a in self.answers],
        }
        return {"schema": SCHEMA, **asdict(self), **plain}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Threshold:
        """From ``data()``; ValidationProblem for anything else, also for a form of another version."""
        try:
            kept = dict(data)
            if (schema := kept.pop("schema")) != SCHEMA:
                raise ValueError(f"it is of form {schema!r}, this version of rtloop reads {SCHEMA}")
            if unknown := sorted(set(kept) - {f.name for f in fields(cls)}):
                raise ValueError(f"unknown: {', '.join(unknown)}")
            kept |= {
                "rig": Rig(**kept["rig"]), "answers": tuple(Answer(**a) for a in kept["answers"]), "mode": Mode(kept["mode"]),
                "told_by": ToldBy(kept["told_by"]), "settings": dict(kept["settings"]),
            }  # fmt: skip
            return cls(**kept)
        except (KeyError, TypeError, ValueError) as err:
            raise ValidationProblem(
                "this is no motor threshold", expected="the fields that rtloop threshold writes",
                found=f"{type(err).__name__}: {err}", todo="take it again with rtloop threshold",
            ) from err  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Use:
    """What a threshold is to be used for: who sits there, with what, on which UTC day; in which mode.

    ``max_age_days``: of the site's limits. ``cap_on`` None: not asked. An empty ``unit_serial`` on either side is not compared.
    """

    participant: str
    rig: Rig
    today: str
    mode: Mode
    max_age_days: float = MAX_AGE_DAYS
    cap_on: bool | None = None


def unfit(threshold: Threshold, use: Use) -> tuple[str, ...]:
    """Every reason why no intensity may follow from ``threshold`` for this use, each with expected and found; () where none."""
    t, no = threshold, []

    def held(what: str, taken: str, now: str) -> None:
        if taken != now or not now:
            no.append(f"{what}: expected {now or 'it to be known'}, found {taken or 'nothing'}")

    held("participant", t.participant, use.participant)
    held("unit", t.rig.unit_model, use.rig.unit_model)
    if t.rig.unit_serial and use.rig.unit_serial:
        held("the unit's serial number", t.rig.unit_serial, use.rig.unit_serial)
    held("coil", t.rig.coil, use.rig.coil)
    held("waveform", t.rig.waveform, use.rig.waveform)
    held("current direction", t.rig.current_direction, use.rig.current_direction)
    if t.told_by is not ToldBy.EMG:
        no.append("told by: expected EMG, found a visible twitch, which runs about 11 % high")
    if use.mode is Mode.HUMAN and t.mode is not Mode.HUMAN:
        no.append(f"taken in: expected {Mode.HUMAN}, found {t.mode}, which says nothing of a person")
    if use.cap_on is not None and t.cap_on is not use.cap_on:
        no.append(f"EEG cap: expected {'on' if use.cap_on else 'off'}, found {'on' if t.cap_on else 'off'}")
    try:
        age_days: float = (date.fromisoformat(use.today) - date.fromisoformat(t.day)).days
    except ValueError:
        age_days = math.nan
    if not -1 <= age_days <= finite(use.max_age_days):  # -1: a local date may be one ahead of UTC
        no.append(
            f"age: expected at most {use.max_age_days:g} days, found {t.day}, today {use.today or 'unknown'}"
        )
    return tuple(no)


def fit(threshold: Threshold, use: Use) -> Threshold:
    """The threshold, where intensities may follow from it; ValidationProblem with all reasons at once where not."""
    if no := unfit(threshold, use):
        raise ValidationProblem(
            "the motor threshold cannot be used", expected="a fresh EMG threshold of exactly this participant and set-up",
            found="; ".join(no), todo="take it again with what is used today: rtloop threshold",
        )  # fmt: skip
    return threshold


def whole(estimate_pct_mso: float) -> int:
    """The whole % nearest to an estimate; a half goes down, to the weaker side. ValueError for no number."""
    return math.ceil(finite(estimate_pct_mso) - 0.5)


def _wrong(t: Threshold) -> list[str]:
    texts = {n: getattr(t, n) for n in ("participant", "method", "criterion", "muscle", "software")}
    texts |= {"unit": t.rig.unit_model, "coil": t.rig.coil, "waveform": t.rig.waveform}
    texts |= {"current direction": t.rig.current_direction}
    wrong = [
        f"{name} is text, not {v!r}" for name, v in texts.items() if not (isinstance(v, str) and v.strip())
    ]
    may_be_empty = {"serial number": t.rig.unit_serial, "session": t.session, "ended": t.ended}
    wrong += [f"{name} is text, not {v!r}" for name, v in may_be_empty.items() if not isinstance(v, str)]
    if not (type(t.pct_mso) is int and 1 <= t.pct_mso <= 100):
        wrong.append(f"a threshold is a whole 1 to 100 % of maximum output, not {t.pct_mso!r}")
    estimate = finite(t.estimate_pct_mso)
    if not (0 < estimate <= 100.5 and whole(estimate) == t.pct_mso):
        wrong.append(f"{t.pct_mso!r} % is not the whole % nearest to the estimate {t.estimate_pct_mso!r}")
    wrong += _outside("low", t.low_pct_mso, lambda x: x <= estimate)
    wrong += _outside("high", t.high_pct_mso, lambda x: x >= estimate)
    if not isinstance(t.told_by, ToldBy) or not isinstance(t.mode, Mode) or type(t.cap_on) is not bool:
        wrong.append(
            f"told by, mode or cap are not what they may be: {t.told_by!r}, {t.mode!r}, {t.cap_on!r}"
        )
    if not (type(t.pulses_given) is int and t.pulses_given >= len(t.answers)):
        wrong.append(f"{len(t.answers)} pulses counted, but {t.pulses_given!r} were given")
    wrong += [f"{n} is no number: {v!r}" for n, v in t.settings.items() if math.isnan(finite(v))]
    return wrong + _undated(t.made_utc)


def _outside(name: str, value: float | None, ok: Any) -> list[str]:
    if value is None or ok(finite(value)):
        return []
    return [f"the {name} end of the interval does not hold the estimate: {value!r}"]


def _undated(made_utc: object) -> list[str]:
    try:
        at = datetime.fromisoformat(str(made_utc))
    except ValueError as err:
        return [f"date: {err}"]
    offset = at.utcoffset()
    return (
        [] if offset is not None and not offset else [f"date: expected an instant in UTC, found {made_utc!r}"]
    )


def counted(answers: Sequence[Answer]) -> dict[int, tuple[int, int]]:
    """Power -> (responses, pulses), by rising power."""
    out: dict[int, tuple[int, int]] = {}
    for a in answers:
        yes, n = out.get(a.pct_mso, (0, 0))
        out[a.pct_mso] = yes + a.response, n + 1
    return dict(sorted(out.items()))
