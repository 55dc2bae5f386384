"""Owns the state machine of a simulated unit on explicit time: bytes in, timed bytes and pulses out.

It owns no command (``hardware_sim.commands`` and the models), no transport, thread or clock
(``hardware_sim.line``). Rules and replies: design note STIMULATOR section 1; where that note is silent,
"our choice" says so.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from hardware_sim.coil import Coil, Ramp
from hardware_sim.faults import Fault, FaultKind, FaultSchedule
from hardware_sim.packet import BYTE_S, Command, Discharge, Model, UnitState
from hardware_sim.talk import Talk
from rtloop.errors import ValidationProblem

RTS_LATENCY_S = 0.0011  # from an edge on the trigger input to the discharge (MagPy's published plot)
TTL_LATENCY_S = 0.00025
LEAD_S = 0.010  # a later pulse of a train or pair is inevitable, and told, so long before (our choice)
ARMING_S = 1.0
SELF_DISARM_S = 60.0
KEEP_ALIVE_ARMED_S = 1.0
KEEP_ALIVE_STANDBY_S = 10.0
HOT_C, AMBIENT_C = 40.0, 22.0
_EPS_S = 1e-6
_SILENCE, _NO_PULSE = "control lost: keep-alive missed", "disarmed: no pulse for 60 s"
FOREIGN_PACKET = b"R@\x6d"  # what another program sends unless told otherwise: it gives control back
_TRAIN_FAULTS = (FaultKind.TRAIN_MODE, FaultKind.TRAIN_OBEYS_EA, FaultKind.TRAIN_IGNORES_EA)


class Unit:
    """A unit of some model. Methods take the instant; an earlier instant than the last counts as the last.

    Parameters
    ----------
    faults : counted from the first instant the unit is shown
    coil_temp_c : at the start
    on_discharge : called with (t_s, power_pct_mso) as soon as a pulse is inevitable, a few ms before ``t_s``
    ambient_c : what the coil cools towards
    power_pct_mso : setpoint at the start, reached
    check_crc : refuse packets with a wrong CRC as bad data
    heating_c : rise of the coil by one pulse at 100 % (None: the model's)
    serial_latency_s : from the last byte of ``EH`` to the discharge (None: the model's)
    trigger_latency_s : from an edge on the trigger input to the discharge
    """

    model: Model  # of the class, or set before __init__ here

    def __init__(
        self,
        *,
        faults: Sequence[Fault] = (),
        coil_temp_c: float = AMBIENT_C,
        ambient_c: float = AMBIENT_C,
        on_discharge: Callable[[float, int], None] | None = None,
        check_crc: bool = True,
        arming_s: float = ARMING_S,
        serial_latency_s: float | None = None,
        trigger_latency_s: float = RTS_LATENCY_S,
        power_pct_mso: int = 0,
        heating_c: float | None = None,
    ) -> None:
        self.discharges: list[Discharge] = []
        self.history: list[tuple[float, str]] = []  # what the unit did by itself, in words
        self.rx_free_s = -math.inf  # when the last byte handed in has arrived
        self.commands: Mapping[int, Command] = self.model.commands
        for fault in faults:
            self._suits(fault)
        self._faults = FaultSchedule(faults)
        self._talk = Talk(self, self._faults, check_crc=check_crc)
        self._on_discharge, self._arming_s, self._commanded = on_discharge, arming_s, True
        self._latency_s = self.model.serial_latency_s if serial_latency_s is None else serial_latency_s
        self._trigger_latency_s = trigger_latency_s
        self._t_s = -math.inf
        self._unsent: list[tuple[float, bytes]] = []
        self._remote = False
        self._armed_s: float | None = None
        self._ramp = Ramp(power_pct_mso)
        self._coil = Coil(coil_temp_c, ambient_c, self.model.heating_c if heating_c is None else heating_c)
        self._coming: deque[Discharge] = deque()  # later pulses of what one fire has begun
        self._last_shot: Discharge | None = None  # the first pulse of the last fire: the gap counts from it

    @property
    def packets(self) -> list[tuple[float, bytes]]:
        """Whole packets with a good CRC, and when they were whole."""
        return self._talk.packets

    @property
    def setpoint_pct_mso(self) -> int:
        """Power asked for; reached when the ramp is over."""
        return self._ramp.setpoint_pct_mso

    @property
    def power_limit_pct_mso(self) -> int:
        """Highest power that can be asked for now."""
        return self.model.max_power_pct_mso

    # ---- what the line calls -------------------------------------------------------------------

    def receive(self, data: bytes, now_s: float) -> list[tuple[float, bytes]]:
        """Bytes put on the line at ``now_s``; returns replies and when the LAST byte of each has left."""
        out = self.tick(now_s)
        t_s = max(now_s, self.rx_free_s)
        for byte in data:
            t_s += BYTE_S
            out += self.tick(t_s)
            if not self._faults.active(FaultKind.CABLE_OUT, t_s):
                out += self._talk.take(byte, t_s)
        self.rx_free_s = t_s
        return out

    def tick(self, now_s: float) -> list[tuple[float, bytes]]:
        """Let time pass; returns unsolicited bytes (only a fault sends any)."""
        if self._t_s == -math.inf:
            self._faults.begin(now_s)
            self._t_s = self._talk.last_packet_s = now_s
            self._coil.begin(now_s)
        now_s = max(now_s, self._t_s)
        out, self._unsent = self._unsent, []
        for t_s in [*self._faults.starts(self._t_s, now_s), now_s]:
            self._live(t_s)
            out += self._suffer(t_s)
        return out

    def unplugged(self, now_s: float) -> bool:
        """Whether the port is not there (for good, or until it comes back)."""
        t_s = max(now_s, self._t_s)
        return any(self._faults.active(kind, t_s) for kind in (FaultKind.UNPLUG, FaultKind.PORT_BACK))

    def host_event(self, what: str, now_s: float) -> Discharge | None:
        """The host's end of a line was opened, closed or torn away: "open", "close", "crash", "unplug".

        Nothing happens, unless a ``trigger_edge`` fault makes an edge of it; then as ``trigger_edge``.
        """
        self._unsent += self.tick(now_s)
        struck = self._faults.strike(FaultKind.TRIGGER_EDGE, self._t_s, b"", how=what)
        return self._edge(self._t_s, f"at {what} of a line") if struck else None

    # ---- the other inputs of the unit ------------------------------------------------------------

    def trigger_edge(self, now_s: float) -> Discharge | None:
        """An edge on the trigger input: fires like ``EH``, ``trigger_latency_s`` later, if armed and ready.

        None when the unit does not fire; that is said in ``history``.
        """
        self._unsent += self.tick(now_s)
        return self._edge(self._t_s, "")

    def stop_input(self, now_s: float) -> None:
        """The hardware STOP input: to standby and no further pulse of a train, whatever the unit does."""
        self._unsent += self.tick(now_s)
        self._stand_down(self._t_s, "disarmed: hardware STOP", stops_train=True)

    def external_fire(
        self, now_s: float, *, power_pct_mso: int | None = None, needs_arming: bool = False
    ) -> Discharge | None:
        """A single pulse from the front panel at ``now_s``, at the actual or the given power.

        Without ``needs_arming`` somebody at the panel is taken to have armed the unit. None when the unit
        could not: within the minimum gap, not ready though that was asked for, or no coil.
        """
        self._unsent += self.tick(now_s)
        t_s = self._t_s
        power = round(self._ramp.at(t_s)) if power_pct_mso is None else power_pct_mso
        if self._faults.active(FaultKind.COIL_ABSENT, t_s) or (needs_arming and not self._ready(t_s)):
            return None
        if not t_s >= self._recharged_s(power) - _EPS_S:
            return None
        self._last_shot = Discharge(t_s=t_s, power_pct_mso=power, commanded=False)
        return self._discharge(self._last_shot)

    # ---- what tests and scenarios call -----------------------------------------------------------

    def inject(self, fault: Fault, now_s: float | None = None) -> None:
        """Add a fault live; its times count from ``now_s`` (None: the last instant the unit was shown).

        Raises ValidationProblem when this model cannot have it.
        """
        self._suits(fault)
        origin_s = self._t_s if now_s is None else now_s
        self._faults.add(fault, None if origin_s == -math.inf else origin_s)

    def clear(self, kind: FaultKind | None = None) -> None:
        """Take away the faults of one kind, or all."""
        self._faults.clear(kind)

    def state(self) -> UnitState:
        """Snapshot as of the last instant shown; changes nothing."""
        t_s = self._t_s
        return UnitState(
            t_s=t_s, instr=self.instr(t_s), remote=self._remote, armed=self._armed_s is not None,
            ready=self._ready(t_s), setpoint_pct_mso=self.setpoint_pct_mso, actual_pct_mso=self._ramp.at(t_s),
            coil_temp_c=self.temperature_c(t_s), train_running=self.train_running,
        )  # fmt: skip

    @property
    def train_running(self) -> bool:
        """Whether a train is under way."""
        return False

    def _suits(self, fault: Fault) -> None:
        if fault.kind in _TRAIN_FAULTS and not self.model.trains:
            raise ValidationProblem(
                f"a unit of model {self.model.name!r} has no trains", found=f"fault {fault.kind}",
                todo="use a model with trains, or another fault",
            )  # fmt: skip

    # ---- time ------------------------------------------------------------------------------------

    def _live(self, until_s: float) -> None:
        """Let what falls due happen, in its order, up to an instant."""
        while self._coming and self._coming[0].t_s - LEAD_S <= until_s:
            self._settle(max(self._t_s, self._coming[0].t_s - LEAD_S))
            if self._coming and self._coming[0].t_s - LEAD_S <= self._t_s:
                self._discharge(self._coming.popleft())
        self._settle(until_s)

    def _settle(self, t_s: float) -> None:
        while (due := min(self._due(), default=None)) is not None and due[0] <= t_s:
            self._fall_due(*due)
        self._t_s = t_s
        self._forbid(t_s)

    def _due(self) -> list[tuple[float, str]]:
        """What will happen by itself, and when."""
        due: list[tuple[float, str]] = []
        if self._remote:
            limit_s = KEEP_ALIVE_STANDBY_S if self._armed_s is None else KEEP_ALIVE_ARMED_S
            due.append((self._talk.last_packet_s + limit_s, _SILENCE))
        if self._armed_s is not None:
            last_s = self.discharges[-1].t_s if self.discharges else -math.inf
            due.append((max(self._armed_s, last_s) + SELF_DISARM_S, _NO_PULSE))
        return due

    def _fall_due(self, t_s: float, words: str) -> None:
        if words == _SILENCE:
            self._remote = False
        self._stand_down(t_s, words, stops_train=self._obeys_disarm(t_s))

    def _suffer(self, t_s: float) -> list[tuple[float, bytes]]:
        """Faults that happen once, at their start."""
        out, self._commanded = [], False
        for fault in self._faults.once(FaultKind.UNSOLICITED_BYTES, t_s):
            out += self._talk.send(fault.data or b"", t_s)
        for fault in self._faults.once(FaultKind.TWO_OWNERS, t_s):
            for byte in fault.data or FOREIGN_PACKET:  # its replies meet our host too
                out += self._talk.take(byte, t_s)
        for _ in self._faults.once(FaultKind.TRIGGER_EDGE, t_s, how="now"):
            self._edge(t_s, "from nowhere")
        for _ in self._faults.once(FaultKind.TRAIN_MODE, t_s):
            self._set_to_train_mode()
        self._commanded = True
        return out

    def _set_to_train_mode(self) -> None:
        """Somebody has set the unit to trains at its panel; a model without trains cannot."""

    def _forbid(self, t_s: float) -> None:
        """Fall back to standby where the unit's own protection says so."""
        once = self._faults.once(FaultKind.STANDBY_UNEXPECTEDLY, t_s)
        if self._armed_s is not None and (why := self._cannot_arm(t_s) or ("fault" if once else "")):
            self._stand_down(t_s, f"disarmed: {why}", stops_train=True)

    def _cannot_arm(self, t_s: float) -> str:
        if self._faults.active(FaultKind.COIL_ABSENT, t_s):
            return "no coil"
        if self._faults.active(FaultKind.ERROR_BIT, t_s):
            return "error"
        return "coil above 40 degrees C" if not self.temperature_c(t_s) <= HOT_C else ""

    def _stand_down(self, t_s: float, words: str, *, stops_train: bool) -> None:
        """To standby. A second discharge of a pair that has begun is not held back (our choice)."""
        if words:
            self.history.append((t_s, words))
        self._armed_s = None

    def _obeys_disarm(self, t_s: float) -> bool:
        """Whether a disarm, or lost control, stops a running train."""
        return True

    def _recharged_s(self, power: float) -> float:
        """Earliest next discharge. The longer gap of the last and the coming power counts (our choice)."""
        if self._last_shot is None:
            return -math.inf
        return self._last_shot.t_s + max(self._gap_s(self._last_shot.power_pct_mso), self._gap_s(power))

    def _gap_s(self, power: float) -> float:
        return self.model.min_gap_s(power)

    def _ready(self, t_s: float, latency_s: float | None = None) -> bool:
        """Ready is off, and armed on, while arming, ramping and recharging (our choice for the last)."""
        fires_s = t_s + (self._latency_s if latency_s is None else latency_s)
        return (
            self._armed_s is not None
            and t_s >= self._armed_s + self._arming_s - _EPS_S
            and t_s >= self._ramp.end_s - _EPS_S
            and fires_s >= self._recharged_s(self.setpoint_pct_mso) - _EPS_S
            and not self._faults.active(FaultKind.STUCK_BUSY, t_s)
        )

    def instr(self, t_s: float) -> int:
        """Status byte."""
        armed, ready = self._armed_s is not None, self._ready(t_s)
        coil = not self._faults.active(FaultKind.COIL_ABSENT, t_s)
        replace = self._faults.active(FaultKind.REPLACE_COIL, t_s)
        error = self._faults.active(FaultKind.ERROR_BIT, t_s)
        fatal = error is not None and error.fatal
        bits = (not armed, armed and not ready, ready, coil, replace, error, fatal, self._remote)
        return sum(1 << i for i, bit in enumerate(bits) if bit)

    def _discharge(self, pulse: Discharge) -> Discharge:
        self._coil.heat(pulse.t_s, pulse.power_pct_mso)
        self.discharges.append(pulse)
        if self._on_discharge is not None:
            self._on_discharge(pulse.t_s, pulse.power_pct_mso)
        return pulse

    def _shots(self, first_s: float, power: int) -> list[Discharge]:
        """What one fire gives, the first pulse at ``first_s``."""
        return [Discharge(t_s=first_s, power_pct_mso=power)]

    def _go(self, first_s: float, *, commanded: bool) -> Discharge | None:
        if self._faults.strike(FaultKind.FIRE_WITHOUT_DISCHARGE, self._t_s, b"EH"):
            return None
        power = round(self._ramp.at(self._t_s))
        first, *later = (replace(s, commanded=commanded) for s in self._shots(first_s, power))
        self._last_shot = first
        self._discharge(first)
        self._coming.extend(later)
        while self._coming and self._coming[0].t_s - LEAD_S <= self._t_s:
            self._discharge(self._coming.popleft())
        return first

    def _edge(self, t_s: float, whence: str) -> Discharge | None:
        words = f"trigger edge {whence}".rstrip()
        if not self._ready(t_s, self._trigger_latency_s):
            self.history.append((t_s, f"{words}: not ready, no pulse"))
            return None
        if whence:
            self.history.append((t_s, words))
        return self._go(t_s + self._trigger_latency_s, commanded=not whence)

    # ---- what commands do --------------------------------------------------------------------------

    def packet_bytes(self, command: Command, begun: bytes) -> int:
        """Length of the packet that begins so, checksum included."""
        return 2 + command.data_bytes

    def take_control(self) -> None:
        """Remote control on."""
        self._remote = True

    def release_control(self) -> None:
        """Disarm, remote control off."""
        self._remote = False
        self.disarm()

    def arm(self, t_s: float) -> bool:
        """Start arming; False when not in standby, not under control, or the unit protects itself."""
        if not self._remote or self._armed_s is not None or self._cannot_arm(t_s):
            return False
        self._armed_s = t_s
        return True

    def disarm(self) -> None:
        """To standby, from any state, with or without control."""
        self._stand_down(self._t_s, "", stops_train=self._obeys_disarm(self._t_s))

    def fire(self, t_s: float) -> bool:
        """Discharge ``serial_latency_s`` later; False when not ready or not under control."""
        if not self._remote or not self._ready(t_s):
            return False
        self._go(t_s + self._latency_s, commanded=self._commanded)
        return True

    def set_power(self, power_pct_mso: int, t_s: float) -> bool:
        """Start the ramp to a power; False when not under control."""
        if not self._remote:
            return False
        self._ramp.to(power_pct_mso, t_s)
        return True

    @property
    def remote(self) -> bool:
        """Under remote control."""
        return self._remote

    @property
    def standby(self) -> bool:
        """Neither armed nor ready."""
        return self._armed_s is None

    def temperature_c(self, t_s: float) -> float:
        """What the coil's sensor reads: the value of a hot-coil fault, else the coil's own."""
        fault = self._faults.active(FaultKind.HOT_COIL, t_s)
        return self._coil.at(t_s) if fault is None else float(fault.temp_c or 0.0)
