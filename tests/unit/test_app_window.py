"""The window's desk: engines that outlive it, jobs with a deadline, past sessions, recordings, settings in place."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gui.desk import Devices, Form, Rehearsed
from gui.shown import Tone
from rtloop.app import window
from rtloop.app.asked import engine_command
from rtloop.app.bedside import GuiRequest, form_of, open_window
from rtloop.app.jobs import ProcessJob
from rtloop.app.lookback import main as look_back
from rtloop.app.past import past_of
from rtloop.app.runtime import pid_lives
from rtloop.app.site_text import edited, save
from rtloop.app.window import AppDesk, made_folder
from rtloop.board import Board
from rtloop.errors import NotReady, UsageProblem, ValidationProblem
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal

ENGINE = """
import sys, time
from itertools import pairwise
from pathlib import Path
from rtloop.board import Board
from rtloop.record.folder import SessionFolder
a = sys.argv[1:]
folder = SessionFolder.create(a[a.index("--data-dir") + 1], a[a.index("--run-id") + 1])
folder.journal.touch()
print("   [ok] disk: 70 GB free", file=sys.stderr, flush=True)
board = Board.create(folder.board)
board.start("engine")
folder.link.touch()
t0 = time.monotonic()
while time.monotonic() - t0 < 20:
    board.beat("engine")
    time.sleep(0.02)
    if board["stop_asked"]:
        break
"""
REFUSES = """
import sys, json
print("2026-11-22 18:50:45.941 (   0.003s) [        D0841B80]         api_config.cpp:126   INFO| Loaded", file=sys.stderr)
print("rtloop: no unit is named", file=sys.stderr)
print(json.dumps({"error": "no unit is named", "expected": "--port", "found": "none", "todo": "name it", "exit_code": 2}))
sys.exit(2)
"""


@pytest.fixture(autouse=True)
def _no_site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [k for k in os.environ if k.startswith("RTLOOP_SITE")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def desk() -> Iterator[AppDesk]:
    desk = AppDesk()
    yield desk
    desk.close()


def until(what: Callable[[], Any], deadline_s: float = 15.0) -> Any:
    end_s = time.monotonic() + deadline_s
    while time.monotonic() < end_s:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come to pass")


def _script(tmp_path: Path, text: str) -> tuple[str, ...]:
    (tmp_path / "engine.py").write_text(text)
    return (sys.executable, str(tmp_path / "engine.py"))


def result(job: Any) -> Any:
    until(lambda: job.done, 30.0)
    assert job.error == ""
    return job.result


# -- engines ------------------------------------------------------------------------------------------------------


def test_an_engine_is_joined_and_outlives_the_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "CLI", _script(tmp_path, ENGINE))
    monkeypatch.setattr(
        window, "boards_in_memory", list
    )  # STOP must not reach what else runs on this computer
    desk = AppDesk()
    started = desk.start(Form(kind="map", plan="quick", simulate=True, data_dir=str(tmp_path / "data")))
    pid = desk._engines[started.run_id].pid
    try:
        assert started.data_dir == tmp_path / "data"
        folder = until(lambda: desk.folder_of(started))
        assert folder.path.name.endswith(started.run_id)
        assert desk.engine_exit(started.run_id) is None
        until(lambda: desk.engine_words(started.run_id) == ("   [ok] disk: 70 GB free",))
        if hasattr(os, "getsid"):
            assert os.getsid(pid) == pid  # a closed terminal or window takes nothing with it
        desk.look_in(tmp_path / "data")
        until(lambda: folder.path in [f.path for f in desk.running()])
        assert not desk.seat_taken(folder)
        with Board(folder.board) as board:
            board["seat_pid"] = os.getpid()
            assert desk.seat_taken(folder)
            board["seat_pid"] = 0
        desk.close()
        with Board(folder.board) as board:
            before = board["beat_engine"]
            until(lambda: board["beat_engine"] != before)
        other = AppDesk()  # the next window finds it
        other.look_in(tmp_path / "data")
        assert folder.path in [f.path for f in other.running()]
        assert folder.path not in [s.path for s in other.sessions()]
        (told,) = (t for t in other.stop_all() if started.run_id in t)
        assert told.startswith("STOP asked of")
        assert "no unit" in told
        until(lambda: desk.engine_exit(started.run_id))
        assert not pid_lives(pid)  # reaped, no zombie
        assert folder.path not in [f.path for f in other.running()]
    finally:
        if pid_lives(pid):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_an_engine_that_refuses_is_told_in_its_words(
    desk: AppDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CLI", _script(tmp_path, REFUSES))
    started = desk.start(Form(kind="map", data_dir=str(tmp_path)))
    end = until(lambda: desk.engine_exit(started.run_id))
    assert end.code == 2
    assert end.words == ("no unit is named", "expected: --port", "found: none", "what to do: name it")
    assert desk.folder_of(started) is None
    assert made_folder(started) is None
    assert desk.engine_exit(started.run_id) == end  # it can be asked again


def test_an_engine_that_crashes_is_told_by_its_last_lines(
    desk: AppDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "CLI", _script(tmp_path, "raise RuntimeError('broken')"))
    started = desk.start(Form(data_dir=str(tmp_path)))
    end = until(lambda: desk.engine_exit(started.run_id))
    assert end.code == 1
    assert "RuntimeError: broken" in end.words[-1]


def test_the_real_engine_refuses_a_plan_of_another_kind(desk: AppDesk, tmp_path: Path) -> None:
    started = desk.start(Form(kind="probe", plan="quick", simulate=True, data_dir=str(tmp_path / "d")))
    end = until(lambda: desk.engine_exit(started.run_id), 30.0)
    assert end.code == 2
    assert "cannot run this plan" in end.words[0]


def test_command_of_an_engine_holds_the_form_and_nothing_of_the_other_bedside(tmp_path: Path) -> None:
    real = Form(
        kind="map",
        plan="my.toml",
        participant="P1",
        mode="BENCH",
        stream="amp",
        port="/dev/ttyUSB0",
        data_dir="d",
        waivers="signed.toml",
    )
    command = engine_command(real, "0123abcd")
    assert command[:5] == ["map", "--window", "--run-id", "0123abcd", "--json"]
    assert "--simulate" not in command
    assert command[command.index("--plan") + 1] == str(tmp_path / "my.toml")
    assert command[command.index("--data-dir") + 1] == str(tmp_path / "d")
    assert command[command.index("--mode") + 1] == "bench"
    assert command[command.index("--waivers") + 1] == str(tmp_path / "signed.toml")
    simulated = engine_command(
        replace(real, simulate=True, mode="SIMULATED", seed=7, rate_hz=2000.0, plan="quick"), "0"
    )
    assert simulated[simulated.index("--seed") + 1] == "7"
    assert simulated[simulated.index("--rate-hz") + 1] == "2000"
    assert simulated[simulated.index("--plan") + 1] == "quick"
    listens = engine_command(replace(real, kind="watch", faults="f", simulate=True), "0")
    assert not {"--port", "--unit", "--mode", "--faults", "--waivers"} & set(listens)
    assert "--simulate" in listens
    assert "--stream" in listens


def test_command_of_a_treatment_names_its_file_who_treats_and_what_is_left(tmp_path: Path) -> None:
    real = Form(
        kind="treat", plan="my.toml", participant="P017", mode="BENCH", stream="amp", port="/dev/ttyUSB0", data_dir="d",
        threshold="t.json", by="A. Nurse", target="M1", resume=True, markers="m", scene="default", channels=63, seed=3,
    )  # fmt: skip
    command = engine_command(real, "0123abcd")
    assert command[:2] == ["treat", str(tmp_path / "my.toml")]
    pairs = dict(pairwise(command))
    assert pairs["--run-id"] == "0123abcd"
    assert pairs["--threshold"] == str(tmp_path / "t.json")
    assert (pairs["--by"], pairs["--target"], pairs["--mode"], command[-1]) == (
        "A. Nurse",
        "M1",
        "bench",
        "--resume",
    )
    assert not {"--simulate", "--seed", "--scene", "--channels", "--markers"} & set(command)
    simulated = engine_command(replace(real, simulate=True, mode="SIMULATED", resume=False), "0")
    assert not {"--port", "--stream", "--mode", "--resume"} & set(simulated)
    assert simulated[simulated.index("--seed") + 1] == "3"
    of_a_study = engine_command(replace(real, study="s"), "0")
    assert of_a_study[:3] == ["treat", "--window", "--run-id"]  # the study's calendar names the plan
    assert of_a_study[of_a_study.index("--study") + 1] == str(tmp_path / "s")


def test_a_treatment_is_rehearsed_with_its_threshold_and_the_thresholds_are_found(
    desk: AppDesk, tmp_path: Path
) -> None:
    form = Form(
        kind="treat", plan="treat-quick", participant="P017", simulate=True, mode="SIMULATED", target="M1"
    )
    job = desk.check_treatment(form)
    found = result(job)
    assert found.kind == "treat"
    assert found.problems == ()
    assert any("30 then 40 % MSO from a threshold of 50 %" in line.text for line in found.words)
    broken = result(desk.check_treatment(replace(form, simulate=False, mode="BENCH")))
    assert any("threshold_known" in p for p in broken.problems)
    assert "treat-10hz-4s" in desk.plans("treat")
    assert desk.thresholds(form) == ()


@pytest.mark.parametrize("kind", ["map", "probe", "watch", "treat"])
def test_every_option_of_an_engine_is_known_to_the_command_line(kind: str) -> None:
    import typer

    from rtloop.app.cli import app

    known = {o for p in typer.main.get_command(app).commands[kind].params for o in p.opts}  # type: ignore[attr-defined]
    form = Form(
        kind=kind, plan="p", participant="P", mode="SIMULATED", stream="s", source_id="i", unit="200", port="x", markers="m",
        data_dir="d", simulate=True, scene="default", seed=1, channels=8, rate_hz=1000.0, background="b", faults="f",
        waivers="w", target="M1", threshold="t", by="b", study="s", resume=True,
    )  # fmt: skip
    for other in (form, replace(form, simulate=False, mode="BENCH", study="")):
        assert {o for o in engine_command(other, "0") if o.startswith("--")} <= known


# -- jobs ---------------------------------------------------------------------------------------------------------


def test_devices_and_plans_are_asked_of_the_real_commands(desk: AppDesk, tmp_path: Path) -> None:
    jobs = [desk.devices(Form(kind="map", simulate=True)), desk.check("quick"), desk.check("nosuch")]
    devices, good = (result(j) for j in jobs[:2])
    (tmp_path / "rtloop.toml").write_text("[caps]\nmax_power_pct_mso = 40\n")
    bad = result(desk.check("quick"))
    assert isinstance(devices, Devices)
    assert all(t.tone is Tone.GOOD for t in devices.ticks)
    assert isinstance(good, Rehearsed)
    assert good.problems == ()
    assert good.kind == "map"
    assert "48 pulses" in good.words[0].text or "to" in good.words[0].text
    assert len(bad.problems) >= 4  # every target, each with its step
    assert all("power_cap" in p and "45" in p for p in bad.problems)
    until(lambda: jobs[2].done)
    assert jobs[2].result is None
    assert "no plan is called nosuch" in jobs[2].error
    assert "what to do" in jobs[2].error


def test_a_job_ends_at_its_deadline_and_when_cancelled() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    job = ProcessJob(command, dict, deadline_s=0.1, doing="sleeping")
    assert job._spawned is not None
    pid, folder = job._spawned.pid, job._spawned.folder
    until(lambda: job.done)
    assert "sleeping: no answer within 0.1 s" in job.error
    assert not pid_lives(pid)
    assert not folder.exists()
    job = ProcessJob(command, dict, deadline_s=60, doing="sleeping")
    assert job._spawned is not None
    pid = job._spawned.pid
    job.cancel()
    job.cancel()
    assert job.done
    assert "cancelled" in job.error
    assert not pid_lives(pid)


def test_progress_and_an_answer_that_is_none(tmp_path: Path) -> None:
    code = "import sys,time; print('40 % cleaning', file=sys.stderr, flush=True); time.sleep(0.6); print('no json')"
    job = ProcessJob([sys.executable, "-c", code], dict, deadline_s=30, doing="opening")
    assert np.isnan(job.progress[0])
    until(lambda: job.progress == (0.4, "cleaning"))
    until(lambda: job.done)
    assert job.result is None
    assert "without an answer" in job.error


# -- afterwards ---------------------------------------------------------------------------------------------------


def _past(
    data_dir: Path, run_id: str, *, end: bool | None, start: bool = True, recording: bool = True
) -> SessionFolder:
    folder = SessionFolder.create(data_dir, run_id)
    with contextlib.closing(Journal(folder.journal, run_id=run_id, plan_sha="0" * 64)) as journal:
        if start:
            layout = [{"name": f"E{i}", "position_m": [0.1, 0.2, 0.3]} for i in range(256)]
            about = {"kind": "map", "participant": "P017", "plan": "quick", "mode": "BENCH", "layout": layout}
            journal.append("session_started", about)
        if end is not None:
            journal.append(
                "session_ended", {"clean": end, "words": "the plan is complete" if end else "STOP"}
            )
    if recording:
        folder.recording.write_bytes(b"XDF:")
    return folder


@pytest.mark.parametrize(
    ("make", "end", "words", "tone"),
    [
        ({"end": True}, "clean", "the plan is complete", Tone.GOOD),
        ({"end": False}, "early", "STOP", Tone.ATTENTION),
        ({"end": None}, "torn", "no end", Tone.BAD),
        ({"end": True, "recording": False}, "torn", "recording is not there", Tone.BAD),
        ({"end": None, "start": False}, "empty", "never started", Tone.OFF),
    ],
)
def test_past_sessions_tell_how_they_ended(
    desk: AppDesk, tmp_path: Path, make: dict[str, Any], end: str, words: str, tone: Tone
) -> None:
    folder = _past(tmp_path, "aaaa1111", **make)
    past = past_of(folder)
    assert past.end == end
    assert words in past.words
    desk.look_in(tmp_path)
    (listed,) = desk.sessions()
    assert listed.line.tone is tone
    assert listed.path == folder.path
    if end != "empty":
        assert "map · P017 · quick · BENCH" in listed.title


def test_newest_session_comes_first_and_a_changed_one_is_read_again(desk: AppDesk, tmp_path: Path) -> None:
    for stamp in ("20260101-100000_aaaa1111", "20260301-100000_bbbb2222"):
        (tmp_path / stamp).mkdir()
    desk.look_in(tmp_path)
    assert [s.path.name[:8] for s in desk.sessions()] == ["20260301", "20260101"]
    folder = _past(tmp_path, "cccc3333", end=None)
    assert past_of(folder).end == "torn"
    with open(folder.journal, "a") as file:
        file.write(json.dumps({"kind": "session_ended", "data": {"clean": True, "words": "done"}}) + "\n")
    assert past_of(folder).end == "clean"


def test_a_recording_is_made_ready_and_what_is_none_is_refused(
    desk: AppDesk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rtloop.record.xdf_write import XdfWriter  # noqa: F401  (the format is the product's own)

    job = desk.open_review(tmp_path / "nothing.edf")
    until(lambda: job.done, 30.0)
    assert "there is no" in job.error
    (tmp_path / "a.txt").write_text("no recording")
    assert look_back([str(tmp_path / "a.txt"), str(tmp_path)]) == 3
    assert "of no known kind" in json.loads(capsys.readouterr().out)["error"]
    places = [Path(p.name) for p in desk._places]
    desk.close()
    assert places
    assert not any(p.exists() for p in places)


# -- settings -----------------------------------------------------------------------------------------------------

FILE = """# our site
mode = "BENCH"  # phantom only
[stream]
name = 'BrainAmp'
channels = ["C3",
  "C4"]

[caps]
max_power_pct_mso = 60
"""


def test_changes_keep_comments_order_and_what_is_not_ours() -> None:
    text = edited(
        FILE,
        {
            "mode": "SIMULATED",
            "stream.name": "",
            "stream.source_id": 'a"b',
            "unit.port": "COM3",
            "data_dir": "/d",
        },
    )
    assert text == (
        '# our site\nmode = "SIMULATED"  # phantom only\ndata_dir = "/d"\n[stream]\nchannels = ["C3",\n  "C4"]\n'
        'source_id = "a\\"b"\n\n[caps]\nmax_power_pct_mso = 60\n\n[unit]\nport = "COM3"\n'
    )
    assert edited("", {"stream.name": "x"}) == '[stream]\nname = "x"\n'
    assert edited("", {"stream.name": ""}) == ""
    with pytest.raises(ValidationProblem, match="cannot be changed here"):
        edited('mode = """\nBENCH"""\n', {"mode": "BENCH"})


def test_a_result_that_would_be_wrong_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "rtloop.toml"
    file.write_text(FILE)
    with pytest.raises(ValidationProblem, match="mode is not known") as told:
        save(file, {"mode": "HOPE"})
    assert str(file) in str(told.value)
    assert file.read_text() == FILE
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_settings_are_saved_where_they_came_from_and_made_where_there_were_none(
    desk: AppDesk, tmp_path: Path
) -> None:
    before = desk.settings()
    assert before.file == ""
    assert desk.save_settings(replace(before, stream="amp", port="/dev/ttyUSB0")) == ""
    after = desk.settings()
    assert after.file == str(tmp_path / "config" / "rtloop" / "rtloop.toml")
    assert (after.stream, after.port, after.data_dir) == ("amp", "/dev/ttyUSB0", before.data_dir)
    assert "data_dir" not in Path(after.file).read_text()  # what did not change is not written
    assert dict(after.origin)["stream.name"].startswith(after.file)
    assert "mode is not known" in desk.save_settings(replace(after, mode="HOPE"))


def test_a_value_that_something_else_wins_over_is_told(
    desk: AppDesk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RTLOOP_SITE_STREAM_NAME", "from-env")
    told = desk.save_settings(replace(desk.settings(), stream="typed"))
    assert "RTLOOP_SITE_STREAM_NAME" in told


# -- the command --------------------------------------------------------------------------------------------------


def test_library_plans_by_kind_and_scenes(desk: AppDesk) -> None:
    assert {"map-200", "quick"} <= set(desk.plans("map"))
    assert not {"watch", "probe-m1"} & set(desk.plans("map"))
    assert desk.plans("watch") == ("watch",)
    assert desk.scenes()[0] == "default"


@pytest.mark.parametrize(
    "request_",
    [
        GuiRequest(theme="pink"), GuiRequest(role="boss"), GuiRequest(kind="dance"), GuiRequest(mode="listen"),
        GuiRequest(attach=Path("/nowhere")), GuiRequest(review=Path("/nowhere")),
        GuiRequest(attach=Path("/tmp"), review=Path("/tmp")),
    ],
)  # fmt: skip
def test_nonsense_is_refused_before_qt_is_looked_for(request_: GuiRequest) -> None:
    with pytest.raises(UsageProblem):
        open_window(request_)


def test_without_a_display_the_command_says_so_and_imports_no_qt(monkeypatch: pytest.MonkeyPatch) -> None:
    from rtloop.app import qt

    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(
        qt.check, "__defaults__", (None, lambda _: True, lambda _: object(), "linux", lambda: True)
    )
    with pytest.raises(NotReady, match="no display"):
        open_window(GuiRequest(simulate=True))


def test_options_fill_the_form() -> None:
    form = form_of(GuiRequest(simulate=True, plan="quick", mode="bench", data_dir=Path("/d"), seed=9))
    assert (form.simulate, form.plan, form.mode, form.data_dir, form.seed) == (
        True,
        "quick",
        "BENCH",
        "/d",
        9,
    )
