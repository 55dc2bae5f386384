"""Owns ``rtloop doctor``: whether this machine is fit, each finding with what to do; changes nothing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtloop.clock import WALL

if TYPE_CHECKING:
    from rtloop.app.config import Site

OK, NOTE, BAD = "ok", "note", "BAD"


def examine(site: Path | None) -> tuple[str, dict[str, Any], int]:
    """Run every check; exit 4 when something needed is missing."""
    from rtloop.app.config import load_site

    settings = load_site(site)
    found = [
        _python(), _packages(), _clock(), _lsl(), _compiler_cache(), _disk(Path(settings.data_dir)), *_limits(settings),
        _commissioning(settings), _delay(settings), _port_place(), _scratch(), _recordings(), _qt(),
    ]  # fmt: skip
    lines = [f"[{level:4s}] {name}: {words}" for level, name, words in found]
    code = 4 if any(level == BAD for level, _, _ in found) else 0
    lines.append("fit" if code == 0 else "NOT fit: see the lines marked BAD")
    return "\n".join(lines), {"checks": [{"level": a, "name": b, "words": c} for a, b, c in found]}, code


def _python() -> tuple[str, str, str]:
    words = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    tested = platform.system() == "Linux"
    return (OK if tested else NOTE), "python", words + ("" if tested else "; only Linux is tested")


def _packages() -> tuple[str, str, str]:
    owners = importlib.metadata.packages_distributions()
    foreign = {
        n: owners[n]
        for n in ("rtloop", "drivers", "gui", "hardware_sim")
        if set(owners.get(n, ["rtloop"])) != {"rtloop"}
    }
    if foreign:
        return BAD, "packages", f"names also shipped by others: {foreign}; remove the other distribution"
    return (
        OK,
        "packages",
        f"rtloop {importlib.metadata.version('rtloop')}; its four package names are its own",
    )


def _clock() -> tuple[str, str, str]:
    from rtloop.eeg.lsl import clock_difference_s

    worst_s = abs(clock_difference_s())
    words = f"the monotonic clock and LSL's clock differ by {worst_s * 1e6:.0f} µs"
    return (
        (OK if worst_s < 1e-3 else BAD),
        "clock",
        words + ("" if worst_s < 1e-3 else "; expected < 1000 µs"),
    )


def _lsl() -> tuple[str, str, str]:
    from rtloop.eeg.lsl import library_words

    try:
        return OK, "LSL", library_words()
    except Exception as err:
        return BAD, "LSL", f"liblsl cannot be loaded ({err}); its Linux wheel needs x86_64 and glibc >= 2.35"


def _compiler_cache() -> tuple[str, str, str]:
    t0_s = WALL.now_s()
    import rtloop.session.scorer  # noqa: F401  (its kernels compile or load at import)

    took_s = WALL.now_s() - t0_s
    hint = "" if took_s < 5 else "; the first time compiles, later ones load from the cache"
    return OK, "kernels", f"ready after {took_s:.1f} s{hint}"


def _disk(data_dir: Path) -> tuple[str, str, str]:
    place = data_dir
    while not place.exists():
        if place == place.parent:  # a drive that is not there
            return BAD, "disk", f"{data_dir} is on no disk of this computer; set data_dir in the site file"
        place = place.parent
    free_gb = shutil.disk_usage(place).free / 1e9
    if not os.access(place, os.W_OK):
        return BAD, "disk", f"{data_dir} cannot be written; set data_dir in the site file"
    words = f"{free_gb:.0f} GB free at {data_dir} (64 channels at 5 kHz take 4.6 GB an hour)"
    return (OK if free_gb > 10 else NOTE), "disk", words


def _limits(site: Site) -> list[tuple[str, str, str]]:
    names = site.limits().unverified
    if not names:
        return [(OK, "limits", "every limit was checked against its source by this site")]
    return [
        (
            NOTE,
            "limits",
            f"{len(names)} limits were typed from memory and verified by nobody: {', '.join(names[:4])} ...",
        )
    ]


def _commissioning(site: Site) -> tuple[str, str, str]:
    from rtloop.app.commissioned import covered

    if site.unit.port is None:
        return NOTE, "commissioning", "no unit is named: nothing can be covered; mode HUMAN refuses"
    found = covered(site)
    words = found.words if found.ok else f"mode HUMAN refuses: {found.words}"
    return (OK if found.ok else NOTE), "commissioning", words


def _delay(site: Site) -> tuple[str, str, str]:
    from rtloop.app.commissioned import covered
    from rtloop.app.opening import band_of
    from rtloop.session.loopback import band_words

    found = None if site.unit.port is None else covered(site)
    band = band_of(site, found.record if found is not None and found.ok else None)
    words = f"fire command to EEG: {band_words(band.data())}"
    if band.expected_s is None:
        return (
            NOTE,
            "delay",
            f"{words}. rtloop commission measures it; or set [loopback] expected_ms in the site file",
        )
    return OK, "delay", words


def _port_place() -> tuple[str, str, str]:
    from rtloop.priority import why_not_first

    why = why_not_first()
    return (NOTE, "port process", why) if why else (OK, "port process", "goes before all ordinary programs")


def _recordings() -> tuple[str, str, str]:
    if importlib.util.find_spec("mne") is None:
        return NOTE, "recordings", "EDF, BrainVision, EEGLAB, FIF need: pip install 'rtloop[recordings]'"
    return OK, "recordings", f"mne {importlib.metadata.version('mne')}"


def _qt() -> tuple[str, str, str]:
    from rtloop.app.qt import words

    fit, told = words()
    return (OK if fit else NOTE), "window", told


def _scratch() -> tuple[str, str, str]:
    try:
        with tempfile.NamedTemporaryFile(prefix="rtloop-") as file:
            return (
                OK,
                "scratch",
                f"temporary files can be made beside {file.name} (the lock of a unit's port lives there)",
            )
    except OSError as err:
        return BAD, "scratch", f"no temporary file can be made: {err}"
