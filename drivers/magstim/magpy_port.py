"""Owns what is said to a unit by MagPy, in one process and one thread; owns no rule about what may be sent.

MagPy builds the commands, checks the replies and parses them; its source is unedited. What is replaced is
what stands below it (``drivers.magstim.exchange``).
Never used from MagPy: ``isArmed``, ``poke``, ``quickFire``, ``delay=True``, anything without a receipt.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from magpy.magstim import BiStim, Magstim, Rapid, calcCRC

from drivers.magstim.exchange import Exchange
from drivers.magstim.line import Line
from drivers.trouble import Garbled, Refused
from rtloop.clock import Clock
from rtloop.model.pulse import Pair, Train

RAPID_TRAIN, RAPID_SINGLE = 0x02, 0x08


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a unit says it holds for trains (Rapid²) or pairs (BiStim²); each unit fills its own fields."""

    frequency_hz: float = 0.0
    n_pulses: int = 0
    duration_s: float = 0.0
    power_b_pct_mso: int = 0
    interval_ms: float = 0.0

    @property
    def most_pulses(self) -> int:
        """The most that one fire command gives by these numbers: whichever of a train's own the unit goes by."""
        by_time = math.ceil(self.frequency_hz * self.duration_s)
        return max(self.n_pulses, by_time, 2 if self.power_b_pct_mso > 0 else 1)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A proper reply: its raw status byte, and when its last byte came. ``rapid``: a Rapid²'s second status byte.

    ``late_s``: it may be the reply to a question of so long before, which had none within its deadline.
    """

    instr: int
    t_sent_s: float
    t_s: float
    late_s: float = 0.0
    power_pct_mso: int | None = None
    coil_temp_c: float | None = None
    rapid: int | None = None
    held: Held | None = None

    @property
    def about_s(self) -> float:
        """The earliest instant that it may tell of."""
        return self.t_sent_s - self.late_s

    @property
    def said_s(self) -> float:
        """``t_s``, or for a late one when it should have come."""
        return self.t_s - self.late_s

    @property
    def train_running(self) -> bool | None:
        """None where the reply does not say."""
        return None if self.rapid is None else bool(self.rapid & RAPID_TRAIN)

    @property
    def single_pulses(self) -> bool | None:
        """None where the reply does not say."""
        return None if self.rapid is None else bool(self.rapid & RAPID_SINGLE)


class _InThread:
    """What makes a unit of MagPy's work over an exchange instead of a child process."""

    _sendQueue: Any
    _receiveQueue: Any
    remoteControl: Any

    def __init__(self, exchange: Exchange, **of_magpy: Any) -> None:
        self._exchange = exchange
        super().__init__("in this thread", **of_magpy)  # type: ignore[call-arg]

    def _setupSerialPort(self, serialConnection: str, debugSerialConnection: str | None = None) -> None:
        self._sendQueue = self._receiveQueue = self._exchange
        self._connection = SimpleNamespace()  # where MagPy keeps its child process

    def take_control(self) -> tuple[int, Any]:
        """``connect`` without its child process, keeping the error."""
        answer: tuple[int, Any] = self.remoteControl(True, receipt=True)
        if not answer[0]:
            self._connected = True
        return answer


class Unit200(_InThread, Magstim):  # type: ignore[misc]
    """MagPy's 200² in this thread."""


class UnitBistim(_InThread, BiStim):  # type: ignore[misc]
    """MagPy's BiStim² in this thread."""


class UnitRapid(_InThread, Rapid):  # type: ignore[misc]
    """MagPy's Rapid² in this thread."""


class MagpyPort:
    """A unit on a line: one method a command, each answered within 0.4 s (armed 0.25 s) or raising LineTrouble. Itself a 200².

    Parameters
    ----------
    line : an open line (see ``drivers.magstim.line``)
    urgent : polled at least every 5 ms while a reply is awaited; when true, EA is written and Cut raised
    """

    def __init__(self, line: Line, clock: Clock, urgent: Callable[[], bool]) -> None:
        self._line = line
        self.exchange = Exchange(line, clock, urgent)
        self._unit = self._made()

    def _made(self) -> Any:
        return Unit200(self.exchange)

    def identify(self) -> tuple[int, ...]:
        """The unit's software version, asked before anything else; () where the model does not report one."""
        return ()

    def look(self, *, mode: bool = False, numbers: bool = False) -> Reply:
        """The keep-alive, with a status byte of now; ``mode``: also whether it gives trains, where a unit says that.

        ``numbers``: also power, train and pair as ``parameters`` (200²: 22 ms in all).
        """
        control = self.take_control()
        return self.parameters() if numbers else control

    def set_setting(self, setting: Train | Pair | None) -> None:
        """Single pulses (None), a train or a pair; what came of it says ``differs`` of ``parameters``."""
        if setting is not None:
            raise Refused(f"no {type(setting).__name__.lower()} on this unit", written=False)

    def differs(self, reply: Reply, setting: Train | Pair | None) -> str:
        """In what a reply contradicts the setting, in words; "" when in nothing that it says.

        A 200² has neither power B nor interval, so its reply to ``J`` has zeros there; a BiStim²'s has not.
        """
        held = reply.held
        if held is None or (held.power_b_pct_mso == 0 and held.interval_ms == 0):
            return ""
        return f"power B {held.power_b_pct_mso} %, interval {held.interval_ms:g} (a BiStim²?)"

    def take_control(self) -> Reply:
        """``Q@``: also the keep-alive, and the one status byte taken *after* the command took effect."""
        return self._ask(self._unit.take_control)

    def release(self) -> Reply:
        return self._ask(lambda: self._unit.remoteControl(False, receipt=True))

    def parameters(self) -> Reply:
        return self._ask(self._unit.getParameters)

    def temperature(self) -> Reply:
        return self._ask(self._unit.getTemperature)

    def set_power(self, power_pct_mso: int) -> Reply:
        return self._ask(lambda: Magstim.setPower(self._unit, power_pct_mso, receipt=True))

    def arm(self) -> Reply:
        return self._ask(lambda: self._unit.arm(receipt=True))

    def disarm(self) -> Reply:
        return self._ask(lambda: self._unit.disarm(receipt=True))

    def fire(self, *, not_after_s: float = math.inf) -> Reply:
        """``EH``, unless it is too late for it. A no is ``E?`` or ``ES``: the unit knows ``EH``, a lone ``?`` is damage."""
        self.exchange.not_after_s = not_after_s
        try:
            return self._ask(lambda: self._unit.fire(receipt=True))
        except Refused as err:
            if err.written and self.exchange.last[:1] != b"E":
                raise Garbled(f"no answer to EH: {err}", written=True) from err
            raise
        finally:
            self.exchange.not_after_s = math.inf

    def close(self) -> None:
        self._line.close()

    def _ask(self, call: Callable[[], tuple[int, Any]]) -> Reply:
        try:
            error, parsed = call()
        except ValueError as err:  # digits that are none, under a good check byte
            raise Garbled(f"cannot read {self.exchange.last!r}: {err}", written=True) from err
        raw = self.exchange.last
        if error in (
            Magstim.INVALID_COMMAND_ERR[0],
            Magstim.INVALID_DATA_ERR[0],
            Magstim.COMMAND_CONFLICT_ERR[0],
        ):
            raise Refused(f"the unit answered {raw!r}: {parsed}", written=True)
        if error in (Magstim.INVALID_CONFIRMATION_ERR[0], Magstim.CRC_MISMATCH_ERR[0]):
            raise Garbled(f"the unit answered {raw!r}: {parsed}", written=True)
        if error:
            raise Refused(f"not sent: {parsed}", written=False)
        if not isinstance(parsed, dict):  # MagPy's (0, None): it sent nothing and calls that success
            raise Refused("not sent: MagPy gave no receipt", written=False)
        temperature = parsed.get("magstimTemp")
        power, held = _held(parsed, raw)
        return Reply(
            instr=raw[1], t_sent_s=self.exchange.t_sent_s, t_s=self.exchange.t_reply_s, power_pct_mso=power,
            coil_temp_c=max(temperature["coil1Temp"], temperature["coil2Temp"]) if temperature else None,
            rapid=raw[2] if "rapid" in parsed else None, held=held, late_s=self.exchange.late_s,
        )  # fmt: skip

    def own(self, body: bytes, n_bytes: int | None) -> bytes:
        """A command that MagPy gets wrong, built here: its reply whole, with a good check byte; LineTrouble."""
        self.exchange.put((body + bytes(calcCRC(body)), "own", n_bytes))
        raw = bytes(self.exchange.get()[1])
        if raw == b"?" or raw[1:2] in (b"?", b"S"):
            raise Refused(f"the unit answered {raw!r} to {body!r}", written=True)
        if raw[:1] != body[:1]:
            raise Garbled(f"the unit answered {raw!r} to {body!r}", written=True)
        return raw

    def own_rapid(self, body: bytes, n_bytes: int) -> Reply:
        """``own`` with two status bytes in the reply."""
        raw = self.own(body, n_bytes)
        at = self.exchange
        return Reply(instr=raw[1], rapid=raw[2], t_sent_s=at.t_sent_s, t_s=at.t_reply_s, late_s=at.late_s)


def _held(parsed: dict[str, Any], raw: bytes) -> tuple[int | None, Held | None]:
    """Power, and what is held for trains or pairs, from any of MagPy's parameter dicts.

    MagPy passes over the last six digits of a 200²'s ``J`` (``raw``): a BiStim² has power B and interval there.
    """
    if "magstimParam" in parsed:
        if not raw[2:11].isdigit():  # " 42" is a number to MagPy
            raise Garbled(f"no digits where power and interval stand in {raw!r}", written=True)
        two = Held(power_b_pct_mso=int(raw[5:8]), interval_ms=float(raw[8:11]))
        return parsed["magstimParam"]["power"], two
    if (pair := parsed.get("bistimParam")) is not None:
        return pair["powerA"], Held(power_b_pct_mso=pair["powerB"], interval_ms=float(pair["ppOffset"]))
    if (many := parsed.get("rapidParam")) is not None:
        return many["power"], Held(
            frequency_hz=many["frequency"], n_pulses=many["nPulses"], duration_s=many["duration"]
        )
    return None, None
