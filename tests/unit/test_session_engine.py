"""The engine by itself: what it asks, in which order; when it gives a pulse and when not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from rtloop.model.pulse import Outcome, Purpose
from rtloop.model.status import Lamp
from rtloop.plan.expand import Control, GoNoGo, Listen, Place, Preview, Review, Run, Step
from rtloop.session import engine as e

ISI_S = (2.05, 2.15)
TICK_S = 0.01


def visit(target: str, *, wanted: int = 3, most: int = 5, control: bool = False) -> list[Step]:
    """The steps of one target."""
    power = {"power_pct_mso": 45, "power_pct_rmt": None}
    steps: list[Step] = [
        Place(index=0, target=target),
        Preview(index=1, target=target, pulses=1, **power),
        GoNoGo(index=2, target=target, early_response_uv_min=6.0, rejected_share_max=0.3),
        Run(index=3, target=target, pulses_wanted=wanted, pulses_max=most, purpose=Purpose.MAPPING, **power),
    ]
    if control:
        steps.append(Control(index=4, target=target, kind="sham", pulses=2, **power))
    return [*steps, Review(index=5, target=target, rejected_share_max=0.3)]


def enough(accepted: int, given: int, wanted: int, most: int) -> bool:
    return accepted >= wanted or given >= most


@dataclass
class Desk:
    """A world around the engine: obeys its orders as the loop does, with an operator who answers or not."""

    engine: e.Engine
    now_s: float = 100.0
    lamp: Lamp = Lamp.READY
    power: int = 0
    answers: bool = True
    accept: bool = True
    outcome: Outcome = Outcome.FIRED
    inbox: list[e.Message] = field(default_factory=list)
    orders: list[tuple[float, e.Order]] = field(default_factory=list)
    ready: bool = True
    outstanding: int = 0

    def tick(self, seconds: float = TICK_S) -> list[e.Order]:
        """One pass; returns the orders of it."""
        taken, self.inbox = self.inbox, []
        standing = e.Standing(
            lamp=self.lamp, power_pct_mso=self.power, outstanding=self.outstanding, ready=self.ready
        )
        new = self.engine.advance(self.now_s, taken, standing)
        for order in new:
            self.orders.append((self.now_s, order))
            self._obey(order)
        self.now_s += seconds
        return new

    def _obey(self, order: e.Order) -> None:
        match order:
            case e.Ask() if self.answers:
                word = {
                    "place": "placed", "place_control": "placed", "go": "go", "review": "accept", "paused": "resume"
                }.get(order.phase)  # fmt: skip
                if order.phase == "arm":
                    self.lamp = Lamp.ARMED
                elif word:
                    self.inbox.append(e.Said(word=word))
            case e.Power():
                self.power = order.power_pct_mso
            case e.Disarm() if self.lamp is not Lamp.TRIPPED:
                self.lamp = Lamp.READY
            case e.Give():
                assert self.lamp is Lamp.ARMED, "a pulse without ARMED"
                self.inbox.append(e.Closed(pulse=order.pulse, outcome=self.outcome))
                if self.outcome in (Outcome.FIRED, Outcome.UNCERTAIN):
                    judged = e.Judged(target=order.pulse.target, block=order.block, accepted=self.accept)
                    self.inbox.append(judged)

    def run(self, seconds: float = 60.0) -> None:
        """Until it finishes, at most so long."""
        end_s = self.now_s + seconds
        while not self.engine.finished and self.now_s < end_s:
            self.tick()

    def until(self, kind: type, seconds: float = 30.0) -> e.Order:
        """Tick until an order of a kind comes."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            for order in self.tick():
                if isinstance(order, kind):
                    return order
        raise AssertionError(f"no {kind.__name__}; last: {self.orders[-3:]}")

    def of(self, kind: type) -> list[e.Order]:
        return [o for _, o in self.orders if isinstance(o, kind)]

    def say(self, word: str, *args: str) -> list[e.Order]:
        self.inbox.append(e.Said(word=word, args=args))
        return self.tick()


def desk(steps: Sequence[Step] | None = None, *, seed: int = 1, **more: object) -> Desk:
    made = e.Engine(
        steps if steps is not None else visit("M1"), places={"M1": "C3", "ACC": "FCz"}, isi_s=ISI_S, seed=seed,
        enough=enough, **more,  # type: ignore[arg-type]
    )  # fmt: skip
    return Desk(engine=made)


def phases(d: Desk) -> list[str]:
    return [o.phase for o in d.of(e.Ask)]  # type: ignore[attr-defined]


def test_the_order_of_questions_over_two_targets_and_a_control_block() -> None:
    d = desk([*visit("M1", control=True), *visit("ACC")])
    d.run(120.0)
    one = ["place", "arm", "go", "arm"]
    assert phases(d) == [*one, "place_control", "arm", "review", *one, "review"]
    asked = d.of(e.Ask)
    assert "C3" in asked[0].words  # type: ignore[attr-defined]
    assert all("stop" in o.options for o in asked)  # type: ignore[attr-defined]
    (end,) = d.of(e.Finish)
    assert end == e.Finish(reason="the plan is complete", complete=True)
    assert [o.target for o in d.of(e.AcceptTarget)] == ["M1", "ACC"]  # type: ignore[attr-defined]
    assert isinstance(d.orders[-2][1], e.Disarm)  # always before the end


def test_every_block_is_armed_anew_and_questions_find_the_unit_disarmed() -> None:
    d = desk()
    d.run()
    lamp_armed = False
    for _, order in d.orders:
        if isinstance(order, e.Ask):
            lamp_armed = order.phase == "arm"
        elif isinstance(order, e.Disarm):
            lamp_armed = False
        elif isinstance(order, e.Give):
            assert lamp_armed
    assert len(d.of(e.Give)) == 4


def test_after_each_disarm_arming_is_asked_again() -> None:
    d = desk()
    d.until(e.Give)
    d.until(e.Give)
    n = phases(d).count("arm")
    d.answers = False
    d.lamp = Lamp.SAFE  # a fault disarmed
    d.tick()
    assert phases(d).count("arm") == n + 1
    for _ in range(400):
        assert not [o for o in d.tick() if isinstance(o, e.Give)]
    assert phases(d).count("arm") == n + 1  # asked once, not again and again


@pytest.mark.parametrize("lamp", [Lamp.SAFE, Lamp.READY, Lamp.HELD])
def test_no_pulse_unless_armed(lamp: Lamp) -> None:
    d = desk()
    d.until(e.Give)
    d.answers = False
    d.lamp = lamp
    before = len(d.of(e.Give))
    for _ in range(600):
        d.tick()
    assert len(d.of(e.Give)) == before


def test_intervals_lie_within_the_plan_and_vary() -> None:
    d = desk(visit("M1", wanted=12, most=20))
    d.run(80.0)
    times = [t for t, o in d.orders if isinstance(o, e.Give)][1:]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert len(gaps) == 11
    assert min(gaps) >= ISI_S[0]
    assert max(gaps) <= ISI_S[1] + 2 * TICK_S + 1e-6  # a pass to close, a pass to be due
    assert max(gaps) - min(gaps) > 0.02


def test_the_same_seed_gives_the_same_orders_and_another_one_does_not() -> None:
    runs = []
    for seed in (1, 1, 2):
        d = desk(seed=seed)
        d.run()
        runs.append(d.orders)
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_the_due_instant_is_announced_before_each_pulse() -> None:
    d = desk()
    d.run()
    announced = [o.due_s for o in d.of(e.Announce)]  # type: ignore[attr-defined]
    for t, o in d.orders:
        if isinstance(o, e.Give):
            assert o.pulse.due_s in announced
            assert o.pulse.due_s <= t <= o.pulse.deadline_s


def test_a_hold_past_the_due_instant_is_followed_by_a_new_instant() -> None:
    d = desk()
    d.until(e.Give)
    d.until(e.Give)
    d.answers = False
    d.lamp = Lamp.HELD
    for _ in range(500):
        d.tick()
    d.lamp = Lamp.ARMED
    given = d.until(e.Give)
    assert given.pulse.due_s >= d.now_s - 2 * TICK_S  # type: ignore[attr-defined]
    assert given.pulse.deadline_s > d.now_s - TICK_S  # type: ignore[attr-defined]


def test_a_recharging_unit_is_waited_for_but_not_past_the_deadline() -> None:
    d = desk()
    d.until(e.Give)
    d.ready = False
    given = d.until(e.Give)
    late_s = d.now_s - TICK_S - given.pulse.due_s  # type: ignore[attr-defined]
    assert 0.04 <= late_s <= 0.1


@pytest.mark.parametrize("outcome", [Outcome.MISSED, Outcome.REFUSED])
def test_three_pulses_in_vain_pause_the_plan(outcome: Outcome) -> None:
    d = desk()
    d.until(e.Give)
    d.until(e.Give)
    d.outcome, d.answers = outcome, False
    n = len(d.of(e.Give))
    for _ in range(1200):
        d.tick()
        d.lamp = Lamp.ARMED if d.lamp is Lamp.READY and phases(d)[-1] == "arm" else d.lamp
    assert len(d.of(e.Give)) == n + e.IN_VAIN
    assert phases(d)[-1] == "paused"
    assert outcome.value in d.of(e.Ask)[-1].words  # type: ignore[attr-defined]
    assert d.lamp is Lamp.READY
    d.outcome, d.answers = Outcome.FIRED, True
    d.say("resume")
    d.run()
    assert d.of(e.Finish)[0].complete  # type: ignore[attr-defined]


def test_a_resume_that_came_before_the_question_does_not_answer_it() -> None:
    d = desk()
    d.until(e.Give)
    d.until(e.Give)
    d.outcome, d.answers = Outcome.REFUSED, False
    n = len(d.of(e.Give))
    for _ in range(1200):
        d.inbox.append(e.Said(word="resume"))  # said without pause, at each pass
        d.tick()
        if phases(d)[-1] == "paused":
            break
    assert phases(d)[-1] == "paused"
    assert len(d.of(e.Give)) <= n + e.IN_VAIN


def test_pulses_in_vain_do_not_count_as_given() -> None:
    d = desk(visit("M1", wanted=2, most=2))
    d.until(e.Give)
    d.outcome = Outcome.MISSED
    d.until(e.Give)
    d.tick()
    d.outcome = Outcome.FIRED
    d.run()
    assert len(d.of(e.Give)) == 1 + 1 + 2


def test_rejected_trials_are_followed_by_more_pulses_up_to_the_most() -> None:
    d = desk(visit("M1", wanted=3, most=5))
    d.accept = False
    d.run()
    assert len(d.of(e.Give)) == 1 + 5


def test_a_run_waits_for_its_last_trials() -> None:
    d = desk()
    d.until(e.Give)
    for _ in range(3):
        d.until(e.Give)
    d.outstanding = 1
    for _ in range(100):
        d.tick()
    assert "review" not in phases(d)
    d.outstanding = 0
    d.tick()
    d.tick()
    assert "review" in phases(d)


def test_pause_and_resume() -> None:
    d = desk()
    d.until(e.Give)
    d.until(e.Give)
    d.answers = False
    orders = d.say("pause")
    assert any(isinstance(o, e.Disarm) for o in orders)
    assert phases(d)[-1] == "paused"
    assert {"resume", "skip", "stop"} <= set(d.of(e.Ask)[-1].options)  # type: ignore[attr-defined]
    n = len(d.of(e.Give))
    for _ in range(300):
        d.tick()
    assert len(d.of(e.Give)) == n
    d.say("resume")
    assert phases(d)[-1] == "arm"  # in two steps again, whatever was before
    d.answers, d.lamp = True, Lamp.ARMED
    d.run()
    assert len(d.of(e.Give)) == 4  # it went on where it stopped


def test_skip_goes_to_the_next_target() -> None:
    d = desk([*visit("M1"), *visit("ACC")])
    d.until(e.Give)
    orders = d.say("skip")
    assert isinstance(orders[0], e.Disarm)
    d.run()
    assert {o.pulse.target for o in d.of(e.Give)[1:]} == {"ACC"}  # type: ignore[attr-defined]
    assert [o.target for o in d.of(e.AcceptTarget)] == ["ACC"]  # type: ignore[attr-defined]


def test_skip_of_a_control_block_leaves_the_run_to_be_looked_at() -> None:
    d = desk([*visit("M1", control=True), *visit("ACC")])
    while phases(d)[-1:] != ["place_control"]:
        d.tick()
    d.inbox.clear()
    orders = d.say("skip")
    assert isinstance(orders[0], e.Disarm)
    assert phases(d)[-1] == "review"
    d.run()
    assert [o.target for o in d.of(e.AcceptTarget)] == ["M1", "ACC"]  # type: ignore[attr-defined]
    assert {o.block for o in d.of(e.Give)} == {"preview", "run"}  # type: ignore[attr-defined]


def test_stop_is_heard_right_after_the_last_answer() -> None:
    d = desk()
    while phases(d)[-1:] != ["review"]:
        d.tick()
    d.inbox[:] = [e.Said(word="accept"), e.Said(word="stop")]  # both typed while the loop was busy
    d.tick()
    assert d.engine.finished
    assert "ended the session" in d.of(e.Finish)[0].reason  # type: ignore[attr-defined]


def test_redo_forgets_the_blocks_and_begins_with_the_place() -> None:
    d = desk()
    while phases(d)[-1:] != ["review"]:
        d.tick()
    d.inbox.clear()
    orders = d.say("redo")
    restarted = {(o.target, o.block) for o in orders if isinstance(o, e.Restart)}
    assert restarted == {("M1", "preview"), ("M1", "run"), ("M1", "control")}
    assert phases(d)[-1] == "place"
    d.answers = True
    d.run()
    assert len(d.of(e.Give)) == 8
    ids = [o.pulse.pulse_id for o in d.of(e.Give)]  # type: ignore[attr-defined]
    assert ids == sorted(set(ids))  # numbers are never used twice


def test_go_only_at_a_previewed_intensity() -> None:
    power = {"power_pct_rmt": None, "target": "M1", "pulses": 1}
    steps = visit("M1")
    steps[1:2] = [Preview(index=1, power_pct_mso=40, **power), Preview(index=1, power_pct_mso=45, **power)]
    d = desk(steps)
    while phases(d)[-1:] != ["go"]:
        d.tick()
    d.inbox.clear()
    assert [type(o) for o in d.say("go", "60")] == [e.Note]
    assert e.Power(power_pct_mso=40) in d.say("go", "40")
    assert d.until(e.Give).pulse.power_pct_mso == 40  # type: ignore[attr-defined]


@pytest.mark.parametrize("when", ["place", "arm", "pulses", "paused"])
def test_stop_at_any_time_disarms_and_ends(when: str) -> None:
    d = desk()
    if when == "pulses":
        d.until(e.Give)
    else:
        d.answers = when != "place"
        d.tick()
        d.answers = False
        d.tick()
        if when == "paused":
            d.say("pause")
    orders = d.say("stop")
    assert [type(o) for o in orders] == [e.Disarm, e.Finish]
    assert not orders[1].complete  # type: ignore[attr-defined]
    assert d.tick() == []
    assert d.say("resume") == []


def test_a_trip_ends_the_plan() -> None:
    d = desk()
    d.until(e.Give)
    d.lamp = Lamp.TRIPPED
    orders = d.tick()
    assert [type(o) for o in orders] == [e.Disarm, e.Finish]


def test_what_could_not_be_done_is_asked_about() -> None:
    d = desk()
    d.until(e.Power)
    d.answers = False
    d.inbox.append(e.Failed(words="the unit did not take the power"))
    d.tick()
    assert phases(d)[-1] == "paused"
    assert "did not take the power" in d.of(e.Ask)[-1].words  # type: ignore[attr-defined]


def test_words_that_do_not_belong_change_nothing() -> None:
    d = desk()
    d.answers = False
    d.tick()
    for word in ("go", "accept", "redo", "next", "nonsense"):
        assert d.say(word) == []
    assert phases(d) == ["place"]


def test_listening_never_gives_and_goes_on_by_itself() -> None:
    steps: list[Step] = []
    for target in ("M1", "ACC"):
        steps += [Place(index=0, target=target), Listen(index=1, target=target, pulses_wanted=2)]
    d = desk(steps, listening=True)
    d.lamp = Lamp.SAFE
    d.tick()
    d.tick()
    assert phases(d) == ["listen"]  # the first target is where somebody already fires
    for accepted in (True, False, True):
        d.inbox.append(e.Judged(target="M1", block="run", accepted=accepted))
        d.tick()
    d.tick()
    assert phases(d)[1:2] == ["place"]
    assert [o.target for o in d.of(e.AcceptTarget)] == ["M1"]  # type: ignore[attr-defined]
    d.tick()
    d.say("next")
    d.run(1.0)
    assert d.of(e.Finish)[0].complete  # type: ignore[attr-defined]
    assert not d.of(e.Give)
    assert not d.of(e.Power)


def test_trials_of_another_block_do_not_count() -> None:
    d = desk(visit("M1", wanted=1, most=5))
    d.until(e.Give)
    while not (isinstance(d.engine.step, Run) and d.lamp is Lamp.ARMED):
        d.tick()
    d.inbox.append(e.Judged(target="M1", block="preview", accepted=True))
    d.inbox.append(e.Judged(target="ACC", block="run", accepted=True))
    d.tick()
    assert isinstance(d.engine.step, Run)
    assert d.until(e.Give)


# -- preview at another intensity ---------------------------------------------------------------------------------


def steps_of(*powers: int) -> list[Step]:
    """One target with a preview of two pulses at each power, then a run at 45."""
    steps: list[Step] = [Place(index=0, target="M1")]
    steps += [
        Preview(index=1 + i, target="M1", pulses=2, power_pct_mso=p, power_pct_rmt=None)
        for i, p in enumerate(powers)
    ]
    return [*steps, *visit("M1")[2:]]


def powers_given(d: Desk) -> list[int]:
    return [o.pulse.power_pct_mso for o in d.of(e.Give)]  # type: ignore[attr-defined]


def asked_go(d: Desk) -> Desk:
    """Until go / no-go stands, with nobody who answers it."""
    d.answers = True
    end_s = d.now_s + 60.0
    while d.now_s < end_s:
        for order in d.tick():
            if isinstance(order, e.Ask) and order.phase == "go":
                d.inbox.clear()
                d.answers = False
                return d
    raise AssertionError("no go / no-go")


def test_from_go_no_go_a_step_is_looked_at_again_and_go_no_go_comes_back() -> None:
    d = asked_go(desk(steps_of(35, 40, 45)))
    assert powers_given(d) == [35, 35, 40, 40, 45, 45]
    assert [o.step.power_pct_mso for o in d.of(e.Looked)] == [35, 40, 45]  # type: ignore[attr-defined]
    n = len(d.orders)
    d.answers = True
    assert d.say("preview", "35") == []
    asked_go(d)
    new = [o for _, o in d.orders[n:]]
    assert powers_given(d)[6:] == [35, 35]  # and not 40 and 45 again
    assert [o.block for o in new if isinstance(o, e.Restart)] == ["preview"]
    assert [o.phase for o in new if isinstance(o, e.Ask)] == ["arm", "go"]  # armed anew, in two steps
    kinds = [type(o) for o in new]
    assert kinds.index(e.Restart) < kinds.index(e.Power) < kinds.index(e.Give) < kinds.index(e.Looked)


def test_during_the_preview_another_step_waits_for_the_trials_on_their_way() -> None:
    d = desk(steps_of(35, 40, 45))
    d.until(e.Give)
    d.outstanding = 1
    d.say("preview", "45")
    for _ in range(1000):
        assert not [o for o in d.tick() if isinstance(o, e.Restart | e.Power | e.Give)]
    d.outstanding = 0
    asked_go(d)
    assert powers_given(d) == [35, 45, 45]  # 40 was never given: the steps between are left out
    d.inbox.clear()
    (note,) = d.say("go", "40")
    assert "expected one of the previewed % MSO: 45" in note.words  # type: ignore[attr-defined]
    d.answers = True
    d.say("go", "45")
    d.run(60.0)
    assert d.of(e.Finish)[0].complete  # type: ignore[attr-defined]


def test_a_go_without_a_power_is_the_plans_whatever_was_chosen_before_a_redo() -> None:
    d = asked_go(desk(steps_of(35, 40, 45)))
    d.say("go", "35")
    while phases(d)[-1:] != ["review"]:
        d.answers = True
        d.tick()
    d.inbox.clear()
    n = len(powers_given(d))
    assert powers_given(d)[-1] == 35
    d.say("redo")
    d.run(120.0)  # this operator says go without a power
    assert set(powers_given(d)[n + 6 :]) == {45}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "preview: expected"),
        (("50",), "preview 50: expected"),
        (("45", "now"), "35, 40, 45"),
        (("x",), "x"),
    ],
)
def test_a_preview_at_a_power_that_is_not_planned_is_refused_in_words(
    args: tuple[str, ...], words: str
) -> None:
    d = asked_go(desk(steps_of(35, 40, 45)))
    assert words in d.engine.why_not(e.Said(word="preview", args=args))
    (note,) = d.say("preview", *args)
    assert words in note.words  # type: ignore[attr-defined]
    for _ in range(100):
        d.tick()
    assert len(powers_given(d)) == 6


def test_a_preview_is_refused_where_nothing_is_looked_at() -> None:
    d = desk(steps_of(35, 45))
    d.answers = False
    d.until(e.Ask)
    assert "during the preview or at go" in d.engine.why_not(e.Said(word="preview", args=("35",)))
    assert isinstance(d.say("preview", "35")[0], e.Note)
    d.say("placed")
    asked_go(d)
    d.answers = True
    d.say("go")
    d.until(e.Give)
    assert d.engine.why_not(e.Said(word="preview", args=("35",)))
    assert isinstance(d.say("preview", "35")[0], e.Note)


def test_after_redo_only_what_is_seen_again_may_be_gone_at() -> None:
    d = asked_go(desk(steps_of(35, 45)))
    assert d.engine.why_not(e.Said(word="go", args=("35",))) == ""
    d.answers = True
    d.say("redo")
    d.until(e.Give)
    d.say("preview", "45")
    asked_go(d)
    assert "45" in d.engine.why_not(e.Said(word="go", args=("35",)))


def test_words_that_change_nothing_now_are_told_so() -> None:
    d = desk()
    d.answers = False
    d.until(e.Ask)
    why = {
        w: d.engine.why_not(e.Said(word=w))
        for w in ("placed", "go", "redo", "accept", "next", "pause", "stop", "skip")
    }
    assert {w for w, words in why.items() if not words} == {"placed", "pause", "stop", "skip"}
    d.say("placed")
    assert d.engine.why_not(e.Said(word="placed"))
    d.say("stop")
    assert "over" in d.engine.why_not(e.Said(word="pause"))
