"""Owns the physics of a simulated unit that only follows time: the coil's heat and the ramp of its power.

It owns no rule about them (``hardware_sim.unit``).
"""

from __future__ import annotations

import math

COOLING_TAU_S = 600.0  # our choice
RAMP_UP_S_PER_PCT = 0.010
RAMP_DOWN_S_PER_PCT = 0.100


class Coil:
    """Temperature of the coil: every pulse adds energy, which goes with the square of power; it cools by
    Newton's law towards ``ambient_c``.
    """

    def __init__(self, temp_c: float, ambient_c: float, heating_c: float) -> None:
        self._temp_c, self._ambient_c, self._heating_c = temp_c, ambient_c, heating_c
        self._t_s = -math.inf

    def begin(self, t_s: float) -> None:
        """The temperature given at the start holds at ``t_s``."""
        self._t_s = t_s

    def at(self, t_s: float) -> float:
        """Degrees C at ``t_s``."""
        since_s = 0.0 if self._t_s == -math.inf else max(0.0, t_s - self._t_s)
        return self._ambient_c + (self._temp_c - self._ambient_c) * math.exp(-since_s / COOLING_TAU_S)

    def heat(self, t_s: float, power_pct_mso: float) -> None:
        """One pulse."""
        self._temp_c, self._t_s = self.at(t_s) + self._heating_c * (power_pct_mso / 100) ** 2, t_s


class Ramp:
    """The capacitor's way to a new power: 10 ms a % up, 100 ms a % down."""

    def __init__(self, power_pct_mso: int) -> None:
        self.setpoint_pct_mso = power_pct_mso
        self._from, self._start_s, self.end_s = float(power_pct_mso), -math.inf, -math.inf

    def at(self, t_s: float) -> float:
        """% MSO at ``t_s``."""
        if t_s >= self.end_s:
            return float(self.setpoint_pct_mso)
        share = (t_s - self._start_s) / (self.end_s - self._start_s)
        return self._from + (self.setpoint_pct_mso - self._from) * share

    def to(self, power_pct_mso: int, t_s: float) -> None:
        """Start towards a power."""
        actual = self.at(t_s)
        per_pct_s = RAMP_UP_S_PER_PCT if power_pct_mso > actual else RAMP_DOWN_S_PER_PCT
        self._from, self._start_s = actual, t_s
        self.end_s = t_s + abs(power_pct_mso - actual) * per_pct_s
        self.setpoint_pct_mso = power_pct_mso
