"""A pulse by trigger without artifact, or the reverse, disarms a whole session; a sham coil's block does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from session_tools import Held, hold_tiny, tiny

from hardware_sim.bench import SteppedBench
from rtloop.app.sitting import Sitting
from rtloop.record.verify import verify

SHAM = '[targets.control]\nkind = "sham"\npulses = 2\n'


@pytest.fixture(autouse=True)
def _no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtloop.app.leaving.write_report", lambda *_: None)  # slow, and shown in other tests


def hold(tmp_path: Path, kind: str, *, block: str = "run", plan: str | None = None) -> Held:
    """A session in which one pulse of ``block`` leaves half its traces."""
    done: list[float] = []

    def spoil(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        if not done and (sitting.loop.view.phase, sitting.interlock.lamp.value) == (block, "ARMED"):
            done.append(now_s)
            bench.inject({"kind": kind, "count": 1})

    held = hold_tiny(tmp_path, plan=plan or tiny(wanted=2), each=spoil, limit_s=60.0)
    assert done
    return held


@pytest.mark.req("R-ACCOUNT")
@pytest.mark.parametrize(
    ("kind", "source", "absent", "words"),
    [
        ("miss_artifacts", "trigger", "artifact", "seen by trigger, no artifact in the EEG"),
        ("miss_triggers", "artifact", "trigger", "seen by artifact, no edge in the trigger channel"),
    ],
)
def test_half_a_pulse_disarms_and_is_still_delivered(
    tmp_path: Path, kind: str, source: str, absent: str, words: str
) -> None:
    held = hold(tmp_path, kind)
    (fault,) = held.kinds("fault_raised")
    assert (fault["fault"], fault["action"]) == ("pulse_not_seen", "disarm")
    assert words in fault["words"]
    (seen,) = [d for d in held.kinds("pulse_seen") if d["absent"]]
    assert (seen["source"], seen["absent"]) == (source, [absent])
    (record,) = [d for d in held.kinds("pulse_accounted") if not d["ok"]]
    assert (record["pulse_id"], record["delivered_min"], record["seen"]) == (seen["pulse_id"], 1, 1)
    assert words in record["words"]
    assert not held.kinds("pulse_not_seen")
    at = next(e.n for e in held.events if e.kind == "fault_raised")
    later = [e for e in held.events if e.n > at]
    steps = [e.n for e in later if e.kind == "arm_confirmed" and e.data["accepted"]]
    pulses = [e.n for e in later if e.kind == "pulse_intended"]
    assert steps
    assert steps[0] < pulses[0]
    assert held.sat is not None
    assert held.sat.exit_code == 0
    accounts = {d["pulse_id"] for d in held.kinds("pulse_accounted")}
    assert accounts == {d["pulse_id"] for d in held.kinds("pulse_closed") + held.kinds("pulse_refused")}
    assert verify(held.folder.path).ok


def test_a_sham_coil_leaves_no_artifact_and_that_is_no_fault(tmp_path: Path) -> None:
    held = hold(tmp_path, "miss_artifacts", block="control", plan=tiny(wanted=2) + SHAM)
    assert held.kinds("fault_raised") == []
    assert [d["absent"] for d in held.kinds("pulse_seen") if d["absent"]] == [["artifact"]]
    assert all(d["ok"] for d in held.kinds("pulse_accounted"))
