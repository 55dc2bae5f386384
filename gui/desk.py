"""Owns what the window asks of the application around it, as protocols and values; owns no Qt and does none of it.

``rtloop.app`` gives the window a ``Desk``: it knows plans, devices, session folders and how an engine is started. Nothing
here may block the thread that draws: what takes longer than a few milliseconds is a ``Job`` in a process of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gui.shown import Line, Tick
from rtloop.record.folder import SessionFolder


class Job(Protocol):
    """Something that runs in a process of its own, with a deadline; looked at again and again, never waited for."""

    @property
    def done(self) -> bool:
        """Whether it ended, well or badly. Looking is what polls: call it at each tick."""

    @property
    def result(self) -> Any:
        """What came of it; None until done, and None when it failed."""

    @property
    def error(self) -> str:
        """Why it failed, with what to do, in words; empty when it did not."""

    @property
    def progress(self) -> tuple[float, str]:
        """Share done (0 to 1; NaN: unknown) and what it is doing."""

    def cancel(self) -> None:
        """End it now; may be called twice, and after its end."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """The fields of the start screen; what is empty or None is left to the site file and to the defaults."""

    kind: str = "map"  # map, probe, watch, treat
    plan: str = ""  # a name of the library or a path
    participant: str = ""
    mode: str = ""  # SIMULATED, BENCH, HUMAN
    stream: str = ""
    source_id: str = ""
    unit: str = ""
    port: str = ""
    markers: str = ""
    data_dir: str = ""
    simulate: bool = False
    scene: str = ""
    seed: int | None = None
    channels: int | None = None
    rate_hz: float | None = None
    background: str = ""
    faults: str = ""
    waivers: str = ""  # path of a file of signed waivers; not of a session that only listens
    # of a treatment only
    target: str = ""  # "": the plan's only one, or the study's
    threshold: str = ""  # path of the file that rtloop threshold wrote
    by: str = ""  # who treats
    study: str = ""  # path of the study's folder: then its calendar says which visit, plan and target
    resume: bool = False  # give what is left of today's interrupted treatment


@dataclass(frozen=True, kw_only=True)
class Started:
    """An engine that was asked for; its folder appears in ``data_dir`` a moment later (``Desk.folder_of``)."""

    run_id: str
    data_dir: Path


@dataclass(frozen=True, kw_only=True)
class Exit:
    """How an engine of this window ended: its exit code and the last words it said."""

    code: int
    words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ended:
    """An ended session, as the review screen lists it."""

    path: Path
    title: str  # kind, participant, plan, when
    line: Line = field(default_factory=Line)  # how it ended


@dataclass(frozen=True, kw_only=True)
class Devices:
    """Result of ``Desk.devices``: found against expected, and what there is to choose from."""

    ticks: tuple[Tick, ...] = ()
    streams: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """Result of ``Desk.check``: a plan in words; ``problems`` keeps Start disabled."""

    words: tuple[Line, ...] = ()
    problems: tuple[str, ...] = ()
    kind: str = ""  # map, probe, watch or treat


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Result of ``Desk.open_review``: a folder with a journal, and the mapped pages made from its recording.

    A file of another program comes as ``recording`` instead, a JSON document beside the samples (float32 .npy of channels x
    samples, µV): the review screen shows that one itself.
    """

    folder: Path
    pages: Path | None = None
    title: str = ""
    recording: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the settings screen writes into the site file; ``origin`` says where each value comes from."""

    file: str = ""
    mode: str = "SIMULATED"
    data_dir: str = ""
    stream: str = ""
    source_id: str = ""
    markers: str = ""
    port: str = ""
    origin: tuple[tuple[str, str], ...] = ()


class Desk(Protocol):
    """What the window asks of the app. Every method returns within a few milliseconds; none raises but RtloopError."""

    @property
    def config_dir(self) -> Path:
        """The user's configuration folder; the window's layout is remembered there."""

    def plans(self, kind: str) -> tuple[str, ...]:
        """Names of the library's plans of a kind."""

    def scenes(self) -> tuple[str, ...]:
        """Names of the scenes that a simulated bedside can follow."""

    def devices(self, form: Form) -> Job:
        """Look for streams and the unit's port; result ``Devices``."""

    def check(self, plan: str, waivers: str = "") -> Job:
        """Rehearse a plan, with the waivers signed for it (a path); result ``Rehearsed``."""

    def check_treatment(self, form: Form) -> Job:
        """Rehearse a treatment plan at its target, with the threshold of its file; result ``Rehearsed``."""

    def thresholds(self, form: Form) -> tuple[tuple[str, str], ...]:
        """(path, words) of the participant's motor thresholds in the data folder, newest first."""

    def start(self, form: Form) -> Started:
        """Start an engine in a session of its own (it outlives the window)."""

    def folder_of(self, started: Started) -> SessionFolder | None:
        """The folder of a started engine, once it is there and can be joined; None until then."""

    def engine_words(self, run_id: str) -> tuple[str, ...]:
        """The newest lines that a starting engine of this window said, oldest first."""

    def engine_exit(self, run_id: str) -> Exit | None:
        """How an engine started here ended; None while it runs, or when it was not started here."""

    def running(self) -> tuple[SessionFolder, ...]:
        """Sessions that run and can be joined, whatever window started them."""

    def seat_taken(self, folder: SessionFolder) -> bool:
        """Whether another living window has the operator's seat of a running session."""

    def sessions(self) -> tuple[Ended, ...]:
        """Ended sessions, newest first."""

    def open_review(self, path: Path) -> Job:
        """Open an ended session or a recording; result ``Opened``."""

    def settings(self) -> Settings:
        """What the site file says."""

    def save_settings(self, settings: Settings) -> str:
        """Write it; returns why not, or an empty string."""

    def stop_all(self) -> tuple[str, ...]:
        """STOP every running session of this machine at once, straight on its board; returns what was asked, in words."""

    def lock(self, folder: Path, words: str) -> str:
        """After an emergency: lock the participant of a session, durably, with or without its engine; what was done, in words."""

    def close(self) -> None:
        """The window leaves: cancel every job; engines live on."""
