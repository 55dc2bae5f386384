"""The look right after a single pulse, on a watch that keeps what it is told: what was found, what follows, how many at most."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.magstim.magpy_port import Held, Reply
from drivers.magstim.units import MOST_PULSES
from drivers.single import found_in_trains, most_given
from drivers.trouble import Cut, Garbled, LineTrouble, Lost, Silent


class Watch:
    """A unit that answers with this (an error is raised), and everything that follows in order."""

    def __init__(self, answer: Reply | LineTrouble, swallows: LineTrouble | None = None) -> None:
        self.answer, self.swallows, self.story = answer, swallows, []  # type: Any, LineTrouble | None, list[Any]
        self.unit = self.exchange = self

    def _say(self) -> Reply:
        if isinstance(self.answer, LineTrouble):
            raise self.answer
        reply: Reply = self.answer
        return reply

    def look(self, *, mode: bool) -> Reply:
        self.story.append(("look", mode))
        return self._say()

    def swallow(self, *, quiet_s: float, at_most_s: float) -> None:
        self.story.append(("swallow", quiet_s, at_most_s))
        if self.swallows is not None:
            raise self.swallows

    def parameters(self) -> Reply:
        self.story.append("parameters")
        return self._say()

    def differs(self, reply: Reply, setting: None) -> str:
        assert setting is None
        return "" if reply.single_pulses else "train mode"

    def after_ea(self) -> None:
        self.story.append("EA was sent")

    def line_lost(self, err: LineTrouble) -> None:
        self.story.append(("lost", str(err)))

    def trip_with(self, fault: object, words: str) -> None:
        self.story.append(("trip", fault, words))


def reply(rapid: int | None = None, **held: Any) -> Reply:
    return Reply(instr=0x8C, t_sent_s=0.0, t_s=0.0, rapid=rapid, held=Held(**held) if held else None)


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
    assert watch.story == [("look", True)]


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(("failure", "follows"), FAILURES)
def test_a_look_that_fails_finds_nothing_and_is_not_passed_over(
    failure: LineTrouble, follows: object
) -> None:
    watch = Watch(failure)
    assert found_in_trains(watch) == ""  # type: ignore[arg-type]
    assert watch.story == [("look", True), follows]


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
    assert watch.story == [("swallow", 0.02, 0.1), "parameters"]


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(("failure", "follows"), FAILURES)
@pytest.mark.parametrize("at", ["swallow", "parameters"])
def test_a_unit_that_cannot_be_asked_may_have_given_the_most_of_any(
    failure: LineTrouble, follows: object, at: str
) -> None:
    watch = Watch(failure) if at == "parameters" else Watch(reply(0x00, n_pulses=20), failure)
    assert most_given(watch) == MOST_PULSES  # type: ignore[arg-type]
    after = [follows] if isinstance(failure, Cut | Lost) else []  # else EA is on the line already
    assert watch.story == [("swallow", 0.02, 0.1), *(["parameters"] if at == "parameters" else []), *after]
