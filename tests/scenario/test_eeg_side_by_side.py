"""Several simulated sessions on one computer at a time: each finds its own streams, all of them, and nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

OUTLETS = """
import sys, pylsl
from rtloop import private_lsl
pylsl.set_config_content(private_lsl.settings(sys.argv[1]))
names = [f"{sys.argv[1]}-{k}" for k in range(2)]
made = [pylsl.StreamOutlet(pylsl.StreamInfo(n, "EEG", 4, 100, "float32", n)) for n in names]
print("up", flush=True)
sys.stdin.read()
"""
LOOK = "from rtloop.eeg.lsl import list_streams; print(*[s.name for s in list_streams()])"


@pytest.fixture
def sessions() -> Iterator[list[str]]:
    names = [f"side-{os.getpid()}-{k}" for k in range(4)]
    running = [
        subprocess.Popen([sys.executable, "-c", OUTLETS, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in names
    ]  # fmt: skip
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
        yield names
    finally:
        for process in running:
            process.communicate(timeout=10.0)


def test_each_of_four_sessions_finds_both_its_outlets_at_the_first_look(sessions: list[str]) -> None:
    for name in sessions:
        found = subprocess.run(
            [sys.executable, "-c", LOOK], env={**os.environ, "RTLOOP_LSL_SESSION": name}, capture_output=True, text=True,
            timeout=30.0, check=True,
        )  # fmt: skip
        assert sorted(found.stdout.split()) == [f"{name}-0", f"{name}-1"], f"{name}: {found.stdout!r}"
