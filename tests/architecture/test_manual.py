"""The operator's manual says what the program says: every fault with what to do, every key, every picture."""

from __future__ import annotations

import re
from pathlib import Path

from gui import asking
from rtloop.safety.interlock import FAULTS

ROOT = Path(__file__).resolve().parents[2]
MANUAL = ROOT / "docs" / "manual" / "README.md"


def test_every_fault_stands_in_the_manual_with_what_to_do() -> None:
    text = MANUAL.read_text(encoding="utf-8")
    for fault, row in FAULTS.items():
        assert f"| {row.words} |" in text, fault
        assert f"| {row.todo} |" in text, fault


def test_every_key_of_an_operators_word_stands_in_the_manual() -> None:
    keys = MANUAL.read_text(encoding="utf-8").split("## 7 Keys")[1].split("## 8")[0]
    source = Path(asking.__file__).read_text(encoding="utf-8")
    used = set(re.findall(r'"(F\d+|Ctrl\+[A-Z])"', source))
    assert used, "no key was found in gui/asking.py"
    assert not [k for k in sorted(used) if not re.search(rf"{re.escape(k)}\b", keys)]


def test_every_picture_of_the_manual_is_there_and_made_by_the_script() -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", MANUAL.read_text(encoding="utf-8"))
    script = (MANUAL.parent / "screenshots.py").read_text(encoding="utf-8")
    assert len(pictures) >= 6
    for name in pictures:
        assert (MANUAL.parent / name).is_file(), name
        assert f'"{Path(name).stem}"' in script, name
