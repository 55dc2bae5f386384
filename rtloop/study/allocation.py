"""Owns allocation lists: read from the trial's own CSV, or made as stratified permuted blocks; and who gets which place.

Pure: no file, no clock, no random state. The blocks are drawn from SHA-256 of seed, stratum and a counter, so that anybody can
make the list again from its seed, in any language.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from io import StringIO

from rtloop.errors import ValidationProblem
from rtloop.model.course import Arm, is_code, refuse, whole
from rtloop.study.records import Allocated, ListMade

#: sizes of blocks for three arms; which of them comes next is drawn too: mixed sizes are least guessable (design note ECOSYSTEM)
BLOCKS = (6, 9)


def _draws(seed: str, stratum: str) -> Iterator[int]:
    """Numbers of 64 bits: the first eight bytes of SHA-256 of ``seed|stratum|0``, ``...|1`` and so on, big endian."""
    k = 0
    while True:
        yield int.from_bytes(hashlib.sha256(f"{seed}|{stratum}|{k}".encode()).digest()[:8], "big")
        k += 1


def _below(draws: Iterator[int], n: int) -> int:
    """Evenly from 0 to n - 1: numbers of the incomplete last round are drawn again."""
    while (drawn := next(draws)) >= (1 << 64) // n * n:
        pass
    return drawn % n


def drawn(seed: str, n: int) -> int:
    """One number, evenly from 0 to n - 1, that anybody can draw again from the seed."""
    return _below(_draws(seed, "lot"), n)


def permuted_blocks(
    per_stratum: int, *, seed: str, strata: Sequence[str] = (), blocks: Sequence[int] = BLOCKS, arms: Sequence[str] = tuple(Arm)
) -> ListMade:  # fmt: skip
    """A list of at least ``per_stratum`` places in each stratum, in whole blocks that hold each arm equally often.

    The size of each block is drawn from ``blocks``, then the block is shuffled (Fisher and Yates). ``ValidationProblem`` tells
    every fault.
    """
    bad = (
        []
        if whole(per_stratum, 1, 10_000)
        else [f"{per_stratum!r} places, expected 1 to 10000 in each stratum"]
    )
    bad += [] if seed and "|" not in seed else [f"seed {seed!r}, expected a text without |"]
    bad += [
        f"a block of {b} cannot hold {len(arms)} arms equally often" for b in blocks if b < 1 or b % len(arms)
    ]
    refuse("the allocation", bad + ([] if blocks else ["no size of a block"]), "correct these")
    entries: list[tuple[str, str, str]] = []
    for stratum in strata or ("",):
        draws, made = _draws(seed, stratum), 0
        while made < per_stratum:
            size = blocks[_below(draws, len(blocks))]
            block = list(arms) * (size // len(arms))
            for i in range(size - 1, 0, -1):
                j = _below(draws, i + 1)
                block[i], block[j] = block[j], block[i]
            entries += [(stratum, str(arm), "") for arm in block]
            made += size
    return ListMade(source="generated", seed=seed, blocks=tuple(blocks), entries=tuple(entries))


def imported(text: str, *, strata: Sequence[str] = ()) -> ListMade:
    """A list from CSV with the columns ``arm``, ``stratum`` (where the study has strata) and, if it names them, ``participant``.

    ``ValidationProblem`` tells every fault with its line.
    """
    reader = csv.DictReader(StringIO(text.removeprefix("\ufeff")), restval="")
    rows, have = list(reader), list(reader.fieldnames or ())
    known = ["arm", *(["stratum"] if strata else []), "participant"]
    bad = [f"no column {c}" for c in known[:-1] if c not in have]
    bad += [f"unknown column {c!r}" for c in have if c not in known]
    entries: list[tuple[str, str, str]] = []
    for line, row in enumerate(rows if not bad else [], start=2):
        if None in row:
            bad.append(f"line {line}: more cells than columns")
        cells = {k: (v or "").strip() for k, v in row.items() if k is not None}
        arm, stratum, who = cells["arm"].lower(), cells.get("stratum", ""), cells.get("participant", "")
        if arm not in list(Arm):
            bad.append(f"line {line}: arm {arm!r}, expected {', '.join(Arm)}")
        if strata and stratum not in strata:
            bad.append(f"line {line}: stratum {stratum!r}, expected {', '.join(strata)}")
        if who and not is_code(who):
            bad.append(f"line {line}: participant {who!r} is no code such as P017")
        entries.append((stratum, arm, who))
    named = [e[2] for e in entries if e[2]]
    bad += [f"participant {p} occurs twice" for p, k in sorted(Counter(named).items()) if k > 1]
    bad += ["some lines name a participant and others do not"] if 0 < len(named) < len(entries) else []
    if bad or not entries:
        raise ValidationProblem(
            "the allocation list is not valid", expected=f"CSV with the columns {', '.join(known[:-1])} and maybe participant",
            found="; ".join(bad or ["no line"]), todo="correct the list where it was made, and import it again",
        )  # fmt: skip
    return ListMade(source="imported", seed="", blocks=(), entries=tuple(entries))


def next_place(
    listed: ListMade, taken: Sequence[Allocated], *, participant: str, stratum: str
) -> Allocated | None:
    """The place of the list that this participant gets: the one that names him, else the first free one of his stratum.

    None when there is none left.
    """
    used = {a.position for a in taken}
    for position, (where, arm, who) in enumerate(listed.entries, start=1):
        if position not in used and where == stratum and who in ("", participant):
            return Allocated(participant=participant, arm=arm, stratum=stratum, position=position)
    return None
