"""Owns the single trial, the list of trials and the running average as they are told in words; owns no waveform."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from gui.asking import PULSING, asked_step, move_button
from gui.kept import kept, kept_each
from gui.lights import TONES, light_tone, light_words, trial_findings
from gui.live import Live
from gui.local import local_of
from gui.numbers import block_words, power_words, share, split_key
from gui.shown import Evoked, Fact, Line, Tone, Trial, TrialRow
from rtloop.model.view import TargetView, View, key_of
from rtloop.quality.lights import spoken

#: number of a verdict -> (name, unit, what it is); defined in rtloop.dsp.quality, judged in rtloop.quality
NUMBERS = {
    "early_local_pp_uv": ("early response", "µV",
        "peak to peak of the mean of the LOCAL electrodes, end of the gap (8 ms at the earliest) to 50 ms, this one trial"),
    "residual_decay_uv": ("residual decay", "µV",
        "amplitude at the end of the gap that a power-law fit still finds after the decay was removed; worst good channel"),
    "removed_decay_uv": ("removed decay", "µV",
        "amplitude at the end of the gap of the decay that was fitted and removed; worst good channel (the map shows all)"),
    "decay_back_ms": ("artifact over after", "ms",
        "instant after the pulse from which nine tenths of the good channels are back among what they do before it"),
    "muscle_post_uv": ("muscle after", "µV",
        "fast activity 12 to 60 ms after the pulse (second difference, read as if at 150 Hz)"),
    "muscle_pre_uv": ("muscle before", "µV",
        "fast activity before the pulse (second difference, read as if at 150 Hz)"),
    "post_pp_uv": ("peak to peak after", "µV", "largest swing of a good channel after the pulse"),
    "pre_pp_uv": ("peak to peak before", "µV", "largest swing of a good channel before the pulse"),
    "line_noise_uv": ("line noise", "µV", "amplitude at the mains frequency before the pulse, worst good channel"),
    "blink_uv": ("blink-like", "µV", "largest slow deflection at the three electrodes nearest Fpz"),
    "bad_channels_pct": ("bad channels", "%", "share of the electrodes left out of this trial"),
}  # fmt: skip
#: rules of a verdict in the operator's words
RULES = {
    "bad channels": "too many bad channels", "good channels": "too few good channels",
    "peak to peak pre pulse": "large swing before the pulse", "peak to peak post pulse": "large swing after the pulse",
    "blink-like frontal amplitude": "blink", "residual decay": "decay left after cleaning",
    "fast activity before the pulse": "muscle before the pulse", "fast activity after the pulse": "muscle after the pulse",
}  # fmt: skip


def gap_ms(view: View) -> tuple[float, float]:
    """What is bridged around the pulse, ms; (0, 0) where nothing is."""
    chain = view.started.get("chain") or {}
    gap = chain.get("gap_s")
    if not gap or not chain.get("bridge", True):
        return 0.0, 0.0
    return float(gap[0]) * 1e3, float(gap[1]) * 1e3


@kept_each
def _trial_row(pulse_id: int, p: Mapping[str, Any], started: Mapping[str, Any]) -> TrialRow | None:
    if "trial_id" not in p:
        return None
    accepted, light = bool(p["accepted"]), str(p.get("light") or "")
    words = (str(p.get("verdict") or "good"), light_words(p, started))
    return TrialRow(
        trial_id=int(p["trial_id"]), pulse_id=pulse_id, block=key_of(str(p["target"]), str(p["block"])),
        accepted=accepted, words=", ".join(x for x in words if x), light=light_tone(light, accepted),
    )  # fmt: skip


@kept
def trials_shown(pulses: Mapping[int, Mapping[str, Any]], started: Mapping[str, Any]) -> tuple[TrialRow, ...]:
    """Every judged trial, in order."""
    return tuple(
        sorted([r for r in _trial_row(pulses, started) if r is not None], key=attrgetter("trial_id"))
    )


@kept
def judged_trial(
    pulses: Mapping[int, Mapping[str, Any]], started: Mapping[str, Any], trial_id: int | None
) -> Mapping[str, Any] | None:
    """The pulse of a trial; of the newest trial where none (or none that is there) is chosen."""
    rows = trials_shown(pulses, started)
    found = next((r for r in rows if r.trial_id == trial_id), None) if trial_id is not None else None
    row = found or (rows[-1] if rows else None)
    return None if row is None else pulses[row.pulse_id]


def trial_shown(view: View, live: Live, trial_id: int | None) -> Trial:
    """The chosen trial, or the newest."""
    gap = gap_ms(view)
    p = judged_trial(view.pulses, view.started, trial_id)
    if p is None:
        return Trial(trial_id=None, title="no trial yet", verdict=Line(), gap_ms=gap)
    accepted, i = bool(p["accepted"]), int(p["trial_id"])
    parts = (
        f"trial {i}",
        f"pulse {p['pulse_id']}",
        block_words(str(p["target"]), str(p["block"])),
        power_words(p),
    )
    words = str(p.get("verdict") or "")
    verdict = (
        (f"accepted: {words}" if words else "accepted")
        if accepted
        else f"rejected: {words or 'no reason given'}"
    )
    light = str(p.get("light") or "")
    verdict += f", {more}" if (more := light_words(p, view.started)) else ""
    return Trial(
        trial_id=i, title=" · ".join(x for x in parts if x),
        verdict=Line(text=verdict, tone=light_tone(light, accepted)),
        facts=_facts(p, view.started), move=move_button(i, accepted, view, live), gap_ms=gap,
    )  # fmt: skip


@kept
def _facts(p: Mapping[str, Any], started: Mapping[str, Any]) -> tuple[Fact, ...]:
    numbers, facts = p.get("numbers") or {}, []
    judged = {f["name"]: f for f in trial_findings(p, started)}
    for key, (name, unit, meaning) in NUMBERS.items():
        value, found = numbers.get(key), judged.get(key)
        if value is None:
            continue
        if found is None:
            facts.append(Fact(name=name, value=spoken(float(value), unit), meaning=meaning))
            continue
        limit = found["yellow"] if found["red"] is None else found["red"]
        tone = TONES[found["light"]]
        told = "RED beyond" if found["red"] is not None else "YELLOW beyond"
        facts.append(
            Fact(name=name, value=f"{float(value):.3g} / {limit:.4g} {unit}", tone=Tone.PLAIN if tone is Tone.GOOD else tone,
                 meaning=f"{meaning}; value / limit ({told} it)" + (f". {found['todo']}" if found["todo"] else ""))
        )  # fmt: skip
    if p.get("source"):
        checked = p.get("checked_by")
        off = p.get("disagreement_samples")
        more = (
            "" if not checked else f", checked by {checked}" + ("" if off is None else f" ({off:+g} samples)")
        )
        facts.append(
            Fact(name="instant from", value=f"{p['source']}{more}", tone=Tone.BAD if p.get("alarm") else Tone.PLAIN,
                 meaning="what the pulse's instant was taken from, and by how many samples the second source differs")
        )  # fmt: skip
    return tuple(facts)


# -- the running average ---------------------------------------------------------------------------------------


def block_now(view: View) -> str:
    """Key of the block under way: what is pulsed or asked about, else that of the newest trial; empty before any."""
    asked = {"go": "preview", "review": "run", "listen": "run"}.get(view.phase, "")
    step = asked_step(view)
    block = view.phase if view.phase in PULSING else asked if step is None else step[1]
    if block and view.target and key_of(view.target, block) in view.targets:
        return key_of(view.target, block)
    newest = judged_trial(view.pulses, view.started, None)
    if newest is not None:
        return key_of(str(newest["target"]), str(newest["block"]))
    return key_of(view.target, block) if block and view.target else ""


def evoked_shown(view: View, block: str | None) -> Evoked:
    """The average of the chosen block, or of the one under way."""
    key = block if block and block in view.targets else block_now(view)
    return _evoked(key, view.targets, view.started)


@kept
def _evoked(key: str, targets: Mapping[str, TargetView], started: Mapping[str, Any]) -> Evoked:
    chain = started.get("chain") or {}
    gap = chain.get("gap_s") if chain.get("bridge", True) else None
    ends = (float(gap[0]) * 1e3, float(gap[1]) * 1e3) if gap else (0.0, 0.0)
    target, block = split_key(key)
    t = targets.get(key)
    local = local_of(started, target)
    if not key or t is None:
        return Evoked(
            block=key,
            title="no average yet",
            counts=Line(),
            reasons=(),
            gap_ms=ends,
            local=local,
            blocks=tuple(targets),
        )
    given = t.n_accepted + t.n_rejected
    limit = ((started.get("criteria") or {}).get(target) or {}).get("rejected_share_max")
    over = limit is not None and given > 0 and not t.n_rejected <= float(limit) * given
    words = f"{t.n_accepted} accepted, {t.n_rejected} rejected ({share(t.n_rejected, given)})"
    if limit is not None:
        words += f"; the plan allows {100 * float(limit):.0f} % rejected"
    reasons = sorted(t.reasons.items(), key=lambda item: -item[1])
    return Evoked(
        block=key, title=f"{block_words(target, block)}: average of {t.n_accepted} trials", gap_ms=ends, local=local,
        counts=Line(text=words, tone=Tone.ATTENTION if over else Tone.PLAIN),
        reasons=tuple(f"{RULES.get(rule, rule)}: {n}" for rule, n in reasons), blocks=tuple(targets),
    )  # fmt: skip
