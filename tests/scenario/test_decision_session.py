"""A stepped mapping that asks a question: it is looked at, two targets are visited again, and a replay says the same."""

from __future__ import annotations

import json
import re

import pytest
from decision_plan_tools import asking
from session_tools import Held, hold_tiny

from rtloop.decide.course import Do, next_step
from rtloop.decide.look import Look, Outcome
from rtloop.decide.prescription import Prescription
from rtloop.decide.recorded import event_of
from rtloop.model.view import fold_all
from rtloop.record import kinds
from rtloop.session.deciding import decision_lines, decision_tables, look_words, matched_words
from rtloop.session.display import decision_words
from rtloop.session.replay import replay

#: limits so wide that twelve trials with eight electrodes may be compared: what is tested is the course, not the test
DECISION = """
[decision]
looks = 2
n0 = 12
block = 6
block_max = 8
shifts = 1

[comparability]
accepted_min = 12
snr_min = 0.0
snr_ratio_min = 0.0
residue_max = 50.0
rhythm_ratio_max = 50.0
"""


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    plan = asking(DECISION, cap=60)
    return hold_tiny(tmp_path_factory.mktemp("asked"), plan=plan, limit_s=600.0, seed=3)


def test_two_targets_are_visited_again_and_their_trials_added(held: Held) -> None:
    assert held.sat is not None
    assert held.sat.exit_code == 0
    visits = [(d["target"], d["accepted"]) for d in held.kinds(kinds.MAP_VISITED)]
    assert visits[:2] == [("M1", 12), ("PSI", 12)]
    assert sorted(visits[2:]) == [("M1", 6), ("PSI", 6)]
    assert visits[2][0] == "PSI"  # where the coil is
    assert [t["n_accepted"] for t in held.sat.data["targets"].values() if t["scores"]] == [18, 18]
    asked = [d["words"] for d in held.kinds("phase_entered") if d["phase"] == "place"]
    assert asked[2].endswith(
        "return visit before the next look; same intensity, angle, place; the coil is there already"
    )
    assert (
        asked[3]
        == "place the coil at M1 (C3): return visit before the next look; same intensity, angle, place"
    )
    previewed = [d for d in held.kinds("trial_judged") if d["block"] == "preview"]
    assert len(previewed) == 2  # a return visit has none


def test_the_unit_is_disarmed_while_the_map_is_looked_at(held: Held) -> None:
    lamp, at_looks = "", []
    for event in held.events:
        if event.kind == "lamp_changed":
            lamp = str(event.data["after"])
        elif event.kind in (kinds.MAP_LOOKED_AT, kinds.TARGETS_MATCHED):
            at_looks.append(lamp)
    assert at_looks == ["READY"] * 4


def test_the_journal_alone_says_what_was_next(held: Held) -> None:
    (started,) = held.kinds("session_started")
    fixed = Prescription.from_dict(started["decision"])
    history, said = [], []
    for event in held.events:
        if event.kind in (kinds.MAP_VISITED, kinds.MAP_LOOKED_AT):
            if event.kind == kinds.MAP_LOOKED_AT:
                step = next_step(fixed.course, history)
                assert (step.do, step.number) == (Do.LOOK, event.data["number"])
            history.append(event_of(event.data))
        elif event.kind == kinds.VISIT_PROPOSED:
            step = next_step(fixed.course, history)
            said.append((step.target, step.pulses))
            assert said[-1] == (event.data["target"], event.data["pulses"])
    assert len(said) == 2
    assert next_step(fixed.course, history).do is Do.END
    assert next(e.outcome for e in history if isinstance(e, Look)) is Outcome.RETURN


def test_the_answer_holds_both_scores_and_every_row_of_the_test(held: Held) -> None:
    assert held.sat is not None
    decision = held.sat.data["decision"]
    assert decision["kind"] in ("decided", "undecided")  # which of them is chance with eighteen trials
    assert (decision["kind"] == "decided") == (decision["target"] is not None)
    assert "look 2 of 2" in decision["words"]
    assert [d["outcome"] for d in decision["looks"]] == [
        d["outcome"] for d in held.kinds(kinds.MAP_LOOKED_AT)
    ]
    assert [s["target"] for s in decision["scores"]] == ["M1", "PSI"]
    for s in decision["scores"]:
        assert s["matched"]["se"] > 0
        assert (s["noise_by_band"] == [0.0, 0.0, 0.0]) == (s["shifts"] == [])
    checks = {f["check"] for f in decision["findings"]}
    assert {"accepted trials", "response is there", "SNR over the best target's", "same set-up"} <= checks
    returned = held.kinds(kinds.MAP_LOOKED_AT)[0]["words"]
    assert "return to two targets, 6 accepted pulses each" in returned
    assert not re.search(r"M1|PSI", returned)  # the names come with the answer
    told = held.text
    for words in (returned, decision["words"], "matched to target", "comparability:"):
        assert words in told
    report = held.folder.report.read_text()
    for words in (
        "Whether the targets may be compared",
        "noise-matched",
        "SNR over the best target",
        "look 2 of 2",
    ):
        assert words in report


def test_a_blinded_study_shows_no_score_and_no_name(held: Held) -> None:
    blind = []
    for event in held.events:
        if event.kind == "session_started":
            event = type(event)(**{**vars(event), "data": {**event.data, "blinded": True}})
        blind.append(event)
    view = fold_all(blind)
    first, last = held.kinds(kinds.MAP_LOOKED_AT)
    words = [look_words(first, view), look_words(last, view), *decision_words(view)[:1]]
    assert "return to two targets" in words[0]
    assert "masked" in words[1]
    assert not any(re.search(r"M1|PSI|lowest", w) for w in words)
    (matched, _) = held.kinds(kinds.TARGETS_MATCHED)
    rows = [*matched_words(matched, view), *decision_lines(view)]
    assert all("raw masked | matched masked" in row for row in rows[:2])
    values = [f"{1e3 * s[k]['value']:.1f}" for s in view.decision["scores"] for k in ("raw", "matched")]  # type: ignore[index]
    shown = json.dumps([rows, decision_tables(view)], ensure_ascii=False)
    assert not any(f" {v}" in shown for v in values if v not in ("0.0", "-0.0"))


def test_a_replay_makes_the_same_looks(held: Held) -> None:
    found = replay(held.folder)
    assert found.differences == []
    assert found.view.map_look == held.kinds(kinds.MAP_LOOKED_AT)[-1]
