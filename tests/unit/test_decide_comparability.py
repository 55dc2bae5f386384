"""Every row of the comparability test fails on its own number, names the target and says what to do."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from decide_tools import facts, signal

from rtloop.decide.comparability import Check, ComparabilitySpec, compare, facts_of
from rtloop.decide.matching import match
from rtloop.errors import ValidationProblem
from rtloop.model.estimate import Estimate

FOUR = tuple(facts(t) for t in ("M1", "DLPFC", "ACC", "PSI"))
SETUP = {
    "coil": "70 mm",
    "waveform": "monophasic",
    "reference": "average",
    "bad channels": "none",
    "filter": "1",
}


def _with(**changes):
    return (*FOUR[:3], replace(FOUR[3], **changes))


def test_alike_targets_are_comparable() -> None:
    found = compare(FOUR)
    assert found.passed
    assert found.words == "The targets are comparable."
    assert {f.check for f in found.findings} >= set(Check) - {Check.SETUP}


@pytest.mark.parametrize(
    ("changes", "check", "words", "pulses"),
    [
        ({"accepted": 59}, Check.ACCEPTED, "record 1 more accepted pulses at PSI", 1),
        ({"snr": Estimate.normal(0.06, 0.01, n=100)}, Check.SNR_PRESENT, "PSI shows no measurable response", None),
        ({"snr": Estimate.normal(0.3, 0.16, n=100)}, Check.SNR_PRESENT, "previ", None),
        ({"snr": Estimate.absent("nothing before the pulse")}, Check.SNR_PRESENT, "nothing before the pulse", None),
        ({"snr": Estimate.normal(0.23, 0.02, n=100)}, Check.SNR_RATIO, "bring PSI up at the bedside", None),
        ({"residue": 2.1}, Check.RESIDUE, "2.1 x the ongoing amplitude at FT7", None),
        ({"residue": math.nan}, Check.RESIDUE, "mark the channel bad", None),
        ({"rhythm_change": 0.79}, Check.RHYTHM, "0.79 of that before at PSI", None),
        ({"rhythm_change": math.nan}, Check.RHYTHM, "unknown", None),
        ({"setup": SETUP}, Check.SETUP, "waveform differs: monophasic at PSI", None),
    ],
)  # fmt: skip
def test_a_row_fails_alone(changes, check, words, pulses) -> None:
    found = compare(_with(**changes))
    assert not found.passed
    also = {Check.SNR_RATIO} if check is Check.SNR_PRESENT else set()
    assert {check} <= {f.check for f in found.failures} <= {check} | also
    assert {f.target for f in found.failures} == {"PSI"}
    assert words in found.words
    assert "What to do: " in found.words
    assert "not comparable" in found.words
    assert found.failures[0].more_pulses == pulses


def test_unequal_numbers_of_trials() -> None:
    many = tuple(replace(f, accepted=160) for f in FOUR[:3])
    found = compare((*many, replace(FOUR[3], accepted=63)))
    assert [f.check for f in found.failures] == [Check.ACCEPTED_RATIO]
    assert found.failures[0].more_pulses == 1
    assert compare((*many, replace(FOUR[3], accepted=64))).passed


def test_a_weaker_target_is_only_labelled() -> None:
    found = compare(_with(snr=Estimate.normal(0.47, 0.03, n=100)))
    assert found.passed
    assert found.label == "comparable after matching"


def test_a_target_that_is_too_good_is_named() -> None:
    """Muscle reads as response: the others fail against it, and the remedy begins with it."""
    found = compare(_with(snr=Estimate.normal(2.2, 0.1, n=100)))
    assert [f.target for f in found.failures] == ["M1", "DLPFC", "ACC"]
    assert all("look at PSI first: early muscle" in f.remedy for f in found.failures)


def test_the_same_set_up_passes_and_a_missing_entry_does_not() -> None:
    assert compare([replace(f, setup=SETUP) for f in FOUR]).passed
    some = [replace(f, setup=SETUP) for f in FOUR[:3]] + [replace(FOUR[3], setup={**SETUP, "coil": "90 mm"})]
    odd = compare(some)
    assert [(f.check, f.target) for f in odd.failures] == [(Check.SETUP, "PSI")]
    assert "coil differs: 90 mm at PSI, 70 mm at ACC" in odd.words
    missing = [replace(f, setup=SETUP) for f in FOUR[:3]] + [FOUR[3]]
    assert len(compare(missing).failures) == len(SETUP)
    assert "not recorded at PSI" in compare(missing).words


def test_limits_come_from_the_plan() -> None:
    assert not compare(FOUR, ComparabilitySpec(accepted_min=101)).passed
    assert not compare(FOUR, ComparabilitySpec(snr_min=0.7)).passed
    assert not compare(FOUR, ComparabilitySpec(residue_max=0.9)).passed
    with pytest.raises(ValidationProblem, match="make no sense"):
        ComparabilitySpec(snr_ratio_min=0.9)
    with pytest.raises(ValidationProblem, match="make no sense"):
        ComparabilitySpec(residue_max=math.nan)
    with pytest.raises(ValidationProblem, match="two targets"):
        compare(FOUR[:1])
    with pytest.raises(ValidationProblem, match="two targets"):
        compare((FOUR[0], FOUR[0]))


def test_the_order_of_the_targets_does_not_matter() -> None:
    odd = _with(
        snr=Estimate.normal(0.2, 0.02, n=100), residue=3.0, rhythm_change=0.7, setup=SETUP, accepted=30
    )
    straight, turned = compare(odd), compare(odd[::-1])
    assert {(f.check, f.target, f.words) for f in straight.failures} == {
        (f.check, f.target, f.words) for f in turned.failures
    }


def test_facts_are_read_off_the_trials() -> None:
    names = tuple(f"E{k}" for k in range(8))
    signals = [signal("A", 80, seed=1), signal("B", 70, seed=2)]
    found = [facts_of(s, m, names, SETUP) for s, m in zip(signals, match(signals), strict=True)]
    assert [f.accepted for f in found] == [80, 70]
    assert found[0].snr.value == pytest.approx(0.6, abs=0.15)
    assert found[0].residue_at in names
    assert 0.5 < found[0].rhythm_change < 2
    assert found[0].setup == SETUP
