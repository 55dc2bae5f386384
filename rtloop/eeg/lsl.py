"""Owns finding, pinning and receiving LSL streams (the only module of rtloop that speaks to liblsl).

It owns no judgement of the samples. LSL authenticates nothing: what is pinned here is checked, not proven.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rtloop import private_lsl
from rtloop.clock import WALL
from rtloop.eeg import acquire as loop
from rtloop.eeg.layout import Channel, Described, Kind, Layout, layout_of
from rtloop.eeg.ring import Ring
from rtloop.errors import NotReady, ValidationProblem
from rtloop.priority import threads_first

RESOLVE_S = 1.0  # matches are collected for this long even when one is found at once
INFO_TIMEOUT_S = 3.0
CORRECTION_TIMEOUT_S = 4.0
PULL_TIMEOUT_S = 0.05  # how long the acquisition may take to see the stop flag
STOP_DEADLINE_S = 1.0
BUFFER_S = 20  # what liblsl keeps for us
RATE_TOLERANCE = 0.001  # of the nominal rate that was expected
_configured = False


def _pylsl() -> Any:
    """liblsl's binding, imported late; the session of RTLOOP_LSL_SESSION is set before the first use."""
    global _configured
    import pylsl

    if not _configured:
        _configured = True
        session = os.environ.get("RTLOOP_LSL_SESSION")
        if session:
            pylsl.set_config_content(private_lsl.settings(session))
    return pylsl


@dataclass(frozen=True, kw_only=True)
class StreamListing:
    """One outlet as seen on the network."""

    name: str
    kind: str
    source_id: str
    uid: str
    hostname: str
    session: str
    rate_hz: float
    n_channels: int
    info: Any  # the binding's StreamInfo

    def words(self) -> str:
        """One line for a person."""
        return (
            f"'{self.name}' ({self.kind}, {self.n_channels} ch, {self.rate_hz:g} Hz) on host "
            f"{self.hostname}, source_id '{self.source_id}', uid {self.uid}"
        )


@dataclass(frozen=True, kw_only=True)
class FoundStream:
    """One outlet, pinned: this uid on this host and no other. ``layout`` is None for marker streams."""

    listing: StreamListing
    layout: Layout | None
    assume_unit: str = ""  # what stood in where the description gave no unit
    seen: tuple[StreamListing, ...] = ()  # everything that was visible in the look that found it

    @property
    def same_host(self) -> bool:
        return self.listing.hostname == socket.gethostname()


def _listing(info: Any) -> StreamListing:
    return StreamListing(
        name=info.name(),
        kind=info.type(),
        source_id=info.source_id(),
        uid=info.uid(),
        hostname=info.hostname(),
        session=info.session_id(),
        rate_hz=info.nominal_srate(),
        n_channels=info.channel_count(),
        info=info,
    )


def clock_difference_s() -> float:
    """LSL's clock minus the project's, seconds: the tightest of nine brackets, since a busy machine widens single ones."""
    local_clock = _pylsl().local_clock
    brackets = []
    for _ in range(9):
        before_s, lsl_s, after_s = WALL.now_s(), float(local_clock()), WALL.now_s()
        brackets.append((after_s - before_s, lsl_s - 0.5 * (before_s + after_s)))
    return min(brackets)[1]


def library_words() -> str:
    """Versions of liblsl and its binding, for the doctor."""
    pylsl = _pylsl()
    return f"pylsl {pylsl.__version__} with liblsl {pylsl.library_version() / 100:.2f}"


def list_streams(wait_s: float = RESOLVE_S) -> list[StreamListing]:
    """Everything visible within ``wait_s`` seconds, each outlet once."""
    found = {s.uid: s for s in map(_listing, _pylsl().resolve_streams(wait_s))}
    return sorted(found.values(), key=lambda s: (s.name, s.uid))


def find_stream(
    *,
    name: str | None = None,
    source_id: str | None = None,
    kind: str = "EEG",
    expected_rate_hz: float | None = None,
    expected_channels: int | None = None,
    wait_s: float = 3.0,
    assume_unit: str = "",
    seen: tuple[StreamListing, ...] = (),
) -> FoundStream:
    """The one outlet that fits; matches are collected for >= 1 s; all else is an error in words.

    ``assume_unit`` stands in where the description gives no unit; ``seen``, from a look just now, saves a look when it holds
    a match. Raises NotReady (none, several, wrong rate or count) or ValidationProblem (names, units, positions).
    """
    deadline_s = WALL.now_s() + wait_s
    wanted = f"one {kind} stream" + (f" named '{name}'" if name else "")
    wanted += f" with source_id '{source_id}'" if source_id else ""
    everything = list(seen) or list_streams()
    while True:
        alike = [s for s in everything if s.kind.lower() == kind.lower()]
        fits = [s for s in alike if name in (None, s.name) and source_id in (None, s.source_id)]
        if fits or not (seen or WALL.now_s() < deadline_s):
            break
        everything, seen = list_streams(), ()
    if not fits:
        raise NotReady(
            "the stream was not found",
            expected=wanted,
            found="; ".join(s.words() for s in everything) or "no LSL stream at all",
            todo="start the amplifier software's LSL output; check name, firewall and network",
        )
    if len(fits) > 1:
        raise NotReady(
            f"{len(fits)} streams match",
            expected=f"exactly {wanted}",
            found="; ".join(s.words() for s in fits),
            todo="stop the others, or say which one by name or source_id",
        )
    pinned = pin_stream(fits[0], kind, expected_rate_hz, expected_channels, assume_unit)
    return replace(pinned, seen=tuple(everything))


def pin_stream(
    one: StreamListing, kind: str, rate_hz: float | None, n_channels: int | None, assume_unit: str,
    timeout_s: float = INFO_TIMEOUT_S,
) -> FoundStream:  # fmt: skip
    """Pin a listed outlet, after a look at its rate, format and description."""
    pylsl = _pylsl()
    if kind.lower() == "markers":
        return FoundStream(listing=one, layout=None)
    if rate_hz is not None and not abs(one.rate_hz - rate_hz) <= RATE_TOLERANCE * rate_hz:
        raise NotReady(
            f"the stream '{one.name}' has another sampling rate",
            expected=f"{rate_hz:g} Hz",
            found=f"{one.rate_hz:g} Hz",
            todo="set the rate in the amplifier software or in the site file",
        )
    if n_channels is not None and one.n_channels != n_channels:
        raise NotReady(
            f"the stream '{one.name}' has another number of channels",
            expected=str(n_channels),
            found=str(one.n_channels),
            todo="check the montage in the amplifier software and the site file",
        )
    if not one.rate_hz > 0 or one.info.channel_format() == pylsl.cf_string:
        raise NotReady(
            f"the stream '{one.name}' is not a regular numeric stream",
            expected="a fixed sampling rate, numbers",
            found=f"{one.rate_hz:g} Hz, format {one.info.channel_format()}",
            todo="choose the EEG stream",
        )
    inlet = pylsl.StreamInlet(one.info, max_buflen=1, recover=False)
    try:
        full = inlet.info(timeout_s)
    except RuntimeError as err:
        raise NotReady(
            f"the stream '{one.name}' does not describe itself",
            expected=f"an answer within {timeout_s:.1f} s",
            found=str(err),
            todo="restart the amplifier software's LSL output; check the firewall",
        ) from err
    described = _described(full, assume_unit)
    if len(described) != one.n_channels:
        raise ValidationProblem(
            f"the stream '{one.name}' does not name its channels",
            expected=f"{one.n_channels} channel entries",
            found=str(len(described)),
            todo="switch channel meta-data on in the amplifier software",
        )
    return FoundStream(listing=one, layout=layout_of(described), assume_unit=assume_unit)


def _described(info: Any, assume_unit: str) -> list[Described]:
    out = []
    channel = info.desc().child("channels").child("channel")
    while not channel.empty():
        texts = [channel.child("location").child_value(axis) for axis in "XYZ"]
        try:
            x, y, z = (float(t) for t in texts)
            place: tuple[float, float, float] | None = (x, y, z)
        except ValueError:
            place = None
        label, kind, unit = (channel.child_value(k) for k in ("label", "type", "unit"))
        out.append(Described(label=label, kind=kind, unit=unit or assume_unit, location_mm=place))
        channel = channel.next_sibling("channel")
    return out


def claiming(us: StreamListing, everything: list[StreamListing]) -> list[StreamListing]:
    """Those with our source_id, or our name and type."""
    return [
        s
        for s in everything
        if (s.source_id == us.source_id != "") or (s.name == us.name and s.kind == us.kind)
    ]


class Acquisition:
    """The inlet and its one thread, which lives in compiled code and writes the ring.

    Made, it has proven that the outlet answers; ``start`` then opens the data connection. Only one may run on a ring.
    """

    def __init__(self, found: FoundStream, ring: Ring, *, timeout_s: float = CORRECTION_TIMEOUT_S) -> None:
        """Connect and warm the clock offset up. Raises NotReady when the outlet does not answer in time."""
        if found.layout is None or ring.n_channels != found.listing.n_channels:
            raise ValueError("the ring does not fit the stream")
        pylsl = _pylsl()
        flags = pylsl.proc_none if found.same_host else pylsl.proc_clocksync
        self._inlet = pylsl.StreamInlet(
            found.listing.info, max_buflen=BUFFER_S, recover=False, processing_flags=flags
        )
        try:
            self.clock_offset_s = float(self._inlet.time_correction(timeout_s))
        except RuntimeError as err:
            self._inlet = None
            raise _silent(found, err) from err
        self.ring, self._found = ring, found
        self._flags = np.zeros(8, np.int64)
        factors = np.array([c.factor for c in found.layout.channels], np.float32)
        lib = pylsl.lib.lib
        addresses = [
            int(ctypes.cast(f, ctypes.c_void_p).value or 0)
            for f in (lib.lsl_pull_chunk_f, lib.lsl_local_clock)
        ]
        self._arguments = (
            *addresses,
            int(self._inlet.obj.value),
            *ring.arrays,
            factors,
            bool(np.any(factors != 1)),
            np.zeros(ring.max_write),
            self._flags,
            np.zeros(1, np.int32),
            1 / found.listing.rate_hz,
            PULL_TIMEOUT_S,
        )
        self._thread = threading.Thread(
            target=loop.acquire, args=self._arguments, name="acquire", daemon=True
        )

    def start(self, *, timeout_s: float = INFO_TIMEOUT_S) -> None:
        """Open the data connection and begin to write. Raises NotReady when it does not open in time."""
        with threads_first():  # ours, and liblsl's own that receives
            try:
                self._inlet.open_stream(timeout_s)
            except RuntimeError as err:
                self._inlet = None
                raise _silent(self._found, err) from err
            self._flags[loop.STATE] = loop.RUNNING
            self._thread.start()

    @property
    def state(self) -> int:
        """RUNNING, STOPPED, LOST or FAILED of ``rtloop.eeg.acquire``; 0 before the start."""
        return int(self._flags[loop.STATE])

    @property
    def lost(self) -> bool:
        """The outlet is gone, liblsl failed, or it was stopped; never silently reconnected."""
        return self.state != loop.RUNNING

    def stop(self) -> None:
        """End the thread and the connection within 1 s; raises NotReady if it does not end."""
        self._flags[loop.STOP] = 1
        if self._thread.ident is not None:
            self._thread.join(STOP_DEADLINE_S)
        if self._thread.is_alive():
            raise NotReady("the acquisition does not stop", expected=f"an end within {STOP_DEADLINE_S} s")
        self._inlet = None


def _silent(found: FoundStream, err: RuntimeError) -> NotReady:
    return NotReady(
        f"the stream '{found.listing.name}' does not answer",
        expected="an open connection",
        found=str(err),
        todo="restart the amplifier software's LSL output; check the firewall",
    )


class MarkerInlet:
    """Markers of one irregular stream, text or numbers; polled by one thread, never waited for."""

    def __init__(self, found: FoundStream, *, timeout_s: float = CORRECTION_TIMEOUT_S) -> None:
        self.found = found
        pylsl = _pylsl()
        flags = pylsl.proc_none if found.same_host else pylsl.proc_clocksync
        self._inlet = pylsl.StreamInlet(
            found.listing.info, max_buflen=BUFFER_S, recover=False, processing_flags=flags
        )
        self.lost = False
        try:
            self._inlet.time_correction(timeout_s)
            self._inlet.open_stream(min(INFO_TIMEOUT_S, timeout_s))
        except RuntimeError as err:
            self._inlet = None
            raise NotReady(
                f"the marker stream '{found.listing.name}' does not answer", found=str(err)
            ) from err

    def poll(self) -> list[tuple[float, str]]:
        """New markers: (LSL seconds, value as text; whole numbers without a point)."""
        inlet = self._inlet  # another thread may close meanwhile
        if self.lost or inlet is None:
            return []
        try:
            rows, stamps = inlet.pull_chunk(timeout=0.0)
        except RuntimeError:
            self.lost = True
            return []
        return [(float(t), _text(row[0])) for t, row in zip(stamps or [], rows or [], strict=True)]

    def close(self) -> None:
        self._inlet = None


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


class OutletWatch:
    """Looks for outlets that claim to be ours; liblsl resolves in the background, asking never blocks."""

    def __init__(self, found: FoundStream) -> None:
        self._found = found.listing
        self._resolver = _pylsl().ContinuousResolver(forget_after=3.0)

    def others(self) -> list[StreamListing]:
        """Outlets with our source_id or name under another uid, as of the last second or so."""
        resolver = self._resolver  # another thread may close meanwhile
        seen = [_listing(info) for info in resolver.results()] if resolver is not None else []
        return list({s.uid: s for s in claiming(self._found, seen) if s.uid != self._found.uid}.values())

    def close(self) -> None:
        self._resolver = None


def another_outlet(found: FoundStream) -> list[StreamListing]:
    """Resolve once (1 s, blocking: not for the loop) for outlets that claim to be ``found``."""
    return [s for s in claiming(found.listing, list_streams()) if s.uid != found.listing.uid]


__all__ = [
    "Acquisition",
    "Channel",
    "FoundStream",
    "Kind",
    "Layout",
    "MarkerInlet",
    "OutletWatch",
    "StreamListing",
    "another_outlet",
    "clock_difference_s",
    "find_stream",
    "library_words",
    "list_streams",
]
