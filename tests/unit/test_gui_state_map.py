"""What the operator of a mapping reads, folded from a real simulated session."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from gui_state_tools import LOCAL, TARGETS, at, buttons, journal, live, shown, told, views

from gui.asking import ALWAYS, WORDS
from gui.lights import trial_findings
from gui.shown import Tone
from rtloop.model.view import View
from rtloop.session import outcome


def test_the_coil_is_placed_first() -> None:
    view, look = at("phase_entered", phase="place")
    screen = shown(view, look)
    assert screen.status.what == "Place the coil at M1 (C3)"
    assert screen.unit.lamp == "READY"
    placed = buttons(screen)["placed"]
    assert placed.enabled
    assert placed.primary
    assert placed.key == "F2"
    assert next(s.state for s in screen.progress.steps) == "now"
    assert screen.banner.text == "SIMULATED"
    assert screen.title.startswith("Mapping · SIM-")
    assert screen.trial.title == "no trial yet"


def test_arming_takes_two_keys_in_order_and_in_time() -> None:
    view, look = at("phase_entered", phase="arm")
    words = buttons(shown(view, look))
    assert words["arm"].enabled
    assert words["arm"].primary
    assert not words["confirm"].enabled
    assert "first Arm (F6)" in words["confirm"].why_not
    assert words["arm"].key != words["confirm"].key
    view, look = at("arm_requested", accepted=True)
    screen = shown(view, look)
    words = buttons(screen)
    assert words["confirm"].enabled
    assert words["confirm"].primary
    assert not words["arm"].primary
    assert "confirm within 10 s" in screen.question.words
    late = buttons(shown(view, replace(look, now_s=look.now_s + 10.1)))
    assert not late["confirm"].enabled
    assert late["arm"].enabled
    assert late["arm"].primary
    undone = told(view, "disarmed", look.now_s, reason="x", confirmed=True, words="x")
    assert not buttons(shown(undone, look))["confirm"].enabled


def test_a_fault_between_the_two_steps_takes_the_second_away() -> None:
    view, look = at("arm_requested", accepted=True)
    view = told(view, "lamp_changed", look.now_s, before="READY", after="SAFE", words="")
    view = told(
        view,
        "fault_raised",
        look.now_s,
        fault="stream_stale",
        action="hold",
        clears="itself",
        words="no EEG",
        todo="wait",
    )
    words = buttons(shown(view, look))
    assert not words["arm"].enabled
    assert not words["confirm"].enabled
    assert "no EEG" in words["arm"].why_not


def test_a_fault_that_only_the_operator_can_clear_leaves_arm_enabled() -> None:
    view, look = at("phase_entered", phase="arm")
    view = told(view, "lamp_changed", look.now_s, before="READY", after="SAFE", words="")
    view = told(
        view,
        "fault_raised",
        look.now_s,
        fault="pulse_not_seen",
        action="disarm",
        clears="re-arm",
        words="w",
        todo="t",
    )
    words = buttons(shown(view, look))
    assert words["arm"].enabled
    assert not words["confirm"].enabled


def test_while_pulses_are_given() -> None:
    view, look = at("phase_entered", phase="run")
    screen = shown(view, look)
    assert screen.unit.lamp == "ARMED"
    assert screen.unit.tone is Tone.ATTENTION
    assert screen.status.what.startswith("pulses at M1 run")
    assert screen.progress.countdown == "next pulse in 1.2 s"
    assert screen.progress.countdown_s == pytest.approx(1.25)
    assert screen.unit.power.value == "45 % MSO"
    assert screen.unit.temperature.value == "22.0 °C"
    assert not screen.question.buttons
    assert buttons(screen)["pause"].enabled
    assert buttons(screen)["stop"].enabled


def test_the_trial_is_told_with_units_and_limits() -> None:
    view, look = at("trial_judged", 2, block="run", target="M1")
    screen = shown(view, look)
    newest = max(p["trial_id"] for p in view.pulses.values() if "trial_id" in p)
    pulse = next(p for p in view.pulses.values() if p.get("trial_id") == newest)
    assert screen.trial.title == f"trial {newest} · pulse {pulse['pulse_id']} · M1 run · 45 % MSO"
    facts = {f.name: f for f in screen.trial.facts}
    assert facts["muscle after"].value == f"{pulse['numbers']['muscle_post_uv']:.3g} / 150 µV"
    assert "RED beyond" in facts["muscle after"].meaning
    assert "YELLOW beyond" in facts["line noise"].meaning  # a number that only warns
    assert all(f.meaning for f in screen.trial.facts)
    move = screen.trial.move
    assert move is not None
    assert move.args == (str(newest),)
    assert move.word == ("take_out" if pulse["accepted"] else "reinstate")
    first = shown(view, look, trial_id=0)
    assert first.trial.trial_id == 0
    assert "M1 preview" in first.trial.title


def test_a_rejected_trial_says_every_reason_and_can_be_reinstated() -> None:
    view, look = at("trial_judged", block="run")
    words = "residual decay: 200 µV (limit 150); blink-like frontal amplitude: 90 µV (limit 80)"
    view = told(
        view, "trial_judged", look.now_s, trial_id=90, pulse_id=2, target="M1", block="run", sample=1, accepted=False,
        reasons=["residual decay", "blink-like frontal amplitude"], words=words,
        numbers={"residual_decay_uv": 200.0, "blink_uv": 90.0}, bad_channels=["C3"], stage_s={},
    )  # fmt: skip
    screen = shown(view, look)
    assert screen.trial.verdict.text == f"rejected: {words}"
    assert screen.trial.verdict.tone is Tone.BAD
    assert {f.name for f in screen.trial.facts if f.tone is Tone.BAD} == {"residual decay", "blink-like"}
    assert screen.trial.move is not None
    assert screen.trial.move.word == "reinstate"
    assert "decay left after cleaning: 1" in screen.evoked.reasons
    assert "blink: 1" in screen.evoked.reasons
    assert ("C3", "left out of the newest trial") in screen.head.bad
    assert screen.trials[-1].words == words


def test_each_trial_has_its_light_with_the_reason_in_words_too() -> None:
    view, look = at("trial_judged", 2, block="run", target="M1")
    good = {"line_noise_uv": 3.0, "blink_uv": 10.0, "bad_channels_pct": 0.0}
    noisy = {**good, "line_noise_uv": 12.34, "blink_uv": 70.0}
    for i, (light, numbers) in enumerate(
        (("green", good), ("yellow", noisy), ("red", {**good, "blink_uv": 90.0}), ("", {}))
    ):
        view = told(
            view, "trial_judged", look.now_s, trial_id=90 + i, pulse_id=90 + i, target="M1", block="run", sample=1,
            accepted=light != "red", reasons=["blink-like frontal amplitude"] if light == "red" else [],
            words="" if light != "red" else "blink", bad_channels=[], numbers=numbers,
            **({"quality": {"light": light}} if light else {}),
        )  # fmt: skip
    rows = {r.trial_id: r for r in shown(view, look).trials}
    assert [rows[90 + i].light for i in range(4)] == [Tone.GOOD, Tone.ATTENTION, Tone.BAD, Tone.GOOD]
    assert rows[91].words == "good, yellow: blink-like 70 µV (limit 60) and 1 more"
    looked_at = shown(view, look, trial_id=91)
    assert looked_at.trial.verdict.text == "accepted, yellow: blink-like 70 µV (limit 60) and 1 more"
    assert looked_at.trial.verdict.tone is Tone.ATTENTION
    assert {f.name for f in looked_at.trial.facts if f.tone is Tone.ATTENTION} == {"blink-like", "line noise"}
    lines = [line.text for line in looked_at.quality]
    assert lines[1] == "trial 91 of M1 run: accepted, YELLOW: blink-like 70 µV (limit 60) and 1 more"
    assert any(
        x.startswith("yellow: line noise at the worst good channel 12.3 µV (at most 10 µV wanted). Lower")
        for x in lines
    )
    red = [line for line in shown(view, look, trial_id=92).quality if line.tone is Tone.BAD]
    assert [line.text for line in red] == [
        "trial 92 of M1 run: rejected, RED: blink",
        "red: blink-like frontal amplitude 90 µV (at most 80 µV). Ask the person to fix a point and to blink between pulses.",
    ]
    over = told(
        view,
        "trial_reinstated",
        look.now_s,
        trial_id=92,
        pulse_id=92,
        target="M1",
        block="run",
        words="reinstated",
    )
    assert (
        shown(over, look, trial_id=92).trial.verdict.tone is Tone.ATTENTION
    )  # a person's word does not make it green
    assert "red: blink-like 90 µV (limit 80)" in shown(over, look, trial_id=92).trial.verdict.text


def test_the_lights_on_the_screen_are_those_that_the_engine_judged() -> None:
    view = views()[-1]
    trials = [e.data for e in journal()[0] if e.kind == "trial_judged"]
    assert len(trials) >= 10
    for d in trials:
        assert list(trial_findings(view.pulses[d["pulse_id"]], view.started)) == d["quality"]["findings"]
    pulse = {
        **view.pulses[trials[-1]["pulse_id"]],
        "numbers": {**trials[-1]["numbers"], "line_noise_uv": 7.0},
    }
    strict = {**view.started, "quality": {"trial": {"line_noise_uv": [5.0]}, "yellow_share": 0.5}}
    found = {f["name"]: f for f in trial_findings(pulse, strict)}
    assert (found["line_noise_uv"]["light"], found["line_noise_uv"]["yellow"]) == (
        "yellow",
        5.0,
    )  # the plan's own
    assert found["pre_pp_uv"]["yellow"] == 0.5 * found["pre_pp_uv"]["red"]


def test_the_lights_of_a_block_stand_with_the_worst_first_and_the_absent_with_their_reason() -> None:
    view, look = at("quality_judged", block="run", target="M1")
    judged = view.targets["M1"].quality
    assert judged is not None
    lines = shown(view, look, block="M1").quality
    assert lines[0].text.startswith(f"M1 run, as reviewed: {judged['light'].upper()}: ")
    channels = lines[2]
    assert channels.text == "channels bad now: none; left out over trials: none"
    assert channels.tone is Tone.PLAIN
    rows = lines[-len(judged["findings"]) :]
    assert lines[-len(rows) - 1].text == "M1 run, as reviewed: each of 19 numbers, the worst first"
    order = [r.text.split(":")[0] for r in rows]
    assert order == sorted(order, key=["red", "yellow", "absent", "green"].index)
    tones = {"red": Tone.BAD, "yellow": Tone.ATTENTION, "absent": Tone.OFF, "green": Tone.GOOD}
    assert all(r.tone is tones[light] for r, light in zip(rows, order, strict=True))
    for f in judged["findings"]:  # the words with the number, and what to do
        words = f["words"].replace("yellow light; ", "").replace("red light; ", "")
        assert any(words in r.text and f["todo"][1:] in r.text for r in rows)
    assert any(r.text.startswith("absent: ") and "none (" in r.text for r in rows)

    view = told(view, "channels_held", look.now_s, held=["T7", "C3"], words="T7 and C3 are left out")
    screen = shown(view, look, block="M1")
    assert "left out over trials: T7, C3 (left out until good again" in screen.quality[2].text
    assert screen.quality[2].tone is Tone.ATTENTION
    assert next(f for f in screen.stream if f.name == "held channels").value == "T7, C3"
    assert ("T7", "left out over trials") in screen.head.bad
    back = told(view, "channels_held", look.now_s, held=[], words="T7 and C3 are taken back")
    assert shown(back, look, block="M1").quality[2].tone is Tone.PLAIN
    assert "taken back" in shown(back, look).log[-1].text
    early, look = at("trial_judged")
    assert "not judged yet" in shown(early, look).quality[0].text


def test_whether_targets_may_be_compared_is_told_as_the_last_look_found_it() -> None:
    view, look = at("scores_updated", 2, block="run", target="M1")
    finding = {"check": "accepted trials", "found": 4.0, "limit": 60, "words": "M1 has 4 accepted trials, 60 are needed.",
               "remedy": "record 56 more"}  # fmt: skip
    findings = [{**finding, "target": "M1", "passed": False}, {**finding, "target": "DLPFC", "passed": True}]
    asked = replace(
        view,
        started={**view.started, "blinded": True},
        map_look={"words": "", "comparability": {"findings": findings}},
    )
    asked = replace(asked, started={**asked.started, "decision": {"looks": 2}})
    for v in (
        asked,
        replace(asked, map_look=None, decision={"words": "", "kind": "not_comparable", "findings": findings}),
    ):
        first, second = shown(v, look).scores.table
        assert (first.comparable.text, first.comparable.tone) == ("NO (1 of 1)", Tone.BAD)
        assert "60 are needed. What to do: record 56 more." in dict(first.tips)["Comparable"]
        assert (second.comparable.text, second.comparable.tone) == ("yes", Tone.GOOD)
    before = shown(replace(asked, map_look=None), look).scores
    assert {r.comparable.text for r in before.table} == {"not tested"}
    assert any("tested at each look" in line.text for line in before.words)


def test_the_noise_matched_score_stands_behind_the_raw_one_unless_masked() -> None:
    view, look = at("scores_updated", 2, block="run", target="M1")
    e = {"value": 0.0389, "se": 0.01, "low": 0.018, "high": 0.06, "n": 16, "unit": "", "why_absent": ""}
    d = {
        "words": "",
        "kind": "undecided",
        "scores": [{"target": "M1", "raw": e, "matched": e, "snr": e, "words": "M1: matched to PSI"}],
    }
    tip = dict(shown(replace(view, decision=d), look).scores.table[0].tips)["GLOBAL"]
    assert tip.startswith("pooled, noise-matched at the last look: 38.9 (no interval")
    (table,) = shown(replace(view, decision=d), look).beside.tables
    assert table.rows[0][:3] == ("M1", "38.9 [18.0, 60.0]", "38.9")
    hidden = replace(view, decision=d, started={**view.started, "blinded": True})
    assert not [t for row in shown(hidden, look).scores.table for t in row.tips if "38.9" in t[1]]
    assert not shown(hidden, look).beside.tables
    assert shown(hidden, look, role="unblinded").beside.tables == (table,)


def test_the_review_shows_the_run() -> None:
    view, look = at("phase_entered", phase="review")
    screen = shown(view, look)
    assert screen.evoked.block == "M1"
    assert screen.evoked.title.startswith("M1 run: average of 4")
    assert buttons(screen)["accept"].primary
    t = view.targets["M1"]
    assert screen.evoked.counts.text.startswith(f"{t.n_accepted} accepted, {t.n_rejected} rejected")
    assert shown(view, look, block="M1/preview").evoked.block == "M1/preview"


def test_scores_come_with_interval_and_p() -> None:
    view, look = views()[-1], live(views()[-1], journal()[0][-1].t_s + 1)
    scores = shown(view, look).scores
    row = {r.target: r for r in scores.table}["M1"]
    e = view.targets["M1"].scores["connectivity"]["dwpli2"]["global"]["pooled"]  # type: ignore[index]
    assert row.global_ == f"{1e3 * e['value']:.1f} [{1e3 * e['low']:.1f}, {1e3 * e['high']:.1f}]"
    places = {p["target"]: p for p in view.ranking["places"]}  # type: ignore[index]
    assert row.p_lowest == f"{places['M1']['p_lowest']:.2f}"
    assert [s.target for s in scores.global_] == list(TARGETS)
    for s in (*scores.global_, *scores.local):
        assert len(s.n) == len(s.value) == len(s.low) == len(s.high) > 0
    assert scores.global_[0].value[-1] == pytest.approx(1e3 * e["value"])
    assert any("sampling error only" in line.text for line in scores.words)
    assert any("no benefit over classic M1" in line.text for line in scores.words)
    assert {r.comparable.text for r in scores.table} == {"not tested"}
    assert any("not tested, the plan has no [decision]" in line.text for line in scores.words)
    assert "SNR" in dict(row.tips)["Comparable"]
    assert scores.wanted == view.started["steps"][-1]["pulses_wanted"]
    alpha = shown(view, look, band="alpha").scores
    assert alpha.table[0].global_ != row.global_
    assert shown(view, look, band="alpha").head.band == 0


def test_pulses_are_accounted_for() -> None:
    view, look = views()[-1], live(views()[-1], journal()[0][-1].t_s + 1)
    facts = {f.name: f.value for f in shown(view, look).pulses.facts}
    n = sum(e.kind == "pulse_closed" for e in journal()[0])
    for name in ("commanded", "permitted", "sent", "acknowledged", "seen by trigger"):
        assert facts[name] == str(n), name
    assert facts["not seen"] == facts["not commanded"] == facts["uncertain"] == "0"
    assert shown(view, look).pulses.mismatch.tone is Tone.GOOD
    for event, words in (
        (("pulse_not_seen", {"pulse_id": 1}), "check coil and trigger"),
        (
            ("pulse_uncommanded", {"pulse_id": -99, "sample": 98, "source": "artifact", "t_seen_s": 0.0}),
            "coil away, unit off",
        ),
        (("pulse_closed", {"pulse_id": 1, "outcome": "uncertain", "delivery": "uncertain"}), "it is counted"),
    ):
        bare = replace(
            view, pulses={**view.pulses, 1: {"pulse_id": 1, "permit_id": 1, "target": "M1", "block": "run"}}
        )
        wrong = shown(told(bare, event[0], look.now_s, **event[1]), look).pulses.mismatch
        assert wrong.tone is Tone.BAD
        assert words in wrong.text


def test_latency_rows_are_the_reports() -> None:
    from gui.accounting import STAGES

    assert {k: v[:2] for k, v in STAGES.items()} == outcome.STAGES
    view, look = views()[-1], live(views()[-1], journal()[0][-1].t_s)
    rows = {r.name: r for r in shown(view, look).latency}
    ms = 1e3 * np.array(view.timings_s["sample_to_scores"])
    row = rows["last sample to every result"]
    assert (row.n, row.budget_ms) == (len(ms), 10.0)
    assert row.p95_ms == pytest.approx(np.percentile(ms, 95))
    assert row.median_ms == pytest.approx(np.percentile(ms, 50))
    assert row.worst_ms == pytest.approx(ms.max())
    assert row.last_ms == pytest.approx(ms[-1])
    assert "fire command to the unit's answer" in rows
    assert all(r.meaning for r in rows.values())


def test_the_dose_counts_uncertain_pulses_and_what_was_given_before() -> None:
    view, look = views()[-1], live(views()[-1], journal()[0][-1].t_s)
    n = sum(e.kind == "pulse_intended" for e in journal()[0])
    day = next(e.data["day"] for e in journal()[0] if e.kind == "pulse_intended")
    view = replace(view, started={**view.started, "dose_before": {"day": 7, "course": 100, "day_utc": day}})
    facts = {f.name: f.value for f in shown(view, look).progress.dose}
    assert facts["this session"].startswith(f"{n} of ")
    assert facts["course"] == f"{n + 100} pulses"
    assert facts["today"].startswith(f"{n + 7} of ")
    before = {"day": 7, "course": 100, "day_utc": day, "treatment": {"session": 1, "day": 2, "course": 3}}
    caps = {
        f"max_treatment_pulses_{of}": k for of, k in (("session", 3000), ("day", 3000), ("course", 36000))
    }
    treated = {
        **view.started,
        "kind": "treat",
        "dose_before": before,
        "limits": {**view.started["limits"], **caps},
    }
    facts = {f.name: f.value for f in shown(replace(view, started=treated), look).progress.dose}
    assert facts == {  # a treatment's caps are its own, and only treatment counts against them
        "this session": f"{n + 1} of 3000", "today": f"{n + 2} of 3000", "course": f"{n + 3} of 36000",
    }  # fmt: skip
    more = told(
        view, "pulse_intended", look.now_s, pulse_id=77, target="M1", permit_id=77, day=day, power_pct_mso=45
    )
    assert {f.name: f.value for f in shown(more, look).progress.dose}["course"] == f"{n + 101} pulses"
    refused = told(more, "pulse_closed", look.now_s, pulse_id=77, outcome="missed", delivery="not_delivered")
    assert {f.name: f.value for f in shown(refused, look).progress.dose}["course"] == f"{n + 100} pulses"


def test_steps_of_intensity_against_the_criterion_without_a_verdict() -> None:
    view, look = at("phase_entered", phase="go")
    steps = [{"target": "M1", "block": "preview", "power_pct_mso": p, "power_pct_rmt": None, "pulses_wanted": 5, "pulses_max": 5}
             for p in (40, 45)]  # fmt: skip
    view = replace(
        view,
        started={**view.started, "steps": steps, "criteria": {"M1": {"early_response_uv_min": 8.0}}},
        early={},
    )
    for power, value in ((40, 5.1), (45, 8.2)):
        view = told(
            view, "early_measured", look.now_s, target="M1", block="preview", power_pct_mso=power, power_pct_rmt=None,
                n_accepted=5,
            n_rejected=1, early={"value": value, "se": 1.0, "low": value - 2.1, "high": value + 2.1, "n": 5, "unit": "µV"},
        )  # fmt: skip
    early = shown(view, look).early
    assert early.words.text == "45 % MSO: 8.2 µV [6.1, 10.3], the plan wants 8 or more, n 5, 1 rejected"
    assert [(s.power_pct_mso, s.now) for s in early.steps] == [(40, False), (45, True)]
    assert early.criterion_uv == 8.0
    go = {(b.word, b.args): b for b in early.buttons}
    assert go["go", ("40",)].enabled
    assert not go["go", ("40",)].primary
    assert {b.key for b in early.buttons} == {"Ctrl+1", "Ctrl+2", "Ctrl+F1", "Ctrl+F2"}
    # another block of the preview keeps them; placed for a return visit: of an earlier placement, and no go at one of them;
    # begun anew: they are gone
    view = told(view, "block_restarted", look.now_s, target="M1", block="preview")
    assert len(shown(view, look).early.steps) == 2
    place = {"phase": "place", "target": "M1", "words": "place", "options": ["placed"]}
    visited = told(view, "map_visited", look.now_s, event="visit", target="M1", accepted=4)
    again = shown(replace(told(visited, "phase_entered", look.now_s, **place), phase="go"), look).early
    assert [s.value.value for s in again.steps] == [5.1, 8.2]
    assert again.since.text.startswith("seen before this placement")
    assert not {(b.word, b.args): b for b in again.buttons}["go", ("40",)].enabled
    restarted = told(visited, "map_restarted", look.now_s, event="restart", target="M1")
    for anew in (view, restarted):
        words = shown(told(anew, "phase_entered", look.now_s, **place), look).early.words.text
        assert words == "no preview yet; the plan wants 8 or more µV"
    unseen = replace(view, early={})
    assert not {(b.word, b.args): b for b in shown(unseen, look).early.buttons}["go", ("40",)].enabled


def test_after_the_end_nothing_can_be_said_and_the_report_is_named() -> None:
    view, look = (
        views()[-1],
        live(views()[-1], journal()[0][-1].t_s + 1, report="/data/x/report.html", unit_instr=0b10001001),
    )
    screen = shown(view, look)
    assert screen.ended
    assert screen.status.what == "the session ended: the plan is complete"
    assert screen.status.todo == "report: /data/x/report.html"
    assert screen.status.tone is Tone.GOOD
    assert not screen.stop.enabled
    assert not any(b.enabled for b in (*screen.question.buttons, *screen.always))
    assert screen.trial.move is not None
    assert screen.trial.move.why_not == "the session has ended"


def test_the_review_of_the_same_journal_is_the_same_but_for_what_runs() -> None:
    from gui.live import Live

    screen = shown(views()[-1], Live(now_s=5.0, review=True))
    assert screen.banner.text == "REVIEW · SIMULATED"
    assert not screen.stop.enabled
    assert screen.unit.lamp == "REVIEW"
    assert screen.unit.tone is Tone.OFF
    assert screen.scores.table == shown(views()[-1], live(views()[-1], 1e9)).scores.table
    cut = shown(views()[-3], Live(now_s=5.0, review=True))
    assert "cut short" in cut.status.what
    assert "verify" in cut.status.todo


def test_keys_are_unique_and_never_escape() -> None:
    keys = [(w, k) for w, (_, k) in WORDS.items() if w != "next"]  # next and accept are never asked together
    for (a, ka), (b, kb) in itertools.combinations(keys, 2):
        assert ka != kb, (a, b)
    assert not any("Esc" in k for _, k in keys)
    assert "arm" not in ALWAYS


def test_every_phase_of_the_session_shows_only_words_that_the_engine_offers() -> None:
    for event, view in zip(journal()[0], views(), strict=True):
        screen = shown(view, live(view, event.t_s + 0.01))
        for b in screen.question.buttons:
            assert b.word in view.options, (event.kind, b.word)
            assert b.enabled or b.why_not
        assert sum(b.primary for b in screen.question.buttons) <= 1
        offered = [o for o in view.options if o in WORDS and o not in ALWAYS]
        assert view.ended is not None or [b.word for b in screen.question.buttons] == offered


def test_before_anything_is_known() -> None:
    from gui.live import Live

    screen = shown(View(), Live())
    assert screen.status.what == "the engine is starting"
    assert not screen.stop.enabled
    assert shown(View(), Live(board_seen=True, engine_lives=True, engine_age_s=0.1)).stop.enabled


def test_the_local_electrodes_are_those_of_the_engine() -> None:
    view, look = at("phase_entered", phase="review")
    assert len(LOCAL["M1"]) == 4
    assert set(shown(view, look).evoked.local) == set(LOCAL["M1"])
    assert set(shown(view, look).head.local) == set(LOCAL["M1"])
    named = replace(view, started={**view.started, "local": {"M1": ["Cz", "C4"]}})
    assert shown(named, look).head.local == ("Cz", "C4")


def test_only_what_changed_is_worked_out_again() -> None:
    from gui.kept import kept, kept_each

    worked: list[object] = []
    f = kept(lambda *a: worked.append(a))
    each = kept_each(lambda key, row: worked.append((key, row)) or len(worked))
    rows = {1: {"a": 1}, 2: {"a": 2}}
    f(rows, "x"), f(rows, "x")
    assert len(worked) == 1
    f({**rows}, "x"), f(rows, "y")
    assert len(worked) == 3
    worked.clear()
    assert each(rows) == [1, 2] == each({**rows})
    assert each({**rows, 2: {"a": 3}}) == [1, 3]
    assert worked[-1] == (2, {"a": 3})
