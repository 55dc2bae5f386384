"""What mutation testing found unproved of a train under way and of the driver's own pacing: each limit from both sides."""

from __future__ import annotations

import math
import random

import pytest

from drivers.magstim.magpy_port import Held, Reply
from drivers.magstim.units import MOST_PULSES, facts_of
from drivers.pacing import Pace
from drivers.train_run import NEAR_END_S, TrainRun, hear
from rtloop.model.pulse import Delivery, FireReceipt, Train

#: the last of 17 pulses after 2 s, a length of 2.125 s: both without a rounding error
TRAIN = Train(frequency_hz=8, n_pulses=17)
ENDS_S, NATURAL_END_S = 2.175, 2.0
LAST_S = NATURAL_END_S + 0.05  # surely given by then
JUST_S = 1e-9
RUNS = 0x02


def run_of(
    train: Train = TRAIN, *, t_sent_s: float = 0.0, t_reply_s: float | None = 0.01, stops: bool = False
) -> TrainRun:
    """Of which the unit has told its numbers, as permitted."""
    run = TrainRun(train, t_sent_s=t_sent_s, t_reply_s=t_reply_s, stops=stops)
    run.told(train.n_pulses, "")
    return run


def on(run: TrainRun, asked_s: float) -> None:
    run.seen(running=True, t_asked_s=asked_s, t_reply_s=asked_s + 0.005)


def off(run: TrainRun, reply_s: float) -> FireReceipt:
    run.seen(running=False, t_asked_s=reply_s - 0.005, t_reply_s=reply_s)
    assert run.over(reply_s)
    assert run.ended_s == reply_s
    return run.receipt(None)


def whole(receipt: FireReceipt, n: int = 17) -> bool:
    """All of it, and nothing to say of it."""
    if receipt.delivery is Delivery.DELIVERED:
        assert (receipt.pulses_min, receipt.pulses_max, receipt.reason) == (n, n, "")
        return True
    assert receipt.delivery is Delivery.UNCERTAIN
    assert receipt.reason
    return False


# ---- when it ran out


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("on_s", "off_s", "all_given"),
    [
        (1.9, NATURAL_END_S, True), (1.9, NATURAL_END_S - JUST_S, False), (1.9, 2.3, True),
        (1.755 + JUST_S, 2.0, True), (1.755 - JUST_S, 2.0, False),  # 0.24 s before its last pulse, and 5 ms that the unit takes
    ],
)  # fmt: skip
def test_off_when_it_should_be_and_seen_on_shortly_before(on_s: float, off_s: float, all_given: bool) -> None:
    for t_reply_s in (0.01, None):
        run = run_of(t_reply_s=t_reply_s)
        on(run, on_s)
        assert whole(off(run, off_s)) == all_given


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("frequency_hz", "acknowledged", "all_given"),
    [(7.42, True, True), (7.42, False, False), (7.39, True, False)],
)
def test_two_pulses_closer_than_a_look_need_not_be_seen(
    frequency_hz: float, acknowledged: bool, all_given: bool
) -> None:
    """0.12 s after the command was acknowledged, and 5 ms that the unit takes: what is shorter may never be seen."""
    short = Train(frequency_hz=8.4, n_pulses=2)
    object.__setattr__(short, "frequency_hz", frequency_hz)  # 0.135 s cannot be had in tenths of Hz
    assert (short.last_pulse_after_s < 0.135) == (frequency_hz == 7.42)
    run = run_of(short, t_reply_s=0.01 if acknowledged else None)
    assert whole(off(run, 0.2), 2) == all_given


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("cut_s", "on_s", "all_given"),
    [
        (1.8, LAST_S, True), (1.8, LAST_S - JUST_S, False), (1.8, 1.79, False),
        (0.5, 1.9, False),  # it ran on after EA, until another EA may have cut its last pulse
        (0.5, LAST_S, True), (ENDS_S, 1.9, True), (ENDS_S - JUST_S, 1.9, False),
    ],
)  # fmt: skip
def test_after_ea_it_must_be_seen_to_run_past_its_last_pulse(
    cut_s: float, on_s: float, all_given: bool
) -> None:
    run = run_of()
    run.cut(cut_s)
    run.cut(cut_s + 0.2)  # EA was written again: what counts is the first
    on(run, on_s)
    assert run.was_cut
    receipt = off(run, 2.3)
    assert whole(receipt) == all_given
    assert ("EA was sent and the unit says" in receipt.reason) != all_given


def test_after_ea_it_must_be_seen_to_end() -> None:
    run = run_of()
    run.cut(1.8)
    on(run, LAST_S)
    assert run.over(20.0)
    assert not whole(run.receipt(None))


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(("on_s", "all_given"), [(1.9, False), (LAST_S - JUST_S, False), (LAST_S, True)])
def test_a_unit_that_fell_to_standby_must_have_been_seen_to_run_past_the_last_pulse(
    on_s: float, all_given: bool
) -> None:
    """Its own protection may have cut the last pulse: no EA of ours, and off when it should be."""
    run = run_of()
    on(run, on_s)
    run.seen(running=False, standby=True, t_asked_s=2.13, t_reply_s=2.14)
    assert run.over(2.14)
    receipt = run.receipt(None)
    assert whole(receipt) == all_given
    assert ("it fell to standby and the unit says" in receipt.reason) != all_given


def test_ea_after_the_end_cuts_nothing() -> None:
    run = run_of()
    assert run.was_cut is False
    on(run, 1.9)
    off(run, 2.01)
    run.cut(2.02)
    assert run.was_cut is False
    assert whole(run.receipt(None))


def test_what_the_unit_says_after_the_end_changes_nothing() -> None:
    run = run_of()
    on(run, 1.0)
    first = off(run, 1.5)
    on(run, 1.9)
    run.seen(running=False, t_asked_s=2.0, t_reply_s=2.1)
    assert (run.ended_s, run.receipt(None)) == (1.5, first)
    assert run.over(9.9)
    assert run.ended_s == 1.5


def test_a_train_that_is_never_seen_to_end_is_uncertain_though_all_was_given() -> None:
    """It may go on for ever: the driver trips on it."""
    run = run_of()
    for k in range(115):
        on(run, 0.02 * k)
    assert not run.over(ENDS_S + 0.2 - JUST_S)
    assert run.over(ENDS_S + 0.2)
    receipt = run.receipt(None)
    assert (receipt.delivery, receipt.pulses_min, receipt.pulses_max) == (Delivery.UNCERTAIN, 17, 28)
    assert receipt.reason == "the unit still says that the train runs, 2.38 s after it began"
    late = run_of()
    on(late, 2.1)
    assert late.over(ENDS_S + 1.0)
    assert not whole(late.receipt(None))


# ---- how much was given


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("on_s", "least"),
    [(0.0, 0), (0.05, 1), (0.05 - JUST_S, 0), (0.174, 1), (0.176, 2), (0.2999, 2), (0.3001, 3), (1.75, 14)],
)
@pytest.mark.parametrize("t_sent_s", [0.0, 64.0])
def test_pulses_surely_given_by_a_running_train(on_s: float, least: int, t_sent_s: float) -> None:
    if (t_sent_s, on_s) == (64.0, 0.05):
        on_s += JUST_S
    run = run_of(t_sent_s=t_sent_s)
    on(run, t_sent_s + on_s)
    receipt = off(run, t_sent_s + 1.8)
    assert (receipt.pulses_min, receipt.pulses_max) == (least, 17)
    assert receipt.t_sent_s == t_sent_s
    assert receipt.t_reply_s == 0.01
    assert receipt.reason == "the unit says that no train runs, 1.80 s after its start of 2.125 s"


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("off_s", "most"),
    [(0.125, 2), (0.126, 3), (0.5, 5), (0.51, 6), (1.75, 15), (1.875, 16), (1.9, 17), (1.99, 17)],
)
@pytest.mark.parametrize("t_sent_s", [0.0, 64.0])
def test_pulses_given_at_most_where_ea_stops_a_train(off_s: float, most: int, t_sent_s: float) -> None:
    for stops, cut, seen in (
        (True, True, True),
        (False, True, True),
        (True, False, True),
        (True, True, False),
    ):
        run = run_of(t_sent_s=t_sent_s, stops=stops)
        if cut:
            run.cut(t_sent_s + off_s - 0.1)
        if seen:
            receipt = off(run, t_sent_s + off_s)
        else:
            assert run.over(t_sent_s + 5)
            receipt = run.receipt(None)
        assert (receipt.pulses_min, receipt.pulses_max) == (0, most if stops and cut and seen else 17)


def test_no_more_is_sure_than_can_have_been_given() -> None:
    """Were the unit's own words to contradict each other."""
    run = run_of(stops=True)
    on(run, 1.0)
    run.cut(0.3)
    receipt = off(run, 0.5)
    assert (receipt.pulses_min, receipt.pulses_max) == (5, 5)
    assert receipt.delivery is Delivery.UNCERTAIN


# ---- when it is over, and how often it is asked


def test_a_unit_that_cannot_be_asked_is_waited_for_until_the_end_and_no_longer() -> None:
    run = run_of(t_sent_s=64.0)
    assert run.ends_s == pytest.approx(64 + ENDS_S)
    assert not run.over(run.ends_s)
    run.fail("unplugged")
    run.fail("the line was closed")
    assert not run.over(run.ends_s - JUST_S)
    assert run.ended_s == math.inf
    assert run.over(run.ends_s)
    assert run.ended_s == run.ends_s
    receipt = run.receipt(None)
    assert receipt.reason == "the train cannot be followed: unplugged"
    assert run.over(run.ends_s + 1)
    assert run.ended_s == run.ends_s
    assert not whole(receipt)


@pytest.mark.parametrize(
    ("now_s", "keep_s", "every_s"),
    [
        (0.5, 0.4, 0.4), (1.6, 0.4, 0.28), (1.6, 0.1, 0.1), (1.85, 0.4, 0.03), (1.87, 0.4, 0.02), (1.9, 0.4, 0.02),
        (2.5, 0.4, 0.02), (0.5, 0.001, 0.02),
    ],
)  # fmt: skip
def test_how_soon_the_unit_is_asked_again(now_s: float, keep_s: float, every_s: float) -> None:
    for t_sent_s in (0.0, 64.0):
        assert run_of(t_sent_s=t_sent_s).look_every_s(t_sent_s + now_s, keep_s) == pytest.approx(every_s)


# ---- pacing

SUPER, SIMPLE = facts_of("super-rapid"), facts_of("200")
SECOND = Train(frequency_hz=10, n_pulses=10)


@pytest.mark.req("R-RATE")
def test_the_interval_is_that_of_the_stronger_of_two_pulses() -> None:
    for first, second, gap_s in ((40, 90, 4.0), (90, 40, 4.0), (40, 60, 3.0), (40, 49, 2.0)):
        pace = Pace()
        assert pace.refusal(SIMPLE, 0.0, second, None) == ""
        pace.given(0.0, first, None)
        why = pace.refusal(SIMPLE, gap_s - 0.01, second, None)
        assert why == f"{gap_s - 0.01:.3f} s since a pulse at {first} %, {gap_s:g} s needed at {second} %"
        assert pace.refusal(SIMPLE, gap_s, second, None) == ""


def test_a_clock_that_is_no_number_lets_no_first_pulse_out() -> None:
    assert Pace().refusal(SIMPLE, math.nan, 40, None)


@pytest.mark.req("R-RATE")
def test_after_a_train_its_own_wait_counts_whatever_comes_next() -> None:
    for power_next in (1, 100):
        pace = Pace()
        pace.given(0.0, 40, SECOND)
        assert "the end of a train at 40 %, 0.5 s needed" in pace.refusal(SUPER, 1.49, power_next, None)
        assert pace.refusal(SUPER, 1.5, power_next, None) == ""


def test_an_end_that_is_told_moves_nothing_but_a_train() -> None:
    pace = Pace()
    pace.ended(50.0)
    assert (pace.refusal(SUPER, 0.0, 40, None), pace.rests_until_s) == ("", -math.inf)
    pace.given(0.0, 40, None)
    pace.ended(50.0)
    assert (pace.refusal(SUPER, 1.0, 40, None), pace.rests_until_s) == ("", -math.inf)


def test_the_rest_before_a_setting_counts_from_the_end_as_the_unit_told_it() -> None:
    pace, long = Pace(), Train(frequency_hz=1, n_pulses=60)
    assert pace.rests_until_s == -math.inf
    pace.given(10.0, 40, long)
    assert pace.rests_until_s == pytest.approx(70.6)
    pace.ended(12.0)  # cut short: the unit takes settings again, though its wait for energy stays
    assert pace.rests_until_s == pytest.approx(12.6)
    assert "the end of a train" in pace.refusal(SUPER, 70.49, 40, None)
    assert pace.refusal(SUPER, 70.5, 40, None) == ""
    pace.ended(75.0)  # it went on for longer
    assert pace.rests_until_s == pytest.approx(75.6)
    assert "the end of a train" in pace.refusal(SUPER, 75.49, 40, None)
    pace.given(80.0, 40, None)
    assert pace.rests_until_s == -math.inf


def test_what_was_taken_back_leaves_all_that_was_before_it() -> None:
    pace = Pace()
    pace.given(0.0, 40, None)
    pace.taken_back()
    assert pace.refusal(SUPER, 0.0, 40, None) == ""
    pace.given(0.0, 100, SECOND)
    pace.given(2.0, 40, None)
    pace.taken_back()  # the pulse, not the train before it
    assert pace.joules_a_minute(2.0, 100, SECOND) == pytest.approx(2 * 2520)
    assert pace.rests_until_s == pytest.approx(1.6)
    pace.given(3.0, 100, SECOND)
    pace.taken_back()
    assert pace.joules_a_minute(3.0, 100, SECOND) == pytest.approx(2 * 2520)
    assert pace.rests_until_s == pytest.approx(1.6)


@pytest.mark.req("R-RATE")
def test_a_minute_may_hold_63_kj_and_not_one_pulse_more() -> None:
    """125 pulses of 252 J, twice."""
    half = Train(frequency_hz=5, n_pulses=125)
    for n, refused in ((125, False), (126, True)):
        pace = Pace()
        pace.given(0.0, 100, half)
        last = Train(frequency_hz=5, n_pulses=n)
        why = pace.refusal(SUPER, 30.0, 100, last)
        joules = 252 * (125 + n)
        words = f"{joules} J in a minute with the trains before it, at most 63000"
        assert why == (words if refused else "")
    assert Pace().refusal(SUPER, 0.0, 100, half) == ""


def _held(given: list[tuple[float, float, float]], end_s: float) -> float:
    """J in the minute that ends then; naive."""
    return sum(w * max(0.0, min(to, end_s) - max(since, end_s - 60)) for since, to, w in given)


@pytest.mark.req("R-RATE")
def test_no_minute_holds_more_than_is_told() -> None:
    """Against a slow twin that slides a minute in steps of a tenth of a second; all trains begin and end on such steps."""
    rng = random.Random(11)
    most = 0
    for _ in range(60):
        pace, given, now_s = Pace(), [], 0.0
        for _ in range(rng.randrange(6)):
            power, hz, tenths = (
                rng.choice((20, 60, 100)),
                rng.choice((5, 10, 20)),
                rng.choice((6, 40, 150, 400)),
            )
            train = Train(frequency_hz=hz, n_pulses=hz * tenths // 10)
            pace.given(now_s, power, train)
            given.append((now_s, now_s + tenths / 10, 252 * (power / 100) ** 2 * hz))
            now_s = round(now_s + tenths / 10 + rng.choice((0.5, 3.0, 9.3, 19.4, 20.1)), 1)
        power, seconds = rng.choice((20, 100)), rng.choice((1, 10, 45, 80))
        last, watts = Train(frequency_hz=10, n_pulses=10 * seconds), 2520 * (power / 100) ** 2
        all_of_it = [*given, (now_s, now_s + seconds, watts)]
        twin = max(_held(all_of_it, now_s + k / 10) for k in range(10 * min(seconds, 60) + 1))
        assert pace.joules_a_minute(now_s, power, last) == pytest.approx(twin, abs=1e-3)
        most = max(most, len(given))
    assert most == 5


def test_a_long_session_keeps_no_more_than_its_last_minute() -> None:
    pace = Pace()
    for k in range(300):
        assert pace.joules_a_minute(10.0 * k, 40, SECOND) <= 7 * 403.2 + 1e-6
        pace.given(10.0 * k, 40, SECOND)
        assert len(pace._trains) <= 7


# ---- by answers that may be late, or take long


@pytest.mark.req("R-UNCERTAIN")
def test_what_a_late_answer_says_is_as_old_as_its_question() -> None:
    run = run_of()
    run.seen(running=True, t_asked_s=1.0, t_reply_s=1.01, late_s=0.5)
    run.seen(running=False, t_asked_s=1.2, t_reply_s=1.21)
    assert run.receipt(None).pulses_min == 4  # by 0.5 s, at 8 Hz, the first by 0.05 s
    for late_s, all_given in ((0.0, True), (0.2, False)):
        run = run_of()
        on(run, 1.9)
        run.seen(running=False, t_asked_s=2.0, t_reply_s=2.1, late_s=late_s)
        assert run.ended_s == 2.1
        assert whole(run.receipt(None)) == all_given


@pytest.mark.req("R-UNCERTAIN")
def test_a_train_that_still_runs_may_go_on_for_a_second_from_when_it_was_seen() -> None:
    run = TrainRun(TRAIN, t_sent_s=100.0, t_reply_s=100.01, stops=False)
    run.told(17, "")
    run.seen(running=True, t_asked_s=100.0 + ENDS_S, t_reply_s=100.0 + ENDS_S)
    assert run.over(102.5)
    assert run.receipt(None).pulses_max == 29  # 3.5 s at 8 Hz, and the first


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(("more_s", "all_given"), [(0.0, True), (-JUST_S, False)])
def test_the_longest_that_the_unit_took_to_answer_is_allowed_for(more_s: float, all_given: bool) -> None:
    run = run_of()
    run.seen(running=True, t_asked_s=0.0, t_reply_s=0.25)
    on_s = run.natural_end_s - 2 * NEAR_END_S - 0.25 + more_s
    run.seen(running=True, t_asked_s=on_s, t_reply_s=on_s)
    assert whole(off(run, 2.0)) == all_given


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(("t_reply_s", "all_given"), [(0.13, False), (0.13 + JUST_S, True)])
def test_a_train_that_is_over_before_a_look_can_see_it(t_reply_s: float, all_given: bool) -> None:
    run = run_of(Train(frequency_hz=4, n_pulses=2), t_reply_s=t_reply_s)
    run.seen(running=False, t_asked_s=0.3, t_reply_s=0.3)
    assert whole(run.receipt(None), 2) == all_given


def said(t_sent_s: float, *, late_s: float = 0.0, rapid: int | None = None, n: int | None = None) -> Reply:
    held = None if n is None else Held(frequency_hz=8.0, n_pulses=n, duration_s=0.0)
    return Reply(instr=0x8C, t_sent_s=t_sent_s, t_s=t_sent_s + 0.01, late_s=late_s, rapid=rapid, held=held)


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(("late_s", "believed"), [(0.0, True), (0.25, True), (0.25 + JUST_S, False)])
def test_numbers_of_before_the_command_say_nothing_of_the_train(late_s: float, believed: bool) -> None:
    run = TrainRun(TRAIN, t_sent_s=1.0, t_reply_s=1.01, stops=False)
    hear(run, said(1.25), wrong="", standby=False, t_asked_s=1.25)  # neither numbers nor mode
    assert run.untold
    hear(run, said(1.25, late_s=late_s, n=40), wrong="40 pulses", standby=False, t_asked_s=1.25)
    assert run.untold is not believed
    if believed:
        run.seen(running=False, t_asked_s=3.1, t_reply_s=3.11)
        assert (run.receipt(None).pulses_max, run.receipt(None).reason) == (
            40,
            "the unit gives another train: 40 pulses",
        )


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("standby", "late_s", "all_given"), [(False, 0.0, True), (True, 0.0, False), (False, 0.2, False)]
)
def test_what_is_heard_of_a_train_is_seen(standby: bool, late_s: float, all_given: bool) -> None:
    run = run_of()
    hear(run, said(1.9, rapid=RUNS), wrong="", standby=False, t_asked_s=1.9)
    assert not run.over(1.95)
    hear(run, said(2.05, rapid=0, late_s=late_s), wrong="", standby=standby, t_asked_s=2.05)
    assert run.over(2.06)
    assert run.ended_s == pytest.approx(2.06)
    assert whole(run.receipt(None)) == all_given


# ---- the time to recharge


@pytest.mark.parametrize("train", [None, Train(frequency_hz=10, n_pulses=5)])
def test_until_when_a_unit_may_recharge(train: Train | None) -> None:
    facts = facts_of("rapid")
    pace = Pace()
    assert pace.recharged_s(facts, 5.0) == 5.0
    pace.given(10.0, 40, train)
    end_s = 10.0 if train is None else 10.0 + train.duration_s
    gap_s = facts.min_interval_s(40)
    assert gap_s > 0.0
    assert pace.recharged_s(facts, 10.1) == end_s + gap_s
    assert pace.recharged_s(facts, 20.0) == 20.0


# ---- by the unit's own numbers


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("told", "seen_s", "off_s", "bounds"),
    [
        ([(17, "")], 1.9, 2.01, (17, 17)),
        ([(40, "40 pulses")], 1.9, 2.01, (0, 40)),  # off when it should be, and another train all the same
        ([(40, "40 pulses"), (17, "")], 1.9, 2.01, (0, 40)),
        ([(5, "5 pulses")], 1.9, 2.01, (0, 17)),  # never fewer than were permitted
        ([], 1.9, 2.01, (15, 17)),
        ([], 1.9, None, (15, MOST_PULSES)),
        ([(17, "")], 1.9, None, (15, 17)),
        ([], None, None, (0, 17)),
        ([], None, 2.01, (0, 17)),
        ([], ENDS_S, 2.3, (17, MOST_PULSES)),  # it ran on past its end
        ([], ENDS_S - JUST_S, 2.3, (17, 17)),
        ([(17, "")], ENDS_S, None, (17, 169)),  # until 20 s, and a second more
        ([(40, "40 pulses")], ENDS_S, None, (0, 169)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stops", [False, True])
def test_a_train_is_what_the_units_own_numbers_say(
    told: list[tuple[int, str]],
    seen_s: float | None,
    off_s: float | None,
    bounds: tuple[int, int],
    stops: bool,
) -> None:
    run = TrainRun(TRAIN, t_sent_s=0.0, t_reply_s=0.01, stops=stops)
    assert run.untold is True
    for most, wrong in told:
        run.told(most, wrong)
    assert run.untold is not bool(told)
    if seen_s is not None:
        on(run, seen_s)
    if off_s is not None:
        off(run, off_s)
    assert run.over(20.0)
    receipt = run.receipt(None)
    assert (receipt.pulses_min, receipt.pulses_max) == bounds
    assert whole(receipt) == (told == [(17, "")] and off_s is not None)
    wrong = next((words for _, words in told if words), "")
    if wrong:
        assert receipt.reason == f"the unit gives another train: {wrong}"
    elif not told and off_s is not None:
        assert receipt.reason == "the unit did not tell which train it gave"


def test_a_cut_train_that_told_nothing_is_told_as_cut() -> None:
    run = TrainRun(TRAIN, t_sent_s=0.0, t_reply_s=0.01, stops=False)
    run.cut(1.0)
    assert off(run, 1.2).reason.startswith("EA was sent and the unit says that no train runs")
