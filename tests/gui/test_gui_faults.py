"""What goes wrong while the real window maps with a real engine: what the status line says, and no pulse without two steps."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rtloop.record.verify import verify

if TYPE_CHECKING:
    from gui_walk import Walker

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are ended by POSIX signals")


@pytest.fixture
def pulsing(tmp_path: Path, walk: Callable[..., Walker]) -> Walker:
    """A mapping of one target whose preview runs: armed, its first pulse out."""
    from gui_walk import small_form, small_plan

    w = walk(small_form(tmp_path, small_plan(tmp_path, wanted=5, preview=20, steps=(45,))))
    w.start()
    w.place_and_arm()
    w.until(lambda: w.events("pulse_closed"), "the first pulse", 10.0)
    return w


def _given(w: Walker) -> int:
    return len(w.events("pulse_intended"))


def _no_more_pulses(w: Walker, for_s: float) -> None:
    """Longer than the interval of the plan: nothing is fired."""
    n = _given(w)
    w.rest(for_s)
    assert _given(w) == n, "a pulse without two steps of arming"


def _armed_again_by_two_steps(w: Walker) -> None:
    n = _given(w)
    w.until_phase("arm", within_s=10.0)
    w.arm()
    w.until(lambda: _given(w) > n, "pulses go on", 15.0)
    kinds = [
        (e.kind, e.data.get("accepted"))
        for e in w.events()
        if e.kind in ("arm_requested", "arm_confirmed", "pulse_intended")
    ]
    last = max(i for i, (kind, _) in enumerate(kinds) if kind == "arm_confirmed")
    assert kinds[last][1]
    assert ("arm_requested", True) in kinds[:last]


def test_what_disarms_and_what_it_comes_back_from(pulsing: Walker) -> None:
    """Frozen stream, pulled amplifier, frozen engine: told, disarmed, the same session goes on after two steps; not without
    a recorder."""
    w = pulsing
    w.inject("freeze")
    w.until(lambda: w.told("stream is lost", "disarmed"), "the frozen stream is told", 3.0)
    assert "arm" in w.status.lower().split("disarmed")[-1]  # what to do
    assert w.board("unit_instr") & 0b110 == 0
    _no_more_pulses(w, 3.2)
    w.until(lambda: w.numbers.stream_age_s < 0.5, "samples again", 5.0)
    _armed_again_by_two_steps(w)

    w.inject("die")
    w.until(lambda: w.told("stream is lost"), "the pulled amplifier is told", 3.0)
    w.until(lambda: w.board("unit_instr") & 0b110 == 0, "the unit is disarmed", 2.0)
    _no_more_pulses(w, 2.5)
    w.inject("return")
    w.rest(0.5)
    w.say("reconnect", within_s=15.0)
    w.until(lambda: w.events("stream_reopened"), "the stream is open again", 15.0)
    _armed_again_by_two_steps(w)

    engine = w.pids()["engine"]
    os.kill(engine, signal.SIGSTOP)
    try:
        took_s = w.until_says("the engine has not moved", within_s=4.0)
        assert w.told("disarmed the unit")
        assert "STOP" in w.status
        w.until(lambda: w.board("unit_instr") & 0b110 == 0, "the port process disarmed by itself", 2.0)
        n = _given(w)
        w.rest(1.0)
    finally:
        os.kill(engine, signal.SIGCONT)
    assert took_s < 2.5
    w.until(lambda: not w.told("has not moved"), "it is back", 5.0)
    assert _given(w) == n
    w.until(lambda: w.shown.unit.lamp not in ("ARMED", "UNKNOWN"), "not armed after it", 5.0)
    _armed_again_by_two_steps(w)

    os.kill(w.pids()["recorder"], signal.SIGKILL)
    w.until(lambda: w.told("recorder is gone"), "the recorder's death is told", 4.0)
    assert w.told("disk")
    w.until(lambda: w.board("unit_instr") & 0b110 == 0, "the unit is disarmed", 2.0)
    _no_more_pulses(w, 2.3)
    assert not w.enabled("confirm")
    w.end()


def test_an_unplugged_unit_trips(pulsing: Walker) -> None:
    w = pulsing
    n = _given(w)
    w.inject("unplug")
    w.until(
        lambda: w.told("port vanished") or w.told("does not answer"),
        "the unplugged unit is told",
        5.0,
    )
    w.until(lambda: w.shown.unit.lamp in ("TRIPPED", "UNKNOWN", "SAFE"), "not shown as armed", 3.0)
    w.until_report()
    assert _given(w) <= n + 1
    assert w.told("new session")


def test_a_killed_engine_is_told_and_the_next_session_goes_on(pulsing: Walker) -> None:
    w = pulsing
    w.until(lambda: len(w.events("pulse_closed")) >= 2, "two pulses", 10.0)
    folder, pids = w.folder, w.pids()
    os.kill(pids["engine"], signal.SIGKILL)
    took_s = w.until_says("the engine is gone", within_s=4.0)
    assert took_s < 2.0
    assert w.told("new session")
    from gui_walk import lives

    w.until(lambda: not lives(pids["port"]), "the port process let go and left", 5.0)
    w.until(lambda: not lives(pids["recorder"]), "the recorder closed its file", 15.0)
    given = len(w.events("pulse_intended", folder))
    found = verify(folder.path)
    assert found.ok, found.lines

    w.click(w.window.screen("session").again)
    w.until(lambda: w.window.here == "start", "the start screen", 5.0)
    w.start()
    assert w.folder.path != folder.path
    assert w.events("session_started")[-1].data["dose_before"]["course"] == given  # the dose goes on

    # -- and what becomes of it when the process that owns the unit's line is killed
    w.place_and_arm()
    w.until(lambda: w.events("pulse_closed"), "a pulse", 10.0)
    os.kill(w.pids()["port"], signal.SIGKILL)
    took_s = w.until_says("the process that owns the unit's line is gone", "standby by hand", within_s=5.0)
    assert took_s < 2.5
    n = _given(w)
    w.until(lambda: w.shown.ended, "the end", 20.0)
    w.until_says(
        "the process that owns the unit's line is gone", "standby by hand"
    )  # still what is to be done first
    w.until_report()
    assert _given(w) == n
    assert not w.events("session_ended")[-1].data["clean"]
