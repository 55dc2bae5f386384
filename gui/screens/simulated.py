"""Owns the page of a simulated bedside: what may go wrong, one button each; owns no fault and no session."""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

#: name -> (text, fault as hardware_sim reads it, what is to be seen)
FAULTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "freeze": ("Freeze the stream for 3 s", {"kind": "freeze", "for_s": 3.0}, "held at 50 ms, disarmed at 250 ms"),
    "drop": ("Lose 200 samples", {"kind": "drop", "samples": 200}, "a gap, the trial in it is refused"),
    "die": ("Pull the amplifier", {"kind": "die"}, "stream lost: disarmed; open it again after plugging back"),
    "return": ("Plug the amplifier back", {"kind": "return"}, "the same source again: open the stream again"),
    "flat": ("Flatten Cz for 20 s", {"kind": "flat", "for_s": 20.0, "channels": ["Cz"]}, "bad channel, averages without it"),
    "pulse": ("A pulse nobody commanded", {"kind": "pulse", "power_pct_mso": 50.0}, "told and disarmed"),
    "miss": ("The next pulse leaves no trace", {"kind": "miss_pulses", "count": 1}, "commanded but not seen"),
    "hot": ("Hot coil (41 °C)", {"kind": "hot_coil", "temp_c": 41.0}, "disarmed, refused until it has cooled"),
    "mute": ("The unit stops answering for 2 s", {"kind": "mute", "end_s": 2.0}, "unit silent: disarmed"),
    "unplug": ("Unplug the unit", {"kind": "unplug"}, "tripped: only a new session clears it"),
}  # fmt: skip
WITH_UNIT = ("hot", "mute", "unplug", "miss")


class SimulatedSheet(QWidget):
    """Only shown where everything is simulated; ``said`` carries the word ``inject`` and the fault as JSON."""

    said = Signal(str, tuple)

    def __init__(self) -> None:
        super().__init__()
        heading = QLabel("Press what should go wrong; the status line tells what rtloop makes of it.")
        heading.setWordWrap(True)
        self.last = QLabel("")
        self.last.setWordWrap(True)
        self.last.setProperty("tone", "off")
        grid = QGridLayout()
        grid.setSpacing(4)
        self.buttons: dict[str, QPushButton] = {}
        half = (len(FAULTS) + 1) // 2
        for place, (name, (text, _, seen)) in enumerate(FAULTS.items()):
            button = self.buttons[name] = QPushButton(text)
            button.setProperty("thin", "true")
            button.setToolTip(f"to be seen: {seen}")
            button.clicked.connect(lambda _=False, name=name: self._inject(name))
            grid.addWidget(button, place % half, place // half)
        box = QVBoxLayout(self)
        box.setContentsMargins(6, 4, 6, 4)
        box.setSpacing(4)
        box.addWidget(heading)
        box.addLayout(grid)
        box.addWidget(self.last)
        box.addStretch(1)

    def show_it(self, connected: bool, why_not: str) -> None:
        """Which may be pressed now."""
        for name, button in self.buttons.items():
            why = why_not or ("" if connected or name not in WITH_UNIT else "no unit is connected")
            button.setEnabled(not why)

    def _inject(self, name: str) -> None:
        text, fault, seen = FAULTS[name]
        self.last.setText(f"{text}. To be seen: {seen}.")
        self.said.emit("inject", (json.dumps(fault),))
