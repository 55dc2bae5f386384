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
        with qtbot.waitActive(window, timeout=3000):
            pass
        return window

    yield make
    for window in windows:
        window.leave()
