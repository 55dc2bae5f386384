"""Words over the private socket: order, answers, the seat, and windows that misbehave."""

from __future__ import annotations

import os
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from rtloop.clock import WALL
from rtloop.errors import NotReady
from rtloop.link.client import LinkClient
from rtloop.link.server import FREE, MOST_WINDOWS, TAKEN, LinkServer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the raw sockets of these tests are unix sockets")


def until(true: Callable[[], bool], within_s: float = 5.0) -> bool:
    end_s = WALL.now_s() + within_s
    while not true():
        if WALL.now_s() > end_s:
            return False
        WALL.sleep_until(WALL.now_s() + 0.005)
    return True


def answered(client: LinkClient, n: int) -> list[tuple[str, tuple[str, ...], str]]:
    got: list[tuple[str, tuple[str, ...], str]] = []
    assert until(lambda: got.extend(client.answers()) or len(got) >= n), got
    return got


class Ground:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.words: list[tuple[str, tuple[str, ...]]] = []
        self.seats: list[int] = []
        self.hold = threading.Event()
        self.gone = False
        self.server = LinkServer(path, self.take, self.seats.append, gone=lambda: self.gone)
        self.clients: list[LinkClient] = []
        self.server.start()

    def take(self, word: str, args: tuple[str, ...]) -> str:
        if word == "stick":
            self.hold.wait(5.0)
        if word == "crash":
            raise RuntimeError("a bug")
        self.words.append((word, args))
        return "not now" if word == "go" else ""

    def client(self, **more: float) -> LinkClient:
        client = LinkClient(self.path, **more)
        self.clients.append(client)
        assert client.wait(5.0), client.why
        return client

    def raw(self) -> socket.socket:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5.0)
        s.connect(str(self.path))
        return s


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    g = Ground(tmp_path / "link")
    yield g
    g.hold.set()
    for client in g.clients:
        client.close()
    start_s = WALL.now_s()
    g.server.close()
    g.server.close()
    assert WALL.now_s() - start_s < 3.0
    assert not [t for t in threading.enumerate() if t.name.startswith("link")]
    assert not g.path.exists()


def test_words_arrive_in_order_and_each_is_answered(ground: Ground) -> None:
    assert stat.S_IMODE(ground.path.stat().st_mode) == 0o600
    client = ground.client()
    assert client.seat
    assert ground.seats == [os.getpid()]
    for i in range(30):
        client.say("note", str(i), "µ ü")
    client.say("go")
    client.say("crash")
    got = answered(client, 32)
    assert got[:30] == [("note", (str(i), "µ ü"), "") for i in range(30)]
    assert got[30] == ("go", (), "not now")
    assert "a bug" in got[31][2]
    assert [w for w, _ in ground.words] == ["note"] * 30 + ["go"]


def test_a_second_window_watches_until_the_seat_is_free(ground: Ground) -> None:
    first, second = ground.client(), ground.client()
    assert not second.seat
    second.say("pause")
    second.ask_seat()
    assert [w for _, _, w in answered(second, 2)] == [TAKEN, TAKEN]
    first.close()
    assert until(lambda: ground.seats[-1] == 0)
    assert not first.alive
    second.say("pause")
    second.ask_seat()
    second.say("pause")
    assert [w for _, _, w in answered(second, 3)] == [FREE, "", ""]
    assert second.seat
    assert ground.words == [("pause", ())]
    assert ground.seats == [os.getpid(), 0, os.getpid()]


def test_the_seat_of_a_frozen_window_may_be_taken(ground: Ground) -> None:
    frozen, second = ground.client(), ground.client()
    ground.gone = True
    second.say("pause")  # not by just saying something
    second.ask_seat()
    assert [w for _, _, w in answered(second, 2)] == [TAKEN, ""]
    assert second.seat
    frozen.say("arm")
    assert answered(frozen, 1)[0][2] == TAKEN
    assert not frozen.seat


def frame(body: bytes) -> bytes:
    return struct.pack("!i", len(body)) + body


HELLO = frame(b'{"hello": 1, "pid": 1}')
BAD = {
    "noise": b"\xff\xfe\x00garbage" * 100,
    "a pickle": frame(b"\x80\x04\x95cos\nsystem\n"),
    "a list": frame(b"[1]"),
    "another version": frame(b'{"hello": 99}'),
    "a huge frame": HELLO + struct.pack("!i", 2**30),
    "a huger frame": HELLO + struct.pack("!iQ", -1, 2**60),
    "a negative frame": HELLO + struct.pack("!i", -7),
    "no word": HELLO + frame(b'{"args": []}'),
    "numbers for text": HELLO + frame(b'{"word": "note", "args": [1]}'),
    "a deep nest": HELLO + frame(b"[" * 60000),
    "a long word": HELLO + frame(b'{"word": "' + b"x" * 9000 + b'"}'),
}


@pytest.mark.parametrize("what", BAD)
def test_nonsense_ends_its_own_connection_only(ground: Ground, what: str) -> None:
    client = ground.client()
    with ground.raw() as bad:
        bad.sendall(BAD[what])
        until_s = WALL.now_s() + 5.0
        try:
            while bad.recv(65536) and WALL.now_s() < until_s:
                pass
        except ConnectionResetError:
            pass
        assert WALL.now_s() < until_s, "the connection stayed open"
    client.say("note")
    assert answered(client, 1)[0][2] == ""
    assert ground.words == [("note", ())]
    assert ground.seats == [os.getpid()]


def test_stuck_windows_hold_up_nobody(ground: Ground) -> None:
    client = ground.client()
    dumb = [ground.raw() for _ in range(3)]  # say nothing at all
    half = ground.raw()
    half.sendall(HELLO + struct.pack("!i", 100) + b'{"word"')  # never sends the rest
    deaf = ground.raw()  # asks and never reads
    deaf.sendall(HELLO)
    deaf.settimeout(0.05)
    with pytest.raises(TimeoutError):
        deaf.sendall(frame(b'{"word": "note"}') * 100_000)
    start_s = WALL.now_s()
    client.say("pause")
    assert answered(client, 1)[0][2] == ""
    assert WALL.now_s() - start_s < 2.0
    assert ground.words == [("pause", ())]
    for s in (*dumb, half, deaf):
        s.close()


def test_only_so_many_windows(ground: Ground) -> None:
    for _ in range(MOST_WINDOWS):
        ground.client()
    extra = LinkClient(ground.path)
    ground.clients.append(extra)
    assert not extra.wait(5.0)
    assert "windows are connected" in extra.why
    ground.clients[0].close()
    assert until(lambda: ground.seats[-1] == 0)
    assert not ground.client().why


def test_saying_never_waits_for_an_engine_that_is_stuck(ground: Ground) -> None:
    client = ground.client(deadline_s=0.2)
    start_s = WALL.now_s()
    client.say("stick")
    for i in range(100):
        client.say("note", str(i))
    assert WALL.now_s() - start_s < 0.2
    got = answered(client, 101)  # each word is answered though the engine never does
    assert any("too many words" in w for _, _, w in got)
    assert "not known whether it was taken" in next(w for word, _, w in got if word == "stick")
    assert client.alive
    ground.hold.set()
    client.say("pause")
    assert ("pause", (), "") in answered(client, 1)
    done = {args[0] for word, args in ground.words if word == "note"}
    told = {args[0] for word, args, w in got if word == "note" and "say it again" in w}
    assert told
    assert not told & done, "a word that was called lost was done later"


def test_a_word_that_is_too_old_is_not_done(ground: Ground) -> None:
    with ground.raw() as s:
        old = f'{{"word": "arm", "id": 1, "t_s": {WALL.now_s() - 3.0}}}'
        s.sendall(HELLO + frame(old.encode()) + frame(b'{"word": "arm", "id": 2, "t_s": NaN}'))
        got = b""
        while got.count(b'"id"') < 2:
            got += s.recv(65536)
    assert got.count(b"say it again") == 2
    assert not ground.words


def test_the_engine_ends_and_the_window_knows(ground: Ground) -> None:
    client = ground.client()
    ground.server.close()
    assert until(lambda: not client.alive)
    assert not client.seat
    client.say("pause")
    assert "not connected" in answered(client, 1)[0][2]


def test_no_engine_at_all(tmp_path: Path) -> None:
    client = LinkClient(tmp_path / "none")
    client.say("pause")
    assert not client.wait(5.0)
    assert until(lambda: not client.alive)
    assert "not connected" in answered(client, 1)[0][2]
    client.close()
    (tmp_path / "text").write_text("hello")
    client = LinkClient(tmp_path / "text")
    assert not client.wait(5.0)
    assert "no address" in client.why
    client.close()


def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / "session"
    deep.mkdir(parents=True)
    path = deep / "link"
    words: list[str] = []
    server = LinkServer(path, lambda w, a: words.append(w) or "", lambda pid: None)
    server.start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (tmp_path / "linked").symlink_to(path)
    client = LinkClient(tmp_path / "linked")
    assert client.wait(5.0), client.why
    client.say("note")
    assert answered(client, 1)[0][2] == ""
    client.close()
    server.close()
    assert not path.exists()
    with pytest.raises(NotReady):
        server.start()


def test_a_path_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "link").write_text("mine")
    server = LinkServer(tmp_path / "link", lambda w, a: "", lambda pid: None)
    with pytest.raises(NotReady, match="exists"):
        server.start()
    server.close()
    assert (tmp_path / "link").read_text() == "mine"


def test_a_frame_is_no_pickle() -> None:
    assert Connection.recv_bytes is not Connection.recv
    for name in ("wire", "server", "client"):
        text = (Path(__file__).parents[2] / "rtloop/link" / f"{name}.py").read_text()
        assert ".recv(" not in text
        assert ".send(" not in text
        assert "import pickle" not in text
