"""A session that a window answers: without one nothing can be armed; with one it is held while the window lives."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from session_tools import Running, tiny, write_plan

from rtloop.board import Board
from rtloop.link.client import LinkClient
from rtloop.model.event import Event
from rtloop.model.status import Lamp
from rtloop.record.journal import read_journal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
RUN = "0123abcd"
SMALL = ("--channels", "16", "--rate-hz", "1000")


class Window:
    """A window as the engine sees it: a seat, a heartbeat, words and their answers."""

    def __init__(self, session: Running) -> None:
        self.session = session
        self.board = Board(session.folder.board)
        self.link = LinkClient(session.folder.link)
        self.answers: list[tuple[str, tuple[str, ...], str]] = []

    def until(self, true: Callable[[], Any], *, within_s: float = 20.0, what: str = "") -> Any:
        """Beat like a living window until something is true."""
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            if self.link.seat:
                self.board.beat("operator")
            self.answers += self.link.answers()
            if found := true():
                return found
            assert self.session.process.poll() is None, self.session.words
            time.sleep(0.02)
        raise AssertionError(f"not within {within_s} s: {what}\n{self.session.words}\n{self.answers}")

    def say(self, word: str, *args: str) -> str:
        """Say a word and wait for its answer."""
        n = len(self.answers)
        self.link.say(word, *args)
        self.until(lambda: self.answers[n:], what=f"an answer to {word}")
        return self.answers[n][2]

    def lamp(self) -> str:
        return list(Lamp)[self.board["engine_lamp"]].value

    def events(self, kind: str) -> list[Event]:
        return [e for e in read_journal(self.session.folder.journal).events if e.kind == kind]

    def gone(self) -> list[str]:
        """Why the operator was missed, each time."""
        return [e.data["words"] for e in self.events("fault_raised") if e.data["fault"] == "operator_gone"]

    def asked(self, phase: str) -> bool:
        """Whether the last phase is this one."""
        phases = self.events("phase_entered")
        return bool(phases) and phases[-1].data["phase"] == phase

    def arm(self) -> None:
        """The two steps; tried again after a hold of a busy machine."""
        for _ in range(10):
            self.say("arm")
            self.say("confirm")
            end_s = time.monotonic() + 3.0
            self.until(lambda end_s=end_s: self.lamp() == "ARMED" or time.monotonic() > end_s)
            if self.lamp() == "ARMED":
                return
        raise AssertionError(f"not armed\n{self.session.words}")

    def close(self) -> None:
        self.link.close()
        self.board.close()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Running]:
    """``rtloop map --simulate --window``, no window yet, in READY or SAFE with its first question."""
    plan = write_plan(
        tmp_path, tiny(wanted=40, most=50).replace("steps_pct_mso = [45]", "steps_pct_mso = [40, 45]")
    )
    running = Running(
        tmp_path, "map", "--simulate", "--window", "--run-id", RUN, "--plan", str(plan), *SMALL
    )  # fmt: skip
    try:
        running.until("-> place the coil at M1")
        yield running
    finally:
        running.close()


@pytest.mark.req("R-PRESENCE")
def test_without_a_window_nothing_is_armed_and_the_end_is_in_order(session: Running) -> None:
    assert session.folder.path.name.endswith(f"_{RUN}")
    session.process.send_signal(signal.SIGHUP)  # no terminal belongs to it
    assert "unit SAFE -> READY" in session.words
    assert "no window has taken the operator's seat" in session.words
    with Board(session.folder.board) as board:
        assert board["beat_operator"] == board["seat_pid"] == board["next_due"] == 0
        assert board["stream_rate_mhz"] == pytest.approx(1e6, rel=0.02)
        assert abs(board.now_ns() - board["stream_t"]) < 1e9
        assert board["unit_instr"] & 0b110 == 0  # neither armed nor ready
    assert session.process.poll() is None
    session.process.stdout.close()  # type: ignore[union-attr] # nobody reads any more
    session.process.send_signal(signal.SIGTERM)
    assert session.ended() == 6
    events = read_journal(session.folder.journal).events
    assert events[-1].kind == "session_ended"
    assert not [e for e in events if e.kind == "pulse_intended"]
    started = next(e.data for e in events if e.kind == "session_started")
    assert (started["answered_by"], started["run_id"], started["blinded"]) == ("window", RUN, False)
    assert [(s["block"], s["power_pct_mso"]) for s in started["steps"]] == [
        ("preview", 40),
        ("preview", 45),
        ("run", 45),
    ]
    assert started["dose_before"]["course"] == 0
    assert all(item["todo"] for e in events if e.kind == "preflight_checked" for item in e.data["items"])


@pytest.mark.req("R-PRESENCE")
def test_a_window_arms_is_lost_and_another_goes_on(session: Running) -> None:
    window = Window(session)
    try:
        window.until(lambda: window.link.seat, what="the seat")
        assert window.board["seat_pid"] == window.board["pid_operator"] == os.getpid()
        assert "not understood" in window.say("dance")
        assert "no go / no-go" in window.say("go")
        assert "at most 500" in window.say("note", "x" * 501)
        assert window.say("note", "coil", "warm") == ""
        assert "not lost" in window.say("reconnect")
        assert "preview" in window.say("preview", "45")
        assert window.say("placed") == ""
        window.until(lambda: window.asked("arm"), what="the question to arm")
        window.arm()
        window.until(lambda: window.events("pulse_closed"), what="a pulse")
        note = window.events("note_written")[0]
        assert (note.data["words"], note.data["by"]) == ("coil warm", "operator")
        end_s = time.monotonic() + 10.0  # no beat: as frozen
        while not any("no sign of the operator's window" in words for words in window.gone()):
            assert time.monotonic() < end_s, f"nobody missed the operator: {window.gone()}"
            time.sleep(0.05)
        assert window.lamp() not in ("ARMED", "HELD")
        given = len(window.events("pulse_intended"))
        window.close()
        assert session.process.poll() is None
        window = Window(session)
        window.until(lambda: window.link.seat, what="the seat again")
        assert len(window.events("pulse_intended")) == given
        window.arm()
        window.until(lambda: len(window.events("pulse_intended")) > given, what="the next pulse")
        assert window.say("stop") == ""
        window.until(lambda: window.events("session_ended"), what="the end")
    finally:
        window.close()
    assert session.ended() == 6
    events = read_journal(session.folder.journal).events
    placed = next(e for e in events if e.kind == "command_received" and e.data["word"] == "placed")
    assert placed.data["args"] == []


def test_a_run_id_is_used_once(tmp_path: Path) -> None:
    (tmp_path / "data" / f"20250101-000000_{RUN}").mkdir(parents=True)
    for run_id, words in ((RUN, "used before"), ("XYZ", "8 hexadecimal")):
        running = Running(tmp_path, "watch", "--simulate", "--window", "--run-id", run_id)
        try:
            assert running.ended() == 2
            assert words in running.words
        finally:
            running.close()
