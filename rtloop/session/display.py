"""Owns how a view becomes a ranking, a decision and words for people; owns no score and no rule."""

from __future__ import annotations

from typing import Any

from rtloop.decide.mapping import DecisionKind, decide
from rtloop.decide.precision import TargetState
from rtloop.decide.ranking import rank
from rtloop.model.estimate import Estimate, Scores
from rtloop.model.view import TargetView, View
from rtloop.session.composing import EARLY_S
from rtloop.session.scorer import TargetScorer

#: what stands where a number of a blinded study would
MASKED = "masked: this study is blinded"


def blinded(view: View) -> bool:
    """Whether scores and ranking are masked wherever people look; counts and quality stay."""
    return bool(view.started.get("blinded"))


def decision_words(view: View) -> list[str]:
    """The answer to the arm's question and its note; in a blinded study without the target."""
    if not view.decision:
        return []
    words, kind = view.decision["words"], view.decision["kind"]
    if blinded(view) and kind in (DecisionKind.DECIDED, DecisionKind.UNDECIDED, DecisionKind.NOT_COMPARABLE):
        more = view.decision.get("more_pulses")
        words = f"{kind.replace('_', ' ')}{f', {more} more pulses' if more else ''} ({MASKED})"
    return [words, view.decision["note"]]


def scores_of(target: TargetView) -> Scores | None:
    """The scores of a block as a value, or None."""
    return None if target.scores is None else Scores.from_dict(target.scores)


def runs(view: View) -> list[TargetView]:
    """The targets' runs, in the order in which they began."""
    return [t for t in view.targets.values() if t.block == "run"]


def global_score(target: TargetView) -> Estimate:
    """GLOBAL, dwPLI², pooled; absent with its reason before there is one."""
    scores = scores_of(target)
    return Estimate.absent("no accepted trial yet") if scores is None else scores.score("global")


def ranking_dict(view: View) -> dict[str, Any]:
    """P(lowest) and P(highest) of the targets so far, as JSON values."""
    ranking = rank((t.name, global_score(t)) for t in runs(view))
    return {
        "label": ranking.label,
        "lowest_first": list(ranking.lowest_first),
        "places": [
            {
                "target": p.target, "rank": p.rank, "p_lowest": p.p_lowest, "p_highest": p.p_highest,
                "score": p.score.to_dict(), "why_absent": p.why_absent,
            }
            for p in ranking.places
        ],
    }  # fmt: skip


def decision_dict(view: View, question: str, wanted: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """What the arm's question is answered, as JSON values. ``wanted``: target -> (wanted, most) pulses."""
    states = tuple(
        TargetState(
            target=t.name, wanted=wanted[t.name][0], most=wanted[t.name][1], given=t.n_accepted + t.n_rejected,
            accepted=t.n_accepted, rejected=t.n_rejected, score=global_score(t),
        )
        for t in runs(view)
        if t.name in wanted
    )  # fmt: skip
    decision = decide(states, question)
    return {
        "kind": decision.kind.value, "question": decision.question.value, "target": decision.target,
        "words": decision.words, "note": decision.note, "more_pulses": decision.more_pulses,
    }  # fmt: skip


def early_response_uv(scorer: TargetScorer) -> float | None:
    """Peak to peak, µV, of the mean of the LOCAL electrodes in the running average, end of the gap (or 8 ms) to 50 ms.

    None without an accepted trial or without LOCAL electrodes. A practical aim, not a threshold (Casarotto 2022,
    10.1016/j.jneumeth.2022.109486).
    """
    if not scorer.n_accepted or not scorer.local_channels:
        return None
    early = (scorer.times_s > max(EARLY_S[0], scorer.spec.gap_s[1])) & (scorer.times_s <= EARLY_S[1])
    region = scorer.average()[list(scorer.local_channels)].mean(axis=0)[early]
    return float(region.max() - region.min())


def number(estimate: Estimate, scale: float = 1.0, digits: int = 1) -> str:
    """Value and 95 % interval, or why there is none."""
    if not estimate.present:
        return f"none ({estimate.why_absent})"
    v, lo, hi = (scale * x for x in (estimate.value, estimate.low, estimate.high))
    return f"{v:.{digits}f} [{lo:.{digits}f}, {hi:.{digits}f}]"


def local_words(scores: Scores) -> list[str]:
    """LMFP and ITC near the coil with their intervals, for a probe."""
    return [
        f"LMFP {number(scores.evoked['lmfp_uv'], 1, 2)} µV",
        f"ITC {number(scores.evoked['itc_local:pooled'], 1, 2)}",
    ]


def table(view: View) -> str:
    """The targets so far, one line each, for a terminal."""
    rows = [
        f"{'target':10s} {'n':>3s} {'rej':>3s}  {'GLOBAL dwPLI² x1000':24s} {'LOCAL dwPLI² x1000':26s} "
        f"{'SNR (power)':20s} P(lowest) P(highest)"
    ]
    places = {} if blinded(view) else {p["target"]: p for p in (view.ranking or {}).get("places", [])}
    hidden = blinded(view)
    for key, t in view.targets.items():
        scores = scores_of(t)
        if t.block == "preview" or scores is None:
            continue
        snr = scores.evoked.get("snr", Estimate.absent("not computed"))
        place = places.get(t.name, {}) if t.block == "run" else {}
        low, high = place.get("p_lowest"), place.get("p_highest")
        rows.append(
            f"{key:10s} {t.n_accepted:3d} {t.n_rejected:3d}  "
            f"{'masked' if hidden else number(scores.score('global'), 1e3):24s} "
            f"{'masked' if hidden else number(scores.score('local'), 1e3):26s} {number(snr, 1, 2):20s} "
            f"{'-' if low is None else f'{low:.2f}':>9s} {'-' if high is None else f'{high:.2f}':>10s}"
        )
    if places:
        rows.append(
            f"P(lowest), P(highest): {(view.ranking or {})['label']}. Brackets: 95 % intervals (jackknife)."
        )
    if hidden:
        rows.append(MASKED)
    return "\n".join(rows)
