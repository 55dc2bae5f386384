"""A whole stepped session in which one electrode fails and recovers: what is told of it, and that a replay says the same."""

from __future__ import annotations

import html
import json
import math
import re

import pytest
from session_tools import Held, hold_tiny, tiny

from hardware_sim.bench import SteppedBench
from rtloop.app.sitting import Sitting
from rtloop.model.view import fold_all
from rtloop.quality.lights import Judgement
from rtloop.quality.limits import RECORDING
from rtloop.session.replay import replay

SICK = "CPz"
PLAN = (
    tiny("M1", wanted=11, most=14)
    + """
[quality]
hold = [2, 6, 3]

[quality.limits]
accepted_trials = [10.0, 5.0]
"""
)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    done: list[float] = []

    def each(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        given = bench.unit.discharges
        if not done and len(given) == 3 and now_s - given[-1].t_s > 0.9:
            done.append(now_s)
            bench.inject({"kind": "flat", "for_s": 6.0, "channels": [SICK]})

    return hold_tiny(tmp_path_factory.mktemp("sick"), plan=PLAN, channels=16, each=each)


def test_a_channel_that_fails_is_told_left_out_and_taken_back(held: Held) -> None:
    assert held.sat is not None
    assert held.sat.exit_code == 0
    told = held.kinds("channels_held")
    assert [d["held"] for d in told] == [[SICK], []]
    assert f"{SICK} is left out from now on: bad in 2 of the last" in told[0]["words"]
    assert f"{SICK} is taken back after 3 good trials in a row" in told[1]["words"]
    run = [d for d in held.kinds("trial_judged") if d["block"] == "run"]
    out = [SICK in d["bad_channels"] for d in run]
    first, last = out.index(True), len(out) - out[::-1].index(True)
    assert all(out[first:last])
    assert 5 <= sum(out) < len(out)  # the flat ones, and three good ones before it is taken back
    assert not out[-1]


def test_each_trial_has_its_light_and_each_number_its_unit(held: Held) -> None:
    for d in held.kinds("trial_judged"):
        judged = Judgement.from_dict(d["quality"])
        assert (judged.light.value == "red") == (not d["accepted"])
        assert {f.unit for f in judged.findings} <= {"µV", "%", "", "ms"}
        json.dumps(d, allow_nan=False)
        assert all(math.isfinite(v) for v in d["numbers"].values())


def test_a_block_is_judged_while_it_runs_and_at_its_end_by_the_plans_limits(held: Held) -> None:
    blocks = held.kinds("quality_judged")
    assert {d["block"] for d in blocks} == {"preview", "run"}
    run = [d for d in blocks if d["block"] == "run"]
    assert [d["running"] for d in run] == [True, False, False]  # ten trials, the review, when accepted
    for d in blocks:
        assert [f["name"] for f in d["findings"]] == list(RECORDING)
        for f in d["findings"]:
            assert (f["value"] is None) == (f["light"] == "absent")
            assert f["words"]
    last = Judgement.from_dict(run[-1])
    assert last["accepted_trials"].yellow == 10.0
    assert last["accepted_trials"].value == run[-1]["n_accepted"]
    assert last["intensities"].value == 1
    assert last["split_half_r"].value is not None
    assert last["early_local_pp_uv"].yellow == 6.0  # the target's own aim
    assert run[-1]["n_accepted"] + run[-1]["n_rejected"] == len(
        [d for d in held.kinds("trial_judged") if d["block"] == "run"]
    )


def test_the_view_and_the_record_hold_them_and_a_replay_says_the_same(held: Held) -> None:
    view = fold_all(held.events)
    assert view.held_channels == ()
    assert view.targets["M1"].quality == held.kinds("quality_judged")[-1]
    assert held.kinds("session_started")[0]["quality"]["limits"]["accepted_trials"] == [10.0, 5.0]
    again = replay(held.folder)
    assert again.differences == []
    assert not again.line.channels.held
    assert len(again.line.facts["M1"]) == len(held.sitting.line.facts["M1"])


def test_nothing_said_to_people_is_a_nan(held: Held) -> None:
    assert "nan" not in held.text.lower()
    assert "NaN" not in held.folder.journal.read_text()


def test_the_terminal_tells_the_light_of_a_block_with_what_to_do_and_the_electrode(held: Held) -> None:
    assert held.text.count("quality of M1 run: ") == 1  # the review; acceptance changed nothing
    assert (
        "accepted trials of a control block 0 (yellow light; at least 20 wanted): sensory responses"
        in held.text
    )
    assert f"{SICK} is left out from now on" in held.text
    assert f"{SICK} is taken back" in held.text


def test_the_report_and_the_result_hold_every_judged_number(held: Held) -> None:
    text = held.folder.report.read_text()
    last = held.kinds("quality_judged")[-1]
    assert f"Quality of the recording: {last['light'].upper()}: " in text
    assert "never reviewed" not in text
    for name in (
        "line noise at the worst good channel, median",
        "coil away from its place",
        "none (no navigation system",
    ):
        assert name in text
    signs = {"red": "✖ RED", "yellow": "▲ YELLOW", "absent": "○ ABSENT", "green": "✓ GREEN"}
    run = next(d for d in reversed(held.kinds("quality_judged")) if d["block"] == "run")
    table = text.split('<table class="small lights">')[-1].split("</table>")[0]
    assert [sign for sign in re.findall("<b>(.*?)</b>", table) if sign] == sorted(
        (signs[f["light"]] for f in run["findings"]), key=list(signs.values()).index
    )  # the worst first
    for f in run["findings"]:
        assert f["what"] in html.unescape(table)
        assert f["todo"] in html.unescape(table)
        if f["light"] != "green":  # its reason in words
            reason = f["words"].removeprefix(f["what"]).lstrip(": ")
            assert re.sub(r"(red|yellow) light; ", "", reason) in html.unescape(table)
    pulses = html.unescape(text.split("<h2>Pulse accounting</h2>")[1].split("</table>")[0])
    lit = [d for d in held.kinds("trial_judged") if d["accepted"] and d["quality"]["light"] == "yellow"]
    assert pulses.count("accepted: yellow: ") == len(lit)  # each with its number and limit
    result = json.loads((held.folder.path / "result.json").read_text())
    assert result["targets"]["M1"]["quality"] == last
