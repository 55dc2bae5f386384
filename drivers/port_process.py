"""Owns the port process: signals, its loop, its end; owns neither its logic nor the client in the engine.

Ctrl-C is ignored here (the engine disarms, then closes); SIGTERM, a dead parent, a closed pipe end in EA.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection

from drivers.client import MagstimUnit
from drivers.magstim.line import Line, OwnedLine
from drivers.magstim.transcript import RecordingLine
from drivers.magstim.units import facts_of
from drivers.outputs import Trigger
from drivers.pause import POLL_S
from drivers.requests import Answer, Options, Request, Trip
from drivers.stop_line import StopLine
from drivers.trigger import OutputSetting, TriggerLine, WaitUntil
from drivers.watch import FAILED
from drivers.worker import PortWorker
from rtloop.board import Board
from rtloop.clock import WALL
from rtloop.errors import NotReady
from rtloop.model.status import UnitStatus
from rtloop.priority import go_first

__all__ = ["MagstimUnit", "main"]


def _parent_watch(parent_pid: int) -> Callable[[], bool]:
    """Whether the process that started us still lives; cheap enough for every poll."""
    if sys.platform != "win32":
        return lambda: os.getppid() == parent_pid
    parent = multiprocessing.parent_process()
    return lambda: parent is not None and parent.is_alive()


def main(
    conn: Connection, *, port: str, model: str, board_path: str, run_id: str, key: bytes, parent_pid: int,
    options: Options | None = None,
) -> None:  # fmt: skip
    """Target of the spawned process: open, say what was found, serve until told or until the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Board(board_path, clock=WALL) as board:
        board.start("port")
        go_first()  # where that is refused the doctor command says so
        try:
            options = options or Options()
            facts = facts_of(
                model, supply_v=options.supply_v, stops_running_train=options.stops_running_train
            )
            line: Line = OwnedLine(port)
            if options.transcript is not None:
                line = RecordingLine(line, options.transcript, WALL)
            worker = PortWorker(
                line=line, facts=facts, board=board, clock=WALL, run_id=run_id, key=key, options=options,
                parent_alive=_parent_watch(parent_pid), make_trigger=_trigger_of(options.trigger, port),
                stop_line=_stop_line_of(options),
            )  # fmt: skip
            signal.signal(signal.SIGTERM, lambda *_: worker.leave("SIGTERM"))
            try:
                conn.send(worker.open())
                _loop(conn, worker)
            finally:
                worker.shut()
        except NotReady as err:
            board["port_state"] = FAILED
            with contextlib.suppress(OSError):
                conn.send(err)
        finally:
            board.end("port")
            conn.close()


def _trigger_of(
    setting: OutputSetting | None, port: str
) -> Callable[[Callable[[], UnitStatus], WaitUntil], Trigger] | None:
    if setting is None:
        return None
    return lambda standby, wait_until: TriggerLine.open(
        setting, unit_port=port, standby=standby, clock=WALL, wait_until=wait_until
    )


def _stop_line_of(options: Options) -> StopLine | None:
    if options.stop_line is None:
        return None
    return StopLine(options.stop_line, clock=WALL, stop_level=options.stop_level)


def _loop(conn: Connection, worker: PortWorker) -> None:
    told: Trip | None = None  # a trip that arming anew cleared may be followed by another
    while not worker.leaving:
        if worker.trip is not None and worker.trip is not told:
            told = worker.trip
            if not _say(conn, worker, Answer(n=0, problem=worker.trip.problem())):
                return
        try:
            if conn.poll(POLL_S):
                request = conn.recv()
                if not isinstance(request, Request):
                    worker.leave(f"{request!r} is no request")
                    return
                answer = worker.serve(request)
                if (
                    worker.leaving and worker.trip is not None and worker.trip is not told
                ):  # nobody hears it later
                    _say(conn, worker, Answer(n=0, problem=worker.trip.problem()))
                if answer is not None and not _say(conn, worker, answer):
                    return
        except (EOFError, OSError):
            worker.leave("the engine closed the pipe")
            return
        worker.step()
        if (ended := worker.train_news()) is not None and not _say(conn, worker, Answer(n=0, receipt=ended)):
            return


def _say(conn: Connection, worker: PortWorker, answer: Answer) -> bool:
    try:
        conn.send(answer)
    except OSError:
        worker.leave("the engine closed the pipe")
        return False
    return True
