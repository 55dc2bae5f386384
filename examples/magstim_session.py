"""A Magstim session. Without an argument the unit is simulated; with one it is the real unit on that port."""

import sys

from rtloop.app.scripting import stimulator

port = sys.argv[1] if len(sys.argv) > 1 else "sim:200"  # or "/dev/ttyUSB0", "COM3"
with stimulator(port, participant="P001", caps={"max_power_pct_mso": 60}) as tms:
    tms.set_power(45)
    tms.arm("I am at the unit")
    for _ in range(3):
        print(tms.pulse())  # waits for the unit's interval; a refusal raises Refused with all reasons
    print(tms.dose())
