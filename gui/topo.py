"""Owns the picture of a scalp map: channel values to an array of pixels; owns no Qt, and not the interpolation itself.

The colour scales have two hues that every kind of colour vision tells apart (blue and orange, after Okabe and Ito) and one
neutral middle for zero.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from gui.theme import Theme
from rtloop.model.samples import F32, F64, Bool
from rtloop.record.topography import interpolation

U32 = npt.NDArray[np.uint32]
#: least, zero, greatest, by theme
_ENDS = {
    "light": ("#004b87", "#7fb7de", "#f7f7f5", "#f0a860", "#a33d00"),
    "dark": ("#9bd8ff", "#2b7fb8", "#1b242d", "#c06a10", "#ffc878"),
}
EDGE = 1.0  # maps end at the ring of the head
LEAST = 4  # usable channels below which there is no map
_KEPT = 8  # sets of usable channels whose matrix is kept


def _rgb(colour: str) -> F64:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], float)


def scale_of(theme: Theme) -> U32:
    """The diverging colour scale, uint32[256] 0xffRRGGBB; entries 127 and 128 stand for zero."""
    ends = np.array([_rgb(c) for c in _ENDS.get(theme.name, _ENDS["light"])])
    at = np.linspace(0.0, len(ends) - 1.0, 256)
    rgb = (
        np.column_stack([np.interp(at, np.arange(len(ends)), ends[:, i]) for i in range(3)])
        .round()
        .astype(np.uint32)
    )
    return np.asarray(0xFF000000 | rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2], dtype=np.uint32)


def limit_of(values: F32) -> float:
    """A limit that suits the values: their 98th percentile without sign, rounded up to one digit; 1 when there is nothing."""
    size = np.abs(values[np.isfinite(values)])
    top = float(np.percentile(size, 98)) if size.size else 0.0
    if not top > 0.0:
        return 1.0
    step = 10.0 ** np.floor(np.log10(top))
    return float(np.ceil(top / step) * step)


class MapGrid:
    """Maps of one montage on a square of ``size`` x ``size`` pixels, row 0 at the nose.

    ``positions_m`` float64[n_channels, 3] metres. The interpolation is a matrix, made once per set of usable channels.
    """

    def __init__(self, positions_m: F64, size: int = 64) -> None:
        self.positions_m, self.size = np.asarray(positions_m, float), size
        pixel = 2.0 * EDGE / size
        axis = (np.arange(size) + 0.5) * pixel - EDGE
        x, y = np.meshgrid(axis, -axis)
        far = np.hypot(x, y)
        self.inside: Bool = np.asarray(far < EDGE + 0.5 * pixel)
        self._cover = np.clip((EDGE - far) / pixel + 0.5, 0.0, 1.0).astype(np.float32)  # soft edge
        self._rim: Bool = self.inside & (self._cover < 1.0)
        self._points = np.column_stack([x[self.inside], y[self.inside]])
        self._matrices: OrderedDict[bytes, F32] = OrderedDict()

    def _matrix(self, usable: Bool) -> F32:
        key = usable.tobytes()
        if key not in self._matrices:
            self._matrices[key] = interpolation(self.positions_m[usable], self._points).astype(np.float32)
            while len(self._matrices) > _KEPT:
                self._matrices.popitem(last=False)
        self._matrices.move_to_end(key)
        return self._matrices[key]

    def fields(self, values: F32) -> F32:
        """float32[k, size, size] of ``values`` float32[n_channels, k]; NaN outside the head and where nothing is known.

        A channel with a NaN at any of the latencies takes no part.
        """
        if values.ndim != 2 or len(values) != len(self.positions_m):
            raise ValueError(f"values {values.shape} do not fit {len(self.positions_m)} channels")
        out = np.full((values.shape[1], self.size, self.size), np.nan, np.float32)
        usable = np.asarray(np.isfinite(values).all(axis=1))
        if usable.sum() >= LEAST:
            out[:, self.inside] = (self._matrix(usable) @ values[usable].astype(np.float32, copy=False)).T
        return out

    def pictures(self, values: F32, limit_uv: float, scale: U32) -> U32:
        """uint32[k, size, size] 0xAARRGGBB, premultiplied, transparent outside the head; ``limit_uv`` ends the scale."""
        if not limit_uv > 0.0:
            raise ValueError(f"limit of {limit_uv} µV")
        values = np.asarray(values, np.float32)
        if values.ndim != 2 or len(values) != len(self.positions_m):
            raise ValueError(f"values {values.shape} do not fit {len(self.positions_m)} channels")
        out = np.zeros((values.shape[1], self.size, self.size), np.uint32)
        usable = np.asarray(np.isfinite(values).all(axis=1))
        if usable.sum() >= LEAST:
            field = (self._matrix(usable) @ (values[usable] * np.float32(127.5 / limit_uv))).T
            step = np.clip(field + np.float32(128.0), 0.0, 255.0).astype(np.uint8)
            out[:, self.inside] = scale[step]
            out[:, self._rim] = _faded(out[:, self._rim], self._cover[self._rim])
        return out


def _faded(colours: U32, cover: F32) -> U32:
    """Colours made transparent to the share ``cover``, premultiplied."""
    parts = [((colours >> np.uint32(8 * i)) & np.uint32(255)) * cover for i in range(4)]
    whole = [np.round(part).astype(np.uint32) << np.uint32(8 * i) for i, part in enumerate(parts)]
    return np.asarray(whole[0] | whole[1] | whole[2] | whole[3], dtype=np.uint32)
