"""A whole stepped session with the spatial stage on: what is told of it, and that a replay says the very same.

The preview has just the pulses that a filter needs (one of them teaches nothing): it ends with earlier trials that are cleaned
again, and no trial after them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings_tools import live_of, numbered, run
from session_tools import Held, hold_tiny, tiny, write_plan

from rtloop.app import recorded
from rtloop.errors import ValidationProblem
from rtloop.model.view import fold_all
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.session.replay import replay

STAGES = (
    "\n[signal.stages]\nmuscle = { first = 4, every = 2, channels = 8 }\n"
    'first_trials = "leave_out"\nearlier_trials = "reclean"\n'
)
PLAN = (
    tiny("M1", wanted=8, most=10)
    .replace('"C3"', '"C3"\ngap_ms = [-2.0, 11.0]')
    .replace("pulses = 1", "pulses = 5")
    + STAGES
)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    return hold_tiny(tmp_path_factory.mktemp("spatial"), plan=PLAN, scene="extreme_muscle")


def of(held: Held, kind: str, block: str = "run") -> list[dict[str, Any]]:
    """Data of the events of one kind and block."""
    return [d for d in held.kinds(kind) if d["block"] == block]


def uncleaned(held: Held, block: str = "run") -> list[dict[str, Any]]:
    """Trials of a block that came before its first filter."""
    return [d for d in of(held, "trial_judged", block) if not d["numbers"]["spatial_trials"]]


def test_the_first_trials_do_not_count_at_first_and_the_later_ones_say_what_cleaned_them(held: Held) -> None:
    assert held.sat is not None
    assert held.sat.exit_code == 0
    run = of(held, "trial_judged")
    by = [d["numbers"]["spatial_trials"] for d in run]
    n = len(uncleaned(held))
    assert 4 <= n <= 5
    assert by[: n + 1] == [0] * n + [4]
    assert by == sorted(by)
    assert set(by) == {0, 4, 6}
    again = sum(d["counts"] for d in of(held, "trial_recleaned"))
    # as many as the plan wants; without the stage none would be
    assert sum(d["accepted"] for d in run[n:]) == 8 - again
    assert not any(d["accepted"] for d in run[:n])
    assert run[0]["words"].endswith("no artifact filter yet, trials learnt: 0  (limit 4)")
    assert "later trials are cleaned by what these teach" in str(run[0]["quality"])
    assert "residual_decay_uv" in run[0]["numbers"]  # fitted, as no filter was there
    assert "residual_decay_uv" not in run[n]["numbers"]


def test_each_new_filter_is_in_the_journal_with_its_first_trial(held: Held) -> None:
    run = of(held, "trial_judged")
    first = {d["numbers"]["spatial_trials"]: d["trial_id"] for d in reversed(run)}
    told, n = of(held, "filter_changed"), len(uncleaned(held))
    assert [(d["from_trial"], d["trials_learnt"]) for d in told] == [(run[0]["trial_id"], 4), (first[6], 6)]
    for d in told:
        assert len(d["fields"]) == len(d["ratios"]) == d["patterns"] > 0
        assert d["uncleaned_before"] == n
        assert d["early"] == d["trials_learnt"]  # every trial's first milliseconds could be used
        for field in d["fields"]:
            assert len(field) == 8
            assert np.linalg.norm(field) == pytest.approx(1.0, abs=0.01)
    report = held.folder.report.read_text()
    again = f"{n} before that were cleaned again by the first filter, which had learnt from them"
    assert f"from trial {first[4]} on; {again}" in report
    assert "artifact pattern" in report


def test_earlier_trials_are_cleaned_again_between_pulses_and_stand_in_the_place_of_what_they_were(
    held: Held,
) -> None:
    run = of(held, "trial_judged")
    again = of(held, "trial_recleaned")
    n = len(uncleaned(held))
    assert [d["trial_id"] for d in again] == [d["trial_id"] for d in run[:n]]
    assert [d["left"] for d in again] == list(range(n))[::-1]
    assert {(d["trials_learnt"], d["after_trial"], d["cleaned"]) for d in again} == {
        (4, run[n - 1]["trial_id"], True)
    }
    assert [d["changed"] for d in again] == [int(d["counts"]) for d in again]
    assert sum(d["counts"] for d in again) >= 3
    assert again[0]["reasons_before"][-1] == "no artifact filter yet, trials learnt"
    for d in again:
        counts = "counts" if d["counts"] else "still does not count"
        assert d["words"].endswith(f"was cleaned again by the filter of 4 trials and {counts}")
    assert again[0]["words"] in held.text
    at = [i for i, e in enumerate(held.events) if e.kind == "trial_recleaned" and e.data["block"] == "run"]
    assert held.events[at[-1] + 1].kind == "scores_updated"
    lights = held.events[at[-1] + 2]  # what was judged before them holds no more
    assert (lights.kind, lights.data["n_accepted"]) == ("quality_judged", sum(d["counts"] for d in again))
    given = [e.t_s for e in held.events if e.kind == "pulse_intended"]
    first_s, last_s = held.events[at[0]].t_s, held.events[at[-1]].t_s
    assert not any(first_s <= t <= last_s + 0.1 for t in given)  # between pulses
    counted = 8
    assert held.kinds("scores_updated")[-1]["scores"]["n_accepted"] == counted
    assert fold_all(held.events).targets["M1"].n_accepted == counted
    live = held.sitting.line.scorers["M1"]
    assert live.n_accepted == counted
    np.testing.assert_allclose(
        live.average(),
        np.mean([live.evoked._x[s] for s in live.evoked.slots.counting()], axis=0),
        atol=1e-4,
    )


def test_a_preview_of_as_many_pulses_as_the_filter_needs_is_looked_at_as_it_was_cleaned(held: Held) -> None:
    judged, again = of(held, "trial_judged", "preview"), of(held, "trial_recleaned", "preview")
    assert not any(d["accepted"] for d in judged)
    assert [d["trial_id"] for d in again] == [d["trial_id"] for d in judged]
    (told,) = of(held, "filter_changed", "preview")
    assert (told["from_trial"], told["trials_learnt"]) == (judged[0]["trial_id"], 4)
    assert told["uncleaned_before"] == len(uncleaned(held, "preview")) == len(judged) == 5
    counted = sum(d["counts"] for d in again)
    assert counted >= 3
    (looked,) = of(held, "block_looked_at", "preview")
    measured = of(held, "early_measured", "preview")
    assert looked["n_accepted"] == measured[-1]["n_accepted"] == counted
    assert looked["n_rejected"] == 5 - counted
    assert looked["early"] == measured[-1]["early"]
    assert looked["early"]["value"] > 0
    kinds = [e.kind for e in held.events if e.data.get("block") == "preview"]
    assert kinds.index("block_looked_at") > max(i for i, k in enumerate(kinds) if k == "trial_recleaned")
    words = held.sitting.line.filters.words("M1/preview", held.sitting.line.spec)
    assert "5 before that were cleaned again by the first filter" in words
    assert "(learnt from 4 trials" in words


def test_the_recording_run_as_a_foreign_one_gives_the_live_scores_and_replays(
    held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "write_report", lambda *a: None)
    plan = write_plan(tmp_path, PLAN)
    live = live_of(held.folder, plan)
    view, _, data = run(held.folder.recording, plan, tmp_path, blocks=numbered(live, tmp_path))
    assert view.targets.keys() == live.view.targets.keys()
    for key, was in live.view.targets.items():
        now = view.targets[key]
        assert (now.n_accepted, now.n_rejected, now.reasons) == (was.n_accepted, was.n_rejected, was.reasons)
        assert now.scores == was.scores
    folder = SessionFolder(path=Path(data["folder"]))
    events = read_journal(folder.journal).events
    fields = (
        "trial_id",
        "sample",
        "target",
        "block",
        "counts",
        "changed",
        "numbers",
        "after_trial",
        "left",
        "trials_learnt",
    )
    again = [{k: e.data[k] for k in fields} for e in events if e.kind == "trial_recleaned"]
    assert again == [{k: d[k] for k in fields} for d in held.kinds("trial_recleaned")]
    assert len(again) == len(uncleaned(held)) + 5
    words = [d["words"] for d in held.kinds("trial_recleaned")]
    assert [e.data["words"] for e in events if e.kind == "trial_recleaned"] == words
    assert replay(folder).differences == []


def test_a_replay_gives_the_same_bits(held: Held, tmp_path: Path) -> None:
    again = replay(held.folder, tmp_path / "pages")
    assert again.differences == []
    assert again.pages_words == ""  # a window shows such a session as any other
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
