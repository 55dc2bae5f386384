"""Owns the running of a loop in real time: its thread, its pace, its end on every path; owns no device.

The loop has a thread of its own; the calling thread supervises. Whatever ends the session (the plan, a fault, an exception, a
signal), the unit is disarmed first, and the reason is an event.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType

from rtloop.clock import Clock
from rtloop.errors import IntegrityProblem, RtloopError, SafetyStop
from rtloop.model.status import Fault
from rtloop.session.engine import Finish, Said
from rtloop.session.loop import Loop

TICK_S = 0.001
SUPERVISE_S = 0.05
TIME_IS_OVER = "the session lasted longer than its limit"
#: a loop thread that has not ended this long after it was told to is given up (the port process disarms by itself)
END_WITHIN_S = 5.0


class LoopThread:
    """Runs ``loop.step`` about every millisecond until it finishes or is told to end."""

    def __init__(self, loop: Loop, clock: Clock) -> None:
        self._loop, self._clock = loop, clock
        self._told = threading.Event()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="rtloop-loop")

    def __enter__(self) -> LoopThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _run(self) -> None:
        gc.collect()
        gc.disable()  # no collection inside the armed loop; what is made per pulse has no cycles
        try:
            while self._loop.finished is None and not self._told.is_set():
                self._loop.step()
                self._clock.sleep_until(self._clock.now_s() + TICK_S)
        except BaseException as err:
            self.failure = err
            with contextlib.suppress(OSError, ValueError):  # nobody may read it any more
                traceback.print_exc()
            why = Fault.JOURNAL_FAILED if isinstance(err, IntegrityProblem) else Fault.BUG
            with contextlib.suppress(
                RtloopError
            ):  # both disarm first; only then can a failed journal raise again
                self._loop.fault(why, f"{type(err).__name__}: {err}")
            with contextlib.suppress(RtloopError):
                self._loop.disarm("the loop failed")
        finally:
            gc.enable()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def end(self) -> None:
        """Tell it to end and wait, with a deadline."""
        self._told.set()
        if self._thread.ident is not None:
            self._thread.join(END_WITHIN_S)


@contextlib.contextmanager
def hangup_ignored(ignored: bool) -> Iterator[None]:
    """Let the end of the terminal (SIGHUP) pass unheard: a session that a window answers has none."""
    number = getattr(signal, "SIGHUP", None)
    if not ignored or number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


class Interrupts:
    """Ctrl-C, SIGTERM and SIGHUP around the running loop: while things start, the first ends the session in order
    (KeyboardInterrupt); once it ends (``patient``), they are only answered: every step of the end has a deadline.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._ending = say, False
        self._before: dict[int, object] = {}

    def patient(self) -> None:
        """The end has begun."""
        self._ending = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._ending:
            self._say("the session is ending, the unit is disarmed; a moment")
            return
        self._ending = True
        raise KeyboardInterrupt

    def __enter__(self) -> Interrupts:
        self._before = _take_signals(self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        _give_back(self._before)


class Signals:
    """While entered: the first Ctrl-C, SIGTERM or SIGHUP asks the session to end cleanly, the second asks for STOP."""

    def __init__(self, say: Callable[[Said], None], stop: Callable[[], None]) -> None:
        self._say, self._stop = say, stop
        self._before: dict[int, object] = {}
        self.count = 0

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 1:
            self._say(Said(word="stop"))
        else:
            self._stop()

    def __enter__(self) -> Signals:
        self._before = _take_signals(self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        _give_back(self._before)


def _take_signals(handle: Callable[[int, FrameType | None], None]) -> dict[int, object]:
    """Put ``handle`` in place (in the main thread only); returns what was there. What was ignored (nohup) stays ignored."""
    before: dict[int, object] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # SIGHUP: the terminal was closed; unknown on Windows
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, handle)
    return before


def _give_back(before: dict[int, object]) -> None:
    for number, handle in before.items():
        signal.signal(number, handle)  # type: ignore[arg-type]


def run_to_end(
    loop: Loop, clock: Clock, *, stop: Callable[[], None], limit_s: float, meanwhile: Callable[[float], None]
) -> tuple[Finish, bool]:
    """Run until the loop finishes; returns how it ended and whether the operator interrupted.

    ``meanwhile(now_s)`` is called by the supervising thread about 20 times a second (screen, operator, presence).
    ``limit_s`` is the longest the session may last: a deadline for everything, an operator's absence included.
    Raises the loop's own failure, after it was disarmed and journalled.
    """
    end_s = clock.now_s() + limit_s
    with LoopThread(loop, clock) as thread, Signals(loop.inbox.put, stop) as signals:
        while thread.alive and clock.now_s() < end_s:
            thread.join(SUPERVISE_S)
            meanwhile(clock.now_s())
        thread.end()
        meanwhile(clock.now_s())
        interrupted = signals.count > 0
    if thread.failure is not None:
        if isinstance(thread.failure, RtloopError):
            raise thread.failure
        raise SafetyStop(
            "the software failed and the session was stopped, the unit disarmed",
            found=f"{type(thread.failure).__name__}: {thread.failure}", todo="report the journal; start a new run with a note",
        ) from thread.failure  # fmt: skip
    if thread.alive:
        raise SafetyStop(
            "the loop did not end; without its heartbeat the port process has disarmed the unit",
            expected=f"an end within {END_WITHIN_S:g} s", todo="report the journal; start a new run with a note",
        )  # fmt: skip
    if loop.finished is None:
        return Finish(reason=TIME_IS_OVER, complete=False), interrupted
    return loop.finished, interrupted
