"""Owns slow, plain twins of the kernels of ``rtloop.eeg``; owns no test."""

from __future__ import annotations

import numpy as np


class NaiveRing:
    """Everything ever written, in one list."""

    def __init__(self, n_channels: int) -> None:
        self.rows = np.zeros((0, n_channels), np.float32)
        self.chunks: list[tuple[int, int, float, float]] = []

    def write(self, frames: np.ndarray, t_last_s: float, t_received_s: float) -> None:
        self.chunks.append((len(self.rows), len(frames), t_last_s, t_received_s))
        self.rows = np.concatenate([self.rows, frames])


def naive_runs(eeg: np.ndarray, rail_uv: float, within: int) -> tuple[list[int], list[int], list[int], int]:
    """Per channel: equal values before the newest, run at the rail, end of the last NaN; repeated rows."""
    flat, rail, bad = [], [], []
    for column in eeg.T:
        n = 0
        while n + 1 < len(column) and column[-1 - n] == column[-2 - n]:
            n += 1
        flat.append(n)
        n = 0
        while n < len(column) and np.isfinite(column[-1 - n]) and abs(column[-1 - n]) >= rail_uv:
            n += 1
        rail.append(n)
        where = np.flatnonzero(~np.isfinite(column))
        bad.append(int(where[-1]) + 1 if len(where) else 0)
    newest: dict[bytes, int] = {}
    repeated = 0
    for i, row in enumerate(eeg):
        key = row.tobytes()
        repeated = repeated + 1 if key in newest and i - newest[key] <= within else 0
        newest[key] = i
    return flat, rail, bad, repeated


def naive_onsets(
    eeg: np.ndarray,
    span: int,
    floor_uv: float,
    factor: float,
    needed: int,
    refractory: int,
    start_median_uv: float,
    settle: int,
) -> list[int]:
    """Artifact onsets in eeg[n, channels], sample by sample, from sample ``span`` on."""
    medians = np.full(eeg.shape[1], start_median_uv, np.float32)
    out: list[int] = []
    quiet = settle
    for i in range(span, len(eeg)):
        d = np.abs(eeg[i] - eeg[i - span])
        limit = np.maximum(floor_uv, factor * medians.astype(float))
        if i >= quiet and np.count_nonzero(d >= limit) >= needed:
            onset = next(
                j
                for j in range(i - span + 1, i + 1)
                if j == i or np.count_nonzero(np.abs(eeg[j] - eeg[i - span]) >= 0.25 * limit) >= needed
            )
            out.append(onset)
            quiet = onset + refractory
        if i % span == 0:
            up, down = d > medians, d < medians
            medians[up] *= np.float32(1.02)
            medians[down] = np.maximum(medians[down] * np.float32(0.98), np.float32(0.01))
    return out
