"""Owns who runs a participant: one computer at a time, on one study folder, without comparing two computers' clocks.

A claim is a file that only one can make: ``P017.00000007`` is the seventh claim on P017. Its holder renews it by putting a new
count into ``P017.00000007.beat``, and looks for an eighth claim each time. Who wants to take over watches the count by its own
monotonic clock; when it has stood still for ``EXPIRES_S`` the next claim is made, and held only after another ``EXPIRES_S``. By
then the earlier holder has seen it, or has not renewed for longer than ``HOLDS_S`` and knows by its own clock that it holds
nothing. So a stopped (SIGSTOP), frozen, suspended or cut-off holder that wakes up finds ``held`` false.

It owns no dose, and one thing it cannot do: keep a holder that is stopped between its look at ``held`` and its pulse from giving
that pulse late. That is the watchdog's and the permit's part (rtloop.board, rtloop.safety.gate), which act within a second.
"""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rtloop.clock import WALL, Clock
from rtloop.durable import canonical
from rtloop.errors import IntegrityProblem, NotReady, RtloopError
from rtloop.model.course import is_code, refuse
from rtloop.study.whole import publish, put

#: how long a renewal holds by the holder's own clock, and how long nothing must be seen of it before it is taken over, s [D]:
#: twice as long, for a slow network folder and for clocks that do not run alike
HOLDS_S = 5.0
EXPIRES_S = 10.0
#: how often the holder should renew, s
RENEW_S = 1.0
_LOOK_S = 0.1
_CLAIM = re.compile(r"(.+)\.(\d{8})")


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who made a claim, and the last that was seen of it. ``utc`` is for people only."""

    number: int
    host: str
    pid: int
    nonce: str
    utc: str
    beat: int
    released: bool

    def words(self) -> str:
        """For people."""
        return f"{self.host} (process {self.pid}, since {self.utc} by that computer's clock)"


def holder_of(folder: Path, participant: str) -> Holder | None:
    """The newest claim on a participant, or None; IntegrityProblem when it cannot be read."""
    number = _newest(folder, participant)
    if number == 0:
        return None
    claim = _read(folder / f"{participant}.{number:08d}") or {}
    beat = _read(folder / f"{participant}.{number:08d}.beat") or {}
    try:
        return Holder(
            number=number, host=claim["host"], pid=claim["pid"], nonce=claim["nonce"], utc=claim["utc"],
            beat=beat.get("beat", 0) if beat.get("nonce", claim["nonce"]) == claim["nonce"] else -1,
            released=beat.get("released") is True and beat.get("nonce") == claim["nonce"],
        )  # fmt: skip
    except (KeyError, TypeError) as err:
        raise IntegrityProblem(
            f"the claim {number} on {participant} in {folder} cannot be read", found=str(err),
            todo="make sure that nobody runs this participant, then move the file away",
        ) from err  # fmt: skip


def _newest(folder: Path, participant: str) -> int:
    try:
        names = os.listdir(folder)
    except OSError as err:
        raise IntegrityProblem(f"the claims in {folder} cannot be read", found=str(err)) from err
    found = [m for m in map(_CLAIM.fullmatch, names) if m and m.group(1) == participant]
    return max((int(m.group(2)) for m in found), default=0)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        raise IntegrityProblem(f"{path} cannot be read", found=str(err)) from err
    return found if isinstance(found, dict) else {}


class Lease:
    """The right to run one participant. Renew it every ``RENEW_S``; look at ``held`` before each pulse or train; release it."""

    def __init__(
        self, folder: Path, participant: str, number: int, nonce: str, *, clock: Clock, holds_s: float
    ) -> None:
        self.participant, self.number = participant, number
        self._folder, self._nonce, self._clock, self._holds_s = folder, nonce, clock, holds_s
        self._beat, self._lost, self._renewed = 0, "", _now(clock)

    @property
    def held(self) -> bool:
        """Whether this computer may go on, by its own clocks and all it has seen."""
        return not self._lost and self._since(self._renewed) < self._holds_s

    def _since(self, then: tuple[float, float]) -> float:
        """Seconds since ``then`` by the monotonic clock; it stands still in a suspended computer: by the wall clock if more."""
        return max(b - a for a, b in zip(then, _now(self._clock), strict=True))

    def renew(self) -> None:
        """Say that we are still there; NotReady when the lease is lost: stop, disarm, do not take it up again in this run."""
        begun = _now(self._clock)
        if not self._lost and not self.held:
            self._lost = f"it was not renewed for more than {self._holds_s:g} s"
        if not self._lost:
            self._beat += 1
            try:
                self._put(released=False)
                if _newest(self._folder, self.participant) != self.number:
                    self._lost = "another computer has taken it over"
            except RtloopError as err:
                self._lost = str(err)
        if self._lost:
            raise NotReady(
                f"this computer no longer runs {self.participant}", expected="a lease that is renewed in time", found=self._lost,
                todo="end the session here; whoever holds the participant now goes on with what is left",
            )  # fmt: skip
        self._renewed = begun

    def release(self) -> None:
        """Give it back: the next computer need not wait. A lost one is left alone; a second release does nothing."""
        if not self._lost:
            self._lost = "it was given back"
            self._beat += 1
            self._put(released=True)

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _put(self, *, released: bool) -> None:
        beat = {"nonce": self._nonce, "beat": self._beat, "released": released}
        put(self._folder, f"{self.participant}.{self.number:08d}.beat", canonical(beat))


def take(
    folder: Path, participant: str, *, clock: Clock = WALL, wait_s: float | None = None, host: str | None = None,
    pid: int | None = None, holds_s: float = HOLDS_S, expires_s: float = EXPIRES_S,
) -> Lease:  # fmt: skip
    """The lease of a participant, at once when nobody holds it, else after its holder has shown nothing for ``expires_s``.

    ``wait_s``: how long to wait for that in all (None: as long as it takes to see whether the holder is alive). NotReady when
    the participant is held elsewhere. ``host`` and ``pid`` are names for people; nobody is told alive or dead by them.
    """
    bad = [] if is_code(participant) else [f"participant = {participant!r} is no code"]
    bad += (
        []
        if 0 < holds_s <= expires_s / 2
        else [f"holds_s = {holds_s!r}, expected at most half of expires_s = {expires_s!r}"]
    )
    refuse("the lease", bad, "correct these")
    end_s = clock.now_s() + (2.5 * expires_s if wait_s is None else wait_s)
    claim = {
        "host": host or platform.node() or "?",
        "pid": os.getpid() if pid is None else pid,
        "utc": clock.utc(),
    }
    seen, since_s = holder_of(folder, participant), clock.now_s()
    while True:
        now_s = clock.now_s()
        if seen is None or seen.released or now_s - since_s >= expires_s:
            nonce = secrets.token_hex(16)
            number = 1 if seen is None else seen.number + 1
            if publish(folder, f"{participant}.{number:08d}", canonical({**claim, "nonce": nonce}) + b"\n"):
                break
        elif now_s >= end_s:
            raise _held(participant, seen)
        else:
            clock.sleep_until(min(end_s, now_s + min(_LOOK_S, expires_s / 10)))
        latest = holder_of(folder, participant)
        if latest != seen:
            if seen is not None and latest is not None and not latest.released and wait_s is None:
                raise _held(participant, latest)  # it lives: it was renewed, or another one was faster
            seen, since_s = latest, clock.now_s()
    lease = Lease(folder, participant, number, nonce, clock=clock, holds_s=holds_s)
    lease.renew()
    if seen is not None and not seen.released:
        free_s = clock.now_s() + expires_s  # by then whoever held it knows that it is gone
        while clock.now_s() < free_s:
            clock.sleep_until(min(free_s, clock.now_s() + holds_s / 4))
            lease.renew()
    return lease


def _now(clock: Clock) -> tuple[float, float]:
    return clock.now_s(), datetime.fromisoformat(clock.utc()).timestamp()


def _held(participant: str, holder: Holder) -> NotReady:
    return NotReady(
        f"{participant} is run by another computer", expected="one computer for a participant at a time", found=holder.words(),
        todo="end the session there; after a crash of it wait half a minute and say it again",
    )  # fmt: skip
