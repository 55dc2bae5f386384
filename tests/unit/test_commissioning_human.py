"""Mode HUMAN: refused before a device is touched without a covering record, again when other devices answer, else armed.

A stepped unit that the wiring takes for a real one stands in for the unit; no rule and no check is replaced.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from commission_tools import good, site_file
from session_tools import tiny, write_plan

from drivers.stepped import SteppedUnit
from hardware_sim.bedside import BedsideSpec
from hardware_sim.bench import SteppedBench
from rtloop.app.commissioned import records_folder
from rtloop.app.config import load_site
from rtloop.app.setting import Request, Setting, prepare
from rtloop.app.sitting import Sitting
from rtloop.app.stepped import KEY, STEP_S, _Feed, _recording
from rtloop.app.wiring import Bench
from rtloop.board import Board
from rtloop.clock import SteppedClock
from rtloop.eeg.layout import Layout
from rtloop.eeg.source import EegSource
from rtloop.errors import SafetyStop
from rtloop.model.pulse import Pulse, Purpose
from rtloop.model.status import Lamp, UnitIdentity
from rtloop.ports import Permit
from rtloop.record.commissioning import write_record
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal, read_journal

STREAM = {"name": "amp", "source_id": "amp-1", "rate_hz": 1000.0, "channels": 9}


def human_plan() -> str:
    today = datetime.now(UTC).date().isoformat()
    threshold = (
        f'\n[threshold]\npct_mso = 50\ndate = {today}\nmethod = "EMG"\ncoil = "70 mm figure-of-eight"\n'
        'waveform = "monophasic"\nparticipant = "P001"\n'
    )
    return tiny().replace("\n[timing]", f"{threshold}\n[timing]", 1)


def ask_for_human(folder: Path, *, record: bool = True, **site: Any) -> Setting:
    """Prepare a session in mode HUMAN at a site, with or without a record that covers it."""
    path = site_file(folder, **site)
    if record:
        found = load_site(path, environ={})
        write_record(records_folder(found) / "a.json", good(found))
    return prepare(
        Request(kind="map", plan=str(write_plan(folder, human_plan())), site=path, participant="P001")
    )


@contextlib.contextmanager
def sat_down(
    setting: Setting, tmp_path: Path, stream: dict[str, Any]
) -> Iterator[tuple[Sitting, SteppedClock]]:
    """The session's own objects over stepped devices that are taken for real ones."""
    clock = SteppedClock(datetime.now(UTC).timestamp())
    folder = SessionFolder.create(tmp_path / "data", setting.run_id, clock=clock)
    with contextlib.ExitStack() as stack:
        bench = SteppedBench(clock, BedsideSpec(n_channels=8, rate_hz=1000.0))
        journal = Journal(folder.journal, run_id=setting.run_id, clock=clock)
        stack.callback(journal.close)
        board = stack.enter_context(Board.create(folder.board, clock=clock))
        for role in ("engine", "operator", "recorder"):
            board.start(role)
        layout = Layout.from_montage(bench.montage, trigger="TRIG")
        source = EegSource.pushed(layout, 1000.0, folder.ring, clock)
        stack.callback(source.close)
        recording = _recording(folder, board, source, layout, clock)
        stack.callback(recording.close)
        clock.listen(_Feed(bench, source, recording, board))
        unit = SteppedUnit.open(line=bench.line, clock=clock, board=board, run_id=setting.run_id, key=KEY)
        stack.callback(unit.close)
        unit._identity = UnitIdentity(model="200", port=unit.identity.port, simulated=False)
        ends = Bench(board=board, source=source, stream=stream, unit=unit, bedside=None, key=KEY)
        sitting = Sitting(setting, folder, journal, ends, lambda words: None, clock)
        stack.callback(sitting.close)
        yield sitting, clock


@pytest.mark.req("R-MODE")
def test_without_a_record_human_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    with pytest.raises(SafetyStop, match="no commissioning record"):
        ask_for_human(tmp_path, record=False)
    assert not (tmp_path / "data").exists()


@pytest.mark.req("R-MODE")
def test_with_unverified_limits_human_is_refused_with_their_names(tmp_path: Path) -> None:
    with pytest.raises(SafetyStop, match="max_power_pct_mso"):
        ask_for_human(tmp_path, verified=False)


@pytest.mark.req("R-MODE")
def test_a_simulated_walk_at_the_site_does_not_unlock_human(tmp_path: Path) -> None:
    site = load_site(site_file(tmp_path), environ={})
    write_record(records_folder(site) / "a.json", replace(good(site), mode="SIMULATED"))
    with pytest.raises(SafetyStop, match="made SIMULATED"):
        ask_for_human(tmp_path, record=False)


@pytest.mark.req("R-MODE")
def test_with_a_covering_record_human_arms_and_a_pulse_is_permitted(tmp_path: Path) -> None:
    setting = ask_for_human(tmp_path)
    with sat_down(setting, tmp_path, STREAM) as (sitting, clock):
        sitting.start()
        gate, lock = sitting.gate, sitting.interlock
        assert gate is not None
        gate.set_power(45)
        assert lock.arm_requested(clock.now_s()).accepted
        assert lock.arm_confirmed(clock.now_s()).accepted
        assert gate.arm().ok
        assert lock.lamp is Lamp.ARMED
        now_s = clock.now_s()
        for _ in range(10):
            clock.advance(STEP_S)
            sitting.bench.board.beat("engine")
            sitting.bench.board.beat("operator")
        sitting.vigil.waited(clock.now_s())
        sitting.vigil.look(clock.now_s(), lock.lamp)
        now_s = clock.now_s()
        pulse = Pulse(
            pulse_id=1, target="M1", purpose=Purpose.PREVIEW, power_pct_mso=45, power_pct_rmt=90.0, due_s=now_s,
            deadline_s=now_s + 0.5,
        )  # fmt: skip
        permit = gate.permit(pulse, now_s)
        assert isinstance(permit, Permit), permit
        events = read_journal(sitting.folder.journal).events
        notes = [str(e.data["words"]) for e in events if e.kind == "note_written"]
        assert any("Ada Example" in words and "sha256" in words for words in notes)
        gate.disarm("the test is over")


@pytest.mark.req("R-MODE")
@pytest.mark.parametrize("change", [{"source_id": "amp-2"}, {"rate_hz": 5000.0}, {"name": "another"}])
def test_another_amplifier_than_at_commissioning_is_refused_before_arming(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    setting = ask_for_human(tmp_path)
    with pytest.raises(SafetyStop, match="amplifier stream"), sat_down(setting, tmp_path, STREAM | change):
        pass
