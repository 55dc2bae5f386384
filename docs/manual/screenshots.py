"""Makes the pictures of the operator's manual from simulated sessions at the real window.

python docs/manual/screenshots.py [--all] [FOLDER]

About six minutes. It presses the real buttons of the real window with a real engine; without arguments the pictures land
beside this file. ``--all`` makes every screen in both themes (for judging the layout, not committed).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from gui_walk import Walker  # noqa: E402
from PySide6.QtCore import QCoreApplication  # noqa: E402

from gui.desk import Form  # noqa: E402

SIZE = (1920, 1080)
#: the pictures that the manual shows; ``--all`` makes all
IN_THE_MANUAL = (
    "start-light", "preview-light", "mapping-light", "mapping-dark", "stream-lost-light", "result-light", "review-light",
    "listen-light", "settings-light", "treatment-light",
)  # fmt: skip


class Pictures:
    """Takes the window's picture in both themes, keeps those that are wanted."""

    def __init__(self, folder: Path, everything: bool) -> None:
        self._folder, self._everything = folder, everything

    def take(self, walker: Walker, name: str) -> None:
        """Grab the window as it stands, light and dark."""
        window = walker.window
        for theme in ("dark", "light"):
            if not self._everything and f"{name}-{theme}" not in IN_THE_MANUAL:
                continue
            window.choose_theme(theme)
            walker.rest(1.2)
            QCoreApplication.sendPostedEvents()  # what the last look changed has its new room
            window.grab().save(str(self._folder / f"{name}-{theme}.png"))
            print(f"{name}-{theme}.png", flush=True)
        window.choose_theme("light")


def form(folder: Path, **changes: object) -> Form:
    """The start screen's fields of a simulated session of 63 channels at 5 kHz."""
    fields = {
        "kind": "map",
        "plan": "bedside",
        "participant": "P017",
        "mode": "SIMULATED",
        "simulate": True,
        "scene": "default",
    }
    return Form(**{**fields, "data_dir": str(folder / "data"), **changes})  # type: ignore[arg-type]


def until_pulses(w: Walker, n: int, within_s: float = 120.0) -> None:
    """Until so many trials of the run were accepted; what a stall of this computer disarmed is armed again."""
    for _ in range(round(within_s)):
        if (
            w.shown.unit.lamp == "ARMED"
            and sum(t.accepted and "/" not in t.block for t in w.shown.trials) >= n
        ):
            return
        if w.phase == "arm" and w.enabled("arm"):
            w.arm()
        w.rest(1.0)
    raise w.trouble(f"not {n} pulses within {within_s:g} s")


def mapping(folder: Path, pictures: Pictures) -> None:
    """From the start screen to the review of one target's block, with a stream that is lost on the way."""
    w = Walker(folder, form(folder), size=SIZE)
    try:
        w.until(lambda: w.window.screen("start").start.isEnabled(), "start is possible", 40.0)
        pictures.take(w, "start")
        w.start()
        pictures.take(w, "place")
        w.say("placed")
        w.until_phase("arm")
        pictures.take(w, "arm")
        w.through("go", within_s=120.0)
        pictures.take(w, "preview")
        w.say("go")
        w.arm()
        until_pulses(w, 12)
        pictures.take(w, "mapping")
        w.inject("die")
        w.until_says("lost", within_s=10.0)
        w.rest(3.0)
        pictures.take(w, "stream-lost")
        w.inject("return")
        w.rest(2.0)
        w.say("reconnect")
        w.until_phase("arm", within_s=30.0)
        w.through("review", within_s=120.0)
        w.say("accept")
        w.until_phase("place")
        w.end()
        w.until_report()
        pictures.take(w, "result")
        w.go("settings")
        pictures.take(w, "settings")
        w.go("review")
        w.rest(2.0)
        pictures.take(w, "sessions")
        w.window.screen("review").open_path(w.folder.path)
        w.until(lambda: w.window.here == "reviewed", "the review is open", 120.0)
        w.rest(3.0)
        pictures.take(w, "review")
    finally:
        w.close()


def listening(folder: Path, pictures: Pictures) -> None:
    """A listen-only session with ten pulses of somebody else's stimulator."""
    w = Walker(folder, form(folder, kind="watch", plan="watch"), size=SIZE)
    try:
        w.start()
        w.until(lambda: len(w.shown.trials) >= 10, "ten trials", 60.0)
        w.rest(1.0)
        pictures.take(w, "listen")
        w.end()
    finally:
        w.close()


def probing(folder: Path, pictures: Pictures) -> None:
    """A probe of M1, some pulses into its run."""
    w = Walker(folder, form(folder, kind="probe", plan="probe-m1-quick"), size=SIZE)
    try:
        w.start()
        w.say("placed")
        w.through("go", within_s=60.0)
        w.say("go")
        until_pulses(w, 6)
        pictures.take(w, "probe")
        w.end()
    finally:
        w.close()


def treating(folder: Path, pictures: Pictures) -> None:
    """A treatment in the pause before its second train."""
    w = Walker(folder, form(folder, kind="treat", plan="treat-quick", by="Ola Berg"), size=SIZE)
    try:
        w.start()
        pictures.take(w, "checklist")
        for _ in range(40):
            live = w.window.live
            if (
                w.phase != "before"
                or live is None
                or (w.shown.treatment and w.shown.treatment.field == "name")
            ):
                break
            words = w.shown.question.words
            w.say(live.source.view.treatment.expected)
            w.until(lambda words=words: w.shown.question.words != words, "the next question", 5.0)
        w.say("sign")
        w.through("pause", within_s=60.0)
        w.until(lambda: w.shown.treatment and w.shown.treatment.trains, "the first train", 30.0)
        w.until(lambda: w.phase == "pause" and w.shown.treatment.share, "the pause after it", 30.0)
        pictures.take(w, "treatment")
        w.say("stop")
        w.until_phase("after")
        w.say("stop")
        w.until_report()
    finally:
        w.close()


def main(arguments: list[str]) -> None:
    """Make the pictures."""
    everything = "--all" in arguments
    where = [a for a in arguments if not a.startswith("--")]
    folder = Path(where[0]) if where else HERE
    folder.mkdir(parents=True, exist_ok=True)
    pictures = Pictures(folder, everything)
    for session in (mapping, listening, treating, *((probing,) if everything else ())):
        with tempfile.TemporaryDirectory(prefix="rtloop-pictures-") as scratch:
            session(Path(scratch), pictures)


if __name__ == "__main__":
    main(sys.argv[1:])
