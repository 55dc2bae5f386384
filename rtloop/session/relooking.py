"""Owns the looks of a recorded mapping, made again from the replayed trials and the recorded history; owns no comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtloop.decide.course import Event as Entry
from rtloop.decide.look import Look
from rtloop.decide.matching import MatchedScore
from rtloop.decide.prescription import Prescription
from rtloop.decide.recorded import event_dict, event_of, score_dict
from rtloop.model.view import key_of
from rtloop.record import kinds
from rtloop.record.folder import SessionFolder
from rtloop.record.kept import read_kept
from rtloop.session.course import look_at
from rtloop.session.keeping import carried_of
from rtloop.session.line import SignalLine
from rtloop.session.ongoing import Ongoing

#: kinds of events that belong to the course of a mapping
OF_A_COURSE = (
    kinds.MAP_VISITED, kinds.MAP_RESTARTED, kinds.TARGETS_MATCHED, kinds.MAP_LOOKED_AT, kinds.MAP_RESUMED, kinds.VISIT_KEPT,
)  # fmt: skip


class Relooking:
    """``fixed``: what the journal says was fixed beforehand (``session_started.decision``); ``folder``: where the trials are
    that the session took over from an earlier run."""

    def __init__(self, line: SignalLine, fixed: Mapping[str, Any], folder: SessionFolder) -> None:
        self._folder = folder
        self._prescription, self._rig = Prescription.from_dict(fixed), dict(fixed["rig"])
        self._line = line
        self._ongoing = line.ongoing = Ongoing()
        self._history: list[Entry] = []
        self._made: tuple[Look, tuple[MatchedScore, ...]] | None = None

    def again(self, kind: str, d: Mapping[str, Any]) -> tuple[Any, Any]:
        """What was recorded and what comes of it now, both as JSON values without lists; equal where nothing is computed."""
        was: Any = d
        now: Any = d
        if kind == kinds.MAP_RESUMED:
            self._resume(d)
        elif kind == kinds.VISIT_KEPT:
            now = dict(d) | ({"n_trials": self._n(d["target"])} if d["file"] else {})
        elif kind == kinds.TARGETS_MATCHED:
            now = {"number": d["number"], "scores": [score_dict(s) for s in self._look(d["number"])[1]]}
        else:
            if kind == kinds.MAP_LOOKED_AT:
                now, self._made = event_dict(self._look(d["number"])[0]), None
            self._history.append(event_of(d))
        return _plain(was), _plain(now)

    def _resume(self, d: Mapping[str, Any]) -> None:
        """Take the same trials over; IntegrityProblem where they are not the recorded ones."""
        self._history = [event_of(e) for e in d["history"]]
        for row in d["files"]:
            arrays = read_kept(self._folder.path / row["file"], row["sha256"])
            key = key_of(row["target"], "run")
            self._ongoing.carried[key] = carried_of(arrays, self._line.montage.n_channels)

    def _n(self, target: str) -> int:
        key = key_of(target, "run")
        return self._line.scorer(target, "run").n_accepted + self._ongoing.n_carried(key)

    def _look(self, number: int) -> tuple[Look, tuple[MatchedScore, ...]]:
        if self._made is None:
            self._made = look_at(
                self._line, self._ongoing, self._prescription, self._history, number, self._rig
            )
        return self._made


def _plain(value: Any) -> Any:
    """Lists as mappings from place to value, so that numbers in them are compared as numbers are elsewhere."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return {str(i): _plain(v) for i, v in enumerate(value)} | {"length": len(value)}
    return value
