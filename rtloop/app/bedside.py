"""Owns ``rtloop gui``: the check of Qt before Qt is touched, the form from the options, and the desk; draws nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gui.desk import Form
from rtloop.app import qt
from rtloop.errors import UsageProblem

KINDS, THEMES, ROLES = ("map", "probe", "watch", "treat"), ("", "light", "dark"), ("operator", "unblinded")


@dataclass(frozen=True, kw_only=True)
class GuiRequest:
    """What the command line asks for."""

    attach: Path | None = None
    review: Path | None = None
    theme: str = ""
    role: str = "operator"
    kind: str = "map"
    plan: str | None = None
    simulate: bool = False
    stream: str | None = None
    source_id: str | None = None
    markers: str | None = None
    unit: str | None = None
    port: str | None = None
    mode: str | None = None
    participant: str | None = None
    data_dir: Path | None = None
    background: Path | None = None
    scene: str = "default"
    seed: int = 1
    channels: int = 63
    rate_hz: float = 5000.0
    faults: Path | None = None
    waivers: Path | None = None
    site: Path | None = None


def open_window(request: GuiRequest) -> int:
    """Show the window until it is closed; NotReady before Qt is imported where no window can open."""
    _refuse_nonsense(request)
    qt.check()
    os.environ["PYQTGRAPH_QT_LIB"] = "PySide6"
    from rtloop.app.window import AppDesk

    desk = AppDesk(request.site)
    form = form_of(request)
    if request.data_dir is not None:
        desk.look_in(request.data_dir)
    desk.settings()  # a broken site file is told here, in words, before a window opens
    from gui.app import run

    return run(
        desk, theme=request.theme, role=request.role, form=form, attach=request.attach, review=request.review
    )


def form_of(r: GuiRequest) -> Form:
    """The start screen as the options fill it in."""
    return Form(
        kind=r.kind, plan=r.plan or "", participant=r.participant or "", mode=(r.mode or "").upper(), stream=r.stream or "",
        source_id=r.source_id or "", unit=r.unit or "", port=r.port or "", markers=r.markers or "",
        data_dir=str(r.data_dir or ""), simulate=r.simulate, scene=r.scene if r.scene != "default" else "",
        seed=r.seed, channels=r.channels, rate_hz=r.rate_hz, background=str(r.background or ""), faults=str(r.faults or ""),
        waivers=str(r.waivers or ""),
    )  # fmt: skip


def _refuse_nonsense(r: GuiRequest) -> None:
    for name, value, known in (
        ("--kind", r.kind, KINDS),
        ("--theme", r.theme, THEMES),
        ("--role", r.role, ROLES),
    ):
        if value not in known:
            expected = " or ".join(k for k in known if k)
            raise UsageProblem(f"{name} {value} is not known", expected=expected, found=value)
    if r.attach is not None and r.review is not None:
        raise UsageProblem("one window joins or reviews", expected="--attach or --review", found="both")
    if r.attach is not None and not (r.attach / "journal.jsonl").is_file():
        raise UsageProblem(
            "--attach names no session folder", expected="a folder with journal.jsonl", found=str(r.attach),
            todo="name the folder that the session printed, or leave it out: the window finds what runs",
        )  # fmt: skip
    if r.review is not None and not r.review.exists():
        raise UsageProblem(
            "--review names nothing", expected="a session folder or a recording", found=str(r.review)
        )
    if r.mode is not None and r.mode.upper() not in ("SIMULATED", "BENCH", "HUMAN"):
        raise UsageProblem(f"no mode {r.mode}", expected="simulated, bench or human", found=r.mode)
