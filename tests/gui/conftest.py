"""Shared by the tests of the window: a window on a fake desk with screens of its own making.

pytest may load this file before it knows that the folder is skipped, so Qt is imported only when a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gui_tools import FakeDesk, FakeSource
    from gui_walk import Walker

    from gui.window import Window


@pytest.fixture
def desk(tmp_path: Path) -> FakeDesk:
    from gui_tools import FakeDesk

    return FakeDesk(config_dir=tmp_path / "config")


@pytest.fixture
def make_window(qtbot: Any, desk: FakeDesk) -> Iterator[Callable[..., Window]]:
    """``make_window(source, ...)``: a shown window whose every joined session is ``source``."""
    from gui_plain import PlainScreen
    from gui_tools import FakeChoice, FakeSource

    from gui.app import application
    from gui.place import Parts
    from gui.window import Window

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
        with qtbot.waitActive(window, timeout=20_000):
            pass
        return window

    yield make
    for window in windows:
        window.leave()


@pytest.fixture
def walk(tmp_path: Path, qtbot: Any) -> Iterator[Callable[..., Walker]]:
    """``walk(form, ...)``: a window with a person in front of it; gone with everything it started at the end."""
    from gui_walk import Walker, left_behind

    made: list[Walker] = []

    def make(form: Any, **options: Any) -> Walker:
        made.append(Walker(tmp_path, form, **options))
        return made[-1]

    yield make
    for walker in made:
        walker.close()
    left = left_behind(tmp_path / "data")
    assert not left, f"left behind: {left}"
