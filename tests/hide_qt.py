"""A pytest plugin (``-p hide_qt``) that makes this process a machine without Qt: of libraries, or (HIDE_QT=packages) at all."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from typing import Any

import pytest

HIDDEN = ("libGL.so.1", "libEGL.so.1")
_load = ctypes.CDLL


class _Loader(_load):  # type: ignore[misc, valid-type]
    def __init__(self, name: Any, *args: Any, **more: Any) -> None:
        if name in HIDDEN:
            raise OSError(f"{name}: cannot open shared object file: No such file or directory")
        super().__init__(name, *args, **more)


class _Blocked:
    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> None:
        if name.split(".")[0] in ("PySide6", "shiboken6", "pyqtgraph"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


if os.environ.get("HIDE_QT") == "packages":
    sys.meta_path.insert(0, _Blocked())  # type: ignore[arg-type]
else:
    ctypes.CDLL = _Loader  # type: ignore[misc]


def pytest_sessionfinish(session: pytest.Session) -> None:
    imported = [n for n in sys.modules if n.split(".")[0] in ("PySide6", "pyqtgraph", "pytestqt")]
    if imported:
        session.exitstatus = 99
        print("Qt was imported:", imported[:3])
