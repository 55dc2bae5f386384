"""The machine of a treatment under any order of words, refusals, cuts, trips and holds: its pauses, its order, its sums."""

from __future__ import annotations

import math
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rtloop.model.course import Ended
from rtloop.model.pulse import Train
from rtloop.model.status import Lamp
from rtloop.plan.treat_steps import TrainStep
from rtloop.treat.machine import Machine, Pace
from rtloop.treat.orders import AskToArm, Begin, ConfirmArm, Disarm, Give, Phase, SetUp

PULSES = 8
PACE = Pace(patience_s=300.0, cool_within_s=200.0)


def steps_of(count: int, pause_s: float, ramp: int = 0, first: int = 0) -> tuple[TrainStep, ...]:
    train = Train(frequency_hz=4.0, n_pulses=PULSES)
    return tuple(
        TrainStep(
            index=i, target="M1", power_pct_mso=30 if i < ramp else 40, power_pct_rmt=60.0 if i < ramp else 80.0, train=train,
            pause_s=pause_s if i else 0.0, ramping=i < ramp,
        )
        for i in range(first, count)
    )  # fmt: skip


class Session(RuleBasedStateMachine):
    """A world around the machine: a unit that arms when told to, trips, cuts, heats; an operator who says anything."""

    @initialize(
        count=st.integers(1, 4), pause_s=st.sampled_from([5.0, 26.0, 54.0, 58.0, 90.0]), ramp=st.integers(0, 2),
        first=st.integers(0, 2), gated=st.booleans(),
    )  # fmt: skip
    def begin(self, count: int, pause_s: float, ramp: int, first: int, gated: bool) -> None:
        self.pause_s = pause_s
        self.m = Machine(
            steps_of(count + first, pause_s, ramp, first),
            PACE,
            gated=gated,
            not_before_s=1000.0 if first else -math.inf,
        )
        self.now_s, self.lamp, self.asked = 990.0, Lamp.READY, False
        self.end_s = -math.inf  # latest end of the last train that may have been given
        self.begun: list[int] = []
        self.first = first
        self.over = self.set_to = self.shape = None  # type: ignore[assignment]
        self.armed_s = -math.inf

    def look(self) -> None:
        order = self.m.look(self.now_s, self.lamp)
        match order:
            case SetUp():
                assert not order.shape or self.lamp is not Lamp.ARMED
                self.m.is_set(order)
                self.set_to, self.shape = order.step.power_pct_mso, self.shape or order.shape
            case Begin():
                self.m.has_begun()
            case AskToArm():
                assert self.m.begun
                assert self.lamp in (Lamp.READY, Lamp.SAFE)
                assert self.m.running is None
                self.asked = True
            case ConfirmArm():
                assert self.m.running is None
                if self.asked and self.lamp is Lamp.READY:
                    self.lamp, self.armed_s = Lamp.ARMED, self.now_s
                self.asked = False
            case Disarm():
                self.lamp = self.lamp if self.lamp is Lamp.TRIPPED else Lamp.READY
            case Give():
                self.gives(order)
        if self.m.phase in (Phase.PAUSED, Phase.COOLING, Phase.AFTER, Phase.OVER):
            assert self.lamp not in (Lamp.ARMED, Lamp.HELD)

    def gives(self, order: Give) -> None:
        assert self.m.end is None
        assert not self.m.paused
        assert self.lamp is Lamp.ARMED
        assert self.m.begun
        assert self.set_to == order.step.power_pct_mso
        assert self.shape
        # the unit disarms itself after 60 s without a pulse, the gate refuses after 55 s
        assert self.now_s - max(self.armed_s, self.end_s) <= 55.0
        if self.end_s > -math.inf:  # counted from the END of the last train
            assert self.now_s - self.end_s >= self.pause_s - 1e-9
        if self.first:
            assert self.now_s >= 1000.0
        assert order.step.index not in self.begun
        assert self.m.coil_c is None or self.m.coil_c <= PACE.coil_stop_c
        self.offered = order.step

    offered: TrainStep | None = None

    # -- the world ---------------------------------------------------------------------------------------------

    @rule(s=st.sampled_from([0.02, 0.3, 1.0, 2.5, 10.0, 30.0, 61.0]))
    def time_passes(self, s: float) -> None:
        self.now_s += s
        self.offered = None
        self.look()

    @rule(word=st.sampled_from(["arm", "confirm", "pause", "resume", "arm", "confirm", "resume", "nonsense"]))
    def says(self, word: str) -> None:
        self.m.hear(word)
        self.offered = None
        self.look()
        self.look()

    @precondition(lambda self: len(self.begun) > 1)
    @rule(word=st.sampled_from(["stop", "abort", "abort it hurts"]))
    def ends_it(self, word: str) -> None:
        head, _, text = word.partition(" ")
        why = self.m.hear(head, text)
        assert bool(why) is (head == "abort" and not text) or self.m.phase is Phase.OVER
        self.offered = None
        self.look()

    @rule()
    def signs(self) -> None:
        if self.m.phase in (Phase.BEFORE, Phase.AFTER):
            self.m.signed()
        self.offered = None
        self.look()

    @precondition(lambda self: self.m.end is None and self.lamp is not Lamp.TRIPPED)
    @rule()
    def somebody_helps(self) -> None:
        """Sign, arm, wait, until a train is offered or under way, or nothing more comes of it."""
        for _ in range(60):
            if self.m.running is not None:
                return
            if self.offered is not None:
                self.fires("begun")
                return
            if self.m.phase is Phase.BEFORE:
                self.m.signed()
            elif self.m.phase is Phase.ARM and self.lamp is Lamp.READY:
                self.m.hear("confirm" if self.asked else "arm")
            elif self.m.phase is Phase.GATE:
                self.m.opened()
            elif self.m.phase is Phase.PAUSED:
                self.m.hear("resume")
            elif self.m.phase is Phase.COOLING:
                self.m.read_coil(30.0)
            elif self.m.phase is Phase.PAUSE:
                self.now_s += 1.0
                self.lamp = Lamp.ARMED if self.lamp is Lamp.HELD else self.lamp
            self.look()

    @precondition(lambda self: self.m.phase is Phase.GATE)
    @rule()
    def the_state_comes(self) -> None:
        self.m.opened()
        self.look()

    @precondition(lambda self: self.offered is not None)
    @rule(how=st.sampled_from(["begun", "refused"]))
    def fires(self, how: str) -> None:
        step, self.offered = self.offered, None
        assert step is not None
        if how == "refused":
            self.m.refused("a rule said no")
        else:
            self.end_s = self.now_s + step.train.duration_s
            self.m.started(step, self.end_s)
            self.begun.append(step.index)
        self.look()

    @precondition(lambda self: self.m.running is not None)
    @rule(least=st.integers(-1, PULSES + 2), most=st.integers(0, PULSES + 2))
    def ends_a_train(self, least: int, most: int) -> None:
        self.now_s = max(self.now_s, self.end_s) + 0.1
        self.m.over(least, most, self.end_s)
        self.offered = None
        self.look()

    @rule(coil_c=st.sampled_from([22.0, 38.5, 39.5, None]))
    def the_coil_is_read(self, coil_c: float | None) -> None:
        self.m.read_coil(coil_c)
        self.offered = None
        self.look()

    @rule()
    def a_fault_disarms(self) -> None:
        self.lamp = self.lamp if self.lamp is Lamp.TRIPPED else Lamp.READY
        self.offered = None
        self.look()

    @precondition(lambda self: self.lamp in (Lamp.ARMED, Lamp.HELD))
    @rule()
    def a_hold_comes_or_goes(self) -> None:
        self.lamp = Lamp.HELD if self.lamp is Lamp.ARMED else Lamp.ARMED
        self.offered = None
        self.look()

    @precondition(lambda self: len(self.begun) > 1)
    @rule()
    def it_trips(self) -> None:
        self.lamp = Lamp.TRIPPED
        self.offered = None
        self.look()
        assert self.m.end is not None

    # -- what always holds -----------------------------------------------------------------------------------------

    @invariant()
    def planned_is_delivered_refused_and_uncertain(self) -> None:
        c = self.m.count()
        assert c.planned == c.delivered + c.refused + c.uncertain == PULSES * len(self.m.steps)
        assert min(c.delivered, c.refused, c.uncertain) >= 0
        assert c.trains <= len(self.begun) <= len(self.m.steps)
        assert c.delivered + c.uncertain <= PULSES * len(self.begun)

    @invariant()
    def each_train_is_begun_once_and_in_order(self) -> None:
        assert self.begun == [s.index for s in self.m.steps[: len(self.begun)]]

    @invariant()
    def what_has_ended_stays_so(self) -> None:
        if self.m.end is not None and self.m.end.ended is Ended.COMPLETE:
            assert len(self.m.given) == len(self.m.steps)


TestSession = Session.TestCase
TestSession.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


def drive(m: Machine, *, until_s: float = 2000.0, cut: int | None = None) -> list[tuple[float, int]]:
    """A world that does what it is told; when each train began, and its index. ``cut``: that many pulses of each train come."""
    now_s, lamp, end_s, begun = 0.0, Lamp.READY, math.inf, list[tuple[float, int]]()
    m.signed()
    while m.phase is not Phase.OVER and now_s < until_s:
        match m.look(now_s, lamp):
            case SetUp() as order:
                m.is_set(order)
            case Begin():
                m.has_begun()
            case AskToArm():
                m.hear("confirm")
            case ConfirmArm():
                lamp = Lamp.ARMED
            case Disarm():
                lamp = Lamp.READY
            case Give() as order:
                end_s = now_s + order.step.train.duration_s
                m.started(order.step, end_s)
                begun.append((now_s, order.step.index))
            case None if m.phase is Phase.ARM and not m.armed:
                m.hear("arm")
            case None if m.phase is Phase.AFTER:
                m.signed()
        if now_s >= end_s + 0.2:
            n = PULSES if cut is None else cut
            m.over(n, n, end_s)
            end_s = math.inf
        now_s += 0.02
    return begun


@pytest.mark.parametrize("pause_s", [5.0, 26.0, 54.0, 58.0, 120.0])
def test_trains_come_at_their_pauses_also_where_they_are_armed_anew(pause_s: float) -> None:
    m = Machine(steps_of(3, pause_s), PACE)
    begun = drive(m)
    assert [i for _, i in begun] == [0, 1, 2]
    for (a, _), (b, _) in pairwise(begun):
        assert 0 <= b - (a + PULSES / 4.0) - pause_s <= 0.25
    assert m.end is not None
    assert (m.end.ended, m.end.code, m.count().delivered) == (Ended.COMPLETE, 0, 3 * PULSES)


def test_what_is_resumed_goes_on_with_the_next_train_and_waits_before_it() -> None:
    m = Machine(steps_of(5, 26.0, first=3), PACE, not_before_s=26.0)
    begun = drive(m)
    assert [i for _, i in begun] == [3, 4]
    assert begun[0][0] == pytest.approx(26.0, abs=0.2)
    assert (m.count().planned, m.count().delivered) == (2 * PULSES, 2 * PULSES)


def armed_at_a_pause() -> tuple[Machine, float]:
    """A machine that has given its first train and is armed, long before the second; the instant."""
    m = Machine(steps_of(3, 26.0), PACE)
    m.signed()
    m.has_begun()
    setup = m.look(0.0, Lamp.READY)
    assert isinstance(setup, SetUp)
    m.is_set(setup)
    assert isinstance(m.look(0.1, Lamp.ARMED), Give)
    m.started(m.steps[0], 2.1)
    m.over(PULSES, PULSES, 2.1)
    assert m.look(3.0, Lamp.ARMED) is None
    assert m.phase is Phase.PAUSE
    return m, 3.0


def test_a_pause_disarms_at_once_and_nothing_is_given_until_it_is_over() -> None:
    m, now_s = armed_at_a_pause()
    assert m.hear("pause") == ""
    assert m.look(now_s, Lamp.ARMED) == Disarm(reason="the operator asked for a pause")
    assert m.phase is Phase.PAUSED
    for later_s in (10.0, 30.0, 100.0):  # whatever the unit says
        assert isinstance(m.look(later_s, Lamp.ARMED), Disarm)
        assert m.look(later_s, Lamp.READY) is None
    assert m.hear("resume") == ""
    assert m.look(100.0, Lamp.READY) is None
    assert m.phase is Phase.ARM


def test_a_word_of_arming_that_comes_late_answers_nothing() -> None:
    m = Machine(steps_of(3, 26.0), PACE)
    m.signed()
    setup = m.look(0.0, Lamp.READY)
    assert isinstance(setup, SetUp)
    m.is_set(setup)
    m.look(0.1, Lamp.READY)
    assert m.phase is Phase.ARM
    for word in ("arm", "confirm", "arm"):
        assert m.hear(word) == ""
    assert isinstance(m.look(0.2, Lamp.READY), Begin)
    m.has_begun()
    assert isinstance(m.look(0.3, Lamp.READY), AskToArm)
    assert isinstance(m.look(0.4, Lamp.READY), ConfirmArm)
    assert isinstance(m.look(0.5, Lamp.ARMED), Give)  # not the second "arm"
    m.started(m.steps[0], 2.5)
    assert m.look(0.6, Lamp.ARMED) is None
    assert m.phase is Phase.TRAIN
    assert "nothing is to be armed now (train)" in m.hear("arm")


def test_an_end_disarms_at_once_and_nothing_is_given_afterwards() -> None:
    for word, text in (("stop", ""), ("abort", "it hurts"), ("halt", "")):
        m, now_s = armed_at_a_pause()
        assert m.hear(word, text) == ""
        assert isinstance(m.look(now_s, Lamp.ARMED), Disarm)
        assert m.look(100.0, Lamp.READY) is None
        assert isinstance(m.look(100.0, Lamp.ARMED), Disarm)
        m.hear("resume")
        m.hear("arm")
        assert m.look(101.0, Lamp.READY) is None
        assert m.phase is Phase.AFTER


def test_a_unit_that_is_held_waits_and_is_disarmed_when_it_lasts() -> None:
    m, _ = armed_at_a_pause()
    assert m.look(28.2, Lamp.HELD) is None
    assert isinstance(m.look(30.0, Lamp.ARMED), Give)
    assert m.look(40.0, Lamp.HELD) is None
    m.look(40.1, Lamp.HELD)
    assert isinstance(m.look(40.2, Lamp.HELD), Disarm)
    assert "held for too long" in m.paused


def test_power_is_set_anew_at_the_end_of_a_ramp() -> None:
    m = Machine(steps_of(3, 26.0, ramp=1), PACE)
    m.signed()
    first = m.look(0.0, Lamp.READY)
    assert isinstance(first, SetUp)
    assert (first.step.power_pct_mso, first.shape) == (30, True)
    m.is_set(first)
    m.look(0.1, Lamp.ARMED)
    m.started(m.steps[0], 2.1)
    m.over(PULSES, PULSES, 2.1)
    second = m.look(3.0, Lamp.ARMED)
    assert isinstance(second, SetUp)
    assert (second.step.power_pct_mso, second.shape) == (40, False)
    m.unset()
    assert isinstance(m.look(3.1, Lamp.ARMED), Disarm)  # a train is set in standby
    third = m.look(3.2, Lamp.READY)
    assert isinstance(third, SetUp)
    assert third.shape


def test_trains_that_are_cut_are_not_made_up_for() -> None:
    m = Machine(steps_of(3, 5.0), PACE)
    drive(m, cut=3)
    c = m.count()
    assert (c.planned, c.delivered, c.refused, c.uncertain, c.trains) == (24, 9, 15, 0, 3)


def test_a_coil_that_heats_is_waited_for_and_given_up_after_its_deadline() -> None:
    m = Machine(steps_of(3, 5.0), PACE)
    m.read_coil(39.5)
    assert drive(m, until_s=100.0) == []
    assert m.phase is Phase.COOLING
    assert "39.5" in m.too_hot()
    m.read_coil(38.0)
    assert drive(m)
    m = Machine(steps_of(3, 5.0), PACE)
    m.read_coil(60.0)
    assert drive(m) == []
    assert m.end is not None
    assert (m.end.ended, m.end.code, m.phase) == (Ended.STOPPED, 4, Phase.OVER)


def test_a_train_that_is_passed_over_was_not_given() -> None:
    m = Machine(steps_of(2, 5.0), PACE, gated=True)
    m.passed_over()
    c = m.count()
    assert (c.planned, c.delivered, c.refused, c.uncertain, c.trains) == (16, 0, 16, 0, 0)
    assert m.step is m.steps[1]


def test_nobody_who_answers_ends_it() -> None:
    m = Machine(steps_of(2, 5.0), PACE)
    for now_s in range(0, 400, 10):
        m.look(float(now_s), Lamp.READY)
    assert m.end is not None
    assert (m.phase, m.end.code) == (Phase.OVER, 6)
    assert "nobody answered" in m.end.words


def test_a_second_stop_leaves_the_checklist_after() -> None:
    m = Machine(steps_of(2, 5.0), PACE)
    m.signed()
    m.has_begun()
    assert m.hear("stop", "enough") == ""
    m.look(1.0, Lamp.READY)
    assert m.phase is Phase.AFTER
    m.hear("stop")
    m.look(2.0, Lamp.READY)
    assert m.phase is Phase.OVER
    assert m.end is not None
    assert m.end.words == "the operator ended it: enough"


def test_a_trip_while_a_stop_is_carried_out_is_told() -> None:
    m = Machine(steps_of(2, 5.0), PACE)
    m.signed()
    m.has_begun()
    m.started(m.steps[0], 2.0)
    m.hear("stop")
    m.look(0.5, Lamp.TRIPPED)
    assert m.end is not None
    assert (m.end.ended, m.end.code) == (Ended.TRIPPED, 5)
    assert m.count().uncertain == PULSES  # under way: not known


def test_words_that_cannot_be_taken_are_answered() -> None:
    m = Machine(steps_of(2, 5.0), PACE)
    assert "nothing is to be armed" in m.hear("arm")
    assert "needs its reason" in m.hear("abort", " ")
    assert "nothing is paused" in m.hear("resume")
    assert "no train" in m.hear("pause")
    assert "not understood" in m.hear("fire")
    with pytest.raises(ValueError, match="not to be given"):
        m.started(m.steps[1], 1.0)
    with pytest.raises(ValueError, match="no train is under way"):
        m.over(1, 1, 1.0)
