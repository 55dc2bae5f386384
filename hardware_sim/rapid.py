"""Owns the trains of simulated Magstim Rapid² units: modes, settings that belong together, the train itself.

It owns neither their commands (``hardware_sim.rapid_commands``) nor the common state machine
(``hardware_sim.unit``), and shares no code with any driver. Rules: design note STIMULATOR section 1; "our
choice" marks what that note does not say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from hardware_sim.faults import FaultKind
from hardware_sim.packet import Command, Discharge, Model
from hardware_sim.rapid_commands import commands_of
from hardware_sim.unit import Unit
from rtloop.errors import ValidationProblem

UNLOCK_CODE = "1234-12345678-ab"  # of a simulated unit with software 9 or later, unless told otherwise
LATENCY_S = 0.0051  # serial (MagPy's published plot)
HEATING_C = 0.03  # by one pulse at 100 %; a cooled coil (our choice)
SINGLE_GAP_S = 1.0  # single pulses over serial: at most 1 Hz, above 100 % at most 0.5 Hz
REST_S = 0.5  # after a train, before the next pulse or a changed setting of trains
MAX_PULSES = 6000  # a train
_TRAIN_OVER = "train over"
# highest frequency by power: corners, straight between them, level before the first; within 5 % or 2 Hz of the
# table that MagPy ships, never below it
_CEILINGS_HZ: dict[tuple[int, str], tuple[tuple[int, int], ...]] = {
    (240, "rapid"): ((30, 50), (35, 41), (36, 41), (44, 33), (47, 33), (75, 19), (97, 16), (100, 15)),
    (240, "super-rapid"): ((30, 100), (51, 50), (100, 25)),
    (240, "super-rapid-plus"): ((48, 100), (65, 74), (66, 74), (83, 55), (84, 55), (100, 41)),
    (115, "rapid"): ((30, 36), (53, 21), (97, 11), (100, 11)),
    (115, "super-rapid"): ((37, 60), (55, 40), (84, 26), (100, 22)),
    (115, "super-rapid-plus"): ((49, 60), (69, 40), (99, 27), (100, 25)),
}


def min_gap_rapid_s(power_pct_mso: float) -> float:
    """Shortest time between single pulses."""
    return SINGLE_GAP_S if power_pct_mso <= 100 else 2 * SINGLE_GAP_S


RAPID_MODELS: dict[str, Model] = {
    name: Model(
        name=name, commands={}, max_power_pct_mso=100, min_gap_s=min_gap_rapid_s, heating_c=HEATING_C,
        serial_latency_s=LATENCY_S, trains=True,
    )
    for name in ("rapid", "super-rapid", "super-rapid-plus")
}  # fmt: skip


def ceiling_hz(supply_v: int, family: str, power_pct_mso: float) -> int:
    """Highest frequency of a train at a power."""
    corners = _CEILINGS_HZ[supply_v, family]
    before = corners[0]
    for corner in corners:
        if power_pct_mso <= corner[0]:
            span = corner[0] - before[0]
            share = (power_pct_mso - before[0]) / span if span else 0.0
            return math.floor(before[1] + (corner[1] - before[1]) * max(0.0, share) + 0.5 + 1e-9)
        before = corner
    return before[1]


def energy_wait_s(power_pct_mso: float, n_pulses: int, frequency_hz: float) -> float:
    """What a unit shows as wait: max(0.5, N (f E - 1050) / (1050 f)), E = 252 (p/100)² J."""
    joules = 252.0 * (power_pct_mso / 100) ** 2
    return max(REST_S, n_pulses * (frequency_hz * joules - 1050.0) / (1050.0 * frequency_hz))


@dataclass(frozen=True, kw_only=True)
class TrainGiven:
    """A train that is over: ``why`` is empty when it was whole."""

    first_s: float
    end_s: float
    frequency_hz: float
    asked: int
    given: int
    power_pct_mso: int
    why: str


class UnitRapid(Unit):
    """A Magstim Rapid², Super Rapid² or Super Rapid² Plus. Parameters as ``Unit``, and:

    Parameters
    ----------
    family : "rapid", "super-rapid" or "super-rapid-plus"
    version : of the software; replies and commands differ below 7, from 7, from 9 and from 10
    unlock_code : from software 9 what ``Q`` must carry (None: UNLOCK_CODE; "": no code is needed). A wrong code
        is not answered at all.
    supply_v : 240 or 115
    obeys_ea_in_train : whether a disarm (or lost control) stops a running train; else the train runs to its
        end, the unit shows "armed" meanwhile, and stands down then (our choice: nothing is documented)
    found_in_train_mode : somebody has left it set to 20 pulses at 10 Hz

    A train's settings are consistent: a new frequency or duration sets pulses = duration x frequency, a new
    number of pulses sets duration = pulses / frequency, to the nearest (our choice). ``[`` leads into and out
    of train mode, in standby only; ``B`` and ``D`` conflict in single-pulse mode (our choice). Nothing of it
    changes during a train or the 0.5 s after. A power above the frequency's ceiling lowers the frequency.
    """

    def __init__(
        self, *, family: str = "rapid", version: tuple[int, ...] = (9, 0, 0), unlock_code: str | None = None,
        supply_v: int = 240, obeys_ea_in_train: bool = False, found_in_train_mode: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        coded = tuple(version) >= (9,)
        code = unlock_code if unlock_code is not None else UNLOCK_CODE if coded else ""
        wrong = [] if family in RAPID_MODELS else [f"family {family!r}"]
        wrong += [] if supply_v in (240, 115) else [f"supply_v {supply_v!r} (240 or 115)"]
        wrong += (
            [] if version and all(type(v) is int and v >= 0 for v in version) else [f"version {version!r}"]
        )
        wrong += ["an unlock code before software 9"] if code and not coded else []
        wrong += (
            ["an unlock code of other than Latin-1 letters"] if max(map(ord, code), default=0) > 255 else []
        )
        if wrong:
            raise ValidationProblem("there is no such simulated Rapid²", found="; ".join(wrong))
        self.model = RAPID_MODELS[family]
        self.frequency_tenths, self.n_pulses, self.duration_tenths = 0, 1, 0
        self.single_pulse_mode, self.enhanced = True, False
        self.charge_delay_ms = 0
        self.trains: list[TrainGiven] = []
        self._running: tuple[Discharge, float, int] | None = None  # first pulse, end, pulses before it
        self._rest_until_s, self._stand_down_after = -math.inf, False
        self._obeys = obeys_ea_in_train
        self.family, self.version, self.unlock_code, self.supply_v = family, tuple(version), code, supply_v
        super().__init__(**options)
        self.commands: dict[int, Command] = commands_of(self.version, self.unlock_code)
        if found_in_train_mode:
            self._set_to_train_mode()

    # ---- what is shown -----------------------------------------------------------------------------

    @property
    def power_limit_pct_mso(self) -> int:
        return 110 if self.enhanced else 100

    @property
    def train_running(self) -> bool:
        return self._running is not None

    def ceiling_hz(self, power_pct_mso: float) -> int:
        """Highest frequency of this unit's trains at a power."""
        return ceiling_hz(self.supply_v, self.family, power_pct_mso)

    def wait_tenths(self) -> int:
        """The wait that the unit shows, 0.1 s; the host has to keep it, the unit only insists on 0.5 s."""
        if self.single_pulse_mode or not self.frequency_tenths:
            return round(10 * min_gap_rapid_s(self.setpoint_pct_mso))
        wait_s = energy_wait_s(self.setpoint_pct_mso, self.n_pulses, self.frequency_tenths / 10)
        return math.ceil(wait_s * 10 - 1e-9)

    def rapid_byte(self, t_s: float) -> int:
        """Second status byte."""
        coil = not self._faults.active(FaultKind.COIL_ABSENT, t_s) and self.temperature_c(t_s) <= 40.0
        bits = (
            self.enhanced, self.train_running, not self.train_running and t_s < self._rest_until_s,
            self.single_pulse_mode, True, coil, self.family == "super-rapid-plus", False,
        )  # fmt: skip
        return sum(1 << i for i, bit in enumerate(bits) if bit)

    def extended_byte(self) -> int:
        """Low byte of the extended status: bit 0 Plus module, 2 charge delay set."""
        return (self.family == "super-rapid-plus") | (self.charge_delay_ms > 0) << 2

    def resting(self, t_s: float) -> bool:
        """In a train, or in the pause after it: settings of trains cannot be changed."""
        return self.train_running or t_s < self._rest_until_s

    # ---- settings ----------------------------------------------------------------------------------

    @property
    def _longest_tenths(self) -> int:
        return 9999 if self.version >= (9,) else 999

    def set_frequency(self, tenths: int) -> bool:
        """0.1 Hz; False when out of range."""
        if not 0 < tenths <= 10 * self.ceiling_hz(self.setpoint_pct_mso):
            return False
        pulses = max(1, round(self.duration_tenths * tenths / 100))
        if pulses > MAX_PULSES:
            return False
        self.frequency_tenths, self.n_pulses = tenths, pulses
        return True

    def set_pulses(self, n_pulses: int) -> bool:
        """False when out of range."""
        tenths = max(1, round(n_pulses * 100 / self.frequency_tenths)) if self.frequency_tenths else 0
        if not 1 <= n_pulses <= MAX_PULSES or not 1 <= tenths <= self._longest_tenths:
            return False
        self.n_pulses, self.duration_tenths = n_pulses, tenths
        return True

    def set_duration(self, tenths: int) -> bool:
        """0.1 s; 0 leads to single-pulse mode. False when out of range."""
        pulses = max(1, round(tenths * self.frequency_tenths / 100)) if tenths else 1
        if pulses > MAX_PULSES:
            return False
        self.duration_tenths, self.n_pulses, self.single_pulse_mode = tenths, pulses, tenths == 0
        return True

    def set_power(self, power_pct_mso: int, t_s: float) -> bool:
        """As ``Unit``; not during a train; lowers the frequency where the power asks for it."""
        if self.train_running or not super().set_power(power_pct_mso, t_s):
            return False
        highest = 10 * self.ceiling_hz(power_pct_mso)
        if not self.single_pulse_mode and self.frequency_tenths > highest:
            self.set_frequency(highest)
        return True

    def set_enhanced(self, on: bool, t_s: float) -> None:
        """Powers up to 110 %; going back lowers a higher power to 100 %."""
        self.enhanced = on
        if self.setpoint_pct_mso > self.power_limit_pct_mso:
            self._ramp.to(self.power_limit_pct_mso, t_s)

    def _set_to_train_mode(self) -> None:
        if not self.train_running:
            self.enhanced, self.single_pulse_mode = False, False
            self.frequency_tenths, self.n_pulses, self.duration_tenths = 100, 20, 20

    # ---- trains ------------------------------------------------------------------------------------

    def packet_bytes(self, command: Command, begun: bytes) -> int:
        plain = begun[:2] == b"Q@" and not self.unlock_code.startswith(
            "@"
        )  # another model's Q: not waited for
        return 3 if plain else super().packet_bytes(command, begun)

    def _ready(self, t_s: float, latency_s: float | None = None) -> bool:
        settings = self.single_pulse_mode or self.frequency_tenths > 0
        return settings and super()._ready(t_s, latency_s)

    def _recharged_s(self, power: float) -> float:
        if self._running is not None:
            return math.inf
        if self.single_pulse_mode:
            return max(self._rest_until_s, super()._recharged_s(power))
        last_s = -math.inf if self._last_shot is None else self._last_shot.t_s
        return max(self._rest_until_s, last_s + REST_S)

    def _gap_s(self, power: float) -> float:
        """The charge delay comes on top (our choice)."""
        return super()._gap_s(power) + self.charge_delay_ms / 1000

    def _shots(self, first_s: float, power: int) -> list[Discharge]:
        if self.single_pulse_mode:
            return super()._shots(first_s, power)
        period_s = 10 / self.frequency_tenths
        shots = [Discharge(t_s=first_s + i * period_s, power_pct_mso=power) for i in range(self.n_pulses)]
        self._running = (shots[0], first_s + self.n_pulses * period_s, len(self.discharges))
        return shots

    def _due(self) -> list[tuple[float, str]]:
        if self._running is None:
            return super()._due()
        kept = [due for due in super()._due() if not due[1].startswith("disarmed")]
        return [*kept, (self._running[1], _TRAIN_OVER)]

    def _fall_due(self, t_s: float, words: str) -> None:
        if words == _TRAIN_OVER:
            self._end_train(t_s, "")
        else:
            super()._fall_due(t_s, words)

    def _end_train(self, t_s: float, why: str) -> None:
        assert self._running is not None
        first, _, before = self._running
        end_s = max(t_s, self.discharges[-1].t_s)
        self.trains.append(
            TrainGiven(
                first_s=first.t_s, end_s=end_s, frequency_hz=self.frequency_tenths / 10, asked=self.n_pulses,
                given=len(self.discharges) - before, power_pct_mso=first.power_pct_mso, why=why,
            )
        )  # fmt: skip
        self._running = None
        self._coming.clear()
        self._rest_until_s = end_s + REST_S
        self._last_shot = self.discharges[-1]
        if self._stand_down_after:
            self._stand_down_after = False
            super()._stand_down(t_s, "disarmed: at the end of the train", stops_train=True)

    def _obeys_disarm(self, t_s: float) -> bool:
        if self._faults.active(FaultKind.TRAIN_OBEYS_EA, t_s):
            return True
        return self._obeys and not self._faults.active(FaultKind.TRAIN_IGNORES_EA, t_s)

    def _stand_down(self, t_s: float, words: str, *, stops_train: bool) -> None:
        if self._running is not None:
            if not stops_train:
                self._stand_down_after = True
                if words:
                    self.history.append((t_s, words))
                return
            self._end_train(t_s, words or "disarmed")
        super()._stand_down(t_s, words, stops_train=stops_train)
