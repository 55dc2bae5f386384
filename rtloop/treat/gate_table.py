"""Owns what a record tells of a treatment's gate: each train's opening, shares, and waits against those that were expected; owns
no drawing and no judgement.

Pure, over events (kind, data) of one session's runs in order. A train may have several openings (one that could not be used in
time, or before an interruption): the last one before it counts, the others are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rtloop.model.course import GATE_CALIBRATED, GATE_OPENED, TRAIN_GIVEN
from rtloop.plan.treat_schema import StateGate
from rtloop.treat.calibrating import Calibrated, quantile
from rtloop.treat.gating import By, waits_expected_s


@dataclass(frozen=True, kw_only=True)
class GateRow:
    """One train: what ended its wait, the value then and the limit, s of waiting. ``given``: a pulse of it may have been given;
    ``tries``: openings, of which the last one counts."""

    train: int
    by: str
    value: float | None
    judged: float | None
    limit: float
    waited_s: float
    looks: int
    valid: int
    given: bool
    tries: int


@dataclass(frozen=True, kw_only=True)
class Waits:
    """Seconds: how many, their median, and the 95 % interval of the median by order statistics (None: too few)."""

    n: int
    median_s: float
    low_s: float | None
    high_s: float | None

    @classmethod
    def of(cls, waits_s: Sequence[float]) -> Waits | None:
        """None of none."""
        if not waits_s:
            return None
        _, low, high = quantile(waits_s, 0.5)
        return cls(n=len(waits_s), median_s=median(waits_s), low_s=low, high_s=high)


@dataclass(frozen=True, kw_only=True)
class GateTable:
    """Of a session. ``begin_by``: state or control. ``calibrations``: as ``gate_calibrated`` has them, one for each run.

    ``share_by``: of the trains that were given, what ended their wait. ``waits``: of trains whose wait ended by state or control,
    by the time-out too; ``expected``: of the rule on the calibration, from each of its looks on (what a control draws from; they
    overlap, so that they have no interval). Trains of the ramp count like others.
    """

    begin_by: str
    condition: str
    calibrations: tuple[Mapping[str, Any], ...]
    rows: tuple[GateRow, ...]
    share_by: Mapping[str, float]
    waits: Waits | None
    expected_median_s: float | None
    expected_time_out: float | None

    def data(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    def told(self) -> str:
        """One line that says the same of both arms: what began the trains is not in it."""
        if self.waits is None or self.expected_median_s is None:
            return "no train waited"
        out = sum(r.by == By.TIME_OUT for r in self.rows)
        return (
            f"{self.waits.n} trains waited: {self._waited()}; {out} until the time ran out "
            f"({100 * (self.expected_time_out or 0.0):.0f} % by the rule on the calibration)"
        )

    def _waited(self) -> str:
        w = self.waits
        if w is None or self.expected_median_s is None:
            return ""
        interval = (
            f" (95 % {w.low_s:.1f} to {w.high_s:.1f})" if w.low_s is not None and w.high_s is not None else ""
        )
        return f"median {w.median_s:.1f} s{interval}, {self.expected_median_s:.1f} s by the rule on the calibration"

    def words(self) -> str:
        """One line, for those who may know what began the trains."""
        given = [r for r in self.rows if r.given]
        shares = (
            ", ".join(f"{100 * s:.0f} % by {by.replace('_', '-')}" for by, s in self.share_by.items())
            or "none"
        )
        return f"{len(given)} gated trains: {shares}" + (f"; waits: {w}" if (w := self._waited()) else "")


def gate_table(events: Iterable[tuple[str, Mapping[str, Any]]]) -> GateTable | None:
    """The table of a session; None where no train was gated, or none came so far."""
    calibrations: list[Mapping[str, Any]] = []
    opened: dict[int, list[Mapping[str, Any]]] = {}
    given: set[int] = set()
    for kind, data in events:
        if kind == GATE_CALIBRATED:
            calibrations.append(data)
        elif kind == GATE_OPENED:
            opened.setdefault(int(data["train"]), []).append(data)
        elif kind == TRAIN_GIVEN and int(data["delivered_max"]) > 0:
            given.add(int(data["train"]))
    if not calibrations:
        return None
    gate = StateGate.model_validate(calibrations[-1]["gate"])
    rows = tuple(_row(train, tries, train in given) for train, tries in sorted(opened.items()))
    counted = [r for r in rows if r.given]
    share_by = {
        str(by): sum(r.by == by for r in counted) / len(counted)
        for by in By
        if any(r.by == by for r in counted)
    }
    expected = [w for c in calibrations for w in waits_expected_s(gate, _calibrated(c))]
    return GateTable(
        begin_by=gate.begin_by, condition=gate.condition, calibrations=tuple(calibrations), rows=rows, share_by=share_by,
        waits=Waits.of([r.waited_s for r in rows if r.by != By.NO_STREAM]),
        expected_median_s=median(expected) if expected else None,
        expected_time_out=sum(w >= gate.time_out_s for w in expected) / len(expected) if expected else None,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Against:
    """Waits of control trains against those of gated ones, over sessions: ``difference_s`` of the medians, control less gated,
    and the chance that a control's wait is the longer one (ties half): 0.5 where both have one distribution."""

    gated: Waits
    control: Waits
    difference_s: float
    control_longer: float


def control_against_gated(tables: Iterable[GateTable]) -> Against | None:
    """None until there are waits of both. Trains of one session are not independent: there is no interval here, on purpose."""
    waits: dict[str, list[float]] = {"state": [], "control": []}
    for table in tables:
        waits[table.begin_by] += [r.waited_s for r in table.rows if r.by != By.NO_STREAM]
    gated, control = Waits.of(waits["state"]), Waits.of(waits["control"])
    if gated is None or control is None:
        return None
    above = sum((c > g) + 0.5 * (c == g) for c in waits["control"] for g in waits["state"])
    return Against(
        gated=gated, control=control, difference_s=control.median_s - gated.median_s,
        control_longer=above / (gated.n * control.n),
    )  # fmt: skip


def _row(train: int, tries: Sequence[Mapping[str, Any]], given: bool) -> GateRow:
    last = tries[-1]
    return GateRow(
        train=train, by=str(last["by"]), value=last["value"], judged=last["judged"], limit=float(last["limit"]),
        waited_s=float(last["waited_s"]), looks=int(last["looks"]), valid=int(last["valid"]), given=given, tries=len(tries),
    )  # fmt: skip


def _calibrated(data: Mapping[str, Any]) -> Calibrated:
    return Calibrated(
        limit=float(data["limit"]), low=data["low"], high=data["high"], windows=tuple(data["windows"]),
        values=tuple(data["values"]), spoiled=dict(data["spoiled"]), took_s=float(data["took_s"]),
    )  # fmt: skip
