"""Owns what a scene's truth means at sources and sensors; owns no estimator of the product (a second
witness).

Sensor-level truth is the score's own definition on the noise-free neural sum of many trials: dwPLI^2 (Vinck
2011, 10.1016/j.neuroimage.2011.01.055) of the average-referenced analytic signal, mean over 15-300 ms and the
three bands, GLOBAL weighted with the distance of the electrodes, LOCAL among the four nearest the coil.
Written plainly with FFTs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from hardware_sim.brain import ANSWER_S, Answer, bessel_ratio
from hardware_sim.scene import Scene
from rtloop.model.estimate import BANDS_HZ
from rtloop.model.montage import NAMES_63, Montage, position_of
from rtloop.model.samples import F64

_RATE_HZ = 250.0
_AT_S = np.arange(0.02, 0.30, 0.04)


def band_analytic(data: F64, rate_hz: float, low_hz: float, high_hz: float) -> F64:
    """Analytic signal of one band by a smooth window in the frequency domain, last axis; complex128, same
    shape.
    """
    n = data.shape[-1]
    hz = np.fft.fftfreq(n, 1.0 / rate_hz)
    edge = 1.5
    keep = np.clip((hz - low_hz) / edge + 0.5, 0, 1) * np.clip((high_hz - hz) / edge + 0.5, 0, 1)
    return np.asarray(np.fft.ifft(2.0 * keep * np.fft.fft(data, axis=-1), axis=-1))


def dwpli2(analytic: F64) -> F64:
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


def scores(analytic_of_band: list[F64], montage: Montage, coil: str) -> dict[str, float]:
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


@lru_cache(maxsize=64)
def _sensor_truth(scene_json: str, target: str, n_trials: int) -> dict[str, float]:
    scene = Scene.model_validate_json(scene_json)
    montage = Montage.from_names(NAMES_63)
    answer = Answer(scene, target, montage)
    rng = np.random.default_rng(20_000)
    before = int(0.4 * _RATE_HZ)
    t_s = np.arange(int(ANSWER_S * _RATE_HZ)) / _RATE_HZ
    courses = answer.courses(answer.draw(n_trials, rng), t_s)
    padded = np.concatenate([np.zeros((*courses.shape[:2], before), np.float32), courses], axis=2)
    fields = answer.fields - answer.fields.mean(0)
    columns = before + np.round(_AT_S * _RATE_HZ).astype(int)
    bands = [band_analytic(padded, _RATE_HZ, *edges)[:, :, columns] for edges in BANDS_HZ.values()]
    return scores([fields @ b for b in bands], montage, scene.geometry_of(target).coil)


def truth_of(scene: Scene, target: str, n_trials: int = 300) -> dict[str, Any]:
    """Everything true of one target: the scene's numbers, the sources' indices, sensor-level scores and
    ranks.

    Keys: target, coil, geometry_coil, kappa_global, kappa_local, plv_global, plv_local, itc, amplitude,
    gain_cv, muscle_uv, decay_uv, placement_mm, sensor_global, sensor_local (dwPLI^2, noise-free, LOCAL around
    the coil of the geometry), rank_global, rank_local (1 = lowest by kappa; equal truths share a rank),
    sensor_rank_global, sensor_rank_local (1 = lowest of the sensor-level scores).
    """
    t = scene.target(target)
    as_json = scene.model_dump_json()
    sensor = {name: _sensor_truth(as_json, name, n_trials) for name in scene.targets}
    every = scene.targets.values()
    return {
        "target": target,
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
        "rank_global": 1 + sum(o.kappa_global < t.kappa_global for o in every),
        "rank_local": 1 + sum(o.kappa_local < t.kappa_local for o in every),
        "sensor_rank_global": 1 + sum(s["global"] < sensor[target]["global"] for s in sensor.values()),
        "sensor_rank_local": 1 + sum(s["local"] < sensor[target]["local"] for s in sensor.values()),
    }
