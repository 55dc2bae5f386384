"""A writer killed at any instant leaves log and store whole; what it said was written is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from study_tools import AS, MONDAY, at, enter, folder_in_memory, listed, made_in

from rtloop.study.study import Study

WRITER = """
import sys
from pathlib import Path
from study_tools import AS, at, MONDAY
from rtloop.study.records import OutcomeTaken
from rtloop.study.study import Study
study = Study.open(Path(sys.argv[1]), clock=at(MONDAY), busy_s=30.0)
k = 0
while True:
    study.write(OutcomeTaken(participant="P001", assessment="week 3", day=MONDAY, scales={f"{sys.argv[2]}{k}": k}), by=AS)
    print(k, flush=True)
    k += 1
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and SIGSTOP are POSIX signals")
@pytest.mark.parametrize("stopped_s", [0.0, 0.15])
def test_writers_stopped_and_killed_while_they_write_leave_everything_whole(stopped_s: float) -> None:
    """Two at once; with ``stopped_s`` one of them stands still for that long in the middle, and writes on after it."""
    tests = Path(__file__).parents[1]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")]),
    }
    with folder_in_memory() as folder:
        with made_in(folder / "study", at(MONDAY)) as study:
            study.write(listed("low"), by="Ann Stat")
            enter(study, "P001")
        said: dict[str, int] = {}
        for turn in range(1 if stopped_s else 3):
            names = [f"a{turn}_", f"b{turn}_"]
            two = [subprocess.Popen([sys.executable, "-c", WRITER, str(folder / "study"), n], stdout=subprocess.PIPE, env=env)
                   for n in names]  # fmt: skip
            try:
                assert all(p.stdout is not None and p.stdout.readline() for p in two)  # both write
                time.sleep(0.05 + 0.037 * turn)
                if stopped_s:
                    two[0].send_signal(signal.SIGSTOP)
                    time.sleep(stopped_s)
                    two[0].send_signal(signal.SIGCONT)
                    assert all(p.stdout is not None and p.stdout.readline() for p in two)  # both go on
            finally:
                for p in two:
                    p.send_signal(signal.SIGKILL)
            for name, p in zip(names, two, strict=True):
                assert p.stdout is not None
                with p.stdout:
                    said[name] = 1 + bool(stopped_s) + sum(line.endswith(b"\n") for line in p.stdout)
                p.wait(10)
        with Study.open(folder / "study", clock=at(MONDAY)) as study:
            values = study.state.participants["P001"].values["week 3"]
            for name, count in said.items():
                assert {f"{name}{k}" for k in range(count)} <= set(values)
                assert (
                    sum(k.startswith(name) for k in values) <= count + 1
                )  # one may be written and not yet told
            assert study.problems() == []
            live = study.dumps()
            study.rebuild()
            assert study.dumps() == live
            study.write(study.state.participants["P001"].outcomes[0][1].__class__(
                participant="P001", assessment="week 3", day=MONDAY, scales={"after": 1}), by=AS)  # fmt: skip
