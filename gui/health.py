"""Owns the unit's lamp (from its own status byte) and the facts about the stream; owns neither device nor limit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gui.heading import arming, listens, starting
from gui.lights import HELD
from gui.live import Live
from gui.numbers import age
from gui.shown import Fact, Tone, Unit
from rtloop.model.status import UnitStatus
from rtloop.model.view import View

#: a status byte older than this says nothing: where the unit is or should be armed, and in standby (asked every 2 s)
STALE_ARMED_S, STALE_STANDBY_S = 1.0, 3.0
#: byte and interlock may disagree this long while one follows the other
FOLLOWS_WITHIN_S = 0.4
RATE_TOLERANCE = 0.02
RESIDUAL_MS = 2.0
_TONES = {
    "SAFE": Tone.GOOD, "READY": Tone.GOOD, "ARMED": Tone.ATTENTION, "HELD": Tone.ATTENTION, "TRIPPED": Tone.BAD,
    "LISTEN": Tone.OFF, "UNKNOWN": Tone.BAD,
}  # fmt: skip
_POWER = "output as the unit itself reads back, % of the maximum stimulator output"
_TEMP = "coil temperature as the unit reports it; pulses are refused from the stop temperature on"


def unit_shown(view: View, live: Live) -> Unit:
    """The lamp: never ARMED while the byte says standby, never safe while it says armed."""
    none = (
        Fact(name="output", value="-", tone=Tone.OFF, meaning=_POWER),
        Fact(name="coil", value="-", tone=Tone.OFF, meaning=_TEMP),
    )
    if listens(view):
        return Unit(connected=False, lamp="LISTEN", tone=Tone.OFF, says="no unit is connected: nothing can be fired",
                    power=none[0], temperature=none[1])  # fmt: skip
    if live.review:
        return Unit(connected=False, lamp="REVIEW", tone=Tone.OFF, says="review: nothing is connected",
                    power=none[0], temperature=none[1])  # fmt: skip
    age_s = live.unit_age_s
    armed_by_us = view.lamp in ("ARMED", "HELD")
    if live.unit_instr is None or age_s is None:
        tone = Tone.BAD if armed_by_us or live.port_state == 2 else Tone.OFF
        says = "the line to the unit is lost" if live.port_state == 2 else "the unit has said nothing yet"
        return Unit(
            connected=live.port_state == 1,
            lamp="UNKNOWN",
            tone=tone,
            says=says,
            power=none[0],
            temperature=none[1],
        )
    byte = UnitStatus.from_instr(live.unit_instr, t_s=live.now_s - age_s)
    stale_s = STALE_ARMED_S if armed_by_us or byte.may_discharge else STALE_STANDBY_S
    fresh = 0 <= max(age_s, 0.0) <= stale_s
    lamp, tone, says = _lamp(view, live, byte, fresh)
    if view.ended is not None and not fresh and not byte.may_discharge:
        tone, says = Tone.OFF, f"the session has ended; the unit's last word, {age(age_s)} ago: {_said(byte)}"
    return Unit(
        connected=live.port_state == 1 and view.ended is None, lamp=lamp, tone=tone, says=says,
        power=_power(view, live, fresh), temperature=_temperature(view, live, fresh),
    )  # fmt: skip


def _lamp(view: View, live: Live, byte: UnitStatus, fresh: bool) -> tuple[str, Tone, str]:
    heard = f"{age(live.unit_age_s)} ago: {_said(byte)}"
    if not fresh:
        return "UNKNOWN", Tone.BAD, f"the unit's own status is too old, {heard}"
    wrong = byte.error or byte.error_fatal or not byte.coil_present or byte.replace_coil or not byte.remote
    armed_by_us = view.lamp in ("ARMED", "HELD")
    if byte.may_discharge == armed_by_us:
        tone = Tone.BAD if wrong else _TONES.get(view.lamp, Tone.PLAIN)
        return view.lamp, tone, f"the unit itself, {heard}"
    settled = min(live.unit_same_s, live.now_s - _changed_s(view)) > FOLLOWS_WITHIN_S
    if byte.may_discharge:
        if arming(view, live):
            return "ARMED", Tone.ATTENTION, f"arming; the unit itself, {heard}"
        words = f"the unit says ARMED and the program has not armed it ({view.lamp}): press STOP, use its own switch"
        return (
            "ARMED",
            Tone.BAD if settled else Tone.ATTENTION,
            words if settled else f"disarming; the unit itself, {heard}",
        )
    words = f"the program believes it {view.lamp} and the unit says standby: look at its display"
    return (
        "SAFE",
        Tone.BAD if settled else Tone.ATTENTION,
        words if settled else f"changing; the unit itself, {heard}",
    )


def _changed_s(view: View) -> float:
    return next(
        (float(h.get("t_s", 0.0)) for h in reversed(view.history) if h["kind"] == "lamp_changed"), -math.inf
    )


def _said(byte: UnitStatus) -> str:
    state = (
        "ready to fire"
        if byte.ready
        else "armed"
        if byte.armed
        else "standby"
        if byte.standby
        else "not in standby"
    )
    words = [state, "coil present" if byte.coil_present else "NO COIL"]
    words += [w for w, bad in (("REPLACE COIL", byte.replace_coil), ("ERROR", byte.error or byte.error_fatal),
                               ("no remote control", not byte.remote)) if bad]  # fmt: skip
    return ", ".join(words)


def _power(view: View, live: Live, fresh: bool) -> Fact:
    if live.unit_power_pct_mso is None:
        return Fact(name="output", value="not read yet", tone=Tone.OFF, meaning=_POWER)
    return Fact(
        name="output",
        value=f"{live.unit_power_pct_mso} % MSO",
        tone=Tone.PLAIN if fresh else Tone.OFF,
        meaning=_POWER,
    )


def _temperature(view: View, live: Live, fresh: bool) -> Fact:
    c, limits = live.unit_temp_c, view.started.get("limits") or {}
    if c is None:
        return Fact(name="coil", value="not read yet", tone=Tone.OFF, meaning=_TEMP)
    warn, stop = float(limits.get("coil_warn_c", math.inf)), float(limits.get("coil_stop_c", math.inf))
    tone = Tone.BAD if not c < stop else Tone.ATTENTION if not c < warn else Tone.PLAIN if fresh else Tone.OFF
    return Fact(
        name="coil",
        value=f"{c:.1f} °C" + (f" (stop at {stop:g})" if tone is Tone.BAD else ""),
        tone=tone,
        meaning=_TEMP,
    )


# -- the stream ------------------------------------------------------------------------------------------------


def stream_shown(view: View, live: Live) -> tuple[Fact, ...]:
    """Rate, gaps, age of the newest sample, clock residual, bad channels."""
    wanted = view.started.get("rate_hz")
    bad = _bad_channels(view)
    if live.review or not live.board_seen or view.ended is not None:
        value = "-" if wanted is None else f"{float(wanted):g} Hz"
        return (
            Fact(name="rate", value=value, tone=Tone.OFF, meaning="nominal sampling rate of the recording"),
            bad,
            *_held(view),
        )
    limits: Mapping[str, Any] = view.started.get("limits") or {}
    hold_s, lost_s = float(limits.get("eeg_hold_s", 0.05)), float(limits.get("eeg_disarm_s", 0.25))
    age_s = live.stream_age_s
    if age_s < 1.0:
        late = "0 ms" if age_s < 0.0005 else f"{age_s * 1e3:.0f} ms"
    else:
        late = "no sample yet" if math.isinf(age_s) else age(age_s)
    late_tone = Tone.GOOD if age_s <= hold_s else Tone.ATTENTION if age_s <= lost_s else Tone.BAD
    if starting(view) and age_s > lost_s:
        late_tone = Tone.OFF
    residual = live.clock_residual_s
    residual_ms = math.nan if residual is None else abs(residual) * 1e3
    return (
        _rate(live, wanted),
        Fact(name="newest sample", value=late, tone=late_tone,
             meaning=f"age of the newest sample; pulses wait from {hold_s * 1e3:.0f} ms, disarmed from {lost_s * 1e3:.0f} ms"),
        Fact(name="gaps", value=f"{live.stream_gaps} ({live.stream_lost} samples)",
             tone=Tone.GOOD if live.stream_gaps == 0 else Tone.ATTENTION,
             meaning="gaps in the stream since the start, and the samples lost in them; no trial reaches over a gap"),
        Fact(name="clock residual", value="-" if math.isnan(residual_ms) else f"{residual_ms:.2f} ms",
             tone=Tone.OFF if math.isnan(residual_ms) else Tone.GOOD if residual_ms <= RESIDUAL_MS else Tone.ATTENTION,
             meaning="newest chunk's time stamp against the robust line through all; pulses are placed by sample, not by stamp"),
        Fact(name="stream", value="in order" if live.stream_ok else "NOT in order",
             tone=Tone.GOOD if live.stream_ok else Tone.BAD,
             meaning="whether every check of the stream passes (rate, gaps, NaN, flat, saturated, repeated); if not, no pulse"),
        bad,
        *_held(view),
    )  # fmt: skip


def _rate(live: Live, wanted: Any) -> Fact:
    meaning = "samples per second as counted over the last seconds, against the nominal rate"
    found = live.stream_rate_hz
    if found is None or not math.isfinite(found):
        return Fact(name="rate", value="-", tone=Tone.OFF, meaning=meaning)
    ok = wanted is None or abs(found - float(wanted)) <= RATE_TOLERANCE * float(wanted)
    of = "" if wanted is None else f" of {float(wanted):g}"
    return Fact(name="rate", value=f"{found:.0f}{of} Hz", tone=Tone.GOOD if ok else Tone.BAD, meaning=meaning)


def _held(view: View) -> tuple[Fact, ...]:
    """Channels that are left out over trials; no row where there is none."""
    if not view.held_channels:
        return ()
    return (
        Fact(name="held channels", value=", ".join(view.held_channels), tone=Tone.ATTENTION,
             meaning=f"{HELD}; see Quality"),
    )  # fmt: skip


def bad_now(view: View) -> tuple[str, ...]:
    """Channels that the stream watch calls bad now."""
    return view.bad_channels


def _bad_channels(view: View) -> Fact:
    bad = bad_now(view)
    return Fact(
        name="bad channels", value=", ".join(bad) or "none", tone=Tone.ATTENTION if bad else Tone.GOOD,
        meaning="channels that are flat, saturated or wild now; they are left out of reference, averages and scores",
    )  # fmt: skip
