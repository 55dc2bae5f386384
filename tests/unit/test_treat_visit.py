"""A treatment visit and its study: one computer, one session a day, and after a crash only what is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from study_tools import (
    AS,
    MONDAY,
    OP,
    STAT,
    at,
    begun,
    course,
    enter,
    folder_in_memory,
    given,
    listed,
    made_in,
    written,
)
from test_study_sessions import WHOLE, rows

from rtloop.app.study_sessions import gather
from rtloop.app.treat_visit import Visit
from rtloop.clock import SteppedClock
from rtloop.errors import IntegrityProblem, NotReady, ValidationProblem
from rtloop.model.course import TREATMENT_BEGUN, TreatmentGiven
from rtloop.model.status import Mode
from rtloop.study.lease import HOLDS_S, holder_of
from rtloop.study.study import Study

HOLDER = """
import sys, time
from pathlib import Path
from study_tools import OP
from rtloop.app.treat_visit import Visit
with Visit.open(Path(sys.argv[1]), "P001", OP, host=sys.argv[2], holds_s=0.8, expires_s=1.6) as visit:
    print("opened", visit.number, flush=True)
    while True:
        visit.keep()
        print("kept", flush=True)
        time.sleep(0.05)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Of a study with P001, who may be treated today."""
    with folder_in_memory() as folder:
        with made_in(folder / "study", at(MONDAY), course=course(treatment="treat")) as study:
            study.write(listed(), by=STAT)
            enter(study, "P001")
        yield folder


def opened(folder: Path, clock: SteppedClock | None = None, **how: object) -> Visit:
    return Visit.open(folder / "study", "P001", OP, clock or at(MONDAY), **how)  # type: ignore[arg-type]


def free(folder: Path) -> bool:
    found = holder_of(folder / "study" / "leases", "P001")
    return found is None or found.released


def test_a_whole_visit(folder: Path) -> None:
    clock = at(MONDAY)
    with opened(folder, clock, mode=Mode.SIMULATED) as visit:
        assert (visit.number, visit.target, visit.plan, visit.simulated) == (1, "M1", "treat", True)
        assert (visit.session_id, visit.trains_given, visit.left, visit.told) == ("", 0, None, ())
        visit.begin(begun("P001", 1, MONDAY))
        for _ in range(20):
            clock.advance(1.0)
            assert visit.held
            visit.keep()
        visit.end(given(begun("P001", 1, MONDAY)))
        assert not free(folder)
    assert free(folder)
    visit.close()
    with Study.open(folder / "study", clock=clock) as study:
        (session,) = study.state.participants["P001"].calendar.given
        assert (session.delivered, session.left) == (3000, 0)


def test_a_second_treatment_of_a_day_is_refused_at_the_door_and_before_the_first_pulse(folder: Path) -> None:
    with opened(folder) as visit:
        visit.begin(begun("P001", 1, MONDAY))
        visit.end(given(begun("P001", 1, MONDAY)))
        again = begun("P001", 2, MONDAY)
        with pytest.raises(ValidationProblem, match=r"a treatment was given today \(P001-1\): one a day"):
            visit.begin(again)
        with pytest.raises(ValidationProblem, match="this run was never begun in the study"):
            visit.end(given(again))
    with pytest.raises(ValidationProblem, match=r"a treatment was given today .* one a day"):
        opened(folder)
    assert free(folder)


def test_every_reason_is_told_at_once_and_nothing_is_held(folder: Path) -> None:
    with pytest.raises(ValidationProblem) as no:
        Visit.open(folder / "study", "P009", AS, at(MONDAY), mode=Mode.HUMAN)
    assert no.value.found == (
        "Ada Asks is assessor: an operator treats; the session is in mode HUMAN, this study takes SIMULATED only; "
        "P009 is not enrolled"
    )
    with pytest.raises(ValidationProblem, match="weekday on which the course is closed"):
        opened(folder, at("2026-11-29"))
    assert holder_of(folder / "study" / "leases", "P001") is None  # a calendar's no needs no lease
    with (
        pytest.raises(ValidationProblem, match="this run is of another participant"),
        opened(folder) as visit,
    ):
        visit.begin(begun("P002", 1, MONDAY))
    with (
        pytest.raises(ValidationProblem, match="the plan is other, the course has treat"),
        opened(folder) as visit,
    ):
        visit.begin(begun("P001", 1, MONDAY, plan="other"))
    assert free(folder)


def test_after_a_crash_only_what_is_left_counted_pessimistically(folder: Path) -> None:
    """A train certainly given and one that nobody closed: 28 of 30 trains are left, not 29."""
    visit = opened(folder)
    data_dir = folder / "data"
    run = begun("P001", 1, MONDAY, run_id="aa")
    crashed = written(data_dir, "aa", rows(run, WHOLE, None), 9)
    run = replace(run, folder=crashed.path.name)
    crashed.journal.unlink()
    crashed.path.rmdir()
    assert written(data_dir, "aa", rows(run, WHOLE, None), 9).path == crashed.path
    visit.begin(run)
    visit.close()  # the process is gone
    with pytest.raises(
        ValidationProblem, match=r"the run aa of 2026-11-23 on bedside-1 has no end: all its 3000 pulses"
    ):
        opened(folder)
    with pytest.raises(
        ValidationProblem, match=r"the folder .* was not taken in: the folder of the run aa is not here"
    ):
        opened(folder, data_dir=folder / "elsewhere")
    assert free(folder)
    with opened(folder, data_dir=data_dir) as visit:
        assert visit.told == (f"{crashed.path.name}: treatment 1 of P001, 200 of 3000 pulses",)
        assert (visit.number, visit.session_id, visit.trains_given, visit.left) == (1, "P001-1", 2, 2800)
        rest = replace(run, run_id="bb", planned=2800, trains_planned=28)
        with pytest.raises(
            ValidationProblem, match="2900 pulses planned, but only 2800 of the session are left"
        ):
            visit.begin(replace(rest, planned=2900, trains_planned=29))
        visit.begin(rest)
        visit.end(given(rest))
    with pytest.raises(ValidationProblem, match="one a day"):
        opened(folder, data_dir=data_dir)
    with Study.open(folder / "study", clock=at(MONDAY)) as study:
        (session,) = study.state.participants["P001"].calendar.given
        assert (session.delivered, session.uncertain, session.left, session.trains_given) == (
            2900,
            100,
            0,
            30,
        )


def test_a_folder_that_knows_nothing_of_the_run_closes_nothing(folder: Path) -> None:
    data_dir = folder / "data"
    other = written(data_dir, "zz", [(TREATMENT_BEGUN, begun("P002", 1, MONDAY).data())], 9)
    visit = opened(folder)
    visit.begin(begun("P001", 1, MONDAY, folder=other.path.name))
    visit.close()
    with pytest.raises(ValidationProblem, match=r"has no end.*does not know the run P001-1-a"):
        opened(folder, data_dir=data_dir)


def test_a_lost_lease_begins_nothing_and_what_was_given_is_still_told(folder: Path) -> None:
    clock = at(MONDAY)
    run = begun("P001", 1, MONDAY)
    with opened(folder, clock) as visit:
        visit.begin(run)
        clock.advance(HOLDS_S + 0.1)
        assert not visit.held
        with pytest.raises(NotReady, match="this computer no longer runs P001"):
            visit.keep()
        with pytest.raises(NotReady, match="this computer no longer runs P001"):
            visit.begin(begun("P001", 1, MONDAY, run_id="bb"))
        visit.end(given(run, 500))
    with Study.open(folder / "study", clock=clock) as study:
        (session,) = study.state.participants["P001"].calendar.given
        assert isinstance(session.runs[0], TreatmentGiven)
        assert session.left == 2500


TOLD = {"what": "headache", "severity": "mild", "related": "possible", "serious": [], "anticipated": True,
        "device_deficiency": False, "state": "ongoing", "train": 2, "by": OP}  # fmt: skip


def test_adverse_events_that_the_session_told_are_in_the_study_when_it_closes(folder: Path) -> None:
    """Each once: two alike are two, one that was corrected since is not taken in again."""
    run = begun("P001", 1, MONDAY, run_id="aa", folder=f"{MONDAY.replace('-', '')}-090000_aa")
    data_dir = folder / "data"
    with opened(folder, data_dir=data_dir) as visit:
        visit.begin(run)
        written(data_dir, "aa", [*rows(run, WHOLE), *[("adverse_event_told", TOLD)] * 2], 9)
        visit.end(given(run, 100))
    with Study.open(folder / "study", clock=at(MONDAY)) as study:
        kept = study.state.participants["P001"].events
        assert [(e.what, e.day, e.anticipated) for _, e in kept] == [("headache", MONDAY, True)] * 2
        number, event = kept[0]
        study.write(replace(event, state="resolved", corrects=number), by=OP, reason="gone by noon")
        assert gather(study, data_dir, by=OP).taken == ()
        assert len(study.state.participants["P001"].events) == 3


def test_a_session_whose_journal_cannot_be_read_gives_the_lease_back_and_says_so(folder: Path) -> None:
    visit = opened(folder, data_dir=folder / "data")
    visit.begin(begun("P001", 1, MONDAY, folder="gone"))
    with pytest.raises(IntegrityProblem):
        visit.close()
    assert free(folder)
    visit.close()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and SIGSTOP are POSIX signals")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
def test_two_computers_never_both_have_the_visit(folder: Path, how: str) -> None:
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")])
    with made_today(folder):
        first = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder / "now"), "bedside-1"], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        assert first.stdout is not None
        assert first.stderr is not None
        with first, first.stdout, first.stderr:
            try:
                assert first.stdout.readline() == "opened 1\n"
                assert first.stdout.readline() == "kept\n"
                here = {"host": "bedside-2", "holds_s": 0.8, "expires_s": 1.6}
                with pytest.raises(NotReady, match=r"P001 is run by another computer; .*bedside-1 \(process"):
                    Visit.open(folder / "now", "P001", OP, **here)
                first.send_signal(getattr(signal, how))
                with Visit.open(folder / "now", "P001", OP, wait_s=30.0, **here) as visit:
                    assert visit.held
                    if how == "SIGSTOP":
                        first.send_signal(signal.SIGCONT)
                        assert first.wait(20) != 0
                        assert "this computer no longer runs P001" in first.stderr.read()
                    found = holder_of(folder / "now" / "leases", "P001")
                    assert found is not None
                    assert (found.host, found.number) == ("bedside-2", 2)
            finally:
                first.kill()


def made_today(folder: Path) -> Study:
    """The same study by the clock of this computer."""
    from rtloop.clock import WALL

    study = made_in(folder / "now", WALL, course=course(closed=()))  # type: ignore[arg-type]
    study.write(listed(), by=STAT)
    enter(study, "P001")
    return study
