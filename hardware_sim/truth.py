"""Owns what a scene's truth means at sources and sensors; owns no estimator of the product (a second
witness).

Sensor-level truth is the score's own definition on the noise-free neural sum of many trials: dwPLI^2 (Vinck
2011, 10.1016/j.neuroimage.2011.01.055) of the average-referenced analytic signal, mean over 15-300 ms and the
three bands, GLOBAL weighted with the distance of the electrodes, LOCAL among the four nearest the coil.
Written plainly with FFTs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hardware_sim.brain import ANSWER_S, INDUCED_SD_HZ, Answer, Ongoing, bessel_ratio
from hardware_sim.scene import Scene, Target
from rtloop.model.estimate import BANDS_HZ
from rtloop.model.montage import NAMES_63, Montage, position_of
from rtloop.model.samples import F32, F64

Span = tuple[float, float]
C128 = npt.NDArray[np.complex128]
_RATE_HZ = 250.0
_BEFORE = int(0.4 * _RATE_HZ)
_AT_S = np.arange(0.02, 0.30, 0.04)


def band_analytic(data: F64, rate_hz: float, low_hz: float, high_hz: float) -> C128:
    """Analytic signal of one band by a smooth window in the frequency domain, last axis; complex128, same
    shape.
    """
    n = data.shape[-1]
    hz = np.fft.fftfreq(n, 1.0 / rate_hz)
    edge = 1.5
    keep = np.clip((hz - low_hz) / edge + 0.5, 0, 1) * np.clip((high_hz - hz) / edge + 0.5, 0, 1)
    return np.asarray(np.fft.ifft(2.0 * keep * np.fft.fft(data, axis=-1), axis=-1))


def dwpli2(analytic: C128) -> F64:
    """dwPLI^2 of all pairs from complex[n_trials, n_channels, n_times]: float64[n_channels, n_channels,
    n_times].
    """
    _, n_channels, n_times = analytic.shape
    out = np.zeros((n_channels, n_channels, n_times))
    for i in range(n_channels):
        x = (analytic[:, i, None] * np.conj(analytic)).imag
        total, square, size = x.sum(0), (x * x).sum(0), np.abs(x).sum(0)
        below = size**2 - square
        out[i] = np.divide(total**2 - square, below, out=np.zeros_like(below), where=below > 0)
    return out


def scores(analytic_of_band: list[C128], montage: Montage, coil: str) -> dict[str, float]:
    """GLOBAL and LOCAL from the analytic signals of the bands (complex[n_trials, n_channels, n_times]
    each).
    """
    c = np.mean([dwpli2(a).mean(-1) for a in analytic_of_band], axis=0)
    place = position_of(coil)
    assert place is not None
    near = list(montage.nearest(place * 0.088, 4))
    d = np.linalg.norm(montage.positions_m[:, None] - montage.positions_m[None], axis=2)
    upper = np.triu_indices(len(d), 1)
    four = c[np.ix_(near, near)][np.triu_indices(4, 1)]
    return {"global": float(np.sum((d * c)[upper]) / np.sum(d[upper])), "local": float(four.mean())}


@dataclass(frozen=True, kw_only=True)
class Indices:
    """Across-trial indices, mean over a window: ``itc`` float64[n_channels]; ``plv``, ``wpli``, ``dwpli2``
    float64[n_channels, n_channels], symmetric, diagonal 0 (dwpli2 is the square, may be negative).
    """

    itc: F64
    plv: F64
    wpli: F64
    dwpli2: F64


def sensor_indices(
    trials_uv: F64 | F32, rate_hz: float, pulse_sample: int, *, band_hz: Span, window_s: Span
) -> Indices:
    """Sensor-level truth of noise-free trials, by the estimators of the literature written plainly.

    ITC = |mean A/|A|| (Delorme & Makeig 2004, 10.1016/j.jneumeth.2003.10.009), PLV = |mean S/|S|| (Lachaux 1999,
    10.1002/(SICI)1097-0193(1999)8:4<194::AID-HBM4>3.0.CO;2-C), wPLI = |mean Im S| / mean |Im S| and dwPLI^2 (Vinck
    2011, 10.1016/j.neuroimage.2011.01.055), S = A_x conj(A_y), A the analytic signal of the average-referenced
    trial in the band. Compare with the same estimators on cleaned trials of the same numbers: ITC, PLV and wPLI
    are biased by the number of trials, the truth by the same amount.

    Parameters
    ----------
    trials_uv : float[n_trials, n_channels, n_samples]; ``brain_uv`` of ``hardware_sim.trials.RawTrial`` (nothing is
        missing in it, so nothing is bridged), or ``answer_uv`` for what the pulse itself evokes
    band_hz, window_s : edges of the band; window in seconds from the pulse

    Raises
    ------
    ValueError : fewer than 2 trials, or a window outside them
    """
    data = np.asarray(trials_uv, dtype=np.float64)
    first, last = (round(pulse_sample + edge * rate_hz) for edge in window_s)
    if data.ndim != 3 or len(data) < 2 or not 0 <= first < last < data.shape[2]:
        raise ValueError(f"trials {data.shape} and window {window_s} s give no index")
    a = band_analytic(data - data.mean(axis=1, keepdims=True), rate_hz, *band_hz)
    a = a[:, :, first : last + 1 : max(1, round(0.004 * rate_hz))]
    unit = a / np.maximum(np.abs(a), 1e-30)
    n = data.shape[1]
    plv, wpli = np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        plv[i] = np.abs(np.mean(unit[:, i, None] * np.conj(unit), axis=0)).mean(-1)
        x = (a[:, i, None] * np.conj(a)).imag
        size = np.abs(x).sum(0)
        wpli[i] = np.divide(np.abs(x.sum(0)), size, out=np.zeros_like(size), where=size > 0).mean(-1)
    np.fill_diagonal(plv, 0.0)
    np.fill_diagonal(wpli, 0.0)
    return Indices(itc=np.abs(unit.mean(0)).mean(-1), plv=plv, wpli=wpli, dwpli2=dwpli2(a).mean(-1))


def source_truth(scene: Scene, target: str, t_s: float = 0.0) -> dict[str, float]:
    """Indices of the sources by the Bessel ratio I1/I0 of their concentrations (Fisher 1993): ``itc`` of the
    stimulated region, ``itc_local`` and ``itc_distant`` of the regions it drives, ``plv_local`` and ``plv_global``
    of the pairs, at ``t_s`` after the pulse, in the first band; ``itc_low_beta`` and ``itc_high_beta`` the same of
    the others. The pairs keep their phase (one frequency per trial and band); ITC falls as the frequency differs
    from trial to trial: exp(-(2 pi SD t)^2 / 2).
    """
    t = scene.target(target)
    fall = np.exp(-0.5 * (2 * np.pi * np.array(INDUCED_SD_HZ) * t_s) ** 2)
    reset = bessel_ratio(scene.evoked.kappa_reset)
    local, distant = bessel_ratio(t.kappa_local), bessel_ratio(t.kappa_global)
    return {
        "itc": reset * float(fall[0]), "itc_low_beta": reset * float(fall[1]), "itc_high_beta": reset * float(fall[2]),
        "itc_local": reset * local * float(fall[0]), "itc_distant": reset * distant * float(fall[0]),
        "plv_local": local, "plv_global": distant,
    }  # fmt: skip


def power_snr(scene: Scene, target: str, n_trials: int = 400) -> float:
    """Single-trial power ratio of the answer to everything that goes on without it (ongoing EEG, amplifier noise; no
    artifact): mean |A|^2 at 8-30 Hz, 15-300 ms, all trials and the 63 default channels, average reference. It is the
    expectation of (post - pre) / pre in power, the SNR of the design note on decisions. Good to about 4 %.
    """
    answer, t = Answer(scene, target, Montage.from_names(NAMES_63)), scene.target(target)
    draws = answer.draw(n_trials, np.random.default_rng(20_001))
    # a log-normal gain has heavy tails: its mean square is put in place of what was drawn
    gain = np.full(n_trials, t.amplitude * answer.loss * np.sqrt(1.0 + t.gain_cv**2))
    times_s = np.arange(int(ANSWER_S * _RATE_HZ)) / _RATE_HZ
    courses = answer.courses(replace(draws, gain=gain), times_s)
    signal = np.zeros((n_trials, courses.shape[1], _BEFORE + times_s.size))
    signal[:, :, _BEFORE:] = courses
    fields = answer.fields - answer.fields.mean(0)
    power = float(np.mean(np.abs(fields @ _scored(signal)) ** 2))
    alike = scene.model_dump(include={"person", "noise", "conduction"})
    plain = Scene(**alike, name="", targets={"M1": Target(coil="C3")})
    return power / _noise_power(plain.model_dump_json(), n_trials)


def _scored(data: F64) -> C128:
    """Analytic signal at 8-30 Hz in the window that is scored."""
    a, b = (_BEFORE + round(edge * _RATE_HZ) for edge in (0.015, 0.300))
    return band_analytic(data, _RATE_HZ, 8.0, 30.0)[:, :, a : b + 1]


@lru_cache(maxsize=16)
def _noise_power(scene_json: str, n_trials: int) -> float:
    scene = Scene.model_validate_json(scene_json)
    rng = np.random.default_rng(20_002)
    n_samples = _BEFORE + int(ANSWER_S * _RATE_HZ)
    noise = (
        Ongoing(scene, Montage.from_names(NAMES_63)).trials(n_trials, n_samples, _RATE_HZ, rng).astype(float)
    )
    # white noise of the amplifier falls into the band in proportion: its SD is stated at the amplifier's rate, 5 kHz
    noise += scene.noise.sensor_uv * np.sqrt(_RATE_HZ / 5000.0) * rng.standard_normal(noise.shape)
    return float(np.mean(np.abs(_scored(noise - noise.mean(axis=1, keepdims=True))) ** 2))


@lru_cache(maxsize=64)
def _sensor_truth(scene_json: str, target: str, n_trials: int) -> dict[str, float]:
    scene = Scene.model_validate_json(scene_json)
    montage = Montage.from_names(NAMES_63)
    answer = Answer(scene, target, montage)
    rng = np.random.default_rng(20_000)
    t_s = np.arange(int(ANSWER_S * _RATE_HZ)) / _RATE_HZ
    courses = answer.courses(answer.draw(n_trials, rng), t_s)
    padded = np.concatenate([np.zeros((*courses.shape[:2], _BEFORE), np.float32), courses], axis=2)
    fields = answer.fields - answer.fields.mean(0)
    columns = _BEFORE + np.round(_AT_S * _RATE_HZ).astype(int)
    bands = [band_analytic(padded, _RATE_HZ, *edges)[:, :, columns] for edges in BANDS_HZ.values()]
    return scores([fields @ b for b in bands], montage, scene.geometry_of(target).coil)


def truth_of(scene: Scene, target: str, n_trials: int = 300) -> dict[str, Any]:
    """Everything true of one target: the scene's numbers, the sources' indices, sensor-level scores and
    ranks.

    Keys: target, coil, geometry_coil, kappa_global, kappa_local, plv_global, plv_local, itc, amplitude,
    gain_cv, muscle_uv, decay_uv, placement_mm, sensor_global, sensor_local (dwPLI^2, noise-free, LOCAL around
    the coil of the geometry), rank_global, rank_local (1 = lowest by kappa; equal truths share a rank),
    sensor_rank_global, sensor_rank_local (1 = lowest of the sensor-level scores), control_of. Ranks are among the
    targets that are no control block; that of a control block is 0.
    """
    t = scene.target(target)
    as_json = scene.model_dump_json()
    sensor = {name: _sensor_truth(as_json, name, n_trials) for name in dict.fromkeys([*scene.ranked, target])}
    every = [scene.targets[name] for name in scene.ranked]
    ranked = 0 if t.control_of else 1
    peers = [sensor[name] for name in scene.ranked]
    return {
        "target": target,
        "control_of": t.control_of,
        "coil": t.coil,
        "geometry_coil": scene.geometry_of(target).coil,
        "kappa_global": t.kappa_global,
        "kappa_local": t.kappa_local,
        "plv_global": bessel_ratio(t.kappa_global),
        "plv_local": bessel_ratio(t.kappa_local),
        "itc": bessel_ratio(scene.evoked.kappa_reset),
        "amplitude": t.amplitude,
        "gain_cv": t.gain_cv,
        "muscle_uv": t.muscle_uv,
        "decay_uv": t.decay_uv,
        "placement_mm": t.placement_mm,
        "sensor_global": sensor[target]["global"],
        "sensor_local": sensor[target]["local"],
        "rank_global": ranked * (1 + sum(o.kappa_global < t.kappa_global for o in every)),
        "rank_local": ranked * (1 + sum(o.kappa_local < t.kappa_local for o in every)),
        "sensor_rank_global": ranked * (1 + sum(s["global"] < sensor[target]["global"] for s in peers)),
        "sensor_rank_local": ranked * (1 + sum(s["local"] < sensor[target]["local"] for s in peers)),
    }
