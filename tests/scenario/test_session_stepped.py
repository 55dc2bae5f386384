"""Whole sessions on the stepped clock: what must come of a normal one, of each fault, of a failing record."""

from __future__ import annotations

import errno
import itertools
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from session_tools import Each, Held, hold_tiny, tiny

import rtloop.record.journal as journal_module
from hardware_sim.bench import SteppedBench
from rtloop.app.sitting import Sitting
from rtloop.app.stepped import STEP_S
from rtloop.errors import IntegrityProblem
from rtloop.model.status import Fault
from rtloop.model.view import fold_all
from rtloop.record.verify import verify
from rtloop.safety.ledger import Ledger
from rtloop.session.engine import Said
from rtloop.session.replay import replay


def after_pulses(
    n: int, then: Callable[[Sitting, SteppedBench, float], None], *, later_s: float = 0.9
) -> Each:
    """Call ``then`` once, ``later_s`` after the n-th discharge, while armed."""
    done: list[float] = []

    def each(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        given = bench.unit.discharges
        if (
            not done
            and sitting.interlock.lamp.value == "ARMED"
            and len(given) == n
            and now_s - given[-1].t_s > later_s
        ):
            done.append(now_s)
            then(sitting, bench, now_s)

    return each


@pytest.fixture(scope="module")
def normal(tmp_path_factory: pytest.TempPathFactory) -> Held:
    """Two targets, nothing goes wrong; one trial is taken out, reinstated, and taken out again."""
    said: list[str] = []

    def operator(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        target = sitting.loop.view.targets.get("M1")
        if target is None or target.n_accepted + target.n_rejected < 4:
            return
        for word in ("take_out", "reinstate", "take_out"):
            if not said.count(word) or (word == "take_out" and said[-1:] == ["reinstate"] and len(said) == 2):
                said.append(word)
                sitting.loop.inbox.put(Said(word=word, args=("2",)))

    return hold_tiny(tmp_path_factory.mktemp("normal"), plan=tiny("M1", "ACC"), each=operator)


def test_a_normal_session_ends_with_scores_and_a_whole_record(normal: Held) -> None:
    assert normal.sat is not None
    assert normal.sat.exit_code == 0
    assert normal.sat.data["record_whole"]
    assert normal.sat.data["reason"] == "the plan is complete"
    assert verify(normal.folder.path).ok
    for name in ("M1", "ACC"):
        assert normal.sat.data["targets"][name]["scores"] is not None
    assert {p["target"] for p in normal.sat.data["ranking"]["places"]} == {"M1", "ACC"}
    assert "sampling error only" in normal.text
    assert "brought no benefit" in normal.text
    report = normal.folder.report.read_text()
    assert "SIMULATED" in report
    assert "brought no benefit" in report
    assert json.loads(normal.folder.result.read_text())["exit_code"] == 0


def test_every_discharge_was_commanded_closed_and_seen(normal: Held) -> None:
    given = normal.bench.discharges
    closed = [d for d in normal.kinds("pulse_closed") if d["outcome"] == "fired"]
    intended = {d["pulse_id"] for d in normal.kinds("pulse_intended")}
    seen = {d["pulse_id"]: d for d in normal.kinds("pulse_seen")}
    assert len(given) == len(closed) >= 10
    assert {d["by"] for d in given} == {"unit"}
    for discharge, pulse in zip(given, closed, strict=True):
        assert pulse["pulse_id"] in intended
        assert discharge["target"] == pulse["target"]
        assert discharge["power_pct_mso"] == pulse["power_pct_mso"] == 45
        # the trigger channel marks the first sample at or after the discharge
        assert seen[pulse["pulse_id"]]["sample"] == discharge["sample"]
        assert 0.0 <= discharge["t_s"] - pulse["t_sent_s"] < 0.02


def test_the_unit_is_armed_only_for_its_blocks_after_two_steps_each(normal: Held) -> None:
    order = [
        e
        for e in normal.events
        if e.kind in ("arm_requested", "arm_confirmed", "lamp_changed", "pulse_closed")
    ]
    armed, steps = False, []
    for e in order:
        if e.kind == "lamp_changed":
            armed = e.data["after"] == "ARMED"
            if armed:
                assert steps[-2:] == ["arm_requested", "arm_confirmed"]
            steps.clear()
        elif e.kind == "pulse_closed":
            assert armed
        else:
            steps.append(e.kind)
    assert [lamp for _, lamp in normal.lamps].count("ARMED") == 4  # preview and run of each target
    assert not normal.bench.unit.state().armed


def test_intervals_stay_within_the_plan(normal: Held) -> None:
    by_block: dict[tuple[str, str], list[float]] = {}
    for d in normal.kinds("pulse_closed"):
        by_block.setdefault((d["target"], d["block"]), []).append(d["t_sent_s"])
    gaps = [b - a for times in by_block.values() for a, b in itertools.pairwise(times)]
    assert len(gaps) >= 6
    assert min(gaps) >= 2.05
    assert max(gaps) < 2.15 + 0.06  # the loop's pass, and up to half the slack while the unit recharges


def test_the_journal_folds_to_the_live_view(normal: Held) -> None:
    live, folded = normal.sitting.loop.view, fold_all(normal.events)
    assert folded.targets == live.targets
    assert folded.pulses == live.pulses
    assert folded.ranking == live.ranking
    assert folded.history == live.history
    assert folded.n_events == live.n_events + 1  # the journal's own first record


def test_a_trial_taken_out_changes_the_scores_and_a_reinstated_one_brings_them_back(normal: Held) -> None:
    events = [e for e in normal.events if e.kind in ("trial_taken_out", "trial_reinstated", "scores_updated")]
    moved = [i for i, e in enumerate(events) if e.kind != "scores_updated"]
    assert [events[i].kind for i in moved] == ["trial_taken_out", "trial_reinstated", "trial_taken_out"]
    values = [events[i + 1].data["scores"] for i in (moved[0] - 2, *moved)]
    assert values[1] != values[0]
    n = [v.get("n", None) for v in values]
    assert len(set(map(str, n))) <= 2
    first, back = json.dumps(values[1], sort_keys=True), json.dumps(values[3], sort_keys=True)
    assert _close(json.loads(first), json.loads(back))
    assert normal.sitting.loop.view.targets["M1"].n_rejected >= 1


def _close(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_close(a[k], b[k]) for k in a)
    if isinstance(a, float):
        return math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-9)
    return bool(a == b)


def test_the_recording_replays_to_the_same_scores(normal: Held) -> None:
    out = replay(normal.folder)
    assert out.differences == []
    assert out.trials == len(normal.bench.discharges)
    assert out.pulses_found == len(normal.bench.discharges)
    assert out.scores == len(normal.kinds("scores_updated"))


def test_a_replay_tells_a_score_that_is_not_the_recordings_own(normal: Held, tmp_path: Path) -> None:
    copy = type(normal.folder)(path=tmp_path / normal.folder.path.name)
    copy.path.mkdir()
    copy.recording.write_bytes(normal.folder.recording.read_bytes())
    text = normal.folder.journal.read_text()
    taken_out = next(line for line in text.splitlines() if '"trial_taken_out"' in line)
    assert taken_out in text
    wrong = taken_out.replace('"trial_id":2', '"trial_id":3').replace('"trial_id": 2', '"trial_id": 3')
    assert wrong != taken_out
    copy.journal.write_text(text.replace(taken_out, wrong))
    out = None
    try:
        out = replay(copy)
    except IntegrityProblem:
        return  # the chain of hashes is broken, and said so
    assert out.differences


def test_words_for_people_never_hold_a_nan(normal: Held) -> None:
    for text in (
        normal.text,
        json.dumps(normal.sat.data if normal.sat else {}),
        normal.folder.report.read_text(),
    ):
        words = text.replace("nanoseconds", "").lower().split()
        assert not [w for w in words if w.strip("[](),.;:%|<>\"'") in ("nan", "inf", "-inf")]


# -- faults ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Case:
    """A fault while armed, and what must come of it."""

    inject: dict[str, Any]
    fault: str
    action: str
    words: str
    within_s: float  # from the injection to the fault being raised
    code: int
    lamp: str
    given: int  # pulses of the unit in all
    limit_s: float = 60.0  # of the session, where a fault stays for good


def _case(kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, **more}


CASES = {
    "freeze 100 ms": Case(
        inject=_case("freeze", for_s=0.1), fault="stream_stale", action="hold", words="no EEG sample",
        within_s=0.08, code=0, lamp="HELD", given=4,
    ),
    "freeze 1 s": Case(
        inject=_case("freeze", for_s=1.0), fault="stream_lost", action="disarm", words="lost", within_s=0.32,
        code=0, lamp="SAFE", given=4,
    ),
    "killed outlet": Case(
        inject=_case("die"), fault="stream_lost", action="disarm", words="the EEG stream is lost", within_s=0.32,
        code=5, lamp="SAFE", given=2, limit_s=20.0,
    ),
    "not a number": Case(
        inject=_case("nan", for_s=1.0), fault="stream_bad", action="hold", words="not numbers", within_s=0.05, code=0,
        lamp="HELD", given=4,
    ),
    "flat": Case(
        inject=_case("flat", for_s=1.0), fault="stream_bad", action="hold", words="repeats itself", within_s=0.2, code=0,
        lamp="HELD", given=5,  # the trial whose baseline stood still does not count
    ),
    "repeated block": Case(
        inject=_case("repeat", for_s=0.5), fault="stream_bad", action="hold", words="repeats itself", within_s=0.2,
        code=0, lamp="HELD", given=4,
    ),
    "samples lost": Case(
        inject=_case("drop", samples=50), fault="stream_bad", action="hold", words="50 samples (50 ms) lost",
        within_s=0.08, code=0, lamp="HELD", given=4,
    ),
    "wrong rate": Case(
        inject=_case("rate", factor=1.1), fault="stream_bad", action="hold", words="expected 1000 Hz", within_s=1.0,
        code=5, lamp="HELD", given=2, limit_s=20.0,
    ),
    "a pulse nobody commanded": Case(
        inject=_case("pulse", power_pct_mso=45), fault="pulse_uncommanded", action="trip", words="nobody commanded",
        within_s=0.15, code=5, lamp="TRIPPED", given=2,
    ),
    "a pulse that is not seen": Case(
        inject=_case("miss_pulses", count=1), fault="pulse_not_seen", action="disarm", words="not in the stream",
        within_s=2.4, code=0, lamp="SAFE", given=5,
    ),
    "acknowledged, not discharged": Case(
        inject=_case("fire_without_discharge", times=1), fault="pulse_not_seen", action="disarm",
        words="not in the stream", within_s=2.4, code=0, lamp="SAFE", given=4,
    ),
    "mute unit": Case(
        inject=_case("mute"), fault="unit_silent", action="disarm", words="the unit is disarmed: ", within_s=1.0, code=5,
        lamp="SAFE", given=2, limit_s=20.0,
    ),
    "unplugged": Case(
        inject=_case("unplug"), fault="unit_lost", action="trip", words="port vanished", within_s=0.6, code=5,
        lamp="TRIPPED", given=2,
    ),
    "wrong CRC on the fire's reply": Case(
        inject=_case("bad_crc", only="EH", times=1), fault="uncertain_pulse", action="trip", words="may have been given",
        within_s=1.5, code=5, lamp="TRIPPED", given=3,
    ),
    "the fire's reply is lost": Case(
        inject=_case("uncertain_fire", times=1), fault="uncertain_pulse", action="trip", words="may have been given",
        within_s=2.0, code=5, lamp="TRIPPED", given=3,
    ),
    "hot coil": Case(
        inject=_case("hot_coil", temp_c=39.5), fault="unit_hot", action="disarm", words="39.5 °C (stop at 39)",
        within_s=2.5, code=5, lamp="SAFE", given=2, limit_s=20.0,
    ),
    "no coil": Case(
        inject=_case("coil_absent"), fault="unit_unexpected", action="disarm", words="no coil", within_s=0.6, code=5,
        lamp="SAFE", given=2, limit_s=20.0,
    ),
    "standby by itself": Case(
        inject=_case("standby_unexpectedly"), fault="unit_unexpected", action="disarm", words="says standby",
        within_s=0.6, code=0, lamp="SAFE", given=4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_fault_ends_in_its_words_and_the_unit_safe(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    monkeypatch.setattr("rtloop.app.leaving.write_report", lambda *_: None)  # slow, and shown in other tests
    at: list[float] = []

    def inject(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        at.append(now_s)
        bench.inject(case.inject)

    held = hold_tiny(tmp_path, plan=tiny(wanted=3), each=after_pulses(2, inject), limit_s=case.limit_s)
    assert held.sat is not None
    raised = [e for e in held.events if e.kind == "fault_raised" and e.data["fault"] == case.fault]
    assert raised, [e.data for e in held.events if e.kind == "fault_raised"]
    assert raised[0].data["action"] == case.action
    assert case.words in raised[0].data["words"]
    assert raised[0].data["todo"]
    assert 0.0 <= raised[0].t_s - at[0] <= case.within_s
    lamps = [
        e.data["after"] for e in held.events if e.kind == "lamp_changed" and e.t_s >= raised[0].t_s - 1e-9
    ]
    before_armed_again = lamps[: lamps.index("ARMED")] if "ARMED" in lamps else lamps
    assert case.lamp in before_armed_again or raised[0].data["action"] == "trip"
    assert held.sitting.interlock.lamp.value == "TRIPPED" if case.action == "trip" else True
    assert held.sat.exit_code == case.code
    assert held.sat.data["record_whole"]
    if case.inject["kind"] == "unplug":  # nothing can reach it: its own watchdog
        held.bench.unit.tick(held.bench.clock.now_s() + 1.5)
    assert not held.bench.unit.state().armed
    assert case.words in held.text
    given = len(held.bench.unit.discharges)
    assert given == case.given
    # whatever was or may have been given is counted, and no more than one that may have been
    assert given <= Ledger.from_events(held.events).count() <= given + 1


@pytest.mark.req("R-DISARM")
def test_a_silent_unit_ends_permission_one_pass_after_the_driver_has_acted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply of an armed unit has 0.25 s, then EA: the interlock has the driver's words, not the age of a status."""
    monkeypatch.setattr("rtloop.app.leaving.write_report", lambda *_: None)
    at: list[float] = []
    tripped: list[tuple[float, Fault, str]] = []

    def mute(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        at.append(now_s)
        fault = sitting.interlock.fault

        def spy(what: Fault, t_s: float, detail: str = "") -> Any:
            tripped.append((t_s, what, detail))
            return fault(what, t_s, detail)

        sitting.interlock.fault = spy  # type: ignore[method-assign]
        bench.inject({"kind": "mute"})

    held = hold_tiny(tmp_path, plan=tiny(wanted=3), each=after_pulses(2, mute), limit_s=10.0)
    sent = [(t_s, packet) for t_s, packet in held.bench.unit.packets if t_s >= at[0]]
    ea_s = next(t for t, packet in sent if packet.startswith(b"EA"))
    asked_s = next(
        (t for t, packet in sent if packet[:1] in b"QJ" and t < ea_s), at[0]
    )  # or it was on its way
    t_s, fault, words = tripped[0]
    assert fault is Fault.UNIT_SILENT
    assert re.search("the unit is disarmed: 0 of (3|12) bytes in reply", words)
    assert abs(t_s - ea_s) <= 2 * STEP_S  # EA is whole at the unit some ms after it was written
    assert t_s - asked_s <= 0.5
    told = next(e for e in held.events if e.kind == "fault_raised")
    assert words in told.data["words"]
    assert "in reply" in held.text


def test_no_pulse_goes_out_while_the_stream_is_held(tmp_path: Path) -> None:
    """A hold that spans the due instant: afterwards a new instant, never a late pulse."""
    holds: list[tuple[float, float]] = []

    def bad(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        holds.append((now_s, now_s + 2.0))
        bench.inject({"kind": "nan", "for_s": 2.0})

    held = hold_tiny(tmp_path, each=after_pulses(3, bad, later_s=1.0))
    assert held.sat is not None
    assert held.sat.exit_code == 0
    times = [d["t_s"] for d in held.bench.discharges]
    (start, end), gaps = holds[0], []
    assert not [t for t in times if start + 0.02 < t < end]
    for a, b in itertools.pairwise(times):
        gaps.append(b - a)
    assert min(gaps) >= 2.05
    closed = held.kinds("pulse_closed")
    assert all(d["t_sent_s"] - d["due_s"] <= 0.1 for d in closed)
    assert [d["outcome"] for d in closed] == ["fired"] * 5


def test_some_channels_at_the_rail_are_named(tmp_path: Path) -> None:
    def bad(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        bench.inject({"kind": "saturate", "for_s": 6.0, "channels": ["C5"]})

    held = hold_tiny(tmp_path, channels=16, each=after_pulses(2, bad))
    assert held.sat is not None
    assert held.sat.exit_code in (0, 5)
    named = [d for d in held.kinds("trial_judged") if "C5" in d["bad_channels"]]
    vetoed = [d for d in held.kinds("fault_raised") if "C5" in d["words"] or "saturated" in d["words"]]
    assert named or vetoed


def test_a_pulse_the_unit_refused_is_not_in_the_ledger_and_given_later(tmp_path: Path) -> None:
    def bad(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        bench.inject({"kind": "answer_conflict", "only": "EH", "times": 1})

    held = hold_tiny(tmp_path, each=after_pulses(2, bad))
    assert held.sat is not None
    assert held.sat.exit_code == 0
    assert Ledger.from_events(held.events).count() == len(held.bench.unit.discharges) == 5
    assert held.sat.data["pulses"]["fired"] == 5
    assert held.sat.data["pulses"]["commanded"] == 6


def test_stop_trips_and_disarms(tmp_path: Path) -> None:
    at: list[float] = []

    def stop(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        at.append(now_s)
        sitting.loop.inbox.put(Said(word="halt"))

    off: list[float] = []

    def each(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        stopper(sitting, bench, now_s)
        if at and not off and not bench.unit.state().armed:
            off.append(now_s)

    stopper = after_pulses(2, stop)
    held = hold_tiny(tmp_path, each=each)
    assert held.sat is not None
    assert held.sat.exit_code == 5
    assert not held.bench.unit.state().armed
    assert "STOP" in held.text
    disarmed = [e for e in held.events if e.kind == "lamp_changed" and e.data["after"] == "TRIPPED"]
    assert disarmed[0].t_s - at[0] < 0.1
    assert off[0] - at[0] < 0.05
    assert "STOP" in held.folder.report.read_text()
    assert len(held.bench.unit.discharges) == 2


# -- the record fails --------------------------------------------------------------------------------------------


def test_a_full_disk_stops_the_pulse_and_disarms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full: list[float] = []
    seen: dict[str, Any] = {}
    write = journal_module.write_all

    def write_all(fd: int, data: bytes) -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(fd, data)

    monkeypatch.setattr(journal_module, "write_all", write_all)
    fill = after_pulses(2, lambda sitting, bench, now_s: full.append(now_s))

    def each(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        seen.update(sitting=sitting, bench=bench)
        fill(sitting, bench, now_s)

    with pytest.raises(IntegrityProblem, match="No space left"):
        hold_tiny(tmp_path, each=each)
    assert len(seen["bench"].unit.discharges) == 2  # no record, no pulse
    assert not seen["bench"].unit.state().armed
    assert seen["sitting"].interlock.lamp.value == "TRIPPED"
    assert [f.value for f in seen["sitting"].interlock.active] == ["journal_failed"]
    checked = verify(seen["sitting"].folder.path)
    assert checked.ok, checked.lines  # torn, and explained as a crash; what was acknowledged is there


@pytest.mark.req("R-RECORD")
def test_a_recorder_that_cannot_write_disarms(tmp_path: Path) -> None:
    at: list[float] = []

    def fail(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        at.append(now_s)
        sitting.bench.board["recorder_state"] = 2

    held = hold_tiny(tmp_path, each=after_pulses(2, fail))
    assert held.sat is not None
    assert held.sat.exit_code == 5
    assert len(held.bench.unit.discharges) == 2
    (raised,) = [e for e in held.events if e.kind == "fault_raised" and e.data["fault"] == "recorder_dead"]
    assert raised.t_s - at[0] < 0.05
    assert "disk" in raised.data["words"]
    assert not held.bench.unit.state().armed


# -- dose over sessions ------------------------------------------------------------------------------------------


def test_the_day_cap_holds_over_earlier_sessions_of_the_person(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text("[caps]\nmax_pulses_day = 8\n")
    first = hold_tiny(tmp_path, participant="P07", site=site)
    assert first.sat is not None
    assert first.sat.exit_code == 0
    assert len(first.bench.unit.discharges) == 5
    second = hold_tiny(tmp_path, participant="P07", site=site, limit_s=60.0)
    assert len(second.bench.unit.discharges) == 3
    refused = [r for d in second.kinds("pulse_refused") for r in d["refusals"]]
    assert refused
    assert all("day" in r and "8" in r for r in refused)
