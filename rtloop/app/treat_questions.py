"""Owns what the operator of a treatment is told in each phase, and the words that answer it; owns no phase and no screen."""

from __future__ import annotations

from rtloop.app.treat_asked import Wanted
from rtloop.treat.checklist import Checklist
from rtloop.treat.machine import Machine
from rtloop.treat.orders import Phase


def asked(
    m: Machine, want: Wanted, cannot_stop: str, asking: Checklist | None
) -> tuple[str, tuple[str, ...]]:
    """Words and options of the present phase; ``asking``: the checklist that is open."""
    step, ends = m.step, ("stop", "abort WHY", "halt")
    now = f"train {step.index + 1} of {want.plan.trains.count}" if step is not None else ""
    powers = (
        " % then ".join(map(str, dict.fromkeys(s.power_pct_mso for s in want.steps[len(m.given) :])))
        + " % MSO"
    )
    match m.phase:
        case Phase.BEFORE | Phase.AFTER:
            assert asking is not None
            words, options = asking.question()
            return words, (*options, "stop")
        case Phase.ARM:
            cannot = f"; {cannot_stop}" if cannot_stop else ""
            return f"arm for {now}: {powers}{cannot}", ("arm", "confirm", "pause", *ends)
        case Phase.PAUSED:
            return f"paused: {m.paused}; the unit is disarmed", ("resume", *ends)
        case Phase.COOLING:
            within = f"waits at most {m.pace.cool_within_s / 60:.0f} minutes for it"
            return f"{(m.too_hot() if step is not None else '') or 'the coil cools'}; {within}", ends
        case Phase.PAUSE:
            pause = (
                f"pause of {step.pause_s:g} s before" if step is not None and step.pause_s else "waiting for"
            )
            return f"{pause} {now}", ()
        case Phase.CALIBRATING:
            return "the limit that gates the trains is being found; let the person rest", ("pause", *ends)
        case Phase.GATE:
            return f"{now} waits for its state", ()
        case Phase.TRAIN:
            assert m.running is not None
            return f"train {m.running.index + 1} of {want.plan.trains.count} is under way", ()
        case Phase.SETTING:
            return f"the unit is set for {now}: {powers}", ()
    return "over", ()
