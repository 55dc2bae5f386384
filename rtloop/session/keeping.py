"""Owns that a mapping outlives its run: the trials of a target in a file beside the journal after each visit, and what a run that
resumes the session takes over of them; owns no look, no proposal, no coil.

A file holds all trials of its target that count, over all visits. What a resumed run takes over is written into its own folder,
so that its journal and files tell the whole map; a file that is not whole or not what the journal says is never taken in part.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from rtloop.decide.course import Event as Entry
from rtloop.decide.course import Restart, Visit
from rtloop.decide.look import Look
from rtloop.decide.recorded import event_of
from rtloop.errors import IntegrityProblem
from rtloop.model.event import Event
from rtloop.model.pulse import Purpose
from rtloop.model.view import key_of
from rtloop.quality.limits import REJECTING
from rtloop.record import kinds
from rtloop.record.folder import SessionFolder
from rtloop.record.kept import read_kept, write_kept
from rtloop.safety.ledger import PULSE_INTENDED
from rtloop.session.line import SignalLine
from rtloop.session.ongoing import Carried, Ongoing

#: fields of session_started without which trials of two runs are not alike
ALIKE = {
    "rate_hz": "sampling rate", "layout": "channels", "spots": "places of the targets", "gaps": "gaps",
    "decision": "prescription of the decision", "software_version": "software",
}  # fmt: skip
T = TypeVar("T")
PLANES = ("re", "im", "ongoing_re", "ongoing_im", "good")
#: a trial of an earlier run has no number in this one
NO_ID = -1
WAIT_S = 0.02
LONGEST_WAITS = 1500  # half a minute: then the disk does not answer
#: what may differ between two runs of one session without making their trials unlike: limits that fit the recording
FITTED = {limit for _, limit, _ in REJECTING.values()}


@dataclass(frozen=True, kw_only=True)
class KeptFile:
    """The trials of a target after so many visits (since its last restart). ``out``: taken out since, by id."""

    target: str
    file: str
    sha256: str
    visits: int
    power: tuple[int, float | None] | None
    out: set[int] = field(default_factory=set)


@dataclass(kw_only=True)
class Earlier:
    """A mapping as the journal of an earlier run of the session left it."""

    folder: SessionFolder
    started: Mapping[str, Any]
    history: list[Entry] = field(default_factory=list)
    files: dict[str, list[KeptFile]] = field(default_factory=dict)
    scores: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, folder: SessionFolder, events: Iterable[Event]) -> Earlier | None:
        """None where that run never began, or had neither finished a visit nor taken one over."""
        found: Earlier | None = None
        powers: dict[str, tuple[int, float | None]] = {}
        for event in events:
            if event.kind == kinds.SESSION_STARTED and event.data.get("decision"):
                found = cls(folder=folder, started=event.data)
            elif found is not None:
                found._take(event.kind, event.data, powers)
        return found if found is not None and found.history else None

    def _take(self, kind: str, d: Mapping[str, Any], powers: dict[str, tuple[int, float | None]]) -> None:
        if kind == PULSE_INTENDED and d["purpose"] == Purpose.MAPPING:
            powers[d["target"]] = (int(d["power_pct_mso"]), d["power_pct_rmt"])
        elif kind == kinds.MAP_RESUMED:
            self.history, self.scores = [event_of(e) for e in d["history"]], list(d["scores"])
            for row in d["files"]:
                if row["power_pct_mso"] is not None:
                    powers[row["target"]] = (int(row["power_pct_mso"]), row["power_pct_rmt"])
                self._file(row, powers)
        elif kind in (kinds.MAP_VISITED, kinds.MAP_RESTARTED, kinds.MAP_LOOKED_AT):
            self.history.append(event_of(d))
            if kind == kinds.MAP_RESTARTED:
                self.files.pop(d["target"], None)
        elif kind == kinds.TARGETS_MATCHED:
            self.scores = list(d["scores"])
        elif kind == kinds.VISIT_KEPT and d["file"]:
            self._file(d, powers)
        elif kind in ("trial_taken_out", "trial_reinstated") and d["block"] == "run":
            for kept in self.files.get(d["target"], ()):
                (kept.out.add if kind == "trial_taken_out" else kept.out.discard)(int(d["trial_id"]))

    def _file(self, d: Mapping[str, Any], powers: Mapping[str, tuple[int, float | None]]) -> None:
        target = str(d["target"])
        kept = KeptFile(
            target=target, file=str(d["file"]), sha256=str(d["sha256"]), visits=visits_of(self.history, target),
            power=powers.get(target),
        )  # fmt: skip
        self.files.setdefault(target, []).append(kept)

    def unlike(self, now: Mapping[str, Any]) -> str:
        """Why its trials are not those of a run that starts like ``now`` (``session_started``), or ""."""
        was = self.started
        for name, of in ALIKE.items():
            if was.get(name) != now.get(name):
                return f"the {of} was or were not the same"
        chains = ({k: v for k, v in d["chain"].items() if k not in FITTED} for d in (was, now))
        return "" if len({repr(sorted(c.items())) for c in chains}) == 1 else "the cleaning was not the same"


def visits_of(history: Sequence[Entry], target: str) -> int:
    """Visits of a target since its last restart."""
    n = 0
    for event in history:
        if not isinstance(event, Look) and event.target == target:
            n = 0 if isinstance(event, Restart) else n + 1
    return n


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a run takes over: the history with the visits whose trials are there, those trials, and what to say of the rest."""

    history: tuple[Entry, ...] = ()
    carried: Mapping[str, Carried] = field(default_factory=dict)
    powers: Mapping[str, tuple[int, float | None]] = field(default_factory=dict)
    rows: tuple[dict[str, Any], ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """For people; names no score."""
        there = ", ".join(f"{r['target']} ({r['n_trials']} accepted trials)" for r in self.rows)
        parts = [f"the map goes on with what the run before recorded: {there}" if there else
                 "the map has nothing of the run before to go on with"]  # fmt: skip
        return "; ".join([*parts, *self.lost])


def taken_over(earlier: Earlier, now: Mapping[str, Any], *, over: bool, n_channels: int) -> Taken:
    """Read what an earlier run left. ``over``: its map had its answer; then no trial is needed."""
    if why := earlier.unlike(now):
        return Taken(lost=(f"every visit is made again, for {why} in the run before",))
    if over:
        return Taken(history=tuple(earlier.history))
    history, carried, powers, rows, lost = list(earlier.history), {}, {}, [], []
    for target in dict.fromkeys(e.target for e in history if isinstance(e, Visit)):
        want, covered = visits_of(history, target), 0
        for kept in reversed(earlier.files.get(target, ())):
            try:
                trials, left_out = _read(earlier.folder, kept, n_channels)
            except IntegrityProblem as err:
                lost.append("; ".join(w for w in (f"{target}: {err.what}", err.found) if w))
                continue
            covered, carried[target] = kept.visits, trials
            if kept.power is not None:
                powers[target] = kept.power
            mso, rmt = kept.power or (None, None)
            rows.append({
                "target": target, "n_trials": trials.n, "power_pct_mso": mso, "power_pct_rmt": rmt, "from_file": kept.file,
                "from_sha256": kept.sha256, "left_out": left_out,
            })  # fmt: skip
            break
        if covered < want:
            lost.append(
                f"{target}: {want - covered} visit(s) whose trials are not whole on the disk are made again"
            )
            history = _without_last(history, target, want - covered)
    return Taken(history=tuple(history), carried=carried, powers=powers, rows=tuple(rows), lost=tuple(lost))


def _without_last(history: Sequence[Entry], target: str, n: int) -> list[Entry]:
    """The history without the last ``n`` visits of a target."""
    out = list(history)
    for i in range(len(out) - 1, -1, -1):
        event = out[i]
        if n and isinstance(event, Visit) and event.target == target:
            del out[i]
            n -= 1
    return out


def _read(folder: SessionFolder, kept: KeptFile, n_channels: int) -> tuple[Carried, list[int]]:
    """The trials of a file that count still, and the ids of those that do not any more."""
    arrays = read_kept(folder.path / kept.file, kept.sha256)
    carried = carried_of(arrays, n_channels)
    out = np.isin(arrays["ids"], sorted(kept.out))
    if not out.any():
        return carried, []
    planes = {name: np.ascontiguousarray(arrays[name][~out]) for name in PLANES}
    return Carried(**planes), [int(i) for i in arrays["ids"][out]]


def carried_of(arrays: Mapping[str, Any], n_channels: int) -> Carried:
    """The trials that a file holds. IntegrityProblem where it is another kind of file."""
    shapes = {name: arrays[name].shape if name in arrays else None for name in (*PLANES, "ids")}
    shape = shapes["re"]
    if shape is None or len(shape) != 3 or shape[1] != n_channels or any(
        shapes[k] != want for k, want in (*((p, shape) for p in PLANES[:4]), ("good", shape[:2]), ("ids", shape[:1]))
    ):  # fmt: skip
        raise IntegrityProblem(
            "a file holds no trials of this map", expected=f"{n_channels} channels", found=str(shapes)
        )
    return Carried(**{name: arrays[name] for name in PLANES})


class Keeper:
    """Writes the trials of a mapping's targets into a session's folder."""

    def __init__(self, folder: SessionFolder, line: SignalLine, ongoing: Ongoing) -> None:
        self._folder, self._line, self._ongoing = folder, line, ongoing
        self._files = 0

    def keep(self, target: str) -> dict[str, Any]:
        """Data of ``visit_kept``. A disk that does not take it ends no session: the reason stands in ``why_absent``."""
        key, scorer = key_of(target, "run"), self._line.scorer(target, "run")
        try:
            signal = self._ongoing.signal(key, scorer)
            ids = [NO_ID] * self._ongoing.n_carried(key) + scorer.connectivity.slots.ids()
            arrays = {name: getattr(signal, name) for name in PLANES} | {"ids": np.array(ids, np.int64)}
            return {"target": target, "n_trials": signal.n, "why_absent": "", **self._write(arrays)}
        except Exception as err:  # whatever it is, the trials in memory are not touched
            why = f"a run that resumes this session will visit {target} again: {type(err).__name__}: {err}"
            return {"target": target, "n_trials": 0, "file": "", "sha256": "", "bytes": 0, "why_absent": why}

    def take(self, taken: Taken) -> list[dict[str, Any]]:
        """Copy what is taken over into this folder and count it here; rows of ``map_resumed``. IntegrityProblem: no room."""
        rows = []
        for row in taken.rows:
            trials = taken.carried[row["target"]]
            arrays = {name: getattr(trials, name) for name in PLANES}
            rows.append({**row, **self._write(arrays | {"ids": np.full(trials.n, NO_ID, np.int64)})})
            self._ongoing.carried[key_of(row["target"], "run")] = trials
        return rows

    def _write(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        self._files += 1
        path = self._folder.map_trials(self._files)
        sha256, size = waited(lambda: write_kept(path, arrays), self._line.meanwhile)
        return {"file": path.name, "sha256": sha256, "bytes": size}


def waited(work: Callable[[], T], meanwhile: Callable[[], None]) -> T:
    """Let ``work`` run beside, and show meanwhile that the caller lives: a slow disk is no frozen loop."""
    made: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            made.append(work())
        except BaseException as err:
            failed.append(err)

    thread = threading.Thread(target=run, name="rtloop-keeper", daemon=True)
    thread.start()
    for _ in range(LONGEST_WAITS):
        thread.join(WAIT_S)
        meanwhile()
        if not thread.is_alive():
            break
    if failed:
        raise failed[0]
    if not made:
        raise IntegrityProblem(
            "the disk did not take the trials of a visit", expected=f"within {WAIT_S * LONGEST_WAITS:g} s"
        )
    return made[0]
