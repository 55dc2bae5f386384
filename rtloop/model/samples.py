"""Owns the three holders of arrays: a window of the ring, a pulse-locked epoch, a cleaned trial; owns no memory itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

F32: TypeAlias = npt.NDArray[np.float32]
F64: TypeAlias = npt.NDArray[np.float64]
C64: TypeAlias = npt.NDArray[np.complex64]
Bool: TypeAlias = npt.NDArray[np.bool_]
I64: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Window:
    """A stretch of the stream: ``data`` float32[n_samples, n_channels], µV, sample-major, read-only view of the ring.

    ``first`` is the sample index of ``data[0]``. The view is overwritten about one ring length later.
    """

    data: F32
    first: int

    def __post_init__(self) -> None:
        if self.data.ndim != 2 or self.data.dtype != np.float32:
            raise ValueError("Window.data must be float32[n_samples, n_channels]")


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """EEG around one pulse: ``data`` float32[n_channels, n_samples], µV; the pulse is at column ``pulse_sample``."""

    data: F32
    rate_hz: float
    pulse_sample: int
    first: int = 0  # sample index of column 0 in the stream; 0 for arrays from elsewhere

    def __post_init__(self) -> None:
        if self.data.ndim != 2 or self.data.dtype != np.float32:
            raise ValueError("Epoch.data must be float32[n_channels, n_samples]")
        if not 0 < self.pulse_sample < self.data.shape[1]:
            raise ValueError(
                f"pulse_sample {self.pulse_sample} outside the epoch of {self.data.shape[1]} samples"
            )
