"""Owns the page on which a file or folder is chosen; owns no meaning of it.

It is a part of the window, never a dialog above it: a dialog could cover the STOP.
"""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from gui.panels.parts import ToneLabel
from gui.shown import Tone


class _Chooser(QFileDialog):
    """Qt's own chooser without its message boxes: they would be modal, over the STOP."""

    absent = Signal(str)

    def accept(self) -> None:
        typed = self.selectedFiles()
        if not typed or not Path(typed[0]).exists():
            self.absent.emit(typed[0] if typed else "")
            return
        super().accept()


class ChoosingPage(QWidget):
    """``chosen`` carries a Path; ``given_up`` comes when nothing was chosen. ``ask`` shows it for one choice."""

    chosen = Signal(object)
    given_up = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._dialog: QFileDialog | None = None
        self.title = QLabel()
        self.title.setProperty("letters", "big")
        self.back = QPushButton("Back")
        self.back.clicked.connect(self.leave)
        self.words = ToneLabel("middle")
        head = QHBoxLayout()
        head.addWidget(self.title)
        head.addWidget(self.words, 1)
        head.addWidget(self.back)
        self._box = QVBoxLayout(self)
        self._box.addLayout(head)

    def ask(self, title: str, start: Path, patterns: str = "", *, folders: bool = False) -> None:
        """Begin anew in this folder; ``patterns`` as QFileDialog's name filters."""
        self._drop()
        self.title.setText(title)
        self.words.say("")
        dialog = _Chooser()
        dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
        dialog.setOption(QFileDialog.Option.ReadOnly)  # deleting and renaming ask in boxes of their own
        dialog.setStyleSheet(
            "QToolButton { background: #b8c6d3; border-radius: 3px; }"
        )  # its arrows are dark in any theme
        dialog.setWindowFlags(Qt.WindowType.Widget)
        dialog.setSizeGripEnabled(False)
        if folders:
            dialog.setFileMode(QFileDialog.FileMode.Directory)
            dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        else:
            dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
            dialog.setNameFilter(patterns or "All files (*)")
        place = start.expanduser()
        while not place.is_dir() and place != place.parent:
            place = place.parent
        dialog.setDirectory(str(place))
        dialog.fileSelected.connect(self._take)
        dialog.rejected.connect(self.leave)
        dialog.absent.connect(
            lambda path: self.words.say(f"There is no {path}" if path else "Nothing is chosen", Tone.BAD)
        )
        self._dialog = dialog
        self._box.addWidget(dialog, 1)
        dialog.show()
        dialog.setFocus(Qt.FocusReason.OtherFocusReason)

    @property
    def dialog(self) -> QFileDialog | None:
        """The chooser, while it asks."""
        return self._dialog

    def leave(self) -> None:
        """Nothing is chosen."""
        if self._dialog is not None:
            self._drop()
            self.given_up.emit()

    def _take(self, path: str) -> None:
        self._drop()
        self.chosen.emit(Path(path))

    def _drop(self) -> None:
        dialog, self._dialog = self._dialog, None
        if dialog is not None:
            self._box.removeWidget(dialog)
            dialog.blockSignals(True)
            dialog.hide()
            dialog.setParent(None)
            dialog.deleteLater()
