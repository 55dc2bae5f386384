"""A whole stepped session with the spatial stage on: what is told of it, and that a replay says the very same."""

from __future__ import annotations

import numpy as np
import pytest
from session_tools import Held, hold_tiny, tiny

from rtloop.errors import ValidationProblem
from rtloop.model.view import fold_all
from rtloop.session.replay import replay

STAGES = (
    "\n[signal.stages]\nmuscle = { first = 4, every = 2, channels = 8 }\n"
    'first_trials = "leave_out"\nearlier_trials = "reclean"\n'
)
PLAN = tiny("M1", wanted=8, most=10).replace('"C3"', '"C3"\ngap_ms = [-2.0, 11.0]') + STAGES


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    return hold_tiny(tmp_path_factory.mktemp("spatial"), plan=PLAN, scene="extreme_muscle")


def test_the_first_trials_do_not_count_at_first_and_the_later_ones_say_what_cleaned_them(held: Held) -> None:
    assert held.sat is not None
    assert held.sat.exit_code == 0
    run = [d for d in held.kinds("trial_judged") if d["block"] == "run"]
    by = [d["numbers"]["spatial_trials"] for d in run]
    assert by[:5] == [0, 0, 0, 0, 4]
    assert by == sorted(by)
    assert set(by) == {0, 4, 6}
    assert (
        sum(d["accepted"] for d in run[4:]) == 4
    )  # as many as the plan wants; without the stage none would be
    assert not any(d["accepted"] for d in run[:4])
    assert run[0]["words"].endswith("no artifact filter yet, trials learnt: 0  (limit 4)")
    assert "later trials are cleaned by what these teach" in str(run[0]["quality"])
    assert "residual_decay_uv" in run[0]["numbers"]  # fitted, as no filter was there
    assert "residual_decay_uv" not in run[4]["numbers"]


def test_each_new_filter_is_in_the_journal_with_its_first_trial(held: Held) -> None:
    run = [d for d in held.kinds("trial_judged") if d["block"] == "run"]
    first = {d["numbers"]["spatial_trials"]: d["trial_id"] for d in reversed(run)}
    told = held.kinds("filter_changed")
    assert [(d["from_trial"], d["trials_learnt"]) for d in told] == [(first[4], 4), (first[6], 6)]
    for d in told:
        assert len(d["fields"]) == len(d["ratios"]) == d["patterns"] > 0
        assert d["uncleaned_before"] == 4
        assert d["early"] == d["trials_learnt"]  # every trial's first milliseconds could be used
        for field in d["fields"]:
            assert len(field) == 8
            assert np.linalg.norm(field) == pytest.approx(1.0, abs=0.01)
    report = held.folder.report.read_text()
    again = "4 before that were cleaned again by the first filter, which had learnt from them"
    assert f"from trial {first[4]} on; {again}" in report
    assert "artifact pattern" in report


def test_earlier_trials_are_cleaned_again_between_pulses_and_stand_in_the_place_of_what_they_were(
    held: Held,
) -> None:
    run = [d for d in held.kinds("trial_judged") if d["block"] == "run"]
    again = held.kinds("trial_recleaned")
    assert [d["trial_id"] for d in again] == [d["trial_id"] for d in run[:4]]
    assert [d["left"] for d in again] == [3, 2, 1, 0]
    assert {(d["trials_learnt"], d["after_trial"], d["cleaned"]) for d in again} == {
        (4, run[3]["trial_id"], True)
    }
    assert [d["changed"] for d in again] == [int(d["counts"]) for d in again]
    assert sum(d["counts"] for d in again) >= 3
    assert again[0]["reasons_before"][-1] == "no artifact filter yet, trials learnt"
    assert "cleaned again by the filter of 4 trials and counts" in again[0]["words"]
    assert again[0]["words"] in held.text
    at = [i for i, e in enumerate(held.events) if e.kind == "trial_recleaned"]
    assert held.events[at[-1] + 1].kind == "scores_updated"
    given = [e.t_s for e in held.events if e.kind == "pulse_intended"]
    first_s, last_s = held.events[at[0]].t_s, held.events[at[-1]].t_s
    assert not any(first_s <= t <= last_s + 0.1 for t in given)  # between pulses
    counted = 4 + sum(d["counts"] for d in again)
    assert held.kinds("scores_updated")[-1]["scores"]["n_accepted"] == counted
    assert fold_all(held.events).targets["M1"].n_accepted == counted
    live = held.sitting.line.scorers["M1"]
    assert live.n_accepted == counted
    np.testing.assert_allclose(
        live.average(),
        np.mean([live.evoked._x[s] for s in live.evoked.slots.counting()], axis=0),
        atol=1e-4,
    )


def test_a_replay_gives_the_same_bits(held: Held) -> None:
    again = replay(held.folder)
    assert again.differences == []
    live = held.sitting.line.scorers["M1"]
    replayed = again.line.scorers["M1"]
    assert live.spec.gap_s == replayed.spec.gap_s == (-0.002, 0.011)  # the target's own, not the signal's
    assert held.kinds("session_started")[0]["gaps"] == {"M1": [-0.002, 0.011]}
    np.testing.assert_array_equal(replayed.average(), live.average())
    np.testing.assert_array_equal(replayed.lagged_pairs(), live.lagged_pairs())
    assert replayed.scores().to_dict() == live.scores().to_dict()
    assert again.scores == len(held.kinds("scores_updated")) > 0


def test_too_few_channels_are_told_before_anything_is_armed(tmp_path) -> None:
    with pytest.raises(ValidationProblem, match=r"too few channels for the spatial stage.*at least 16.*8"):
        hold_tiny(tmp_path, plan=tiny("M1") + "\n[signal.stages]\nmuscle = true\n")
