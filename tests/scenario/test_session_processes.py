"""Real processes: kill -9 and SIGSTOP of each while armed, Ctrl-C, STOP. The simulated unit must be disarmed in time.

The simulated bedside belongs to the test, so that the unit outlives whatever is killed. Bounds: the safety deadline plus
``ALLOWANCE_S`` for the test's own polling of the unit on a busy machine.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from session_tools import ARMED, Running, tiny, wait_gone, write_plan

from hardware_sim.bedside import BedsideSpec
from hardware_sim.bench import Bedside, start_bedside
from rtloop.app.cli import main
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.record.verify import verify
from rtloop.safety.ledger import Ledger

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

ALLOWANCE_S = 0.3
ENGINE_S = 0.3  # engine gone or frozen: EA by the port process
WATCHDOG_S = 1.6  # port process gone or frozen: the unit's own watchdog, about 1 s, and its arming delay


@pytest.fixture
def bedside() -> Iterator[Bedside]:
    """A bedside that survives the session."""
    made = start_bedside(
        BedsideSpec(
            n_channels=16,
            rate_hz=1000.0,
            chunk_s=0.01,
            stream_name=f"bed-{os.getpid()}-{time.monotonic_ns()}",
        )
    )
    yield made
    made.close()


#: ``rtloop`` whose imports are done; the first line that it reads are its arguments
WAITING = """import json, sys; from rtloop.app import cli, sitting
if line := sys.stdin.readline(): cli.main(json.loads(line))"""


class Next:
    """The process of the next session, begun while the one before it still runs: its imports cost no time of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._n = folder, 0
        self._begin()

    def _begin(self) -> None:
        self._n += 1
        home = self._folder / f"next-{self._n}"
        home.mkdir()
        self._running = Running(home, command=(sys.executable, "-c", WAITING))

    def take(self, data_dir: Path, *arguments: str) -> Running:
        """Tell it what to do; another one is begun."""
        taken = self._running
        taken.data_dir = data_dir
        taken.say(json.dumps([*arguments, "--data-dir", str(data_dir)]))
        self._begin()
        return taken

    def close(self) -> None:
        self._running.close()


@pytest.fixture(scope="module")
def following(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Next]:
    made = Next(tmp_path_factory.mktemp("following"))
    yield made
    made.close()


@pytest.fixture
def session(following: Next, bedside: Bedside, tmp_path: Path) -> Iterator[Running]:
    """``rtloop map`` on that bedside as on real devices, armed for its first pulse."""
    plan = write_plan(tmp_path, tiny())
    running = following.take(
        tmp_path / "data", "map", "--plan", str(plan), "--stream", bedside.stream_name, "--unit", "200", "--port", bedside.port,
        "--mode", "bench", "--json",
    )  # fmt: skip
    try:
        running.until("-> place the coil at M1")
        running.say("placed")
        running.arm()
        assert bedside.state()["unit"]["armed"]
        random_wait()
        yield running
    finally:
        running.close()


def random_wait() -> None:
    """A moment that no two runs share (told on failure)."""
    wait_s = random.uniform(0.0, 0.5)
    print(f"waited {wait_s:.3f} s while armed")
    time.sleep(wait_s)


def seconds_until_disarmed(bedside: Bedside, within_s: float) -> float:
    """From now until the unit itself says that it is not armed."""
    t0_s = time.monotonic()
    while (state := bedside.state()["unit"])["armed"] or state["ready"]:
        assert time.monotonic() - t0_s <= within_s, f"still armed after {within_s} s"
        time.sleep(0.002)
    return time.monotonic() - t0_s


def check_record(folder: SessionFolder, bedside_pulses: int) -> None:
    """``rtloop verify`` finds every acknowledged sample and pulse, and explains the rest."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as end:
        main(["verify", str(folder.path), "--json"])
    assert end.value.code == 0, said.getvalue()
    assert json.loads(said.getvalue())["ok"]
    events = read_journal(folder.journal).events
    assert Ledger.from_events(events).count() >= bedside_pulses  # never fewer than were given


def test_kill_of_the_engine_while_armed(session: Running, bedside: Bedside) -> None:
    port, recorder = session.board("pid_port"), session.board("pid_recorder")
    session.process.send_signal(signal.SIGKILL)
    seconds_until_disarmed(bedside, ENGINE_S + ALLOWANCE_S)
    session.ended()
    wait_gone(port)
    wait_gone(recorder)
    check_record(session.folder, len(bedside.discharges()))
    lines = "\n".join(verify(session.folder.path).lines)
    assert "after a crash" in lines


def test_freeze_of_the_engine_and_then_of_the_port_process(session: Running, bedside: Bedside) -> None:
    session.process.send_signal(signal.SIGSTOP)
    seconds_until_disarmed(bedside, ENGINE_S + ALLOWANCE_S)
    given = len(bedside.discharges())
    time.sleep(0.5)
    session.process.send_signal(signal.SIGCONT)
    session.until("[disarm]", within_s=20.0)  # it says that it was late, or that the unit says standby
    time.sleep(0.3)
    assert not bedside.state()["unit"]["armed"]  # it does not arm by itself
    assert len(bedside.discharges()) == given
    for _ in range(3):  # a stall of the machine may take the permission away again
        session.arm_again()
        if bedside.state()["unit"]["armed"]:
            break
    assert bedside.state()["unit"]["armed"], f"{bedside.state()['unit']}\n{session.words}"
    random_wait()
    os.kill(session.board("pid_port"), signal.SIGSTOP)
    seconds_until_disarmed(bedside, WATCHDOG_S)
    assert session.ended() == 5
    assert "line" in session.words
    check_record(session.folder, len(bedside.discharges()))


def test_kill_of_the_port_process_while_armed(session: Running, bedside: Bedside) -> None:
    os.kill(session.board("pid_port"), signal.SIGKILL)
    seconds_until_disarmed(bedside, WATCHDOG_S)
    assert session.ended() == 5
    # between two pulses the line is found ownerless; during one its outcome is not known: it counts, and trips
    between, during = "the process that owns the unit's line is gone", "a pulse may have been given"
    assert between in session.words or during in session.words, session.words
    assert json.loads(session.output())["exit_code"] == 5
    check_record(session.folder, len(bedside.discharges()))


@pytest.mark.req("R-RECORD")
def test_freeze_and_then_kill_of_the_recorder(session: Running, bedside: Bedside) -> None:
    recorder = session.board("pid_recorder")
    os.kill(recorder, signal.SIGSTOP)
    seconds_until_disarmed(bedside, 1.0 + ENGINE_S + ALLOWANCE_S)  # its heartbeat may be 1 s old
    session.until("the recorder is gone", within_s=20.0)
    given = len(bedside.discharges())
    os.kill(recorder, signal.SIGCONT)
    time.sleep(0.5)
    session.arm_again()
    random_wait()
    before = len(bedside.discharges())
    assert before >= given
    os.kill(recorder, signal.SIGKILL)
    seconds_until_disarmed(bedside, 1.0 + ENGINE_S + ALLOWANCE_S)
    session.until("the recorder is gone", within_s=20.0)
    session.say("arm")  # refused: no record, no pulse
    session.until("cannot arm", within_s=20.0)
    session.say("stop")
    assert session.ended() == 5
    check_record(session.folder, len(bedside.discharges()))


def test_freeze_and_then_kill_of_the_bedside(session: Running, bedside: Bedside) -> None:
    os.kill(bedside.pid, signal.SIGSTOP)
    end_s = time.monotonic() + 0.25 + 0.6 + ALLOWANCE_S  # a pulse under way may wait for its reply first
    while session.board("engine_lamp") == ARMED:
        assert time.monotonic() < end_s
        time.sleep(0.002)
    session.until("!!", within_s=20.0)
    time.sleep(0.3)
    os.kill(bedside.pid, signal.SIGCONT)
    seconds_until_disarmed(bedside, WATCHDOG_S + ALLOWANCE_S)
    os.kill(bedside.pid, signal.SIGKILL)
    end_s = (
        time.monotonic() + 8.0
    )  # a lost line or a pulse of unknown outcome ends it; else it waits for a word
    while session.process.poll() is None and time.monotonic() < end_s:
        time.sleep(0.05)
    if session.process.poll() is None:
        session.say("stop")
    assert session.ended() == 5
    assert verify(session.folder.path).ok


@pytest.mark.parametrize("interrupts", [1, 2])
def test_ctrl_c_ends_cleanly_and_a_second_one_too(
    session: Running, bedside: Bedside, interrupts: int
) -> None:
    for _ in range(interrupts):
        session.process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    seconds_until_disarmed(bedside, ENGINE_S + ALLOWANCE_S)
    try:
        code = session.ended()
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it does not end:\n{session.words}") from None
    assert "Traceback" not in session.words
    assert code == 6 if interrupts == 1 else code in (5, 6)
    check_record(session.folder, len(bedside.discharges()))


def test_rtloop_stop_during_a_simulated_session(following: Next, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, tiny())
    running = following.take(
        tmp_path / "data",
        "map",
        "--simulate",
        "--plan",
        str(plan),
        "--channels",
        "16",
        "--rate-hz",
        "1000",
        "--json",
    )
    try:
        running.until("unit READY -> ARMED")
        random_wait()
        stop = subprocess.run(
            [sys.executable, "-m", "rtloop.app.cli", "stop", "--data-dir", str(running.data_dir), "--json"],
            capture_output=True, text=True, timeout=60.0, check=False,
        )  # fmt: skip
        assert stop.returncode == 0, stop.stdout + stop.stderr
        (told,) = json.loads(stop.stdout)["sessions"]
        assert told["served"]
        assert told["confirmed"]
        assert running.ended() == 5
        assert "STOP" in running.words
        data = json.loads(running.output())
        assert data["exit_code"] == 5
        assert data["record_whole"]
        assert verify(running.folder.path).ok
    finally:
        running.close()
