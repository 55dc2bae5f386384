"""Owns a unit driven in this process on a stepped clock, without a port process; owns none of its logic."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from drivers.described import Described
from drivers.magstim.line import READ_TIMEOUT_S, Line
from drivers.magstim.transcript import RecordingLine
from drivers.magstim.units import UnitFacts, facts_of
from drivers.outputs import Stop, Trigger
from drivers.reading import firmware_of, status_on
from drivers.refusals import refuse_due, refuse_pair, refuse_train, wrong_options
from drivers.requests import FIRE_S, Answer, Ask, Opened, Options, Request, unanswered
from drivers.trouble import UnitProblem
from drivers.watch import FAILED
from drivers.worker import PortWorker
from rtloop.board import Board
from rtloop.clock import SteppedClock
from rtloop.model.pulse import FireReceipt, Pair, Train
from rtloop.model.status import Fault, UnitIdentity, UnitStatus
from rtloop.ports import Permit


class SteppedUnit(Described):
    """A Stimulator over a serial look-alike on a stepped clock; same interface as ``MagstimUnit``.

    It listens to the clock and steps its worker after each advance. The engine must beat the board's
    heartbeat at least every 0.25 s of stepped time while armed, as always. Waiting for the unit moves the
    one clock, which would make the engine look hung: while the worker waits, the heartbeat keeps its age.
    """

    def __init__(
        self, *, line: Line, worker: PortWorker, board: Board, facts: UnitFacts, identity: UnitIdentity
    ) -> None:
        super().__init__(facts, identity)
        self._line, self._worker, self._board = line, worker, board
        self._busy = self._closed = False
        self._n = 0
        self._mark_ns = board.now_ns()
        self.opened: Opened | None = None

    @classmethod
    def open(
        cls, *, line: Line, clock: SteppedClock, board: Board, run_id: str, key: bytes, model: str = "200",
        port: str = "stepped", trigger: Trigger | None = None, stop_line: Stop | None = None, **options: Any,
    ) -> SteppedUnit:  # fmt: skip
        """Take control of the unit behind ``line``; the board must live on the same clock.

        ``trigger``: fire by this instead of ``EH``. ``stop_line``: as of
        ``PortWorker``. ``options``: as of ``drivers.requests.Options``.
        """
        known = Options(**options)
        wrong_options(model, known, port=port)
        facts = facts_of(model, supply_v=known.supply_v, stops_running_train=known.stops_running_train)
        if hasattr(line, "timeout"):
            line.timeout = READ_TIMEOUT_S
        if known.transcript is not None:
            line = RecordingLine(line, known.transcript, clock)
        made: SteppedUnit

        worker = PortWorker(
            line=line, facts=facts, board=board, clock=clock, run_id=run_id, key=key, options=known,
            while_waiting=lambda: made._engine_waits(),
            make_trigger=None if trigger is None else lambda *_: trigger, stop_line=stop_line,
        )  # fmt: skip
        board.start("port")
        identity = UnitIdentity(model=model, port=port, simulated=True)
        made = cls(line=line, worker=worker, board=board, facts=facts, identity=identity)
        with made._at_work():
            made.opened = found = worker.open()
        made._facts = replace(facts, software=found.software)
        made._identity = replace(identity, firmware=firmware_of(found.software))
        clock.listen(made.keep_alive)
        return made

    def keep_alive(self, now_s: float) -> None:
        """Called after each step of the clock; nothing while a request itself moves the clock."""
        if not (self._busy or self._closed):
            with self._at_work():
                self._worker.step()

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        self._busy, self._mark_ns = True, self._board.now_ns()
        try:
            yield
        finally:
            self._busy = False

    def _engine_waits(self) -> None:
        now_ns, beat = self._board.now_ns(), self._board["beat_engine"]
        if beat > 0:
            self._board["beat_engine"] = min(now_ns, beat + now_ns - self._mark_ns)
        self._mark_ns = now_ns

    def status(self) -> UnitStatus:
        """From the board; never moves the clock."""
        return status_on(self._board)

    def told(self) -> UnitProblem | None:
        """Why nothing more can be fired in this run, or until it is armed anew, if so."""
        return None if self._worker.trip is None else self._worker.trip.problem()

    trouble = told  # there is no process that could die

    def announce(self, due_s: float) -> None:
        """A pulse is due then; UnitProblem for no instant."""
        refuse_due(due_s)
        self._worker.serve(Request(n=0, ask=Ask.ANNOUNCE, due_s=due_s))

    def set_power(self, power_pct_mso: int) -> UnitStatus:
        """Set, wait for the ramp, read back, compare; raises UnitProblem."""
        return self._status_of(self._ask(Ask.SET_POWER, power_pct_mso=power_pct_mso))

    def arm(self) -> UnitStatus:
        """Arm and wait until the unit itself says ready; raises UnitProblem."""
        return self._status_of(self._ask(Ask.ARM))

    def set_train(self, train: Train | None) -> UnitStatus:
        """Set a train (None: single pulses), read back, compare; only in standby; raises UnitProblem."""
        refuse_train(self._facts, self.status().power_pct_mso, train)
        return self._status_of(self._ask(Ask.SET_TRAIN, train=train))

    def set_pair(self, pair: Pair | None) -> UnitStatus:
        """Set a pair (None: single pulses), read back, compare; only in standby; raises UnitProblem."""
        refuse_pair(self._facts, pair)
        return self._status_of(self._ask(Ask.SET_PAIR, pair=pair))

    def refresh(self) -> UnitStatus:
        """Ask the unit itself now; raises UnitProblem."""
        return self._status_of(self._ask(Ask.STATUS))

    def fire(self, permit: Permit) -> FireReceipt:
        """Fire once; never raises for the line."""
        start_ns = self._board.now_ns()
        answer = self._ask(Ask.FIRE, permit=permit)
        if (
            not (self._board.now_ns() - start_ns) * 1e-9 < FIRE_S
        ):  # as if it had a process: nobody waits for it any longer
            with contextlib.suppress(UnitProblem):
                self.disarm()
            return unanswered(permit, self.status(), f"no answer within {FIRE_S:g} s")
        assert answer.receipt is not None
        return answer.receipt

    def train_end(self) -> FireReceipt | None:
        """What was given of the last train; None while it is under way, or there was none."""
        return self._worker.train_receipt

    def disarm(self) -> None:
        """EA at once; also from within another request (the wait for its reply is cut short)."""
        if self._closed:
            return
        self._board["disarm_asked"] += 1
        if self._busy:
            return
        wanted = self._board["disarm_asked"]
        with self._at_work():
            self._worker.step()
        if self._board["port_state"] == FAILED or self._board["disarm_done"] != wanted:
            raise UnitProblem(
                Fault.UNIT_LOST, "the line to the unit is lost; the unit disarms itself after about 1 s"
            )

    def close(self) -> None:
        """Disarm, release, close the line; never raises."""
        if not self._closed:
            self._ask(Ask.CLOSE)
            self._closed = True
            self._board.end("port")

    def __enter__(self) -> SteppedUnit:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, ask: Ask, **fields: Any) -> Answer:
        if self._busy or self._closed:
            raise UnitProblem(
                Fault.UNIT_UNEXPECTED, f"{ask} not sent: another request is in flight, or closed"
            )
        self._n += 1
        with self._at_work():
            answer = self._worker.serve(Request(n=self._n, ask=ask, **fields))
        assert answer is not None
        if answer.problem is not None:
            raise answer.problem
        return answer

    @staticmethod
    def _status_of(answer: Answer) -> UnitStatus:
        assert answer.status is not None
        return answer.status
