"""Our XDF files, read by us and by pyxdf (the oracle); files of other writers, read by us."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import pyxdf

from rtloop.errors import IntegrityProblem, ValidationProblem
from rtloop.record.xdf import StreamLayout, XdfWriter, iter_chunks, iter_samples, read_xdf
from rtloop.record.xdf_write import BOUNDARY_UUID, _chunk

RATE_HZ = 1000.0
LAYOUT = StreamLayout(
    name="EEG & co <1>", kind="EEG", labels=("Fp1", "Cz", "TRIG"), units=("µV", "µV", "code"),
    types=("EEG", "EEG", "TRIG"), rate_hz=RATE_HZ, source_id="amp-1",
)  # fmt: skip


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(5)
    path = tmp_path / "x.xdf"
    writer = XdfWriter(path)
    eeg = writer.add_stream(LAYOUT, created_s=1.0)
    text = writer.add_stream(StreamLayout(name="journal", kind="Markers", text=True), created_s=1.0)
    data = rng.normal(size=(12_345, 3)).astype(np.float32) * 1e3
    data[7, 1] = np.nan  # what the amplifier sent is what is kept
    stamps = 50.0 + np.arange(len(data)) / RATE_HZ + rng.uniform(-2e-4, 2e-4, len(data))
    texts = ["short", "ü" * 200, "x" * 70_000, ""]
    done = 0
    for i, count in enumerate((1, 255, 256, 1000, 5000, 5833)):
        writer.clock_offset(eeg, 50.0 + 5 * i, 0.0)
        writer.samples(eeg, stamps[done : done + count], data[done : done + count])
        if i < 4:
            writer.strings(text, [50.0 + i], [texts[i]])
        writer.boundary()
        done += count
    assert done == len(data)
    writer.footers()
    writer.sync()
    writer.close()
    return path, data, stamps, texts


def test_we_read_what_we_wrote(recorded: tuple[Path, np.ndarray, np.ndarray, list[str]]) -> None:
    path, data, stamps, texts = recorded
    file = read_xdf(path)
    eeg = file.stream(LAYOUT.name)
    np.testing.assert_array_equal(eeg.data, data)
    np.testing.assert_array_equal(eeg.stamps_s, stamps)
    assert eeg.data.dtype == np.float32
    assert (eeg.labels, eeg.units, eeg.types) == (LAYOUT.labels, LAYOUT.units, LAYOUT.types)
    assert (eeg.rate_hz, eeg.source_id, eeg.kind) == (RATE_HZ, "amp-1", "EEG")
    assert eeg.footer is not None
    assert eeg.footer["sample_count"] == "12345"
    assert float(eeg.footer["last_timestamp"]) == stamps[-1]
    assert file.stream("journal").texts == texts
    assert file.boundaries == 6
    assert (file.torn_tail_bytes, file.problems) == (0, ())
    pieces = list(iter_samples(path, LAYOUT.name))
    np.testing.assert_array_equal(np.concatenate([d for _, d in pieces]), data)
    np.testing.assert_array_equal(np.concatenate([s for s, _ in pieces]), stamps)


@pytest.mark.parametrize("dejitter", [False, True])
def test_pyxdf_reads_the_same(
    recorded: tuple[Path, np.ndarray, np.ndarray, list[str]], dejitter: bool
) -> None:
    path, data, stamps, texts = recorded
    streams, header = pyxdf.load_xdf(str(path), dejitter_timestamps=dejitter)
    assert header["info"]["version"] == ["1.0"]
    by_name = {s["info"]["name"][0]: s for s in streams}
    eeg = by_name[LAYOUT.name]
    np.testing.assert_array_equal(eeg["time_series"], data)
    np.testing.assert_allclose(eeg["time_stamps"], stamps, rtol=0, atol=3e-4 if dejitter else 1e-9)
    channels = eeg["info"]["desc"][0]["channels"][0]["channel"]
    assert [c["label"][0] for c in channels] == list(LAYOUT.labels)
    assert [c["unit"][0] for c in channels] == list(LAYOUT.units)
    assert [c["type"][0] for c in channels] == list(LAYOUT.types)
    assert eeg["footer"]["info"]["sample_count"] == ["12345"]
    assert [v[0] for v in by_name["journal"]["time_series"]] == texts
    if dejitter:
        assert eeg["info"]["effective_srate"] == pytest.approx(RATE_HZ, rel=1e-5)


def foreign(path: Path, form: str, code: str, stamps: list[float | None], values: list[tuple]) -> None:
    xml = (
        f"<info><name>o</name><type>EEG</type><channel_count>2</channel_count><nominal_srate>100</nominal_srate>\
<channel_format>{form}</channel_format></info>"
    )
    body = struct.pack("<I", 77) + struct.pack("<BI", 4, len(stamps))
    for stamp, row in zip(stamps, values, strict=True):
        body += b"\0" if stamp is None else struct.pack("<Bd", 8, stamp)
        body += struct.pack(f"<2{code}", *row)
    raw = b"XDF:" + _chunk(1, b"<info/>") + _chunk(2, struct.pack("<I", 77) + xml.encode())
    path.write_bytes(raw + _chunk(3, body) + _chunk(4, struct.pack("<Idd", 77, 5.0, -0.25)))


@pytest.mark.parametrize(
    ("form", "code"), [("int16", "h"), ("double64", "d"), ("int32", "i"), ("float32", "f")]
)
@pytest.mark.parametrize("stamps", [[1.0, None, None, None], [1.0, 1.5, 2.0, 2.5], [1.0, None, 3.0, None]])
def test_files_of_other_recorders(tmp_path: Path, form: str, code: str, stamps: list[float | None]) -> None:
    values = [(1, -2), (3, 4), (5, 6), (7, 80)]
    foreign(tmp_path / "f.xdf", form, code, stamps, values)
    stream = read_xdf(tmp_path / "f.xdf").stream("o")
    np.testing.assert_array_equal(stream.data, values)
    oracle = pyxdf.load_xdf(str(tmp_path / "f.xdf"), synchronize_clocks=False, dejitter_timestamps=False)[0][
        0
    ]
    np.testing.assert_allclose(stream.stamps_s, oracle["time_stamps"], rtol=0, atol=1e-12)
    assert stream.clock_offsets == [(5.0, -0.25)]


def test_the_boundary_mark_is_the_one_of_the_format() -> None:
    given = "0x43 0xA5 0x46 0xDC 0xCB 0xF5 0x41 0x0F 0xB3 0x0E 0xD5 0x46 0x73 0x83 0xCB 0xE4"
    assert bytes(int(x, 16) for x in given.split()) == BOUNDARY_UUID


def test_an_existing_recording_is_never_reopened(recorded: tuple) -> None:
    with pytest.raises(FileExistsError):
        XdfWriter(recorded[0])


def test_damage_in_the_middle_is_no_torn_tail(recorded: tuple) -> None:
    path = recorded[0]
    raw = bytearray(path.read_bytes())
    chunk = [c for c in iter_chunks(bytes(raw)) if c.tag == 3][2]
    raw[chunk.start] = 9
    path.write_bytes(raw)
    assert any("not a torn tail" in p for p in read_xdf(path).problems)


def test_what_is_no_xdf_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"BIOSEMI and more")
    with pytest.raises(IntegrityProblem, match="not an XDF file"):
        read_xdf(tmp_path / "a")
    with pytest.raises(IntegrityProblem, match="cannot read"):
        read_xdf(tmp_path / "absent")


def test_an_uneven_layout_is_refused() -> None:
    with pytest.raises(ValidationProblem):
        StreamLayout(
            name="x", kind="EEG", labels=("a", "b"), units=("µV",), types=("EEG", "EEG"), rate_hz=1.0
        )
    with pytest.raises(ValidationProblem):
        StreamLayout(name="x", kind="EEG", rate_hz=float("nan"))


def test_data_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    writer = XdfWriter(tmp_path / "x")
    eeg = writer.add_stream(LAYOUT, created_s=0.0)
    with pytest.raises(ValueError, match="do not fit"):
        writer.samples(eeg, np.zeros(2), np.zeros((3, 3), np.float32))
    size = writer.size_bytes
    writer.samples(eeg, np.zeros(0), np.zeros((0, 3), np.float32))
    writer.strings(eeg, [], [])
    assert writer.size_bytes == size
    writer.close()
