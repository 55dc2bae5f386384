"""Where the shared files of a session lie: found from the session folder while it runs, gone afterwards, swept after a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtloop.app import runtime as runtime_module
from rtloop.app.runtime import MEMORY, Runtime, sweep
from rtloop.board import Board
from rtloop.record.folder import SessionFolder

in_memory = pytest.mark.skipif(not MEMORY.is_dir(), reason=f"this system has no {MEMORY}")


def begun(folder: SessionFolder, run_id: str) -> Runtime:
    runtime = Runtime(folder, run_id)
    Board.create(runtime.board).close()
    runtime.ring.write_bytes(b"ring")
    runtime.link()
    for path in (runtime.pages, runtime.socket):
        path.write_bytes(path.name.encode())
    return runtime


def left(folder: SessionFolder) -> list[str]:
    return sorted(p.name for p in folder.path.iterdir())


@in_memory
def test_all_are_found_from_the_folder_and_removed_at_the_end(tmp_path: Path) -> None:
    folder = SessionFolder.create(tmp_path, "abc12345")
    runtime = begun(folder, "abc12345")
    assert runtime.path.parent == MEMORY
    assert runtime.path.stat().st_mode & 0o777 == 0o700
    assert (folder.pages.read_bytes(), folder.link.read_bytes()) == (b"pages", b"link")
    assert folder.pages.resolve() == runtime.pages
    runtime.remove()
    assert not runtime.path.exists()
    assert left(folder) == ["board"]


@in_memory
def test_links_to_what_never_came_are_removed_too(tmp_path: Path) -> None:
    folder = SessionFolder.create(tmp_path, "abc12346")
    runtime = begun(folder, "abc12346")
    runtime.pages.unlink()
    runtime.socket.unlink()
    runtime.remove()
    assert left(folder) == ["board"]
    begun(SessionFolder.create(tmp_path, "abc12347"), "abc12347").remove()


def test_without_a_place_in_memory_they_lie_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_module, "MEMORY", tmp_path / "none")
    folder = SessionFolder.create(tmp_path, "abc12345")
    runtime = begun(folder, "abc12345")
    assert runtime.pages == folder.pages
    assert runtime.socket == folder.link
    runtime.remove()
    assert left(folder) == ["board", "ring.f32"]
    folder.tidy()
    assert left(folder) == []


def test_tidy_removes_all_four(tmp_path: Path) -> None:
    folder = SessionFolder.create(tmp_path, "abc12345")
    for path in (folder.ring, folder.board, folder.pages, folder.link, folder.journal):
        path.touch()
    folder.tidy()
    assert left(folder) == ["journal.jsonl"]


@in_memory
def test_what_a_crash_left_is_swept(tmp_path: Path) -> None:
    folder = SessionFolder.create(tmp_path, "abc12345")
    program = f"""
import sys, os
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_app_runtime import begun
from rtloop.record.folder import SessionFolder
print(begun(SessionFolder(path=Path({str(folder.path)!r})), "abc12345").path, flush=True)
os._exit(1)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    place = Path(done.stdout.strip())
    assert place.parent == MEMORY, done.stderr
    assert place.exists()
    assert folder.pages.exists()
    sweep()
    assert not place.exists()
    assert left(folder) == ["board"]
    assert not os.path.lexists(folder.pages)
