"""Owns the stimulator as a treatment session holds it: a script's, whose steps do not wait; owns no pace, no rule and no order.

Gate, journal, dose, two steps of arming, STOP and presence are ``Tms``'s own. What is added: arming whose two steps are heard
one by one, a train that is begun and asked about, and what is done between the last pulse and the last record.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rtloop.app.script_person import asked_for
from rtloop.app.script_unit import ARM_WITHIN_S, Tms
from rtloop.app.script_words import Refused
from rtloop.eeg.source import EegSource
from rtloop.model.pulse import Pair, Pulse, Train
from rtloop.plan.treat_steps import TrainStep
from rtloop.record.journal import Journal

#: before and after: so soon a unit says ready once it may fire
READY_WITHIN_S = 1.0
ASK_WITHIN_S = 2.0


class TreatTms(Tms):
    """The stimulator of a treatment session.

    Set by whoever runs the session: ``at_end``, done once everything was settled and before the last record; ``last_words``,
    what that record says and whether the end was a clean one.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._journal: Journal = arguments[2] if len(arguments) > 2 else named["journal"]
        self._news: queue.SimpleQueue[tuple[str, Mapping[str, Any]]] = queue.SimpleQueue()
        self._share: float | None = None  # % of threshold that the power is meant to be
        self._asked_words = "confirm"
        self.at_end: Callable[[], None] = lambda: None
        self.last_words: Callable[[str, bool], tuple[str, bool]] = lambda words, clean: (words, clean)
        super().__init__(*arguments, **named)

    # -- what is told and what is known ----------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The session's own."""
        return self._journal.path.parent

    @property
    def head_hash(self) -> str:
        """Of the journal's last record."""
        return self._journal.head_hash

    @property
    def power_pct_mso(self) -> int | None:
        """What was set and read back last."""
        return self._power

    def tell(self, kind: str, /, *, sync: bool = False, **data: Any) -> None:
        """An event of the session's own, journalled."""
        self._loop.emit(kind, sync=sync, **data)

    def news(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The events since the last time, in order."""
        out = []
        while not self._news.empty():
            out.append(self._news.get_nowait())
        return out

    def present(self) -> None:
        """Presence of this thread; SafetyStop when the loop has failed."""
        self._here()
        self._loop.check()

    def coil_c(self) -> float | None:
        """The coil's temperature as the unit said it last, °C."""
        return self._unit.status().coil_temp_c

    def ready(self) -> bool:
        """The unit's own word."""
        return self._unit.status().ready

    def earliest_s(self) -> float:
        """When the next train may come at the earliest, by unit, rules and what was given before this run; -inf: it may now."""
        if self._power is None or self._train is None:
            return -float("inf")
        due_s = self._due_s(self._power)  # never before now, which is past once it is told
        return due_s if due_s > self._clock.now_s() else -float("inf")

    def announce(self, due_s: float) -> None:
        """A hint to the driver when the next train is due; it permits nothing."""
        self._unit.announce(due_s)

    @property
    def cannot_stop(self) -> str:
        """What software may be unable to stop of the train that is set, in words."""
        return self._cannot_stop

    @property
    def source(self) -> EegSource:
        """The stream; samples may be read from any thread, all else is asked for with ``ask``."""
        return self._bench.source

    def ask(self, work: Callable[[], Any]) -> Any:
        """Something that belongs to the loop's thread, done there; SafetyStop when it does not answer."""
        return self._loop.ask(work, ASK_WITHIN_S)

    # -- what is done ----------------------------------------------------------------------------------------------

    def set_up(self, step: TrainStep, *, shape: bool) -> None:
        """Power, and with ``shape`` the train, read back. Refused with all reasons; NotReady when the unit does not follow."""
        self._share = None
        self.set_power(step.power_pct_mso)
        if shape:
            self._shape(step.train, None)
        self._share = step.power_pct_rmt

    def ask_to_arm(self) -> str:
        """Step one; what must be said for step two. Refused with the reason where it is not; journalled either way.

        It also acknowledges what the unit told and no longer stands: who looks for that before would refuse for ever.
        """
        asked = self._loop.ask(self._loop.arm_requested, ARM_WITHIN_S)
        if not asked.ok:
            raise Refused("arming was refused", (asked.words,))
        self._asked_words = asked_for(self.setting.mode, "confirm")
        return self._asked_words

    def confirm(self, said: str, by: str) -> None:
        """Step two, in the words that were asked for; Refused where they are others, or the interlock says no."""
        if said != self._asked_words:
            self.disarm("arming was not confirmed in its words")
            raise Refused("not armed", (f"expected {self._asked_words!r}, found {said!r}",))
        done = self._loop.ask(lambda: self._loop.arm_confirmed(said, by), ARM_WITHIN_S)
        if not done.ok:
            raise Refused("not armed", (done.words,))

    def send(self, step: TrainStep) -> tuple[int, float, bool]:
        """Begin the train now: its number, when it is over at the latest, and whether it may have been begun at all.

        Refused with all reasons: then it was certainly not given.
        """
        self._here()
        pulse, result, over_s = self._sent()
        return pulse.pulse_id, over_s, result.receipt is not None

    def closing(self, pulse_id: int) -> Mapping[str, Any] | None:
        """The closing record of a train; None while it is under way."""
        return self._loop.closings.get(pulse_id)

    def end(self, words: str, *, clean: bool) -> None:
        """Disarm first, let the last pulses be seen, count, then the last words."""
        words, clean = self.last_words(words, clean)
        self._loop.end(words, clean=clean, meanwhile=self.at_end)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _wish(self, train: Train | None, pair: Pair | None, pulse_id: int = 0) -> Pulse:
        return replace(super()._wish(train, pair, pulse_id), power_pct_rmt=self._share)

    def _show(self, kind: str, data: Mapping[str, Any]) -> None:
        self._news.put((kind, data))
        super()._show(kind, data)
