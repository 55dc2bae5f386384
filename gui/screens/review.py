"""Owns the review screen: the list of ended sessions, opening one or a recording, its progress; owns no session's picture.

Signals: ``opened(desk.Opened)`` when a session is ready to be looked at; ``told(gui.shown.Status | None)`` for the status line.
A recording of another program is shown here, since it has no session.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QColor, QDesktopServices, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui.desk import Desk, Ended, Job, Opened
from gui.panels.parts import ToneLabel
from gui.panels.traces import TracesPanel
from gui.screens.choosing import ChoosingPage
from gui.shown import Status, Tone
from gui.theme import Theme, words
from rtloop.errors import RtloopError

PATTERNS = "Recordings and journals (*.xdf *.edf *.bdf *.vhdr *.set *.fif journal.jsonl);;All files (*)"
_LIST, _CHOOSING, _RECORDING = range(3)


class ReviewScreen(QWidget):
    """See the module's words."""

    opened = Signal(object)
    told = Signal(object)

    def __init__(self, desk: Desk, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.desk, self._theme = desk, theme
        self._job: Job | None = None
        self._sessions: tuple[Ended, ...] = ()
        self._build(theme)

    def _build(self, theme: Theme) -> None:
        self.list = QListWidget()
        self.list.setAccessibleName("Ended sessions, newest first")
        self.list.setProperty("letters", "middle")
        self.list.setAlternatingRowColors(True)
        self.list.setWordWrap(True)
        self.list.currentItemChanged.connect(self._picked)
        self.list.itemActivated.connect(lambda _: self.open_current())
        title = QLabel(
            "Ended sessions, newest first: when (UTC), what, participant, plan, mode, how it ended"
        )
        title.setProperty("role", "title")
        self.again = _thin("Look again  F5", self.refresh)
        head = QHBoxLayout()
        head.addWidget(title, 1)
        head.addWidget(self.again)
        self.path = QLineEdit()
        self.path.setPlaceholderText(
            "a session folder, or a recording: XDF, EDF, BDF, BrainVision, EEGLAB, FIF"
        )
        self.path.returnPressed.connect(self.open_current)
        self.path.textChanged.connect(lambda _: self._arrange())
        label = QLabel("&Path")
        label.setBuddy(self.path)
        where = QHBoxLayout()
        where.addWidget(label)
        where.addWidget(self.path, 1)
        where.addWidget(_thin("Choose a file", lambda: self._choose(folders=False)))
        where.addWidget(_thin("Choose a folder", lambda: self._choose(folders=True)))
        self.open_button = QPushButton("Open  Ctrl+O")
        self.open_button.setProperty("primary", "true")
        self.open_button.clicked.connect(self.open_current)
        self.report_button = QPushButton("Open report")
        self.report_button.clicked.connect(self.open_report)
        self.report = QLineEdit()
        self.report.setReadOnly(True)
        self.report.setAccessibleName("Path of the report, for copying")
        actions = QHBoxLayout()
        actions.addWidget(self.open_button)
        actions.addWidget(self.report_button)
        actions.addWidget(self.report, 1)
        self.bar, self.doing = QProgressBar(), QLabel()
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(self.cancel_opening)
        self.progress = QWidget()
        row = QHBoxLayout(self.progress)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.bar, 2)
        row.addWidget(self.doing, 3)
        row.addWidget(self.cancel)
        self.progress.hide()
        self.problem = ToneLabel("middle")
        page, box = QWidget(), QVBoxLayout()
        page.setLayout(box)
        box.addLayout(head)
        box.addWidget(self.list, 1)
        box.addLayout(where)
        box.addLayout(actions)
        box.addWidget(self.progress)
        box.addWidget(self.problem)
        self.choosing = ChoosingPage()
        self.choosing.chosen.connect(self._chosen)
        self.choosing.given_up.connect(lambda: self.pages.setCurrentIndex(_LIST))
        self.recording, self.traces, self.about = QWidget(), TracesPanel(theme), QLabel()
        self.about.setWordWrap(True)
        self.about.setProperty("letters", "middle")
        self.back = QPushButton("Back to the list")
        self.back.clicked.connect(lambda: self.pages.setCurrentIndex(_LIST))
        top, shown = QHBoxLayout(), QVBoxLayout(self.recording)
        top.addWidget(self.about, 1)
        top.addWidget(self.back)
        shown.addLayout(top)
        shown.addWidget(self.traces, 1)
        self.pages = QStackedWidget()
        for part in (page, self.choosing, self.recording):
            self.pages.addWidget(part)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.pages)
        for key, do in (("F5", self.refresh), ("Ctrl+O", self.open_current)):
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(
                Qt.ShortcutContext.WindowShortcut
            )  # wherever the keyboard is, while this is shown
            shortcut.activated.connect(do)
        self._arrange()

    # -- what the window asks -------------------------------------------------------------------------------------

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.traces.set_theme(theme)
        for i, session in enumerate(self._sessions):
            self.list.item(i).setForeground(QColor(theme.tone(session.line.tone)))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()

    def tick(self) -> None:
        """Look at what is being opened."""
        job = self._job
        if job is None:
            return
        if not job.done:
            share, doing = job.progress
            known = math.isfinite(share)
            self.bar.setRange(0, 100 if known else 0)
            self.bar.setValue(round(100 * share) if known else 0)
            self.doing.setText(doing)
            return
        self._job = None
        self._arrange()
        if job.error or job.result is None:
            self._fail(job.error or "it could not be opened")
            return
        self._show(job.result)

    def close_down(self) -> None:
        self.cancel_opening()
        self._forget_recording()

    # -- opening --------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """List the ended sessions anew; what was chosen stays chosen."""
        try:
            sessions = self.desk.sessions()
        except RtloopError as err:
            self._fail(str(err))
            return
        if sessions == self._sessions:
            return
        item = self.list.currentItem()
        before = item.data(Qt.ItemDataRole.UserRole) if item is not None else None
        self._sessions = sessions
        self.list.blockSignals(True)
        self.list.clear()
        for row, session in enumerate(sessions):
            item = QListWidgetItem(f"{session.title}\n{words(session.line.tone, session.line.text)}")
            item.setData(Qt.ItemDataRole.UserRole, str(session.path))
            item.setToolTip(str(session.path))
            item.setForeground(QColor(self._theme.tone(session.line.tone)))
            self.list.addItem(item)
            if str(session.path) == before:
                self.list.setCurrentRow(row)
        self.list.blockSignals(False)

    def open_path(self, path: Path) -> None:
        """Open an ended session's folder, or a recording; its progress is shown."""
        self.cancel_opening()
        self.path.setText(str(path))
        self.pages.setCurrentIndex(_LIST)
        self.problem.say("")
        self.told.emit(None)
        self._job = self.desk.open_review(path)
        self._arrange()
        self.tick()

    def open_current(self) -> None:
        """Open what the path says."""
        if self.open_button.isEnabled():
            self.open_path(Path(self.path.text().strip()).expanduser())

    def cancel_opening(self) -> None:
        """End what is being opened."""
        job, self._job = self._job, None
        if job is not None:
            job.cancel()
            self._arrange()

    def open_report(self) -> None:
        """Show the report in the system's browser."""
        path = self._report()
        if path is not None and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(path))):
            self._fail("no program opens the report: copy its path into a browser")

    def _show(self, opened: Opened) -> None:
        if opened.recording is None:
            self.told.emit(None)
            self.opened.emit(opened)
            return
        try:
            about = json.loads(opened.recording.read_text(encoding="utf-8"))
            data = np.load(opened.recording.parent / about["data"], mmap_mode="r")
            events = [(float(t_s), str(label)) for t_s, label in about["events"]]
            self.traces.set_recording(data, float(about["rate_hz"]), about["names"], events)
        except (OSError, ValueError, KeyError) as err:
            self._fail(f"what was made of the recording cannot be read: {err}")
            return
        self.about.setText(opened.title)
        self.pages.setCurrentIndex(_RECORDING)
        self.traces.setFocus(Qt.FocusReason.OtherFocusReason)
        self.told.emit(
            Status(
                tone=Tone.PLAIN,
                what=opened.title,
                todo="+ - gain; Left Right Home End move; Ctrl+Left Ctrl+Right events",
            )
        )

    def _forget_recording(self) -> None:
        self.pages.setCurrentIndex(_LIST)

    def _fail(self, why: str) -> None:
        self.problem.say(why, Tone.BAD)
        first, _, todo = why.partition("; what to do: ")
        self.told.emit(Status(tone=Tone.BAD, what=first.splitlines()[0], todo=todo))

    # -- small parts ----------------------------------------------------------------------------------------------

    def _picked(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.path.setText(str(item.data(Qt.ItemDataRole.UserRole)))

    def _report(self) -> Path | None:
        text = self.path.text().strip()
        path = Path(text).expanduser() / "report.html"
        return path if text and path.is_file() else None

    def _arrange(self) -> None:
        opening, report = self._job is not None, self._report()
        self.progress.setVisible(opening)
        self.open_button.setEnabled(bool(self.path.text().strip()) and not opening)
        self.report_button.setEnabled(report is not None)
        self.report.setText(str(report) if report is not None else "")
        self.report.setPlaceholderText("no report in this folder" if self.path.text().strip() else "")

    def _choose(self, *, folders: bool) -> None:
        text = self.path.text().strip()
        near = Path(text) if text else self._sessions[0].path.parent if self._sessions else Path("~")
        self.pages.setCurrentIndex(_CHOOSING)
        title = "Choose a session folder" if folders else "Choose a recording"
        self.choosing.ask(title, near, PATTERNS, folders=folders)

    def _chosen(self, path: Path) -> None:
        self.open_path(path)


def _thin(text: str, do: object) -> QPushButton:
    button = QPushButton(text)
    button.setProperty("thin", "true")
    button.clicked.connect(do)
    return button
