"""Owns the stimulator as a script holds it: pace, presence, words; owns no rule and no device (the loop and its gate do)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rtloop.app.commissioned import covered
from rtloop.app.opening import band_of
from rtloop.app.preflight import SETTLE_S, STEADY_S, checked
from rtloop.app.script_asked import wished
from rtloop.app.script_loop import ScriptLoop
from rtloop.app.script_person import Person, asked_for, typed_by_a_person
from rtloop.app.script_setting import ScriptSetting, started
from rtloop.app.script_words import Dose, Receipt, Refused
from rtloop.app.setting import refuse_uncovered
from rtloop.app.wiring import Bench, SimulatedBedside
from rtloop.clock import WALL, Clock
from rtloop.errors import NotReady, RtloopError, SafetyStop, UsageProblem
from rtloop.model.pulse import Outcome, Pair, Pulse, Train, finite
from rtloop.model.status import Fault, Lamp, Mode, UnitStatus
from rtloop.record import kinds
from rtloop.record.commissioning import Record
from rtloop.record.journal import Journal
from rtloop.safety.gate import Gate, GateResult
from rtloop.safety.interlock import Interlock
from rtloop.safety.locked import Watch
from rtloop.safety.rules import Situation
from rtloop.session.vigil import Vigil

WAIT_SLICE_S = 0.02
LOOK_S = 0.06  # some looks of the vigil
DEADLINE_S = 0.25  # a pulse later than this after it was due is missed, never late
READY_WITHIN_S = 1.0
POWER_WITHIN_S = 16.0  # the longest ramp, its read-back, and some reserve
SHAPE_WITHIN_S = 16.0  # power B has the same ramp; the driver itself waits 14 s
ARM_WITHIN_S = 4.0
FIRE_WITHIN_S = 8.0  # the driver itself may take 7 s with a unit that is slow in each reply
#: faults that are the unit's or its line's: NotReady, not a refusal
OF_THE_UNIT = (
    Fault.UNIT_SILENT, Fault.UNIT_LOST, Fault.UNIT_UNEXPECTED, Fault.UNIT_STALE, Fault.PORT_DEAD,
)  # fmt: skip


class Tms:
    """The stimulator as a script holds it. Every call must come from the thread that opened it, ``stop`` and ``disarm`` excepted.

    That thread's calls are the only sign that somebody is there: between two calls the script has
    ``operator_max_age_s`` (2 s), then the unit is disarmed. Longer pauses go through ``wait``.
    """

    def __init__(
        self, setting: ScriptSetting, bench: Bench, journal: Journal, clock: Clock = WALL, *,
        person: Person = typed_by_a_person, loop: type[ScriptLoop] = ScriptLoop,
    ) -> None:  # fmt: skip
        self.setting, self._person = setting, person
        self._bench, self._clock = bench, clock
        self._thread = threading.get_ident()
        limits = setting.limits
        assert bench.unit is not None
        self._unit = bench.unit
        record = self._record()
        self._commissioned = setting.mode is Mode.HUMAN and record is not None
        self._band = band_of(setting.site, record)
        self._interlock = Interlock(
            setting.mode, confirm_window_s=limits.confirm_window_s, commissioned=self._commissioned
        )
        self._vigil = Vigil(
            source=bench.source,
            board=bench.board,
            limits=limits,
            status=bench.unit.status,
            utc=clock.utc,
            told=bench.unit.told,
            window=setting.window,
        )
        self._lock = Watch(setting.data_dir, setting.participant)
        self._loop = loop(
            bench=bench, interlock=self._interlock, vigil=self._vigil, journal=journal, clock=clock, sees=setting.sees,
            gate_of=lambda intent: Gate(
                stimulator=self._unit, limits=limits, interlock=self._interlock, ledger=setting.ledger, clock=clock,
                run_id=setting.run_id, key=bench.key, record_intent=intent, situation=self._situation,
                session_id=setting.session,
            ),
            show=self._show, participant=setting.participant, locked=self._lock.why, band=self._band,
        )  # fmt: skip
        self._pulses = 0
        # as the gate does: the instant of another run's last pulse is not known, so it is counted from now
        self._last: tuple[float, int | None, Train | None] | None = (
            (clock.now_s() + setting.ledger.maybe_running_s, None, None)
            if setting.ledger.latest_day
            else None
        )
        self._train: Train | None = None
        self._pair: Pair | None = None
        self._power: int | None = None
        self._cannot_stop = ""  # of the train that is set, in words: repeated where a person answers for it

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
        """Two steps: it is asked for, then confirmed in ``words``. With a real unit a person types these words, within 10 s;
        in mode HUMAN also three digits that are shown with the question.

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
        asked = self._loop.ask(
            self._loop.arm_requested, ARM_WITHIN_S
        )  # what no longer stands is acknowledged
        if not asked.ok:
            self._raise_if_the_unit_is_gone()
            raise self._refusal("arming was refused", (asked.words,))
        by = "script"
        if not self.setting.simulated:
            window_s, wanted = self.setting.limits.confirm_window_s, asked_for(self.setting.mode, words)
            cannot = f" ({self._cannot_stop})" if self._cannot_stop else ""
            self.setting.say(
                f"{self.setting.mode}: to arm at {self._power} % MSO{cannot}, type within {window_s:g} s: {wanted}"
            )
            said, by = self._person(window_s, self._loop.present, self._clock), "person at the terminal"
            if said != wanted:
                self._loop.ask(lambda: self._loop.gate.disarm("arming was not confirmed"), ARM_WITHIN_S)
                raise self._refusal(
                    "not armed: nobody typed the words", (f"expected {wanted!r}, found {said!r}",)
                )
            words = said
        done = self._loop.ask(lambda: self._loop.arm_confirmed(words, by), ARM_WITHIN_S)
        if not done.ok:
            raise self._refusal("not armed", (done.words,))

    def pulse(self) -> Receipt:
        """One pulse, as soon as the unit's interval allows. Refused with all reasons; NotReady when the unit is gone."""
        return self._give("single pulses", self._train is None and self._pair is None)

    def set_train(self, *, frequency_hz: float, n_pulses: int) -> float:
        """Set a train on the unit, disarmed; read back. Tells the worst-case seconds that software may be unable to stop."""
        self._here()
        return self._shape(wished(Train, frequency_hz=frequency_hz, n_pulses=n_pulses), None)

    def train(self) -> Receipt:
        """The train that was set, as soon as the unit's wait and the rules allow; returns when it is over."""
        return self._give("a train", self._train is not None)

    def set_pair(self, *, power_b_pct_mso: int, interval_ms: float) -> float:
        """Set a pair on a BiStim², disarmed; read back. The first pulse has the power of ``set_power``."""
        self._here()
        return self._shape(None, wished(Pair, power_b_pct_mso=power_b_pct_mso, interval_ms=interval_ms))

    def pair(self) -> Receipt:
        """The pair that was set, as soon as the unit's interval allows."""
        return self._give("a pair", self._pair is not None)

    def set_single(self) -> None:
        """Back to single pulses, disarmed."""
        self._here()
        self._shape(None, None)

    def wait(self, seconds: float) -> None:
        """Wait with the script's presence shown; SafetyStop when the loop has failed."""
        self._here()
        if not 0 <= finite(seconds) <= 24 * 3600:
            raise UsageProblem("no such wait", expected="0 to 86400 s", found=repr(seconds))
        end_s = self._clock.now_s() + seconds
        while (now_s := self._clock.now_s()) < end_s:
            self._here()
            self._clock.sleep_until(min(end_s, now_s + WAIT_SLICE_S))

    def dose(self) -> Dose:
        """What the participant was given, over all sessions of this data directory."""
        self._here()
        run, ledger = self.setting.run_id, self.setting.ledger
        day = self._clock.utc()[:10]
        found = self._loop.ask(
            lambda: Dose(
                session=ledger.count(run_id=run), day=ledger.count(day=day), total=ledger.count(),
                course=ledger.counts(target=self.setting.target, session_id=run, day=day).treatment_course,
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

    def _record(self) -> Record | None:
        """The record that covers exactly the unit and amplifier that answer; in HUMAN SafetyStop where there is none."""
        s = self.setting
        if s.simulated or s.eeg is None:
            return None
        now = (s.covering or covered(s.site)).with_devices(
            self._unit.identity, self._bench.stream, simulated_eeg=s.eeg_simulated
        )
        if s.mode is Mode.HUMAN:
            refuse_uncovered(now)
        return now.record if now.ok else None

    def _situation(self, pulse: Pulse, now_s: float) -> Situation:
        board, source, s = self._bench.board, self._bench.source, self.setting
        return Situation(
            mode=s.mode, now_s=now_s, pulse=pulse, eeg_simulated=s.eeg_simulated, stream=self._vigil.health,
            recorder_age_s=board.age_s("recorder"),
            durable_lag_s=(source.head() - board["durable_sample"]) / source.rate_hz,
            port_age_s=board.age_s("port"), operator_age_s=board.age_s("operator"), participant=s.participant,
            rig=s.rig, threshold=s.threshold, lock=self._lock.why(), commissioned=self._commissioned,
            plan_sha256=s.script_sha256, waivers=s.waivers,
        )  # fmt: skip

    def _shape(self, train: Train | None, pair: Pair | None) -> float:
        """Set what one fire command gives; the seconds that cannot be stopped, said and journalled when there are any."""
        gate = self._loop.gate
        if self._power is None:
            raise UsageProblem("the power was not set", expected="tms.set_power(...) first")
        pulse = self._wish(train, pair)
        status = self._loop.ask(
            lambda: gate.set_train(train) if pair is None else gate.set_pair(pair), SHAPE_WITHIN_S
        )
        if isinstance(status, tuple):
            raise self._refusal("it was refused", tuple(r.words() for r in status))
        self._train, self._pair, self._cannot_stop = train, pair, ""
        worst_s = gate.uninterruptible_s(pulse)
        if train is not None:
            words = f"software may not be able to stop it once fired: {worst_s:.1f} s; use the unit's hardware stop"
            self._cannot_stop = f"a train of {train.n_pulses} pulses; {words}"
            self.setting.say(f"   {words}")
            self._loop.emit(kinds.NOTE_WRITTEN, words=words, by="engine")
        return worst_s

    def _wish(self, train: Train | None, pair: Pair | None, pulse_id: int = 0) -> Pulse:
        now_s, power = self._clock.now_s(), self._power
        return Pulse(
            pulse_id=pulse_id, target=self.setting.target, purpose=self.setting.purpose, power_pct_rmt=None,
            power_pct_mso=-1 if power is None else power, due_s=now_s, deadline_s=now_s + DEADLINE_S, train=train, pair=pair,
        )  # fmt: skip

    def _give(self, what: str, is_set: bool) -> Receipt:
        self._here()
        if self._power is None or not is_set:
            raise UsageProblem(
                f"the unit is not set to {what}", expected="set it, and the power, before tms.arm(...)"
            )
        self._wait_until_due(self._due_s(self._power))
        pulse, result, over_s = self._sent()
        if pulse.pulse_id not in self._loop.closings and result.receipt is not None:
            end_s = over_s + self.setting.limits.train_end_max_wait_s + 1.0
            while pulse.pulse_id not in self._loop.closings and self._clock.now_s() < end_s:
                self.wait(WAIT_SLICE_S)
                self._loop.check()
        missed = {"outcome": result.outcome.value, "refusals": [r.words() for r in result.refusals]}
        return Receipt.of(pulse, self._loop.closings.get(pulse.pulse_id, missed))

    def _sent(self) -> tuple[Pulse, GateResult, float]:
        """Through the gate now, once; and when it is over at the latest, s. Refused with all reasons."""
        self._raise_if_the_unit_is_gone()
        self._pulses += 1
        pulse = self._wish(self._train, self._pair, self._pulses)
        result: GateResult = self._loop.ask(lambda: self._loop.fire(pulse), FIRE_WITHIN_S)
        if result.outcome is Outcome.REFUSED:
            raise self._refusal(
                f"pulse {pulse.pulse_id} was refused", tuple(r.words() for r in result.refusals)
            )
        train, pair = self._train, self._pair
        length_s = train.duration_s if train is not None else 0.0 if pair is None else pair.interval_ms * 1e-3
        over_s = self._clock.now_s() + length_s
        if result.receipt is not None:
            self._last = (over_s, self._power, train)
        return pulse, result, over_s

    def _due_s(self, power_pct_mso: int) -> float:
        now_s, gate = self._clock.now_s(), self._loop.gate
        if self._last is None:
            return now_s
        last_s, last_power, train = self._last
        gap_s = gate.min_interval_s(power_pct_mso)
        if last_power is not None:
            gap_s = max(gap_s, gate.min_interval_s(last_power), gate.min_interval_s(last_power, train))
        if self._train is not None and (train is not None or last_power is None):
            gap_s = max(gap_s, self.setting.limits.min_between_trains_s)
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
        self._loop.emit(kinds.SESSION_STARTED, sync=True, **started(self.setting, self._bench, self._band))
        covering = self.setting.covering
        if covering is not None and covering.record is not None:
            words = f"covered by {covering.words}, sha256 {covering.record.sha256}"
            self._loop.emit(kinds.NOTE_WRITTEN, words=words, by="engine")
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
