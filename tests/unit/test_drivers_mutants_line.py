"""What mutation testing found unproved in the exchange with a unit: what a reply means, what was written, how long."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from client_tools import Watched

from drivers.magstim.bistim_port import BistimPort
from drivers.magstim.exchange import ARMED_REPLY_S, REPLY_DEADLINE_S, Exchange
from drivers.magstim.magpy_port import Held, MagpyPort, Reply
from drivers.magstim.rapid_port import RapidPort
from drivers.trouble import Cut, Garbled, LineTrouble, Lost, Refused, Silent
from rtloop.model.pulse import Pair, Train

TRAIN, PAIR = Train(frequency_hz=10, n_pulses=20), Pair(power_b_pct_mso=35, interval_ms=3)
EA = b"EA\x79"


def sealed(body: bytes) -> bytes:
    return body + bytes([~sum(body) & 0xFF])


class Wire:
    """A line in time: each command is answered by the next of ``replies``, bytes at once or (after how long, bytes)."""

    def __init__(self, *replies: Any, start_s: float = 1000.0) -> None:
        self.clock, self.replies = Watched(start_s), list(replies)
        self.written: list[bytes] = []
        self.inbox: list[tuple[float, int]] = []
        self.resets, self.reads = 0, []  # type: int, list[int]
        self.write_s = self.read_s = 0.0
        self.jumps: dict[int, float] = {}  # the n-th read ends at this instant
        self.breaks: dict[str, Exception] = {}  # which call raises what
        self.urgent_at_s = math.inf
        self.closed = False

    def urgent(self) -> bool:
        return self.clock.now_s() >= self.urgent_at_s

    def say(self, data: bytes, after_s: float = 0.0) -> None:
        self.inbox += [(self.clock.now_s() + after_s, byte) for byte in data]
        self.inbox.sort(key=lambda item: item[0])

    def _break(self, what: str) -> None:
        if what in self.breaks:
            raise self.breaks[what]

    @property
    def in_waiting(self) -> int:
        self._break("in_waiting")
        return sum(t_s <= self.clock.now_s() for t_s, _ in self.inbox)

    def read(self, size: int = 1, /) -> bytes:
        self._break("read")
        assert size == 1
        self.reads.append(size)
        if (jump := self.jumps.get(len(self.reads))) is not None:
            self.clock.sleep_until(jump)
            return b""
        if self.inbox and self.inbox[0][0] <= self.clock.now_s():
            return bytes([self.inbox.pop(0)[1]])
        self.clock.advance(self.read_s)
        return b""

    def write(self, data: bytes, /) -> int:
        self.clock.advance(self.write_s)
        self._break("write")
        self.written.append(data)
        reply = self.replies.pop(0) if self.replies else b""
        for after_s, part in [(0.0, reply)] if isinstance(reply, bytes) else reply:
            self.say(part, after_s)
        return len(data)

    def reset_input_buffer(self) -> None:
        self._break("reset")
        self.resets += 1
        self.inbox = [(t_s, byte) for t_s, byte in self.inbox if t_s > self.clock.now_s()]

    def close(self) -> None:
        self.closed = True


def exchange(*replies: Any, start_s: float = 1000.0) -> tuple[Exchange, Wire]:
    wire = Wire(*replies, start_s=start_s)
    return Exchange(wire, wire.clock, wire.urgent), wire


def unit(*replies: Any, made: type[MagpyPort] = MagpyPort) -> tuple[Any, Wire]:
    """A unit under control."""
    wire = Wire(sealed(b"Q\x89"), *replies)
    port = made(wire, wire.clock, wire.urgent)
    if isinstance(port, RapidPort):
        port._unit._version, port._unit._parameterReturnBytes = (7, 0), 22
    assert port.take_control().instr == 0x89
    return port, wire


def trouble(call: Callable[[], object], kind: type[LineTrouble], *, written: bool, words: str = ".") -> None:
    with pytest.raises(LineTrouble, match=words) as problem:
        call()
    assert type(problem.value) is kind
    assert problem.value.written is written


def put(ex: Exchange, body: bytes = b"EH", n_bytes: int | None = 3) -> None:
    ex.put((sealed(body), "instr", n_bytes))


@pytest.mark.parametrize("made", [MagpyPort, BistimPort, RapidPort])
def test_magpy_hands_its_commands_to_the_exchange_and_to_nobody_else(made: type[MagpyPort]) -> None:
    wire = Wire()
    port: Any = made(wire, wire.clock, wire.urgent)
    assert port._unit._sendQueue is port._unit._receiveQueue is port.exchange


# ---- one command


@pytest.mark.parametrize(
    "item",
    [
        (None, None, None),
        (-1, None, 0),
        (1, "instr", 3),
        (sealed(b"EH"), None, 3),
        (sealed(b"EH"), "instr", None),
        (sealed(b"ND"), None, None),
    ],
)
def test_what_is_no_command_with_a_receipt_is_not_written(item: Any) -> None:
    ex, wire = exchange()
    trouble(lambda: ex.put(item), Refused, written=False, words="not a command")
    assert wire.written == []


def test_a_version_needs_no_length_and_may_have_one() -> None:
    for n_bytes in (None, 7):
        ex, _ = exchange(sealed(b"N\x897.1\x00"))
        put(ex, b"ND", n_bytes)
        assert ex.last == sealed(b"N\x897.1\x00")


def test_a_reply_is_handed_over_once_in_the_form_of_magpy() -> None:
    ex, wire = exchange([(0.02, sealed(b"E\x8c"))])
    assert (ex.last, ex.t_sent_s, ex.t_reply_s, ex.junk) == (b"", 1000.0, 1000.0, 0)
    wire.write_s = 0.004
    put(ex)
    assert ex.get() == [0, bytearray(sealed(b"E\x8c"))]
    assert ex.last == sealed(b"E\x8c")
    assert ex.t_sent_s == pytest.approx(1000.004, abs=1e-6)
    assert ex.t_reply_s == pytest.approx(1000.024, abs=2e-3)
    trouble(ex.get, Silent, written=False, words="no reply")


def test_a_failed_command_leaves_nothing_of_the_one_before() -> None:
    ex, _ = exchange(sealed(b"E\x8c"), b"")
    put(ex)
    trouble(lambda: put(ex), Silent, written=True)
    assert ex.last == b""
    trouble(ex.get, Silent, written=False)


def test_what_nobody_asked_for_is_dropped_and_counted_and_a_quiet_line_is_left_alone() -> None:
    ex, wire = exchange(sealed(b"E\x8c"), sealed(b"E\x8c"), sealed(b"E\x8c"))
    put(ex)
    assert (ex.junk, wire.resets) == (0, 0)
    for junk in (2, 5):
        wire.say(b"x" * (junk - ex.junk))
        put(ex)
        assert (ex.junk, wire.resets) == (junk, 1 if junk == 2 else 2)


@pytest.mark.parametrize("what", ["in_waiting", "reset"])
def test_a_line_that_is_gone_before_the_write_has_written_nothing(what: str) -> None:
    ex, wire = exchange()
    wire.say(b"x")
    wire.breaks[what] = OSError("gone")
    trouble(lambda: put(ex), Lost, written=False, words="the line is gone")
    assert wire.written == []


@pytest.mark.req("R-UNCERTAIN")
def test_a_line_that_fails_in_the_write_may_have_written() -> None:
    ex, wire = exchange()
    wire.breaks["write"] = OSError("gone")
    trouble(lambda: put(ex), Lost, written=True, words="was written")


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("error", [OSError("gone"), TypeError("no descriptor")])
def test_a_line_that_fails_in_the_reply_has_written(error: Exception) -> None:
    ex, wire = exchange(sealed(b"E\x8c"))
    wire.breaks["read"] = error
    trouble(lambda: put(ex), Lost, written=True, words="awaited")


@pytest.mark.req("R-STOP")
def test_something_urgent_before_a_command_puts_ea_in_its_place() -> None:
    ex, wire = exchange()
    wire.urgent_at_s = 0.0
    trouble(lambda: put(ex), Cut, written=False, words="not sent")
    assert wire.written == [EA]
    wire.breaks["write"] = OSError("gone")
    trouble(lambda: put(ex), Lost, written=False, words="not sent; the line failed")


@pytest.mark.req("R-STOP")
def test_something_urgent_during_a_wait_puts_ea_behind_the_command_at_once() -> None:
    ex, wire = exchange([(0.1, sealed(b"E\x8c"))])
    wire.urgent_at_s = 1000.05
    trouble(lambda: put(ex), Cut, written=True, words="cut short")
    assert wire.written == [sealed(b"EH"), EA]
    assert wire.clock.now_s() == pytest.approx(1000.05, abs=0.0015)


@pytest.mark.req("R-STALE")
@pytest.mark.parametrize(
    ("late_s", "words"), [(0.0, "0.0 ms after"), (0.0125, "12.5 ms after"), (math.nan, "nan")]
)
def test_no_command_is_written_at_its_deadline_or_later(late_s: float, words: str) -> None:
    ex, wire = exchange(sealed(b"E\x8c"))
    ex.not_after_s = 1000.0 - late_s
    trouble(lambda: put(ex), LineTrouble, written=False, words=words)
    assert wire.written == []
    ex.not_after_s = 1000.0 + 1e-6
    put(ex)


# ---- waiting


@pytest.mark.parametrize("within_s", [REPLY_DEADLINE_S, ARMED_REPLY_S])
def test_a_reply_has_its_time_and_one_last_look(within_s: float) -> None:
    ex, wire = exchange(b"E\x8c")
    assert ex.reply_s == REPLY_DEADLINE_S == 0.4
    ex.reply_s = within_s
    trouble(lambda: put(ex), Silent, written=True, words=rf"^2 of 3 bytes .* within {within_s} s$")
    assert wire.clock.now_s() == pytest.approx(1000.001 + within_s, abs=0.0015)
    ex, wire = exchange()
    ex.reply_s = within_s
    wire.jumps[1] = wire.clock.now_s() + within_s
    trouble(lambda: put(ex), Silent, written=True)
    assert len(wire.reads) == 2  # one last look


def test_a_reply_that_came_while_the_process_stood_still_is_read() -> None:
    ex, wire = exchange([(0.1, sealed(b"E\x8c"))])
    wire.jumps[2] = wire.clock.now_s() + 0.9
    put(ex)
    assert ex.last == sealed(b"E\x8c")


@pytest.mark.parametrize(("read_s", "step_s"), [(0.0, 0.001), (0.0004, 0.001), (0.002, 0.002)])
def test_an_empty_line_is_looked_at_every_millisecond_at_most(read_s: float, step_s: float) -> None:
    ex, wire = exchange()
    wire.read_s = read_s
    trouble(lambda: put(ex), Silent, written=True)
    assert 0.4 / step_s + 1 == pytest.approx(len(wire.reads), abs=1.1)


def test_bytes_that_are_there_are_read_without_waiting() -> None:
    ex, wire = exchange(sealed(b"E\x8c"))
    put(ex)
    assert wire.clock.now_s() == 1000.0
    assert len(wire.reads) == 3


@pytest.mark.parametrize(
    ("reply", "n_bytes"),
    [
        (sealed(b"J?"), 12),
        (sealed(b"JS"), 12),
        (sealed(b"J\x89042000000"), 12),
        (sealed(b"N\x89\x00"), None),
        (sealed(b"N\x007.1\x00"), None),
        (sealed(b"N?"), None),
        (sealed(b"N" + b"7" * 22), None),
        (sealed(b"N" + b"7" * 21 + b"\x00"), None),
    ],
)
def test_the_length_of_a_reply_is_known_from_its_bytes(reply: bytes, n_bytes: int | None) -> None:
    ex, wire = exchange(reply + b"more")
    put(ex, reply[:1] + b"@", n_bytes)
    assert ex.last == reply
    assert len(wire.inbox) == 4


def test_a_version_that_does_not_end_is_read_for_24_bytes_and_is_none() -> None:
    ex, wire = exchange(b"N" + b"7" * 22 + b"\x00" + b"7" * 9)
    trouble(lambda: put(ex, b"ND", None), Garbled, written=True, words="check byte")
    assert len(wire.reads) == 24


@pytest.mark.parametrize(("after_s", "alone"), [(0.0, False), (0.0065, False), (0.009, True)])
def test_a_question_mark_is_alone_when_nothing_follows_for_8_ms(after_s: float, alone: bool) -> None:
    ex, wire = exchange([(0.0, b"?"), (after_s, b"x")])
    if alone:
        put(ex)
        assert ex.last == b"?"
        assert wire.clock.now_s() == pytest.approx(1000.008, abs=0.0011)
    else:
        trouble(lambda: put(ex), Garbled, written=True, words="goes on")


def test_the_end_of_the_8_ms_is_no_more_of_them() -> None:
    ex, wire = exchange([(0.0, b"?"), (0.008, b"x")])
    wire.jumps[2] = wire.clock.now_s() + 0.008
    put(ex)
    assert len(wire.reads) == 2


def test_dropping_what_still_comes_ends_with_quiet_with_time_or_with_something_urgent() -> None:
    ex, wire = exchange()
    ex.swallow(quiet_s=0.02, at_most_s=0.1)
    assert wire.clock.now_s() == pytest.approx(1000.02, abs=0.0015)

    ex, wire = exchange()
    wire.say(b"x", 0.015)
    ex.swallow(quiet_s=0.02, at_most_s=0.1)
    assert wire.clock.now_s() == pytest.approx(1000.035, abs=0.0025)
    assert wire.inbox == []

    ex, wire = exchange()
    for i in range(30):
        wire.say(b"x", 0.01 * i)
    ex.swallow(quiet_s=0.02, at_most_s=0.1)
    assert wire.clock.now_s() == pytest.approx(1000.1, abs=0.0015)

    ex, wire = exchange()
    wire.urgent_at_s = 1000.005
    ex.swallow(quiet_s=0.02, at_most_s=0.1)
    assert wire.clock.now_s() == pytest.approx(1000.005, abs=0.0015)

    ex, wire = exchange()
    wire.jumps[1] = wire.clock.now_s() + 0.02
    ex.swallow(quiet_s=0.02, at_most_s=0.1)
    assert len(wire.reads) == 1


# ---- what a reply means


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("error", "kind", "written"),
    [
        *[(error, Refused, True) for error in (3, 4, 5)],
        *[(error, Garbled, True) for error in (6, 7)],
        *[(error, Refused, False) for error in (1, 2, *range(8, 19))],
    ],
)
def test_each_error_of_magpy(error: int, kind: type[LineTrouble], written: bool) -> None:
    port, _ = unit()
    trouble(lambda: port._ask(lambda: (error, "words")), kind, written=written, words="words")


@pytest.mark.req("R-UNCERTAIN")
def test_no_receipt_is_no_success_and_digits_that_are_none_are_garbled() -> None:
    port, _ = unit(sealed(b"F\x890x0305"))
    trouble(lambda: port._ask(lambda: (0, None)), Refused, written=False, words="no receipt")
    trouble(port.temperature, Garbled, written=True, words="cannot read")


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (sealed(b"E?"), Refused), (sealed(b"ES"), Refused), (b"?", Garbled), (sealed(b"QS"), Garbled),
        (sealed(b"Q\x8c"), Garbled), (b"E\x8c\x00", Garbled), (b"", Silent),
    ],
)  # fmt: skip
def test_what_a_reply_to_fire_says_of_the_pulse(reply: bytes, kind: type[LineTrouble]) -> None:
    port, _ = unit(reply)
    trouble(port.fire, kind, written=True)


@pytest.mark.req("R-UNCERTAIN")
def test_a_fire_without_control_is_not_written() -> None:
    wire = Wire(sealed(b"QS"), b"?")
    port = MagpyPort(wire, wire.clock, wire.urgent)
    for _ in range(2):
        trouble(port.fire, Refused, written=False, words="not sent")
        trouble(port.take_control, Refused, written=True)
    assert wire.written == [sealed(b"Q@")] * 2
    assert port.exchange.last == b"?"
    trouble(port.fire, Refused, written=False)


@pytest.mark.req("R-STALE")
def test_a_fire_has_a_deadline_that_no_later_command_has() -> None:
    port, wire = unit(sealed(b"E\x8c"), sealed(b"E\x8c"))
    trouble(lambda: port.fire(not_after_s=999.0), LineTrouble, written=False, words="missed: 1000.0 ms")
    assert port.disarm().instr == 0x8C
    assert port.fire().instr == 0x8C
    assert wire.written[1:] == [sealed(b"EA"), sealed(b"EH")]


def test_a_reply_is_told_with_both_its_instants_and_its_status_byte() -> None:
    port, wire = unit([(0.01, sealed(b"E\x8c"))])
    wire.write_s = 0.002
    reply = port.arm()
    assert (reply.instr, reply.rapid, reply.held, reply.power_pct_mso, reply.coil_temp_c) == (
        0x8C,
        *[None] * 4,
    )
    assert reply.t_sent_s == pytest.approx(1000.002, abs=1e-6)
    assert reply.t_s == pytest.approx(1000.012, abs=0.0015)
    assert (reply.train_running, reply.single_pulses) == (None, None)


@pytest.mark.parametrize(("first", "second"), [(b"231", b"305"), (b"305", b"231")])
def test_the_hotter_winding_is_the_temperature(first: bytes, second: bytes) -> None:
    port, _ = unit(sealed(b"F\x89" + first + second))
    assert port.temperature().coil_temp_c == pytest.approx(30.5)


def test_power_and_setting_of_each_unit() -> None:
    port, _ = unit(sealed(b"J\x89042" + b"123456"))
    reply = port.parameters()
    assert (reply.power_pct_mso, reply.held) == (42, Held(power_b_pct_mso=123, interval_ms=456.0))
    port, _ = unit(sealed(b"J\x89042035012"), made=BistimPort)
    reply = port.parameters()
    assert (reply.power_pct_mso, reply.held) == (42, Held(power_b_pct_mso=35, interval_ms=12.0))
    port, _ = unit(sealed(b"\\\x89\x0a042" + b"0100" + b"0020" + b"020" + b"0000"), made=RapidPort)
    reply = port.parameters()
    assert (reply.power_pct_mso, reply.rapid) == (42, 0x0A)
    assert reply.held == Held(frequency_hz=10.0, n_pulses=20, duration_s=2.0)
    assert (reply.train_running, reply.single_pulses) == (True, True)
    zeros = Held(frequency_hz=0.0, n_pulses=0, duration_s=0.0, power_b_pct_mso=0, interval_ms=0.0)
    assert Held() == zeros


@pytest.mark.parametrize(
    ("rapid", "running", "single"), [(0x02, True, False), (0x08, False, True), (0xF5, False, False)]
)
def test_the_second_status_byte_says_train_and_mode(rapid: int, running: bool, single: bool) -> None:
    reply = Reply(instr=0x89, t_sent_s=0.0, t_s=0.0, rapid=rapid)
    assert (reply.train_running, reply.single_pulses) == (running, single)


@pytest.mark.parametrize("what", [b"x", b" "])
@pytest.mark.parametrize("at", range(2, 11))
def test_no_digit_where_a_unit_has_powers_and_interval_is_garbled(at: int, what: bytes) -> None:
    body = bytearray(b"J\x89042000000")
    body[at : at + 1] = what
    port, _ = unit(sealed(bytes(body)))
    trouble(port.parameters, Garbled, written=True)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (None, ""),
        (Held(), ""),
        (Held(power_b_pct_mso=1), "power B 1 %, interval 0 "),
        (Held(interval_ms=1.0), "power B 0 %, interval 1 "),
        (Held(power_b_pct_mso=60, interval_ms=25.0), "power B 60 %, interval 25 "),
    ],
)
@pytest.mark.parametrize("setting", [None, TRAIN, PAIR])
def test_a_200_holds_neither_power_b_nor_interval(held: Held | None, words: str, setting: Any) -> None:
    port, _ = unit()
    told = port.differs(Reply(instr=0x89, t_sent_s=0.0, t_s=0.0, held=held), setting)
    assert told.startswith(words)
    assert bool(told) is bool(words)


def test_a_200_gives_single_pulses_only_has_no_version_and_looks_by_control() -> None:
    port, wire = unit(sealed(b"Q\x89"), sealed(b"@\x89"), sealed(b"R\x09"))
    port.set_setting(None)
    for setting in (TRAIN, PAIR):
        trouble(lambda s=setting: port.set_setting(s), Refused, written=False, words="on this unit")  # type: ignore[misc]
    assert port.identify() == ()
    assert port.look().instr == 0x89
    assert port.set_power(42).instr == 0x89
    assert port.release().instr == 0x09
    assert wire.written[1:] == [sealed(b"Q@"), sealed(b"@042"), sealed(b"R@")]
    port.close()
    assert wire.closed


# ---- commands of our own


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"?", Refused),
        (sealed(b"x?"), Refused),
        (sealed(b"xS"), Refused),
        (sealed(b"E\x89\x08\x00\x00"), Garbled),
        (b"", Silent),
    ],
)
def test_what_each_bad_reply_to_a_command_of_our_own_means(reply: bytes, kind: type[LineTrouble]) -> None:
    port, _ = unit(reply)
    trouble(lambda: port.own(b"x@", 6), kind, written=True)


def test_a_command_of_our_own_is_sealed_and_its_reply_is_whole() -> None:
    port, wire = unit(sealed(b"x\x89\x08?S"), [(0.02, sealed(b"x\x89\x0a\x00\x00"))])
    assert port.own(b"x@", 6) == sealed(b"x\x89\x08?S")
    assert wire.written[-1] == sealed(b"x@")
    wire.write_s = 0.004
    reply = port.own_rapid(b"x@", 6)
    assert (reply.instr, reply.rapid) == (0x89, 0x0A)
    assert reply.t_sent_s == pytest.approx(1000.004, abs=1e-6)
    assert reply.t_s == pytest.approx(1000.024, abs=0.0015)


# ---- after EA


def after_ea(*reply: Any) -> tuple[bool, float, Wire]:
    """EA, answered so: whether something came, how long the line was waited for."""
    ex, wire = exchange([*reply])
    ex.cut()
    start_s = wire.clock.now_s()
    return ex.swallow(), wire.clock.now_s() - start_s, wire


@pytest.mark.parametrize("data", [sealed(b"E\x8c"), b"E\x8c\x00"])
def test_the_line_is_free_20_ms_after_the_answer_to_ea_whole_or_damaged(data: bytes) -> None:
    came, took_s, _ = after_ea((0.05, data))
    assert came
    assert took_s == pytest.approx(0.072, abs=0.003)


def test_what_comes_within_20_ms_after_the_answer_to_ea_is_dropped() -> None:
    came, took_s, wire = after_ea((0.005, sealed(b"E\x8c")), (0.020, b"x"), (0.045, b"y"))
    assert came
    assert took_s == pytest.approx(0.041, abs=0.003)
    wire.clock.advance(0.1)
    assert wire.in_waiting == 1


def test_without_an_answer_to_ea_its_time_is_waited_for() -> None:
    came, took_s, _ = after_ea()
    assert not came
    assert took_s == pytest.approx(ARMED_REPLY_S, abs=0.003)


def test_what_a_reply_tells_of_and_the_most_that_one_command_gives() -> None:
    reply = Reply(instr=0, t_sent_s=5.0, t_s=5.5, late_s=2.0)
    assert (reply.about_s, reply.said_s) == (3.0, 3.5)
    assert (Held().most_pulses, Held(power_b_pct_mso=1).most_pulses) == (1, 2)


def test_a_reply_of_which_nothing_else_is_said_is_not_late() -> None:
    reply = Reply(instr=0x89, t_sent_s=3.0, t_s=3.1)
    assert (reply.about_s, reply.said_s) == (3.0, 3.1)
