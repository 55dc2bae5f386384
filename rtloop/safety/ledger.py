"""Owns the dose: a fold over the events of pulses, and the counts that have caps; refuses nothing itself.

A pulse is charged before it is sent. Only a closing record that says ``not_delivered`` releases the charge:
an uncertain outcome, an unknown word, or no closing record at all (a crash) count as delivered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rtloop.errors import IntegrityProblem
from rtloop.model.event import Event
from rtloop.model.pulse import Delivery

PULSE_INTENDED = "pulse_intended"
PULSE_CLOSED = "pulse_closed"
PULSE_UNCOMMANDED = "pulse_uncommanded"


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Pulses so far, as the caps see them: this target in this session, this session, this UTC day."""

    target_session: int = 0
    session: int = 0
    day: int = 0


NO_PULSES = Counts()


@dataclass(frozen=True, kw_only=True)
class Charge:
    """One intended pulse. ``day`` is a UTC date (YYYY-MM-DD); a session may consist of several runs."""

    run_id: str
    session_id: str
    permit_id: int
    pulse_id: int
    target: str
    purpose: str
    power_pct_mso: int
    power_pct_rmt: float | None
    day: str

    def data(self) -> dict[str, Any]:
        """The data of its ``pulse_intended`` event (JSON values only)."""
        return dict(self.__dict__)


class Ledger:
    """The pulses of one participant over all runs. Give ``from_events`` every journal of that participant."""

    def __init__(self) -> None:
        self._charges: dict[tuple[str, int], Charge] = {}
        self._released: dict[tuple[str, int], bool] = {}
        self._tally: Counter[tuple[str, ...]] = Counter()  # a check costs the same in any session
        self.latest_day = ""  # the last UTC day with a charge

    @classmethod
    def from_events(cls, events: Iterable[Event]) -> Ledger:
        """Fold journals; other kinds are passed over; IntegrityProblem when records contradict each other."""
        ledger = cls()
        for event in events:
            ledger.apply(event.kind, event.data)
        return ledger

    def apply(self, kind: str, data: Mapping[str, Any]) -> None:
        """One step of the fold. The same record twice counts once."""
        try:
            if kind == PULSE_INTENDED:
                self._take(Charge(**{name: data[name] for name in Charge.__dataclass_fields__}))
            elif kind == PULSE_CLOSED:
                self._close((data["run_id"], data["permit_id"]), data["delivery"])
            elif kind == PULSE_UNCOMMANDED and "run_id" in data:  # without: heard while only listening
                self.uncommanded(data["run_id"], data["session_id"], data["sample"], data["day"])
        except KeyError as err:
            raise IntegrityProblem(
                f"a {kind} record cannot be counted", expected=f"the field {err}", found=str(dict(data)),
                todo="verify the journal; do not stimulate until the dose is known",
            ) from err  # fmt: skip

    def uncommanded(self, run_id: str, session_id: str, sample: int, day: str) -> dict[str, Any]:
        """Count a pulse that was seen and that nobody commanded; returns what its event must hold."""
        self._take(Charge(run_id=run_id, session_id=session_id, permit_id=-1 - sample, pulse_id=-1 - sample, target="",
                          purpose="uncommanded", power_pct_mso=0, power_pct_rmt=None, day=day))  # fmt: skip
        return {"run_id": run_id, "session_id": session_id, "day": day}

    def charge(self, charge: Charge) -> dict[str, Any]:
        """Count a pulse before it is sent; returns the data of the event to be made durable."""
        if (charge.run_id, charge.permit_id) in self._charges:
            raise IntegrityProblem("a pulse is charged twice", found=str(charge))
        self._take(charge)
        return charge.data()

    def close(self, charge: Charge, delivery: Delivery) -> dict[str, Any]:
        """Close a charged pulse; returns the data of its ``pulse_closed`` event."""
        self._close((charge.run_id, charge.permit_id), delivery)
        return {
            "run_id": charge.run_id, "permit_id": charge.permit_id,
            "pulse_id": charge.pulse_id, "delivery": str(delivery),
        }  # fmt: skip

    def _take(self, charge: Charge) -> None:
        key = (charge.run_id, charge.permit_id)
        if key not in self._charges:
            self._charges[key] = charge
            self.latest_day = max(self.latest_day, charge.day)
            self._count(charge, 1)
        elif self._charges[key] != charge:
            raise IntegrityProblem(
                "two different pulses carry one permit", expected=str(self._charges[key]), found=str(charge),
                todo="verify the journals; two programs may have driven one unit",
            )  # fmt: skip

    def _close(self, key: tuple[str, int], delivery: str) -> None:
        if key not in self._charges:
            raise IntegrityProblem(
                "a pulse was closed that was never intended", expected="its pulse_intended record before it",
                found=f"permit {key[1]} of run {key[0]}", todo="verify the journal; a record is missing",
            )  # fmt: skip
        # once anything but "not delivered" was said of a pulse, it stays counted
        before = self._released.get(key, False)
        after = self._released.get(key, True) and delivery == Delivery.NOT_DELIVERED
        self._released[key] = after
        self._count(self._charges[key], before - after)

    def _count(self, charge: Charge, step: int) -> None:
        session = charge.session_id
        for name in (("target", session, charge.target), ("session", session), ("day", charge.day)):
            self._tally[name] += step

    def count(self, **named: str) -> int:
        """Pulses that count as delivered, of the named target, purpose, run_id, session_id, day."""
        taken = (c for key, c in self._charges.items() if not self._released.get(key, False))
        return sum(all(getattr(c, k) == v for k, v in named.items()) for c in taken)

    def counts(self, *, target: str, session_id: str, day: str) -> Counts:
        """The three counts that have caps."""
        return Counts(
            target_session=self._tally["target", session_id, target],
            session=self._tally["session", session_id],
            day=self._tally["day", day],
        )

    @property
    def unclosed(self) -> tuple[Charge, ...]:
        """Intended, never closed: counted as delivered."""
        return tuple(c for key, c in self._charges.items() if key not in self._released)
