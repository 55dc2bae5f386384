"""A waiver file in a whole session: refused before anything opens, in force at the gate's rules, told to everyone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gui_state_tools import live, shown
from session_tools import Held, hold_tiny, tiny, write_plan
from typer.testing import CliRunner

from hardware_sim.bench import SteppedBench
from rtloop.app import cli
from rtloop.app.look import check_plan
from rtloop.app.setting import Request, prepare
from rtloop.app.sitting import Sitting
from rtloop.app.told import rehearsed_of
from rtloop.errors import UsageProblem, ValidationProblem
from rtloop.model.pulse import Pulse, Purpose, Train
from rtloop.model.view import fold_all
from rtloop.plan import rehearse as rehearsal
from rtloop.plan.load import load_plan
from rtloop.safety.ledger import Counts
from rtloop.safety.limits import Limits
from rtloop.safety.rules import PlanStep, Refusal, refusals
from rtloop.safety.train_rules import train_longest_tested, treatment_course

PLAN = tiny()
SHA = hashlib.sha256(PLAN.encode()).hexdigest()
LONG = Train(frequency_hz=1.0, n_pulses=60)  # longer than the 50 s up to which 1 Hz at 130 % was tested
SIGNED = ("train_longest_tested", "Dr. A. Example", "George 2010")


def waiver(**changes: str) -> str:
    fields = {
        "rule": SIGNED[0], "reason": "the trains of the protocol", "citation": SIGNED[2], "person": SIGNED[1],
        "signed_on": "2026-01-02", "plan_sha256": SHA,
    }  # fmt: skip
    return "[[waiver]]\n" + "".join(f'{k} = "{v}"\n' for k, v in (fields | changes).items())


def signed(folder: Path, *texts: str) -> Path:
    path = folder / "signed.toml"
    path.write_text("".join(texts or (waiver(),)), "utf-8")
    return path


def request(folder: Path, **more: Any) -> Request:
    plan = write_plan(folder, PLAN)
    return Request(kind="map", plan=str(plan), simulate=True, data_dir=folder / "data", **more)


def rules_of(sitting: Sitting, now_s: float) -> set[str]:
    """What the gate's rules say of a train that was never tested so long, and of a course too long, as this session stands."""
    pulse = Pulse(pulse_id=1, target="M1", purpose=Purpose.TREATMENT, power_pct_mso=45, power_pct_rmt=None, due_s=now_s,
                  deadline_s=now_s + 0.1, train=LONG)  # fmt: skip
    seen = replace(sitting._situation(pulse, now_s), counts=Counts(treatment_course=10**6))
    return {r.rule for r in refusals(seen, sitting.setting.limits, (train_longest_tested, treatment_course))}


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> tuple[Held, set[str]]:
    """A session with one waiver; and what its rules refuse of a train and a course that are both too long."""
    folder = tmp_path_factory.mktemp("waived")
    said: set[str] = set()

    def each(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        if not said:
            said.update(rules_of(sitting, now_s))

    return hold_tiny(folder, plan=PLAN, waivers=signed(folder), each=each), said


@pytest.mark.req("R-WAIVER")
def test_the_gate_of_the_session_judges_with_the_waiver_and_lifts_nothing_else(
    held: tuple[Held, set[str]],
) -> None:
    assert held[1] == {"treatment_course"}  # without the waiver both: see the next test


@pytest.mark.req("R-WAIVER")
def test_without_a_file_no_rule_is_lifted(tmp_path: Path) -> None:
    said: set[str] = set()

    def each(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        said.update(rules_of(sitting, now_s))

    held = hold_tiny(tmp_path, plan=PLAN, each=each, limit_s=0.1)
    assert said == {"train_longest_tested", "treatment_course"}
    assert held.kinds("session_started")[0]["waivers"] == []
    assert "WAIVER" not in held.text + held.folder.report.read_text()


@pytest.mark.req("R-WAIVER")
def test_everybody_is_told_before_anything_is_armed(held: tuple[Held, set[str]]) -> None:
    session = held[0]
    (row,) = session.kinds("session_started")[0]["waivers"]
    assert (row["rule"], row["person"], row["citation"], row["plan_sha256"]) == (*SIGNED, SHA)
    line = f"WAIVER of {SIGNED[0]} for the plan {SHA[:12]}: the trains of the protocol ({SIGNED[2]}); signed by {SIGNED[1]}"
    where = [i for i, said in enumerate(session.said) if line in said]
    armed = next(i for i, said in enumerate(session.said) if "-> ARMED" in said)
    assert where
    assert where[0] < armed
    assert line in session.folder.report.read_text()
    events = session.events
    asked = next(i for i, e in enumerate(events) if e.kind == "phase_entered" and e.data["phase"] == "arm")
    view = fold_all(events[: asked + 1])
    screen = shown(view, live(view, events[asked].t_s + 0.05))
    assert f"WAIVED: {SIGNED[0]} (by {SIGNED[1]})" in screen.question.words
    (fact,) = [f for f in screen.progress.dose if f.name == "waived"]
    assert fact.value == SIGNED[0]
    assert line in fact.meaning


@pytest.mark.req("R-WAIVER")
def test_a_file_that_is_not_whole_or_of_another_plan_refuses_before_anything_opens(tmp_path: Path) -> None:
    other = "ab" * 32
    file = signed(tmp_path, waiver(plan_sha256=other, person="todo"), waiver(rule="power_cap"))
    with pytest.raises(ValidationProblem) as told:
        prepare(request(tmp_path, waivers=file))
    for part in (other, SHA, "person is missing", "'power_cap' cannot be waived", "train_longest_tested"):
        assert part in str(told.value) + told.value.found, part
    assert not (tmp_path / "data").exists()
    with pytest.raises(UsageProblem, match="--waivers names no file"):
        prepare(request(tmp_path, waivers=tmp_path / "nowhere.toml"))


@pytest.mark.req("R-WAIVER")
def test_the_command_line_takes_the_file_and_a_changed_plan_is_another_plan(tmp_path: Path) -> None:
    file, plan = signed(tmp_path), write_plan(tmp_path, PLAN + "\n")  # one more line than what was signed
    options = [
        "--plan",
        str(plan),
        "--simulate",
        "--waivers",
        str(file),
        "--data-dir",
        str(tmp_path / "data"),
    ]
    for command in (["map", *options], ["probe", *options], ["check", str(plan), "--waivers", str(file)]):
        if command[0] == "probe":
            plan.write_text(PLAN.replace('kind = "map"', 'kind = "probe"'))
        result = CliRunner().invoke(cli.app, command)
        assert isinstance(result.exception, ValidationProblem), result.output
        assert f"signed for the plan '{SHA}'" in result.exception.found
    assert not (tmp_path / "data").exists()


def needing(step: PlanStep, limits: Limits) -> tuple[Refusal, ...]:
    """Rules that refuse one step unless it is waived: plans cannot ask for a train yet."""
    lifted = any(w.rule == SIGNED[0] and w.plan_sha256 == step.plan_sha256 for w in step.waivers)
    no = Refusal(rule=SIGNED[0], expected="50 s", found="60 s", todo="shorten the train")
    return () if lifted else (no,)


@pytest.mark.req("R-WAIVER")
def test_the_rehearsal_is_held_to_the_rules_with_the_waivers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "plan_refusals", needing)
    with pytest.raises(ValidationProblem, match="breaks"):
        prepare(request(tmp_path))
    made = prepare(request(tmp_path, waivers=signed(tmp_path)))
    assert made.rehearsal.may_arm
    assert [w.rule for w in made.waivers] == [SIGNED[0]]
    (by_another,) = (replace(made.waivers[0], plan_sha256="ab" * 32),)
    plan = load_plan(tmp_path / "plan.toml")
    assert rehearsal.rehearse(plan, today="2026-11-22", waivers=(by_another,)).breaches


@pytest.mark.req("R-WAIVER")
@pytest.mark.parametrize("needed", [False, True])
def test_check_says_what_each_waiver_lifts_and_what_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: bool
) -> None:
    if needed:
        monkeypatch.setattr(rehearsal, "plan_refusals", needing)
    plan = write_plan(tmp_path, PLAN)
    text, data, code = check_plan(str(plan), None)
    assert (code, data["waivers"]) == (3 if needed else 0, [])
    assert SHA in text  # what the person who signs has to write
    text, data, code = check_plan(str(plan), None, signed(tmp_path))
    (row,) = data["waivers"]
    assert code == 0
    assert "a train longer than the longest that was tested" in row["lifts"]
    assert row["lifts"] in text
    assert bool(row["needed_by"]) is needed
    assert ("needed by step 1" in text) is needed
    assert ("no step of this plan needs it" in text) is not needed
    lines = [line for line in rehearsed_of(json.loads(json.dumps(data))).words if "WAIVER" in line.text]
    assert len(lines) == 1
    assert ("needed by step 1" in lines[0].text) is needed
