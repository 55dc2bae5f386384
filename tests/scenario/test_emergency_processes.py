"""`rtloop emergency` against a session process whose unit is armed: disarmed in time, locked, refused, unlocked, allowed again.

The simulated unit belongs to the test: what it says of itself is what counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from session_tools import Running, hold_tiny, tiny, write_plan

from hardware_sim.bedside import BedsideSpec
from hardware_sim.bench import start_bedside
from rtloop.board import Board
from rtloop.record.journal import read_journal
from rtloop.record.verify import verify
from rtloop.safety.locked import cited, read_locks

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are ended by POSIX signals")
#: from the moment at which STOP was asked for until the unit itself is not armed
DISARMED_WITHIN_S = 0.3
#: the command, its imports done: what is measured begins when it begins, and the unit is armed at that moment
READY = "import sys; from rtloop.app import cli, lock; input(); cli.main(sys.argv[1:])"


def rtloop(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rtloop.app.cli", *arguments, "--data-dir", str(data_dir)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60.0, check=False, cwd=data_dir)


@pytest.mark.req("R-LOCK")
def test_emergency_from_a_second_terminal_while_armed(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    plan = str(write_plan(tmp_path, tiny()))
    bedside = start_bedside(
        BedsideSpec(n_channels=16, rate_hz=1000.0, chunk_s=0.01, stream_name=f"bed-{os.getpid()}-emergency")
    )
    session = Running(
        tmp_path, "map", "--plan", plan, "--stream", bedside.stream_name, "--unit", "200", "--port", bedside.port,
        "--mode", "bench", "--participant", "P7", "--json",
    )  # fmt: skip
    words = ("emergency", "--data-dir", str(data_dir), "--words", "seizure at pulse 1")
    asking = subprocess.Popen(
        [sys.executable, "-c", READY, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert asking.stdin is not None
    try:
        session.until("-> place the coil at M1")
        session.say("placed")
        session.arm()
        folder = session.folder
        with Board(folder.board) as board:
            if not bedside.state()["unit"]["armed"]:  # a busy machine took the permission away meanwhile
                session.arm_again()
            assert bedside.state()["unit"]["armed"]
            asking.stdin.write("\n")
            asking.stdin.flush()
            end_s = time.monotonic() + 30.0
            while (state := bedside.state()["unit"])["armed"] or state["ready"]:
                assert time.monotonic() < end_s, "still armed"
                time.sleep(0.002)
            disarmed_ns = board.now_ns()
            given = len(bedside.discharges())
            assert board["stop_asked"], "disarmed, but not by STOP"
            took_s = (disarmed_ns - board["stop_asked"]) * 1e-9
        told, _ = asking.communicate(timeout=30.0)
        assert asking.returncode == 0, told
        assert took_s <= DISARMED_WITHIN_S, f"{took_s:.3f} s"
        assert told.startswith("TAKE THE COIL AWAY")
        assert "the unit says standby" in told
        assert f"locked: participant P7 and session {folder.path.name}" in told

        assert session.ended() == 5
        assert len(bedside.discharges()) == given
        data = json.loads(session.output())
        assert data["record_whole"]
        assert Path(folder.report).is_file()
        assert "seizure at pulse 1" in folder.report.read_text()
        assert verify(folder.path).ok
        locked = [e.data for e in read_journal(folder.journal).events if e.kind == "participant_locked"]
        assert [e["participant"] for e in locked] == ["P7"]
        (row,) = read_locks(data_dir).history
        assert row["sha256"].startswith(cited(locked[0]["words"]))  # the journal names the record of the lock
        assert "seizure at pulse 1" in session.words
    finally:
        asking.kill()
        asking.communicate()
        session.close()
        bedside.close()

    again = ("map", "--simulate", "--plan", plan, "--channels", "16", "--participant", "P7")
    refused = rtloop(data_dir, *again)
    assert refused.returncode == 5
    assert "the participant is locked" in refused.stderr
    assert (
        f"P7 is locked since {row['utc']} after an emergency in session {folder.path.name}" in refused.stderr
    )
    todo = "rtloop unlock --person NAME --reason WORDS --participant P7 --data-dir"
    assert todo in refused.stderr.split("what to do: ")[1]
    assert "Traceback" not in refused.stderr

    unlocked = rtloop(data_dir, "unlock", "--person", "Dr A", "--reason", "examined", "--participant", "P7")
    assert unlocked.returncode == 0, unlocked.stderr
    assert "P7 unlocked by Dr A" in unlocked.stdout
    assert "still locked: nobody" in unlocked.stdout
    allowed = hold_tiny(tmp_path, plan=tiny(wanted=1, most=2), participant="P7", seed=5)
    assert allowed.bench.discharges
    assert not allowed.kinds("participant_locked")
