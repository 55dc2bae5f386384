"""Paired pulses of a BiStim²: 30 % and, 2.5 ms later, 45 %. The simulated unit without an argument, else the real one there."""

import sys

from rtloop.app.scripting import stimulator

port, model = (sys.argv[1], "bistim") if len(sys.argv) > 1 else ("sim:bistim", None)
with stimulator(port, model=model, participant="P001", caps={"max_power_pct_mso": 60}) as tms:
    tms.set_power(30)
    tms.set_pair(power_b_pct_mso=45, interval_ms=2.5)
    tms.arm("I am at the unit")
    print(tms.pair())
    print(tms.dose())
