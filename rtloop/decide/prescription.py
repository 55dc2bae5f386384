"""Owns what a study fixes of a mapping's decision beforehand, as one value and as JSON values; owns no history and no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rtloop.decide.comparability import ComparabilitySpec
from rtloop.decide.course import CourseSpec
from rtloop.decide.look import LookSpec, Scale
from rtloop.decide.mapping import Question
from rtloop.decide.matching import MatchSpec
from rtloop.errors import ValidationProblem


@dataclass(frozen=True, kw_only=True)
class Prescription:
    """``course`` with its looks, ``match`` of the noise-matched score, ``block_max`` pulses given at most in a return visit.

    ``ValidationProblem`` where no question is asked of the map, or a return visit may give fewer pulses than it wants.
    """

    course: CourseSpec
    block_max: int
    match: MatchSpec = field(default_factory=MatchSpec)

    def __post_init__(self) -> None:
        if self.course.look is None or not self.block_max >= self.course.look.block:
            raise ValidationProblem(
                "a decision needs looks, and return visits that may give what they want",
                expected="the question low or high, and block_max at least block", found=str(self.block_max),
            )  # fmt: skip

    @property
    def look(self) -> LookSpec:
        """That of the course."""
        assert self.course.look is not None
        return self.course.look

    def most(self, wanted: int) -> int:
        """Pulses given at most for ``wanted`` accepted ones: in the proportion of block_max to block, rounded up."""
        return -(-wanted * self.block_max // self.look.block)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        course = asdict(self.course)
        course["targets"] = list(self.course.targets)
        course["places_m"] = {k: list(v) for k, v in self.course.places_m.items()}
        course["question"] = self.course.question.value
        course["look"] |= {"question": self.look.question.value, "agree": [s.value for s in self.look.agree]}
        match = asdict(self.match) | {"ratio_bands": list(self.match.ratio_bands)}
        return {"course": course, "match": match, "block_max": self.block_max}

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Prescription:
        """Inverse of ``to_dict``; ``ValidationProblem`` for anything else."""
        try:
            c, m = dict(d["course"]), dict(d["match"])
            look = dict(c.pop("look"))
            look |= {
                "question": Question(look["question"]),
                "agree": tuple(Scale(s) for s in look["agree"]),
            }
            c |= {
                "targets": tuple(c["targets"]), "question": Question(c["question"]), "look": LookSpec(**look),
                "comparability": ComparabilitySpec(**c["comparability"]),
                "places_m": {k: (float(x), float(y), float(z)) for k, (x, y, z) in c["places_m"].items()},
            }  # fmt: skip
            m["ratio_bands"] = tuple(m["ratio_bands"])
            return cls(course=CourseSpec(**c), match=MatchSpec(**m), block_max=int(d["block_max"]))
        except (KeyError, TypeError, ValueError) as problem:
            raise ValidationProblem(
                "no prescription of a decision", expected="course, match, block_max", found=str(problem)
            ) from problem
