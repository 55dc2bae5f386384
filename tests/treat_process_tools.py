"""Treatment sessions as processes of their own, the test at their terminal: ground for the tests that kill and freeze them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from threshold_tools import made

from hardware_sim.magstim import UNLOCK_CODE
from rtloop.app.runtime import sweep
from rtloop.app.study_sessions import treatment_of
from rtloop.app.treat_checklist import AFTER, BEFORE, checklist
from rtloop.clock import WALL
from rtloop.model.course import TreatmentGiven
from rtloop.model.status import Mode
from rtloop.plan.treat_load import load_treatment
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.record.thresholds import write_threshold

PLAN = """
[plan]
name = "for-processes"
kind = "treat"
schema = 1
label = "assumed"
citation = "none: a test"

[unit]
model = "super-rapid"
waveform = "biphasic"

[trains]
frequency_hz = 10.0
pulses = 28
count = 3
pause_s = 7.0

[threshold]
method = "EMG"
max_age_days = 7

[caps]
power_pct_mso_max = 60
pulses_session_max = 84

[[targets]]
name = "M1"
coil_at = "C3"
coil = "figure of eight"
current_direction = "posterior-anterior"
intensity_pct_rmt = 80.0
"""
PULSES = 28
#: question -> the answer that is expected
ANSWERS = {item.question: item.expected for when in (BEFORE, AFTER) for item in checklist(when).items}


def _as_at_a_terminal() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Treatment:
    """``rtloop treat`` as it runs on a unit that outlives it (mode BENCH); everything it says is kept."""

    def __init__(self, folder: Path, port: str, stream: str, *more: str) -> None:
        self.data_dir = folder / "data"
        plan, site, threshold = folder / "plan.toml", folder / "rtloop.toml", folder / "threshold.json"
        if not plan.exists():
            plan.write_text(PLAN)
            site.write_text(f'[unit]\nunlock_code = "{UNLOCK_CODE}"\n')
            rig = load_treatment(str(plan)).rig("M1")
            write_threshold(
                threshold, made(participant="P017", rig=rig, mode=Mode.BENCH, made_utc=WALL.utc())
            )
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith("RTLOOP_") or k == "RTLOOP_LSL_SESSION"
        }
        self.said: list[str] = []
        self._heard = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rtloop.app.cli", "treat", str(plan), "--participant", "P017", "--target", "M1", "--threshold",
             str(threshold), "--by", "Ola Test", "--port", port, "--stream", stream, "--data-dir", str(self.data_dir), "--site",
             str(site), *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1,
            preexec_fn=_as_at_a_terminal, env={**kept, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip())

    @property
    def text(self) -> str:
        return "\n".join(self.said)

    def type(self, words: str) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(words + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return

    def until(self, words: str, within_s: float = 90.0) -> None:
        """Answer what is asked as a person would, until ``words`` are said."""
        end_s = time.monotonic() + within_s
        while words not in self.text:
            assert time.monotonic() < end_s, f"{words!r} was not said:\n{self.text}"
            assert self.process.poll() is None or words in self.text, f"ended without {words!r}:\n{self.text}"
            self._answer()
            time.sleep(0.01)

    def _answer(self) -> None:
        for line in self.said[self._heard :]:
            self._heard += 1
            if re.search(r"-> .* treatment \d+/\d+: ", line):
                question = line.split(": ", 1)[1].split("  [")[0]
                self.type(ANSWERS[question])
            elif "sign NAME" in line and line.startswith("->"):
                self.type("sign Ola Test")
            elif line.startswith("-> arm for"):
                self.type("arm")
            elif line.startswith(
                "   not armed"
            ):  # a hold or a fault of a busy computer: a person would ask again
                time.sleep(0.5)
                self.type("arm")
            elif line.startswith("-> to arm"):
                self.type(line.rsplit(": ", 1)[1])
            elif line.startswith("-> paused"):
                self.type("resume")

    def came_up(self) -> bool:
        """Whether it connected, or was refused before that; False where a busy computer did not start its processes in time."""
        end_s = time.monotonic() + 150.0
        while "SAFE -> READY" not in self.text and self.process.poll() is None:
            assert time.monotonic() < end_s, self.text
            time.sleep(0.02)
        self._reader.join(0.0 if self.process.poll() is None else 5.0)
        return self.process.poll() != 4

    def ended(self, within_s: float = 60.0) -> int:
        """Its exit code; what is asked meanwhile is answered."""
        end_s = time.monotonic() + within_s
        while self.process.poll() is None:
            assert time.monotonic() < end_s, self.text
            self._answer()
            time.sleep(0.02)
        self._reader.join(5.0)
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5.0)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        sweep()  # what a killed session left in memory

    def folder(self) -> SessionFolder:
        return SessionFolder.all_in(self.data_dir)[-1]

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [dict(e.data) for e in read_journal(self.folder().journal).events if e.kind == kind]

    def given(self) -> TreatmentGiven:
        """What its journal says that was given, whoever wrote its end."""
        read = read_journal(self.folder().journal)
        found = treatment_of(read.events, head_hash=read.head_hash)
        assert found is not None
        return found
