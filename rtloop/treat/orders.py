"""Owns what the machine of a treatment orders, and how it ends; owns no state and no doing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from rtloop.model.course import Ended
from rtloop.plan.treat_steps import TrainStep


class Phase(StrEnum):
    """Where a session stands; ``phase_entered`` tells each."""

    BEFORE = "before"  # the checklist before is asked
    CALIBRATING = (
        "calibrating"  # the participant's own limit of what gates the trains is being found, in standby
    )
    SETTING = "setting"  # power and train are being set
    ARM = "arm"  # the operator is asked to arm, in two steps
    PAUSE = "pause"  # between two trains
    GATE = "gate"  # the pause is over; a named state of the EEG is awaited
    TRAIN = "train"  # a train is under way
    PAUSED = "paused"  # the operator is asked whether to go on
    COOLING = "cooling"  # the coil is too hot to begin a train
    AFTER = "after"  # no more trains; the checklist after is asked
    OVER = "over"


@dataclass(frozen=True, kw_only=True)
class SetUp:
    """Set the power of this step, and with ``shape`` its train, which needs a unit in standby."""

    step: TrainStep
    shape: bool


@dataclass(frozen=True, kw_only=True)
class Begin:
    """Before anything is armed for the first time: what is set out to be given becomes a durable record."""


@dataclass(frozen=True, kw_only=True)
class AskToArm:
    """Step one of arming was said: ask the interlock."""


@dataclass(frozen=True, kw_only=True)
class ConfirmArm:
    """Step two was said."""

    said: str


@dataclass(frozen=True, kw_only=True)
class Give:
    """Begin this train now."""

    step: TrainStep


@dataclass(frozen=True, kw_only=True)
class Disarm:
    """Disarm now."""

    reason: str


Order: TypeAlias = SetUp | Begin | AskToArm | ConfirmArm | Give | Disarm


@dataclass(frozen=True, kw_only=True)
class End:
    """Why no more trains are given. ``code``: the exit code that it means (rtloop.errors)."""

    ended: Ended
    words: str
    code: int
    by: str  # operator, engine


@dataclass(frozen=True, kw_only=True)
class Given:
    """A train of which a pulse may have been given: between ``least`` and ``most`` pulses of its step."""

    step: TrainStep
    least: int
    most: int


@dataclass(frozen=True, kw_only=True)
class Count:
    """Pulses of a run: planned = delivered + refused + uncertain. ``trains``: of which a pulse may have been given."""

    planned: int
    delivered: int
    refused: int
    uncertain: int
    trains: int
