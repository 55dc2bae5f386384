"""Owns finding a participant's motor thresholds in a data folder; owns neither their file nor whether one may be used."""

from __future__ import annotations

from pathlib import Path

from rtloop.errors import RtloopError
from rtloop.model.status import Mode
from rtloop.model.threshold import Threshold
from rtloop.record.thresholds import FILE_NAME, read_threshold

#: newest ones that are offered
OFFERED = 8


def thresholds_of(data_dir: Path, participant: str, *, simulated: bool) -> tuple[tuple[Path, Threshold], ...]:
    """Files of this participant's thresholds, newest first; simulated ones apart from those of persons.

    One that cannot be trusted is left out here: whoever names its path is told why.
    """
    found = []
    for file in data_dir.glob(f"*/{FILE_NAME}"):
        try:
            threshold, _ = read_threshold(file)
        except RtloopError:
            continue
        if threshold.participant == participant and (threshold.mode is Mode.SIMULATED) is simulated:
            found.append((file, threshold))
    return tuple(sorted(found, key=lambda pair: pair[1].made_utc, reverse=True)[:OFFERED])
