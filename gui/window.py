"""Owns the one window: frame, screens, joining and leaving sessions, presence, STOP; owns no session and no panel.

Everything that asks is a page or a side sheet inside it, so that nothing ever covers the STOP.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from PySide6.QtGui import QCloseEvent, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QApplication, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from gui import memory as remembered
from gui.desk import Desk, Opened, Started
from gui.frame import Lamp, StatusLine, StopPlace, Stripe
from gui.keys import EscapeFirst
from gui.looks import font, palette
from gui.nav import NAMES, NavBar
from gui.place import OF_TREATMENT, Parts, Place, kind_of, plain_of
from gui.sheets import CloseSheet, EmergencySheet
from gui.shown import Line, Session, Status, Tone
from gui.tempo import Tempo, timer
from gui.theme import THEMES, stylesheet
from gui.told import CANNOT_STOP, Told, did_not_start, stop_elsewhere
from rtloop.clock import WALL
from rtloop.errors import RtloopError

BEAT_MS = 100
NO_SESSION = "no session is open in this window: start or rejoin one on the start screen (Alt+1)"
END_WITHIN_S = 60.0
FULL_HEIGHT_PX, LEAST_FIT = 950, 0.85


class Window(QWidget):
    """The bedside window. ``tick`` looks and draws, ``beat`` shows presence; both from timers of the thread that draws."""

    def __init__(self, desk: Desk, parts: Parts, *, theme: str = "", role: str = "operator") -> None:
        super().__init__()
        self.desk, self.parts, self.role = desk, parts, role
        self.memory, why = remembered.load(desk.config_dir)
        if theme:
            self.memory = replace(self.memory, theme=theme)
        self.live: Place | None = None
        self.reviewed: Place | None = None
        self.left = False
        self._pending: Started | None = None
        self._others = 0  # running sessions that are not open here
        self._next_roll_s = self._end_by_s = 0.0
        self._own = Told()
        self.say_briefly = self._own.briefly
        self._fit = 1.0
        self._told: dict[str, Status | None] = {}
        self._screens: dict[str, Any] = {}
        self._stopped_words = ""
        self._build()
        self.dress()
        self._escape = EscapeFirst(self.stop, self)
        self._escape.install()
        self.tempo = Tempo(self, self.tick, lambda: self.live is not None and self.live.source.waits)
        self.tempo.start()
        self._beat_timer = timer(self, BEAT_MS, self.beat)
        self._beat_timer.start()
        if why:
            self.say_briefly(why, "arrange it again; it is remembered when the window closes")

    # ---- building ----

    def _build(self) -> None:
        self.stripe, self.status, self.lamp, self.stop_place = Stripe(), StatusLine(), Lamp(), StopPlace()
        self.stop_place.asked.connect(self.stop)
        self.stack = QStackedWidget()
        self.sheet = CloseSheet()
        self.sheet.chosen.connect(self._closing)
        self.emergency_sheet = EmergencySheet(
            lambda words: self.live.lock(self.desk, words) if self.live else NO_SESSION
        )
        self.sheet.hide()
        self.nav = NavBar(self)
        self.nav.went.connect(self.go)
        self.nav.themed.connect(self.other_theme)
        self.nav.rescaled.connect(self.rescale)
        QShortcut(QKeySequence("Ctrl+Q"), self).activated.connect(self.close)
        top, middle, box = QHBoxLayout(), QHBoxLayout(), QVBoxLayout(self)
        top.addWidget(self.status, 1)
        top.addWidget(self.lamp)
        top.addWidget(self.stop_place)
        middle.addWidget(self.stack, 1)
        middle.addWidget(self.sheet)
        middle.addWidget(self.emergency_sheet)
        for layout in (top, middle):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(6)
        box.setContentsMargins(6, 0, 6, 4)
        box.setSpacing(4)
        box.addWidget(self.stripe)
        box.addLayout(top)
        box.addLayout(middle, 1)
        box.addWidget(self.nav)
        self.setMinimumSize(1024, 640)
        self.resize(*(self.memory.size if all(self.memory.size) else (1600, 900)))

    def screen(self, name: str) -> Any:
        """The screen of this name, made when first needed; of a treatment its own."""
        name = kind_of(name, {"session": self.live, "reviewed": self.reviewed}.get(name))
        if name not in self._screens:
            screen = self.parts.screen(name, self)
            self._screens[name] = screen
            screen.set_theme(THEMES[self.memory.theme])
            self.stack.addWidget(screen)
            if name == "settings":
                screen.show_choice(self.memory.theme, self.memory.scale)
            if hasattr(screen, "told"):
                screen.told.connect(lambda status, name=name: self._told.__setitem__(name, status))
        return self._screens[name]

    # ---- looks ----

    def dress(self) -> None:
        """Theme and scale on everything; a low window is drawn a little smaller, so that more of it is seen at once."""
        theme, scale = THEMES[self.memory.theme], self.scale
        QApplication.setPalette(palette(theme))  # the application's own: lists and boxes take it from there
        self.setFont(font(scale))
        self.setStyleSheet(stylesheet(theme, scale))
        for part in (self.stripe, self.status, self.lamp, self.stop_place):
            part.dress(theme, scale)
        for screen in self._screens.values():
            screen.set_theme(theme)
        if "settings" in self._screens:
            self._screens["settings"].show_choice(self.memory.theme, self.memory.scale)

    @property
    def scale(self) -> float:
        """Size of letters and fixed heights: as chosen, smaller in a low window."""
        return self.memory.scale * self._fit

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        fit = min(1.0, max(LEAST_FIT, round(self.height() / FULL_HEIGHT_PX * 20) / 20))
        if fit != self._fit:
            self._fit = fit
            self.dress()

    def other_theme(self) -> None:
        self.choose_theme("light" if self.memory.theme == "dark" else "dark")

    def choose_theme(self, name: str) -> None:
        self.memory = replace(self.memory, theme=name)
        self.dress()

    def choose_scale(self, scale: float) -> None:
        self.memory = replace(self.memory, scale=min(remembered.SCALES, key=lambda s: abs(s - scale)))
        self.dress()

    def rescale(self, step: int) -> None:
        self.memory = self.memory.scaled(step)
        self.dress()

    # ---- where one is ----

    @property
    def here(self) -> str:
        """Name of the screen that is shown."""
        current = self.stack.currentWidget()
        return plain_of(next((name for name, screen in self._screens.items() if screen is current), ""))

    def why_not(self, name: str) -> str:
        """Why a screen cannot be shown now; empty when it can."""
        if name == "session" and self.live is None:
            return NO_SESSION
        if name == "start" and self.runs:
            return "a session runs: end it first, then start the next one"
        return ""

    def go(self, name: str) -> None:
        """Show a screen, or say why not."""
        why = self.why_not("review" if name == "reviewed" else name)
        if why:
            self.say_briefly(f"{NAMES[name][0]}: {why}")
        else:
            if name == "review" and self.reviewed is not None and self.here not in ("review", "reviewed"):
                name = "reviewed"
            self.stack.setCurrentWidget(self.screen(name))
        self._draw_frame()

    @property
    def runs(self) -> bool:
        return self.live is not None and not self.live.over

    # ---- sessions ----

    def join(self, folder: Path) -> None:
        """Open a running (or just ended) session in this window."""
        self.screen("session")  # made before the seat is taken: it takes a second
        try:
            source = self.parts.join(folder, True, None)
        except RtloopError as err:
            self.say_briefly(f"cannot join {folder.name}: {err.what}", err.todo, tone=Tone.BAD)
            return
        if self.live is not None:
            self.live.source.close()
        self.live = Place(source, self.parts.choice(self.role), folder)
        self._stopped_words, self._pending = "", None
        for name in self._screens.keys() & {"session", OF_TREATMENT["session"]}:
            self._screens[name].restart()
        self.tick()
        self.go("session")

    def want(self, name: str) -> None:
        """What a session's screen offers once nothing runs there: the start screen, or a review of what was."""
        if name == "look_back" and self.live is not None:
            self.go("review")
            self.screen("review").open_path(self.live.folder)
        else:
            self.go(name)

    def review(self, opened: Opened) -> None:
        """Show an ended session or a recording."""
        try:
            source = self.parts.join(opened.folder, False, opened.pages)
        except RtloopError as err:
            self.say_briefly(f"cannot review {opened.folder.name}: {err.what}", err.todo, tone=Tone.BAD)
            return
        if self.reviewed is not None:
            self.reviewed.source.close()
        self.reviewed = Place(source, self.parts.choice(self.role), opened.folder)
        self.screen("reviewed").restart()
        self.go("reviewed")
        self.tick()

    def await_start(self, started: Started) -> None:
        """An engine was started: join it as soon as its folder is there."""
        self._pending = started

    def begin(self, attach: Path | None = None) -> None:
        """First screen: the session to attach to, the only running one with a free seat, or the start screen."""
        running = [attach] if attach else [f.path for f in self.desk.running() if not self.desk.seat_taken(f)]
        if len(running) == 1:
            self.join(running[0])
        if self.live is None:
            self.go("start")

    def say(self, word: str, args: tuple[str, ...] = ()) -> None:
        """Say a word to the engine of the joined session."""
        if self.live is None:
            self.say_briefly(f"{word}: {NO_SESSION}")
        elif word == "emergency" and not args:
            self.stop()  # first; the lock needs no engine, and the words come when there is time for them
            self.emergency_sheet.ask()
        else:
            self.live.source.say(word, *args)

    def choose(self, **what: Any) -> None:
        """Change what is looked at on the screen that is shown (band, trial_id, block)."""
        place = self.reviewed if self.here == "reviewed" else self.live
        if place is not None:
            place.choice = replace(place.choice, **what)

    # ---- STOP and presence ----

    def stop(self) -> None:
        """STOP: first the request itself, straight to the port process; then the words.

        Asked of the session here even where its engine is gone (the port process may live on), and of all others
        where none runs here.
        """
        reached = self.live is not None and self.live.source.stop()
        if self.runs and not reached:
            self._own.say(CANNOT_STOP)
        if not self.runs and self._others:
            self._stopped_words = "; ".join(self.desk.stop_all())
        self._draw_frame()

    def beat(self) -> None:
        """The operator's window is there, and its thread that draws is not stuck."""
        if self.runs:
            assert self.live is not None
            self.live.source.beat()

    # ---- drawing ----

    def tick(self) -> None:
        """Look at the sessions and show what is new."""
        now_s = WALL.now_s()
        if now_s >= self._next_roll_s:
            self._next_roll_s = now_s + 1.0
            mine = self.live.folder if self.live is not None else None
            self._others = sum(1 for f in self.desk.running() if f.path != mine)
        self._await()
        for name, place in (("session", self.live), ("reviewed", self.reviewed)):
            if place is not None and (name == "session" or self.here == name):
                place.look(self.parts.shown, self._own)
                if self.here == name and place.shown is not None:
                    self.stack.setCurrentWidget(screen := self.screen(name))  # its kind may be known only now
                    screen.show_it(place.shown, place.source, place.numbers)
        for name, screen in list(self._screens.items()):  # a tick may make another
            if name in ("start", "review", "settings") and (self.here == name or int(now_s * 30) % 3 == 0):
                screen.tick()
        self._draw_frame()
        if self._end_by_s:
            self._await_end(now_s)

    def _await(self) -> None:
        if self._pending is None:
            return
        folder = self.desk.folder_of(self._pending)
        if folder is not None:
            self.join(folder.path)
            return
        ended = self.desk.engine_exit(self._pending.run_id)
        if ended is not None:
            self._pending = None
            self._told["start"] = did_not_start(ended)

    def _draw_frame(self) -> None:
        place = self.live if self.runs or self.here == "session" else None
        if place is None and self.here == "reviewed":
            place = self.reviewed
        shown = place.shown if place is not None else None
        ours = shown is not None and (self.runs or not self._others)
        self.stop_place.show_it(shown.stop if ours else stop_elsewhere(self._others, self._stopped_words))
        self.lamp.show_it(shown.unit if shown is not None else None)
        self.stripe.show_it(self._banner(shown))
        self.status.show_it(self._own.first(place, self._told.get(self.here), self._pending, self.here))
        self.setWindowTitle(f"{shown.title} – rtloop" if shown is not None else "rtloop")
        self.nav.show_it("review" if self.here == "reviewed" else self.here, self.why_not)

    def _banner(self, shown: Session | None) -> Line:
        if shown is not None:
            return shown.banner
        screen = self._screens.get("start")
        return screen.banner() if screen is not None and self.here == "start" else Line()

    def failed_panel(self, name: str, err: BaseException) -> None:
        """A panel could not draw: said, and the others go on."""
        self._own.failed_in_a_slot(err, f"the panel {name} shows its last picture")

    def told_exception(
        self, kind: type[BaseException], err: BaseException, where: TracebackType | None = None
    ) -> None:
        """As ``sys.excepthook``: what a slot throws is said here and on stderr, and the window goes on."""
        if issubclass(kind, KeyboardInterrupt):
            self.leave()
        else:
            self._own.failed_in_a_slot(err)

    # ---- leaving ----

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.left or not self.runs:
            self.leave()
            event.accept()
            return
        event.ignore()
        self.sheet.ask()

    def _closing(self, choice: str) -> None:
        if choice == "leave":
            self.leave()
        elif choice == "end":
            self.say("stop")
            self._end_by_s = WALL.now_s() + END_WITHIN_S
            self.sheet.wait("Ending the session: disarming, closing the recording …")
        else:
            self._end_by_s = 0.0
            self.sheet.hide()

    def _await_end(self, now_s: float) -> None:
        if not self.runs:
            self.leave()
        elif now_s > self._end_by_s:
            self._end_by_s = 0.0
            self.sheet.ask(f"It has not ended within {END_WITHIN_S:.0f} s.")

    def leave(self) -> None:
        """Close for good; a running session goes on, disarmed, until a window is back."""
        if self.left:
            return
        self.left = True
        self.tempo.stop()
        self._beat_timer.stop()
        self._escape.remove()
        size = (self.width(), self.height()) if not self.isMaximized() else self.memory.size
        self.memory = replace(self.memory, size=size, maximized=self.isMaximized())
        for screen in self._screens.values():
            screen.close_down()
        why = remembered.save(self.desk.config_dir, self.memory)
        if why:
            print(why, file=sys.stderr)
        for place in (self.live, self.reviewed):
            if place is not None:
                place.source.close()
        self.desk.close()
        self.close()
        app = QApplication.instance()
        if app is not None and app.property("rtloop") == "own":
            app.quit()
