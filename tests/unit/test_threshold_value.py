"""A threshold as a value: what it is good for, what refuses it, what follows from it, and its file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threshold_tools import DAY, RIG, made, use

from rtloop.app.threshold_asked import motor_threshold
from rtloop.durable import canonical, digest
from rtloop.errors import IntegrityProblem, ValidationProblem
from rtloop.model.status import Mode
from rtloop.model.threshold import Threshold, ToldBy, fit, unfit, whole
from rtloop.plan.dose import pct_mso_from_rmt
from rtloop.record.thresholds import FILE_NAME, read_threshold, write_threshold


@pytest.mark.parametrize(
    ("threshold", "asked", "words"),
    [
        ({}, {"participant": "P002"}, "participant: expected P002, found P001"),
        ({}, {"participant": ""}, "participant: expected it to be known, found P001"),
        ({}, {"rig": replace(RIG, unit_model="rapid")}, "unit: expected rapid, found 200"),
        ({}, {"rig": replace(RIG, coil="round")}, "coil: expected round, found 70 mm figure-of-eight"),
        ({}, {"rig": replace(RIG, waveform="biphasic")}, "waveform: expected biphasic, found monophasic"),
        ({}, {"rig": replace(RIG, current_direction="")}, "current direction: expected it to be known, found posterior-anterior"),
        ({"rig": replace(RIG, unit_serial="17")}, {"rig": replace(RIG, unit_serial="18")}, "number: expected 18, found 17"),
        ({"told_by": ToldBy.VISUAL}, {}, "told by: expected EMG, found a visible twitch, which runs about 11 % high"),
        ({"mode": Mode.SIMULATED}, {}, "taken in: expected HUMAN, found SIMULATED, which says nothing of a person"),
        ({"cap_on": False}, {"cap_on": True}, "EEG cap: expected on, found off"),
        ({}, {"today": "2026-12-01"}, f"age: expected at most 7 days, found {DAY}, today 2026-12-01"),
        ({}, {"today": "2026-11-21"}, f"age: expected at most 7 days, found {DAY}, today 2026-11-21"),
        ({}, {"today": "tomorrow"}, "today tomorrow"),
        ({}, {"today": DAY, "max_age_days": float("nan")}, "age: expected at most nan days"),
    ],
)  # fmt: skip
def test_each_reason_by_itself_refuses(threshold: dict[str, Any], asked: dict[str, Any], words: str) -> None:
    (no,) = unfit(made(**threshold), use(**asked))
    assert words in no


def test_a_threshold_that_fits_is_used_and_all_reasons_come_at_once() -> None:
    t = made()
    assert fit(t, use()) is t
    assert unfit(t, use(today="2026-11-30", cap_on=True)) == ()
    assert unfit(made(mode=Mode.SIMULATED), use(mode=Mode.BENCH)) == ()
    assert unfit(t, use(rig=replace(RIG, unit_serial="18"))) == ()  # nobody knew it when it was taken
    bad = use(
        participant="P002",
        rig=replace(RIG, coil="x", waveform="y", current_direction="z", unit_model="w"),
        today="2027-01-01",
    )
    with pytest.raises(ValidationProblem, match="cannot be used") as no:
        fit(made(told_by=ToldBy.VISUAL, mode=Mode.BENCH), bad)
    assert no.value.found.count("expected") == 8


@settings(max_examples=60, deadline=None, derandomize=True)
@given(pct=st.floats(1, 200), pct_mso=st.integers(1, 100))
def test_plans_and_gate_make_the_same_intensity_of_it_rounded_down(pct: float, pct_mso: int) -> None:
    t = made(pct_mso=pct_mso, estimate_pct_mso=float(pct_mso), low_pct_mso=None, high_pct_mso=None)
    power = pct_mso_from_rmt(pct, pct_mso)
    assert power == motor_threshold(t).to_mso(pct)
    assert power <= pct * pct_mso / 100 + 1e-9


def test_the_nearest_whole_and_a_half_goes_down() -> None:
    assert [whole(x) for x in (36.4, 36.5, 36.6, 37.5)] == [36, 36, 37, 37]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pct_mso": 51}, "51 % is not the whole % nearest to the estimate 50.2"),
        ({"pct_mso": 0, "estimate_pct_mso": 0.2}, "a whole 1 to 100 %"),
        ({"estimate_pct_mso": float("nan")}, "nearest to the estimate nan"),
        ({"low_pct_mso": 50.5}, "the low end of the interval does not hold the estimate"),
        ({"high_pct_mso": float("nan")}, "the high end of the interval does not hold the estimate"),
        ({"participant": " "}, "participant is text"),
        ({"rig": replace(RIG, current_direction="")}, "current direction is text"),
        ({"made_utc": "2026-11-23T09:00:00+01:00"}, "expected an instant in UTC"),
        ({"made_utc": "2026-11-23"}, "expected an instant in UTC"),
        ({"made_utc": "yesterday"}, "date: "),
        ({"pulses_given": 1}, "2 pulses counted, but 1 were given"),
        ({"cap_on": 1}, "told by, mode or cap"),
        ({"settings": {"spread": float("nan")}}, "spread is no number"),
    ],
)
def test_what_is_no_threshold_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationProblem) as no:
        made(**changes)
    assert words in no.value.found


def test_it_is_told_in_one_line() -> None:
    assert made().words() == (
        "50 % of maximum output (95 %: 48.1 to 52.5), P001, 2026-11-23, adaptive maximum likelihood by EMG, 200, "
        "70 mm figure-of-eight, monophasic, posterior-anterior, cap on, 3 pulses, HUMAN"
    )
    assert "(95 %: open to open)" in made(low_pct_mso=None, high_pct_mso=None).words()


def test_the_file_is_read_back_and_never_written_over(tmp_path: Path) -> None:
    t, file = made(), tmp_path / FILE_NAME
    sha256 = write_threshold(file, t)
    assert read_threshold(file) == (t, sha256) == read_threshold(tmp_path)
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(IntegrityProblem, match="cannot write the motor threshold"):
        write_threshold(file, t)
    assert Threshold.of(json.loads(canonical(t.data()))) == t


def resealed(tree: dict[str, Any], **changes: Any) -> dict[str, Any]:
    plain = {k: v for k, v in (tree | changes).items() if k != "sha256"}
    return plain | {"sha256": digest(plain, but="sha256")}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tree: tree | {"pct_mso": 51}, "its digest does not fit its content"),
        (
            lambda tree: {k: v for k, v in tree.items() if k != "sha256"},
            "its digest does not fit its content",
        ),
        (lambda tree: resealed(tree, pct_mso=51), "nearest to the estimate"),
        (lambda tree: resealed(tree, schema=2), "it is of form 2"),
        (lambda tree: resealed(tree, more=1), "unknown: more"),
        (lambda tree: resealed(tree, told_by="guess"), "guess"),
        (lambda tree: [], ""),
    ],
)
def test_an_altered_file_is_refused(tmp_path: Path, change: Any, words: str) -> None:
    file = tmp_path / FILE_NAME
    write_threshold(file, made())
    file.write_bytes(canonical(change(json.loads(file.read_bytes()))) + b"\n")
    with pytest.raises(IntegrityProblem, match="cannot be trusted") as no:
        read_threshold(file)
    assert words in no.value.found


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_torn_file_is_refused(tmp_path: Path, cut: int) -> None:
    file = tmp_path / FILE_NAME
    write_threshold(file, made())
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(IntegrityProblem, match="cannot be trusted"):
        read_threshold(file)
