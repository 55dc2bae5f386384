"""Owns a window's desk for tests: jobs that answer when told to, engines that are folders with a journal, nothing spawned."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gui.desk import Devices, Ended, Exit, Form, Opened, Rehearsed, Settings, Started
from gui.shown import Line, Tick, Tone
from rtloop.errors import NotReady
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal

GOOD_DEVICES = Devices(
    ticks=(
        Tick(
            name="EEG stream",
            expected="one EEG stream",
            found="'amp' on eeg-pc, 5000 Hz, 63 EEG channels",
            tone=Tone.GOOD,
        ),
        Tick(name="unit 200", expected="/dev/ttyUSB0", found="there (FT232R)", tone=Tone.GOOD),
        Tick(name="data folder", expected="writable", found="/data, 512 GB free", tone=Tone.GOOD),
        Tick(name="clock", expected="within 1000 µs", found="2 µs apart", tone=Tone.GOOD),
    ),
    streams=("amp", "spare"),
    ports=("/dev/ttyUSB0",),
)


class FakeJob:
    """Done when ``finish`` was called (or from the start)."""

    def __init__(self, result: Any = None, error: str = "", *, done: bool = True) -> None:
        self._result, self._error, self.done = result, error, done
        self.progress = (float("nan"), "working")
        self.cancelled = False

    def finish(self, result: Any = None, error: str = "") -> None:
        self._result, self._error, self.done = result, error, True

    @property
    def result(self) -> Any:
        return self._result if self.done else None

    @property
    def error(self) -> str:
        return self._error if self.done else ""

    def cancel(self) -> None:
        self.cancelled = self.done = True


@dataclass
class FakeDesk:
    """Answers with what its fields say; every question is kept in ``asked``."""

    data_dir: Path
    now_devices: Devices = GOOD_DEVICES
    now_rehearsed: dict[str, Rehearsed | str] = field(default_factory=dict)
    now_running: tuple[SessionFolder, ...] = ()
    now_sessions: tuple[Ended, ...] = ()
    now_opened: dict[str, Opened | str] = field(default_factory=dict)
    now_settings: Settings = field(default_factory=Settings)
    now_thresholds: tuple[tuple[str, str], ...] = ()
    start_problem: str = ""
    save_problem: str = ""
    slow: bool = False
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    jobs: list[FakeJob] = field(default_factory=list)
    exits: dict[str, Exit] = field(default_factory=dict)
    joinable: bool = False
    words: tuple[str, ...] = ()
    saved: list[Settings] = field(default_factory=list)

    @property
    def config_dir(self) -> Path:
        return self.data_dir / "config"

    def plans(self, kind: str) -> tuple[str, ...]:
        return {
            "map": ("map-200", "quick"), "probe": ("probe-m1", "probe-m1-quick"), "watch": ("watch",),
            "treat": ("treat-10hz-4s", "treat-quick"),
        }[kind]  # fmt: skip

    def scenes(self) -> tuple[str, ...]:
        return ("default", "equal")

    def _job(self, result: Any) -> FakeJob:
        error = result if isinstance(result, str) else ""
        job = FakeJob(None if error else result, error, done=not self.slow)
        self.jobs.append(job)
        return job

    def devices(self, form: Form) -> FakeJob:
        self.asked.append(("devices", form))
        return self._job(self.now_devices)

    def check(self, plan: str, waivers: str = "") -> FakeJob:
        self.asked.append(("check", f"{plan} {waivers}".strip()))
        kind = "watch" if "watch" in plan else "probe" if "probe" in plan else "map"
        usual = Rehearsed(words=(Line(text=f"{plan} ({kind}): 48 pulses, about 3 min"),), kind=kind)
        return self._job(self.now_rehearsed.get(plan, usual))

    def check_treatment(self, form: Form) -> FakeJob:
        self.asked.append(("check_treatment", form))
        usual = Rehearsed(words=(Line(text=f"{form.plan}: a treatment"),), kind="treat")
        return self._job(self.now_rehearsed.get(form.plan, usual))

    def thresholds(self, form: Form) -> tuple[tuple[str, str], ...]:
        self.asked.append(("thresholds", form.participant))
        return self.now_thresholds

    def start(self, form: Form) -> Started:
        self.asked.append(("start", form))
        if self.start_problem:
            raise NotReady(self.start_problem, todo="close other programs")
        return Started(run_id=f"{len(self.asked):08x}", data_dir=self.data_dir)

    def engine(self, started: Started, **preflight: bool) -> Path:
        """Let the engine of a start make its folder and its pre-flight: name=ok, ..."""
        folder = SessionFolder.create(self.data_dir, started.run_id)
        with contextlib.closing(Journal(folder.journal, run_id=started.run_id, plan_sha="0" * 64)) as journal:
            journal.append(
                "session_started", {"kind": "map", "participant": "P1", "plan": "quick", "mode": "SIMULATED"}
            )
            items = [
                {"name": n, "ok": ok, "expected": "fine", "found": "fine" if ok else "not fine",
                 "todo": "" if ok else f"mend the {n}"}
                for n, ok in preflight.items()
            ]  # fmt: skip
            journal.append("preflight_checked", {"items": items})
        return folder.path

    def folder_of(self, started: Started) -> SessionFolder | None:
        found = sorted(self.data_dir.glob(f"*_{started.run_id}"))
        return SessionFolder(path=found[0]) if found and self.joinable else None

    def engine_words(self, run_id: str) -> tuple[str, ...]:
        return self.words

    def engine_exit(self, run_id: str) -> Exit | None:
        return self.exits.get(run_id)

    def running(self) -> tuple[SessionFolder, ...]:
        return self.now_running

    def seat_taken(self, folder: SessionFolder) -> bool:
        return False

    def sessions(self) -> tuple[Ended, ...]:
        return self.now_sessions

    def open_review(self, path: Path) -> FakeJob:
        self.asked.append(("review", path))
        return self._job(self.now_opened.get(str(path), f"there is no {path}"))

    def settings(self) -> Settings:
        return self.now_settings

    def save_settings(self, settings: Settings) -> str:
        if not self.save_problem:
            self.saved.append(settings)
            self.now_settings = replace(settings)
        return self.save_problem

    def stop_all(self) -> tuple[str, ...]:
        return ("no session runs",)

    def close(self) -> None:
        for job in self.jobs:
            job.cancel()


def of(desk: FakeDesk, what: str) -> list[Any]:
    """What was asked under this name."""
    return [a[1] for a in desk.asked if a[0] == what]


def recording_files(
    place: Path, data: Any, rate_hz: float, names: list[str], events: list[tuple[float, str]]
) -> Path:
    """A prepared recording, as ``rtloop.app.lookback`` leaves it."""
    import numpy as np

    np.save(place / "data.npy", data)
    about = {"data": "data.npy", "rate_hz": rate_hz, "names": names, "types": ["EEG"] * len(names), "events": events,
             "origin": "a.edf"}  # fmt: skip
    (place / "recording.json").write_text(json.dumps(about))
    return place / "recording.json"
