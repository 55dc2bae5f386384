"""Owns the lights of trials, of a block and of held channels as they are told in words; owns no limit and no judgement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gui.kept import kept
from gui.numbers import block_words, split_key
from gui.shown import Line, Tone
from rtloop.model.view import View, key_of
from rtloop.session.lit import findings_of, lit_words

#: light of rtloop.quality -> tone; "absent" is no green
TONES = {"green": Tone.GOOD, "yellow": Tone.ATTENTION, "red": Tone.BAD, "absent": Tone.OFF}
_WORST_FIRST = ("red", "yellow", "absent", "green")
HELD = "left out until good again: they failed in several of the last trials; drawn from their neighbours, they count in no score"
Found = Mapping[str, Any]


def light_tone(light: str, accepted: bool) -> Tone:
    """Of a trial: RED is its rejection; accepted by a person against a RED number, it stays marked. A record from before
    the lights tells only whether it was accepted."""
    if not accepted:
        return Tone.BAD
    return Tone.ATTENTION if light in ("yellow", "red") else Tone.GOOD


trial_findings = kept(findings_of)


def light_words(p: Found, started: Found) -> str:
    """Light and reason of an accepted trial where it is not GREEN: "yellow: line noise 12 µV (limit 10)"."""
    return lit_words(p, trial_findings(p, started))


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
