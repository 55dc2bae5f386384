"""Owns the application around the window: Qt's start, fonts, signals, the real parts and the order of leaving."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QApplication

from gui.desk import Desk, Form
from gui.looks import FAMILY, font
from gui.place import OF_TREATMENT, Parts
from gui.window import Window


def run(
    desk: Desk,
    *,
    theme: str = "",
    role: str = "operator",
    form: Form | None = None,
    attach: Path | None = None,
    review: Path | None = None,
    auto_quit_s: float | None = None,
) -> int:
    """Show the window until it is closed; returns the exit code.

    ``theme`` "light", "dark" or empty (as remembered); ``role`` "operator" or "unblinded"; ``form`` fills the start screen;
    ``attach``: the folder of a running session to join; ``review``: an ended session or a recording to open at once;
    ``auto_quit_s``: leave after so many seconds (for scripts).
    """
    app = application()
    window = Window(desk, real_parts(desk, form or Form()), theme=theme, role=role)
    before = sys.excepthook, {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    sys.excepthook = window.told_exception

    def interrupted(number: int, _frame: object) -> None:
        if window.runs:
            print(
                "window closed; the session goes on without it, disarmed until a window is back",
                file=sys.stderr,
            )
        QTimer.singleShot(0, window.leave)

    try:
        for number in before[1]:
            signal.signal(number, interrupted)
        window.begin(attach)
        if review is not None:
            window.go("review")
            window.screen("review").open_path(review)
        if window.memory.maximized:
            window.showMaximized()
        else:
            window.show()
        if auto_quit_s is not None:
            QTimer.singleShot(round(auto_quit_s * 1000), window.leave)
        return int(app.exec())
    finally:
        window.leave()
        sys.excepthook = before[0]
        for number, handler in before[1].items():
            signal.signal(number, handler)
        window.deleteLater()
        app.processEvents()


def application() -> QApplication:
    """The one QApplication, made with whole scale factors passed through and a font that is always there."""
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
        app = QApplication(["rtloop"])
        app.setApplicationName("rtloop")
        app.setStyle("Fusion")  # the same on every system; the style sheet colours it
    load_fonts()
    app.setFont(font())
    return app


def load_fonts() -> None:
    """DejaVu Sans from matplotlib's own files, where the system has none: a machine without fonts shows no text."""
    if FAMILY in QFontDatabase.families():
        return
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf"):
        QFontDatabase.addApplicationFont(str(folder / name))


def real_parts(desk: Desk, form: Form) -> Parts:
    """The parts of the product; imported here so that the frame is there first."""
    from gui.live import LiveSession
    from gui.state import Choice, session_shown
    from rtloop.link.pages import PagesReader
    from rtloop.record.folder import SessionFolder

    def join(folder: Path, attach: bool, pages: Path | None) -> Any:
        session = LiveSession(SessionFolder(path=folder), attach)
        if pages is not None and pages != session.folder.pages:
            session.pages = PagesReader(pages)
        return session

    def screen(name: str, window: Window) -> Any:
        return make_screen(name, window, desk, form)

    return Parts(join=join, shown=session_shown, choice=lambda role: Choice(role=role), screen=screen)


def make_screen(name: str, window: Window, desk: Desk, form: Form) -> Any:
    """A screen by its name, connected to the window."""
    from gui.theme import THEMES

    theme = THEMES[window.memory.theme]
    if name == "start":
        from gui.screens.start import StartScreen

        start = StartScreen(desk, theme, form)
        start.started.connect(window.await_start)
        start.rejoin.connect(window.join)
        return start
    if name == "review":
        from gui.screens.review import ReviewScreen

        review = ReviewScreen(desk, theme)
        review.opened.connect(window.review)
        return review
    if name == "settings":
        from gui.screens.settings import SettingsScreen

        settings = SettingsScreen(desk, theme)
        settings.theme_chosen.connect(window.choose_theme)
        settings.scale_chosen.connect(window.choose_scale)
        return settings
    if name in OF_TREATMENT.values():
        from gui.screens.treatment import TreatmentScreen

        session: Any = TreatmentScreen(theme, window, review=name == OF_TREATMENT["reviewed"])
    else:
        from gui.screens.session import SessionScreen

        session = SessionScreen(theme, window, review=name == "reviewed")
    session.said.connect(window.say)
    session.chosen.connect(lambda what: window.choose(**what))
    session.wanted.connect(window.want)
    return session
