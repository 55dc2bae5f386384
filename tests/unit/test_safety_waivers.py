"""Waivers: every field filled by a person, one rule, one plan; none is shipped."""

from __future__ import annotations

import json
import tomllib
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from rtloop.errors import ValidationProblem
from rtloop.model.waiver import Waiver
from rtloop.safety.rules import RULES
from rtloop.safety.waivers import WAIVABLE, load_waivers, parse_waivers

ROOT = Path(__file__).parents[2]
SHA = "0a" * 32
GOOD = {
    "rule": '"train_longest_tested"', "reason": '"the trial\'s own 10 s trains"', "citation": '"George 2010"',
    "person": '"Dr. A. Example"', "signed_on": '"2023-11-10"', "plan_sha256": f'"{SHA}"',
}  # fmt: skip


def text(**changes: str | None) -> str:
    fields = {k: v for k, v in (GOOD | changes).items() if v is not None}
    return "[[waiver]]\n" + "\n".join(f"{k} = {v}" for k, v in fields.items()) + "\n"


def parse(words: str) -> tuple[Waiver, ...]:
    return parse_waivers(words, plan_sha256=SHA, today="2023-11-14")


@pytest.mark.req("R-WAIVER")
def test_a_whole_waiver_is_read_printed_and_journaled(tmp_path: Path) -> None:
    file = tmp_path / "signed.toml"
    file.write_text(text() + text(rule='"treatment_course"', signed_on="2023-11-14"), "utf-8")
    one, two = load_waivers(file, plan_sha256=SHA, today="2023-11-14")
    assert (one.rule, two.rule, two.signed_on) == ("train_longest_tested", "treatment_course", "2023-11-14")
    for part in (
        "train_longest_tested",
        "10 s trains",
        "George 2010",
        "Dr. A. Example",
        "2023-11-10",
        SHA[:12],
    ):
        assert part in one.words()
    assert Waiver(**json.loads(json.dumps(one.data()))) == one
    with pytest.raises(FrozenInstanceError):
        one.rule = "dose"  # type: ignore[misc]


@pytest.mark.req("R-WAIVER")
@pytest.mark.parametrize(
    ("changes", "word"),
    [
        *[({k: None}, k) for k in GOOD],
        *[({k: '""'}, k) for k in GOOD],
        *[({k: '"   "'}, k) for k in GOOD],
        *[({k: "7"}, k) for k in GOOD],
        *[({k: '"TODO"'}, k) for k in GOOD],
        ({"person": '"..."'}, "person"),
        ({"rule": '"power_cap"'}, "cannot be waived"),
        ({"plan_sha256": f'"{"0b" * 32}"'}, "signed for the plan"),
        ({"plan_sha256": f'"{SHA[:12]}"'}, "signed for the plan"),
        ({"signed_on": '"2023-11-15"'}, "after today"),
        ({"signed_on": "nan"}, "no date"),
        ({"signed_on": "2023-11-10T10:00:00"}, "no date"),
        ({"lifts": '"everything"'}, "unknown key"),
    ],
)
def test_what_is_empty_wrong_or_of_another_plan_refuses(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationProblem, match=word):
        parse(text(**changes))


@pytest.mark.req("R-WAIVER")
@pytest.mark.parametrize(
    ("words", "word"),
    [
        ("", "no .*waiver"), ("waiver = []", "no .*waiver"), ("waiver = 3", "no .*waiver"), ("waiver = [3]", "not a table"),
        ("[[waiver]", "cannot be read"), ("all = true\n" + text(), "unknown key"), (text() + text(), "waived twice"),
    ],
)  # fmt: skip
def test_a_damaged_file_refuses(words: str, word: str) -> None:
    with pytest.raises(ValidationProblem, match=word):
        parse(words)


def test_a_file_that_is_not_there_refuses(tmp_path: Path) -> None:
    with pytest.raises(ValidationProblem, match="cannot be read"):
        load_waivers(tmp_path / "none.toml", plan_sha256=SHA, today="2023-11-14")


@pytest.mark.req("R-WAIVER")
def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ValidationProblem) as problem:
        parse(text(person='""', rule='"dose"') + text(signed_on='"soon"'))
    for word in ("waiver 1: person", "'dose' cannot be waived", "waiver 2: signed_on"):
        assert word in str(problem.value)


@pytest.mark.req("R-WAIVER")
def test_only_rules_that_exist_and_no_cap_of_intensity_day_or_device_can_be_waived() -> None:
    assert set(WAIVABLE) == {"train_longest_tested", "treatment_course"}
    assert set(WAIVABLE) <= {r.__name__ for r in RULES}


def filled(node: Any) -> bool:
    """Whether anything called a waiver says more than which rule it is for, anywhere in a TOML document."""
    if isinstance(node, dict):
        return any((k in ("waiver", "waivers") and not _blank(v)) or filled(v) for k, v in node.items())
    return isinstance(node, list) and any(filled(v) for v in node)


def _blank(rows: Any) -> bool:
    return isinstance(rows, list) and all(
        isinstance(row, dict) and not any(v for k, v in row.items() if k != "rule") for row in rows
    )


@pytest.mark.req("R-WAIVER")
def test_nothing_that_ships_carries_a_filled_waiver(tmp_path_factory: pytest.TempPathFactory) -> None:
    files = [f for f in ROOT.rglob("*.toml") if not any(p.startswith(".") for p in f.relative_to(ROOT).parts)]
    # in a mutation run the folders of the tests lie inside the copy of the sources
    files = [f for f in files if not f.is_relative_to(tmp_path_factory.getbasetemp().parent)]
    assert any(f.parent.name == "library" for f in files)
    for file in files:
        assert not filled(tomllib.loads(file.read_text("utf-8"))), file
    assert filled(tomllib.loads(text()))
