"""Owns the fields of the start screen that only a treatment has; owns neither what they mean nor what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QGroupBox, QLabel, QLineEdit, QWidget

from gui.desk import Form
from gui.shown import Tone


class TreatForm(QGroupBox):
    """``changed`` at every change; ``browse`` asks for a path for one of the fields by name.

    Parameters
    ----------
    path_field : makes a field for a path, with what stands in it while it is empty
    rows : lays names and fields in rows
    """

    changed = Signal()
    browse = Signal(str)

    def __init__(
        self, path_field: Callable[[str], Any], rows: Callable[..., Any], parent: QWidget | None = None
    ) -> None:
        super().__init__("Treatment", parent)
        self.by, self.target = QLineEdit(), QLineEdit()
        self.by.setMaxLength(80)
        self.by.setPlaceholderText("who treats, and signs the checklists")
        self.target.setPlaceholderText("the plan's only one")
        self.threshold = path_field("the file that rtloop threshold wrote")
        self.study = path_field("none: outside of a study")
        self.resume = QCheckBox("give what is left of today's interrupted treatment")
        self.words = QLabel()
        self.words.setWordWrap(True)
        self._words: dict[str, str] = {}
        self._own = ""  # what was put here by itself
        self.setLayout(rows(
            ("Treated &by", self.by), ("&Threshold", self.threshold), ("", self.words), ("Tar&get", self.target),
            ("St&udy", self.study), ("", self.resume),
        ))  # fmt: skip
        for line in (self.by, self.target):
            line.textChanged.connect(self.changed)
        self.resume.toggled.connect(self.changed)
        for name in ("threshold", "study"):
            field = getattr(self, name)
            field.changed.connect(self.changed)
            field.browse.connect(lambda name=name: self.browse.emit(name))
        self.changed.connect(self._tell)

    def fill(self, form: Form) -> None:
        """Show a form."""
        self.by.setText(form.by)
        self.target.setText(form.target)
        self.threshold.edit.setText(form.threshold)
        self.study.edit.setText(form.study)
        self.resume.setChecked(form.resume)

    def value(self) -> dict[str, object]:
        """Its fields of the form."""
        return {
            "by": self.by.text().strip(), "target": self.target.text().strip(), "threshold": self.threshold.text,
            "study": self.study.text, "resume": self.resume.isChecked(),
        }  # fmt: skip

    def offer(self, thresholds: Sequence[tuple[str, str]]) -> None:
        """(path, words) of the participant's thresholds, newest first; the newest is taken where nobody chose another."""
        self._words = dict(thresholds)
        if self.threshold.text == self._own:
            self._own = thresholds[0][0] if thresholds else ""
            self.threshold.edit.setText(self._own)
        self._tell()

    def _tell(self) -> None:
        path = self.threshold.text
        others = len(self._words) - (path in self._words)
        said = self._words.get(path) or (
            "" if path else "none of this participant was found in the data folder"
        )
        more = f"; {others} more in the data folder" if others and path in self._words else ""
        self.words.setText(f"{said}{more}")
        self.words.setProperty("tone", str(Tone.PLAIN if path in self._words else Tone.OFF))
        self.target.setEnabled(not self.study.text)
        self.target.setPlaceholderText(
            "as the study allocated it" if self.study.text else "the plan's only one"
        )
