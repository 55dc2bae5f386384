"""Owns the store: a sqlite file that holds the log's lines and the tables made of them; the log is the truth, never the store.

It only grows. It follows the log when it is opened and before each use; lost, damaged or of an older version it is made again,
or brought up to date, from the log. Rollback journal, since the write-ahead log does not work on network folders.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rtloop.durable import sync_directory
from rtloop.errors import IntegrityProblem, NotReady, RtloopError
from rtloop.study.log import NO_HASH, Entry, Log, entry_of
from rtloop.study.schema import OPEN, SEALED, Migration, columns_of, lines_row, rows_of, script

#: how long another program may keep the store busy before a command gives up, s [A]
BUSY_S = 5.0
APPLICATION_ID = 0x72744C53


class Store:
    """The index over one log. ``open`` and ``rebuild`` make one; close it."""

    def __init__(
        self, path: Path, log: Log, db: sqlite3.Connection, migrations: tuple[Migration, ...]
    ) -> None:
        self.path, self.log, self._db, self._migrations = path, log, db, migrations

    @classmethod
    def open(
        cls, path: Path, log: Log, *, busy_s: float = BUSY_S, migrations: tuple[Migration, ...] | None = None
    ) -> Store:
        """Open (or make) the store, bring it up to date with this version and with the log.

        IntegrityProblem when it or the log is damaged or of a newer version, NotReady when it stays busy for ``busy_s``.
        """
        steps = migrations if migrations is not None else (SEALED if log.sealed else OPEN)
        with contextlib.suppress(FileExistsError):
            try:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            except FileExistsError:
                raise
            except OSError as err:
                raise IntegrityProblem(f"the store {path} cannot be made", found=str(err)) from err
        with _in_words(path):
            db = sqlite3.connect(path, timeout=busy_s, isolation_level=None)
        store = cls(path, log, db, steps)
        try:
            with _in_words(path):
                for pragma in (
                    "journal_mode=DELETE",
                    "synchronous=FULL",
                    "foreign_keys=ON",
                    "trusted_schema=OFF",
                ):
                    db.execute(f"PRAGMA {pragma}")
            store._migrate()
            store.follow()
        except BaseException:
            db.close()
            raise
        return store

    @classmethod
    def rebuild(cls, path: Path, log: Log, *, busy_s: float = BUSY_S) -> Store:
        """Make the store again from nothing but the log, in place of the one that is there."""
        fresh = path.with_name(f"{path.name}.rebuilt")
        for old in (fresh, fresh.with_name(f"{fresh.name}-journal")):
            old.unlink(missing_ok=True)
        cls.open(fresh, log, busy_s=busy_s).close()
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)  # of the one that goes
        os.replace(fresh, path)
        sync_directory(path.parent)
        return cls.open(path, log, busy_s=busy_s)

    def close(self) -> None:
        """Close it; a second close does nothing."""
        self._db.close()

    def _migrate(self) -> None:
        with self._writing():
            have = int(self._db.execute("PRAGMA user_version").fetchone()[0])
            mine = int(self._db.execute("PRAGMA application_id").fetchone()[0])
            if have and mine != APPLICATION_ID:
                raise IntegrityProblem(
                    f"{self.path} is another program's database", todo="move it away; keep the log"
                )
            if have > len(self._migrations):
                raise IntegrityProblem(
                    f"the store {self.path} is of a newer rtloop", expected=f"version {len(self._migrations)} or older",
                    found=f"version {have}", todo="use the newer rtloop on this study",
                )  # fmt: skip
            for step in self._migrations[have:]:
                for statement in script(step):
                    self._db.execute(statement)
                if "entry" not in step.tables:
                    self._fill(self.entries(), set(step.tables))
            if have < len(self._migrations):
                self._db.execute(f"PRAGMA application_id={APPLICATION_ID}")
                self._db.execute(f"PRAGMA user_version={len(self._migrations)}")

    def follow(self) -> None:
        """Take in what the log has more.

        IntegrityProblem when a line is altered or missing, or the log has lost lines that the store had already taken in.
        """
        with self._writing():
            n, head, kept = self._last()
            if n and self.log.line(n - 1) != kept:
                raise IntegrityProblem(
                    f"the log {self.log.folder} no longer holds line {n - 1} as it was", found="another one, or none",
                    expected=f"the line with the hash {head}", todo="bring the log back from a backup; until then write nothing",
                )  # fmt: skip
            read = self.log.read(n, head)
            self._take(read.entries, read.lines)
        if read.problems:
            raise IntegrityProblem(
                f"the log {self.log.folder} is damaged", expected="every line as it was written",
                found="; ".join(read.problems), todo="bring the log back from a backup; until then write nothing",
            )  # fmt: skip

    def _last(self) -> tuple[int, str, bytes]:
        row = self._db.execute("SELECT n, hash, line FROM entry ORDER BY n DESC LIMIT 1").fetchone()
        return (0, NO_HASH, b"") if row is None else (int(row[0]) + 1, str(row[1]), f"{row[2]}\n".encode())

    def _take(self, entries: Sequence[Entry], lines: Sequence[bytes]) -> None:
        for entry, line in zip(entries, lines, strict=True):
            self._insert("entry", lines_row(entry, line))
            self._fill([entry], set(columns_of(self._migrations)))

    def _fill(self, entries: Sequence[Entry], tables: set[str]) -> None:
        for entry in entries:
            for table, row in rows_of(entry):
                if table in tables:
                    self._insert(table, row)

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        marks = ", ".join("?" * len(row))
        self._db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))

    def entries(self, first: int = 0, prev: str = NO_HASH) -> list[Entry]:
        """Entries from number ``first`` on, which follows the line with the hash ``prev``, as the store holds their lines.

        IntegrityProblem when they do not fit each other.
        """
        with _in_words(self.path):
            rows = self._db.execute("SELECT line FROM entry WHERE n >= ? ORDER BY n", (first,)).fetchall()
        out: list[Entry] = []
        for n, row in enumerate(rows, start=first):
            out.append(entry_of(f"{row[0]}\n".encode(), n=n, prev=prev, sealed=self.log.sealed))
            prev = out[-1].hash
        return out

    def rows(self, table: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """Rows of a table or view, in the order of the log; only these columns."""
        with _in_words(self.path):
            listed = ", ".join(columns)
            return self._db.execute(f"SELECT {listed} FROM {table} ORDER BY n, {listed}").fetchall()

    def dump(self) -> str:
        """Everything in it as SQL text: two stores are equal when these are."""
        with _in_words(self.path):
            return "\n".join(self._db.iterdump())

    def problems(self) -> list[str]:
        """What sqlite itself finds wrong with the file."""
        with _in_words(self.path):
            found = [str(r[0]) for r in self._db.execute("PRAGMA integrity_check").fetchall()]
        return [] if found == ["ok"] else found

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with _in_words(self.path):
            self._db.execute("BEGIN IMMEDIATE")
        try:
            with _in_words(self.path):
                yield
                self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except RtloopError:
        raise
    except sqlite3.OperationalError as err:
        if "locked" in str(err) or "busy" in str(err):
            raise NotReady(
                f"the store {path} is busy", expected="its turn in time", found=str(err),
                todo="another program works on this study: wait and say it again",
            ) from err  # fmt: skip
        raise IntegrityProblem(
            f"the store {path} cannot be used",
            found=str(err),
            todo="check rights and free space of the folder",
        ) from err
    except sqlite3.Error as err:
        raise IntegrityProblem(
            f"the store {path} is damaged", expected="a store made by rtloop", found=str(err),
            todo="rtloop study rebuild makes it again from the log",
        ) from err  # fmt: skip
