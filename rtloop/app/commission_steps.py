"""Owns the steps of commissioning: what is done, expected, found; each by the same gate as a session. Writes no record."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from rtloop.app.commission_bench import Stand
from rtloop.app.commission_person import Person, Say
from rtloop.clock import WALL, Clock
from rtloop.errors import RtloopError
from rtloop.model.pulse import Outcome, Pair, Source, Train
from rtloop.model.status import Fault, Lamp
from rtloop.record.commissioning import PULSES_LEAST, StepFound
from rtloop.safety.train_end import STOPS_WITHIN_S

PROGRAM = "program"
#: what a pulse's delay may be, from the last byte of the command to the pulse in the EEG (5 to 8 ms on real units)
DELAY_MS = (0.0, 60.0)
DELAY_RANGE_MS = 20.0
STOP_EA_MS = 50.0
HARDWARE_S = 45.0
#: both from the unit's last word, which is up to 0.23 s before the cable: a port that vanishes is told at the next exchange,
#: a unit that only falls silent once that has not been answered (0.25 s); and 0.2 s for the computer
VANISHED_MS, SILENT_MS = 450.0, 700.0
LINE_FAILED = 2  # ``port_state`` on the board
LETS_GO_S = 2.0
#: short and slow enough for every model at the walk's power, and below the table of trains
TRAIN = Train(frequency_hz=10.0, n_pulses=20)
TRAIN_EA_S = 0.65
#: the steps in their order, with what each is about
TITLES = {
    "identity": "who answers on the line",
    "power": "powers, set and read back",
    "pulses": "single pulses, each seen in the EEG",
    "pair_setting": "pairs, set and read back",
    "train_setting": "trains, set and read back",
    "hardware_stop": "the unit's own stop",
    "stop": "STOP by software",
    "train_and_disarm": "a train, disarmed in its middle",
    "engine_frozen": "the program that drives the unit freezes",
    "engine_killed": "the program that drives the unit is killed",
    "unplug": "the serial cable is pulled",
}
STANDBY_ASKED = "Does the unit's own display show standby (not armed)?"


@dataclass
class Walk:
    """What the steps share, and what they found so far."""

    person: Person
    say: Say
    power_pct_mso: int
    n_pulses: int
    clock: Clock = WALL
    steps: list[StepFound] = field(default_factory=list)
    names: tuple[str, ...] = tuple(TITLES)  # of the steps of this unit, once that is known

    def begins(self, step: str) -> None:
        """Say which step comes."""
        self.say(f"\n-- step {self.names.index(step) + 1} of {len(self.names)}: {TITLES[step]}")

    def found(
        self, step: str, done: str, expected: str, found: str, passed: bool, *, by: str = PROGRAM,
        numbers: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        """Keep one finding and say it."""
        kept = {k: round(float(v), 3) for k, v in (numbers or {}).items() if math.isfinite(v)}
        self.steps.append(
            StepFound(
                step=step, done=done, expected=expected, found=found, passed=passed, observed_by=by, utc=self.clock.utc(),
                numbers=kept,
            )
        )  # fmt: skip
        self.say(f"[{'passed' if passed else 'FAILED'}] {step}: {found} (expected: {expected}; seen by {by})")

    def broke(self, step: str, done: str, err: RtloopError) -> None:
        """A step that could not be done is a step that did not pass."""
        self.found(step, done, "the step can be done", str(err), False)


def identity(walk: Walk, stand: Stand, model: str) -> None:
    """Who answers on the line, in standby, with a coil."""
    who, s = stand.gate.identity, stand.gate.status()
    ok = who.model == model and s.standby and s.coil_present and s.remote and not s.error
    found = f"{who.model} on {who.port}, software {who.firmware}, "
    found += "standby, coil, remote control, no error" if ok else str(s)
    walk.found("identity", "open the line, ask who is there", f"{model}, standby, coil, no error", found, ok)


def power(walk: Walk, stand: Stand, high_pct_mso: int) -> None:
    """Powers are set and read back; where the site's cap is below the unit's highest, one above it is refused."""
    wanted = (max(1, walk.power_pct_mso // 2), max(2, walk.power_pct_mso - 7), walk.power_pct_mso)
    found = [stand.set_power(p) for p in wanted]
    ok, words = tuple(found) == wanted, f"read back {', '.join(map(str, found))} % MSO"
    done, expected = "set powers, read each back", f"{', '.join(map(str, wanted))} % MSO"
    above = math.floor(stand.limits.max_power_pct_mso) + 1
    if above <= high_pct_mso:
        refused = isinstance(stand.gate.set_power(above), tuple)
        ok, words = ok and refused, f"{words}; {above} % {'refused' if refused else 'NOT refused'}"
        done, expected = f"{done}; ask for one above the site's cap", f"{expected}; {above} % refused"
    walk.found("power", done, expected, words, ok)


def pulses(walk: Walk, stand: Stand) -> None:
    """Single pulses, each seen once in the EEG; trigger and amplifier delay."""
    done = f"{walk.n_pulses} single pulses at {walk.power_pct_mso} % MSO"
    stand.arm(walk.person, f"the unit will be ARMED and will FIRE {done}")
    fired = [stand.fire(walk.power_pct_mso) for _ in range(walk.n_pulses)]
    stand.gate.disarm("the pulses are over")
    numbers: dict[str, float] = {
        "pulses_fired": sum(f.result.outcome is Outcome.FIRED for f in fired),
        "pulses_seen": sum(
            len(f.seen) == 1 and f.seen[0].source in (Source.TRIGGER, Source.ARTIFACT) for f in fired
        ),
        "pulses_seen_by_trigger": sum(any(p.source is Source.TRIGGER for p in f.seen) for f in fired),
    }
    delay, readable, apart = [], [], []
    for f in fired:
        sent_s = f.result.receipt.t_sent_s if f.result.receipt is not None else None
        if not f.seen or sent_s is None:
            continue
        delay.append(1e3 * (f.seen[0].t_s - sent_s))
        if f.available_s is not None:
            readable.append(1e3 * (f.available_s - f.seen[0].t_s))
        if f.seen[0].disagreement_samples is not None:
            apart.append(1e3 * f.seen[0].disagreement_samples / stand.bench.source.rate_hz)
    for name, values in (
        ("pulse_delay", delay),
        ("amplifier_delay", readable),
        ("artifact_after_trigger", apart),
    ):
        if values:
            low, mid, high = min(values), statistics.median(values), max(values)
            numbers |= {f"{name}_ms_min": low, f"{name}_ms_median": mid, f"{name}_ms_max": high}
    all_seen = numbers["pulses_seen"] == numbers["pulses_fired"] == walk.n_pulses >= PULSES_LEAST
    steady = bool(delay) and DELAY_MS[0] <= min(delay) <= max(delay) <= DELAY_MS[1]
    steady = steady and max(delay) - min(delay) <= DELAY_RANGE_MS and stand.disarmed
    words = f"{numbers['pulses_seen']:.0f} of {walk.n_pulses} seen once ({numbers['pulses_seen_by_trigger']:.0f} by trigger)"
    for name, title in (
        ("pulse_delay", "command to pulse"),
        ("amplifier_delay", "pulse to sample read here"),
    ):
        if f"{name}_ms_median" in numbers:
            low, mid, high = (numbers[f"{name}_ms_{k}"] for k in ("min", "median", "max"))
            words += f"; {title} {mid:.1f} ms ({low:.1f} to {high:.1f})"
    expected = f"each seen once in the EEG, {DELAY_MS[0]:g} to {DELAY_MS[1]:g} ms after the command, within {DELAY_RANGE_MS:g} ms"
    walk.found("pulses", done, expected, words, all_seen and steady, numbers=numbers)


def pair_setting(walk: Walk, stand: Stand) -> None:
    """BiStim²: pairs in both resolutions and at once, each read back; then single pulses again."""
    low = max(1, walk.power_pct_mso // 2)
    wanted = [Pair(power_b_pct_mso=low, interval_ms=ms) for ms in (10.0, 2.5, 0.0)]
    for pair in wanted:
        stand.set_pair(pair)
    stand.set_pair(None)
    walk.found("pair_setting", "set pairs, read each back; single pulses again", "each read back as it was set",
               f"{', '.join(f'{p.power_b_pct_mso} % after {p.interval_ms:g} ms' for p in wanted)} and single pulses read back",
               True)  # fmt: skip


def train_setting(walk: Walk, stand: Stand) -> None:
    """Rapid²: trains set and read back; one beyond the unit's own rules refused; then single pulses again."""
    for train in (Train(frequency_hz=5.0, n_pulses=10), TRAIN):
        stand.set_train(train)
    long = Train(frequency_hz=TRAIN.frequency_hz, n_pulses=6001)
    refused = isinstance(stand.gate.set_train(long), tuple)
    stand.set_train(None)
    words = f"5 Hz x 10 and {TRAIN.frequency_hz:g} Hz x {TRAIN.n_pulses} and single pulses read back; 6001 pulses "
    walk.found("train_setting", "set trains, read each back; ask for one beyond the rules", "each read back; 6001 pulses refused",
               words + ("refused" if refused else "NOT refused"), refused)  # fmt: skip


def train_and_disarm(walk: Walk, stand: Stand) -> bool | None:
    """Rapid²: EA in the middle of a train. Returns whether it stops one, as seen in the EEG; None if that is not clear."""
    stand.set_train(TRAIN)
    stand.arm(
        walk.person,
        f"the unit will be ARMED and will FIRE a train of {TRAIN.n_pulses} pulses, disarmed in its middle",
    )
    asked: list[float] = []

    def disarm() -> None:
        stand.wait(TRAIN_EA_S)
        asked.append(stand.clock.now_s())
        stand.gate.disarm("in the middle of a train")

    fired = stand.fire(walk.power_pct_mso, look_s=TRAIN.duration_s + 1.0, train=TRAIN, meanwhile=disarm)
    stand.wait(2.0, lambda: stand.disarmed)
    own = [p.t_s for p in fired.seen if p.source in (Source.TRIGGER, Source.ARTIFACT)]
    late = [t_s for t_s in own if t_s > asked[0] + STOPS_WITHIN_S]
    stops = None if len(own) < 3 else True if not late else False if len(own) >= TRAIN.n_pulses - 1 else None
    receipt = fired.result.receipt
    low = receipt.pulses_min if receipt is not None else None
    high = receipt.pulses_max if receipt is not None else None
    within = low is not None and high is not None and low <= len(own) <= high
    told = {
        True: "EA stops a running train",
        False: "EA does NOT stop a running train",
        None: "whether EA stops it is not clear",
    }
    words = f"{told[stops]}: {len(own)} of {TRAIN.n_pulses} pulses seen, {len(late)} of them well after EA; the driver says "
    words += f"{low} to {high}; {'standby at the end' if stand.disarmed else 'NOT in standby at the end'}"
    expected = "the pulses seen lie within the driver's bounds; standby at the end; whether EA stops a train is clear"
    walk.found("train_and_disarm", f"{TRAIN.frequency_hz:g} Hz x {TRAIN.n_pulses}, EA after {TRAIN_EA_S:g} s", expected, words,
               stops is not None and within and stand.disarmed,
               numbers={"pulses_seen_in_train": len(own), "pulses_after_ea": len(late)})  # fmt: skip
    stand.set_train(None)
    return stops


def hardware_stop(walk: Walk, stand: Stand) -> None:
    """The unit's own stop, pressed by the person while armed: the unit says standby, and so does its display."""
    stand.arm(walk.person, "the unit will be ARMED, nothing will be fired (the unit's own stop)")
    first = len(stand.faults)
    walk.person.act("hardware_stop", f"PRESS THE UNIT'S OWN STOP NOW (within {HARDWARE_S:g} s)")
    t0_s = stand.clock.now_s()
    stand.wait(HARDWARE_S, lambda: stand.gate.status().standby or not stand.armed)
    stand.wait(1.0, lambda: stand.disarmed)
    took_s, told = stand.clock.now_s() - t0_s, stand.faults[first:]
    # the vigil noticed that the unit itself left the armed state; the program's own disarm does not count
    program = stand.disarmed and any(fault is Fault.UNIT_UNEXPECTED for _, fault, _ in told)
    saw = walk.person.confirms("standby", STANDBY_ASKED, stand.tick)
    words = f"status byte {'standby' if program else 'NOT standby by the unit itself'}; display {standby_words(saw)}"
    if not program and told:
        words += f"; told meanwhile: {'; '.join(f'{fault.value} ({said})' for _, fault, said in told)}"
    walk.found("hardware_stop", "the unit's own stop pressed while armed",
               "status byte and display say standby, the program disarms",
               words, program and saw,
               by=walk.person.name, numbers={"until_standby_s": took_s})  # fmt: skip
    walk.person.act("release", "put the unit's own stop back, if it stays pressed")


def stop(walk: Walk, stand: Stand) -> None:
    """STOP on the board while armed: EA on the line, standby read back, the run over."""
    stand.arm(walk.person, "the unit will be ARMED, nothing will be fired (software STOP)")
    board = stand.bench.board
    board.ask_stop()
    stand.wait(1.5, lambda: board["stop_confirmed"] != 0)
    ea_ms = (board["stop_served"] - board["stop_asked"]) * 1e-6 if board["stop_served"] else math.nan
    stand.wait(0.1)
    again = stand.lock.arm_requested(stand.clock.now_s())
    ok = board["stop_confirmed"] == 1 and ea_ms <= STOP_EA_MS and not again.accepted and stand.disarmed
    saw = walk.person.confirms("standby", STANDBY_ASKED, stand.tick)
    words = f"EA after {ea_ms:.1f} ms, standby {'read back' if board['stop_confirmed'] == 1 else 'NOT read back'}, "
    words += f"arming again {'allowed' if again.accepted else 'refused'}; display {standby_words(saw)}"
    expected = f"EA within {STOP_EA_MS:g} ms, standby read back and displayed, arming again refused"
    walk.found("stop", "STOP asked for while armed", expected, words, ok and saw,
               by=walk.person.name, numbers={"stop_to_ea_ms": ea_ms})  # fmt: skip


def unplug(walk: Walk, stand: Stand) -> None:
    """The cable pulled while armed: an error, and the unit's own watchdog disarms it. The port vanishes, or it stays, silent."""
    stand.arm(walk.person, "the unit will be ARMED, nothing will be fired (pulling the cable)")
    first = len(stand.faults)
    walk.person.act("unplug", f"PULL THE UNIT'S SERIAL CABLE NOW, not the mains (within {HARDWARE_S:g} s)")
    lost = (Fault.UNIT_LOST, Fault.UNIT_SILENT, Fault.UNIT_STALE)
    stand.wait(HARDWARE_S, lambda: not stand.armed)  # what only holds for a moment is no cable
    word_s = stand.gate.status().t_s  # the unit's last
    told = [(t_s, f, w) for t_s, f, w in stand.faults[first:] if f in lost and t_s > word_s]
    since_ms = 1e3 * (told[0][0] - word_s) if told else math.nan
    vanished = stand.bench.board["port_state"] == LINE_FAILED
    # an error that was told for another reason has disarmed the unit by its own word: then no cable was pulled
    unconfirmed = stand.lock.armed_since_s is not None and stand.lock.lamp is not Lamp.ARMED
    stand.wait(LETS_GO_S)
    silent = not stand.gate.status().age_s(stand.clock.now_s()) <= LETS_GO_S
    saw = walk.person.confirms(
        "standby", f"{STANDBY_ASKED} (its own watchdog, about 1 s after the cable)", stand.tick
    )
    within_ms = VANISHED_MS if vanished else SILENT_MS
    how = "the port vanished" if vanished else "the port stayed, the unit fell silent"
    ok = bool(told) and since_ms <= within_ms and unconfirmed and silent
    words = (
        f"{how}: {told[0][2]}; told {since_ms:.0f} ms after the unit's last word"
        if told
        else "no error was told"
    )
    if told and not silent:
        words += "; the unit answers again"
    walk.found("unplug", "the serial cable pulled while armed",
               f"an error within {VANISHED_MS:g} ms of the unit's last word where the port vanishes, {SILENT_MS:g} ms where the "
               "unit only falls silent; the unit goes to standby by itself",
               f"{words}; display {standby_words(saw)}", ok and saw, by=walk.person.name,
               numbers={"told_after_ms": since_ms, "port_vanished": float(vanished)})  # fmt: skip
    walk.person.act("plug", "plug the cable in again")


def standby_words(saw: bool) -> str:
    """What the person saw on the display."""
    return "shows standby" if saw else "does NOT show standby"
