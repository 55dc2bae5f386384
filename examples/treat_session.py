"""A treatment session, simulated; with an argument on the real unit at that port: then a person answers at the terminal."""

import sys
from pathlib import Path

from rtloop.app.treat import TreatRequest, treatment

port = sys.argv[1] if len(sys.argv) > 1 else None
file = Path("threshold.json") if port else None  # as rtloop threshold wrote it
who = {"participant": "P017", "by": "Ola Berg"}
with treatment(
    TreatRequest(plan="treat-quick", simulate=not port, port=port, threshold=file, **who), print
) as session:
    session.run()
given = session.books.result  # None: nothing was begun
print(session.machine.end.words)
if given:
    print(f"{given.delivered} of {given.planned} pulses delivered, {given.uncertain} uncertain")
