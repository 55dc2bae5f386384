"""Owns the check that MagPy, which this project did not write, can drive the simulated unit."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest
import serial
from magpy.magstim import Magstim, MagstimError, serialPortController

from hardware_sim.faults import Fault, FaultKind
from hardware_sim.line import SocketLine, SteppedLine
from hardware_sim.magstim import Unit200
from rtloop.clock import WALL, SteppedClock


class SteppedDesk:
    """Stands in for MagPy's port process and both its queues: one command, one reply."""

    daemon = True

    def __init__(self, line: SteppedLine) -> None:
        self._line = line
        self._reply: list[Any] = []

    def put(self, order: tuple[bytes | None, object, int | None]) -> None:
        body, wanted, n_bytes = order
        if body is None:
            self._line.close()
            return
        self._line.reset_input_buffer()
        self._line.write(body)
        reply = self._line.read(3)
        refused = reply[:1] == b"?" or reply[1:2] in (b"?", b"S")
        if not refused and len(reply) == 3:
            reply += self._line.read((n_bytes or 3) - 3)
        if wanted:
            self._reply.append([0, bytearray(reply)])

    def get(self) -> Any:
        return self._reply.pop(0)

    def start(self) -> None: ...

    def is_alive(self) -> bool:
        return False


class SteppedMagstim(Magstim):  # type: ignore[misc]
    """MagPy's 200² with another way to the bytes; nothing else is changed."""

    def __init__(self, line: SteppedLine) -> None:
        self._line = line
        super().__init__("stepped")

    def _setupSerialPort(self, serialConnection: str, debugSerialConnection: str | None = None) -> None:
        for unused in (self._sendQueue, self._receiveQueue):
            unused.close()
            unused.join_thread()
        self._connection = self._sendQueue = self._receiveQueue = SteppedDesk(self._line)


def stay(unit: Magstim, clock: SteppedClock, seconds: float) -> None:
    """What MagPy's port process does meanwhile: poke."""
    for _ in range(round(seconds / 0.25)):
        clock.advance(0.25)
        assert unit.remoteControl(True, receipt=True)[0] == 0


def test_magpy_does_a_whole_session_on_the_stepped_clock() -> None:
    clock = SteppedClock()
    line = SteppedLine(Unit200(coil_temp_c=24.3), clock)
    magstim = SteppedMagstim(line)
    magstim.connect()
    assert magstim.isUnderControl()
    assert magstim.setPower(62, receipt=True)[0] == 0
    error, message = magstim.getParameters()
    assert (error, message["magstimParam"]["power"]) == (0, 62)
    assert message["instr"]["coilPresent"] == 1
    assert magstim.getTemperature()[1]["magstimTemp"] == {"coil1Temp": 24.3, "coil2Temp": 24.3}
    assert magstim.fire(receipt=True) == Magstim.COMMAND_CONFLICT_ERR
    assert magstim.arm(receipt=True)[0] == 0
    assert not magstim.isReadyToFire()
    stay(magstim, clock, 1.25)
    assert magstim.isReadyToFire()
    error, message = magstim.fire(receipt=True)
    assert (error, message["instr"]["ready"]) == (0, 1)
    assert magstim.fire(receipt=True) == Magstim.COMMAND_CONFLICT_ERR
    assert magstim.disarm(receipt=True)[0] == 0
    assert [d.power_pct_mso for d in line.unit.discharges] == [62]
    assert not line.unit.state().armed
    magstim.disconnect()
    assert not line.unit.state().remote


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(kind=FaultKind.BAD_CRC), Magstim.CRC_MISMATCH_ERR),
        (Fault(kind=FaultKind.ANSWER_UNKNOWN), Magstim.INVALID_COMMAND_ERR),
        (Fault(kind=FaultKind.ANSWER_CONFLICT), Magstim.COMMAND_CONFLICT_ERR),
        (Fault(kind=FaultKind.STRAY_BYTES, data=b"x"), Magstim.INVALID_CONFIRMATION_ERR),
    ],
)
def test_magpy_understands_the_faults_of_replies(fault: Fault, error: tuple[int, str]) -> None:
    clock = SteppedClock()
    line = SteppedLine(Unit200(), clock)
    magstim = SteppedMagstim(line)
    magstim.connect()
    line.unit.inject(fault)
    assert magstim.getParameters() == error


def test_magpy_is_told_when_it_cannot_have_control() -> None:
    line = SteppedLine(Unit200(faults=(Fault(kind=FaultKind.ANSWER_CONFLICT),)), SteppedClock())
    with pytest.raises(MagstimError):
        SteppedMagstim(line).connect()


class ThreadedMagstim(Magstim):  # type: ignore[misc]
    """MagPy's 200² whose own port loop runs in a thread of this process instead of a process."""

    def _setupSerialPort(self, serialConnection: str, debugSerialConnection: str | None = None) -> None:
        for unused in (self._sendQueue, self._receiveQueue):
            unused.close()
            unused.join_thread()
        self._sendQueue, self._receiveQueue = queue.Queue(), queue.Queue()
        loop = serialPortController(
            serialConnection, self._sendQueue, self._receiveQueue, self._connectionCommand
        )
        self._connection = threading.Thread(target=loop.run, name="magpy")


def test_magpys_own_port_loop_drives_the_unit_over_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(port: str, **options: Any) -> serial.SerialBase:
        return serial.serial_for_url(port, **options)

    unit = Unit200(arming_s=0.1)
    line = SocketLine(unit, WALL)
    line.start()
    monkeypatch.setattr(serial, "Serial", opened)
    try:
        magstim = ThreadedMagstim(line.port)
        magstim.connect()
        assert magstim.setPower(30, receipt=True, delay=True)[0] == 0
        assert magstim.arm(receipt=True, delay=True)[0] == 0  # sleeps 1.1 s: its pokes keep control
        assert magstim.isReadyToFire()
        sent_s = WALL.now_s()
        assert magstim.fire(receipt=True)[0] == 0
        magstim.disconnect()
    finally:
        line.close()
    ((t_s, power),) = ((d.t_s, d.power_pct_mso) for d in unit.discharges)
    assert power == 30
    assert t_s - sent_s >= 3 * 10 / 9600 + 0.0084
    pokes = [t_s for t_s, body in unit.packets if body[:2] == b"Q@"]
    assert len(pokes) >= 4
    assert unit.history == []
    state = unit.state()
    assert (state.remote, state.armed) == (False, False)
