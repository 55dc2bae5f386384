"""Owns what headers of BrainVision and EDF say and mne does not tell: torn samples, channels of bad intervals, slower channels.

It owns no samples and no judgement.
"""

from __future__ import annotations

import re
from pathlib import Path

#: EDF: 256 bytes, then for all signals label 16, transducer 80, unit 8, two pairs of limits 32, filters 80, samples a record 8
_EDF_HEAD, _EDF_LABEL, _EDF_COUNTS = 256, 16, 16 + 80 + 8 + 32 + 80
_EDF_TEXTS = ("edf annotations", "bdf annotations")


def _keys(path: Path) -> dict[str, str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    return {k.lower(): v.strip() for k, v in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)}


def brainvision_torn(path: Path, n_samples: int) -> tuple[str, ...]:
    """What the header promises of the samples' file and the file does not hold, in words."""
    said = _keys(path)
    width = {"int_16": 2, "int_32": 4, "ieee_float_32": 4}.get(said.get("binaryformat", "").lower(), 0)
    file = path.parent / said.get("datafile", "").replace("$b", path.stem)
    frame = width * int(said["numberofchannels"]) if said.get("numberofchannels", "").isdecimal() else 0
    words = []
    if frame and file.is_file() and (left := file.stat().st_size % frame):
        words.append(f"{file.name} is torn: its last {left} bytes are no whole sample of all channels")
    points = said.get("datapoints", "")
    if points.isdecimal() and int(points) > n_samples:
        words.append(f"{file.name} is torn: its header promises {points} samples, it holds {n_samples}")
    return tuple(words)


def brainvision_bad_of_channels(path: Path) -> dict[tuple[int, int], set[int]]:
    """(first sample, number of samples) of a "Bad Interval" that is marked for single channels alone -> their rows from 0.

    A marker reads ``Mk<i>=<type>,<description>,<first sample from 1>,<samples>,<channel from 1; 0: all>``.
    """
    said = _keys(path)
    file = path.parent / said.get("markerfile", "").replace("$b", path.stem)
    if not file.is_file():
        return {}
    out: dict[tuple[int, int], set[int]] = {}
    of_all = set()
    for row in re.findall(r"^Mk\d+=(.*)$", file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
        cells = [cell.strip() for cell in row.split(",")]
        if (
            not cells[0].lower().startswith("bad")
            or len(cells) < 5
            or not all(c.isdecimal() for c in cells[2:5])
        ):
            continue
        at = int(cells[2]) - 1, int(cells[3])
        if int(cells[4]):
            out.setdefault(at, set()).add(int(cells[4]) - 1)
        else:
            of_all.add(at)
    return {at: rows for at, rows in out.items() if at not in of_all}


def edf_rates(path: Path) -> list[tuple[str, float]]:
    """(label, samples per second) of every signal of an EDF or BDF file, in its order, lists of annotations left out."""
    with path.open("rb") as file:
        head = file.read(_EDF_HEAD)
        n, record_s = int(head[252:256]), float(head[244:252])
        rows = file.read(_EDF_HEAD * n)
    out = []
    for i in range(n):
        label = rows[_EDF_LABEL * i : _EDF_LABEL * (i + 1)].decode("latin-1").strip()
        at = _EDF_COUNTS * n + 8 * i
        if label.lower() not in _EDF_TEXTS and record_s > 0:
            out.append((label, int(rows[at : at + 8]) / record_s))
    return out
