"""Treatment plans from text: each fault in words, all at once; bursts refused with the reason; what ships."""

from __future__ import annotations

import hashlib
from importlib import resources

import pytest
from treat_tools import GOOD, spoiled

from rtloop.errors import ValidationProblem
from rtloop.model.threshold import Rig
from rtloop.plan.load import load_plan
from rtloop.plan.problems import FileProblem
from rtloop.plan.sections import kind_of
from rtloop.plan.treat_load import load_treatment, parse_treatment, treatments
from rtloop.plan.treat_schema import TreatmentPlan
from rtloop.plan.treat_steps import trains_of
from rtloop.safety.waivers import WAIVABLE, parse_waivers

ONE = [
    ("a unit without trains", ('model = "super-rapid"', 'model = "200"'),
     ("unit.model", "the unit gives no trains, or is not supported",
      "rapid, super-rapid or super-rapid-plus (Magstim Rapid²)", "'200'", "treat with a unit that gives trains")),
    ("a threshold by eye", ('method = "EMG"', 'method = "visual"'),
     ("threshold.method", "a motor threshold that is not from EMG is not accepted", 'method = "EMG"', "'visual'",
      "accept thresholds by EMG only; a visible twitch reads about 11 % too high")),
    ("no pause", ("pause_s = 26.0\n", ""),
     ("trains.pause_s", "the pause does not go with the number of trains", "a pause between trains, none after a single one",
      "count = 10, no pause", "add the pause (counted from the end of a train)")),
    ("over its own cap", ("count = 10", "count = 11"),
     ("caps.pulses_session_max", "the plan gives more pulses than its own cap", "at most 400 pulses", "440 pulses (11 x 40)",
      "give fewer or shorter trains, or raise the cap")),
    ("no tenth of a hertz", ("frequency_hz = 10.0", "frequency_hz = 10.05"),
     ("trains.frequency_hz", "no train of a unit", "a whole number of 0.1 Hz, 2 pulses or more",
      "a train's frequency is a positive whole number of 0.1 Hz, not 10.05", "correct the frequency or the pulses")),
    ("not a number", ("frequency_hz = 10.0", "frequency_hz = nan"),
     ("trains.frequency_hz", "not a finite number", "a finite number", "nan", "write a finite number")),
    ("a ramp that falls", ("[60.0, 70.0]", "[70.0, 60.0]"),
     ("ramp_up.steps_pct_rmt", "the steps do not rise", "each step above the one before", "70, 60", "order the steps")),
    ("a ramp to the top", ("[60.0, 70.0]", "[60.0, 80.0]"),
     ("ramp_up.steps_pct_rmt", "a step is not below the intensity of targets[0]", "less than 80 % RMT", "60, 80",
      "lower the steps")),
    ("a ramp without a treatment", ("trains_each = 2", "trains_each = 5"),
     ("ramp_up.trains_each", "the ramp is as long as the session", "fewer trains than trains.count = 10", "10",
      "shorten the ramp")),
    ("one name twice", ('name = "ACC"', 'name = "m1"'),
     ("targets[1].name", "the target name m1 occurs twice", "each target name once", "also in targets[0]",
      "rename one of the two targets")),
    ("a table that is not built", ("[caps]", "[sham]\nbelow = 1\n[caps]"),
     ("sham", "the table is not known", "plan, unit, trains, ramp_up, gate, threshold, caps or targets",
      "a table with the keys below", "remove the table or correct its name")),
    ("a mapping's key", ("count = 10", "count = 10\nlead_s = 1"),
     ("trains.lead_s", "the key is not known", "only known keys", "1", "remove the key or correct its name")),
    ("no place on a head", ("z_m = 0.08", "z_m = 80.0"),
     ("targets[1].coil_at", "the place is not on a head", "0.044 to 0.176 m from the head's centre", "80 m",
      "write metres from the centre of the head, not millimetres")),
]  # fmt: skip


def told(text: str) -> list[tuple[str, str, str, str, str]]:
    with pytest.raises(FileProblem) as caught:
        parse_treatment(text)
    assert caught.value.exit_code == 3
    return [(p.where, p.what, p.expected, p.found, p.todo) for p in caught.value.problems]


def test_the_good_plan() -> None:
    plan = parse_treatment(GOOD)
    assert (plan.name, plan.plan.label, plan.pulses, plan.train.duration_s) == ("good", "assumed", 400, 4.0)
    assert plan.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()
    assert plan.source == GOOD.encode()
    assert plan.rig("ACC") == Rig(
        unit_model="super-rapid", coil="double cone", waveform="biphasic", current_direction="PA"
    )
    steps = trains_of(plan, "M1", 55)
    assert [(s.power_pct_mso, s.power_pct_rmt, s.ramping) for s in steps] == (
        [(33, 60.0, True)] * 2 + [(38, 70.0, True)] * 2 + [(44, 80.0, False)] * 6
    )
    assert [s.pause_s for s in steps] == [0.0] + [26.0] * 9
    with pytest.raises(KeyError):
        trains_of(plan, "DLPFC", 55)


@pytest.mark.parametrize(("change", "words"), [c[1:] for c in ONE], ids=[c[0] for c in ONE])
def test_each_fault_in_words(change: tuple[str, str], words: tuple[str, str, str, str, str]) -> None:
    assert told(spoiled(GOOD, change)) == [words]


def test_all_faults_at_once() -> None:
    text = spoiled(
        GOOD, ('model = "super-rapid"', 'model = "bistim"'), ("count = 10", "count = 12"), ('coil_at = "C3"', 'coil_at = "Q9"'),
        ("[60.0, 70.0]", "[60.0, 90.0]"), ("max_age_days = 7", 'max_age_days = "a week"'), ("schema = 1", "schema = 3"),
        ('label = "assumed"', 'label = "certain"'),
    )  # fmt: skip
    assert {row[0] for row in told(text)} == {
        "plan.schema", "plan.label", "unit.model", "caps.pulses_session_max", "targets[0].coil_at", "ramp_up.steps_pct_rmt",
        "threshold.max_age_days",
    }  # fmt: skip


KEYS = """frequency_hz pulses count pause_s intensity_pct_rmt power_pct_mso_max pulses_session_max max_age_days method coil
current_direction waveform label"""


@pytest.mark.parametrize("key", KEYS.split())
def test_nothing_that_changes_the_dose_has_a_default(key: str) -> None:
    lines = GOOD.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(f"{key} ="))
    where = [row[0] for row in told("\n".join(lines[:first] + lines[first + 1 :]))]
    assert any(w.endswith(f".{key}") for w in where), where


BURSTS = [
    ("pulses = 40", "pulses = 40\nburst_pulses = 3", "trains.burst_pulses", "burst_pulses = 3"),
    ("pulses = 40", 'pulses = 40\npattern = "iTBS"', "trains.pattern", "pattern = 'iTBS'"),
    ("pulses = 40", "pulses = 40\ntheta_hz = 5.0", "trains.theta_hz", "theta_hz = 5.0"),
    ("pulses = 40", 'pulses = 40\nkind = "intermittent"', "trains.kind", "kind = 'intermittent'"),
    (
        "[caps]",
        "[bursts]\npulses = 3\nhz = 50\n[caps]",
        "bursts",
        "bursts = a table with the keys pulses, hz",
    ),
    ("pause_s = 26.0", "pause_s = 0.16", "trains.pause_s", "40 pulses at 10 Hz every 0.16 s"),
]


@pytest.mark.parametrize(("old", "new", "where", "found"), BURSTS)
def test_bursts_are_refused_with_the_reason(old: str, new: str, where: str, found: str) -> None:
    (row,) = told(spoiled(GOOD, (old, new)))
    assert row == (
        where,
        "serial control cannot do bursts: over the serial line one command starts one train of one frequency, and the program "
        "times the trains; there is no command for bursts inside a train (theta burst, intermittent patterns), and what the "
        "unit's own panel could do is not under the gate",
        "regular trains", found, "give regular trains: frequency_hz, pulses, count, pause_s; remove what describes bursts",
    )  # fmt: skip


def test_a_plan_made_in_code_is_checked_too() -> None:
    plan = parse_treatment(GOOD)
    tables = {k: getattr(plan, k) for k in TreatmentPlan.model_fields}
    assert TreatmentPlan(**tables) == TreatmentPlan.model_validate(tables)
    with pytest.raises(ValueError, match="the target name M1 occurs twice"):
        TreatmentPlan(**tables | {"targets": (plan.targets[0], plan.targets[0])})


def test_what_ships() -> None:
    protocols = ("treat-10hz-4s", "treat-10hz-4s-gated", "treat-10hz-trial", "treat-1hz")
    assert treatments() == (*protocols, "treat-quick")  # the last treats nobody
    assert load_treatment("treat-quick").pulses == 30
    plans = {name: load_treatment(name) for name in protocols}
    for name, plan in plans.items():
        assert (plan.name, kind_of(name)) == (name, "treat")
        assert [(t.name, t.coil_at) for t in plan.targets] == [
            ("M1", "C3"),
            ("DLPFC", "F3"),
            ("ACC", "FCz"),
            ("PSI", "C5"),
        ]
        assert all(t.coil and t.intensity_pct_rmt <= 90 for t in plan.targets)
        assert plan.ramp_up is None
    trial = plans["treat-10hz-trial"]
    assert trial.plan.label == "derived"
    assert (trial.train.frequency_hz, trial.train.n_pulses, trial.trains.count, trial.trains.pause_s) == (
        10.0,
        100,
        30,
        20.0,
    )
    assert (trial.pulses, trial.caps.pulses_session_max, trial.train.duration_s) == (3000, 3000, 10.0)
    four = plans["treat-10hz-4s"]
    assert (four.pulses, four.train.duration_s, four.trains.pause_s, four.trains.count) == (
        3000,
        4.0,
        26.0,
        75,
    )
    assert plans["treat-1hz"].train.frequency_hz == 1.0


def test_the_waiver_that_ships_is_blank() -> None:
    folder = resources.files("rtloop.plan") / "library" / "waivers"
    names = sorted(f.name for f in folder.iterdir())
    assert names == ["treat-10hz-trial.toml"]
    plan = load_treatment("treat-10hz-trial")
    with pytest.raises(ValidationProblem) as caught:
        parse_waivers((folder / names[0]).read_text("utf-8"), plan_sha256=plan.sha256, today="2026-11-23")
    for key in ("reason", "citation", "person", "plan_sha256"):
        assert f"{key} is missing or empty" in caught.value.found
    assert "signed_on = '' is no date" in caught.value.found
    assert 'rule = "train_longest_tested"' in (folder / names[0]).read_text("utf-8")
    assert "train_longest_tested" in WAIVABLE


def test_each_kind_is_read_where_it_belongs() -> None:
    with pytest.raises(
        FileProblem, match="the file is no treatment plan; expected: kind = \"treat\"; found: 'map'"
    ):
        parse_treatment(spoiled(GOOD, ('kind = "treat"', 'kind = "map"')))
    text = (resources.files("rtloop.plan") / "library" / "treatment" / "treat-1hz.toml").read_text("utf-8")
    from rtloop.plan.load import parse_plan

    with pytest.raises(
        FileProblem,
        match=r'is a treatment plan; expected: kind = "map", "probe" or "watch"; found: kind = "treat"',
    ):
        parse_plan(text, "mine")
    with pytest.raises(FileProblem, match="no plan is called treat-1hz"):
        load_plan("treat-1hz")
    with pytest.raises(
        FileProblem,
        match=r"no treatment plan is called quick; expected: one of treat-10hz-4s, .*, or the path",
    ):
        load_treatment("quick")
    with pytest.raises(
        FileProblem,
        match=r"no plan is called nosuch; expected: one of bedside, .*treat-quick, course-derived, or",
    ):
        kind_of("nosuch")
