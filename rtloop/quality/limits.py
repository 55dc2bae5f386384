"""Owns what of a trial and of a recording is judged, with default limits and their sources; owns no number.

Limits named here are plan values (``[quality.limits]``). Those that reject a trial are the cleaning chain's own
(``[quality.reject]``): the light of such a number is RED exactly where the chain rejects.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rtloop.errors import ValidationProblem
from rtloop.quality.lights import ABOVE, BELOW, Row

ASSUMED = "assumption of this project"
CASAROTTO = "Casarotto 2022, 10.1016/j.jneumeth.2022.109486"

#: number of a trial's verdict -> (rule in its reasons, the chain's limit, row); limits come from the chain
REJECTING: dict[str, tuple[str, str, Row]] = {
    name: (rule, limit, Row(name=name, what=what, unit=unit, worse=worse, limits=(), source=source, todo=todo))
    for name, rule, limit, what, unit, worse, source, todo in (
        ("bad_channels_pct", "bad channels", "max_bad_channels_pct", "share of bad channels", "%", ABOVE, CASAROTTO,
         "look at the named channels: gel, cable, pressure of the coil"),
        ("good_channels", "good channels", "min_channels", "good channels", "", BELOW, ASSUMED,
         "repair electrodes; no score is possible with so few"),
        ("pre_pp_uv", "peak to peak pre pulse", "max_pre_pp_uv", "peak to peak before the pulse", "µV", ABOVE, ASSUMED,
         "movement, swallowing or sweat: let the person rest, look at the electrode"),
        ("post_pp_uv", "peak to peak post pulse", "max_post_pp_uv", "peak to peak after the pulse", "µV", ABOVE, ASSUMED,
         "movement, muscle or a loose electrode under the coil: lower the intensity or turn the coil"),
        ("blink_uv", "blink-like frontal amplitude", "max_blink_uv", "blink-like frontal amplitude", "µV", ABOVE, ASSUMED,
         "ask the person to fix a point and to blink between pulses"),
        ("residual_decay_uv", "residual decay", "max_residual_decay_uv", "decay left after its removal", "µV", ABOVE,
         ASSUMED, "lower the impedance of the electrodes near the coil, turn their leads away from it"),
        ("muscle_pre_uv", "fast activity before the pulse", "max_muscle_pre_uv", "fast activity before the pulse", "µV",
         ABOVE, ASSUMED, "ask the person to relax jaw and neck"),
        ("muscle_post_uv", "fast activity after the pulse", "max_muscle_post_uv", "fast activity after the pulse", "µV",
         ABOVE, ASSUMED, "turn or tilt the coil, move it towards the midline, or lower the intensity"),
    )
}  # fmt: skip
#: YELLOW begins at this share of a limit that rejects (above it where less is worse); an assumption
YELLOW_SHARE = 0.75

_TRIAL = (
    Row(name="line_noise_uv", what="line noise at the worst good channel", unit="µV", worse=ABOVE, limits=(10.0,),
        source=ASSUMED, todo="lower the impedance of that electrode, move mains cables away, check the ground"),
    Row(name="decay_back_ms", what="artifact over at nine tenths of the channels after", unit="ms", worse=ABOVE,
        limits=(10.0,), source="2-3 ms in a good set-up (practice); the limit is an " + ASSUMED,
        todo="lower impedances, turn the leads at a right angle to the coil, check the amplifier's low-pass"),
)  # fmt: skip
_RECORDING = (
    Row(name="accepted_trials", what="accepted trials", unit="", worse=BELOW, limits=(100.0, 60.0),
        source="100 wanted (trial protocol); 60 is where the global ranking settles (simulated)",
        todo="give more pulses"),
    Row(name="average_trials", what="trials behind the average", unit="", worse=BELOW, limits=(10.0,), source=CASAROTTO,
        todo="look at single trials first; an average is worth looking at from 10 to 30 trials"),
    Row(name="rejected_pct", what="share of rejected trials", unit="%", worse=ABOVE, limits=(20.0, 30.0),
        source=f"RED {CASAROTTO}: the set-up is questionable; YELLOW {ASSUMED}",
        todo="remove the commonest reason before going on"),
    Row(name="bad_channels_pct", what="channels bad in half of the trials or left out", unit="%", worse=ABOVE,
        limits=(10.0, 30.0), source=f"RED {CASAROTTO}: the set-up is questionable; YELLOW {ASSUMED}",
        todo="repair the named electrodes"),
    Row(name="line_noise_uv", what="line noise at the worst good channel, median", unit="µV", worse=ABOVE,
        limits=(5.0, 20.0), source=ASSUMED, todo="lower impedances, move mains cables away, check the ground"),
    Row(name="decay_left_uv", what="decay left after its removal, median of the worst channel", unit="µV", worse=ABOVE,
        limits=(50.0, 150.0), source=ASSUMED, todo="lower impedances near the coil, turn the leads away from it"),
    Row(name="decay_back_ms", what="artifact over at nine tenths of the channels after, median", unit="ms", worse=ABOVE,
        limits=(10.0, 50.0), source="2-3 ms in a good set-up (practice); the limits are an " + ASSUMED,
        todo="lower impedances, turn the leads at a right angle to the coil, check the amplifier's low-pass"),
    Row(name="muscle_uv", what="fast activity after the pulse, median of the worst channel", unit="µV", worse=ABOVE,
        limits=(50.0, 150.0), source=ASSUMED + "; muscle hides the early response (Gogulski 2024)",
        todo="turn or tilt the coil, move it towards the midline, or lower the intensity"),
    Row(name="blink_pct", what="share of trials with a blink", unit="%", worse=ABOVE, limits=(15.0, 30.0), source=ASSUMED,
        todo="ask the person to fix a point and to blink between pulses"),
    Row(name="pulse_jitter_ms", what="jitter between the two sources of the pulse's instant (the gap moves with it)",
        unit="ms", worse=ABOVE, limits=(0.3, 1.0), source=ASSUMED,
        todo="check the trigger line; widen the gap by the jitter"),
    Row(name="early_local_pp_uv", what="early response near the coil", unit="µV", worse=BELOW, limits=(8.0,),
        source=f"a practical aim of 8-10 µV, no universal threshold ({CASAROTTO})",
        todo="raise the intensity, turn or move the coil, then begin the average anew"),
    Row(name="sensory_ratio", what="late vertex response over the early one near the coil", unit="times", worse=ABOVE,
        limits=(2.0, 4.0), source="weak early response with a large N100-P200 points to sensation (practice); limits: "
        + ASSUMED, todo="retune the masking noise (after every change of intensity), add foam under the coil"),
    Row(name="control_trials", what="accepted trials of a control block", unit="", worse=BELOW, limits=(20.0,),
        source="components after about 80 ms are not site specific (Freedberg 2020); the count is an " + ASSUMED,
        todo="sensory responses cannot be separated without a control block: plan one (sham or shoulder)"),
    Row(name="split_half_r", what="split-half reliability of the average", unit="", worse=BELOW, limits=(0.8, 0.5),
        source=ASSUMED, todo="give more pulses; where that does not help, the response is too small: raise it first"),
    Row(name="pre_plv_inflation", what="phase locking before the pulse that the spatial cleaning added", unit="",
        worse=ABOVE, limits=(0.02, 0.05), source="aim of the project; RED " + ASSUMED,
        todo="trust dwPLI² and wPLI, not PLV; raise the regularisation or switch the spatial stage off"),
    Row(name="equal_channels", what="pairs of channels with the same signal (bridged electrodes)", unit="", worse=ABOVE,
        limits=(0.0, 3.0), source=ASSUMED, todo="remove gel between the named electrodes, or declare one of each bad"),
    Row(name="intensities", what="intensities in one average", unit="", worse=ABOVE, limits=(1.0, 1.0),
        source="averages restart after any change of site, angle or intensity (practice)", todo="do the block again"),
    Row(name="navigation_mm", what="coil away from its place", unit="mm", worse=ABOVE, limits=(3.0,),
        source="within 3 mm and 5 degrees (practice)", todo="bring the coil back, then go on"),
    Row(name="navigation_deg", what="coil turned away from its angle", unit="deg", worse=ABOVE, limits=(5.0,),
        source="within 3 mm and 5 degrees (practice)", todo="turn the coil back, then go on"),
)  # fmt: skip
TRIAL = {row.name: row for row in _TRIAL}
RECORDING = {row.name: row for row in _RECORDING}


@dataclass(frozen=True, kw_only=True)
class QualityLimits:
    """Limits that a plan sets in place of the defaults: name of a row -> (YELLOW,) or (YELLOW, RED).

    ``recording`` and ``trial`` hold only what differs. ``ValidationProblem`` lists every unknown name and wrong pair.
    """

    recording: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    trial: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    yellow_share: float = YELLOW_SHARE

    def __post_init__(self) -> None:
        wrong = limits_wrong(RECORDING, self.recording) + limits_wrong(TRIAL, self.trial)
        if not 0 < self.yellow_share <= 1:
            wrong.append(f"yellow_share {self.yellow_share} is not in (0, 1]")
        if wrong:
            raise ValidationProblem(
                "the limits of quality cannot be used", expected="one or two numbers for each known name, YELLOW first",
                found="; ".join(wrong), todo="correct [quality] in the plan",
            )  # fmt: skip

    def of_recording(self, name: str) -> tuple[float, ...]:
        return tuple(self.recording.get(name, RECORDING[name].limits))

    def of_trial(self, name: str) -> tuple[float, ...]:
        return tuple(self.trial.get(name, TRIAL[name].limits))

    def to_dict(self) -> dict[str, Any]:
        """All limits in use, for the record."""
        return {
            "limits": {name: list(self.of_recording(name)) for name in RECORDING},
            "trial": {name: list(self.of_trial(name)) for name in TRIAL},
            "yellow_share": self.yellow_share,
        }


def limits_wrong(rows: Mapping[str, Row], limits: Mapping[str, tuple[float, ...]]) -> list[str]:
    """What is wrong with limits for these rows, in words; empty when nothing is."""
    wrong = [f"{name} is not known (known: {', '.join(rows)})" for name in limits if name not in rows]
    for name, pair in limits.items():
        if name not in rows:
            continue
        sign = 1.0 if rows[name].worse == ABOVE else -1.0
        if not (len(pair) in (1, 2) and all(map(math.isfinite, pair)) and sign * pair[0] <= sign * pair[-1]):
            side = "above" if rows[name].worse == ABOVE else "below"
            wrong.append(f"{name} = {list(pair)}: wanted one number, or two with YELLOW not {side} RED")
    return wrong
