"""The line, its ownership, and the exchange by MagPy, against a scripted line."""

from __future__ import annotations

import errno
import math
import multiprocessing
import os
import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import serial

from drivers.magstim import line as line_module
from drivers.magstim.exchange import REPLY_DEADLINE_S
from drivers.magstim.line import OwnedLine, PortLock
from drivers.magstim.magpy_port import MagpyPort
from drivers.magstim.units import facts_of, interval_200_s
from drivers.trouble import Cut, Garbled, Lost, Refused, Silent, UnitProblem
from rtloop.clock import SteppedClock
from rtloop.errors import NotReady
from rtloop.model.status import Fault


def sealed(body: bytes) -> bytes:
    return body + bytes([~sum(body) & 0xFF])


class Script:
    """A line that answers as told and keeps what was written."""

    def __init__(self, *replies: bytes | OSError) -> None:
        self.replies, self.written = list(replies), []
        self._input = b""
        self.breaks_on_write = False

    def hear(self, data: bytes) -> None:
        self._input += data

    @property
    def in_waiting(self) -> int:
        return len(self._input)

    def read(self, size: int = 1, /) -> bytes:
        out, self._input = self._input[:size], self._input[size:]
        return out

    def write(self, data: bytes, /) -> int:
        if self.breaks_on_write:
            raise serial.SerialException("gone")
        self.written.append(data)
        if self.replies:
            reply = self.replies.pop(0)
            if isinstance(reply, OSError):
                raise reply
            self._input += reply
        return len(data)

    def reset_input_buffer(self) -> None:
        self._input = b""

    def close(self) -> None: ...


def port(script: Script, urgent: Callable[[], bool] = lambda: False) -> tuple[MagpyPort, SteppedClock]:
    clock = SteppedClock()
    made = MagpyPort(script, clock, urgent)
    return made, clock


def controlled(*replies: bytes | OSError) -> tuple[MagpyPort, Script, SteppedClock]:
    script = Script(sealed(b"Q\x89"), *replies)
    made, clock = port(script)
    assert made.take_control().instr == 0x89
    return made, script, clock


def test_the_commands_are_as_on_the_wire_and_the_raw_status_byte_is_kept() -> None:
    unit, script, _ = controlled(
        sealed(b"@\x8c"), sealed(b"J\x8c042000000"), sealed(b"F\x8c231305"), sealed(b"E\x89"),
        sealed(b"E\x8c"), sealed(b"E\x8c"), sealed(b"R\x09"),
    )  # fmt: skip
    assert unit.set_power(42).instr == 0x8C
    assert unit.parameters().power_pct_mso == 42
    assert unit.temperature().coil_temp_c == pytest.approx(30.5)
    assert [unit.arm().instr, unit.fire().instr, unit.disarm().instr] == [0x89, 0x8C, 0x8C]
    assert unit.release().instr == 0x09
    wanted = [b"Q@", b"@042", b"J@", b"F@", b"EB", b"EH", b"EA", b"R@"]
    assert script.written == [sealed(body) for body in wanted]


def test_magpy_leaves_no_process_behind() -> None:
    port(Script())
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        (b"", Silent),
        (b"E", Silent),
        (b"E\x8c", Silent),
        (sealed(b"E\x8c")[:-1] + b"\x00", Garbled),
        (sealed(b"Q\x8c"), Garbled),
        (b"?", Garbled),
        (sealed(b"Q?"), Garbled),
        (sealed(b"QS"), Garbled),
        (b"?" + sealed(b"E\x8c"), Garbled),
        (sealed(b"E?"), Refused),
        (sealed(b"ES"), Refused),
        (b"ES\x00", Garbled),
        (serial.SerialException("gone"), Lost),
    ],
)
def test_what_each_bad_reply_to_fire_means(reply: bytes | OSError, wanted: type[Exception]) -> None:
    unit, _, clock = controlled(reply)
    start_s = clock.now_s()
    with pytest.raises(wanted) as trouble:
        unit.fire()
    assert trouble.value.written  # type: ignore[attr-defined]
    assert clock.now_s() - start_s <= REPLY_DEADLINE_S + 0.01


def test_digits_that_are_none_under_a_good_check_byte_are_garbled() -> None:
    unit, _, _ = controlled(sealed(b"J\x8c0x2000000"))
    with pytest.raises(Garbled):
        unit.parameters()


def test_without_control_nothing_is_written_and_that_is_no_success() -> None:
    script = Script()
    unit, _ = port(script)
    with pytest.raises(Refused) as trouble:
        unit.fire()
    assert not trouble.value.written
    assert script.written == []


def test_a_port_that_breaks_before_the_write_has_written_nothing() -> None:
    unit, script, _ = controlled()
    type(script).in_waiting = property(lambda self: _raise())  # type: ignore[assignment]
    try:
        with pytest.raises(Lost) as trouble:
            unit.fire()
        assert not trouble.value.written
    finally:
        type(script).in_waiting = property(lambda self: len(self._input))  # type: ignore[assignment]


def _raise() -> int:
    raise serial.SerialException("gone")


def test_late_bytes_of_an_earlier_command_are_dropped() -> None:
    unit, script, _ = controlled(b"", sealed(b"E\x89"))
    with pytest.raises(Silent):
        unit.fire()
    script.hear(sealed(b"E\x8c"))  # the late reply to fire
    assert unit.disarm().instr == 0x89
    assert unit.exchange.junk == 3


def test_something_urgent_puts_ea_on_the_line_in_the_middle_of_a_wait() -> None:
    calls = iter([False] * 5 + [True] * 9)
    script = Script(sealed(b"Q\x89"))
    unit, clock = port(script, lambda: next(calls))
    unit.take_control()
    start_s = clock.now_s()
    with pytest.raises(Cut) as cut:
        unit.fire()
    assert script.written[1:] == [sealed(b"EH"), sealed(b"EA")]
    assert cut.value.written
    assert clock.now_s() - start_s < 0.01


def test_the_lines_of_a_device_are_low_when_it_opens_and_it_is_exclusive(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[tuple[bool, bool, object, str]] = []

    def watch(self: serial.Serial) -> None:
        opened.append((self.rts, self.dtr, self.exclusive, str(self.port)))

    monkeypatch.setattr(line_module.serial.Serial, "open", watch)
    OwnedLine(str(tmp_path / "tty")).close()
    assert opened == [(False, False, True, str(tmp_path / "tty"))]


def test_a_name_has_one_owner_and_two_names_of_one_device_are_one(tmp_path: Path) -> None:
    device, alias = tmp_path / "tty", tmp_path / "by-id"
    device.touch()
    alias.symlink_to(device)
    first, second, other = PortLock(str(device)), PortLock(str(alias)), PortLock("socket://127.0.0.1:9")
    first.take()
    other.take()
    with pytest.raises(NotReady, match=r"already owned by process \d+"):
        second.take()
    first.release()
    second.take()
    second.release()
    other.release()
    assert PortLock("socket://localhost:9").path == other.path


@pytest.fixture
def strange(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every lock file is another user's."""
    opened = os.open

    def refused(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if "rtloop-port-" in str(path) and flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, flags, *more, **named)

    monkeypatch.setattr("drivers.magstim.line.os.open", refused)


@pytest.mark.req("R-OWNER")
def test_the_lock_of_another_user_is_taken_once_it_is_free(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Where he left it, another login can only read the file; and one login at a time has the port."""
    made, later, third = (PortLock(str(tmp_path / "tty")) for _ in range(3))
    made.take()
    assert made.path.stat().st_mode & 0o777 == 0o644
    request.getfixturevalue("strange")
    with pytest.raises(NotReady, match=f"already owned by process {os.getpid()}"):
        later.take()
    made.release()
    later.take()
    with pytest.raises(NotReady, match="already owned by another process"):
        third.take()  # not by the process that had made it
    later.release()
    third.take()
    third.release()
    made.path.unlink()
    with pytest.raises(NotReady, match="cannot tell who owns"):
        later.take()


@pytest.mark.skipif(not hasattr(os, "seteuid") or os.geteuid() != 0, reason="only root is two users")
def test_a_second_login_takes_the_port(tmp_path: Path) -> None:
    lock, old = PortLock(str(tmp_path / "tty")), os.umask(0o077)
    try:
        lock.take()
        lock.release()
        os.seteuid(65534)
        lock.take()
        lock.release()
    finally:
        os.seteuid(0)
        os.umask(old)
        lock.path.unlink()


def test_the_gaps_of_the_200_and_no_power_beyond_it() -> None:
    assert [interval_200_s(p) for p in (0, 49, 50, 79, 80, 100)] == [2, 2, 3, 3, 4, 4]
    for bad in (-1, 101, math.nan):
        with pytest.raises(ValueError, match="no such power"):
            interval_200_s(bad)  # type: ignore[arg-type]
    facts = facts_of("200")
    assert (facts.ramp_s(10, 60), facts.ramp_s(60, 10)) == (pytest.approx(0.5), pytest.approx(5.0))
    with pytest.raises(NotReady, match="no driver"):
        facts_of("4000")


def test_a_problem_survives_the_pipe() -> None:
    problem = pickle.loads(pickle.dumps(UnitProblem(Fault.UNIT_HOT, "hot", found="41", todo="wait")))
    assert (problem.fault, problem.found, str(problem)) == (
        Fault.UNIT_HOT,
        "41",
        "hot; found: 41; what to do: wait",
    )


def test_a_socket_sends_at_once_even_behind_an_unanswered_command() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        line = OwnedLine(f"socket://127.0.0.1:{server.getsockname()[1]}")
        try:
            connection = line._port._socket  # type: ignore[attr-defined]
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        finally:
            line.close()
