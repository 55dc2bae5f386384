"""Whatever was cut off or changed: what was whole is read, what is not is said."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtloop.clock import SteppedClock
from rtloop.record.journal import Journal, read_journal
from rtloop.record.xdf import StreamLayout, XdfWriter, read_xdf

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text("aµ\n\"\\", max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.dictionaries(st.text("abc\u2028 ", max_size=5), json_values, max_size=4))
def test_any_json_value_survives(data: dict) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "j", run_id="r")
        journal.append("note_written", data)
        journal.close()
        read = read_journal(Path(folder) / "j")
    assert read.problems == ()
    assert read.events[1].data == data


@pytest.fixture
def journal_bytes(tmp_path: Path) -> tuple[Path, bytes]:
    journal = Journal(tmp_path / "j", run_id="r", clock=SteppedClock())
    for i in range(3):
        journal.append("note_written", {"i": i, "x": i / 3, "words": "µ"})
    journal.close()
    return tmp_path / "j", (tmp_path / "j").read_bytes()


def test_a_journal_torn_at_any_byte_of_its_last_record_keeps_the_others(
    journal_bytes: tuple[Path, bytes],
) -> None:
    path, raw = journal_bytes
    start = raw.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(start, len(raw)):
        path.write_bytes(raw[:cut])
        read = read_journal(path)
        assert len(read.events) == 3, cut
        assert read.torn_tail_bytes == cut - start
        assert read.problems == ()


def test_any_changed_byte_of_a_journal_is_noticed(journal_bytes: tuple[Path, bytes]) -> None:
    path, raw = journal_bytes
    head = read_journal(path).head_hash
    rng = np.random.default_rng(1)
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        read = read_journal(path)
        assert read.problems or read.torn_tail_bytes, at
        assert read.problems or read.head_hash != head, at


def test_a_recording_torn_at_any_byte_of_its_last_chunk_keeps_the_others(tmp_path: Path) -> None:
    writer = XdfWriter(tmp_path / "x")
    layout = StreamLayout(
        name="EEG", kind="EEG", labels=("a", "b"), units=("µV",) * 2, types=("EEG",) * 2, rate_hz=10
    )
    eeg = writer.add_stream(layout, created_s=0.0)
    text = writer.add_stream(StreamLayout(name="t", kind="Markers", text=True), created_s=0.0)
    data = np.arange(12, dtype=np.float32).reshape(6, 2)
    writer.samples(eeg, np.arange(3.0), data[:3])
    writer.strings(text, [0.5], ["whole"])
    whole = writer.size_bytes
    writer.samples(eeg, np.arange(3.0, 6.0), data[3:])
    end = writer.size_bytes
    writer.close()
    raw = (tmp_path / "x").read_bytes()
    assert len(raw) == end
    for cut in range(whole, end + 1):
        (tmp_path / "x").write_bytes(raw[:cut])
        file = read_xdf(tmp_path / "x")
        kept = 6 if cut == end else 3
        np.testing.assert_array_equal(file.stream("EEG").data, data[:kept])
        assert file.stream("t").texts == ["whole"]
        assert file.torn_tail_bytes == (0 if cut == end else cut - whole)
        assert file.problems == ()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_never_breaks_the_reader(at: int, flip: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        writer = XdfWriter(path)
        layout = StreamLayout(
            name="EEG", kind="EEG", labels=("a",), units=("µV",), types=("EEG",), rate_hz=10
        )
        eeg = writer.add_stream(layout, created_s=0.0)
        text = writer.add_stream(StreamLayout(name="t", kind="Markers", text=True), created_s=0.0)
        for i in range(5):
            writer.samples(eeg, np.array([float(i)]), np.ones((1, 1), np.float32))
            writer.strings(text, [float(i)], ["µ" * 300])
            writer.boundary()
        writer.footers()
        writer.close()
        raw = bytearray(path.read_bytes())
        raw[4 + at % (len(raw) - 4)] ^= flip
        path.write_bytes(raw)
        file = read_xdf(path)
    for stream in file.streams:
        assert len(stream.stamps_s) == (len(stream.texts) if stream.text else len(stream.data))
