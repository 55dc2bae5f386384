"""Simulated targets for ``simulate_decision``: analytic signals with known coupling, made at the instants of the score.

One head per draw: 63 channels, three-shell sphere, one stimulated and six distant sources, 60 background dipoles (1/f),
posterior alpha, sensor noise; gain per trial (CV 0.3), phase reset, phase offsets von Mises kappa. Everything is invented;
no pulse artifact, no filter, no drift: those are in ``--source chain``.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np

from rtloop.decide.signals import TargetSignal
from rtloop.dsp.analytic import band_width_s
from rtloop.model.estimate import BANDS_HZ
from rtloop.model.montage import NAMES_63, Montage
from rtloop.sphere import leadfield

TARGETS = ("M1", "DLPFC", "ACC", "PSI")
POINTS = {"alpha": 8, "low_beta": 8, "high_beta": 16}
FROM_S = {"alpha": 0.045, "low_beta": 0.025, "high_beta": 0.015}
TO_S = 0.300
N_BACKGROUND, N_ALPHA = 60, 6
SHARE = (1.2, 0.75, 0.6)  # of the induced amplitude, by band
BACKGROUND = (1.0, 0.75, 0.6)
GAIN_CV, KAPPA_RESET = 0.3, 2.0
SOURCE_M = 0.072


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Targets in the order of ``TARGETS``. ``lowest`` / ``highest`` index of the one that may be named; None: no name is
    right. ``uneven`` (low, high): amplitudes drawn per draw; ``population``: kappas drawn per draw, the truth follows."""

    name: str
    kappa: tuple[float, ...] = (2.0, 2.0, 2.0, 2.0)
    amplitude: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    snr: float = 0.6
    lowest: int | None = None
    highest: int | None = None
    question: str = "low"
    uneven: tuple[float, float] | None = None
    population: tuple[float, float] | None = None
    muscle: tuple[float, ...] = (
        0.0,
        0.0,
        0.0,
        0.0,
    )  # amplitude over that of the ongoing EEG at the worst channel
    alpha_loss: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)  # share of alpha amplitude lost after the pulse
    placement_sd: float = 0.0  # SD of the log amplitude between visits
    own_fields: bool = False  # every target its own sources and lead fields

    def drawn(self, seed: int) -> Scene:
        """The scene of one draw: chance of the person, not of the trials."""
        rng = np.random.default_rng([seed, 11, zlib.crc32(self.name.encode())])
        kappa, amplitude, lowest, highest = self.kappa, self.amplitude, self.lowest, self.highest
        if self.population:
            low, high = self.population
            kappa = tuple(float(k) for k in rng.uniform(low, high, len(TARGETS)))
            lowest, highest = int(np.argmin(kappa)), int(np.argmax(kappa))
        if self.uneven:
            amplitude = tuple(float(a) for a in rng.uniform(*self.uneven, len(TARGETS)))
        return Scene(**{**self.__dict__, "kappa": kappa, "amplitude": amplitude, "lowest": lowest, "highest": highest,
                        "uneven": None, "population": None})  # fmt: skip


_LOW, _TIE = (0.7, 2.0, 2.0, 2.0), (0.7, 0.7, 2.0, 2.0)
SCENES = {
    s.name: s
    for s in (
        Scene(name="wide gap", kappa=_LOW, lowest=0),
        Scene(name="narrow gap", kappa=(1.0, 2.0, 2.0, 2.0), lowest=0),
        Scene(name="narrow gap, amplitudes 0.6-1", kappa=(1.0, 2.0, 2.0, 2.0), lowest=0, uneven=(0.6, 1.0)),
        Scene(name="lowest is strong, others 0.75", kappa=_LOW, amplitude=(1.0, 0.75, 0.75, 0.75), lowest=0),
        Scene(name="near tie", kappa=_TIE, lowest=0),
        Scene(name="near tie, wrong one at 0.75", kappa=_TIE, amplitude=(1.0, 0.75, 1.0, 1.0), lowest=0),
        Scene(name="near tie, amplitudes 0.6-1", kappa=_TIE, lowest=0, uneven=(0.6, 1.0)),
        Scene(name="near tie, visits vary 10 %", kappa=_TIE, lowest=0, placement_sd=0.1),
        Scene(name="equal"),
        Scene(name="equal, one at 0.8", amplitude=(0.8, 1.0, 1.0, 1.0)),
        Scene(name="equal, one at 0.7", amplitude=(0.7, 1.0, 1.0, 1.0)),
        Scene(name="equal, amplitudes 0.6-1", uneven=(0.6, 1.0)),
        Scene(name="equal, one at 0.8, SNR 0.16", amplitude=(0.8, 1.0, 1.0, 1.0), snr=0.16),
        Scene(
            name="near tie, wrong one at 0.75, SNR 0.16",
            kappa=_TIE,
            amplitude=(1, 0.75, 1, 1),
            lowest=0,
            snr=0.16,
        ),
        Scene(name="wide gap, SNR 0.16", kappa=_LOW, lowest=0, snr=0.16),
        Scene(name="equal, one at 0.8, high asked", amplitude=(0.8, 1.0, 1.0, 1.0), question="high"),
        Scene(name="equal, muscle at one, high asked", muscle=(24.0, 0.0, 0.0, 0.0), question="high"),
        Scene(name="equal, a little muscle, high asked", muscle=(8.0, 0.0, 0.0, 0.0), question="high"),
        Scene(name="equal, alpha lost at one, high asked", alpha_loss=(0.2, 0.0, 0.0, 0.0), question="high"),
        Scene(name="equal, alpha lost at one", alpha_loss=(0.2, 0.0, 0.0, 0.0)),
        Scene(name="no response at one", amplitude=(0.0, 1.0, 1.0, 1.0)),
        Scene(name="equal, own lead fields", own_fields=True),
        Scene(name="people, kappa 0.3-3, amplitudes 0.7-1", population=(0.3, 3.0), uneven=(0.7, 1.0)),
    )
}


def drawn_home(rng: np.random.Generator) -> np.ndarray:
    """A place on the upper half of the head: its direction, not of length 1."""
    home = rng.standard_normal(3)
    home[2] = abs(home[2]) + 0.5
    return home


def drawn_far(home: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Unit directions of six distant sources that answer with the place."""
    far: list[np.ndarray] = []
    while len(far) < 6:
        d = rng.standard_normal(3)
        d /= np.linalg.norm(d)
        if d[2] > -0.1 and d @ home / np.linalg.norm(home) < 0.7:
            far.append(d)
    return far


def drawn_phases(n_bands: int, rng: np.random.Generator) -> np.ndarray:
    """Phases mu [7, n_bands] behind the place's own, which is 0."""
    side = rng.choice([-1.0, 1.0], (7, n_bands))
    mu = side * rng.uniform(0.25 * np.pi, 0.75 * np.pi, side.shape)
    mu[0] = 0.0
    return mu


@dataclass
class Person:
    """The head of one draw: where the sources are and what the noise looks like."""

    scene: Scene
    seed: int
    montage: Montage = field(default_factory=lambda: Montage.from_names(NAMES_63))

    def __post_init__(self) -> None:
        a, b = np.triu_indices(self.montage.n_channels, 1)
        p = self.montage.positions_m
        self.weights = np.linalg.norm(p[a] - p[b], axis=1)
        self.weights /= self.weights.sum()
        self.bands: dict[str, slice] = {}
        self.times_s: dict[str, np.ndarray] = {}
        start = 0
        for band, n in POINTS.items():
            self.bands[band] = slice(start, start + n)
            self.times_s[band] = np.linspace(FROM_S[band], TO_S, n)
            start += n
        rng = np.random.default_rng([self.seed, 7])
        self.mixing = self._noise_fields(rng)
        self.fields = [self._response_fields(rng) for _ in TARGETS]
        if not self.scene.own_fields:
            self.fields = self.fields[:1] * len(TARGETS)
        self.muscle = self._fields_of(np.array([[-0.95, 0.3, 0.1], [-0.8, 0.55, -0.05]]), 0.078)
        self.correlation = {}
        self._roots: dict[tuple[int, float], np.ndarray] = {}
        for band, (low, high) in BANDS_HZ.items():
            t = self.times_s[band]
            lag = t[:, None] - t
            r = np.exp(-((lag / (2 * band_width_s(low, high))) ** 2)) * np.exp(
                1j * np.pi * (low + high) * lag
            )
            self.correlation[band] = np.linalg.cholesky(r + 1e-6 * np.eye(t.size)).astype(np.complex64)

    def _fields_of(self, directions: np.ndarray, radius_m: float) -> np.ndarray:
        unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        out = leadfield(self.montage.positions_m, unit * radius_m)
        out -= out.mean(axis=0)
        return out / np.sqrt((out**2).mean(axis=0))

    def _noise_fields(self, rng: np.random.Generator) -> np.ndarray:
        """[n_bands, n_channels, n_sources], sensor noise as one source per channel."""
        n = self.montage.n_channels
        anywhere = rng.standard_normal((N_BACKGROUND, 3))
        anywhere[:, 2] = np.abs(anywhere[:, 2]) - 0.3
        back = rng.standard_normal((N_ALPHA, 3)) * 0.35 + [0.0, -0.85, 0.35]
        ongoing, alpha = self._fields_of(anywhere, 0.068), self._fields_of(back, 0.068)
        sensors = np.eye(n) - 1.0 / n
        return np.stack([
            np.concatenate([b * ongoing / np.sqrt(N_BACKGROUND), a * alpha / np.sqrt(N_ALPHA), 0.25 * sensors], axis=1)
            for b, a in zip(BACKGROUND, (1.2, 0.0, 0.0), strict=True)
        ])  # fmt: skip

    def _response_fields(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Fields [n_channels, 7] scaled for SNR 1 (mean over trials, channels, instants), phases mu [7, n_bands]."""
        home = drawn_home(rng)
        fields = self.fields_from(home, drawn_far(home, rng))
        return fields, drawn_phases(len(POINTS), rng)

    def fields_from(self, home: np.ndarray, far: list[np.ndarray]) -> np.ndarray:
        """Fields [n_channels, 7] of the place itself and of its weaker distant sources."""
        return self._fields_of(np.stack([home, *far]), SOURCE_M) * np.array([1.0] + [0.8] * 6)

    def noise(self, n: int, band: int, rng: np.random.Generator, alpha: float = 1.0) -> np.ndarray:
        """complex64[n_trials, n_channels, n_points] of one band; ``alpha`` scales the posterior rhythm."""
        if (band, alpha) not in self._roots:
            mixing = self.mixing[band].copy()
            mixing[:, N_BACKGROUND : N_BACKGROUND + N_ALPHA] *= alpha
            floor = 1e-6 * np.eye(mixing.shape[0])  # the average reference takes one rank away
            self._roots[band, alpha] = np.linalg.cholesky(mixing @ mixing.T + floor).astype(np.float32)
        root, name = self._roots[band, alpha], tuple(POINTS)[band]
        z = rng.standard_normal((n, root.shape[0], POINTS[name], 2), dtype=np.float32).view(np.complex64)[
            ..., 0
        ]
        z = (z @ self.correlation[name].T) * np.float32(np.sqrt(0.5))
        out = np.empty((n, root.shape[0], POINTS[name]), np.complex64)
        out.real, out.imag = root @ z.real, root @ z.imag
        return out

    def visit(self, target: int, number: int, n: int) -> TargetSignal:
        """``n`` trials of one stay at a target; the same seed, target and number give the same trials."""
        rng = np.random.default_rng([self.seed, 3, target, number])
        scene, (fields, mu) = self.scene, self.fields[target]
        sigma = np.sqrt(np.log1p(GAIN_CV**2))
        visit_gain = np.exp(scene.placement_sd * rng.standard_normal())
        gain = np.exp(sigma * rng.standard_normal(n) - 0.5 * sigma**2) * scene.amplitude[target] * visit_gain
        after, before = [], []
        for b, (band, (low, high)) in enumerate(BANDS_HZ.items()):
            t = self.times_s[band]
            rise = (1.0 - np.exp(-t / 0.02)) ** 2 * np.exp(-((t / 0.26) ** 2))
            phase = rng.vonmises(0.0, KAPPA_RESET, (n, 1)) + np.zeros((n, 7))
            kappa = scene.kappa[target]
            phase[:, 1:] += (
                rng.vonmises(0.0, kappa, (n, 6)) if kappa > 0 else rng.uniform(-np.pi, np.pi, (n, 6))
            )
            hz = (low + high) / 2 + (0.4, 0.6, 0.8)[b] * rng.standard_normal(n)
            course = rise * np.exp(2j * np.pi * hz[:, None] * t)
            waves = np.exp(1j * (phase + mu[:, b])) * gain[:, None]
            response = np.einsum("cs,ns,np->ncp", fields, waves, course, optimize=True)
            ongoing_power = (self.mixing[b] ** 2).sum(axis=1).mean()
            wanted = scene.snr * SHARE[b] ** 2 / np.mean(np.square(SHARE)) * ongoing_power
            size = (fields**2).sum(axis=1).mean() * (1 + GAIN_CV**2) * np.mean(rise**2)
            signal = response * np.sqrt(wanted / size)
            if scene.muscle[target]:
                signal = signal + self._muscle(n, b, t, scene.muscle[target], rng)
            alpha = 1.0 - scene.alpha_loss[target] if band == "alpha" else 1.0
            after.append(signal + self.noise(n, b, rng, alpha))
            before.append(self.noise(n, b, rng))
        a, o = np.concatenate(after, axis=2), np.concatenate(before, axis=2)
        return TargetSignal(
            target=TARGETS[target], re=a.real.astype(np.float32), im=a.imag.astype(np.float32),
            ongoing_re=o.real.astype(np.float32), ongoing_im=o.imag.astype(np.float32),
            good=np.ones(a.shape[:2], np.bool_), bands=self.bands, weights=self.weights,
        )  # fmt: skip

    def _muscle(self, n: int, band: int, t: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
        """Early, locked, of two muscles a quarter turn apart; ``size`` is the largest of its mean over the ongoing EEG."""
        ongoing = np.sqrt((self.mixing[band] ** 2).sum(axis=1))
        shape = self.muscle[:, 0] + 1j * self.muscle[:, 1]
        shape *= size / np.max(np.abs(shape) / ongoing)
        wave = (0.5, 0.75, 1.0)[band] * np.exp(-(((t - 0.02) / 0.04) ** 2) + 2j * np.pi * 18.0 * t)
        each = np.exp(0.3 * rng.standard_normal(n) + 0.3j * rng.standard_normal(n))
        return each[:, None, None] * shape[:, None] * wave


def joined(parts: list[TargetSignal]) -> TargetSignal:
    """All trials of a target, in the order of its visits."""
    first = parts[0]
    if len(parts) == 1:
        return first
    planes = {n: np.concatenate([getattr(p, n) for p in parts])
              for n in ("re", "im", "ongoing_re", "ongoing_im", "good")}  # fmt: skip
    return TargetSignal(target=first.target, bands=first.bands, weights=first.weights, **planes)


def cut(signal: TargetSignal, n: int) -> TargetSignal:
    """The first ``n`` trials."""
    planes = {name: getattr(signal, name)[:n] for name in ("re", "im", "ongoing_re", "ongoing_im", "good")}
    return TargetSignal(target=signal.target, bands=signal.bands, weights=signal.weights, **planes)
