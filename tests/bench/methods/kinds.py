"""Owns what a cleaning method is to the validation: its name, what it may see, and how it is called; owns no method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from rtloop.dsp.spec import ChainSpec
from rtloop.model.montage import Montage
from rtloop.model.samples import F32, F64


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What an offline method gets: the blanked, decimated, average-referenced trials of one recording, all at once.

    ``blanked_uv`` float32[n_trials, n_channels, n_times], µV, at ``times_s`` (seconds from the pulse); only -2..+12 ms is
    replaced (cubic); offset and line are taken out; decay, muscle, blinks are as they came. ``seed`` for methods that
    draw.
    """

    blanked_uv: F32
    times_s: F64
    rate_hz: float
    montage: Montage
    seed: int


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """float32[n_trials, n_channels, n_times], µV, and what the method said of itself."""

    eeg_uv: F32
    note: dict[str, Any]


Offline: TypeAlias = Callable[[Batch], Cleaned]


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way of cleaning. ``spec``: an online method is the product's chain with these settings, fed one trial after the
    other, past pulses only; ``offline``: a function that sees all trials at once. Exactly one of both.

    ``settings``: how it is run, and on whose advice, in words for the report. ``needs``: module that must be there.
    """

    name: str
    title: str
    settings: str
    spec: ChainSpec | None = None
    offline: Offline | None = None
    needs: str = ""

    def __post_init__(self) -> None:
        if (self.spec is None) == (self.offline is None):
            raise ValueError(f"{self.name}: either the settings of a chain or an offline function")
