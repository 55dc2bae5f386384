"""When what stands beside the scores is measured, how it is told, and that a failure or too few trials end nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_scorer_target import run, trials

from rtloop.dsp.spec import ChainSpec
from rtloop.errors import ValidationProblem
from rtloop.measures.average import field_powers
from rtloop.measures.norms import PRESET
from rtloop.model.estimate import Estimate, Scores
from rtloop.model.event import Event
from rtloop.model.montage import HEAD_RADIUS_M, position_of
from rtloop.model.status import Lamp
from rtloop.model.view import TargetView, View, fold
from rtloop.session import beside, equal, loop
from rtloop.session.beside_rows import (
    NO_CONTROL,
    beside_rows,
    beside_words,
    contrast_line,
    contrast_rows,
    contrast_words,
    equal_rows,
    equal_words,
)
from rtloop.session.companions import pending, standings
from rtloop.session.contrasting import contrast, late_name
from rtloop.session.scorer import TargetScorer


@pytest.fixture(scope="module", autouse=True)
def _few() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beside, "HALVES", 3)
        patch.setattr(beside, "NOISES", 2)
        yield


@pytest.fixture(scope="module")
def blocks() -> dict[str, TargetScorer]:
    """A run with a response, a control block with less of it and fewer trials, and another run."""
    return {
        "M1": run(trials(n=13, seed=2, evoked_uv=8)),
        "M1/control": run(trials(n=10, seed=3, evoked_uv=3)),
        "ACC": run(trials(n=11, seed=4, evoked_uv=5)),
    }


def line_of(blocks: dict[str, Any]) -> Any:
    def scorer(target: str, block: str) -> Any:
        return blocks[target if block == "run" else f"{target}/{block}"]

    return SimpleNamespace(scorers=blocks, scorer=scorer, meanwhile=lambda: None, spec=ChainSpec())


def view_of(blocks: dict[str, Any], **more: Any) -> View:
    targets = {}
    for key, s in blocks.items():
        name, _, block = key.partition("/")
        targets[key] = TargetView(name=name, block=block or "run", n_accepted=s.n_accepted, **more)
    return View(targets=targets, started={"controls": {"M1": {"kind": "shoulder", "subtract": False}}})


def told(view: View, kind: str, /, **data: Any) -> View:
    return fold(view, Event(n=1, t_s=0.0, utc="2026-01-01T00:00:00", kind=kind, data=data))


@pytest.fixture(scope="module")
def measured(blocks: dict[str, TargetScorer]) -> View:
    view, line = view_of(blocks), line_of(blocks)
    for kind, data in pending(view, line, last=True):
        view = told(view, kind, **data)
    return view


def test_all_is_measured_once_and_again_only_after_a_trial_moved(
    blocks: dict[str, TargetScorer], measured: View
) -> None:
    assert measured.targets["M1"].beside is not None
    assert measured.targets["M1"].control is not None
    assert measured.targets["ACC"].control is None
    assert measured.targets["M1/control"].beside is None  # only of a run
    assert list(pending(measured, line_of(blocks))) == []
    moved = {"trial_id": 1, "pulse_id": 1, "words": "", "target": "M1"}
    other = told(measured, "trial_taken_out", **moved, block="control").targets["M1"]
    assert other.beside is not None
    assert other.control is None
    own = told(measured, "trial_taken_out", **moved, block="run").targets["M1"]
    assert own.beside is own.control is None
    again = told(measured, "block_restarted", target="M1", block="control").targets["M1"]
    assert again.control is None


def test_with_too_few_trials_nothing_is_measured_and_the_words_say_so(
    blocks: dict[str, TargetScorer],
) -> None:
    view = view_of(blocks)
    few = replace(view, targets={k: replace(t, n_accepted=9) for k, t in view.targets.items()})
    assert list(pending(few, line_of(blocks), last=True)) == []
    (words,) = beside_words(few.targets["M1"])
    assert "9 accepted trial(s), at least 10 are needed" in words
    (words,) = contrast_words(few, few.targets["M1"])
    assert "9 accepted control (shoulder) and 9 real trial(s)" in words
    assert "cannot be separated" in words
    (words,) = contrast_words(few, few.targets["ACC"])
    assert words.lower() == f"{NO_CONTROL}."
    assert "after 80 ms" in words
    assert contrast_line(few) == []


def test_a_failure_is_told_and_tried_only_once(blocks: dict[str, TargetScorer]) -> None:
    class Broken:
        n_accepted = 12

        def __getattr__(self, name: str) -> Any:
            raise ValidationProblem("no such luck")

    view, line = view_of(dict.fromkeys(blocks, Broken())), line_of(dict.fromkeys(blocks, Broken()))
    for kind, data in pending(view, line):
        view = told(view, kind, **data)
    assert list(pending(view, line)) == []
    (words,) = beside_words(view.targets["M1"])
    assert "no such luck" in words
    assert "no such luck" in contrast_words(view, view.targets["M1"])[0]
    assert beside_rows(view.targets["M1"]) == contrast_rows(view.targets["M1"]) == ()


def test_every_row_has_a_definition_and_every_number_an_error_or_its_reason(measured: View) -> None:
    rows = beside_rows(measured.targets["M1"])
    assert {"PCIst", "PCIst of noise", "natural frequency", "shift predictor"} <= {r.measure for r in rows}
    for row in rows:
        assert row.definition, row.measure
        for e in row.values.values():
            assert (np.isfinite(e.value) and np.isfinite(e.se)) or e.why_absent, row.measure


def test_real_minus_control_at_equal_n_is_the_mean_over_the_same_subsets(
    blocks: dict[str, TargetScorer], measured: View
) -> None:
    from rtloop.measures.sampling import DRAWS, subset

    d = measured.targets["M1"].control
    assert d is not None
    assert (d["n_real"], d["n_control"], d["equal_n"], d["draws"]) == (13, 10, 10, DRAWS)
    real, control = blocks["M1"], blocks["M1/control"]
    name = late_name("gmfp_uv", real.spec.window_s)

    def late(s: TargetScorer, weights: np.ndarray[Any, Any]) -> float:
        channels, roi, _ = s.used()
        gmfp, _ = field_powers(s.evoked.average_of(weights), channels, roi)
        return float(gmfp[s.evoked.inside((0.080, 0.300))].mean())

    at_ten = np.mean([late(real, subset(13, 10, draw=k).astype(float)) for k in range(DRAWS)])
    found = [Scores.from_dict(d[part]).evoked[name] for part in ("real", "control", "difference")]
    assert found[0].value == pytest.approx(at_ten)
    assert found[1].value == pytest.approx(late(control, np.ones(10)))
    assert found[2].value == pytest.approx(at_ten - found[1].value)
    unbiased = Scores.from_dict(d["real"]).score("global")
    assert unbiased.n == 13  # what is not biased keeps all its trials
    (line,) = contrast_line(measured)
    assert f"= {found[2].value:.1f} ± {found[2].se:.1f} µV" in line


def test_the_error_of_the_subtracted_average_leaves_out_each_trial_of_both(
    blocks: dict[str, TargetScorer],
) -> None:
    real, control = blocks["M1"], blocks["M1/control"]
    found = contrast(real, control, subtract=True).subtracted["gmfp_uv"]
    channels, roi, _ = real.used()
    inside = real.evoked.inside(real.spec.window_s)

    def gmfp(a: Any, b: Any) -> float:
        less = real.evoked.average_of(a) - control.evoked.average_of(b)
        return float(field_powers(less, channels, roi)[0][inside].mean())

    variance = 0.0
    for n, of in ((13, lambda w: gmfp(w, np.ones(10))), (10, lambda w: gmfp(np.ones(13), w))):
        each = np.array([of((np.arange(n) != k).astype(float)) for k in range(n)])
        variance += (n - 1) / n * ((each - each.mean()) ** 2).sum()
    assert found.value == pytest.approx(gmfp(np.ones(13), np.ones(10)), rel=1e-5)
    assert found.se == pytest.approx(np.sqrt(variance), rel=1e-4)


def test_targets_are_made_equal_at_the_smallest_number(measured: View) -> None:
    assert measured.equal_n is not None
    assert measured.equal_n["n"] == 11
    rows = {r.what: r.values for r in equal_rows(measured)}
    assert set(rows["gmfp_uv"]) == {"M1", "ACC"}
    assert {e.n for row in rows.values() for e in row.values()} == {11}
    assert {"PLV GLOBAL, pooled", "wPLI LOCAL, pooled", "itc_local:pooled", "pcist"} <= set(rows)
    assert f"seed {equal.SEED}" in equal_words(measured)


def test_a_percentile_is_given_only_under_the_norms_own_preprocessing() -> None:
    scores = Scores(
        target="M1", n_accepted=100, n_rejected=0, connectivity={},
        evoked={"pcist": Estimate.normal(34.8, 3.0, n=100, unit="transitions")},
    )  # fmt: skip
    c3 = HEAD_RADIUS_M * position_of("C3")
    (here,) = standings(scores, ChainSpec(), c3)
    assert here["percentile"] is None
    assert PRESET in here["why_absent"]
    (there,) = standings(scores, ChainSpec(), c3, preset=PRESET)
    assert 40 < there["percentile"] < 60
    assert there["low"] < there["percentile"] < there["high"]
    (filtered,) = standings(scores, ChainSpec(muscle=True), c3, preset=PRESET)
    assert "spatial filter" in filtered["why_absent"]
    (nothing,) = standings(replace(scores, evoked={}), ChainSpec(), c3, preset=PRESET)
    assert nothing["why_absent"] == "there is no value"
    for coil_m, words in (
        (None, "not known"),
        (HEAD_RADIUS_M * position_of("F3"), "mm from the nearer of C3 and C4"),
    ):
        (elsewhere,) = standings(scores, ChainSpec(), coil_m, preset=PRESET)
        assert elsewhere["percentile"] is None
        assert words in elsewhere["why_absent"]


@pytest.mark.parametrize("lamp", list(Lamp))
def test_nothing_that_takes_seconds_is_measured_while_the_unit_is_armed(
    monkeypatch: pytest.MonkeyPatch, lamp: Lamp
) -> None:
    monkeypatch.setattr(loop, "pending", lambda *_, **__: iter([("beside_measured", {})]))
    told: list[str] = []
    here = SimpleNamespace(
        _interlock=SimpleNamespace(lamp=lamp), view=None, _line=None, emit=lambda kind, **_: told.append(kind),
        _alive=lambda: None,
    )  # fmt: skip
    loop.Loop.measure(here)  # type: ignore[arg-type]
    assert told == ([] if lamp in (Lamp.ARMED, Lamp.HELD) else ["beside_measured"])
