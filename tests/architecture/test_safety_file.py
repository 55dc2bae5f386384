"""The safety file must hold: hazard -> control -> test; and the safety island stays small and pure."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from safety_file_tools import Proofs, collected, found_in

from rtloop.app import qt

ROOT = Path(__file__).parents[2]
DOC: dict[str, Any] = tomllib.loads((ROOT / "docs/safety/hazards.toml").read_text("utf-8"))
#: id -> what its name must hold: the list of hazards that the project must at least answer for, and those found since
HAZARDS = {
    "H01": "unintended pulse", "H02": "over-intensity", "H03": "over-rate", "H04": "over-dose", "H05": "wrong unit",
    "H06": "stale command", "H07": "wrongly believed armed or disarmed", "H08": "orphan or frozen process",
    "H09": "two programs", "H10": "hot coil", "H11": "lost EEG", "H12": "spoofed stream", "H13": "operator absent",
    "H14": "power loss", "H15": "corrupted plan", "H16": "simulated mistaken for real", "H17": "trigger edge",
    "H18": "train that cannot be stopped", "H19": "resumed session repeats dose", "H20": "clock jump",
    "H21": "goes on after a stop", "H22": "limit lifted", "H23": "after a seizure", "H24": "another instant",
    "H25": "busy computer", "H26": "nobody records", "H27": "trigger and EEG say different things",
}  # fmt: skip
SAFETY = sorted((ROOT / "rtloop/safety").glob("*.py"))


@cache
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


def named_in(doc: dict[str, Any]) -> set[str]:
    """Every test that a safety file names."""
    return {t for h in doc["hazard"] for proofs in h["controls"].values() for t in proofs}


@pytest.fixture(scope="module")
def proofs(request: pytest.FixtureRequest) -> Proofs:
    """What pytest collects of the tests that are named: in this run, else asked of pytest in a process of its own."""
    found = found_in(request.session.items, wanted=named_in(DOC))
    lacking = {t.split("::")[0] for t in named_in(DOC) - set(found) if (ROOT / t.split("::")[0]).is_file()}
    if (
        qt.not_installed() or qt.missing()
    ):  # the window's tests cannot be collected here: their definitions have to do
        lacking = {file for file in lacking if not file.startswith("tests/gui/")}
        gui = {t: find(t) for t in named_in(DOC) if t.startswith("tests/gui/")}
        found |= {
            t: {"req": sorted(marks(node)), "runs": True} for t, node in gui.items() if node is not None
        }
    return collected(lacking) | found if lacking else found


def faults_of(doc: dict[str, Any], proofs: Proofs) -> list[str]:
    """Everything wrong with a safety file, in words."""
    bad: list[str] = []
    ids = [h["id"] for h in doc["hazard"]]
    bad += [f"{i} occurs twice" for i in set(ids) if ids.count(i) > 1]
    names = {h["id"]: h["name"] for h in doc["hazard"]}
    bad += [f"{i} must be there: {part}" for i, part in HAZARDS.items() if part not in names.get(i, "")]
    bad += [f"{i} {names[i]} is not in the list of this test" for i in set(ids) - set(HAZARDS)]
    used: set[str] = set()
    for h in doc["hazard"]:
        who = f"{h['id']} {h['name']}"
        unknown = set(h) - {"id", "name", "controls", "requirements", "status", "reason"}
        bad += [f"{who}: unknown key {k}" for k in unknown]
        bad += [] if h["controls"] else [f"{who}: no control"]
        bad += [] if h["requirements"] else [f"{who}: no requirement"]
        proved: set[str] = set()
        for control, tests in h["controls"].items():
            bad += (
                [f"{who}: control {control} does not exist"]
                if "::" not in control or not find(control)
                else []
            )
            bad += [] if tests else [f"{who}: no test proves {control}"]
            for test in tests:
                if test not in proofs:
                    bad.append(f"{who}: test {test} is not there for pytest")
                    continue
                bad += [] if proofs[test]["runs"] else [f"{who}: test {test} is always skipped"]
                proved |= set(proofs[test]["req"])
        bad += [f"{who}: unknown requirement {r}" for r in h["requirements"] if r not in doc["requirements"]]
        bad += [f"{who}: no test carries {r}" for r in h["requirements"] if r not in proved]
        used |= set(h["requirements"])
        if h["status"] not in {"open", "closed"}:
            bad.append(f"{who}: status is open or closed")
        if h["status"] == "open" and not h.get("reason", "").strip():
            bad.append(f"{who}: open without a reason")
    return bad + [f"requirement {r} guards no hazard" for r in doc["requirements"] if r not in used]


def test_every_hazard_has_a_control_and_every_control_a_test(
    proofs: Proofs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert faults_of(DOC, proofs) == []
    with capsys.disabled():
        for h in DOC["hazard"]:
            if h["status"] == "open":
                print(f"\nopen hazard {h['id']} {h['name']}: {h['reason']}", end="")


def test_open_hazards_are_named_in_the_plain_page() -> None:
    page = (ROOT / "docs/safety/README.md").read_text("utf-8")
    assert [h["id"] for h in DOC["hazard"] if h["status"] == "open" and h["id"] not in page] == []


PERMIT = "rtloop/safety/gate.py::Gate.permit"
SOME = "tests/unit/test_safety_limits.py::test_shipped_numbers"


@pytest.mark.parametrize("status", ["open", "closed"])
@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"controls": {}}, "no control"),
        ({"controls": {PERMIT: []}}, f"no test proves {PERMIT}"),
        ({"controls": {"rtloop/safety/gate.py::Gate.nowhere": [SOME]}}, "nowhere does not exist"),
        ({"controls": {PERMIT: ["tests/unit/test_safety_gate.py::test_nothing"]}}, "is not there for pytest"),
        ({"controls": {PERMIT: ["tests/x.py::test_skipped"]}}, "is always skipped"),
        ({"controls": {PERMIT: [SOME]}}, "no test carries R-PERMIT"),
        ({"requirements": []}, "no requirement"),
        ({"requirements": ["R-NOTHING"]}, "unknown requirement R-NOTHING"),
        ({"tests": [SOME]}, "unknown key tests"),
        ({"name": "something else"}, "H01 must be there: unintended pulse"),
        ({"id": "H99"}, "H99 unintended pulse is not in the list"),
    ],
)
def test_the_check_itself_can_fail(change: dict[str, Any], word: str, status: str, proofs: Proofs) -> None:
    seen = proofs | {"tests/x.py::test_skipped": {"req": [], "runs": False}, SOME: {"req": [], "runs": True}}
    first = DOC["hazard"][0] | {"status": status, "reason": "because"} | change
    assert any(word in fault for fault in faults_of(dict(DOC, hazard=[first, *DOC["hazard"][1:]]), seen))


@pytest.mark.parametrize("status", ["open", "half"])
def test_a_status_needs_its_words(status: str, proofs: Proofs) -> None:
    damaged = dict(DOC, hazard=[DOC["hazard"][0] | {"status": status}, *DOC["hazard"][1:]])
    (fault,) = set(faults_of(damaged, proofs)) - set(faults_of(DOC, proofs))
    assert ("without a reason" if status == "open" else "open or closed") in fault


@pytest.mark.parametrize("number", range(len(DOC["hazard"])))
def test_no_hazard_can_be_taken_out(number: int, proofs: Proofs) -> None:
    gone = DOC["hazard"][number]["id"]
    rest = [h for h in DOC["hazard"] if h["id"] != gone]
    assert any(
        fault.startswith(f"{gone} must be there") for fault in faults_of(dict(DOC, hazard=rest), proofs)
    )


def test_a_control_that_is_added_needs_a_test(proofs: Proofs) -> None:
    first = DOC["hazard"][0]
    more = first | {"controls": first["controls"] | {"rtloop/safety/gate.py::Gate.close": []}}
    (fault,) = set(faults_of(dict(DOC, hazard=[more, *DOC["hazard"][1:]]), proofs)) - set(
        faults_of(DOC, proofs)
    )
    assert "no test proves rtloop/safety/gate.py::Gate.close" in fault


def test_what_pytest_finds_of_a_file(tmp_path: Path) -> None:
    """Inherited tests by the class that defines them, none that nobody inherits; skipped ones are told."""
    text = (
        "import pytest\n"
        "class Core:\n"
        "    def test_a(self):\n        pass\n"
        "class Nobodys:\n"
        "    def test_b(self):\n        pass\n"
        "class TestIt(Core):\n"
        "    @pytest.mark.req('x')\n"
        "    @pytest.mark.skip\n"
        "    def test_c(self):\n        pass\n"
        "@pytest.mark.parametrize('n', [pytest.param(0, marks=pytest.mark.skipif(True, reason='')), 1])\n"
        "def test_d(n):\n    pass\n"
        "def test_e():\n    pytest.skip('always')\n"
    )
    file = tmp_path / "test_some_file.py"
    file.write_text(text, "utf-8")
    found = collected([str(file)], root=tmp_path)
    runs = {name.split("::")[1]: row["runs"] for name, row in found.items()}
    assert runs == {
        "Core.test_a": True,
        "TestIt.test_a": True,
        "TestIt.test_c": False,
        "test_d": True,
        "test_e": False,
    }
    assert found["test_some_file.py::TestIt.test_c"]["req"] == ["x"]


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
    assert len(lines) < 1720, "more than can be read in one sitting"


def test_only_the_gate_mints_permits() -> None:
    for folder in ("rtloop", "drivers", "gui", "hardware_sim"):
        for file in (ROOT / folder).rglob("*.py"):
            if file == ROOT / "rtloop/safety/gate.py":
                continue
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                assert not (
                    isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Permit"
                ), file
