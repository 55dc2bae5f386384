"""Transcripts of commissioning, said again by the driver byte by byte.

The committed ones were made on the simulated units. One of a real unit is held to the same by
``RTLOOP_TRANSCRIPT=FILE RTLOOP_MODEL=rapid RTLOOP_UNLOCK=CODE pytest tests/golden/test_commission_transcripts.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from transcript_tools import distinct, exchanges, golden, replay

from drivers.trouble import LineTrouble

FOLDER = Path(__file__).parent / "commission"
FILES = sorted(FOLDER.glob("*.jsonl"))
EVERY = {"take_control", "release", "parameters", "temperature", "set_power", "arm", "disarm", "fire"}
OWN = {
    "200": EVERY,
    "bistim": EVERY | {"pair", "single pulses"},
    "rapid": EVERY | {"identify", "look", "train", "single pulses"},
}


def test_there_is_one_of_each_kind_of_unit() -> None:
    assert {golden(p)[0]["model"] for p in FILES} == set(OWN)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_driver_says_the_same_bytes_again_and_takes_the_same_replies(path: Path) -> None:
    about, found = golden(path)
    done = replay(about["model"], found, unlock_code=about["unlock_code"])
    assert set(done) == OWN[about["model"]]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_byte_of_a_command_or_of_a_reply_that_differs_is_noticed(path: Path) -> None:
    about, found = golden(path)
    for i, (sent, received) in enumerate(found):
        if sent[:1] in (b"[", b"A", b"B", b"C", b"D", b"Y", b"Z"):
            continue  # belongs to a setting of several commands
        other_reply = [
            *found[:i],
            (sent, bytes([received[0], received[1] ^ 1, *received[2:]])),
            *found[i + 1 :],
        ]
        with pytest.raises((AssertionError, LineTrouble)):
            replay(about["model"], other_reply, unlock_code=about["unlock_code"])
        other_check = [*found[:i], (sent[:-1] + bytes([sent[-1] ^ 1]), received), *found[i + 1 :]]
        with pytest.raises(AssertionError, match="in the transcript"):
            replay(about["model"], other_check, unlock_code=about["unlock_code"])


def test_a_transcript_that_was_cut_off_is_not_replayed(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl"
    path.write_text('{"t_s": 1.0, "sent": "51406e"}\n{"t_s": 1.1, "received": "51"}\n')
    with pytest.raises(AssertionError, match="cut off"):
        exchanges(path)


@pytest.mark.skipif("RTLOOP_TRANSCRIPT" not in os.environ, reason="RTLOOP_TRANSCRIPT names no transcript")
def test_the_transcript_that_is_named() -> None:
    path = Path(os.environ["RTLOOP_TRANSCRIPT"])
    found = distinct(exchanges(path))
    assert replay(os.environ["RTLOOP_MODEL"], found, unlock_code=os.environ.get("RTLOOP_UNLOCK", ""))
