"""Owns what the window asks of the application (``gui.desk.Desk``): engines, devices, plans, past sessions, settings.

An engine is a process in a session of its own, so that it lives on when the window dies. Owns no drawing and imports no Qt.
"""

from __future__ import annotations

import contextlib
import secrets
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from gui.desk import Ended, Exit, Form, Job, Settings, Started
from rtloop.app.asked import (
    OPTIONS,
    engine_command,
    full_path,
    given,
    given_options,
    library_kinds,
    treatment_check,
)
from rtloop.app.config import Site, load_site, user_config_dir
from rtloop.app.halt import HARDWARE, folder_runs
from rtloop.app.jobs import CLI, ProcessJob, Spawned
from rtloop.app.lock import lock_here
from rtloop.app.past import past_of
from rtloop.app.runtime import boards_in_memory, pid_lives
from rtloop.app.site_text import save
from rtloop.app.threshold_found import thresholds_of
from rtloop.app.told import devices_of, ended_of, opened_of, rehearsed_of, settings_of, values_of
from rtloop.board import ENDED, Board
from rtloop.errors import NotReady, RtloopError
from rtloop.record.folder import SessionFolder

# the first start on a machine compiles the kernels: most of a minute
DEVICES_WITHIN_S, CHECK_WITHIN_S, REVIEW_WITHIN_S = 120.0, 120.0, 1800.0
STALE_S = 3600.0  # a board that was silent for longer is a crash's; its number may be another process by now
LISTED = 500  # newest sessions that the review screen lists


class AppDesk:
    """The window's desk. ``site`` is the path of --site, passed on to everything that is started."""

    def __init__(self, site: Path | None = None) -> None:
        self._site = None if site is None else site.resolve()
        self._data_dir = ""
        self._engines: dict[str, Spawned] = {}
        self._exits: dict[str, Exit] = {}
        self._jobs: list[ProcessJob] = []
        self._places: list[tempfile.TemporaryDirectory[str]] = []

    def look_in(self, data_dir: Path) -> None:
        """Another data folder than the site file's, for past and running sessions (--data-dir)."""
        self._data_dir = str(data_dir.expanduser().resolve())

    @property
    def config_dir(self) -> Path:
        return user_config_dir()

    # -- before a session -----------------------------------------------------------------------------------------

    def plans(self, kind: str) -> tuple[str, ...]:
        return tuple(name for name, of_kind in library_kinds() if of_kind == kind)

    def scenes(self) -> tuple[str, ...]:
        folder = resources.files("hardware_sim") / "scenes"
        names = sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))
        return tuple(sorted(names, key=lambda n: n != "default"))

    def devices(self, form: Form) -> Job:
        command = ["devices", "--json", "--kind", form.kind, *self._options(form)]
        return self._job(command, devices_of, DEVICES_WITHIN_S, "looking for the devices", fine=(0, 4))

    def check(self, plan: str, waivers: str = "") -> Job:
        signed = ["--waivers", full_path(waivers)] if waivers else []
        return self._job(
            ["check", given(plan), *signed, *self._of_site(), "--json"], rehearsed_of, CHECK_WITHIN_S, "rehearsing the plan",
            fine=(0, 3),
        )  # fmt: skip

    def check_treatment(self, form: Form) -> Job:
        command = [*treatment_check(form), *self._of_site()]
        return self._job(command, rehearsed_of, CHECK_WITHIN_S, "rehearsing the treatment", fine=(0, 3))

    def thresholds(self, form: Form) -> tuple[tuple[str, str], ...]:
        data_dir = Path(self._load(form.data_dir).data_dir)
        found = thresholds_of(data_dir, form.participant, simulated=form.simulate)
        return tuple((str(file.resolve()), threshold.words()) for file, threshold in found)

    # -- engines --------------------------------------------------------------------------------------------------

    def start(self, form: Form) -> Started:
        data_dir = Path(self._load(form.data_dir).data_dir)
        run_id = secrets.token_hex(4)
        command = [*CLI, *engine_command(form, run_id), *self._of_site()]
        try:
            # a simulated engine makes an LSL session of its own: nothing simulated is ever taken for real
            self._engines[run_id] = Spawned(command, drop=("RTLOOP_LSL_SESSION",) if form.simulate else ())
        except OSError as err:
            raise NotReady(
                "the engine could not be started", expected="a new process", found=str(err),
                todo="close other programs; then start again",
            ) from err  # fmt: skip
        return Started(run_id=run_id, data_dir=data_dir)

    def folder_of(self, started: Started) -> SessionFolder | None:
        folder = made_folder(started)
        if folder is None or not folder.board.exists() or not folder.journal.exists():
            return None
        link: Path | None = getattr(folder, "link", None)
        if link is None or sys.platform == "win32":  # a named pipe is no file
            return folder
        return folder if link.exists() else None

    def engine_words(self, run_id: str) -> tuple[str, ...]:
        engine = self._engines.get(run_id)
        return () if engine is None else tuple(engine.last_words()[-8:])

    def engine_exit(self, run_id: str) -> Exit | None:
        engine = self._engines.get(run_id)
        if engine is not None and (code := engine.code) is not None:
            self._exits[run_id] = Exit(code=code, words=engine.problem())
            engine.forget()
            del self._engines[run_id]
        return self._exits.get(run_id)

    def running(self) -> tuple[SessionFolder, ...]:
        self._reap()
        return tuple(f for f in self._with_board() if _engine_lives(f.path))

    def _with_board(self) -> list[SessionFolder]:
        """Sessions that have a board, newest first: running ones, and those that a crash left."""
        found: dict[Path, SessionFolder] = {}
        places = [board.parent / "session" for _, board in boards_in_memory()]
        with contextlib.suppress(RtloopError):
            places += [p.parent for p in Path(self._load().data_dir).glob("*/board")]
        for place in places:
            with contextlib.suppress(OSError):
                path = place.resolve(strict=True)
                if path not in found and (path / "journal.jsonl").exists():
                    found[path] = SessionFolder(path=path)
        return sorted(found.values(), key=lambda f: f.path.name, reverse=True)

    def seat_taken(self, folder: SessionFolder) -> bool:
        try:
            with Board(folder.board) as board:
                pid = board["seat_pid"]
        except (RtloopError, OSError, KeyError):
            return False
        return pid > 0 and pid_lives(pid)

    def stop_all(self) -> tuple[str, ...]:
        told = []
        for folder in self._with_board():
            if not _engine_lives(folder.path) and not folder_runs(folder.path):
                continue  # folder_runs: a port process may outlive its engine for a moment
            try:
                with Board(folder.board) as board:
                    board.ask_stop()
                    unit = board["pid_port"] and board["beat_port"] != ENDED
                told.append(f"STOP asked of {folder.path.name}" + ("" if unit else ", which has no unit"))
            except (RtloopError, OSError) as err:
                told.append(f"STOP could NOT be asked of {folder.path.name} ({err}). {HARDWARE}")
        return tuple(told) or (f"no session runs on this computer. {HARDWARE}",)

    def lock(self, folder: Path, words: str) -> str:
        return lock_here(folder, words)

    # -- afterwards -----------------------------------------------------------------------------------------------

    def sessions(self) -> tuple[Ended, ...]:
        live = {f.path for f in self.running()}
        folders = [
            f for f in reversed(SessionFolder.all_in(self._load().data_dir)) if f.path.resolve() not in live
        ]
        return tuple(ended_of(past_of(f)) for f in folders[:LISTED])

    def open_review(self, path: Path) -> Job:
        place = tempfile.TemporaryDirectory(prefix="rtloop-review-", ignore_cleanup_errors=True)
        self._places.append(place)
        command = [sys.executable, "-m", "rtloop.app.lookback", str(path.expanduser()), place.name]
        job = ProcessJob(command, opened_of, deadline_s=REVIEW_WITHIN_S, doing=f"opening {path.name}")
        self._jobs.append(job)
        return job

    # -- settings -------------------------------------------------------------------------------------------------

    def settings(self) -> Settings:
        return settings_of(self._load())

    def save_settings(self, settings: Settings) -> str:
        try:
            site = self._load()
            before, after = values_of(settings_of(site)), values_of(settings)
            changes = {k: v for k, v in after.items() if v != before[k]}
            file = Path(site.file) if site.file else self._site or user_config_dir() / "rtloop.toml"
            save(file, changes)
            now = values_of(settings_of(self._load()))
        except RtloopError as err:
            return str(err)
        hidden = [k for k in changes if now[k] != after[k] and after[k]]
        if hidden:
            return f"saved in {file}, but {', '.join(hidden)} come(s) from somewhere that wins: {self._load().origin[hidden[0]]}"
        return ""

    def close(self) -> None:
        for job in self._jobs:
            job.cancel()
        self._jobs.clear()
        for place in self._places:
            place.cleanup()
        self._places.clear()
        self._reap()
        for engine in self._engines.values():
            engine.forget()  # it lives on; its words are also in the log of the data folder

    # -- small parts ----------------------------------------------------------------------------------------------

    def _job(
        self, command: list[str], accept: Any, deadline_s: float, doing: str, fine: tuple[int, ...]
    ) -> Job:
        self._jobs = [j for j in self._jobs if not j.done]
        job = ProcessJob([*CLI, *command], accept, deadline_s=deadline_s, doing=doing, fine=fine)
        self._jobs.append(job)
        return job

    def _load(self, data_dir: str = "") -> Site:
        data_dir = data_dir or self._data_dir
        return load_site(
            self._site, overrides={"data_dir": str(Path(data_dir).expanduser())} if data_dir else None
        )

    def _of_site(self) -> list[str]:
        return ["--site", str(self._site)] if self._site is not None else []

    def _options(self, form: Form) -> list[str]:
        return [*given_options(form, OPTIONS), *(["--simulate"] if form.simulate else []), *self._of_site()]

    def _reap(self) -> None:
        for run_id in list(self._engines):
            self.engine_exit(run_id)


def _engine_lives(path: Path) -> bool:
    """Whether a session's engine is a living process that did not leave; a frozen one counts."""
    try:
        with Board(path / "board") as board:
            left = board["beat_engine"] == ENDED or board.age_s("engine") > STALE_S
            return not left and board["pid_engine"] > 0 and pid_lives(board["pid_engine"])
    except (RtloopError, OSError):
        return False


def made_folder(started: Started) -> SessionFolder | None:
    """The folder of an engine, joinable or not; None until it made one."""
    found = sorted(started.data_dir.glob(f"*_{started.run_id}"))
    return SessionFolder(path=found[-1]) if found else None
