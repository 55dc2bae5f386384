"""Owns `rtloop emergency` and `rtloop unlock`: STOP first, then the lock, then words; owns neither STOP nor the lock's file."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rtloop.app.halt import HARDWARE, ask_sessions, confirmed_by
from rtloop.app.past import past_of
from rtloop.app.runtime import boards_in_memory
from rtloop.app.witness import journaled_locks, locks_of
from rtloop.clock import WALL
from rtloop.errors import RtloopError, UsageProblem
from rtloop.model.view import View, fold_all
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.safety.locked import lock, read_locks, unlock, vouch

#: so many of the last pulses and trains are printed
LAST = 10
COIL_AWAY = (
    f"TAKE THE COIL AWAY FROM THE HEAD. Call for help; note the time; do not leave the person.\n{HARDWARE}"
)


def emergency(
    folder: Path | None, site: Path | None, data_dir: Path | None, participant: str | None, words: str
) -> tuple[str, dict[str, Any], int]:
    """Seizure or syncope: STOP every session meant, lock session and participant, stamp the time, tell the last pulses.

    Without a running session the newest one of the data directory is meant, or ``participant``. Exit 0 when every unit was
    disarmed and every lock is on disk, else 5. STOP is asked for before anything that can fail.
    """
    asked = ask_sessions(folder, site, data_dir)
    utc = WALL.utc()
    lines, locks, failed = [COIL_AWAY, f"time (UTC): {utc}"], [], False
    for home, view in _meant(folder, site, data_dir, participant, [name for name, _ in asked]):
        who = participant or str(view.started.get("participant") or "")
        session = home.path.name if home is not None else ""
        where = home.path.parent if home is not None else _data_dir(site, data_dir)
        try:
            lines.append(_locked(where, who, session, words))
        except RtloopError as err:
            failed = True
            lines.append(f"NOT LOCKED: {err}")
        else:
            locks.append({"participant": who, "session": session, "data_dir": str(where)})
        lines += last_pulses(view)
    data: dict[str, Any] = {"sessions": []}
    text, code = "no session is running: nothing was left to stop", 0
    if asked:
        text, data, code = confirmed_by(asked)
    lines.insert(1, text)
    if not locks:
        failed = True
        lines.append("NOBODY IS LOCKED: name whom: rtloop emergency --participant CODE --data-dir FOLDER")
    return "\n".join(lines), {**data, "utc": utc, "words": words, "locked": locks}, 5 if failed else code


def _locked(where: Path, who: str, session: str, words: str) -> str:
    """Lock a participant and, with him, a session; what was done, in words."""
    if not who:
        raise UsageProblem(
            f"the participant of {session or 'this emergency'} is not known", expected="a participant's code", found="none",
            todo=f"rtloop emergency --participant CODE --data-dir {where}",
        )  # fmt: skip
    row = lock(where, who, words=words, session=session)
    todo = read_locks(where).todo(who)
    return f"locked: participant {who} and session {session or '(none)'}, in {where}, {row['utc']} UTC ({words}); {todo}"


def lock_here(folder: Path, words: str) -> str:
    """From the window of a session, whose STOP has gone out already: lock; never raises, tells what failed."""
    try:
        return _locked(folder.parent, past_of(SessionFolder(path=folder)).participant, folder.name, words)
    except RtloopError as err:
        return f"NOT LOCKED: {err}"


def unlock_participant(
    site: Path | None,
    data_dir: Path | None,
    participant: str | None,
    person: str,
    reason: str,
    *,
    damaged: bool,
) -> tuple[str, dict[str, Any], int]:
    """A named person lifts a lock (``damaged``: vouches for a damaged file). One that is locked alone need not be named."""
    where = _data_dir(site, data_dir)
    if damaged:
        row = vouch(where, person=person, reason=reason, witnesses=journaled_locks(where))
        return f"{person} vouches for the locks in {where}: {_standing(where)}", dict(row), 0
    locks = locks_of(where)
    if locks.damage:  # lifting one lock would open nothing
        raise UsageProblem(
            f"nobody can be unlocked in {where} yet", expected="a file of locks that is whole", found=locks.damage,
            todo=f"first {locks.todo('')}; then unlock whoever is still locked",
        )  # fmt: skip
    locked = locks.locked
    if participant is None and len(locked) == 1:
        (participant,) = locked
    if participant is None:
        raise UsageProblem(
            "whom to unlock is not named", expected="--participant CODE", found=", ".join(sorted(locked)) or "nobody is locked",
            todo="name the participant",
        )  # fmt: skip
    row = unlock(where, participant, person=person, reason=reason)
    return f"{participant} unlocked by {person} at {row['utc']}: {reason}\n{_standing(where)}", dict(row), 0


def _standing(where: Path) -> str:
    locks = locks_of(where)
    return locks.damage or f"still locked: {', '.join(sorted(locks.locked)) or 'nobody'}"


def _data_dir(site: Path | None, data_dir: Path | None) -> Path:
    if data_dir is not None:
        return data_dir
    from rtloop.app.config import load_site

    return Path(load_site(site).data_dir)


def _meant(
    folder: Path | None, site: Path | None, data_dir: Path | None, participant: str | None, running: list[str]
) -> list[tuple[SessionFolder | None, View]]:
    """The sessions that are locked with their participants: those that run, else the newest of the data directory."""
    homes: list[Path] = []
    if folder is not None:
        homes = [folder]
    elif running:
        homes = [
            board.parent.joinpath("session").resolve()
            for name, board in boards_in_memory()
            if name in running
        ]
    where: Path | None = None
    with contextlib.suppress(RtloopError):
        where = _data_dir(site, data_dir)
    if folder is None and where is not None:
        inside = [s.path for s in SessionFolder.all_in(where)]
        homes += [path for path in inside if path.name in running and path.resolve() not in homes]
        if not homes and participant is None:
            homes = inside[-1:]
    found = [(SessionFolder(path=path), _view(path)) for path in homes if (path / "journal.jsonl").is_file()]
    if participant is not None and not found:
        return [(None, View())]
    return list(found)


def _view(path: Path) -> View:
    """What the journal of a session says so far; of a damaged one what is whole."""
    try:
        return fold_all(read_journal(SessionFolder(path=path).journal).events)
    except (RtloopError, OSError, KeyError, TypeError, ValueError):
        return View()


def last_pulses(view: View) -> list[str]:
    """The newest pulses and trains that may have been given, newest last, with power, place and time."""
    given = [p for p in view.pulses.values() if p.get("outcome") in ("fired", "uncertain") or "sample" in p]
    return (
        ["the last pulses and trains:", *(f"  {_pulse(p)}" for p in given[-LAST:])]
        if given
        else ["no pulse was given"]
    )


def _pulse(p: Mapping[str, Any]) -> str:
    number = int(p["pulse_id"])
    what = f"pulse {number}" if number > 0 else "NOT COMMANDED"
    n = int(p.get("n_pulses") or 1)
    account = p.get("account") or {}
    of = "" if n == 1 else f", {account.get('delivered_max', n)} of {n} pulses"
    power = "power not known" if p.get("power_pct_mso") is None else f"{p['power_pct_mso']} % MSO"
    rmt = "" if p.get("power_pct_rmt") is None else f" ({p['power_pct_rmt']:g} % RMT)"
    train = p.get("train")
    shape = f", train {train}" if train else ""
    t_s = p.get("t_sent_s") or p.get("t_seen_s")
    ago = "" if not isinstance(t_s, int | float) else f", {WALL.now_s() - t_s:.1f} s ago"
    return f"{what} {p.get('target', '')} {p.get('block', '')}: {power}{rmt}{of}{shape}, {p.get('outcome', 'seen')}{ago}"
