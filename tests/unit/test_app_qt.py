"""Whether a window can open is told before Qt is touched, with the one line that puts it right."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtloop.app import qt
from rtloop.errors import NotReady

ROOT = Path(__file__).resolve().parents[2]
DESKTOP = {"DISPLAY": ":0"}


def _check(environ: dict[str, str], without: tuple[str, ...] = (), system: str = "linux") -> str:
    return qt.check(environ, lambda lib: lib not in without, lambda _: object(), system, lambda: True)


@pytest.mark.parametrize(
    ("environ", "system", "platform"),
    [
        ({"DISPLAY": ":0"}, "linux", "xcb"),
        ({"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"}, "linux", "wayland"),
        ({"QT_QPA_PLATFORM": "offscreen:fontdb"}, "linux", "offscreen"),
        ({"QT_QPA_PLATFORM": "wayland;xcb"}, "linux", "wayland"),
        ({}, "linux", ""),
        ({}, "win32", "native"),
        ({}, "darwin", "native"),
    ],
)
def test_platform_is_the_one_that_qt_will_take(environ: dict[str, str], system: str, platform: str) -> None:
    assert qt.platform_of(environ, system) == platform


@pytest.mark.parametrize("library", list(qt.X11))
def test_each_library_of_x_is_looked_for_where_x_will_be_used(library: str) -> None:
    """One that lacks aborts the process: nobody may come as far as Qt."""
    with pytest.raises(NotReady) as told:
        _check(DESKTOP, (library,))
    assert told.value.exit_code == 4
    assert told.value.todo.endswith(f"recommends {qt.X11[library]}")
    assert _check({"QT_QPA_PLATFORM": "offscreen"}, (library,)) == "offscreen"


@pytest.mark.parametrize("library", list(qt.OFFSCREEN))
def test_each_library_of_qt_itself_is_looked_for_everywhere(library: str) -> None:
    for environ in (DESKTOP, {"QT_QPA_PLATFORM": "offscreen"}):
        with pytest.raises(NotReady, match=qt.OFFSCREEN[library]):
            _check(environ, (library,))


def test_all_that_lacks_is_in_one_line() -> None:
    with pytest.raises(NotReady) as told:
        _check(DESKTOP, (*qt.OFFSCREEN, *qt.X11))
    assert told.value.todo.startswith("sudo apt-get install -y")
    assert {*qt.OFFSCREEN.values(), *qt.X11.values()} <= set(told.value.todo.split())
    assert "\n" not in told.value.todo


def test_no_display_is_said_and_not_tried() -> None:
    with pytest.raises(NotReady, match="neither DISPLAY nor WAYLAND_DISPLAY"):
        _check({})
    assert _check({}, system="darwin") == "native"


def test_a_display_that_does_not_answer_is_told_and_not_tried() -> None:
    with pytest.raises(NotReady, match=r"does not answer.*DISPLAY=:77"):
        qt.check({"DISPLAY": ":77"}, lambda _: True, lambda _: object(), "linux", lambda: False)


@pytest.mark.skipif(not qt.can_load("libxcb.so.1"), reason="libxcb.so.1 is not here")
def test_nobody_answers_on_a_display_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    assert not qt.x_answers()


def test_packages_that_are_not_installed_come_with_the_line_of_pip() -> None:
    with pytest.raises(NotReady) as told:
        qt.check(DESKTOP, lambda _: True, lambda module: None if module == "PySide6" else object(), "linux")
    assert "PySide6-Essentials" in told.value.found
    assert "pyqtgraph" not in told.value.found
    assert "pip install 'rtloop[gui]'" in told.value.todo

    def broken(module: str) -> object:
        raise ModuleNotFoundError(module)

    assert qt.not_installed(broken) == ["PySide6-Essentials", "pyqtgraph"]


def test_the_loader_of_this_system_says_no_to_what_is_not_there() -> None:
    assert not qt.can_load("libsurely-not-here.so.7")


def _pytest_without_qt(hide: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "HIDE_QT": hide, "PYTHONPATH": str(ROOT / "tests"), **environ}
    if not environ:
        env.pop("RTLOOP_REQUIRE_QT", None)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "hide_qt", *arguments],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(("hide", "line"), [("libraries", "libgl1 libegl1"), ("packages", "rtloop[gui]")])
def test_without_qt_the_windows_tests_are_skipped_once_and_the_others_run(hide: str, line: str) -> None:
    """The plugin of the run fails it when anything of Qt was imported."""
    out = _pytest_without_qt(
        hide, "tests/gui", "tests/unit/test_app_qt.py::test_no_display_is_said_and_not_tried"
    )
    assert out.returncode == 0, out.stdout
    assert "1 passed, 1 skipped" in out.stdout
    assert line in out.stdout


def test_where_qt_is_required_its_absence_fails_the_run() -> None:
    out = _pytest_without_qt("libraries", "tests/unit/test_app_qt.py", RTLOOP_REQUIRE_QT="1")
    assert out.returncode != 0
    assert "RTLOOP_REQUIRE_QT is set" in out.stderr + out.stdout
    assert "libgl1" in out.stderr + out.stdout


def test_the_doctor_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from rtloop.app import doctor

    monkeypatch.setattr(
        qt.check, "__defaults__", (None, lambda lib: lib != "libGL.so.1", *qt.check.__defaults__[2:])
    )
    monkeypatch.setattr(qt.words, "__defaults__", (None, lambda lib: lib != "libGL.so.1"))
    level, name, words = doctor._qt()
    assert (level, name) == (doctor.NOTE, "window")
    assert words.endswith("libgl1")
