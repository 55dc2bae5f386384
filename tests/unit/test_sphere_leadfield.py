"""The spherical lead field against MNE's own, a closed form, and its own symmetries."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from rtloop import sphere
from rtloop.model.montage import HEAD_RADIUS_M, NAMES_63, Montage

POSITIONS_M = Montage.from_names(NAMES_63).positions_m


def _sources(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    where = rng.standard_normal((count, 3))
    where[:, 2] = np.abs(where[:, 2])
    where *= (rng.uniform(0.03, 0.078, count) / np.linalg.norm(where, axis=1))[:, None]
    moments = rng.standard_normal((count, 3))
    return where, moments / np.linalg.norm(moments, axis=1)[:, None]


def test_one_sphere_of_one_conductivity_gives_the_textbook_factor() -> None:
    n = np.arange(1, 60)
    found = sphere.transfer_factors(59, (0.05, 0.07, 0.088), (0.33, 0.33, 0.33))
    np.testing.assert_allclose(found, (2 * n + 1) / n, rtol=1e-9)


def test_a_dipole_in_one_sphere_has_the_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sphere, "transfer_factors", lambda k, *_: (2 * np.arange(1, k + 1) + 1) / np.arange(1, k + 1)
    )
    where, _ = _sources(20, 1)
    got = sphere.leadfield(POSITIONS_M, where)
    # radial dipole on the surface of a homogeneous sphere (Brody, Terry & Ideker 1973)
    e = POSITIONS_M / HEAD_RADIUS_M
    f = np.linalg.norm(where, axis=1) / HEAD_RADIUS_M
    x = e @ (where / np.linalg.norm(where, axis=1)[:, None]).T
    s = np.sqrt(1 + f**2 - 2 * f * x)
    wanted = ((1 - f**2) / s**3 - 1) / f / (4 * np.pi * 0.33 * HEAD_RADIUS_M**2)
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)


def test_any_orientation_is_the_sum_of_its_parts_and_rotation_changes_nothing() -> None:
    where, moments = _sources(9, 2)
    axes = [sphere.leadfield(POSITIONS_M, where, np.tile(np.eye(3)[i], (9, 1))) for i in range(3)]
    whole = sphere.leadfield(POSITIONS_M, where, moments)
    np.testing.assert_allclose(
        sum(a * moments[:, i] for i, a in enumerate(axes)), whole, rtol=1e-9, atol=1e-9
    )
    turn, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))
    np.testing.assert_allclose(
        sphere.leadfield(POSITIONS_M @ turn.T, where @ turn.T, moments @ turn.T), whole, rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize(
    ("radii_m", "conductivities"),
    [(sphere.RADII_M, sphere.CONDUCTIVITIES_S_PER_M), ((0.078, 0.084, 0.088), (0.4, 0.02, 0.3))],
)
def test_agrees_with_mne(radii_m: tuple[float, ...], conductivities: tuple[float, ...]) -> None:
    if importlib.util.find_spec("mne") is None:
        pytest.skip("mne is not installed: nothing to compare with")
    import mne

    info = mne.create_info(list(NAMES_63), 1000.0, "eeg")
    places = dict(zip(NAMES_63, POSITIONS_M, strict=True))
    info.set_montage(mne.channels.make_dig_montage(places, coord_frame="head"))
    model = mne.make_sphere_model(
        r0=(0.0, 0.0, 0.0), head_radius=0.088, relative_radii=tuple(r / 0.088 for r in radii_m),
        sigmas=conductivities, verbose="ERROR",
    )  # fmt: skip
    where, moments = _sources(40, 4)
    where *= radii_m[0] / sphere.RADII_M[0]
    src = mne.setup_volume_source_space(pos={"rr": where, "nn": moments}, sphere_units="m", verbose="ERROR")
    trans = mne.transforms.Transform("head", "mri")
    fwd = mne.make_forward_solution(info, trans, src, model, meg=False, eeg=True, verbose="ERROR")
    fwd = mne.convert_forward_solution(fwd, force_fixed=False, verbose="ERROR")
    used = fwd["source_rr"]
    theirs = fwd["sol"]["data"].reshape(63, -1, 3)
    assert len(used) == 40
    for axis in range(3):
        one = np.tile(np.eye(3)[axis], (len(used), 1))
        ours = sphere.leadfield(
            POSITIONS_M, used, one, radii_m=radii_m, conductivities_s_per_m=conductivities
        )
        a, b = ours - ours.mean(0), theirs[:, :, axis] - theirs[:, :, axis].mean(0)
        r = np.sum(a * b, 0) / np.sqrt(np.sum(a * a, 0) * np.sum(b * b, 0))
        assert r.min() > 0.9999, f"axis {axis}: r = {r.min():.6f}"
        # MNE replaces the series by three fitted dipoles: sizes agree to a few per cent, shapes much better
        ratio = np.linalg.norm(a, axis=0) / np.linalg.norm(b, axis=0)
        assert np.all(np.abs(ratio - 1) < 0.03), ratio


@pytest.mark.parametrize("radius_m", [0.081, 0.2, np.nan])
def test_a_source_outside_the_brain_is_refused(radius_m: float) -> None:
    with pytest.raises(ValueError, match=r"within 0\.081"):
        sphere.leadfield(POSITIONS_M, np.array([[0.0, 0.0, radius_m]]))
