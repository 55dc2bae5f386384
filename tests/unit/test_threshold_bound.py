"""A motor threshold from its file joins a plan: % of threshold becomes power, and what does not fit is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from plan_tools import GOOD
from threshold_tools import RIG, made

from rtloop.app.look import check_plan
from rtloop.app.setting import Request, prepare
from rtloop.app.threshold_asked import ThresholdRequest, wanted
from rtloop.app.threshold_bound import for_treatment
from rtloop.errors import UsageProblem, ValidationProblem
from rtloop.model.status import Mode
from rtloop.model.threshold import ToldBy
from rtloop.plan.treat_load import load_treatment, treatments
from rtloop.record.thresholds import write_threshold
from rtloop.safety.limits import load_limits

NOW = datetime.now(UTC).isoformat(timespec="milliseconds")
AT_70 = replace(RIG, coil="70 mm")
OWN = GOOD[GOOD.index("[threshold]") : GOOD.index("[timing]")]
PLAN = GOOD.replace(OWN, "").replace('"monophasic"', '"monophasic, posterior-anterior"')


def asked(tmp_path: Path, plan: str = PLAN, *, file: bool = True, **changes: Any) -> Request:
    (tmp_path / "plan.toml").write_text(plan, "utf-8")
    if file:
        fields = {
            "made_utc": NOW,
            "rig": AT_70,
            "mode": Mode.SIMULATED,
            "pct_mso": 41,
            "estimate_pct_mso": 41.2,
        }
        (tmp_path / "t.json").unlink(missing_ok=True)
        write_threshold(tmp_path / "t.json", made(**(fields | {"low_pct_mso": None} | changes)))
    return Request(
        kind="map", plan=str(tmp_path / "plan.toml"), simulate=True, participant="P001", data_dir=tmp_path / "data",
        threshold=tmp_path / "t.json" if file else None,
    )  # fmt: skip


def test_the_plan_is_bound_to_the_file_and_stays_the_same_plan(tmp_path: Path) -> None:
    without = prepare(asked(tmp_path, file=False, plan=GOOD.replace('"P01"', '"P001"')))
    assert without.threshold is None
    setting = prepare(asked(tmp_path))
    row = next(r for r in setting.rehearsal.table if r.target == "M1")
    assert (row.power_pct_mso, row.preview_pct_mso) == (45, (41, 45))  # 110 % of 41 is 45.1
    assert setting.plan.threshold is not None
    assert setting.plan.threshold.pct_mso == 41
    assert setting.plan.source.decode() == PLAN
    assert setting.plan.sha256
    assert setting.threshold is not None
    assert (setting.threshold["pct_mso"], len(setting.threshold["sha256"])) == (41, 64)


@pytest.mark.parametrize(
    ("plan", "changes", "words"),
    [
        (PLAN, {"participant": "P002"}, ["participant: expected P001, found P002"]),
        (PLAN, {"rig": RIG}, ["coil: expected 70 mm, found 70 mm figure-of-eight"]),
        (PLAN, {"rig": replace(AT_70, current_direction="anterior-posterior")}, ["direction: expected posterior-anterior"]),
        (PLAN, {"told_by": ToldBy.VISUAL}, ["found a visible twitch"]),
        (PLAN, {"made_utc": "2020-01-01T00:00:00+00:00"}, ["age: expected at most 7 days, found 2020-01-01"]),
        (PLAN.replace(", posterior-anterior", ""), {}, ["current direction: expected it to be known"]),
        (PLAN.replace("[timing]", OWN.replace('"monophasic"', '"monophasic, posterior-anterior"') + "[timing]"), {},
         ["found a [threshold] of 50 % there; the file says 41 %"]),
        (PLAN, {"participant": "P2", "told_by": ToldBy.VISUAL, "rig": replace(AT_70, unit_model="rapid")},
         ["participant: ", "unit: expected 200, found rapid", "told by: "]),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_plan_is_refused_with_every_reason(
    tmp_path: Path, plan: str, changes: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ValidationProblem, match="cannot be used with the plan good") as no:
        prepare(asked(tmp_path, plan, **changes))
    assert [w for w in words if w not in no.value.found] == []
    assert no.value.found.count("expected") == len(words)


def test_a_treatment_takes_the_threshold_of_its_file_or_says_every_reason(tmp_path: Path) -> None:
    plan, today = load_treatment("treat-10hz-4s"), NOW[:10]
    target, file = plan.targets[0].name, tmp_path / "t.json"
    t = made(made_utc=NOW, rig=plan.rig(target))
    sha256 = write_threshold(file, t)
    asked: dict[str, Any] = {
        "participant": "P001",
        "mode": Mode.HUMAN,
        "today": today,
        "limits": load_limits(),
    }
    gate, value, digest = for_treatment(plan, target, file, **asked)
    assert (gate.pct_mso, gate.method, gate.date, gate.unit_model) == (50.0, "EMG", today, plan.unit.model)
    assert gate.waveform == plan.rig(target).waveform_words
    assert (value, digest) == (t, sha256)
    (tmp_path / "other.json").unlink(missing_ok=True)
    write_threshold(tmp_path / "other.json", made(made_utc=NOW, told_by=ToldBy.VISUAL, mode=Mode.SIMULATED))
    with pytest.raises(ValidationProblem) as no:
        for_treatment(
            plan, target, tmp_path / "other.json", **(asked | {"participant": "P2", "today": "2031-01-01"})
        )
    for word in ("participant: ", "unit: ", "told by: ", "taken in: ", "age: "):
        assert word in no.value.found


def test_what_ships_takes_the_threshold_that_a_simulation_makes(tmp_path: Path) -> None:
    """A newcomer's way: rtloop threshold --simulate, then its file for a plan of the library."""
    for model, names in (("200", ("map-200", "probe-m1")), ("super-rapid", treatments())):
        want = wanted(ThresholdRequest(simulate=True, participant="P001", unit=model))
        file = tmp_path / f"{model}.json"
        write_threshold(file, made(made_utc=NOW, rig=want.rig, mode=Mode.SIMULATED))
        for name in names:
            _, data, _ = check_plan(name, None, target=None if model == "200" else "M1", threshold=file)
            left = [b["rule"] for b in (data if model == "200" else data["targets"][0])["breaches"]]
            assert left in ([], ["train_longest_tested"]), (
                name
            )  # the trial's trains want their waiver in any case


def test_a_threshold_without_the_cap_is_not_that_of_a_map(tmp_path: Path) -> None:
    with pytest.raises(ValidationProblem, match="EEG cap: expected on, found off"):
        prepare(asked(tmp_path, cap_on=False))


def test_check_with_a_file_knows_the_power_and_what_does_not_fit(tmp_path: Path) -> None:
    plan, file = load_treatment("treat-10hz-4s"), tmp_path / "t.json"
    write_threshold(file, made(made_utc=NOW, pct_mso=41, estimate_pct_mso=41.2, low_pct_mso=None, rig=plan.rig("M1"),
                               mode=Mode.BENCH))  # fmt: skip
    text, data, code = check_plan(plan.name, None, target="M1", threshold=file)
    assert code == 0
    assert "80 % RMT = 32 % MSO (with a threshold of 41 % MSO)" in text  # 32.8
    assert "threshold: 41 % of maximum output (95 %: open to 52.5), P001" in text
    assert data["targets"][0]["energy_j"] == pytest.approx(3000 * 252 * 0.32**2)
    assert "threshold_taken_in: expected a threshold taken in mode HUMAN, found BENCH" in text
    _, data, code = check_plan(plan.name, None, target="M1", threshold=file, mode="human")
    assert code == 3
    assert "threshold_taken_in" in [b["rule"] for b in data["targets"][0]["breaches"]]
    _, data, code = check_plan(plan.name, None, target="ACC", threshold=file)  # of another coil
    assert (code, [b["rule"] for b in data["targets"][0]["breaches"]]) == (3, ["threshold_own"])
    with pytest.raises(UsageProblem, match="--threshold and --rmt exclude each other"):
        check_plan(plan.name, None, threshold=file, rmt_pct_mso=41)


def test_check_of_a_map_with_a_file_knows_its_powers(tmp_path: Path) -> None:
    request = asked(tmp_path)
    assert request.plan is not None
    text, data, code = check_plan(request.plan, None, threshold=request.threshold)
    assert code == 0, text
    assert data["targets"][0]["power_pct_mso"] == 45
    with pytest.raises(ValidationProblem, match="cannot be used with the plan quick"):
        check_plan("quick", None, threshold=request.threshold)
