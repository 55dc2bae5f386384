"""Owns who answers the engine's questions: the simulated operator, who takes the same steps as a person; owns no screen."""

from __future__ import annotations

from collections.abc import Callable

from rtloop.model.event import Event
from rtloop.session.engine import Said

#: what an operator may type
WORDS = (
    "placed", "arm", "confirm", "go", "redo", "accept", "next", "skip", "pause", "resume", "take_out", "reinstate", "stop",
    "halt", "emergency", "preview", "note", "reconnect", "inject",
)  # fmt: skip
#: characters of a note
NOTE_MAX = 500
#: attempts to arm or to go on at one place
GIVE_UP_AFTER = 12


class SimulatedOperator:
    """Answers each question after a short while: places the coil, arms in two steps, goes, accepts.

    Used only on the simulated bedside. ``tell(event)`` takes every event; ``due(now_s)`` returns the words whose time has come.

    Parameters
    ----------
    place, place_control : move the simulated coil to a target, to the place of its control block
    after_s : how long the operator takes for one answer
    """

    def __init__(
        self, place: Callable[[str], None], *, place_control: Callable[[str], None] | None = None, after_s: float = 0.3
    ) -> None:  # fmt: skip
        self._place, self._after_s = place, after_s
        self._place_control = place_control or (lambda target: None)
        self._plans: list[tuple[float, Said]] = []
        self._tries = 0
        self._arming = False

    def tell(self, event: Event) -> None:
        """Hear an event and plan the answer to it."""
        d = event.data
        if event.kind == "phase_entered":
            self._plans.clear()
            self._arming = d["phase"] == "arm"
            match d["phase"]:
                case "place":
                    self._tries = 0
                    self._place(d["target"])
                    self._say(event.t_s, "placed")
                case "place_control":
                    self._place_control(d["target"])
                    self._say(event.t_s, "placed")
                case "arm":
                    self._arm(event.t_s)
                case "go":
                    self._say(event.t_s, "go")
                case "review":
                    self._say(event.t_s, "accept")
                case "paused":  # nobody else would ever answer
                    self._tries += 1
                    self._say(event.t_s, "stop" if self._tries > GIVE_UP_AFTER else "resume")
        elif event.kind == "arm_requested":
            if d["accepted"]:
                self._say(event.t_s, "confirm")
            else:
                self._arm(event.t_s)
        elif (event.kind == "arm_confirmed" and not d["accepted"]) or (
            event.kind == "fault_raised" and self._arming
        ):
            self._arm(event.t_s)

    def due(self, now_s: float) -> list[Said]:
        """Words to be said now."""
        now = [said for t_s, said in self._plans if t_s <= now_s]
        self._plans = [(t_s, said) for t_s, said in self._plans if t_s > now_s]
        return now

    def _arm(self, t_s: float) -> None:
        self._tries += 1
        self._plans.clear()
        if self._tries > GIVE_UP_AFTER:  # what cannot be armed is given up, as a person would
            self._say(t_s, "stop")
        else:
            self._say(t_s, "arm", wait_s=self._after_s * min(2 ** (self._tries - 1), 8))

    def _say(self, t_s: float, word: str, *, wait_s: float | None = None) -> None:
        self._plans.append((t_s + (self._after_s if wait_s is None else wait_s), Said(word=word)))
