"""``[gate]`` of a treatment plan: each fault in words, no silent default, and what `rtloop check` says of a gated session."""

from __future__ import annotations

import pytest
from treat_tools import GATE, GOOD, RAPID, spoiled, threshold

from rtloop.app.treatment_check import CheckAsked, check_treatment
from rtloop.model.montage import NAMES_63, Montage
from rtloop.plan.gate_checks import waits_s
from rtloop.plan.problems import FileProblem
from rtloop.plan.treat_load import parse_treatment
from rtloop.plan.treat_rehearse import rehearse_treatment
from rtloop.plan.treat_schema import StateGate
from rtloop.safety.limits import load_limits

GATED = GOOD + GATE
TODAY = "2026-11-23"
WRONG = [
    (("every_s = 0.5", "every_s = 1.9"), ("window_s = 4.0", "window_s = 1.5"),
     ("gate.every_s", "samples between two looks would be in no window", "at most window_s = 1.5 s", "1.9 s", "look more often")),
    (("calibration_max_s = 200.0", "calibration_max_s = 79.9"), ("", ""),
     ("gate.calibration_max_s", "the calibration ends before its windows can be there", "at least 20 x 4 s = 80 s", "79.9 s",
      "allow more time (artifacts cost windows), or ask for fewer")),
    (("time_out_s = 20.0", "time_out_s = 3.9"), ("every_s = 0.5", "every_s = 2.0"),
     ("gate.time_out_s", "the wait is over before it was looked twice", "at least 2 x every_s = 4 s", "3.9 s",
      "wait longer, or look more often")),
    (("pause_s = 26.0", "pause_s = 5.0"), ("recovery_s = 4.0", "recovery_s = 22.0"),
     ("gate.time_out_s", "no value can come before the time is out",
      "recovery_s + window_s = 26 s to be less than pause_s + time_out_s", "25 s",
      "lengthen the pause or the time-out, or shorten the window")),
    (('near = "coil"', 'near = "M1"'), ("", ""),
     ("gate.near", "M1 is the name of a mastoid or ear electrode (TP9), not of the cortex",
      "an electrode of the 10-20, 10-10 or 10-5 system", "M1", "write C3 for left motor cortex, or TP9 if the mastoid is meant")),
]  # fmt: skip


def gate_of(text: str = GATED) -> StateGate:
    found = parse_treatment(text).gate
    assert found is not None
    return found


def told(text: str) -> list[tuple[str, str, str, str, str]]:
    with pytest.raises(FileProblem) as caught:
        parse_treatment(text)
    return [(p.where, p.what, p.expected, p.found, p.todo) for p in caught.value.problems]


@pytest.mark.parametrize(("first", "second", "words"), WRONG, ids=[w[2][0] for w in WRONG])
def test_each_fault_in_words(
    first: tuple[str, str], second: tuple[str, str], words: tuple[str, str, str, str, str]
) -> None:
    assert told(spoiled(GATED, first, second)) == [words]


@pytest.mark.parametrize("key", [line.split(" =")[0] for line in GATE.strip().splitlines()[1:]])
def test_nothing_in_it_has_a_default(key: str) -> None:
    line = next(x for x in GATE.splitlines() if x.startswith(f"{key} ="))
    assert [row[0] for row in told(spoiled(GATED, (f"{line}\n", "")))] == [f"gate.{key}"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"plv"', '"coherence"'), ('"alpha"', '"mu"'), ('"below"', '"near"'), ("quantile = 0.5", "quantile = 0.05"),
        ("time_out_s = 20.0", "time_out_s = 46.0"), ('"give"', '"wait"'), ('begin_by = "state"', 'begin_by = "sham"'),
        ("recovery_s = 4.0", "recovery_s = 0.4"), ("calibration_windows = 20", "calibration_windows = 19"),
    ],
)  # fmt: skip
def test_a_value_that_is_none_of_those_allowed_is_refused(old: str, new: str) -> None:
    key = next(line for line in GATE.splitlines() if old in line).split(" =")[0]
    assert [row[0] for row in told(spoiled(GOOD, ("[caps]", "[caps]")) + spoiled(GATE, (old, new)))] == [
        f"gate.{key}"
    ]


def test_where_the_electrodes_are() -> None:
    montage = Montage.from_names(NAMES_63)
    at_coil = gate_of().near_m("F3")
    assert montage.names[montage.nearest(at_coil, 1)[0]] == "F3"
    fixed = gate_of(spoiled(GATED, ('near = "coil"', 'near = "C3"')))
    assert montage.names[montage.nearest(fixed.near_m("F3"), 1)[0]] == "C3"
    point = gate_of(spoiled(GATED, ('near = "coil"', "near = { x_m = 0.0, y_m = 0.0, z_m = 0.088 }")))
    assert montage.names[montage.nearest(point.near_m("F3"), 1)[0]] == "Cz"


def test_how_long_a_session_may_take() -> None:
    plan = parse_treatment(GATED)
    found = rehearse_treatment(
        plan, "M1", unit=RAPID, limits=load_limits(), today=TODAY, threshold=threshold(50)
    )
    assert found.waits_s == (20 * 4.0, 200.0 + 10 * 20.0)
    assert found.duration_s == 10 * 4 + 9 * 26  # unchanged
    left = rehearse_treatment(
        plan, "M1", unit=RAPID, limits=load_limits(), today=TODAY, threshold=threshold(50), given=7
    )
    assert left.waits_s == (80.0, 200.0 + 3 * 20.0)  # a run that resumes calibrates anew
    short = gate_of(spoiled(GATED, ("recovery_s = 4.0", "recovery_s = 30.0")))
    assert waits_s(short, 10, 26.0) == (80.0 + 9 * 8.0, 400.0)
    assert waits_s(None, 10, 26.0) is None


def test_check_tells_of_the_shipped_gate() -> None:
    text, data, code = check_treatment("treat-10hz-4s-gated", CheckAsked(rmt_pct_mso=55), TODAY)
    assert code == 0, text
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if "begins only while" in line)
    assert lines[at : at + 3] == [
        "  each train begins only while it holds: plv in the alpha band among the 4 electrodes nearest the coil, over 4 s, below "
        "the 0.5 quantile of 30 calibration windows",
        "  looked at every 0.5 s, from 4 s after a train; after 20 s it is given all the same",
        "  39 min 04 s to 67 min 04 s with calibration and waits (paused by hand or by a fault: longer); it needs the EEG of the "
        "stream",
    ]
    assert data["targets"][0]["waits_s"] == (120.0, 1800.0)


def test_check_says_when_it_is_a_control(tmp_path: object) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "control.toml"
    file.write_text(
        spoiled(GATED, ('begin_by = "state"', 'begin_by = "control"'), ('then = "give"', 'then = "skip"'))
    )
    text, _, _ = check_treatment(str(file), CheckAsked(rmt_pct_mso=50), TODAY)
    assert "CONTROL: each train waits as long as this would make it wait, whatever the state" in text
    assert "it is passed over" in text
