"""Real LSL: the amplifier's outlets vanish and return; opened again only when asked, and only if it is the same."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from eeg_tools import describe, noise, until
from session_tools import hold_tiny, tiny

from hardware_sim.amplifier import Amplifier, use_session
from hardware_sim.bench import SteppedBench
from hardware_sim.head import Head
from hardware_sim.sampler import Sampler
from hardware_sim.scene import load_scene
from rtloop.app.sitting import Sitting
from rtloop.clock import WALL
from rtloop.eeg import lsl
from rtloop.eeg.source import EegSource
from rtloop.errors import NotReady, ValidationProblem
from rtloop.model.montage import Montage, names_for
from rtloop.model.pulse import PulseSeen
from rtloop.model.status import Fault, StreamHealth
from rtloop.record.verify import verify
from rtloop.record.xdf_read import read_xdf
from rtloop.session.replay import replay

use_session(os.environ["RTLOOP_LSL_SESSION"])
RATE_HZ = 1000.0


class Stepping(threading.Thread):
    """What the loop does with a source, every 2 ms, until it is told to end; an error ends it and is kept."""

    def __init__(self, source: EegSource) -> None:
        super().__init__(name="stepping")
        self.source, self.ending = source, threading.Event()
        self.health: StreamHealth | None = None
        self.pulses: list[PulseSeen] = []
        self.error: BaseException | None = None
        self.longest_s = 0.0

    def run(self) -> None:
        try:
            while not self.ending.wait(0.002):
                began_s = time.thread_time()
                self.health = self.source.health(WALL.now_s())
                self.pulses += self.source.pulses(WALL.now_s())
                self.longest_s = max(self.longest_s, time.thread_time() - began_s)
        except BaseException as err:
            self.error = err

    def faults(self) -> set[Fault]:
        return {b.fault for b in self.health.breaches} if self.health else set()

    def end(self) -> None:
        self.ending.set()
        self.join(2.0)
        assert not self.is_alive()
        assert self.error is None, self.error


@pytest.fixture
def amplifier() -> Iterator[Amplifier]:
    head = Head(load_scene("default"), Montage.from_names(names_for(16)), RATE_HZ, seed=3)
    sampler = Sampler(head, start_s=WALL.now_s(), target="M1", lag_s=0.002)
    made = Amplifier(sampler, stream_name="come-back", source_id=f"come-back-{uuid.uuid4().hex[:8]}")
    made.start()
    yield made
    made.close()


@pytest.mark.req("R-STREAM")
def test_the_outlet_vanishes_and_returns_and_the_same_ring_goes_on_when_asked(
    amplifier: Amplifier, tmp_path: Path
) -> None:
    found = lsl.find_stream(name="come-back", wait_s=5.0)
    marked = lsl.find_stream(name="come-back-markers", kind="Markers", wait_s=5.0)
    source = EegSource.from_lsl(found, tmp_path / "ring", markers=[marked])
    loop = Stepping(source)
    loop.start()
    try:
        assert until(lambda: loop.health is not None and loop.health.ok, 5.0), loop.health
        with pytest.raises(NotReady, match="not lost"):
            source.reopen(2.0)
        amplifier.sampler.inject({"kind": "die", "for_s": 1.0})
        assert until(lambda: Fault.STREAM_LOST in loop.faults(), 2.0)
        assert until(lambda: amplifier.running, 3.0)
        head = source.head()
        last_s = source.ring.chunk(-1)[2]
        time.sleep(0.3)
        assert source.head() == head, "the new outlet was followed by itself"
        opened = source.reopen(6.0)
        assert [t.name for t in threading.enumerate()].count("acquire") == 1
        assert until(lambda: source.head() > head + 100, 1.0)
        first = source.ring.chunk(-1)
        assert abs(first[2] - WALL.now_s()) < 0.5
        assert until(lambda: loop.health is not None and loop.health.ok, 5.0), loop.health
        assert loop.health is not None
        assert (loop.health.gaps, loop.pulses) == (1, [])
        assert abs(loop.health.lost_samples - opened.gap_s * RATE_HZ) <= 15
        amplifier.sampler.discharge(WALL.now_s() + 0.05, 60.0)
        assert until(lambda: len(loop.pulses) == 1, 2.0)
        assert loop.pulses[0].alarm == ""
        assert until(lambda: bool(source.markers_seen), 1.0), "the markers were not opened again"
        assert abs(source.markers_seen[0][0] - loop.pulses[0].t_s) < 0.01
    finally:
        loop.end()
        source.close()
    assert loop.longest_s < 0.05
    assert not source.valid(head - 5, 10)
    assert abs(source.time_of(head) - last_s - opened.gap_s) < 0.005
    discharged = amplifier.sampler.discharges[-1].t_s
    assert abs(source.time_of(loop.pulses[0].sample) - discharged) < 0.002
    with pytest.raises(NotReady, match="closed"):
        source.reopen(1.0)


def test_another_stream_and_two_alike_are_refused_and_the_right_one_is_taken_in_the_end(
    tmp_path: Path,
) -> None:
    pylsl = lsl._pylsl()
    names = ("Fz", "C3", "Cz", "C4")
    outlet = pylsl.StreamOutlet(describe("picky", names=names, source_id="p-1"))
    found = lsl.find_stream(name="picky", wait_s=5.0)
    source, source_listing = EegSource.from_lsl(found, tmp_path / "ring"), found.listing
    outlet.push_chunk(noise(100, 4))
    assert until(lambda: source.head() == 100)
    del outlet
    assert until(lambda: Fault.STREAM_LOST in {b.fault for b in source.health(WALL.now_s()).breaches}, 2.0)
    with pytest.raises(NotReady, match=r"not come back.*picky.*no outlet of this name"):
        source.reopen(0.3)
    other = pylsl.StreamOutlet(
        describe("picky", names=("Fz", "Cz", "C3", "C4"), unit="V", source_id="p-2", rate_hz=500.0)
    )
    with pytest.raises(ValidationProblem, match=r"source_id p-1, rate 1000 Hz.*source_id p-2, rate 500 Hz"):
        source.reopen(3.0)
    del other
    time.sleep(0.1)
    other = pylsl.StreamOutlet(describe("picky", names=("Fz", "Cz", "C3", "C4"), unit="V", source_id="p-1"))
    with pytest.raises(ValidationProblem, match=r"column 2 C3 \(EEG, µV.*column 2 Cz \(EEG, V") as caught:
        source.reopen(3.0)
    assert "column 4 C4 (EEG, V" in caught.value.found
    twin = pylsl.StreamOutlet(describe("picky", names=names, source_id="p-1"))
    assert until(lambda: len(lsl.claiming(source_listing, lsl.list_streams())) == 2, 5.0)
    with pytest.raises(NotReady, match=r"2 outlets claim"):
        source.reopen(0.5)
    del other
    time.sleep(0.1)
    frames = noise(200, 4, seed=2)
    stop = threading.Event()

    def push() -> None:
        for at in range(0, 200, 10):
            while not twin.have_consumers() and not stop.wait(0.005):
                pass
            twin.push_chunk(np.ascontiguousarray(frames[at : at + 10]))
            stop.wait(0.01)

    thread = threading.Thread(target=push)
    thread.start()
    try:
        assert source.reopen(5.0).gap_s > 2.0
        assert until(lambda: source.head() == 300, 3.0)
    finally:
        stop.set()
        thread.join()
        source.close()
    np.testing.assert_array_equal(source.window(100, 200).data, frames)


@pytest.mark.req("R-STREAM")
@pytest.mark.parametrize("epoch_whole", [False, True])
def test_a_session_goes_on_after_the_seam_and_its_record_verifies_and_replays(
    epoch_whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "rtloop.app.leaving.write_report", lambda *_: None, raising=False
    )  # slow, shown elsewhere
    died_s: list[float] = []
    opened: list[float] = []

    def each(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        given = bench.unit.discharges
        then_s = 1e-3 * sitting.line.epoch_after + 0.03 if epoch_whole else 0.05
        if not died_s and len(given) == 2 and now_s - given[-1].t_s > then_s:
            died_s.append(now_s)
            bench.inject({"kind": "die", "for_s": 1.0})
        if died_s and not opened and now_s > died_s[0] + 1.3:
            opened.append(sitting.bench.source.reopen(1.0).gap_s)  # type: ignore[attr-defined]

    held = hold_tiny(tmp_path, plan=tiny(wanted=3), each=each, limit_s=80.0)
    assert held.sat is not None
    assert (held.sat.exit_code, held.sat.data["record_whole"]) == (0, True)
    raised = [
        e.data["words"] for e in held.events if e.kind == "fault_raised" and e.data["fault"] == "stream_lost"
    ]
    assert len(raised) == 1
    assert "`reconnect`" in raised[0]
    assert held.kinds("pulse_uncommanded") == []
    armed = [t for t, lamp in held.lamps if lamp == "ARMED"]
    assert armed[-1] > died_s[0] + 1.3, "it did not go on"
    trials = held.kinds("trial_judged")
    assert trials[1]["accepted"] is epoch_whole
    assert all(t["accepted"] for t in trials[2:])
    assert len(trials) == (4 if epoch_whole else 5)
    eeg = next(s for s in read_xdf(held.folder.recording).streams if not s.text)
    steps = np.diff(eeg.stamps_s)
    (seam,) = np.flatnonzero(np.abs(steps - 0.001) > 1e-5)
    assert abs(steps[seam] - opened[0]) < 0.01
    assert eeg.stamps_s[seam] <= died_s[0] + 1e-6
    missing = round(steps[seam] * 1000) - 1
    due = [(d["t_s"] - eeg.stamps_s[0]) * 1000 for d in held.bench.discharges]
    found = [p["sample"] + missing * (p["sample"] > seam) for p in held.kinds("pulse_seen")]
    assert len(found) == len(due)
    assert all(0 <= at - t < 1.01 for at, t in zip(found, due, strict=True)), (found, due)
    again = replay(held.folder)
    assert again.differences == []
    assert again.pulses_found == len(held.kinds("pulse_seen"))
    result = verify(held.folder.path)
    assert result.ok, result.lines
