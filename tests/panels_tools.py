"""Owns made-up values for the panels: pages from the simulated head, words as the window would show them; owns no test."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from gui.shown import (
    Button,
    Early,
    EarlyStep,
    Evoked,
    Fact,
    LatencyRow,
    Line,
    Progress,
    Pulses,
    Question,
    Scores,
    Series,
    Step,
    TargetRow,
    Tone,
    Trial,
    TrialRow,
    Unit,
)  # fmt: skip
from hardware_sim.head import generate_trials
from hardware_sim.scene import load_scene
from rtloop.link.pages import BlockPage, PagesSpec, TrialPage
from rtloop.model.estimate import Estimate
from rtloop.model.montage import NAMES_63, Montage

GAP_MS = (-2.0, 10.0)
LOCAL = ("C3", "C1", "CP3", "CP1", "FC3")
TARGETS = ("M1", "DLPFC", "parietal", "vertex")


@cache
def spec() -> PagesSpec:
    montage = Montage.from_names(NAMES_63)
    return PagesSpec(
        names=montage.names, positions_m=montage.positions_m, times_s=np.arange(-300, 500) / 1000.0, raw_rate_hz=5000.0,
        raw_first_s=-0.1, n_raw=2500, bands=("alpha", "low_beta", "high_beta", "pooled"), gap_s=(-0.002, 0.010),
    )  # fmt: skip


@cache
def _trials() -> tuple[np.ndarray, int]:
    trials, at = generate_trials(load_scene("default"), "M1", 12, seed=3)
    first = at - 300
    return trials[:, :, first : first + 800], 300


def clean(i: int) -> np.ndarray:
    """float32[n_channels, 800] µV with a straight line over the gap."""
    trials, at = _trials()
    x = trials[i % len(trials)].copy()
    a, b = at - 2, at + 10
    x[:, a : b + 1] = np.linspace(0, 1, b + 1 - a) * (x[:, b] - x[:, a])[:, None] + x[:, a][:, None]
    x -= x[:, 150:290].mean(axis=1, keepdims=True)
    return np.ascontiguousarray(x, np.float32)


def trial_page(i: int = 0, *, bad: int = 2) -> TrialPage:
    s, x = spec(), clean(i)
    rng = np.random.default_rng(i)
    decay = (40 * rng.standard_normal(len(s.names)) * (np.arange(len(s.names)) % 3 == 0)).astype(np.float32)
    raw = np.stack([np.interp(s.raw_times_s, s.times_s, row) for row in x]).astype(np.float32)
    after = s.raw_times_s > 0
    raw[:, after] += decay[:, None] * np.exp(-(s.raw_times_s[after] - 0.01) / 0.02).astype(np.float32)
    raw[:, (s.raw_times_s > 0) & (s.raw_times_s < 0.004)] += 5000.0
    good = np.ones(len(s.names), np.bool_)
    good[:bad] = False
    return TrialPage(
        trial_id=i,
        pulse_id=i + 1,
        sample=5000 * i,
        block="M1",
        raw_uv=raw,
        clean_uv=x,
        decay_uv=decay,
        good=good,
    )


def block_page(n: int = 8, block: str = "M1") -> BlockPage:
    average = np.mean([clean(i) for i in range(n)], axis=0).astype(np.float32)
    average[5] = 0.0  # a channel without trials
    return BlockPage(block=block, n=n, average_uv=average)


def trial(**more: object) -> Trial:
    made = Trial(
        trial_id=34, title="Trial 34 · M1 · pulse 37 · 52 % MSO", verdict=Line(text="accepted", tone=Tone.GOOD), gap_ms=GAP_MS,
        facts=(
            Fact(name="muscle after", value="12 µV of 40", tone=Tone.GOOD, meaning="fast activity after the pulse"),
            Fact(name="residual decay", value="38 µV of 40", tone=Tone.ATTENTION), Fact(name="blink-like", value="31 µV of 100"),
            Fact(name="bad channels", value="2 of 63"),
        ),
        move=Button(word="take_out", text="Take out", args=("34",)),
    )  # fmt: skip
    return replace(made, **more)


def rows(n: int) -> tuple[TrialRow, ...]:
    return tuple(
        TrialRow(
            trial_id=i, pulse_id=i + 1, block="M1", accepted=i % 5 != 0,
            words="good" if i % 5 else "muscle after the pulse: 61 µV (limit 40)",
        )
        for i in range(n)
    )  # fmt: skip


def evoked(**more: object) -> Evoked:
    made = Evoked(
        block="M1", title="Running average · M1 · 52 % MSO", counts=Line(text="34 accepted, 6 rejected"),
        reasons=("muscle after the pulse: 4", "blink: 2"), gap_ms=GAP_MS, local=LOCAL,
    )  # fmt: skip
    return replace(made, **more)


def early() -> Early:
    def step(power: int, value: float | None, now: bool) -> EarlyStep:
        made = Estimate.absent("none yet") if value is None else Estimate.normal(value, 0.9, n=10, unit="µV")
        words = (
            "not tried yet" if value is None else f"{power} %: {value:.1f} µV from 10 accepted, 1 rejected"
        )
        return EarlyStep(
            power_pct_mso=power,
            power_pct_rmt=power / 0.6,
            n_accepted=10,
            n_rejected=1,
            value=made,
            now=now,
            words=words,
        )

    return Early(
        title="Early response · M1", criterion_uv=6.0, words=Line(text="7.1 µV, the plan asks for 6 µV", tone=Tone.GOOD),
        steps=(step(48, 3.9, False), step(52, 7.1, True), step(56, None, False)),
        buttons=(
            Button(word="preview", text="Preview at 56 %", args=("56",)),
            Button(word="go", text="Go at 52 %", primary=True, enabled=False, why_not="10 accepted pulses first: 7 so far"),
        ),
    )  # fmt: skip


def series(target: str, n: int, level: float, seed: int) -> Series:
    at = np.arange(5, n + 1)
    rng = np.random.default_rng(seed)
    value = level + 12 * rng.standard_normal(at.size).cumsum() / at
    half = 60 / np.sqrt(at)
    return Series(
        target=target,
        n=tuple(at.tolist()),
        value=tuple(value),
        low=tuple(value - half),
        high=tuple(value + half),
    )


def scores(n_now: int = 40, **more: object) -> Scores:
    counts = (100, 100, n_now, 0)
    levels = (18.0, 24.0, 20.0, 0.0)
    table = tuple(
        TargetRow(
            target=t, current=i == 2, n=f"{counts[i]} / 100", rejected=str(i * 3),
            global_=f"{levels[i]:.1f} [{levels[i] - 6:.1f}, {levels[i] + 6:.1f}]" if counts[i] else "no pulses yet",
            local=f"{levels[i] + 9:.1f} [{levels[i]:.1f}, {levels[i] + 18:.1f}]" if counts[i] else "no pulses yet",
            snr="0.8" if counts[i] else "–",
            p_lowest=("0.71", "0.04", "0.25", "–")[i],
            p_highest=("0.05", "0.72", "0.23", "–")[i],
            comparable=Line(text="yes", tone=Tone.GOOD) if i < 2 else Line(text="fewer pulses", tone=Tone.ATTENTION),
            state=("accepted", "accepted", "running", "to come")[i],
        )
        for i, t in enumerate(TARGETS)
    )  # fmt: skip
    made = Scores(
        masked="", band="pooled", bands=("alpha", "low_beta", "high_beta", "pooled"), table=table,
        global_=tuple(series(t, c, lv, i) for i, (t, c, lv) in enumerate(zip(TARGETS, counts, levels, strict=True)) if c),
        local=tuple(series(t, c, lv + 9, i + 9) for i, (t, c, lv) in enumerate(zip(TARGETS, counts, levels, strict=True)) if c),
        words=(
            Line(text="P(lowest), P(highest): for display, not a decision. Intervals overlap: undecided."),
            Line(text="Undecided: about 60 more pulses per target", tone=Tone.ATTENTION),
        ),
    )  # fmt: skip
    return replace(made, **more)


def unit(**more: object) -> Unit:
    made = Unit(
        connected=True, lamp="ARMED", tone=Tone.ATTENTION, says="armed, ready to fire, coil in place; 0.1 s ago",
        power=Fact(name="power", value="52 % MSO"), temperature=Fact(name="coil", value="28.5 °C", tone=Tone.GOOD),
    )  # fmt: skip
    return replace(made, **more)


STREAM = (
    Fact(name="rate", value="4999.8 Hz of 5000", tone=Tone.GOOD, meaning="measured over 5 s"),
    Fact(name="gaps", value="0 (0 samples lost)"), Fact(name="newest sample", value="4 ms ago", tone=Tone.GOOD),
    Fact(name="clock residual", value="0.3 ms"),
)  # fmt: skip
QUESTION = Question(
    phase="go / no-go",
    words="M1: the early response is 7.1 µV; the plan asks for 6 µV. Run 100 pulses at 52 %?",
    buttons=(
        Button(word="go", text="Go", key="F5", primary=True),
        Button(word="again", text="Preview again", key="F6"),
        Button(
            word="skip",
            text="Skip this target",
            key="F7",
            enabled=False,
            why_not="the last target cannot be skipped",
        ),
    ),
)
ALWAYS = (
    Button(word="pause", text="Pause", key="F8"),
    Button(word="resume", text="Resume", key="F9", enabled=False, why_not="nothing is paused"),
    Button(word="quit", text="End the session", key="Ctrl+Q"),
)
PROGRESS = Progress(
    where="M1 (1 of 4) · run · pulse 34 of 100", share=0.21, countdown_s=2.4, countdown="next pulse in 2 s",
    steps=tuple(
        Step(text=f"{t}: {what}", state="done" if (i, j) < (1, 1) else "now" if (i, j) == (1, 1) else "next")
        for i, t in enumerate(TARGETS) for j, what in enumerate(("place", "preview 48 / 52 / 56 %", "run 100 pulses"))
    ),
    dose=(Fact(name="today", value="187 of 1200 pulses", tone=Tone.GOOD), Fact(name="course", value="187 of 20000 pulses")),
)  # fmt: skip
PULSES = Pulses(
    facts=tuple(Fact(name=n, value=v) for n, v in (("commanded", "187"), ("permitted", "187"), ("sent", "187"),
        ("acknowledged", "186"), ("seen in the EEG", "186"), ("uncommanded", "0"))),
    mismatch=Line(text="pulse 41: sent, not seen in the EEG", tone=Tone.BAD),
    rows=tuple(f"{i}  sent · seen after 3.{i % 10} ms · trigger" for i in range(187, 177, -1)),
)  # fmt: skip
LATENCY = (
    LatencyRow(name="pulse seen to scores", last_ms=31.0, median_ms=28.0, p95_ms=36.5, worst_ms=52.0, n=187, budget_ms=50.0,
        tone=Tone.GOOD, meaning="last sample of the epoch to scores"),
    LatencyRow(name="clean and judge", last_ms=16.0, median_ms=9.8, p95_ms=14.4, worst_ms=16.0, n=187, budget_ms=12.0,
        tone=Tone.BAD, meaning="cut, clean, judge one trial"),
    LatencyRow(name="command to reply", last_ms=2.2, median_ms=2.0, p95_ms=2.6, worst_ms=3.0, n=187, budget_ms=None,
        tone=Tone.PLAIN, meaning="fire command to the unit's reply"),
)  # fmt: skip
_HAPPENED = ("armed", Tone.ATTENTION), ("stream gap of 40 ms: held", Tone.BAD), ("gap over", Tone.GOOD)
LOG = tuple(Line(text=f"14:{i:02d}:07  {what}", tone=tone) for i, (what, tone) in enumerate(_HAPPENED * 8))
