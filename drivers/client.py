"""Owns the engine's end of the port process (a Stimulator); owns no byte on the line and no keep-alive."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from drivers.described import Described
from drivers.magstim.units import UnitFacts, facts_of
from drivers.reading import firmware_of, status_on
from drivers.refusals import refuse_due, refuse_pair, refuse_power, refuse_train, wrong_options
from drivers.requests import FIRE_S, Answer, Ask, Opened, Options, Request, unanswered
from drivers.trouble import UnitProblem
from rtloop.board import Board
from rtloop.clock import WALL, Clock
from rtloop.errors import NotReady
from rtloop.model.pulse import Delivery, FireReceipt, Pair, Train
from rtloop.model.status import Fault, UnitIdentity, UnitStatus
from rtloop.ports import Permit

ANSWER_S = 0.6
ARM_S = 2.5
LOOK_S = 1.5  # two slow replies, and what was under way
RECHARGED_S = 6.0  # arming right after a pulse waits for the recharge: while the port process lives
SETTING_S = 14.0  # the ramp of power B may take 10 s
OPEN_S = 20.0  # so may it on opening
TELL_S = 0.9  # after a train's own end
DISARM_S = 0.5
CONFIRM_S = 0.5
CLOSE_S = 2.0
PORT_BEAT_FRESH_S = 0.3
PORT_STUCK_S = 0.5  # a port process in the middle of a write to the line shows no life for 0.3 s


class MagstimUnit(Described):
    """A unit behind its own process, made by ``open``. One request in flight; ``disarm`` goes past it.

    While a request waits for its answer (bounded), the waiting thread itself beats the engine's heartbeat,
    so that an engine waiting for its unit is not taken for a hung one; a stopped process beats nothing.
    """

    def __init__(
        self, *, conn: Connection, process: BaseProcess, board: Board, facts: UnitFacts,
        identity: UnitIdentity, clock: Clock,
    ) -> None:  # fmt: skip
        super().__init__(facts, identity)
        self._conn, self._process, self._board, self._clock = conn, process, board, clock
        self._lock, self._disarm_lock = threading.Lock(), threading.Lock()
        self._n = 0
        self._closed = False
        self._trouble: UnitProblem | None = None
        self._last = status_on(board)
        self.opened: Opened | None = None
        self._train: tuple[float, Train, FireReceipt] | None = None  # fired last: when it must be over
        self._train_told: FireReceipt | None = None

    @classmethod
    def open(
        cls, *, port: str, model: str = "200", board_path: str | Path, run_id: str, key: bytes,
        simulated: bool, clock: Clock = WALL, open_timeout_s: float = OPEN_S, **options: Any,
    ) -> MagstimUnit:  # fmt: skip
        """Start the port process, which opens the line and reads standby back; NotReady otherwise.

        ``options``: what ``drivers.requests.Options`` has (supply, unlock code, trigger line, transcript, ...).
        """
        known = Options(**options)
        wrong_options(model, known, port=port)
        facts = facts_of(model, supply_v=known.supply_v, stops_running_train=known.stops_running_train)
        from drivers.port_process import main  # the target of the process; it imports this module

        context = multiprocessing.get_context("spawn")
        board = Board(board_path, clock=clock)
        ours, theirs = context.Pipe(duplex=True)
        arguments = {
            "port": port, "model": model, "board_path": str(board_path), "run_id": run_id, "key": key,
            "parent_pid": os.getpid(), "options": known,
        }  # fmt: skip
        process = context.Process(
            target=main, args=(theirs,), kwargs=arguments, name="rtloop-port", daemon=True
        )
        process.start()
        theirs.close()
        unit = cls(
            conn=ours, process=process, board=board, facts=facts, clock=clock,
            identity=UnitIdentity(model=model, port=port, simulated=simulated),
        )  # fmt: skip
        try:
            found = unit._await_opened(clock.now_s() + open_timeout_s)
        except BaseException:
            unit.close()
            raise
        unit.opened = found
        unit._facts = replace(facts, software=found.software)
        unit._identity = replace(unit._identity, firmware=firmware_of(found.software))
        return unit

    def _await_opened(self, end_s: float) -> Opened:
        problem: object = "no answer in time"
        try:
            while not self._conn.poll(0.01) and self._clock.now_s() < end_s:
                self._show_life()
            if self._conn.poll(0):
                found = self._conn.recv()
                if isinstance(found, Opened):
                    return found
                if isinstance(found, NotReady):
                    raise found
                problem = found
        except (EOFError, OSError) as err:
            problem = f"it ended: {err!r}"
        raise UnitProblem(
            Fault.PORT_DEAD, f"the port process for {self._identity.port} did not start", found=str(problem),
            todo="see the session's log",
        )  # fmt: skip

    @property
    def pid(self) -> int | None:
        """Of the port process."""
        return None if self._closed else self._process.pid

    def status(self) -> UnitStatus:
        """From the board; never blocks. ``t_s`` is when the unit said so."""
        if not self._closed:
            self._last = status_on(self._board)
        return self._last

    def trouble(self) -> UnitProblem | None:
        """What has gone wrong, without asking the unit: what was ``told``, or a port process that shows no life. Never blocks."""
        told = self.told()
        if told is None and not self._closed and self._board.age_s("port") > PORT_BEAT_FRESH_S:
            return self._dead(f"its heartbeat is {self._board.age_s('port'):.2f} s old")
        return told

    def told(self) -> UnitProblem | None:
        """What the port process told unasked since the last arming (a trip, a lost line), or that it ended; at the end its
        last word. Never blocks.

        Unlike ``trouble`` it is no matter of the heartbeat's age, which a machine that stalls makes old for a moment.
        """
        if not self._closed and self._lock.acquire(blocking=False):
            try:
                while self._conn.poll(0):
                    self._keep(self._conn.recv())
            except (EOFError, OSError):
                return self._dead("it ended")
            finally:
                self._lock.release()
        return self._trouble

    def announce(self, due_s: float) -> None:
        """A pulse is due then: no keep-alive or reading in the 60 ms before it. Never blocks; UnitProblem for no instant."""
        refuse_due(due_s)
        if not self._closed and self._lock.acquire(blocking=False):
            try:
                self._conn.send(Request(n=0, ask=Ask.ANNOUNCE, due_s=due_s))
            except OSError:
                pass  # shown by the next request
            finally:
                self._lock.release()

    def set_power(self, power_pct_mso: int) -> UnitStatus:
        """Set, wait for the ramp, read back, compare; raises UnitProblem."""
        refuse_power(self._facts, power_pct_mso)
        longest_s = self._facts.ramp_s(self._facts.power_high_pct_mso, self._facts.power_low_pct_mso)
        now_at = self.status().power_pct_mso
        ramp_s = longest_s if now_at is None else self._facts.ramp_s(now_at, power_pct_mso)
        return self._status_of(self._ask(Ask.SET_POWER, ramp_s + 2.0, power_pct_mso=power_pct_mso))

    def arm(self) -> UnitStatus:
        """Arm and wait until the unit itself says ready; raises UnitProblem."""
        status = self._status_of(self._ask(Ask.ARM, ARM_S, living_s=RECHARGED_S))
        self._trouble = None  # what the port process told before, arming anew has cleared
        return status

    def set_train(self, train: Train | None) -> UnitStatus:
        """Set a train (None: single pulses), read back, compare; only in standby; raises UnitProblem."""
        refuse_train(self._facts, self.status().power_pct_mso, train)
        return self._status_of(self._ask(Ask.SET_TRAIN, SETTING_S, train=train))

    def set_pair(self, pair: Pair | None) -> UnitStatus:
        """Set a pair (None: single pulses), read back, compare; only in standby; raises UnitProblem."""
        refuse_pair(self._facts, pair)
        return self._status_of(self._ask(Ask.SET_PAIR, SETTING_S, pair=pair))

    def refresh(self) -> UnitStatus:
        """Ask the unit itself now (``status`` reads what it said last); raises UnitProblem."""
        return self._status_of(self._ask(Ask.STATUS, ANSWER_S, living_s=LOOK_S))

    def fire(self, permit: Permit) -> FireReceipt:
        """Fire once; never raises for the line. A request without answer is UNCERTAIN, then disarmed."""
        if not isinstance(permit, Permit):
            return self._not_fired(f"refused: no permit, but {type(permit).__name__}")
        before = self._train_told
        if permit.train is not None:
            self._train_told = None  # before the request: the end of a short one may come with its answer
        try:
            answer = self._ask(Ask.FIRE, ANSWER_S, living_s=FIRE_S, permit=permit)
        except _NotSent as err:
            self._train_told = before
            return self._not_fired(str(err))
        except UnitProblem as err:
            self.status()
            with contextlib.suppress(UnitProblem):
                self.disarm()
            return self._train_fired(permit, unanswered(permit, self._last, str(err)))
        assert answer.receipt is not None
        if answer.receipt.delivery is Delivery.NOT_DELIVERED:
            self._train_told = before
        return self._train_fired(permit, answer.receipt)

    def _not_fired(self, why: str) -> FireReceipt:
        return FireReceipt(
            delivery=Delivery.NOT_DELIVERED, t_sent_s=None, t_reply_s=None, status=self.status(), reason=why
        )

    def train_end(self) -> FireReceipt | None:
        """What was given of the last train; None while it is under way, or there was none. Never blocks.

        Where the port process cannot tell any more it is nothing to all of it, once the train must be over.
        """
        self.trouble()  # reads what has come
        told = self._train_told
        if told is None and self._train is not None and self._clock.now_s() >= self._train[0] + TELL_S:
            _, train, fired = self._train
            why = f"the port process did not tell what was given of {train.n_pulses} pulses"
            self._train_told = told = replace(
                fired, delivery=Delivery.UNCERTAIN, reason=why, pulses_min=0, pulses_max=train.n_pulses
            )
        return told

    def _train_fired(self, permit: Permit, receipt: FireReceipt) -> FireReceipt:
        """Remember a train that may be under way: the engine is told of its end even if the port process dies."""
        train = permit.train
        if train is not None and receipt.delivery is not Delivery.NOT_DELIVERED:
            self._train = (self._clock.now_s() + train.duration_s, train, receipt)
        return receipt

    def disarm(self) -> None:
        """EA on the line within 0.5 s, from any thread; else UnitProblem, and the port process is killed.

        The unit's own watchdog disarms a unit whose port process is gone, after about 1 s.
        """
        if self._closed:
            return
        with self._disarm_lock:
            wanted = self._board["disarm_asked"] + 1
            self._board["disarm_asked"] = wanted
        end_s = self._clock.now_s() + DISARM_S
        watchdog = f"the unit disarms itself after about {self._facts.lets_go_armed_s:g} s of silence"
        while self._board["disarm_done"] < wanted:
            if self._closed:
                return  # closing disarms
            if self._board["port_state"] == 2:
                raise UnitProblem(
                    Fault.UNIT_LOST,
                    f"the line to the unit is lost; {watchdog}",
                    todo="use the unit's own switch",
                )
            if not self._process.is_alive():
                raise self._dead(f"it ended; {watchdog}")
            if not self._clock.now_s() < end_s:
                self._process.kill()
                raise self._dead(f"no EA within {DISARM_S} s; killed; {watchdog}")
            self._clock.sleep_until(self._clock.now_s() + 0.001)
        self._await_standby(self._clock.now_s())

    def _await_standby(self, served_s: float) -> None:
        """Give the unit's own status byte a moment to say standby; the caller reads it from ``status``."""
        end_s = served_s + CONFIRM_S
        while self._clock.now_s() < end_s and not (self.status().standby and self.status().t_s >= served_s):
            self._show_life()
            self._clock.sleep_until(self._clock.now_s() + 0.001)

    def close(self) -> None:
        """Disarm, release remote control, end the process. Never raises, leaves no process."""
        if self._closed:
            return
        if self._process.is_alive():
            with contextlib.suppress(UnitProblem):
                self._ask(Ask.CLOSE, CLOSE_S)
            self._process.join(1.0)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(1.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(1.0)
        self.status()
        self._closed = True
        self._process.close()
        self._conn.close()
        self._board.close()

    def __enter__(self) -> MagstimUnit:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- the pipe

    def _ask(self, ask: Ask, deadline_s: float, *, living_s: float = 0.0, **fields: Any) -> Answer:
        """``living_s``: the deadline while the port process shows life, where that may be longer."""
        start_s = self._clock.now_s()
        if self._closed:
            raise _NotSent(Fault.PORT_DEAD, "the unit is closed")
        if not self._lock.acquire(timeout=0.05 if ask is Ask.FIRE else ANSWER_S):
            raise _NotSent(Fault.UNIT_UNEXPECTED, f"{ask} not sent: another request is in flight")
        try:
            self._n += 1
            request = Request(n=self._n, ask=ask, **fields)
            try:
                self._conn.send(request)
            except OSError as err:
                raise _NotSent(
                    Fault.PORT_DEAD, f"the port process is dead; {ask} not sent", found=str(err)
                ) from err
            while True:
                self._show_life()
                if self._conn.poll(0.01):
                    answer = self._keep(self._conn.recv())
                    if answer is not None and answer.n == self._n:
                        break
                    continue
                lives = self._board.age_s("port") <= PORT_STUCK_S
                within_s = max(deadline_s, living_s) if lives else deadline_s
                if not self._clock.now_s() < start_s + within_s:
                    raise UnitProblem(
                        Fault.PORT_DEAD, f"the port process did not answer {ask}",
                        expected=f"within {within_s:g} s", todo="disarm, then start a new run",
                    )  # fmt: skip
        except (EOFError, OSError) as err:  # OSError: it ended in the middle of an answer
            raise self._dead(f"it ended during {ask}") from err
        finally:
            self._lock.release()
        if answer.problem is not None:
            raise answer.problem
        return answer

    def _show_life(self) -> None:
        """Beat for the engine; not before it started, not after it ended on purpose."""
        if self._board["beat_engine"] > 0:
            self._board.beat("engine")

    def _keep(self, answer: object) -> Answer | None:
        if not isinstance(answer, Answer):
            return None
        if answer.n == 0 and answer.receipt is not None:
            self._train_told = answer.receipt
        elif answer.n == 0:
            self._trouble = answer.problem
        return answer

    def _dead(self, how: str) -> UnitProblem:
        return UnitProblem(
            Fault.PORT_DEAD,
            "the port process is dead",
            found=how,
            todo="use the unit's own switch; start a new run",
        )

    @staticmethod
    def _status_of(answer: Answer) -> UnitStatus:
        assert answer.status is not None
        return answer.status


class _NotSent(UnitProblem):
    """Nothing left this process."""
