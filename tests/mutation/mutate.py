"""Owns the mutation run: are the tests of the safety layer and the driver able to notice every small change?

    python tests/mutation/mutate.py                          every mutant of what is proved (targets.py)
    python tests/mutation/mutate.py rtloop/safety/gate.py    those of one file
    python tests/mutation/mutate.py --sample 150           a sample by the sources, and all of the smallest modules

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
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
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
        """Seconds that the tests take unmutated; SystemExit with their words when they fail."""
        answer = self.ask({"tests": tests, "cpu_s": 300, "wall_s": 300})
        if answer["code"] != 0:
            done = subprocess.run(
                [sys.executable, str(self.folder / "tests/mutation/trial.py"), *tests], cwd=self.folder,
                env=self.environment, capture_output=True, text=True, timeout=300, check=False,
            )  # fmt: skip
            raise SystemExit(
                f"without any mutant, {' '.join(tests)} failed ({answer['code']}, then {done.returncode}):\n"
                f"{done.stdout[-4000:]}\n{done.stderr[-1000:]}"
            )
        return float(answer["s"])

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


def run(
    chosen: list[Mutant], *, jobs: int, within_s: float, at_least: int = 0, aloud: bool = False
) -> list[Tried]:
    """Try the mutants in order, ``jobs`` at a time.

    Those not begun ``within_s`` (from the end of the baselines) are left out, but while fewer than ``at_least`` were begun it
    takes three times as long before it gives up.
    """
    todo: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for mutant in chosen:
        todo.put(mutant)
    files = dict.fromkeys(m.file for m in chosen)
    texts = {file: (ROOT / file).read_text("utf-8") for file in files}
    tests_of = {file: existing(TESTS[file]) for file in files}
    tried: list[Tried] = []

    def look(copy: Copy) -> dict[tuple[str, ...], float]:
        copy.start()  # each copy runs all of them: that compiles it, and is another look at tests that pass by chance
        return {tests: copy.baseline(tests) for tests in dict.fromkeys(tests_of.values())}

    def work(copy: Copy, base: dict[tuple[str, ...], float], start_s: float) -> None:
        while time.monotonic() - start_s < within_s * (3 if len(chosen) - todo.qsize() < at_least else 1):
            try:
                mutant = todo.get_nowait()
            except queue.Empty:
                return
            tests = tests_of[mutant.file]
            answer = copy.ask({
                "file": mutant.file, "source": mutant.source(texts[mutant.file]), "tests": tests,
                "cpu_s": 3 * base[tests] + 3, "wall_s": 15 * base[tests] + 30,
            })  # fmt: skip
            result = Tried(mutant, answer["code"], answer["s"])
            tried.append(result)
            if aloud or result.survived:
                word = "SURVIVED" if result.survived else "killed"
                print(f"{word} {mutant.file}:{mutant.lineno} [{mutant.operator}] {mutant.line}", flush=True)

    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copies = [Copy(Path(folder) / str(i)) for i in range(jobs)]
        try:
            with ThreadPoolExecutor(jobs) as pool:
                begun_s = time.monotonic()
                bases = list(pool.map(look, copies))
                start_s = time.monotonic()
                print(f"without any mutant the tests pass ({start_s - begun_s:.0f} s)", flush=True)
                list(pool.map(work, copies, bases, [start_s] * jobs))
        finally:
            for copy in copies:
                copy.end()
    return tried


def in_order(pool: list[Mutant], *, sample: int, seed: int) -> list[Mutant]:
    """Every mutant of the smallest modules first, then ``sample`` of the others, shuffled."""
    rest = [m for m in pool if m.file not in ALWAYS]
    return [m for m in pool if m.file in ALWAYS] + random.Random(seed).sample(rest, min(sample, len(rest)))


def seed_of_sources() -> int:
    """A number of its own for each committed state of what is mutated; 4 where there is no repository."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD:rtloop/safety", "HEAD:drivers"],
            cwd=ROOT, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return 4
    safety, drivers = done.stdout.split()
    return int(safety[:8], 16) ^ int(drivers[:8], 16)


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


def too_few(tried: list[Tried], chosen: list[Mutant], at_least: int) -> list[str]:
    """Why a run that left mutants out proves too little, in words."""
    done = {t.mutant.key for t in tried}
    left = [m for m in chosen if m.file in ALWAYS and m.key not in done]
    words = (
        [f"{len(left)} mutants of {', '.join(sorted({m.file for m in left}))} were not tried"] if left else []
    )
    return words + (
        [f"only {len(tried)} mutants were tried, not {at_least}"] if len(tried) < at_least else []
    )


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
    parser.add_argument("--seed", type=int, help="of the sample; default: from the sources")
    parser.add_argument("--at-least", type=int, default=1, help="fewer mutants tried than this is a failure")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--within", type=float, default=float("inf"), help="seconds of trying; what was not begun is left out"
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
        for file in dict.fromkeys([*TARGETS, *told.files, *(key[0] for key in known)])
        if (ROOT / file).is_file()
        for m in mutants_of((ROOT / file).read_text("utf-8"), file)
    ]
    everything = {m.key: m for m in mutants}
    pool = [m for m in mutants if m.file in (told.files or TARGETS)]
    if told.only_new:
        pool = [m for m in pool if m.key not in known]
    chosen = pool
    if told.sample is not None:
        seed = seed_of_sources() if told.seed is None else told.seed
        chosen = in_order(pool, sample=told.sample, seed=seed)
        print(
            f"a sample of {len(chosen)} of {len(pool)} mutants: --sample {told.sample} --seed {seed}",
            flush=True,
        )
    start_s = time.monotonic()
    tried = run(chosen, jobs=told.jobs, within_s=told.within, at_least=told.at_least, aloud=told.aloud)
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
    wrong = verdict(tried, known, everything) + too_few(tried, chosen, told.at_least)
    for words in wrong:
        print(words)
    print(
        f"{len(tried)} of {len(chosen)} mutants tried in {took_s:.0f} s; {len(known)} survivors listed; {len(wrong)} wrong"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
