"""Simulated responders and made-up thresholds: ground for the tests of motor thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import ndtr

from rtloop import __version__
from rtloop.model.status import Mode
from rtloop.model.threshold import Answer, Rig, Threshold, ToldBy, Use
from rtloop.threshold.methods import Spec, next_step
from rtloop.threshold.steps import Do, Step

RIG = Rig(
    unit_model="200", coil="70 mm figure-of-eight", waveform="monophasic", current_direction="posterior-anterior"
)  # fmt: skip
DAY = "2026-11-23"


@dataclass
class Responder:
    """Somebody whose muscle answers by a cumulative Gaussian; ``spread`` as a share of the threshold."""

    threshold: float
    spread: float = 0.07
    seed: int = 0
    chance: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.chance = np.random.default_rng([self.seed, 20260])

    def answer(self, pct_mso: int) -> bool:
        p = ndtr((pct_mso - self.threshold) / (self.spread * self.threshold))
        return bool(self.chance.random() < p)


def course_of(spec: Spec, responder: Responder) -> tuple[Step, list[Answer]]:
    """The whole course of a method, and its last step."""
    answers: list[Answer] = []
    while (step := next_step(spec, answers)).do is Do.GIVE:
        answers.append(Answer(pct_mso=step.pct_mso, response=responder.answer(step.pct_mso)))
    return step, answers


def made(**changes: Any) -> Threshold:
    """A threshold of P001, as good as can be."""
    fields: dict[str, Any] = {
        "participant": "P001", "pct_mso": 50, "estimate_pct_mso": 50.2, "low_pct_mso": 48.1, "high_pct_mso": 52.5,
        "method": "adaptive maximum likelihood", "told_by": ToldBy.EMG, "criterion": "at least 50 µV", "muscle": "FDI",
        "made_utc": f"{DAY}T09:00:00.000+00:00", "mode": Mode.HUMAN, "rig": RIG, "cap_on": True,
        "answers": (Answer(pct_mso=45, response=False), Answer(pct_mso=55, response=True)), "pulses_given": 3,
        "ended": "it was narrow", "software": __version__, "session": "20261123-090000_ab", "settings": {"spread": 0.07},
    }  # fmt: skip
    return Threshold(**(fields | changes))


def use(**changes: Any) -> Use:
    """What ``made`` is good for."""
    return Use(**({"participant": "P001", "rig": RIG, "today": DAY, "mode": Mode.HUMAN} | changes))
