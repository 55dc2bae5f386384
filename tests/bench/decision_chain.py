"""Trials for ``simulate_decision --source chain``: raw trials of ``hardware_sim`` through the live line's cleaning."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from validate_ranking import RATE_HZ, coil_m, live_spec, shared_parts

from hardware_sim.head import generate_trials
from hardware_sim.scene import Scene, load_scene
from rtloop.decide.mapping import Question
from rtloop.decide.signals import TargetSignal
from rtloop.model.montage import NAMES_63, Montage
from rtloop.model.samples import Epoch
from rtloop.model.trial import CleanTrial
from rtloop.session.scorer import TargetScorer

#: scene -> (question, the target that may be named or None). Of two that tie, the first is called right.
CHAIN_SCENES: dict[str, tuple[Question, str | None]] = {
    "near_tie": (Question.LOW, "M1"),
    "near_tie, wrong one at 0.75": (Question.LOW, "M1"),
    "unequal_quality": (Question.LOW, None),
    "equal_quality": (Question.LOW, "ACC"),
    "default": (Question.LOW, "PSI"),
    "equal": (Question.LOW, None),
    "unequal_intensity": (Question.LOW, None),
    "unequal_placement": (Question.LOW, None),
    "unequal_muscle": (Question.HIGH, None),
}
#: scenes that are a scene file with one target changed: file, target, keys
VARIED: dict[str, tuple[str, str, dict[str, float]]] = {
    "near_tie, wrong one at 0.75": ("near_tie", "PSI", {"amplitude": 0.75}),
}
BATCH = 64


def scene_of(name: str) -> Scene:
    """A scene of ``CHAIN_SCENES``: a file's, or a checked variation of one."""
    if name not in VARIED:
        return load_scene(name)
    file, target, keys = VARIED[name]
    return load_scene(file).varied(target, **keys)


def truth_of_chain(scene: str) -> tuple[Question, str | None]:
    """What is asked, and which name is right."""
    return CHAIN_SCENES[scene]


class Chained:
    """One draw of a scene of ``hardware_sim``; a return visit has other chance, the same everything else."""

    def __init__(
        self, scene: str, seed: int, targets: tuple[str, ...] = ("M1", "DLPFC", "ACC", "PSI")
    ) -> None:
        self.scene, self.seed, self.targets = scene_of(scene), seed, targets
        self.montage = Montage.from_names(NAMES_63)
        self.names = self.montage.names
        a, b = np.triu_indices(self.montage.n_channels, 1)
        p = self.montage.positions_m
        self.weights = np.linalg.norm(p[a] - p[b], axis=1)
        self.weights /= self.weights.sum()

    def visit(self, target: int, number: int, n: int) -> TargetSignal:
        """Exactly ``n`` accepted trials."""
        name = self.targets[target]
        with shared_parts():
            scorer = TargetScorer(
                name, live_spec(), RATE_HZ, self.montage, coil_m(self.scene, name), capacity=n
            )
            kernels = scorer.chain.kernels
            kept = [
                t
                for _, t in zip(
                    range(n), _accepted(scorer, self.scene, name, self.seed + 5000 * number), strict=False
                )
            ]
        planes = {k: np.stack([getattr(t, k) for t in kept])
                  for k in ("analytic_re", "analytic_im", "ongoing_re", "ongoing_im")}  # fmt: skip
        return TargetSignal(
            target=name, re=planes["analytic_re"], im=planes["analytic_im"], ongoing_re=planes["ongoing_re"],
            ongoing_im=planes["ongoing_im"], good=np.stack([t.good for t in kept]), bands=kernels.slices,
            weights=self.weights,
        )  # fmt: skip


def _accepted(scorer: TargetScorer, scene: Scene, name: str, seed: int) -> Iterator[CleanTrial]:
    for k in range(40):
        data, pulse = generate_trials(scene, name, BATCH, RATE_HZ, seed + k * 1_000_000, scorer.montage)
        for i, trial in enumerate(data):
            clean = scorer.chain.process(
                Epoch(data=trial, rate_hz=RATE_HZ, pulse_sample=pulse), trial_id=k * BATCH + i, target=name
            )
            if clean.verdict.accepted:
                yield clean
