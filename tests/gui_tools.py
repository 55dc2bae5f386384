"""What tests of the window share: a desk and sessions that are not there, a picture of a window without a display."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gui import shown as s
from gui.desk import Ended, Exit, Form, Settings, Started
from gui.shown import Button, Fact, Line, Tone
from rtloop.model.estimate import Estimate
from rtloop.record.folder import SessionFolder

NONE = Fact(name="", value="")


def _series(level: float) -> tuple[s.Series, ...]:
    """Two targets whose score settles."""
    n = tuple(range(8, 35))
    return tuple(
        s.Series(
            target=name, n=n, value=tuple(level + off + 30 / k for k in n), low=tuple(level + off - 60 / k for k in n),
            high=tuple(level + off + 120 / k for k in n),
        )
        for name, off in (("M1", 0.0), ("DLPFC", 12.0))
    )  # fmt: skip


def a_session(**changes: Any) -> s.Session:
    """A simulated mapping in its run, with something of everything that needs no arrays."""
    estimate_words = "12.3 [8.1, 16.0]"
    rows = tuple(
        s.TargetRow(
            target=name, current=name == "M1", n="34 / 50", rejected="3", global_=estimate_words, local=estimate_words,
            snr="4.1", p_lowest="0.61", p_highest="0.02", comparable=Line(text="comparable", tone=Tone.GOOD),
            state="running" if name == "M1" else "next",
        )
        for name in ("M1", "DLPFC", "SMA", "V1")
    )  # fmt: skip
    session = s.Session(
        title="Mapping · P017 · map-200", kind="map",
        banner=Line(text="SIMULATED – no real unit, no real EEG", tone=Tone.ATTENTION),
        status=s.Status(tone=Tone.GOOD, what="Running M1: 34 of 50 pulses", todo="watch the coil and the person"),
        stop=s.Stop(),
        unit=s.Unit(
            connected=True, lamp="ARMED", tone=Tone.ATTENTION, says="armed, ready, remote control; 0.1 s old",
            power=Fact(name="Power", value="52 % MSO"), temperature=Fact(name="Coil", value="31.0 °C"),
        ),
        stream=(
            Fact(name="Rate", value="5000.0 Hz", tone=Tone.GOOD), Fact(name="Gaps", value="0"),
            Fact(name="Newest sample", value="4 ms", tone=Tone.GOOD), Fact(name="Clock residual", value="0.1 ms"),
        ),
        question=s.Question(
            phase="run", words="M1 is running",
            buttons=(Button(word="pause", text="Pause", key="F7"), Button(word="stop", text="End the session")),
        ),
        always=(Button(word="pause", text="Pause"), Button(word="resume", text="Resume", enabled=False, why_not="not paused")),
        trial=s.Trial(
            trial_id=34, title="Trial 34, pulse 40, M1", verdict=Line(text="accepted", tone=Tone.GOOD),
            facts=(Fact(name="Muscle", value="12 µV"), Fact(name="Decay", value="4 µV")), gap_ms=(-2.0, 10.0),
            move=Button(word="take_out", text="Take out", args=("34",)),
        ),
        trials=tuple(
            s.TrialRow(trial_id=k, pulse_id=k + 6, block="M1", accepted=k % 5 != 0, words="accepted" if k % 5 else "muscle")
            for k in range(1, 35)
        ),
        evoked=s.Evoked(
            block="M1", title="M1: average", counts=Line(text="28 accepted, 6 rejected"), reasons=("muscle: 6",),
            gap_ms=(-2.0, 10.0), local=("C3",),
        ),
        early=s.Early(
            title="Early response near the coil · M1", criterion_uv=6.0,
            words=Line(text="above the criterion at 60 %", tone=Tone.GOOD),
            steps=tuple(
                s.EarlyStep(
                    power_pct_mso=power, power_pct_rmt=power * 2.0, n_accepted=10, n_rejected=1, now=power == 60,
                    value=Estimate.normal(uv, 0.8, n=10, unit="µV"), words=f"{power} %: {uv} µV, 10 accepted",
                )
                for power, uv in ((50, 4.2), (55, 5.9), (60, 8.8))
            ),
            buttons=tuple(
                Button(word="preview", text=f"Preview {p} %", args=(str(p),), key=f"Ctrl+{i}") for i, p in ((1, 50), (2, 55))
            ),
        ),
        scores=s.Scores(
            masked="", band="pooled", bands=("theta", "alpha", "beta", "pooled"), global_=_series(40.0), local=_series(90.0),
            table=rows,
            words=(Line(text="undecided: about 20 more pulses for each target", tone=Tone.ATTENTION),),
        ),
        head=s.Head(target="M1", local=("C3",), bad=(("T7", "flat"),), block="M1", band=3),
        progress=s.Progress(
            where="M1, 34 of 50", share=0.17, steps=(s.Step(text="M1", state="now"), s.Step(text="DLPFC", state="next")),
            dose=(Fact(name="Today", value="40 pulses"), Fact(name="Course", value="240 pulses")),
            countdown_s=None, countdown="",
        ),
        pulses=s.Pulses(
            facts=(Fact(name="Commanded", value="40"), Fact(name="Seen", value="40")), mismatch=Line(text="none", tone=Tone.GOOD),
            rows=("pulse 40: sent, acknowledged, seen",),
        ),
        latency=(
            s.LatencyRow(
                name="decision", last_ms=6.1, median_ms=6.0, p95_ms=8.0, worst_ms=11.0, n=34, budget_ms=50.0, tone=Tone.GOOD,
                meaning="last sample of the epoch to scores",
            ),
        ),
        log=(Line(text="12:00:01 armed"), Line(text="12:00:02 pulse 40")),
    )  # fmt: skip
    return replace(session, **changes)


@dataclass(frozen=True, kw_only=True)
class FakeLive:
    """The numbers the window itself looks at."""

    engine_lives: bool = True
    board_seen: bool = True
    seat: str = "ours"


@dataclass(frozen=True, kw_only=True)
class FakeChoice:
    role: str = "operator"
    band: str = "pooled"
    trial_id: int | None = None
    block: str | None = None


class FakeSource:
    """A session that only counts what the window does to it; ``view`` is the ``gui.shown.Session`` to be shown."""

    def __init__(self, view: s.Session | None = None) -> None:
        self.view = view or a_session()
        self.numbers = FakeLive()
        self.stops = self.beats = 0
        self.said: list[tuple[str, ...]] = []
        self.closed = False
        self.failure: Exception | None = None
        self.reaches = True
        self.waits = False
        self.pages: Any = None
        self.ring: Any = None

    def look(self) -> tuple[s.Session, FakeLive]:
        if self.failure is not None:
            raise self.failure
        return self.view, self.numbers

    def stop(self) -> bool:
        self.stops += 1
        return self.reaches

    def beat(self) -> None:
        self.beats += 1

    def say(self, word: str, *args: str) -> None:
        self.said.append((word, *args))

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeDesk:
    """A desk in a folder of its own, with what a test puts on it."""

    config_dir: Path
    folders: tuple[Path, ...] = ()
    taken: tuple[Path, ...] = ()
    exits: dict[str, Exit] = field(default_factory=dict)
    started: list[Form] = field(default_factory=list)
    there: dict[str, Path] = field(default_factory=dict)
    stopped: int = 0
    closed: bool = False

    def plans(self, kind: str) -> tuple[str, ...]:
        return ("map-quick",)

    def start(self, form: Form) -> Started:
        self.started.append(form)
        return Started(run_id="abcd1234", data_dir=self.config_dir)

    def folder_of(self, started: Started) -> SessionFolder | None:
        path = self.there.get(started.run_id)
        return SessionFolder(path=path) if path is not None else None

    def engine_exit(self, run_id: str) -> Exit | None:
        return self.exits.get(run_id)

    def running(self) -> tuple[SessionFolder, ...]:
        return tuple(SessionFolder(path=p) for p in self.folders)

    def seat_taken(self, folder: SessionFolder) -> bool:
        return folder.path in self.taken

    def sessions(self) -> tuple[Ended, ...]:
        return ()

    def settings(self) -> Settings:
        return Settings()

    def stop_all(self) -> tuple[str, ...]:
        self.stopped += 1
        return tuple(f"{p.name}: STOP asked" for p in self.folders)

    def close(self) -> None:
        self.closed = True


class FakePages:
    """Arrays of a made-up session: 63 channels, evoked waves that differ over the head."""

    def __init__(self, names: tuple[str, ...], positions_m: Any) -> None:
        import numpy as np

        from rtloop.link.pages import BlockPage, PagesSpec, TrialPage

        times_s = np.arange(-100, 400) / 1000.0
        self.spec = PagesSpec(
            names=names, positions_m=positions_m, times_s=times_s, raw_rate_hz=5000.0, raw_first_s=-0.1, n_raw=2500,
            bands=("theta", "alpha", "beta", "pooled"), gap_s=(-0.002, 0.010),
        )  # fmt: skip
        self.count = 1
        chance, n = np.random.default_rng(5), len(names)
        wave = np.exp(-(((times_s - 0.045) / 0.012) ** 2)) - 0.7 * np.exp(-(((times_s - 0.11) / 0.03) ** 2))
        clean = np.outer(8.0 * positions_m[:, 0] / 0.09, wave) + chance.normal(0, 0.6, (n, len(times_s)))
        raw = np.repeat(clean, 5, axis=1) + chance.normal(0, 3.0, (n, 2500))
        raw[:, 500:540] += 3000.0
        pairs = np.abs(chance.normal(0.03, 0.02, (4, n * (n - 1) // 2))).astype(np.float32)
        self._trial = TrialPage(
            trial_id=34, pulse_id=40, sample=200_000, block="M1", raw_uv=raw.astype(np.float32),
            clean_uv=clean.astype(np.float32),
            decay_uv=(20.0 * positions_m[:, 1] / 0.09).astype(np.float32), good=np.arange(n) != 7,
        )  # fmt: skip
        self._block = BlockPage(block="M1", n=28, average_uv=clean.astype(np.float32), pairs=pairs)

    def trial(self, trial_id: int) -> Any:
        return replace(self._trial, trial_id=trial_id) if trial_id <= 34 else None

    def block(self, key: str) -> Any:
        return self._block if key == "M1" else None

    @classmethod
    def of_63(cls) -> FakePages:
        from rtloop.model.montage import Montage, names_for

        montage = Montage.from_names(names_for(63))
        return cls(tuple(montage.names), montage.positions_m)


def grab(window: Any, path: Path, size: tuple[int, int] | None = None) -> Path:
    """A PNG of a widget, offscreen; ``size`` in pixels, laid out anew before."""
    from PySide6.QtWidgets import QApplication

    if size is not None:
        window.resize(*size)
    window.show()
    for _ in range(3):
        QApplication.processEvents()
    path.parent.mkdir(parents=True, exist_ok=True)
    assert window.grab().save(str(path)), f"cannot write {path}"
    return path


def joined(desk: Any, source: Any, folder: Path) -> Any:
    """The window on a session of ``source``, shown, and looked at once; the caller ends it with ``leave``."""
    from PySide6.QtWidgets import QApplication

    from gui.app import application, make_screen
    from gui.desk import Form
    from gui.place import Parts
    from gui.window import Window

    application()
    parts = Parts(
        join=lambda folder, attach, pages: source,
        shown=lambda view, live, choice: view,
        choice=lambda role: FakeChoice(role=role),
        screen=lambda name, w: make_screen(name, w, desk, Form()),
    )
    made = Window(desk, parts)
    made.resize(1366, 768)
    made.show()
    made.activateWindow()
    made.join(folder / "20261122-120000_abcd1234")
    QApplication.processEvents()
    made.tick()
    return made
