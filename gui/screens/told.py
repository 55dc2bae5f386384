"""Owns what a session's screen tells in lines of its own: pre-flight, answers, the decision; owns no widget."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gui.shown import Line, Scores, Tick, Tone

ANSWER_SHOWN_S = 12.0


def decided(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Of the words below the table those that say what was decided: not what its columns mean."""
    return tuple(line for line in lines if line.tone is not Tone.OFF)


def undecided(scores: Scores) -> Scores:
    """Without those words: where they stand whole beside the table."""
    return replace(scores, words=tuple(line for line in scores.words if line.tone is Tone.OFF))


def checked(tick: Tick) -> Line:
    """One item of the pre-flight."""
    todo = f" – {tick.todo}" if tick.todo else ""
    found = f": {tick.found}" if tick.found else ""
    expected = f" (expected {tick.expected})" if tick.expected and tick.tone is Tone.BAD else ""
    return Line(text=f"{tick.name}{found}{expected}{todo}", tone=tick.tone)


def answered(answer: Any, now_s: float) -> Line:
    """What became of the last word, for a while; a refusal with all its reasons."""
    if now_s - answer.t_s > ANSWER_SHOWN_S:
        return Line()
    if answer.why_not:
        return Line(text=f"{answer.word}: {answer.why_not}", tone=Tone.BAD)
    return Line(text=f"{answer.word}: taken", tone=Tone.GOOD)
