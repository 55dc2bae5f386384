"""`rtloop check` of treatments and courses: the words a person reads, what a waiver lifts, exit codes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from treat_tools import COURSE, GOOD, RAPID, spoiled, threshold

from rtloop.app.cli import main
from rtloop.app.look import check_plan
from rtloop.app.treatment_check import CheckAsked, blank, check_course, check_treatment
from rtloop.errors import RtloopError, UsageProblem, ValidationProblem
from rtloop.model.status import Mode
from rtloop.plan.course_schema import Phase
from rtloop.plan.treat_load import load_treatment, parse_treatment, treatments
from rtloop.plan.treat_rehearse import rehearse_treatment
from rtloop.plan.treat_schema import (
    AcceptedThreshold,
    RampUp,
    StateGate,
    Trains,
    TreatCaps,
    TreatTarget,
    TreatUnit,
)
from rtloop.safety.ledger import Counts
from rtloop.safety.limits import load_limits

TODAY = "2026-11-23"
LIMITS = load_limits()
TABLE = (
    "(Rossi 2009 Table 4 (10.1016/j.clinph.2009.08.016) after Wassermann 1998; kept by Rossi 2021 "
    "(10.1016/j.clinph.2020.10.003); typed from memory of the paper)"
)
TRIAL = """\
SHA-256 of the plan, as a waiver names it: {sha}
treat-10hz-trial: a treatment, DERIVED: De Martino et al. 2026 (10.64898/2026.03.02.26347430): 10 Hz, 3000 pulses in 15 min; \
the trains are this project's derivation
unit: super-rapid, 240 V, software not known, so read as before 9; a threshold by EMG, at most 7 days old
M1 (70 mm figure-of-eight, cooled); DLPFC (70 mm figure-of-eight, cooled); ACC (110 mm double cone); PSI (110 mm double cone):
  80 % RMT = 44 % MSO (with a threshold of 55 % MSO)
  30 trains of 100 pulses at 10 Hz (10 s each), 3000 pulses, 14 min 40 s without arming
  pauses 20 s from the end of a train; the unit needs at least 0.5 s, the rules 5 s
  energy 146.4 kJ of the unit (48.8 J a pulse)
  coil about 31 °C at most, 31 °C at the end (as the simulated coil heats, an assumption and not a measurement: from 22 °C, \
0.03 °C a pulse at 100 %, with the square of power, cooling with 600 s; your coil's manual and its own sensor count)
  software may not be able to stop a running train: 9.9 s; use the unit's own stop switch
  refused: trains 1 to 30 (100 pulses at 10 Hz, 44 % MSO): train_longest_tested: expected at most longest tested: 5 s at up to \
10 Hz and 90 % of threshold (not checked against its source), found 10 s; shorten the train; \
only a signed waiver goes beyond {table}
  over a person also refused: trains 1 to 30 (100 pulses at 10 Hz, 44 % MSO): train_row_checked: expected over a person, a row \
of the table that the site has checked, found train 10 Hz 90 %; check it against its source; the site signs it {table}
a waiver is missing: train_longest_tested, a train longer than the longest that was tested (rows marked '>' of the table). \
The person who takes the responsibility fills in and signs:
    [[waiver]]
    rule = "train_longest_tested"
    reason = ""
    citation = ""
    person = ""
    signed_on = ""
    plan_sha256 = "{sha}"
may NOT be armed"""


def filled(rule: str, sha: str) -> str:
    """A waiver as a person would fill it in, from the blank that check prints."""
    text = "\n".join(blank(rule, sha))
    for key, value in (
        ("reason", "as prescribed"),
        ("citation", "the trial"),
        ("person", "Dr A"),
        ("signed_on", TODAY),
    ):
        text = text.replace(f'{key} = ""', f'{key} = "{value}"')
    return text


def test_the_trials_session_word_for_word() -> None:
    text, data, code = check_treatment("treat-10hz-trial", CheckAsked(rmt_pct_mso=55), TODAY)
    sha = load_treatment("treat-10hz-trial").sha256
    assert text == TRIAL.format(sha=sha, table=TABLE)
    assert code == 3
    assert (data["label"], data["may_arm"], data["waivers_wanted"]) == (
        "derived",
        False,
        ["train_longest_tested"],
    )
    assert [t["target"] for t in data["targets"]] == ["M1", "DLPFC", "ACC", "PSI"]
    assert json.loads(json.dumps(data, allow_nan=False)) is not None


def test_a_signed_waiver_lifts_it_and_a_blank_or_a_foreign_one_does_not(tmp_path: Path) -> None:
    sha, path = load_treatment("treat-10hz-trial").sha256, tmp_path / "w.toml"
    path.write_text(filled("train_longest_tested", sha), "utf-8")
    asked = CheckAsked(rmt_pct_mso=55, waivers=path, target="ACC")
    text, data, code = check_treatment("treat-10hz-trial", asked, TODAY)
    assert (code, data["may_arm"], data["waivers_wanted"]) == (0, True, [])
    assert data["waivers"][0]["needed_by"] == ["trains 1 to 30 (100 pulses at 10 Hz, 44 % MSO)"]
    assert text.endswith("may be armed")
    assert "WAIVER of train_longest_tested" in text
    assert "signed by Dr A on 2026-11-23" in text
    assert "a waiver is missing" not in text
    assert [t["target"] for t in data["targets"]] == ["ACC"]
    for text in ("\n".join(blank("train_longest_tested", sha)), filled("train_longest_tested", "0" * 64)):
        path.write_text(text, "utf-8")
        with pytest.raises(ValidationProblem, match="the waivers are not valid"):
            check_treatment("treat-10hz-trial", asked, TODAY)


def test_within_the_tables_nothing_is_refused() -> None:
    for name, minutes in (("treat-10hz-4s", "37 min 04 s"), ("treat-1hz", "23 min 54 s")):
        text, data, code = check_treatment(name, CheckAsked(rmt_pct_mso=60), TODAY)
        assert (code, data["may_arm"]) == (0, True)
        assert minutes in text
        assert "  refused:" not in text
        assert "over a person also refused: trains 1 to" in text


def test_over_a_person_the_rows_must_be_checked() -> None:
    _, data, code = check_treatment(
        "treat-10hz-4s", CheckAsked(rmt_pct_mso=60, mode="human", target="M1"), TODAY
    )
    assert code == 3
    assert [b["rule"] for b in data["targets"][0]["breaches"]] == ["train_row_checked"]
    assert data["targets"][0]["over_a_person"] == ()


def test_without_a_threshold_it_is_checked_at_worst() -> None:
    text, data, code = check_treatment("treat-10hz-4s", CheckAsked(target="M1"), TODAY)
    assert code == 3
    row = data["targets"][0]
    assert (row["at_worst"], row["threshold_pct_mso"], row["powers_pct_mso"]) == (True, 100, (80,))
    assert [b["rule"] for b in row["breaches"]] == ["threshold_known"]
    assert (
        "80 % RMT = 80 % MSO (no threshold given; at worst, with 100 % MSO, the highest that the plan's cap allows)"
        in text
    )
    lower = parse_treatment(spoiled(GOOD, ("power_pct_mso_max = 80", "power_pct_mso_max = 50")))
    told = rehearse_treatment(lower, "M1", unit=RAPID, limits=LIMITS, today=TODAY, threshold=None)
    assert (told.threshold_pct_mso, told.powers_pct_mso[-1]) == (63, 50)  # of 63 % it is 50.4, of 64 % 51.2
    assert [b.rule for b in told.breaches] == ["threshold_known"]


def test_a_hot_coil_is_told_by_the_estimate() -> None:
    text, data, code = check_treatment("treat-10hz-trial", CheckAsked(rmt_pct_mso=100, target="M1"), TODAY)
    assert code == 3
    train = data["targets"][0]["hot_train"]
    assert f"NOTE: by that estimate the coil passes 39 °C in train {train}, where a session stops" in text
    # a twin: every pulse raises the coil by 0.03 x 0.8^2 K, which fades with 600 s; trains begin every 30 s
    pulses = [30 * i + k / 10 for i in range(30) for k in range(100)]
    rises = [
        sum(0.03 * 0.64 * math.exp((t - end) / 600) for t in pulses if t < end) for end in range(10, 900, 30)
    ]
    assert train == 1 + next(i for i, rise in enumerate(rises) if 22 + rise > 39)
    assert data["targets"][0]["coil_c"] == pytest.approx((22.0, 22 + max(rises), 22 + rises[-1]))


BROKEN = [
    ((("power_pct_mso_max = 80", "power_pct_mso_max = 40"),), {}, "power_cap", "trains 5 to 10 (40 pulses at 10 Hz, 44 % MSO)"),
    ((("pause_s = 26.0", "pause_s = 5.0"),), {}, "between_trains", "trains 1 to 2 (40 pulses at 10 Hz, 33 % MSO, ramping up)"),
    ((("intensity_pct_rmt = 80.0", "intensity_pct_rmt = 121.0"),), {}, "train_rmt_cap",
     "trains 5 to 10 (40 pulses at 10 Hz, 66 % MSO)"),
    ((("frequency_hz = 10.0", "frequency_hz = 25.0"),), {}, "train_length",
     "trains 1 to 2 (40 pulses at 25 Hz, 33 % MSO, ramping up)"),
    ((("frequency_hz = 10.0", "frequency_hz = 30.0"),), {}, "train_length",
     "trains 1 to 2 (40 pulses at 30 Hz, 33 % MSO, ramping up)"),
    ((), {"date": "2026-11-15"}, "threshold_fresh", "the plan"),
    ((), {"method": "visual"}, "threshold_by_emg", "the plan"),
    ((), {"coil": "another"}, "threshold_own", "the plan"),
    ((), {"waveform": "biphasic, AP"}, "threshold_own", "the plan"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "other", "rule", "where"), BROKEN)
def test_each_rule_with_its_step_and_citation(
    changes: tuple[tuple[str, str], ...], other: dict[str, str], rule: str, where: str
) -> None:
    plan = parse_treatment(spoiled(GOOD, *changes))
    told = rehearse_treatment(
        plan, "M1", unit=RAPID, limits=LIMITS, today=TODAY, threshold=threshold(**other)
    )
    first = next(b for b in told.breaches if b.rule == rule)
    assert first.where == where
    assert first.citation
    assert first.words().endswith(f"({first.citation})")
    assert not told.may_arm


def test_the_unit_itself_is_asked_of_each_train_and_of_all_together() -> None:
    long = parse_treatment(
        spoiled(
            GOOD,
            ("frequency_hz = 10.0", "frequency_hz = 0.3"),
            ("intensity_pct_rmt = 80.0", "intensity_pct_rmt = 75.0"),
        )
    )
    told = rehearse_treatment(long, "M1", unit=RAPID, limits=LIMITS, today=TODAY, threshold=threshold())
    (b, *_) = [b for b in told.breaches if b.rule == "train_unit"]
    assert (
        b.found == "40 pulses at 0.3 Hz take 133.3 s, which is no whole number of 0.1 s; "
        "133.333 s: at most 99.9 s with the unit's software"
    )
    dense = parse_treatment(
        spoiled(
            GOOD, ("frequency_hz = 10.0", "frequency_hz = 20.0"), ("pulses = 40", "pulses = 60"),
            ("pause_s = 26.0", "pause_s = 5.1"), ("session_max = 400", "session_max = 600"),
        )
    )  # fmt: skip
    told = rehearse_treatment(dense, "M1", unit=RAPID, limits=LIMITS, today=TODAY, threshold=threshold(100))
    words = {b.rule: b.found for b in told.breaches if b.step == 4}
    assert words["train_unit"] == "train 6: 5.100 s since the end of a train at 80 %, 6.216 s needed at 80 %"
    assert told.pause_s is not None
    assert abs(told.pause_s[1] - 6.216) < 1e-9  # 60 (20 x 161.28 - 1050) / (1050 x 20)


def test_what_a_person_got_before_counts() -> None:
    plan = parse_treatment(GOOD)
    before = Counts(
        treatment_day=2700,
        treatment_course=35_800,
        other_treatment_sessions_day=1,
        other_treatment_sessions=12,
    )
    told = rehearse_treatment(
        plan,
        "M1",
        unit=RAPID,
        limits=LIMITS,
        today=TODAY,
        threshold=threshold(),
        before=before,
        mode=Mode.BENCH,
    )
    assert {b.rule for b in told.breaches} == {"treatment_dose", "treatment_session", "treatment_course"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"rmt_pct_mso": 0}, "--rmt and --rmt-date name no threshold"),
        ({"rmt_pct_mso": 101}, "--rmt and --rmt-date name no threshold"),
        ({"rmt_pct_mso": 50, "rmt_date": "yesterday"}, "--rmt and --rmt-date name no threshold"),
        ({"rmt_pct_mso": 50, "mode": "listen"}, "no mode listen; expected: simulated, bench, human"),
        ({"target": "V1"}, "has no target V1; expected: M1, DLPFC, ACC, PSI"),
    ],
)
def test_what_cannot_be_asked(asked: dict[str, object], words: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        check_treatment("treat-1hz", CheckAsked(**asked), TODAY)  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_an_old_threshold_is_refused_by_its_date() -> None:
    _, data, code = check_treatment(
        "treat-1hz", CheckAsked(rmt_pct_mso=50, rmt_date="2026-11-01", target="M1"), TODAY
    )
    assert code == 3
    assert [b["rule"] for b in data["targets"][0]["breaches"]] == ["threshold_fresh"]


def test_a_plan_that_takes_an_older_threshold_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(spoiled(GOOD, ("max_age_days = 7", "max_age_days = 30")), "utf-8")
    text, _, code = check_treatment(
        str(path), CheckAsked(rmt_pct_mso=50, rmt_date="2026-11-10", target="M1"), TODAY
    )
    assert code == 3
    assert "a threshold by EMG, at most 7 days old (the plan would take 30; the limit holds)" in text


def test_check_finds_the_kind_and_refuses_foreign_options() -> None:
    _, data, code = check_plan("treat-10hz-4s", None, rmt_pct_mso=50, target="M1")
    assert (data["kind"], code) == ("treat", 0)
    with pytest.raises(UsageProblem, match="--rmt: of treatments only"):
        check_plan("quick", None, rmt_pct_mso=50)
    with pytest.raises(RtloopError, match="no plan is called nosuch"):
        check_plan("nosuch", None)


def test_a_course_with_its_treatment(tmp_path: Path) -> None:
    path = tmp_path / "course.toml"
    path.write_text(COURSE, "utf-8")
    text, data, code = check_course(str(path), CheckAsked(rmt_pct_mso=50, target="M1"), TODAY)
    assert code == 0
    assert "good: a course, ASSUMED: nobody" in text
    assert "  session 1: day 0 (daily)" in text
    assert "  session 4: day 7, 5 to 10 will do, at least 4 day(s) after the one before (weekly)" in text
    assert "  assessment before: day -1, -6 to 0 will do" in text
    assert data["treatment"]["plan"] == "treat-10hz-4s"
    path.write_text(spoiled(COURSE, ("sessions = 2", "sessions = 10"), ("day = 20", "day = 80")), "utf-8")
    text, data, code = check_course(str(path), CheckAsked(rmt_pct_mso=50, target="M1"), TODAY)
    assert code == 3
    assert [b["rule"] for b in data["breaches"]] == ["treatment_course"]
    assert (
        "refused: the last session: treatment_course: expected at most 36000 pulses in this course; at most 12 sessions in this "
        "course, found 39000 with this one; 13 with this one; end here; what is uncertain counts as given (design notes, stim"
        in text
    )


def test_a_courses_treatment_may_lie_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD, "utf-8")
    path = tmp_path / "course.toml"
    path.write_text(spoiled(COURSE, ('"treat-10hz-4s"', '"mine.toml"')), "utf-8")
    _, data, code = check_course(str(path), CheckAsked(rmt_pct_mso=50, target="M1"), TODAY)
    assert (data["treatment"]["plan"], code) == ("good", 0)


def test_the_course_that_ships_keeps_to_the_caps() -> None:
    text, data, code = check_course("course-derived", CheckAsked(rmt_pct_mso=50, target="M1"), TODAY)
    assert code == 3  # for want of the waiver only
    assert (data["label"], data["breaches"]) == ("derived", [])
    assert text.startswith("course-derived: a course, DERIVED: ")


def test_at_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for arguments, code in (
        (["treat-10hz-4s", "--rmt", "55", "--target", "PSI", "--json"], 0),
        (["treat-10hz-trial", "--rmt", "55", "--target", "PSI", "--json"], 3),
        (["treat-10hz-4s", "--rmt", "55", "--rmt-date", "2020-01-01", "--target", "PSI", "--json"], 3),
    ):
        with pytest.raises(SystemExit) as end:
            main(["check", *arguments])
        assert end.value.code == code
        told = json.loads(capsys.readouterr().out)
        assert (told["plan"], told["may_arm"], told["targets"][0]["target"]) == (
            arguments[0],
            code == 0,
            "PSI",
        )
    with pytest.raises(SystemExit) as end:
        main(["check", "map-200", "--rmt", "55"])
    assert end.value.code == 2
    assert "what to do: give the threshold with --threshold FILE" in capsys.readouterr().err


def test_what_the_manual_says_of_what_ships() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "manual" / "README.md").read_text("utf-8")
    for name in treatments():
        plan = load_treatment(name)
        (row,) = [line for line in manual.splitlines() if line.startswith(f"| `{name}` |")]
        assert f"{plan.pulses} pulses in" in row
        assert f"| {plan.plan.label}" in row
    for shape in (Trains, RampUp, StateGate, AcceptedThreshold, TreatCaps, TreatTarget, TreatUnit, Phase):
        assert all(f"`{key}`" in manual or f"`{key} = " in manual for key in shape.model_fields), shape
