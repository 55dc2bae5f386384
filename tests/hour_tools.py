"""Owns an hour of trains through gate, driver and simulated unit on a noisy line; owns no check but that of the count.

``Hour`` goes by a stepped clock. ``RealHour`` is the same by the wall clock: the driver's own port process at a socket.
Every trip ends its run; the next goes on with the same ledger.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from contract_tools import beating
from safety_tools import LIMITS, good

from drivers.client import MagstimUnit
from drivers.stepped import SteppedUnit
from hardware_sim.faults import Fault as LineFault
from hardware_sim.faults import FaultKind
from hardware_sim.line import SocketLine, SteppedLine
from hardware_sim.magstim import UNLOCK_CODE, unit_of
from rtloop.board import Board
from rtloop.clock import WALL, Clock, SteppedClock
from rtloop.errors import NotReady
from rtloop.model.event import Event
from rtloop.model.pulse import Outcome, Pulse, Purpose, Train
from rtloop.model.status import Lamp, Mode
from rtloop.ports import Permit
from rtloop.safety.gate import Gate, GateResult
from rtloop.safety.interlock import Interlock
from rtloop.safety.ledger import PULSE_CLOSED, PULSE_INTENDED, Ledger
from rtloop.safety.rules import Situation

START_S, HOUR_S = 1_700_000_000.0, 3600.0
TRAIN, EVERY_S, POWER = Train(frequency_hz=10.0, n_pulses=25), 24.0, 40
NOISE: tuple[dict[str, Any], ...] = (
    {"kind": FaultKind.BAD_CRC, "times": 1}, {"kind": FaultKind.STRAY_BYTES, "times": 1, "data": b"\xff"},
    {"kind": FaultKind.UNSOLICITED_BYTES, "data": b"\x00?S"}, {"kind": FaultKind.SHORT_REPLY, "times": 1, "n_bytes": 2},
    {"kind": FaultKind.DELAYED_REPLY, "times": 1, "delay_s": 0.05}, {"kind": FaultKind.MUTE, "times": 1},
    {"kind": FaultKind.BAD_CRC, "times": 1, "only": "EH"}, {"kind": FaultKind.MUTE, "times": 1, "only": "EH"},
    {"kind": FaultKind.STRAY_BYTES, "times": 1, "only": "EH", "data": b"?", "delay_s": 0.02},
)  # fmt: skip


class Hour:
    """Trains through the gate, run after run, with one ledger; ``given`` is the simulated unit's own count."""

    def __init__(self, folder: Path, seed: int, every_s: float = EVERY_S) -> None:
        self.every_s = every_s
        self.folder, self.random = folder, random.Random(seed)
        self.clock: Clock = self._clock()
        self.start_s, self.ledger = self.clock.now_s(), Ledger()
        self.given = self.runs = self.pulse_id = 0
        self.spare = 0  # charged for trains of unknown or bounded outcome, and not given
        self.outcomes: Counter[str] = Counter()
        self.journal: list[tuple[str, dict[str, Any]]] = []

    def go(self, until_s: float, *, noise: float) -> None:
        while self.clock.now_s() < self.start_s + until_s:
            self.runs += 1
            self.sim = unit_of(
                "super-rapid-plus", on_discharge=self._discharged, power_pct_mso=POWER, arming_s=0.2
            )
            path = self.folder / f"board-{self.runs}"
            with Board.create(path, clock=self.clock) as board:
                board.start("engine")
                self.board, key = board, self.random.randbytes(32)
                try:
                    self._open(key, path)
                except NotReady:
                    self.outcomes["not opened"] += 1
                    self._close()
                    continue
                self.lock = Interlock(Mode.SIMULATED)
                self.gate = Gate(
                    stimulator=self.unit, limits=LIMITS, interlock=self.lock, ledger=self.ledger, clock=self.clock,
                    run_id=f"run-{self.runs}", session_id="s", key=key, situation=self._situation,
                    record_intent=lambda data: self.journal.append((PULSE_INTENDED, data)),
                )  # fmt: skip
                try:
                    self._run(until_s, noise)
                    self.gate.close()
                    self._pass(5.0)
                finally:
                    self._close()

    def _clock(self) -> Clock:
        return SteppedClock(START_S)

    def _open(self, key: bytes, path: Path) -> None:
        assert isinstance(self.clock, SteppedClock)
        self.clock._listeners.clear()
        self.unit: SteppedUnit | MagstimUnit = SteppedUnit.open(
            line=SteppedLine(self.sim, self.clock), clock=self.clock, board=self.board, run_id=f"run-{self.runs}",
            key=key, model="super-rapid-plus", unlock_code=UNLOCK_CODE,
        )  # fmt: skip

    def _close(self) -> None:
        """The devices of this run."""

    def _inject(self, fault: LineFault) -> None:
        self.sim.inject(fault, self.clock.now_s())

    def folded(self) -> int:
        """What the journal alone says."""
        return Ledger.from_events(
            Event(n=0, t_s=0.0, utc="", kind=kind, data=data) for kind, data in self.journal
        ).count()

    def _run(self, until_s: float, noise: float) -> None:
        while self.clock.now_s() < self.start_s + until_s and self.lock.lamp is not Lamp.TRIPPED:
            next_s = self.clock.now_s() + self.every_s
            if self.random.random() < noise:
                self._inject(LineFault(**self.random.choice(NOISE)))
            try:
                if self.lock.lamp is not Lamp.ARMED:
                    self._arm()
                if self.lock.lamp is Lamp.ARMED:
                    self._train()
            except NotReady:  # the gate has disarmed and told the fault; arm again
                self.outcomes["not ready"] += 1
            self._pass(next_s - self.clock.now_s())
            self._exact()

    def _arm(self) -> None:
        for fault in list(self.lock.active):
            self.lock.cleared(fault, self.clock.now_s())
        self.gate.disarm("to arm anew")
        self.lock.preflight_ok()
        self.gate.set_power(POWER)
        self.gate.set_train(TRAIN)
        self.lock.arm_requested(self.clock.now_s())
        self.lock.arm_confirmed(self.clock.now_s())
        self.gate.arm()

    def _train(self) -> None:
        before, now_s = self.given, self.clock.now_s()
        self.pulse_id += 1
        wanted = Pulse(pulse_id=self.pulse_id, target="M1", purpose=Purpose.TREATMENT, power_pct_mso=POWER,
                       power_pct_rmt=None, due_s=now_s, deadline_s=now_s + 0.05, train=TRAIN)  # fmt: skip
        permit = self.gate.permit(wanted, now_s)
        if not isinstance(permit, Permit):
            self.outcomes["refused"] += 1
            return
        result: GateResult | None = self.gate.fire(wanted, permit)
        assert result is not None
        if result.outcome is Outcome.FIRED:
            for _ in range(100):
                if (result := self.gate.train_over()) is not None:
                    break
                self._pass(0.1)
            assert result is not None, "a train without an end"
        if (
            result.closing is None
        ):  # refused at the last look, as where the computer stood still until the deadline
            assert result.outcome in (Outcome.REFUSED, Outcome.MISSED), result
            assert self.given == before, "refused, and pulses came"
            self.outcomes[str(result.outcome)] += 1
            return
        self.journal.append((PULSE_CLOSED, result.closing))
        self.outcomes[str(result.outcome)] += 1
        self._pass(TRAIN.duration_s + 1.0)  # a train of unknown outcome may go on
        given, low, high = (
            self.given - before,
            result.closing["delivered_min"],
            result.closing["delivered_max"],
        )
        assert low <= given <= high, (low, given, high)
        if result.outcome is Outcome.FIRED and low == high:
            assert given == low
        self.spare += high - given

    def _discharged(self, t_s: float, power_pct_mso: int) -> None:
        self.given += 1
        assert power_pct_mso == POWER
        assert self.ledger.count() >= self.given

    def _exact(self) -> None:
        assert self.ledger.count() == self.given + self.spare

    def _situation(self, pulse: Pulse, now_s: float) -> Situation:
        return replace(good(now_s, pulse=pulse), threshold=None, rig=None, eeg_simulated=True)

    def _pass(self, dt_s: float) -> None:
        end_s = self.clock.now_s() + dt_s
        while self.clock.now_s() < end_s:
            self.board.beat("engine")
            self.clock.sleep_until(min(end_s, self.clock.now_s() + 0.1))
            trouble = self.unit.trouble()
            if trouble is not None and trouble.fault not in self.lock.active:
                self.gate.fault(trouble.fault, trouble.what)


class RealHour(Hour):
    """By the wall clock; the simulated unit is in this process, the driver's port process is its own."""

    beating = True

    def _clock(self) -> Clock:
        return WALL

    def _open(self, key: bytes, path: Path) -> None:
        self.line = SocketLine(self.sim, WALL)
        self.line.start()
        with beating(self):  # while the engine waits for the driver to open
            self.unit = MagstimUnit.open(
                port=self.line.port, board_path=path, run_id=f"run-{self.runs}", key=key, simulated=True,
                model="super-rapid-plus", unlock_code=UNLOCK_CODE,
            )  # fmt: skip

    def _close(self) -> None:
        self.line.close()

    def _inject(self, fault: LineFault) -> None:
        with self.line.lock:
            self.sim.inject(fault, self.clock.now_s())
