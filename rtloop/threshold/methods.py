"""Owns the choice between the methods; owns neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from rtloop.model.threshold import Answer
from rtloop.threshold import adaptive, relative
from rtloop.threshold.adaptive import AdaptiveSpec
from rtloop.threshold.relative import RelativeSpec
from rtloop.threshold.steps import Step

Spec: TypeAlias = AdaptiveSpec | RelativeSpec
#: as a command names them
METHODS: dict[str, type[AdaptiveSpec] | type[RelativeSpec]] = {
    "adaptive": AdaptiveSpec,
    "relative": RelativeSpec,
}


def next_step(spec: Spec, answers: Sequence[Answer]) -> Step:
    """What to do after ``answers``, by the method of ``spec``."""
    if isinstance(spec, AdaptiveSpec):
        return adaptive.next_step(spec, answers)
    return relative.next_step(spec, answers)


def name_of(spec: Spec) -> str:
    """In words."""
    return adaptive.NAME if isinstance(spec, AdaptiveSpec) else relative.NAME
