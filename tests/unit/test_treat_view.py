"""A treatment folded event by event, and what its screen shows of it: the journal is a real one, of the stepped clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from gui_state_tools import live, shown
from treat_session_tools import Person, request_of, stepped_treatment

from gui.shown import Session, Tone
from rtloop.model.event import Event
from rtloop.model.treat_view import TreatView, begin, fold
from rtloop.model.view import View, fold_all
from rtloop.model.view import fold as view_fold
from rtloop.record.journal import read_journal

Journal = tuple[Event, ...]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    """Three trains of ten pulses; a sensation, an event, a pause and its end in between."""
    first = ("phase_entered", lambda d: d["phase"] == "pause" and d["train"] == 2)
    said = Person(
        (*first, "sensation mild tingling under the coil"),
        (*first, "adverse headache; severity=mild; related=possible; serious=none; anticipated=yes; device=no; state=ongoing"),
        (*first, "pause"),
    )  # fmt: skip
    with stepped_treatment(request_of(tmp_path_factory.mktemp("treat"), by="A. Nurse"), said) as t:
        t.runner.run()
    return read_journal(t.script.folder.journal).events


def until(journal: Journal, kind: str, nth: int = 0, **data: Any) -> tuple[View, float]:
    """The view just after the nth event of a kind with these data, and its instant."""
    found = [
        i
        for i, e in enumerate(journal)
        if e.kind == kind and all(e.data.get(k) == v for k, v in data.items())
    ]
    return fold_all(journal[: found[nth] + 1]), journal[found[nth]].t_s


def screen(view: View, now_s: float, **more: Any) -> Session:
    return shown(view, live(view, now_s, **more))


def treatment(view: View) -> TreatView:
    assert view.treatment is not None
    return view.treatment


def facts(s: Session) -> dict[str, str]:
    assert s.treatment is not None
    return {f.name: f.value for f in s.treatment.facts}


def test_another_session_has_no_treatment(journal: Journal) -> None:
    assert begin({"kind": "map"}) is None
    assert shown(View(), live(View(), 1.0)).treatment is None
    assert all(fold_all(journal[:n]).treatment is not None for n in range(3, len(journal), 20))


def test_a_checklist_is_answered_then_signed(journal: Journal) -> None:
    view, now_s = until(journal, "phase_entered", phase="before")
    s = screen(view, now_s)
    assert s.treatment is not None
    assert (s.treatment.headline.text, s.treatment.field) == ("Checklist before the treatment", "words")
    assert [(b.word, b.enabled, b.primary) for b in s.question.buttons] == [
        ("yes", True, False), ("no", True, False), ("back", True, False),
    ]  # fmt: skip
    assert not next(b for b in s.always if b.word == "pause").enabled
    signing, at_s = until(journal, "phase_entered", nth=11, phase="before")
    s = screen(signing, at_s)
    assert s.treatment is not None
    assert (s.treatment.field, s.treatment.name) == ("name", "A. Nurse")
    assert [b.word for b in s.question.buttons] == ["sign", "back"]
    signed, _ = until(journal, "checklist_signed")
    assert treatment(signed).signed["before"]["signed_by"] == "simulated operator"


def test_without_the_seat_nothing_can_be_said(journal: Journal) -> None:
    view, now_s = until(journal, "phase_entered", phase="before")
    s = screen(view, now_s, seat="another")
    assert not any(b.enabled for b in s.question.buttons)
    assert s.treatment is not None
    assert s.treatment.why_not_tell == "another window has the operator's seat"


def test_arming_is_asked_in_two_steps_for_the_first_train(journal: Journal) -> None:
    view, now_s = until(journal, "phase_entered", phase="arm")
    s = screen(view, now_s)
    assert [(b.word, b.enabled) for b in s.question.buttons] == [("arm", True), ("confirm", False)]
    assert "train 1 of 3" in s.question.words
    assert facts(s)["power"] == "30 % MSO = 60 % of threshold, ramping up"
    assert facts(s)["planned"] == "not armed yet"
    begun, _ = until(journal, "treatment_begun")
    assert facts(screen(begun, now_s))["planned"] == "30 pulses"


def test_a_train_under_way_is_uncertain_as_a_whole(journal: Journal) -> None:
    view, now_s = until(journal, "train_started")
    t = treatment(view)
    assert t.under_way is not None
    assert (t.under_way.number, t.pulses()) == (1, (0, 10))
    s = screen(view, now_s + 0.5)
    assert s.treatment is not None
    assert s.treatment.headline.text == "TRAIN 1 of 3"
    assert s.treatment.share == pytest.approx(0.5, abs=0.05)
    assert (facts(s)["delivered"], facts(s)["uncertain"], facts(s)["left"]) == ("0", "10", "20")
    assert facts(s)["since last train"] == "under way"


def test_an_intent_alone_counts_as_given_whatever_comes(journal: Journal) -> None:
    view, _ = until(journal, "pulse_intended")
    assert treatment(view).pulses() == (0, 10)
    assert treatment(view).begun == 1
    n = next(e.data["pulse_id"] for e in journal if e.kind == "pulse_intended")
    lost = Event(n=0, t_s=0.0, utc="", kind="pulse_closed", data={"pulse_id": n, "delivery": "uncertain"})
    assert fold(treatment(view), lost).pulses() == (0, 10)
    never = replace(lost, data={"pulse_id": n, "delivery": "not_delivered", "delivered_max": 10})
    assert fold(treatment(view), never).pulses() == (0, 0)


def test_the_pause_counts_from_the_end_of_the_train(journal: Journal) -> None:
    view, _ = until(journal, "train_due", train=2)
    t = treatment(view)
    sent_s = next(e.data["t_sent_s"] for e in journal if e.kind == "train_started")
    assert t.last_over_s == pytest.approx(sent_s + 1.0)
    assert t.due_s is not None
    assert 6.0 <= t.due_s - t.last_over_s <= 6.3  # and the interval that the rules keep besides
    s = screen(view, t.last_over_s + 2.0)
    assert s.treatment is not None
    assert (facts(s)["since last train"], facts(s)["delivered"], facts(s)["uncertain"]) == (
        "2.0 s",
        "10",
        "0",
    )
    assert [x.tone for x in s.treatment.trains] == [Tone.GOOD]


def test_a_pause_says_why_and_offers_to_resume(journal: Journal) -> None:
    view, now_s = until(journal, "phase_entered", phase="paused")
    s = screen(view, now_s)
    assert s.treatment is not None
    assert s.treatment.headline.text == "PAUSED before train 2 of 3"
    assert [b.word for b in s.question.buttons if b.primary] == ["resume"]
    assert not next(b for b in s.always if b.word == "pause").enabled
    assert treatment(view).paused == "the operator asked for a pause"
    resumed, _ = until(journal, "treatment_resumed")
    assert treatment(resumed).paused == ""


def test_what_was_told_stands_on_the_screen(journal: Journal) -> None:
    s = screen(fold_all(journal), 0.0)
    assert s.treatment is not None
    told = [x.text[10:] for x in s.treatment.told]
    assert told == [
        "sensation after train 1: tingling under the coil (mild)",
        "ADVERSE EVENT after train 1: headache (mild)",
    ]
    assert any("ADVERSE EVENT: headache" in x.text for x in s.log)


def test_the_end_adds_up_and_the_dose_counts_pulses_not_trains(journal: Journal) -> None:
    s = screen(fold_all(journal), journal[-1].t_s + 1.0)
    assert s.treatment is not None
    assert s.question.words == (
        "complete: 30 pulses planned = 30 delivered + 0 not given + 0 uncertain (counted as given); 3 of 3 trains"
    )
    assert s.treatment.headline.text == "3 of 3 trains given"
    assert (facts(s)["delivered"], facts(s)["not given"], facts(s)["uncertain"]) == ("30", "0", "0")
    assert {f.name: f.value for f in s.progress.dose}["course"] == "30 of 36000"
    assert s.progress.share == 1.0


def test_a_gated_train_tells_its_limit_and_how_long_it_waits(journal: Journal) -> None:
    view, now_s = until(journal, "train_due", train=2)
    rows = (
        ("gate_calibrated", {"limit": 0.4123, "low": 0.38, "high": 0.45, "condition": "plv in alpha below"}),
        ("gate_opened", {"train": 1, "by": "state", "waited_s": 3.25, "words": "waited 3.2 s"}),
        ("phase_entered", {"phase": "gate", "train": 2, "power_pct_mso": 40, "words": "train 2 of 3 waits for its state"}),
    )  # fmt: skip
    for kind, data in rows:
        view = view_fold(view, Event(n=0, t_s=now_s, utc="", kind=kind, data=data))
    s = screen(view, now_s + 4.0)
    assert s.treatment is not None
    assert s.treatment.clock.text == "waits for its state, for 4.0 s"
    assert (facts(s)["gate's limit"], facts(s)["last wait"]) == ("0.412 [0.380, 0.450]", "3.2 s")


def test_a_lost_stream_names_no_button_that_is_not_there(journal: Journal) -> None:
    view, now_s = until(journal, "phase_entered", phase="arm")
    todo = "check the amplifier, reconnect, arm again"
    lost = {"fault": "stream_lost", "action": "disarm", "words": "the EEG stream is lost", "todo": todo}
    s = screen(
        view_fold(view, Event(n=0, t_s=now_s, utc="", kind="fault_raised", data=lost)), now_s, stream_ok=False
    )
    assert "resume" in s.status.todo
    assert "Open the stream again" not in " ".join((s.status.todo, *s.status.more, s.question.words))
    assert "reconnect" not in [b.word for b in (*s.question.buttons, *s.always)]


def test_no_key_means_two_things_at_once_and_none_is_escape(journal: Journal) -> None:
    for nth in range(len(journal)):
        s = (
            screen(fold_all(journal[:nth]), journal[nth].t_s)
            if journal[nth - 1].kind == "phase_entered"
            else None
        )
        keys = [] if s is None else [b.key for b in (*s.question.buttons, *s.always) if b.key]
        assert len(keys) == len(set(keys)), keys
        assert not {"Esc", "Escape"} & set(keys)


def test_who_is_treated_and_from_which_threshold_is_always_there(journal: Journal) -> None:
    view, now_s = until(journal, "phase_entered", phase="before")
    s = screen(view, now_s)
    assert s.treatment is not None
    rows = {f.name: f.value for f in s.treatment.setting}
    assert rows["participant"] == "P017"
    assert rows["threshold"] == "50 % MSO"
    assert s.title == "Treatment · P017 · treat-quick"
