"""Every format a background may come in gives the same data: microvolts, EEG columns only, rate kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hardware_sim.background import load_background
from rtloop.record.xdf_write import StreamLayout, XdfWriter

NAMES = ["Fp1", "Fp2", "C3", "C4", "Cz", "O1", "O2", "Pz", "EOG1"]
KINDS = ["eeg"] * 8 + ["eog"]
RATE_HZ = 256.0


def _write(kind: str, folder: Path, data_uv: np.ndarray) -> Path:  # type: ignore[type-arg]
    if kind == "xdf":
        layout = StreamLayout(
            name="amp", kind="EEG", labels=tuple(NAMES), types=tuple(k.upper() for k in KINDS),
            units=("microvolts",) * 9, rate_hz=RATE_HZ,
        )  # fmt: skip
        writer = XdfWriter(folder / "x.xdf")
        stream = writer.add_stream(layout, created_s=0.0)
        writer.samples(
            stream, np.arange(data_uv.shape[1]) / RATE_HZ, np.ascontiguousarray(data_uv.T, dtype=np.float32)
        )
        writer.footers()
        writer.close()
        return folder / "x.xdf"
    pybv = pytest.importorskip("pybv")
    pybv.write_brainvision(
        data=data_uv * 1e-6,
        sfreq=RATE_HZ,
        ch_names=NAMES,
        fname_base="x",
        folder_out=str(folder),
        overwrite=True,
    )
    return folder / "x.vhdr"


@pytest.mark.parametrize("kind", ["xdf", "brainvision"])
def test_a_background_keeps_its_microvolts_and_leaves_the_eyes_out(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("mne")
    data_uv = 10.0 * np.random.default_rng(3).standard_normal((9, 2560))
    recording = load_background(_write(kind, tmp_path, data_uv))
    assert recording.rate_hz == RATE_HZ
    assert tuple(recording.names) == tuple(NAMES[:8])
    np.testing.assert_allclose(recording.data, data_uv[:8], atol=0.1)
