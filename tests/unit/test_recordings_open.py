"""Files of other labs are opened piece by piece in µV, or refused in words; what is torn is told."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recordings_tools import mne_raw

from rtloop.eeg.layout import Kind
from rtloop.errors import NotReady, ValidationProblem
from rtloop.record.read_join import joined
from rtloop.record.read_layout import layout_for
from rtloop.record.read_open import BREAK_S, Mark, open_recording, sampled
from rtloop.record.xdf_write import StreamLayout, XdfWriter

RATE_HZ = 1000.0
NAMES = ["Fp1", "C3", "Cz", "Pz"]
EVENTS = [(1000, "S  1"), (2500, "R128")]


def data_uv(n: int = 4000) -> np.ndarray:
    return np.round(np.random.default_rng(5).normal(size=(n, 4)) * 20, 2).astype(np.float32)


@pytest.fixture
def mne():  # type: ignore[no-untyped-def]
    return pytest.importorskip("mne", reason="mne reads the formats of other labs (extra [recordings])")


def bdf(folder: Path, n: int = 4000) -> Path:
    pytest.importorskip("edfio")
    path = folder / "a.bdf"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mne_raw(data_uv(n), NAMES, RATE_HZ, EVENTS).export(path, verbose="error")
    return path


def vhdr(folder: Path) -> Path:
    pybv = pytest.importorskip("pybv")
    pybv.write_brainvision(
        data=data_uv().T.astype(float) * 1e-6, sfreq=RATE_HZ, ch_names=NAMES, fname_base="b", folder_out=str(folder), unit="µV",
        fmt="binary_float32", resolution=1.0,
        events=[{"onset": 2500, "duration": 1, "type": "Comment", "description": "R128", "channels": "all"}],
    )  # fmt: skip
    return folder / "b.vhdr"


def xdf(folder: Path, *, gap: bool = False, unit: str = "microvolts", twice: bool = False) -> Path:
    path = folder / "a.xdf"
    writer = XdfWriter(path)
    layout = StreamLayout(
        name="amp", kind="EEG", labels=tuple(NAMES), units=(unit,) * 4, types=("EEG",) * 4, rate_hz=RATE_HZ
    )
    eeg = writer.add_stream(layout, created_s=0.0)
    marks = writer.add_stream(StreamLayout(name="m", kind="Markers", text=True), created_s=0.0)
    x = data_uv()
    other = writer.add_stream(replace(layout, name="other"), created_s=0.0) if twice else None
    for i in range(0, 4000, 500):
        late_s = 2.0 if gap and i >= 2000 else 0.0
        stamps = 70.0 + late_s + np.arange(i, i + 500) / RATE_HZ
        writer.samples(eeg, stamps, x[i : i + 500])
        if other is not None:
            writer.samples(other, stamps, 2 * x[i : i + 500])
    writer.strings(marks, [71.0], ["go"])
    writer.close()
    return path


def test_a_piece_of_a_file_is_what_the_whole_holds_there(mne, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    rec = open_recording(bdf(tmp_path))
    assert (rec.rate_hz, rec.n_samples, rec.form) == (RATE_HZ, 4000, "BDF")
    np.testing.assert_allclose(rec.frames(1500, 700), data_uv()[1500:2200], atol=1e-3)
    assert rec.frames(0, 10).flags.c_contiguous
    assert [(m.sample, m.names[1]) for m in rec.marks] == [(1000, "S 1"), (2500, "R128")]
    assert rec.time_of(1234) == 1.234
    assert not rec.notes


def test_an_event_is_named_in_full_or_without_its_group_and_blanks_count_once() -> None:
    mark = Mark(sample=0, t_s=0.0, name="Stimulus/S  1")
    assert mark.is_one_of(("S 1",))
    assert mark.is_one_of(("Stimulus/S  1",))
    assert mark.is_one_of(("R128", "S *[0-9]"))
    assert not mark.is_one_of(("S",))
    assert Mark(sample=0, t_s=0.0, name="Comment/pulse M1/run").is_one_of(("pulse M1/run",))


def test_steps_of_a_trigger_channel_are_events_wherever_a_piece_ends(mne, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    x = np.zeros((25_000, 2))
    x[:, 0] = np.random.default_rng(1).normal(size=25_000) * 1e-5
    for at, code in ((9_999, 3), (10_000, 7), (20_000, 3)):
        x[at : at + 2, 1] = code
    raw = mne.io.RawArray(x.T, mne.create_info(["Cz", "STI"], RATE_HZ, ["eeg", "stim"]), verbose="error")
    raw.save(tmp_path / "a_raw.fif", verbose="error")
    rec = open_recording(tmp_path / "a_raw.fif")
    assert [(m.sample, m.names[1]) for m in rec.marks] == [(9_999, "3"), (10_000, "7"), (20_000, "3")]
    assert [c.kind for c in rec.channels] == [Kind.EEG, Kind.TRIG]


def test_an_event_of_a_file_that_begins_later_and_has_no_date_stays_at_its_sample(
    mne, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    raw = mne_raw(data_uv(), NAMES, RATE_HZ, [(2500, "R128")]).crop(tmin=1.0)
    raw.save(tmp_path / "a_raw.fif", verbose="error")
    later = mne.io.read_raw_fif(tmp_path / "a_raw.fif", verbose="error")
    assert (later.first_samp, later.info["meas_date"]) == (1000, None)
    assert [m.sample for m in open_recording(tmp_path / "a_raw.fif").marks] == [1500]


def test_a_boundary_is_a_break_and_no_event(mne, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    marks = [(0, "New Segment/"), (1500, "boundary"), (2500, "R128"), (3000, "BAD blink")]
    raw = mne_raw(data_uv(), NAMES, RATE_HZ, marks)
    raw.annotations.set_durations({"BAD blink": 2.0})
    raw.save(tmp_path / "a_raw.fif", verbose="error")
    rec = open_recording(tmp_path / "a_raw.fif")
    assert rec.breaks == (1500,)
    assert [m.name for m in rec.marks] == ["R128"]
    assert rec.time_of(1499) == 1.499
    assert rec.time_of(1500) == pytest.approx(1.5 + BREAK_S)
    assert rec.marks[0].t_s == pytest.approx(2.5 + BREAK_S)
    assert [(s.first, s.end, s.name, s.bad) for s in rec.stretches] == [
        (0, 1, "New Segment/", False), (1500, 1501, "boundary", False), (3000, 4000, "BAD blink", True),
    ]  # fmt: skip


def test_what_is_marked_bad_is_kept_with_its_channels_and_of_one_channel_alone_told(
    mne, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    raw = mne_raw(data_uv(), NAMES, RATE_HZ, [])
    raw.set_annotations(
        mne.Annotations([0.5, 3.0], [0.25, 0.5], ["BAD_muscle", "bad electrode"], ch_names=[[], ["C3"]])
    )
    raw.save(tmp_path / "a_raw.fif", verbose="error")
    rec = open_recording(tmp_path / "a_raw.fif")
    assert [(s.first, s.end, s.name) for s in rec.bad] == [(500, 750, "BAD_muscle")]
    assert not rec.marks
    assert any("0.5 s are marked BAD for single channels (C3)" in words for words in rec.notes)
    file = vhdr(tmp_path)
    markers = file.with_suffix(".vmrk")
    rows = [
        "Bad Interval,Userdefined,501,250,0",
        "Bad Interval,Userdefined,3001,500,2",
        "Bad Interval,Min-Max,3001,500,4",
    ]
    with markers.open("a", encoding="utf-8") as out:
        out.writelines(f"Mk{i}={row}\n" for i, row in enumerate(rows, start=10))
    rec = open_recording(file)
    assert [(s.first, s.end, s.name) for s in rec.bad] == [(500, 750, "Bad Interval/Userdefined")]
    assert [s.channels for s in rec.stretches if s.bad] == [(), ("C3", "Pz"), ("C3", "Pz")]
    assert [m.name for m in rec.marks] == ["Comment/R128"]


def test_channels_that_edf_holds_at_a_lower_rate_are_refused_as_eeg_and_told_otherwise(
    mne, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    edfio = pytest.importorskip("edfio")
    x = data_uv().astype(float)
    signals = [
        edfio.EdfSignal(
            x[:: 1 + i, i], RATE_HZ / (1 + i), label=name, physical_dimension="uV", physical_range=(-200, 200)
        )
        for i, name in ((0, "Fp1"), (0, "C3"), (1, "ECG1"))
    ]
    path = tmp_path / "mixed.edf"
    edfio.Edf(signals).write(path)
    rec = open_recording(path)
    assert [c.own_rate_hz for c in rec.channels] == [None, None, 500.0]
    assert any("drawn out to 1000 Hz: ECG1 500 Hz" in words for words in rec.notes)
    layout, _ = layout_for(rec.channels)
    assert [c.kind for c in layout.channels] == [Kind.EEG, Kind.EEG, Kind.MISC]
    edfio.Edf(
        [*signals[:2], edfio.EdfSignal(x[::2, 3], 500.0, label="Pz", physical_range=(-200, 200))]
    ).write(path)
    channels = open_recording(path).channels
    with pytest.raises(ValidationProblem, match=r"1 EEG channel\(s\) are sampled more slowly.*Pz 500 Hz"):
        layout_for(channels)
    assert layout_for(channels, not_eeg=("Pz",))[0].channels[2].kind is Kind.MISC


def test_of_several_eeg_streams_one_is_chosen_by_its_name(tmp_path: Path) -> None:
    path = xdf(tmp_path, twice=True)
    with pytest.raises(
        ValidationProblem, match=r"2 EEG streams.*amp \(EEG, 4000 samples\).* other.*--stream NAME"
    ):
        open_recording(path)
    rec = open_recording(path, stream="other")
    np.testing.assert_array_equal(rec.frames(0, 10), 2 * data_uv()[:10])
    assert [m.name for m in rec.marks] == ["go"]
    with pytest.raises(ValidationProblem, match="0 streams called 'm'"):
        open_recording(path, stream="m")
    file = vhdr(tmp_path)
    with pytest.raises(ValidationProblem, match="holds no streams"):
        open_recording(file, stream="other")


def test_what_is_torn_is_told_or_refused(mne, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    whole = bdf(tmp_path)
    whole.write_bytes(whole.read_bytes()[:-7000])
    rec = open_recording(whole)
    assert rec.n_samples < 4000
    assert any("does not match the file size" in words for words in rec.notes)
    header = vhdr(tmp_path)
    eeg = tmp_path / "b.eeg"
    eeg.write_bytes(eeg.read_bytes()[:-5])
    rec = open_recording(eeg)
    assert rec.n_samples == 3999
    assert any("torn" in words for words in rec.notes)
    np.testing.assert_array_equal(rec.frames(3000, 999), data_uv()[3000:3999])
    mne_raw(data_uv(), NAMES, RATE_HZ, []).save(tmp_path / "c_raw.fif", verbose="error")
    fif = tmp_path / "c_raw.fif"
    fif.write_bytes(fif.read_bytes()[:-30_000])
    with pytest.raises(ValidationProblem, match="cannot be read as continuous EEG"):
        open_recording(fif).frames(0, 4000)
    eeg.unlink()
    with pytest.raises(ValidationProblem, match=r"b\.vhdr cannot be read"):
        open_recording(header)


def test_an_xdf_file_keeps_its_stamps_gaps_and_markers(tmp_path: Path) -> None:
    rec = open_recording(xdf(tmp_path, gap=True, unit="millivolts"))
    np.testing.assert_allclose(rec.frames(1000, 50), 1e3 * data_uv()[1000:1050], rtol=1e-6)
    assert rec.breaks == (2000,)
    assert rec.time_of(2000) - rec.time_of(1999) == pytest.approx(2.001)
    assert [(m.sample, m.name, m.exact) for m in rec.marks] == [(1000, "go", False)]


def test_places_of_an_xdf_stream_are_read(tmp_path: Path) -> None:
    path = xdf(tmp_path)
    raw = path.read_bytes()
    label = b"<label>C3</label><unit>microvolts</unit>"
    at = b"<label>C3</label><location><X>-1</X><Y>2</Y><Z>3</Z></location><unit>uV</unit>"
    head = raw.index(b"<?xml", raw.index(b"</info>")) - 10  # of the stream's header: length, tag, stream
    assert raw[head - 1] == 4
    length = int.from_bytes(raw[head : head + 4], "little")
    longer = (length + len(at) - len(label)).to_bytes(4, "little")
    path.write_bytes((raw[:head] + longer + raw[head + 4 :]).replace(label, at))
    assert [c.position_m for c in open_recording(path).channels] == [None, (-0.001, 0.002, 0.003), None, None]


def test_joined_files_are_one_recording_with_a_break_between(tmp_path: Path) -> None:
    one = open_recording(xdf(tmp_path))
    mark = Mark(sample=1000, t_s=1.0 + BREAK_S, name="go")
    two = replace(one, stamps_s=None, breaks=(1000,), path=Path("b.xdf"), notes=("torn",), marks=(mark,))
    for a, b in ((one, two), (two, one), (two, two)):
        both, spans = joined([a, b])
        assert (both.n_samples, spans) == (8000, ((0, 4000), (4000, 8000)))
        np.testing.assert_array_equal(both.frames(3990, 30), np.vstack([data_uv()[3990:], data_uv()[:20]]))
        assert both.time_of(4000) - both.time_of(3999) == pytest.approx(0.001 + BREAK_S)
        assert set(both.breaks) == {
            4000,
            *(1000 for r in (a,) if r is two),
            *(5000 for r in (b,) if r is two),
        }
        assert [m.sample for m in both.marks] == [1000, 5000]
        for mark in both.marks:
            assert mark.t_s == pytest.approx(both.time_of(mark.sample))
    assert joined([one]) == (one, ((0, 4000),))
    with pytest.raises(ValidationProblem, match="sampled differently"):
        joined([one, replace(one, rate_hz=2000.0)])
    with pytest.raises(ValidationProblem, match="Fp1 / C3"):
        joined([one, replace(one, channels=one.channels[1:])])


def test_a_torn_xdf_is_read_as_far_as_it_goes_and_a_damaged_one_refused(tmp_path: Path) -> None:
    path = xdf(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    rec = open_recording(path)
    assert 0 < rec.n_samples < 4000
    assert "torn" in rec.notes[0]
    path.write_bytes(b"XDF:" + whole[4:200] + b"\xff" + whole[201:])
    with pytest.raises(ValidationProblem, match=r"damaged|EEG streams"):
        open_recording(path)
    path.write_bytes(b"no XDF at all")
    with pytest.raises(ValidationProblem, match="cannot be read"):
        open_recording(path)


@pytest.mark.parametrize("rate_hz", [500.0, 128.0])
def test_a_slow_recording_is_refused_with_the_reason(mne, tmp_path: Path, rate_hz: float) -> None:  # type: ignore[no-untyped-def]
    mne_raw(data_uv(), NAMES, rate_hz, []).save(tmp_path / "a_raw.fif", verbose="error")
    with pytest.raises(ValidationProblem, match=r"sampled at .* below 1 kHz the pulse smears"):
        open_recording(tmp_path / "a_raw.fif")


def test_what_is_no_recording_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValidationProblem, match="there is no recording"):
        open_recording(tmp_path / "absent.vhdr")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValidationProblem, match=r"no known kind.*\.bdf"):
        open_recording(tmp_path / "a.txt")


def test_without_mne_the_install_command_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.edf").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "mne", None)
    with pytest.raises(NotReady, match=r"pip install 'rtloop\[recordings\]'"):
        open_recording(tmp_path / "a.edf")


@pytest.mark.parametrize(("factor", "right"), [(1.0, True), (1e-6, False), (1e6, False), (0.0, False)])
def test_a_unit_that_cannot_be_right_is_seen(tmp_path: Path, factor: float, right: bool) -> None:
    rec = open_recording(xdf(tmp_path))
    frames = rec.frames
    object.__setattr__(rec, "frames", lambda first, count: frames(first, count) * np.float32(factor))
    assert (sampled(rec, (0, 1, 2, 3)).words == "") is right


def test_coarse_integers_are_measured(tmp_path: Path) -> None:
    rec = open_recording(xdf(tmp_path))
    assert sampled(rec, (0, 1, 2, 3)).step_uv < 0.02
    frames = rec.frames
    object.__setattr__(rec, "frames", lambda first, count: np.round(frames(first, count) / 2) * np.float32(2))
    assert sampled(rec, (0, 1, 2, 3)).step_uv == 2.0
