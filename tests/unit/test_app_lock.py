"""`rtloop emergency` and `rtloop unlock` at the command line, and what the window shows and offers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from gui_state_tools import at, buttons, journal, live, shown, told

from gui.shown import Tone
from rtloop.app.cli import main
from rtloop.app.dose import ledger_of
from rtloop.app.witness import journaled_locks
from rtloop.errors import SafetyStop
from rtloop.record.journal import Journal
from rtloop.record.kinds import PARTICIPANT_LOCKED
from rtloop.safety.locked import COPY, FILE, lock, read_locks


def rtloop(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and everything that was said."""
    code = 0
    try:
        main(list(arguments))
    except SystemExit as end:
        code = int(end.code or 0)
    said = capsys.readouterr()
    return code, said.out + said.err


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with one ended session."""
    monkeypatch.chdir(tmp_path)
    home = journal()[1]
    shutil.copytree(home, tmp_path / "data" / home.name)
    return tmp_path / "data"


def participant() -> str:
    return str(next(e.data["participant"] for e in journal()[0] if e.kind == "session_started"))


def test_emergency_after_the_session_locks_its_participant_and_tells_the_last_pulses(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    who = participant()
    code, said = rtloop(capsys, "emergency", "--words", "seizure", "--data-dir", str(data_dir))
    assert code == 0
    assert said.startswith("TAKE THE COIL AWAY")
    assert "time (UTC): " in said
    assert f"locked: participant {who} and session {journal()[1].name}" in said
    assert said.count("45 % MSO") == 10
    assert "seizure" in read_locks(data_dir).why(who)
    code, said = rtloop(
        capsys, "unlock", "--person", "Dr A", "--reason", "examined", "--data-dir", str(data_dir)
    )
    assert code == 0
    assert "still locked: nobody" in said
    assert read_locks(data_dir).why(who) == ""


def test_emergency_without_any_session_needs_a_participant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = rtloop(capsys, "emergency", "--data-dir", str(tmp_path))
    assert code == 5
    assert "NOBODY IS LOCKED" in said
    code, said = rtloop(capsys, "emergency", "--participant", "P3", "--data-dir", str(tmp_path), "--json")
    assert code == 0
    assert json.loads(said)["locked"][0]["participant"] == "P3"
    assert read_locks(tmp_path).why("P3")


def test_a_lock_that_cannot_be_written_is_no_success(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_dir / "locks.jsonl").mkdir()
    code, said = rtloop(capsys, "emergency", "--data-dir", str(data_dir))
    assert code == 5
    assert "NOT LOCKED" in said
    assert "NOBODY IS LOCKED" in said


@pytest.mark.parametrize("missing", ["--person", "--reason"])
def test_unlock_needs_a_name_and_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    lock(tmp_path, "P1", words="x")
    given = {"--person": "A", "--reason": "b"} | {missing: " "}
    code, _ = rtloop(
        capsys, "unlock", *[w for pair in given.items() for w in pair], "--data-dir", str(tmp_path)
    )
    assert code == 2
    assert read_locks(tmp_path).why("P1")


def test_with_two_locked_the_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for who in ("P1", "P2"):
        lock(tmp_path, who, words="x")
    asked = ("unlock", "--person", "A", "--reason", "b", "--data-dir", str(tmp_path))
    code, said = rtloop(capsys, *asked)
    assert code == 2
    assert "P1, P2" in said
    code, said = rtloop(capsys, *asked, "--participant", "P2")
    assert code == 0
    assert "still locked: P1" in said


def test_a_damaged_file_is_vouched_for_by_a_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock(tmp_path, "P1", words="x")
    with (tmp_path / "locks.jsonl").open("ab") as file:
        file.write(b"torn")
    asked = ("unlock", "--person", "A", "--reason", "power cut", "--data-dir", str(tmp_path), "--damaged")
    assert rtloop(capsys, *asked)[0] == 0
    assert read_locks(tmp_path).why("P9") == ""
    assert read_locks(tmp_path).why("P1")


# -- the journals as witnesses ----------------------------------------------------------------------------------------


def journaled(data_dir: Path, words: str, name: str = "20260101-120000_aaaaaaaa", who: str = "P1") -> Path:
    """The journal of a session that was ended by a lock."""
    path = data_dir / name / "journal.jsonl"
    path.parent.mkdir(parents=True)
    written = Journal(path, run_id="aaaaaaaa")
    written.append("note_written", {"words": f"{PARTICIPANT_LOCKED} is only a word here [lock 0123456789ab]"})
    written.append(PARTICIPANT_LOCKED, {"participant": who, "words": words}, sync=True)
    written.close()
    return path


@pytest.mark.req("R-LOCK")
def test_with_every_file_of_locks_gone_the_journal_refuses_until_a_person_vouched_and_unlocked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock(tmp_path, "P1", words="seizure")
    path = journaled(tmp_path, read_locks(tmp_path).why("P1"))
    for name in (FILE, COPY):
        (tmp_path / name).unlink()
    with pytest.raises(SafetyStop) as no:
        ledger_of(tmp_path, "P1", simulated=True)
    assert f"{tmp_path / FILE} was cut or deleted" in no.value.found  # both places
    assert str(path) in no.value.found
    assert "rtloop unlock --person NAME --reason WORDS --damaged" in no.value.todo
    asked = ("unlock", "--person", "Dr A", "--reason", "examined", "--data-dir", str(tmp_path))
    code, said = rtloop(capsys, *asked, "--participant", "P1")
    assert code == 2
    assert "--damaged" in said
    assert not (tmp_path / FILE).exists()
    code, said = rtloop(capsys, *asked, "--damaged")
    assert code == 0
    assert "still locked: P1" in said
    with pytest.raises(SafetyStop, match="P1 is locked since"):
        ledger_of(tmp_path, "P1", simulated=True)
    assert rtloop(capsys, *asked)[0] == 0
    assert ledger_of(tmp_path, "P1", simulated=True).count() == 0
    assert rtloop(capsys, *asked, "--damaged")[0] == 2  # what was vouched for is not damaged any more


def test_a_journal_of_a_lock_that_the_file_still_has_refuses_nobody_else(tmp_path: Path) -> None:
    lock(tmp_path, "P1", words="seizure")
    journaled(tmp_path, read_locks(tmp_path).why("P1"))
    assert ledger_of(tmp_path, "P2", simulated=True).count() == 0


def test_only_whole_words_of_a_lock_are_witnesses(tmp_path: Path) -> None:
    lock(tmp_path, "P1", words="seizure")
    words = read_locks(tmp_path).why("P1")
    path = journaled(tmp_path, words)
    journaled(tmp_path, f"line 3 of {FILE} is damaged", name="20260101-130000_bbbbbbbb")  # names nobody
    journaled(tmp_path, words, name="20260101-140000_cccccccc")
    (tmp_path / "20260101-150000_dddddddd").mkdir()  # without a journal
    with path.open("ab") as file:
        file.write(
            f'{{"kind":"{PARTICIPANT_LOCKED}"}}\n{PARTICIPANT_LOCKED}\n["{PARTICIPANT_LOCKED}"]\n'.encode()
        )
        file.write(f'{{"kind":"{PARTICIPANT_LOCKED}","data":{{"participant":"P1","wor'.encode())
    found = journaled_locks(tmp_path)
    assert [row["where"] for row in found] == [
        str(path), str(tmp_path / "20260101-140000_cccccccc" / "journal.jsonl")
    ]  # fmt: skip
    assert {(row["participant"], row["session"][:8]) for row in found} == {("P1", "20260101")}


# -- the window -----------------------------------------------------------------------------------------------------


def always(view: Any, look: Any) -> dict[str, Any]:
    return buttons(shown(view, look))


def test_the_window_has_the_word_in_every_phase_while_it_has_the_seat() -> None:
    for kind in ("phase_entered", "arm_confirmed", "pulse_seen"):
        view, look = at(kind)
        button = always(view, look)["emergency"]
        assert button.enabled
        assert button.key == "Ctrl+Shift+E"
        assert not button.primary


def test_the_window_tells_a_lock_first_and_offers_no_arming() -> None:
    view, look = at("phase_entered", phase="arm")
    view = told(
        view, "participant_locked", look.now_s, participant="P1", words="P1 is locked since today (seizure)"
    )
    screen = shown(view, live(view, look.now_s))
    assert screen.status.what.startswith("EMERGENCY: P1 is locked")
    assert "coil away" in screen.status.todo
    assert not buttons(screen)["arm"].enabled
    assert "locked" in buttons(screen)["arm"].why_not


def test_the_latency_panel_shows_the_loopback_against_what_is_expected() -> None:
    view, look = at("session_ended")
    (row,) = [r for r in shown(view, look).latency if r.name.startswith("fire command to pulse in the EEG")]
    assert row.n == sum("sample" in p for p in view.pulses.values())
    assert "expected 1" in row.name
    assert row.tone.value == "good"
    moved = {**(view.loopback or {}), "ok": False, "words": "the last 5 pulses came late"}
    view = told(view, "latency_measured", look.now_s, **moved)
    (row,) = [r for r in shown(view, look).latency if r.name.startswith("fire command to pulse in the EEG")]
    assert row.tone.value == "bad"


def test_trigger_and_artifact_are_counted_apart() -> None:
    view, look = at("session_ended")
    facts = {f.name: f.value for f in shown(view, look).pulses.facts}
    assert facts["seen by trigger"] == facts["seen by artifact"] == facts["sent"]
    last = max(view.pulses)
    half = view.pulses[last] | {"seen_artifact": 0, "absent": ["artifact"], "alarm": "no artifact in the EEG"}
    older = {k: v for k, v in half.items() if k != "absent"}
    from dataclasses import replace

    for row in (half, older):
        line = shown(replace(view, pulses={**view.pulses, last: row}), look).pulses.mismatch
        assert "1 pulse in the trigger channel without artifact in the EEG: check coil" in line.text
        assert line.tone is Tone.BAD  # as bad as the fault that it raised
    sham = replace(view, pulses={**view.pulses, last: half | {"block": "control"}})
    screen = shown(sham, look)
    assert "every pulse that was sent was seen" in screen.pulses.mismatch.text
    assert {f.name: f.value for f in screen.pulses.facts}["seen by artifact"] == str(int(facts["sent"]) - 1)
