"""Plans: what ships loads; every fault of a plan is told, in words, all at once."""

from __future__ import annotations

import copy
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from plan_tools import GOOD, spoiled
from pydantic import ValidationError

from rtloop.errors import ValidationProblem
from rtloop.model.montage import NAMES_63, Montage
from rtloop.plan.load import library, load_plan, parse_plan
from rtloop.plan.problems import FileProblem
from rtloop.plan.schema import Kind, Plan

RMT_LINE = "intensity_pct_rmt = 110.0\n"
PREVIEW = "preview = { pulses = 5, steps_pct_rmt = [100.0, 110.0] }\n"
SINGLE: list[tuple[str, tuple[tuple[str, str], ...], tuple[str, str, str, str, str]]] = [
    (
        "two targets of one name",
        (('name = "ACC"', 'name = "m1"'),),
        (
            "targets[1].name",
            "the target name m1 occurs twice",
            "each target name once",
            "also in targets[0]",
            "rename one of the two targets",
        ),
    ),
    (
        "unknown electrode",
        (('coil_at = "C3"', 'coil_at = "C33"'),),
        (
            "targets[0].coil_at",
            "the electrode is not known",
            "a name of the 10-20, 10-10 or 10-5 system",
            "C33",
            "correct the name, or give the place as x_m, y_m, z_m",
        ),
    ),
    (
        "M1 is a mastoid, not the motor cortex",
        (('coil_at = "C3"', 'coil_at = "M1"'),),
        (
            "targets[0].coil_at",
            "M1 is the name of a mastoid or ear electrode (TP9), not of the cortex",
            "an electrode of the 10-20, 10-10 or 10-5 system",
            "M1",
            "write C3 for left motor cortex, or TP9 if the mastoid is meant",
        ),
    ),
    (
        "millimetres",
        (("z_m = 0.08", "z_m = 80"),),
        (
            "targets[1].coil_at",
            "the place is not on a head",
            "0.044 to 0.176 m from the head's centre",
            "80 m",
            "write metres from the centre of the head, not millimetres",
        ),
    ),
    (
        "local electrode twice",
        (('"Fz", "FCz"', '"Fz", "fz"'),),
        (
            "targets[1].local_electrodes",
            "an electrode occurs twice",
            "each electrode once",
            "Fz, fz",
            "name different electrodes",
        ),
    ),
    (
        "interval below the unit's gap",
        (
            ("isi_s = [3.2, 4.0]", "isi_s = [2.05, 2.25]"),
            ("intensity_pct_mso = 55", "intensity_pct_mso = 45"),
            ("steps_pct_mso = [55]", "steps_pct_mso = [45]"),
        ),
        (
            "timing.isi_s",
            "the interval is shorter than the unit's gap at targets[0]",
            "at least 3 s at 55 % MSO",
            "2.05 s",
            "lengthen the interval or lower the intensity",
        ),
    ),
    (
        "interval upside down",
        (("isi_s = [3.2, 4.0]", "isi_s = [4.0, 3.2]"),),
        (
            "timing.isi_s",
            "not a range of intervals",
            "[low, high] with 0 < low <= high",
            "[4, 3.2]",
            "correct the two numbers",
        ),
    ),
    (
        "interval longer than the unit stays armed",
        (("isi_s = [3.2, 4.0]", "isi_s = [3.2, 60.0]"),),
        (
            "timing.isi_s",
            "the unit disarms itself between two pulses",
            "less than 60 s",
            "60 s",
            "shorten the interval",
        ),
    ),
    (
        "intensity over the cap, in % MSO",
        (("intensity_pct_mso = 55", "intensity_pct_mso = 61"),),
        (
            "targets[1].intensity_pct_mso",
            "the intensity is over the plan's own cap",
            "at most 60 % MSO (caps.power_pct_mso_max)",
            "61 % MSO",
            "lower the intensity; it is never lowered for you",
        ),
    ),
    (
        "preview step over the cap, in % RMT",
        (("[100.0, 110.0]", "[100.0, 122.0]"),),
        (
            "targets[0].preview.steps_pct_rmt[1]",
            "the intensity is over the plan's own cap",
            "at most 60 % MSO (caps.power_pct_mso_max)",
            "61 % MSO",
            "lower the intensity; it is never lowered for you",
        ),
    ),
    (
        "more pulses than the cap",
        (("pulses_total_max = 400", "pulses_total_max = 354"),),
        (
            "caps.pulses_total_max",
            "the plan may give more pulses than its own cap",
            "at most 354 pulses",
            "355 pulses",
            "lower the pulses of the targets or raise the cap",
        ),
    ),
    (
        "fewer pulses allowed than wanted",
        (("pulses_max = 160", "pulses_max = 99"),),
        (
            "targets[0].pulses_max",
            "fewer pulses allowed than wanted",
            "at least pulses_wanted = 100",
            "99",
            "raise pulses_max or lower pulses_wanted",
        ),
    ),
    (
        "no intensity",
        ((RMT_LINE, ""),),
        (
            "targets[0]",
            "the intensity is not given once",
            "intensity_pct_rmt or intensity_pct_mso, one of the two",
            "neither",
            "write exactly one of them; it has no default",
        ),
    ),
    (
        "both intensities",
        ((RMT_LINE, RMT_LINE + "intensity_pct_mso = 55\n"),),
        (
            "targets[0]",
            "the intensity is not given once",
            "intensity_pct_rmt or intensity_pct_mso, one of the two",
            "both",
            "write exactly one of them; it has no default",
        ),
    ),
    (
        "preview in another unit",
        (("steps_pct_rmt = [100.0, 110.0]", "steps_pct_mso = [50]"),),
        (
            "targets[0].preview",
            "the steps are in another unit than the intensity",
            "steps_pct_rmt",
            "steps_pct_mso",
            "use one unit for both",
        ),
    ),
    (
        "no preview",
        ((PREVIEW, ""),),
        (
            "targets[0].preview",
            "the key is missing",
            "a value: a map plan gives pulses",
            "nothing",
            "add the key; it has no default",
        ),
    ),
    (
        "no pulses_max: it has no default",
        (("pulses_max = 160\n", ""),),
        (
            "targets[0].pulses_max",
            "the key is missing",
            "a value: a map plan gives pulses",
            "nothing",
            "add the key; it has no default",
        ),
    ),
    (
        "threshold of another coil",
        (
            (
                'coil = "70 mm"\nwaveform = "monophasic"\nparticipant',
                'coil = "90 mm"\nwaveform = "monophasic"\nparticipant',
            ),
        ),
        (
            "threshold.coil",
            "the threshold was taken with another coil",
            "70 mm",
            "90 mm",
            "take the threshold with this coil; it does not carry over",
        ),
    ),
    (
        "visual threshold",
        (('method = "EMG"', 'method = "visual"'),),
        (
            "threshold.method",
            "the motor threshold is not from EMG",
            'method = "EMG"',
            "'visual'",
            "take the threshold by EMG; a visible twitch reads about 11 % too high",
        ),
    ),
    (
        "date in quotes",
        (("date = 2026-11-20", 'date = "2026-11-20"'),),
        (
            "threshold.date",
            "not a date",
            "a date such as 2026-01-31, without quotes",
            "'2026-11-20'",
            "write a date",
        ),
    ),
    (
        "date with a time",
        (("date = 2026-11-20", "date = 2026-11-20T10:00:00"),),
        (
            "threshold.date",
            "not a date",
            "a date such as 2026-01-31, without quotes",
            "datetime.datetime(2026, 11, 20, 10, 0)",
            "write a date",
        ),
    ),
    (
        "power with a point",
        (("intensity_pct_mso = 55", "intensity_pct_mso = 55.0"),),
        (
            "targets[1].intensity_pct_mso",
            "not a whole number",
            "a whole number without quotes or point",
            "55.0",
            "write a whole number",
        ),
    ),
    (
        "not a number at all",
        (("lead_s = 1.0", "lead_s = nan"),),
        ("timing.lead_s", "not a finite number", "a finite number", "nan", "write a finite number"),
    ),
    (
        "one number of a range",
        (("window_ms = [15.0, 300.0]", "window_ms = [15.0]"),),
        ("signal.window_ms[1]", "the list is too short", "one more value here", "nothing", "add the value"),
    ),
    (
        "window inside the gap",
        (("window_ms = [15.0, 300.0]", "window_ms = [5.0, 300.0]"),),
        (
            "signal.window_ms",
            "the score window begins inside the gap (signal.gap_ms)",
            "a start at or after 10 ms",
            "5 ms",
            "start the window where the gap ends; samples in the gap are missing data",
        ),
    ),
    (
        "window inside a target's own gap",
        (('coil_at = "C3"\n', 'coil_at = "C3"\ngap_ms = [-2.0, 16.0]\n'),),
        (
            "signal.window_ms",
            "the score window begins inside the gap (targets[0].gap_ms)",
            "a start at or after 16 ms",
            "15 ms",
            "start the window where the gap ends; samples in the gap are missing data",
        ),
    ),
    (
        "misspelt key",
        (("pulses_wanted = 100", "pulses_wantd = 7\npulses_wanted = 100"),),
        (
            "targets[0].pulses_wantd",
            "the key is not known",
            "only known keys",
            "7",
            "remove the key or correct its name",
        ),
    ),
    (
        "unknown table",
        (("[arm]", "[armm]\nx = 1\n[arm]"),),
        (
            "armm",
            "the table is not known",
            "plan, unit, threshold, timing, caps, signal, arm, order, quality, decision, comparability or targets",
            "a table with the keys x",
            "remove the table or correct its name",
        ),
    ),
    (
        "missing table",
        (('[arm]\nquestion = "none"\n', ""),),
        ("arm", "the table is missing", "a table [arm]", "nothing", "add the table; it has no default"),
    ),
    (
        "no caps",
        (("[caps]\npower_pct_mso_max = 60\npulses_total_max = 400\n", ""),),
        (
            "caps",
            "the key is missing",
            "a value: a map plan gives pulses",
            "nothing",
            "add the key; it has no default",
        ),
    ),
    (
        "other version",
        (("schema = 1", "schema = 2"),),
        (
            "plan.schema",
            "the plan is written for another version",
            "schema = 1",
            "2",
            "bring the plan up to date",
        ),
    ),
    (
        "other unit",
        (('model = "200"', 'model = "Rapid2"'),),
        (
            "unit.model",
            "the unit is not supported",
            'model = "200" (Magstim 200²)',
            "'Rapid2'",
            "use a supported unit",
        ),
    ),
    (
        "random order without seed",
        (('kind = "as_listed"', 'kind = "random"'),),
        (
            "order.seed",
            "a random order needs a seed",
            "a whole number",
            "nothing",
            "add a seed, so that the order can be repeated and checked",
        ),
    ),
    (
        "seed of no use",
        (('kind = "as_listed"', 'kind = "as_listed"\nseed = 3'),),
        (
            "order.seed",
            "the seed is not used",
            "no seed when the order is as_listed",
            "3",
            'remove the seed or write kind = "random"',
        ),
    ),
    (
        "a probe of two targets",
        (('kind = "map"', 'kind = "probe"'),),
        (
            "targets",
            "a probe looks at one target",
            "1 target",
            "2 targets",
            "keep one target, or make it a map plan",
        ),
    ),
    (
        "a stage that does not exist",
        (("[arm]", "[signal.stages]\nica = true\n[arm]"),),
        (
            "signal.stages.ica",
            "the key is not known",
            "only known keys",
            "True",
            "remove the key or correct its name",
        ),
    ),
    (
        "the decay fit of each trial with the muscle patterns",
        (("[arm]", "[signal.stages]\nmuscle = true\ndecay = true\n[arm]"),),
        (
            "signal.stages.decay",
            "the per-trial decay fit spoils every projection: of one pattern it makes many",
            '"first" or false where muscle is on',
            "true",
            'write decay = "first": it then serves the first trials only',
        ),
    ),
    (
        "first trials where nothing learns from them",
        (("[arm]", '[signal.stages]\nfirst_trials = "leave_out"\n[arm]'),),
        (
            "signal.stages.first_trials",
            "there are no first trials where no stage learns from them",
            '"count" where sound and muscle are off',
            '"leave_out"',
            "remove the key",
        ),
    ),
]


def test_the_good_plan_loads() -> None:
    plan = parse_plan(GOOD)
    assert plan.name == "good"
    assert plan.kind is Kind.MAP
    assert plan.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()
    assert [t.name for t in plan.targets] == ["M1", "ACC"]
    assert plan.target("ACC").pulses_most == 5 + 160 + 20
    again = pickle.loads(pickle.dumps(plan))
    assert again == plan
    assert again.sha256 == plan.sha256


@pytest.mark.parametrize(("changes", "words"), [c[1:] for c in SINGLE], ids=[c[0] for c in SINGLE])
def test_each_fault_is_told_in_words(
    changes: tuple[tuple[str, str], ...], words: tuple[str, str, str, str, str]
) -> None:
    with pytest.raises(ValidationProblem) as caught:
        parse_plan(spoiled(*changes))
    assert isinstance(caught.value, FileProblem)
    told = [(p.where, p.what, p.expected, p.found, p.todo) for p in caught.value.problems]
    assert told == [words]
    for part in words:
        assert part in str(caught.value)
    assert caught.value.exit_code == 3


def test_all_faults_at_once() -> None:
    text = spoiled(
        ('name = "ACC"', 'name = "M1"'),
        ('coil_at = "C3"', 'coil_at = "Q9"'),
        ("isi_s = [3.2, 4.0]", "isi_s = [1.0, 4.0]"),
        ("schema = 1", "schema = 7"),
        ('method = "EMG"', 'method = "eye"'),
        ("lead_s = 1.0", "lead_s = 1.0\nled_s = 2"),
        ("steps_pct_mso = [55]", "steps_pct_mso = [70]"),
    )
    with pytest.raises(FileProblem) as caught:
        parse_plan(text, "ward.toml")
    # without the malformed [threshold] no % RMT is known; everything else is still held against everything
    assert {p.where for p in caught.value.problems} == {
        "plan.schema", "threshold.method", "timing.led_s", "timing.isi_s", "targets[1].name",
        "targets[0].coil_at", "targets[1].preview.steps_pct_mso[0]",
    }  # fmt: skip
    assert "the plan ward.toml has 7 problems" in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.problems == caught.value.problems
    assert str(again) == str(caught.value)


def test_one_bad_target_does_not_hide_the_other() -> None:
    text = spoiled(
        ("pulses_wanted = 100", "pulses_wanted = true"), ("intensity_pct_mso = 55", "intensity_pct_mso = 61")
    )
    with pytest.raises(FileProblem) as caught:
        parse_plan(text)
    assert {p.where for p in caught.value.problems} == {
        "targets[0].pulses_wanted",
        "targets[1].intensity_pct_mso",
    }


def test_a_watch_plan_may_not_carry_anything_that_pulses() -> None:
    with pytest.raises(FileProblem) as caught:
        parse_plan(spoiled(('kind = "map"', 'kind = "watch"')))
    where = {p.where for p in caught.value.problems}
    assert {
        "unit",
        "timing",
        "caps",
        "threshold",
        "targets[0].intensity_pct_rmt",
        "targets[1].control",
    } <= where


def test_a_plan_made_in_code_is_checked_too() -> None:
    tables = {k: getattr(parse_plan(GOOD), k) for k in Plan.model_fields}
    bad = copy.copy(tables) | {"targets": (tables["targets"][0], tables["targets"][0])}
    with pytest.raises(ValidationError, match="the target name M1 occurs twice"):
        Plan.model_validate(bad)
    assert Plan.model_validate(tables) == Plan(**tables)


def test_the_library_loads() -> None:
    assert library() == ("bedside", "map-200", "probe-m1", "probe-m1-quick", "quick", "watch")
    for name in library():
        plan = load_plan(name)
        assert plan.name == name
        assert plan.threshold is None  # a threshold belongs to a person: none ships
        assert plan.arm.question == "none"
    quick = load_plan("quick")
    assert [t.name for t in quick.targets] == ["M1", "DLPFC", "ACC", "PSI"]
    assert {
        (t.intensity_pct_mso, t.pulses_wanted, t.pulses_max, t.pulses_preview) for t in quick.targets
    } == {(45, 10, 12, 2)}
    for name in ("map-200", "probe-m1"):
        assert all(t.pulses_wanted == 100 and 160 <= t.pulses_max <= 180 for t in load_plan(name).targets)  # type: ignore[operator]


def test_a_plan_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(GOOD, encoding="utf-8")
    assert load_plan(path) == load_plan(str(path)) == parse_plan(GOOD)
    with pytest.raises(
        ValidationProblem, match=r"no plan is called my; expected: one of .*map-200, .*, or the path"
    ):
        load_plan("my")
    with pytest.raises(ValidationProblem, match=r"cannot be read; .*No such file"):
        load_plan(tmp_path / "absent.toml")
    path.write_bytes(b"a = \xff")
    with pytest.raises(ValidationProblem, match="byte 4 is not UTF-8"):
        load_plan(path)
    with pytest.raises(ValidationProblem, match=r"is not TOML; .*line 1"):
        parse_plan("plan = [}\n")


def test_local_electrodes() -> None:
    montage = Montage.from_names(NAMES_63)
    m1, acc = parse_plan(GOOD).targets
    assert montage.names[m1.local_in(montage)[0]] == "C3"
    assert len(m1.local_in(montage)) == 4
    assert [montage.names[i] for i in acc.local_in(montage)] == ["Fz", "FCz", "F1", "F2"]
    assert np.allclose(acc.point_m(), [0.0, 0.03, 0.08])
    with pytest.raises(ValueError, match="target ACC: the stream has no electrode Fz"):
        acc.local_in(Montage.from_names(tuple(n for n in NAMES_63 if n != "Fz")))
