"""Shared by the tests of the window: a window on a fake desk with screens of its own making."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gui_tools import FakeChoice, FakeDesk, FakeSource
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QLineEdit, QVBoxLayout, QWidget

from gui import singletons
from gui.app import application
from gui.place import Parts
from gui.shown import Line
from gui.window import Window

singletons.keep()  # before any test draws: see gui.singletons


class PlainScreen(QWidget):
    """A screen with a text field and a combobox, and what the window expects of every screen."""

    told = Signal(object)
    said = Signal(str, tuple)

    def __init__(self) -> None:
        super().__init__()
        self.field, self.box = QLineEdit(), QComboBox()
        self.box.addItems(["one", "two", "three"])
        layout = QVBoxLayout(self)
        layout.addWidget(self.field)
        layout.addWidget(self.box)
        self.drawn: list[Any] = []
        self.themes: list[str] = []
        self.ticks = self.down = 0

    def set_theme(self, theme: Any) -> None:
        self.themes.append(theme.name)

    def tick(self) -> None:
        self.ticks += 1

    def banner(self) -> Line:
        return Line(text="SIMULATED")

    def restart(self) -> None:
        self.drawn.clear()

    def show_it(self, shown: Any, source: Any, numbers: Any) -> None:
        self.drawn.append(shown)

    def show_choice(self, theme: str, scale: float) -> None:
        self.themes.append(f"{theme} {scale}")

    def close_down(self) -> None:
        self.down += 1


@pytest.fixture
def desk(tmp_path: Path) -> FakeDesk:
    return FakeDesk(config_dir=tmp_path / "config")


@pytest.fixture
def make_window(qtbot: Any, desk: FakeDesk) -> Iterator[Callable[..., Window]]:
    """``make_window(source, ...)``: a shown window whose every joined session is ``source``."""
    application()
    windows: list[Window] = []

    def make(source: FakeSource | None = None, **options: Any) -> Window:
        parts = Parts(
            join=lambda folder, attach, pages: source or FakeSource(),
            shown=lambda view, live, choice: view,
            choice=lambda role: FakeChoice(role=role),
            screen=lambda name, window: PlainScreen(),
        )
        window = Window(desk, parts, **options)
        qtbot.addWidget(window, before_close_func=lambda w: w.leave())
        windows.append(window)
        window.show()
        window.activateWindow()
        with qtbot.waitActive(window, timeout=3000):
            pass
        return window

    yield make
    for window in windows:
        window.leave()
