"""Owns making the arrays of an ended session for a window: its replay into mapped pages; owns no process and no view.

The window reads the session's journal itself; here come only waveforms and pair values.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rtloop.errors import IntegrityProblem, NotReady, RtloopError
from rtloop.record.folder import SessionFolder
from rtloop.session.replay import Replay, replay


def review(
    folder: SessionFolder | str | Path, pages: Path, each: Callable[[float], None] | None = None
) -> Replay:
    """Replay a session and make ``pages`` as its window had them; the pages can be opened (and grow) meanwhile.

    Long work: give it a process of its own. ``each`` is called with the share that is done, 0..1; what it raises ends the
    replay.

    Raises
    ------
    IntegrityProblem : journal or recording cannot be read, or lack what a replay needs
    NotReady : the pages could not be made (to their end)
    """
    folder = folder if isinstance(folder, SessionFolder) else SessionFolder(path=Path(folder))
    try:
        out = replay(folder, pages, each)
    except RtloopError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError) as err:
        raise IntegrityProblem(
            f"{folder.path.name} cannot be replayed", expected="a record of this version",
            found=f"{type(err).__name__}: {err}", todo="look at its report; rtloop verify tells what is wrong with it",
        ) from err  # fmt: skip
    if out.pages_words:
        raise NotReady(out.pages_words)
    return out
