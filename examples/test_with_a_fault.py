"""How a script is tested: with faults of the simulated unit, by pytest. Run it with ``pytest examples/test_with_a_fault.py``."""

import pytest

from rtloop.app.scripting import NotReady, Refused, stimulator


@pytest.mark.parametrize("fault", ["mute", "unplug"])
def test_a_cap_is_kept_and_a_unit_that_falls_silent_or_is_unplugged_is_disarmed_and_told(fault, tmp_path):
    caps = {"max_power_pct_mso": 50}
    with stimulator("sim:200", participant="P001", caps=caps, data_dir=tmp_path) as tms:
        with pytest.raises(Refused, match=r"power_cap.*0 to 50 %"):
            tms.set_power(51)
        tms.set_power(40)
        tms.arm("a test")
        assert tms.pulse().outcome == "fired"
        tms.simulator.inject({"kind": fault})
        with pytest.raises(NotReady, match="unit"):
            tms.pulse()
        tms.wait(2.5)  # the unit lets go by itself after about 1 s without a word from us
        unit = tms.simulator.state()["unit"]
        assert not unit["armed"]
        assert not unit["ready"]
        assert tms.dose().session == 1
        assert len(tms.simulator.discharges()) == 1
