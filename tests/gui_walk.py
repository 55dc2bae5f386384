"""Owns a person at the real window: real parts, a real engine on the simulated bedside, buttons and keys; owns no assertion.

Nothing here speaks to an engine directly: every word goes through a button that is there, enabled and can be seen, or through
its key. Every wait has a deadline, and where one passes, what stood on the screen is told. It needs no pytest: a script that
takes pictures, a benchmark and a soak use it too. As a program of its own (``python gui_walk.py FOLDER PLAN ...``) it is
``rtloop gui`` with such a person in front of it, for those who end a window the hard way.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QLineEdit, QScrollArea, QWidget

from gui import app as gui_app
from gui.desk import Form
from gui.panels.parts import WordButton
from gui.shown import Session
from gui.window import Window
from rtloop.app.runtime import sweep
from rtloop.app.window import AppDesk
from rtloop.board import ENDED, Board
from rtloop.errors import RtloopError
from rtloop.model.event import Event
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal

SHIFTS = {
    "Ctrl": Qt.KeyboardModifier.ControlModifier, "Alt": Qt.KeyboardModifier.AltModifier,
    "Shift": Qt.KeyboardModifier.ShiftModifier,
}  # fmt: skip
HEAD = """
[plan]
name = "{name}"
kind = "{kind}"
schema = 1

[unit]
model = "200"
coil = "70 mm figure-of-eight"
waveform = "monophasic"

[timing]
isi_s = [2.02, 2.06]
lead_s = 0.2

[caps]
power_pct_mso_max = 49
pulses_total_max = 60

[signal]
window_ms = [15.0, 300.0]
gap_ms = [-2.0, 10.0]

[arm]
question = "{question}"
blinded = {blinded}

[order]
kind = "as_listed"
"""
TARGET = """
[[targets]]
name = "{target}"
coil_at = "{coil_at}"
intensity_pct_mso = 45
pulses_wanted = {wanted}
pulses_max = {most}
preview = {{ pulses = {preview}, steps_pct_mso = {steps} }}
accept = {{ early_response_uv_min = 6.0, rejected_share_max = 0.6 }}
"""
COIL_AT = {"M1": "C3", "DLPFC": "F3", "ACC": "FCz", "PSI": "C5"}


class NotSeen(AssertionError):
    """Something did not come about in time; with what stood on the screen."""


def small_plan(
    folder: Path, *targets: str, wanted: int = 3, preview: int = 1, steps: tuple[int, ...] = (40, 45), kind: str = "map",
    name: str = "small", question: str = "none", blinded: bool = False,
) -> Path:  # fmt: skip
    """A plan of a few pulses with fixed limits (no look at the ongoing EEG before), as a file."""
    text = HEAD.format(name=name, kind=kind, question=question, blinded=str(blinded).lower())
    for target in targets or ("M1",):
        text += TARGET.format(
            target=target, coil_at=COIL_AT[target], wanted=wanted, most=wanted + 3, preview=preview, steps=list(steps)
        )  # fmt: skip
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def small_form(folder: Path, plan: Path | str, **changes: Any) -> Form:
    """The start screen filled in for a small simulated bedside: 16 channels at 1 kHz."""
    form = Form(
        kind="map", plan=str(plan), participant="P017", mode="SIMULATED", data_dir=str(folder / "data"), simulate=True,
        rate_hz=1000.0, channels=16, seed=3,
    )  # fmt: skip
    return replace(form, **changes)


class OwnDesk(AppDesk):
    """The application's desk, which sees the sessions of its own data folder only: others may run on this computer."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        (folder / "data").mkdir(exist_ok=True)
        self._own = (folder / "data").resolve()
        self._own_config = folder / "config"
        self.look_in(self._own)

    @property
    def config_dir(self) -> Path:
        return self._own_config

    def _with_board(self) -> list[SessionFolder]:
        return [f for f in super()._with_board() if f.path.parent == self._own]


class Walker:
    """One window and the person in front of it.

    Parameters
    ----------
    folder : holds data/ and config/ of this walk and nothing else's
    form : the start screen's fields
    attach : the folder of a running session to join at once; None: as ``rtloop gui`` begins
    """

    def __init__(
        self, folder: Path, form: Form, *, theme: str = "light", role: str = "operator", attach: Path | None = None,
        size: tuple[int, int] = (1600, 900),
    ) -> None:  # fmt: skip
        gui_app.application()
        self.desk = OwnDesk(folder)
        self.form = form
        self.window = Window(self.desk, gui_app.real_parts(self.desk, form), theme=theme, role=role)
        self.window.resize(*size)
        self.window.begin(attach)
        self.window.show()
        self.window.activateWindow()
        self.by_keyboard = self.closed = False

    # -- what is seen ----------------------------------------------------------------------------------------------

    @property
    def shown(self) -> Session:
        """What is on the session's screen now."""
        live = self.window.live
        if live is None or live.shown is None:
            raise self.trouble("no session is shown")
        return live.shown

    @property
    def numbers(self) -> Any:
        """The newest numbers of the joined session (gui.live.Live)."""
        assert self.window.live is not None
        return self.window.live.numbers

    @property
    def folder(self) -> SessionFolder:
        """The joined session's folder."""
        assert self.window.live is not None
        return SessionFolder(path=self.window.live.folder)

    @property
    def phase(self) -> str:
        return self.shown.question.phase

    @property
    def status(self) -> str:
        """The status line: what and what to do."""
        s = self.window.status.status
        return f"{s.what} – {s.todo}"

    @property
    def all_status(self) -> str:
        """The status line with everything that stands under "more"."""
        return "\n".join((self.status, *self.window.status.status.more))

    def told(self, *words: str) -> bool:
        """Whether all of these stand on the status line or under its "more", in whatever case."""
        said = self.all_status.lower()
        return all(w.lower() in said for w in words)

    def events(self, kind: str = "", folder: SessionFolder | None = None) -> list[Event]:
        """What is in the journal (of one kind)."""
        found = read_journal((folder or self.folder).journal).events
        return [e for e in found if not kind or e.kind == kind]

    def board(self, slot: str) -> int:
        """A slot of the joined session's board."""
        with Board(self.folder.board) as board:
            return board[slot]

    def trouble(self, what: str) -> NotSeen:
        """An error that tells what stood on the screen and what the engine said last."""
        lines = [what, f"screen: {self.window.here}", f"status: {self.all_status}"]
        live = self.window.live
        if live is not None and live.shown is not None:
            q, s = live.shown.question, live.shown
            buttons = [(b.word, *b.args, b.enabled or b.why_not) for b in (*q.buttons, *s.always)]
            lines += [f"question: {q.phase}: {q.words}", f"buttons: {buttons}", f"lamp: {s.unit.lamp} ({s.unit.says})",
                      f"numbers: {live.numbers}", "log:", *(f"   {x.text}" for x in s.log[-25:])]  # fmt: skip
        for run_id in [*self.desk._engines, *self.desk._exits]:
            lines += [f"engine {run_id}: {self.desk.engine_exit(run_id)}", *self.desk.engine_words(run_id)]
        return NotSeen("\n".join(lines))

    # -- waiting ---------------------------------------------------------------------------------------------------

    def until(self, true: Callable[[], Any], what: str, within_s: float = 20.0) -> Any:
        """Let the window live until something is true; NotSeen with what stands on the screen when it does not come."""
        end_s = time.monotonic() + within_s
        while True:
            if found := true():
                return found
            if time.monotonic() > end_s:
                raise self.trouble(f"not within {within_s:g} s: {what}")
            QTest.qWait(10)

    def rest(self, seconds: float) -> None:
        """Let the window live for a while."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            QTest.qWait(10)

    def until_says(self, *words: str, within_s: float = 5.0) -> float:
        """Wait for words on the status line itself; seconds it took."""
        began_s = time.monotonic()
        self.until(
            lambda: all(w.lower() in self.status.lower() for w in words),
            f"on the status line: {words}",
            within_s,
        )
        return time.monotonic() - began_s

    def until_phase(self, *phases: str, within_s: float = 30.0) -> str:
        """Wait until the operator is asked this."""
        self.until(lambda: self.phase in phases, f"phase {phases}", within_s)
        return self.phase

    def until_lamp(self, *lamps: str, within_s: float = 10.0) -> None:
        self.until(lambda: self.shown.unit.lamp in lamps, f"lamp {lamps}", within_s)

    # -- hands -----------------------------------------------------------------------------------------------------

    def click(self, widget: QWidget) -> None:
        """Press a widget that is enabled and can be seen (scrolled to where it must be)."""
        self.until(
            lambda: widget.isEnabled() and widget.isVisible(), f"{_name(widget)} is enabled and shown", 5.0
        )
        self.bring(widget)
        if widget.visibleRegion().isEmpty():
            raise self.trouble(f"{_name(widget)} cannot be seen")
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton)

    def bring(self, widget: QWidget) -> None:
        """Scroll so that a widget can be seen."""
        above = widget.parentWidget()
        while above is not None:
            if isinstance(above, QScrollArea):
                above.ensureWidgetVisible(widget)
            above = above.parentWidget()
        QApplication.processEvents()

    def key(self, sequence: str, widget: QWidget | None = None) -> None:
        """Press a key as it is written on the buttons, e.g. "F6", "Ctrl+Return", "Esc"."""
        combination = QKeySequence(sequence)[0]
        target = widget or QApplication.focusWidget() or self.window
        QTest.keyClick(target, combination.key(), combination.keyboardModifiers())

    def go(self, name: str) -> None:
        """To another screen, by its button or its key."""
        keys = {"start": "Alt+1", "session": "Alt+2", "review": "Alt+3", "settings": "Alt+4"}
        if self.by_keyboard:
            self.key(keys[name])
        else:
            self.click(self.window.nav.buttons[name])
        self.until(lambda: self.window.here.startswith(name[:6]), f"screen {name}", 5.0)

    def button(self, word: str, *args: str) -> WordButton | None:
        """The button of a word on the session's screen, shown or not; None where there is none."""
        for found in self.window.screen("session").findChildren(WordButton):
            value = found.value
            if value is not None and value.word == word and value.args == args and not found.isHidden():
                return found
        return None

    def enabled(self, word: str, *args: str) -> bool:
        found = self.button(word, *args)
        return found is not None and found.value is not None and found.value.enabled

    def say(self, word: str, *args: str, within_s: float = 10.0) -> None:
        """Press the button of a word (or its key, when this person uses the keyboard only)."""
        self.until(lambda: self.enabled(word, *args), f"button {word} {args} enabled", within_s)
        found = self.button(word, *args)
        assert found is not None
        assert found.value is not None
        if self.by_keyboard and found.value.key:
            self.key(found.value.key)
        else:
            self.click(found.push)

    def type_into(self, field: QWidget, text: str) -> None:
        """Put the keyboard into a field and type."""
        self.bring(field)
        field.setFocus(Qt.FocusReason.OtherFocusReason)
        if isinstance(field, QLineEdit):
            field.selectAll()
        QTest.keyClicks(field, text)

    def pick_button(self, screen: str, text: str) -> QAbstractButton:
        """A plain button of a screen by the beginning of its text."""
        return next(
            b for b in self.window.screen(screen).findChildren(QAbstractButton) if b.text().startswith(text)
        )

    # -- steps of a session ----------------------------------------------------------------------------------------

    def start(self, within_s: float = 60.0) -> None:
        """Press Start once nothing keeps it disabled, and wait for the session's first question."""
        screen = self.window.screen("start")
        self.until(
            lambda: screen.shown is not None and screen.shown.start.enabled, "Start is enabled", within_s
        )
        if self.by_keyboard:
            self.key("Ctrl+Return", QApplication.focusWidget() or screen)
        else:
            self.click(screen.start)
        self.until(lambda: self.window.here == "session", "the session's screen", within_s)
        self.until(
            lambda: self.shown.question.buttons or self.phase == "listen", "the first question", within_s
        )
        self.until(lambda: self.numbers.seat == "ours", "the operator's seat", 5.0)
        self.until(lambda: "window is gone" not in self.all_status, "the engine knows its window", 5.0)

    def arm(self, within_s: float = 20.0) -> None:
        """The two steps of arming, each when it is offered, until the unit itself says armed (or its first pulse is out)."""
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            self.say("arm", within_s=within_s)
            with contextlib.suppress(NotSeen):  # a hold came in between: arm once more
                self.say("confirm", within_s=3.0)
                self.until(lambda: self.shown.unit.lamp in ("ARMED", "HELD"), "armed", 4.0)
                return
        raise self.trouble("it could not be armed")

    def through(self, *phases: str, within_s: float = 60.0) -> str:
        """Until one of these questions is asked; what a short stall of this computer disarmed is armed again."""
        end_s = time.monotonic() + within_s
        while self.phase not in phases:
            if time.monotonic() > end_s:
                raise self.trouble(f"not within {within_s:g} s: phase {phases}")
            if self.phase == "arm" and self.enabled("arm"):
                self.arm()
            QTest.qWait(10)
        return self.phase

    def place_and_arm(self) -> None:
        """From the question where the coil goes to pulses."""
        self.until_phase("place")
        self.say("placed")
        self.until_phase("arm")
        self.arm()

    def write_note(self, text: str) -> None:
        """Write a note: its key, the words, Enter."""
        self.say("note") if not self.by_keyboard else self.key("Ctrl+N")
        note = self.window.screen("session").note
        self.until(note.hasFocus, "the note has the keyboard", 3.0)
        QTest.keyClicks(note, text)
        QTest.keyClick(note, Qt.Key.Key_Return)
        self.until(lambda: any(text in x.text for x in self.shown.log), "the note in the log", 5.0)

    def end(self, within_s: float = 40.0) -> None:
        """End the session and wait for its report."""
        self.say("stop")
        self.until_report(within_s)

    def until_report(self, within_s: float = 40.0) -> None:
        self.until(lambda: self.shown.ended and self.shown.report, "the report", within_s)

    def inject(self, name: str) -> None:
        """Press one of the faults of the simulated bedside's sheet."""
        screen = self.window.screen("session")
        if not screen.bedside.isChecked():
            self.key("Ctrl+B", self.window) if self.by_keyboard else self.click(screen.bedside)
        self.click(screen.sheet.buttons[name])

    # -- leaving ---------------------------------------------------------------------------------------------------

    def pids(self) -> dict[str, int]:
        """Processes of the joined session by role."""
        roles = ("engine", "port", "recorder", "sim")
        with Board(self.folder.board) as board:
            return {
                r: board[f"pid_{r}"] for r in roles if board[f"pid_{r}"] > 0 and board[f"beat_{r}"] != ENDED
            }

    def close(self) -> None:
        """The window goes; engines of this walk that still run are ended, and what they left is swept. Once is enough."""
        if self.closed:
            return
        self.closed = True
        self.window.leave()
        for place in (self.window.live, self.window.reviewed):
            if place is not None:
                place.source.close()
        end_all(self.desk._own)
        for engine in list(self.desk._engines.values()):
            with contextlib.suppress(Exception):
                engine._process.wait(5.0)
        self.window.deleteLater()
        QApplication.processEvents()


def end_all(data_dir: Path) -> None:
    """End whatever runs for sessions of a data folder, by the process ids on their boards, and wait until it is gone."""
    pids: set[int] = set()
    for folder in SessionFolder.all_in(str(data_dir)):
        with contextlib.suppress(RtloopError, OSError, KeyError), Board(folder.board) as board:
            pids |= {board[f"pid_{r}"] for r in ("engine", "port", "recorder", "sim")}
    mine = [p for p in pids if p > 1 and lives(p) and _is_rtloop(p)]
    for pid in mine:
        for number in (signal.SIGCONT, signal.SIGTERM):
            with contextlib.suppress(OSError):
                os.kill(pid, number)
    end_s = time.monotonic() + 12.0
    while any(lives(p) for p in mine):
        if time.monotonic() > end_s:
            for pid in mine:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.02)
    sweep()


def lives(pid: int) -> bool:
    """Whether a process runs (one that only waits to be buried does not)."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def _is_rtloop(pid: int) -> bool:
    """Whether it is a python process, so that a number that was given anew is not hit."""
    with contextlib.suppress(OSError):
        return b"python" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _name(widget: QWidget) -> str:
    text = widget.text() if isinstance(widget, QAbstractButton) else widget.accessibleName()
    return f"{type(widget).__name__} {text!r}"


@contextlib.contextmanager
def walking(folder: Path, form: Form, **options: Any) -> Iterator[Walker]:
    """A walker that leaves nothing behind."""
    walker = Walker(folder, form, **options)
    try:
        yield walker
    finally:
        walker.close()


def left_behind(data_dir: Path, within_s: float = 5.0) -> list[str]:
    """What still runs or lies in memory for the sessions of a data folder, after a short wait for it to go."""
    end_s = time.monotonic() + within_s
    while True:
        left = [
            f"process {pid}: {words}"
            for pid, words in _processes()
            if str(data_dir) in words and pid != os.getpid()
        ]
        for place in Path("/dev/shm").glob("rtloop-*/session"):
            with contextlib.suppress(OSError):
                if place.resolve().parent == data_dir.resolve():
                    left.append(str(place.parent))
        if not left or time.monotonic() > end_s:
            return left
        time.sleep(0.05)


def _processes() -> Iterator[tuple[int, str]]:
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if words:
                yield int(place.name), words


def shown_texts(window: Window) -> list[str]:
    """Every word that can be seen in a window now: labels, buttons, tables, lists, titles, texts of plots, tool tips."""
    import pyqtgraph as pg
    from PySide6.QtWidgets import QAbstractItemView, QLabel, QTextEdit

    texts: list[str] = [window.windowTitle()]
    for widget in window.findChildren(QWidget):
        if not widget.isVisible():
            continue
        if isinstance(widget, QLabel | QAbstractButton | QLineEdit):
            texts.append(widget.text())
        elif isinstance(widget, QAbstractItemView) and (model := widget.model()) is not None:
            for i in range(model.rowCount()):
                for j in range(model.columnCount()):
                    index = model.index(i, j)
                    texts += [str(index.data() or ""), str(index.data(Qt.ItemDataRole.ToolTipRole) or "")]
        elif isinstance(widget, QTextEdit):
            texts.append(widget.toPlainText())
        elif isinstance(widget, pg.PlotWidget):
            texts += [t.toPlainText() for t in widget.scene().items() if isinstance(t, pg.TextItem)]
        texts.append(widget.toolTip())
    return [t for t in texts if t]


def numbers_of_scores(events: list[Event]) -> set[str]:
    """The connectivity of a session's record (all measures and bands, newest of each block) as it would be written."""
    newest = {
        (e.data["target"], e.data["block"]): e.data["scores"] for e in events if e.kind == "scores_updated"
    }
    found: set[str] = set()
    for scores in newest.values():
        for scopes in scores["connectivity"].values():
            for bands in scopes.values():
                for e in bands.values():
                    if e["value"] is not None:
                        v, low, high = (1e3 * e[name] for name in ("value", "low", "high"))
                        found |= {f"{v:.{k}f} [{low:.{k}f}, {high:.{k}f}]" for k in (0, 1, 2)}
                        found |= {f"{v / 1e3:.4f}", f"{v / 1e3:.5f}", f"{v:.3f}"}
    return found


# -- as a program ----------------------------------------------------------------------------------------------------


def _main(arguments: list[str]) -> int:
    """``gui_walk.py FOLDER DO ARGUMENTS...``: ``rtloop gui ARGUMENTS`` in this process with a person in front of it.

    DO: ``run``: starts a session and goes into the pulses of the first target; ``look``: only looks on;
    ``stop``: presses STOP as soon as a session is shown. The person writes what he sees into FOLDER/seen-PID.
    """
    from PySide6.QtCore import QTimer

    from rtloop.app import cli
    from rtloop.app import window as app_window

    folder, do = Path(arguments[0]), arguments[1]
    own = (folder / "data").resolve()
    in_memory = app_window.boards_in_memory
    app_window.boards_in_memory = lambda: [
        (name, board) for name, board in in_memory() if (board.parent / "session").resolve().parent == own
    ]
    seen = folder / f"seen-{os.getpid()}"
    made: list[_Person] = []
    real = gui_app.Window

    def make(*args: Any, **options: Any) -> Window:
        window = real(*args, **options)
        person = _Person(window, do, seen)
        made.append(person)
        timer = QTimer(window)
        timer.timeout.connect(person.look)
        timer.start(100)
        return window

    gui_app.Window = make  # type: ignore[assignment,misc]
    cli.main(["gui", *arguments[2:]])
    return 0


class _Person:
    """Presses what is expected next; writes one line whenever something else is seen."""

    def __init__(self, window: Window, do: str, seen: Path) -> None:
        self._window, self._do, self._seen = window, do, seen
        self._last = ""
        self._pressed_s = 0.0
        self._stopped = False

    def look(self) -> None:
        window = self._window
        shown = window.live.shown if window.live is not None else None
        line = f"{window.here} | {window.status.status.what}"
        if shown is not None and window.live is not None:
            seat = window.live.numbers.seat
            line = f"{window.here} | {shown.question.phase} | {shown.unit.lamp} | {seat} | {window.status.status.what}"
        if line != self._last:
            self._last = line
            with self._seen.open("a") as file:
                file.write(line + "\n")
        if self._do != "look" and time.monotonic() - self._pressed_s > 0.5:
            self._press(shown)

    def _press(self, shown: Session | None) -> None:
        window = self._window
        if window.here == "start":
            start = window.screen("start").start
            if start.isEnabled():
                self._pressed_s = time.monotonic()
                QTest.mouseClick(start, Qt.MouseButton.LeftButton)
            return
        if shown is None:
            return
        if self._do == "stop" and not self._stopped:
            self._stopped = True
            QTest.mouseClick(window.stop_place.button, Qt.MouseButton.LeftButton)
        if self._do == "run":
            for found in window.screen("session").question.answers:
                if found.value is not None and found.value.primary and found.value.enabled:
                    self._pressed_s = time.monotonic()
                    QTest.mouseClick(found.push, Qt.MouseButton.LeftButton)
                    return


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
