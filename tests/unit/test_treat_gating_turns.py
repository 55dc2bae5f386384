"""The gating in the session's turns: an opening that was not used waits anew, an interruption too; no stream pauses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest
from treat_tools import GATE, GOOD, spoiled

from rtloop.app.treat_state import StateGating
from rtloop.model.course import GATE_OPENED
from rtloop.model.status import Lamp
from rtloop.plan.treat_load import parse_treatment
from rtloop.plan.treat_steps import trains_of
from rtloop.treat.calibrating import FRESH_S, Reading
from rtloop.treat.machine import Machine, Pace
from rtloop.treat.orders import Give, Phase, SetUp

BRIEF = ("window_s = 4.0", "window_s = 1.5"), ("calibration_max_s = 200.0", "calibration_max_s = 60.0")


@dataclass
class Windows:
    """What stands for the stream: the value from now on, or why there is none."""

    value: float | None = 0.9
    reason: str = ""
    streams: bool = True
    window: Any = field(default_factory=lambda: type("W", (), {"names": ("C3",), "rate_hz": 1000.0})())

    def read(self, now_s: float) -> Reading:
        if not self.streams:
            return Reading.nothing(now_s, "no samples came")
        return Reading(first_s=now_s - 1.499, last_s=now_s, value=self.value, reason=self.reason)

    def saw_pulse(self, sample: int) -> None: ...


class Session:
    """A machine with its gating on a clock of 20 ms, the unit armed as soon as it is asked for."""

    def __init__(self, *changes: tuple[str, str]) -> None:
        plan = parse_treatment(spoiled(GOOD, ("count = 10", "count = 5")) + spoiled(GATE, *BRIEF, *changes))
        assert plan.gate is not None
        self.now_s, self.lamp, self.told, self.sent = 1000.0, Lamp.READY, [], []  # type: ignore[var-annotated]
        self.windows = Windows()
        self.gating = StateGating(plan.gate, self.windows, self._tell, lambda words: None, seed="a")  # type: ignore[arg-type]
        self.machine = Machine(trains_of(plan, "M1", 50), Pace(), gated=True, calibrate=True)
        self.machine.has_begun()
        self.holds_give = False

    def _tell(self, kind: str, *, sync: bool = False, **data: Any) -> None:
        self.told.append((kind, data, self.now_s))

    def run(self, seconds: float) -> None:
        for k in range(round(seconds / 0.02)):
            self.now_s += 0.02
            m = self.machine
            if self.windows.value is not None and not self.gating.calibrated:
                self.windows.value = 0.5 + 0.01 * (k % 20)
            order = m.look(self.now_s, self.lamp)
            if isinstance(order, SetUp):
                m.is_set(order)
            elif isinstance(order, Give) and not self.holds_give:
                self.sent.append(self.now_s)
                m.started(order.step, self.now_s + 4.0)
            if m.phase is Phase.ARM:
                self.lamp = Lamp.ARMED
            if m.running is not None and self.now_s >= m.over_s:
                m.over(40, 40, m.over_s)
            if m.paused:
                self.lamp = Lamp.READY
            before = self.gating.calibrated
            self.gating.turn(m, self.now_s)
            if self.gating.calibrated is not before:
                self.windows.value = 0.9

    @property
    def openings(self) -> list[tuple[dict[str, Any], float]]:
        return [(d, t) for kind, d, t in self.told if kind == GATE_OPENED]


def calibrated(*changes: tuple[str, str]) -> Session:
    s = Session(*changes)
    s.machine.look(s.now_s, s.lamp)
    assert s.machine.phase is Phase.BEFORE
    s.run(1.0)
    assert not s.told, "nothing is measured before the checklist is signed"
    s.machine.signed()
    s.run(31.0)
    assert s.gating.calibrated is not None
    assert s.machine.phase not in (Phase.BEFORE, Phase.CALIBRATING)
    s.run(1.0)
    return s


def test_a_train_begins_at_the_first_value_that_holds() -> None:
    s = calibrated()
    assert s.machine.phase is Phase.GATE
    s.run(5.0)
    assert s.sent == []
    s.windows.value, since = 0.1, s.now_s
    s.run(1.0)
    (sent,) = s.sent
    assert sent - since <= s.gating.gate.every_s + 0.06
    ((opening, opened_s),) = s.openings
    assert opening["train"] == 1
    assert 0 < sent - opened_s < 0.05


@pytest.mark.parametrize("why", ["held", "not ready"])
def test_an_opening_that_was_not_used_at_once_waits_anew(why: str) -> None:
    s = calibrated()
    s.windows.value = 0.1
    if why == "held":
        s.lamp = Lamp.HELD
        s.run(0.6)  # in the hold nothing is waited for
        s.lamp = Lamp.ARMED
        assert s.openings == []
    s.holds_give = True  # the unit says that it is not ready yet
    s.run(0.4)
    assert len(s.openings) == 1
    s.windows.value = 0.9  # the state is over
    s.run(2 * FRESH_S)
    s.holds_give = False
    s.run(3.0)
    assert s.sent == [], "the value of a moment ago begins no train"
    s.windows.value = 0.1
    s.run(1.0)
    assert len(s.sent) == 1
    assert s.openings[-1][0]["train"] == 1


def test_no_stream_when_the_time_runs_out_pauses_and_gives_nothing() -> None:
    s = calibrated(("time_out_s = 20.0", "time_out_s = 5.0"))
    s.windows.streams = False
    s.run(6.0)
    assert s.sent == []
    assert s.machine.phase is Phase.PAUSED
    assert s.machine.paused == "no EEG came while train 1 waited for its state"
    assert s.machine.step is not None
    assert s.machine.step.index == 0, "it is still to be given"
    s.windows.streams, s.windows.value = True, 0.1
    s.machine.hear("resume")
    s.run(2.0)
    assert len(s.sent) == 1


def test_a_train_that_is_passed_over_is_not_given_and_counts_as_refused() -> None:
    s = calibrated(("time_out_s = 20.0", "time_out_s = 3.0"), ('then = "give"', 'then = "skip"'))
    while not s.openings:
        s.run(0.02)
    assert [(o["train"], o["give"]) for o, _ in s.openings] == [(1, False)]
    s.windows.value = 0.1
    s.run(1.0)
    assert len(s.sent) == 1
    assert s.openings[-1][0]["train"] == 2
    s.run(10.0)
    count = s.machine.count()
    assert (count.delivered, count.trains) == (40, 1)
    s.run(60.0)
    assert s.machine.count().refused >= 40


def test_an_interruption_of_the_calibration_begins_it_anew() -> None:
    s = Session()
    s.machine.signed()
    s.run(20.0)
    s.machine.hear("pause")
    s.run(1.0)
    assert s.machine.phase is Phase.PAUSED
    s.machine.hear("resume")
    s.run(20.0)
    assert s.machine.phase is Phase.CALIBRATING, "20 windows of 1.5 s from the new beginning"
    s.run(12.0)
    assert s.gating.calibrated is not None
    assert s.gating.calibrated.took_s < 32.0


def test_a_calibration_without_a_value_pauses_with_the_reasons() -> None:
    s = Session()
    s.machine.signed()
    s.windows.value, s.windows.reason = None, "fast activity (muscle) at C3"
    s.run(61.0)
    assert s.machine.phase is Phase.PAUSED
    words = s.machine.paused
    assert words.startswith("the calibration found no limit: 0 of 20 windows without artifact after 60 s (12")
    assert words.endswith(" looks: fast activity (muscle) at C3)")
    assert s.told == []


def test_the_machine_arms_nothing_before_the_calibration() -> None:
    s = Session()
    s.machine.signed()
    s.run(5.0)
    assert s.machine.phase is Phase.CALIBRATING
    assert s.machine.hear("arm") == "nothing is to be armed now (calibrating)"
    assert s.lamp is Lamp.READY
    assert s.machine.deadline_s() == math.inf  # the calibration's own time bounds it
