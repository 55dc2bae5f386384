"""Owns a checklist as a value: its items, the answers so far, who signed; owns no file and no question of its own.

An item is answered yes or no, or by a grade. Another answer than the expected one needs words, or ends the session.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rtloop.errors import ValidationProblem

GRADES = ("none", "mild", "moderate", "severe")
YES_NO = ("yes", "no")
WORDS_MAX = 500
NAME_MAX = 80


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question. ``expected``: the answer that raises none; ``otherwise``: "end" or "words" for any other."""

    id: str
    question: str
    expected: str
    otherwise: str = "words"
    grades: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        return GRADES if self.grades else YES_NO


@dataclass(frozen=True, kw_only=True)
class Answer:
    """``words``: why it is another than expected."""

    item: Item
    answer: str
    words: str = ""

    @property
    def as_expected(self) -> bool:
        return self.answer == self.item.expected


@dataclass(frozen=True, kw_only=True)
class Checklist:
    """A versioned list of questions, with the answers that were given; each step makes a new one."""

    name: str
    version: str
    title: str
    items: tuple[Item, ...]
    answers: tuple[Answer, ...] = field(default=())
    signed_by: str = ""

    @property
    def open(self) -> Item | None:
        """The question that is to be answered now; None: it is to be signed, or was."""
        return self.items[len(self.answers)] if len(self.answers) < len(self.items) else None

    @property
    def against(self) -> tuple[Answer, ...]:
        """The answers that end the session."""
        return tuple(a for a in self.answers if not a.as_expected and a.item.otherwise == "end")

    @property
    def findings(self) -> tuple[str, ...]:
        """Answers other than expected, in words."""
        return tuple(
            f"{a.item.question} {a.answer}{f': {a.words}' if a.words else ''}"
            for a in self.answers
            if not a.as_expected
        )

    def answered(self, answer: str, words: str = "") -> tuple[Checklist, str]:
        """With one more answer; or itself, and why it is none."""
        item, said, words = self.open, answer.strip().lower(), words.strip()
        if self.signed_by or item is None:
            return self, "every question is answered: sign NAME"
        if said not in item.options:
            return self, f"expected {', '.join(item.options)}"
        if len(words) > WORDS_MAX:
            return self, f"at most {WORDS_MAX} characters"
        needed = not item.grades and item.otherwise == "words" and said != item.expected
        if needed and not words:
            return self, f"{said} needs words: {said} WHY"
        return replace(self, answers=(*self.answers, Answer(item=item, answer=said, words=words))), ""

    def back(self) -> tuple[Checklist, str]:
        """Without the last answer."""
        if self.signed_by or not self.answers:
            return self, "nothing can be taken back"
        return replace(self, answers=self.answers[:-1]), ""

    def signed(self, name: str) -> tuple[Checklist, str]:
        """Signed by a person's name; or itself, and why not."""
        name = " ".join(name.split())
        if self.open is not None:
            return self, f"not every question is answered: {self.open.question}"
        if self.signed_by:
            return self, f"it was signed by {self.signed_by}"
        if not 2 <= len(name) <= NAME_MAX:
            return self, f"sign with your name: sign NAME (2 to {NAME_MAX} characters)"
        return replace(self, signed_by=name), ""

    def question(self) -> tuple[str, tuple[str, ...]]:
        """What is asked now, and what may be said."""
        item = self.open
        if item is None:
            return f"{self.title}: sign it with your name", ("sign NAME", "back")
        number = f"{len(self.answers) + 1}/{len(self.items)}"
        return f"{self.title} {number}: {item.question}", item.options

    def data(self) -> dict[str, Any]:
        """JSON values of ``checklist_signed``."""
        return {
            "form": self.name, "form_version": self.version, "title": self.title, "signed_by": self.signed_by,
            "eligible": not self.against, "findings": list(self.findings),
            "answers": [
                {"id": a.item.id, "question": a.item.question, "answer": a.answer, "words": a.words, "as_expected": a.as_expected}
                for a in self.answers
            ],
        }  # fmt: skip


def parse_checklist(text: str) -> Checklist:
    """From TOML; ValidationProblem with every fault."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise ValidationProblem("the checklist cannot be read", expected="TOML", found=str(err)) from err
    bad = [f"{k} is missing or no text" for k in ("name", "version", "title") if not _text(raw.get(k))]
    bad += [f"unknown key {k!r}" for k in raw if k not in ("name", "version", "title", "items")]
    rows = raw.get("items")
    if not isinstance(rows, list) or not rows:
        bad.append("no items")
        rows = []
    for i, row in enumerate(rows):
        bad += [f"item {i + 1}: {fault}" for fault in _item_faults(row)]
    names = [r.get("id") for r in rows if isinstance(r, dict)]
    bad += [f"the id {n!r} occurs twice" for n in sorted({str(n) for n in names if names.count(n) > 1})]
    if bad:
        raise ValidationProblem(
            "the checklist is not valid", expected="name, version, title and items", found="; ".join(bad),
            todo="correct the file",
        )  # fmt: skip
    items = tuple(Item(**({"expected": GRADES[0]} | row)) for row in rows)
    return Checklist(name=raw["name"], version=raw["version"], title=raw["title"], items=items)


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _item_faults(row: Any) -> list[str]:
    if not isinstance(row, Mapping):
        return ["no table"]
    known = {"id", "question", "expected", "otherwise", "grades"}
    bad = [f"unknown key {k!r}" for k in row if k not in known]
    bad += [f"{k} is missing" for k in ("id", "question") if not _text(row.get(k))]
    if _text(row.get("id")) and not re.fullmatch(r"[a-z0-9_]{1,30}", row["id"]):
        bad.append(f"id = {row['id']!r}")
    if row.get("grades") is True:
        return bad + [f"{k} does not go with grades" for k in ("expected", "otherwise") if k in row]
    bad += [f"expected = {row.get('expected')!r}"] if row.get("expected") not in YES_NO else []
    bad += [f"otherwise = {row.get('otherwise')!r}"] if row.get("otherwise") not in ("end", "words") else []
    return bad
