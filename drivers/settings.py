"""Owns the setting of a train or a pair on the unit, read back and compared; owns no pulse."""

from __future__ import annotations

from collections.abc import Callable

from drivers.refusals import refuse_pair, refuse_train
from drivers.trouble import UnitProblem
from drivers.watch import UnitWatch
from rtloop.model.pulse import Pair, Train
from rtloop.model.status import Fault


def set_setting(
    watch: UnitWatch,
    setting: Train | Pair | None,
    wait_until: Callable[[float], None],
    *,
    not_before_s: float,
) -> None:
    """A train or a pair, or single pulses: in standby only, read back, compared; not known until then."""
    facts, clock = watch.facts, watch.clock
    if isinstance(setting, Train):
        refuse_train(facts, watch.power_pct_mso, setting)
    else:
        refuse_pair(facts, setting)
    status = watch.look()
    if watch.armed or not status.standby:
        raise UnitProblem(
            Fault.UNIT_UNEXPECTED, "trains and pairs are set in standby only", expected="standby",
            found=str(status), todo="disarm first",
        )  # fmt: skip
    wait_until(not_before_s)
    before = watch.read_all().held
    watch.setting_known, watch.set_s = False, clock.now_s()
    watch.unit.set_setting(setting)
    if before is not None:
        wanted_b = setting.power_b_pct_mso if isinstance(setting, Pair) else 0
        wait_until(clock.now_s() + facts.ramp_s(before.power_b_pct_mso, wanted_b))
    if wrong := watch.unit.differs(watch.read_all(), setting):
        raise UnitProblem(
            Fault.UNIT_UNEXPECTED, "the unit does not take the setting", found=f"{wrong} read back",
            expected=str(setting or "single pulses"), todo="check the unit's limits and its display",
        )  # fmt: skip
    watch.setting, watch.setting_known = setting, True
