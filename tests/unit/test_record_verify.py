"""``verify`` says what is wrong with a session folder, and only what is wrong."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from record_tools import NAMES, RATE_HZ, TYPES, UNITS, samples_from

from rtloop.board import Board
from rtloop.clock import SteppedClock
from rtloop.durable import canonical
from rtloop.eeg.ring import Ring
from rtloop.errors import IntegrityProblem
from rtloop.record import folder as folder_module
from rtloop.record import kinds
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal, read_journal
from rtloop.record.recorder_loop import Recording, Syncer
from rtloop.record.verify import VerifyResult, verify
from rtloop.record.xdf import StreamLayout, XdfWriter, iter_chunks, read_xdf

INTENT = {"target": "M1", "purpose": "mapping", "power_pct_mso": 55}
LAYOUT = StreamLayout(name="EEG", kind="EEG", labels=NAMES, types=TYPES, units=UNITS, rate_hz=RATE_HZ)


def session(
    data_dir: Path,
    events: list[tuple[str, dict]],
    *,
    end: bool = True,
    clean: bool = True,
    run_id: str = "run1",
    samples: int = 3000,
) -> SessionFolder:
    """A session recorded in process: no ring and board are left when it ended in order."""
    clock = SteppedClock(1_700_000_000.0 + len(SessionFolder.all_in(data_dir)))
    folder = SessionFolder.create(data_dir, run_id, clock=clock)
    ring = Ring.create(folder.ring, n_channels=4, rate_hz=RATE_HZ, seconds=4.0)
    board = Board.create(folder.board)
    journal = Journal(folder.journal, run_id=run_id, clock=clock)
    writer = XdfWriter(folder.recording)
    recording = Recording(
        ring=ring, journal_path=folder.journal, writer=writer, board=board, layout=LAYOUT, clock=clock
    )
    ring.write(samples_from(0, samples), 500.0 + (samples - 1) / RATE_HZ, time.monotonic())
    for kind, data in events:
        journal.append(kind, data)
        clock.advance(3.0)
        recording.turn()
    if end:
        journal.append("session_ended", {"clean": clean, "durable_sample": samples, "durable_journal": 0})
    recording.turn()
    if end:
        recording.finish("stopped by the engine")
    recording.close()
    writer.close()
    journal.close()
    board.close()
    if end:
        folder.tidy()
    return folder


def pulse(pulse_id: int, outcome: str = "fired", sample: int | None = None) -> list[tuple[str, dict]]:
    found = [("pulse_intended", {"pulse_id": pulse_id, **INTENT})]
    found.append(("pulse_closed", {"pulse_id": pulse_id, "outcome": outcome}))
    if sample is not None:
        found.append(("pulse_seen", {"pulse_id": pulse_id, "sample": sample, "source": "trigger"}))
    return found


def problems(result: VerifyResult) -> str:
    return " | ".join(line for line in result.lines if line.startswith("PROBLEM"))


def test_a_whole_session_is_called_whole(tmp_path: Path) -> None:
    events = [*pulse(1, sample=100), *pulse(2, "missed"), *pulse(3), ("pulse_not_seen", {"pulse_id": 3})]
    result = verify(session(tmp_path, events).path)
    assert result.ok, result.lines
    result.require()
    text = "\n".join(result.lines)
    assert "pulse 1 at M1, 55 % MSO: fired, seen by trigger at sample 100" in text
    assert "pulse 2 at M1, 55 % MSO: missed, nothing to see" in text
    assert "pulse 3 at M1, 55 % MSO: fired, NOT SEEN in the EEG" in text
    counted = {k: v for k, v in result.counts.items() if k.startswith("pulses_")}
    assert counted == {
        "pulses_commanded": 3, "pulses_fired": 2, "pulses_uncertain": 0, "pulses_not_fired": 1,
        "pulses_seen": 1, "pulses_not_seen": 1, "pulses_open": 0, "pulses_uncommanded": 0,
        "pulses_seen_only": 0,
    }  # fmt: skip
    assert result.counts["samples"] == 3000
    assert result.counts["checkpoints"] >= 2
    assert not list(SessionFolder(path=tmp_path).path.glob("*/board"))


def test_an_open_intent_after_a_crash_counts_as_uncertain(tmp_path: Path) -> None:
    events = [*pulse(1, sample=100), ("pulse_intended", {"pulse_id": 2, **INTENT})]
    folder = session(tmp_path, events, end=False)
    result = verify(folder.path)
    assert result.ok, result.lines
    assert result.counts["pulses_open"] == result.counts["pulses_uncertain"] == 1
    assert any("counts as delivered" in line for line in result.lines)
    assert any("3000 by the board" in line for line in result.lines)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([("pulse_intended", {"pulse_id": 1, **INTENT})], "intended, never closed"),
        (pulse(1), "does not say whether it was seen"),
        (pulse(1, "refused", sample=5), "refused, yet seen by trigger"),
        ([("pulse_closed", {"pulse_id": 4, "outcome": "fired"})], "closed as fired but never intended"),
        ([*pulse(1, sample=5), *pulse(1, sample=9)], "two pulse_intended records"),
        (pulse(1, "perhaps", sample=5), "unknown outcome 'perhaps'"),
        (pulse(1, sample=3000), "names sample 3000, the recording ends at 3000"),
    ],
)
def test_pulses_that_do_not_add_up(tmp_path: Path, events: list, words: str) -> None:
    result = verify(session(tmp_path, events).path)
    assert words in problems(result)
    with pytest.raises(IntegrityProblem) as caught:
        result.require()
    assert caught.value.exit_code == 7


def cut_journal(folder: SessionFolder) -> None:
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    folder.journal.write_bytes(b"".join(lines[:-1]))


def alter_journal(folder: SessionFolder) -> None:
    folder.journal.write_bytes(folder.journal.read_bytes().replace(b'"fired"', b'"mised"'))


def forge_journal(folder: SessionFolder) -> None:
    """Alter a record and compute the whole chain anew: only the recording's copy tells."""
    import hashlib

    prev, out = "0" * 64, []
    for line in folder.journal.read_bytes().splitlines():
        record = json.loads(line.replace(b'"power_pct_mso":55', b'"power_pct_mso":45'))
        record["prev"] = prev
        del record["hash"]
        record["hash"] = prev = hashlib.sha256(canonical(record)).hexdigest()
        out.append(canonical(record) + b"\n")
    folder.journal.write_bytes(b"".join(out))
    assert read_journal(folder.journal).problems == ()


def alter_sample(folder: SessionFolder) -> None:
    raw = bytearray(folder.recording.read_bytes())
    chunk = next(c for c in iter_chunks(bytes(raw)) if c.tag == 3 and c.stream == 1)
    raw[chunk.end - 3] ^= 1
    folder.recording.write_bytes(raw)


def cut_recording(folder: SessionFolder) -> None:
    raw = folder.recording.read_bytes()
    chunk = [c for c in iter_chunks(raw) if c.tag == 3 and c.stream == 1][-1]
    folder.recording.write_bytes(raw[: chunk.end - 3])


def drop_chunk(folder: SessionFolder) -> None:
    raw = folder.recording.read_bytes()
    chunk = next(c for c in iter_chunks(raw) if c.tag == 3 and c.stream == 1)
    folder.recording.write_bytes(raw[: chunk.start] + raw[chunk.end :])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_journal, "the journal was cut: the recording holds 1 record(s) more"),
        (alter_journal, "altered"),
        (forge_journal, "record 1 of the journal differs from its copy"),
        (alter_sample, "SHA-256 differs"),
        (cut_recording, "the last chunk is torn"),
        (cut_recording, "acknowledged sample(s) are missing"),
        (drop_chunk, "the footer of EEG counts 3000"),
        (lambda f: f.recording.unlink(), "cannot read the recording"),
        (lambda f: f.recording.write_bytes(b""), "not an XDF file"),
        (lambda f: f.journal.unlink(), "cannot read the journal"),
    ],
)
def test_damage_is_found(tmp_path: Path, damage: Callable[[SessionFolder], object], words: str) -> None:
    folder = session(tmp_path, pulse(1, sample=100))
    damage(folder)
    assert words in problems(verify(folder.path)), verify(folder.path).lines


def test_a_lost_acknowledged_sample_is_found_after_a_crash(tmp_path: Path) -> None:
    folder = session(tmp_path, pulse(1, sample=100), end=False)
    assert verify(folder.path).ok
    cut_recording(folder)
    assert "acknowledged sample(s) are missing: 3000 by the board" in problems(verify(folder.path))


def test_the_cut_tail_of_a_session_is_found_from_the_next(tmp_path: Path) -> None:
    first = session(tmp_path, pulse(1, sample=100), run_id="one")
    second = session(tmp_path, [], run_id="two")
    assert verify(second.path).ok
    cut_journal(first)
    assert f"({first.path.name}) was cut or altered" in problems(verify(second.path))


def test_an_abort_right_after_a_pulse_is_no_damage(tmp_path: Path) -> None:
    """The session ended before it could say whether the pulse was seen, and says that it was not clean."""
    result = verify(session(tmp_path, pulse(1), clean=False).path)
    assert result.ok, result.lines
    assert any("does not say whether it was seen" in line for line in result.lines)
    assert result.counts["pulses_not_seen"] == 1


def test_pulses_heard_while_listening_are_counted(tmp_path: Path) -> None:
    heard = [("pulse_seen", {"pulse_id": k, "sample": 100 * k, "source": "artifact"}) for k in (1, 2)]
    result = verify(session(tmp_path, heard).path)
    assert result.ok, result.lines
    assert result.counts["pulses_seen_only"] == 2


def test_an_absent_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(IntegrityProblem, match="no session folder"):
        verify(tmp_path / "absent")


def test_chunk_log_rows_lost_are_bridged(tmp_path: Path) -> None:
    """Stamps of samples whose own log row is gone come from the next row."""

    class Sparse:
        def __init__(self, ring: Ring) -> None:
            self.ring = ring
            self.head, self.view, self.intact = ring.head, ring.view, ring.intact

        def chunks(self, cursor: int) -> tuple[int, np.ndarray]:
            cursor, rows = self.ring.chunks(cursor)
            return cursor, rows[1:]

    folder = SessionFolder.create(tmp_path, "r")
    ring = Ring.create(folder.ring, n_channels=4, rate_hz=RATE_HZ, seconds=4.0)
    writer = XdfWriter(folder.recording)
    with Board.create(folder.board) as board:
        recording = Recording(
            ring=Sparse(ring), journal_path=folder.journal, writer=writer, board=board, layout=LAYOUT
        )
        for k in range(3):
            ring.write(samples_from(100 * k, 100), 10.0 + (100 * k + 99) / RATE_HZ, 0.0)
        assert recording.turn() == 300
        recording.close()
    writer.close()
    np.testing.assert_allclose(
        read_xdf(folder.recording).stream("EEG").stamps_s, 10.0 + np.arange(300) / RATE_HZ, rtol=0, atol=1e-9
    )


def test_a_read_only_disk_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(folder_module.os, "open", refuse)
    with pytest.raises(IntegrityProblem, match="Read-only file system"):
        Journal(tmp_path / "j", run_id="r")


def test_a_disk_that_cannot_sync_is_a_failure(tmp_path: Path) -> None:
    class Broken:
        def sync(self) -> None:
            raise OSError(errno.EIO, "Input/output error")

    clock = SteppedClock()
    syncer = Syncer(Broken(), clock=clock)  # type: ignore[arg-type]
    syncer.check()
    clock.advance(10.5)
    with pytest.raises(TimeoutError, match="10 s"):
        syncer.check()
    syncer.start()
    syncer.join(5.0)
    with pytest.raises(OSError, match="Input/output"):
        syncer.check()


def test_every_kind_is_in_the_document() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "events.md").read_text()
    missing = [kind for kind in kinds.ALL if f"| `{kind}` |" not in text]
    assert not missing
