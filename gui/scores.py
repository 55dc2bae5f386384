"""Owns local and global score after each pulse, the table of targets and what is masked; owns no score and no choice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gui.health import bad_now
from gui.kept import kept
from gui.live import Live
from gui.local import local_of
from gui.numbers import MASKED, estimate_of, number, share, split_key
from gui.shown import Head, Line, Scores, Series, TargetRow, Tone
from gui.trials import block_now
from rtloop.model.estimate import BANDS_HZ, POOLED, Estimate
from rtloop.model.view import TargetView, View

BANDS = (*BANDS_HZ, POOLED)
SCALE = 1e3
STRONGEST = 20
WHY_MASKED = (
    "blinded study: scores, ranking and connections are masked for this role; quality and counts are shown"
)
NOT_TESTED = "not tested"
TOO_FEW = re.compile(r"only (\d+) .* at least (\d+)")
BY_EYE = "Comparable: not tested, the plan has no [decision]; compare pulses, rejected and SNR by eye."
AT_LOOKS = "Comparable: tested at each look at the map, by the plan's [comparability]."
UNMASKED = "unblinded"


def masked(view: View, role: str) -> str:
    """Why scores are not shown to this role; empty when they are."""
    return WHY_MASKED if view.started.get("blinded") and role != UNMASKED else ""


def scores_shown(view: View, band: str, role: str) -> Scores:
    """Series and table of one band ("alpha", "low_beta", "high_beta", "pooled")."""
    band = band if band in BANDS else POOLED
    why = masked(view, role)
    current = split_key(block_now(view))[0] or view.target
    decision, tested = view.decision, _tested(view)
    matched = None if why or decision is None else decision.get("scores")
    table = _table(
        view.targets,
        view.started,
        None if why else view.ranking,
        band,
        why,
        current,
        view.phase,
        tested,
        matched,
    )
    if why:
        return Scores(
            masked=why, band=band, bands=BANDS, global_=(), local=(), table=table, words=_masked_words(view)
        )  # fmt: skip
    paths = view.paths
    order = tuple(k for k in _order(view.started, view.targets) if "/" not in k)
    return Scores(
        masked="", band=band, bands=BANDS, global_=_series(paths, order, "global", band),
        local=_series(paths, order, "local", band),
        table=table, words=_words(view.started, view.ranking, view.decision or view.map_look, view.targets, band),
        wanted=max((_wanted(view.started, k, "run") or 0 for k in order), default=0),
    )  # fmt: skip


def _order(started: Mapping[str, Any], targets: Mapping[str, TargetView]) -> list[str]:
    """Keys of the table: the targets as the plan lists them, then control blocks; never a preview."""
    names = [str(t) for t in started.get("targets") or ()]
    more = [k for k, t in targets.items() if t.block != "preview" and k not in names]
    return names + more


def _series(paths: Mapping[str, Any], order: tuple[str, ...], scope: str, band: str) -> tuple[Series, ...]:
    """One series for each target with a score."""
    made = (_one_series(key, paths[key], scope, band) for key in order if key in paths)
    return tuple(s for s in made if s.n)


def _points(key: str, rows: tuple[Mapping[str, Any], ...], scope: str, band: str) -> Series:
    """The score after each trial; a point where there was none is left out."""
    found = [(int(row["n"]), row[scope][band]) for row in rows if band in row.get(scope, ())]
    n, points = [], []
    for i, point in found:
        if None not in point:
            n.append(i)
            points.append([SCALE * x for x in point])
    value, low, high = zip(*points, strict=True) if points else ((), (), ())
    return Series(target=key, n=tuple(n), value=value, low=low, high=high)


_one_series = kept(_points, results=64)


def _wanted(started: Mapping[str, Any], target: str, block: str) -> int | None:
    return next(
        (
            s.get("pulses_wanted")
            for s in started.get("steps") or ()
            if s.get("target") == target and s.get("block") == block
        ),
        None,
    )


@kept
def _table(
    targets: Mapping[str, TargetView], started: Mapping[str, Any], ranking: Mapping[str, Any] | None, band: str,
    why_masked: str, current: str, phase: str, tested: list[Mapping[str, Any]] | None, matched: list[Mapping[str, Any]] | None,
) -> tuple[TargetRow, ...]:  # fmt: skip
    places = {p["target"]: p for p in (ranking or {}).get("places", ())}
    counts = {k: targets[k].n_accepted for k in _order(started, targets) if k in targets and "/" not in k}
    rows = []
    for key in _order(started, targets):
        name, block = split_key(key)
        t = targets.get(key)
        accepted, rejected = (t.n_accepted, t.n_rejected) if t else (0, 0)
        wanted = _wanted(started, name, block)
        global_, local, snr = (
            _estimate(t, *which) for which in (("global", band), ("local", band), (None, "snr"))
        )
        place = places.get(key, {})
        comparable, known = _comparable(key, snr, counts, tested, comparing(started))
        tips = [] if why_masked else [
            (name, e.why_absent) for name, e in (("GLOBAL", global_), ("LOCAL", local)) if e is not None and not e.present
        ]  # fmt: skip
        if said := _matched(key, matched):
            tips.append(("GLOBAL", said))
        if snr is not None and not snr.present:
            tips.append(("SNR", snr.why_absent))
        rows.append(
            TargetRow(
                target=key, current=name == current and phase != "ended",
                n=f"{accepted} / {wanted}" if wanted is not None else str(accepted),
                rejected=f"{rejected} ({share(rejected, accepted + rejected)})" if accepted + rejected else "-",
                global_=MASKED if why_masked else _score(global_, SCALE, 1),
                local=MASKED if why_masked else _score(local, SCALE, 1),
                snr=_score(snr, 1.0, 2), p_lowest=MASKED if why_masked else _p(place.get("p_lowest")),
                p_highest=MASKED if why_masked else _p(place.get("p_highest")), comparable=comparable,
                state=_state(t, wanted, name == current, phase), tips=(*tips, ("Comparable", known)),
            )
        )  # fmt: skip
    return tuple(rows)


def _estimate(t: TargetView | None, scope: str | None, name: str) -> Estimate | None:
    if t is None or t.scores is None:
        return None
    try:
        return estimate_of(
            t.scores["evoked"][name] if scope is None else t.scores["connectivity"]["dwpli2"][scope][name]
        )
    except (KeyError, TypeError):
        return None


def _score(e: Estimate | None, scale: float, digits: int) -> str:
    """Value and interval; short words where there is none (the whole is in the cell's tool tip)."""
    if e is None:
        return "-"
    if e.present:
        return number(e, scale, digits)
    few = TOO_FEW.search(e.why_absent)
    return f"none yet ({few[1]} of {few[2]})" if few else "none"


def _p(p: float | None) -> str:
    return "-" if p is None else f"{p:.2f}"


def comparing(started: Mapping[str, Any]) -> str:
    """Whether anybody tests that the targets may be compared."""
    return AT_LOOKS if started.get("decision") else BY_EYE


def _tested(view: View) -> list[Mapping[str, Any]] | None:
    """The rows of the newest test of comparability, of the decision or the last look; None before there was one."""
    last = view.decision or {}
    found = last.get("findings") or ((view.map_look or {}).get("comparability") or {}).get("findings")
    return found or None


def _comparable(
    key: str,
    snr: Estimate | None,
    counts: Mapping[str, int],
    tested: list[Mapping[str, Any]] | None,
    who: str,
) -> tuple[Line, str]:
    """What the last test said of this target; where nobody tested, what is known that speaks for or against comparing."""
    rows = [f for f in tested or () if f["target"] == key]
    if rows:
        failed = [f for f in rows if not f["passed"]]
        said = "; ".join(f"{f['words']} What to do: {f['remedy']}." for f in failed)
        if failed:
            return Line(text=f"NO ({len(failed)} of {len(rows)})", tone=Tone.BAD), f"last look: {said}"
        return Line(text="yes", tone=Tone.GOOD), f"last look: all {len(rows)} checks passed"
    known = []
    if snr is not None and snr.present:
        known.append(f"SNR {snr.value:.2f}")
    others = [n for k, n in counts.items() if k != key and n]
    if key in counts and counts[key] and others and (min(others), max(others)) != (counts[key], counts[key]):
        span = f"{min(others)}" if min(others) == max(others) else f"{min(others)} to {max(others)}"
        known.append(f"n {counts[key]}, the others {span}")
    return Line(text=NOT_TESTED, tone=Tone.OFF), "; ".join([who, *known])


def _matched(key: str, rows: list[Mapping[str, Any]] | None) -> str:
    """The noise-matched score beside the raw one, pooled; it has no interval of its own that would not be too narrow."""
    for row in rows or ():
        if row["target"] == key:
            e = estimate_of(row["matched"])
            value = (
                f"{SCALE * e.value:.1f} (no interval: it would be too narrow)"
                if e.present
                else f"none ({e.why_absent})"
            )
            return f"pooled, noise-matched at the last look: {value}; {row['words']}"
    return ""


def _state(t: TargetView | None, wanted: int | None, current: bool, phase: str) -> str:
    if t is not None and t.accepted_by_operator:
        return "accepted"
    if current and phase not in ("ended", "not started", "started"):
        return {"paused": "paused", "review": "to be reviewed"}.get(phase, "now")
    if t is None or not t.n_accepted + t.n_rejected:
        return "not yet"
    return "enough pulses" if wanted is not None and t.n_accepted >= wanted else "begun"


@kept
def _words(
    started: Mapping[str, Any], ranking: Mapping[str, Any] | None, decision: Mapping[str, Any] | None,
    targets: Mapping[str, TargetView], band: str,
) -> tuple[Line, ...]:  # fmt: skip
    meaning = "Scores: dwPLI² × 1000, value [95 % interval, jackknife]."
    if ranking is not None:
        of = "" if band == POOLED else f" Of the pooled band, not of {band.replace('_', ' ')}."
        meaning += f" P(lowest), P(highest): {ranking.get('label', '')}.{of}"
    lines = [Line(text=f"{meaning} {comparing(started)}", tone=Tone.OFF)]
    if started.get("kind") == "probe":
        for key in _order(started, targets):
            lmfp, itc = (_estimate(targets.get(key), None, n) for n in ("lmfp_uv", "itc_local:pooled"))
            if lmfp is not None and itc is not None:
                lines.append(Line(text=f"{key}: LMFP {number(lmfp, 1, 2, ' µV')}, ITC {number(itc, 1, 2)}"))
    if decision is not None:
        lines.append(Line(text=str(decision.get("words", ""))))
        if decision.get("note"):
            lines.append(Line(text=str(decision["note"]), tone=Tone.ATTENTION))
    return tuple(lines)


def _masked_words(view: View) -> tuple[Line, ...]:
    """Enough or undecided, and nothing that tells the arm or the order."""
    lines = [Line(text=f"{WHY_MASKED}. {comparing(view.started)}", tone=Tone.OFF)]
    d = view.decision
    if d is not None:
        if d.get("kind") == "undecided":
            more = d.get("more_pulses")
            lines.append(
                Line(
                    text="undecided" if more is None else f"undecided: {more} more pulses",
                    tone=Tone.ATTENTION,
                )
            )
        elif d.get("kind") == "not_comparable":
            lines.append(
                Line(text="not comparable; what to do is in the quality of the targets", tone=Tone.ATTENTION)
            )
        else:
            lines.append(Line(text="the map is complete; what it says is in the record"))
        if d.get("note"):
            lines.append(Line(text=str(d["note"]), tone=Tone.ATTENTION))
    return tuple(lines)


def head_shown(view: View, live: Live, block: str | None, band: str, role: str) -> Head:
    """Electrodes, what is wrong with which, and whose connections are drawn."""
    key = block if block and block in view.targets else block_now(view)
    why = masked(view, role)
    return _head(
        key,
        view.targets,
        view.started,
        bad_now(view),
        view.held_channels,
        band if band in BANDS else POOLED,
        why,
    )


@kept
def _head(
    key: str,
    targets: Mapping[str, TargetView],
    started: Mapping[str, Any],
    bad: tuple[str, ...],
    held: tuple[str, ...],
    band: str,
    why: str,
) -> Head:
    name = split_key(key)[0]
    t = targets.get(key)
    reasons = dict.fromkeys(bad, "the stream watch calls it bad")
    for n in held:
        reasons.setdefault(n, "left out over trials")
    for n in () if t is None else t.bad_channels:
        reasons.setdefault(str(n), "left out of the newest trial")
    words = (
        WHY_MASKED
        if why
        else ""
        if t is None
        else f"the {STRONGEST} largest dwPLI² of {t.n_accepted} accepted trials, {band.replace('_', ' ')}"
    )
    return Head(
        target=name, local=local_of(started, name), bad=tuple(reasons.items()),
        block=key, band=BANDS.index(band), strongest=STRONGEST, masked=why, words=words,
    )  # fmt: skip
