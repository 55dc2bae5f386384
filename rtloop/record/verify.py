"""Owns the check of a session folder after the fact, clean or crashed; owns no repair: a record is never
reopened.

Three outcomes per finding: a fact, a note (what a crash explains), a problem (what nothing explains). Only
problems
make the result not ok.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtloop.board import Board
from rtloop.errors import IntegrityProblem, NotReady
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import JournalRead, read_journal
from rtloop.record.kinds import FAULT_RAISED, RECORDING_CHECKED, SESSION_ENDED
from rtloop.record.recorder_loop import JOURNAL_STREAM
from rtloop.record.verify_map import check_map
from rtloop.record.verify_pulses import check_pulses
from rtloop.record.verify_xdf import RecordedFile, check_recording


@dataclass(frozen=True, kw_only=True)
class VerifyResult:
    """``lines``: readable, one finding each, problems begin with "PROBLEM". ``counts``: what was counted."""

    ok: bool
    lines: tuple[str, ...]
    counts: dict[str, int]

    def require(self) -> None:
        """IntegrityProblem (exit code 7) with every problem, when there is one."""
        if not self.ok:
            wrong = [line.removeprefix("PROBLEM: ") for line in self.lines if line.startswith("PROBLEM")]
            raise IntegrityProblem(
                f"the record has {len(wrong)} problem(s): " + "; ".join(wrong),
                expected="a journal and a recording that agree with themselves and with each other",
                todo="keep the folder as it is and note it in the study log; do not analyse it as complete",
            )


class Findings:
    """Collects what was found."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counts: dict[str, int] = {}
        self.crashed = False  # nothing says that the session ended, or its recorder died before it
        self.aborted = False  # it crashed, or says itself that it did not end cleanly

    def fact(self, words: str) -> None:
        self.lines.append(words)

    def note(self, words: str) -> None:
        self.lines.append(f"note: {words}")

    def problem(self, words: str) -> None:
        self.lines.append(f"PROBLEM: {words}")

    def explained(self, words: str) -> None:
        """A note after a crash, a problem after an end in order."""
        (self.note if self.crashed else self.problem)(words)

    def left_open(self, words: str) -> None:
        """A note after a crash or an abort, a problem after a clean end."""
        (self.note if self.aborted else self.problem)(words)


def verify(path: str | Path) -> VerifyResult:
    """Check one session folder. Never raises for a damaged record; IntegrityProblem when there is no
    folder."""
    folder = SessionFolder(path=Path(path))
    if not folder.path.is_dir():
        raise IntegrityProblem(f"there is no session folder {path}", todo="give the folder of one session")
    out = Findings()
    journal = _check_journal(folder, out)
    rec = check_recording(folder.recording, out)
    if rec is not None:
        if journal is not None:
            _check_copy(journal, rec, out)
        _check_acknowledged(folder, journal, rec, out)
    if journal is not None:
        check_pulses(journal.events, None if rec is None else rec.end_sample, out)
        check_map(folder, journal.events, out)
    wrong = sum(line.startswith("PROBLEM") for line in out.lines)
    out.counts["problems"] = wrong
    out.lines.append("the record is whole" if not wrong else f"{wrong} problem(s) found")
    return VerifyResult(ok=not wrong, lines=tuple(out.lines), counts=dict(out.counts))


def _check_journal(folder: SessionFolder, out: Findings) -> JournalRead | None:
    try:
        journal = read_journal(folder.journal)
    except IntegrityProblem as err:
        out.problem(str(err))
        return None
    ended = [e for e in journal.events if e.kind == SESSION_ENDED]
    recorder_gone = [
        e for e in journal.events if e.kind == FAULT_RAISED and e.data.get("fault") == "recorder_dead"
    ]
    out.crashed = not ended or bool(recorder_gone)
    out.aborted = not ended or ended[-1].data.get("clean") is not True
    out.counts["journal_records"] = len(journal.events)
    out.fact(f"journal: {len(journal.events)} records, head {journal.head_hash}")
    for words in journal.problems:
        out.problem(f"journal: {words}")
    if recorder_gone:
        out.note(
            f"record {recorder_gone[0].n} says that the recorder was gone: what it had not acknowledged may be missing"
        )
    if not ended:
        out.note("the session did not end in order (no session_ended record): judged as after a crash")
    if journal.torn_tail_bytes:
        torn = journal.torn_tail_bytes
        out.explained(f"journal: the last record is torn ({torn} bytes); never acknowledged")
    _check_previous(folder, journal, out)
    return journal


def _check_previous(folder: SessionFolder, journal: JournalRead, out: Findings) -> None:
    name, head = journal.header.get("previous_session"), journal.header.get("previous_head")
    if not name or not head:
        return
    before = SessionFolder(path=folder.path.parent / str(name))
    if not before.journal.is_file():
        out.note(f"the session before this one ({name}) is not beside it: its head {head} was not compared")
        return
    try:
        earlier = read_journal(before.journal)
    except IntegrityProblem as err:
        out.problem(f"the session before this one cannot be read: {err}")
        return
    if head in earlier.hashes:
        out.fact(f"the session before this one ({name}) still has the head this journal recorded")
    else:
        out.problem(f"the session before this one ({name}) was cut or altered: it lacks the head {head}")


def _check_copy(journal: JournalRead, rec: RecordedFile, out: Findings) -> None:
    """The recording's copy of the journal: the same lines, all of them after a clean end."""
    copied = rec.journal_hashes
    out.counts["journal_records_in_recording"] = len(copied)
    same = min(len(copied), len(journal.hashes))
    if copied[:same] != journal.hashes[:same]:
        first = next(i for i in range(same) if copied[i] != journal.hashes[i])
        out.problem(f"record {first} of the journal differs from its copy in the stream {JOURNAL_STREAM}")
    if len(copied) > len(journal.hashes):
        extra = len(copied) - len(journal.hashes)
        out.problem(f"the journal was cut: the recording holds {extra} record(s) more than the journal")
    elif len(copied) < len(journal.hashes):
        missing = len(journal.hashes) - len(copied)
        out.explained(f"the last {missing} journal record(s) are not in the recording")


def _check_acknowledged(
    folder: SessionFolder, journal: JournalRead | None, rec: RecordedFile, out: Findings
) -> None:
    """Every sample that was ever called durable must be there."""
    claims: list[tuple[int, int, str]] = []
    if folder.board.is_file():
        try:
            with Board(folder.board) as board:
                claims.append((board["durable_sample"], board["durable_journal"], "the board"))
        except (IntegrityProblem, NotReady) as err:
            out.note(f"the board cannot be read: {err}")
    for event in () if journal is None else journal.events:
        if event.kind in (RECORDING_CHECKED, SESSION_ENDED):
            sample, size = event.data.get("durable_sample"), event.data.get("durable_journal")
            if isinstance(sample, int):
                claims.append((sample, size if isinstance(size, int) else 0, f"journal record {event.n}"))
    if not claims:
        out.note("nothing tells how many samples were acknowledged (no board, none in the journal)")
        return
    sample, _, who = max(claims)
    out.counts["acknowledged_samples"] = sample
    if rec.end_sample >= sample:
        out.fact(f"every acknowledged sample is there ({sample} by {who}, {rec.end_sample} recorded)")
    else:
        out.problem(
            f"{sample - rec.end_sample} acknowledged sample(s) are missing: {sample} by {who}, "
            f"{rec.end_sample} recorded"
        )
    size, who = max((size, who) for _, size, who in claims)
    if rec.journal_bytes < size:
        out.problem(f"acknowledged journal bytes are missing: {size} by {who}, {rec.journal_bytes} recorded")
