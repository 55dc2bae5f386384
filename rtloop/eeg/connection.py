"""Owns one connection to the amplifier (samples, markers, look-out) and finding the same amplifier again; owns no rule.

It owns no samples and no judgement of them. Nothing here happens by itself: a lost stream stays lost until asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from rtloop.clock import WALL
from rtloop.eeg.lsl import (
    CORRECTION_TIMEOUT_S,
    INFO_TIMEOUT_S,
    RESOLVE_S,
    Acquisition,
    FoundStream,
    MarkerInlet,
    OutletWatch,
    StreamListing,
    claiming,
    list_streams,
    pin_stream,
)
from rtloop.eeg.ring import Ring
from rtloop.errors import NotReady, ValidationProblem

LEAST_S = 0.1  # no single wait is given less


@dataclass(frozen=True, kw_only=True)
class Reopened:
    """A lost stream that is there again: seconds without samples, and what to tell (``rtloop.ports.Reopened``)."""

    gap_s: float
    words: str


@dataclass(frozen=True, kw_only=True)
class Connection:
    """What is open to one pinned amplifier. Replaced as a whole, never changed."""

    found: FoundStream
    acquisition: Acquisition
    outlets: OutletWatch
    markers: tuple[MarkerInlet, ...]

    @classmethod
    def open(cls, found: FoundStream, markers: Sequence[FoundStream], ring: Ring) -> Connection:
        """Connect and acquire. Raises NotReady when a stream does not answer in time."""
        with contextlib.ExitStack() as undo:
            outlets = OutletWatch(found)
            acquisition = Acquisition(found, ring)
            undo.callback(acquisition.stop)
            acquisition.start()
            inlets = tuple(MarkerInlet(m) for m in markers)
            undo.pop_all()
        return cls(found=found, acquisition=acquisition, outlets=outlets, markers=inlets)

    def again(self, deadline_s: float) -> Connection:
        """A new connection to the same amplifier into the same ring; ``deadline_s`` is an instant.

        The order matters: everything that may be refused is looked at while the old connection is as it was; then the
        old thread is ended (it must not write beside the new one), then the new one starts. Raises NotReady or
        ValidationProblem; after a refusal ``again`` may be called again.
        """
        found, *fresh = same_again((self.found, *(m.found for m in self.markers)), deadline_s)
        acquisition = Acquisition(
            found, self.acquisition.ring, timeout_s=left_s(deadline_s, CORRECTION_TIMEOUT_S)
        )
        markers = tuple(
            m if f.listing.uid == m.found.listing.uid and not m.lost
            else MarkerInlet(f, timeout_s=left_s(deadline_s, CORRECTION_TIMEOUT_S))
            for m, f in zip(self.markers, fresh, strict=True)
        )  # fmt: skip
        outlets = OutletWatch(found)
        self.acquisition.stop()
        acquisition.start(timeout_s=left_s(deadline_s, INFO_TIMEOUT_S))
        return Connection(found=found, acquisition=acquisition, outlets=outlets, markers=markers)

    def close(self, *, but: Connection | None = None) -> None:
        """End all of it, except what ``but`` goes on using. NotReady when the acquisition does not stop within 1 s."""
        for marker in self.markers:
            if but is None or marker not in but.markers:
                marker.close()
        self.outlets.close()
        self.acquisition.stop()


def left_s(deadline_s: float, most_s: float) -> float:
    """What a wait may take so that ``deadline_s`` holds."""
    return max(LEAST_S, min(most_s, deadline_s - WALL.now_s()))


def same_again(wanted: Sequence[FoundStream], deadline_s: float) -> list[FoundStream]:
    """The outlets of ``wanted``, come back: new uids, all else as it was. Blocks at least 1 s (not for the loop).

    ``deadline_s`` is an instant. Raises NotReady (none, or several that claim to be one of them) or ValidationProblem
    (one, but not the same: every difference is listed).
    """
    while True:
        everything = list_streams(RESOLVE_S)  # never less: a shorter look can miss one of two
        claims = [claiming(before.listing, everything) for before in wanted]
        if all(len(claim) == 1 for claim in claims) or not WALL.now_s() + RESOLVE_S < deadline_s:
            break
    return [_the_same(before, claim, deadline_s) for before, claim in zip(wanted, claims, strict=True)]


def _the_same(before: FoundStream, claim: list[StreamListing], deadline_s: float) -> FoundStream:
    if not claim:
        raise NotReady(
            "the stream has not come back",
            expected=before.listing.words(),
            found="no outlet of this name or source_id",
            todo="start the amplifier software's LSL output, then say `reconnect` again",
        )
    if len(claim) > 1:
        raise NotReady(
            f"{len(claim)} outlets claim to be our stream",
            expected=f"exactly one like {before.listing.words()}",
            found="; ".join(s.words() for s in claim),
            todo="stop the others, then say `reconnect` again",
        )
    _refuse_other(before, _unlike(before.listing, claim[0]))
    if before.layout is None:
        return FoundStream(listing=claim[0], layout=None)
    now = pin_stream(
        claim[0], before.listing.kind, None, None, before.assume_unit, left_s(deadline_s, INFO_TIMEOUT_S)
    )
    assert now.layout is not None
    _refuse_other(before, before.layout.unlike(now.layout))
    return now


def _unlike(us: StreamListing, other: StreamListing) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, object, object]] = [
        ("name", us.name, other.name),
        ("type", us.kind, other.kind),
        ("source_id", us.source_id, other.source_id),
        ("host", us.hostname, other.hostname),
        ("rate", f"{us.rate_hz:g} Hz", f"{other.rate_hz:g} Hz"),
        ("channels", us.n_channels, other.n_channels),
        ("number format", us.info.channel_format(), other.info.channel_format()),
    ]
    return [(what, str(a), str(b)) for what, a, b in rows if a != b]


def _refuse_other(before: FoundStream, unlike: list[tuple[str, str, str]]) -> None:
    if unlike:
        raise ValidationProblem(
            f"the stream '{before.listing.name}' came back as another",
            expected=", ".join(f"{what} {was}" for what, was, _ in unlike),
            found=", ".join(f"{what} {now}" for what, _, now in unlike),
            todo="set the amplifier software as it was and say `reconnect` again, or start a new session",
        )
