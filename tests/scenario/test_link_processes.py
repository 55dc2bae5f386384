"""The link between real processes: windows and engines that are killed, stopped or hammer; a session looked at again."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event as Flag
from pathlib import Path

import numpy as np
import pytest
from session_tools import Held, hold_tiny

from rtloop.clock import WALL
from rtloop.errors import IntegrityProblem, NotReady
from rtloop.link.client import LinkClient
from rtloop.link.pages import BlockPage, PagesReader, PagesSpec, PagesWriter, TrialPage
from rtloop.link.server import LinkServer
from rtloop.link.tail import JournalTail
from rtloop.record.folder import SessionFolder
from rtloop.session.review import review

CONTEXT = multiprocessing.get_context("spawn")
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def until(true: Callable[[], bool], within_s: float = 10.0) -> bool:
    end_s = WALL.now_s() + within_s
    while not true():
        if WALL.now_s() > end_s:
            return False
        WALL.sleep_until(WALL.now_s() + 0.005)
    return True


# -- pages -------------------------------------------------------------------------------------------------------


def hammer(path: str, stop: Flag) -> None:
    """Fill every array of one slot with one number, ever another, as fast as it goes."""
    spec = PagesSpec(
        names=("a", "b", "c", "d"), positions_m=np.zeros((4, 3)), times_s=np.arange(500) / 1000, raw_rate_hz=1000.0,
        raw_first_s=-0.05, n_raw=1000, bands=("x", "pooled"), gap_s=(-0.002, 0.01), n_trials=1, n_blocks=1,
    )  # fmt: skip
    writer, i = PagesWriter.create(path, spec), 0
    while not stop.is_set():
        i += 1
        v = np.float32(i)
        writer.write_trial(
            TrialPage(
                trial_id=0, pulse_id=i, sample=i, block=f"b{i}", raw_uv=np.full((4, 1000), v, np.float32),
                clean_uv=np.full((4, 500), v, np.float32), decay_uv=np.full(4, v, np.float32),
                good=np.full(4, bool(i % 2)),
            )
        )  # fmt: skip
        writer.write_block(
            BlockPage(
                block="b",
                n=i,
                average_uv=np.full((4, 500), v, np.float32),
                pairs=np.full((2, 6), v, np.float32),
            )
        )
    writer.close()


def reader_of(path: Path) -> PagesReader:
    readers: list[PagesReader] = []

    def there() -> bool:
        with contextlib.suppress(NotReady):  # a file that is being made is never called spoilt
            readers.append(PagesReader(path))
        return bool(readers)

    assert until(there, 30.0)
    return readers[0]


def test_a_reader_of_another_process_never_sees_a_mix(tmp_path: Path) -> None:
    stop = CONTEXT.Event()
    writer = CONTEXT.Process(target=hammer, args=(str(tmp_path / "pages"), stop))
    writer.start()
    try:
        reader = reader_of(tmp_path / "pages")
        seen: set[int] = set()
        blocks: set[int] = set()
        end_s = WALL.now_s() + 3.0
        while WALL.now_s() < end_s and min(len(seen), len(blocks)) < 2000:
            t, b = reader.latest(), reader.block("b")
            if t is not None:
                v = t.pulse_id
                assert t.clean_uv is not None
                assert (t.sample, t.block) == (v, f"b{v}")
                assert all((x == v).all() for x in (t.raw_uv, t.clean_uv, t.decay_uv))
                assert (t.good == bool(v % 2)).all()
                seen.add(v)
            if b is not None:
                assert (b.average_uv == b.n).all()
                assert (b.pairs == b.n).all()
                blocks.add(b.n)
        assert min(len(seen), len(blocks)) > 100, (len(seen), len(blocks))
    finally:
        stop.set()
        writer.join(10.0)
    reader.close()


@posix
def test_a_writer_that_dies_in_the_middle_leaves_no_mix(tmp_path: Path) -> None:
    stop = CONTEXT.Event()
    for n in range(2):
        path = tmp_path / f"pages{n}"
        writer = CONTEXT.Process(target=hammer, args=(str(path), stop))
        writer.start()
        reader = reader_of(path)
        assert until(lambda r=reader: r.count > 50)  # type: ignore[misc]
        writer.kill()
        writer.join(10.0)
        start_s = WALL.now_s()
        page = reader.latest()
        assert WALL.now_s() - start_s < 0.5
        assert page is None or (page.raw_uv == page.pulse_id).all()
        reader.close()


# -- words -------------------------------------------------------------------------------------------------------

WINDOW = """
import sys, time
from rtloop.link.client import LinkClient
client = LinkClient(sys.argv[1])
assert client.wait(10.0), client.why
client.say("note", "here")
while not client.answers():
    time.sleep(0.01)
print("seat" if client.seat else "watch", flush=True)
time.sleep(60)
"""

ENGINE = """
import sys, time
from rtloop.link.server import LinkServer
server = LinkServer(sys.argv[1], lambda word, args: "", lambda pid: None)
server.start()
print("open", flush=True)
time.sleep(60)
"""


@pytest.fixture
def spawned() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def start(program: str, *args: str) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", program, *args], stdout=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait(10.0)
        assert process.stdout is not None
        process.stdout.close()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@posix
def test_the_seat_is_free_when_its_window_is_killed(
    tmp_path: Path, spawned: Callable[..., subprocess.Popen[str]]
) -> None:
    words: list[str] = []
    seats: list[int] = []

    def take(word: str, args: tuple[str, ...]) -> str:
        words.append(word)
        return ""

    server = LinkServer(tmp_path / "link", take, seats.append)
    server.start()
    window = spawned(WINDOW, str(tmp_path / "link"))
    assert first_line(window) == "seat"
    assert seats == [window.pid]
    second = LinkClient(tmp_path / "link")
    assert second.wait(5.0)
    assert not second.seat
    window.send_signal(signal.SIGKILL)
    assert until(lambda: seats[-1] == 0)
    second.ask_seat()
    second.say("pause")
    assert until(lambda: words == ["note", "pause"])
    assert second.seat
    assert seats == [window.pid, 0, os.getpid()]
    second.close()
    server.close()


@posix
def test_an_engine_that_is_stopped_and_killed(
    tmp_path: Path, spawned: Callable[..., subprocess.Popen[str]]
) -> None:
    engine = spawned(ENGINE, str(tmp_path / "link"))
    assert first_line(engine) == "open"
    client = LinkClient(tmp_path / "link", deadline_s=0.3)
    assert client.wait(5.0)
    assert client.seat
    engine.send_signal(signal.SIGSTOP)
    start_s = WALL.now_s()
    for i in range(20):
        client.say("note", str(i))
    assert WALL.now_s() - start_s < 0.1
    got: list[str] = []
    assert until(lambda: got.extend(w for _, _, w in client.answers()) or len(got) == 20)  # type: ignore[func-returns-value]
    assert all(got), "a frozen engine took nothing"
    late = LinkClient(tmp_path / "link", deadline_s=0.3)  # a window that comes now is not held up either
    assert not late.wait(5.0)
    assert "no answer" in late.why
    late.close()
    assert client.alive
    engine.kill()
    assert until(lambda: not client.alive)
    assert not client.seat
    client.close()


# -- a session looked at again -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    return hold_tiny(tmp_path_factory.mktemp("held"))


def test_a_review_has_every_trial_and_the_last_sums(held: Held, tmp_path: Path) -> None:
    shares: list[float] = []
    out = review(held.folder, tmp_path / "pages", shares.append)
    assert out.differences == []
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    reader = PagesReader(tmp_path / "pages")
    trials = held.kinds("trial_judged")
    assert len(trials) >= 5
    for d in trials:
        page = reader.trial(d["trial_id"])
        assert page is not None
        assert (page.pulse_id, page.sample) == (d["pulse_id"], d["sample"])
        assert page.block == ("M1" if d["block"] == "run" else f"M1/{d['block']}")
        assert page.clean_uv is not None
        bad = [n for n, good in zip(reader.spec.names, page.good, strict=True) if not good]
        assert sorted(bad) == sorted(d["bad_channels"])
    for key, scorer in held.sitting.line.scorers.items():
        block = reader.block(key)
        assert block is not None
        assert block.n == scorer.n_accepted
        np.testing.assert_allclose(block.average_uv, scorer.average(), rtol=1e-4, atol=1e-4)
        if key == "M1":
            np.testing.assert_allclose(block.pairs, scorer.lagged_pairs(), rtol=1e-3, atol=1e-5)
    reader.close()


def test_the_tail_of_a_session_is_its_journal(held: Held) -> None:
    tail = JournalTail(held.folder.journal)
    assert tuple(tail.take()) == held.events
    tail.close()


def test_a_review_of_what_is_no_session(held: Held, tmp_path: Path) -> None:
    with pytest.raises(IntegrityProblem):
        review(tmp_path, tmp_path / "pages")
    copy = SessionFolder(path=tmp_path / held.folder.path.name)
    copy.path.mkdir()
    copy.journal.write_bytes(held.folder.journal.read_bytes())
    copy.recording.write_bytes(b"XDF:")
    with pytest.raises(IntegrityProblem):
        review(copy, tmp_path / "pages2")
