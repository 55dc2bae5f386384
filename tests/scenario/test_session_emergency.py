"""Seizure or syncope: STOP, the participant locked on disk, nothing armed again in any session until a person unlocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from session_tools import hold_tiny, tiny

from hardware_sim.bench import SteppedBench
from rtloop.app.sitting import Sitting
from rtloop.errors import SafetyStop
from rtloop.model.view import fold_all
from rtloop.record.verify import verify
from rtloop.safety.locked import COPY, FILE, lock, read_locks, unlock
from rtloop.session.engine import Said


@pytest.mark.req("R-LOCK")
def test_the_word_locks_the_session_mid_run_and_every_later_one(tmp_path: Path) -> None:
    done: list[int] = []

    def operator(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        given = len(bench.unit.discharges)
        if given == 3 and not done:
            done.append(given)
            assert sitting.hearing.take("emergency", ("seizure", "after", "pulse", "3")) == ""
            assert "seizure after pulse 3" in read_locks(tmp_path / "data").why(
                "P7"
            )  # on disk before the answer
        if done:
            for word in ("arm", "confirm", "resume"):
                sitting.loop.inbox.put(Said(word=word))

    held = hold_tiny(tmp_path, each=operator, participant="P7")
    assert held.sat is not None
    assert held.sat.exit_code == 5
    assert len(held.bench.discharges) == 3
    (locked,) = held.kinds("participant_locked")
    assert locked["participant"] == "P7"
    assert held.kinds("command_received")[-1]["word"] in ("emergency", "arm", "confirm", "resume")
    assert held.kinds("lamp_changed")[-1]["after"] == "TRIPPED"
    assert verify(held.folder.path).ok

    with pytest.raises(SafetyStop, match="locked") as stopped:
        hold_tiny(tmp_path, participant="P7")
    assert "rtloop unlock --person NAME --reason WORDS --participant P7" in stopped.value.todo
    assert str(tmp_path / "data") in stopped.value.todo
    kept = {name: (tmp_path / "data" / name).read_bytes() for name in (FILE, COPY)}
    for name in kept:  # whoever takes the lock away does not take it out of the journal
        (tmp_path / "data" / name).unlink()
    for participant in ("P7", "P8"):
        with pytest.raises(SafetyStop, match="cut or deleted") as stopped:
            hold_tiny(tmp_path, participant=participant)
        assert str(held.folder.journal) in stopped.value.found
    for name, data in kept.items():
        (tmp_path / "data" / name).write_bytes(data)
    other = hold_tiny(tmp_path, plan=tiny(wanted=1, most=2), participant="P8")  # another person is not locked
    assert other.bench.discharges

    unlock(tmp_path / "data", "P7", person="Dr A", reason="examined, may go on")
    again = hold_tiny(tmp_path, plan=tiny(wanted=1, most=2), participant="P7", seed=5)
    assert again.bench.discharges
    assert not again.kinds("participant_locked")


@pytest.mark.req("R-LOCK")
@pytest.mark.parametrize("phase", ["before arming", "between the steps", "armed"])
def test_a_lock_set_from_outside_stops_a_running_session_in_every_phase(tmp_path: Path, phase: str) -> None:
    at: dict[str, Any] = {}

    def outside(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        due = {
            "before arming": sitting.loop.view.phase == "place",
            "between the steps": sitting.interlock.confirmed or bool(sitting.interlock._asked),
            "armed": sitting.interlock.lamp.value == "ARMED",
        }[phase]
        if due and not at:
            lock(tmp_path / "data", "P7", words="syncope")
            at.update(s=now_s, given=len(bench.unit.discharges))

    held = hold_tiny(tmp_path, each=outside, participant="P7")
    assert at
    assert len(held.bench.discharges) == at["given"]
    assert held.kinds("lamp_changed")[-1]["after"] == "TRIPPED"
    assert [d["participant"] for d in held.kinds("participant_locked")] == ["P7"]
    view = fold_all(held.events)
    assert "stop" in view.faults


@pytest.mark.req("R-LOCK")
def test_a_damaged_lock_file_lets_nobody_be_armed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "locks.jsonl").write_bytes(b'{"kind": "locked", "parti')
    with pytest.raises(SafetyStop, match="damaged"):
        hold_tiny(tmp_path, participant="P1")


@pytest.mark.req("R-LOCK")
def test_the_gate_itself_refuses_a_locked_participant(tmp_path: Path) -> None:
    """Not only the loop: a permit asked for after the lock is refused by the rule, whoever asks."""
    said: list[str] = []

    def outside(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        if sitting.interlock.lamp.value == "ARMED" and not said:
            lock(tmp_path / "data", "P7", words="syncope")
            from rtloop.model.pulse import Pulse, Purpose

            pulse = Pulse(pulse_id=99, target="M1", purpose=Purpose.MAPPING, power_pct_mso=45, power_pct_rmt=None,
                          due_s=now_s, deadline_s=now_s + 0.1)  # fmt: skip
            assert sitting.gate is not None
            no = sitting.gate.permit(pulse, now_s)
            assert isinstance(no, tuple)
            said.extend(r.rule for r in no)

    hold_tiny(tmp_path, each=outside, participant="P7")
    assert "not_locked" in said
