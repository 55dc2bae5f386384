"""Owns one look at a running or ended session from outside: events folded, fast numbers read, words said; owns no words.

Each part (journal, board, pages, ring, link) is opened when it appears and let go when it is gone. Nothing raises into the
caller; a damaged journal is told in ``Live.damaged``. STOP goes straight to the board and needs neither link nor seat.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections import deque
from dataclasses import dataclass
from typing import Any

from gui.slots import read, slot
from rtloop.board import Board
from rtloop.clock import WALL, Clock
from rtloop.errors import IntegrityProblem, RtloopError
from rtloop.link.client import LinkClient
from rtloop.link.pages import PagesReader
from rtloop.link.server import SEAT
from rtloop.link.tail import JournalTail
from rtloop.model.view import View, fold
from rtloop.record.folder import SessionFolder

INF = math.inf
#: parts that are not there yet are looked for again this often
TRY_EVERY_S = 0.25
#: answers of the engine that are kept
ANSWERS = 20


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a word: ``why_not`` is empty when it was taken."""

    t_s: float
    word: str
    args: tuple[str, ...] = ()
    why_not: str = ""


@dataclass(frozen=True, kw_only=True)
class Live:
    """The numbers of one look that are in no event. Instants and ages are seconds; inf: never, None: not known."""

    now_s: float = 0.0
    engine_age_s: float = INF
    engine_lives: bool = False  # its process is there
    engine_ended: bool = False  # it left on purpose
    board_seen: bool = False  # False: the session is still starting (or ended before we came)
    port_age_s: float = INF
    recorder_age_s: float = INF
    unit_instr: int | None = None
    unit_age_s: float | None = None
    unit_same_s: float = INF  # for so long the byte has said the same about being armed
    unit_power_pct_mso: int | None = None
    unit_temp_c: float | None = None
    port_state: int = 0  # 0 starting, 1 open, 2 failed, 3 closed
    stop_asked_s: float | None = None
    stop_served_s: float | None = None
    stop_confirmed: int = 0  # 1 by the unit's own byte, -1 it could not be confirmed
    stream_rate_hz: float | None = None
    stream_gaps: int = 0
    stream_lost: int = 0
    stream_age_s: float = INF
    clock_residual_s: float | None = None
    stream_ok: bool = False
    next_due_s: float | None = None
    seat: str = "none"  # ours, another, none, lost
    review: bool = False
    damaged: str = ""  # why the journal cannot be read on
    answers: tuple[Answer, ...] = ()  # newest last
    report: str = ""  # path, once it is there


class LiveSession:
    """A session as a window sees it.

    Parameters
    ----------
    folder : the session's folder; nothing in it need be there yet
    attach : True: a running session (board, ring, link are looked for); False: review, only journal and pages
    """

    def __init__(self, folder: SessionFolder, attach: bool, *, clock: Clock = WALL) -> None:
        self.folder, self._attach, self._clock = folder, attach, clock
        self.view = View()
        self.pages: PagesReader | None = None
        self.ring: Any = None
        self._tail: JournalTail | None = None
        self._client: LinkClient | None = None
        self._board: Board | None = None
        self._board_seen = self._had_seat = False
        self._tried_s: dict[str, float] = {}
        self._damaged = self._report = ""
        self._armed: bool | None = None
        self._armed_since_s = -INF
        self._answers: deque[Answer] = deque(maxlen=ANSWERS)

    # -- looking -----------------------------------------------------------------------------------------------

    def look(self) -> tuple[View, Live]:
        """What is known now: the fold of the journal so far, and the fast numbers."""
        now_s = self._clock.now_s()
        self._open_what_is_there(now_s)
        self._read_on()
        self._hear(now_s)
        return self.view, self._live(now_s)

    @property
    def waits(self) -> bool:
        """Whether the journal holds something that no look has seen yet; costs microseconds."""
        return self._tail is not None and self._tail.waits

    @property
    def refusals(self) -> tuple[Answer, ...]:
        """Words that were not taken, newest last."""
        return tuple(a for a in self._answers if a.why_not)

    def _open_what_is_there(self, now_s: float) -> None:
        if (
            self._tail is None
            and not self._damaged
            and self._due("tail", now_s)
            and self.folder.journal.is_file()
        ):
            self._tail = self._opened(lambda: JournalTail(self.folder.journal))
        if self.pages is None and self._due("pages", now_s) and self.folder.pages.is_file():
            self.pages = self._opened(lambda: PagesReader(self.folder.pages))
        if not self._attach:
            return
        if self._board is None and self._due("board", now_s) and self.folder.board.is_file():
            self._board = self._opened(lambda: Board(self.folder.board, clock=self._clock))
            self._board_seen = self._board_seen or self._board is not None
        if self.ring is None and self._due("ring", now_s) and self.folder.ring.is_file():
            from rtloop.eeg.ring import Ring  # its kernels are loaded only where there are live traces

            self.ring = self._opened(lambda: Ring.open(self.folder.ring))
        self._connect(now_s)

    def _connect(self, now_s: float) -> None:
        if self._client is not None and not self._client.alive:
            self._hear(now_s)  # what it could not say any more
            self._let_go("_client")
        running = self.view.ended is None and self._board is not None
        if self._client is None and running and self._due("link", now_s) and self.folder.link.exists():
            self._client = self._opened(lambda: LinkClient(self.folder.link))

    def _due(self, part: str, now_s: float) -> bool:
        """Whether to look for a missing part again."""
        if now_s - self._tried_s.get(part, -INF) < TRY_EVERY_S:
            return False
        self._tried_s[part] = now_s
        return True

    @staticmethod
    def _opened(make: Any) -> Any:
        """The part, or None where it is not whole yet."""
        try:
            return make()
        except (RtloopError, OSError, ValueError):
            return None

    def _read_on(self) -> None:
        if self._tail is None:
            return
        try:
            for event in self._tail.take():
                self.view = fold(self.view, event)
        except IntegrityProblem as err:
            self._damaged = str(err)
            self._let_go("_tail")
        except (
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
        ) as err:  # a record that no version of ours wrote
            self._damaged = f"a record cannot be understood ({type(err).__name__}: {err})"
            self._let_go("_tail")
        except OSError:  # the disk is away for the moment: silence of the engine is told elsewhere
            return

    def _hear(self, now_s: float) -> None:
        if self._client is None:
            return
        for word, args, why_not in self._client.answers():
            self._answers.append(Answer(t_s=now_s, word=word, args=tuple(args), why_not=why_not))
        self._had_seat = self._had_seat or bool(self._client.seat)

    def _seat(self, board: Board | None) -> str:
        if self._client is not None and self._client.seat:
            return "ours"
        if board is not None and slot(board, "seat_pid") not in (0, os.getpid()):
            return "another"
        return "lost" if self._had_seat else "none"

    def _live(self, now_s: float) -> Live:
        if not self._report and self.view.ended is not None and self._due("report", now_s):
            self._report = str(self.folder.report) if self.folder.report.is_file() else ""
        common: dict[str, Any] = {
            "now_s": now_s, "review": not self._attach, "damaged": self._damaged, "report": self._report,
            "answers": tuple(self._answers), "board_seen": self._board_seen, "seat": self._seat(self._board),
        }  # fmt: skip
        b = self._board
        if b is None:
            return Live(**common)
        self._note_armed(slot(b, "unit_instr"), now_s)
        numbers = read(b, now_s)
        if self.ring is not None:  # the ring's own word: true also while the engine waits or is frozen
            with contextlib.suppress(RtloopError):
                numbers["stream_age_s"] = max(0.0, now_s - self.ring.chunk(-1)[3])
        return Live(**common, unit_same_s=now_s - self._armed_since_s, **numbers)

    def _note_armed(self, instr: int, now_s: float) -> None:
        armed = None if instr < 0 else bool(instr & 0b110)
        if armed is not self._armed:
            self._armed_since_s = -INF if self._armed is None else now_s
            self._armed = armed

    # -- saying ------------------------------------------------------------------------------------------------

    def say(self, word: str, *args: str) -> None:
        """Say a word to the engine; what became of it comes back in ``Live.answers``. Never waits."""
        if self._client is None:
            why = "this is a review" if not self._attach else "the engine cannot be reached"
            self._answers.append(Answer(t_s=self._clock.now_s(), word=word, args=args, why_not=why))
            return
        self._client.say(word, *args)

    def take_seat(self) -> None:
        """Ask for the operator's seat: given where no window has it, or the one that has it is frozen."""
        self.say(SEAT)

    def beat(self) -> None:
        """Show on the board that the operator's window lives; does nothing without the seat."""
        if self._board is not None and self._client is not None and self._client.seat:
            self._board.beat("operator")

    def stop(self) -> bool:
        """STOP, before anything else. False only where there is no board to ask on: then use the unit's own switch."""
        board = self._board
        if board is None and self._attach:
            board = self._board = self._opened(lambda: Board(self.folder.board, clock=self._clock))
            self._board_seen = self._board_seen or board is not None
        if board is None:
            return False
        board.ask_stop()
        return True

    # -- ending ------------------------------------------------------------------------------------------------

    def _let_go(self, part: str) -> None:
        held = getattr(self, part)
        setattr(self, part, None)
        if hasattr(held, "close"):  # a ring is let go with its last view
            with contextlib.suppress(RtloopError, OSError, ValueError, BufferError):
                held.close()

    def close(self) -> None:
        """Let go of everything; the engine lives on. May be called twice."""
        for part in ("_client", "_tail", "pages", "ring", "_board"):
            self._let_go(part)
