"""Owns the simulated brain: ongoing rhythms, and the answer to a pulse with known coupling; owns no artifact.

Truth: the phase offset between the stimulated region and another one is von Mises(mu, kappa), so the
phase-locking value of the sources is I1(kappa)/I0(kappa); the pulse resets phase with von Mises(0,
kappa_reset). mu lies off 0 and pi so that an index of the imaginary part sees it. Sources lie in a
three-shell sphere (rtloop.sphere).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from hardware_sim.conduction import is_assumed, other_head, true_places_m
from hardware_sim.scene import Scene
from rtloop.model.montage import NAMES_63, Montage, position_of
from rtloop.model.samples import F32, F64
from rtloop.sphere import leadfield

#: centre frequencies of the induced oscillations, one per band of rtloop.model.estimate.BANDS_HZ
INDUCED_HZ = (10.0, 16.5, 25.0)
#: SD of each over trials
INDUCED_SD_HZ = (0.4, 0.6, 0.8)
_INDUCED_SHARE = (1.2, 0.75, 0.6)
N_LOCAL, N_DISTANT = 3, 6
_DEPTH_M = 0.072
#: latency and width of the evoked bumps, seconds
BUMPS_S = ((0.015, 0.0035), (0.030, 0.006), (0.045, 0.007), (0.060, 0.010), (0.105, 0.018), (0.187, 0.032))
_CHECKED_S = (0.030, 0.058, 0.111, 0.193)
#: the answer is over after so many seconds
ANSWER_S = 0.6


def power_gain(scene: Scene, power_pct_mso: float) -> float:
    """Size of the evoked response at a power, 1 at the reference: logistic around the motor threshold."""

    def rise(p: float) -> float:
        return float(
            1.0 / (1.0 + np.exp(-(p - scene.person.rmt_pct_mso) / (0.08 * scene.person.rmt_pct_mso)))
        )

    return 0.0 if power_pct_mso <= 0 else rise(power_pct_mso) / rise(scene.person.reference_pct_mso)


def bessel_ratio(kappa: float) -> float:
    """I1(kappa)/I0(kappa): resultant length of von Mises phases, by quadrature over the circle."""
    x = (np.arange(4096) + 0.5) * np.pi / 4096
    weight = np.exp(kappa * (np.cos(x) - 1.0))
    return float(np.sum(np.cos(x) * weight) / np.sum(weight))


def _stable_seed(*parts: object) -> int:
    return zlib.crc32("|".join(str(p) for p in parts).encode())


def _field(scene: Scene, positions_m: F64, sources_m: F64, *moments: F64) -> F64:
    if is_assumed(scene):
        return leadfield(positions_m, sources_m, *moments)
    return other_head(scene, positions_m, sources_m, *moments)


def topographies(scene: Scene, montage: Montage, sources_m: F64, moments: F64, mix: F64 | None = None) -> F64:
    """Fields of sources (or of mixtures of them: float64[n_sources, n]), scaled so that the average-referenced RMS
    over the 63 default electrodes is 1, whatever the montage: float64[n_channels, n].
    """
    standard = _field(scene, Montage.from_names(NAMES_63).positions_m, sources_m, moments)
    standard = standard if mix is None else standard @ mix
    size = np.sqrt(np.mean((standard - standard.mean(0)) ** 2, axis=0))
    own = _field(scene, true_places_m(scene, montage), sources_m, moments)
    return np.asarray((own if mix is None else own @ mix) / size)


def _tilted(directions: F64, rng: np.random.Generator, most: float) -> F64:
    out = directions + most * rng.uniform(-1.0, 1.0, directions.shape)
    return np.asarray(out / np.linalg.norm(out, axis=1)[:, None])


def _shifted(direction: F64, metres: float, azimuth: float) -> F64:
    """Direction moved ``metres`` along the scalp (88 mm) towards an azimuth."""
    first = np.cross(direction, [0.0, 1.0, 0.0] if abs(direction[1]) < 0.9 else [1.0, 0.0, 0.0])
    first /= np.linalg.norm(first)
    way = np.cos(azimuth) * first + np.sin(azimuth) * np.cross(direction, first)
    angle = metres / 0.088
    return np.asarray(np.cos(angle) * direction + np.sin(angle) * way)


@dataclass(frozen=True, kw_only=True)
class Draws:
    """What chance decided for some trials: gain[n], latency jitter[n, bumps], phases[n, sources, bands],
    Hz[n, bands].
    """

    gain: F64
    late_s: F64
    phase: F64
    hz: F64


@dataclass(frozen=True, kw_only=True)
class EvokedCourses:
    """Time courses to stand in place of the bumps: ``times_s`` float64[n] from the pulse, evenly spaced; ``courses_uv``
    float64[k, n], the GMFP that each adds on a map of unit RMS (zero outside ``times_s``). See ``hardware_sim.real``.
    """

    times_s: F64
    courses_uv: F64

    def at(self, t_s: F64) -> F64:
        """The courses at other instants: float64[k, len(t_s)]."""
        return np.array([np.interp(t_s, self.times_s, c, left=0.0, right=0.0) for c in self.courses_uv])


class Answer:
    """The brain's answer to a pulse at one target, seen by one montage.

    Columns of ``fields`` (float32[n_channels, 10 + 6], µV): stimulated region, 3 neighbours, 6 distant, 6
    bumps; with ``evoked`` given, one per course in place of the bumps.
    """

    def __init__(
        self, scene: Scene, target: str, montage: Montage, evoked: EvokedCourses | None = None
    ) -> None:
        self.evoked = evoked
        self.scene, self.name, self.montage = scene, target, montage
        self.truth = scene.target(target)
        home = scene.geometry_of(target)
        rng = np.random.default_rng(_stable_seed("geometry", scene.person.head_seed, home.coil))
        coil = position_of(home.coil)
        assert coil is not None
        directions = [self._placed(coil)]
        start = rng.uniform(0, 2 * np.pi)
        directions += [_shifted(coil, 0.020, start + 2.1 * k) for k in range(N_LOCAL)]
        while len(directions) < 1 + N_LOCAL + N_DISTANT:
            d = rng.standard_normal(3)
            d /= np.linalg.norm(d)
            far = [float(d @ o) for o in [coil, *directions[1 + N_LOCAL :]]]
            if d[2] > -0.1 and far[0] < 0.7 and max(far) < 0.87:
                directions.append(d)
        where = np.array(directions)
        moments = _tilted(where, rng, 0.35)
        self._oscillating = topographies(scene, montage, where * _DEPTH_M, moments)
        size = np.array([1.0] + [0.7] * N_LOCAL + [0.8] * N_DISTANT)
        share = np.array(_INDUCED_SHARE)
        scale = scene.evoked.induced_uv / np.sqrt(0.5 * np.sum(size**2) * np.sum(share**2))
        self._size = size[:, None] * share * scale
        side = rng.choice([-1.0, 1.0], (1 + N_LOCAL + N_DISTANT, len(INDUCED_HZ)))
        self._mu = side * rng.uniform(0.25 * np.pi, 0.75 * np.pi, side.shape)
        self._mu[0] = 0.0
        make = self._bump_fields if evoked is None else self._course_fields
        self._bumps = make(where, moments, rng)
        self.fields: F32 = np.concatenate([self._oscillating, self._bumps], axis=1).astype(np.float32)
        self.loss = float(np.exp(-0.5 * (self.truth.placement_mm / 18.0) ** 2))

    def _placed(self, coil: F64) -> F64:
        """A misplaced coil drives a neighbouring patch, half as far off as the coil is."""
        return _shifted(coil, 0.0005 * self.truth.placement_mm, 0.7)

    def _bump_fields(self, where: F64, moments: F64, rng: np.random.Generator) -> F64:
        """Each bump comes from several regions: early ones near the coil, late ones from everywhere and the
        vertex.
        """
        vertex = np.array([[0.0, 0.1, 0.99]])
        places = np.concatenate([where, vertex / np.linalg.norm(vertex)])
        turned = np.concatenate([moments, vertex / np.linalg.norm(vertex)])
        default = Montage.from_names(NAMES_63)
        standard = topographies(self.scene, default, places * _DEPTH_M, turned)
        local = topographies(self.scene, self.montage, places * _DEPTH_M, turned)
        mix = np.zeros((len(places), len(BUMPS_S)))
        common = rng.uniform(-0.7, 0.7, len(places))
        for i in range(len(BUMPS_S)):
            own = common + 0.5 * rng.uniform(-0.7, 0.7, len(places))
            early = max(0.0, 1.0 - i / 3.0)
            mix[0, i] = 1.0
            mix[1 : 1 + N_LOCAL, i] = own[1 : 1 + N_LOCAL]
            mix[1 + N_LOCAL : -1, i] = (1.0 - 0.8 * early) * own[1 + N_LOCAL : -1]
            mix[-1, i] = (0.0, 0.0, 0.0, 0.2, 0.9, 0.9)[i]
            mix[:, i] *= (1, -1, 1, 1, -1, 1)[i]
        at_s = np.array([0.015, _CHECKED_S[0], 0.045, *_CHECKED_S[1:]])
        g = self.scene.evoked.gmfp_uv
        wanted = np.array([0.6 * g[0], g[0], 0.5 * (g[0] + g[1]), g[1], g[2], g[3]])
        shape = np.exp(-0.5 * ((at_s[:, None] - [b[0] for b in BUMPS_S]) / [b[1] for b in BUMPS_S]) ** 2)
        size = np.ones(len(BUMPS_S))
        induced = standard[:, :-1] @ self._mean_induced(at_s)
        for _ in range(
            60
        ):  # GMFP = SD over channels (Lehmann & Skrandies 1980), matched where it was measured
            field = (standard @ (mix * size)) @ shape.T + induced
            size *= np.sqrt((wanted + 1e-9) / (field.std(axis=0) + 1e-9))
        return np.asarray(local @ (mix * size))

    def _course_fields(self, where: F64, moments: F64, rng: np.random.Generator) -> F64:
        """A map for each course: mixtures of the regions' fields, orthonormal over the 63 default electrodes, the first
        that of the stimulated region. All are made smaller alike, so that with the locked oscillations the GMFP is the
        real one on average over the instants it was measured.
        """
        assert self.evoked is not None
        k = len(self.evoked.courses_uv)
        if k > len(where):
            raise ValueError(f"{k} courses need as many regions, there are {len(where)}")
        default = Montage.from_names(NAMES_63)
        standard = topographies(self.scene, default, where * _DEPTH_M, moments)
        standard = standard - standard.mean(axis=0)
        order = [0, *(1 + rng.permutation(len(where) - 1))][:k]
        r = np.linalg.qr(standard[:, order], mode="r")
        mix = np.zeros((len(where), k))
        mix[order] = np.linalg.inv(r) * (np.sign(np.diag(r)) * np.sqrt(len(standard)))
        at_s = np.array(_CHECKED_S)
        real = (standard @ mix) @ self.evoked.at(at_s)
        induced = standard @ self._mean_induced(at_s)
        shares = np.linspace(0.3, 1.0, 71)
        totals = np.array([np.mean((s * real + induced).std(axis=0)) for s in shares])
        share = float(shares[np.argmin(np.abs(totals - np.mean(real.std(axis=0))))])
        return np.asarray(topographies(self.scene, self.montage, where * _DEPTH_M, moments) @ mix * share)

    def _mean_induced(self, t_s: F64) -> F64:
        """Expected course of the oscillations at coupling kappa 2 (so the bumps are the same at every
        target).
        """
        locked = bessel_ratio(self.scene.evoked.kappa_reset) * np.where(
            np.arange(len(self._mu)) == 0, 1.0, 0.7
        )
        turn = 2 * np.pi * np.array(INDUCED_HZ) * t_s[:, None] + self._mu[:, None, :]
        rise = (1.0 - np.exp(-t_s / 0.02)) ** 2 * np.exp(-((t_s / 0.26) ** 2))
        return np.asarray(locked[:, None] * rise * np.sum(self._size[:, None, :] * np.cos(turn), axis=2))

    def draw(self, n_trials: int, rng: np.random.Generator, power_pct_mso: float | None = None) -> Draws:
        """Chance for ``n_trials`` pulses at a power (None = the reference)."""
        truth, evoked = self.truth, self.scene.evoked
        power = self.scene.person.reference_pct_mso if power_pct_mso is None else power_pct_mso
        sigma = np.sqrt(np.log1p(truth.gain_cv**2))
        gain = np.exp(sigma * rng.standard_normal(n_trials) - 0.5 * sigma**2)
        gain *= truth.amplitude * self.loss * power_gain(self.scene, power)
        late_s = 1e-3 * evoked.jitter_ms * rng.standard_normal((n_trials, 1)) * np.ones(len(BUMPS_S))
        bands = len(INDUCED_HZ)
        phase = np.zeros((n_trials, 1 + N_LOCAL + N_DISTANT, bands))
        phase += rng.vonmises(0.0, evoked.kappa_reset, (n_trials, 1, bands))
        phase[:, 1 : 1 + N_LOCAL] += _around(rng, truth.kappa_local, (n_trials, N_LOCAL, bands))
        phase[:, 1 + N_LOCAL :] += _around(rng, truth.kappa_global, (n_trials, N_DISTANT, bands))
        hz = np.array(INDUCED_HZ) + np.array(INDUCED_SD_HZ) * rng.standard_normal((n_trials, bands))
        return Draws(gain=gain, late_s=late_s, phase=phase + self._mu, hz=hz)

    def courses(self, draws: Draws, t_s: F64) -> F32:
        """Time courses float32[n_trials, 16, n_samples] of the columns of ``fields``; ``t_s`` from the pulse,
        >= 0.
        """
        t = t_s.astype(np.float32)
        n = len(draws.gain)
        rise = (1.0 - np.exp(-t / np.float32(0.02))) ** 2 * np.exp(-((t / np.float32(0.26)) ** 2))
        turn = np.float32(2.0 * np.pi) * draws.hz.astype(np.float32)[:, :, None] * t
        basis = np.concatenate([np.cos(turn) * rise, np.sin(turn) * rise], axis=1)
        weight = np.concatenate([self._size * np.cos(draws.phase), -self._size * np.sin(draws.phase)], axis=2)
        out = np.empty((n, self.fields.shape[1], t.size), np.float32)
        gain = draws.gain.astype(np.float32)[:, None, None]
        out[:, : 1 + N_LOCAL + N_DISTANT] = gain * (weight.astype(np.float32) @ basis)
        if self.evoked is not None:
            for trial in range(n):
                course = self.evoked.at(t_s - draws.late_s[trial, 0])
                out[trial, 1 + N_LOCAL + N_DISTANT :] = draws.gain[trial] * course
            return out
        for i, (latency_s, width_s) in enumerate(BUMPS_S):
            z = (t - (latency_s + draws.late_s[:, i : i + 1]).astype(np.float32)) * np.float32(1.0 / width_s)
            out[:, 1 + N_LOCAL + N_DISTANT + i] = gain[:, 0] * np.exp(np.float32(-0.5) * z * z)
        return out


def _around(rng: np.random.Generator, kappa: float, shape: tuple[int, ...]) -> F64:
    return rng.vonmises(0.0, kappa, shape) if kappa > 0 else rng.uniform(-np.pi, np.pi, shape)


class Ongoing:
    """Brain activity without pulses: about 300 dipoles with 1/f power, and alpha with a slow envelope.

    Made in the frequency domain, so a stretch of it closes on itself without a seam.
    """

    def __init__(self, scene: Scene, montage: Montage) -> None:
        rng = np.random.default_rng(_stable_seed("ongoing", scene.person.head_seed))
        where = rng.standard_normal((300, 3))
        where[:, 2] = np.where(where[:, 2] < -0.3 * np.linalg.norm(where, axis=1), -where[:, 2], where[:, 2])
        where /= np.linalg.norm(where, axis=1)[:, None]
        depth = rng.uniform(0.05, 0.076, (300, 1))
        places = true_places_m(scene, montage)
        field = _field(scene, places, where * depth, _tilted(where, rng, 1.0))
        field *= rng.lognormal(0.0, 0.5, 300)
        field *= scene.noise.brain_uv / np.sqrt(np.mean(np.sum(field**2, axis=1)))
        u, s, _ = np.linalg.svd(field, full_matrices=False)
        keep = max(1, int(np.searchsorted(np.cumsum(s**2) / np.sum(s**2), 0.9995)) + 1)
        #: the 300 dipoles share one spectrum: their sum is exactly a sum of so many components
        self.fields: F64 = u[:, :keep] * s[:keep]
        back = [p for p in (position_of(n) for n in ("O1", "O2", "P3", "P4", "POz")) if p is not None]
        alpha = _field(scene, places, np.array(back) * 0.068)
        self.alpha: F64 = alpha * scene.noise.alpha_uv / np.sqrt(np.sum(alpha**2, axis=1)).max()

    def stretch(self, n_samples: int, rate_hz: float, rng: np.random.Generator) -> F32:
        """A seamless loop float32[n_samples, n_channels], µV."""
        hz = np.fft.rfftfreq(n_samples, 1.0 / rate_hz)
        top = int(np.searchsorted(hz, min(200.0, 0.48 * rate_hz)))
        pink = np.maximum(hz[:top], 0.8) ** -0.6
        pink[hz[:top] < 0.1] = 0.0
        rhythm = np.exp(-0.25 * ((hz[:top] - 10.2) / 0.55) ** 2)
        fields = np.concatenate([self.fields, self.alpha], axis=1)
        courses = np.empty((n_samples, fields.shape[1]), np.float32)
        for k in range(fields.shape[1]):
            shape = pink if k < self.fields.shape[1] else rhythm
            spectrum = np.zeros(hz.size, np.complex64)
            re, im = rng.standard_normal((2, top), dtype=np.float32)
            spectrum[:top] = (re + 1j * im) * shape
            spectrum[0] = 0.0
            # Parseval: variance = 2 sum |X|^2 / n^2, with E|X|^2 = 2 shape^2
            spectrum *= np.float32(n_samples / (2.0 * np.sqrt(np.sum(shape[1:] ** 2))))
            courses[:, k] = np.fft.irfft(spectrum, n_samples)
        return np.asarray(courses @ fields.T.astype(np.float32))

    def trials(self, n_trials: int, n_samples: int, rate_hz: float, rng: np.random.Generator) -> F32:
        """Independent stretches float32[n_trials, n_channels, n_samples], µV, with the same spectra as
        ``stretch``.
        """
        from scipy.fft import irfft, next_fast_len

        period = next_fast_len(
            int(1.4 * n_samples), real=True
        )  # longer than what is kept: its ends do not match
        hz = np.fft.rfftfreq(period, 1.0 / rate_hz)
        top = int(np.searchsorted(hz, min(200.0, 0.48 * rate_hz)))
        pink = np.maximum(hz[1:top], 0.8) ** -0.6
        rhythm = np.exp(-0.25 * ((hz[1:top] - 10.2) / 0.55) ** 2)
        n_pink = self.fields.shape[1]
        shapes = [s * (period / (2.0 * np.sqrt(np.sum(s**2)))) for s in (pink, rhythm)]
        shape = np.repeat(np.array(shapes, np.float32), [n_pink, self.alpha.shape[1]], axis=0)
        spectrum = np.zeros((n_trials, len(shape), top), np.complex64)
        parts = rng.standard_normal((n_trials, len(shape), 2 * (top - 1)), dtype=np.float32)
        spectrum[:, :, 1:] = parts.view(np.complex64) * shape
        courses = irfft(spectrum, period, axis=2)[:, :, :n_samples]
        return np.asarray(np.concatenate([self.fields, self.alpha], axis=1).astype(np.float32) @ courses)
