"""A whole stepped session with a sham block after the run: scored apart, safe like any block, compared, replayed alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from session_tools import Held, hold_tiny, tiny

from gui.beside import beside_shown
from gui.scores import WHY_MASKED
from rtloop.model.estimate import Estimate, Scores
from rtloop.model.view import fold_all
from rtloop.record.report import SENSORY, render_report, with_error
from rtloop.record.verify import verify
from rtloop.safety.ledger import Ledger
from rtloop.session import beside
from rtloop.session.beside_rows import contrast_line
from rtloop.session.outcome import report_input
from rtloop.session.replay import replay

SHAM = '[targets.control]\nkind = "sham"\npulses = 10\nsubtract = true\n'


@pytest.fixture(scope="module", autouse=True)
def _few() -> Iterator[None]:
    """Few draws of trials, and no picture is drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rtloop.record.figures.evoked_figure", lambda evoked: "data:,")
        patch.setattr(beside, "HALVES", 4)
        patch.setattr(beside, "NOISES", 2)
        yield


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    plan = tiny("M1", wanted=10, most=14) + SHAM
    return hold_tiny(tmp_path_factory.mktemp("sham"), plan=plan, channels=16, scene="sensory")


def compared(held: Held) -> dict[str, Any]:
    (found,) = held.kinds("control_compared")
    return found


def evoked(part: dict[str, Any], name: str) -> Estimate:
    return Scores.from_dict(part).evoked[name]


def test_a_sham_block_is_given_like_any_other_and_counts(held: Held) -> None:
    assert held.sat is not None
    assert held.sat.exit_code == 0
    order = [d["phase"] for d in held.kinds("phase_entered")]
    assert order == [
        "place",
        "arm",
        "preview",
        "go",
        "arm",
        "run",
        "place_control",
        "arm",
        "control",
        "review",
    ]
    closed = held.kinds("pulse_closed")
    sham = [d for d in closed if d["block"] == "control"]
    assert len(sham) == 10
    assert {d["power_pct_mso"] for d in sham} == {45}
    permits = {d["pulse_id"]: d for d in held.kinds("pulse_intended")}
    assert {permits[d["pulse_id"]]["purpose"] for d in sham} == {"control"}
    assert Ledger.from_events(held.events).count() == len(closed) == held.sat.data["pulses"]["fired"]
    stood = {p["block"]: d["target"] for p, d in zip(closed, held.bench.discharges, strict=True)}
    assert stood == {"preview": "M1", "run": "M1", "control": "M1 sham"}  # the simulated coil was moved
    assert verify(held.folder.path).ok


def test_control_trials_are_scored_apart(held: Held) -> None:
    view = held.sitting.loop.view
    run, sham = view.targets["M1"], view.targets["M1/control"]
    assert run.scores is not None
    assert sham.scores is not None
    assert run.scores["n_accepted"] == run.n_accepted
    assert sham.scores["n_accepted"] == sham.n_accepted <= 10
    judged = held.kinds("trial_judged")
    assert run.n_accepted == sum(d["accepted"] for d in judged if d["block"] == "run")
    assert view.ranking is None  # one target, and a control block is none


def test_real_against_sham_has_both_errors_and_the_right_sign(held: Held) -> None:
    d = compared(held)
    assert (d["kind"], d["subtract"], d["why_absent"]) == ("sham", True, "")
    assert d["equal_n"] == min(d["n_real"], d["n_control"]) >= 6
    for name in ("gmfp_uv:80-300", "early_local_pp_uv"):
        real, sham, less = (evoked(d[part], name) for part in ("real", "control", "difference"))
        assert less.value == pytest.approx(real.value - sham.value)
        assert less.se == pytest.approx((real.se**2 + sham.se**2) ** 0.5)
        assert real.n == sham.n == less.n == d["equal_n"]
        # what was heard and felt is in both: what the coil did alone is less, but not nothing
        assert 0 < less.value < real.value
    late = Estimate.from_dict(d["subtracted"]["gmfp_uv:80-300"])
    assert 0 < late.value < evoked(d["real"], "gmfp_uv:80-300").value
    assert late.se > 0
    # the sham coil drives no cortex: before 50 ms there is hardly anything to take away
    early, whole = (
        Estimate.from_dict(d["subtracted"]["early_local_pp_uv"]),
        evoked(d["real"], "early_local_pp_uv"),
    )
    assert early.value > 0.7 * whole.value


def test_what_stands_beside_the_scores_is_measured_once_with_the_unit_disarmed(held: Held) -> None:
    (beside,) = held.kinds("beside_measured")
    assert beside["why_absent"] == ""
    found = Scores.from_dict(beside["scores"])
    assert {"pcist", "pcist_noise", "natural_frequency_hz"} <= set(found.evoked)
    assert {"dwpli2_shift", "dwpli2_evoked_subtracted", "imcoh", "dwpli2_ongoing"} <= set(found.connectivity)
    (norm,) = beside["norms"]
    assert norm["percentile"] is None
    assert "offline reference" in norm["why_absent"]
    at = [e.n for e in held.events if e.kind in ("beside_measured", "control_compared")]
    before = [e for e in held.events if e.n < at[0]]
    assert next(e.data["after"] for e in reversed(before) if e.kind == "lamp_changed") == "READY"
    assert next(e.data["phase"] for e in reversed(before) if e.kind == "phase_entered") == "review"


def test_live_is_replay(held: Held) -> None:
    assert fold_all(held.events).targets == held.sitting.loop.view.targets
    assert replay(held.folder).differences == []


def test_result_and_report_tell_it(held: Held) -> None:
    assert held.sat is not None
    told = json.loads(held.folder.result.read_text())["targets"]
    assert "beside" not in told["M1/control"]
    m1 = told["M1"]
    assert m1["control"]["difference"] == compared(held)["difference"]
    for row in m1["beside"]["rows"]:
        assert row["definition"], row
        assert row["n"] >= 10
        assert (row["value"] is None) == bool(row["why_absent"])
        assert row["value"] is None or row["se"] is not None
    report = held.folder.report.read_text()
    assert SENSORY not in report  # there is a control condition
    assert "Real against sham" in report
    less = evoked(compared(held)["difference"], "gmfp_uv:80-300")
    for words in (
        with_error(less),
        "GMFP, 80-300",
        "PCIst of noise",
        "shift predictor",
        "not compared, the norm holds for",
    ):
        assert words in report, words
    assert 'alt="Real minus control at M1"' in report
    (line,) = [w for w in held.sat.text.splitlines() if w.startswith("real minus control")]
    assert f"= {less.value:.1f} ± {less.se:.1f} µV" in line


def test_a_blinded_study_shows_none_of_it(held: Held) -> None:
    view = held.sitting.loop.view
    (seen,) = [t for t in beside_shown(view, "M1", "operator").tables if t.caption == "Real against control"]
    late = evoked(compared(held)["difference"], "gmfp_uv:80-300")
    assert with_error(late) in {row[3] for row in seen.rows}
    view = replace(view, started={**view.started, "blinded": True})
    hidden = beside_shown(view, "M1", "operator")
    assert not hidden.tables
    assert [line.text for line in hidden.words] == [WHY_MASKED]
    assert len(beside_shown(view, "M1", "unblinded").tables) == 2
    assert contrast_line(view) == []
    html = render_report(report_input(held.folder, view, held.sitting.line, "0" * 64))
    for words in (
        "shift predictor",
        "PCIst",
        "Real against control",
        "Real minus control",
        "natural frequency",
    ):
        assert words not in html, words
    assert "Real against sham" in html  # that there was one, and how many trials, stays
