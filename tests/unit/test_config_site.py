"""The site file: which file, which source wins for each key, and every fault in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rtloop.app.config import KEYS, Site, load_site, show, user_config_dir, user_data_dir
from rtloop.errors import ValidationProblem
from rtloop.model.status import Mode
from rtloop.plan.problems import FileProblem

FILE = """
mode = "BENCH"
data_dir = "records"

[stream]
name = "from file"
source_id = "amp-1"
rate_hz = 4800
channels = ["C3", "C4"]
trigger_channel = "TRIG"

[markers]
name = "pulses"

[unit]
model = "200"
port = "COM3"

[commissioning]
valid_days = 180

[loopback]
expected_ms = 11.5
off_ms = 4.0
single_off_ms = 15.0
newest = 7

[caps]
max_power_pct_mso = 80
"""


class Desk:
    """An empty working folder, an empty home, an empty environment."""

    def __init__(self, folder: Path) -> None:
        self.cwd, self.user = folder / "work", folder / "config"
        self.cwd.mkdir()
        self.user.mkdir()
        self.env = {"HOME": str(folder / "home"), "USERPROFILE": str(folder / "home")}

    def load(self, site: str | Path | None = None, **overrides: Any) -> Site:
        given = {k.replace("__", "."): v for k, v in overrides.items()}
        return load_site(site, overrides=given, environ=self.env, cwd=self.cwd, config_dir=self.user)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def _named(path: Path, name: str) -> Path:
    path.write_text(f'[stream]\nname = "{name}"\n', encoding="utf-8")
    return path


def test_without_any_file_everything_is_a_default_and_nothing_is_connected(desk: Desk) -> None:
    site = desk.load()
    assert (site.mode, site.unit.port, site.stream.name, site.caps) == (Mode.SIMULATED, None, None, {})
    assert site.file == ""
    assert site.data_dir == str(user_data_dir(desk.env))
    assert dict(site.origin) == dict.fromkeys(KEYS, "built-in default")


def test_a_whole_file(desk: Desk) -> None:
    (desk.cwd / "rtloop.toml").write_text(FILE, encoding="utf-8")
    site = desk.load()
    assert (site.mode, site.stream.rate_hz, site.stream.channels) == (Mode.BENCH, 4800.0, ("C3", "C4"))
    assert (site.stream.trigger_channel, site.markers.name, site.unit.port) == ("TRIG", "pulses", "COM3")
    assert site.commissioning.valid_days == 180
    assert (site.loopback.expected_ms, site.loopback.off_ms, site.loopback.newest) == (11.5, 4.0, 7)
    assert site.loopback.single_off_ms == 15.0
    assert site.data_dir == str(desk.cwd / "records")  # beside the file, wherever the program is started
    assert site.limits().max_power_pct_mso == 80
    assert site.limits().row("max_power_pct_mso").set_by == "site"
    assert set(site.origin) == {*KEYS, "caps.max_power_pct_mso"}
    assert set(site.origin.values()) == {f"{desk.cwd / 'rtloop.toml'} (working folder)"}


@pytest.mark.req("R-DELAY")
@pytest.mark.parametrize(
    ("key", "text", "part"),
    [
        ("expected_ms", "-0.1", "0"), ("expected_ms", "nan", "finite"), ("expected_ms", "500.1", "500"),
        ("expected_ms", '"soon"', "number"), ("off_ms", "0", "0"), ("off_ms", "20.1", "20"), ("off_ms", "inf", "finite"),
        ("single_off_ms", "100.1", "100"), ("single_off_ms", "nan", "finite"), ("single_off_ms", "4.9", "at least off_ms (5 ms)"),
        ("newest", "0", "1"), ("newest", "21", "20"), ("newest", "5.5", "whole number"), ("expected_s", "0.01", "expected_s"),
    ],
)  # fmt: skip
def test_a_band_of_the_delay_that_is_nonsense_refuses(desk: Desk, key: str, text: str, part: str) -> None:
    (desk.cwd / "rtloop.toml").write_text(f"[loopback]\n{key} = {text}\n", encoding="utf-8")
    with pytest.raises(FileProblem) as told:
        desk.load()
    assert f"loopback.{key}" in str(told.value)
    assert part in str(told.value)


def test_which_file_is_found(desk: Desk, tmp_path: Path) -> None:
    _named(desk.user / "rtloop.toml", "user")
    assert desk.load().stream.name == "user"
    _named(desk.cwd / "rtloop.toml", "folder")
    assert desk.load().stream.name == "folder"
    desk.env["RTLOOP_SITE"] = str(_named(tmp_path / "env.toml", "environment"))
    assert desk.load().stream.name == "environment"
    _named(desk.cwd / "named.toml", "option")
    assert desk.load("named.toml").stream.name == "option"
    assert desk.load(desk.cwd / "named.toml").file == str(desk.cwd / "named.toml")


@pytest.mark.parametrize(
    ("in_file", "in_env", "on_line", "wins", "source"),
    [
        (False, False, False, None, "built-in default"),
        (True, False, False, "file", "(working folder)"),
        (False, True, False, "env", "environment variable RTLOOP_SITE_STREAM_NAME"),
        (True, True, False, "env", "environment variable RTLOOP_SITE_STREAM_NAME"),
        (False, False, True, "line", "command line"),
        (True, False, True, "line", "command line"),
        (False, True, True, "line", "command line"),
        (True, True, True, "line", "command line"),
    ],
)
def test_which_source_wins(
    desk: Desk, in_file: bool, in_env: bool, on_line: bool, wins: str | None, source: str
) -> None:
    if in_file:
        _named(desk.cwd / "rtloop.toml", "file")
    if in_env:
        desk.env["RTLOOP_SITE_STREAM_NAME"] = "env"
    site = desk.load(stream__name="line" if on_line else None)
    assert site.stream.name == wins
    assert site.origin["stream.name"].endswith(source)
    assert site.origin["unit.port"] == "built-in default"


@pytest.mark.parametrize("key", KEYS)
def test_every_key_can_come_from_every_source(desk: Desk, key: str) -> None:
    texts = {
        "mode": ("LISTEN", "HUMAN"), "stream.rate_hz": ("5000", "2500"), "stream.channels": ("C3, Cz", "C4"),
        "unit.model": ("200", "bistim"), "commissioning.valid_days": ("180", "90"),
        "loopback.expected_ms": ("9", "12.5"), "loopback.off_ms": ("3", "4.5"), "loopback.newest": ("4", "9"),
        "loopback.single_off_ms": ("30", "8"),
    }  # fmt: skip
    env, line = texts.get(key, ("one", "two"))
    desk.env["RTLOOP_SITE_" + key.replace(".", "_").upper()] = env

    def value(site: Site) -> str:
        found: Any = site
        for part in key.split("."):
            found = getattr(found, part)
        return (
            ", ".join(found)
            if isinstance(found, tuple)
            else f"{found:g}"
            if isinstance(found, float)
            else str(found)
        )

    assert value(desk.load()) == env
    site = load_site(overrides={key: line}, environ=desk.env, cwd=desk.cwd, config_dir=desk.user)
    assert value(site) == line
    assert site.origin[key] == "command line"


def test_show(desk: Desk) -> None:
    (desk.cwd / "rtloop.toml").write_text(FILE, encoding="utf-8")
    desk.env["RTLOOP_SITE_MARKERS_NAME"] = "env"
    lines = show(desk.load(unit__port="COM9")).splitlines()
    assert lines[0] == f"site file: {desk.cwd / 'rtloop.toml'}"
    assert len(lines) == 1 + len(KEYS) + 1
    said = {line.split(" = ")[0].strip(): line.split(" = ")[1] for line in lines[1:]}
    assert said["unit.port"] == "COM9  # command line"
    assert said["markers.name"] == "env  # environment variable RTLOOP_SITE_MARKERS_NAME"
    assert said["stream.channels"].startswith("C3, C4  # ")
    assert said["mode"].startswith("BENCH  # ")
    assert said["caps.max_power_pct_mso"].endswith("(working folder)")
    assert "stream.name" in show(Site())


def test_all_faults_at_once_with_their_source(desk: Desk) -> None:
    (desk.cwd / "rtloop.toml").write_text(
        'mode = "REAL"\nparticipant = "P01"\n[stream]\nrate_hz = 500\n[unit]\nmodel = "Rapid2"\n'
        "[caps]\nmax_power_pct_mso = 101\n",
        encoding="utf-8",
    )
    desk.env |= {"RTLOOP_SITE_STREM_NAME": "x", "RTLOOP_SITE_STREAM_CHANNELS": "C3,,C4"}
    with pytest.raises(FileProblem) as caught:
        desk.load(unit__prt="COM1")
    told = {p.where: p for p in caught.value.problems}
    assert set(told) == {
        "mode", "participant", "stream.rate_hz", "unit.model", "caps", "RTLOOP_SITE_STREM_NAME",
        "stream.channels[1]", "unit.prt",
    }  # fmt: skip
    assert (told["mode"].expected, told["mode"].found) == ("one of SIMULATED, BENCH, HUMAN, LISTEN", "'REAL'")
    assert told["participant"].what == "the key is not known"
    assert (told["stream.rate_hz"].what, told["stream.rate_hz"].expected) == (
        "the number is too small",
        "at least 1000",
    )
    assert told["caps"].what == "the site file loosens a limit"
    assert told["stream.channels[1]"].found == "'' (environment variable RTLOOP_SITE_STREAM_CHANNELS)"
    assert told["unit.prt"].what == "the setting is not known"
    assert all(p.todo for p in told.values())


_BAD = (
    "caps = 3", "[caps]\nx = 1", "[caps]\nmax_power_pct_mso = nan", "[caps]\nmax_power_pct_mso = true",
    "[caps]\nmax_power_pct_mso = 1" + 400 * "0", "stream = 'x'", "[stream]\nchannels = 'C3'", "[[unit]]",
    "data_dir = ''", "mode = 1", "x",
)  # fmt: skip


@pytest.mark.parametrize("text", _BAD)
def test_bad_files_are_refused_in_words(desk: Desk, text: str) -> None:
    (desk.cwd / "rtloop.toml").write_text(text, encoding="utf-8")
    desk.env["RTLOOP_SITE_STREAM_NAME"] = "x"
    words = "stream: not a table" if text == "stream = 'x'" else "what to do"
    with pytest.raises(FileProblem, match=words):
        desk.load()


def test_a_file_that_was_named_must_be_there(desk: Desk) -> None:
    with pytest.raises(ValidationProblem, match=r"named by --site is not there; .*absent\.toml"):
        desk.load("absent.toml")
    desk.env["RTLOOP_SITE"] = "gone.toml"
    with pytest.raises(ValidationProblem, match=r"named by RTLOOP_SITE is not there; .*gone\.toml"):
        desk.load()


def test_platform_folders() -> None:
    home = {"HOME": "/h", "USERPROFILE": "/h"}
    assert user_config_dir(home, "linux") == Path("/h/.config/rtloop")
    assert user_config_dir(home | {"XDG_CONFIG_HOME": "/x"}, "linux") == Path("/x/rtloop")
    assert user_config_dir(home | {"APPDATA": "/a"}, "win32") == Path("/a/rtloop")
    assert user_config_dir(home, "darwin") == Path("/h/Library/Application Support/rtloop")
    assert user_data_dir(home, "linux") == Path("/h/.local/share/rtloop")
    assert user_data_dir(home | {"XDG_DATA_HOME": "/x"}, "linux") == Path("/x/rtloop")
    assert user_data_dir(home | {"LOCALAPPDATA": "/l"}, "win32") == Path("/l/rtloop/data")
