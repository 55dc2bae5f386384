"""Owns a commissioning record that covers everything, to be spoiled one thing at a time; no check is made weaker here."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers.stepped import SteppedUnit
from hardware_sim.bedside import BedsideSpec
from hardware_sim.bench import SteppedBench
from hardware_sim.magstim import UNLOCK_CODE
from rtloop.app.commission_bench import Stand
from rtloop.app.commission_person import Person, SimulatedPerson
from rtloop.app.commission_steps import Walk
from rtloop.app.commissioned import limits_bound, software_bound
from rtloop.app.config import Site, load_site
from rtloop.app.stepped import KEY, _Feed, _recording
from rtloop.app.wiring import Bench
from rtloop.board import Board
from rtloop.clock import WALL, SteppedClock
from rtloop.eeg.layout import Layout
from rtloop.eeg.source import EegSource
from rtloop.model.status import Mode
from rtloop.record.commissioning import (
    RECORD_SCHEMA,
    STEPS,
    Connected,
    Record,
    StepFound,
    StreamBound,
    UnitBound,
)
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal
from rtloop.safety.limits import load_limits

PORT = "socket://127.0.0.1:7"
STREAM = StreamBound(name="amp", source_id="amp-1", rate_hz=1000.0, channels=9)
FIRMWARE = "not reported by this model"


def site_file(folder: Path, *, verified: bool = True, more: str = "") -> Path:
    """A site with a unit at ``PORT``; ``verified``: somebody there has checked every limit."""
    text = f'mode = "HUMAN"\ndata_dir = "data"\n{more}\n[unit]\nmodel = "200"\nport = "{PORT}"\n[stream]\nname = "amp"\n'
    if verified:
        names = json.dumps(list(load_limits().unverified), ensure_ascii=False)
        text += f'[verified]\nby = "Ada Example"\non = "2026-11-01"\nlimits = {names}\n'
    path = folder / "rtloop.toml"
    path.write_text(text, encoding="utf-8")
    return path


def site_in(folder: Path, **options: Any) -> Site:
    """That site, read."""
    return load_site(site_file(folder, **options), environ={})


def good(site: Site, **changes: Any) -> Record:
    """A record made today on the real unit of ``site``, every step passed, signed; then ``changes``."""
    now = WALL.utc()
    steps = tuple(
        StepFound(
            step=name, done="d", expected="e", found="f", passed=True, observed_by="program", utc=now,
            numbers={"pulses_seen": 10.0} if name == "pulses" else {},
        )
        for name in STEPS
    )  # fmt: skip
    record = Record(
        schema=RECORD_SCHEMA, mode="BENCH", run_id="0123abcd", made_utc=now, software=software_bound(),
        unit=UnitBound(model="200", port_identity=PORT, firmware=FIRMWARE), stream=STREAM, limits=limits_bound(site.limits()),
        steps=steps, stops_running_train=None, transcripts={}, signatory="Ada Example", signature="Ada Example",
        signed_utc=now,
    )  # fmt: skip
    return replace(record, **changes).sealed()


def here(site: Site, **changes: Any) -> Connected:
    """What is connected when all is as at commissioning."""
    found = Connected(
        software=software_bound(), limits=limits_bound(site.limits()), model="200", port_identity=PORT, firmware=FIRMWARE,
        stream=STREAM,
    )  # fmt: skip
    return replace(found, **changes)


# -- a stand on the stepped clock ---------------------------------------------------------------------------------


class SteppedStand:
    """A run of commissioning over stepped devices: every byte and every rule of a real one, no process and no waiting."""

    def __init__(
        self,
        folder: Path,
        model: str,
        person: Callable[[SteppedBench], Person],
        *,
        caps: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        self._stack = contextlib.ExitStack()
        self.clock = SteppedClock(1_700_000_000.0)
        run = SessionFolder.create(folder / "runs", "0123abcd", clock=self.clock)
        coded = {"unlock_code": UNLOCK_CODE} if "rapid" in model else {}
        self.bench = SteppedBench(self.clock, BedsideSpec(n_channels=8, rate_hz=1000.0, unit=model))
        journal = Journal(run.journal, run_id="0123abcd", clock=self.clock)
        self._stack.callback(journal.close)
        board = self._stack.enter_context(Board.create(run.board, clock=self.clock))
        for role in ("engine", "operator", "recorder"):
            board.start(role)
        layout = Layout.from_montage(self.bench.montage, trigger="TRIG")
        source = EegSource.pushed(layout, 1000.0, run.ring, self.clock)
        self._stack.callback(source.close)
        recording = _recording(run, board, source, layout, self.clock)
        self._stack.callback(recording.close)
        self.clock.listen(_Feed(self.bench, source, recording, board))
        unit = SteppedUnit.open(
            line=self.bench.line, clock=self.clock, board=board, run_id="0123abcd", key=KEY, model=model, **coded, **options
        )  # fmt: skip
        self._stack.callback(unit.close)
        stream = {"name": "stepped", "rate_hz": 1000.0, "channels": 9}
        ends = Bench(board=board, source=source, stream=stream, unit=unit, bedside=self.bench, key=KEY)
        self.stand = Stand(
            ends,
            mode=Mode.SIMULATED,
            limits=load_limits(caps),
            journal=journal,
            run_id="0123abcd",
            clock=self.clock,
        )
        self._stack.callback(self.stand.gate.close)
        self.clock.listen(self._waited)
        self.said: list[str] = []
        self.walk = Walk(
            person=person(self.bench), say=self.said.append, power_pct_mso=40, n_pulses=10, clock=self.clock
        )
        self.stand.settle(folder, self.said.append)

    def _waited(self, now_s: float) -> None:
        """The unit's process waited for its unit, and the one clock went on: no lateness of the loop."""
        if self.clock.now_s() - now_s > 0.01:
            self.stand.vigil.waited(self.clock.now_s())

    def __enter__(self) -> SteppedStand:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class Hand(SimulatedPerson):
    """Somebody at a stepped unit: looks at the unit's own state; ``does`` says what is done when told to act."""

    def __init__(self, bench: SteppedBench, does: Mapping[str, str]) -> None:
        super().__init__(bench, "Ada Example")
        self._bench, self._does = bench, does

    def confirms(self, what: str, question: str, tick: Callable[[], None]) -> bool:
        tick()
        unit = self._bench.unit.state()
        return what == "standby" and not unit.armed and not unit.ready

    def act(self, what: str, words: str) -> None:
        if what in self._does:
            self._bench.inject({"kind": self._does[what]})
