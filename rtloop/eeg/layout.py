"""Owns what the columns of a stream are: names, kinds, units, positions; owns no samples, no connection."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.model.montage import HEAD_RADIUS_M, Montage, position_of

_TO_UV = {
    "microvolts": 1.0,
    "microvolt": 1.0,
    "uv": 1.0,
    "µv": 1.0,
    "μv": 1.0,
    "volts": 1e6,
    "volt": 1e6,
    "v": 1e6,
    "millivolts": 1e3,
    "millivolt": 1e3,
    "mv": 1e3,
    "nanovolts": 1e-3,
    "nanovolt": 1e-3,
    "nv": 1e-3,
}


_SENT = {1.0: "µV", 1e6: "V", 1e3: "mV", 1e-3: "nV"}


class Kind(StrEnum):
    """What a column carries."""

    EEG = "EEG"
    EOG = "EOG"
    EMG = "EMG"
    TRIG = "TRIG"
    MISC = "misc"


_KINDS = {
    "eeg": Kind.EEG,
    "eog": Kind.EOG,
    "emg": Kind.EMG,
    "trig": Kind.TRIG,
    "trigger": Kind.TRIG,
    "stim": Kind.TRIG,
    "sti": Kind.TRIG,
    "ttl": Kind.TRIG,
    "marker": Kind.TRIG,
    "markers": Kind.TRIG,
}


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One column. Samples in the ring are in ``unit`` (µV for EEG, EOG, EMG; as sent for others)."""

    name: str
    kind: Kind = Kind.EEG
    unit: str = "µV"
    factor: float = 1.0  # sample as sent x factor = sample in the ring
    position_m: tuple[float, float, float] | None = None

    def words(self) -> str:
        """One channel for a person: name, kind, unit as sent, place."""
        sent = _SENT.get(self.factor, f"{self.factor:g} µV") if self.unit == "µV" else self.unit
        place = (
            ""
            if self.position_m is None
            else " at " + "/".join(f"{1e3 * x:.0f}" for x in self.position_m) + " mm"
        )
        return f"{self.name} ({self.kind}, {sent}{place})"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """All columns of a stream in order; the EEG ones have positions. All of it is checked at once."""

    channels: tuple[Channel, ...]

    def __post_init__(self) -> None:
        names = [c.name for c in self.channels]
        twice = sorted({n for n in names if names.count(n) > 1})
        lost = [c.name for c in self.channels if c.kind is Kind.EEG and c.position_m is None]
        if twice:
            raise ValidationProblem(
                "channel labels occur twice in the stream",
                expected="each label once",
                found=", ".join(twice),
                todo="name the channels differently in the amplifier software",
            )
        if lost:
            raise ValidationProblem(
                f"{len(lost)} EEG channel(s) have no known position",
                expected="names of the 10-20, 10-10 or 10-5 system, or positions in the stream description",
                found=", ".join(lost),
                todo="rename them in the amplifier software, give positions, or mark them as not EEG",
            )
        if not self.eeg_columns:
            raise ValidationProblem("the stream has no EEG channel", found=", ".join(names))

    @classmethod
    def from_montage(
        cls, montage: Montage, *, emg: tuple[str, ...] = (), trigger: str | None = None
    ) -> Layout:
        """EEG columns of a montage, then EMG columns, then a trigger column of this name at the end."""
        channels = [
            Channel(name=n, position_m=(float(p[0]), float(p[1]), float(p[2])))
            for n, p in zip(montage.names, montage.positions_m, strict=True)
        ]
        channels += [Channel(name=name, kind=Kind.EMG) for name in emg]
        if trigger is not None:
            channels.append(Channel(name=trigger, kind=Kind.TRIG, unit="level"))
        return cls(channels=tuple(channels))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.channels)

    @property
    def eeg_columns(self) -> tuple[int, ...]:
        return tuple(i for i, c in enumerate(self.channels) if c.kind is Kind.EEG)

    @property
    def trigger_column(self) -> int | None:
        """The first trigger column, or None."""
        return next((i for i, c in enumerate(self.channels) if c.kind is Kind.TRIG), None)

    @property
    def montage(self) -> Montage:
        """Names and positions of the EEG columns."""
        chosen = [self.channels[i] for i in self.eeg_columns]
        return Montage(
            names=tuple(c.name for c in chosen), positions_m=np.array([c.position_m for c in chosen], float)
        )

    def unlike(self, other: Layout) -> list[tuple[str, str, str]]:
        """What differs: (what, here, in ``other``) in words; empty when names, order, kinds, units and places agree."""
        pairs = list(zip_longest(self.channels, other.channels))
        return [
            (f"column {i + 1}", a.words() if a else "absent", b.words() if b else "absent")
            for i, (a, b) in enumerate(pairs)
            if a != b
        ]


@dataclass(frozen=True, kw_only=True)
class Described:
    """One channel as a stream description words it (LSL EEG meta-data: label, type, unit, location in mm)."""

    label: str
    kind: str
    unit: str
    location_mm: tuple[float, float, float] | None


def layout_of(described: list[Described]) -> Layout:
    """Turn a stream description into a layout; raises ValidationProblem with every bad unit or name listed.

    Only the direction of a location is used (moved onto the head sphere); without one the name decides.
    A channel without a type counts as EEG. LSL's convention for axes: X right, Y front, Z up, millimetres.
    """
    channels, bad = [], []
    for d in described:
        kind = _KINDS.get(d.kind.strip().lower(), Kind.MISC if d.kind.strip() else Kind.EEG)
        name = d.label.strip().rstrip(".")
        if kind in (Kind.TRIG, Kind.MISC):
            channels.append(Channel(name=name, kind=kind, unit=d.unit.strip() or "as sent"))
            continue
        factor = _TO_UV.get(_folded(d.unit))
        if factor is None:
            bad.append(f"{name}: {d.unit.strip() or 'none'}")
            continue
        place = _on_sphere(d.location_mm) if d.location_mm else None
        if place is None:
            p = position_of(name)
            place = None if p is None else tuple(float(v) for v in p * HEAD_RADIUS_M)  # type: ignore[assignment]
        channels.append(Channel(name=name, kind=kind, factor=factor, position_m=place))
    if bad:
        raise ValidationProblem(
            f"the unit of {len(bad)} channel(s) is not known",
            expected="microvolts, uV, µV, mV, nV or volts",
            found=", ".join(bad),
            todo="set the unit in the amplifier software",
        )
    return Layout(channels=tuple(channels))


def _folded(unit: str) -> str:
    """Lower case, except that a capital M (mega) never passes for milli."""
    text = unit.strip()
    return "?" if text.startswith("M") and len(text) == 2 else text.lower()


def _on_sphere(location_mm: tuple[float, float, float]) -> tuple[float, float, float] | None:
    length = float(np.linalg.norm(location_mm))
    if not (np.isfinite(length) and length > 0):
        return None
    x, y, z = (v / length * HEAD_RADIUS_M for v in location_mm)
    return x, y, z
