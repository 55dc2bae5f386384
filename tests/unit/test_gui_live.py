"""A window's look at a session that starts late, runs, breaks, ends: nothing raises, STOP always reaches the board."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gui.live import LiveSession
from gui.slots import pid_lives
from gui.state import Choice, session_shown
from rtloop.board import Board
from rtloop.eeg.ring import Ring
from rtloop.link.pages import PagesSpec, PagesWriter
from rtloop.link.server import LinkServer
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal

STARTED = {
    "mode": "SIMULATED",
    "kind": "map",
    "participant": "P1",
    "plan": "p",
    "targets": ["M1"],
    "rate_hz": 1000.0,
    "scene": "x",
}


class Engine:
    """What a running engine leaves in its folder, part by part."""

    def __init__(self, path: Path) -> None:
        self.folder = SessionFolder(path=path)
        self.heard: list[tuple[str, tuple[str, ...]]] = []
        self.board: Board | None = None
        self.journal: Journal | None = None
        self.server: LinkServer | None = None

    def make_board(self) -> Board:
        self.board = Board.create(self.folder.board)
        for role in ("engine", "port", "recorder"):
            self.board.start(role)
        self.board["port_state"] = 1
        return self.board

    def make_journal(self) -> Journal:
        self.journal = Journal(self.folder.journal, run_id="r")
        self.journal.append("session_started", STARTED)
        return self.journal

    def listen(self) -> None:
        def take(word: str, args: tuple[str, ...]) -> str:
            self.heard.append((word, args))
            return "" if word == "placed" else f"{word}: not now"

        assert self.board is not None
        self.server = LinkServer(self.folder.link, take, lambda pid: self.board.__setitem__("seat_pid", pid))  # type: ignore[union-attr]
        self.server.start()

    def close(self) -> None:
        for part in (self.server, self.journal, self.board):
            if part is not None:
                part.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path)
    yield made
    made.close()


@pytest.fixture
def window(engine: Engine) -> Iterator[LiveSession]:
    session = LiveSession(engine.folder, attach=True)
    yield session
    session.close()
    session.close()


def until(window: LiveSession, true: object, within_s: float = 5.0) -> None:
    end_s = time.monotonic() + within_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end_s
        window.look()
        time.sleep(0.01)


def screen(window: LiveSession):  # type: ignore[no-untyped-def]
    view, look = window.look()
    return session_shown(view, look, Choice())


def test_each_part_is_opened_when_it_appears(engine: Engine, window: LiveSession) -> None:
    view, look = window.look()
    assert not view.started
    assert not look.board_seen
    assert look.seat == "none"
    assert screen(window).status.what == "the engine is starting"
    assert window.stop() is False
    engine.make_journal()
    until(window, lambda: window.view.started)
    board = engine.make_board()
    board["unit_instr"], board["unit_t"], board["unit_power"], board["unit_temp_mc"] = (
        0b10001001,
        board.now_ns(),
        45,
        22500,
    )
    board["stream_rate_mhz"], board["stream_t"], board["stream_ok"] = 1_000_000, board.now_ns(), 1
    board["next_due"] = board.now_ns() + 2_000_000_000
    until(window, lambda: window.look()[1].board_seen)
    look = window.look()[1]
    assert look.engine_lives
    assert look.engine_age_s < 5.0
    assert (look.unit_instr, look.unit_power_pct_mso, look.unit_temp_c) == (0b10001001, 45, 22.5)
    assert look.stream_rate_hz == 1000.0
    assert look.stream_ok
    assert look.unit_age_s is not None
    assert look.unit_age_s < 5.0
    assert look.next_due_s is not None
    assert look.next_due_s > look.now_s - 5.0


def test_the_board_before_anything_is_written_on_it_is_unknown_not_zero(
    engine: Engine, window: LiveSession
) -> None:
    engine.make_board()
    until(window, lambda: window.look()[1].board_seen)
    look = window.look()[1]
    assert look.unit_instr is None
    assert look.unit_power_pct_mso is None
    assert look.unit_temp_c is None
    assert look.unit_age_s is None
    assert look.stream_rate_hz is None
    assert look.stream_age_s == float("inf")
    assert look.next_due_s is None


def test_stop_needs_neither_link_nor_seat_nor_look(engine: Engine, window: LiveSession) -> None:
    board = engine.make_board()
    assert window.stop() is True  # never looked before
    assert board["stop_asked"] > 0
    asked = board["stop_asked"]
    window.stop()
    assert board["stop_asked"] == asked
    assert window.look()[1].stop_asked_s == pytest.approx(asked * 1e-9)


def test_words_are_answered_and_the_seat_beats(engine: Engine, window: LiveSession) -> None:
    board = engine.make_board()
    engine.make_journal()
    window.look()
    window.beat()
    assert board["beat_operator"] == 0  # no seat yet
    window.say("placed")
    assert "cannot be reached" in window.refusals[-1].why_not
    engine.listen()
    until(window, lambda: window.look()[1].seat == "ours")
    assert board["seat_pid"] == os.getpid()
    window.beat()
    assert board["beat_operator"] > 0
    window.say("placed")
    window.say("go", "55")
    until(window, lambda: len(window.look()[1].answers) >= 3)
    assert engine.heard == [("placed", ()), ("go", ("55",))]
    assert [(a.word, a.args, a.why_not) for a in window.refusals][-1] == ("go", ("55",), "go: not now")
    assert "go 55: not taken: go: not now" in screen(window).status.what


def test_a_second_window_watches_and_takes_over_when_the_seat_is_free(
    engine: Engine, window: LiveSession
) -> None:
    board = engine.make_board()
    engine.make_journal()
    engine.listen()
    until(window, lambda: window.look()[1].seat == "ours")
    board["seat_pid"] = os.getpid() + 1  # as if the first window were another process
    second = LiveSession(engine.folder, attach=True)
    try:
        until(second, lambda: second.look()[1].seat == "another")
        until(second, lambda: second._client is not None and second._client.connected)
        second.beat()
        assert board["beat_operator"] == 0
        second.say("placed")
        until(second, lambda: bool(second.refusals))
        assert "another window" in second.refusals[-1].why_not
        assert not engine.heard
        window.close()
        until(second, lambda: board["seat_pid"] == 0)
        second.take_seat()
        until(second, lambda: second.look()[1].seat == "ours")
    finally:
        second.close()


def test_a_lost_link_is_told_and_comes_back(engine: Engine, window: LiveSession) -> None:
    engine.make_board()
    engine.make_journal()
    engine.listen()
    until(window, lambda: window.look()[1].seat == "ours")
    assert engine.server is not None
    engine.server.close()
    until(window, lambda: window.look()[1].seat == "lost")
    assert "lost the operator's seat" in screen(window).status.what
    engine.listen()
    until(window, lambda: window.look()[1].seat == "ours")


def test_a_dead_engine_is_seen(engine: Engine, window: LiveSession) -> None:
    board = engine.make_board()
    engine.make_journal()
    until(window, lambda: window.look()[1].engine_lives)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        board["pid_engine"] = child.pid
        assert pid_lives(child.pid)
        assert window.look()[1].engine_lives
        child.kill()
        until(
            window, lambda: not window.look()[1].engine_lives
        )  # nobody has buried it: a zombie does not live
    finally:
        child.kill()
        child.wait()
    assert screen(window).status.what.startswith("the engine is gone")
    assert screen(window).stop.enabled
    assert window.stop()
    assert not pid_lives(0)
    assert not pid_lives(-1)


def test_a_damaged_journal_is_told_and_what_was_read_stays(engine: Engine, window: LiveSession) -> None:
    journal = engine.make_journal()
    until(window, lambda: window.view.started)
    n = window.view.n_events
    with engine.folder.journal.open("ab") as f:
        f.write(b'{"not": "a record"}\n')
    journal.append("note_written", {"words": "later"})
    until(window, lambda: bool(window.look()[1].damaged))
    assert window.view.n_events == n
    assert window.view.started["plan"] == "p"
    assert "damaged" in screen(window).status.what


def test_parts_that_are_no_parts_raise_nothing(engine: Engine, window: LiveSession) -> None:
    for path in (engine.folder.board, engine.folder.ring, engine.folder.pages, engine.folder.link):
        path.write_bytes(b"nonsense" * 1000)
    for _ in range(3):
        view, look = window.look()
        time.sleep(0.3)
    assert not look.board_seen
    assert window.ring is None
    assert window.pages is None
    assert not view.started
    assert window.stop() is False


def test_ring_and_pages_are_there_to_be_read_and_let_go(engine: Engine, window: LiveSession) -> None:
    spec = PagesSpec(
        names=("Cz", "C3"), positions_m=np.eye(3)[:2], times_s=np.arange(5) / 1e3, raw_rate_hz=1000.0, raw_first_s=-0.01,
        n_raw=20,
        bands=("pooled",), gap_s=(-0.002, 0.01), n_trials=4, n_blocks=2,
    )  # fmt: skip
    Ring.create(engine.folder.ring, n_channels=3, rate_hz=1000.0, seconds=1.0)
    pages = PagesWriter.create(engine.folder.pages, spec)
    try:
        until(window, lambda: window.ring is not None and window.pages is not None)
        assert window.ring is not None
        assert window.ring.rate_hz == 1000.0
        assert window.pages is not None
        assert window.pages.spec.names == ("Cz", "C3")
        window.close()
        assert window.ring is None
        assert window.pages is None
    finally:
        pages.close()


def test_the_look_after_the_end(engine: Engine, window: LiveSession) -> None:
    board, journal = engine.make_board(), engine.make_journal()
    until(window, lambda: window.look()[1].board_seen)
    journal.append(
        "session_ended",
        {"clean": True, "words": "the plan is complete", "durable_sample": 0, "durable_journal": 0},
    )
    board.end("engine")
    engine.folder.board.unlink()
    engine.folder.report.write_text("x")
    until(window, lambda: window.look()[1].report != "")
    view, look = window.look()
    assert view.ended is not None
    assert look.engine_ended
    assert not look.engine_lives
    assert screen(window).status.what == "the session ended: the plan is complete"


def test_a_review_connects_to_nothing(engine: Engine) -> None:
    board = engine.make_board()
    engine.make_journal()
    engine.listen()
    review = LiveSession(engine.folder, attach=False)
    try:
        until(review, lambda: review.view.started)
        look = review.look()[1]
        assert look.review
        assert not look.board_seen
        assert board["seat_pid"] == 0
        assert review.stop() is False
        assert board["stop_asked"] == 0
        review.say("placed")
        review.beat()
        assert review.refusals[-1].why_not == "this is a review"
        assert not engine.heard
        assert board["beat_operator"] == 0
    finally:
        review.close()
