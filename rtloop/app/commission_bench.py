"""Owns one run of commissioning on the unit: the gate, the interlock and the vigil of a session, stepped by hand.

It owns no step. There is no other way to the unit here than the gate that sessions use, and no rule is left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtloop.app.commission_person import Person, Say, ended
from rtloop.app.preflight import refuse_wrong, settled
from rtloop.app.wiring import Bench, StreamWanted, UnitWanted, connected
from rtloop.clock import WALL, Clock
from rtloop.errors import NotReady, OperatorAbort
from rtloop.model.pulse import Outcome, Pair, Pulse, PulseSeen, Purpose, Train
from rtloop.model.status import Fault, Lamp, Mode, UnitStatus
from rtloop.record import kinds
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal
from rtloop.safety.gate import Gate, GateResult
from rtloop.safety.interlock import Interlock
from rtloop.safety.ledger import Ledger
from rtloop.safety.limits import Limits
from rtloop.safety.rules import Refusal, Situation
from rtloop.session.vigil import Vigil

TICK_S = 0.001
#: a permit's life: a pulse that is not sent by then is missed
FIRE_WITHIN_S = 0.5
READY_WITHIN_S = 0.3
TRAIN_END_S = 5.0
TRIES = 4
#: how long a pulse is looked for: with what follows, the shortest interval between two (1 s)
LOOK_S = 0.85
TARGET = "phantom"


@dataclass(frozen=True, kw_only=True)
class Fired:
    """What came of one command to fire, and what the stream showed of it."""

    result: GateResult
    seen: tuple[PulseSeen, ...]
    available_s: float | None  # when the first pulse's sample could be read here


class Stand:
    """The unit, the amplifier and the recorder of one run. ``tick`` must be called at least every 0.2 s while armed."""

    def __init__(
        self, bench: Bench, *, mode: Mode, limits: Limits, journal: Journal, run_id: str, clock: Clock = WALL
    ) -> None:
        assert bench.unit is not None
        self.bench, self.limits, self.mode, self.clock = bench, limits, mode, clock
        self.faults: list[tuple[float, Fault, str]] = []
        self.seen: list[PulseSeen] = []
        self._heads: list[tuple[float, int]] = []  # (when, head of the ring), while a pulse is looked for
        self._timing = False
        self._journal, self._pulses, self._last_s = journal, 0, float("-inf")
        self.lock = Interlock(mode, confirm_window_s=limits.confirm_window_s)
        self.gate = Gate(
            stimulator=bench.unit, limits=limits, interlock=self.lock, ledger=Ledger(), clock=clock, run_id=run_id,
            key=bench.key, record_intent=self._intended, situation=self._situation,
        )  # fmt: skip
        self.vigil = Vigil(
            source=bench.source,
            board=bench.board,
            limits=limits,
            status=self.gate.status,
            utc=clock.utc,
            told=bench.unit.told,
        )

    # ---- as in a session

    def _intended(self, charge: dict[str, Any]) -> None:
        self._journal.append(kinds.PULSE_INTENDED, charge, sync=True)

    def _situation(self, pulse: Pulse, now_s: float) -> Situation:
        board, source = self.bench.board, self.bench.source
        return Situation(
            mode=self.mode, now_s=now_s, pulse=pulse, eeg_simulated=self.bench.bedside is not None,
            stream=self.vigil.health, recorder_age_s=board.age_s("recorder"),
            durable_lag_s=(source.head() - board["durable_sample"]) / source.rate_hz,
            port_age_s=board.age_s("port"), operator_age_s=board.age_s("operator"), participant=TARGET, lock="",
        )  # fmt: skip

    def tick(self) -> None:
        """Show life, look, act on what is found: what a session's loop does at every pass."""
        board, now_s = self.bench.board, self.clock.now_s()
        board.beat("engine")
        board.beat("operator")
        raised, cleared = self.vigil.look(now_s, self.lock.lamp)
        for fault, words in raised:
            self.faults.append((now_s, fault, words))
            self._journal.append(kinds.FAULT_RAISED, {"fault": fault.value, "words": words})
            self.gate.fault(fault, words)
        for fault in cleared:
            self.lock.cleared(fault, now_s)
        if self._timing:
            self._heads.append((now_s, self.bench.source.head()))
        self.seen += self.bench.source.pulses(now_s)
        self.clock.sleep_until(self.clock.now_s() + TICK_S)

    def wait(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass, at most so long; whether the condition came true."""
        end_s = self.clock.now_s() + seconds
        while not until():
            if not self.clock.now_s() < end_s:
                return False
            self.tick()
        return True

    def settle(self, data_dir: Path, say: Say) -> None:
        """The session's own pre-flight, until all of it is in order for a second: SAFE -> READY, or NotReady."""
        items = settled(self.bench, self.vigil, data_dir, self.clock, lambda now_s: self.tick())
        refuse_wrong(items)
        for i in items:
            say(f"   [ok] {i.name}: {i.found}")
        for fault in list(self.lock.active):
            self.lock.cleared(fault, self.clock.now_s())
        self.lock.preflight_ok()
        self.seen.clear()

    # ---- the unit

    def set_power(self, power_pct_mso: int) -> int:
        """Through the gate; returns what was read back. NotReady with every refusal."""
        found = self.gate.set_power(power_pct_mso)
        if isinstance(found, tuple):
            raise NotReady("the power was refused", found="; ".join(str(r) for r in found))
        self.vigil.waited(self.clock.now_s())
        assert found.power_pct_mso is not None
        return found.power_pct_mso

    def arm(self, person: Person, why: str) -> None:
        """Two steps by the person, then the unit's own word; NotReady when it does not come."""
        window_s, first = self.limits.confirm_window_s, why
        for left in reversed(range(TRIES)):
            person.says("arm", why, self.tick)
            asked = self.lock.arm_requested(asked_s := self.clock.now_s())
            if not asked.accepted:
                raise NotReady("not armed", found=asked.words, todo="commission again")
            person.says("confirm", f"once more, within {window_s:g} s", self.tick)
            done = self.lock.arm_confirmed(self.clock.now_s())
            armed = self.gate.arm() if done.accepted else None
            self.vigil.waited(now_s := self.clock.now_s())
            if armed is not None and armed.ok:
                return
            if not left or now_s - asked_s <= window_s:
                found = done.words if armed is None else armed.words
                raise NotReady(
                    "not armed", found=found, todo="look at the unit's display, then commission again"
                )
            why = f"that was too late, nothing is armed. {first}"

    def set_train(self, train: Train | None) -> None:
        """Through the gate, read back by the driver; NotReady with every refusal."""
        self._shaped(self.gate.set_train(train))

    def set_pair(self, pair: Pair | None) -> None:
        """Through the gate, read back by the driver; NotReady with every refusal."""
        self._shaped(self.gate.set_pair(pair))

    def _shaped(self, found: UnitStatus | tuple[Refusal, ...]) -> None:
        self.vigil.waited(self.clock.now_s())
        if isinstance(found, tuple):
            raise NotReady("the setting was refused", found="; ".join(str(r) for r in found))

    def fire(
        self, power_pct_mso: int, *, look_s: float = LOOK_S, train: Train | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Fired:  # fmt: skip
        """One permit, one pulse (or train), as soon as the rules allow; then look so long for it in the stream.

        ``meanwhile`` is called right after the command, before looking.
        """
        before = len(self.seen)
        for left in reversed(range(TRIES)):
            pulse, result, why = self._once(power_pct_mso, train)
            if result is not None and result.outcome in (Outcome.FIRED, Outcome.UNCERTAIN):
                break
            if not left or not self.armed:
                raise NotReady("the pulse was refused", found=why)
        assert result is not None
        self._last_s = self.clock.now_s()
        self.vigil.waited(self._last_s)
        meanwhile()
        self.wait(look_s)
        if train is not None:
            result = self._train_end(result)
        if result.closing is not None:
            self._journal.append(kinds.PULSE_CLOSED, result.closing)
        self._timing = False
        seen = tuple(self.seen[before:])
        for one in seen:
            self._journal.append(
                kinds.PULSE_SEEN,
                {"pulse_id": pulse.pulse_id, "sample": one.sample, "source": one.source.value},
            )
        available = [t_s for t_s, head in self._heads if seen and head > seen[0].sample]
        return Fired(result=result, seen=seen, available_s=available[0] if available else None)

    def _once(self, power_pct_mso: int, train: Train | None) -> tuple[Pulse, GateResult | None, str]:
        """One pulse wanted, as in a session: a moment's hold (a late sample) refuses it, and the next one is tried."""
        gap_s = self.gate.min_interval_s(power_pct_mso) + self.limits.interval_margin_s
        if train is not None:
            gap_s = max(gap_s, self.limits.min_between_trains_s)
        due_s = max(self.clock.now_s() + 0.1, self._last_s + gap_s)
        self.gate.announce(due_s)
        self.wait(due_s - self.clock.now_s() + 1.0, lambda: self.clock.now_s() >= due_s)
        self.wait(READY_WITHIN_S, lambda: self.gate.status().ready)  # it recharges: late for that is no fault
        self._pulses += 1
        pulse = Pulse(
            pulse_id=self._pulses, target=TARGET, purpose=Purpose.CONTROL, power_pct_mso=power_pct_mso, power_pct_rmt=None,
            due_s=due_s, deadline_s=due_s + FIRE_WITHIN_S, train=train,
        )  # fmt: skip
        permit = self.gate.permit(pulse, self.clock.now_s())
        if isinstance(permit, tuple):
            return pulse, None, "; ".join(str(r) for r in permit)
        self._heads, self._timing = [], True
        result = self.gate.fire(pulse, permit)
        if result.outcome in (Outcome.REFUSED, Outcome.MISSED) and result.closing is not None:
            self._journal.append(kinds.PULSE_CLOSED, result.closing)
        return pulse, result, "; ".join(str(r) for r in result.refusals)

    def _train_end(self, result: GateResult) -> GateResult:
        ends: list[GateResult] = []

        def over() -> bool:
            end = self.gate.train_over()
            ends.extend([end] if end is not None else [])
            return bool(ends)

        if result.outcome is Outcome.FIRED and result.closing is None:
            self.wait(TRAIN_END_S, over)
        return ends[0] if ends else result

    @property
    def disarmed(self) -> bool:
        """The lamp is not armed, and the unit's newest status byte says standby."""
        status = self.gate.status()
        return not self.armed and status.standby and not status.may_discharge

    @property
    def armed(self) -> bool:
        """By the lamp; a hold of a moment (a late sample) is armed still."""
        return self.lock.lamp in (Lamp.ARMED, Lamp.HELD)


@contextlib.contextmanager
def standing(
    *, folder: SessionFolder, run_id: str, stream: StreamWanted, unit: UnitWanted, bedside: Any, mode: Mode, limits: Limits,
    say: Say,
) -> Iterator[Stand]:  # fmt: skip
    """One run: journal, board, amplifier, recorder, port process, gate; ended disarmed on every way out."""
    with contextlib.ExitStack() as stack:
        journal = Journal(folder.journal, run_id=run_id)
        stack.callback(journal.close)
        bench = stack.enter_context(connected(folder, run_id, stream, unit, bedside, say))
        stand = Stand(bench, mode=mode, limits=limits, journal=journal, run_id=run_id)
        stack.callback(stand.gate.close)
        try:
            yield stand
        except (KeyboardInterrupt, OperatorAbort) as err:
            raise ended(err, stand.gate.disarm("disarmed").words) from None
