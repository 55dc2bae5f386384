"""What a mapping keeps of its visits for a run that resumes the session: whole, or the visit is made again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from decision_plan_tools import DECISION, asking

from rtloop.app.resumed import Run, map_before
from rtloop.decide.course import Restart, Visit
from rtloop.decide.look import Look, Outcome
from rtloop.decide.mapping import Question
from rtloop.errors import IntegrityProblem
from rtloop.measures.connectivity import RunningConnectivity
from rtloop.model.event import Event
from rtloop.model.montage import Montage
from rtloop.model.view import fold_all, key_of
from rtloop.plan.expand import Run as RunStep
from rtloop.plan.expand import expand
from rtloop.plan.load import parse_plan
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal, read_journal
from rtloop.record.kept import read_kept, write_kept
from rtloop.record.verify import Findings
from rtloop.record.verify_map import check_map
from rtloop.session.course import course_of
from rtloop.session.keeping import Earlier, Keeper, waited
from rtloop.session.relooking import Relooking

WIDE = """
snr_min = 0.0
snr_ratio_min = 0.0
residue_max = 50.0
rhythm_ratio_max = 50.0
"""
PLAN = parse_plan(asking(DECISION + WIDE))
MONTAGE = Montage.from_names(("C3", "C4", "F3", "F4", "Cz", "Pz"))
BANDS = {"alpha": slice(0, 3), "low_beta": slice(3, 6), "high_beta": slice(6, 9)}


class _Scorer:
    """The running sums of a block, fed with planes."""

    def __init__(self, target: str) -> None:
        self.target, self.montage = target, MONTAGE
        self.connectivity = RunningConnectivity(len(MONTAGE.names), BANDS, capacity=40)

    @property
    def n_accepted(self) -> int:
        return self.connectivity.n

    @property
    def seen(self) -> int:
        return len(self.connectivity.slots)

    def used(self) -> tuple[None, None, np.ndarray]:
        a, b = np.triu_indices(len(MONTAGE.names), 1)
        w = np.linalg.norm(MONTAGE.positions_m[a] - MONTAGE.positions_m[b], axis=1)
        return None, None, (w / w.sum())[None]


class _Line:
    """A line whose trials are made up."""

    def __init__(self, seed: int = 0) -> None:
        self.montage, self.scorers, self.ongoing = MONTAGE, {}, None
        self.spec = SimpleNamespace(
            average_reference=True, bridge=True, decay=True, detrend=True, sound=False, muscle=True
        )  # fmt: skip
        self.rng, self.next_id, self.beats = np.random.default_rng(seed), 0, 0

    def renew(self, target: str, block: str) -> bool:
        return False

    def meanwhile(self) -> None:
        self.beats += 1

    def scorer(self, target: str, block: str) -> _Scorer:
        return self.scorers.setdefault(key_of(target, block), _Scorer(target))

    def record(self, target: str, n: int) -> None:
        """``n`` accepted trials."""
        for _ in range(n):
            planes = self.rng.standard_normal((4, 6, 9)).astype(np.float32)
            planes[:2] += 2 * planes[:2].mean(axis=1, keepdims=True)
            good = np.ones(6, np.bool_)
            clean = SimpleNamespace(ongoing_re=planes[2], ongoing_im=planes[3])
            self.scorer(target, "run").connectivity.add(self.next_id, planes[0], planes[1], good)
            self.ongoing.add(key_of(target, "run"), self.next_id, clean)
            self.next_id += 1

    def take_out(self, trial_id: int, target: str) -> None:
        self.scorer(target, "run").connectivity.remove(trial_id)


STARTED = {
    "rate_hz": 1000.0, "layout": [{"name": n} for n in MONTAGE.names], "spots": {}, "gaps": {}, "software_version": "1",
    "chain": {"gap_s": [-0.002, 0.01], "max_pre_pp_uv": 200.0},
}  # fmt: skip


class _Session:
    """One run of a session: a course on a made-up line, its folder and its journal."""

    def __init__(self, data: Path, run_id: str, seed: int, **started: Any) -> None:
        data.mkdir(exist_ok=True)
        path = data / f"20261123-08000{seed}_{run_id}"
        path.mkdir()
        self.folder, self.line, self.run_id = SessionFolder(path=path), _Line(seed), run_id
        self.journal = Journal(self.folder.journal, run_id=run_id, plan_sha="0" * 64)
        course = course_of(PLAN, self.line)  # type: ignore[arg-type]
        assert course is not None
        self.course = course
        self.course.keep_in(self.folder)
        self.course.emit = lambda kind, /, *, sync=False, **data: self.tell(kind, **data)
        self.tell("session_started", **{**STARTED, "decision": course.fixed(), **started})

    def tell(self, kind: str, **data: Any) -> None:
        self.journal.append(kind, data)

    def visit(self, target: str, n: int, power: int = 45) -> None:
        given = {"target": target, "power_pct_mso": power, "power_pct_rmt": None, "pulse_id": 0}
        self.tell("pulse_intended", purpose="mapping", **given)
        self.line.record(target, n)
        self.course.accepted(target)

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(read_journal(self.folder.journal).events)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [dict(e.data) for e in self.events if e.kind == kind]

    def earlier(self) -> Earlier:
        found = Earlier.of(self.folder, self.events)
        assert found is not None
        return found

    def resume(self, before: _Session) -> dict[str, Any]:
        self.course.resume(before.earlier(), json.loads(json.dumps(dict(self.events[-1].data))))
        return self.of("map_resumed")[0]


def _signal(session: _Session, target: str) -> Any:
    return session.line.ongoing.signal(key_of(target, "run"), session.line.scorer(target, "run"))


@pytest.fixture
def first(tmp_path: Path) -> _Session:
    """Both targets visited, a crash before the first look."""
    session = _Session(tmp_path / "data", "aaaa0001", 1)
    session.visit("M1", 12, power=47)
    session.visit("PSI", 13)
    return session


def test_the_trials_of_each_visit_are_on_the_disk_as_they_are_in_memory(first: _Session) -> None:
    kept = first.of("visit_kept")
    assert [(d["target"], d["n_trials"], d["file"], d["why_absent"]) for d in kept] == [
        ("M1", 12, "map-01.npz", ""),
        ("PSI", 13, "map-02.npz", ""),
    ]
    signal = _signal(first, "PSI")
    arrays = read_kept(first.folder.path / "map-02.npz", kept[1]["sha256"])
    for name in ("re", "im", "ongoing_re", "ongoing_im", "good"):
        assert np.array_equal(arrays[name], getattr(signal, name))
    assert arrays["ids"].tolist() == list(range(12, 25))
    assert kept[1]["bytes"] == (first.folder.path / "map-02.npz").stat().st_size
    assert (first.folder.path / "map-01.npz").stat().st_mode & 0o077 == 0
    assert first.line.beats >= 2  # a slow disk is no frozen loop


def test_a_resumed_run_looks_at_the_same_trials_and_goes_on(first: _Session, tmp_path: Path) -> None:
    second = _Session(tmp_path / "data", "aaaa0002", 2)
    told = second.resume(first)
    assert told["words"].startswith(
        "the map goes on with what the run before recorded: M1 (12 accepted trials), PSI (13 accepted trials) ("
    )
    assert told["lost"] == []
    for target in ("M1", "PSI"):
        for name in ("re", "im", "ongoing_re", "ongoing_im", "good", "weights"):
            assert np.array_equal(
                getattr(_signal(second, target), name), getattr(_signal(first, target), name)
            )
    assert second.course.next() == first.course.next() or second.of("map_looked_at") == first.of(
        "map_looked_at"
    )
    assert second.of("targets_matched") == first.of("targets_matched")
    second.line.record("M1", 3)
    grown = _signal(second, "M1")
    assert grown.n == 15
    assert np.array_equal(grown.re[:12], _signal(first, "M1").re)
    second.course.accepted("M1")
    assert second.of("map_visited")[-1]["accepted"] == 3
    assert second.of("visit_kept")[-1]["n_trials"] == 15


def test_the_replay_of_a_resumed_run_needs_its_own_folder_only(first: _Session, tmp_path: Path) -> None:
    second = _Session(tmp_path / "data", "aaaa0002", 2)
    second.resume(first)
    second.visit("M1", 3)
    second.course.next()
    for path in first.folder.path.iterdir():
        path.unlink()
    line = _Line()
    again = Relooking(line, second.of("session_started")[0]["decision"], second.folder)  # type: ignore[arg-type]
    line.rng = np.random.default_rng(2)
    compared = 0
    for event in second.events:
        if event.kind == "pulse_intended":
            line.record("M1", 3)
        elif event.kind.startswith(("map_", "visit_kept", "targets_")):
            was, now = again.again(event.kind, event.data)
            assert was == now, event.kind
            compared += 1
    assert compared == 5


def test_a_damaged_or_missing_file_means_the_visit_again_and_never_a_part(
    first: _Session, tmp_path: Path
) -> None:
    path = first.folder.path / "map-02.npz"
    whole = path.read_bytes()
    for run_id, seed, data, why in (
        ("aaaa0002", 2, whole[:-1], "is not the file that was recorded"),
        ("aaaa0003", 3, None, "cannot be read"),
    ):
        path.unlink()
        if data is not None:
            path.write_bytes(data)
        second = _Session(tmp_path / "data", run_id, seed)
        told = second.resume(first)
        assert why in told["lost"][0]
        assert told["lost"][1] == "PSI: 1 visit(s) whose trials are not whole on the disk are made again"
        assert all(words in told["words"] for words in told["lost"])
        assert [type(e) for e in second.course.history] == [Visit]
        steps = second.course.next()
        assert [s.target for s in steps] == ["PSI"] * len(steps)
        assert second.of("visit_proposed")[0]["words"] == "first visit, target 2 of 2"
        path.write_bytes(whole)


def test_a_return_visit_that_is_lost_leaves_the_first_one(first: _Session, tmp_path: Path) -> None:
    first.course._enter(_look(Outcome.RETURN))
    first.visit("PSI", 8)
    (first.folder.path / "map-03.npz").unlink()
    second = _Session(tmp_path / "data", "aaaa0002", 2)
    second.resume(first)
    assert _signal(second, "PSI").n == 13
    (place, run, _) = second.course.next()
    assert (place.target, run.pulses_wanted) == ("PSI", 8)
    assert "already" not in place.why  # nobody knows where the coil is now


def test_a_return_visit_of_a_resumed_run_has_the_intensity_of_the_first(
    first: _Session, tmp_path: Path
) -> None:
    first.course._enter(_look(Outcome.RETURN))
    second = _Session(tmp_path / "data", "aaaa0002", 2)
    second.resume(first)
    third = _Session(tmp_path / "data", "aaaa0003", 3)
    third.resume(second)  # it crashed again before a pulse
    powers = {}
    for _ in range(2):
        steps = third.course.next()
        powers |= {s.target: s.power_pct_mso for s in steps if isinstance(s, RunStep)}
        third.course.accepted(steps[0].target)
    assert powers == {"M1": 47, "PSI": 45}
    told = third.of("filter_renewed")  # whatever return_filter is: the filter was the earlier run's
    assert {d["target"] for d in told} == set(powers)
    assert all("this visit learns its own filter" in d["words"] for d in told)


def test_trials_taken_out_after_the_visit_stay_out(first: _Session, tmp_path: Path) -> None:
    for word, trial_id in (("taken_out", 14), ("taken_out", 15), ("reinstated", 15)):
        first.tell(f"trial_{word}", trial_id=trial_id, pulse_id=0, target="PSI", block="run", words="")
    first.line.take_out(14, "PSI")
    second = _Session(tmp_path / "data", "aaaa0002", 2)
    told = second.resume(first)
    assert [row["left_out"] for row in told["files"]] == [[], [14]]
    assert np.array_equal(_signal(second, "PSI").re, _signal(first, "PSI").re)


def test_a_restarted_target_begins_anew(first: _Session, tmp_path: Path) -> None:
    first.course.restarted("M1")
    second = _Session(tmp_path / "data", "aaaa0002", 2)
    told = second.resume(first)
    assert [row["target"] for row in told["files"]] == ["PSI"]
    assert isinstance(second.course.history[-1], Restart)
    assert second.course.next()[0].target == "M1"


def test_an_answered_map_needs_no_pulse_and_no_file(first: _Session, tmp_path: Path) -> None:
    first.course._enter(_look(Outcome.NAMED, 2))
    for path in first.folder.path.glob("map-*"):
        path.unlink()
    second = _Session(tmp_path / "data", "aaaa0002", 2)
    assert second.course.left_of(expand(PLAN), first.earlier()) == ()
    told = second.resume(first)
    assert told["words"] == "the map was answered before the run before ended: no pulse is needed for it"
    assert second.course.next() == ()
    decision = second.course.decision()
    assert (decision["kind"], decision["target"]) == ("decided", "PSI")
    assert fold_all(second.events).map_look == json.loads(json.dumps(decision["looks"][-1]))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"rate_hz": 2000.0}, "sampling rate"),
        ({"software_version": "2"}, "software"),
        ({"chain": {"gap_s": [-0.002, 0.012], "max_pre_pp_uv": 200.0}}, "the cleaning was not the same"),
        ({"chain": STARTED["chain"] | {"reclean_earlier": True}}, "the cleaning was not the same"),
    ],
)
def test_trials_of_an_unlike_run_are_not_taken(
    first: _Session, tmp_path: Path, changed: dict[str, Any], why: str
) -> None:
    second = _Session(tmp_path / "data", "aaaa0002", 2, **changed)
    told = second.resume(first)
    assert why in told["words"]
    assert (told["files"], second.course.history) == ([], [])


def test_limits_raised_to_the_recording_do_not_part_two_runs(first: _Session, tmp_path: Path) -> None:
    second = _Session(
        tmp_path / "data", "aaaa0002", 2, chain={"gap_s": [-0.002, 0.01], "max_pre_pp_uv": 350.0}
    )
    assert [row["n_trials"] for row in second.resume(first)["files"]] == [12, 13]


def test_only_what_was_not_visited_is_done_by_the_plan(tmp_path: Path) -> None:
    session = _Session(tmp_path / "data", "aaaa0001", 1)
    assert Earlier.of(session.folder, session.events) is None
    session.visit("M1", 12)
    left = session.course.left_of(expand(PLAN), session.earlier())
    assert {s.target for s in left} == {"PSI"}
    assert session.course.left_of(expand(PLAN), None) == expand(PLAN)


def test_the_newest_run_of_the_session_that_had_a_map_is_resumed(first: _Session, tmp_path: Path) -> None:
    idle = _Session(tmp_path / "data", "aaaa0002", 2)  # its pre-flight failed
    other = replace(_run(first), session_id="bbbb0001")
    runs = (_run(first), _run(idle, "aaaa0001"), other)
    found = map_before(runs, session_id="aaaa0001", run_id="aaaa0003")
    assert found is not None
    assert found.folder == first.folder
    assert map_before(runs, session_id="aaaa0003", run_id="aaaa0003") is None


def _run(session: _Session, session_id: str = "") -> Run:
    return Run(
        run_id=session.run_id, session_id=session_id or session.run_id, plan_sha256="", day="", complete=False,
        folder=session.folder,
    )  # fmt: skip


def test_a_disk_that_does_not_take_them_ends_no_session(
    first: _Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, arrays: Any) -> tuple[str, int]:
        raise IntegrityProblem(f"{path.name} could not be written", found="No space left on device")

    monkeypatch.setattr("rtloop.session.keeping.write_kept", full)
    kept = Keeper(first.folder, first.line, first.line.ongoing).keep("M1")  # type: ignore[arg-type]
    assert kept["file"] == ""
    assert kept["why_absent"].startswith("a run that resumes this session will visit M1 again")
    assert "No space left on device" in kept["why_absent"]


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "map-01.npz"
    sha256, size = write_kept(path, {"re": np.arange(6)})
    assert [p.name for p in tmp_path.iterdir()] == ["map-01.npz"]
    assert size == path.stat().st_size
    assert read_kept(path, sha256)["re"].tolist() == list(range(6))

    def torn(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rtloop.record.kept.sync_data", torn)
    with pytest.raises(IntegrityProblem, match="could not be written"):
        write_kept(tmp_path / "map-02.npz", {"re": np.arange(6)})
    assert [p.name for p in tmp_path.iterdir()] == ["map-01.npz"]


def test_a_disk_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    held, beats = threading.Event(), []
    monkeypatch.setattr("rtloop.session.keeping.LONGEST_WAITS", 3)
    with pytest.raises(IntegrityProblem, match="did not take"):
        waited(held.wait, lambda: beats.append(1))
    assert len(beats) == 3
    held.set()


def test_verify_holds_each_file_against_its_record(first: _Session, tmp_path: Path) -> None:
    second = _Session(tmp_path / "data", "aaaa0002", 2)
    second.resume(first)
    for session in (first, second):
        out = Findings()
        check_map(session.folder, session.events, out)
        assert out.lines == [f"trials of the map: 2 of 2 file(s) whole, {out.lines[0].split()[-2]} MB"]
    path = second.folder.path / "map-01.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (second.folder.path / "map-02.npz").unlink()
    (second.folder.path / "map-03.npz.part").write_bytes(b"")
    out = Findings()
    check_map(second.folder, second.events, out)
    assert out.lines[0].startswith("PROBLEM: the trials of M1 (map-01.npz) are not those that record")
    assert "PROBLEM: the trials of PSI (map-02.npz" in out.lines[1]
    assert out.lines[2].startswith("note: map-03.npz.part belongs to no record")
    assert out.counts["kept_files"] == 0


def _look(outcome: Outcome, number: int = 1) -> Look:
    return Look(
        number=number, of=2, outcome=outcome, question=Question.LOW, words=f"it is {outcome.value}", leader="PSI",
        challenger="M1",
    )  # fmt: skip
