"""Owns the shape of a plan: its tables, keys, units and kinds of value; owns no check between two keys.

Keys carry their units. Nothing that changes the dose has a default: a missing key is an error, not a guess.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from rtloop.model.montage import HEAD_RADIUS_M, Montage, position_of
from rtloop.model.samples import F64

PLAN_SCHEMA = 1
N_LOCAL = 4  # SCIENCE section 1: the 4 electrodes nearest the coil

Name = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.\-]*$")]
Text = Annotated[str, Field(min_length=1, max_length=200)]
PctMso = Annotated[int, Field(ge=1, le=100)]
PctRmt = Annotated[float, Field(gt=0, le=200)]
Count = Annotated[int, Field(ge=1, le=6000)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Range = tuple[float, float]


class Table(BaseModel):
    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class Kind(StrEnum):
    """What a plan is for. A watch plan has no unit: nothing can be fired."""

    MAP = "map"
    PROBE = "probe"
    WATCH = "watch"


class Question(StrEnum):
    """What the arm asks of the map; the classic arm gets classic M1 without asking."""

    NONE = "none"
    CLASSIC = "classic"
    LOW = "low"
    HIGH = "high"


class Head(Table):
    """``[plan]``"""

    name: Name
    kind: Annotated[Kind, Field(strict=False)]
    schema_: Annotated[Literal[1], Field(alias="schema")]
    notes: Annotated[str, Field(max_length=4000)] = ""


class Unit(Table):
    """``[unit]``: what must stand at the end of the line."""

    model: Literal["200"]
    coil: Text
    waveform: Text


class Threshold(Table):
    """``[threshold]``: a resting motor threshold. It holds for one person, unit model, coil and waveform."""

    pct_mso: PctMso
    date: date
    method: Literal["EMG"]
    coil: Text
    waveform: Text
    participant: Name | None = None


class Point(Table):
    """A place on the head, in metres (x to the right ear, y to the nose, z to the vertex)."""

    x_m: float
    y_m: float
    z_m: float


class Preview(Table):
    """``[targets.preview]``: single pulses to look at before the run, ``pulses`` at each step of
    intensity."""

    pulses: Count
    steps_pct_mso: Annotated[tuple[PctMso, ...], Field(min_length=1, max_length=20)] | None = None
    steps_pct_rmt: Annotated[tuple[PctRmt, ...], Field(min_length=1, max_length=20)] | None = None

    @property
    def n_steps(self) -> int:
        return len(self.steps_pct_mso or self.steps_pct_rmt or ())


class Accept(Table):
    """``[targets.accept]``: what the operator holds the preview and the run against."""

    early_response_uv_min: Annotated[float, Field(ge=0, le=1000)]
    rejected_share_max: Annotated[float, Field(ge=0, le=1)]


class Control(Table):
    """``[targets.control]``: a control block after the run, at the intensity of the run.

    ``subtract``: show the average of the run minus that of this block, too. That assumes that what was heard and felt
    adds to the direct response.
    """

    kind: Literal["sham", "shoulder"]
    pulses: Count
    subtract: bool = False


def place_m(at: str | Point) -> F64:
    """An electrode or a point as float64[3], metres; ValueError for an electrode that nobody knows."""
    if isinstance(at, Point):
        return np.array([at.x_m, at.y_m, at.z_m])
    unit = position_of(at)
    if unit is None:  # refused when the plan was checked
        raise ValueError(f"unknown electrode {at}")
    return np.asarray(unit * HEAD_RADIUS_M)


class Target(Table):
    """One of ``[[targets]]``."""

    name: Name
    coil_at: str | Point
    local_electrodes: Annotated[tuple[str, ...], Field(min_length=2, max_length=32)] | None = None
    intensity_pct_rmt: PctRmt | None = None
    intensity_pct_mso: PctMso | None = None
    pulses_wanted: Count
    pulses_max: Count | None = None
    preview: Preview | None = None
    accept: Accept | None = None
    control: Control | None = None
    gap_ms: Range | None = None

    def point_m(self) -> F64:
        """Where the coil is, float64[3], metres."""
        return place_m(self.coil_at)

    def local_in(self, montage: Montage) -> tuple[int, ...]:
        """Indices of the local electrodes in a montage: the named ones, else the 4 nearest the coil.

        ``ValueError`` names the electrodes that the montage lacks.
        """
        if self.local_electrodes is None:
            return montage.nearest(self.point_m(), N_LOCAL)
        have = {n.upper(): i for i, n in enumerate(montage.names)}
        lacking = [n for n in self.local_electrodes if n.upper() not in have]
        if lacking:
            raise ValueError(f"target {self.name}: the stream has no electrode {', '.join(lacking)}")
        return tuple(have[n.upper()] for n in self.local_electrodes)

    @property
    def pulses_preview(self) -> int:
        return self.preview.pulses * self.preview.n_steps if self.preview else 0

    @property
    def pulses_most(self) -> int:
        """Preview, run at its maximum and control."""
        return self.pulses_preview + (self.pulses_max or 0) + (self.control.pulses if self.control else 0)


class Timing(Table):
    """``[timing]``: the interval between two pulses is drawn uniformly from ``isi_s``; ``lead_s`` is from
    ready to the first pulse of a block."""

    isi_s: Range
    lead_s: Annotated[float, Field(ge=0, le=30)]
    isi_seed: Seed | None = None


class Caps(Table):
    """``[caps]``: the plan's own limits; the tightest of plan, site, published and device limits wins."""

    power_pct_mso_max: PctMso
    pulses_total_max: Count


Setting = str | bool | float
Stage = str | bool | dict[str, Setting]


class Sound(Table):
    """``sound = { lambda0 = 0.1 }``: SOUND with another regularisation."""

    lambda0: Annotated[float, Field(gt=0, le=10)] | None = None


class Muscle(Table):
    """``muscle = { most = 8, ... }``: what ``rtloop.dsp.spec`` calls muscle_most, muscle_ratio, muscle_allowance,
    muscle_until_s, muscle_early (on unless false), spatial_first, spatial_every, spatial_memory, spatial_channels."""

    most: Annotated[int, Field(ge=1, le=32)] | None = None
    ratio: Annotated[float, Field(gt=1, le=1000)] | None = None
    allowance: Annotated[float, Field(ge=0, le=1000)] | None = None
    until_ms: Annotated[float, Field(ge=31, le=500)] | None = None
    early: bool | None = None
    first: Annotated[int, Field(ge=4, le=100)] | None = None
    every: Annotated[int, Field(ge=1, le=100)] | None = None
    memory: Annotated[int, Field(ge=0, le=10000)] | None = None
    channels: Annotated[int, Field(ge=4, le=256)] | None = None


class Stages(Table):
    """``[signal.stages]``: switches of the cleaning chain; what each may be is checked by the chain
    itself.

    ``decay``: true, false, or "first": fitted only in trials that the spatial stage cannot clean yet (the default where
    ``muscle`` is on). ``blink``: off unless true. ``sound``, ``muscle``: the same, or a table of their settings.
    ``first_trials``: before there is a filter they "count" as the fast chain leaves them, or are "leave_out".
    ``earlier_trials``: once there is one they are "keep": what they were, or "reclean": cleaned again by it between pulses,
    judged anew, their scores replaced (then also those that were left out count, if they are accepted).
    """

    bridge: Stage | None = None
    decay: Stage | None = None
    detrend: Stage | None = None
    reference: Stage | None = None
    quality: bool | None = None
    blink: bool | None = None
    sound: bool | Sound | None = None
    muscle: bool | Muscle | None = None
    first_trials: Literal["count", "leave_out"] = "count"
    earlier_trials: Literal["keep", "reclean"] = "keep"


class Signal(Table):
    """``[signal]``: score window and gap (missing data around the pulse), ms from the pulse.

    ``limits``: "fixed" rejection limits, or raised "to_recording" where the ongoing EEG itself exceeds them.
    ``sub_windows_ms``: parts of the window that measures are given for beside the scores; none named: 15-120, 120-180, 180-300.
    ``recharge_gap_ms``: a second gap, at the unit's recharge spike.
    """

    window_ms: Range
    gap_ms: Range
    recharge_gap_ms: Range | None = None
    sub_windows_ms: Annotated[tuple[Range, ...], Field(min_length=1, max_length=8)] | None = None
    limits: Literal["fixed", "to_recording"] = "fixed"
    stages: Stages = Stages()


class Quality(Table):
    """``[quality]``: what a trial and a recording are held against; names and units are checked with the chain's.

    ``limits``: name of a number of the recording -> where YELLOW and (if there is a second) RED begin; ``trial``: the same
    for numbers of a trial that only warn; ``reject``: limits of the chain beyond which a trial is rejected.
    ``hold``: [bad trials, of the last so many, good trials in a row that take a channel back]; 0 bad trials: never held.
    ``still_ms``: a channel that has one value for longer is bad; 0: not looked for.
    ``rebuild``: bad channels are shown made from their neighbours; they count nowhere.
    The defaults are assumptions of this project.
    """

    limits: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    trial: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    reject: dict[str, float | int] = Field(default_factory=dict)
    yellow_share: Annotated[float, Field(gt=0, le=1)] = 0.75
    hold: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (
        3,
        10,
        5,
    )
    still_ms: Annotated[float, Field(ge=0, le=1000)] = 30.0
    rebuild: bool = True


class Arm(Table):
    """``[arm]``: what is asked of the map. ``blinded``: scores and ranking are masked wherever people look."""

    question: Annotated[Question, Field(strict=False)]
    blinded: bool = False


class Decision(Table):
    """``[decision]``: lets a mapping of the low or the high arm name a target; without it none is named.

    ``looks`` declared, ``n0`` accepted pulses each target needs at a look; a return visit wants ``block`` accepted pulses
    and gives ``block_max`` at most; ``repairs`` visits a target may get for missing pulses only. The first visit is that of
    the targets. ``placement_sd`` (unit of the score) what placing the coil anew adds: 0, an assumption. ``place_spread``
    (share of the score) by how much places of equal coupling differ in score: 0.15, an assumption (ADR 0018). ``shifts`` noise
    draws of the matched score, by ``seed``. ``return_filter``: where the coil is placed anew a return visit learns its own
    artifact filter ("fresh", as a first visit does), or goes on with the first visit's ("kept"). The defaults are assumptions
    of this project.
    """

    looks: Annotated[int, Field(ge=1, le=5)]
    block: Count
    block_max: Count
    n0: Annotated[int, Field(ge=3, le=6000)] = 60
    repairs: Annotated[int, Field(ge=0, le=5)] = 0
    placement_sd: Annotated[float, Field(ge=0, le=10)] = 0.0
    place_spread: Annotated[float, Field(ge=0, le=1)] = 0.15
    shifts: Annotated[int, Field(ge=1, le=64)] = 4
    seed: Seed = 20260
    return_filter: Literal["fresh", "kept"] = "fresh"


class Comparability(Table):
    """``[comparability]``: limits of the test before every look (``rtloop.decide.comparability`` says what of)."""

    accepted_min: Annotated[int, Field(ge=3, le=6000)] = 60
    accepted_ratio_max: Annotated[float, Field(ge=1)] = 2.5
    snr_min: Annotated[float, Field(ge=0)] = 0.07
    snr_ratio_alike: Annotated[float, Field(ge=0, le=1)] = 0.8
    snr_ratio_min: Annotated[float, Field(ge=0, le=1)] = 0.4
    residue_max: Annotated[float, Field(gt=0)] = 2.0
    rhythm_ratio_max: Annotated[float, Field(ge=1)] = 1.25


class Order(Table):
    """``[order]``: of the targets."""

    kind: Literal["as_listed", "random"]
    seed: Seed | None = None


class Plan(Table):
    """A whole plan. Making one runs every check between keys, so a ``Plan`` that exists is free of
    contradictions."""

    plan: Head
    unit: Unit | None = None
    threshold: Threshold | None = None
    targets: Annotated[tuple[Target, ...], Field(min_length=1, max_length=32)]
    timing: Timing | None = None
    caps: Caps | None = None
    signal: Signal
    arm: Arm
    order: Order
    quality: Quality | None = None
    decision: Decision | None = None
    comparability: Comparability | None = None
    _sha256: str = PrivateAttr(default="")
    _source: bytes = PrivateAttr(default=b"")

    @model_validator(mode="after")
    def _free_of_contradictions(self) -> Plan:
        from rtloop.plan.checks import contradictions

        found = contradictions({k: getattr(self, k) for k in type(self).model_fields})
        if found:
            raise PydanticCustomError(
                "contradiction", "{words}", {"words": " | ".join(p.words() for p in found)}
            )
        return self

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def kind(self) -> Kind:
        return self.plan.kind

    @property
    def sha256(self) -> str:
        """Of the text the plan was loaded from, hexadecimal; empty for a plan made in code."""
        return self._sha256

    @property
    def source(self) -> bytes:
        """The text the plan was loaded from, whose SHA-256 is ``sha256``; empty for a plan made in code."""
        return self._source

    @property
    def in_pct_rmt(self) -> bool:
        """Whether any intensity is in % of the motor threshold."""
        return any(t.intensity_pct_rmt is not None for t in self.targets)

    def target(self, name: str) -> Target:
        """By name; ``KeyError`` if there is none."""
        for target in self.targets:
            if target.name == name:
                return target
        raise KeyError(name)


#: the tables, in the order of a file
SECTIONS: dict[str, type[Table]] = {
    "plan": Head,
    "unit": Unit,
    "threshold": Threshold,
    "timing": Timing,
    "caps": Caps,
    "signal": Signal,
    "arm": Arm,
    "order": Order,
    "quality": Quality,
    "decision": Decision,
    "comparability": Comparability,
}
REQUIRED = ("plan", "signal", "arm", "order")
