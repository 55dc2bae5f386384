"""Recordings of other programs come out in µV, with their names and events."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from rtloop.errors import NotReady, ValidationProblem
from rtloop.record.folder import SessionFolder
from rtloop.record.read_open import opened
from rtloop.record.readers import read_recording
from rtloop.record.xdf import StreamLayout, XdfWriter

RATE_HZ = 500.0
RNG = np.random.default_rng(3)
DATA_UV = np.round(RNG.normal(size=(3, 1000)) * 50, 1)


@pytest.fixture
def raw():  # type: ignore[no-untyped-def]
    mne = pytest.importorskip("mne")
    info = mne.create_info(["Fc5.", "Cz..", "Pz"], RATE_HZ, "eeg")
    made = mne.io.RawArray(DATA_UV * 1e-6, info, verbose="error")
    made.set_annotations(mne.Annotations([0.5, 1.25], [0, 0], ["R128", "S  1"]))
    return made


def check(path: Path, *, tolerance_uv: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rec = read_recording(path)
    assert rec.names == ("Fc5", "Cz", "Pz")
    assert rec.types == ("EEG",) * 3
    assert rec.rate_hz == RATE_HZ
    assert rec.data.dtype == np.float32
    assert rec.data.flags.c_contiguous
    np.testing.assert_allclose(rec.data[:, :1000], DATA_UV, rtol=0, atol=tolerance_uv)
    found = [(t, label) for t, label in rec.events if "R128" in label or "S  1" in label]
    assert [t for t, _ in found] == pytest.approx([0.5, 1.25], abs=1.5 / RATE_HZ)
    assert ["R128" in found[0][1], "S  1" in found[1][1]] == [True, True]


def test_brainvision(raw, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("pybv")
    raw.export(tmp_path / "a.vhdr", verbose="error")
    check(tmp_path / "a.vhdr", tolerance_uv=0.06)
    check(tmp_path / "a.eeg", tolerance_uv=0.06)


def test_edf(raw, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("edfio")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw.export(tmp_path / "a.edf", verbose="error")
    check(tmp_path / "a.edf", tolerance_uv=0.06)


def test_fif_that_does_not_start_at_zero(raw, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    raw.set_meas_date(0)
    raw.copy().crop(0.2, None).save(tmp_path / "a_raw.fif", verbose="error")
    rec = read_recording(tmp_path / "a_raw.fif")
    assert [t for t, _ in rec.events] == pytest.approx([0.3, 1.05])
    np.testing.assert_allclose(rec.data, DATA_UV[:, 100:], rtol=0, atol=1e-3)


def test_xdf_with_units_offsets_and_trigger(tmp_path: Path) -> None:
    folder = SessionFolder.create(tmp_path, "r")
    writer = XdfWriter(folder.recording)
    layout = StreamLayout(
        name="amp", kind="EEG", labels=("C3..", "TRIG"), units=("millivolts", "code"), types=("EEG", "TRIG"),
        rate_hz=RATE_HZ,
    )  # fmt: skip
    eeg = writer.add_stream(layout, created_s=0.0)
    text = writer.add_stream(StreamLayout(name="m", kind="Markers", text=True), created_s=0.0)
    data = np.stack([DATA_UV[0] * 1e-3, np.arange(1000) % 5], axis=1).astype(np.float32)
    writer.samples(eeg, 100.0 + np.arange(1000) / RATE_HZ, data)
    writer.strings(text, [350.5], ["pulse"])
    writer.clock_offset(text, 0.0, -250.0)
    writer.close()
    for path in (folder.path, folder.recording):
        rec = read_recording(path)
        assert rec.names == ("C3", "TRIG")
        assert rec.types == ("EEG", "TRIG")
        np.testing.assert_allclose(rec.data[0], DATA_UV[0], rtol=1e-6)
        np.testing.assert_array_equal(rec.data[1], np.arange(1000) % 5)
        assert rec.events == ((pytest.approx(0.5), "pulse"),)
        assert rec.duration_s == 2.0


def test_what_is_looked_at_is_what_is_replayed_and_more_is_shown_than_a_chain_takes(
    raw, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    """Slow and short files, marks that are no events, an ECG in µV; a replay of the same file reads the same samples."""
    raw.set_annotations(
        type(raw.annotations)([0.1, 0.5, 1.0], [0.0, 0.0, 0.2], ["boundary", "R128", "BAD_muscle"])
    )
    raw.set_channel_types({"Pz": "ecg"}, verbose="error")
    raw.save(tmp_path / "a_raw.fif", verbose="error")
    rec = read_recording(tmp_path / "a_raw.fif")
    assert rec.types == ("EEG", "EEG", "ECG")
    assert rec.events == ((0.1, "boundary"), (0.5, "R128"), (1.0, "BAD_muscle"))
    np.testing.assert_array_equal(rec.data.T, opened(tmp_path / "a_raw.fif").frames(0, 1000))
    np.testing.assert_allclose(rec.data[2], DATA_UV[2], atol=1e-3)


def test_a_damaged_xdf_is_shown_as_far_as_it_goes_and_says_so(tmp_path: Path) -> None:
    writer = XdfWriter(tmp_path / "a.xdf")
    eeg = writer.add_stream(
        StreamLayout(name="amp", kind="EEG", labels=("C3",), units=("uV",), types=("EEG",), rate_hz=RATE_HZ),
        created_s=0.0,
    )
    for i in range(0, 1000, 250):
        writer.samples(
            eeg, 1.0 + np.arange(i, i + 250) / RATE_HZ, DATA_UV[:1, i : i + 250].T.astype(np.float32)
        )
    writer.close()
    path, whole = tmp_path / "a.xdf", (tmp_path / "a.xdf").read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + whole[middle + 999 :])
    rec = read_recording(path)
    assert rec.data.shape[1] < 1000
    np.testing.assert_allclose(rec.data[0, :250], DATA_UV[0, :250], rtol=1e-6)
    assert any(note.startswith("DAMAGED: ") for note in rec.notes)


def test_a_missing_mne_is_said_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.edf").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "mne", None)
    with pytest.raises(NotReady, match=r"pip install 'rtloop\[recordings\]'"):
        read_recording(tmp_path / "a.edf")


@pytest.mark.parametrize(("name", "words"), [("a.edf", "cannot be read"), ("a.txt", "no known kind")])
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).write_bytes(b"nonsense" * 100)
    with pytest.raises(ValidationProblem, match=words):
        read_recording(tmp_path / name)
    with pytest.raises(ValidationProblem, match="no recording"):
        read_recording(tmp_path / "absent.edf")


def test_real_recordings(shared_data: Path) -> None:
    pytest.importorskip("mne")
    edf = read_recording(shared_data / "rest64" / "eeg64_128hz.edf")
    assert edf.data.shape[0] >= 64
    assert edf.rate_hz == 128.0
    assert not any(n.endswith(".") for n in edf.names)
    assert 5.0 < float(np.std(edf.data[0])) < 200.0
    eeglab = read_recording(shared_data / "rest32" / "eeglab_data.set")
    assert eeglab.data.shape[0] == 32
    assert eeglab.duration_s == pytest.approx(238, abs=1.0)
    assert len(eeglab.events) > 100
    assert 5.0 < float(np.std(eeglab.data[0])) < 200.0
