"""The mutation run itself: its mutants, their lasting names, and the list of survivors."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from mutants import mutants_of
from mutate import LISTED, ROOT, Tried, in_order, listed, seed_of_sources, too_few, verdict
from targets import ALWAYS, NOT_YET, TARGETS

TEXT = '''"""Words."""
def f(a: int = 1) -> bool:
    """More words."""
    if a < 2 and not a:
        print("words")
        return min(a, 3) > 0
    raise ValueError(f"{a + 1}")
'''


def test_every_small_change_once_and_no_word_of_it() -> None:
    made = mutants_of(TEXT, "x.py")
    sources = [m.source(TEXT) for m in made]
    assert len(set(sources)) == len(sources)
    assert len({m.key for m in made}) == len(made)
    assert {m.function for m in made} == {"f"}
    operators = [m.operator for m in made]
    for wanted in ("< -> <=", "< -> >=", "and -> or", "drop operand 1", "drop not", "min -> max", "remove statement",
                   "return None", "1 -> 2", "1 -> 0", "> -> >=", "> -> <="):  # fmt: skip
        assert wanted in operators, wanted
    assert operators.count("remove statement") == 2  # the call and the raise
    assert all('"""Words."""' in s and '"""More words."""' in s for s in sources)
    assert not any("+" in operator for operator in operators)  # what stands inside of words


def test_the_name_of_a_mutant_outlives_an_edit_elsewhere() -> None:
    before = [m.key for m in mutants_of(TEXT, "x.py")]
    after = [m.key for m in mutants_of("import math\n\n\ndef g() -> int:\n    return 2\n\n\n" + TEXT, "x.py")]
    assert [key for key in after if key[1] == "f"] == before


def test_a_survivor_needs_a_reason_and_must_go_on_to_survive() -> None:
    one, two = mutants_of(TEXT, "x.py")[:2]
    everything = {m.key: m for m in (one, two)}
    assert verdict([Tried(one, 0, 1.0)], {one.key: "why"}, everything) == []
    assert "no reason" in verdict([Tried(one, 0, 1.0)], {}, everything)[0]
    assert "was killed" in verdict([Tried(one, 1, 1.0)], {one.key: "why"}, everything)[0]
    assert "was killed" in verdict([Tried(one, "timeout", 1.0)], {one.key: "why"}, everything)[0]
    assert "no longer exists" in verdict([], {("x.py", "f", "gone", "< -> <=", 0): "why"}, everything)[0]
    row = '[[survivor]]\nfile = "x"\nfunction = "f"\nline = "l"\noperator = "o"\nreason = "%s"\n'
    assert len(listed(row % "why")) == 1
    with pytest.raises(ValueError, match="without a reason"):
        listed(row % " ")
    with pytest.raises(ValueError, match="twice"):
        listed(row % "why" + row % "why")


def test_every_listed_survivor_still_exists() -> None:
    known = listed(LISTED.read_text("utf-8"))
    everything = {
        m.key: m for f in {key[0] for key in known} for m in mutants_of((ROOT / f).read_text("utf-8"), f)
    }
    assert verdict([], known, everything) == []


def test_what_is_mutated_and_what_must_notice_it_exist() -> None:
    assert set(ALWAYS) <= set(TARGETS)
    for file, tests in (TARGETS | NOT_YET).items():
        assert (ROOT / file).is_file(), file
        for test in tests:
            assert (ROOT / test.split("::")[0]).is_file(), test


def test_a_sample_has_the_smallest_modules_first_and_is_another_for_another_seed() -> None:
    pool = [m for file in ("drivers/watch.py", *ALWAYS) for m in mutants_of(TEXT, file)]
    always = [m for m in pool if m.file in ALWAYS]
    one, again, other = (in_order(pool, sample=5, seed=n) for n in (1, 1, 2))
    assert one[: len(always)] == always
    assert len({m.key for m in one}) == len(one) == len(always) + 5
    assert one == again
    assert one != other
    assert len(in_order(pool, sample=10**6, seed=1)) == len(pool)
    assert 0 <= seed_of_sources() < 1 << 32


def test_a_run_that_tried_too_little_fails() -> None:
    chosen = [*mutants_of(TEXT, ALWAYS[0]), *mutants_of(TEXT, "drivers/watch.py")]
    tried = [Tried(m, 1, 0.1) for m in chosen]
    assert too_few(tried, chosen, len(chosen)) == []
    assert too_few(tried[:-1], chosen, len(chosen)) == [
        f"only {len(chosen) - 1} mutants were tried, not {len(chosen)}"
    ]
    (words,) = too_few(tried[1:], chosen, 1)
    assert words == f"1 mutants of {ALWAYS[0]} were not tried"
