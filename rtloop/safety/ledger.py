"""Owns the dose: a fold over the events of pulses, and the counts that have caps; refuses nothing itself.

A command is charged with all its pulses before it is sent. Only a closing record that says ``not_delivered``, or fewer
pulses, releases what certainly was not given: an uncertain outcome, an unknown word, or no closing record at all (a crash)
count as delivered; bounds count at their upper end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any

from rtloop.errors import IntegrityProblem
from rtloop.model.event import Event
from rtloop.model.pulse import Delivery, Pair, Purpose, Train, pulses_of

PULSE_INTENDED = "pulse_intended"
PULSE_CLOSED = "pulse_closed"
PULSE_UNCOMMANDED = "pulse_uncommanded"


TREATMENT, UNCOMMANDED = str(Purpose.TREATMENT), "uncommanded"


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Pulses so far, as the caps see them; a day is a UTC date.

    Treatment has caps of its own: the first three are all other pulses, of this target in this session, this session,
    this day; then treatment in this session, this day and all sessions of the participant, the course. What nobody
    commanded counts on both sides. Sessions: those with treatment, but this one.
    """

    target_session: int = 0
    session: int = 0
    day: int = 0
    treatment_session: int = 0
    treatment_day: int = 0
    treatment_course: int = 0
    other_treatment_sessions_day: int = 0
    other_treatment_sessions: int = 0

    def plus(self, n_pulses: int, purpose: Purpose) -> Counts:
        """After ``n_pulses`` more of this purpose in this session."""
        names = ("target_session", "session", "day")
        if purpose is Purpose.TREATMENT:
            names = ("treatment_session", "treatment_day", "treatment_course")
        return replace(self, **{name: getattr(self, name) + n_pulses for name in names})


NO_PULSES = Counts()


@dataclass(frozen=True, kw_only=True)
class Charge:
    """One intended fire command. ``day`` is a UTC date (YYYY-MM-DD); a session may consist of several runs.

    ``n_pulses``: of the ``train`` or ``pair`` it starts. Records older than trains have none of the three: one pulse.
    """

    run_id: str
    session_id: str
    permit_id: int
    pulse_id: int
    target: str
    purpose: str
    power_pct_mso: int
    power_pct_rmt: float | None
    day: str
    n_pulses: int = 1
    train: Train | None = None
    pair: Pair | None = None

    def data(self) -> dict[str, Any]:
        """The data of its ``pulse_intended`` event (JSON values only)."""
        return asdict(self)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Charge:
        """From the data of its event; KeyError, TypeError, ValueError when it cannot be."""
        had = {f.name: data[f.name] for f in fields(cls) if f.name in data or f.default is MISSING}
        train, pair = had.get("train"), had.get("pair")
        made = cls(**(had | {
            "train": None if train is None else Train(**train), "pair": None if pair is None else Pair(**pair),
        }))  # fmt: skip
        want = pulses_of(made.train, made.pair)
        if type(made.n_pulses) is not int or made.n_pulses != want:
            raise ValueError(f"n_pulses = {made.n_pulses!r}, not {want}")
        return made


class Ledger:
    """The pulses of one participant over all runs. Give ``from_events`` every journal of that participant."""

    def __init__(self) -> None:
        self._charges: dict[tuple[str, int], Charge] = {}
        self._most: dict[tuple[str, int], int] = {}  # the most that any closing record says was given
        self._tally: Counter[tuple[str, ...]] = Counter()  # a check costs the same in any session
        self._sessions: Counter[tuple[str, str]] = Counter()  # treatment by session and day
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
                self._take(Charge.of(data))
            elif kind == PULSE_CLOSED:
                bounds = (data.get("delivered_min"), data.get("delivered_max"))
                self._close((data["run_id"], data["permit_id"]), data["delivery"], bounds)
            elif kind == PULSE_UNCOMMANDED and "run_id" in data:  # without: heard while only listening
                self.uncommanded(data["run_id"], data["session_id"], data["sample"], data["day"])
        except (KeyError, TypeError, ValueError) as err:
            raise IntegrityProblem(
                f"a {kind} record cannot be counted", expected=f"whole fields ({err})", found=str(dict(data)),
                todo="verify the journal; do not stimulate until the dose is known",
            ) from err  # fmt: skip

    def uncommanded(self, run_id: str, session_id: str, sample: int, day: str) -> dict[str, Any]:
        """Count a pulse that was seen and that nobody commanded; returns what its event must hold."""
        self._take(Charge(run_id=run_id, session_id=session_id, permit_id=-1 - sample, pulse_id=-1 - sample, target="",
                          purpose=UNCOMMANDED, power_pct_mso=0, power_pct_rmt=None, day=day))  # fmt: skip
        return {"run_id": run_id, "session_id": session_id, "day": day}

    def charge(self, charge: Charge) -> dict[str, Any]:
        """Count a command before it is sent; returns the data of the event to be made durable."""
        if (charge.run_id, charge.permit_id) in self._charges:
            raise IntegrityProblem("a pulse is charged twice", found=str(charge))
        self._take(charge)
        return charge.data()

    def close(
        self, charge: Charge, delivery: Delivery, delivered: tuple[int, int] | None = None
    ) -> dict[str, Any]:
        """Close a charged command; ``delivered``: the fewest and most pulses given, where more is known than the word.

        Returns the data of its ``pulse_closed`` event.
        """
        low, high = _bounds(charge.n_pulses, delivery, delivered or (None, None))
        self._close((charge.run_id, charge.permit_id), delivery, (low, high))
        return {
            "run_id": charge.run_id, "permit_id": charge.permit_id, "pulse_id": charge.pulse_id,
            "delivery": str(delivery), "delivered_min": low, "delivered_max": high,
        }  # fmt: skip

    def _take(self, charge: Charge) -> None:
        key = (charge.run_id, charge.permit_id)
        if key not in self._charges:
            self._charges[key] = charge
            self.latest_day = max(self.latest_day, charge.day)
            self._count(charge, charge.n_pulses)
        elif self._charges[key] != charge:
            raise IntegrityProblem(
                "two different pulses carry one permit", expected=str(self._charges[key]), found=str(charge),
                todo="verify the journals; two programs may have driven one unit",
            )  # fmt: skip

    def _close(self, key: tuple[str, int], delivery: str, bounds: tuple[object, object]) -> None:
        if key not in self._charges:
            if _bounds(1, delivery, bounds)[1] == 0:
                return  # its intent could not be made durable, so it was not sent
            raise IntegrityProblem(
                "a pulse was closed that was never intended", expected="its pulse_intended record before it",
                found=f"permit {key[1]} of run {key[0]}", todo="verify the journal; a record is missing",
            )  # fmt: skip
        # of several closing records the one that says the most stands
        charge, before = self._charges[key], self._counted(key)
        said = _bounds(charge.n_pulses, delivery, bounds)[1]
        self._most[key] = max(said, self._most.get(key, 0))
        self._count(charge, self._counted(key) - before)

    def _counted(self, key: tuple[str, int]) -> int:
        return self._most.get(key, self._charges[key].n_pulses)

    def _count(self, charge: Charge, step: int) -> None:
        session, day, c = charge.session_id, charge.day, charge
        if c.purpose != TREATMENT:
            names: tuple[tuple[str, ...], ...] = (
                ("target", session, c.target),
                ("session", session),
                ("day", day),
            )
            for name in names:
                self._tally[name] += step
        if c.purpose in (TREATMENT, UNCOMMANDED):
            for name in (("treated", session), ("treated day", day), ("course",)):
                self._tally[name] += step
        if c.purpose == TREATMENT:
            self._sessions[session, day] += step

    def count(self, **named: str) -> int:
        """Pulses that count as delivered, of the named target, purpose, run_id, session_id, day."""
        return sum(
            self._counted(key) for key, c in self._charges.items()
            if all(getattr(c, k) == v for k, v in named.items())
        )  # fmt: skip

    def counts(self, *, target: str, session_id: str, day: str) -> Counts:
        """The counts that have caps."""
        tally = self._tally
        others = {key for key, n in self._sessions.items() if n > 0 and key[0] != session_id}
        return Counts(
            target_session=tally["target", session_id, target], session=tally["session", session_id],
            day=tally["day", day], treatment_session=tally["treated", session_id],
            treatment_day=tally["treated day", day], treatment_course=tally["course",],
            other_treatment_sessions_day=sum(d == day for _, d in others),
            other_treatment_sessions=len({session for session, _ in others}),
        )  # fmt: skip

    @property
    def unclosed(self) -> tuple[Charge, ...]:
        """Intended, never closed: counted as delivered."""
        return tuple(c for key, c in self._charges.items() if key not in self._most)

    @property
    def latest(self) -> tuple[Charge, ...]:
        """The charges of the latest day."""
        return tuple(c for c in self._charges.values() if c.day == self.latest_day)

    @property
    def maybe_running_s(self) -> float:
        """How long a train of the latest day may still go on that nobody closed; 0 when there is none."""
        trains = [c.train for c in self.unclosed if c.day == self.latest_day and c.train is not None]
        return max((t.duration_s for t in trains), default=0.0)


def _bounds(n_pulses: int, delivery: str, said: tuple[object, object]) -> tuple[int, int]:
    """Fewest and most pulses given; what contradicts itself or is no number bounds nothing."""
    low, high = said
    if (
        type(low) is int
        and type(high) is int
        and 0 <= low <= high
        and (high or delivery != Delivery.DELIVERED)
    ):
        return low, high
    if said == (None, None):  # the word alone: all or none
        none, all_ = delivery == Delivery.NOT_DELIVERED, delivery == Delivery.DELIVERED
        return n_pulses if all_ else 0, 0 if none else n_pulses
    return 0, n_pulses
