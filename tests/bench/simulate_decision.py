"""The decision end to end: signals per visit, noise matching, comparability, declared looks, return visits.

    python tests/bench/simulate_decision.py [--draws 20] [--long] [--source analytic|chain] [--jobs 2] [--out FILE.jsonl]

It joins what the design notes simulated apart (DECISION sections 1 and 3): simulated trials with amplitudes that differ
between targets and visits go through ``match``, ``compare``, ``look`` and ``next_step`` exactly as a session would call
them. Quick mode takes minutes, ``--long`` hours. ``--source chain`` takes raw trials of ``hardware_sim`` through the live
line's cleaning instead. Prints Markdown; asserts nothing. Coil move 150 s, pulse 3 s. "Wrong" is a name that is not the
truth's; where no name is right, every one is wrong.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from decision_scenes import SCENES, TARGETS, Person, cut, joined
from kept_lines import each_kept, lines_of
from ranking_statistics import share, table, told

from rtloop.decide.comparability import Comparability, compare, facts_of
from rtloop.decide.course import CourseSpec, Do, Event, Visit, next_step
from rtloop.decide.look import Candidate, Look, LookSpec, Outcome, Scale, look
from rtloop.decide.mapping import Question
from rtloop.decide.matching import MatchedScore, MatchSpec, match
from rtloop.decide.signals import TargetSignal

MOVE_S, PULSE_S = 150.0, 3.0
ALL_PASS = Comparability(findings=(), label="comparable (test switched off)")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A way to decide: pulses, looks, which scores must agree, with or without the comparability test."""

    first: int = 100
    block: int = 100
    looks: int = 2
    agree: tuple[Scale, ...] = (Scale.RAW, Scale.MATCHED)
    test: bool = True
    place_spread: float = 0.0


RULES = {
    "100 + 100, agreed": Rule(),
    "100 + 100, agreed, place spread .15": Rule(place_spread=0.15),
    "100 + 100, agreed, place spread .23": Rule(place_spread=0.23),
    "60 + 90, agreed": Rule(first=60, block=90),
    "fixed 100, agreed": Rule(looks=1),
    "100 + 100, agreed, no test": Rule(test=False),
    "100 + 100, matched only, no test": Rule(agree=(Scale.MATCHED,), test=False),
    "100 + 100, raw only, no test": Rule(agree=(Scale.RAW,), test=False),
}


class Source(Protocol):
    """Where trials come from: one visit of a target, and how many pulses it took."""

    names: tuple[str, ...]

    def visit(self, target: int, number: int, n: int) -> TargetSignal: ...


class Mapping:
    """One draw: visits and scores are made once and shared by all rules."""

    def __init__(self, source: Source, spec: MatchSpec) -> None:
        self.source, self.spec = source, spec
        self._visits: dict[tuple[int, int], TargetSignal] = {}
        self._scored: dict[tuple[tuple[int, ...], ...], tuple[tuple[MatchedScore, ...], Comparability]] = {}

    def _visit(self, target: int, number: int, n: int) -> TargetSignal:
        key = (target, number)
        if key not in self._visits or self._visits[key].n < n:
            self._visits[key] = self.source.visit(target, number, max(n, 100))
        return cut(self._visits[key], n)

    def scored(self, visits: tuple[tuple[int, ...], ...]) -> tuple[tuple[MatchedScore, ...], Comparability]:
        """Scores and comparability after these visits (pulses of each visit, by target)."""
        if visits not in self._scored:
            signals = [joined([self._visit(t, k, n) for k, n in enumerate(v)]) for t, v in enumerate(visits)]
            scores = match(signals, self.spec)
            facts = [facts_of(s, m, self.source.names) for s, m in zip(signals, scores, strict=True)]
            self._scored[visits] = scores, compare(facts)
        return self._scored[visits]


def hold(mapping: Mapping, rule: Rule, question: Question, seed: int) -> dict[str, Any]:
    """A whole mapping by one rule, step by step as a session would go."""
    order = np.random.default_rng([seed, 5]).permutation(len(TARGETS))  # of the visits: randomised
    looks = LookSpec(
        question=question,
        n0=min(60, rule.first),
        block=rule.block,
        looks=rule.looks,
        agree=rule.agree,
        place_spread=rule.place_spread,
    )
    spec = CourseSpec(
        targets=tuple(TARGETS[i] for i in order), first=rule.first, look=looks, question=question
    )
    history: list[Event] = []
    visits: dict[str, tuple[int, ...]] = dict.fromkeys(TARGETS, ())
    spent_s, found = 0.0, None
    while True:
        step = next_step(spec, history)
        if step.do is Do.END:
            break
        if step.do is Do.VISIT:
            assert step.target is not None
            visits[step.target] += (step.pulses,)
            history.append(Visit(target=step.target, accepted=step.pulses))
            spent_s += PULSE_S * step.pulses + (MOVE_S if step.move else 0.0)
            continue
        scores, comparability = mapping.scored(tuple(visits[t] for t in TARGETS))
        candidates = [
            Candidate(target=m.target, visits=len(visits[m.target]), raw=m.raw, matched=m.matched)
            for m in scores
        ]
        found = look(candidates, comparability if rule.test else ALL_PASS, looks, step.number)
        history.append(found)
    assert found is not None
    return summary(found, spent_s, scores, history)


def summary(
    found: Look, spent_s: float, scores: tuple[MatchedScore, ...], history: list[Event]
) -> dict[str, Any]:
    """What is kept of a mapping."""
    failed = (
        []
        if found.comparability is None
        else [f"{f.check.value}: {f.target}" for f in found.comparability.failures]
    )
    return {
        "outcome": found.outcome.value, "named": found.leader if found.outcome is Outcome.NAMED else None,
        "looks": sum(isinstance(e, Look) for e in history), "minutes": spent_s / 60, "failed": failed,
        "leader": found.leader, "raw": [m.raw.value for m in scores], "raw_se": [m.raw.se for m in scores],
        "matched": [m.matched.value for m in scores], "matched_se": [m.matched.se for m in scores],
        "snr": [m.snr.value for m in scores], "first_z": _first_z(history),
    }  # fmt: skip


def _first_z(history: list[Event]) -> list[float] | None:
    first = next((e for e in history if isinstance(e, Look) and e.contests), None)
    return None if first is None else list(first.contests[0].z)


def draw(task: tuple[str, str, int, MatchSpec, tuple[str, ...]]) -> dict[str, Any]:
    """One draw of one scene, by all rules."""
    source_name, scene_name, seed, spec, rules = task
    if source_name == "chain":
        from decision_chain import Chained, truth_of_chain

        source: Source = Chained(scene_name, seed)
        question, truth = truth_of_chain(scene_name)
    else:
        scene = SCENES[scene_name].drawn(seed)
        person = Person(scene, seed)
        person.names = person.montage.names  # type: ignore[attr-defined]
        source, question = person, Question(scene.question)  # type: ignore[assignment]
        index = scene.lowest if question is Question.LOW else scene.highest
        truth = None if index is None else TARGETS[index]
    mapping = Mapping(source, spec)
    scores, comparability = mapping.scored(((100,),) * len(TARGETS))
    out: dict[str, Any] = {"scene": scene_name, "seed": seed, "truth": truth, "rules": {}}
    out["at_100"] = {
        "raw": [m.raw.value for m in scores], "raw_se": [m.raw.se for m in scores],
        "matched": [m.matched.value for m in scores], "matched_se": [m.matched.se for m in scores],
        "snr": [m.snr.value for m in scores],
        "residue": [f.found for f in comparability.findings if f.check.name == "RESIDUE"],
        "rhythm": [f.found for f in comparability.findings if f.check.name == "RHYTHM"],
        "failed": sorted({f.check.name for f in comparability.failures}),
    }  # fmt: skip
    for name in rules:
        out["rules"][name] = hold(mapping, RULES[name], question, seed)
    return out


def summarise(draws: list[dict[str, Any]]) -> str:
    """Markdown: one table over scenes and rules, one of the matched score's truth, one of the test's rows."""
    rows, kept, fails = [], [], []
    for scene in dict.fromkeys(d["scene"] for d in draws):
        own = [d for d in draws if d["scene"] == scene]
        for rule in own[0]["rules"]:
            got = [(d["truth"], d["rules"][rule]) for d in own]
            named = [r["named"] is not None for _, r in got]
            wrong = [r["named"] is not None and r["named"] != truth for truth, r in got]
            of_named = [w for w, n in zip(wrong, named, strict=True) if n]
            refused = [r["outcome"] == Outcome.NOT_COMPARABLE.value for _, r in got]
            rows.append([
                scene, rule, told(share(named)), told(share(wrong)), f"{sum(of_named)}/{len(of_named)}",
                f"{100 * np.mean(refused):.0f}", f"{np.mean([r['minutes'] for _, r in got]):.0f}",
            ])  # fmt: skip
        raw, matched, snr = (np.array([d["at_100"][k] for d in own]) for k in ("raw", "matched", "snr"))
        raw_se, matched_se = (np.array([d["at_100"][k] for d in own]) for k in ("raw_se", "matched_se"))
        ratio = [m[:, 0].mean() / m[:, 1:].mean() for m in (raw, matched)]
        spread = [  # of two targets of the same truth and head: the heads' own spread is not in it
            np.sqrt((e[:, 2:] ** 2).sum(axis=1).mean()) / np.std(m[:, 2] - m[:, 3], ddof=1)
            for m, e in ((raw, raw_se), (matched, matched_se))
        ]
        kept.append([
            scene, f"{snr.mean():.2f}", f"{raw[:, 1:].mean():.4f}", f"{ratio[0]:.2f}", f"{ratio[1]:.2f}",
            _same(own, spread[0]), _same(own, spread[1]),
        ])  # fmt: skip
        count = Counter(name for d in own for name in d["at_100"]["failed"])
        residue = np.array([d["at_100"]["residue"] for d in own])
        rhythm = np.array([d["at_100"]["rhythm"] for d in own])
        fails.append([
            scene, ", ".join(f"{k} {100 * v / len(own):.0f} %" for k, v in sorted(count.items())) or "-",
            f"{np.median(residue[:, 0]):.2f}", f"{np.median(residue[:, 1:]):.2f} (95 %: {np.quantile(residue[:, 1:], 0.95):.2f})",
            f"{np.median(rhythm):.2f} (95 %: {np.quantile(rhythm, 0.95):.2f})",
        ])  # fmt: skip
    head = ["scene", "rule", "named", "wrong, of all", "wrong of named", "not comparable %", "min"]
    head2 = [
        "scene",
        "SNR",
        "raw, others",
        "raw: first / others",
        "matched: first / others",
        "SE/SD raw",
        "SE/SD matched",
    ]
    head3 = ["scene", "rows failed at 100 pulses", "residue, first", "residue, others", "rhythm ratio"]
    return "\n\n".join([table(head, rows), table(head2, kept), table(head3, fails)])


def _same(own: list[dict[str, Any]], ratio: float) -> str:
    """SE/SD where the last two targets have one truth: not where amplitudes or kappas are drawn, nor at four places."""
    scene = SCENES.get(own[0]["scene"])
    alike = scene is not None and not (scene.uneven or scene.population or scene.own_fields)
    return f"{ratio:.2f}" if alike else "-"


def run(
    source: str,
    scenes: list[str],
    seeds: range,
    jobs: int,
    spec: MatchSpec,
    rules: tuple[str, ...],
    out: Path | None,
) -> list[dict[str, Any]]:
    """All draws of all scenes, seed by seed; with ``out`` each is kept as a line as soon as it is there, and what is there
    already is not drawn again."""
    found = lines_of(out)
    done = {(d["scene"], d["seed"]) for d in found}
    tasks = [(source, s, k, spec, rules) for k in seeds for s in scenes if (s, k) not in done]
    found += each_kept(draw, tasks, jobs, out)
    return [d for d in found if d["scene"] in scenes]


def main(argv: list[str] | None = None) -> None:
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument("--source", choices=("analytic", "chain"), default="analytic")
    ask.add_argument("--draws", type=int, help="draws a scene; quick: 20 (chain: 3), long: 400 (chain: 100)")
    ask.add_argument("--first", type=int, default=1, help="first seed")
    ask.add_argument("--long", action="store_true")
    ask.add_argument("--scenes", nargs="+")
    ask.add_argument("--rules", nargs="+", choices=list(RULES), default=list(RULES))
    ask.add_argument("--shifts", type=int, default=MatchSpec().shifts)
    ask.add_argument("--jobs", type=int, default=1)
    ask.add_argument("--out", type=Path, help="one draw a line; a run that was broken off goes on from here")
    a = ask.parse_args(argv)
    chain = a.source == "chain"
    if chain:
        from decision_chain import CHAIN_SCENES as known
    else:
        known = dict.fromkeys(SCENES)
    draws = (100 if chain else 400) if a.long else (3 if chain else 20)
    draws = draws if a.draws is None else a.draws
    scenes = a.scenes or list(known)
    if set(scenes) - set(known):
        ask.error(f"unknown scene; known: {', '.join(known)}")
    spec, start_s = replace(MatchSpec(), shifts=a.shifts), time.monotonic()
    found = run(a.source, scenes, range(a.first, a.first + draws), a.jobs, spec, tuple(a.rules), a.out)
    about = {
        "source": a.source,
        "draws": len(found),
        "first seed": a.first,
        "match": asdict(spec),
        "numpy": np.__version__,
    }
    print(json.dumps({**about, "wall_s": round(time.monotonic() - start_s, 1)}))
    print(summarise(sorted(found, key=lambda d: scenes.index(d["scene"]))))


if __name__ == "__main__":
    main()
