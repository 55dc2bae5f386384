"""Owns the thread in which a session talks to its study: its lease kept about once a second, begun and given written down.

A study's folder may be slow: the session's own thread goes on showing presence meanwhile. It owns no calendar and no lease.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from rtloop.app.treat_visit import Visit
from rtloop.clock import WALL, Clock
from rtloop.errors import RtloopError, SafetyStop
from rtloop.model.course import TreatmentBegun, TreatmentGiven
from rtloop.model.status import Mode

KEEP_EVERY_S = 1.0
#: what a study is asked for is answered within this, or the session ends
WITHIN_S = 60.0
SLICE_S = 0.05
T = TypeVar("T")


class StudyThread:
    """A ``Visit`` whose writes go through one thread of its own, and whose lease another keeps; ``close`` ends both.

    ``present`` is called while something is waited for; until it is set nobody needs to be there.
    """

    def __init__(
        self, folder: Path, participant: str, by: str, *, mode: Mode, data_dir: Path, clock: Clock = WALL
    ) -> None:
        self.present: Callable[[], None] = lambda: None
        self.trouble = ""  # why the lease could not be kept
        self._clock = clock
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="rtloop-study")
        self._closed = threading.Event()
        try:
            self.visit = self._done(
                lambda: Visit.open(folder, participant, by, clock, mode=mode, data_dir=data_dir)
            )
        except BaseException:
            self._writer.shutdown(wait=False)
            raise
        self._keeper = threading.Thread(target=self._keep, name="rtloop-study-lease")
        self._keeper.start()

    @property
    def number(self) -> int:
        return self.visit.number

    @property
    def held(self) -> bool:
        """Whether this computer still runs the participant."""
        return not self.trouble and self.visit.held

    def begin(self, begun: TreatmentBegun) -> None:
        self._done(lambda: self.visit.begin(begun))

    def end(self, given: TreatmentGiven) -> None:
        self._done(lambda: self.visit.end(given))

    def close(self) -> None:
        """Give the lease back; every wait has a deadline."""
        self._closed.set()
        self._keeper.join(KEEP_EVERY_S + WITHIN_S)
        try:
            self._done(self.visit.close)
        finally:
            self._writer.shutdown(wait=False)

    def __enter__(self) -> StudyThread:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _done(self, work: Callable[[], T]) -> T:
        future, end_s = self._writer.submit(work), self._clock.now_s() + WITHIN_S
        while not future.done():
            self.present()
            if not self._clock.now_s() < end_s:
                raise SafetyStop(
                    "the study did not answer", expected=f"within {WITHIN_S:g} s",
                    todo="look at its folder; what was given stands in the session's journal: rtloop study gather",
                )  # fmt: skip
            self._clock.sleep_until(self._clock.now_s() + SLICE_S)
        return future.result()

    def _keep(self) -> None:
        while not self._closed.wait(KEEP_EVERY_S):
            try:
                self.visit.keep()
            except RtloopError as err:
                self.trouble = str(err)
                return
