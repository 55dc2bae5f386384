"""A treatment without a study: what the journals of earlier runs say against one that begins now."""

from __future__ import annotations

from pathlib import Path

import pytest
from study_tools import MONDAY, begun, given, written

from rtloop.app.treat_today import refuse_too_soon, runs_of
from rtloop.errors import ValidationProblem
from rtloop.model.course import TREATMENT_BEGUN, TREATMENT_GIVEN


def test_two_utc_days_may_lie_minutes_apart_and_a_second_treatment_is_refused(tmp_path: Path) -> None:
    run = begun("P001", 1, MONDAY, utc=f"{MONDAY}T23:40:00.000+00:00")
    end = given(run, ended_utc=f"{MONDAY}T23:55:00.000+00:00")
    started = (
        "session_started",
        {"participant": "P001", "mode": "SIMULATED", "kind": "treat", "scene": "default"},
    )
    written(tmp_path, "aa", [started, (TREATMENT_BEGUN, run.data()), (TREATMENT_GIVEN, end.data())], 23)
    runs = runs_of(tmp_path, "P001", simulated=True)
    assert runs == (end,)
    assert runs_of(tmp_path, "P002", simulated=True) == ()
    with pytest.raises(ValidationProblem, match="the last treatment ended at 2026-11-23T23:55") as no:
        refuse_too_soon(runs, "2026-11-24T00:10:00.000+00:00")
    assert no.value.expected == "12 hours between two treatments"
    refuse_too_soon(runs, "2026-11-24T11:55:00.000+00:00")
    refuse_too_soon((given(run, 0),), "2026-11-24T00:10:00.000+00:00")  # of which nothing was given
