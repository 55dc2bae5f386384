"""The exchange with a BiStim²: what it refuses, what it sends, and in what a reply contradicts the pair that was set."""

from __future__ import annotations

import pytest

from drivers.magstim.bistim_port import BistimPort
from drivers.magstim.line import READ_TIMEOUT_S
from drivers.magstim.magpy_port import Held, Reply
from drivers.trouble import Refused
from hardware_sim.line import SteppedLine
from hardware_sim.magstim import UnitBistim
from rtloop.clock import SteppedClock
from rtloop.model.pulse import Pair, Train

PAIR = Pair(power_b_pct_mso=35, interval_ms=2.5)


@pytest.fixture
def port() -> BistimPort:
    clock = SteppedClock()
    line = SteppedLine(UnitBistim(), clock)
    line.timeout = READ_TIMEOUT_S
    made = BistimPort(line, clock, lambda: False)
    made.take_control()
    return made


def test_a_train_is_refused_before_a_byte_is_sent(port: BistimPort) -> None:
    before = len(port._line.trace)
    with pytest.raises(Refused, match="no trains on a BiStim²") as told:
        port.set_setting(Train(frequency_hz=10, n_pulses=5))
    assert not told.value.written
    assert len(port._line.trace) == before


@pytest.mark.parametrize(
    ("setting", "interval", "fine", "power_b"),
    [
        (None, 10, False, 0), (PAIR, 25, True, 35), (Pair(power_b_pct_mso=40, interval_ms=100), 100, False, 40),
        (Pair(power_b_pct_mso=40, interval_ms=0.7), 7, True, 40), (Pair(power_b_pct_mso=1, interval_ms=0), 0, None, 1),
    ],
)  # fmt: skip
def test_power_b_resolution_and_interval_are_sent_in_the_steps_of_that_resolution(
    port: BistimPort, setting: Pair | None, interval: int, fine: bool | None, power_b: int
) -> None:
    port.set_setting(setting)
    sim = port._line.unit
    assert (sim.interval, sim.power_b_pct_mso) == (interval, power_b)
    assert fine is None or sim.high_resolution is fine
    assert port.differs(port.parameters(), setting) == ""


@pytest.mark.parametrize(
    ("setting", "power_b", "interval_ms", "words"),
    [
        (None, 0, 10.0, ""), (None, 1, 10.0, "power B 1 %, interval 10 ms"),
        (None, 0, 11.0, "power B 0 %, interval 11 ms"), (PAIR, 35, 2.5, ""), (PAIR, 35, 2.6, "power B 35 %, interval 2.6 ms"),
        (PAIR, 34, 2.5, "power B 34 %, interval 2.5 ms"), (PAIR, 0, 10.0, "power B 0 %, interval 10 ms"),
        (PAIR, 35, 25.0, "power B 35 %, interval 25 ms"),
    ],
)  # fmt: skip
def test_in_what_a_reply_differs(
    port: BistimPort, setting: Pair | None, power_b: int, interval_ms: float, words: str
) -> None:
    held = Held(power_b_pct_mso=power_b, interval_ms=interval_ms)
    assert port.differs(Reply(instr=0x89, t_sent_s=0.0, t_s=0.0, held=held), setting) == words


def test_a_reply_that_tells_neither_differs_in_nothing(port: BistimPort) -> None:
    assert port.differs(Reply(instr=0x89, t_sent_s=0.0, t_s=0.0), PAIR) == ""
