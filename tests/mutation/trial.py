"""Owns one process that tries mutants one after another in its own copy of the sources; owns no choice and no verdict.

Reads a JSON object a line {"file", "source", "tests", "cpu_s", "wall_s"}, answers {"code", "s"}: pytest's exit code (0:
nobody noticed), or "timeout". Without "file" the tests are run as they are, and what they compile is kept. Each trial is a
new process: a fork of this one, which has imported third parties only, or, where there is no fork, an interpreter of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PRELOAD = ("pytest", "hypothesis.stateful", "numpy", "serial", "yaml", "magpy.magstim", "pydantic")
MEMORY_BYTES = 6 << 30


def tests_pass(tests: list[str]) -> int:
    """Run pytest here, in the current folder: its exit code."""
    sys.path[:0] = [os.getcwd(), str(Path("tests").resolve())]
    sys.dont_write_bytecode = not os.environ.get("WRITE_BYTECODE")
    import hypothesis
    import pytest

    few = (
        hypothesis.Phase.explicit,
        hypothesis.Phase.generate,
    )  # a failure is enough: no smaller one is sought
    hypothesis.settings.register_profile("mutation", phases=few, database=None, report_multiple_bugs=False)
    hypothesis.settings.load_profile("mutation")
    quiet = [
        "-x",
        "-q",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
        "--noconftest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "--hypothesis-seed=0",
    ]
    return int(pytest.main([*quiet, *tests]))


def _bounded(tests: list[str], cpu_s: float) -> int:
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s) + 1, int(cpu_s) + 2))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    if not os.environ.get("MUTATION_OUTPUT"):
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
    try:
        return tests_pass(tests)
    except BaseException:
        return 99


def _forked(tests: list[str], cpu_s: float, wall_s: float) -> int | str:
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os._exit(_bounded(tests, cpu_s))
    end_s = time.monotonic() + wall_s
    while time.monotonic() < end_s:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else "timeout"
        time.sleep(0.005)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "timeout"


def _spawned(tests: list[str], wall_s: float) -> int | str:
    try:
        return subprocess.run([sys.executable, __file__, *tests], timeout=wall_s, check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode  # fmt: skip
    except subprocess.TimeoutExpired:
        return "timeout"


@contextlib.contextmanager
def _mutated(asked: dict[str, Any]) -> Iterator[None]:
    file = Path(asked["file"])
    original = file.read_text("utf-8")
    for stale in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        stale.unlink()
    try:
        file.write_text(asked["source"], "utf-8")
        yield
    finally:
        file.write_text(original, "utf-8")


@contextlib.contextmanager
def _compiling() -> Iterator[None]:
    os.environ["WRITE_BYTECODE"] = "1"
    try:
        yield
    finally:
        del os.environ["WRITE_BYTECODE"]


def main() -> None:
    for name in PRELOAD:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        asked = json.loads(line)
        start_s = time.monotonic()
        with _mutated(asked) if "file" in asked else _compiling():
            if hasattr(os, "fork"):
                code = _forked(asked["tests"], asked["cpu_s"], asked["wall_s"])
            else:
                code = _spawned(asked["tests"], asked["wall_s"])
        answers.write(json.dumps({"code": code, "s": time.monotonic() - start_s}) + "\n")
        answers.flush()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(tests_pass(sys.argv[1:]))
    main()
