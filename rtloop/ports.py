"""Owns the shapes in which the islands meet: a source of samples, a stimulator, a permit; owns no implementation."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Protocol

from rtloop.errors import NotReady
from rtloop.model.montage import Montage
from rtloop.model.pulse import FireReceipt, Pair, PulseSeen, Train, pulses_of
from rtloop.model.samples import Window
from rtloop.model.status import Capabilities, StreamHealth, UnitIdentity, UnitStatus


@dataclass(frozen=True, kw_only=True)
class Permit:
    """Leave to fire one pulse (or the train or pair it names), once, until ``expires_s``; minted only by ``safety.gate``.

    Checked by every driver.

    ``seal`` is an HMAC-SHA256 over the other fields under the key of the run, so that a permit of another run,
    or one made up, is refused. Drivers remember spent ``permit_id`` values for the whole run.
    """

    permit_id: int  # counts up within a run; a driver refuses any id not above the last spent one
    run_id: str
    pulse_id: int
    power_pct_mso: int
    expires_s: float
    seal: bytes
    train: Train | None = None
    pair: Pair | None = None

    @property
    def n_pulses(self) -> int:
        """How many pulses it lets through."""
        return pulses_of(self.train, self.pair)

    @staticmethod
    def seal_for(
        key: bytes, *, permit_id: int, run_id: str, pulse_id: int, power_pct_mso: int, expires_s: float,
        train: Train | None = None, pair: Pair | None = None,
    ) -> bytes:  # fmt: skip
        """The seal that belongs to these fields under ``key``."""
        text = f"{permit_id}|{run_id}|{pulse_id}|{power_pct_mso}|{expires_s.hex()}|{train}|{pair}"
        return hmac.new(key, text.encode(), hashlib.sha256).digest()

    def genuine(self, key: bytes) -> bool:
        """Whether the seal was made with ``key``."""
        wanted = self.seal_for(
            key, permit_id=self.permit_id, run_id=self.run_id, pulse_id=self.pulse_id,
            power_pct_mso=self.power_pct_mso, expires_s=self.expires_s, train=self.train, pair=self.pair,
        )  # fmt: skip
        return hmac.compare_digest(wanted, self.seal)


class Stimulator(Protocol):
    """A stimulator as the gate sees it. Every call returns or raises within a deadline, s.

    ``disarm`` 1; ``fire`` 1.7 (0.6 for its answer; without one, a disarm), or 7.1 while its port lives and the unit is
    slow in each reply; ``arm`` 2.5; ``set_power`` its ramp, at most 10, and 2; ``set_train`` and ``set_pair`` 14, for power B
    has a ramp too; ``close`` 5. All others return at once.

    ``NotReady`` (rtloop.errors) with a ``fault`` attribute is raised when the unit is silent, lost or in an
    unexpected state. ``fire`` never raises for the line: its outcome is in the receipt.
    """

    @property
    def identity(self) -> UnitIdentity: ...

    @property
    def capabilities(self) -> Capabilities:
        """What this unit can do."""
        ...

    def min_interval_s(self, power_pct_mso: int, train: Train | None = None) -> float:
        """Shortest time from the end of the last pulse or train to the next pulse at this power; ``train``: the last one."""
        ...

    def train_refusals(self, power_pct_mso: int, train: Train) -> tuple[str, ...]:
        """Everything the unit's own rules say against this train at this power (frequency, energy, length); () when none."""
        ...

    def status(self) -> UnitStatus:
        """The newest known status; never blocks."""
        ...

    def told(self) -> NotReady | None:
        """What went wrong that the driver tells unasked (``fault`` names it), until armed anew; never asks the unit or blocks."""
        ...

    def set_power(self, power_pct_mso: int) -> UnitStatus:
        """Set, wait for the ramp, read back, compare."""
        ...

    def arm(self) -> UnitStatus:
        """Arm and wait until the unit itself says ready."""
        ...

    def set_train(self, train: Train | None) -> UnitStatus:
        """Set a train (None: single pulses), read back, compare; only in standby. NotReady where the unit has no trains."""
        ...

    def set_pair(self, pair: Pair | None) -> UnitStatus:
        """Set a pair (None: single pulses), read back, compare; only in standby. NotReady where the unit has no pairs."""
        ...

    def announce(self, due_s: float) -> None:
        """A pulse is due then: have a fresh status by then, and leave the line free. A hint: never blocks or fails."""
        ...

    def fire(self, permit: Permit) -> FireReceipt:
        """Fire once if the permit is genuine, unspent, unexpired and matches power, train and pair as read back.

        A train's receipt comes with the unit's acknowledgement; what was given of it is in ``train_end``.
        """
        ...

    def train_end(self) -> FireReceipt | None:
        """What was given of the last train: None while it is under way (or there was none), the same receipt ever after.

        Comes at the latest 1 s after the train's own end. ``pulses_min`` and ``pulses_max`` are equal where the train ran to
        its end, and bound it where it was cut short or nothing is known. Never blocks.
        """
        ...

    def disarm(self) -> None:
        """Never refused, never queued behind anything, safe from any thread and state; returns within 1 s."""
        ...

    def close(self) -> None:
        """Disarm, release remote control, close the line, end the port process."""
        ...


class Reopened(Protocol):
    """What came of connecting a lost stream again."""

    @property
    def gap_s(self) -> float:
        """Seconds without samples."""
        ...

    @property
    def words(self) -> str: ...


class Reopening(Protocol):
    """A source whose lost stream can be connected again; a source without a connection (replay) is none."""

    def reopen(self, deadline_s: float) -> Reopened:
        """Connect again, in a thread that is not the loop's, while the unit is not armed; NotReady in words if it fails."""
        ...


class SampleSource(Protocol):
    """A stream of EEG as the loop sees it: a ring behind it, an index-based clock in front."""

    @property
    def rate_hz(self) -> float: ...

    @property
    def montage(self) -> Montage:
        """The EEG channels only, in the order of ``window``'s columns."""
        ...

    def head(self) -> int:
        """Index of the next sample: all indices below it (and within the ring) can be read."""
        ...

    def window(self, first: int, count: int) -> Window:
        """EEG channels float32[count, n_channels] in µV; raises NotReady if overwritten or not yet there."""
        ...

    def valid(self, first: int, count: int) -> bool:
        """False when a gap touches the stretch."""
        ...

    def health(self, now_s: float) -> StreamHealth:
        """Look at everything new since the last look; cheap, never blocks."""
        ...

    def pulses(self, now_s: float) -> list[PulseSeen]:
        """Pulses newly found in the stream, in order, each once."""
        ...

    def take_markers(self) -> list[tuple[float, str]]:
        """Markers that came since the last call, (LSL seconds, value): for the record."""
        ...

    def expect_pulse(self, t_s: float) -> None:
        """Tell the finder the host's own fire time (the last and worst source)."""
        ...

    def time_of(self, sample: int) -> float:
        """LSL-clock seconds of a sample index."""
        ...

    def close(self) -> None: ...
