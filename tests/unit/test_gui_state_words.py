"""The one line that says what is wrong and what to do: its order, its words, STOP and the lamp."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gui_state_tools import ARMED, STANDBY, at, buttons, live, shown, told

from gui.live import Answer, Live
from gui.shown import Tone
from rtloop.model.status import Fault
from rtloop.model.view import View
from rtloop.safety.interlock import FAULTS, Action


def raised(view: View, fault: Fault, t_s: float, detail: str = "detail") -> View:
    row = FAULTS[fault]
    words = f"{row.words} ({detail}); {row.todo}"
    return told(
        view,
        "fault_raised",
        t_s,
        fault=fault.value,
        action=row.action.value,
        clears=row.clears,
        words=words,
        todo=row.todo,
    )


@pytest.mark.parametrize("fault", list(Fault))
def test_each_fault_says_what_and_what_to_do(fault: Fault) -> None:
    view, look = at("phase_entered", phase="run")
    status = shown(raised(view, fault, look.now_s), look).status
    assert FAULTS[fault].words in status.what
    assert "(detail)" in status.what
    assert status.todo
    assert status.todo not in status.what
    for engines in (
        "`",
        "reconnect",
        "new run",
        "say ",
    ):  # buttons as they are written on the screen, not words to be typed
        assert engines not in status.todo
    assert status.tone is (Tone.ATTENTION if FAULTS[fault].action is Action.HOLD else Tone.BAD)


def test_a_lost_stream_is_said_once_and_in_the_names_of_the_buttons() -> None:
    view, look = at("phase_entered", phase="arm")
    detail = (
        "the EEG stream is lost: expected a sample every 50 ms, found the connection ended; "
        "say `reconnect` when the amplifier streams again"
    )
    screen = shown(raised(view, Fault.STREAM_LOST, look.now_s, detail), look)
    assert screen.status.what == "Disarmed: the EEG stream is lost (the connection ended)"
    assert screen.status.todo == "check the amplifier, then Open the stream again (Ctrl+R), then Arm (F6)"
    assert buttons(screen)["arm"].why_not == "the EEG stream is lost"
    assert buttons(screen)["reconnect"].primary


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("place", ("Place the coil at M1", "Coil is placed (F2)")),
        ("arm", ("M1", "% MSO", "Arm (F6), then Confirm arming (F8)")),
        ("go", ("M1: look at the preview: Go (F3), another intensity, or Do it again (F7)",)),
        ("review", ("M1", "Accept (F4) or Do it again (F7)")),
    ],
)
def test_questions_name_the_buttons_that_answer_them(phase: str, words: tuple[str, ...]) -> None:
    view, look = at("phase_entered", phase=phase)
    screen = shown(view, look)
    assert all(w in screen.question.words for w in words)
    assert "say " not in screen.question.words
    assert {b.text for b in screen.question.buttons if b.text in ("Go", "Arm", "Accept")} <= set(
        screen.question.words.split()
    )


def test_what_is_worse_comes_first_and_nothing_is_hidden() -> None:
    view, look = at("phase_entered", phase="run")
    for fault in (Fault.STREAM_STALE, Fault.UNIT_HOT, Fault.UNIT_LOST):
        view = raised(view, fault, look.now_s)
    status = shown(view, look).status
    assert status.what.startswith("TRIPPED: the unit's port vanished")
    assert "Disarmed: the coil is too hot" in status.more[0]
    assert "Held: no EEG sample" in status.more[1]
    assert len(status.more) == 3
    assert "pulses at M1" in status.more[2]


def test_the_order_of_the_line() -> None:
    view, look = at("phase_entered", phase="run")
    view = raised(view, Fault.UNIT_LOST, look.now_s)
    seat = replace(look, seat="lost")
    assert "seat" in shown(view, seat).status.what
    dead = replace(seat, engine_lives=False)
    assert shown(view, dead).status.what.startswith("the engine is gone")
    stopped = replace(dead, stop_asked_s=look.now_s - 0.1)
    assert shown(view, stopped).status.what == "STOP asked for"
    damaged = replace(look, damaged="record 7 is missing")
    assert "record 7 is missing" in shown(view, damaged).status.what
    assert shown(view, damaged).status.tone is Tone.BAD


def test_a_dead_and_a_frozen_engine() -> None:
    view, look = at("phase_entered", phase="run")
    gone = shown(view, replace(look, engine_lives=False, engine_age_s=3.0))
    assert "the unit is disarmed by its own process" in gone.status.what
    assert gone.progress.countdown_s is None
    assert "the record is kept" in gone.status.todo
    assert "coil away" in gone.status.todo
    assert "start a new session" in gone.status.todo
    assert gone.stop.enabled
    assert [b.word for b in gone.always if b.enabled] == ["emergency"]  # STOP and a lock need no engine
    frozen = shown(view, replace(look, engine_age_s=2.9))
    assert frozen.status.what == "the engine has not moved for 3 s: the port process has disarmed the unit"
    assert frozen.always[0].why_not == "the engine does not move"
    assert "engine" not in shown(view, replace(look, engine_age_s=0.9)).status.what


def test_stop_is_followed_or_says_that_it_is_not() -> None:
    view, look = at("phase_entered", phase="run")
    now = look.now_s

    def line(**more: object) -> tuple[str, str, str]:
        s = shown(view, replace(look, **more))  # type: ignore[arg-type]
        return s.status.what, s.status.todo, s.stop.words

    assert line(stop_asked_s=now - 0.2)[0] == "STOP asked for"
    what, todo, words = line(stop_asked_s=now - 0.8)
    assert "NOT answered" in what
    assert "own stop switch" in todo
    assert words == what
    assert "waiting for the unit's word" in line(stop_asked_s=now - 0.3, stop_served_s=now - 0.29)[0]
    what, todo, _ = line(stop_asked_s=now - 3, stop_served_s=now - 2.9)
    assert "NOT confirmed" in what
    assert "own stop switch" in todo
    assert "NOT confirmed" in line(stop_asked_s=now - 0.3, stop_served_s=now - 0.2, stop_confirmed=-1)[0]
    what, todo, _ = line(stop_asked_s=now - 0.3, stop_served_s=now - 0.288, stop_confirmed=1)
    assert what == "STOP: the unit itself says disarmed, disarm written after 12 ms"
    assert todo == "take the coil away; start a new session and note why"
    assert "line to the unit is lost" in line(stop_asked_s=now - 3, port_state=2)[0]


def test_a_refusal_shows_all_its_reasons() -> None:
    view, look = at("phase_entered", phase="arm")
    reasons = ["power_cap: expected <= 40, found 45; lower it", "coil_temp: expected < 39, found 40; wait"]
    view = told(view, "refused", look.now_s, power_pct_mso=45, words=reasons)
    view = told(view, "phase_entered", look.now_s, phase="paused", target="M1",
                words="the power was refused; the unit is disarmed",
                options=["resume", "skip", "stop"])  # fmt: skip
    for later_s in (0.0, 600.0):  # as long as it is paused for that
        status = shown(view, replace(look, now_s=look.now_s + later_s)).status
        assert all(r in status.what for r in reasons)
        assert status.what.startswith("45 % MSO refused")
    assert "The power was refused" in status.more[0]
    assert buttons(shown(view, look))["resume"].primary
    gone_on = told(view, "command_received", look.now_s, word="resume", args=[])
    assert "refused: power_cap" not in shown(gone_on, look).status.what


def test_a_refused_pulse_shows_all_its_reasons() -> None:
    view, look = at("phase_entered", phase="run")
    view = told(view, "pulse_refused", look.now_s, pulse_id=500, outcome="refused", delivery="not_delivered", target="M1",
                block="run",
                due_s=look.now_s, refusals=["stream: old", "recorder: behind"])  # fmt: skip
    assert shown(view, look).status.what == "pulse 500 refused: stream: old | recorder: behind"
    assert "pulse 500" not in shown(view, replace(look, now_s=look.now_s + 60)).status.what


def test_a_word_that_was_not_taken() -> None:
    view, look = at("phase_entered", phase="go")
    look = replace(
        look, answers=(Answer(t_s=look.now_s - 1, word="go", args=("55",), why_not="expected one of 45"),)
    )
    assert shown(view, look).status.what == "go 55: not taken: expected one of 45"
    taken = replace(look, answers=(Answer(t_s=look.now_s - 1, word="go"),))
    assert "not taken" not in shown(view, taken).status.what


@pytest.mark.parametrize("seat", ["another", "none", "lost"])
def test_without_the_seat_only_stop_and_emergency_work(seat: str) -> None:
    view, look = at("phase_entered", phase="place")
    screen = shown(view, replace(look, seat=seat))
    assert screen.stop.enabled
    enabled = {b.word for b in (*screen.question.buttons, *screen.always) if b.enabled}
    assert enabled == {"__seat__", "emergency"}  # which is STOP, and a lock that asks no engine
    assert "seat" in buttons(screen)["placed"].why_not
    assert "seat" in screen.seat.text


def test_while_the_unit_charges_arming_is_not_asked_again() -> None:
    view, look = at("arm_confirmed", accepted=True)
    look = replace(look, unit_instr=ARMED)
    screen = shown(view, look)
    words = buttons(screen)
    assert words["arm"].why_not == words["confirm"].why_not == "arming: the unit charges"
    assert "the unit charges" in screen.question.words
    assert screen.unit.lamp == "ARMED"
    assert screen.unit.tone is Tone.ATTENTION
    never = replace(look, now_s=look.now_s + 4, unit_instr=STANDBY)  # it did not come: from the start
    assert buttons(shown(view, never))["arm"].enabled


def test_a_refusal_that_was_overcome_is_gone() -> None:
    view, look = at("phase_entered", phase="arm")
    refused = told(view, "arm_requested", look.now_s, accepted=False, words="cannot arm from SAFE: no EEG")
    assert shown(refused, look).status.what == "arm: refused: cannot arm from SAFE: no EEG"
    armed = told(refused, "lamp_changed", look.now_s, before="READY", after="ARMED", words="")
    assert "refused" not in shown(armed, look).status.what


def test_an_engine_that_starts_may_be_busy_but_not_for_ever() -> None:
    view, look = at("session_started")
    busy = shown(view, replace(look, engine_age_s=5.0)).status
    assert busy.tone is Tone.PLAIN
    assert "busy for 5 s" in busy.what
    assert shown(view, replace(look, engine_age_s=25.0)).status.tone is Tone.BAD
    assert shown(view, replace(look, engine_age_s=5.0, engine_lives=False)).status.tone is Tone.BAD


# -- the lamp --------------------------------------------------------------------------------------------------


def test_an_old_byte_says_nothing() -> None:
    view, look = at("phase_entered", phase="run")
    unit = shown(view, replace(look, unit_age_s=1.2)).unit
    assert unit.lamp == "UNKNOWN"
    assert unit.tone is Tone.BAD
    assert "1.2 s ago" in unit.says
    view, look = at("phase_entered", phase="place")
    assert shown(view, replace(look, unit_age_s=2.1)).unit.lamp == "READY"  # in standby it is asked every 2 s
    assert shown(view, replace(look, unit_age_s=3.1)).unit.lamp == "UNKNOWN"
    assert shown(view, replace(look, unit_instr=None, unit_age_s=None)).unit.lamp == "UNKNOWN"


def test_byte_and_program_that_disagree_are_loud() -> None:
    view, look = at("phase_entered", phase="run")
    unit = shown(view, replace(look, unit_instr=STANDBY, now_s=look.now_s + 5)).unit
    assert unit.lamp == "SAFE"
    assert unit.tone is Tone.BAD
    assert "the unit says standby" in unit.says
    view, look = at("phase_entered", phase="review")
    unit = shown(view, replace(look, unit_instr=ARMED, now_s=look.now_s + 5)).unit
    assert unit.lamp == "ARMED"
    assert unit.tone is Tone.BAD
    assert "press STOP" in unit.says
    soon = shown(view, replace(look, unit_instr=ARMED, now_s=look.now_s + 5, unit_same_s=0.1)).unit
    assert soon.lamp == "ARMED"
    assert soon.tone is Tone.ATTENTION


def test_an_error_bit_is_never_green() -> None:
    view, look = at("phase_entered", phase="place")
    for byte, words in (
        (STANDBY | 1 << 5, "ERROR"),
        (STANDBY & ~(1 << 3), "NO COIL"),
        (STANDBY & ~(1 << 7), "no remote"),
    ):
        unit = shown(view, replace(look, unit_instr=byte)).unit
        assert unit.tone is Tone.BAD
        assert words in unit.says


def test_a_hot_coil_is_marked() -> None:
    view, look = at("phase_entered", phase="place")
    tones = [shown(view, replace(look, unit_temp_c=c)).unit.temperature.tone for c in (36.9, 37.0, 39.0)]
    assert tones == [Tone.PLAIN, Tone.ATTENTION, Tone.BAD]
    assert shown(view, replace(look, unit_temp_c=None)).unit.temperature.value == "not read yet"


def test_the_stream_in_numbers() -> None:
    view, look = at("phase_entered", phase="run")
    bad = replace(
        look,
        stream_rate_hz=900.0,
        stream_age_s=0.3,
        stream_gaps=2,
        stream_lost=40,
        stream_ok=False,
        clock_residual_s=-0.005,
    )
    facts = {f.name: f for f in shown(told(view, "channels_judged", 0.0, bad=["T7"], words=""), bad).stream}
    assert facts["rate"].value == "900 of 1000 Hz"
    assert facts["rate"].tone is Tone.BAD
    assert facts["newest sample"].value == "300 ms"
    assert facts["newest sample"].tone is Tone.BAD
    assert facts["gaps"].value == "2 (40 samples)"
    assert facts["clock residual"].value == "5.00 ms"
    assert facts["stream"].tone is Tone.BAD
    assert facts["bad channels"].value == "T7"
    assert all(f.tone is Tone.GOOD for f in shown(view, look).stream)


# -- listening -------------------------------------------------------------------------------------------------


def listening() -> View:
    started = {
        "mode": "LISTEN",
        "kind": "watch",
        "participant": "P1",
        "plan": "watch",
        "targets": ["M1"],
        "scene": None,
        "rate_hz": 1000,
    }
    view = told(View(), "session_started", 0.0, **started)
    view = told(view, "phase_entered", 1.0, phase="listen", target="M1", words="listening at M1: 50 accepted pulses wanted",
                options=["next", "skip", "stop"])  # fmt: skip
    return told(
        view,
        "pulse_seen",
        2.0,
        pulse_id=1,
        sample=2000,
        source="artifact",
        t_seen_s=2.0,
        alarm="",
        after_command_s=None,
    )


def test_listening_needs_no_unit() -> None:
    view = listening()
    screen = shown(view, live(view, 3.0, unit_instr=None, unit_age_s=None, port_state=0))
    assert screen.unit.lamp == "LISTEN"
    assert not screen.unit.connected
    assert not screen.stop.enabled
    assert "no unit" in screen.stop.words
    assert screen.banner.text == "LISTEN"
    assert screen.status.what.startswith("listening at M1")
    assert buttons(screen)["next"].enabled
    assert "arm" not in buttons(screen)
    assert screen.pulses.facts[0].name == "heard"
    assert screen.pulses.facts[0].value == "1"
    assert screen.pulses.mismatch.tone is not Tone.BAD
    simulated = replace(view, started={**view.started, "scene": "default"})
    assert "SIMULATED" in shown(simulated, live(view, 3.0)).banner.text
    assert "not counted" in screen.progress.dose[0].value


def test_a_dead_listener_speaks_of_no_unit() -> None:
    view = listening()
    screen = shown(view, live(view, 3.0, engine_lives=False))
    assert "engine is gone" in screen.status.what
    assert "unit" not in screen.status.what


# -- before the start


def test_starting_says_so() -> None:
    assert shown(View(), Live()).status.what == "the engine is starting"
    assert shown(View(), Live(review=True)).status.tone is Tone.ATTENTION


def test_the_first_moment_of_a_seat_is_no_alarm_a_lost_window_is() -> None:
    view, look = at("phase_entered", phase="place")
    early = shown(
        raised(view, Fault.OPERATOR_GONE, look.now_s, "no window has taken the operator's seat"), look
    ).status
    assert early.tone is Tone.ATTENTION
    assert "takes the operator's seat" in early.what
    late = shown(
        raised(view, Fault.OPERATOR_GONE, look.now_s, "no sign of the window for 2.3 s"), look
    ).status
    assert late.tone is Tone.BAD
    assert FAULTS[Fault.OPERATOR_GONE].words in late.what
