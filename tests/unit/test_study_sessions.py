"""Session folders into a study: what a journal says was given, after a crash too; once, and only what belongs there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from study_tools import MONDAY, OP, STAT, at, begun, enter, folder_in_memory, given, listed, made_in, written
from threshold_tools import made as threshold

from rtloop.app.study_sessions import gather, treatment_of
from rtloop.errors import IntegrityProblem
from rtloop.model.course import TREATMENT_BEGUN, TREATMENT_GIVEN, Ended, TreatmentBegun, TreatmentGiven
from rtloop.model.estimate import Estimate, Scores
from rtloop.model.event import Event
from rtloop.model.pulse import Delivery, Purpose, Train
from rtloop.model.status import Mode
from rtloop.model.threshold import ToldBy
from rtloop.record.thresholds import FILE_NAME, write_threshold
from rtloop.safety.ledger import PULSE_CLOSED, PULSE_INTENDED, Charge, Ledger
from rtloop.study.study import Study

TRAIN = Train(frequency_hz=10.0, n_pulses=100)
Row = tuple[str, dict[str, Any]]


def rows(run: TreatmentBegun, *outcomes: tuple[Delivery, int, int] | None) -> list[Row]:
    """A journal of trains: (outcome, fewest, most pulses), or None for one that nobody closed."""
    out: list[Row] = [(TREATMENT_BEGUN, run.data())]
    ledger = Ledger()
    for k, outcome in enumerate(outcomes, start=1):
        charge = Charge(run_id=run.run_id, session_id=run.session_id, permit_id=k, pulse_id=k, target=run.target,
                        purpose=str(Purpose.TREATMENT), power_pct_mso=45, power_pct_rmt=90.0, day=run.day, n_pulses=100,
                        train=TRAIN)  # fmt: skip
        out.append((PULSE_INTENDED, ledger.charge(charge)))
        if outcome is not None:
            out.append((PULSE_CLOSED, ledger.close(charge, outcome[0], outcome[1:])))
    return out


def events(made: list[Row]) -> list[Event]:
    return [
        Event(n=n, t_s=0.0, utc=f"{MONDAY}T09:10:00.000+00:00", kind=k, data=d)
        for n, (k, d) in enumerate(made)
    ]


WHOLE = (Delivery.DELIVERED, 100, 100)


def test_a_crash_is_counted_from_the_intents_pessimistically() -> None:
    run = begun("P001", 1, MONDAY)
    made = rows(run, WHOLE, (Delivery.UNCERTAIN, 20, 70), (Delivery.NOT_DELIVERED, 0, 0), None)
    out = treatment_of(events(made), head_hash="d" * 64)
    assert out is not None
    assert (out.delivered, out.uncertain, out.refused, out.trains_given) == (120, 150, 2730, 3)
    assert (out.ended, out.head_hash, out.planned) == (Ended.CRASHED, "d" * 64, 3000)
    assert treatment_of(events([]), head_hash="") is None


def test_an_end_that_says_less_than_the_pulses_is_refused() -> None:
    run = begun("P001", 1, MONDAY)
    made = rows(run, WHOLE, WHOLE)
    honest = given(run, 200)
    assert treatment_of(events([*made, (TREATMENT_GIVEN, honest.data())]), head_hash="") == honest
    for wrong in (given(run, 100), replace(honest, trains_given=1), replace(honest, target="ACC")):
        with pytest.raises(
            IntegrityProblem, match="other numbers than its pulses say; expected: 200 pulses, 2 trains"
        ):
            treatment_of(events([*made, (TREATMENT_GIVEN, wrong.data())]), head_hash="")
    with pytest.raises(IntegrityProblem, match="gave more than it set out to give"):
        treatment_of(events(rows(replace(run, planned=150), WHOLE, WHOLE)), head_hash="")


@pytest.fixture
def study() -> Iterator[Study]:
    with folder_in_memory() as folder, made_in(folder / "study", at(MONDAY)) as study:
        study.write(listed(), by=STAT)
        enter(study, "P001")
        yield study


def test_folders_are_taken_in_once_and_the_rest_is_told(study: Study) -> None:
    data_dir = study.folder.parent / "data"
    run = begun("P001", 1, MONDAY, run_id="aa")
    study.write(run, by=OP)
    crashed = written(data_dir, "aa", rows(run, WHOLE, None), 9)
    other = begun("P002", 1, MONDAY, run_id="bb")
    written(data_dir, "bb", rows(other, WHOLE), 10)  # of nobody in this study
    real = begun("P001", 1, MONDAY, run_id="cc", mode="HUMAN")
    written(data_dir, "cc", rows(real, WHOLE), 11)  # real, in a study of simulated treatments
    bad = written(data_dir, "dd", rows(begun("P001", 1, MONDAY, run_id="dd"), WHOLE, WHOLE), 12)
    bad.journal.write_bytes(bad.journal.read_bytes().replace(b'"power_pct_mso":45', b'"power_pct_mso":44', 1))
    found = gather(study, data_dir, by=OP)
    assert found.taken == (f"{crashed.path.name}: treatment 1 of P001, 200 of 3000 pulses",)
    (problem,) = found.problems
    assert problem.startswith(f"{bad.path.name}: its journal is damaged; found: line 2")
    (session,) = study.state.participants["P001"].calendar.given
    (closed,) = session.closed
    assert isinstance(closed, TreatmentGiven)
    assert (session.delivered, session.uncertain, session.left) == (100, 100, 2800)
    n = study.state.n
    assert gather(study, data_dir, by=OP).taken == ()
    assert study.state.n == n


def test_a_study_that_never_heard_of_a_run_learns_of_it_from_its_folder(study: Study) -> None:
    """Logs and folders together say the same as the live study did."""
    data_dir = study.folder.parent / "data"
    run = begun("P001", 1, MONDAY, run_id="aa")
    end = given(run, 200)
    written(data_dir, "aa", [*rows(run, WHOLE, WHOLE), (TREATMENT_GIVEN, end.data())], 9)
    with made_in(study.folder.parent / "twin", at(MONDAY)) as live:
        live.write(listed(), by=STAT)
        enter(live, "P001")
        live.write(run, by=OP)
        live.write(end, by=OP)
        assert gather(study, data_dir, by=OP).problems == ()
        assert study.state.participants["P001"].calendar == live.state.participants["P001"].calendar
        assert gather(live, data_dir, by=OP).taken == ()


def scores(target: str, value: float) -> dict[str, Any]:
    """A ``scores_updated`` of a target as a session writes it."""
    made = {
        "global": {"pooled": Estimate.normal(value, 0.01, n=90)},
        "local": {"pooled": Estimate.absent("too few", n=90)},
    }
    told = Scores(target=target, n_accepted=90, n_rejected=10, connectivity={"dwpli2": made},
                  evoked={"lmfp_uv": Estimate.normal(2.0, 0.1, n=90)})  # fmt: skip
    return {"target": target, "block": "run", "n_accepted": 90, "n_rejected": 10, "scores": told.to_dict()}


def test_maps_and_probes_that_ended_are_kept_sealed_with_their_intervals(study: Study) -> None:
    data_dir = study.folder.parent / "data"
    told = {"participant": "P001", "mode": "SIMULATED", "scene": "default"}
    both = [("scores_updated", scores("M1", 0.2)), ("scores_updated", scores("ACC", 0.1))]
    accepted = [("target_accepted", {"target": t}) for t in ("M1", "ACC")]
    end: Row = ("session_ended", {"clean": True, "words": "done"})
    mapped = written(data_dir, "aa", [("session_started", told | {"kind": "map"}), *both, *accepted, end], 9)
    written(data_dir, "bb", [("session_started", told | {"kind": "map"}), *both], 10)  # never ended
    probed = written(data_dir, "cc", [("session_started", told | {"kind": "probe"}), both[0], end], 11)
    real = {**told, "mode": "HUMAN", "scene": None, "kind": "probe"}
    written(data_dir, "dd", [("session_started", real), both[0], end], 12)
    found = gather(study, data_dir, by=OP)
    assert found.problems == ()
    assert found.taken == (f"{mapped.path.name}: map of P001", f"{probed.path.name}: probe of P001")
    assert gather(study, data_dir, by=OP).taken == ()
    assert study.read(by=OP, what="x")[1] == {}
    sealed = study.read(by=STAT, what="x")[1]
    columns, maps = sealed["mapping"]
    got = {
        r[columns.index("target")]: [r[columns.index(c)] for c in ("score", "low", "high", "accepted")]
        for r in maps
    }
    assert {t: [round(v, 4) for v in row] for t, row in got.items()} == {
        "M1": [0.2, 0.1804, 0.2196, 1], "ACC": [0.1, 0.0804, 0.1196, 1],
    }  # fmt: skip
    columns, probes = sealed["probe"]
    assert [r[columns.index("name")] for r in probes] == ["lmfp_uv"]  # what is absent has no row


def test_thresholds_are_taken_in_once_and_only_those_of_the_muscle(study: Study) -> None:
    """By EMG, of this study's kind, as the journal says; a file that says something else is told."""
    data_dir = study.folder.parent / "data"
    told = ("session_started", {"participant": "P001", "mode": "SIMULATED", "kind": "script"})
    taken = threshold(participant="P001", made_utc=f"{MONDAY}T08:30:00.000+00:00", mode=Mode.SIMULATED)
    both = replace(taken, pct_mso=51, estimate_pct_mso=51.0, low_pct_mso=50.0, high_pct_mso=None)
    seen = replace(taken, told_by=ToldBy.VISUAL)
    real = replace(taken, mode=Mode.HUMAN)
    folders = [
        written(data_dir, name, [told, ("threshold_taken", {"threshold": t.data()})], hour)
        for name, t, hour in (
            ("aa", taken, 9),
            ("bb", both, 10),
            ("cc", seen, 11),
            ("dd", real, 12),
            ("ee", taken, 13),
        )
    ]
    write_threshold(folders[0].path / FILE_NAME, taken)
    write_threshold(folders[1].path / FILE_NAME, taken)
    found = gather(study, data_dir, by=OP)
    assert found.taken == (
        f"{folders[0].path.name}: motor threshold of P001, {taken.pct_mso} % of maximum output",
    )
    (problem,) = found.problems
    assert problem.startswith(f"{folders[1].path.name}: threshold.json is not what its journal says")
    (folders[1].path / FILE_NAME).unlink()
    assert len(gather(study, data_dir, by=OP).taken) == 1
    assert gather(study, data_dir, by=OP).taken == ()
    first, second = study.state.participants["P001"].thresholds
    assert (first.low_pct_mso, first.high_pct_mso) == (taken.low_pct_mso, taken.high_pct_mso)
    assert (second.pct_mso, second.low_pct_mso, second.high_pct_mso) == (51, None, None)
    assert first.waveform == taken.rig.waveform_words
    assert study.state.participants["P001"].threshold == second
