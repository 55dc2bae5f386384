"""Yesterday's session of another lab gives the scores that it would have given live; what is wrong with it is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decision_plan_tools import DECISION, asking
from recordings_tools import Live, export, live_of, numbered, run, values, watch_plan
from session_tools import hold_tiny, tiny, write_plan

from rtloop.app import leaving
from rtloop.app import recorded as app
from rtloop.app.recorded import ReplayRequest, replay_recording
from rtloop.eeg.layout import Kind
from rtloop.errors import NotReady, UsageProblem, ValidationProblem
from rtloop.model.montage import names_for
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.record.read_open import Mark, OpenChannel, OpenRecording, Stretch
from rtloop.record.verify import verify
from rtloop.session.replay import replay

RATE_HZ = 1000.0
NAMES = names_for(8)
AT = (2000, 4000, 6000, 8000)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Live:
    """A mapping of two targets as it was held, preview pulses included."""
    folder = tmp_path_factory.mktemp("live")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaving, "write_report", lambda *a: None)  # its figures take longer than all else
        held = hold_tiny(folder, plan=tiny("M1", "DLPFC", wanted=3, most=4))
    return live_of(held.folder, folder / "plan.toml")


def test_our_own_recording_replayed_as_a_foreign_one_gives_the_live_scores_exactly(
    live: Live, tmp_path: Path
) -> None:
    view, said, data = run(live.folder.recording, live.plan, tmp_path, blocks=numbered(live, tmp_path))
    for key, was in live.view.targets.items():
        now = view.targets[key]
        assert (now.n_accepted, now.n_rejected, now.reasons) == (was.n_accepted, was.n_rejected, was.reasons)
        assert now.scores == was.scores
    assert values(view)["M1"]
    assert view.ranking == live.view.ranking
    assert [p["sample"] for p in view.pulses.values()] == [s for s, _ in live.trials]
    assert any("trigger channel TRIG" in line for line in said)
    folder = SessionFolder(path=Path(data["folder"]))
    assert verify(folder.path).ok
    again = replay(folder)
    assert again.differences == []
    assert again.trials == len(live.trials)
    report = folder.report.read_text()
    for words in ("recording.xdf (XDF)", "8 EEG, 1 TRIG", "No unit connected", "data:image/png"):
        assert words in report
    assert not folder.ring.exists()


#: format -> (largest difference of a connectivity value from the live one, largest of an evoked number in µV). Float formats hold
#: the samples as they are; FIF holds volts, rounded anew; BDF has 24 bits, EDF 16 over the pulse's artifact (here steps of 1 µV)
FORMATS = {
    ".vhdr": (0.0, 0.0),
    ".set": (0.0, 0.0),
    ".fif": (1e-6, 1e-5),
    ".bdf": (1e-3, 1e-3),
    ".edf": (0.1, 0.2),
}


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_gives_the_live_scores_within_its_resolution(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    pytest.importorskip("mne", reason="mne reads the formats of other labs (extra [recordings])")
    if lib := {".vhdr": "pybv", ".bdf": "edfio", ".edf": "edfio"}.get(form):
        pytest.importorskip(lib)
    monkeypatch.setattr(app, "write_report", lambda *a: None)  # its figures take longer than all else
    path = export(live, tmp_path, form)
    view, said, _ = run(path, live.plan, tmp_path / "out", blocks=live.blocks(tmp_path, "M1/run"))
    apart, evoked_uv = FORMATS[form]
    m1, live_m1 = view.targets["M1"], live.view.targets["M1"]
    assert set(view.targets) == {"M1"}
    assert (m1.n_accepted, m1.n_rejected) == (live_m1.n_accepted, live_m1.n_rejected)
    assert sorted(p["sample"] for p in view.pulses.values()) == [s for s, _ in live.trials]
    now, was = values(view)["M1"], values(live.view)["M1"]
    assert set(now) == set(was)
    for name, value in was.items():
        allowed = apart if "/connectivity/" in name else evoked_uv
        assert now[name] == pytest.approx(value, abs=allowed), name
    if apart == 0.0:
        assert m1.scores == live_m1.scores
    assert any("steps of" in line for line in said) is (form == ".edf")


# -- made recordings ---------------------------------------------------------------------------------------------


def made(*, at: tuple[int, ...] = AT, n: int = 10_000, **more: Any) -> OpenRecording:
    """Eight channels of noise with a pulse artifact at each of ``at``, in memory."""
    rng = np.random.default_rng(11)
    x = (np.cumsum(rng.normal(size=(n, 8)), axis=0) * 0.5 + rng.normal(size=(n, 8)) * 2).astype(np.float32)
    x -= x.mean(axis=0)
    for sample in at:
        x[sample : sample + 4] += 5000.0 * rng.uniform(0.5, 1.0, 8).astype(np.float32)
    rec = OpenRecording(
        path=Path("made.vhdr"), form="BrainVision", rate_hz=RATE_HZ, n_samples=n,
        channels=tuple(OpenChannel(name=name, kind=Kind.EEG) for name in NAMES),
        frames=lambda first, count: np.ascontiguousarray(x[first : first + count]),
    )  # fmt: skip
    return replace(rec, **more)


def marks(*samples: int, name: str = "R128", exact: bool = True) -> tuple[Mark, ...]:
    return tuple(Mark(sample=s, t_s=s / RATE_HZ, name=name, exact=exact) for s in samples)


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """``rtloop replay`` of a made recording."""

    def go(rec: OpenRecording, *targets: tuple[str, str, int], signal: str = "", **more: Any) -> Any:
        monkeypatch.setattr(app, "open_recording", lambda path, stream: rec)
        monkeypatch.setattr(app, "write_report", lambda *a: None)
        plan = watch_plan(tmp_path, *targets, signal=signal)
        return run(more.pop("files", Path("made.vhdr")), plan, tmp_path / "data", **more)

    return go


def test_without_events_and_trigger_the_artifact_is_the_pulse_and_that_is_said(replayed: Any) -> None:
    view, said, _ = replayed(made(), signal='limits = "to_recording"')
    assert [p["sample"] for p in view.pulses.values()] == list(AT)
    assert view.targets["M1"].n_accepted + view.targets["M1"].n_rejected == 4
    assert any("the pulse artifact alone" in line for line in said)


def test_a_break_inside_an_epoch_rejects_that_trial_alone_with_its_reason(replayed: Any) -> None:
    view, _, _ = replayed(made(breaks=(4300,)))
    reasons = {p["sample"]: p["verdict"] for p in view.pulses.values()}
    assert [s for s in AT if "gap in the samples of the epoch" in reasons[s]] == [4000]
    view, _, _ = replayed(made(breaks=(4601, 7199)))  # the epoch is -0.8 to 0.6 s: just outside
    assert not [p for p in view.pulses.values() if "gap" in p["verdict"]]


def test_a_trial_that_touches_what_the_file_marks_bad_is_rejected_for_it_unless_asked_otherwise(
    replayed: Any,
) -> None:
    """The epoch is -0.8 to 0.6 s; the session that is left replays the same way, from its own folder."""
    bad = (
        Stretch(first=4600, end=5199, name="BAD_muscle"),  # ends just before the epoch of the pulse at 6000
        Stretch(first=8590, end=8700, name="Bad Interval/Userdefined"),
        Stretch(first=1900, end=2100, name="BAD C3", channels=("C3",)),
        Stretch(first=6100, end=6101, name="boundary", bad=False),
    )
    view, said, data = replayed(made(stretches=bad))
    rejected = {p["sample"]: p["verdict"] for p in view.pulses.values() if "marked BAD" in p["verdict"]}
    assert set(rejected) == {4000, 8000}
    assert view.targets["M1"].reasons["marked BAD in the recording"] == 2
    assert any("'BAD_muscle' x 1" in line and "--keep-bad-annotated" in line for line in said)
    assert data["recorded"]["bad"] == [[4600, 5199, "BAD_muscle"], [8590, 8700, "Bad Interval/Userdefined"]]
    again = replay(SessionFolder(path=Path(data["folder"])))
    assert (again.differences, again.trials) == ([], 4)
    view, said, data = replayed(made(stretches=bad), keep_bad=True)
    assert "marked BAD in the recording" not in view.targets["M1"].reasons
    assert any("not heeded, as asked" in line for line in said)
    assert (data["recorded"]["bad"], data["recorded"]["bad_kept"]) == ([], True)


def test_a_gap_in_the_stamps_rejects_the_trial_that_it_touches_alone(replayed: Any) -> None:
    for lost_s, at, breaks in ((0.05, 4300, ()), (2.0, 3201, (3201,)), (2.0, 7199, (7199,))):
        stamps = 500.0 + np.arange(10_000) / RATE_HZ
        stamps[at:] += lost_s
        view, _, _ = replayed(made(stamps_s=stamps, breaks=breaks))
        gaps = [p["sample"] for p in view.pulses.values() if "gap in the samples" in p["verdict"]]
        assert gaps == ([] if at == 7199 else [4000])
        assert [p["sample"] for p in view.pulses.values()] == list(AT)


def test_only_events_are_pulses_and_artifacts_beside_them_are_told(replayed: Any) -> None:
    view, said, _ = replayed(made(marks=marks(2000, 4000, 6000)), events=("R128",))
    assert view.targets["M1"].n_accepted + view.targets["M1"].n_rejected == 3
    assert [p["pulse_id"] for p in view.pulses.values()] == [1, 2, 3, -8001]
    assert any("1 artifact(s) like a pulse" in line for line in said)


def test_a_late_marker_is_placed_at_the_artifact_and_an_event_without_one_is_told(replayed: Any) -> None:
    late = tuple(s + 15 for s in AT)
    view, _, _ = replayed(made(marks=marks(*late, exact=False)), events=("R128",))
    assert [(p["sample"], p["sources"]) for p in view.pulses.values()] == [
        (s, ["artifact", "marker"]) for s in AT
    ]
    _, said, _ = replayed(made(marks=marks(*AT, 5000)), events=("R128",))
    assert any("1 of 5 pulses" in line and "NO artifact" in line for line in said)


def test_a_pulse_whose_trial_the_recording_cuts_is_named(replayed: Any) -> None:
    view, said, _ = replayed(made(at=(2000, 4000, 9700)))
    assert view.targets["M1"].n_accepted + view.targets["M1"].n_rejected == 2
    assert any("not judged" in line and "pulse(s) 3" in line for line in said)


@pytest.mark.parametrize(
    ("more", "rec", "error", "words"),
    [
        ({"events": ("R129",)}, {"marks": marks(2000)}, ValidationProblem, r"no event .* is called R129.*'R128' x 1"),
        ({"events": ("R(",)}, {}, UsageProblem, "no regular expression"),
        ({"targets": ("ACC",)}, {}, ValidationProblem, "no target 'ACC'"),
        ({}, {"at": ()}, ValidationProblem, "no pulse was found"),
        ({}, {"frames": lambda first, count: np.zeros((count, 8), np.float32)}, ValidationProblem, "flat"),
        ({}, {"frames": lambda first, count: np.full((count, 8), np.nan, np.float32)}, ValidationProblem, "not a number"),
        ({}, {"channels": tuple(OpenChannel(name=f"E{i}", kind=Kind.EEG) for i in range(8))}, ValidationProblem, "E0, E1"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_before_a_folder_is_made(
    replayed: Any,
    tmp_path: Path,
    more: dict[str, Any],
    rec: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        replayed(made(**rec), **more)
    assert not (tmp_path / "data").exists()


def test_two_targets_without_a_map_are_refused_and_local_electrodes_must_be_there(
    replayed: Any, tmp_path: Path
) -> None:
    with pytest.raises(ValidationProblem, match="which pulse belongs to which target"):
        replayed(made(), ("M1", "C3", 2), ("DLPFC", "F3", 3))
    view, said, _ = replayed(made(), ("M1", "C3", 3), ("DLPFC", "F3", 1))
    assert "M1: 3 pulse(s), 2.0 to 6.0 s" in " ".join(said)
    assert {k: t.n_accepted + t.n_rejected for k, t in view.targets.items()} == {"M1": 3, "DLPFC": 1}


def test_a_file_for_each_target_is_one_session_with_a_break_between(replayed: Any, tmp_path: Path) -> None:
    files = (Path("one.vhdr"), Path("two.vhdr"))
    both = (("M1", "C3", 9), ("DLPFC", "F3", 9))
    view, _, _ = replayed(made(), *both, files=files, targets=("DLPFC", "M1"))
    assert [(p["sample"], p["target"]) for p in view.pulses.values()] == [
        *((s, "DLPFC") for s in AT), *((s + 10_000, "M1") for s in AT),
    ]  # fmt: skip
    assert {k: t.n_accepted + t.n_rejected for k, t in view.targets.items()} == {"M1": 4, "DLPFC": 4}
    one, _, _ = replayed(made(), *both, targets=("M1",))
    assert values(one)["M1"] == values(view)["M1"]
    with pytest.raises(UsageProblem, match=r"2 file\(s\), 3 --target"):
        replayed(made(), *both, files=files, targets=("M1", "DLPFC", "M1"))


def test_a_return_visit_in_a_recording_learns_as_it_would_have_live(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Five pulses at M1, five at PSI, five at M1 again; four teach a filter, which cleans the earlier ones again."""
    rec = made(at=tuple(range(2000, 32_000, 2000)), n=33_000)
    stages = '[signal.stages]\nmuscle = { first = 4, channels = 8 }\nearlier_trials = "reclean"\n'
    text = asking(DECISION + stages)
    text = text.replace("window_ms", 'limits = "to_recording"\nwindow_ms')
    blocks = tmp_path / "blocks.toml"
    blocks.write_text('[numbers]\n"1-5" = "M1"\n"6-10" = "PSI"\n"11-15" = "M1"\n', encoding="utf-8")
    monkeypatch.setattr(app, "open_recording", lambda path, stream: rec)
    monkeypatch.setattr(app, "write_report", lambda *a: None)
    _, _, data = run(Path("made.vhdr"), write_plan(tmp_path, text), tmp_path / "data", blocks=blocks)
    folder = SessionFolder(path=Path(data["folder"]))
    events = read_journal(folder.journal).events
    renewed = [e.data["target"] for e in events if e.kind == "filter_renewed"]
    assert renewed == ["M1"]
    again = [e.data["trial_id"] for e in events if e.kind == "trial_recleaned" and e.data["cleaned"]]
    uncleaned = [
        e.data["trial_id"]
        for e in events
        if e.kind == "trial_judged" and not e.data["numbers"]["spatial_trials"]
    ]
    assert again == uncleaned
    assert [i for i in again if i >= 10] == [i for i in range(10, 15) if i in uncleaned] != []
    assert replay(folder).differences == []


def test_a_full_disk_is_said_and_leaves_nothing(
    replayed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr(app.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(NotReady, match="no room"):
        replayed(made())
    assert not list((tmp_path / "data").iterdir())


def test_without_a_plan_the_recording_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "open_recording", lambda path, stream: made(marks=marks(*AT)))
    said: list[str] = []
    text, data, code = replay_recording(ReplayRequest(files=(Path("made.vhdr"),)), said.append)
    assert code == 0
    assert data["pulses"] == list(AT)
    assert "4 pulse(s) found" in text
    assert "'R128' x 4" in "\n".join(said)
