"""Owns a mapping's events as JSON values and back, so that a course goes on after a crash and in a replay; owns no file.

A number that is none (NaN, infinite) becomes None and comes back as NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from rtloop.decide.comparability import Check, Comparability, Finding
from rtloop.decide.course import Event, Restart, Visit
from rtloop.decide.look import Contest, Look, Outcome
from rtloop.decide.mapping import Question
from rtloop.decide.matching import MatchedScore
from rtloop.errors import ValidationProblem
from rtloop.model.estimate import Estimate


def event_dict(event: Event) -> dict[str, Any]:
    """One event of the history; ``event`` names its kind: visit, restart or look."""
    if isinstance(event, Visit):
        return {"event": "visit", "target": event.target, "accepted": event.accepted}
    if isinstance(event, Restart):
        return {"event": "restart", "target": event.target}
    rows = event.comparability
    return {
        "event": "look", "number": event.number, "of": event.of, "outcome": event.outcome.value,
        "question": event.question.value, "words": event.words, "leader": event.leader,
        "challenger": event.challenger, "declared": event.declared,
        "contests": [
            {"target": c.target, "z": [_or_none(z) for z in c.z], "needed": _or_none(c.needed), "hope": _or_none(c.hope)}
            for c in event.contests
        ],
        "comparability": None if rows is None else {
            "label": rows.label, "findings": [_plain(f) for f in rows.findings],
        },
    }  # fmt: skip


def event_of(d: Mapping[str, Any]) -> Event:
    """Inverse of ``event_dict``. ``ValidationProblem`` for anything else."""
    try:
        kind, rest = d["event"], {k: v for k, v in d.items() if k != "event"}
        if kind == "visit":
            return Visit(**rest)
        if kind == "restart":
            return Restart(**rest)
        if kind != "look":
            raise KeyError(kind)
        contests = tuple(
            Contest(
                target=c["target"], z=tuple(_number(z) for z in c["z"]), needed=_number(c["needed"]), hope=c["hope"]
            )
            for c in rest.pop("contests")
        )  # fmt: skip
        rows = rest.pop("comparability")
        comparability = rows and Comparability(
            label=rows["label"],
            findings=tuple(
                Finding(**{**f, "check": Check(f["check"]), "found": _number(f["found"])})
                for f in rows["findings"]
            ),
        )
        outcome, question = Outcome(rest.pop("outcome")), Question(rest.pop("question"))
        return Look(
            outcome=outcome, question=question, contests=contests, comparability=comparability, **rest
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise ValidationProblem(
            "no event of a mapping", expected="visit, restart or look with their fields", found=str(problem)
        ) from problem


def score_dict(score: MatchedScore) -> dict[str, Any]:
    """Both scores of a target and everything the matching did, for the record."""
    return {
        "target": score.target, "raw": score.raw.to_dict(), "matched": score.matched.to_dict(),
        "snr": score.snr.to_dict(), "snr_by_band": [float(x) for x in score.snr_by_band],
        "noise_by_band": [float(x) for x in score.noise_by_band], "weakest_by_band": list(score.weakest_by_band),
        "shifts": list(score.shifts), "words": score.words,
    }  # fmt: skip


def score_of(d: Mapping[str, Any]) -> MatchedScore:
    """Inverse of ``score_dict``. ``ValidationProblem`` for anything else."""
    try:
        return MatchedScore(
            target=str(d["target"]), raw=Estimate.from_dict(d["raw"]), matched=Estimate.from_dict(d["matched"]),
            snr=Estimate.from_dict(d["snr"]), snr_by_band=np.array(d["snr_by_band"], np.float64),
            noise_by_band=np.array(d["noise_by_band"], np.float64), weakest_by_band=tuple(d["weakest_by_band"]),
            shifts=tuple(int(s) for s in d["shifts"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as problem:
        raise ValidationProblem(
            "no score of a look", expected="the fields of a matched score", found=str(problem)
        ) from problem


def _plain(finding: Finding) -> dict[str, Any]:
    out = {f.name: getattr(finding, f.name) for f in fields(finding)}
    return {**out, "check": finding.check.value, "found": _or_none(finding.found)}


def _or_none(x: float | None) -> float | None:
    return None if x is None or not math.isfinite(x) else float(x)


def _number(x: float | None) -> float:
    return math.nan if x is None else float(x)
