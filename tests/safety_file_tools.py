"""Owns what pytest itself finds: each test by every name that a row of the safety file may call it; judges no row.

Loaded as a plugin (``-p safety_file_tools``) with SAFETY_FILE_TESTS naming a file, it writes there what was collected.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

import pytest
from _pytest.skipping import evaluate_skip_marks

ROOT = Path(__file__).parents[1]
OUT = "SAFETY_FILE_TESTS"


class Proof(TypedDict):
    req: list[str]
    runs: bool


#: name of a test -> the requirements that it is marked with, and whether it is ever run here
Proofs = dict[str, Proof]


def names_of(item: pytest.Function, root: Path) -> set[str]:
    """``file.py::test``, or ``file.py::Class.test`` for its own class and for the one that defines it."""
    if item.cls is None:
        return {f"{item.path.relative_to(root).as_posix()}::{item.originalname}"}
    own = item.parent.name if item.parent is not None else ""
    names = {f"{item.path.relative_to(root).as_posix()}::{own}.{item.originalname}"}
    for cls in item.cls.__mro__:
        file = Path(getattr(sys.modules[cls.__module__], "__file__", None) or "/").resolve()
        if item.originalname in vars(cls) and root in file.parents:
            names.add(f"{file.relative_to(root).as_posix()}::{cls.__qualname__}.{item.originalname}")
    return names


def runs(item: pytest.Function) -> bool:
    """Whether no mark skips it here and it does not simply begin with a skip."""
    if evaluate_skip_marks(item) is not None:
        return False
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(item.function))).body
    except (OSError, TypeError, ValueError):
        return True  # made by a library: there is no source to look at
    steps = [node.value for node in getattr(tree, "body", []) if isinstance(node, ast.Expr)]
    return not any(isinstance(s, ast.Call) and ast.unparse(s.func) == "pytest.skip" for s in steps)


def found_in(items: Iterable[pytest.Item], root: Path = ROOT, wanted: set[str] | None = None) -> Proofs:
    """Those of ``items`` by all their names; only the ``wanted`` names, where some are given."""
    found: Proofs = {}
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        marked = {str(arg) for mark in item.iter_markers("req") for arg in mark.args}
        names = names_of(item, root)
        for name in names if wanted is None else names & wanted:
            before = found.get(name, Proof(req=[], runs=False))
            found[name] = Proof(req=sorted(marked.union(before["req"])), runs=before["runs"] or runs(item))
    return found


def pytest_collection_finish(session: pytest.Session) -> None:
    if OUT in os.environ:
        found = found_in(session.items, Path(session.config.rootpath))
        Path(os.environ[OUT]).write_text(json.dumps(found), "utf-8")


def collected(files: Iterable[str], root: Path = ROOT) -> Proofs:
    """What pytest collects from test files, in a process of its own; AssertionError with its words if it cannot."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "tests.json"
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
        environment.pop("PYTEST_ADDOPTS", None)
        options = [
            "--collect-only",
            "-q",
            "-p",
            "safety_file_tools",
            f"--rootdir={root}",
            "-c",
            str(ROOT / "pyproject.toml"),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *sorted(files)],
            cwd=root, env=environment | {OUT: str(out)}, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        found: Proofs = json.loads(out.read_text("utf-8"))
        return found
