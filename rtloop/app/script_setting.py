"""Owns what is decided before a script's session starts anything, and how its processes are started; starts no device.

A script is run once: the processes beside it never import it, whether it has a ``__main__`` guard or not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.magstim.units import device_limits
from hardware_sim.bedside import BedsideSpec
from hardware_sim.bench import Bedside
from hardware_sim.magstim import UNLOCK_CODE
from rtloop import __version__
from rtloop.app.commissioned import Covered
from rtloop.app.config import Site, load_site
from rtloop.app.dose import ledger_of
from rtloop.app.opening import dose_before
from rtloop.app.script_asked import all_of, also, wrong_types, wrong_wishes
from rtloop.app.script_person import refuse_human
from rtloop.app.setting import unit_options
from rtloop.app.wiring import Bench, StreamWanted, UnitWanted, new_run_id
from rtloop.clock import WALL
from rtloop.dsp.spec import ChainSpec
from rtloop.errors import RtloopError, UsageProblem, ValidationProblem
from rtloop.model.pulse import Pulse, Purpose
from rtloop.model.status import Mode
from rtloop.model.waiver import Waiver
from rtloop.safety.ledger import Ledger
from rtloop.safety.limits import NAMES, Limits, tightest
from rtloop.safety.rules import INTENSITY_RULES, MotorThreshold, Rig, Situation, refusals
from rtloop.safety.waivers import load_waivers
from rtloop.session.loopback import Band
from rtloop.session.replay import layout_dict

Say = Callable[[str], None]
SIM = "sim:"
N_CHANNELS, RATE_HZ = 8, 1000.0
WITHOUT_EEG = "no EEG is used in this script (a simulated stand-in keeps stream and recorder under watch)"


@dataclass(frozen=True, kw_only=True)
class ScriptSetting:
    """Everything that is decided before anything is started."""

    port: str
    model: str
    simulated: bool
    eeg: str | None
    mode: Mode
    participant: str
    limits: Limits
    ledger: Ledger
    run_id: str
    data_dir: str
    threshold: MotorThreshold | None
    rig: Rig | None
    purpose: Purpose
    unit_options: Mapping[str, Any]  # as drivers.requests.Options has them
    site: Site
    script: str  # name of its file
    script_sha256: str  # of the bytes of that file, "" where there is none
    waivers: tuple[Waiver, ...] = ()  # signed for exactly these bytes
    covering: Covered | None = None  # in HUMAN: the commissioning record that lets a person under the coil
    kind: str = "script"
    session_id: str = ""  # of the session that this run goes on with; "": its own
    target: str = "script"  # of every pulse
    more: Mapping[str, Any] = field(default_factory=dict)  # of session_started
    window: bool = False  # a window shows the operator's presence, not the script's own thread
    say: Say

    @property
    def session(self) -> str:
        """Over whose runs the dose of a session counts."""
        return self.session_id or self.run_id

    @property
    def sees(self) -> bool:
        """Whether the stream can show this unit's pulses."""
        return self.simulated or self.eeg is not None

    @property
    def eeg_simulated(self) -> bool:
        return self.eeg is None

    @property
    def eeg_words(self) -> str:
        return f"EEG stream {self.eeg}" if self.eeg else "simulated EEG" if self.simulated else WITHOUT_EEG


def decide(
    port: str, *, participant: str, model: str | None, caps: Mapping[str, float] | None, eeg: str | None,
    mode: str | None, threshold: MotorThreshold | None, rig: Rig | None, purpose: str, data_dir: str | Path | None,
    site: str | Path | None, waivers: str | Path | None, say: Say,
) -> ScriptSetting:  # fmt: skip
    """Check everything; UsageProblem, ValidationProblem or SafetyStop, all reasons at once, before anything is touched."""
    if multiprocessing.parent_process() is not None:
        raise UsageProblem(
            "this is a copy of the script that multiprocessing made", expected="one script, one unit",
            found="a child process", todo='put the script under if __name__ == "__main__":',
        )  # fmt: skip
    problems, rest = wrong_types({**locals()})
    if problems:
        also(problems, lambda: decide(**rest))  # what is wrong with the rest
        raise all_of(problems)
    simulated = port.startswith(SIM)
    named = port.removeprefix(SIM) if simulated else model or "200"
    true = Mode.SIMULATED if simulated else Mode.BENCH
    human = mode is not None and mode.upper() == Mode.HUMAN
    problems = wrong_wishes(
        named=named, simulated=simulated, participant=participant, model=model, eeg=eeg, mode=None if human else mode,
        true=true, purpose=purpose,
    )  # fmt: skip
    at_unit = {} if simulated or problems else {"unit.model": named, "unit.port": port, "stream.name": eeg}
    found = also(problems, lambda: load_site(
        site, overrides={"data_dir": None if data_dir is None else str(data_dir), **at_unit}
    ))  # fmt: skip
    if found is None:
        raise all_of(problems)
    limits = also(problems, lambda: _tightened(found.limits(), named, caps or {})) or found.limits()
    at, today = Mode.HUMAN if human else true, WALL.utc()[:10]
    wrong = _wrong_threshold(at, participant, named, threshold, rig, limits, today)
    covering = None
    if human:
        covering = also(problems, lambda: refuse_human(found, simulated=simulated, eeg=eeg, threshold=wrong))
    elif wrong:
        problems.append(ValidationProblem(
            "the motor threshold cannot be used", expected="a dated EMG threshold of this participant and rig",
            found="; ".join(wrong), todo="correct threshold= and rig=",
        ))  # fmt: skip
    script, sha256 = _script()
    signed: tuple[Waiver, ...] | None = ()
    if waivers is not None:
        signed = also(problems, lambda: load_waivers(Path(waivers), plan_sha256=sha256, today=today))
    if problems or signed is None:
        raise all_of(problems)
    seen = {} if covering is None else covering.unit_options
    # the simulated Rapid² wants the code that it is known to want
    options = (
        unit_options(found) if not simulated else {"unlock_code": UNLOCK_CODE} if "rapid" in named else {}
    )
    return ScriptSetting(
        port=port, model=named, simulated=simulated, eeg=eeg, mode=at, participant=participant, limits=limits,
        run_id=new_run_id(), data_dir=found.data_dir,
        ledger=ledger_of(Path(found.data_dir), participant, simulated=simulated), threshold=threshold, rig=rig, say=say,
        purpose=Purpose(purpose), unit_options=options | seen, covering=covering, site=found, script=script, script_sha256=sha256,
        waivers=signed,
    )  # fmt: skip


def _wrong_threshold(
    mode: Mode, participant: str, model: str, threshold: MotorThreshold | None, rig: Rig | None, limits: Limits, today: str,
) -> tuple[str, ...]:  # fmt: skip
    """What the gate's own rules would say of threshold and rig, whatever the intensity; in words."""
    pulse = Pulse(
        pulse_id=0, target="script", purpose=Purpose.PROBE, power_pct_mso=0, power_pct_rmt=None, due_s=0.0, deadline_s=0.0,
    )  # fmt: skip
    s = Situation(
        mode=mode, now_s=0.0, pulse=pulse, today=today, participant=participant, threshold=threshold, rig=rig
    )
    other = rig is not None and rig.unit_model != model
    said = (
        [f"rig: expected this unit, {model}, found {rig.unit_model!r}"] if rig is not None and other else []
    )
    return (*said, *(r.words() for r in refusals(s, limits, INTENSITY_RULES)))


def _script() -> tuple[str, str]:
    """Name of the script's file and SHA-256 of its bytes; "" where it has none (typed at a prompt)."""
    path = Path(getattr(sys.modules["__main__"], "__file__", None) or sys.argv[0] or "-")
    return path.name, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _tightened(limits: Limits, model: str, caps: Mapping[str, float]) -> Limits:
    """The site's limits, tightened by the device and the caps; a cap that would loosen one is refused, not passed over."""
    problems: list[RtloopError] = []
    known = {n: v for n, v in caps.items() if n in NAMES and type(v) in (int, float)}
    loose = [(limits.row(n), v) for n, v in known.items() if limits.row(n).loosened_by(v)]
    if loose:
        problems.append(ValidationProblem(
            "the script's caps loosen a limit", found="; ".join(f"{r.name} = {v!r}" for r, v in loose),
            expected="; ".join(f"{r.name} {r.stricter} than {r.value:g} {r.unit}" for r, _ in loose),
            todo="a script may only tighten limits",
        ))  # fmt: skip
    made = also(problems, lambda: tightest(limits, device=device_limits(model), prescription=caps))
    if problems or made is None:
        raise all_of(problems)
    return made


def bedside_for(setting: ScriptSetting) -> BedsideSpec | None:
    """The simulated bedside; with a real unit and no EEG, its amplifier alone; None where both are real."""
    if not setting.simulated and setting.eeg is not None:
        return None
    # an LSL session of its own: a simulated stream is never taken for a real one, nor the reverse
    os.environ.setdefault("RTLOOP_LSL_SESSION", f"rtloop-{setting.run_id}")
    name = f"rtloop-sim-{setting.run_id}"
    more: dict[str, Any] = {} if setting.model == "200" or not setting.simulated else {"unit": setting.model}
    return BedsideSpec(
        n_channels=N_CHANNELS, rate_hz=RATE_HZ, transport="socket" if setting.simulated else "none",
        stream_name=name, source_id=name, **more,
    )  # fmt: skip


def ends_for(setting: ScriptSetting, bedside: Bedside | None) -> tuple[StreamWanted, UnitWanted]:
    """Which stream and which unit are wanted."""
    if bedside is None:
        stream = StreamWanted(name=setting.eeg)
    else:
        stream = StreamWanted(name=bedside.stream_name, source_id=bedside.source_id, rate_hz=RATE_HZ)
    port = bedside.port if setting.simulated and bedside is not None else setting.port
    return stream, UnitWanted(
        model=setting.model, port=port, simulated=setting.simulated, options=setting.unit_options
    )


def started(setting: ScriptSetting, bench: Bench, band: Band) -> dict[str, Any]:
    """Data of ``session_started``."""
    return {
        "mode": setting.mode.value, "kind": setting.kind, "participant": setting.participant, "plan": setting.script,
        "plan_sha256": setting.script_sha256, "waivers": [w.data() for w in setting.waivers], "software_version": __version__,
        "run_id": setting.run_id, "rate_hz": bench.source.rate_hz, "eeg": setting.eeg_words, "targets": [],
        "scene": "default" if setting.simulated else None, "limits": {r.name: r.value for r in setting.limits.rows},
        "answered_by": "script", "loopback": band.data(),
        "dose_before": dose_before(setting.ledger, WALL.utc()[:10], setting.session),
        # what replay and report read the recording with; a script has no trials
        "layout": layout_dict(bench.source.layout), "chain": json.loads(json.dumps(ChainSpec().to_dict())),
        "epoch_after": 0, "spots": {}, "local": {},
    } | dict(setting.more)  # fmt: skip


@contextlib.contextmanager
def children_leave_the_script_alone() -> Iterator[None]:
    """Processes started meanwhile do not import the script, which would run it, and its pulses, a second time."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
