"""Which session a run belongs to: dose caps hold over all runs of one, and a resumed one is no second treatment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from session_tools import Held, hold_tiny, tiny

from hardware_sim.bench import SteppedBench
from rtloop.app.resumed import Run, run_of, session_of
from rtloop.app.sitting import Sitting
from rtloop.model.event import Event
from rtloop.model.pulse import Purpose
from rtloop.model.view import fold_all
from rtloop.safety.ledger import PULSE_INTENDED, Ledger
from rtloop.session.engine import Said

SHA, DAY = "ab" * 32, "2026-11-22"
TRIPPED = Run(run_id="aaaa0001", session_id="aaaa0001", plan_sha256=SHA, day=DAY, complete=False)


@pytest.mark.req("R-RESUME")
@pytest.mark.parametrize(
    ("runs", "session"),
    [
        ((), "new"),
        ((TRIPPED,), "aaaa0001"),
        ((replace(TRIPPED, complete=True),), "new"),
        ((replace(TRIPPED, day="2026-11-21"),), "new"),
        ((replace(TRIPPED, plan_sha256="cd" * 32),), "new"),
        ((TRIPPED, replace(TRIPPED, run_id="bbbb0002")), "aaaa0001"),  # resumed twice
        ((TRIPPED, replace(TRIPPED, run_id="bbbb0002", complete=True)), "new"),  # resumed, then come to its end
        ((TRIPPED, replace(TRIPPED, run_id="b", session_id="b", plan_sha256="cd" * 32)), "aaaa0001"),  # another plan between
        ((replace(TRIPPED, complete=True), replace(TRIPPED, run_id="b", session_id="b")), "b"),
    ],
)  # fmt: skip
def test_only_an_unfinished_run_of_the_same_plan_and_day_is_resumed(
    runs: tuple[Run, ...], session: str
) -> None:
    assert session_of(runs, run_id="new", plan_sha256=SHA, day=DAY) == session


@pytest.mark.req("R-RESUME")
def test_a_plan_made_in_code_resumes_nothing() -> None:
    assert session_of((replace(TRIPPED, plan_sha256=""),), run_id="new", plan_sha256="", day=DAY) == "new"


def told(*rows: tuple[str, dict[str, Any]]) -> tuple[Event, ...]:
    utc = f"{DAY}T10:00:00.000+00:00"
    return tuple(
        Event(n=n, t_s=float(n), utc=utc, kind=kind, data=data) for n, (kind, data) in enumerate(rows)
    )


@pytest.mark.req("R-RESUME")
def test_what_a_journal_tells_of_its_run() -> None:
    start = ("session_started", {"run_id": "aaaa0001", "plan_sha256": SHA})
    assert run_of(told(start)) == TRIPPED  # a crash
    assert run_of(told(start, ("session_ended", {"clean": False}))) == TRIPPED
    assert run_of(told(start, ("session_ended", {"clean": True}))) == replace(TRIPPED, complete=True)
    assert run_of(told(("session_ended", {"clean": True}))) is None
    later = ("session_started", {"run_id": "bbbb0002", "session_id": "aaaa0001", "plan_sha256": SHA})
    assert run_of(told(later)) == replace(TRIPPED, run_id="bbbb0002")


@pytest.mark.req("R-RESUME")
def test_a_session_resumed_after_a_trip_counts_on_and_the_next_whole_one_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtloop.app.leaving.write_report", lambda *_: None)
    plan, who = tiny(wanted=2, most=3), {"participant": "P1"}

    def stop(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        if len(bench.unit.discharges) == 2 and sitting.loop.finished is None:
            sitting.loop.inbox.put(Said(word="halt"))

    first = hold_tiny(tmp_path, plan=plan, each=stop, **who)
    second = hold_tiny(tmp_path, plan=plan, later_s=600.0, **who)
    third = hold_tiny(tmp_path, plan=plan, limit_s=0.1, later_s=1200.0, **who)
    one, two, three = (held.kinds("session_started")[0] for held in (first, second, third))
    assert first.sitting.interlock.lamp.value == "TRIPPED"
    assert one["session_id"] == one["run_id"]
    assert two["session_id"] == one["run_id"] != two["run_id"]
    assert three["session_id"] == three["run_id"]
    given = len(first.bench.unit.discharges)
    assert two["dose_before"]["session"] == two["dose_before"]["targets"]["M1"] == given == 2
    assert three["dose_before"]["session"] == 0
    assert f"goes on with session {one['run_id']}" in second.text
    assert "goes on with session" not in first.text + third.text
    intended = [e for held in (first, second) for e in held.events if e.kind == PULSE_INTENDED]
    assert {e.data["session_id"] for e in intended} == {one["run_id"]}
    facts = {f.name: f.value for f in dose_shown(second)}
    assert facts["this session"].startswith(f"{given + len(second.bench.unit.discharges)} of")
    as_treatment = [replace(e, data=dict(e.data) | {"purpose": str(Purpose.TREATMENT)}) for e in intended]
    ledger = Ledger.from_events(as_treatment)  # had they been treatment: one session, not two
    counts = ledger.counts(target="M1", session_id=three["session_id"], day=intended[0].data["day"])
    assert counts.other_treatment_sessions_day == 1
    mine = ledger.counts(target="M1", session_id=one["run_id"], day=intended[0].data["day"])
    assert (mine.other_treatment_sessions_day, mine.treatment_session) == (0, len(intended))


def dose_shown(held: Held) -> Any:
    """The dose as the window shows it at the end."""
    from gui_state_tools import live, shown

    view = fold_all(held.events)
    return shown(view, live(view, held.events[-1].t_s)).progress.dose
