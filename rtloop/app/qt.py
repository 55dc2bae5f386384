"""Owns the check whether a window can open on this machine, made without Qt; opens none.

A system library that lacks is told by Qt with a misleading message, and one of those for X11 aborts the whole process: so they
are looked for first, by the loader of the system (names of Debian and Ubuntu packages; measured, design notes ECOSYSTEM).
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping

from rtloop.errors import NotReady

#: what Qt's own libraries are linked against, whatever the platform plugin: file -> Debian package
OFFSCREEN = {
    "libglib-2.0.so.0": "libglib2.0-0",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libdbus-1.so.3": "libdbus-1-3",
}
#: what the plugin of an X display needs besides
X11 = {
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
}
MODULES = {"PySide6": "PySide6-Essentials", "pyqtgraph": "pyqtgraph"}
PIP_LINE = "pip install 'rtloop[gui]'"
NO_DISPLAY = "neither DISPLAY nor WAYLAND_DISPLAY is set"


def can_load(library: str) -> bool:
    """Whether the system's loader finds and loads a shared library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def x_answers() -> bool:
    """Whether the X server that DISPLAY names takes a connection; without one Qt aborts the process."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return False
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connection_has_error.argtypes = xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(None, None)
    try:
        return not xcb.xcb_connection_has_error(connection)
    finally:
        xcb.xcb_disconnect(connection)


def platform_of(environ: Mapping[str, str], system: str = sys.platform) -> str:
    """Which of Qt's platforms will be used: "native" (Windows, macOS), "xcb", "wayland", "offscreen" ...; "": none can be."""
    asked = environ.get("QT_QPA_PLATFORM", "").split(";")[0].split(":")[0]
    if asked:
        return asked
    if not system.startswith("linux"):
        return "native"
    if environ.get("WAYLAND_DISPLAY"):
        return "wayland"
    return "xcb" if environ.get("DISPLAY") else ""


def missing(
    platform: str = "offscreen",
    loads: Callable[[str], bool] = can_load,
    system: str = sys.platform,
) -> list[str]:
    """Packages of the system that lack for this platform of Qt's, in the form apt-get takes; [] elsewhere than on Linux.

    Wayland falls back to X: what X needs is looked for there too.
    """
    if not system.startswith("linux"):
        return []
    wanted = OFFSCREEN | (X11 if platform in ("xcb", "wayland") else {})
    return [package for library, package in wanted.items() if not loads(library)]


def not_installed(finds: Callable[[str], object | None] = importlib.util.find_spec) -> list[str]:
    """Python packages of the window that are not installed; nothing is imported."""
    return [package for module, package in MODULES.items() if not _there(module, finds)]


def _there(module: str, finds: Callable[[str], object | None]) -> bool:
    try:
        return finds(module) is not None
    except (ImportError, ValueError):  # half installed
        return False


def apt_line(packages: list[str]) -> str:
    """The one command that installs them."""
    return f"sudo apt-get install -y --no-install-recommends {' '.join(packages)}"


def check(
    environ: Mapping[str, str] | None = None,
    loads: Callable[[str], bool] = can_load,
    finds: Callable[[str], object | None] = importlib.util.find_spec,
    system: str = sys.platform,
    answers: Callable[[], bool] = x_answers,
) -> str:
    """The platform a window would open on; NotReady with the one line that puts right what lacks, before Qt is touched."""
    env = os.environ if environ is None else environ
    lacking = not_installed(finds)
    if lacking:
        raise NotReady(
            "the packages of the window are not installed", expected=", ".join(MODULES.values()),
            found=f"without {', '.join(lacking)}", todo=f"{PIP_LINE}; the terminal does everything without a window",
        )  # fmt: skip
    platform = platform_of(env, system)
    without = missing(platform or "xcb", loads, system)
    if without:
        raise NotReady(
            "the window needs libraries of the system that are not there", expected="Qt's system libraries",
            found=f"without {', '.join(without)}", todo=apt_line(without),
        )  # fmt: skip
    if not platform:
        raise NotReady(
            "there is no display to open a window on", expected="a desktop session, or ssh -X",
            found=NO_DISPLAY, todo="start it from the desktop; QT_QPA_PLATFORM=offscreen opens an invisible one",
        )  # fmt: skip
    if platform == "xcb" and not answers():
        raise NotReady(
            "the display does not answer", expected="an X server that takes a connection",
            found=f"DISPLAY={env.get('DISPLAY', '')}", todo="start it from the desktop, or correct DISPLAY",
        )  # fmt: skip
    return platform


def words(
    environ: Mapping[str, str] | None = None, loads: Callable[[str], bool] = can_load
) -> tuple[bool, str]:
    """Whether ``rtloop gui`` can open a window here, and the words for the doctor."""
    try:
        return True, f"rtloop gui can open a window ({check(environ, loads)})"
    except NotReady as err:
        return False, f"{err.what} ({err.found}): {err.todo}"
