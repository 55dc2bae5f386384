"""The command line: bad input ends in words (what, expected, found, what to do) and in the exit code of its kind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from eeg_tools import NAMES, binding, describe, running
from plan_tools import GOOD
from session_tools import tiny, write_plan

from drivers.magstim.line import OwnedLine
from hardware_sim.line import PtyLine
from hardware_sim.magstim import Unit200
from rtloop.app.cli import main
from rtloop.clock import WALL
from rtloop.record.folder import SessionFolder


class Told:
    """What came of one command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def data(self) -> Any:
        """stdout as one JSON document."""
        return json.loads(self.out)


@pytest.fixture
def rtloop(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run a command in this process, in a folder without a site file."""
    for name in [k for k in os.environ if k.startswith("RTLOOP_") and k != "RTLOOP_LSL_SESSION"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Told:
        capsys.readouterr()
        code = 0
        try:
            main([str(a) for a in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Told(code, out, err)

    return run


def words(told: Told, code: int, *parts: str) -> None:
    """The code, and each part among the words on stderr."""
    assert told.code == code, told.err
    for part in parts:
        assert part in told.err, f"{part!r} is not in:\n{told.err}"


# -- before any device is touched -----------------------------------------------------------------------------


def test_an_unknown_plan(rtloop: Any) -> None:
    told = rtloop("map", "--simulate", "--plan", "nosuch")
    assert told.code in (2, 3)
    words(told, told.code, "nosuch", "expected", "quick")


def test_a_plan_with_an_unknown_key(rtloop: Any, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, tiny().replace("lead_s", "leed_s"))
    words(rtloop("map", "--simulate", "--plan", plan), 3, "leed_s", "not known", "what to do")


def test_a_plan_with_two_targets_of_one_name_and_too_short_an_interval(rtloop: Any, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, tiny("M1", "M1").replace("isi_s = [2.05, 2.15]", "isi_s = [1.5, 2.15]"))
    told = rtloop("check", plan)
    assert told.code == 3
    assert "M1" in told.out + told.err
    ok = write_plan(tmp_path, tiny().replace("isi_s = [2.05, 2.15]", "isi_s = [1.5, 2.15]"))
    told = rtloop("map", "--simulate", "--plan", ok, "--data-dir", tmp_path / "d")
    words(told, 3, "expected", "found", "1.5", "what to do")
    assert not (tmp_path / "d").exists()  # refused before anything was made


def test_a_power_over_the_cap(rtloop: Any, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, tiny().replace("intensity_pct_mso = 45", "intensity_pct_mso = 55"))
    words(rtloop("map", "--simulate", "--plan", plan), 3, "55", "49", "what to do")


def test_a_plan_in_percent_of_a_threshold_that_is_not_there(rtloop: Any, tmp_path: Path) -> None:
    start, rest = GOOD.split("[threshold]")
    plan = write_plan(tmp_path, start + rest[rest.index("[timing]") :])
    told = rtloop("map", "--port", "X", "--stream", "s", "--plan", plan)
    words(told, 3, "threshold", "expected", "what to do")


def test_yes_only_with_simulate(rtloop: Any) -> None:
    words(
        rtloop("map", "--yes", "--port", "X"), 2, "--yes works only with --simulate", "two steps by a person"
    )


def test_a_session_on_real_devices_needs_a_port(rtloop: Any, tmp_path: Path) -> None:
    words(
        rtloop("map", "--stream", "s", "--plan", write_plan(tmp_path, tiny())),
        2,
        "no unit is named",
        "--port",
    )


def test_human_refuses(rtloop: Any, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, tiny())
    told = rtloop("map", "--mode", "human", "--port", "X", "--stream", "s", "--plan", plan)
    words(told, 5, "HUMAN refuses to arm", "commissioning", "bench")


@pytest.mark.parametrize(("mode", "simulate"), [("bench", True), ("simulated", False), ("clinical", True)])
def test_a_mode_that_does_not_fit(rtloop: Any, tmp_path: Path, mode: str, simulate: bool) -> None:
    plan = write_plan(tmp_path, tiny())
    more = ["--simulate"] if simulate else ["--port", "X"]
    words(rtloop("map", "--mode", mode, "--plan", plan, *more), 2, "expected")


def test_a_plan_of_another_kind(rtloop: Any) -> None:
    words(rtloop("map", "--simulate", "--plan", "probe-m1-quick"), 2, 'kind "probe"', "rtloop probe")


def test_a_target_that_the_plan_lacks(rtloop: Any) -> None:
    words(rtloop("probe", "V1", "--simulate"), 2, "no target V1", "M1")


def test_a_data_directory_that_cannot_be_one(rtloop: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = rtloop(
        "map", "--simulate", "--plan", write_plan(tmp_path, tiny()), "--data-dir", tmp_path / "file"
    )
    words(told, 7, "cannot make the session folder", "writable data directory", "what to do")


def test_a_spoilt_site_file(rtloop: Any, tmp_path: Path) -> None:
    (tmp_path / "rtloop.toml").write_text("[stream]\nnaem = 'x'\n")
    words(rtloop("config", "show"), 3, "naem", "what to do")


# -- streams and ports -----------------------------------------------------------------------------------------


@pytest.fixture
def bench_call(rtloop: Any, tmp_path: Path) -> Any:
    """``rtloop map`` on real devices with one stream name."""
    plan = write_plan(tmp_path, tiny())

    def run(*more: Any, port: str = "/dev/no-such-port") -> Told:
        told: Told = rtloop(
            "map", "--plan", plan, "--port", port, "--data-dir", tmp_path / "data", "--mode", "bench", *more
        )
        return told

    return run


def test_no_stream(bench_call: Any) -> None:
    words(bench_call("--stream", "nobody-here"), 4, "the stream was not found", "'nobody-here'", "what to do")


def test_two_streams_of_one_name(bench_call: Any) -> None:
    pylsl = binding()
    two = [pylsl.StreamOutlet(describe(name="twins", source_id=f"id-{k}", pylsl=pylsl)) for k in (1, 2)]
    words(bench_call("--stream", "twins"), 4, "2 streams match", "id-1", "id-2", "source_id")
    del two


def test_the_wrong_rate(bench_call: Any, tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text("[stream]\nrate_hz = 5000.0\n")
    pylsl = binding()
    one = pylsl.StreamOutlet(describe(name="slow", pylsl=pylsl))
    words(bench_call("--stream", "slow", "--site", site), 4, "5000", "1000", "what to do")
    del one


def test_electrode_names_that_nobody_knows(bench_call: Any) -> None:
    pylsl = binding()
    names = ("Cz", "LeftEar", "C3", "Nose7", "C4", "F3", "F4", "Fz")
    one = pylsl.StreamOutlet(describe(name="strange", names=names, pylsl=pylsl))
    words(bench_call("--stream", "strange"), 3, "LeftEar", "Nose7", "what to do")
    del one


@pytest.mark.skipif(os.name != "posix", reason="a pseudo-terminal")
def test_a_port_that_is_missing_or_taken(bench_call: Any, tmp_path: Path) -> None:
    with running():
        told = bench_call("--stream", "amp")
        words(told, 4, "/dev/no-such-port", "what to do")
        line = PtyLine(Unit200(), WALL)
        try:
            owner = OwnedLine(line.port)
            told = bench_call("--stream", "amp", port=line.port)
            words(told, 4, line.port, "what to do")
            owner.close()
            assert not line.unit.state().armed
        finally:
            line.close()
    assert len(NAMES) >= 8
    for folder in SessionFolder.all_in(tmp_path / "data"):  # what was begun says that it ended
        assert folder.journal.is_file()


# -- the commands that only look ---------------------------------------------------------------------------------


def test_verify_replay_and_report_of_what_is_no_session(rtloop: Any, tmp_path: Path) -> None:
    for command in ("verify", "replay", "report"):
        words(rtloop(command, tmp_path), 3, "is no session folder", "journal.jsonl", "what to do")


def test_stop_when_nothing_runs(rtloop: Any, tmp_path: Path) -> None:
    words(rtloop("stop", "--data-dir", tmp_path), 4, "no session is running", "own stop")


def test_check_tells_every_breach(rtloop: Any, tmp_path: Path) -> None:
    good = rtloop("check", "quick")
    assert good.code == 0
    assert "pulses" in good.out
    text = tiny("M1", "ACC").replace("isi_s = [2.05, 2.15]", "isi_s = [1.2, 2.15]")
    plan = write_plan(tmp_path, text.replace("intensity_pct_mso = 45", "intensity_pct_mso = 55", 1))
    told = rtloop("check", plan, "--json")  # the file contradicts itself
    assert told.code == 3
    for part in ("1.2", "55", "49", "3 problems"):
        assert part in told.data["error"]
    site = tmp_path / "site.toml"  # the file is sound, and this site allows less
    site.write_text("[caps]\nmax_power_pct_mso = 40\nmax_pulses_session = 6\n")
    told = rtloop("check", write_plan(tmp_path, tiny("M1", "ACC")), "--site", site, "--json")
    assert told.code == 3
    breaches = json.dumps(told.data["breaches"])
    assert len(told.data["breaches"]) >= 2
    for part in ("45", "40", "6"):
        assert part in breaches
    plain = rtloop("check", write_plan(tmp_path, tiny("M1", "ACC")), "--site", site)
    assert plain.code == 3
    assert "40" in plain.out


def test_check_as_json_is_one_document(rtloop: Any) -> None:
    told = rtloop("check", "quick", "--json")
    assert told.code == 0
    assert told.data["plan"] == "quick"
    assert told.data["breaches"] == []
    assert told.data["pulses"]


def test_a_refusal_as_json_keeps_its_words_and_code(rtloop: Any) -> None:
    told = rtloop("map", "--yes", "--port", "X", "--json")
    assert told.code == 2
    assert told.data["exit_code"] == 2
    assert "--simulate" in told.data["error"]
    assert told.data["todo"]


def test_config_show_names_each_source(rtloop: Any, tmp_path: Path) -> None:
    (tmp_path / "rtloop.toml").write_text('[stream]\nname = "ward-3"\n')
    told = rtloop("config", "show")
    assert told.code == 0
    assert "ward-3" in told.out
    assert "rtloop.toml" in told.out
    assert "default" in told.out


def test_streams_lists_what_is_usable_and_what_is_not(rtloop: Any) -> None:
    pylsl = binding()
    both = [
        pylsl.StreamOutlet(describe(name="fine", source_id="a", pylsl=pylsl)),
        pylsl.StreamOutlet(describe(name="odd", source_id="b", names=("X1", "X2", "X3"), pylsl=pylsl)),
    ]
    told = rtloop("streams", "--json", "--wait-s", "1")
    assert told.code == 0
    found = {s["name"]: s["words"] for s in told.data["streams"]}
    assert "EEG channels with positions" in found["fine"]
    assert "NOT usable" in found["odd"]
    del both


def test_version_and_help(rtloop: Any) -> None:
    assert rtloop("--version").out.startswith("rtloop ")
    told = rtloop("--help")
    assert told.code == 0
    for command in (
        "map",
        "probe",
        "watch",
        "check",
        "sim",
        "streams",
        "doctor",
        "verify",
        "replay",
        "report",
        "stop",
    ):
        assert command in told.out


def test_help_imports_nothing_scientific() -> None:
    code = (
        "import sys\nfrom rtloop.app.cli import main\ntry:\n main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'numba', 'matplotlib', 'pylsl', 'mne', 'serial', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60.0, check=False
    )
    assert told.returncode == 0, told.stderr


def test_sim_serves_for_a_while_and_ends(tmp_path: Path) -> None:
    """The while is far shorter than the start takes: it counts from the moment at which the bedside serves."""
    told = subprocess.run(
        [sys.executable, "-m", "rtloop.app.cli", "sim", "--seconds", "0.05", "--channels", "8", "--rate-hz", "1000"],
        capture_output=True, text=True, timeout=60.0, check=False, cwd=tmp_path, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert told.stdout == ""  # words for people go to stderr
    assert "SIMULATED bedside" in told.stderr
    assert "socket://" in told.stderr
    assert "bedside closed" in told.stderr
    assert "Traceback" not in told.stderr
