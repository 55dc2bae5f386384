"""Owns the page on which a file or folder is chosen; owns no meaning of it.

It is a part of the window, never a dialog above it: a dialog could cover the STOP.
"""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget


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
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.back)
        self._box = QVBoxLayout(self)
        self._box.addLayout(head)

    def ask(self, title: str, start: Path, patterns: str = "", *, folders: bool = False) -> None:
        """Begin anew in this folder; ``patterns`` as QFileDialog's name filters."""
        self._drop()
        self.title.setText(title)
        dialog = QFileDialog()
        dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
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
