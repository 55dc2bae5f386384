"""Owns what is decided before a script's session starts anything, and how its processes are started; starts no device.

A script is run once: the processes beside it never import it, whether it has a ``__main__`` guard or not.
"""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import queue
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.magstim.units import facts_of
from hardware_sim.bedside import BedsideSpec
from hardware_sim.bench import Bedside
from hardware_sim.magstim import UNLOCK_CODE
from rtloop import __version__
from rtloop.app.config import Site, load_site
from rtloop.app.dose import ledger_of
from rtloop.app.opening import dose_before
from rtloop.app.wiring import Bench, StreamWanted, UnitWanted, new_run_id
from rtloop.clock import WALL, Clock
from rtloop.errors import SafetyStop, UsageProblem, ValidationProblem
from rtloop.model.pulse import Purpose
from rtloop.model.status import Mode
from rtloop.safety.ledger import Ledger
from rtloop.safety.limits import NAMES, Limits, tightest
from rtloop.safety.rules import MotorThreshold, Rig

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
    say: Say

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
    site: str | Path | None, say: Say,
) -> ScriptSetting:  # fmt: skip
    """Check everything; UsageProblem, ValidationProblem or SafetyStop before anything is touched."""
    if multiprocessing.parent_process() is not None:
        raise UsageProblem(
            "this is a copy of the script that multiprocessing made", expected="one script, one unit",
            found="a child process", todo='put the script under if __name__ == "__main__":',
        )  # fmt: skip
    simulated = port.startswith(SIM)
    named = port.removeprefix(SIM) if simulated else model or "200"
    if simulated and model not in (None, named):
        raise UsageProblem("the model is named twice", expected=named, found=model or "")
    facts_of(named)  # refuses an unknown model in words
    if simulated and eeg is not None:
        raise UsageProblem("a simulated unit brings its own EEG", expected="no eeg=", found=eeg)
    if not participant:
        raise UsageProblem(
            "the dose belongs to somebody", expected='participant="..."', found=repr(participant)
        )
    if purpose not in (Purpose.PROBE, Purpose.TREATMENT):
        raise UsageProblem("no such purpose of a script", expected="probe or treatment", found=repr(purpose))
    found = load_site(site, overrides={"data_dir": None if data_dir is None else str(data_dir)})
    return ScriptSetting(
        port=port, model=named, simulated=simulated, eeg=eeg, mode=_mode(mode, simulated), participant=participant,
        limits=_tightened(found.limits(), caps or {}), run_id=new_run_id(), data_dir=found.data_dir,
        ledger=ledger_of(Path(found.data_dir), participant, simulated=simulated), threshold=threshold, rig=rig, say=say,
        purpose=Purpose(purpose), unit_options=_options(found, named, simulated),
    )  # fmt: skip


def _options(site: Site, model: str, simulated: bool) -> dict[str, Any]:
    """What a Rapid² needs beside its model: from the site file, or what the simulated unit is known to want."""
    if "rapid" not in model:
        return {}
    if simulated:
        return {"unlock_code": UNLOCK_CODE}
    unit = site.unit
    return {
        "supply_v": unit.supply_v,
        "unlock_code": unit.unlock_code,
        "software_at_least": unit.software_at_least,
    }


def _mode(asked: str | None, simulated: bool) -> Mode:
    true = Mode.SIMULATED if simulated else Mode.BENCH
    if asked is not None and asked.upper() == Mode.HUMAN:
        raise SafetyStop(
            "a script never runs in mode HUMAN", expected="SIMULATED, or BENCH with the coil on a phantom",
            found=asked, todo="a person under the coil needs an operator's window and a plan: rtloop map, rtloop probe",
        )  # fmt: skip
    if asked is not None and asked.upper() != true:
        raise UsageProblem("the mode is not what this port means", expected=true, found=asked)
    return true


def _tightened(limits: Limits, caps: Mapping[str, float]) -> Limits:
    """The site's limits, tightened; a cap that would loosen one is refused, not passed over."""
    known = {n: v for n, v in caps.items() if n in NAMES and type(v) in (int, float)}
    loose = [(limits.row(n), v) for n, v in known.items() if limits.row(n).loosened_by(v)]
    if loose:
        raise ValidationProblem(
            "the script's caps loosen a limit", found="; ".join(f"{r.name} = {v:g}" for r, v in loose),
            expected="; ".join(f"{r.name} {r.stricter} than {r.value:g} {r.unit}" for r, _ in loose),
            todo="a script may only tighten limits",
        )  # fmt: skip
    return tightest(limits, prescription=caps)


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


def started(setting: ScriptSetting, bench: Bench) -> dict[str, Any]:
    """Data of ``session_started``."""
    script = Path(getattr(sys.modules["__main__"], "__file__", None) or sys.argv[0] or "-")
    text = script.read_bytes() if script.is_file() else b""
    return {
        "mode": setting.mode.value, "kind": "script", "participant": setting.participant, "plan": script.name,
        "plan_sha256": hashlib.sha256(text).hexdigest() if text else "", "software_version": __version__,
        "run_id": setting.run_id, "rate_hz": bench.source.rate_hz, "eeg": setting.eeg_words, "targets": [],
        "scene": "default" if setting.simulated else None, "limits": {r.name: r.value for r in setting.limits.rows},
        "answered_by": "script", "dose_before": dose_before(setting.ledger, WALL.utc()[:10]),
    }  # fmt: skip


@contextlib.contextmanager
def children_leave_the_script_alone() -> Iterator[None]:
    """Processes started meanwhile do not import the script, which would run it, and its pulses, a second time."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


class _Terminal:
    """Lines typed at the terminal; one reader for the whole process, since a read cannot be cut short."""

    def __init__(self) -> None:
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="rtloop-script-terminal", daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # no terminal there: nobody can answer
            for line in sys.stdin:
                self.lines.put(line.strip())


_terminal: list[_Terminal] = []


def typed_by_a_person(within_s: float, present: Callable[[], None], clock: Clock) -> str:
    """The next line typed from now on, "" when none comes in time; what was typed before is not an answer."""
    if not _terminal:
        _terminal.append(_Terminal())
    lines, end_s = _terminal[0].lines, clock.now_s() + within_s
    while not lines.empty():
        lines.get_nowait()
    while clock.now_s() < end_s:
        present()
        with contextlib.suppress(queue.Empty):
            return lines.get(timeout=0.05)
    return ""
