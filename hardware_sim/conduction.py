"""Owns the fields of the generating head: its shells, its centre, where its electrodes really lie; owns no source.

With the scene's default conduction it is the head that analyses assume (``rtloop.sphere``), exactly.
"""

from __future__ import annotations

import zlib

import numpy as np

from hardware_sim.scene import Conduction, Scene
from rtloop.model.montage import HEAD_RADIUS_M, Montage
from rtloop.model.samples import F64
from rtloop.sphere import leadfield

_MARGIN_M = 0.001


def true_places_m(scene: Scene, montage: Montage) -> F64:
    """Where the electrodes really lie: float64[n_channels, 3], metres from the assumed centre, on the scalp.

    Each is moved along the scalp by a normal amount (SD ``electrodes_mm`` along each of two directions) that hangs
    on its name and the person, so that every montage of one person has it in the same place.
    """
    if not scene.conduction.electrodes_mm:
        return montage.positions_m
    e = montage.positions_m / np.linalg.norm(montage.positions_m, axis=1)[:, None]
    seeds = [[scene.person.head_seed, 9, zlib.crc32(name.encode())] for name in montage.names]
    shift = np.array([np.random.default_rng(seed).standard_normal(3) for seed in seeds])
    shift -= e * np.sum(e * shift, axis=1)[:, None]
    moved = e + 1e-3 * scene.conduction.electrodes_mm / HEAD_RADIUS_M * shift
    return np.asarray(HEAD_RADIUS_M * moved / np.linalg.norm(moved, axis=1)[:, None])


def other_head(scene: Scene, positions_m: F64, sources_m: F64, *moments: F64) -> F64:
    """``rtloop.sphere.leadfield`` in the scene's own head: float64[n_electrodes, n_sources], V per A·m.

    Places are those of the assumed head; a source that the other head's centre would push into its skull is drawn
    back to 1 mm below it.
    """
    c = scene.conduction
    radii = tuple(1e-3 * r for r in c.radii_mm)
    centre = 1e-3 * np.array(c.centre_mm)
    sources = sources_m - centre
    depth = np.linalg.norm(sources, axis=1)[:, None]
    sources = sources * np.minimum(1.0, (radii[0] - _MARGIN_M) / depth)
    return leadfield(
        positions_m - centre,
        sources,
        *moments,
        radii_m=radii,
        conductivities_s_per_m=c.conductivities_s_per_m,
    )


def is_assumed(scene: Scene) -> bool:
    """Whether the shells and their centre are those that analyses assume."""
    c, usual = scene.conduction, Conduction()
    return (c.radii_mm, c.conductivities_s_per_m, c.centre_mm) == (
        usual.radii_mm,
        usual.conductivities_s_per_m,
        usual.centre_mm,
    )
