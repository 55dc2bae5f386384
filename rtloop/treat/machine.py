"""Owns the course of a treatment session as a state machine: what may be done next, and when; owns no clock, no device, no rule.

The caller says what happened and what is heard, asks ``look`` many times a second, and does what it orders. Whether a train may
be given is the gate's alone; this keeps the order, the pauses (from the END of the last train that may have been given) and the
sums. A pause and every refusal disarm: to go on a person arms anew, in two steps. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rtloop.model.course import Ended
from rtloop.model.status import Lamp
from rtloop.plan.treat_steps import TrainStep
from rtloop.treat.orders import (
    AskToArm,
    Begin,
    ConfirmArm,
    Count,
    Disarm,
    End,
    Give,
    Given,
    Order,
    Phase,
    SetUp,
)

#: the words that the machine itself understands
WORDS = ("arm", "confirm", "pause", "resume", "stop", "abort", "halt")
_ARMED = (Lamp.ARMED, Lamp.HELD)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What the waits of a session are. ``arm_timeout_s``, ``coil_stop_c``: of the limits in force.

    ``lead_s``: so long before a train the operator is asked to arm, where the unit is not armed all through a pause.
    ``patience_s``: the longest that a person is waited for; ``cool_within_s``: a coil; ``hold_s``: a hold that ends by itself.
    """

    arm_timeout_s: float = 55.0
    coil_stop_c: float = 39.0
    margin_s: float = 3.0
    lead_s: float = 15.0
    patience_s: float = 1800.0
    cool_within_s: float = 1800.0
    hold_s: float = 10.0


class Machine:
    """One run of a session. ``steps``: those that are left, in order; every train begins at most once, and none is left out but
    by ``passed_over``.

    Parameters
    ----------
    not_before_s : no train begins earlier (of a run that resumes: the pause after what may have been given last)
    gated : each train waits for ``opened`` once its pause is over
    calibrate : nothing is set or armed before ``calibrated``
    """

    def __init__(
        self, steps: Sequence[TrainStep], pace: Pace, *, not_before_s: float = -math.inf, gated: bool = False,
        calibrate: bool = False,
    ) -> None:  # fmt: skip
        self.steps, self.pace, self.gated = tuple(steps), pace, gated
        self.phase = Phase.BEFORE
        self.end: End | None = None
        self.paused = ""  # why, in words
        self.given: list[Given] = []
        self.running: TrainStep | None = None
        self.begun = False
        self.due_s = not_before_s  # of the next train, at the earliest
        self.over_s = -math.inf  # the last train that may have been given is over by then
        self.coil_c: float | None = None
        self._signed = self._left = False
        self._open_until_s = -math.inf  # the state that gates the next train was found, or its time-out came
        self._calibrated = not calibrate
        self._shape_set = False
        self._power_set: int | None = None
        self._lamp = Lamp.SAFE
        self._armed_s = -math.inf  # armed, or the end of the last train, whichever is later
        self._since_s = math.nan  # the phase was entered
        self._orders: list[Order] = []

    # -- what a caller may read ----------------------------------------------------------------------------------

    @property
    def step(self) -> TrainStep | None:
        """The next train to be given, or None."""
        left = self.steps[len(self.given) + (self.running is not None) :]
        return left[0] if left else None

    @property
    def armed(self) -> bool:
        return self._lamp in _ARMED

    def count(self) -> Count:
        """The sums as they stand; a train under way is uncertain as a whole, what was not begun is refused."""
        planned = sum(s.train.n_pulses for s in self.steps)
        least, most = sum(g.least for g in self.given), sum(g.most for g in self.given)
        trains = sum(g.most > 0 for g in self.given)
        if self.running is not None:
            most, trains = most + self.running.train.n_pulses, trains + 1
        return Count(
            planned=planned,
            delivered=least,
            refused=planned - most,
            uncertain=most - least,
            trains=trains,
        )

    def deadline_s(self) -> float:
        """Until when the present phase lasts at the longest; infinite where something else bounds it."""
        waits = {Phase.COOLING: self.pace.cool_within_s}
        asked = (Phase.BEFORE, Phase.ARM, Phase.PAUSED, Phase.AFTER)
        within_s = waits.get(self.phase, self.pace.patience_s if self.phase in asked else math.inf)
        return self._since_s + within_s

    # -- what is said --------------------------------------------------------------------------------------------

    def hear(self, word: str, text: str = "", by: str = "operator") -> str:
        """A word of the operator; why it is not taken, or ""."""
        if self.phase is Phase.OVER:
            return "the session is over"
        match word:
            case "arm" | "confirm":
                if self.phase is not Phase.ARM:
                    return f"nothing is to be armed now ({self.phase})"
                if word == "arm":
                    self._orders += [AskToArm()] if self.begun else [Begin(), AskToArm()]
                else:
                    self._orders.append(ConfirmArm(said=f"{word} {text}".strip()))
            case "pause":
                if self.end is not None or not self._signed:
                    return "no train is going to be given now"
                self.pause("the operator asked for a pause")
            case "resume":
                if not self.paused:
                    return "nothing is paused"
                self.paused = ""
            case "abort" if not text.strip():
                return "abort needs its reason: abort WORDS"
            case "abort":
                self.ends(Ended.ABORTED, f"aborted: {text.strip()}", 6, by)
            case "stop":
                if self.end is not None:
                    self._left = True  # a second one leaves the checklist after as it is
                self.ends(
                    Ended.STOPPED,
                    f"the operator ended it{f': {text.strip()}' if text.strip() else ''}",
                    6,
                    by,
                )
            case "halt":
                self.ends(Ended.TRIPPED, "STOP", 5, by)
            case _:
                return f"not understood; the words are {', '.join(WORDS)}"
        return ""

    # -- what happened -------------------------------------------------------------------------------------------

    def signed(self) -> None:
        """The checklist that is open was signed (before), or signed or left open (after)."""
        if self.end is None:
            self._signed = True
        else:
            self._left = True

    def is_set(self, order: SetUp) -> None:
        """The unit took it and read it back."""
        self._power_set = order.step.power_pct_mso
        self._shape_set = self._shape_set or order.shape

    def unset(self) -> None:
        """What the unit is set to is not known any more."""
        self._power_set, self._shape_set = None, False

    def has_begun(self) -> None:
        """The record of what is set out to be given is durable."""
        self.begun = True

    def pause(self, words: str) -> None:
        """Give nothing more until somebody says resume."""
        self.paused = self.paused or words

    def calibrated(self) -> None:
        """What gates the trains is known."""
        self._calibrated = True

    def opened(self, until_s: float = math.inf) -> None:
        """The state that gates the next train holds, or its time is over: it begins until then, or waits anew."""
        self._open_until_s = until_s

    def is_open(self, now_s: float) -> bool:
        """Whether what gates the next train lets it begin."""
        return now_s <= self._open_until_s

    def started(self, step: TrainStep, end_s: float) -> None:
        """This train was sent, and is over by ``end_s`` at the latest."""
        if step is not self.step or self.running is not None:
            raise ValueError(f"train {step.index} was not to be given now")
        self.running, self._open_until_s = step, -math.inf
        self._count_pause_from(end_s)

    def refused(self, words: str) -> None:
        """The train was certainly not given: it is tried again once the operator was asked."""
        if self.running is not None:
            raise ValueError("a train is under way")
        self._open_until_s = -math.inf
        self.pause(words)

    def passed_over(self) -> None:
        """The train whose turn it is will not be given in this run: what gates it did not let it."""
        step = self.step
        if step is None or self.running is not None:
            raise ValueError("no train is to be given now")
        self._open_until_s = -math.inf
        self.given.append(Given(step=step, least=0, most=0))

    def over(self, least: int, most: int, end_s: float) -> None:
        """The train under way is over; between so many pulses of it were given."""
        step = self.running
        if step is None:
            raise ValueError("no train is under way")
        n = step.train.n_pulses
        if not (0 <= least <= most <= n):
            least, most = 0, n
        self.running = None
        self.given.append(Given(step=step, least=least, most=most))
        self._count_pause_from(end_s)

    def _count_pause_from(self, end_s: float) -> None:
        step = self.step
        self._armed_s, self.over_s = max(self._armed_s, end_s), max(self.over_s, end_s)
        self.due_s = max(self.due_s, end_s + (0.0 if step is None else step.pause_s))

    def read_coil(self, coil_c: float | None) -> None:
        """The coil's temperature, read between two trains."""
        self.coil_c = coil_c

    def ends(self, ended: Ended, words: str, code: int, by: str = "engine") -> None:
        """No more trains, for ever. The first reason stands; a trip while a person's end is carried out is told in its place."""
        asked = self.end is not None and self.end.ended in (Ended.STOPPED, Ended.ABORTED)
        under_way = self.phase not in (Phase.AFTER, Phase.OVER)
        if self.end is None or (ended is Ended.TRIPPED and asked and under_way):
            self.end = End(ended=ended, words=words, code=code, by=by)

    # -- what is to be done --------------------------------------------------------------------------------------

    def look(self, now_s: float, lamp: Lamp, earliest_s: float = -math.inf) -> Order | None:
        """What is to be done now; the phase as it stands afterwards. ``earliest_s``: of the next train by unit and rules."""
        if lamp in _ARMED and self._lamp not in _ARMED:
            self._armed_s = now_s
        self._lamp = lamp
        if lamp is Lamp.TRIPPED:
            self.ends(Ended.TRIPPED, "tripped", 5)
        phase, order = self._next(now_s, earliest_s)
        if (
            phase is not Phase.ARM or order is not None
        ):  # what was said before something else came answers nothing any more
            self._orders.clear()
        if phase is not self.phase or math.isnan(self._since_s):
            self.phase, self._since_s = phase, now_s
        elif now_s > self.deadline_s():
            self._late()
            return None
        return self._orders.pop(0) if self._orders else order

    def _late(self) -> None:
        if self.phase is Phase.AFTER:
            self._left = True
        elif self.phase is Phase.COOLING:
            self.ends(Ended.STOPPED, f"the coil did not cool within {self.pace.cool_within_s:g} s", 4)
        else:
            self.ends(Ended.STOPPED, f"nobody answered for {self.pace.patience_s:g} s", 6)

    def _next(self, now_s: float, earliest_s: float) -> tuple[Phase, Order | None]:
        if self.end is not None:
            if self.armed:
                return self.phase, Disarm(reason=self.end.words)
            if self.running is not None:
                return Phase.TRAIN, None
            return (Phase.OVER if self._left or not self.begun else Phase.AFTER), None
        if self.running is not None:
            return Phase.TRAIN, None
        if not self._signed:
            return Phase.BEFORE, None
        step = self.step
        if step is None:
            passed = sum(g.most == 0 for g in self.given)
            words = (
                f"every train had its turn; {passed} were not given"
                if passed
                else "every train of the plan was given"
            )
            self.ends(Ended.COMPLETE, words, 0)
            return self.phase, Disarm(reason="every train was given")
        if self.paused:
            return Phase.PAUSED, self._disarmed(self.paused)
        if not self._calibrated:
            return Phase.CALIBRATING, self._disarmed("it is calibrated in standby")
        if hot := self.too_hot():
            return Phase.COOLING, self._disarmed(hot)
        if not self._shape_set or self._power_set != step.power_pct_mso:
            order = None if self._shape_set else self._disarmed("a train is set in standby")
            return Phase.SETTING, order or SetUp(step=step, shape=not self._shape_set)
        due_s = max(self.due_s, earliest_s)
        if not self.armed:
            ask_s = -math.inf if due_s - now_s <= self.pace.lead_s else due_s - self.pace.lead_s
            return (Phase.ARM if now_s >= ask_s else Phase.PAUSE), None
        until_s = self._armed_s + self.pace.arm_timeout_s - self.pace.margin_s
        if due_s > until_s or now_s > until_s:
            return Phase.PAUSE, Disarm(reason="the wait outlasts the unit's own disarming: it is armed anew")
        if now_s < due_s:
            return Phase.PAUSE, None
        if self._lamp is Lamp.HELD:
            if now_s > max(due_s, self._armed_s) + self.pace.hold_s:
                self.pause("the unit was held for too long")
            return Phase.PAUSE, None
        if self.gated and not self.is_open(now_s):
            return Phase.GATE, None
        return (Phase.GATE if self.gated else Phase.PAUSE), Give(step=step)

    def _disarmed(self, reason: str) -> Disarm | None:
        return Disarm(reason=reason) if self.armed else None

    def too_hot(self) -> str:
        """Why the coil is too hot to begin a train, or ""; one whose temperature is not known is the gate's to refuse."""
        if self.coil_c is None or self.coil_c < self.pace.coil_stop_c:
            return ""
        return f"the coil is at {self.coil_c:.1f} °C; no train begins at {self.pace.coil_stop_c:g} °C or more"
