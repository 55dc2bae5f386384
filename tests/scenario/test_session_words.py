"""What a person's words do in a whole session on the stepped clock, and what a blinded study shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from session_tools import Held, hold_tiny, tiny

from hardware_sim.bench import SteppedBench
from rtloop.app.sitting import Sitting
from rtloop.model.view import fold_all
from rtloop.session.display import MASKED


class Person:
    """Answers as a person would, through the same hearing as terminal and window; ``more`` is called before each answer."""

    def __init__(self, more: Callable[[Person, str], bool] = lambda person, phase: False) -> None:
        self._more = more
        self._at = 0.0
        self.refused: list[str] = []
        self.coil: list[tuple[str, str]] = []
        self.said: list[str] = []

    def __call__(self, sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        view = sitting.loop.view
        self.sitting, self.bench = sitting, bench
        if now_s < self._at or not view.phase:
            return
        self._at = now_s + 0.1
        if self._more(self, view.phase):
            return
        if view.phase == "arm" and sitting.interlock.lamp.value in ("READY", "SAFE"):
            self.say("arm")
            self.say("confirm")
        elif view.phase in ("place", "go", "review", "paused"):
            self.say({"place": "placed", "go": "go", "review": "accept", "paused": "resume"}[view.phase])
            self._at = now_s + 0.5
        elif view.phase == "preview":
            self.coil.append((view.target, bench.sampler.target))

    def say(self, line: str) -> str:
        word, *args = line.split()
        why = self.sitting.hearing.take(word, tuple(args))
        self.said.append(line)
        if why:
            self.refused.append(f"{line}: {why}")
        return why


STEPS = tiny("M1", "ACC").replace("pulses = 1, steps_pct_mso = [45]", "pulses = 4, steps_pct_mso = [40, 45]")


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> tuple[Held, Person]:
    """A person maps two targets of a blinded study, looks at 40 % again, writes a note, tries what is refused."""

    def more(person: Person, phase: str) -> bool:
        view = person.sitting.loop.view
        if phase == "go" and view.target == "M1" and "preview 40" not in person.said:
            person.say("preview 50")
            person.say("preview 40")
            person.say("note the coil is warm")
            person.say("note " + "x" * 501)
            person.say("reconnect")
            person.say('inject {"kind": "nothing"}')
            person.say("inject nothing")
            return True
        return False

    person = Person(more)
    plan = STEPS.replace('question = "none"', 'question = "classic"\nblinded = true').replace(
        "pulses_total_max = 60", "pulses_total_max = 80"
    )
    return hold_tiny(tmp_path_factory.mktemp("words"), plan=plan, each=person, ask=True), person


def test_the_simulated_coil_lies_where_the_person_says(held: tuple[Held, Person]) -> None:
    result, person = held
    assert set(person.coil) == {("M1", "M1"), ("ACC", "ACC")}
    assert {d["target"] for d in result.bench.discharges} == {"M1", "ACC"}
    for given, closed in zip(result.bench.discharges, result.kinds("pulse_closed"), strict=True):
        assert given["target"] == closed["target"]


def test_a_preview_asked_for_gives_its_pulses_and_comes_back(held: tuple[Held, Person]) -> None:
    result, _ = held
    assert result.sat is not None
    assert result.sat.exit_code == 0
    powers = [
        d["power_pct_mso"]
        for d in result.kinds("pulse_intended")
        if d["target"] == "M1" and d["purpose"] == "preview"
    ]
    assert powers == [40] * 4 + [45] * 4 + [40] * 4
    looked = [d for d in result.kinds("block_looked_at") if d["target"] == "M1" and d["block"] == "preview"]
    assert [d["power_pct_mso"] for d in looked] == [40, 45, 40]
    assert all(d["n_accepted"] + d["n_rejected"] == 4 for d in looked)  # each average is its own
    assert all(d["early_response_uv_min"] == 6.0 for d in looked)
    view = fold_all(result.events)
    assert [r["power_pct_mso"] for r in view.early["M1"]] == [40, 45]


def test_the_early_response_comes_with_an_interval_after_each_trial(held: tuple[Held, Person]) -> None:
    result, _ = held
    rows = result.kinds("early_measured")
    accepted = [d for d in result.kinds("trial_judged") if d["block"] == "preview" and d["accepted"]]
    assert len(rows) == len(accepted) >= 8
    for row in rows:
        if row["n_accepted"] < 3:
            assert row["early"]["value"] is None
            assert "at least 3" in row["early"]["why_absent"]
        else:
            assert row["early"]["low"] < row["early"]["value"] < row["early"]["high"]
            assert row["early"]["unit"] == "µV"
    last = [d for d in result.kinds("block_looked_at") if d["block"] == "preview" and d["n_accepted"] >= 3][
        -1
    ]
    assert last["early"]["value"] == pytest.approx(last["early_local_pp_uv"], rel=1e-4)


def test_words_are_refused_with_their_reason_and_notes_are_the_operators(held: tuple[Held, Person]) -> None:
    result, person = held
    refused = " | ".join(person.refused)
    for words in (
        "preview 50: preview 50: expected one of the plan's",
        "at most 500",
        "not lost",
        "inject nothing: the fault",
    ):
        assert words in refused
    notes = [(d["by"], d["words"]) for d in result.kinds("note_written")]
    assert ("operator", "the coil is warm") in notes
    (fault,) = [w for by, w in notes if w.startswith("inject")]
    assert "not done" in fault  # taken, and then told that there is no such fault


def test_the_session_says_at_its_start_what_is_planned(held: tuple[Held, Person]) -> None:
    result, _ = held
    (started,) = result.kinds("session_started")
    assert started["blinded"] is True
    assert started["answered_by"] == "terminal"
    assert started["places"] == {"M1": "C3", "ACC": "FCz"}
    assert started["criteria"]["ACC"] == {"early_response_uv_min": 6.0, "rejected_share_max": 0.3}
    rows = [
        (s["target"], s["block"], s["power_pct_mso"], s["pulses_wanted"], s["pulses_max"])
        for s in started["steps"]
    ]
    one = [("preview", 40, 4, 4), ("preview", 45, 4, 4), ("run", 45, 4, 6)]
    assert rows == [(t, *r) for t in ("M1", "ACC") for r in one]


def test_a_blinded_study_masks_what_people_see_and_keeps_the_record(held: tuple[Held, Person]) -> None:
    result, _ = held
    assert result.sat is not None
    assert MASKED in result.text
    for shown in ("GLOBAL 0", "GLOBAL -", "LOCAL 0", "P(lowest) 0", "The classic arm gets"):
        assert shown not in result.text, shown
    table = next(line for line in result.sat.text.splitlines() if line.startswith("ACC"))
    assert "masked" in table
    score = result.sat.data["targets"]["ACC"]["scores"]["connectivity"]["dwpli2"]["global"]["pooled"]["value"]
    assert f"{1e3 * score:.1f}" not in table
    report = result.folder.report.read_text()
    assert "Blinded study" in report
    assert "Ranking as displayed" not in report
    assert "The classic arm gets" not in report
    assert "decided (masked" in report
    assert f"{score:.4g}" not in report
    assert json.loads(result.folder.result.read_text())["ranking"]["places"]
    assert result.kinds("decision_made")[0]["target"] == "M1"
    assert "4 accepted" in result.text  # counts stay


def test_a_lost_stream_is_connected_again_by_word(tmp_path: Path) -> None:
    asked: list[float] = []

    def more(person: Person, phase: str) -> bool:
        sitting, bench = person.sitting, person.bench
        lost = "stream_lost" in {f.value for f in sitting.interlock.active}
        if len(bench.unit.discharges) == 2 and not asked:
            asked.append(sitting.clock.now_s())
            assert person.say('inject {"kind": "die", "for_s": 1.5}') == ""
            return True
        if asked and lost:
            person.say("reconnect")
            return True
        return False

    result = hold_tiny(tmp_path, each=Person(more), ask=True)
    opened: list[dict[str, Any]] = result.kinds("stream_reopened")
    assert opened
    assert opened[0]["gap_s"] > 0.2
    assert result.sat is not None
    assert result.sat.exit_code == 0
