"""A real journal made once, folded prefix by prefix, and looks at it: ground for the tests of what is on the screen."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from session_tools import hold_tiny, tiny

from gui.live import Live
from gui.shown import Button, Session
from gui.state import Choice, session_shown
from rtloop.model.event import Event
from rtloop.model.view import View, fold

STANDBY, ARMED = 0b10001001, 0b10001110  # standby, coil, remote; armed, ready, coil, remote
TARGETS = ("M1", "DLPFC")
#: what the engine itself took as LOCAL, by target; filled with the journal
LOCAL: dict[str, tuple[str, ...]] = {}


@functools.cache
def journal() -> tuple[tuple[Event, ...], Path]:
    """Events of a simulated mapping of two targets (4 accepted pulses each), and the session's folder."""
    folder = Path(tempfile.mkdtemp(prefix="rtloop-gui-state-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    held = hold_tiny(folder, plan=tiny(*TARGETS))
    line = held.sitting.line
    LOCAL.update(
        {t: tuple(line.montage.names[i] for i in line.scorer(t, "run").local_channels) for t in TARGETS}
    )
    return held.events, held.folder.path


@functools.cache
def views() -> tuple[View, ...]:
    """The view after each event."""
    made, view = [], View()
    for event in journal()[0]:
        view = fold(view, event)
        made.append(view)
    return tuple(made)


def at(kind: str, nth: int = 0, **data: Any) -> tuple[View, Live]:
    """View and look just after the nth event of a kind whose data hold the given values."""
    found = [
        i
        for i, e in enumerate(journal()[0])
        if e.kind == kind and all(e.data.get(k) == v for k, v in data.items())
    ]
    i = found[nth]
    return views()[i], live(views()[i], journal()[0][i].t_s + 0.05)


def live(view: View, now_s: float, **more: Any) -> Live:
    """A look at a healthy line: engine, unit and stream as the view believes them."""
    armed = view.lamp in ("ARMED", "HELD")
    return replace(
        Live(
            now_s=now_s, engine_age_s=0.002, engine_lives=True, board_seen=True, port_age_s=0.01, recorder_age_s=0.02,
            unit_instr=ARMED if armed else STANDBY, unit_age_s=0.2, unit_same_s=5.0, unit_power_pct_mso=45, unit_temp_c=22.04,
            port_state=1, stream_rate_hz=1000.0, stream_age_s=0.004, clock_residual_s=1e-4, stream_ok=True,
            next_due_s=now_s + 1.25, seat="ours",
        ),
        **more,
    )  # fmt: skip


def shown(view: View, look: Live, **choice: Any) -> Session:
    """The screen."""
    return session_shown(view, look, Choice(**choice))


def buttons(screen: Session) -> dict[str, Button]:
    """Buttons of the question and those that are always there, by word."""
    return {b.word: b for b in (*screen.question.buttons, *screen.always)}


def told(view: View, kind: str, t_s: float, /, **data: Any) -> View:
    """The view after one more event."""
    return fold(
        view, Event(n=view.n_events, t_s=t_s, utc="2026-11-22T10:00:00.000+00:00", kind=kind, data=data)
    )
