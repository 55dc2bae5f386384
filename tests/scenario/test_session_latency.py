"""The delay from fire command to EEG as a condition, in a whole session."""

from __future__ import annotations

from pathlib import Path

import pytest
from session_tools import hold_tiny, tiny

from hardware_sim.bench import SteppedBench
from rtloop.app.sitting import Sitting
from rtloop.record.verify import verify
from rtloop.session.loopback import NEWEST


@pytest.mark.req("R-DELAY")
def test_a_delay_that_is_not_what_is_expected_disarms_and_arms_again_only_by_hand(tmp_path: Path) -> None:
    def other_rig(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        sitting.loop._tally.loopback.expected_s = 0.022  # as if another amplifier had been commissioned

    held = hold_tiny(tmp_path, plan=tiny(wanted=6, most=9), each=other_rig)
    faults = [d for d in held.kinds("fault_raised") if d["fault"] == "latency_off"]
    assert faults
    assert "expected 22.0 ± 5.0 ms" in faults[0]["words"]
    at = next(e.n for e in held.events if e.kind == "fault_raised" and e.data["fault"] == "latency_off")
    before = [e for e in held.events if e.n < at and e.kind == "pulse_closed"]
    assert len(before) == NEWEST
    armed = [e for e in held.events if e.n > at and e.kind == "arm_confirmed" and e.data["accepted"]]
    pulses = [e for e in held.events if e.n > at and e.kind == "pulse_intended"]
    assert not pulses or (armed and pulses[0].n > armed[0].n)
    assert verify(held.folder.path).ok


@pytest.mark.req("R-DELAY")
def test_a_normal_session_tells_its_delay_and_keeps_an_account_of_each_pulse(tmp_path: Path) -> None:
    held = hold_tiny(tmp_path)
    told = held.kinds("latency_measured")
    assert told[0]["learnt"]
    assert told[-1]["ok"]
    assert told[-1]["n"] == len(held.bench.discharges)
    accounts = held.kinds("pulse_accounted")
    assert [a["pulse_id"] for a in accounts] == [
        d["pulse_id"] for d in held.kinds("pulse_closed") if d["t_sent_s"]
    ]
    assert all(a["ok"] and a["delivered_min"] == a["delivered_max"] == a["seen"] == 1 for a in accounts)
    assert all(a["seen_trigger"] == a["seen_artifact"] == 1 for a in accounts)
    report = held.folder.report.read_text()
    assert "fire command to pulse in the EEG" in report
    assert "trigger, artifact" in report
