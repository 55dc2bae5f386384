"""Owns the wait of each train for a condition on the ongoing EEG, its time-out and its control; owns no measure, clock or train.

Pure: instants are the caller's, in seconds on one clock. The caller asks ``wants`` how often to look, hands in each ``Reading``
and asks ``look``; a gate that is open stays so only as an ``Opening`` in the caller's hands. The control (decision 0023): in
place of each value that counts, one of the calibration is judged, from a place that is drawn by the session's seed.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rtloop.plan.treat_schema import StateGate
from rtloop.treat.calibrating import FRESH_S, Calibrated, Reading, counted


class By(StrEnum):
    """What ended a wait."""

    STATE = "state"
    TIME_OUT = "time_out"
    CONTROL = "control"
    NO_STREAM = "no_stream"


@dataclass(frozen=True, kw_only=True)
class Opening:
    """The end of the wait of train ``index`` (from 0).

    ``give``: whether the train is to be given now; else it is passed over, or, where no stream came, the session is to be paused:
    without a stream nothing is given, whatever the plan says of a time-out. ``value``: the newest that counted, None: none
    did. ``judged``: what was held against ``limit``: the value, or with the control one of the calibration. ``looks`` of which
    ``valid`` counted; ``spoiled``: reason -> looks that did not. ``values``: (s after the wait began, value, reason) of each
    look. ``replayed_from``: where in the calibration's values the control began. ``words`` do not tell what begins the trains.
    """

    index: int
    by: By
    give: bool
    value: float | None
    judged: float | None
    limit: float
    waited_s: float
    looks: int
    valid: int
    spoiled: dict[str, int]
    values: tuple[tuple[float, float | None, str], ...]
    replayed_from: int | None
    words: str

    def data(self) -> dict[str, Any]:
        """Of the event ``gate_opened``."""
        return {
            "train": self.index + 1, "by": str(self.by), "give": self.give, "value": self.value, "judged": self.judged,
            "limit": self.limit, "waited_s": self.waited_s, "looks": self.looks, "valid": self.valid,
            "spoiled": dict(self.spoiled), "values": [list(v) for v in self.values], "replayed_from": self.replayed_from,
            "words": self.words,
        }  # fmt: skip


class TrainGate:
    """The gate of a session's trains.

    ``begin`` at the end of each pause; ``take`` whenever ``wants``; ``look`` gives the ``Opening`` once. ``cancel`` at every
    interruption (pause, disarmed, hot coil): the wait begins anew after it. ``train_over`` tells of the train before.
    """

    def __init__(self, gate: StateGate, calibrated: Calibrated, *, seed: str) -> None:
        self.gate, self.calibrated = gate, calibrated
        self._seed = seed
        self._from_s = -math.inf
        self._wait: _Wait | None = None

    def train_over(self, end_s: float) -> None:
        """A train (or any pulse) ended: samples count from ``recovery_s`` after it."""
        self._from_s = max(self._from_s, end_s + self.gate.recovery_s)

    @property
    def waiting(self) -> bool:
        """Whether a train waits."""
        return self._wait is not None

    def begin(self, index: int, now_s: float) -> None:
        """The wait of train ``index`` (from 0) begins."""
        start = None
        if self.gate.begin_by == "control":
            start = random.Random(f"{self._seed}/{index}").randrange(len(self.calibrated.values))
        self._wait = _Wait(index=index, begun_s=now_s, start=start)

    def cancel(self) -> None:
        """Paused or disarmed: the wait is given up, nothing opens until the next ``begin``."""
        self._wait = None

    def wants(self, now_s: float) -> bool:
        """Whether it is time for a look."""
        wait = self._wait
        return wait is not None and (not wait.looks or now_s - wait.looked_s >= self.gate.every_s - 1e-9)

    def take(self, reading: Reading, now_s: float) -> None:
        """One look; nothing where no train waits."""
        wait = self._wait
        if wait is None:
            return
        value, reason = counted(reading, now_s, self._from_s)
        wait.looks.append((now_s - wait.begun_s, value, reason))
        wait.looked_s, wait.streams, wait.judged = now_s, reading.streams, value
        if value is not None:
            wait.newest = value
            wait.valid += 1
            if wait.start is not None:
                known = self.calibrated.values
                wait.judged = known[(wait.start + wait.valid - 1) % len(known)]

    def look(self, now_s: float) -> Opening | None:
        """The end of the wait, once; None while it goes on."""
        wait = self._wait
        if wait is None:
            return None
        since_s = now_s - wait.looked_s
        if (
            since_s <= FRESH_S
            and wait.judged is not None
            and holds(self.gate, wait.judged, self.calibrated.limit)
        ):
            return self._open(wait, now_s, By.STATE if wait.start is None else By.CONTROL, give=True)
        if now_s - wait.begun_s >= self.gate.time_out_s:
            if not (wait.streams and since_s <= self.gate.every_s + FRESH_S):
                return self._open(wait, now_s, By.NO_STREAM, give=False)
            return self._open(wait, now_s, By.TIME_OUT, give=self.gate.then == "give")
        return None

    def _open(self, wait: _Wait, now_s: float, by: By, *, give: bool) -> Opening:
        self._wait = None
        waited_s = now_s - wait.begun_s
        words = f"train {wait.index + 1} waited {waited_s:.1f} s"
        if by in (By.TIME_OUT, By.NO_STREAM):
            words += f": the time is out, {'given all the same' if give else 'NOT given'}"
            words += ": no EEG came" if by is By.NO_STREAM else "" if wait.valid else ", no value counted"
        return Opening(
            index=wait.index, by=by, give=give, value=wait.newest, judged=wait.judged if by in (By.STATE, By.CONTROL) else None,
            limit=self.calibrated.limit, waited_s=waited_s, looks=len(wait.looks), valid=wait.valid,
            spoiled=dict(Counter(why for _, value, why in wait.looks if value is None)), values=tuple(wait.looks),
            replayed_from=wait.start, words=words,
        )  # fmt: skip


def holds(gate: StateGate, value: float, limit: float) -> bool:
    """The condition; equality is not it."""
    return value < limit if gate.holds == "below" else value > limit


def waits_expected_s(gate: StateGate, calibrated: Calibrated) -> tuple[float, ...]:
    """How long a train would wait from each look of the calibration on, were all values to come valid and every ``every_s``:
    what the control draws from, and what the state's waits are compared with. At most the time-out."""
    values, most = calibrated.values, math.ceil(gate.time_out_s / gate.every_s - 1e-9)
    out = []
    for start in range(len(values)):
        ahead = (k for k in range(most) if holds(gate, values[(start + k) % len(values)], calibrated.limit))
        k = next(ahead, None)
        out.append(gate.time_out_s if k is None else k * gate.every_s)
    return tuple(out)


class _Wait:
    """Of one train."""

    def __init__(self, *, index: int, begun_s: float, start: int | None) -> None:
        self.index, self.begun_s, self.start = index, begun_s, start
        self.looks: list[tuple[float, float | None, str]] = []
        self.looked_s = -math.inf
        self.valid = 0
        self.streams = False
        self.judged: float | None = None
        self.newest: float | None = None
