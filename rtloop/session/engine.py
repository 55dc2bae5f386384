"""Owns the progress through a plan: what is asked of the operator and which pulse is due; owns no device and no clock.

``advance(now_s, inbox, status)`` is pure but for the engine's own state: the same inputs give the same orders. It waits for the
operator between targets, gives no pulse unless the status says ARMED, and goes on after a fault only where it stopped.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from rtloop.model.pulse import Outcome, Pulse
from rtloop.model.status import Lamp
from rtloop.plan.expand import Control, GoNoGo, Listen, Place, Preview, Review, Run, Step
from rtloop.session.orders import (
    AcceptTarget,
    Announce,
    Ask,
    Closed,
    Disarm,
    Enter,
    Failed,
    Finish,
    Give,
    Judged,
    Looked,
    Message,
    Note,
    Order,
    Power,
    Propose,
    Proposed,
    Restart,
    Said,
    Standing,
)  # fmt: skip

__all__ = [
    "AcceptTarget", "Announce", "Ask", "Closed", "Disarm", "Engine", "Enter", "Failed", "Finish", "Give", "Judged", "Looked",
    "Message", "Note", "Order", "Power", "Propose", "Proposed", "Restart", "Said", "Standing",
]  # fmt: skip

#: so many pulses refused or missed in a row pause the plan
IN_VAIN = 3
BLOCK_OF = {Preview: "preview", Run: "run", Control: "control", Listen: "run"}


class Engine:
    """Walks the steps of a plan.

    Parameters
    ----------
    steps : the expanded plan, in order
    places : target -> where the coil goes, in words
    isi_s : (low, high) uniform inter-pulse interval, seconds, never below the unit's gap (the rehearsal checked)
    seed : of the interval's jitter, recorded
    enough : (n_accepted, n_given, wanted, most) -> whether a run needs no further pulse
    course : whether something is asked of the map: when the steps are over, the next ones are asked for
    slack_s : a pulse later than this after its due time is missed
    """

    def __init__(
        self, steps: Sequence[Step], *, places: Mapping[str, str], isi_s: tuple[float, float], seed: int,
        enough: Callable[[int, int, int, int], bool], slack_s: float = 0.1, first_delay_s: float = 0.3,
        listening: bool = False, course: bool = False,
    ) -> None:  # fmt: skip
        self._steps, self._places = tuple(steps), places
        self._isi_s, self._rng = isi_s, random.Random(seed)
        self._enough, self._slack_s, self._first_delay_s = enough, slack_s, first_delay_s
        self._listening, self._course = listening, course
        self._proposed = self._waits = False  # the steps were proposed; the next ones were asked for
        self._left_out = ""
        self._at = 0
        self._entered = False
        self._asked: str | None = None
        self._paused = self._control_placed = False
        self._chosen: dict[str, tuple[int, float | None]] = {}
        self._previewed: dict[str, list[Preview]] = {}  # steps that were looked at, by target
        # asked for, not begun: trials of another step are on their way
        self._preview_next: Preview | None = None
        # the step under way was asked for: afterwards go / no-go, not the next step
        self._preview_once = False
        self._trouble = ""
        self._in_vain = 0
        self._given = self._accepted = 0
        self._next_due_s: float | None = None
        self._announced_s: float | None = None
        self._last_sent_s: float | None = None
        self._in_flight: Pulse | None = None
        self._pulse_id = 0
        self.finished = False

    def advance(self, now_s: float, inbox: Sequence[Message], standing: Standing) -> list[Order]:
        """Take the messages, return the orders; to be obeyed in order."""
        orders: list[Order] = []
        for message in inbox:
            orders += self._take(now_s, message)
        if not self.finished:
            orders += self._go_on(now_s, standing)
        return orders

    @property
    def step(self) -> Step | None:
        """The step that is under way."""
        return self._steps[self._at] if self._at < len(self._steps) else None

    def why_not(self, said: Said) -> str:
        """Why a word would change nothing now; empty when it would be taken. Changes nothing; any thread may ask."""
        step = self.step
        if self.finished or step is None:
            over = self.finished or not self._course
            return "the session is over" if over else "the map is looked at; a moment"
        match said.word:
            case "placed" if not (
                isinstance(step, Place) or (isinstance(step, Control) and not self._control_placed)
            ):
                return "no coil is to be placed now"
            case "go" if not isinstance(step, GoNoGo):
                return "there is no go / no-go now"
            case "go" if said.args:
                seen = {str(s.power_pct_mso) for s in self._previewed.get(step.target, ())}
                if said.args[0] not in seen:
                    return (
                        f"go {said.args[0]}: expected one of the previewed % MSO: {', '.join(sorted(seen))}"
                    )
            case "redo" if not isinstance(step, GoNoGo | Review):
                return "a block is done again from go / no-go or from the review"
            case "accept" | "next" if not isinstance(step, Review | Listen):
                return "there is nothing to accept now"
            case "preview":
                return self._why_no_preview(step, said.args)
        return ""

    def _why_no_preview(self, step: Step, args: tuple[str, ...]) -> str:
        if self._listening or not isinstance(step, Preview | GoNoGo):
            return "another intensity is previewed during the preview or at go / no-go"
        powers = [str(s.power_pct_mso) for s in self._previews(step.target)]
        if len(args) != 1 or args[0] not in powers:
            said = " ".join(("preview", *args))
            return f"{said}: expected one of the plan's % MSO for {step.target}: {', '.join(powers)}"
        return ""

    def _previews(self, target: str) -> list[Preview]:
        return [s for s in self._steps if isinstance(s, Preview) and s.target == target]

    def _take(self, now_s: float, message: Message) -> list[Order]:
        step = self.step
        if isinstance(message, Closed):
            self._in_flight = None
            if message.outcome in (Outcome.FIRED, Outcome.UNCERTAIN):
                self._given += 1
                self._last_sent_s = now_s
                self._in_vain = 0
            else:
                self._in_vain += 1
                if self._in_vain >= IN_VAIN:
                    self._in_vain = 0
                    self._trouble = f"{IN_VAIN} pulses in a row were {message.outcome.value}"
            self._next_due_s = now_s + self._rng.uniform(*self._isi_s)
            return []
        if isinstance(message, Judged):
            mine = step is not None and (message.target, message.block) == (step.target, self._block)
            self._accepted += mine and message.accepted
            return []
        if isinstance(message, Failed):
            self._trouble = message.words
            return []
        if isinstance(message, Proposed):
            self._steps, self._at, self._course = message.steps, -1, bool(message.steps)
            self._proposed, self._waits = True, False
            return self._next()
        return self._said(message, step)

    def _said(self, said: Said, step: Step | None) -> list[Order]:
        if self.finished:
            return []
        if said.word == "stop":  # heard also while the next visit is being thought of
            return self._finish("the operator ended the session", complete=False)
        if step is None:
            return []
        match said.word:
            case "pause":
                self._paused, self._asked = True, None
                return [Disarm(reason="paused by the operator")]
            case "resume":
                if self._asked == "paused":  # a word that came before the question answers nothing
                    self._trouble = ""
                self._paused, self._asked = False, None
                return []
            case "skip" if isinstance(step, Control):  # the run before it stays, to be looked at
                return [
                    Disarm(reason=f"control block at {step.target} skipped by the operator"),
                    *self._next(),
                ]
            case "skip":
                self._chosen.pop(step.target, None)
                self._left_out = step.target if self._proposed else ""
                return [
                    Disarm(reason=f"{step.target} skipped by the operator"),
                    *self._jump_past(step.target),
                ]
            case "placed" if isinstance(step, Place):
                return self._next()
            case "placed" if isinstance(step, Control):
                self._control_placed, self._asked = True, None
                return []
            case "go" if isinstance(step, GoNoGo):
                return self._go(step, said)
            case "preview":
                if why := self._why_no_preview(step, said.args):
                    return [Note(words=why)]
                self._preview_next = next(
                    s for s in self._previews(step.target) if str(s.power_pct_mso) == said.args[0]
                )
            case "redo" if isinstance(step, GoNoGo | Review):
                return self._back_to_place(step.target)
            case "accept" | "next" if isinstance(step, Review | Listen):
                return [AcceptTarget(target=step.target), *self._next()]
        return []

    def _go(self, step: GoNoGo, said: Said) -> list[Order]:
        """Go at the plan's intensity, or at one that was previewed: nothing else was looked at."""
        if why := self.why_not(said):
            return [Note(words=why)]
        self._chosen.pop(step.target, None)  # without a power: the plan's
        for seen in self._previewed.get(step.target, ()):
            if said.args and str(seen.power_pct_mso) == said.args[0]:
                self._chosen[step.target] = (seen.power_pct_mso, seen.power_pct_rmt)
        return [Restart(target=step.target, block="run"), *self._next()]

    def _preview(self, step: Preview) -> list[Order]:
        """Begin the step that was asked for; its block is made anew when it is entered."""
        self._at = self._steps.index(step) - 1
        self._next()
        self._preview_once = True
        return []

    def _after_preview(self, step: Preview) -> list[Order]:
        """To the next step of intensity; after one that was asked for, to go / no-go."""
        self._previewed.setdefault(step.target, []).append(step)
        if self._preview_once:
            self._at = max(i for i, s in enumerate(self._steps) if s in self._previews(step.target))
        return [Looked(step=step), *self._next()]

    def _power(self, step: Preview | Run | Control) -> tuple[int, float | None]:
        """(% MSO, % RMT) of a step: as chosen at the go, else as planned."""
        planned = (step.power_pct_mso, step.power_pct_rmt)
        return planned if isinstance(step, Preview) else self._chosen.get(step.target, planned)

    def _next(self) -> list[Order]:
        self._at += 1
        self._control_placed = self._preview_once = False
        self._entered, self._asked = False, None
        self._given = self._accepted = 0
        self._next_due_s = self._in_flight = self._preview_next = None
        return []

    def _jump_past(self, target: str) -> list[Order]:
        while self.step is not None and self.step.target == target:
            self._next()
        return []

    def _back_to_place(self, target: str) -> list[Order]:
        first = next(i for i, s in enumerate(self._steps) if s.target == target)
        self._at = (
            len(self._steps) if self._proposed else first
        ) - 1  # the course knows what is to be repeated
        self._next()
        self._previewed.pop(target, None)
        self._chosen.pop(target, None)
        return [Restart(target=target, block=b) for b in ("preview", "run", "control")]

    @property
    def _block(self) -> str:
        return next((b for kind, b in BLOCK_OF.items() if isinstance(self.step, kind)), "")

    def _finish(self, reason: str, *, complete: bool) -> list[Order]:
        self.finished = True
        return [Disarm(reason=reason), Finish(reason=reason, complete=complete)]

    def _ask(self, phase: str, words: str, *options: str, power_pct_mso: int | None = None) -> list[Order]:
        if self._asked == phase:
            return []
        self._asked = phase
        target = self.step.target if self.step else ""
        return [
            Ask(
                phase=phase, target=target, words=words, options=(*options, "stop"), block=self._block,
                power_pct_mso=power_pct_mso,
            )
        ]  # fmt: skip

    def _go_on(self, now_s: float, standing: Standing) -> list[Order]:
        step = self.step
        if step is None and not self._course:
            return self._finish("the plan is complete", complete=True)
        if standing.lamp is Lamp.TRIPPED:
            return self._finish("the interlock tripped", complete=False)
        if step is None:
            return self._propose(standing)
        if self._paused or self._trouble:
            words = self._trouble or "paused by the operator"
            ask = self._ask("paused", f"{words}; the unit is disarmed", "resume", "skip")
            return ([Disarm(reason=words)] if standing.lamp in (Lamp.ARMED, Lamp.HELD) else []) + ask
        orders: list[Order] = []
        if self._listening and isinstance(step, Place) and self._at == 0:
            return self._next()  # somebody else's stimulator fires already
        if self._preview_next is not None and not standing.outstanding:
            return orders + self._preview(self._preview_next)
        if isinstance(step, Place | GoNoGo | Review) or (
            isinstance(step, Control) and not self._control_placed
        ):
            if standing.lamp in (Lamp.ARMED, Lamp.HELD):  # whenever: the coil may be in the operator's hands
                orders.append(Disarm(reason="between blocks the unit is disarmed"))
            return orders + self._question(step)
        if isinstance(step, Listen):
            if self._accepted >= step.pulses_wanted and not standing.outstanding:
                return [AcceptTarget(target=step.target), *self._next()]
            words = f"listening at {step.target}: {step.pulses_wanted} accepted pulses wanted"
            return self._ask("listen", words, "next", "skip")
        return self._pulses(now_s, step, standing)

    def _propose(self, standing: Standing) -> list[Order]:
        if self._waits:
            return []
        self._waits = True
        armed = standing.lamp in (Lamp.ARMED, Lamp.HELD)
        before: list[Order] = [Disarm(reason="between blocks the unit is disarmed")] if armed else []
        return [*before, Propose(left_out=self._left_out)]

    def _question(self, step: Place | GoNoGo | Review | Control) -> list[Order]:
        if isinstance(step, Control):
            words = f"control block ({step.kind}) for {step.target}: place the coil for it"
            return self._ask("place_control", words, "placed", "skip")
        if isinstance(step, Place):
            where = self._places.get(step.target, "as planned")
            why = f": {step.why}" if step.why else ""
            return self._ask("place", f"place the coil at {step.target} ({where}){why}", "placed", "skip")
        if isinstance(step, GoNoGo):
            words = f"{step.target}: look at the preview; go (at the plan's intensity, or: go POWER as previewed)?"
            return self._ask("go", words, "go", "preview", "redo", "skip")
        words = step.question or f"{step.target}: accept this block, or do it again?"
        return self._ask("review", words, "accept", "redo")

    def _pulses(self, now_s: float, step: Preview | Run | Control, standing: Standing) -> list[Order]:
        if self._preview_next is not None:
            return []  # trials of this intensity are still on their way: no further pulse
        if self._done(step) and self._in_flight is None:
            if standing.outstanding:  # the last trials may still be on their way
                return []
            return self._after_preview(step) if isinstance(step, Preview) else self._next()
        orders: list[Order] = []
        if not self._entered:
            self._entered = True
            if not (isinstance(step, Run) and step.adds):
                orders.append(Restart(target=step.target, block=self._block))
        power_pct_mso, _ = self._power(step)
        if standing.power_pct_mso != power_pct_mso:
            self._asked = None
            return [*orders, Power(power_pct_mso=power_pct_mso)]
        if standing.lamp in (Lamp.SAFE, Lamp.READY):
            self._next_due_s = None
            words = f"arm at {power_pct_mso} % MSO for {step.target} ({self._block}): say arm, then confirm"
            options = ("arm", "confirm", "skip", "pause")
            return orders + self._ask("arm", words, *options, power_pct_mso=power_pct_mso)
        if standing.lamp is Lamp.HELD or self._in_flight is not None:
            return orders
        if self._asked != "pulsing":
            self._asked = "pulsing"
            orders.append(Enter(phase=self._block, target=step.target, block=self._block))
        if self._next_due_s is None:
            self._next_due_s = now_s + self._first_delay_s
            if self._last_sent_s is not None:
                self._next_due_s = max(self._next_due_s, self._last_sent_s + self._rng.uniform(*self._isi_s))
        if self._announced_s != self._next_due_s:
            self._announced_s = self._next_due_s
            orders.append(Announce(due_s=self._next_due_s))
        wait_s = (
            0.0 if standing.ready else 0.5 * self._slack_s
        )  # it may still recharge, but never past the deadline
        if now_s >= self._next_due_s + wait_s:
            orders.append(Give(pulse=self._pulse(self._next_due_s, now_s, step), block=self._block))
        return orders

    def _pulse(self, due_s: float, now_s: float, step: Preview | Run | Control) -> Pulse:
        self._pulse_id += 1
        late = now_s > due_s + self._slack_s  # e.g. after a hold: a new instant, never a late pulse
        due_s = now_s if late else due_s
        power_pct_mso, power_pct_rmt = self._power(step)
        self._in_flight = Pulse(
            pulse_id=self._pulse_id, target=step.target, purpose=step.purpose, power_pct_mso=power_pct_mso,
            power_pct_rmt=power_pct_rmt, due_s=due_s, deadline_s=due_s + self._slack_s,
        )  # fmt: skip
        return self._in_flight

    def _done(self, step: Preview | Run | Control) -> bool:
        if isinstance(step, Run):
            return self._enough(self._accepted, self._given, step.pulses_wanted, step.pulses_max)
        return self._given >= step.pulses
