"""Owns the scene: the truth a simulated person and set-up obey, as a file; owns no signal made from it.

Unknown keys are refused, every problem is listed at once. Coupling is given as the concentration kappa of a
von Mises distribution: phase-locking of the sources is I1(kappa)/I0(kappa) (Fisher 1993, Statistical Analysis
of Circular Data).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from rtloop.errors import ValidationProblem
from rtloop.model.montage import position_of

SCENES = Path(__file__).parent / "scenes"
Size = Annotated[float, Field(ge=0.0, le=1e7, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, le=1e6, allow_inf_nan=False)]
Offset = Annotated[float, Field(ge=-20.0, le=20.0, allow_inf_nan=False)]
Cv = Annotated[float, Field(ge=0.0, le=2.0, allow_inf_nan=False)]
Kappa = Annotated[float, Field(ge=0.0, le=50.0, allow_inf_nan=False)]


def _known_electrode(name: str) -> str:
    if position_of(name) is None:
        raise ValueError(f"{name!r} is no electrode name of the 10-5 system")
    return name


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Person(_Strict):
    """Who lies under the coil: motor threshold, the intensity at which the stated sizes hold, the seed of the
    head.
    """

    rmt_pct_mso: Annotated[float, Field(gt=10.0, le=100.0)] = 38.0
    reference_pct_mso: Annotated[float, Field(gt=10.0, le=100.0)] = 45.0
    head_seed: Annotated[int, Field(ge=0)] = 1


class Noise(_Strict):
    """Ongoing activity and the amplifier's own noise; SD in µV, averaged over channels (alpha: at its
    maximum).
    """

    brain_uv: Size = 5.5
    alpha_uv: Size = 6.0
    sensor_uv: Size = 0.7
    line_uv: Size = 0.7
    line_hz: Positive = 50.0
    bad_channels: tuple[
        Annotated[str, AfterValidator(_known_electrode)], ...
    ] = ()  # 20 µV noise, 20 x line noise


class Conduction(_Strict):
    """The head that makes the fields; the default is the one that every analysis assumes (rtloop.sphere).

    Shells from the inside out: brain and fluid, skull, scalp.
    """

    radii_mm: tuple[Positive, Positive, Positive] = (81.0, 85.0, 88.0)
    conductivities_s_per_m: tuple[Positive, Positive, Positive] = (0.33, 0.33 / 50.0, 0.33)
    electrodes_mm: Annotated[float, Field(ge=0.0, le=30.0)] = (
        0.0  # electrodes lie so far (SD) from their names
    )
    centre_mm: tuple[Offset, Offset, Offset] = (0.0, 0.0, 0.0)  # the head is so far off the assumed centre

    @model_validator(mode="after")
    def _shells_grow(self) -> Conduction:
        if not 77.0 <= self.radii_mm[0] < self.radii_mm[1] < self.radii_mm[2]:
            raise ValueError(f"radii {self.radii_mm} mm must grow outwards and hold sources at 77 mm")
        return self


class Vary(_Strict):
    """How artifacts differ from one pulse to the next: coefficients of variation (cv) of their sizes, SDs."""

    pulse_cv: Cv = 0.02
    pulse_tau_cv: Cv = 0.03
    decay_cv: Cv = 0.15  # all electrodes together
    decay_own_cv: Cv = 0.08  # each electrode for itself
    decay_tau_cv: Cv = 0.10
    decay_tau_own_cv: Cv = 0.05
    muscle_cv: Cv = 0.25
    muscle_ms: Annotated[float, Field(ge=0.0, le=3.0)] = 0.3  # latency
    muscle_pattern_cv: Cv = 0.15  # each belly for itself: the field changes
    recharge_cv: Cv = 0.10
    recharge_ms: Annotated[float, Field(ge=0.0, le=3.0)] = 0.1
    blink_side_cv: Cv = 0.10  # left eye against right


class Artifact(_Strict):
    """What a pulse does to the amplifier and to the eyes, at the reference intensity."""

    pulse_uv: Size = 60_000.0  # largest electrode, first sample
    rail_uv: Positive = 100_000.0  # the amplifier clips here
    decay_tau_ms: Positive = 12.0
    recharge_ms: Size = 0.0  # latency of the recharge spike; 0 = none
    recharge_uv: Size = 300.0
    step_uv: Size = 0.0  # step at the pulse, typical electrode; leaks away over seconds
    blink_probability: Annotated[float, Field(ge=0.0, le=1.0)] = 0.04
    blink_uv: Size = 120.0
    muscle_dipoles: bool = False  # current dipoles outside the skull in place of smooth bellies
    vary: Vary = Vary()


class Sensory(_Strict):
    """The brain's answer to the click and the tap of the coil: N100-P180, the same at all targets and under sham.

    Sizes are the RMS over 63 average-referenced electrodes at N100, at the reference intensity; 0 = none.
    """

    auditory_uv: Size = 0.0
    somatosensory_uv: Size = 0.0
    gain_cv: Cv = 0.3
    jitter_ms: Size = 4.0


class Emg(_Strict):
    """A hand muscle with an electrode pair on it, and its motor-evoked potentials.

    Peak-to-peak sizes: the median is 50 µV at the person's threshold (half the pulses reach 50 µV: the definition
    of the resting motor threshold, Rossini 2015, 10.1016/j.clinph.2015.02.001) and rises to ``most_uv``.
    """

    name: str = "FDI"
    hotspot: Annotated[str, AfterValidator(_known_electrode)] = "C3"
    most_uv: Positive = 3000.0
    slope_pct_mso: Positive = 4.0
    size_cv: Cv = 0.7  # log-normal, pulse by pulse
    latency_ms: Positive = 22.0
    latency_jitter_ms: Size = 0.5
    noise_uv: Size = 3.0  # SD of the muscle at rest
    pulse_uv: Size = 4000.0  # the pulse's own artifact in this channel
    reach_mm: Positive = 20.0  # off the hotspot the effective power falls over so much


class Rhythm(_Strict):
    """An ongoing rhythm of the places under and around a target, whose locking comes and goes; only in the stream.

    All have ``hz`` while they are locked; in between they run apart by up to ``apart_hz``, so that their phases drift (see
    ``hardware_sim.rhythm``). ``uv``: SD at the average-referenced electrode where all of them together are largest, in phase.
    """

    target: str
    hz: Annotated[float, Field(ge=1.0, le=100.0)] = 10.0
    uv: Size = 16.0
    period_s: Annotated[float, Field(ge=4.0, le=600.0)] = 24.0  # from locked to apart and back
    apart_hz: Annotated[float, Field(ge=0.0, le=5.0)] = 0.5


class Evoked(_Strict):
    """The evoked response common to all targets, at amplitude 1 and the reference intensity."""

    gmfp_uv: tuple[Size, Size, Size, Size] = (1.8, 3.0, 3.4, 3.1)  # at 30, 58, 111, 193 ms
    induced_uv: Size = 3.2  # RMS over channels of the oscillations at their peak, all bands
    kappa_reset: Kappa = 1.5  # phase reset of the stimulated region by the pulse
    jitter_ms: Size = 1.0


class Target(_Strict):
    """One place of the coil and what is true there."""

    coil: Annotated[str, AfterValidator(_known_electrode)]  # electrode under the middle of the coil
    geometry: str = ""  # use the sources of another target of the scene; "" = its own
    amplitude: Annotated[float, Field(ge=0.0, le=5.0)] = 1.0
    kappa_global: Kappa = 2.0  # stimulated region with six distant ones: the GLOBAL truth
    kappa_local: Kappa = 2.0  # stimulated region with its three neighbours: the LOCAL truth
    gain_cv: Annotated[float, Field(ge=0.0, le=2.0)] = 0.3  # log-normal, trial by trial
    muscle_uv: Size = 40.0  # peak at the worst electrode
    decay_uv: Size = 60.0  # typical electrode near the coil, extrapolated to the pulse
    placement_mm: Annotated[float, Field(ge=0.0, le=40.0)] = 0.0  # the coil misses its place by so much
    sensory: Annotated[float, Field(ge=0.0, le=5.0)] = 1.0  # share of the scene's sensory answer
    pulse: Annotated[float, Field(ge=0.0, le=5.0)] = 1.0  # share of the pulse's own artifact
    control_of: str = ""  # a control block (sham, shoulder) of that target; "" = a target
    snr: Annotated[float, Field(ge=0.0)] | None = None  # stated, see hardware_sim.truth.power_snr; never read


class Scene(_Strict):
    """A simulated person, set-up and truth. ``targets`` keeps the order of the file."""

    name: str
    description: str = ""
    person: Person = Person()
    noise: Noise = Noise()
    artifact: Artifact = Artifact()
    evoked: Evoked = Evoked()
    sensory: Sensory = Sensory()
    conduction: Conduction = Conduction()
    emg: Emg | None = None  # None: no such channel
    rhythm: Rhythm | None = None  # None: ongoing activity has no locking that is known
    focus: str = ""  # the target that the scene is about; "" = all alike
    targets: Annotated[dict[str, Target], Field(min_length=1)]

    @model_validator(mode="after")
    def _geometries_exist(self) -> Scene:
        for name, target in self.targets.items():
            if target.geometry and (
                target.geometry not in self.targets or self.targets[target.geometry].geometry
            ):
                raise ValueError(
                    f"targets.{name}.geometry = {target.geometry!r} names no target with its own geometry"
                )
            if target.control_of and (
                target.control_of not in self.targets or self.targets[target.control_of].control_of
            ):
                raise ValueError(f"targets.{name}.control_of = {target.control_of!r} names no target")
        if self.rhythm is not None and self.rhythm.target not in self.targets:
            raise ValueError(f"rhythm.target = {self.rhythm.target!r} names no target")
        if self.focus and self.focus not in self.targets:
            raise ValueError(f"focus = {self.focus!r} names no target")
        return self

    def target(self, name: str) -> Target:
        """The named target; ValidationProblem lists those there are."""
        found = self.targets.get(name)
        if found is None:
            raise ValidationProblem(
                f"scene {self.name!r} has no target {name!r}", expected=", ".join(self.targets), found=name,
                todo="place the coil on one of these, or add the target to the scene file",
            )  # fmt: skip
        return found

    def geometry_of(self, name: str) -> Target:
        """The target whose sources ``name`` uses (itself unless the scene says otherwise)."""
        target = self.target(name)
        return self.targets[target.geometry] if target.geometry else target

    @property
    def ranked(self) -> tuple[str, ...]:
        """The targets that a map may rank: all but control blocks."""
        return tuple(name for name, target in self.targets.items() if not target.control_of)

    def with_control(self, target: str) -> tuple[Scene, str]:
        """A scene that has a control block of ``target``, and its name: the scene's own, else a sham coil that stands
        where the real one stood, drives no cortex and no muscle, and leaves a fifth of the pulse's artifact.
        """
        real = self.target(target)
        for name, block in self.targets.items():
            if block.control_of == target:
                return self, name
        raw, name = self.model_dump(), f"{target} sham"
        raw["targets"][name] = {
            "coil": real.coil, "geometry": real.geometry or target, "control_of": target, "amplitude": 0.0,
            "muscle_uv": 0.0, "decay_uv": 0.25 * real.decay_uv, "pulse": 0.2,
        }  # fmt: skip
        return _checked(raw, f"scene {self.name!r} with a control block of {target}"), name

    def varied(self, target: str = "", /, **changes: Any) -> Scene:
        """A checked copy with keys of one target changed, or (``target`` empty) tables of the scene
        merged.
        """
        raw = self.model_dump()
        if target:
            self.target(target)
            raw["targets"][target] |= changes
        else:
            for key, value in changes.items():
                raw[key] = raw[key] | value if isinstance(value, dict) else value
        return _checked(raw, f"a variation of scene {self.name!r}")


def _checked(raw: dict[str, Any], where: str) -> Scene:
    try:
        return Scene.model_validate(_as_strict(raw))
    except ValidationError as err:
        problems = "; ".join(
            f"{'.'.join(str(p) for p in e['loc']) or 'scene'}: {e['msg']} (found {e['input']!r:.60})"
            for e in err.errors()
        )
        raise ValidationProblem(
            f"{where} is not valid",
            expected="the keys of hardware_sim.scene",
            found=problems,
            todo="correct the file",
        ) from err


def _as_strict(value: Any) -> Any:
    """TOML arrays become tuples and whole numbers stay whole: what pydantic's strict mode wants."""
    if isinstance(value, dict):
        return {k: _as_strict(v) for k, v in value.items()}
    return tuple(_as_strict(v) for v in value) if isinstance(value, list) else value


def scene_names() -> tuple[str, ...]:
    """The scenes that are shipped."""
    return tuple(sorted(p.stem for p in SCENES.glob("*.toml")))


def load_scene(name_or_path: str | Path) -> Scene:
    """A shipped scene by name, or one from a TOML file. ValidationProblem says all that is wrong with it."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = SCENES / f"{name_or_path}.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ValidationProblem(
            f"there is no scene {str(name_or_path)!r}",
            expected=f"one of {', '.join(scene_names())}, or a .toml file",
            found=str(err),
        ) from err  # fmt: skip
    except tomllib.TOMLDecodeError as err:
        raise ValidationProblem(f"{path} is not TOML", found=str(err), todo="correct the file") from err
    return _checked(raw, str(path))
