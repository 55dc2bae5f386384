"""Owns which target follows from an arm and a map, and by which rule; owns no score, no look, no file and no right to know it.

What the operator is told of a map (``map_words``) is the same in every arm: whether it answers all that any arm may ask.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtloop.model.course import CLASSIC_TARGET, Arm, Course
from rtloop.study.allocation import drawn
from rtloop.study.records import Answer, Mapped

#: belongs to every text about choosing a target by a map
NO_BENEFIT = "In the trial (n = 90) choosing the target by this map brought no benefit over classic M1."
_QUESTIONS = (Arm.LOW, Arm.HIGH)


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """``target`` by ``rule`` (``RULES``), with the reason; ``target`` "": none yet, the course waits for more pulses."""

    target: str
    rule: str
    words: str


def newest(maps: list[tuple[str, Mapped]]) -> tuple[str, Mapped] | None:
    """The newest accepted map by its day (of one day the one that was written last), with the hash of its line."""
    accepted = [m for m in maps if m[1].accepted]
    return max(reversed(accepted), key=lambda m: (m[1].day, m[1].session), default=None)


def faults(course: Course, mapped: Mapped | None) -> list[str]:
    """Why no target can follow from this map, in whichever arm; the same for all, so that it tells nothing of the arm."""
    bad = (
        []
        if course.if_undecided
        else ["the course does not say what is treated where a map is undecided (if_undecided)"]
    )
    if mapped is None:
        return [*bad, "no accepted map was gathered"]
    if set(mapped.answers) != {str(q) for q in _QUESTIONS}:
        bad.append(f"the map of {mapped.day} was asked nothing: its plan has no table [decision]")
    return bad


def resolve(course: Course, arm: str, mapped: Mapped, lot: str) -> Resolution:
    """The target that follows; ``lot``: a text that nobody could know beforehand, from which chance is drawn.

    Only for a map without ``faults``.
    """
    if course.if_undecided == "more" and open_pulses(mapped) is not None:
        return Resolution(
            target="",
            rule="more",
            words=f"the course waits: {map_words(course, mapped)}; go on with the map, or make another, and gather it",
        )
    if arm == Arm.CLASSIC:
        return Resolution(
            target=CLASSIC_TARGET, rule="classic arm", words=f"The classic arm gets {CLASSIC_TARGET}, whatever the map says"
        )  # fmt: skip
    answer = _answer(mapped, arm)
    if answer.decided:
        return Resolution(
            target=answer.target, rule="map", words=f"The {arm} arm asks the map. {answer.words}"
        )
    why = f"The {arm} arm asks the map, and it is {answer.kind.replace('_', ' ')}: {answer.words} {_more(answer)}".strip()
    if course.if_undecided == "chance":
        names = sorted(mapped.scores)
        target = names[drawn(lot, len(names))]
        words = f"{why} By the course's rule a lot among {', '.join(names)} fell on {target}"
        return Resolution(target=target, rule="chance", words=words)
    words = f"{why} By the course's rule {CLASSIC_TARGET} is treated, as in the classic arm"
    return Resolution(target=CLASSIC_TARGET, rule="classic", words=words)


def open_pulses(mapped: Mapped) -> tuple[int, bool] | None:
    """(accepted pulses after which all that an arm may ask would be expected to be decided, whether that is known for all of it);
    None where the map answers all of it."""
    open_ = [a for q in _QUESTIONS if not (a := _answer(mapped, q)).decided]
    if not open_:
        return None
    return sum(a.more_pulses or 0 for a in open_), all(a.more_pulses for a in open_)


def map_words(course: Course, mapped: Mapped) -> str:
    """What the operator is told of a map, in whichever arm."""
    left = open_pulses(mapped)
    if left is None:
        return f"the map of {mapped.day} answers all that an arm may ask of it"
    more, known = left
    rule = f'the course\'s rule for that is "{course.if_undecided}"'
    head = f"the map of {mapped.day} leaves open some of what an arm may ask of it"
    if not known:
        return f"{head}, and no number of pulses alone would be expected to decide all of it; {rule}"
    return f"{head}; about {more} more accepted pulses would be expected to decide it, if the scores stay; {rule}"


def _more(answer: Answer) -> str:
    if answer.more_pulses is None:
        return "No number of pulses alone would be expected to decide it."
    return (
        f"About {answer.more_pulses} more accepted pulses would be expected to decide it, if the scores stay."
    )


def _answer(mapped: Mapped, question: str) -> Answer:
    answer = mapped.answer(str(question))
    assert answer is not None, "a map without faults"
    return answer
