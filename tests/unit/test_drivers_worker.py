"""What of the worker the outside cannot bring about: a status byte grown old while all else is well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from contract_tools import EH, bench

from drivers.trouble import UnitProblem
from rtloop.model.pulse import Delivery


def test_a_status_byte_older_than_a_second_gives_no_pulse(tmp_path: Path) -> None:
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)
        watch = b.unit._worker._watch
        young = watch.status
        for age_s, fired in ((1.01, False), (float("nan"), False), (0.9, True)):
            watch.status = replace(young, t_s=b.clock.now_s() - age_s)
            receipt = b.unit.fire(b.permit(40))
            assert (receipt.delivery is Delivery.DELIVERED) == fired, age_s
            assert len(b.sent(EH)) == fired


def test_a_bug_in_the_worker_disarms_and_trips(tmp_path: Path) -> None:
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)

        def broken(_: object) -> None:
            raise ZeroDivisionError("a bug")

        b.unit._worker._watch.unit.set_power = broken
        with pytest.raises(UnitProblem, match="ZeroDivisionError"):
            b.unit.set_power(30)
        assert not b.armed()
        assert b.unit.trouble().fault == "bug"
