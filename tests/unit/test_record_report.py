"""The report holds every number it was given, never 'nan', and nothing from outside."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtloop.errors import IntegrityProblem
from rtloop.model.estimate import BANDS_HZ, MEASURES, POOLED, Estimate, Scores
from rtloop.model.montage import NAMES_63, Montage
from rtloop.model.status import Mode
from rtloop.record.report import (
    RANK_LABEL,
    SENSORY,
    probability,
    render_report,
    with_error,
    write_report,
)
from rtloop.record.report_input import (
    BesideRow,
    Evoked,
    HistoryRow,
    PulseRow,
    RankRow,
    ReportInput,
    TargetReport,
    TimingRow,
)
from rtloop.record.topography import flat, grid, interpolation

RNG = np.random.default_rng(11)


def scores_of(target: str, n: int = 97) -> Scores:
    def one() -> Estimate:
        return Estimate.normal(float(RNG.normal(0.05, 0.03)), float(RNG.uniform(0.003, 0.02)), n=n)

    connectivity = {
        m: {s: {b: one() for b in (*BANDS_HZ, POOLED)} for s in ("global", "local")} for m in MEASURES
    }
    connectivity["ppc"]["local"]["alpha"] = Estimate.absent("too few trials")
    evoked = {
        "gmfp_uv": Estimate.normal(3.217, 0.21, n=n, unit="µV"),
        "snr": Estimate.normal(5.93, 0.4, n=n),
        "itc_local:alpha": Estimate.absent("gap too long"),
    }
    return Scores(target=target, n_accepted=n, n_rejected=13, connectivity=connectivity, evoked=evoked)


def evoked_of(seed: int) -> Evoked:
    """A plausible average: few smooth sources with damped oscillations, plus noise and an artifact rest."""
    rng = np.random.default_rng(seed)
    montage = Montage.from_names(NAMES_63)
    t = np.arange(-200.0, 500.0)
    data = rng.normal(0, 0.25, (63, len(t)))
    for k, (peak, width) in enumerate([(30, 8), (45, 10), (60, 14), (100, 25), (180, 40)]):
        centre = rng.normal(size=3) * 0.4 + (-0.4 + 0.2 * k, 0.3 - 0.1 * k, 1.0)
        centre *= 0.088 / np.linalg.norm(centre)
        gain = np.exp(-((np.linalg.norm(montage.positions_m - centre, axis=1) / 0.06) ** 2))
        data += (-1) ** k * 7 * gain[:, None] * np.exp(-(((t - peak) / width) ** 2))
    data -= data.mean(axis=0)
    return Evoked(
        data_uv=data.astype(np.float32),
        times_ms=t,
        montage=montage,
        gap_ms=(-2.0, 8.0),
        local_names=("C3", "C1", "CP3", "FC3"),
    )


def full_report() -> ReportInput:
    names = ("M1", "DLPFC", "ACC", "PSI")
    targets = tuple(
        TargetReport(
            scores=scores_of(n),
            evoked=evoked_of(i) if i < 2 else None,
            rejected_for={"muscle": 8, "blink": 5},
            facts={"Intensity": f"{52 + i} % MSO, 110 % RMT", "Early response": "9.1 µV peak to peak"},
            companions={"shift predictor (global)": Estimate.normal(0.00173 + i, 0.0004, n=97)},
            words=("Not comparable with ACC: evoked amplitude differs by 24 %.",) if i == 1 else (),
        )
        for i, n in enumerate(names)
    )
    pulses = tuple(
        PulseRow(
            pulse_id=k,
            target=names[k % 4],
            purpose="mapping",
            power_pct_mso=52,
            commanded_s=12.345 + 3.1 * k,
            permitted=True,
            outcome="fired",
            unit_reply="armed, ready",
            seen_source="trigger",
            sample=60_000 + 14_880 * k,
            disagreement_samples=0.4 + k,
            verdict="accepted",
        )
        for k in range(1, 9)
    )
    odd = (
        replace(pulses[0], pulse_id=9, seen_source="", sample=None, verdict="", disagreement_samples=None),
        replace(
            pulses[0],
            pulse_id=10,
            outcome="uncertain",
            unit_reply="no reply in 0.2 s",
            seen_source="artifact",
        ),
        replace(
            pulses[0],
            pulse_id=11,
            outcome="refused",
            permitted=False,
            commanded_s=None,
            unit_reply="",
            seen_source="",
            sample=None,
            disagreement_samples=math.nan,
            verdict="",
            reasons="dose today: 401 pulses (limit 400)",
        ),
        replace(pulses[0], pulse_id=12, verdict="rejected", reasons="muscle: 61 µV (limit 40)"),
    )
    return ReportInput(
        mode=Mode.SIMULATED,
        participant="P-017",
        plan_name="four-target map",
        plan_sha256="3f" * 32,
        software_version="0.1.0",
        run_id="run-4711",
        journal_head="c0ffee" * 10 + "beef",
        started_utc="2026-03-02T09:15:00.000+00:00",
        ended_utc="2026-03-02T10:32:10.500+00:00",
        ended_words="Ended in order by the operator.",
        targets=targets,
        ranking=tuple(
            RankRow(
                target=t.scores.target,
                score=t.scores.score("global"),
                p_lowest=0.412 - 0.1 * i,
                p_highest=0.071 + 0.2 * i,
                n_accepted=97,
            )
            for i, t in enumerate(targets)
        ),
        ranking_words="Undecided: about 40 more pulses at DLPFC and PSI.",
        decision_words=("Target of the arm (classic): M1.", "The map does not change it."),
        trial_note="The trial found no difference between arms; lower local M1: more relief.",
        pulses=(*pulses, *odd),
        timings=(
            TimingRow(
                name="pulse to decision",
                n=388,
                median_ms=71.25,
                p95_ms=80.5,
                p99_ms=88.75,
                max_ms=97.1,
                budget_ms=100.0,
            ),
            TimingRow(
                name="fire command to artifact",
                n=388,
                median_ms=5.515,
                p95_ms=7.0,
                p99_ms=12.5,
                max_ms=14.5,
                budget_ms=10.0,
            ),
        ),
        history=(
            HistoryRow(t_s=3.214, what="lamp", words="SAFE to READY: warm-up done"),
            HistoryRow(t_s=812.75, what="fault", words="stream_stale: no sample for 61 ms <expected 50 ms>"),
        ),
        conditions={
            "Coil": "figure-of-eight, 70 mm",
            "Waveform": "monophasic",
            "RMT": "48 % MSO by EMG, cap on",
        },
        verified=("journal: 2113 records", "the record is whole"),
    )


@pytest.fixture(scope="module")
def given() -> ReportInput:
    return full_report()


@pytest.fixture(scope="module")
def html(given: ReportInput) -> str:
    return render_report(given)


def words_of(html: str) -> str:
    """The text without embedded images, style and tags."""
    text = re.sub(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+", "", html)
    text = re.sub(r"<style>.*?</style>", "", text, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)).replace("&#39;", "'")


def test_every_number_is_there(given: ReportInput, html: str) -> None:
    text = words_of(html)
    missing = []
    for t in given.targets:
        numbers = [e for m in t.scores.connectivity.values() for s in m.values() for e in s.values()]
        for e in [*numbers, *t.scores.evoked.values(), *t.companions.values()]:
            if e.present:
                missing += [x for x in (e.value, e.low, e.high) if f"{x:.4g}" not in text]
            else:
                assert e.why_absent in text
        for words in (*t.facts.values(), *t.words, "muscle 8", "blink 5", "97 of 110 trials"):
            assert words in text
    for row in given.ranking:
        missing += [x for x in (row.p_lowest, row.p_highest) if f"{x:.3g}" not in text]
    for time in given.timings:
        missing += [
            x
            for x in (time.median_ms, time.p95_ms, time.p99_ms, time.max_ms, time.budget_ms)
            if f"{x:.4g}" not in text
        ]
    for p in given.pulses:
        for value in (str(p.pulse_id), p.reasons, p.unit_reply, p.outcome, str(p.sample or "")):
            assert value in text, p
        assert p.commanded_s is None or f"{p.commanded_s:.3f}" in text
    assert not missing
    for value in (
        given.participant, given.plan_name, given.plan_sha256, given.software_version, given.run_id,
        given.journal_head, "2026-03-02 09:15:00", "2026-03-02 10:32:10", "ITC local, alpha",
        given.trial_note, given.ranking_words, *given.decision_words, SENSORY,
        RANK_LABEL, *given.conditions.values(), *given.verified, "SIMULATED", "3.214", "812.750",
        "1 delivered but not seen", "1 uncertain", "1 refused",
    ):  # fmt: skip
        assert value in text, value


def test_no_nan_and_nothing_from_outside(html: str) -> None:
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", words_of(html))
    assert not re.search(r"https?://|<script|<link|@import|url\(", html)
    assert html.count("data:image/png;base64,") == 2
    assert html.count("data:image/svg+xml;base64,") == 1


def test_what_came_from_outside_is_escaped(html: str) -> None:
    assert "<expected 50 ms>" not in html
    assert "&lt;expected 50 ms&gt;" in html


def test_a_blinded_report_holds_no_score(given: ReportInput) -> None:
    text = words_of(render_report(replace(given, masked=True, targets=given.targets[:1])))
    assert "Blinded study" in text
    for t in given.targets:
        for scope in ("global", "local"):
            assert f"{t.scores.score(scope).value:.4g}" not in text
    assert "Undecided: about 40" not in text
    assert text.index("Blinded study") < text.index(
        "Target of the arm"
    )  # said before anything that is masked
    assert "97 of 110 trials" in text


def test_figures_that_say_nothing_are_left_out() -> None:
    assert [probability(p) for p in (None, 5.5e-19, 0.0, 0.5, 1.0)] == [
        "–",
        "< 0.001",
        "< 0.001",
        "0.5",
        "> 0.999",
    ]
    told = [
        with_error(Estimate.normal(v, se, n=9, unit=u))
        for v, se, u in ((-0.0003115, 0.0341, ""), (37.68, 12.1, "µV"))
    ]
    assert told == ["0.000 ± 0.034", "38 ± 12 µV"]


def test_a_definition_stands_once_for_the_scopes_of_a_measure(given: ReportInput) -> None:
    def row(measure: str, where: str, definition: str) -> BesideRow:
        values = {POOLED: Estimate.normal(0.044, 0.026, n=97)}
        return BesideRow(measure=measure, where=where, values=values, definition=definition)

    rows = (row("shift", "GLOBAL", "D1"), row("shift", "LOCAL", "D1"), row("imcoh", "GLOBAL", "D2"))
    one = replace(given.targets[2], beside=rows)
    html = render_report(replace(given, targets=(one,), ranking=()))
    assert [html.count(f">{d}<") for d in ("shift", "D1", "imcoh", "D2")] == [1, 1, 1, 1]
    assert html.count('rowspan="2"') == 2
    assert words_of(html).count("0.044 ± 0.026") == 3


@pytest.mark.parametrize("mode", list(Mode))
def test_an_empty_session_has_a_report(given: ReportInput, mode: Mode) -> None:
    empty = replace(
        given, mode=mode, targets=(), ranking=(), pulses=(), timings=(), history=(), conditions={}
    )
    text = words_of(render_report(empty))
    assert mode.value in text
    assert "Nothing was raised" in text


def test_an_average_with_holes_is_drawn(given: ReportInput) -> None:
    evoked = evoked_of(1)
    holes = evoked.data_uv.copy()
    holes[:, 260:320] = np.nan
    short = Evoked(
        data_uv=evoked.data_uv[:, 180:260], times_ms=evoked.times_ms[180:260], montage=evoked.montage
    )
    one = replace(given.targets[0], evoked=replace(evoked, data_uv=holes))
    assert render_report(replace(given, targets=(one, replace(one, evoked=short)))).count("image/png") == 2


def test_it_is_put_in_place_at_once(given: ReportInput, tmp_path: Path) -> None:
    small = replace(given, targets=(), ranking=())
    write_report(tmp_path / "report.html", small)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render_report(small)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(IntegrityProblem, match="cannot write the report"):
        write_report(tmp_path / "absent" / "report.html", small)


def test_maps_go_through_the_values_at_the_electrodes() -> None:
    montage = Montage.from_names(NAMES_63)
    spots = flat(montage.positions_m)
    at = {n: spots[montage.index(n)] for n in ("Cz", "Fpz", "T7", "T8", "Oz")}
    np.testing.assert_allclose(
        [at["Cz"], at["Fpz"], at["T7"], at["T8"], at["Oz"]],
        [[0, 0], [0, 1], [-1, 0], [1, 0], [0, -1]],
        atol=1e-9,
    )
    values = np.linspace(-5, 5, 63)
    np.testing.assert_allclose(
        interpolation(montage.positions_m, spots, smoothing=1e-12) @ values, values, atol=1e-3
    )
    points, axis = grid(21)
    np.testing.assert_allclose(
        interpolation(montage.positions_m, points) @ np.full(63, 3.25), 3.25, atol=1e-6
    )
    assert points.shape == (441, 2)
    assert len(axis) == 21
