"""Owns the lights of trials, of a block and of held channels as they are told in words; owns no limit and no judgement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gui.kept import kept
from gui.numbers import block_words, split_key
from gui.shown import Line, Tone
from rtloop.dsp.spec import ChainSpec
from rtloop.model.estimate import Verdict
from rtloop.model.view import View, key_of
from rtloop.quality.limits import REJECTING, QualityLimits
from rtloop.quality.trial import judge_trial

#: light of rtloop.quality -> tone; "absent" is no green
TONES = {"green": Tone.GOOD, "yellow": Tone.ATTENTION, "red": Tone.BAD, "absent": Tone.OFF}
_WORST_FIRST = ("red", "yellow", "absent", "green")
HELD = "left out until good again: they failed in several of the last trials; drawn from their neighbours, they count in no score"
#: number of a verdict -> its short name
SHORT = {
    "bad_channels_pct": "bad channels", "good_channels": "good channels", "pre_pp_uv": "peak to peak before",
    "post_pp_uv": "peak to peak after", "blink_uv": "blink-like", "residual_decay_uv": "residual decay",
    "muscle_pre_uv": "muscle before", "muscle_post_uv": "muscle after", "line_noise_uv": "line noise",
    "decay_back_ms": "artifact over after",
}  # fmt: skip
Found = Mapping[str, Any]


def light_tone(light: str, accepted: bool) -> Tone:
    """Of a trial: RED is its rejection; accepted by a person against a RED number, it stays marked. A record from before
    the lights tells only whether it was accepted."""
    if not accepted:
        return Tone.BAD
    return Tone.ATTENTION if light in ("yellow", "red") else Tone.GOOD


def light_words(p: Found, started: Found) -> str:
    """Light and reason of an accepted trial where it is not GREEN: "yellow: line noise 12 µV (limit 10)"."""
    light = str(p.get("light") or "")
    if not p["accepted"] or light not in ("yellow", "red"):
        return ""
    worst = [f for f in trial_findings(p, started) if f["light"] == light and f["value"] is not None]
    if not worst:
        return f"{light} light"
    more = f" and {len(worst) - 1} more" if len(worst) > 1 else ""
    return f"{light}: {told(worst[0])}{more}"


def told(f: Found) -> str:
    """A judged number with unit and the limit that it passed: "line noise 12.3 µV (limit 10)"."""
    at = f["red"] if f["light"] == "red" else f["yellow"]
    return f"{SHORT.get(f['name'], f['what'])} {with_unit(f['value'], f['unit'])} (limit {at:.3g})"


def with_unit(value: float, unit: str) -> str:
    """Three digits and the unit."""
    return f"{value:.3g} {unit}".strip() if abs(value) < 1000 else f"{value:.0f} {unit}".strip()


@kept
def trial_findings(p: Found, started: Found) -> tuple[Found, ...]:
    """Every judged number of a trial, as the engine judged it: from the numbers and limits of the record, by the same rule."""
    numbers: Mapping[str, float] = {k: float(v) for k, v in (p.get("numbers") or {}).items() if v is not None}
    if not numbers:
        return ()
    chain, plans = started.get("chain") or {}, started.get("quality") or {}
    reject = {name: float(chain.get(name, getattr(ChainSpec, name))) for _, name, _ in REJECTING.values()}
    limits = QualityLimits(
        trial={k: tuple(v) for k, v in (plans.get("trial") or {}).items()},
        **({"yellow_share": float(plans["yellow_share"])} if "yellow_share" in plans else {}),
    )
    broken = []
    for name, (rule, limit_name, row) in REJECTING.items():
        value, limit = numbers.get(name), reject[limit_name]
        sign = 1.0 if row.worse == "above" else -1.0
        if value is not None and not sign * value <= sign * limit:
            broken.append((rule, value, limit, row.unit))
    judged = judge_trial(Verdict(accepted=not broken, reasons=tuple(broken), numbers=numbers), reject, limits)
    return tuple(f.to_dict() for f in judged.findings)


def quality_shown(view: View, block: str, p: Found | None = None) -> tuple[Line, ...]:
    """The lights of a block ("M1", "M1/preview"), of the trial that is looked at (``p``: its pulse), and held channels.

    First what each comes to, then each number of the trial, then of the block: the worst first, the absent with their reason.
    """
    found = view.targets.get(block)
    judged = None if found is None else found.quality
    heads, rows = _block(block, judged)
    of_trial = () if p is None else _trial(p, view.started)
    return (*heads, *of_trial[:1], _channels(view.bad_channels, view.held_channels), *of_trial[1:], *rows)


@kept
def _channels(bad: tuple[str, ...], held: tuple[str, ...]) -> Line:
    names = [f"bad now: {', '.join(bad) or 'none'}", f"left out over trials: {', '.join(held) or 'none'}"]
    why = f" ({HELD})" if held else ""
    return Line(text=f"channels {'; '.join(names)}{why}", tone=Tone.ATTENTION if bad or held else Tone.PLAIN)


@kept
def _block(block: str, judged: Found | None) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    where = block_words(*split_key(block)) if block else "no block yet"
    if judged is None:
        wait = Line(text=f"{where}: not judged yet (every 10 trials, and when it is reviewed)", tone=Tone.OFF)
        return (wait,), ()
    when = "so far" if judged["running"] else "as reviewed"
    worst, n = str(judged["light"]), len(judged["findings"])
    head = Line(
        text=f"{where}, {when}: {worst.upper()}: {_words(judged['words'])}", tone=TONES.get(worst, Tone.PLAIN)
    )
    rows = (Line(text=f"{where}, {when}: each of {n} numbers, the worst first"), *_each(judged["findings"]))
    return (head,), rows


@kept
def _trial(p: Found, started: Found) -> tuple[Line, ...]:
    """The trial in a line, then its numbers."""
    accepted, findings = bool(p["accepted"]), trial_findings(p, started)
    where = f"trial {p['trial_id']} of {block_words(*split_key(key_of(str(p['target']), str(p['block']))))}"
    why = str(p.get("verdict") or "")
    light = str(p.get("light") or "") or ("not known (an older record)" if accepted else "red")
    words = f"accepted, {light.upper()}" if accepted else "rejected, RED"
    if more := light_words(p, started).partition(": ")[2] or why:
        words += f": {more}"
    head = Line(text=f"{where}: {words}", tone=light_tone(light, accepted))
    if not findings:
        return head, Line(text=f"{where}: no number, no epoch could be cut", tone=Tone.OFF)
    return (head, Line(text=f"{where}: each of {len(findings)} numbers, the worst first"), *_each(findings))


def _each(findings: Iterable[Found]) -> list[Line]:
    return [_finding(f) for f in sorted(findings, key=lambda f: _place(str(f["light"])))]


def _place(light: str) -> int:
    return _WORST_FIRST.index(light) if light in _WORST_FIRST else 0


def _finding(f: Found) -> Line:
    """Its light as a word, too: a colour is never the only sign."""
    light = str(f["light"])
    todo = f". {_capital(f['todo'])}." if f.get("todo") else ""
    return Line(text=f"{light}: {_words(f['words'])}{todo}", tone=TONES.get(light, Tone.PLAIN))


def _words(words: str) -> str:
    """Without the light, which stands before them here."""
    return words.replace("(yellow light; ", "(").replace("(red light; ", "(").removeprefix("rejected: ")


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
