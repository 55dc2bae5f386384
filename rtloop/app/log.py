"""Owns the developers' log: what the program did, never whom it was done to; owns no record (that is the journal).

One rotating file per data directory, ``rtloop.log``. It holds versions, run ids, modes, plan hashes, exit codes and tracebacks;
no participant code, no EEG, no score. ``RTLOOP_LOG=debug`` adds the kind of every event.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import platform
from pathlib import Path

from rtloop import __version__
from rtloop.model.event import Event

LOGGER = logging.getLogger("rtloop")
FILE = "rtloop.log"


def open_log(data_dir: Path) -> logging.Handler | None:
    """Write to the data directory's log from now on; None (and no failure) where that is not possible."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            data_dir / FILE, maxBytes=1_000_000, backupCount=3, encoding="utf-8", delay=True
        )
    except OSError:
        return None
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG if os.environ.get("RTLOOP_LOG", "").lower() == "debug" else logging.INFO)
    LOGGER.propagate = False
    LOGGER.info("rtloop %s, Python %s on %s", __version__, platform.python_version(), platform.platform())
    return handler


def close_log(handler: logging.Handler | None) -> None:
    """End what ``open_log`` began."""
    if handler is not None:
        LOGGER.removeHandler(handler)
        handler.close()


def log_event(event: Event) -> None:
    """The kind of an event and, for faults, which one: never its other data."""
    if event.kind in ("fault_raised", "fault_cleared"):
        LOGGER.info("%d %s %s", event.n, event.kind, event.data.get("fault"))
    else:
        LOGGER.debug("%d %s", event.n, event.kind)
