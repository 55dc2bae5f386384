"""Owns what is different in the exchange with a BiStim²: power B, interval, resolution; owns no rule about them.

By MagPy: all but the interval, where its arithmetic refuses tenths such as 0.7 ms. The unit does not tell its
resolution: it is what was set last, and it is set anew with every pair.
"""

from __future__ import annotations

from typing import Any

from drivers.magstim.magpy_port import MagpyPort, Reply, UnitBistim
from drivers.trouble import Refused
from rtloop.model.pulse import Pair, Train

SINGLE_INTERVAL_MS = 10  # with power B at 0: the second stimulator gives nothing


class BistimPort(MagpyPort):
    """A BiStim² on a line. Single pulses are pairs whose second pulse has no power."""

    def _made(self) -> Any:
        return UnitBistim(self.exchange)

    def set_setting(self, setting: Train | Pair | None) -> None:
        """Resolution, interval, power B."""
        if isinstance(setting, Train):
            raise Refused("no trains on a BiStim²", written=False)
        fine = setting is not None and setting.high_resolution
        interval_ms = SINGLE_INTERVAL_MS if setting is None else setting.interval_ms
        power_b = 0 if setting is None else setting.power_b_pct_mso
        self._ask(lambda: self._unit.setPowerB(power_b, receipt=True))
        self._ask(lambda: self._unit.highResolutionMode(fine, receipt=True))
        self.own(b"C%03d" % round(interval_ms * (10 if fine else 1)), 3)

    def differs(self, reply: Reply, setting: Train | Pair | None) -> str:
        """Power B and interval, in a reply to ``J``."""
        held = reply.held
        if held is None:
            return ""
        wanted_ms = setting.interval_ms if isinstance(setting, Pair) else SINGLE_INTERVAL_MS
        wanted_b = setting.power_b_pct_mso if isinstance(setting, Pair) else 0
        if held.power_b_pct_mso == wanted_b and round(10 * held.interval_ms) == round(10 * wanted_ms):
            return ""
        return f"power B {held.power_b_pct_mso} %, interval {held.interval_ms:g} ms"
