"""Units that take up to 0.2 s for each reply: nothing they gave is missed, and nothing healthy is taken for a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from contract_tools import EA, bench
from test_drivers_given_otherwise import second_pulse

from drivers.trouble import UnitProblem
from hardware_sim.faults import FaultKind
from rtloop.model.pulse import Delivery, Train
from rtloop.model.status import Fault

MODELS: list[tuple[str, dict[str, Any]]] = [
    ("200", {}), ("bistim", {}), ("rapid", {"version": (9, 0, 0)}), ("rapid", {"version": (7, 1)}),
]  # fmt: skip
TROUBLES: dict[str, list[dict[str, Any]]] = {
    "no trouble": [],
    "EH damaged": [{"kind": FaultKind.BAD_CRC, "only": "EH", "times": 1}],
    "EH lost": [{"kind": FaultKind.MUTE, "only": "EH", "times": 1}],
    "look damaged": [{"kind": FaultKind.BAD_CRC, "only": "x@", "times": 1}],
    "look lost": [{"kind": FaultKind.MUTE, "only": "x@", "times": 1}],
    "both damaged": [
        {"kind": FaultKind.BAD_CRC, "only": "EH", "times": 1}, {"kind": FaultKind.BAD_CRC, "only": "x@", "times": 1},
    ],
}  # fmt: skip


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("takes_s", [0.001, 0.04, 0.2])
def test_a_train_set_at_the_panel_is_charged_whole_whatever_is_damaged(
    tmp_path: Path, takes_s: float, trouble: str
) -> None:
    with bench("stepped", tmp_path, model="rapid", version=(9, 0, 0), arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)
        b.sleep(1.0)
        b.inject(FaultKind.TRAIN_MODE)
        for fault in TROUBLES[trouble]:
            b.inject(**fault)
        b.inject(FaultKind.DELAYED_REPLY, delay_s=takes_s)
        fired = b.unit.fire(b.permit(40))
        b.sleep(3.0)
        assert b.discharges == 20
        assert (fired.delivery, fired.pulses_min, fired.pulses_max) == (Delivery.UNCERTAIN, 0, 20)
        assert b.sent(EA, since_s=fired.t_sent_s)


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_a_second_pulse_is_found_in_the_numbers_though_they_came_damaged(
    tmp_path: Path, damaged: int
) -> None:
    with bench("stepped", tmp_path, model="bistim", arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)
        b.sleep(1.0)
        second_pulse(b, 30)
        if damaged:
            b.inject(FaultKind.BAD_CRC, only="J", times=damaged)
        fired = b.unit.fire(b.permit(40))
        b.sleep(0.5)
        assert b.discharges == 2
        assert (fired.delivery, fired.pulses_max) == (Delivery.UNCERTAIN, 2)


@pytest.mark.req("R-BELIEF")
def test_what_was_given_is_told_over_the_damage_that_tripped_before_it(tmp_path: Path) -> None:
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)
        b.sleep(1.0)
        due_s = b.clock.now_s() + 0.3
        b.unit.announce(due_s)
        b.sleep(0.26)
        b.inject(FaultKind.TWO_OWNERS, data=b"@041" + bytes([~sum(b"@041") & 0xFF]))
        b.line.wire.visible(b.clock.now_s())
        b.sleep(due_s - b.clock.now_s())
        assert b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED
        b.inject(FaultKind.BAD_CRC, only="Q", times=1)
        b.sleep(0.2)
        assert "the last pulse or train may have been given so" in str(b.unit.trouble())


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize(("model", "sim"), MODELS, ids=["200", "bistim", "rapid 9", "rapid 7"])
@pytest.mark.parametrize("takes_s", [0.03, 0.1, 0.2])
def test_a_healthy_slow_unit_is_disarmed_and_armed_again_without_a_fault(
    tmp_path: Path, model: str, sim: dict[str, Any], takes_s: float
) -> None:
    with bench("stepped", tmp_path, model=model, arming_s=0.1, power_pct_mso=40, **sim) as b:
        b.inject(FaultKind.DELAYED_REPLY, delay_s=takes_s)
        for _ in range(2):
            b.ready(40)
            b.sleep(2.5)
            assert b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED
            b.sleep(0.4)
            b.unit.disarm()
            assert b.unit.arm().ready
            b.unit.disarm()
        b.sleep(3.0)
        assert b.unit.trouble() is None


@pytest.mark.parametrize(("model", "sim"), MODELS, ids=["200", "bistim", "rapid 9", "rapid 7"])
def test_in_standby_a_reply_has_0_4_s(tmp_path: Path, model: str, sim: dict[str, Any]) -> None:
    with bench("stepped", tmp_path, model=model, arming_s=0.1, power_pct_mso=40, **sim) as b:
        b.inject(FaultKind.DELAYED_REPLY, delay_s=0.35)
        b.unit.set_power(41)
        b.sleep(5.0)
        assert b.unit.trouble() is None
        with pytest.raises(UnitProblem):
            b.unit.arm()  # armed it has 0.25 s


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("train", [Train(frequency_hz=20, n_pulses=4), Train(frequency_hz=10, n_pulses=20)])
@pytest.mark.parametrize("version", [(9, 0, 0), (7, 1)])
@pytest.mark.parametrize("takes_s", [0.08, 0.15, 0.2])
def test_a_whole_train_of_a_slow_unit_is_told_as_whole(
    tmp_path: Path, takes_s: float, version: tuple[int, ...], train: Train
) -> None:
    with bench("stepped", tmp_path, model="rapid", version=version, arming_s=0.1, power_pct_mso=40) as b:
        b.unit.set_power(40)
        b.unit.set_train(train)
        b.inject(FaultKind.DELAYED_REPLY, delay_s=takes_s)
        b.ready(40)
        b.sleep(2.5)
        fired = b.unit.fire(b.permit(40, train=train))
        assert fired.delivery is Delivery.DELIVERED, fired
        end = b.train_end(within_s=train.duration_s + 1.0)
        assert (end.delivery, end.pulses_min, end.pulses_max) == (
            Delivery.DELIVERED,
            train.n_pulses,
            train.n_pulses,
        )
        assert b.unit.trouble() is None


@pytest.mark.req("R-BELIEF")
def test_a_discharge_right_before_a_power_is_set_anew_is_told(tmp_path: Path) -> None:
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)
        b.sleep(2.1)
        b.inject(FaultKind.TRIGGER_EDGE, times=1)
        b.line.wire.visible(b.clock.now_s())
        assert b.discharges == 1
        with pytest.raises(UnitProblem, match="nobody asked for it"):
            b.unit.set_power(41)
        assert b.unit.trouble().fault is Fault.PULSE_UNCOMMANDED
        assert not b.armed()


@pytest.mark.parametrize(("model", "power"), [("bistim", 40), ("200", 85)])
def test_arming_right_after_a_pulse_waits_for_the_recharge(tmp_path: Path, model: str, power: int) -> None:
    with bench("stepped", tmp_path, model=model, arming_s=0.1, power_pct_mso=power) as b:
        b.ready(power)
        b.sleep(4.0)
        assert b.unit.fire(b.permit(power)).delivery is Delivery.DELIVERED
        b.unit.disarm()
        assert b.unit.arm().ready
