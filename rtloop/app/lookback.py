"""Owns making an ended session or a recording ready to be looked at, as a process of its own; owns no look.

``python -m rtloop.app.lookback PATH PLACE`` writes what the window maps into the folder PLACE, its progress on stderr
("12 % words"), and one JSON object on stdout: folder, pages (a session) or recording (a file), title.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rtloop.errors import NotReady, RtloopError, ValidationProblem

Progress = Callable[[float, str], None]
_INSIDE = ("journal.jsonl", "recording.xdf", "result.json", "report.html")


def open_path(path: Path, place: Path, progress: Progress) -> dict[str, Any]:
    """Session folder, a file inside one, or a recording of a known kind; RtloopError tells why it cannot be opened."""
    if not path.exists():
        raise ValidationProblem(
            f"there is no {path}", expected="a session folder or a recording", found="nothing of that name",
            todo="choose another one",
        )  # fmt: skip
    if path.name in _INSIDE and (path.parent / "journal.jsonl").is_file():
        path = path.parent
    if (path / "journal.jsonl").is_file():
        return _session(path.resolve(), place, progress)
    return _recording(path, place, progress)


def _session(path: Path, place: Path, progress: Progress) -> dict[str, Any]:
    from rtloop.app.halt import folder_runs
    from rtloop.app.past import past_of
    from rtloop.record.folder import SessionFolder
    from rtloop.record.verify import verify

    if folder_runs(path):
        raise NotReady(
            f"{path.name} still runs", expected="a session that has ended", found="a living engine",
            todo="rejoin it from the start screen",
        )  # fmt: skip
    folder = SessionFolder(path=path)
    progress(0.0, "checking the record")
    checked = verify(path)
    wrong = next((x.removeprefix("PROBLEM: ") for x in checked.lines if x.startswith("PROBLEM")), "")
    whole = "the record is whole" if checked.ok else f"the record is NOT whole: {wrong}"
    progress(0.05, "running the recording through the same code again")
    pages = None
    try:
        pages = str(
            _pages(folder, place / "pages", lambda s: progress(0.05 + 0.95 * s, "cleaning and scoring again"))
        )
    except RtloopError as err:  # the journal alone tells most of a torn session
        whole = f"{whole}; no waveforms: {err.what}"
    return {"folder": str(path), "pages": pages, "title": f"{past_of(folder).title} · {whole}"}


def _pages(folder: Any, path: Path, share: Callable[[float], None]) -> Path:
    from rtloop.session.review import review

    review(folder, path, share)
    return path


def _recording(path: Path, place: Path, progress: Progress) -> dict[str, Any]:
    import numpy as np

    from rtloop.record.readers import read_recording

    progress(0.1, "reading the recording")
    recording = read_recording(path)
    progress(0.8, "laying it out for the screen")
    np.save(place / "data.npy", recording.data)
    about = {
        "data": "data.npy", "rate_hz": recording.rate_hz, "names": recording.names, "types": recording.types,
        "events": recording.events, "origin": recording.origin,
    }  # fmt: skip
    (place / "recording.json").write_text(json.dumps(about), encoding="utf-8")
    n_channels, n_samples = recording.data.shape
    words = f"{path.name} · {n_channels} channels, {n_samples / recording.rate_hz:.0f} s at {recording.rate_hz:g} Hz"
    damage = [note for note in recording.notes if note.startswith("DAMAGED")]
    return {
        "folder": str(place), "recording": str(place / "recording.json"),
        "title": " · ".join([f"{words}, {len(recording.events)} event(s)", *damage]),
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code; the problem as JSON where it cannot be opened."""
    path, place = (Path(a) for a in (sys.argv[1:] if arguments is None else arguments))

    def progress(share: float, words: str) -> None:
        print(f"{100 * share:.0f} % {words}", file=sys.stderr, flush=True)

    try:
        print(json.dumps(open_path(path, place, progress)))
    except RtloopError as err:
        print(json.dumps({"error": err.what, "expected": err.expected, "found": err.found, "todo": err.todo}))
        return err.exit_code
    except MemoryError:
        what = f"{path.name} is too large for this computer's memory"
        print(json.dumps({"error": what, "todo": "close other programs, or cut it"}))
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
