"""Owns a whole session on the stepped clock: the same objects as at the bedside, without waiting; for tests and validation.

Nothing of the line is replaced: the head, the unit at byte level, the port process's logic, the ring, the recorder's loop,
the gate, the engine. Only the clock, the network and the processes are gone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from drivers.stepped import SteppedUnit
from hardware_sim.bench import SteppedBench
from rtloop.app.leaving import Sat, close
from rtloop.app.setting import Request, bedside_spec, prepare, to_recording
from rtloop.app.site_unit import simulated_options
from rtloop.app.sitting import Sitting
from rtloop.app.wiring import Bench
from rtloop.board import Board
from rtloop.clock import SteppedClock
from rtloop.eeg.layout import Layout
from rtloop.eeg.source import EegSource
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal
from rtloop.record.recorder_loop import Recording
from rtloop.record.xdf_write import StreamLayout, XdfWriter
from rtloop.session.engine import Finish

STEP_S = 0.004
RECORD_EVERY_S = 0.02
KEY = bytes(range(32))


def hold_stepped(
    request: Request, say: Callable[[str], None], *, limit_s: float = 3600.0, start_s: float = 1_700_000_000.0,
    each: Callable[[Sitting, SteppedBench, float], None] = lambda sitting, bench, now_s: None,
) -> Sat:  # fmt: skip
    """Hold a simulated session on the stepped clock; ``each`` is called after every step (faults, spies).

    ``limit_s`` bounds the simulated time, which begins at ``start_s`` (seconds since 1970, for the record's dates).
    """
    setting = prepare(request)
    clock = SteppedClock(start_s)
    folder = SessionFolder.create(Path(setting.site.data_dir), setting.run_id, clock=clock)
    folder.keep_plan(setting.plan.source)
    with contextlib.ExitStack() as stack:
        spec = bedside_spec(setting)
        assert spec is not None
        bench = SteppedBench(clock, spec)
        journal = Journal(folder.journal, run_id=setting.run_id, plan_sha=setting.plan.sha256, clock=clock)
        stack.callback(journal.close)
        board = stack.enter_context(Board.create(folder.board, clock=clock))
        for role in ("engine", "operator", "recorder"):
            board.start(role)
        layout = Layout.from_montage(bench.montage, emg=bench.emg_names, trigger="TRIG")
        source = EegSource.pushed(layout, spec.rate_hz, folder.ring, clock)
        stack.callback(source.close)
        recording = _recording(folder, board, source, layout, clock)
        stack.callback(recording.close)
        feed = _Feed(bench, source, recording, board)
        clock.listen(feed)
        model = setting.site.unit.model
        unit = SteppedUnit.open(
            line=bench.line, clock=clock, board=board, run_id=setting.run_id, key=KEY, model=model, **simulated_options(model)
        )  # fmt: skip
        sender = {"name": "stepped", "rate_hz": spec.rate_hz, "channels": len(layout.channels)}
        ends = Bench(board=board, source=source, stream=sender, unit=unit, bedside=bench, key=KEY)
        setting = to_recording(setting, ends, clock, say)
        sitting = Sitting(setting, folder, journal, ends, say, clock)
        finish = Finish(reason="the simulated time is over", complete=False)
        try:
            sitting.start()
            end_s = clock.now_s() + limit_s
            while clock.now_s() < end_s:
                before_s = clock.now_s()
                clock.advance(STEP_S)
                if (
                    clock.now_s() - before_s > 2 * STEP_S
                ):  # the unit's process waited for its unit; the one clock went on
                    sitting.vigil.waited(clock.now_s())
                sitting.meanwhile(clock.now_s())
                each(sitting, bench, clock.now_s())
                sitting.loop.step()
                if sitting.loop.finished is not None:
                    finish = sitting.loop.finished
                    break
            sitting.end(finish.reason, clean=finish.complete)
            sitting.meanwhile(clock.now_s())
        finally:
            sitting.close()
            unit.close()
            feed(clock.now_s())
            recording.turn()
            recording.finish("stopped by the engine")
        code = sitting.ended(finish, False)
    return close(setting, folder, sitting.loop.view, sitting.line, finish, code, journal.head_hash, say)


def _recording(
    folder: SessionFolder, board: Board, source: EegSource, layout: Layout, clock: SteppedClock
) -> Recording:
    stream = StreamLayout(
        name="stepped", kind="EEG", labels=layout.names, types=tuple(c.kind.value for c in layout.channels),
        units=tuple("microvolts" if c.unit == "µV" else c.unit for c in layout.channels), rate_hz=source.rate_hz,
    )  # fmt: skip
    recording = Recording(
        ring=source.ring, journal_path=folder.journal, writer=XdfWriter(folder.recording), board=board, layout=stream,
        clock=clock,
    )  # fmt: skip
    board["recorder_state"] = 1
    return recording


class _Feed:
    """Moves what is due from the simulated amplifier into the ring, and from the ring into the recording."""

    def __init__(self, bench: SteppedBench, source: EegSource, recording: Recording, board: Board) -> None:
        self._bench, self._source, self._recording, self._board = bench, source, recording, board
        self._recorded_s = float("-inf")

    def __call__(self, now_s: float) -> None:
        frames, t_s = self._bench.frames_until(now_s)
        if len(frames):
            self._source.push(frames, t_s, self._bench.outlet)
        if now_s - self._recorded_s >= RECORD_EVERY_S:
            self._recorded_s = now_s
            self._recording.turn()
        self._board.beat("recorder")
