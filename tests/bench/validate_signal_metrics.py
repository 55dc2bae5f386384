"""Owns the numbers of ``validate_signal``: how near a cleaned trial is to the truth; owns no method, scene or table.

Everything is written plainly in NumPy, apart from the product's kernels: a second witness. Truth is what the brain alone
did in the same trials, seen through the same linear view (rate, baseline, line, average reference), so that noise of
counting is the same on both sides and a perfect method has bias 0, RMSE 0 and correlation 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: windows of the single-trial numbers, seconds from the pulse; samples inside a gap never count
WINDOWS_S = {"12-50": (0.012, 0.050), "50-300": (0.050, 0.300)}
MEASURES = ("itc", "plv", "wpli", "dwpli2")
Reals = npt.NDArray[np.floating]
Complexes = npt.NDArray[np.complexfloating]


def referred(data: Reals, good: npt.NDArray[np.bool_]) -> Reals:
    """Good channels about their own mean: [..., n_good, n_times] from [..., n_channels, n_times]."""
    kept = np.asarray(data[..., good, :], dtype=np.float64)
    return np.asarray(kept - kept.mean(axis=-2, keepdims=True))


def trial_r(found: Reals, truth: Reals) -> Reals:
    """Pearson's r of each trial over all channels and samples of a window: float64[n] from [n, n_channels, n_times].

    A trial without any variation on either side has r = 0: nothing of the truth was told.
    """
    a, b = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (found, truth))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    size = np.sqrt(np.sum(a * a, axis=1) * np.sum(b * b, axis=1))
    return np.divide(np.sum(a * b, axis=1), size, out=np.zeros(len(a)), where=size > 0)


def trial_rmse(found: Reals, truth: Reals) -> Reals:
    """Root mean square error of each trial over channels and samples: float64[n], in the data's unit."""
    off = np.asarray(found, np.float64) - truth
    return np.asarray(np.sqrt(np.mean(off * off, axis=(1, 2))))


def gain(found: Reals, truth: Reals) -> float:
    """Least-squares slope of what was found on the truth (1: as large as it is); NaN where the truth is zero."""
    below = float(np.sum(np.asarray(truth, np.float64) ** 2))
    return float(np.sum(np.asarray(found, np.float64) * truth)) / below if below > 0 else float("nan")


def singles(
    found: Reals, truth: Reals, times_s: Reals, valid: npt.NDArray[np.bool_]
) -> dict[str, dict[str, float]]:
    """Per window the median over trials of r and RMSE, the 5 % quantile of r, and the share of trials with r > .5."""
    out = {}
    for name, (a, b) in WINDOWS_S.items():
        at = valid & (times_s >= a - 1e-9) & (times_s <= b + 1e-9)
        r = trial_r(found[:, :, at], truth[:, :, at])
        rmse = trial_rmse(found[:, :, at], truth[:, :, at])
        out[name] = {
            "r": float(np.median(r)), "r_low": float(np.quantile(r, 0.05)), "rmse_uv": float(np.median(rmse)),
            "above_half": float(np.mean(r > 0.5)),
        }  # fmt: skip
    return out


def tep(
    average: Reals, answer: Reals, times_s: Reals, valid: npt.NDArray[np.bool_]
) -> dict[str, dict[str, float]]:
    """Recovery of the evoked response: the average [n_channels, n_times] against the average of the answer alone."""
    out = {}
    for name, (a, b) in WINDOWS_S.items():
        at = valid & (times_s >= a - 1e-9) & (times_s <= b + 1e-9)
        x, y = average[None, :, at], answer[None, :, at]
        out[name] = {
            "r": float(trial_r(x, y)[0]), "rmse_uv": float(trial_rmse(x, y)[0]), "gain": gain(x, y),
            "gmfp_uv": float(np.mean(np.std(x[0], axis=0))), "true_gmfp_uv": float(np.mean(np.std(y[0], axis=0))),
        }  # fmt: skip
    return out


def survival(with_it: Reals, without: Reals, injected: Reals) -> dict[str, float]:
    """What is left of a known dipole: averages with and without it, and the dipole, [n_channels, n_times] each.

    ``share``: slope of the difference on the dipole (1: all of it); ``r``: is it the same map and course. The cleaning
    was made anew with the dipole in every trial, so a method that takes it for artifact shows it here.
    """
    change = np.asarray(with_it, np.float64) - without
    return {"share": gain(change, injected), "r": float(trial_r(change[None], injected[None])[0])}


def phase_measures(analytic: Complexes) -> dict[str, Reals]:
    """Across-trial indices of an analytic signal complex[n_trials, n_channels, n_times], mean over the instants.

    Returns itc float64[n_channels]; plv, wpli, dwpli2 float64[n_pairs], pairs (i, j > i) row by row. ITC: Delorme &
    Makeig 2004; PLV: Lachaux 1999; wPLI and debiased wPLI squared: Vinck 2011, 10.1016/j.neuroimage.2011.01.055. A pair
    whose cross-spectrum has no imaginary part at all has wPLI and dwPLI² 0. dwPLI² is not clipped at 0.
    """
    n, n_channels, _ = analytic.shape
    size = np.abs(analytic)
    unit = np.divide(analytic, size, out=np.zeros_like(analytic), where=size > 0)
    itc = np.abs(unit.mean(axis=0)).mean(axis=-1)
    plv, wpli, dwpli2 = [], [], []
    for i in range(n_channels - 1):
        plv.append(np.abs(np.mean(unit[:, i, None] * np.conj(unit[:, i + 1 :]), axis=0)).mean(axis=-1))
        x = (analytic[:, i, None] * np.conj(analytic[:, i + 1 :])).imag.astype(np.float64)
        total, square, magnitude = x.sum(axis=0), (x * x).sum(axis=0), np.abs(x).sum(axis=0)
        below = magnitude**2 - square
        none = np.zeros_like(total)
        some = magnitude > 0
        wpli.append(np.divide(np.abs(total), magnitude, out=none.copy(), where=some).mean(axis=-1))
        many = below > 1e-12 * np.maximum(magnitude**2, 1e-300)
        dwpli2.append(np.divide(total**2 - square, below, out=none.copy(), where=some & many).mean(axis=-1))
    assert n >= 2, "an index across trials needs trials"
    return {
        "itc": itc,
        "plv": np.concatenate(plv),
        "wpli": np.concatenate(wpli),
        "dwpli2": np.concatenate(dwpli2),
    }


def off(found: dict[str, Reals], truth: dict[str, Reals]) -> dict[str, dict[str, float]]:
    """Bias (mean of found - true over channels or pairs), RMSE, and the mean truth, per measure."""
    out = {}
    for name in MEASURES:
        d = found[name] - truth[name]
        out[name] = {
            "bias": float(d.mean()),
            "rmse": float(np.sqrt(np.mean(d * d))),
            "truth": float(truth[name].mean()),
        }
    return out
