"""Owns ``rtloop commission``: the walk in its order, and the signed record at its end; owns no step and no rule.

Every step goes through the gate and the driver of a session. With --simulate the simulated unit is walked through: such
a record is marked SIMULATED and never lets a person under the coil.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hardware_sim.bedside import BedsideSpec
from rtloop.app.commission_bench import Stand, standing
from rtloop.app.commission_child import ChildSpec
from rtloop.app.commission_orphan import orphan
from rtloop.app.commission_person import Person, Say, SimulatedPerson, TerminalPerson, ended
from rtloop.app.commission_steps import (
    TITLES,
    Walk,
    hardware_stop,
    identity,
    pair_setting,
    power,
    pulses,
    stop,
    train_and_disarm,
    train_setting,
    unplug,
)
from rtloop.app.commissioned import (
    FOLDER,
    ea_words,
    limits_bound,
    port_identity,
    records_folder,
    software_bound,
    stream_bound,
    wiring_bound,
)
from rtloop.app.config import Site, load_site, simulated_at
from rtloop.app.runtime import Runtime
from rtloop.app.setting import unit_options
from rtloop.app.site_unit import simulated_options
from rtloop.app.wiring import StreamWanted, UnitWanted, new_run_id, session_folder, simulated_bedside
from rtloop.clock import WALL
from rtloop.errors import OperatorAbort, RtloopError, UsageProblem
from rtloop.model.status import Mode, UnitIdentity
from rtloop.record.commissioning import (
    PULSES_LEAST,
    RECORD_SCHEMA,
    STEPS_PAIRS,
    STEPS_TRAINS,
    Record,
    UnitBound,
    write_record,
)

SIM_RATE_HZ = 1000.0
SIM_CHANNELS = 16
#: the runs of a walk and what their number ends in: hexadecimal, so that what a crash leaves in memory is swept
RUNS = {"steps": "a", "train_and_disarm": "b", "unplug": "c", "engine_killed": "e", "engine_frozen": "f"}
WARNING = (
    "The coil must lie on a PHANTOM. No person within one metre of it; nobody with an implant in the room. "
    "A hand stays near the unit's own stop during the whole walk.\n"
    'Arming is two typed words, "arm" and "confirm". "end" instead of them, or Ctrl-C at any moment, ends the walk: the unit is '
    "disarmed, and no record is written."
)


UNVERIFIED = "{n} limits of this site were verified by nobody"
VERIFY = "verify each row that rtloop doctor names in the site file ([verified], docs/commissioning.md), then commission"


@dataclass(frozen=True, kw_only=True)
class CommissionRequest:
    """What the command line asks for."""

    simulate: bool = False
    by: str = ""
    unit: str | None = None
    port: str | None = None
    stream: str | None = None
    source_id: str | None = None
    markers: str | None = None
    site: Path | None = None
    data_dir: Path | None = None
    power_pct_mso: int = 40
    pulses: int = PULSES_LEAST


@dataclass(frozen=True, kw_only=True)
class _Place:
    """What all runs of one walk share."""

    request: CommissionRequest
    site: Site
    mode: Mode
    run_id: str
    stream: StreamWanted
    unit: UnitWanted
    bedside: Any
    root: Path  # run folders, transcripts
    say: Say


def commission(
    request: CommissionRequest, say: Say, person: Callable[[Any], Person] | None = None
) -> tuple[str, dict[str, Any], int]:
    """The whole walk; exit 0 with a record in which every step passed, 5 with one in which not, 6 unsigned.

    ``person``: makes the person from the bedside (None: the terminal's, or the simulated one).
    """
    site = load_site(request.site, overrides={
        "data_dir": request.data_dir, "stream.name": request.stream, "stream.source_id": request.source_id,
        "markers.name": request.markers, "unit.model": None if request.simulate else request.unit,
        "unit.port": request.port,
    })  # fmt: skip
    if request.simulate:
        site, unlike = simulated_at(site, request.unit or site.unit.model)
        if unlike:
            say(unlike)
    _refuse_nonsense(request, site)
    run_id = new_run_id()
    with simulated_bedside(_bedside_spec(request, site, run_id)) as bedside:
        who = person(bedside) if person else _person(request, bedside, say)
        place = _place(request, site, run_id, bedside, say)
        say(f"{place.mode} commissioning of {site.unit.model} on {place.unit.port}, by {who.name}\n{WARNING}")
        if bedside is None and (nobody := len(site.limits().unverified)):
            say(
                f"{UNVERIFIED.format(n=nobody)}: a record that is made now will NOT let a person under the coil. To change that, "
                f"{VERIFY}."
            )
        try:
            on_phantom = who.confirms(
                "phantom", "Is the coil on a phantom, and nobody near it?", lambda: None
            )
        except (KeyboardInterrupt, OperatorAbort) as err:
            raise ended(err, "nothing was connected") from None
        if not on_phantom:
            raise OperatorAbort(
                "not confirmed: nothing was connected", todo="put the coil on a phantom first"
            )
        walk = Walk(person=who, say=say, power_pct_mso=request.power_pct_mso, n_pulses=request.pulses)
        try:
            found = _walk(place, walk)
        except KeyboardInterrupt:  # between two runs
            raise ended(KeyboardInterrupt(), "nothing is connected") from None
        return _record(place, walk, found)


def _refuse_nonsense(request: CommissionRequest, site: Site) -> None:
    cap = site.limits().max_power_pct_mso
    wrong = []
    if not 10 <= request.power_pct_mso <= cap:
        wrong.append(f"--power {request.power_pct_mso} (10 to {cap:g} % MSO, the site's cap)")
    if not PULSES_LEAST <= request.pulses <= 100:
        wrong.append(f"--pulses {request.pulses} ({PULSES_LEAST} to 100)")
    if not request.simulate:
        if not request.by.strip():
            wrong.append("--by is missing: the name of the person who commissions and signs")
        if site.unit.port is None:
            wrong.append("no unit is named: --port PORT, or in the site file")
    if wrong:
        raise UsageProblem(
            "commissioning cannot start so", expected="every option within its bounds", found="; ".join(wrong),
            todo="see docs/commissioning.md; to try it: rtloop commission --simulate",
        )  # fmt: skip


def _bedside_spec(request: CommissionRequest, site: Site, run_id: str) -> BedsideSpec | None:
    if not request.simulate:
        return None
    os.environ.setdefault("RTLOOP_LSL_SESSION", f"rtloop-{run_id}")
    return BedsideSpec(
        n_channels=SIM_CHANNELS, rate_hz=SIM_RATE_HZ, stream_name=f"rtloop-sim-{run_id}", source_id=f"rtloop-sim-{run_id}",
        markers=False, unit=site.unit.model,
    )  # fmt: skip


def _person(request: CommissionRequest, bedside: Any, say: Say) -> Person:
    return SimulatedPerson(bedside) if bedside is not None else TerminalPerson(request.by.strip(), say)


def _place(request: CommissionRequest, site: Site, run_id: str, bedside: Any, say: Say) -> _Place:
    s, model = site.stream, site.unit.model
    if bedside is not None:
        stream = StreamWanted(name=bedside.stream_name, source_id=bedside.source_id, rate_hz=SIM_RATE_HZ)
        unit = UnitWanted(model=model, port=bedside.port, simulated=True, options=simulated_options(model))
    else:
        stream = StreamWanted(
            name=s.name, source_id=s.source_id, rate_hz=s.rate_hz, markers=site.markers.name,
            channels=None if s.channels is None else len(s.channels),
        )  # fmt: skip
        unit = UnitWanted(model=model, port=site.unit.port or "", simulated=False, options=unit_options(site))
    return _Place(
        request=request, site=site, mode=Mode.SIMULATED if bedside is not None else Mode.BENCH, run_id=run_id, stream=stream,
        unit=unit, bedside=bedside, root=Path(site.data_dir) / FOLDER, say=say,
    )  # fmt: skip


@dataclass
class _Found:
    """What was there, for the binding; and the bytes of each run."""

    unit: UnitIdentity | None = None
    stream: dict[str, Any] | None = None
    trains: bool = False
    pairs: bool = False
    stops_running_train: bool | None = None


def _walk(place: _Place, walk: Walk) -> _Found:
    found = _Found()
    with _run(place, "steps") as stand:
        found.unit, found.stream = stand.gate.identity, stand.bench.stream
        assert stand.bench.unit is not None
        can = stand.bench.unit.capabilities
        found.trains, found.pairs = can.trains, can.pairs
        walk.names = tuple(
            n for n in TITLES
            if (can.trains or n not in STEPS_TRAINS) and (can.pairs or n not in STEPS_PAIRS)
        )  # fmt: skip
        for name, done in (
            ("identity", lambda: identity(walk, stand, place.unit.model)),
            ("power", lambda: power(walk, stand, can.power_high_pct_mso)),
            ("pulses", lambda: pulses(walk, stand)),
            *([("pair_setting", lambda: pair_setting(walk, stand))] if can.pairs else []),
            *([("train_setting", lambda: train_setting(walk, stand))] if can.trains else []),
            ("hardware_stop", lambda: hardware_stop(walk, stand)),
            ("stop", lambda: stop(walk, stand)),
        ):
            _tried(walk, name, done, stand)
    if (
        found.trains
    ):  # in a run of its own: where EA stops it, how much was given is uncertain, and that trips the run
        _alone(place, walk, "train_and_disarm", lambda stand: _train(walk, stand, found))
    for freeze in (True, False):
        name = "engine_frozen" if freeze else "engine_killed"
        with _child(place, walk, name) as spec:
            _tried(walk, name, partial(orphan, walk, spec, freeze=freeze))
    _alone(place, walk, "unplug", partial(unplug, walk))
    return found


def _train(walk: Walk, stand: Stand, found: _Found) -> None:
    found.stops_running_train = train_and_disarm(walk, stand)


def _tried(walk: Walk, name: str, step: Callable[[], None], stand: Stand | None = None) -> None:
    """A step that breaks is one that did not pass; the walk goes on to the next, unless the person ended it."""
    walk.begins(name)
    try:
        step()
    except OperatorAbort:
        raise
    except RtloopError as err:
        walk.broke(name, "the step was begun", err)
    finally:
        if stand is not None:
            stand.gate.disarm(f"{name} is over")


def _alone(place: _Place, walk: Walk, step: str, do: Callable[[Stand], None]) -> None:
    """A step in a run of its own; where the unit cannot be opened any more it did not pass, and the walk goes on."""
    try:
        with _run(place, step) as stand:
            _tried(walk, step, lambda: do(stand), stand)
    except OperatorAbort:
        raise
    except RtloopError as err:
        walk.broke(step, "the unit is opened anew", err)


@contextlib.contextmanager
def _run(place: _Place, name: str) -> Iterator[Stand]:
    """One run on the unit with amplifier and recorder, past its pre-flight."""
    run_id = place.run_id + RUNS[name]
    folder = session_folder(place.root, run_id)
    with standing(
        folder=folder, run_id=run_id, stream=place.stream, unit=_recorded(place, name), bedside=place.bedside, mode=place.mode,
        limits=place.site.limits(), say=place.say,
    ) as stand:  # fmt: skip
        stand.settle(Path(place.site.data_dir), place.say)
        yield stand


@contextlib.contextmanager
def _child(place: _Place, walk: Walk, name: str) -> Iterator[ChildSpec]:
    """The board of a run whose engine is another process."""
    run_id = place.run_id + RUNS[name]
    folder = session_folder(place.root, run_id)
    runtime = Runtime(folder, run_id)
    try:
        yield ChildSpec(
            mode=place.mode, limits=place.site.limits(), unit=_recorded(place, name), board=runtime.board, run_id=run_id,
            key=secrets.token_bytes(32), power_pct_mso=walk.power_pct_mso,
        )  # fmt: skip
    finally:
        runtime.remove()


def _recorded(place: _Place, name: str) -> UnitWanted:
    """The unit, every byte of this run's line kept in a file beside the run folders."""
    path = place.root / f"{place.run_id}-{name}.bytes.jsonl"
    return replace(place.unit, options={**place.unit.options, "transcript": path})


# -- the record ---------------------------------------------------------------------------------------------------


def _record(place: _Place, walk: Walk, found: _Found) -> tuple[str, dict[str, Any], int]:
    assert found.unit is not None
    assert found.stream is not None
    site, who = place.site, walk.person
    failed = [s.step for s in walk.steps if not s.passed]
    lines = [f"   [{'passed' if s.passed else 'FAILED'}] {s.step}" for s in walk.steps]
    ending = (
        f"{len(failed)} did not pass: this record will not let a person under the coil"
        if failed
        else "all passed"
    )
    place.say("\n".join(["", f"-- the record: {len(lines)} steps, {ending}", *lines]))
    try:
        signature = who.signature(lambda: None).strip()
    except (KeyboardInterrupt, OperatorAbort):  # the walk is done: what was found is kept, unsigned
        signature = ""
    now = WALL.utc()
    record = Record(
        schema=RECORD_SCHEMA, mode=place.mode.value, run_id=place.run_id, made_utc=now, software=software_bound(),
        unit=UnitBound(
            model=found.unit.model, port_identity=port_identity(place.unit.port), firmware=found.unit.firmware,
            trains=found.trains, pairs=found.pairs, **wiring_bound(site.unit),
        ),
        stream=stream_bound(found.stream), limits=limits_bound(site.limits()), steps=tuple(walk.steps),
        stops_running_train=found.stops_running_train, transcripts=_hashes(_transcripts(place)), signatory=who.name,
        signature=signature, signed_utc=now if signature else "",
    )  # fmt: skip
    # what is simulated stays with the simulated runs: the site's own folder holds records of real units only
    where = place.root if place.bedside is not None else records_folder(site)
    path = where / f"{now[:10]}_{found.unit.model}_{place.run_id}.json"
    record = write_record(path, record)
    for one in _transcripts(place):
        if one.parent != where:
            (where / one.name).write_bytes(one.read_bytes())
    code = 5 if record.missing else 6 if signature != who.name else 0
    words = {
        0: f"every step passed; signed by {who.name}",
        5: f"NOT passed: {'; '.join(record.missing)}",
        6: f"NOT signed as {who.name}: it covers nobody",
    }[code]
    if found.stops_running_train is not None:
        words += f"\n{ea_words(found.stops_running_train)}"
    if place.bedside is not None:
        words += "\nSIMULATED: it shows that the walk works and never lets a person under the coil"
    elif record.limits.unverified:
        words += (
            f"\nHUMAN stays refused: {UNVERIFIED.format(n=len(record.limits.unverified))}; {VERIFY} again"
        )
    data = {
        "record": str(path),
        "exit_code": code,
        "words": words,
        "missing": list(record.missing),
        **asdict(record),
    }
    return f"{path}\n{words}", data, code


def _transcripts(place: _Place) -> list[Path]:
    """The byte transcripts of this walk's runs."""
    return sorted(place.root.glob(f"{place.run_id}-*.bytes.jsonl"))


def _hashes(paths: list[Path]) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}
