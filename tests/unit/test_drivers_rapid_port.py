"""The exchange with a Rapid²: its version, what is sent by which software, and in what a reply contradicts a train."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.magstim.line import READ_TIMEOUT_S
from drivers.magstim.magpy_port import RAPID_SINGLE, RAPID_TRAIN, Held, Reply
from drivers.magstim.rapid_port import RapidPort
from drivers.trouble import Garbled, Refused
from hardware_sim.faults import Fault, FaultKind
from hardware_sim.line import SteppedLine
from hardware_sim.magstim import UNLOCK_CODE, UnitRapid
from hardware_sim.packet import Command, crc
from rtloop.clock import SteppedClock
from rtloop.model.pulse import Pair, Train

TRAIN = Train(frequency_hz=10.5, n_pulses=21)
VERSIONS = ((5, 0, 0), (6, 9), (7, 0), (7, 1), (8, 5), (9, 0), (9, 0, 0), (10, 1, 0))


def made(version: tuple[int, ...], **unit: Any) -> RapidPort:
    """A port to such a unit, nothing sent yet."""
    clock = SteppedClock()
    line = SteppedLine(UnitRapid(version=version, **unit), clock)
    line.timeout = READ_TIMEOUT_S
    code = UNLOCK_CODE if version >= (9,) else ""
    return RapidPort(line, clock, lambda: False, unlock_code=code)


def sim_of(port: RapidPort) -> UnitRapid:
    found = port._line.unit  # type: ignore[attr-defined]
    assert isinstance(found, UnitRapid)
    return found


def sent(port: RapidPort, since: int = 0) -> list[bytes]:
    """The commands that the unit had, without their check bytes."""
    port._line.wire.visible(port.exchange._clock.now_s() + 0.1)  # type: ignore[attr-defined]
    return [packet[:-1] for _, packet in sim_of(port).packets][since:]


def taken(version: tuple[int, ...], **unit: Any) -> RapidPort:
    """Identified and under control."""
    port = made(version, **unit)
    port.identify()
    port.take_control()
    return port


def says(port: RapidPort, text: bytes) -> None:
    """The unit answers ``ND`` with this after its status byte."""
    sim = sim_of(port)
    version = Command(data_bytes=1, reply_bytes=0, effect=lambda *_: text)
    sim.commands = {**sim.commands, ord("N"): version}


# ---- the version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (b"1.0\0", (1, 0)), (b"20.0\0", (20, 0)), (b"9.0.0\0", (9, 0, 0)), (b"V7.12 b3\0", (7, 12)),
        (b"r2 10.1.2\0", (10, 1, 2)), (b"0" * 14 + b"9.1.20\0", (9, 1, 20)),
    ],
)  # fmt: skip
def test_the_version_is_the_first_numbers_with_dots(text: bytes, version: tuple[int, ...]) -> None:
    port = made((7, 1))
    says(port, text)
    assert port.identify() == port.version == version


@pytest.mark.parametrize("text", [b"\0", b"9\0", b"9.\0", b"nine.one\0", b"0.9\0", b"21.0\0", b"99.0.0\0"])
def test_a_reply_without_a_version_that_there_is_is_garbled(text: bytes) -> None:
    port = made((7, 1))
    says(port, text)
    with pytest.raises(Garbled, match="no version in") as told:
        port.identify()
    assert told.value.written


def test_a_version_may_follow_the_letter_at_once_and_the_check_byte_is_none_of_it() -> None:
    """As a unit without a status byte there would say it, and one whose text is as long as is read."""
    for reply, version in ((b"N9.1.0\0", (9, 1, 0)), (b"N\x09" + b" " * 16 + b"9.1.7", (9, 1, 7))):
        port = made((7, 1))
        whole = reply + bytes([crc(reply)])
        port.own = lambda body, n, whole=whole: whole  # type: ignore[method-assign]
        assert port.identify() == version
    port.own = lambda body, n: b"N\x099.1.\x35"  # type: ignore[method-assign]
    assert port.identify() == (9, 1)


@pytest.mark.parametrize(
    ("version", "n_bytes"), list(zip(VERSIONS, (21, 21, 22, 22, 22, 24, 24, 24), strict=True))
)
def test_parameters_are_read_at_the_length_of_their_version(version: tuple[int, ...], n_bytes: int) -> None:
    port = taken(version, power_pct_mso=43)
    reply = port.parameters()
    assert len(port.exchange.last) == n_bytes
    assert reply.power_pct_mso == 43
    assert reply.single_pulses is True


@pytest.mark.parametrize("version", [(8, 5), (9, 0)])
def test_magpy_knows_the_version_too(version: tuple[int, ...]) -> None:
    """It builds commands of its own by it."""
    assert taken(version)._unit._version == version


# ---- the keep-alive


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_look_asks(version: tuple[int, ...]) -> None:
    modern = version >= (9,)
    port = taken(version, power_pct_mso=43)
    mark = len(sent(port))
    control, parameters = b"x@" if modern else b"Q@", b"\\@"
    expected = {
        (False, False): [control], (True, False): [control] if modern else [control, parameters],
        (False, True): [control, parameters], (True, True): [control, parameters],
    }  # fmt: skip
    assert port.look().power_pct_mso is None
    assert sent(port, mark) == [control]
    for (mode, numbers), commands in expected.items():
        mark = len(sent(port))
        reply = port.look(mode=mode, numbers=numbers)
        assert sent(port, mark) == commands
        assert (reply.power_pct_mso, reply.held is None) == (
            (43, False) if parameters in commands else (None, True)
        )
        assert (reply.single_pulses is True) == (modern or parameters in commands)


def test_nothing_but_control_is_asked_before_the_version_is_known() -> None:
    port = made((7, 1))
    port.look()
    assert sent(port) == [b"Q@"]


def test_control_lost_in_a_silence_is_taken_again_with_the_code() -> None:
    port = taken((9, 0, 0))
    port.release()
    mark = len(sent(port))
    assert port.look().instr & 0x80
    assert sent(port, mark) == [b"x@", b"Q" + UNLOCK_CODE.encode("latin-1")]


# ---- settings


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("train", "digits"),
    [(TRAIN, (10, 105, 20, 21)), (Train(frequency_hz=0.5, n_pulses=7), (10, 5, 140, 7))],
)
def test_a_train_is_sent_in_tenths_with_the_digits_of_the_version(
    version: tuple[int, ...], train: Train, digits: tuple[int, ...]
) -> None:
    time, pulses = ("04d", "05d") if version >= (9,) else ("03d", "04d")
    mode, frequency, duration, n = digits
    port = taken(version, power_pct_mso=30)
    mark = len(sent(port))
    port.set_setting(train)
    expected = [f"[{mode:{time}}", f"B{frequency:04d}", f"[{duration:{time}}", f"D{n:{pulses}}"]
    assert sent(port, mark) == [line.encode() for line in expected]
    assert port.differs(port.parameters(), train) == ""
    mark = len(sent(port))
    port.set_setting(None)
    assert sent(port, mark) == [f"[{0:{time}}".encode()]
    assert port.differs(port.parameters(), None) == ""
    assert port.differs(port.parameters(), train) == "single-pulse mode"


def test_a_pair_is_refused_before_a_byte_is_sent() -> None:
    port = taken((7, 1))
    mark = len(sent(port))
    with pytest.raises(Refused, match="no pairs on a Rapid²") as told:
        port.set_setting(Pair(power_b_pct_mso=40, interval_ms=3))
    assert not told.value.written
    assert sent(port, mark) == []


def test_a_setting_that_the_unit_refuses_ends_there() -> None:
    port = taken((7, 1))
    sim_of(port).inject(Fault(kind=FaultKind.ANSWER_CONFLICT, only="B"), 0.0)
    mark = len(sent(port))
    with pytest.raises(Refused):
        port.set_setting(TRAIN)
    assert sent(port, mark) == [b"[010", b"B0105"]


# ---- what a reply says


def reply(rapid: int | None = None, *, none: bool = False, **held: Any) -> Reply:
    """With a second status byte, and with what is held unless ``none``."""
    train = None if none else Held(**{"frequency_hz": 10.5, "n_pulses": 21, "duration_s": 2.0} | held)
    return Reply(instr=0x89, t_sent_s=0.0, t_s=0.0, rapid=rapid, held=train)


SINGLE, RUNS, TRAINS = RAPID_SINGLE, RAPID_TRAIN, 0x10


@pytest.mark.req("R-PERMIT")
@pytest.mark.parametrize(
    ("found", "setting", "words"),
    [
        (reply(), TRAIN, ""), (reply(TRAINS), TRAIN, ""), (reply(RUNS), TRAIN, ""),
        (reply(frequency_hz=10.4), TRAIN, "21 pulses at 10.4 Hz in 2 s"),
        (reply(frequency_hz=10.6), TRAIN, "21 pulses at 10.6 Hz in 2 s"),
        (reply(TRAINS, n_pulses=20), TRAIN, "20 pulses at 10.5 Hz in 2 s"),
        (reply(n_pulses=22), TRAIN, "22 pulses at 10.5 Hz in 2 s"),
        (reply(duration_s=1.9), TRAIN, "21 pulses at 10.5 Hz in 1.9 s"),
        (reply(duration_s=2.1), TRAIN, "21 pulses at 10.5 Hz in 2.1 s"),
        (reply(frequency_hz=10.5 + 1e-9, duration_s=2.0 - 1e-9), TRAIN, ""),  # the unit says tenths
        (reply(SINGLE), TRAIN, "single-pulse mode"), (reply(SINGLE, none=True), TRAIN, "single-pulse mode"),
        (reply(none=True), TRAIN, ""), (reply(TRAINS, none=True), TRAIN, ""),
        (reply(SINGLE), None, ""), (reply(SINGLE, n_pulses=9), None, ""), (reply(none=True), None, ""),
        (reply(), None, ""), (reply(TRAINS), None, "train mode"), (reply(TRAINS, none=True), None, "train mode"),
    ],
)  # fmt: skip
def test_in_what_a_reply_differs(found: Reply, setting: Train | None, words: str) -> None:
    assert made((7, 1)).differs(found, setting) == words


@pytest.mark.parametrize(("fault", "code"), [((), "000"), ((Fault(kind=FaultKind.ERROR_BIT),), "101")])
def test_the_error_code_is_the_three_characters_of_the_unit(fault: tuple[Fault, ...], code: str) -> None:
    port = taken((7, 1), faults=fault)
    assert port.error_code() == code
    assert sent(port)[-1] == b"I@"
