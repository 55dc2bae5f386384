"""Owns the check of what ``rtloop threshold`` is asked for, all reasons at once, and what of it a session needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtloop.app.config import Site, load_site
from rtloop.app.script_asked import all_of, also
from rtloop.app.wiring import new_run_id
from rtloop.clock import WALL
from rtloop.errors import RtloopError, UsageProblem
from rtloop.model.status import Mode
from rtloop.model.threshold import Rig, Threshold, ToldBy, Use, fit
from rtloop.record.thresholds import read_threshold
from rtloop.safety.rules import MotorThreshold
from rtloop.safety.rules import Rig as GateRig
from rtloop.threshold.mep import MepSpec
from rtloop.threshold.methods import METHODS, Spec

#: [A] pulses that do not count (muscle not at rest, nobody answered in time) may be so many of each ten that do
UNCOUNTED_OF_TEN = 5
#: the muscle of the simulated person (hardware_sim/scenes/twitch.toml), and where its hot spot is
SIMULATED_MUSCLE, SIMULATED_SCENE = "FDI", "twitch"
#: coil, waveform and direction of the simulated bedside, as the plans that ship call theirs
SIMULATED_200 = ("70 mm figure-of-eight", "monophasic", "posterior-anterior")
SIMULATED_RAPID = ("70 mm figure-of-eight, cooled", "biphasic", "posterior-anterior")


@dataclass(frozen=True, kw_only=True)
class ThresholdRequest:
    """What the command line asks for. ``emg``: name of the channel; "" with ``told_by`` "visual" or "EMG" typed by a person."""

    simulate: bool = False
    participant: str | None = None
    method: str = "adaptive"
    emg: str = ""
    visual: bool = False  # the operator looks at the hand; else at an EMG
    muscle: str = ""
    coil: str = ""
    waveform: str = ""
    current_direction: str = ""
    unit_serial: str = ""
    cap_on: bool = True
    start_pct_mso: int | None = None
    most_pct_mso: int | None = None
    interval_s: float = 5.0  # [A] between two pulses, drawn +- 20 %: the next one is not foreseen
    scene: str = SIMULATED_SCENE
    seed: int = 1
    mode: str | None = None
    earlier: Path | None = None  # the threshold that caps these pulses; in HUMAN the gate wants one
    stream: str | None = None
    unit: str | None = None
    port: str | None = None
    data_dir: Path | None = None
    site: Path | None = None
    ask: bool = False  # with simulate: you answer


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a session of thresholds needs besides what any script's session does."""

    spec: Spec
    rig: Rig
    told_by: ToldBy
    emg: str
    mep: MepSpec
    muscle: str
    participant: str
    port: str
    model: str
    stream: str | None
    caps: dict[str, float]
    earlier: Threshold | None = None
    gate: dict[str, Any] = field(default_factory=dict)  # threshold= and rig= of a script

    @property
    def criterion(self) -> str:
        """What counts as a response, in words."""
        if self.emg:
            return f"{self.mep.words()}, channel {self.emg}"
        return "a person saw it in the EMG" if self.told_by is ToldBy.EMG else "a person saw a twitch"


def wanted(request: ThresholdRequest) -> Wanted:
    """Everything decided; UsageProblem or ValidationProblem with all that is wrong, before anything is touched."""
    problems: list[RtloopError] = []
    r, simulated = request, request.simulate
    overrides = {
        "data_dir": r.data_dir, "unit.model": None if simulated else r.unit, "unit.port": None if simulated else r.port,
        "stream.name": None if simulated else r.stream,
    }  # fmt: skip
    site = also(problems, lambda: load_site(r.site, overrides=overrides))
    if r.method not in METHODS:
        problems.append(UsageProblem(f"no method {r.method}", expected=" or ".join(METHODS), found=r.method))
    model = _model(r, site)
    own = (SIMULATED_RAPID if "rapid" in model else SIMULATED_200) if simulated else ("", "", "")
    coil, waveform, direction = (
        said or its for said, its in zip((r.coil, r.waveform, r.current_direction), own, strict=True)
    )
    rig = Rig(
        unit_model=model, coil=coil, waveform=waveform, current_direction=direction, unit_serial=r.unit_serial
    )
    emg = r.emg or (SIMULATED_MUSCLE if simulated and not (r.ask or r.visual) else "")
    problems += _unsaid(r, rig, emg)
    if not simulated and site is not None and site.unit.port is None:
        problems.append(UsageProblem(
            "no unit is named", expected="--port PORT (serial port or socket://host:port)", found="none",
            todo="name the unit's port, or try --simulate",
        ))  # fmt: skip
    if not simulated and emg and site is not None and site.stream.name is None:
        problems.append(UsageProblem(
            "no stream is named that could hold the EMG channel", expected="--stream NAME", found="none",
            todo="name the amplifier's stream, or answer yourself: leave --emg away",
        ))  # fmt: skip
    if not 1 <= r.interval_s <= 60:
        problems.append(
            UsageProblem("--interval-s cannot be", expected="1 to 60 s", found=f"{r.interval_s!r}")
        )
    earlier = None if r.earlier is None else also(problems, lambda: _earlier(r, rig, site))
    spec = None
    if site is not None and r.method in METHODS:
        most = int(site.limits().max_power_pct_mso) if r.most_pct_mso is None else r.most_pct_mso
        spec = also(problems, lambda: _spec(r, most))
    if problems or site is None or spec is None:
        raise all_of(problems)
    rounds = spec.pulses_max + spec.pulses_max * UNCOUNTED_OF_TEN // 10
    return Wanted(
        spec=spec, rig=rig, told_by=ToldBy.VISUAL if r.visual else ToldBy.EMG, emg=emg, mep=MepSpec(),
        muscle=r.muscle or emg, participant=r.participant or f"SIM-{new_run_id()}",
        port=f"sim:{rig.unit_model}" if simulated else site.unit.port or "", model=rig.unit_model,
        stream=None if simulated else site.stream.name,
        caps={"max_pulses_session": float(min(rounds, site.limits().max_pulses_session)),
              "max_power_pct_mso": float(spec.most_pct_mso)},
        earlier=earlier, gate=gate_values(earlier, rig),
    )  # fmt: skip


def _earlier(request: ThresholdRequest, rig: Rig, site: Site | None) -> Threshold:
    """The threshold that caps these pulses, where it holds for exactly what they are given with."""
    assert request.earlier is not None
    threshold, _ = read_threshold(request.earlier)
    if site is None:
        return threshold  # the site's own problem is told
    human = (request.mode or "").upper() == Mode.HUMAN
    return fit(threshold, Use(
        participant=request.participant or threshold.participant, rig=rig, today=WALL.utc()[:10],
        mode=Mode.HUMAN if human else Mode.SIMULATED, max_age_days=site.limits().threshold_max_age_days, cap_on=request.cap_on,
    ))  # fmt: skip


def gate_values(threshold: Threshold | None, rig: Rig) -> dict[str, Any]:
    """``threshold=`` and ``rig=`` as a script's session and its gate take them."""
    if threshold is None:
        return {"threshold": None, "rig": None}
    at = GateRig(unit_model=rig.unit_model, coil=rig.coil, waveform=rig.waveform_words)
    return {"threshold": motor_threshold(threshold), "rig": at}


def motor_threshold(t: Threshold) -> MotorThreshold:
    """As the gate's rules have it."""
    return MotorThreshold(
        participant=t.participant, pct_mso=float(t.pct_mso), date=t.day, method=str(t.told_by), coil=t.rig.coil,
        waveform=t.rig.waveform_words, unit_model=t.rig.unit_model,
    )  # fmt: skip


def _model(request: ThresholdRequest, site: Site | None) -> str:
    return request.unit or ("200" if request.simulate or site is None else site.unit.model)


def _spec(request: ThresholdRequest, most_pct_mso: int) -> Spec:
    made: Spec = METHODS[request.method](
        most_pct_mso=most_pct_mso, start_pct_mso=_start(request, most_pct_mso)
    )
    return made


def _start(request: ThresholdRequest, most_pct_mso: int) -> int:
    """As asked for; else the method's own, where that may be given at all."""
    own = METHODS[request.method].start_pct_mso
    return min(own, most_pct_mso) if request.start_pct_mso is None else request.start_pct_mso


def _unsaid(request: ThresholdRequest, rig: Rig, emg: str) -> list[RtloopError]:
    """What a threshold is bound to and nobody said; and answers that exclude each other."""
    said = {
        "--participant": request.participant or ("SIM" if request.simulate else ""), "--coil": rig.coil,
        "--waveform": rig.waveform, "--current-direction": rig.current_direction, "--muscle": request.muscle or emg,
    }  # fmt: skip
    lacking = [name for name, value in said.items() if not value.strip()]
    out: list[RtloopError] = []
    if lacking:
        out.append(UsageProblem(
            "a threshold is bound to what nobody said", expected="a threshold says of whom, with what and at which muscle",
            found=f"nothing for {', '.join(lacking)}", todo="add them",
        ))  # fmt: skip
    if request.visual and emg:
        out.append(UsageProblem(
            "--visual and --emg exclude each other", expected="a person who looks, or a channel", found=f"both ({emg})"
        ))  # fmt: skip
    if request.ask and not request.simulate:
        out.append(UsageProblem(
            "--ask works only with --simulate", expected="--simulate", found="a session on a real unit",
            todo="leave --ask away: on a real unit a person answers unless --emg names a channel",
        ))  # fmt: skip
    return out
