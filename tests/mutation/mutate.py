"""Owns the mutation run: are the tests of the safety layer and the driver able to notice every small change?

    python tests/mutation/mutate.py                          every mutant of what is proved (targets.py)
    python tests/mutation/mutate.py rtloop/safety/gate.py    those of one file
    python tests/mutation/mutate.py --sample 150 --seed 4    a sample, and all of the smallest modules

Exit 1 when a mutant survives that docs/safety/mutation.toml does not list with a reason, when a listed one is killed,
and when a listed one no longer exists. It owns no mutant (mutants.py), no test and no choice of tests (targets.py).
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from mutants import Mutant, mutants_of
from targets import ALWAYS, NOT_YET, TARGETS

ROOT = Path(__file__).resolve().parents[2]
LISTED = ROOT / "docs" / "safety" / "mutation.toml"
COPIED = ("rtloop", "drivers", "hardware_sim", "tests", "docs/safety", "pyproject.toml")
TESTS = TARGETS | NOT_YET
Key = tuple[str, str, str, str, int]


def listed(text: str) -> dict[Key, str]:
    """Survivors that are known, with the reason of each; ValueError for one without or one named twice."""
    out: dict[Key, str] = {}
    for row in tomllib.loads(text).get("survivor", []):
        key = (row["file"], row["function"], row["line"], row["operator"], row.get("nth", 0))
        if key in out or not str(row.get("reason", "")).strip():
            raise ValueError(f"twice, or without a reason: {key}")
        out[key] = row["reason"]
    return out


@dataclass(frozen=True)
class Tried:
    mutant: Mutant
    code: int | str
    took_s: float

    @property
    def survived(self) -> bool:
        return self.code == 0


class Copy:
    """One copy of the sources with a process that tries mutants in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(
                    source, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis")
                )
            elif source.is_file():
                shutil.copy2(source, folder / name)
        self.environment = dict(
            os.environ, PYTHONPATH=f"{folder}{os.pathsep}{folder / 'tests'}", PYTEST_DISABLE_PLUGIN_AUTOLOAD="",
            HYPOTHESIS_STORAGE_DIRECTORY=str(folder / ".hypothesis"), TMPDIR=str(folder), OMP_NUM_THREADS="1",
            OPENBLAS_NUM_THREADS="1",
        )  # fmt: skip
        self._process: subprocess.Popen[str] | None = None

    def baseline(self, tests: tuple[str, ...]) -> float:
        """Seconds of CPU that the tests take unmutated; SystemExit when they fail."""
        command = [sys.executable, str(self.folder / "tests/mutation/trial.py"), *tests]
        start_s = time.monotonic()
        done = subprocess.run(command, cwd=self.folder, env=self.environment | {"WRITE_BYTECODE": "1"},
                              capture_output=True, text=True, timeout=300, check=False)  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(
                f"without any mutant, {' '.join(tests)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-1000:]}"
            )
        return time.monotonic() - start_s

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "tests/mutation/trial.py"], cwd=self.folder, env=self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def end(self) -> None:
        if self._process is not None and self._process.stdin and self._process.stdout:
            self._process.stdin.close()
            self._process.wait(30)
            self._process.stdout.close()


def existing(tests: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(t for t in tests if (ROOT / t.split("::")[0]).is_file())


def run(chosen: list[Mutant], *, jobs: int, within_s: float, aloud: bool) -> list[Tried]:
    """Try the mutants in order, ``jobs`` at a time; those not begun ``within_s`` are left out."""
    todo: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for mutant in chosen:
        todo.put(mutant)
    texts = {file: (ROOT / file).read_text("utf-8") for file in TESTS}
    tried: list[Tried] = []
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copies = [Copy(Path(folder) / str(i)) for i in range(jobs)]
        start_s = time.monotonic()
        sets = dict.fromkeys(existing(TESTS[file]) for file in dict.fromkeys(m.file for m in chosen))
        base = {tests: copies[0].baseline(tests) for tests in sets}
        for copy in copies[1:]:
            for tests in sets:  # compiles the copy; a second look at tests that pass by chance
                copy.baseline(tests)

        def work(copy: Copy) -> None:
            copy.start()
            try:
                while time.monotonic() - start_s < within_s:
                    try:
                        mutant = todo.get_nowait()
                    except queue.Empty:
                        return
                    tests = existing(TESTS[mutant.file])
                    answer = copy.ask({
                        "file": mutant.file, "source": mutant.source(texts[mutant.file]), "tests": tests,
                        "cpu_s": 3 * base[tests] + 3, "wall_s": 15 * base[tests] + 30,
                    })  # fmt: skip
                    result = Tried(mutant, answer["code"], answer["s"])
                    tried.append(result)
                    if aloud or result.survived:
                        word = "SURVIVED" if result.survived else "killed"
                        print(
                            f"{word} {mutant.file}:{mutant.lineno} [{mutant.operator}] {mutant.line}",
                            flush=True,
                        )
            finally:
                copy.end()

        threads = [threading.Thread(target=work, args=(copy,)) for copy in copies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return tried


def verdict(tried: list[Tried], known: dict[Key, str], everything: dict[Key, Mutant]) -> list[str]:
    """What is wrong, in words."""
    wrong = []
    for key in known:
        if key not in everything:
            wrong.append(f"listed, and no longer exists: {key}")
    for t in tried:
        if t.survived and t.mutant.key not in known:
            wrong.append(f"survived, and no reason is written: {t.mutant.key} (line {t.mutant.lineno})")
        elif not t.survived and t.mutant.key in known:
            wrong.append(f"listed as a survivor, and was killed: {t.mutant.key}")
    return wrong


def draft(tried: list[Tried]) -> str:
    """Survivors as rows for the list, the reasons left to a person."""
    rows = []
    for t in tried:
        if t.survived:
            m = t.mutant
            pairs = {"file": m.file, "function": m.function, "line": m.line, "operator": m.operator}
            words = [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in pairs.items()]
            rows.append(
                "\n".join(["[[survivor]]", *words, *([f"nth = {m.nth}"] if m.nth else []), 'reason = ""'])
            )
    return "\n\n".join(rows) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("files", nargs="*", help="only mutants of these files")
    parser.add_argument(
        "--sample", type=int, help="so many mutants by chance, besides all of the smallest modules"
    )
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--within", type=float, default=float("inf"), help="seconds; what was not begun is left out"
    )
    parser.add_argument("--only-new", action="store_true", help="leave listed survivors out")
    parser.add_argument("--aloud", action="store_true", help="tell killed mutants too")
    parser.add_argument("--draft", type=Path, help="write unlisted survivors here, as rows without reasons")
    told = parser.parse_args()
    if unknown := [f for f in told.files if f not in TESTS]:
        parser.error(f"not mutated: {', '.join(unknown)}; known are {', '.join(TESTS)}")
    known = listed(LISTED.read_text("utf-8")) if LISTED.is_file() else {}
    mutants = [
        m
        for file in dict.fromkeys([*TARGETS, *told.files])
        if (ROOT / file).is_file()
        for m in mutants_of((ROOT / file).read_text("utf-8"), file)
    ]
    everything = {m.key: m for m in mutants}
    pool = [m for m in mutants if not told.files or m.file in told.files]
    if told.only_new:
        pool = [m for m in pool if m.key not in known]
    chosen = pool
    if told.sample is not None:
        rest = [m for m in pool if m.file not in ALWAYS]
        some = {m.key for m in random.Random(told.seed).sample(rest, min(told.sample, len(rest)))}
        chosen = [m for m in pool if m.file in ALWAYS or m.key in some]
        print(f"a sample of {len(chosen)} of {len(pool)} mutants, seed {told.seed}", flush=True)
    start_s = time.monotonic()
    tried = run(chosen, jobs=told.jobs, within_s=told.within, aloud=told.aloud)
    took_s = time.monotonic() - start_s
    order = {m.key: i for i, m in enumerate(chosen)}
    tried.sort(key=lambda t: order[t.mutant.key])
    for file in dict.fromkeys(t.mutant.file for t in tried):
        own = [t for t in tried if t.mutant.file == file]
        alive = sum(t.survived for t in own)
        late = sum(t.code == "timeout" for t in own)
        print(
            f"{file}: {len(own)} mutants, {len(own) - alive} killed ({late} by running too long), {alive} survived"
        )
    if told.draft is not None:
        told.draft.write_text(draft([t for t in tried if t.mutant.key not in known]), "utf-8")
    wrong = verdict(tried, known, everything)
    for words in wrong:
        print(words)
    print(
        f"{len(tried)} of {len(chosen)} mutants tried in {took_s:.0f} s; {len(known)} survivors listed; {len(wrong)} wrong"
    )
    return 1 if wrong or not tried else 0


if __name__ == "__main__":
    sys.exit(main())
