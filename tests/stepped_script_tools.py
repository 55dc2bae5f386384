"""A script's session on the stepped clock: its own objects over stepped devices, which may be taken for real ones.

No rule, no check and no step of arming is replaced; gone are the processes, the network and the waiting.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drivers.stepped import SteppedUnit
from hardware_sim.bedside import BedsideSpec
from hardware_sim.bench import SteppedBench
from rtloop.app.script_loop import ScriptLoop, _Job
from rtloop.app.script_setting import ScriptSetting, decide
from rtloop.app.script_unit import Tms
from rtloop.app.stepped import KEY, _Feed, _recording
from rtloop.app.wiring import Bench
from rtloop.board import Board
from rtloop.clock import Clock, SteppedClock
from rtloop.eeg.layout import Layout
from rtloop.eeg.source import EegSource
from rtloop.errors import SafetyStop
from rtloop.model.status import UnitIdentity
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal, read_journal

STREAM = {"name": "amp", "source_id": "amp-1", "rate_hz": 1000.0, "channels": 9}
WORDS = "I am at the unit"


def asked(tmp_path: Path, port: str = "sim:200", **changes: Any) -> ScriptSetting:
    """What ``stimulator(port, ...)`` decides before anything is started."""
    fields: dict[str, Any] = {
        "participant": "P001", "model": None, "caps": None, "eeg": None, "mode": None, "threshold": None, "rig": None,
        "purpose": "probe", "data_dir": tmp_path / "data", "site": None, "waivers": None, "say": print,
    }  # fmt: skip
    return decide(port, **(fields | changes))


class SteppedLoop(ScriptLoop):
    """The script's loop without a thread of its own: it passes after each step of the clock, and between requests."""

    busy = False

    def start(self) -> None:
        self._vigil.standing = {}
        assert isinstance(self._clock, SteppedClock)
        self._clock.listen(self.turn)

    def turn(self, now_s: float) -> None:
        if (
            self.busy
        ):  # the one thread waits for the unit; the script's own thread shows presence all the while
            self.present()
            return
        if not self._told.is_set() and self.failure is None:
            with self._at_work():
                self._pass()

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        self.busy = True
        try:
            yield
        finally:
            self.busy = False

    def check(self) -> None:
        if self.failure is not None:
            raise SafetyStop("the script's loop has ended")

    def ask(self, work: Callable[[], Any], within_s: float) -> Any:
        self.present()
        self.turn(self._clock.now_s())
        job, end_s = _Job(work), self._clock.now_s() + within_s
        with self._at_work():
            self._serve(job)
        if not self._clock.now_s() < end_s:  # the script's own thread would not have waited so long
            raise SafetyStop("the script's loop did not answer", expected=f"within {within_s:g} s")
        self.present()
        if job.error is not None:
            raise job.error
        return job.value


@dataclass
class Stepped:
    """A script's session under way. ``typed``: what the person types for an answer; None: nobody is there."""

    tms: Tms
    clock: SteppedClock
    bench: SteppedBench
    board: Board
    folder: SessionFolder
    setting: ScriptSetting
    said: list[str]

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Data of all events of one kind."""
        return [dict(e.data) for e in read_journal(self.folder.journal).events if e.kind == kind]

    def sleep(self, seconds: float) -> None:
        """As ``time.sleep`` in the script: no call is made meanwhile."""
        end_s = self.clock.now_s() + seconds
        while self.clock.now_s() < end_s:
            self.clock.advance(0.02)

    @property
    def armed(self) -> bool:
        """Whether the unit itself could fire."""
        state = self.bench.unit.state()
        return bool(state.armed or state.ready)


def last_line(said: list[str]) -> str:
    """What a person types who reads the question and does as it says."""
    return said[-1].split(": ")[-1]


@contextlib.contextmanager
def stepped_script(
    setting: ScriptSetting, *, stream: dict[str, Any] | None = None, real: bool = False,
    answer: Callable[[list[str]], str] = last_line, spec: dict[str, Any] | None = None, begin: bool = True,
    clock: SteppedClock | None = None, of: type[Tms] = Tms,
) -> Iterator[Stepped]:  # fmt: skip
    """As ``stimulator``; ``real``: the stepped unit is taken for a real one; ``answer``: what the person types.

    ``of``: as what the stimulator is handed over.
    """
    clock = clock or SteppedClock(datetime.now(UTC).timestamp())
    folder = SessionFolder.create(Path(setting.data_dir), setting.run_id, clock=clock)
    said: list[str] = []
    object.__setattr__(setting, "say", said.append)

    def person(within_s: float, present: Callable[[], None], now: Clock) -> str:
        end_s, words = now.now_s() + 1.0, answer(said)  # it takes a person a second, or all the time there is
        while now.now_s() < (end_s if words else end_s + within_s):
            present()
            now.sleep_until(now.now_s() + 0.02)
        return words

    os.environ.setdefault("RTLOOP_LSL_SESSION", f"stepped-{os.getpid()}")
    with contextlib.ExitStack() as stack:
        unit_named = {} if setting.model == "200" else {"unit": setting.model}
        bench = SteppedBench(
            clock, BedsideSpec(**({"n_channels": 8, "rate_hz": 1000.0} | unit_named | (spec or {})))
        )
        journal = Journal(folder.journal, run_id=setting.run_id, clock=clock)
        stack.callback(journal.close)
        board = stack.enter_context(Board.create(folder.board, clock=clock))
        for role in ("engine", "operator", "recorder"):
            board.start(role)
        layout = Layout.from_montage(bench.montage, emg=bench.emg_names, trigger="TRIG")
        source = EegSource.pushed(layout, 1000.0, folder.ring, clock)
        stack.callback(source.close)
        recording = _recording(folder, board, source, layout, clock)
        feed = _Feed(bench, source, recording, board)
        clock.listen(feed)
        unit = SteppedUnit.open(
            line=bench.line, clock=clock, board=board, run_id=setting.run_id, key=KEY, model=setting.model,
            **setting.unit_options,
        )  # fmt: skip
        stack.callback(unit.close)
        if real:
            unit._identity = UnitIdentity(model=setting.model, port=setting.port, simulated=False)
        ends = Bench(board=board, source=source, stream=stream or STREAM, unit=unit, bedside=None, key=KEY)
        try:
            tms = of(setting, ends, journal, clock, person=person, loop=SteppedLoop)
            if begin:
                tms.begin()
            yield Stepped(tms, clock, bench, board, folder, setting, said)
            tms.end("the script ended", clean=True)
        finally:
            unit.close()
            feed(clock.now_s())
            recording.turn()
            recording.finish("stopped by the engine")
            recording.close()
