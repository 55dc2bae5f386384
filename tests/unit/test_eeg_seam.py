"""A lost stream that comes back: one seam, honestly counted; nothing is compared across it; no pulse is made up or lost."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from hardware_sim.bench import BedsideSpec, SteppedBench
from rtloop.clock import SteppedClock
from rtloop.eeg.layout import Layout
from rtloop.eeg.source import EegSource
from rtloop.errors import NotReady
from rtloop.model.pulse import PulseSeen, Source
from rtloop.model.status import Fault

RATE_HZ = 1000.0


class Bed:
    """A simulated bedside, stepped; ``run`` feeds the source and collects pulses and what the watch said."""

    def __init__(self, path: Path, *, trigger: bool = True, rate_hz: float = RATE_HZ) -> None:
        self.clock = SteppedClock(100.0)
        self.bench = SteppedBench(self.clock, BedsideSpec(n_channels=32, rate_hz=rate_hz, trigger=trigger))
        layout = Layout.from_montage(self.bench.montage, trigger="TRIG" if trigger else None)
        self.source = EegSource.pushed(layout, rate_hz, path, self.clock)
        self.pulses: list[PulseSeen] = []
        self.said: list[tuple[float, Fault, str, str]] = []
        self.offset_uv, self.muted = 0.0, False

    def run(self, seconds: float, step_s: float = 0.005) -> None:
        for _ in range(round(seconds / step_s)):
            self.clock.advance(step_s)
            frames, t_s = self.bench.frames_until(self.clock.now_s())
            if len(frames):
                frames[:, : self.bench.montage.n_channels] += np.float32(self.offset_uv)
                frames[:, : self.bench.montage.n_channels] *= not self.muted
                self.source.push(frames, t_s, self.bench.outlet)
            health = self.source.health(self.clock.now_s())
            self.said += [(self.clock.now_s(), b.fault, b.what, b.found) for b in health.breaches]
            self.pulses += self.source.pulses(self.clock.now_s())

    def fire(self, power_pct_mso: float = 60.0) -> None:
        self.bench.sampler.discharge(self.clock.now_s() + 0.010, power_pct_mso, "external")

    def faults(self) -> set[Fault]:
        return {b.fault for b in self.source.health(self.clock.now_s()).breaches}

    def seen(self, since: int = 0) -> list[int]:
        return [p.sample for p in self.pulses[since:]]


@pytest.fixture
def bed(tmp_path: Path):
    made = Bed(tmp_path / "ring")
    made.run(2.0)
    assert made.faults() == set()
    made.said.clear()
    yield made
    made.source.close()


@pytest.mark.req("R-STREAM")
def test_a_frozen_stream_is_lost_and_after_its_return_all_clears_with_true_words(bed: Bed) -> None:
    bed.bench.inject({"kind": "freeze", "for_s": 3.0})
    bed.run(3.0)
    assert Fault.STREAM_LOST in bed.faults()
    back_s = bed.clock.now_s()
    bed.run(1.6)
    assert bed.faults() == set()
    after = [row for row in bed.said if row[0] > back_s + 0.02]
    assert {what for _, _, what, _ in after} == {"samples are missing", "the sampling rate is wrong"}
    assert {found for _, _, what, found in after if what == "the sampling rate is wrong"} == {"not known yet"}
    assert all("lost near sample" in found for _, _, what, found in after if what == "samples are missing")
    health = bed.source.health(bed.clock.now_s())
    assert (health.gaps, abs(health.lost_samples - 3000) <= 10) == (1, True)
    assert bed.pulses == []


@pytest.mark.req("R-STREAM")
def test_a_vanished_outlet_is_not_followed_until_asked_and_then_the_ring_goes_on(bed: Bed) -> None:
    with pytest.raises(NotReady, match="not come back"):
        bed.source.reopen(1.0)
    head, t_before_s = bed.source.head(), bed.source.time_of(bed.source.head() - 1)
    bed.bench.inject({"kind": "die", "for_s": 2.0})
    bed.run(1.0)
    assert Fault.STREAM_LOST in bed.faults()
    with pytest.raises(NotReady, match="not come back"):
        bed.source.reopen(1.0)
    bed.run(2.0)
    assert bed.source.head() <= head + 10, "the new outlet was followed by itself"
    assert any("the connection ended" in found and "`reconnect`" in found for *_, found in bed.said)
    head = bed.source.head()
    bed.offset_uv = 5000.0  # the amplifier's offset is another after its restart
    asked_s = bed.clock.now_s()
    done: list[object] = []
    thread = threading.Thread(target=lambda: done.append(bed.source.reopen(1.0)))
    thread.start()
    thread.join(5.0)
    bed.run(0.1)
    (opened,) = done
    assert abs(opened.gap_s - 3.0) < 0.02
    assert "samples) are missing" in opened.words
    assert bed.source.head() >= head + 90
    assert abs(bed.source.time_of(head) - asked_s) < 0.01
    assert abs(bed.source.time_of(head - 1) - t_before_s) < 0.02
    assert not bed.source.valid(head - 100, 200)
    assert bed.source.valid(head - 200, 190)
    bed.run(1.6)
    assert bed.faults() == set()
    assert bed.source.valid(head + 50, 1000)
    health = bed.source.health(bed.clock.now_s())
    assert health.gaps == 1
    assert abs(health.lost_samples - round(opened.gap_s * RATE_HZ)) <= 10
    assert bed.pulses == [], "the seam was taken for a pulse"
    bed.fire()
    bed.run(0.5)
    assert bed.seen() == [round((bed.bench.discharges[-1]["t_s"] - asked_s) * RATE_HZ) + head]
    assert bed.pulses[0].alarm == ""


def test_a_pulse_right_after_the_seam_is_found_by_its_trigger_and_later_without(bed: Bed) -> None:
    bed.bench.inject({"kind": "die", "for_s": 1.5})
    bed.run(1.6)
    bed.source.reopen(1.0)
    bed.offset_uv = -8000.0
    bed.run(0.02)
    bed.fire()
    bed.run(0.7)
    bed.bench.inject({"kind": "miss_triggers", "count": 1})
    bed.fire()
    bed.run(0.5)
    assert [p.source for p in bed.pulses] == [Source.TRIGGER, Source.ARTIFACT]


def test_a_second_loss_after_a_return_can_be_reopened_too(bed: Bed) -> None:
    for n in (1, 2):
        bed.bench.inject({"kind": "die"})
        bed.run(0.5)
        bed.bench.inject({"kind": "return"})
        bed.run(0.1)
        assert bed.bench.outlet == n
        assert abs(bed.source.reopen(1.0).gap_s - 0.6) < 0.02
        bed.run(1.8)
        assert bed.faults() == set()
        assert bed.source.health(bed.clock.now_s()).gaps == n
    assert bed.pulses == []


def test_going_to_the_rail_or_flat_and_coming_back_is_no_pulse_once_the_trigger_has_shown_one(
    tmp_path: Path,
) -> None:
    bed = Bed(tmp_path / "ring")
    bed.offset_uv = 900.0  # so that going flat is a jump too
    bed.run(1.0)
    bed.fire()
    bed.run(1.0)
    assert len(bed.pulses) == 1
    bed.bench.inject({"kind": "saturate", "for_s": 0.4})
    bed.run(1.5)
    assert "the amplifier repeats itself" in {what for _, _, what, _ in bed.said}
    bed.muted = True
    bed.run(0.4)
    bed.muted = False
    bed.run(1.5)
    assert len(bed.pulses) == 1, bed.pulses
    bed.fire(100.0)
    bed.run(0.5)
    assert [p.source for p in bed.pulses] == [Source.TRIGGER] * 2
    bed.source.close()


def test_a_pulse_while_all_channels_stand_at_the_rail_is_found_by_its_trigger(bed: Bed) -> None:
    bed.fire()
    bed.run(0.5)
    bed.bench.inject({"kind": "saturate", "for_s": 0.5})
    bed.run(0.2)
    bed.fire()
    bed.run(1.0)
    assert [p.source for p in bed.pulses] == [Source.TRIGGER] * 2


@pytest.mark.parametrize("trigger", [False, True])
def test_without_a_trigger_that_has_worked_the_jump_is_told_rather_one_too_many(
    tmp_path: Path, trigger: bool
) -> None:
    bed = Bed(tmp_path / "ring", trigger=trigger)
    bed.run(1.0)
    bed.bench.inject({"kind": "saturate"})
    bed.run(0.5)
    assert [p.source for p in bed.pulses] == [Source.ARTIFACT]
    bed.source.close()


@pytest.mark.parametrize("rate_hz", [1000.0, 5000.0])
def test_no_real_pulse_is_lost_for_want_of_a_trigger_at_any_power_and_place(
    tmp_path: Path, rate_hz: float
) -> None:
    bed = Bed(tmp_path / "ring", rate_hz=rate_hz)
    bed.run(1.0)
    bed.fire()
    bed.run(0.5)
    wanted = 1
    for target in bed.bench.sampler.head.scene.targets:
        bed.bench.place(target)
        for power_pct_mso in (30.0, 65.0, 100.0):
            bed.bench.inject({"kind": "miss_triggers", "count": 1})
            bed.fire(power_pct_mso)
            bed.run(0.3)
            wanted += 1
            assert len(bed.pulses) == wanted, (target, power_pct_mso)
            assert bed.pulses[-1].source is Source.ARTIFACT
    bed.source.close()


@pytest.mark.parametrize("late_s", [0.0, 1.5])
def test_a_marker_from_while_the_stream_was_away_keeps_its_own_time(bed: Bed, late_s: float) -> None:
    """The pulse just before the amplifier is pulled: its marker must not become a pulse of when the stream is back."""
    bed.source.expect_pulse(bed.clock.now_s() + 0.010)
    bed.bench.inject({"kind": "die"})
    marked_s = bed.clock.now_s() + 0.012
    bed.run(late_s)
    bed.source.push_marker(marked_s, "pulse")
    bed.run(2.0 - late_s)
    assert bed.pulses == []
    bed.bench.inject({"kind": "return"})
    bed.run(0.1)
    head = bed.source.head()
    bed.source.reopen(1.0)
    bed.run(1.0)
    (pulse,) = bed.pulses
    assert (pulse.source, pulse.t_s) == (Source.MARKER, marked_s)
    assert abs(pulse.sample - head) <= 10
    assert "samples are missing around it" in pulse.alarm


def test_two_markers_in_one_gap_are_two_pulses_with_samples_of_their_own(bed: Bed) -> None:
    """The number of an uncommanded pulse is made from its sample: two pulses must never share one."""
    bed.bench.inject({"kind": "die"})
    marked_s = [bed.clock.now_s() + 0.4, bed.clock.now_s() + 0.9]
    for t_s in marked_s:
        bed.source.push_marker(t_s, "pulse")
    bed.run(2.0)
    bed.bench.inject({"kind": "return"})
    bed.run(0.1)
    bed.source.reopen(1.0)
    bed.run(1.0)
    assert [p.t_s for p in bed.pulses] == marked_s
    assert len({p.sample for p in bed.pulses}) == 2
