"""A good plan as text, and ways to spoil it."""

from __future__ import annotations

GOOD = """
[plan]
name = "good"
kind = "map"
schema = 1

[unit]
model = "200"
coil = "70 mm"
waveform = "monophasic"

[threshold]
pct_mso = 50
date = 2026-11-20
method = "EMG"
coil = "70 mm"
waveform = "monophasic"
participant = "P01"

[timing]
isi_s = [3.2, 4.0]
lead_s = 1.0

[caps]
power_pct_mso_max = 60
pulses_total_max = 400

[signal]
window_ms = [15.0, 300.0]
gap_ms = [-2.0, 10.0]

[arm]
question = "none"

[order]
kind = "as_listed"

[[targets]]
name = "M1"
coil_at = "C3"
intensity_pct_rmt = 110.0
pulses_wanted = 100
pulses_max = 160
preview = { pulses = 5, steps_pct_rmt = [100.0, 110.0] }
accept = { early_response_uv_min = 8.0, rejected_share_max = 0.3 }

[[targets]]
name = "ACC"
coil_at = { x_m = 0.0, y_m = 0.03, z_m = 0.08 }
local_electrodes = ["Fz", "FCz", "F1", "F2"]
intensity_pct_mso = 55
pulses_wanted = 100
pulses_max = 160
preview = { pulses = 5, steps_pct_mso = [55] }
accept = { early_response_uv_min = 8.0, rejected_share_max = 0.3 }
control = { kind = "sham", pulses = 20 }
"""


def spoiled(*changes: tuple[str, str]) -> str:
    """The good plan with the first occurrence of each text replaced; a text that is not there is an error."""
    text = GOOD
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text
