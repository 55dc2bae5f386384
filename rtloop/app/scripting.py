"""Owns a stimulator session from a script: ``with stimulator(...) as tms``; owns no rule, and no way to a pulse but the gate.

Nothing that guards a session is missing: journal, dose ledger, interlock, two steps of arming, presence, STOP (``rtloop stop``),
recorder, the port process with its watchdogs. docs/decisions/0012 says why, also what becomes of the EEG where none is used.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtloop.app.preflight import SETTLE_S, STEADY_S, checked
from rtloop.app.script_loop import ScriptLoop
from rtloop.app.script_setting import (
    Say,
    ScriptSetting,
    bedside_for,
    children_leave_the_script_alone,
    decide,
    ends_for,
    started,
    typed_by_a_person,
)
from rtloop.app.wiring import Bench, SimulatedBedside, connected, session_folder, simulated_bedside
from rtloop.clock import WALL, Clock
from rtloop.errors import NotReady, RtloopError, SafetyStop, UsageProblem
from rtloop.model.pulse import Outcome, Pulse, Purpose
from rtloop.model.status import Fault, Lamp, UnitStatus
from rtloop.record import kinds
from rtloop.record.journal import Journal
from rtloop.record.verify import verify
from rtloop.safety.gate import Gate
from rtloop.safety.interlock import Interlock
from rtloop.safety.rules import MotorThreshold, Rig, Situation
from rtloop.session.run import Interrupts
from rtloop.session.vigil import Vigil

__all__ = ["Dose", "Receipt", "Refused", "Tms", "stimulator"]

WAIT_SLICE_S = 0.02
LOOK_S = 0.06  # some looks of the vigil
DEADLINE_S = 0.25  # a pulse later than this after it was due is missed, never late
READY_WITHIN_S = 1.0
POWER_WITHIN_S = 16.0  # the longest ramp, its read-back, and some reserve
ARM_WITHIN_S = 4.0
FIRE_WITHIN_S = 3.0
#: faults that are the unit's or its line's: NotReady, not a refusal
OF_THE_UNIT = (
    Fault.UNIT_SILENT, Fault.UNIT_LOST, Fault.UNIT_UNEXPECTED, Fault.UNIT_STALE, Fault.PORT_DEAD,
)  # fmt: skip


class Refused(SafetyStop):
    """A rule said no, nothing was sent; ``reasons``: every one, in words."""

    def __init__(self, what: str, reasons: tuple[str, ...]) -> None:
        self.reasons = reasons
        super().__init__(what, found=" | ".join(reasons))

    def __reduce__(self) -> tuple[object, ...]:
        return (Refused, (self.what, self.reasons))


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What came of one pulse. ``outcome`` "fired" or "uncertain" (counted as given; the run is then over) or "missed"."""

    pulse_id: int
    outcome: str
    power_pct_mso: int
    t_sent_s: float | None
    acknowledged_after_s: float | None
    words: str = ""

    def __str__(self) -> str:
        after = self.acknowledged_after_s
        told = "" if after is None else f", acknowledged after {after * 1e3:.1f} ms"
        return f"pulse {self.pulse_id} at {self.power_pct_mso} % MSO: {self.outcome}{told}" + (
            f" ({self.words})" if self.words else ""
        )


@dataclass(frozen=True, kw_only=True)
class Dose:
    """Pulses of this participant that count as given (uncertain ones do): in this script, on this UTC day, in all."""

    session: int
    day: int
    course: int
    session_cap: float
    day_cap: float

    def __str__(self) -> str:
        return (
            f"{self.session} pulse(s) in this script (at most {self.session_cap:g}), "
            f"{self.day} today (at most {self.day_cap:g}), {self.course} in all"
        )


class Tms:
    """The stimulator as a script holds it. Every call must come from the thread that opened it, ``stop`` and ``disarm`` excepted.

    That thread's calls are the only sign that somebody is there: between two calls the script has
    ``operator_max_age_s`` (2 s), then the unit is disarmed. Longer pauses go through ``wait``.
    """

    def __init__(self, setting: ScriptSetting, bench: Bench, journal: Journal, clock: Clock = WALL) -> None:
        self.setting = setting
        self._bench, self._clock = bench, clock
        self._thread = threading.get_ident()
        limits = setting.limits
        self._interlock = Interlock(setting.mode, confirm_window_s=limits.confirm_window_s)
        assert bench.unit is not None
        self._unit = bench.unit
        self._vigil = Vigil(
            source=bench.source, board=bench.board, limits=limits, status=bench.unit.status, utc=clock.utc
        )
        self._loop = ScriptLoop(
            bench=bench, interlock=self._interlock, vigil=self._vigil, journal=journal, clock=clock, sees=setting.sees,
            gate_of=lambda intent: Gate(
                stimulator=self._unit, limits=limits, interlock=self._interlock, ledger=setting.ledger, clock=clock,
                run_id=setting.run_id, key=bench.key, record_intent=intent, situation=self._situation,
            ),
            show=self._show,
        )  # fmt: skip
        self._pulses = 0
        # as the gate does: the instant of another run's last pulse is not known, so it is counted from now
        self._last: tuple[float, int | None] | None = (
            (clock.now_s(), None) if setting.ledger.latest_day else None
        )
        self._power: int | None = None

    # -- what a script asks for --------------------------------------------------------------------------------

    @property
    def lamp(self) -> Lamp:
        """SAFE, READY, ARMED, HELD or TRIPPED."""
        return self._interlock.lamp

    @property
    def simulator(self) -> SimulatedBedside | None:
        """The simulated bedside, to inject faults into; None with a real unit."""
        return self._bench.bedside

    def status(self) -> UnitStatus:
        """The unit's newest known status; never blocks."""
        self._here()
        return self._unit.status()

    def set_power(self, power_pct_mso: int) -> UnitStatus:
        """Set and read back. Refused beyond the caps; NotReady (disarmed) when the unit does not follow."""
        self._here()
        self._power = None
        status = self._loop.ask(lambda: self._loop.gate.set_power(power_pct_mso), POWER_WITHIN_S)
        if isinstance(status, tuple):
            raise self._refusal(f"{power_pct_mso} % MSO was refused", tuple(r.words() for r in status))
        assert isinstance(status, UnitStatus)
        self._power = power_pct_mso
        self._loop.emit("power_set", power_pct_mso=power_pct_mso)
        return status

    def arm(self, words: str) -> None:
        """Two steps: it is asked for, then confirmed in ``words``. With a real unit a person types these words, within 10 s.

        Refused with the reason when it is not; NotReady when the unit does not get ready.
        """
        self._here()
        if not (isinstance(words, str) and words.strip()):
            raise UsageProblem(
                "arming is confirmed in words", expected='such as "I am at the unit"', found=repr(words)
            )
        if self._power is None:
            raise UsageProblem("the power was not set", expected="tms.set_power(...) before tms.arm(...)")
        self.wait(LOOK_S)  # what stood while the script was away, and no longer does, is looked at first
        self._raise_if_the_unit_is_gone()
        asked = self._loop.ask(self._loop.arm_requested, ARM_WITHIN_S)
        if not asked.accepted:
            raise self._refusal("arming was refused", (asked.words,))
        by = "script"
        if not self.setting.simulated:
            window_s = self.setting.limits.confirm_window_s
            self.setting.say(
                f"{self.setting.mode}: to arm at {self._power} % MSO, type within {window_s:g} s: {words}"
            )
            said, by = typed_by_a_person(window_s, self._loop.present, self._clock), "person at the terminal"
            if said != words:
                self._loop.ask(lambda: self._loop.gate.disarm("arming was not confirmed"), ARM_WITHIN_S)
                raise self._refusal(
                    "not armed: nobody typed the words", (f"expected {words!r}, found {said!r}",)
                )
        ok, found = self._loop.ask(lambda: self._loop.arm_confirmed(words, by), ARM_WITHIN_S)
        if not ok:
            raise self._refusal("not armed", (found,))

    def pulse(self) -> Receipt:
        """One pulse, as soon as the unit's interval allows. Refused with all reasons; NotReady when the unit is gone."""
        self._here()
        power = self._power
        if power is None:
            raise UsageProblem("the power is not known", expected="tms.set_power(...) before tms.pulse()")
        due_s = self._due_s(power)
        self._wait_until_due(due_s)
        self._raise_if_the_unit_is_gone()
        self._pulses += 1
        now_s = self._clock.now_s()
        pulse = Pulse(
            pulse_id=self._pulses, target="script", purpose=Purpose.PROBE, power_pct_mso=power, power_pct_rmt=None,
            due_s=now_s, deadline_s=now_s + DEADLINE_S,
        )  # fmt: skip
        result = self._loop.ask(lambda: self._loop.fire(pulse), FIRE_WITHIN_S)
        self._last = (self._clock.now_s(), power) if result.receipt is not None else self._last
        if result.outcome is Outcome.REFUSED:
            raise self._refusal(
                f"pulse {pulse.pulse_id} was refused", tuple(r.words() for r in result.refusals)
            )
        r = result.receipt
        acknowledged = r is not None and r.t_reply_s is not None and r.t_sent_s is not None
        return Receipt(
            pulse_id=pulse.pulse_id, outcome=result.outcome.value, power_pct_mso=power,
            t_sent_s=None if r is None else r.t_sent_s,
            acknowledged_after_s=r.t_reply_s - r.t_sent_s if acknowledged else None,
            words="; ".join([x.words() for x in result.refusals] + [r.reason if r is not None else ""]).strip("; "),
        )  # fmt: skip

    def wait(self, seconds: float) -> None:
        """Wait with the script's presence shown; SafetyStop when the loop has failed."""
        self._here()
        if not 0 <= seconds <= 24 * 3600:
            raise UsageProblem("no such wait", expected="0 to 86400 s", found=repr(seconds))
        end_s = self._clock.now_s() + seconds
        while (now_s := self._clock.now_s()) < end_s:
            self._here()
            self._clock.sleep_until(min(end_s, now_s + WAIT_SLICE_S))

    def dose(self) -> Dose:
        """What the participant was given, over all sessions of this data directory."""
        self._here()
        run, limits, ledger = self.setting.run_id, self.setting.limits, self.setting.ledger
        day = self._clock.utc()[:10]
        found = self._loop.ask(
            lambda: Dose(
                session=ledger.count(run_id=run), day=ledger.count(day=day), course=ledger.count(),
                session_cap=limits.max_pulses_session, day_cap=limits.max_pulses_day,
            ),
            FIRE_WITHIN_S,
        )  # fmt: skip
        assert isinstance(found, Dose)
        return found

    def disarm(self, reason: str = "the script disarms") -> bool:
        """Never refused, from any thread; whether the unit itself said standby."""
        done = self._loop.gate.disarm(reason)
        with contextlib.suppress(RtloopError):
            self._loop.emit("disarmed", reason=reason, confirmed=done.confirmed, words=done.words)
        return done.confirmed

    def stop(self) -> None:
        """STOP, from any thread: straight to the port process, and the end of this run's permission."""
        self._bench.board.ask_stop()

    # -- inside ------------------------------------------------------------------------------------------------

    def _here(self) -> None:
        """Presence: this thread lives and calls."""
        if threading.get_ident() != self._thread:
            raise UsageProblem(
                "the stimulator is used from another thread", expected="the thread that opened it",
                todo="a second thread cannot show that the script itself lives; only stop() and disarm() are for any thread",
            )  # fmt: skip
        self._loop.present()

    def _situation(self, pulse: Pulse, now_s: float) -> Situation:
        board, source, s = self._bench.board, self._bench.source, self.setting
        return Situation(
            mode=s.mode, now_s=now_s, pulse=pulse, eeg_simulated=s.eeg_simulated, stream=self._vigil.health,
            recorder_age_s=board.age_s("recorder"),
            durable_lag_s=(source.head() - board["durable_sample"]) / source.rate_hz,
            port_age_s=board.age_s("port"), operator_age_s=board.age_s("operator"), participant=s.participant,
            rig=s.rig, threshold=s.threshold,
        )  # fmt: skip

    def _due_s(self, power_pct_mso: int) -> float:
        now_s = self._clock.now_s()
        if self._last is None:
            return now_s
        last_s, last_power = self._last
        gap_s = max(self._loop.gate.min_interval_s(p) for p in (power_pct_mso, last_power) if p is not None)
        return max(now_s, last_s + gap_s + self.setting.limits.interval_margin_s)

    def _wait_until_due(self, due_s: float) -> None:
        """Until due, and a moment longer until the unit says ready; not at all where nothing is armed."""
        if self.lamp is Lamp.ARMED:
            self._unit.announce(due_s)
        while (
            self.lamp in (Lamp.ARMED, Lamp.HELD) and (now_s := self._clock.now_s()) < due_s + READY_WITHIN_S
        ):
            self._here()
            if now_s >= due_s and self.lamp is Lamp.ARMED and self._unit.status().ready:
                return
            self._clock.sleep_until(min(now_s + WAIT_SLICE_S, max(due_s, now_s + 0.002)))

    def _raise_if_the_unit_is_gone(self) -> None:
        gone = {f: w for f, w in self._loop.ask(self._loop.active, FIRE_WITHIN_S).items() if f in OF_THE_UNIT}
        if gone:
            err = NotReady(
                "the unit cannot be used", expected="an answering unit", found="; ".join(gone.values())
            )
            err.fault = next(iter(gone))  # type: ignore[attr-defined]
            raise err

    def _refusal(self, what: str, reasons: tuple[str, ...]) -> Refused:
        faults = tuple(self._loop.ask(self._loop.active, FIRE_WITHIN_S).values())
        self._loop.emit("refused", words=[what, *reasons])
        return Refused(what, (*reasons, *(f for f in faults if f not in reasons)))

    def _show(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == kinds.FAULT_RAISED:
            self.setting.say(f"!! {data['words']} [{data['action']}]")
        elif kind == "disarmed" and not data["confirmed"]:
            self.setting.say(f"!! {data['words']}")

    def begin(self) -> None:
        """Journal the start, pass the pre-flight: SAFE -> READY, or NotReady in words."""
        self._loop.emit(kinds.SESSION_STARTED, sync=True, **started(self.setting, self._bench))
        self._loop.emit(kinds.STREAM_OPENED, **self._bench.stream)
        self._loop.emit(kinds.UNIT_OPENED, **self._unit.identity.__dict__)
        end_s, good_since_s = self._clock.now_s() + SETTLE_S, float("inf")
        while (now_s := self._clock.now_s()) < end_s and not now_s - good_since_s >= STEADY_S:
            self._bench.board.beat("engine")
            self._here()
            self._vigil.look(now_s, Lamp.SAFE)
            self._bench.source.pulses(now_s)
            items = checked(self._bench, self._vigil, Path(self.setting.data_dir))
            if self._bench.board["stop_asked"]:
                raise SafetyStop("STOP was asked for during the pre-flight", todo="start again with a note")
            good_since_s = min(good_since_s, now_s) if all(i.ok for i in items) else float("inf")
            self._clock.sleep_until(now_s + 0.01)
        self._loop.emit("preflight_checked", items=[i.__dict__ for i in items])
        wrong = [i for i in items if not i.ok]
        if wrong:
            raise NotReady(
                "the pre-flight did not pass", expected="; ".join(f"{i.name}: {i.expected}" for i in wrong),
                found="; ".join(f"{i.name}: {i.found}" for i in wrong), todo="; ".join(i.todo for i in wrong),
            )  # fmt: skip
        self._loop.start()
        self._loop.ask(self._loop.passed, FIRE_WITHIN_S)

    def end(self, words: str, *, clean: bool) -> None:
        """Disarm first; then the last words."""
        self._loop.end(words, clean=clean)


@contextlib.contextmanager
def stimulator(
    port: str, *, participant: str, model: str | None = None, caps: Mapping[str, float] | None = None,
    eeg: str | None = None, mode: str | None = None, threshold: MotorThreshold | None = None,
    rig: Rig | None = None, data_dir: str | Path | None = None, site: str | Path | None = None, say: Say = print,
) -> Iterator[Tms]:  # fmt: skip
    """A session with one stimulator; disarmed on every way out.

    Parameters
    ----------
    port : ``"sim:200"`` (simulated unit and EEG), or the port of a real one: ``"/dev/ttyUSB0"``, ``"COM3"``
    model : of a real unit; "200" when left out
    participant : whose dose it is; the ledger counts over all sessions of the data directory, simulated and real apart
    caps : limits by name (rtloop/safety/limits.toml), only ever tighter than the site's; ValidationProblem otherwise
    eeg : name of the LSL stream that records this unit; left out with a real unit, no EEG is used: that is never HUMAN
    threshold, rig : the motor threshold, and what it is bound to; then % of threshold is capped too

    Raises ValidationProblem or UsageProblem before anything is touched, NotReady when a device is not as wanted.
    """
    setting = decide(
        port, participant=participant, model=model, caps=caps, eeg=eeg, mode=mode, threshold=threshold, rig=rig,
        data_dir=data_dir, site=site, say=say,
    )  # fmt: skip
    folder = session_folder(Path(setting.data_dir), setting.run_id)
    say(
        f"{setting.mode} session {folder.path.name}, {setting.model} on {port}, participant {participant}; {setting.eeg_words}"
    )
    with Interrupts(say) as interrupts, contextlib.ExitStack() as stack:
        journal = Journal(folder.journal, run_id=setting.run_id)
        stack.callback(journal.close)
        tms: Tms | None = None
        try:
            with children_leave_the_script_alone():
                bedside = stack.enter_context(simulated_bedside(bedside_for(setting)))
                stream, unit = ends_for(setting, bedside)
                # a stand-in for an amplifier is no simulated bedside of this unit: it takes no faults for it
                shown = bedside if setting.simulated else None
                bench = stack.enter_context(
                    connected(folder, setting.run_id, stream, unit, shown, lambda words: None)
                )
            tms = Tms(setting, bench, journal)
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
