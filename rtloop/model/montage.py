"""Owns channel names, kinds, units and positions (10-20, 10-10, 10-5 on a sphere); owns no samples.

Positions are idealised: unit vectors, x to the right ear, y to the nose, z to the vertex. Ten per cent of the
nasion-inion or ear-ear arc is 23 degrees, so the main ring (Fpz, T7, Oz, T8) lies 92 degrees from Cz
(the spherical 10-20 system of Jasper 1958, extended by Oostenveld & Praamstra 2001, 10.1016/S1388-2457(00)00527-7).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.model.samples import F64

HEAD_RADIUS_M = 0.088
#: midline row -> (angle from Cz towards the nose in degrees, ring fraction from Fpz to Oz)
_ROWS = {
    "Fp": (92.0, 0.0), "AFp": (80.5, 0.15), "AF": (69.0, 0.2), "AFF": (57.5, 0.25), "F": (46.0, 0.3),
    "FFC": (34.5, 0.35), "FC": (23.0, 0.4), "FCC": (11.5, 0.45), "C": (0.0, 0.5), "CCP": (-11.5, 0.55),
    "CP": (-23.0, 0.6), "CPP": (-34.5, 0.65), "P": (-46.0, 0.7), "PPO": (-57.5, 0.75), "PO": (-69.0, 0.8),
    "POO": (-80.5, 0.85), "O": (-92.0, 1.0),
}  # fmt: skip
_TEMPORAL = {"FC": "FT", "FCC": "FTT", "C": "T", "CCP": "TTP", "CP": "TP", "CPP": "TPP", "FFC": "FFT"}
_ALIASES = {
    "T3": "T7",
    "T4": "T8",
    "T5": "P7",
    "T6": "P8",
    "M1": "TP9",
    "M2": "TP10",
    "A1": "T9",
    "A2": "T10",
}


def _unit(colatitude_deg: float, azimuth_deg: float) -> F64:
    """Azimuth 0 is the nose, positive to the left."""
    c, a = np.deg2rad(colatitude_deg), np.deg2rad(azimuth_deg)
    return np.array([-np.sin(c) * np.sin(a), np.sin(c) * np.cos(a), np.cos(c)])


def _on_row(left: F64, middle: F64, right: F64, fraction: float) -> F64:
    """Point on the circle through three points; ``fraction`` -1 is left, 0 the middle, 1 right."""
    normal = np.cross(left - middle, right - middle)
    normal /= np.linalg.norm(normal)
    centre = normal * float(normal @ middle)
    u = middle - centre
    radius = float(np.linalg.norm(u))
    u = u / radius
    v = np.cross(normal, u)
    end = right if fraction > 0 else left
    angle = float(np.arctan2((end - centre) @ v, (end - centre) @ u)) * abs(fraction)
    point = centre + radius * (np.cos(angle) * u + np.sin(angle) * v)
    return np.asarray(point / np.linalg.norm(point))


@cache
def _table() -> dict[str, tuple[float, float, float]]:
    out: dict[str, F64] = {
        "Nz": _unit(115, 0),
        "Iz": _unit(-115, 0),
        "Fpz": _unit(92, 0),
        "Oz": _unit(-92, 0),
    }
    out |= {"OIz": _unit(-103.5, 0), "I1": _unit(115, 162), "I2": _unit(115, -162)}
    for row, (colat, ring) in _ROWS.items():
        middle = _unit(colat, 0.0)
        left = _unit(92.0, 180.0 * ring)
        right = left * np.array([-1.0, 1.0, 1.0])
        out.setdefault(f"{row}z", middle)
        if row in ("Fp", "O"):
            for k, number in enumerate((1, 2)):
                side = 1 if k == 0 else -1
                az = 18.0 if row == "Fp" else 162.0
                out[f"{row}{number}"] = _unit(92.0, side * az)
                out[f"{row}{number}h"] = _unit(92.0, side * (az / 2 if row == "Fp" else 171.0))
            continue
        for eighth in range(1, 9):  # 1h 1 3h 3 5h 5 7h 7: fractions 1/8 .. 8/8
            number = 2 * ((eighth + 1) // 2) - 1
            half = "h" if eighth % 2 else ""
            name = _TEMPORAL.get(row, row) if eighth >= 7 else row
            out[f"{name}{number}{half}"] = _on_row(left, middle, right, -eighth / 8)
            out[f"{name}{number + 1}{half}"] = _on_row(left, middle, right, eighth / 8)
        name = _TEMPORAL.get(row, row)
        for half, colatitude in (("", 115.0), ("h", 103.5)):
            low = _unit(colatitude, 180.0 * ring)
            out[f"{name}9{half}"], out[f"{name}10{half}"] = low, low * np.array([-1.0, 1.0, 1.0])
    for alias, name in _ALIASES.items():
        out.setdefault(alias, out[name])
    return {k.upper(): (float(p[0]), float(p[1]), float(p[2])) for k, p in out.items()}


def position_of(name: str) -> F64 | None:
    """Unit vector float64[3] of an electrode name (any case; trailing dots dropped), or None if unknown."""
    found = _table().get(name.strip().rstrip(".").upper())
    return None if found is None else np.array(found)


@dataclass(frozen=True, kw_only=True)
class Montage:
    """The EEG channels of a stream: names and positions in metres on the head sphere, float64[n_channels, 3]."""

    names: tuple[str, ...]
    positions_m: F64

    def __post_init__(self) -> None:
        if self.positions_m.shape != (len(self.names), 3):
            raise ValueError(f"positions {self.positions_m.shape} do not fit {len(self.names)} names")
        if len(set(self.names)) != len(self.names):
            twice = sorted({n for n in self.names if self.names.count(n) > 1})
            raise ValidationProblem(
                "channel names occur twice", expected="each name once", found=", ".join(twice),
                todo="name the channels differently in the amplifier software",
            )  # fmt: skip

        away = ~(np.linalg.norm(self.positions_m, axis=1) > 0)  # NaN included
        if away.any():
            raise ValidationProblem(
                f"{int(away.sum())} channel(s) have no position", expected="finite positions away from the head's centre",
                found=", ".join(n for n, a in zip(self.names, away, strict=True) if a),
                todo="give positions, name the channels by the 10-20 system, or mark them as not EEG",
            )  # fmt: skip

    @classmethod
    def from_names(cls, names: tuple[str, ...] | list[str]) -> Montage:
        """Look every name up; unknown names are all listed in one error."""
        clean = [n.strip().rstrip(".") for n in names]
        points = [position_of(n) for n in clean]
        unknown = [n for n, p in zip(clean, points, strict=True) if p is None]
        if unknown:
            raise ValidationProblem(
                f"{len(unknown)} channel name(s) have no known position",
                expected="names of the 10-20, 10-10 or 10-5 system, or positions in the stream description",
                found=", ".join(unknown),
                todo="rename them in the amplifier software, give positions, or mark them as not EEG",
            )
        return cls(names=tuple(clean), positions_m=np.array(points) * HEAD_RADIUS_M)

    @property
    def n_channels(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Column of a channel, by name."""
        return self.names.index(name)

    def nearest(self, point_m: F64, count: int) -> tuple[int, ...]:
        """Indices of the ``count`` channels nearest to a point (float64[3], metres), nearest first.

        ValidationProblem : the point is no number
        """
        if not bool(np.isfinite(point_m).all()):
            raise ValidationProblem(
                "no electrode is nearest to a place that is no number", expected="three finite coordinates, m",
                found=str(point_m), todo="give the coil's place, or none",
            )  # fmt: skip
        order = np.argsort(np.linalg.norm(self.positions_m - point_m, axis=1), kind="stable")
        return tuple(int(i) for i in order[:count])


#: the 63 channels of the default simulated amplifier (10-10, reference-free names)
NAMES_63 = (
    "Fp1", "Fpz", "Fp2", "AF7", "AF3", "AFz", "AF4", "AF8", "F7", "F5", "F3", "F1", "Fz", "F2", "F4", "F6", "F8",
    "FT7", "FC5", "FC3", "FC1", "FCz", "FC2", "FC4", "FC6", "FT8", "T7", "C5", "C3", "C1", "Cz", "C2", "C4", "C6",
    "T8", "TP7", "CP5", "CP3", "CP1", "CPz", "CP2", "CP4", "CP6", "TP8", "P7", "P5", "P3", "P1", "Pz", "P2", "P4",
    "P6", "P8", "PO7", "PO3", "POz", "PO4", "PO8", "O1", "Oz", "O2", "F9", "F10",
)  # fmt: skip


def names_for(count: int) -> tuple[str, ...]:
    """``count`` distinct 10-5 names (8-256), the 63 of the default montage first where they fit."""
    if count <= len(NAMES_63):
        step = len(NAMES_63) / count
        return tuple(NAMES_63[int(i * step)] for i in range(count))
    canonical = {n.upper() for n in NAMES_63} | {a.upper() for a in _ALIASES}
    extra = [n for n in _table() if n not in canonical]
    have = NAMES_63 + tuple(extra)
    if count > len(have):
        raise ValidationProblem("too many channels", expected=f"at most {len(have)}", found=str(count))
    return have[:count]
