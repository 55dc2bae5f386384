"""Owns the values that say what is on the screen; owns neither how they come about (gui.state) nor how they are drawn.

No Qt and no arrays here: strings, tones, numbers with their units in the name, and which buttons may be pressed. Waveforms
come from the mapped pages (rtloop.link.pages) and the ring.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from rtloop.model.estimate import Estimate


class Tone(StrEnum):
    """What a colour means; the theme gives each a colour and a symbol, so that nothing hangs on colour alone."""

    PLAIN = "plain"
    GOOD = "good"
    ATTENTION = "attention"
    BAD = "bad"
    OFF = "off"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of words."""

    text: str = ""
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A number or state with its name; ``meaning`` is its definition in one sentence (tool tip and manual)."""

    name: str
    value: str
    tone: Tone = Tone.PLAIN
    meaning: str = ""


@dataclass(frozen=True, kw_only=True)
class Button:
    """Something that may be said to the engine. ``why_not`` tells why it is disabled."""

    word: str
    text: str
    args: tuple[str, ...] = ()
    key: str = ""  # as Qt writes it, e.g. "F5", "Ctrl+A"; empty: none
    enabled: bool = True
    why_not: str = ""
    primary: bool = False  # the expected next step: drawn big


@dataclass(frozen=True, kw_only=True)
class Status:
    """The one prioritised line: what is wrong (or going on) and what to do. ``more``: how many lesser things stand too."""

    tone: Tone
    what: str
    todo: str = ""
    more: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The STOP button: always there."""

    text: str = "STOP"
    key: str = "Esc"
    enabled: bool = True  # False only where no unit is connected (listen-only, review) or nothing runs
    words: str = ""  # what became of it: asked, EA written, confirmed by the unit, NOT confirmed
    tone: Tone = Tone.BAD
    last_line: str = "Software is not the last line: the unit's own stop switch is."


@dataclass(frozen=True, kw_only=True)
class Unit:
    """The lamp, from the unit's own status byte."""

    connected: bool
    lamp: str  # SAFE READY ARMED HELD TRIPPED, or LISTEN, or UNKNOWN when the byte is too old
    tone: Tone
    says: str  # the status byte in words, with its age
    power: Fact
    temperature: Fact


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the operator is asked now, with the words that answer it."""

    phase: str
    words: str
    buttons: tuple[Button, ...]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The single trial that is looked at (the last one, or a chosen one)."""

    trial_id: int | None
    title: str
    verdict: Line
    facts: tuple[Fact, ...] = ()
    move: Button | None = None  # take out, or reinstate
    gap_ms: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """One row of the list of trials."""

    trial_id: int
    pulse_id: int
    block: str  # "M1", "M1/preview"
    accepted: bool
    words: str
    light: Tone = Tone.PLAIN  # of its numbers; PLAIN: only accepted or rejected is known


@dataclass(frozen=True, kw_only=True)
class Evoked:
    """The running average of the block that is looked at."""

    block: str  # key of the page: "M1", "M1/preview"; empty: none yet
    title: str
    counts: Line  # accepted and rejected
    reasons: tuple[str, ...]  # "muscle after the pulse: 3"
    gap_ms: tuple[float, float]
    local: tuple[str, ...]  # LOCAL electrodes, drawn in front
    blocks: tuple[str, ...] = ()  # every block that can be looked at


@dataclass(frozen=True, kw_only=True)
class EarlyStep:
    """The early response near the coil at one intensity."""

    power_pct_mso: int
    power_pct_rmt: float | None
    n_accepted: int
    n_rejected: int
    value: Estimate  # µV
    now: bool  # the step under way
    words: str


@dataclass(frozen=True, kw_only=True)
class Early:
    """Intensity steps against the plan's criterion."""

    title: str
    criterion_uv: float | None
    steps: tuple[EarlyStep, ...]
    words: Line
    since: Line = Line()  # a return visit: what the steps are of, and what its run shows
    buttons: tuple[Button, ...] = ()  # preview at another intensity, go at one


@dataclass(frozen=True, kw_only=True)
class Series:
    """One score after each pulse: four arrays of one length as tuples; ``n`` accepted trials, score x 1000."""

    target: str
    n: tuple[int, ...]
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class TargetRow:
    """One row of the table of targets."""

    target: str
    current: bool
    n: str  # "34 / 50"
    rejected: str
    global_: str  # value [interval] x 1000, or why none, or "masked"
    local: str
    snr: str
    p_lowest: str
    p_highest: str
    comparable: Line
    state: str
    tips: tuple[tuple[str, str], ...] = ()  # (column, what stands behind its short words)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Local and global score: series of the looked-at band and the table of targets."""

    masked: str  # why the numbers are not shown; empty: they are
    band: str
    bands: tuple[str, ...]
    global_: tuple[Series, ...]
    local: tuple[Series, ...]
    table: tuple[TargetRow, ...]
    words: tuple[Line, ...]  # what the brackets and P mean, the decision, the note on the trial
    wanted: int = 0  # accepted pulses that the plan wants of the target that gets most; 0: not known


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of texts under a head."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What stands beside the scores of a run: words first, then tables; only words where it is masked."""

    title: str = ""
    words: tuple[Line, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Head:
    """Electrodes: names in the montage's order, what is wrong with which, where the coil is."""

    target: str
    local: tuple[str, ...]
    bad: tuple[tuple[str, str], ...]  # (name, why)
    block: str  # whose connections are drawn
    band: int  # row of BlockPage.pairs
    strongest: int = 20
    masked: str = ""
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the plan."""

    text: str
    state: str  # "done", "now", "next", "skipped"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where in the plan, the dose, the countdown."""

    where: str
    share: float  # 0..1 of the pulses of the plan
    steps: tuple[Step, ...]
    dose: tuple[Fact, ...]
    countdown_s: float | None
    countdown: str


@dataclass(frozen=True, kw_only=True)
class Pulses:
    """Pulse accounting."""

    facts: tuple[Fact, ...]  # commanded, permitted, sent, acknowledged, seen ...
    mismatch: Line
    rows: tuple[str, ...]  # the newest pulses, one line each


@dataclass(frozen=True, kw_only=True)
class LatencyRow:
    """One stage of the chain against its budget."""

    name: str
    last_ms: float
    median_ms: float
    p95_ms: float
    worst_ms: float
    n: int
    budget_ms: float | None
    tone: Tone
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What only a treatment's screen shows.

    ``share``: of the pause that is over (or of the train that is given), 0 to 1; None: neither is under way. ``field``: what
    the field beside the question is for ("words", "name"; "": there is none), ``name``: what stands in it first.
    ``why_not_tell``: why no sensation and no event can be told now; empty: it can.
    """

    headline: Line
    clock: Line
    share: float | None
    facts: tuple[Fact, ...]
    setting: tuple[Fact, ...]  # what is given, where, from which threshold
    trains: tuple[Line, ...]  # those that were begun, oldest first
    told: tuple[Line, ...]  # sensations and adverse events, oldest first
    field: str = ""
    name: str = ""
    why_not_tell: str = ""


@dataclass(frozen=True, kw_only=True)
class Session:
    """Everything on the mapping, probe, listen-only, treatment and review screens."""

    title: str  # "Mapping · P017 · map-200"
    kind: str  # map, probe, watch, treat
    banner: Line  # SIMULATED / BENCH / HUMAN / LISTEN / REVIEW
    status: Status
    stop: Stop
    unit: Unit
    stream: tuple[Fact, ...]
    question: Question
    always: tuple[Button, ...]  # pause, resume, end the session, note
    trial: Trial
    trials: tuple[TrialRow, ...]
    evoked: Evoked
    early: Early
    scores: Scores
    head: Head
    progress: Progress
    pulses: Pulses
    latency: tuple[LatencyRow, ...]
    log: tuple[Line, ...]
    preflight: tuple[Tick, ...] = ()  # found against expected, as the engine journalled it
    seat: Line = field(default_factory=Line)  # who may say words to the engine
    ended: bool = False
    report: str = ""  # path of the report once it is there
    quality: tuple[
        Line, ...
    ] = ()  # the lights of the block that is looked at, the worst first, and the held channels
    beside: Beside = field(default_factory=Beside)
    treatment: Treatment | None = None  # None: another kind of session


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One line of the found-versus-expected table or of the pre-flight."""

    name: str
    expected: str
    found: str
    tone: Tone
    todo: str = ""


@dataclass(frozen=True, kw_only=True)
class Start:
    """The start screen."""

    banner: Line
    status: Status
    devices: tuple[Tick, ...]
    preflight: tuple[Tick, ...]
    plan_words: tuple[Line, ...]  # rehearsal: duration, pulses, every breach
    problems: tuple[str, ...]  # what keeps Start disabled
    start: Button
    running: tuple[str, ...] = field(default_factory=tuple)  # session folders that can be rejoined
