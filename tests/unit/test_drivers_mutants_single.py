"""The look right after a single pulse, on a watch that keeps what it is told: what was found, what follows, how many at most."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.magstim.magpy_port import Held, Reply
from drivers.magstim.units import MOST_PULSES, facts_of
from drivers.single import UNREAD, found_in_trains, most_after_trouble, most_given
from drivers.trouble import Cut, Garbled, LineTrouble, Lost, Silent
from rtloop.model.pulse import Pair, Train
from rtloop.ports import Permit


class Watch:
    """A unit that answers with this (an error is raised), and everything that follows in order."""

    def __init__(
        self, answer: Reply | LineTrouble, swallows: LineTrouble | bool = True, *, model: str = "rapid"
    ) -> None:
        self.answer, self.swallows, self.story = answer, swallows, []  # type: Any, LineTrouble | bool, list[Any]
        self.unit = self.exchange = self.clock = self
        self.time_s, self.takes_s = 0.0, 0.0
        self.facts, self.lost = facts_of(model), False

    def _say(self) -> Reply:
        if isinstance(self.answer, LineTrouble):
            raise self.answer
        reply: Reply = self.answer
        return reply

    def look(self, *, mode: bool, numbers: bool) -> Reply:
        assert mode
        self.story.append(("look", "numbers" if numbers else "mode"))
        return self._say()

    def now_s(self) -> float:
        self.time_s += self.takes_s
        return self.time_s

    def swallow(self, *, answer_s: float) -> bool:
        self.story.append(("swallow", answer_s))
        if isinstance(self.swallows, LineTrouble):
            raise self.swallows
        return self.swallows

    def parameters(self) -> Reply:
        self.story.append("parameters")
        return self._say()

    def differs(self, reply: Reply, setting: None) -> str:
        assert setting is None
        return "" if reply.single_pulses else "train mode"

    def after_ea(self) -> None:
        self.story.append("EA was sent")

    def line_lost(self, err: LineTrouble) -> None:
        self.lost = True
        self.story.append(("lost", str(err)))

    def trip_with(self, fault: object, words: str) -> None:
        self.story.append(("trip", fault, words))


def reply(rapid: int | None = None, **held: Any) -> Reply:
    return Reply(instr=0x8C, t_sent_s=0.0, t_s=0.0, rapid=rapid, held=Held(**held) if held else None)


SWALLOW = ("swallow", 0.23)
FAILURES = [
    (Cut("cut", written=True), "EA was sent"),
    (Lost("gone", written=True), ("lost", "gone")),
    (Silent("silent", written=True), ("trip", Silent.fault, "silent")),
    (Garbled("garbled", written=True), ("trip", Garbled.fault, "garbled")),
]


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("rapid", "found"), [(0x08, ""), (0x00, "train mode"), (0x02, "a train runs"), (0x0A, "a train runs")]
)
def test_what_a_unit_gives_is_read_with_its_mode(rapid: int, found: str) -> None:
    watch = Watch(reply(rapid))
    assert found_in_trains(watch) == found  # type: ignore[arg-type]
    assert watch.story == [("look", "mode")]


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(("failure", "follows"), FAILURES)
def test_a_look_that_fails_is_taken_again_and_is_never_passed_over(
    failure: LineTrouble, follows: object
) -> None:
    watch = Watch(failure)
    assert found_in_trains(watch) == UNREAD  # type: ignore[arg-type]
    tries = 1 if isinstance(failure, Lost) else 3
    one = [("look", "mode"), follows, SWALLOW]
    assert watch.story == ([("look", "mode"), follows] if tries == 1 else one * 3)


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("n", [1, 2])
def test_one_damaged_answer_hides_nothing(n: int) -> None:
    watch = Asked(*[Garbled("garbled", written=True)] * n, reply(RUNS))
    assert found_in_trains(watch) == "a train runs"  # type: ignore[arg-type]
    assert watch.story.count(("look", "mode")) == n + 1


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize(("swallows", "takes_s", "tries"), [(False, 0.0, 1), (True, 0.5, 1), (True, 0.25, 2)])
def test_a_silent_unit_and_a_slow_one_are_not_asked_for_ever(
    swallows: bool, takes_s: float, tries: int
) -> None:
    watch = Watch(Silent("silent", written=True), swallows)
    watch.takes_s = takes_s
    assert found_in_trains(watch) == UNREAD  # type: ignore[arg-type]
    assert watch.story.count(("look", "mode")) == tries


@pytest.mark.req("R-UNCERTAIN")
def test_a_late_answer_is_asked_for_again() -> None:
    late = Reply(instr=0x8C, t_sent_s=1.0, t_s=1.0, rapid=SINGLE_MODE, late_s=0.3)
    watch = Asked(late, reply(RUNS))
    assert found_in_trains(watch) == "a train runs"  # type: ignore[arg-type]
    assert watch.story == [("look", "mode")] * 2


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("held", "most"),
    [
        ({"n_pulses": 20}, 20),
        ({"n_pulses": 20, "frequency_hz": 10.0, "duration_s": 2.0}, 20),
        ({"n_pulses": 5, "frequency_hz": 10.0, "duration_s": 4.0}, 40),  # whichever the unit goes by
        ({"n_pulses": 3, "frequency_hz": 0.5, "duration_s": 7.0}, 4),
        ({"n_pulses": 0}, 1),
        ({"n_pulses": 1}, 1),
        ({}, MOST_PULSES),  # it does not say
    ],
)
def test_the_most_that_one_command_gives_is_what_the_unit_is_set_to(held: dict[str, Any], most: int) -> None:
    watch = Watch(reply(0x00, **held))
    assert most_given(watch) == most  # type: ignore[arg-type]
    assert watch.story == [SWALLOW, "parameters"]


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(("failure", "follows"), FAILURES)
def test_a_unit_that_cannot_be_asked_may_have_given_the_most_of_any(
    failure: LineTrouble, follows: object
) -> None:
    watch = Watch(failure)
    assert most_given(watch) == MOST_PULSES  # type: ignore[arg-type]
    assert watch.story[:3] == [SWALLOW, "parameters", follows]


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("swallows", [False, Lost("gone", written=True)])
def test_a_line_that_is_silent_or_gone_after_ea_is_not_asked(swallows: Any) -> None:
    watch = Watch(reply(0x00, n_pulses=20), swallows)
    assert most_given(watch) == MOST_PULSES  # type: ignore[arg-type]
    assert watch.story == [SWALLOW, *([("lost", "gone")] if swallows else [])]
    asked = Asked(reply(RUNS))
    asked.swallows = swallows
    assert most_after_trouble(asked, permit()) is None  # type: ignore[arg-type]
    assert ("look", "mode") not in asked.story


# ---- after a fire command of unknown outcome

TRAIN, PAIR = Train(frequency_hz=10, n_pulses=20), Pair(power_b_pct_mso=35, interval_ms=3)
SINGLE_MODE, TRAIN_MODE, RUNS = 0x08, 0x00, 0x02


def permit(train: Train | None = None, pair: Pair | None = None) -> Permit:
    return Permit(
        permit_id=1, run_id="r", pulse_id=1, power_pct_mso=40, expires_s=1.0, seal=b"", train=train, pair=pair
    )  # fmt: skip


class Asked(Watch):
    """``said``: what the look says, then what the numbers are; ``wrong``: what is told of them, oldest first."""

    def __init__(
        self, *said: Reply | LineTrouble, wrong: tuple[str, ...] = ("", ""), model: str = "rapid"
    ) -> None:
        super().__init__(said[0], model=model)
        self.said, self.wrong, self.wanted = [*said], [*wrong], []  # type: list[Any], list[str], list[object]

    def _say(self) -> Reply:
        self.answer = self.said.pop(0) if self.said else self.answer
        return super()._say()

    def differs(self, reply: Reply, setting: object) -> str:  # type: ignore[override]
        self.wanted.append(setting)
        return self.wrong.pop(0)


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("model", ["rapid", "bistim"])
@pytest.mark.parametrize(
    ("said", "wrong", "wanted", "most"),
    [
        ([reply(SINGLE_MODE), reply(SINGLE_MODE, n_pulses=1)], ("", ""), permit(), None),
        ([reply(SINGLE_MODE, n_pulses=1)], ("",), permit(), None),  # the numbers came with the look
        ([reply(RUNS), reply(RUNS, n_pulses=20)], ("",), permit(), 20),
        ([reply(TRAIN_MODE), reply(TRAIN_MODE, n_pulses=20)], ("trains",), permit(), 20),
        ([reply(RUNS), reply(RUNS, n_pulses=20)], ("", ""), permit(train=TRAIN), None),
        ([reply(RUNS), reply(RUNS, n_pulses=40)], ("", "40 pulses"), permit(train=TRAIN), 40),
        ([reply(RUNS), reply(RUNS, n_pulses=5)], ("", "5 pulses"), permit(train=TRAIN), 20),  # never fewer
        ([reply(None, power_b_pct_mso=30)], ("power B 30 %",), permit(), 2),
        ([reply(None, power_b_pct_mso=30)], ("power B 30 %",), permit(pair=PAIR), 2),
        ([reply(TRAIN_MODE), Silent("no word", written=True)], ("trains",), permit(), MOST_PULSES),
        ([reply(RUNS), Silent("no word", written=True)], ("",), permit(train=TRAIN), None),
        ([Silent("no word", written=True)], (), permit(), None),
    ],
)  # fmt: skip
def test_the_most_that_a_command_of_unknown_outcome_gave(
    model: str, said: list[Any], wrong: tuple[str, ...], wanted: Permit, most: int | None
) -> None:
    watch = Asked(*said, wrong=wrong, model=model)
    assert most_after_trouble(watch, wanted) == most  # type: ignore[arg-type]
    assert watch.story[:2] == [SWALLOW, ("look", "mode" if model == "rapid" else "numbers")]
    assert all(setting is (wanted.train or wanted.pair) for setting in watch.wanted)


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(("failure", "follows"), FAILURES)
def test_what_follows_when_the_unit_cannot_be_asked_after_such_a_command(
    failure: LineTrouble, follows: object
) -> None:
    watch = Asked(failure)
    assert most_after_trouble(watch, permit()) is None  # type: ignore[arg-type]
    assert watch.story[:3] == [SWALLOW, ("look", "mode"), follows]


@pytest.mark.parametrize(("model", "lost"), [("200", False), ("rapid", True), ("bistim", True)])
def test_a_unit_that_gives_one_pulse_only_or_is_gone_is_not_asked(model: str, lost: bool) -> None:
    watch = Asked(reply(RUNS), model=model)
    watch.lost = lost
    assert most_after_trouble(watch, permit()) is None  # type: ignore[arg-type]
    assert watch.story == []


def test_a_second_pulse_is_looked_for_in_the_numbers_of_a_unit_without_trains() -> None:
    watch = Watch(reply(SINGLE_MODE), model="bistim")
    assert found_in_trains(watch) == ""  # type: ignore[arg-type]
    assert watch.story == [("look", "numbers")]
