"""The newest window of the stream between trains: causal, and no value where the stream cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from naive_window import naive_value

from hardware_sim.head import Head
from hardware_sim.scene import load_scene
from rtloop.app.treat_state import LiveWindows, StateGating, gating_of
from rtloop.clock import SteppedClock
from rtloop.eeg.source import EegSource
from rtloop.errors import NotReady
from rtloop.measures.local_window import LocalWindow
from rtloop.model.estimate import BANDS_HZ
from rtloop.model.montage import HEAD_RADIUS_M, NAMES_63, Montage, position_of
from rtloop.model.samples import F32
from rtloop.plan.treat_load import load_treatment

MONTAGE, RATE_HZ, CHUNK = Montage.from_names(NAMES_63), 1000.0, 20


class Stream:
    """A pushed source with the head's EEG, chunk by chunk."""

    def __init__(self, folder: Path) -> None:
        self.clock = SteppedClock(1_700_000_000.0)
        self.source = EegSource.pushed(MONTAGE, RATE_HZ, folder / "ring", self.clock)
        self.head = Head(load_scene("state"), MONTAGE, RATE_HZ, 3)
        self.begun_s = self.clock.now_s()
        place = position_of("C3")
        assert place is not None
        window = LocalWindow(
            MONTAGE, place * HEAD_RADIUS_M, RATE_HZ, band="alpha", measure="plv", window_s=2.0, swing_uv_max=400.0,
            fast_uv_max=20.0,
        )  # fmt: skip
        self.windows = LiveWindows(self.source, window, lambda work: work(), recovery_s=3.0)

    def run(
        self, seconds: float, change: Callable[[F32], None] = lambda x: None, *, lost: bool = False
    ) -> None:
        for _ in range(round(seconds * RATE_HZ / CHUNK)):
            self.clock.advance(CHUNK / RATE_HZ)
            frames = self.head.block(CHUNK)
            change(frames)
            if not lost:
                self.source.push(frames, self.clock.now_s())

    def read(self) -> Any:
        return self.windows.read(self.clock.now_s())


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Stream]:
    made = Stream(tmp_path)
    yield made
    made.source.close()


def test_the_value_is_of_the_newest_samples_by_the_definition(stream: Stream) -> None:
    stream.run(5.0)
    reading = stream.read()
    end = stream.source.head()
    uv = np.array(stream.source.window(end - 2000, 2000).data)
    rows = tuple(MONTAGE.index(n) for n in ("C3", "CP3", "FC3", "C1"))
    assert reading.value == pytest.approx(naive_value(uv, RATE_HZ, rows, BANDS_HZ["alpha"], "plv"), abs=2e-3)
    assert reading.last_s == pytest.approx(stream.clock.now_s(), abs=2e-3)
    assert reading.last_s - reading.first_s == pytest.approx(1.999, abs=2e-3)


def test_what_comes_later_changes_nothing(tmp_path: Path) -> None:
    values = []
    for later in (0.0, 5000.0):
        folder = tmp_path / str(later)
        folder.mkdir()
        made = Stream(folder)
        made.run(5.0)
        first = made.read()
        end = made.source.head()
        made.run(1.0, lambda x, later=later: x.__iadd__(np.float32(later)))
        again = made.windows.window.of(np.array(made.source.window(end - 2000, 2000).data))
        assert again.value == first.value
        values.append(first.value)
        made.source.close()
    assert values[0] == values[1]


def test_a_spoiled_second_is_out_of_the_window_after_its_length(stream: Stream) -> None:
    stream.run(5.0)
    stream.run(0.2, lambda x: x.__setitem__((slice(None), MONTAGE.index("C3")), np.nan))
    assert (stream.read().value, stream.read().reason) == (None, "no number in C3")
    stream.run(1.9)
    assert stream.read().value is None
    stream.run(0.2)
    assert stream.read().value is not None


def test_before_enough_samples_came(stream: Stream) -> None:
    assert (stream.read().reason, stream.read().streams) == ("no samples came", False)
    stream.run(1.9)
    assert (stream.read().reason, stream.read().streams) == ("the stream had only just begun", True)
    stream.run(0.2)
    assert stream.read().value is not None


def test_a_stream_that_stands_still_or_lost_samples(stream: Stream) -> None:
    stream.run(5.0)
    stream.run(0.2, lost=True)
    assert stream.read().streams
    stream.run(0.1, lost=True)
    assert (stream.read().reason, stream.read().streams, stream.read().value) == (
        "no samples came",
        False,
        None,
    )
    stream.run(0.5)
    reading = stream.read()
    assert (reading.reason, reading.streams, reading.value) == ("samples are missing", True, None)
    stream.run(2.0)
    assert stream.read().value is not None


def test_a_pulse_in_the_window_or_too_shortly_before_it(stream: Stream) -> None:
    stream.run(5.0)
    stream.windows.saw_pulse(stream.source.head())
    stream.run(4.9)  # the window begins 2.9 s after the pulse
    assert stream.read().reason == "too soon after a pulse"
    stream.run(0.2)
    assert stream.read().value is not None


def test_a_pulse_that_nobody_commanded_is_heard_too(stream: Stream) -> None:
    gate = load_treatment("treat-10hz-4s-gated").gate
    assert gate is not None
    gating = StateGating(gate, stream.windows, lambda kind, **data: None, lambda words: None, seed="a")
    stream.run(6.0)
    assert stream.read().value is not None
    gating.heard("pulse_uncommanded", {"sample": stream.source.head() - 100})
    assert stream.read().reason == "too soon after a pulse"


def test_without_the_eeg_of_the_person_a_gated_plan_is_refused() -> None:
    class Blind:
        class setting:
            sees = False

    plan = load_treatment("treat-10hz-4s-gated")
    with pytest.raises(NotReady, match="need the EEG"):
        gating_of(Blind(), plan, "M1")  # type: ignore[arg-type]
    assert gating_of(Blind(), load_treatment("treat-10hz-4s"), "M1") is None  # type: ignore[arg-type]
