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


class Artifact(_Strict):
    """What a pulse does to the amplifier and to the eyes, at the reference intensity."""

    pulse_uv: Size = 60_000.0  # largest electrode, first sample
    rail_uv: Positive = 100_000.0  # the amplifier clips here
    decay_tau_ms: Positive = 12.0
    recharge_ms: Size = 0.0  # latency of the recharge spike; 0 = none
    recharge_uv: Size = 300.0
    blink_probability: Annotated[float, Field(ge=0.0, le=1.0)] = 0.04
    blink_uv: Size = 120.0


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


class Scene(_Strict):
    """A simulated person, set-up and truth. ``targets`` keeps the order of the file."""

    name: str
    description: str = ""
    person: Person = Person()
    noise: Noise = Noise()
    artifact: Artifact = Artifact()
    evoked: Evoked = Evoked()
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
