"""Owns a stimulator session from a script: ``with stimulator(...) as tms``; owns no rule, and no way to a pulse but the gate.

Nothing that guards a session is missing: journal, dose ledger, interlock, two steps of arming, presence, STOP (``rtloop stop``),
recorder, the port process with its watchdogs. docs/decisions/0012 says why, also what becomes of the EEG where none is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from hardware_sim.bedside import BedsideSpec
from rtloop.app.script_setting import (
    Say,
    ScriptSetting,
    bedside_for,
    children_leave_the_script_alone,
    decide,
    ends_for,
)
from rtloop.app.script_unit import Tms
from rtloop.app.script_words import Dose, Receipt, Refused
from rtloop.app.wiring import connected, session_folder, simulated_bedside
from rtloop.errors import NotReady, RtloopError
from rtloop.model.status import Lamp
from rtloop.record import kinds
from rtloop.record.journal import Journal
from rtloop.record.verify import verify
from rtloop.safety.rules import MotorThreshold, Rig
from rtloop.session.run import Interrupts

Held = TypeVar("Held", bound=Tms)

__all__ = ["Dose", "MotorThreshold", "NotReady", "Receipt", "Refused", "Rig", "Tms", "stimulator"]


@contextlib.contextmanager
def stimulator(
    port: str, *, participant: str, model: str | None = None, caps: Mapping[str, float] | None = None,
    eeg: str | None = None, mode: str | None = None, threshold: MotorThreshold | None = None,
    rig: Rig | None = None, purpose: str = "probe", data_dir: str | Path | None = None,
    site: str | Path | None = None, waivers: str | Path | None = None, say: Say = print,
) -> Iterator[Tms]:  # fmt: skip
    """A session with one stimulator; disarmed on every way out.

    Parameters
    ----------
    port : ``"sim:200"`` (simulated unit and EEG), or the port of a real one: ``"/dev/ttyUSB0"``, ``"COM3"``
    model : of a real unit; "200" when left out
    participant : whose dose it is; the ledger counts over all sessions of the data directory, simulated and real apart
    caps : limits by name (rtloop/safety/limits.toml), only ever tighter than the site's; ValidationProblem otherwise
    eeg : name of the LSL stream that records this unit; left out with a real unit, no EEG is used: that is never HUMAN
    mode : "human", to be asked for by name, lets a person under the coil: real unit and EEG, a site file, a commissioning
        record that covers them, threshold and rig, and at each arming a person at the terminal. Else it follows from the port
    purpose : "probe", or "treatment" (which has caps of its own)
    threshold, rig : the motor threshold, and what it is bound to; then % of threshold is capped too
    waivers : a file of waivers that a person signed (docs/drivers.md); ``plan_sha256`` there is the SHA-256 of the bytes of the
        script's own file (``sha256sum SCRIPT``): one changed byte ends them. What the script imports or reads is not bound

    Raises ValidationProblem or UsageProblem before anything is touched, NotReady when a device is not as wanted.
    """
    setting = decide(
        port, participant=participant, model=model, caps=caps, eeg=eeg, mode=mode, threshold=threshold, rig=rig,
        purpose=purpose, data_dir=data_dir, site=site, waivers=waivers, say=say,
    )  # fmt: skip
    with held(setting, bedside_for(setting), Tms) as tms:
        yield tms


@contextlib.contextmanager
def held(setting: ScriptSetting, spec: BedsideSpec | None, of: type[Held]) -> Iterator[Held]:
    """The session that ``stimulator`` holds once all is decided; ``of``: as what the stimulator is handed over.

    ``spec``: the simulated bedside, None where unit and EEG are real.
    """
    say = setting.say
    folder = session_folder(Path(setting.data_dir), setting.run_id)
    say(
        f"{setting.mode} session {folder.path.name}, {setting.model} on {setting.port}, participant {setting.participant}; "
        f"{setting.eeg_words}"
    )
    if lines := setting.site.unit.lines_words:
        say(f"not used with a simulated unit: {lines}" if setting.simulated else lines)
    for waiver in setting.waivers:
        say(f"!! {waiver.words()}")
    with Interrupts(say) as interrupts, contextlib.ExitStack() as stack:
        journal = Journal(folder.journal, run_id=setting.run_id)
        stack.callback(journal.close)
        tms: Held | None = None
        try:
            with children_leave_the_script_alone():
                bedside = stack.enter_context(simulated_bedside(spec))
                stream, unit = ends_for(setting, bedside)
                # a stand-in for an amplifier is no simulated bedside of this unit: it takes no faults for it
                shown = bedside if setting.simulated else None
                bench = stack.enter_context(
                    connected(
                        folder, setting.run_id, stream, unit, shown, lambda words: None, window=setting.window
                    )
                )
            tms = of(setting, bench, journal)
            tms.begin()
            yield tms
        except BaseException as err:
            interrupts.patient()
            words = f"{type(err).__name__}: {err}"
            with contextlib.suppress(RtloopError):  # it disarms first
                _last_words(tms, journal, words)
            raise
        interrupts.patient()
        tms.end("the script ended", clean=tms.lamp is not Lamp.TRIPPED)
    found = verify(folder.path)
    say(f"record: {'whole' if found.ok else 'NOT whole, see rtloop verify'} in {folder.path}")
    if found.ok:
        folder.tidy()


def _last_words(tms: Tms | None, journal: Journal, words: str) -> None:
    if tms is not None:
        tms.end(words, clean=False)
    else:  # it never came to a session that could write its own end
        last = {"clean": False, "words": words, "durable_sample": 0, "durable_journal": 0}
        journal.append(kinds.SESSION_ENDED, last, sync=True)
