"""The recorder process: loses nothing acknowledged, ends for the right reasons, says why it cannot go on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from record_tools import NAMES, RATE_HZ, TYPES, UNITS, Bench, recorder_bench, samples_from

from rtloop.board import ENDED, Board
from rtloop.errors import NotReady
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal, read_journal
from rtloop.record.recorder import start_recorder
from rtloop.record.verify import verify
from rtloop.record.xdf import read_xdf

posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


def check_content(bench: Bench) -> None:
    file = read_xdf(bench.folder.recording)
    assert (file.torn_tail_bytes, file.problems) == (0, ())
    eeg = file.stream("EEG")
    np.testing.assert_array_equal(eeg.data, samples_from(0, bench.written))
    np.testing.assert_allclose(eeg.stamps_s, 500.0 + np.arange(bench.written) / RATE_HZ, rtol=0, atol=1e-9)
    copied = "".join(line + "\n" for line in file.stream("rtloop-journal").texts)
    assert copied.encode() == bench.folder.journal.read_bytes()


def test_a_clean_run_is_recorded_whole_and_verified(tmp_path: Path) -> None:
    with recorder_bench(tmp_path) as bench:
        bench.feed(1)
        for k in range(20):
            bench.feed(123)
            bench.journal.append("note_written", {"k": k, "words": "µ"})
            time.sleep(0.01)
        bench.wait_durable(bench.written)
        assert bench.board.age_s("recorder") < 1.0
        assert bench.board["pid_recorder"] == bench.handle.pid
        if os.name == "posix":
            os.kill(bench.handle.pid, signal.SIGINT)  # a Ctrl-C at the terminal reaches the whole group
        bench.feed(777)
        bench.journal.append("session_ended", {"clean": True, "durable_sample": bench.written})
        assert bench.handle.stop() == 0
        assert bench.board["recorder_state"] == 3
        assert bench.board["beat_recorder"] == ENDED
        assert bench.board["durable_sample"] == bench.written
        assert bench.board["durable_journal"] == bench.journal.size_bytes
        check_content(bench)
        eeg = read_xdf(bench.folder.recording).stream("EEG")
        assert (eeg.labels, eeg.types, eeg.units) == (NAMES, TYPES, UNITS)
        result = verify(bench.folder.path)
        assert result.ok, result.lines
        assert result.counts["samples"] == result.counts["acknowledged_samples"] == bench.written
        assert result.counts["checkpoints"] >= 2
        bench.folder.tidy()
        assert not bench.folder.ring.exists()
        assert verify(bench.folder.path).ok


@posix
@pytest.mark.parametrize("reason", ["terminated", "the engine ended"])
def test_it_drains_and_ends_in_order(tmp_path: Path, reason: str) -> None:
    with recorder_bench(tmp_path) as bench:
        bench.feed(2500)
        bench.journal.append("note_written")
        if reason == "terminated":
            os.kill(bench.handle.pid, signal.SIGTERM)
        else:
            bench.board.end("engine")
        end_s = time.monotonic() + 5.0
        while bench.handle.alive and time.monotonic() < end_s:
            time.sleep(0.01)
        assert bench.handle.exit_code == 0
        check_content(bench)
        assert reason in read_xdf(bench.folder.recording).stream("rtloop-recorder").texts[-2]


@posix
@pytest.mark.parametrize("seed", range(2))
def test_kill_9_loses_no_acknowledged_sample(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    with recorder_bench(tmp_path) as bench:
        kill_s = time.monotonic() + rng.uniform(0.1, 0.7)
        while time.monotonic() < kill_s:
            bench.feed(rng.randint(1, 400))
            bench.journal.append("note_written", {"at": bench.written})
            time.sleep(0.004)
        os.kill(bench.handle.pid, signal.SIGKILL)
        bench.handle._process.join(5.0)
        assert bench.handle.exit_code == -signal.SIGKILL
        durable, journal_bytes = bench.board["durable_sample"], bench.board["durable_journal"]
        assert durable > 0
        file = read_xdf(bench.folder.recording)
        eeg = file.stream("EEG")
        assert eeg.count >= durable
        np.testing.assert_array_equal(eeg.data, samples_from(0, eeg.count))
        copied = "".join(line + "\n" for line in file.stream("rtloop-journal").texts).encode()
        assert len(copied) >= journal_bytes
        assert bench.folder.journal.read_bytes().startswith(copied)
        result = verify(bench.folder.path)
        assert result.ok, result.lines
        assert any("after a crash" in line for line in result.lines)


ENGINE = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from record_tools import recorder_bench
if __name__ == "__main__":
    manager = recorder_bench(Path(sys.argv[1]))
    bench = manager.__enter__()
    bench.feed(1000)
    bench.wait_durable(1000)
    bench.feed(500)
    print(bench.handle.pid, bench.folder.path, flush=True)
    if sys.argv[3] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@posix
@pytest.mark.parametrize(("end", "why"), [("killed", "the engine died"), ("forgot", "terminated")])
def test_it_outlives_its_engine_and_ends_by_itself(tmp_path: Path, end: str, why: str) -> None:
    script = tmp_path / "engine.py"
    script.write_text(ENGINE)
    tests = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "data"), tests, end],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    pid, folder = done.stdout.split()
    end_s = time.monotonic() + 10.0
    while time.monotonic() < end_s:
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or ") Z " in state.read_text():
            break
        time.sleep(0.02)
    else:
        os.kill(int(pid), signal.SIGKILL)
        pytest.fail("the recorder did not end after its engine")
    file = read_xdf(Path(folder) / "recording.xdf")
    assert file.stream("EEG").count == 1500
    assert file.stream("EEG").footer is not None
    assert why in file.stream("rtloop-recorder").texts[-2]
    assert verify(folder).ok


@posix
def test_a_full_disk_is_a_loud_failure(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with recorder_bench(tmp_path, recorder_limit_bytes=200_000) as bench:
        end_s = time.monotonic() + 10.0
        while bench.board["recorder_state"] != 2:
            assert time.monotonic() < end_s
            bench.feed(200)
            time.sleep(0.005)
        bench.handle._process.join(5.0)
        assert bench.handle.exit_code == 4
        assert "File too large" in bench.handle.words()
        durable = bench.board["durable_sample"]
        assert bench.board["beat_recorder"] != ENDED  # a failure is no planned silence
    assert "rtloop recorder: the recording" in capfd.readouterr().err
    file = read_xdf(bench.folder.recording)
    assert file.stream("EEG").count >= durable > 0
    result = verify(bench.folder.path)
    assert result.ok, result.lines


@posix
def test_an_overrun_of_the_ring_is_a_recorded_failure(tmp_path: Path) -> None:
    with recorder_bench(tmp_path, seconds=1.0) as bench:
        bench.feed(1000)
        bench.wait_durable(1000)
        os.kill(bench.handle.pid, signal.SIGSTOP)
        for _ in range(40):
            bench.feed(bench.ring.capacity // 10)
        os.kill(bench.handle.pid, signal.SIGCONT)
        bench.wait_durable(bench.written)
        assert bench.board["recorder_state"] == 2
        assert bench.handle.stop() == 4
        assert "gap" in bench.handle.words()
        eeg = read_xdf(bench.folder.recording).stream("EEG")
        assert 1000 < eeg.count < bench.written
        np.testing.assert_array_equal(eeg.data[:1000], samples_from(0, 1000))
        np.testing.assert_array_equal(eeg.data[-1:], samples_from(bench.written - 1, 1))
        assert eeg.stamps_s[-1] == pytest.approx(500.0 + (bench.written - 1) / RATE_HZ, abs=1e-9)
        result = verify(bench.folder.path)
        assert not result.ok
        assert result.counts["gaps"] == 1
        assert result.counts["samples"] + result.counts["lost_samples"] == bench.written


def test_an_existing_recording_stops_the_start_in_words(tmp_path: Path) -> None:
    folder = SessionFolder.create(tmp_path, "r")
    from rtloop.eeg.ring import Ring

    Ring.create(folder.ring, n_channels=4, rate_hz=RATE_HZ, seconds=1.0)
    Journal(folder.journal, run_id="r").close()
    folder.recording.write_bytes(b"precious")
    with Board.create(folder.board) as board:
        handle = start_recorder(
            ring_path=folder.ring, journal_path=folder.journal, xdf_path=folder.recording,
            board_path=folder.board, names=NAMES, types=TYPES, units=UNITS, rate_hz=RATE_HZ,
        )  # fmt: skip
        with pytest.raises(NotReady, match="File exists"):
            handle.wait_ready(30.0)
        assert handle.stop() == 4
        assert board["recorder_state"] == 2
    assert folder.recording.read_bytes() == b"precious"
    assert read_journal(folder.journal).problems == ()


def test_a_layout_that_does_not_fit_the_ring_stops_the_start(tmp_path: Path) -> None:
    folder = SessionFolder.create(tmp_path, "r")
    from rtloop.eeg.ring import Ring

    Ring.create(folder.ring, n_channels=5, rate_hz=RATE_HZ, seconds=1.0)
    with Board.create(folder.board):
        handle = start_recorder(
            ring_path=folder.ring, journal_path=folder.journal, xdf_path=folder.recording,
            board_path=folder.board, names=NAMES, types=TYPES, units=UNITS, rate_hz=RATE_HZ,
        )  # fmt: skip
        with pytest.raises(NotReady, match="5 channels"):
            handle.wait_ready(30.0)
        assert handle.stop() == 4
