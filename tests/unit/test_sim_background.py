"""Real recordings as ongoing EEG: reading, naming what is left out, resampling, looping."""

from __future__ import annotations

import builtins
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardware_sim.background import Recording, background_loop, known_channels, load_background
from hardware_sim.head import Head
from hardware_sim.scene import load_scene
from rtloop.errors import NotReady, ValidationProblem
from rtloop.model.montage import NAMES_63, Montage

NAMES = ["Fp1.", "Fp2.", "C3..", "Cz..", "C4..", "O1..", "Oz..", "O2..", "T9..", "EOGv", "Trigger"]
HAVE_MNE = importlib.util.find_spec("mne") is not None


def _tones(seconds: float = 20.0, rate_hz: float = 128.0) -> np.ndarray:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    rng = np.random.default_rng(1)
    return np.array([10 * np.sin(2 * np.pi * (3 + i) * t) + rng.standard_normal(t.size) for i in range(11)])


def test_unknown_names_are_dropped_with_words_and_dots_stripped() -> None:
    got = known_channels(_tones(), 128.0, NAMES)
    assert got.names == ("Fp1", "Fp2", "C3", "Cz", "C4", "O1", "Oz", "O2", "T9")
    assert [d.split(" ")[0] for d in got.dropped] == ["EOGv", "Trigger"]
    with pytest.raises(ValidationProblem, match="EOGv"):
        known_channels(_tones()[5:], 128.0, NAMES[5:])


def test_the_loop_keeps_the_signal_and_closes_without_a_step() -> None:
    recording = known_channels(_tones(), 128.0, NAMES)
    loop = background_loop(recording, 5000.0)
    assert loop.dtype == np.float32
    assert loop.shape[1] == 9
    hz = np.fft.rfftfreq(len(loop), 1 / 5000.0)
    spectrum = np.abs(np.fft.rfft(loop, axis=0))
    for i in range(9):
        assert hz[np.argmax(spectrum[:, i])] == pytest.approx(3 + i, abs=0.1)
    assert spectrum[hz > 66].max() < 1e-3 * spectrum.max(), "the resampling made something above 64 Hz"
    middle = slice(3 * 5000, 15 * 5000)
    t = np.arange(len(loop))[middle] / 5000.0
    fitted = np.linalg.lstsq(
        np.c_[np.sin(2 * np.pi * 3 * t), np.cos(2 * np.pi * 3 * t)], loop[middle, 0], rcond=None
    )[0]
    assert np.hypot(*fitted) == pytest.approx(10.0, rel=0.05)
    twice = np.concatenate([loop, loop])
    assert np.abs(twice[len(loop)] - twice[len(loop) - 1]).max() <= 2 * np.abs(np.diff(loop, axis=0)).max()
    assert loop.std() == pytest.approx(recording.data.std(), rel=0.1)


def test_channels_are_picked_by_name_in_the_montage_order() -> None:
    recording = known_channels(_tones(), 128.0, NAMES)
    loop = background_loop(recording, 256.0, Montage.from_names(["OZ", "C3"]))
    hz = np.fft.rfftfreq(len(loop), 1 / 256.0)
    peaks = hz[np.argmax(np.abs(np.fft.rfft(loop, axis=0)), axis=0)]
    np.testing.assert_allclose(peaks, [9, 5], atol=0.1)
    with pytest.raises(ValidationProblem, match="AFz"):
        background_loop(recording, 256.0, Montage.from_names(["Oz", "AFz"]))


def test_a_head_takes_it_as_its_ongoing_eeg() -> None:
    recording = known_channels(_tones(), 128.0, NAMES)
    loop = background_loop(recording, 1000.0)
    scene = load_scene("default").varied(noise={"sensor_uv": 0.0, "line_uv": 0.0})
    head = Head(scene, recording.montage, 1000.0, background=loop)
    np.testing.assert_array_equal(head.block(2000), loop[:2000])
    with pytest.raises(ValueError, match="does not fit"):
        Head(scene, Montage.from_names(NAMES_63), 1000.0, background=loop)


def test_too_short_is_refused() -> None:
    with pytest.raises(ValidationProblem, match="too short"):
        background_loop(Recording(data=np.ones((1, 300)), rate_hz=128.0, names=("Cz",)), 1000.0)


def test_without_mne_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.edf"
    file.write_bytes(b"")
    real = builtins.__import__

    def no_mne(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "mne":
            raise ImportError("No module named 'mne'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_mne)
    with pytest.raises(NotReady, match=r"rtloop\[recordings\]"):
        load_background(file)


def test_a_broken_missing_or_foreign_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValidationProblem, match=r"\.docx"):
        load_background(tmp_path / "a.docx")
    with pytest.raises(ValidationProblem, match="no recording"):
        load_background(tmp_path / "a.edf")
    if HAVE_MNE:
        (tmp_path / "a.edf").write_bytes(b"not EDF at all")
        with pytest.raises(ValidationProblem, match="cannot be read"):
            load_background(tmp_path / "a.edf")


@pytest.mark.skipif(not HAVE_MNE, reason="mne is not installed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["fif", "edf"])
def test_files_are_read_in_microvolts(tmp_path: Path, kind: str) -> None:
    import mne

    types = ["eeg"] * 9 + ["eog", "misc"]
    info = mne.create_info([n.rstrip(".") for n in NAMES], 128.0, types)
    raw = mne.io.RawArray(1e-6 * _tones(), info, verbose="ERROR")
    path = tmp_path / f"rest_raw.{kind}"
    if kind == "fif":
        raw.save(path, verbose="ERROR")
    else:
        if importlib.util.find_spec("edfio") is None:
            pytest.skip("edfio is not installed")
        mne.export.export_raw(path, raw, verbose="ERROR")
    got = load_background(path)
    assert got.rate_hz == 128.0
    assert set(got.names) == {"Fp1", "Fp2", "C3", "Cz", "C4", "O1", "Oz", "O2", "T9"}
    assert any("EOGv" in d for d in got.dropped)
    np.testing.assert_allclose(got.data[0, :2000], _tones()[0, :2000], atol=0.05)


@pytest.mark.skipif(not HAVE_MNE, reason="mne is not installed")
@pytest.mark.parametrize(
    ("name", "channels"), [("rest64/eeg64_128hz.edf", 64), ("rest32/eeglab_data.set", 25)]
)
def test_real_recordings(shared_data: Path, name: str, channels: int) -> None:
    recording = load_background(shared_data / name)
    print(name, recording.names, recording.dropped)
    assert len(recording.names) >= channels
    assert 2.0 < recording.data.std() < 200.0
    head = Head(
        load_scene("default"), recording.montage, 2000.0, background=background_loop(recording, 2000.0)
    )
    head.pulse(100, "M1", 60)
    assert np.isfinite(head.block(4000)).all()
