"""A good treatment plan and a good course as text, and ways to spoil them."""

from __future__ import annotations

from rtloop.app.paper_unit import paper_unit
from rtloop.safety.rules import MotorThreshold

GOOD = """
[plan]
name = "good"
kind = "treat"
schema = 1
label = "assumed"
citation = "nobody"

[unit]
model = "super-rapid"
waveform = "biphasic"

[trains]
frequency_hz = 10.0
pulses = 40
count = 10
pause_s = 26.0

[ramp_up]
steps_pct_rmt = [60.0, 70.0]
trains_each = 2

[threshold]
method = "EMG"
max_age_days = 7

[caps]
power_pct_mso_max = 80
pulses_session_max = 400

[[targets]]
name = "M1"
coil_at = "C3"
coil = "figure of eight"
current_direction = "PA"
intensity_pct_rmt = 80.0

[[targets]]
name = "ACC"
coil_at = { x_m = 0.0, y_m = 0.03, z_m = 0.08 }
coil = "double cone"
current_direction = "PA"
intensity_pct_rmt = 110.0
"""
#: a good table of its own for such a plan
GATE = """
[gate]
measure = "plv"
band = "alpha"
near = "coil"
holds = "below"
quantile = 0.5
window_s = 4.0
every_s = 0.5
recovery_s = 4.0
swing_uv_max = 150.0
fast_uv_max = 20.0
calibration_windows = 20
calibration_max_s = 200.0
time_out_s = 20.0
then = "give"
begin_by = "state"
"""
COURSE = """
[plan]
name = "good"
kind = "course"
schema = 1
label = "assumed"
citation = "nobody"

[course]
treatment = "treat-10hz-4s"
if_undecided = "classic"
baseline = "before"
primary = "after"

[[phases]]
name = "daily"
sessions = 3
first_day = 0
every_days = 1
early_days = 1
late_days = 2
min_gap_days = 1

[[phases]]
name = "weekly"
sessions = 2
first_day = 7
every_days = 7
early_days = 2
late_days = 3
min_gap_days = 4

[[assessments]]
name = "before"
day = -1
early_days = 5
late_days = 1

[[assessments]]
name = "after"
day = 20
early_days = 0
late_days = 3
"""
RAPID = paper_unit("super-rapid", 240, ())


def spoiled(text: str, *changes: tuple[str, str]) -> str:
    """The text with the first occurrence of each text replaced; a text that is not there is an error."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def threshold(pct_mso: float = 55, **other: str) -> MotorThreshold:
    """Of the person that a treatment is checked for, with the rig of the good plan's M1."""
    words = {
        "participant": "as checked", "date": "2026-11-23", "method": "EMG", "coil": "figure of eight",
        "waveform": "biphasic, PA", "unit_model": "super-rapid",
    } | other  # fmt: skip
    return MotorThreshold(pct_mso=pct_mso, **words)
