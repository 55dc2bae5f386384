"""The ground the window's tests stand on: Qt loads without a display, and an error in a slot fails the test."""

from __future__ import annotations

import os

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication


def test_window_opens_nowhere(qapp: QApplication) -> None:
    assert qapp.platformName() == os.environ["QT_QPA_PLATFORM"].split(":")[0] == "offscreen"


def test_an_error_in_a_slot_fails_a_test(qtbot) -> None:
    """pytest-qt's capture is on: without it Qt prints the error and goes on."""

    def breaks() -> None:
        raise RuntimeError("in a slot")

    with qtbot.captureExceptions() as errors:
        QTimer.singleShot(0, breaks)
        qtbot.waitUntil(lambda: bool(errors), timeout=20_000)
    assert [str(e[1]) for e in errors] == ["in a slot"]


def test_pyqtgraph_takes_the_same_qt() -> None:
    pyqtgraph = pytest.importorskip("pyqtgraph")
    assert pyqtgraph.Qt.QT_LIB == "PySide6"
