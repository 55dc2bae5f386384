"""A command that gave more than its permit: every pulse counted, none twice, and both records say the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stepped_script_tools import WORDS, Stepped, asked, stepped_script

from drivers.stepped import SteppedUnit
from hardware_sim.packet import sealed
from rtloop.app.dose import ledger_of
from rtloop.model.status import Lamp
from rtloop.ports import Permit
from rtloop.record.verify import verify

PANEL, LONGER = 20, 50  # pulses of the train that the simulated panel sets, and another program


def before_the_command(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """From the next pulse on: right before the command, after every look at the unit."""
    fire = SteppedUnit.fire

    def first(self: SteppedUnit, permit: Permit) -> Any:
        happens()
        return fire(self, permit)

    monkeypatch.setattr(SteppedUnit, "fire", first)


def told_alike(s: Stepped) -> dict[str, Any]:
    """The bounds of the last command, which its closing and its last account must share."""
    closed, account = s.told("pulse_closed")[-1], s.told("pulse_accounted")[-1]
    assert closed["pulse_id"] == account["pulse_id"]
    assert closed["delivered_max"] == account["delivered_max"]
    return account


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("obeys", [False, True])
def test_a_panel_train_on_a_single_pulse_is_counted_once_and_both_records_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obeys: bool
) -> None:
    with stepped_script(asked(tmp_path, "sim:rapid")) as s:
        s.tms.set_power(40)
        s.tms.arm("simulated")
        assert s.tms.pulse().outcome == "fired"
        s.bench.inject({"kind": "train_obeys_ea" if obeys else "train_ignores_ea"})
        before_the_command(monkeypatch, lambda: s.bench.inject({"kind": "train_mode"}))
        said = s.tms.pulse()
        assert (said.outcome, said.delivered_min, said.delivered_max) == ("uncertain", 0, PANEL)
        s.sleep(5.0)
        assert s.tms.lamp is Lamp.TRIPPED
        given, account = len(s.bench.discharges) - 1, told_alike(s)
        assert (1 <= given < PANEL) if obeys else (given == PANEL)
        assert (account["commanded"], account["seen"], account["ok"]) == (1, given, False)
        assert "more than the 1 permitted may have been given" in account["words"]
        assert s.told("pulse_uncommanded") == []
        assert "pulse_uncommanded" not in [f["fault"] for f in s.told("fault_raised")]
        assert s.tms.dose().session == 1 + PANEL  # all of them given, or as many as may have been
    assert ledger_of(tmp_path / "data", "P001", simulated=True).count() == 1 + PANEL
    assert [line for line in verify(s.folder.path).lines if line.startswith("PROBLEM")] == []


@pytest.mark.req("R-TRAIN-END")
@pytest.mark.parametrize(("obeys", "whose"), [(False, "line"), (True, "line"), (False, "panel")])
def test_a_longer_train_than_was_permitted_is_counted_once_and_both_records_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obeys: bool, whose: str
) -> None:
    with stepped_script(asked(tmp_path, "sim:rapid")) as s:
        s.tms.set_power(30)
        s.tms.set_train(frequency_hz=10, n_pulses=20)
        s.tms.arm("simulated")
        s.bench.inject({"kind": "train_obeys_ea" if obeys else "train_ignores_ea"})
        if whose == "line":  # its reply garbles the one to our command
            longer = {"kind": "two_owners", "data": sealed(b"D00050").hex()}
            before_the_command(monkeypatch, lambda: s.bench.inject(longer))
        else:
            before_the_command(monkeypatch, lambda: s.bench.unit.set_duration(50))
        s.tms.train()
        s.sleep(6.0)
        assert s.tms.lamp is Lamp.TRIPPED
        given, account = len(s.bench.discharges), told_alike(s)
        assert (1 <= given < LONGER) if obeys else (given == LONGER)
        assert (account["commanded"], account["seen"], account["ok"]) == (20, given, False)
        assert s.told("pulse_uncommanded") == []
        assert given <= s.tms.dose().session <= LONGER
        assert s.tms.dose().session == account["delivered_max"]
    assert ledger_of(tmp_path / "data", "P001", simulated=True).count() == account["delivered_max"]
    assert [line for line in verify(s.folder.path).lines if line.startswith("PROBLEM")] == []


@pytest.mark.req("R-BELIEF")
@pytest.mark.parametrize("with_eeg", [True, False])
def test_somebody_elses_discharge_ends_the_run_with_and_without_eeg(tmp_path: Path, with_eeg: bool) -> None:
    setting = asked(tmp_path) if with_eeg else asked(tmp_path, "/dev/ttyUSB0")
    with stepped_script(setting, real=not with_eeg, answer=lambda said: WORDS) as s:
        s.tms.set_power(40)
        s.tms.arm(WORDS)
        assert s.tms.pulse().outcome == "fired"
        s.tms.wait(3.0)
        assert s.armed
        assert s.bench.unit.external_fire(s.clock.now_s(), needs_arming=True) is not None
        s.sleep(0.6)
        assert not s.armed
        assert s.tms.lamp is Lamp.TRIPPED
        assert [f["fault"] for f in s.told("fault_raised")][:1] == ["pulse_uncommanded"]
        assert len(s.told("pulse_uncommanded")) == with_eeg
        assert s.tms.dose().session == 1 + with_eeg  # without EEG nobody knows how many
    assert [line for line in verify(s.folder.path).lines if line.startswith("PROBLEM")] == []
