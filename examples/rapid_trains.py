"""Trains of a Rapid²: ten pulses at 10 Hz. The simulated unit without an argument, else the real one on that port."""

import sys

from rtloop.app.scripting import stimulator

port, model = (sys.argv[1], "rapid") if len(sys.argv) > 1 else ("sim:rapid", None)
caps = {"max_power_pct_mso": 50, "max_pulses_session": 40}
with stimulator(port, model=model, participant="P001", caps=caps) as tms:
    tms.set_power(30)
    worst_s = tms.set_train(
        frequency_hz=10, n_pulses=10
    )  # said before arming: what software may not be able to stop
    print(f"at worst {worst_s:.1f} s of a train cannot be stopped by software")
    tms.arm("I am at the unit, the hardware stop is in reach")
    print(tms.train())  # waits for the unit and the rules, returns when the train is over
    print(tms.dose())
