"""Owns what a window sees of trials and running sums while a session runs: writes the mapped pages; owns no computing.

Nothing here may stop the loop: a failure is told once, in words, and the pages are written no more.
"""

from __future__ import annotations

from pathlib import Path

from rtloop.ports import SampleSource
from rtloop.session.line import SignalLine, Trial


class Results:
    """Writes each judged trial and each block's running sums into the mapped pages.

    Every method returns "" or, once, the words of what went wrong (to be journalled as a note); it never raises and
    writes nothing more after that.
    """

    @classmethod
    def open(cls, path: Path | None, line: SignalLine, source: SampleSource) -> Results:
        """Make the pages at ``path`` (None: none are written). ``words`` says why when they could not be made."""
        return cls()

    @property
    def words(self) -> str:
        """Why nothing is written (any more); empty while all is well."""
        return ""

    def trial(self, trial: Trial) -> str:
        """Write a judged trial; call it when it was judged."""
        return ""

    def block(self, target: str, block: str) -> str:
        """Write a block's average and pair values; call it after each trial, move of a trial and restart of a block."""
        return ""

    def close(self) -> None:
        """Unmap the pages; the file stays."""
