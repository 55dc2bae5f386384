"""The safety file must hold: hazard -> control -> test; and the safety island stays small and pure."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOC: dict[str, Any] = tomllib.loads((ROOT / "docs/safety/hazards.toml").read_text("utf-8"))
SAFETY = sorted((ROOT / "rtloop/safety").glob("*.py"))


def find(node_name: str, root: Path = ROOT) -> ast.AST | None:
    """The definition that ``file.py::Name.inner`` points to, or None."""
    file, _, dotted = node_name.partition("::")
    if not (root / file).is_file():
        return None
    found: ast.AST = ast.parse((root / file).read_text("utf-8"))
    for part in dotted.split(".") if dotted else ():
        for node in getattr(found, "body", []):
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            names = {getattr(node, "name", None)} | {getattr(t, "id", None) for t in targets}
            if part in names:
                found = node
                break
        else:
            return None
    return found


def marks(node: ast.AST) -> set[str]:
    """Requirement ids in the ``req`` marks of a test."""
    calls = [d for d in getattr(node, "decorator_list", []) if isinstance(d, ast.Call)]
    return {
        str(arg.value) for call in calls if ast.unparse(call.func).endswith("mark.req")
        for arg in call.args if isinstance(arg, ast.Constant)
    }  # fmt: skip


def faults_of(doc: dict[str, Any]) -> list[str]:
    """Everything wrong with a safety file, in words."""
    bad: list[str] = []
    ids = [h["id"] for h in doc["hazard"]]
    bad += [f"{i} occurs twice" for i in set(ids) if ids.count(i) > 1]
    used: set[str] = set()
    for h in doc["hazard"]:
        who = f"{h['id']} {h['name']}"
        unknown = set(h) - {"id", "name", "controls", "requirements", "tests", "status", "reason"}
        bad += [f"{who}: unknown key {k}" for k in unknown]
        bad += [
            f"{who}: control {c} does not exist" for c in h["controls"] if "::" not in c or find(c) is None
        ]
        bad += [f"{who}: unknown requirement {r}" for r in h["requirements"] if r not in doc["requirements"]]
        used |= set(h["requirements"])
        proved: set[str] = set()
        for test in h["tests"]:
            node = find(test)
            if node is None or "::" not in test:
                bad.append(f"{who}: test {test} does not exist")
            else:
                proved |= marks(node)
        if h["status"] == "open":
            bad += [] if h.get("reason", "").strip() else [f"{who}: open without a reason"]
        elif h["status"] == "closed":
            bad += (
                [] if h["controls"] and h["tests"] and h["requirements"] else [f"{who}: closed without proof"]
            )
            bad += [f"{who}: no test carries {r}" for r in h["requirements"] if r not in proved]
        else:
            bad.append(f"{who}: status is open or closed")
    return bad + [f"requirement {r} guards no hazard" for r in doc["requirements"] if r not in used]


def test_every_hazard_has_a_control_and_every_control_a_test(capsys: pytest.CaptureFixture[str]) -> None:
    assert faults_of(DOC) == []
    with capsys.disabled():
        for h in DOC["hazard"]:
            if h["status"] == "open":
                print(f"\nopen hazard {h['id']} {h['name']}: {h['reason']}", end="")


def test_open_hazards_are_named_in_the_plain_page() -> None:
    page = (ROOT / "docs/safety/README.md").read_text("utf-8")
    assert [h["id"] for h in DOC["hazard"] if h["status"] == "open" and h["id"] not in page] == []


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("controls", [], "closed without proof"),
        ("controls", ["rtloop/safety/gate.py::Gate.nowhere"], "does not exist"),
        ("tests", ["tests/unit/test_safety_gate.py::test_nothing"], "does not exist"),
        ("tests", ["tests/unit/test_safety_limits.py::test_shipped_numbers"], "no test carries"),
        ("status", "open", "without a reason"),
    ],
)
def test_the_check_itself_can_fail(key: str, value: object, word: str) -> None:
    damaged = dict(DOC, hazard=[dict(DOC["hazard"][0], **{key: value}), *DOC["hazard"][1:]])
    assert any(word in fault for fault in faults_of(damaged))


def test_every_req_mark_names_a_requirement() -> None:
    named = set()
    for file in (ROOT / "tests").glob("*/test_*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            named |= marks(node)
    assert named - {"x"} == set(DOC["requirements"])


def test_the_judges_are_pure() -> None:
    barred = {"numpy", "threading", "socket", "time", "os", "subprocess", "asyncio", "multiprocessing"}
    for name in ("rules", "situation", "train_rules", "train_end", "limits", "interlock", "ledger"):
        tree = ast.parse((ROOT / f"rtloop/safety/{name}.py").read_text("utf-8"))
        for node in ast.walk(tree):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {m.split(".")[0] for m in modules} & barred, name
            assert "rtloop.clock" not in modules, name


def test_safety_stays_small() -> None:
    lines = [ln for f in SAFETY for ln in f.read_text("utf-8").splitlines() if ln.strip()]
    assert len(lines) < 1700, "more than can be read in one sitting"


def test_only_the_gate_mints_permits() -> None:
    for folder in ("rtloop", "drivers", "gui", "hardware_sim"):
        for file in (ROOT / folder).rglob("*.py"):
            if file == ROOT / "rtloop/safety/gate.py":
                continue
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                assert not (
                    isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Permit"
                ), file
