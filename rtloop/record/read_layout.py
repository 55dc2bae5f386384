"""Owns what each channel of an opened recording is taken for, and where it lies; owns no samples and no file.

Files often call every channel EEG. What a name says is believed then: an electrode of the 10-5 system is EEG, EOG, EMG, ECG,
triggers and sensors are not. Whatever is left must have a place in the file, or is listed and refused.
"""

from __future__ import annotations

import re

import numpy as np

from rtloop.eeg.layout import Channel, Kind, Layout
from rtloop.errors import UsageProblem, ValidationProblem
from rtloop.model.montage import HEAD_RADIUS_M, position_of
from rtloop.model.samples import F64
from rtloop.record.read_open import OpenChannel

#: the column that stands for the events which the user names as pulses
PULSES = "rtloop-pulses"
#: names of what is no electrode on the scalp
_BY_NAME = (
    (re.compile(r".*eog.*", re.I), Kind.EOG),
    (re.compile(r".*emg.*|apb.*|fdi.*|1di.*|adm.*|ecr.*|fcr.*", re.I), Kind.EMG),
    (re.compile(r"trig.*|sti ?\d*|stim.*|status|ttl.*|marker.*|event.*", re.I), Kind.TRIG),
    (
        re.compile(r"ecg.*|ekg.*|gsr.*|resp.*|plet.*|temp.*|acc.*|aux.*|erg.*|photo.*|audio.*|[xyz]", re.I),
        Kind.MISC,
    ),
)
#: places in a file are believed when a sphere fits them this well (spread of the radius over its mean)
_FIT = 0.15
_FEWEST_PLACES = 8


def layout_for(
    channels: tuple[OpenChannel, ...], *, not_eeg: tuple[str, ...] = (), events: bool = False
) -> tuple[Layout, tuple[str, ...]]:
    """The columns as the loop sees them, and what was decided, in words.

    Parameters
    ----------
    not_eeg : regular expressions; a channel whose whole name one of them is counts as no EEG
    events : the pulses are events: a last column ``PULSES`` is added, and no other one is a trigger

    Raises
    ------
    ValidationProblem : EEG channels without a place, all listed; names that occur twice; EEG sampled more slowly than the rest
    UsageProblem : ``not_eeg`` names no channel
    """
    names = [c.name for c in channels]
    for pattern in not_eeg:
        if not any(re.fullmatch(pattern, name) for name in names):
            raise UsageProblem(
                f"no channel is called {pattern}",
                expected=", ".join(names),
                found=pattern,
                todo="correct --not-eeg",
            )
    kinds = [_kind(c, not_eeg) for c in channels]
    words = [
        f"{c.name} counts as {'no EEG' if kind is Kind.MISC else kind.value}, by its name"
        for c, kind in zip(channels, kinds, strict=True)
        if kind is not c.kind and not any(re.fullmatch(p, c.name) for p in not_eeg)
    ]
    if not_eeg:
        told = [c.name for c in channels if any(re.fullmatch(p, c.name) for p in not_eeg)]
        words.append(f"as asked, not EEG: {', '.join(told)}")
    eeg = [c for c, kind in zip(channels, kinds, strict=True) if kind is Kind.EEG]
    if not eeg:
        raise ValidationProblem(
            "the recording has no EEG channel", expected="channels named by the 10-20, 10-10 or 10-5 system, or with places",
            found=", ".join(names), todo="name them in the recording",
        )  # fmt: skip
    _refuse_drawn_out(eeg)
    places, told_places = _places(eeg)
    words += told_places
    columns = []
    for c, kind in zip(channels, kinds, strict=True):
        if kind is Kind.TRIG and events:
            kind = Kind.MISC
        point = places.get(c.name) if kind is Kind.EEG else None
        unit = "as stored" if kind is Kind.TRIG or (kind is Kind.MISC and not c.volts) else "µV"
        columns.append(
            Channel(
                name=c.name, kind=kind, unit=unit,
                position_m=None if point is None else (float(point[0]), float(point[1]), float(point[2])),
            )
        )  # fmt: skip
    if events:
        columns.append(Channel(name=PULSES, kind=Kind.TRIG, unit="level"))
    return Layout(channels=tuple(columns)), tuple(words)


def _kind(channel: OpenChannel, not_eeg: tuple[str, ...]) -> Kind:
    if any(re.fullmatch(p, channel.name) for p in not_eeg):
        return Kind.MISC
    if channel.kind is not Kind.EEG or position_of(channel.name) is not None:
        return channel.kind
    return next((kind for pattern, kind in _BY_NAME if pattern.fullmatch(channel.name)), Kind.EEG)


def _refuse_drawn_out(eeg: list[OpenChannel]) -> None:
    slow = [f"{c.name} {c.own_rate_hz:g} Hz" for c in eeg if c.own_rate_hz is not None]
    if slow:
        raise ValidationProblem(
            f"{len(slow)} EEG channel(s) are sampled more slowly than the recording", expected="all EEG channels at one rate: "
            "what is drawn out to another smears the pulse", found=", ".join(slow), todo="--not-eeg NAME for these, or where a "
            "channel that is no EEG is the faster one, export the recording without it",
        )  # fmt: skip


def _places(eeg: list[OpenChannel]) -> tuple[dict[str, F64], list[str]]:
    """Name -> float64[3], m, on our head sphere: by the name where it is known, else from the file."""
    known = {c.name: p * HEAD_RADIUS_M for c in eeg if (p := position_of(c.name)) is not None}
    rest = [c for c in eeg if c.name not in known]
    if not rest:
        return known, []
    measured = [c for c in eeg if c.position_m is not None]
    centre = _centre(np.array([c.position_m for c in measured], float)) if measured else None
    lost = [c.name for c in rest if c.position_m is None or centre is None]
    if lost:
        raise ValidationProblem(
            f"{len(lost)} EEG channel(s) have no known place",
            expected="names of the 10-20, 10-10 or 10-5 system, or measured places in the file (at least "
            f"{_FEWEST_PLACES}, on something like a sphere)",
            found=", ".join(lost), todo="--not-eeg NAME for what is no scalp electrode (a regular expression; may be repeated), "
            "or rename them in the recording",
        )  # fmt: skip
    assert centre is not None
    for c in rest:
        away = np.array(c.position_m, float) - centre
        known[c.name] = away / np.linalg.norm(away) * HEAD_RADIUS_M
    return known, [
        f"{len(rest)} of {len(eeg)} EEG channels lie where the file says, the others where their names say"
    ]


def _centre(points: F64) -> F64 | None:
    """Centre float64[3] of the sphere nearest to ``points`` float64[n, 3] (least squares in |p|² = 2 c·p + k); None: none."""
    if len(points) < _FEWEST_PLACES:
        return None
    columns = np.column_stack([2 * points, np.ones(len(points))])
    solution, _, rank, _ = np.linalg.lstsq(columns, (points**2).sum(axis=1), rcond=None)
    if rank < 4:
        return None
    centre = np.asarray(solution[:3])
    radii = np.linalg.norm(points - centre, axis=1)
    return centre if radii.std() <= _FIT * radii.mean() else None
