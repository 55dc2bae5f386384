"""Owns the shape of a treatment plan: its tables, keys, units and kinds of value; owns no check between two keys.

A treatment plan is written once, for everybody: it holds no participant and no motor threshold, but says which threshold it
accepts. Keys carry their units; nothing that changes the dose has a default. Whatever is not named here is refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from rtloop.model.pulse import Train
from rtloop.model.samples import F64
from rtloop.model.threshold import Rig
from rtloop.plan.course_schema import Grade
from rtloop.plan.schema import Name, PctMso, PctRmt, Point, Table, Text, place_m

#: what ``[gate] near`` says for the place of the treated target
COIL = "coil"


class TreatHead(Table):
    """``[plan]`` of a treatment plan; ``label``: how well founded it is, told wherever the plan is told of."""

    name: Name
    kind: Literal["treat"]
    schema_: Annotated[Literal[1], Field(alias="schema")]
    label: Annotated[Grade, Field(strict=False)]
    citation: Text
    notes: Annotated[str, Field(max_length=4000)] = ""


class TreatUnit(Table):
    """``[unit]``: a model that gives trains."""

    model: Literal["rapid", "super-rapid", "super-rapid-plus"]
    waveform: Text


class TreatTarget(Table):
    """One of ``[[targets]]``; a session treats one of them.

    The threshold is to be taken with this ``coil`` and ``current_direction``, and at this intensity of it the target is treated.
    """

    name: Name
    coil_at: str | Point
    coil: Text
    current_direction: Text
    intensity_pct_rmt: PctRmt


class Trains(Table):
    """``[trains]``: regular trains, all alike. ``pause_s`` is counted from the END of a train (pulses over frequency after its
    first pulse) to the beginning of the next; a single train has none."""

    frequency_hz: Annotated[float, Field(gt=0, le=100)]
    pulses: Annotated[int, Field(ge=2, le=6000)]
    count: Annotated[int, Field(ge=1, le=1000)]
    pause_s: Annotated[float, Field(gt=0, le=3600)] | None = None


class RampUp(Table):
    """``[ramp_up]``: the first trains at a lower intensity: ``trains_each`` at each step. They count among ``trains.count``."""

    steps_pct_rmt: Annotated[tuple[PctRmt, ...], Field(min_length=1, max_length=20)]
    trains_each: Annotated[int, Field(ge=1, le=100)]


class StateGate(Table):
    """``[gate]``: each train begins only while a condition on the ongoing EEG holds (docs/treatment-gate.md).

    The condition: ``measure`` in ``band`` among the 4 electrodes nearest ``near`` ("coil": the treated target), over the newest
    ``window_s``, is ``holds`` the ``quantile`` of the participant's own calibration. It is looked at every ``every_s``.

    ``recovery_s`` from the end of a train to the first sample that counts; ``swing_uv_max`` and ``fast_uv_max``: a window in
    which one of these electrodes swings more (peak to peak, without its line), or has more fast activity (as muscle), is no
    value. ``calibration_windows``: that many windows side by side without artifact, within ``calibration_max_s``, before the
    first train. ``time_out_s`` from the end of the pause; ``then`` the train is given all the same, or passed over.
    ``begin_by`` "control": the train begins after a wait as the state makes them, whatever the state (decision 0023).
    """

    measure: Literal["plv", "dwpli2"]
    band: Literal["alpha", "low_beta", "high_beta"]
    near: str | Point
    holds: Literal["below", "above"]
    quantile: Annotated[float, Field(ge=0.2, le=0.8)]
    window_s: Annotated[float, Field(ge=1.5, le=10)]
    every_s: Annotated[float, Field(ge=0.1, le=2)]
    recovery_s: Annotated[float, Field(ge=0.5, le=60)]
    swing_uv_max: Annotated[float, Field(ge=20, le=1000)]
    fast_uv_max: Annotated[float, Field(ge=1, le=200)]
    calibration_windows: Annotated[int, Field(ge=20, le=200)]
    calibration_max_s: Annotated[float, Field(gt=0, le=1800)]
    time_out_s: Annotated[float, Field(ge=1, le=45)]  # a Magstim disarms by itself after a minute
    then: Literal["give", "skip"]
    begin_by: Literal["state", "control"]

    @property
    def condition(self) -> str:
        """The condition in words."""
        place = (
            "the coil" if self.near == COIL else self.near if isinstance(self.near, str) else "a given point"
        )
        return (
            f"{self.measure} in the {self.band} band among the 4 electrodes nearest {place}, over {self.window_s:g} s, "
            f"{self.holds} the {self.quantile:g} quantile of {self.calibration_windows} calibration windows"
        )

    def near_m(self, coil_at: str | Point) -> F64:
        """The place float64[3] in metres; ``coil_at``: of the treated target. ValueError for an electrode that nobody knows."""
        return place_m(coil_at if self.near == COIL else self.near)


class AcceptedThreshold(Table):
    """``[threshold]``: which motor threshold is accepted. The limits may ask for a younger one; the stricter holds."""

    method: Literal["EMG"]
    max_age_days: Annotated[float, Field(gt=0, le=365)]


class TreatCaps(Table):
    """``[caps]``: the plan's own limits; the tightest of plan, site, published and device limits wins."""

    power_pct_mso_max: PctMso
    pulses_session_max: Annotated[int, Field(ge=2, le=100_000)]


class TreatmentPlan(Table):
    """A whole treatment plan. Making one runs every check between keys."""

    plan: TreatHead
    unit: TreatUnit
    targets: Annotated[tuple[TreatTarget, ...], Field(min_length=1, max_length=32)]
    trains: Trains
    threshold: AcceptedThreshold
    caps: TreatCaps
    ramp_up: RampUp | None = None
    gate: StateGate | None = None
    _sha256: str = PrivateAttr(default="")
    _source: bytes = PrivateAttr(default=b"")

    @model_validator(mode="after")
    def _free_of_contradictions(self) -> TreatmentPlan:
        from rtloop.plan.treat_checks import treatment_wrong

        found = treatment_wrong({k: getattr(self, k) for k in type(self).model_fields})
        if found:
            raise PydanticCustomError(
                "contradiction", "{words}", {"words": " | ".join(p.words() for p in found)}
            )
        return self

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def sha256(self) -> str:
        """Of the text the plan was loaded from, hexadecimal; empty for a plan made in code."""
        return self._sha256

    @property
    def source(self) -> bytes:
        """The text the plan was loaded from, whose SHA-256 is ``sha256``."""
        return self._source

    @property
    def train(self) -> Train:
        """Each train of it, as a unit is set to it."""
        return Train(frequency_hz=self.trains.frequency_hz, n_pulses=self.trains.pulses)

    @property
    def pulses(self) -> int:
        """Of a whole session."""
        return self.trains.pulses * self.trains.count

    def target(self, name: str) -> TreatTarget:
        """By name; ``KeyError`` if there is none."""
        for target in self.targets:
            if target.name == name:
                return target
        raise KeyError(name)

    def rig(self, name: str) -> Rig:
        """What the threshold for this target must have been taken with; ``KeyError`` if there is no such target."""
        target = self.target(name)
        return Rig(
            unit_model=self.unit.model, coil=target.coil, waveform=self.unit.waveform,
            current_direction=target.current_direction,
        )  # fmt: skip


#: the tables, in the order of a file
SECTIONS: dict[str, type[Table]] = {
    "plan": TreatHead,
    "unit": TreatUnit,
    "trains": Trains,
    "ramp_up": RampUp,
    "gate": StateGate,
    "threshold": AcceptedThreshold,
    "caps": TreatCaps,
}
REQUIRED = ("plan", "unit", "trains", "threshold", "caps")
