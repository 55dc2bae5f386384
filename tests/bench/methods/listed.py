"""Owns the list of methods the validation knows and how each is set up; owns none of them."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

from methods import components, published
from methods.kinds import Method

from rtloop.dsp.spec import ChainSpec

#: channels are judged, but no trial is left out: its verdict is only counted
FAST = ChainSpec()
#: what the offline peers start from: nothing judged, nothing fitted
BLANK = replace(FAST, quality=False, decay=False)
#: no decay fit but in trials that no filter cleans: what ``muscle = true`` in a plan gives (docs/decisions/0014, 0015)
_SHIPPED = {"muscle": True, "muscle_early": True, "decay": False, "decay_first": True}
#: the chain of the shipped plans, and what it differs from: name -> (title, how, settings)
SPATIAL = {
    "full": ("full chain", "patterns learnt before any answer, decay fit in the first trials only", _SHIPPED),
    "full_late": (
        "full, from behind the gap", "artifact patterns learnt from 12-30 ms", {**_SHIPPED, "muscle_early": False},
    ),
    "full_sound": ("full + SOUND", "the same with SOUND", {**_SHIPPED, "sound": True}),
    "fast_sound": ("fast + SOUND", "gated decay and SOUND", {"sound": True}),
    "fast_muscle": ("fast + muscle", "gated decay and artifact patterns", {"muscle": True}),
}  # fmt: skip


def _ours() -> list[Method]:
    out = [
        Method(
            name="blank",
            title="blanking only",
            settings="-2..+12 ms bridged (cubic); decay left in",
            spec=BLANK,
        ),
        Method(
            name="fast",
            title="fast chain",
            settings="bridge, gated decay; no spatial stage; past pulses only",
            spec=FAST,
        ),
    ]
    for name, (title, how, settings) in SPATIAL.items():
        spec = replace(FAST, **settings)
        out.append(Method(name=name, title=title, settings=f"bridge, {how}; past pulses only", spec=spec))
    return out


def methods() -> dict[str, Method]:
    """All methods by name, the product's own first."""
    denoise, ica = "mne_denoise", "sklearn"
    listed = [
        *_ours(),
        Method(
            name="sound", title="SOUND", settings=published.SOUND_SETTINGS, offline=published.sound, needs=denoise
        ),
        Method(
            name="sspsir", title="SSP-SIR", settings=published.SSPSIR_SETTINGS, offline=published.sspsir, needs=denoise
        ),
        Method(
            name="sound_sspsir", title="SOUND, SSP-SIR", offline=published.sound_sspsir, needs=denoise,
            settings=f"{published.SOUND_SETTINGS}; then {published.SSPSIR_SETTINGS}",
        ),
        Method(name="ica", title="ICA", settings=components.ICA_SETTINGS, offline=components.ica, needs=ica),
        Method(
            name="ica_sound", title="ICA, SOUND", offline=components.ica_sound, needs=denoise,
            settings=f"{components.ICA_SETTINGS}; then {published.SOUND_SETTINGS}",
        ),
    ]  # fmt: skip
    return {m.name: m for m in listed}


def lacking(method: Method) -> str:
    """Why a method cannot be run here; empty: it can."""
    if method.needs and importlib.util.find_spec(method.needs) is None:
        return f"{method.title} needs the package {method.needs.replace('_', '-')}, which is not installed"
    return ""
