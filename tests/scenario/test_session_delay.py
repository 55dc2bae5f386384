"""The delay from fire command to EEG that is expected: by the site file or learnt; told on terminal, window and report."""

from __future__ import annotations

from pathlib import Path

import pytest
from gui_state_tools import live, shown
from session_tools import hold_tiny, tiny

from rtloop.app.config import Site
from rtloop.app.doctor import _delay
from rtloop.model.view import fold_all
from rtloop.session.loopback import SITE

ROW = "fire command to pulse in the EEG"


def site_file(folder: Path, text: str) -> Path:
    path = folder / "rtloop.toml"
    path.write_text(text)
    return path


@pytest.mark.req("R-DELAY")
def test_what_the_site_says_is_expected_from_the_first_pulse_on_and_told_everywhere(tmp_path: Path) -> None:
    site = site_file(tmp_path, "[loopback]\nexpected_ms = 10.0\noff_ms = 15.0\nnewest = 2\n")
    held = hold_tiny(tmp_path, plan=tiny(wanted=3), site=site)
    assert held.kinds("session_started")[0]["loopback"] == {
        "expected_s": 0.01,
        "off_s": 0.015,
        "single_off_s": 0.02,
        "newest": 2,
        "whose": SITE,
    }
    said = f"fire command to EEG: expected 10.0 ± 15 ms {SITE}, median of the newest 2, each pulse ± 20 ms"
    armed = next(i for i, words in enumerate(held.said) if "-> ARMED" in words)
    assert any(said in words for words in held.said[:armed])
    first = next(i for i, e in enumerate(held.events) if e.kind == "pulse_seen")
    view = fold_all(held.events[: first + 1])
    (row,) = [r for r in shown(view, live(view, held.events[first].t_s)).latency if r.name.startswith(ROW)]
    assert row.name == f"{ROW}, expected 10.0 ± 15 ms"
    assert SITE in row.meaning
    assert f"expected 10.0 ± 15 ms {SITE}" in held.folder.report.read_text()


@pytest.mark.req("R-DELAY")
def test_a_site_whose_delay_is_not_the_real_one_disarms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtloop.app.leaving.write_report", lambda *_: None)
    site = site_file(tmp_path, "[loopback]\nexpected_ms = 60.0\nnewest = 2\n")
    held = hold_tiny(tmp_path, plan=tiny(wanted=3), site=site, limit_s=25.0)
    at, fault = next(
        (e.n, e.data) for e in held.events if e.kind == "fault_raised" and e.data["fault"] == "latency_off"
    )
    assert fault["action"] == "disarm"
    assert "a pulse came 12.0 ms after the command, expected 60.0 ± 20.0 ms" in fault["words"]
    assert sum(e.kind == "pulse_intended" for e in held.events if e.n < at) == 1
    record = held.kinds("pulse_accounted")[0]
    assert (record["ok"], record["delivered_min"]) == (False, 1)
    assert "expected 60.0 ± 20.0 ms" in record["words"]


@pytest.mark.req("R-DELAY")
def test_where_nobody_says_it_is_learnt_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtloop.app.leaving.write_report", lambda *_: None)
    held = hold_tiny(tmp_path, plan=tiny(wanted=4))
    assert held.kinds("session_started")[0]["loopback"]["expected_s"] is None
    assert "to be learnt from this session's own first pulses" in held.text
    learnt = [words for words in held.said if "as this session's own first pulses took" in words]
    assert len(learnt) == 1
    first = next(i for i, e in enumerate(held.events) if e.kind == "pulse_seen")
    view = fold_all(held.events[: first + 1])
    (row,) = [r for r in shown(view, live(view, held.events[first].t_s)).latency if r.name.startswith(ROW)]
    assert row.name == f"{ROW}, to be learnt"


@pytest.mark.req("R-DELAY")
def test_the_doctor_says_which_delay_is_expected_and_what_to_do_where_none_is() -> None:
    level, _, words = _delay(Site(data_dir="d"))
    assert level == "note"
    assert "[loopback] expected_ms" in words
    level, _, words = _delay(Site(data_dir="d", loopback={"expected_ms": 9.5}))  # type: ignore[arg-type]
    assert level == "ok"
    assert f"expected 9.5 ± 5 ms {SITE}" in words
