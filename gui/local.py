"""Owns which electrodes are LOCAL to a target's coil, as the session's first record tells; owns no score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gui.kept import kept
from rtloop.model.montage import Montage

#: electrodes nearest the coil, as rtloop.session.scorer takes them (tested to be the same)
LOCAL_COUNT = 4


@kept
def _all(started: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    named = {t: tuple(str(n) for n in names) for t, names in (started.get("local") or {}).items() if names}
    eeg = [
        c for c in started.get("layout") or () if c.get("kind") == "EEG" and c.get("position_m") is not None
    ]
    if not eeg:
        return named
    montage = Montage(
        names=tuple(str(c["name"]) for c in eeg),
        positions_m=np.array([c["position_m"] for c in eeg], dtype=np.float64),
    )
    spots = {t: xyz for t, xyz in (started.get("spots") or {}).items() if xyz is not None}
    near = {
        t: tuple(montage.names[i] for i in montage.nearest(np.array(xyz, dtype=np.float64), LOCAL_COUNT))
        for t, xyz in spots.items()
    }
    return near | named


def local_of(started: Mapping[str, Any], target: str) -> tuple[str, ...]:
    """The electrodes that the plan names for a target, else those nearest its coil; none where the coil's place is not known."""
    return _all(started).get(target, ())
