"""Owns what the engine and the port process say to each other; owns no transport."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from drivers.trigger import OutputSetting
from drivers.trouble import UnitProblem
from rtloop.model.pulse import Delivery, FireReceipt, Pair, Train
from rtloop.model.status import Fault, UnitStatus
from rtloop.ports import Permit

#: trips that arming anew clears, as the fault table of the interlock says
RE_ARM = (Fault.ENGINE_LATE, Fault.UNIT_SILENT, Fault.UNIT_UNEXPECTED)

#: longest time for the answer to a fire command, while the port process lives. Each reply of the unit may take 0.25 s while
#: armed, else 0.4 s (``drivers.magstim.exchange``), each write 0.3 s: 0.55 of an exchange under way, EH and its reply 0.55,
#: EA 0.63, the looks after it 1.93, the numbers as long
FIRE_S = 6.0


class Ask(StrEnum):
    """What may be asked of the port process. DISARM goes over the board, never in this queue."""

    SET_POWER = "set_power"
    SET_TRAIN = "set_train"
    SET_PAIR = "set_pair"
    ARM = "arm"
    FIRE = "fire"
    STATUS = "status"
    ANNOUNCE = "announce"  # a pulse is due then: keep the line free; no answer
    CLOSE = "close"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, numbered so that a late answer is never taken for another's."""

    n: int
    ask: Ask
    power_pct_mso: int = 0
    train: Train | None = None
    pair: Pair | None = None
    permit: Permit | None = None
    due_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to request ``n``; n = 0 is unasked: the run tripped, or (``receipt``) a train has ended."""

    n: int
    status: UnitStatus | None = None
    receipt: FireReceipt | None = None
    problem: UnitProblem | None = None


@dataclass(frozen=True, kw_only=True)
class Options:
    """What else is known of a unit or wanted of its driver, beside its model.

    Parameters
    ----------
    supply_v : 115 or 240; what the frequency table of a Rapid² goes by
    unlock_code : of a Rapid² with software from 9; "" for all others
    software_at_least : what the site says of a Rapid²; an older one is not opened
    stops_running_train : whether commissioning saw that EA stops a train on this unit
    trigger : fire by this second line instead of ``EH``
    stop_line : stop the unit by its hardware input as well, on this line; ``stop_level``: the level that stops
    transcript : every byte on the line goes to this new file
    """

    supply_v: int = 240
    unlock_code: str = ""
    software_at_least: tuple[int, ...] = ()
    stops_running_train: bool = False
    trigger: OutputSetting | None = None
    stop_line: OutputSetting | None = None
    stop_level: Literal["low", "high"] = "low"
    transcript: Path | None = None


def unanswered(permit: Permit, status: UnitStatus | None, why: str) -> FireReceipt:
    """What is known of a fire command that the port process did not answer: nothing to all of it."""
    n = permit.n_pulses
    return FireReceipt(
        delivery=Delivery.UNCERTAIN, t_sent_s=None, t_reply_s=None, status=status, reason=why,
        pulses_min=None if n == 1 else 0, pulses_max=None if n == 1 else n,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What was found when the line was opened.

    ``found_setting``: the train or pair that the unit was set to, in words, before it was set to single pulses.
    """

    status: UnitStatus
    found_armed: bool
    found_power_pct_mso: int
    software: tuple[int, ...] = ()
    found_setting: str = ""


@dataclass(frozen=True, kw_only=True)
class Trip:
    """Why the port process gives nothing more: in this run, or (``RE_ARM``) until it is armed anew."""

    fault: Fault
    words: str
    t_s: float

    def problem(self) -> UnitProblem:
        """As an error for whoever asks on."""
        if self.fault in RE_ARM:
            return UnitProblem(
                self.fault, f"the unit is disarmed: {self.words}", todo="find the cause, arm again"
            )
        return UnitProblem(
            self.fault, f"the unit is disarmed for the rest of this run: {self.words}",
            todo="find the cause, note it, start a new run",
        )  # fmt: skip
