"""How a window answers a treatment: each word is answered, one that is late is not done, presence is the window's alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stepped_script_tools import SteppedLoop
from treat_session_tools import Person, request_of, stepped_treatment

import rtloop.app.treat_window as treat_window
from rtloop.app.treat import operator_of
from rtloop.app.treat_asked import wanted
from rtloop.app.treat_window import BUSY, WindowLoop, WindowOperator, WindowTms
from rtloop.errors import RtloopError, UsageProblem
from rtloop.model.status import Lamp


def said(operator: WindowOperator, word: str, *args: str) -> tuple[threading.Thread, list[str]]:
    """A word of a window, in a thread of its own; the answer comes into the list."""
    out: list[str] = []
    thread = threading.Thread(target=lambda: out.append(operator.take(word, args)))
    thread.start()
    return thread, out


def heard(operator: WindowOperator, n: int = 1) -> list[Any]:
    end_s = time.monotonic() + 5.0
    while len(words := operator.heard(0.0)) < n and time.monotonic() < end_s:
        time.sleep(0.005)
    return words


def test_each_word_gets_the_sessions_own_answer() -> None:
    operator = WindowOperator("A. Nurse")
    thread, out = said(operator, "Arm")
    (word,) = heard(operator)
    assert (word.word, word.args) == ("arm", ())
    operator.answered(word, "nothing is to be armed now")
    thread.join(5.0)
    assert out == ["nothing is to be armed now"]
    assert operator.heard(0.0) == []


@pytest.mark.parametrize(("word", "done"), [("arm", False), ("resume", False), ("yes", False), ("sign", False),
                                            ("stop", True), ("pause", True), ("adverse", True), ("note", True)])  # fmt: skip
def test_what_comes_too_late_is_not_done_unless_it_ends_holds_or_writes_down(
    word: str, done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(treat_window, "ANSWER_WITHIN_S", 0.05)
    operator = WindowOperator("")
    why = operator.take(word)  # nobody hears it in time
    assert why == ("" if done else BUSY)
    assert [s.word for s in operator.heard(0.0)] == ([word] if done else [])


@pytest.mark.parametrize("word", ["halt", "emergency"])
def test_stop_goes_out_before_anybody_hears_the_word(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(treat_window, "ANSWER_WITHIN_S", 0.05)
    operator, stopped = WindowOperator(""), []
    operator._stop = lambda: stopped.append(True)
    operator.take(word)
    assert stopped == [True]
    assert [s.word for s in operator.heard(0.0)] == [word]


class SteppedWindowLoop(SteppedLoop, WindowLoop):
    """A window's loop on the stepped clock."""


class SteppedWindowTms(WindowTms):
    """A window's stimulator on the stepped clock."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **{**named, "loop": SteppedWindowLoop})


def test_the_sessions_own_thread_is_no_sign_of_the_operator(tmp_path: Path) -> None:
    """Without a window's heartbeat nothing is armed; when the heartbeat ends the unit is disarmed."""
    with stepped_treatment(request_of(tmp_path, window=True), Person(), of=SteppedWindowTms) as t:
        board, machine = t.script.board, t.runner.machine
        run(t, lambda: machine.phase == "arm", 20.0)
        run(t, lambda: bool(t.told("arm_requested")), 5.0)
        assert t.told("arm_requested")[0]["accepted"] is False
        window = {"there": True}

        def beats(now_s: float) -> None:
            if window["there"]:
                board.beat("operator")

        t.script.clock.listen(beats)
        run(t, lambda: t.script.tms.lamp is Lamp.ARMED, 30.0)
        window["there"] = False
        run(t, lambda: t.script.tms.lamp is not Lamp.ARMED, 4.0)
        assert t.told("fault_raised")[-1]["fault"] == "operator_gone"
        assert "script" not in t.told("fault_raised")[-1]["words"]
        t.runner.hear(_said("stop"))
        t.runner.hear(_said("stop"))
        t.runner.run()


def test_a_session_whose_own_thread_stands_still_is_disarmed_though_the_window_beats(tmp_path: Path) -> None:
    with stepped_treatment(request_of(tmp_path, window=True), Person(), of=SteppedWindowTms) as t:
        clock = t.script.clock
        clock.listen(lambda now_s: t.script.board.beat("operator"))
        run(t, lambda: t.script.tms.lamp is Lamp.ARMED, 60.0)
        clock.sleep_until(clock.now_s() + t.script.tms.setting.limits.operator_max_age_s + 0.1)
        assert t.script.tms.lamp is not Lamp.ARMED
        assert t.told("fault_raised")[-1]["fault"] == "engine_late"
        t.runner.hear(_said("stop"))
        t.runner.hear(_said("stop"))
        t.runner.run()


def test_who_answers_follows_from_the_request(tmp_path: Path) -> None:
    request = request_of(tmp_path, window=True, run_id="0123abcd")
    _, setting = wanted(request, print)
    assert isinstance(operator_of(request, setting), WindowOperator)
    assert (setting.run_id, setting.window, setting.more["answered_by"]) == ("0123abcd", True, "window")
    for other in ({"ask": True}, {"simulate": False, "mode": "human"}):
        with pytest.raises(RtloopError, match="--window does not go with this"):
            wanted(request_of(tmp_path, window=True, **other), print)
    with pytest.raises(UsageProblem, match="run-id"):
        wanted(request_of(tmp_path, run_id="../x"), print)


def _said(word: str) -> Any:
    from rtloop.session.orders import Said

    return Said(word=word)


def run(t: Any, true: Callable[[], bool], within_s: float) -> None:
    """Turns of the session until something is true."""
    end_s = t.script.clock.now_s() + within_s
    while not true():
        assert t.script.clock.now_s() < end_s
        t.runner.turn()
        t.script.tms.wait(0.02)
