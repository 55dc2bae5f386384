"""Small plans, a stepped session with spies, and a fake line for the engine: ground for the session tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hardware_sim.bench import SteppedBench
from rtloop.app.runtime import sweep
from rtloop.app.setting import Request
from rtloop.app.sitting import Sat, Sitting
from rtloop.app.stepped import hold_stepped
from rtloop.board import Board
from rtloop.model.event import Event
from rtloop.model.status import Lamp
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal

#: the head of every small plan: what it is, what is taken for the response, and that nothing is asked of it
WHAT = """
[plan]
name = "{name}"
kind = "{kind}"
schema = 1

[signal]
window_ms = [15.0, 300.0]
gap_ms = [-2.0, 10.0]
{signal}

[arm]
question = "none"

[order]
kind = "as_listed"
"""
#: what a plan that fires says of its unit
UNIT = """
[unit]
model = "200"
coil = "70 mm figure-of-eight"
waveform = "monophasic"

[timing]
isi_s = [2.05, 2.15]
lead_s = 0.3

[caps]
power_pct_mso_max = 49
pulses_total_max = 60
"""
TARGET = """
[[targets]]
name = "{target}"
coil_at = "{coil_at}"
intensity_pct_mso = 45
pulses_wanted = {wanted}
pulses_max = {most}
preview = {{ pulses = 1, steps_pct_mso = [45] }}
accept = {{ early_response_uv_min = 6.0, rejected_share_max = 0.3 }}
"""
COIL_AT = {"M1": "C3", "DLPFC": "F3", "ACC": "FCz", "PSI": "C5"}


def tiny(*targets: str, wanted: int = 4, most: int = 6, kind: str = "map", name: str = "tiny") -> str:
    """A plan of one preview pulse and a few run pulses at each target."""
    parts = [WHAT.format(name=name, kind=kind, signal=""), UNIT]
    parts += [
        TARGET.format(target=t, coil_at=COIL_AT[t], wanted=wanted, most=most) for t in targets or ("M1",)
    ]
    return "".join(parts)


def write_plan(folder: Path, text: str) -> Path:
    """The plan as a file."""
    path = folder / "plan.toml"
    path.write_text(text)
    return path


Each = Callable[[Sitting, SteppedBench, float], None]


@dataclass
class Held:
    """A stepped session after its end."""

    sat: Sat | None
    said: list[str]
    folder: SessionFolder
    events: tuple[Event, ...]
    sitting: Sitting
    bench: SteppedBench
    lamps: list[tuple[float, str]] = field(default_factory=list)

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        """Data of all events of one kind."""
        return [dict(e.data) for e in self.events if e.kind == kind]

    @property
    def text(self) -> str:
        """Everything that was said to people."""
        return "\n".join([*self.said, self.sat.text if self.sat else ""])


def hold_tiny(
    tmp_path: Path, *, plan: str | None = None, each: Each | None = None, kind: str = "map", seed: int = 3,
    limit_s: float = 240.0, later_s: float = 0.0, **more: Any,
) -> Held:  # fmt: skip
    """A whole session on the stepped clock with 8 channels at 1 kHz; ``each(sitting, bench, now_s)`` after every step."""
    path = write_plan(tmp_path, plan or tiny())
    said: list[str] = []
    seen: dict[str, Any] = {}
    lamps: list[tuple[float, str]] = []

    def spy(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        seen.update(sitting=sitting, bench=bench)
        lamp = sitting.interlock.lamp.value
        if not lamps or lamps[-1][1] != lamp:
            lamps.append((now_s, lamp))
        if each is not None:
            each(sitting, bench, now_s)

    request = Request(
        kind=kind, plan=str(path), simulate=True, data_dir=tmp_path / "data", seed=seed, rate_hz=1000.0,
        **{"channels": 8, **more},
    )  # fmt: skip
    sat = hold_stepped(request, said.append, limit_s=limit_s, start_s=1_700_000_000.0 + later_s, each=spy)
    folder = seen["sitting"].folder
    events = tuple(read_journal(folder.journal).events)
    return Held(
        sat=sat, said=said, folder=folder, events=events, sitting=seen["sitting"], bench=seen["bench"], lamps=lamps
    )  # fmt: skip


def as_at_a_terminal() -> None:
    """In the child: Ctrl-C and a closed terminal mean something, also where this test run was started in the background."""
    for name in ("SIGINT", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


class Running:
    """``rtloop`` as a process of its own, with a person (the test) at its terminal."""

    def __init__(self, folder: Path, *arguments: str, command: tuple[str, ...] = ()) -> None:
        self._errors = (folder / f"stderr-{time.monotonic_ns()}").open("w+")
        self._read = 0
        self.data_dir = folder / "data"
        environ = {
            k: v for k, v in os.environ.items() if not k.startswith("RTLOOP_") or k == "RTLOOP_LSL_SESSION"
        }
        self.process = subprocess.Popen(
            [*(command or (sys.executable, "-m", "rtloop.app.cli", *arguments, "--data-dir", str(self.data_dir)))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, cwd=folder, env=environ,
            preexec_fn=as_at_a_terminal if os.name == "posix" else None,
        )  # fmt: skip

    @property
    def words(self) -> str:
        """Everything said on stderr so far."""
        return Path(self._errors.name).read_text()

    def until(self, text: str, *, within_s: float = 60.0) -> None:
        """Wait for words that were not waited for yet."""
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            at = self.words.find(text, self._read)
            if at >= 0:
                self._read = at + len(text)
                return
            assert self.process.poll() is None, (
                f"ended with {self.process.returncode} before {text!r}:\n{self.words}"
            )
            time.sleep(0.01)
        raise AssertionError(f"{text!r} was not said within {within_s} s:\n{self.words}")

    def say(self, word: str) -> None:
        """Type a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def arm(self) -> None:
        """The two steps, when asked; tried again after a hold of a busy machine."""
        self.until("-> arm at")
        self.arm_again()

    def arm_again(self) -> None:
        """The two steps until the unit is armed."""
        for _ in range(10):
            asked = [line for line in self.words.splitlines() if line.startswith("->")]
            if asked and "look at the preview" in asked[-1]:  # the block was over when it was interrupted
                self.say("go")
                time.sleep(0.3)
            self.say("arm")
            self.say("confirm")
            end_s = time.monotonic() + 3.0
            while time.monotonic() < end_s:
                if self.board("engine_lamp") == ARMED:
                    return
                time.sleep(0.005)
        raise AssertionError(f"not armed:\n{self.words}")

    @property
    def folder(self) -> SessionFolder:
        """The session's folder."""
        (found,) = SessionFolder.all_in(self.data_dir)
        return found

    def board(self, slot: str) -> int:
        """A slot of the session's board."""
        with Board(self.folder.board) as board:
            return board[slot]

    def ended(self, *, within_s: float = 60.0) -> int:
        """The exit code."""
        return self.process.wait(within_s)

    def output(self) -> str:
        """What was said on stdout, after the end."""
        assert self.process.stdout is not None
        return self.process.stdout.read()

    def close(self) -> None:
        """End it and what it started, whatever state they are in."""
        pids = []
        with contextlib.suppress(Exception):
            pids = [self.board(f"pid_{role}") for role in ("port", "recorder")]
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10.0)
        for pid in pids:
            for number in (signal.SIGCONT, signal.SIGTERM):
                with contextlib.suppress(OSError):
                    os.kill(pid, number)
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            with contextlib.suppress(OSError):
                stream.close()
        for pid in pids:
            wait_gone(pid)
        sweep()


ARMED = list(Lamp).index(Lamp.ARMED)


def gone(pid: int) -> bool:
    """Whether a process has ended (or waits only to be buried)."""
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def wait_gone(pid: int, within_s: float = 15.0) -> None:
    """Wait for the end of a process that is not our child."""
    end_s = time.monotonic() + within_s
    while not gone(pid):
        assert time.monotonic() < end_s, f"process {pid} still lives"
        time.sleep(0.02)
