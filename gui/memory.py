"""Owns what the window remembers between its starts: theme, scale, size, splitters, tabs, latencies; owns no widget.

One JSON file in the user's configuration folder, replaced whole. A file that cannot be used is ignored, and that is said.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

FILE_NAME = "window.json"
FORM = 1
SCALES = (0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What is remembered. ``splitters``: name -> sizes in pixels; ``tabs``: name -> chosen tab."""

    theme: str = "light"
    scale: float = 1.0
    size: tuple[int, int] = (0, 0)  # pixels; (0, 0): as the screen allows
    maximized: bool = False
    splitters: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    tabs: Mapping[str, str] = field(default_factory=dict)
    latencies_ms: tuple[float, ...] = ()

    def with_splitter(self, name: str, sizes: list[int]) -> Memory:
        return replace(self, splitters={**self.splitters, name: tuple(sizes)})

    def with_tab(self, name: str, tab: str) -> Memory:
        return replace(self, tabs={**self.tabs, name: tab})

    def scaled(self, step: int) -> Memory:
        """The next bigger (+1) or smaller (-1) scale; 0: the usual one."""
        if step == 0:
            return replace(self, scale=1.0)
        wanted = [s for s in SCALES if (s > self.scale + 1e-6 if step > 0 else s < self.scale - 1e-6)]
        return replace(self, scale=wanted[0 if step > 0 else -1]) if wanted else self


def load(folder: Path) -> tuple[Memory, str]:
    """What was remembered, and why not (empty when all is well or nothing was remembered yet)."""
    path = folder / FILE_NAME
    try:
        return _from(json.loads(path.read_bytes())), ""
    except FileNotFoundError:
        return Memory(), ""
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as err:
        return Memory(), f"the remembered layout {path} cannot be used and is ignored: {err}"


def save(folder: Path, memory: Memory) -> str:
    """Remember it (atomic replace); returns why not, or an empty string."""
    path = folder / FILE_NAME
    fresh = path.with_name(f".{FILE_NAME}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh.write_text(
            json.dumps({"form": FORM, **asdict(memory)}, indent=1, sort_keys=True), encoding="utf-8"
        )
        fresh.replace(path)
    except OSError as err:
        return f"the layout of the window cannot be remembered in {path}: {err}"
    return ""


def _from(data: Any) -> Memory:
    """Every field checked; ValueError tells the first that is wrong."""
    if not isinstance(data, dict) or data.get("form") != FORM:
        raise ValueError(f"not a layout of form {FORM}")
    theme, scale, size = data["theme"], data["scale"], data["size"]
    if theme not in ("light", "dark"):
        raise ValueError(f"theme {theme!r}")
    if not _number(scale) or not SCALES[0] <= scale <= SCALES[-1]:
        raise ValueError(f"scale {scale!r}")
    width, height = _whole(size, "size")
    return Memory(
        theme=theme,
        scale=float(scale),
        size=(width, height),
        maximized=data["maximized"] is True,
        splitters={str(k): _whole(v, f"splitter {k}") for k, v in dict(data["splitters"]).items()},
        tabs={str(k): str(v) for k, v in dict(data["tabs"]).items()},
        latencies_ms=tuple(_finite(v) for v in data["latencies_ms"]),
    )


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _finite(value: object) -> float:
    if not _number(value):
        raise ValueError(f"latency {value!r}")
    return float(value)  # type: ignore[arg-type]


def _whole(values: object, name: str) -> tuple[int, ...]:
    if not isinstance(values, list) or not all(type(v) is int and 0 <= v < 100_000 for v in values):
        raise ValueError(f"{name} {values!r}")
    return tuple(values)
