"""For any prefix of a session and any look: a screen that never fails, never contradicts the unit, never leaks a masked score."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from typing import Any

from gui_state_tools import journal, shown, told, views
from hypothesis import given, settings
from hypothesis import strategies as st

from gui.live import Answer, Live
from gui.scores import WHY_MASKED
from gui.shown import Tone
from rtloop.model.status import Fault
from rtloop.model.view import View
from rtloop.safety.interlock import FAULTS

SOME = settings(max_examples=100, deadline=None)
seconds = st.one_of(st.floats(-1.0, 100.0), st.just(float("inf")))
maybe = st.one_of(st.none(), st.floats(-10.0, 10.0))


@st.composite
def looks(draw: st.DrawFn) -> Live:
    """Any look around any instant of the session."""
    i = draw(st.integers(0, len(views()) - 1))
    now_s = journal()[0][i].t_s + draw(st.floats(0.0, 20.0))

    def near() -> float | None:
        d = draw(maybe)
        return None if d is None else now_s + d

    return Live(
        now_s=now_s, engine_age_s=draw(seconds), engine_lives=draw(st.booleans()), engine_ended=draw(st.booleans()),
        board_seen=draw(st.booleans()), port_age_s=draw(seconds), recorder_age_s=draw(seconds),
        unit_instr=draw(st.one_of(st.none(), st.integers(0, 255))), unit_age_s=draw(st.one_of(st.none(), seconds)),
        unit_same_s=draw(seconds), unit_power_pct_mso=draw(st.one_of(st.none(), st.integers(0, 100))),
        unit_temp_c=draw(st.one_of(st.none(), st.floats(-10, 60))), port_state=draw(st.integers(0, 3)), stop_asked_s=near(),
        stop_served_s=near(), stop_confirmed=draw(st.integers(-1, 1)),
        stream_rate_hz=draw(st.one_of(st.none(), st.floats(0, 6000), st.just(float("nan")))), stream_gaps=draw(st.integers(0, 5)),
        stream_lost=draw(st.integers(0, 9999)), stream_age_s=draw(seconds),
        clock_residual_s=draw(st.one_of(st.none(), st.floats(-1, 1))),
        stream_ok=draw(st.booleans()), next_due_s=near(), seat=draw(st.sampled_from(["ours", "another", "none", "lost"])),
        review=draw(st.booleans()), damaged=draw(st.sampled_from(["", "torn"])), report=draw(st.sampled_from(["", "/r.html"])),
        answers=draw(st.sampled_from([(), (Answer(t_s=now_s - 1.0, word="go", args=("9",), why_not="no"),)])),
    )  # fmt: skip


def any_view(i: int, faults: list[Fault], **started: Any) -> View:
    """The view after i events, with faults standing."""
    view = views()[i]
    for f in faults:
        row = FAULTS[f]
        view = told(view, "fault_raised", journal()[0][i].t_s, fault=f.value, action=row.action.value, clears=row.clears,
                    words=f"{row.words}; {row.todo}", todo=row.todo)  # fmt: skip
    return replace(view, started={**view.started, **started}) if view.started else view


indices = st.integers(0, 10_000).map(lambda i: i % len(views()))
fault_lists = st.lists(st.sampled_from(list(Fault)), max_size=4, unique=True)
choices = st.fixed_dictionaries(
    {
        "band": st.sampled_from(["pooled", "alpha", "nonsense"]),
        "trial_id": st.one_of(st.none(), st.integers(-1, 40)),
        "block": st.sampled_from([None, "M1", "M1/preview", "nowhere"]),
    }
)


@given(i=indices, look=looks(), faults=fault_lists, choice=choices)
@SOME
def test_any_prefix_and_any_look_make_a_screen_that_can_be_trusted(
    i: int, look: Live, faults: list[Fault], choice: dict[str, Any]
) -> None:
    view = any_view(i, faults)
    screen = shown(view, look, **choice)
    assert screen.status.what
    assert screen.stop.key == "Esc"
    if view.started and view.ended is None and not look.review:
        assert screen.stop.enabled  # a unit is connected in this session until it ends
    offered = (*screen.question.buttons, *screen.always, *screen.early.buttons)
    for b in offered:
        assert b.enabled is not bool(b.why_not)
        assert b.key != "Esc"
        assert (
            b.enabled is False
            or (look.seat == "ours" and not look.review and view.ended is None)
            or b.word == "__seat__"
            or (
                b.word == "emergency" and not look.review and view.ended is None
            )  # needs neither seat nor engine
        )
    if view.started and view.ended is None and not look.review and not look.engine_ended:
        assert any(b.word == "emergency" and b.enabled for b in screen.always)
    arm = next((b for b in offered if b.word == "arm"), None)
    confirm = next((b for b in offered if b.word == "confirm"), None)
    if arm is not None and arm.enabled:
        assert view.lamp in ("SAFE", "READY")
        assert "arm" in view.options
        assert look.stop_asked_s is None
        assert not any(FAULTS[f].action.value in ("trip", "hold") for f in faults)
    if confirm is not None and confirm.enabled:
        assert view.lamp == "READY"
        assert arm is not None
        assert arm.enabled
    assert len([b.key for b in offered if b.key]) == len({b.key for b in offered if b.key})
    if faults and view.ended is None and not look.review:
        said = " ".join((screen.status.what, *screen.status.more))
        assert all(FAULTS[f].words in said for f in faults)


@given(i=indices, look=looks())
@SOME
def test_the_lamp_never_contradicts_a_fresh_byte(i: int, look: Live) -> None:
    view, look = views()[i], replace(look, review=False)
    if not view.started:
        return
    unit = shown(view, look).unit
    may_discharge = look.unit_instr is not None and bool(look.unit_instr & 0b110)
    if unit.lamp in ("ARMED", "HELD"):
        assert may_discharge
    if unit.lamp in ("SAFE", "READY", "TRIPPED"):
        assert look.unit_instr is not None
        assert not may_discharge
    if look.unit_age_s is None or look.unit_age_s > 3.0 or (may_discharge and look.unit_age_s > 1.0):
        assert unit.lamp == "UNKNOWN"
    if (
        look.unit_instr is not None
        and look.unit_instr >> 5 & 1
        and unit.lamp not in ("UNKNOWN",)
        and unit.lamp == view.lamp
    ):
        assert unit.tone is Tone.BAD


@given(i=indices, look=looks(), band=st.sampled_from(["pooled", "alpha", "low_beta"]))
@SOME
def test_a_blinded_study_shows_no_digit_of_a_score(i: int, look: Live, band: str) -> None:
    view = any_view(i, [], blinded=True)
    screen = shown(view, look, band=band)
    if not view.started:
        return
    assert screen.scores.masked == WHY_MASKED == screen.head.masked
    assert not screen.scores.global_
    assert not screen.scores.local
    for row in screen.scores.table:
        assert {row.global_, row.local, row.p_lowest, row.p_highest} == {"masked"}
    everything = json.dumps(asdict(screen), default=str)
    numbers = set(re.findall(r"-?\d+\.\d+ \[-?\d+\.\d+, -?\d+\.\d+\]", everything))
    open_ = shown(any_view(i, [], blinded=True), look, band=band, role="unblinded")
    assert not open_.scores.masked
    for row in open_.scores.table:
        for score in (row.global_, row.local):
            assert score == "-" or score.startswith("none") or score not in numbers
    for t in view.targets.values():  # counts and quality stay
        assert t.block != "run" or any(str(t.n_accepted) in r.n for r in screen.scores.table)
    if view.decision is not None:
        assert view.decision["words"] not in everything


@given(i=indices)
@SOME
def test_the_same_arguments_give_the_same_screen(i: int) -> None:
    look = Live(now_s=journal()[0][i].t_s, board_seen=True, engine_lives=True, seat="ours")
    first = shown(views()[i], look)
    shown(views()[i // 2], look)  # something else in between: what is kept must not leak
    assert shown(views()[i], look) == first
    fresh = View(**{k: type(v)(v) if isinstance(v, dict) else v for k, v in vars(views()[i]).items()})
    assert shown(fresh, look) == first
