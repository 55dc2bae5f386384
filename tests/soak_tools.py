"""Owns a soak: random operations with faults on the real gate, driver worker and simulated unit, on a stepped clock.

Single pulses on every model, by serial or by a trigger line, trains where the unit has them (with disarms, STOP, a frozen
engine and line faults while they run), pairs where it has those (tests/soak_kinds.py). Another program may fire, arm or set
the unit too: its discharges the simulated unit counts apart; what it set makes ours more or other than permitted only where
nobody could have read it, is told by the bounds, and trips. Its replies in the very milliseconds of ours are left out
(H09: open). What may never happen is checked at each discharge and after each operation; it
owns no fault and no rule itself. The dose ledger goes on from run to run, as it does for a participant; each trip ends
its run, and a new run follows. Every 500 runs the next participant comes, for a course has a cap.
"""

from __future__ import annotations

import math
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safety_tools import LIMITS, good
from soak_kinds import FAR, GONE, KINDS, MEDDLES, NEAR, PAIRS, TRAINS, Edge, faults_of

from drivers.stepped import SteppedUnit
from hardware_sim.faults import Fault as LineFault
from hardware_sim.faults import FaultKind
from hardware_sim.line import SteppedLine
from hardware_sim.magstim import unit_of
from rtloop.board import Board
from rtloop.clock import SteppedClock
from rtloop.errors import NotReady
from rtloop.model.pulse import Delivery, Outcome, Pair, Pulse, Purpose, Train
from rtloop.model.status import Fault, Lamp, Mode
from rtloop.ports import Permit
from rtloop.safety.gate import Gate, GateResult
from rtloop.safety.interlock import FAULTS, Action, Interlock
from rtloop.safety.ledger import Ledger
from rtloop.safety.rules import Situation

START_S = 1_700_000_000.0
TICK_S = 0.1  # the engine of the soak beats this often
LINE_S = 0.02  # three bytes at 9600 baud and the unit's own delay of a serial pulse
FROZEN_S = 0.35  # 0.25 s without a heartbeat, then EA on the line
OWN_WATCHDOG_S = 1.5  # a unit that hears nothing lets go by itself
SEEN_S = 1.0  # no pulse is given on numbers that were read longer ago; what changes within it is found after the pulse
FOUND_S = 2.5  # ... by then
MEDDLED_S = 3.0


class Broken(AssertionError):
    """Something that may never happen, happened."""


@dataclass
class Tally:
    """What a soak did."""

    operations: int = 0
    runs: int = 0
    discharges: int = 0
    trains: int = 0  # acknowledged
    cut: int = 0  # of these, ended early
    pairs: int = 0
    uncertain: int = 0
    uncertain_ungiven: int = 0  # counted as given, and was not
    foreign: int = 0  # discharges that no command of ours made
    beyond: int = 0  # pulses of ours beyond what was permitted, or at another power
    by_name: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    trips: Counter[str] = field(default_factory=Counter)

    def words(self) -> str:
        return (
            f"{self.operations} operations in {self.runs} runs: {self.discharges} discharges, {self.trains} trains "
            f"({self.cut} cut), {self.pairs} pairs, {self.uncertain} of unknown outcome ({self.uncertain_ungiven} pulses "
            f"counted and not given); {self.foreign} discharges of others, {self.beyond} beyond or other than permitted; "
            f"outcomes {dict(self.outcomes)}; ends {dict(self.trips)}"
        )


class Soak:
    """``go`` does so many operations. Raises Broken, with the seed and the last operations, when anything is wrong."""

    def __init__(self, seed: int, *, model: str = "200") -> None:
        self.seed, self.model, self.kind = seed, model, KINDS[model]
        self.faults = faults_of(self.kind)
        self.random = random.Random(seed)
        self.clock = SteppedClock(START_S)
        self.ledger = Ledger()
        self.tally = Tally()
        self.weights = WEIGHTS
        self.given = 0  # discharges of this participant over all runs: the simulator's own count
        self.spare = 0  # counted for this participant, and not given
        self.sessions: set[str] = set()
        self.train_runs = False
        self.last: list[str] = []
        self.now_firing: Permit | None = None
        self._fired_of: Counter[tuple[str, int]] = Counter()

    # ---- runs

    def go(self, operations: int) -> Tally:
        """So many operations more."""
        until = self.tally.operations + operations
        with tempfile.TemporaryDirectory() as folder:
            while self.tally.operations < until:
                self._run(Path(folder) / f"board-{self.tally.runs}", until)
        return self.tally

    def _run(self, path: Path, until: int) -> None:
        self.tally.runs += 1
        self.run_id = f"run-{self.tally.runs}"
        self.key = self.random.randbytes(32)
        self.clock._listeners.clear()  # the devices of the run before are gone
        more = {"obeys_ea_in_train": self.random.random() < 0.5} if self.kind.trains else {}
        self.sim = unit_of(
            self.kind.model, on_discharge=self._discharged, arming_s=0.2, **self.kind.sim, **more
        )
        self.line = SteppedLine(self.sim, self.clock)
        self.edge = Edge(self.sim, self.clock)
        self.meddled_s = self.powers_s = self.deaf_until_s = self.began_s = -math.inf
        self.otherwise = False  # somebody else set what one fire gives
        self.owed_s = math.inf  # a trip is due by then
        if self.tally.runs % 500 == 0:
            self.ledger, self.given, self.spare, self.sessions = Ledger(), 0, 0, set()
        self.session = f"s-{self.tally.runs // 50}"
        self.sessions.add(self.session)
        self.tripped_at: int | None = None
        self.shape: tuple[Train | None, Pair | None] = (None, None)
        self.held: list[tuple[Pulse, Permit]] = []
        self.changes: dict[str, Any] = {}
        self.journal_fails = False
        self.beating = True
        self.pulse_id = 0
        if self.tally.runs % 50 == 0:
            self.clock.advance(86_400.0)  # the dose of a day has a cap
        with Board.create(path, clock=self.clock) as board:
            self.board = board
            board.start("engine")
            self.unit = SteppedUnit.open(
                line=self.line,
                clock=self.clock,
                board=board,
                run_id=self.run_id,
                key=self.key,
                model=self.kind.model,
                trigger=self.edge if self.kind.by_trigger else None,
                **self.kind.driver,
            )
            self.lock = Interlock(Mode.SIMULATED)
            self.gate = Gate(
                stimulator=self.unit, limits=LIMITS, interlock=self.lock, ledger=self.ledger, clock=self.clock,
                run_id=self.run_id, session_id=self.session, key=self.key, record_intent=self._intent,
                situation=self._situation,
            )  # fmt: skip
            try:
                self._operate(until)
            finally:
                self.gate.close()
            self._must(not self._sim_armed(), "armed after the end of its run")
        path.unlink()

    def _operate(self, until: int) -> None:
        names, weights = zip(*self.weights.items(), strict=True)
        ends_at = self.tally.operations + 2000
        while self.tally.operations < min(until, ends_at):
            name = self.random.choices(names, weights)[0]
            self.tally.operations += 1
            self.tally.by_name[name] += 1
            self.last = [*self.last[-24:], f"{self.clock.now_s() - START_S:.3f} {name}"]
            OPERATIONS[name](self)
            self._look()
            self._invariant()
            if self.lock.lamp is Lamp.TRIPPED and self.random.random() < 0.1:
                self.tally.trips[
                    ",".join(str(f) for f in self.lock.active if FAULTS[f].action is Action.TRIP)
                ] += 1
                return
        self.tally.trips["end"] += 1

    # ---- what is always watched

    def _discharged(self, t_s: float, power_pct_mso: int) -> None:
        """Called by the simulated unit for every pulse of its coil."""
        self.tally.discharges += 1
        if not self.sim.discharges[-1].commanded:
            self.tally.foreign += 1
            return
        self.given += 1
        permit, now_s = self.now_firing, self.clock.now_s()
        self._must(permit is not None, "a discharge that nobody fired")
        assert permit is not None
        self._fired_of[permit.run_id, permit.permit_id] += 1
        so_far = self._fired_of[permit.run_id, permit.permit_id]
        self._must(
            permit.genuine(self.key) and permit.run_id == self.run_id, "a discharge on a foreign permit"
        )
        if so_far > permit.n_pulses:  # the bounds that are told must cover them: see ``_fire``
            self._must(self.otherwise, f"{so_far} discharges on a permit for {permit.n_pulses}")
            self._other()
            return
        if so_far == 1:
            self.began_s = now_s  # what goes on is beyond stopping
        second = permit.pair is not None and so_far == 2
        power = permit.pair.power_b_pct_mso if permit.pair is not None and second else permit.power_pct_mso
        if power_pct_mso != power:
            read = not (self.began_s - self.powers_s <= SEEN_S or (second and self.otherwise))
            self._must(not read, f"{power_pct_mso} % on a permit for {power} %")
            self._other()
        self._must(self._counted() >= self.given, "not in the ledger before it was given")
        if so_far > 1:
            return  # of a train or a pair: the first is what was permitted, the rest may be beyond stopping
        self._must(
            now_s < permit.expires_s and t_s <= permit.expires_s + LINE_S, "a discharge after the deadline"
        )
        self._must(self.lock.lamp is Lamp.ARMED, f"a discharge in {self.lock.lamp}")
        self._must(not self.board["stop_asked"], "a discharge after STOP")

    def _other(self) -> None:
        """More or other than permitted: it must be found, and trip."""
        self.tally.beyond += 1
        self.owed_s = min(self.owed_s, self.clock.now_s() + FOUND_S)

    def _must(self, true: bool, what: str) -> None:
        if not true:
            raise Broken(
                f"{what} (seed {self.seed}, operation {self.tally.operations}); last: {'; '.join(self.last)}"
            )

    def _counted(self) -> int:
        """What the ledger says over all runs; an entry of the tally, for the sum over every charge takes ever longer."""
        tally = self.ledger._tally
        return tally[("course",)] + sum(tally["session", session] for session in self.sessions)

    def _invariant(self) -> None:
        self._must(
            self._counted() >= self.given, f"the ledger says {self._counted()}, the unit gave {self.given}"
        )
        over = self._counted() - self.given
        self._must(
            over == self.spare,
            f"{over} over, {self.spare} of them uncertain",
        )
        if self.lock.lamp is Lamp.TRIPPED or self.unit.trouble() is not None:
            self.owed_s = math.inf
        self._must(self.clock.now_s() <= self.owed_s, "more or other than permitted, and nothing tripped")
        if self.lock.lamp is Lamp.TRIPPED:
            self.tripped_at = self.given if self.tripped_at is None else self.tripped_at
            self._must(self.given == self.tripped_at, "a discharge after TRIPPED")
        else:
            self._must(self.tripped_at is None, "TRIPPED went away")

    def _sim_armed(self) -> bool:
        """What the simulated unit itself knows; at the latest its own watchdog has disarmed it where no byte can pass."""
        if self.unit.trouble() is not None or not self.line.is_open or self._deaf():
            self._pass(OWN_WATCHDOG_S)
        self.sim.tick(self.clock.now_s())
        if self.meddled_s > -math.inf:
            self._rest()  # a train of another's that EA does not stop: obeyed at its end (H18)
        return self.sim.state().armed

    def _deaf(self) -> bool:
        """The unit hears nothing, or EA was lost a moment ago and is not yet repeated."""
        return self.clock.now_s() < self.deaf_until_s + 0.6

    def _look(self) -> None:
        """What the loop of a session does between pulses: hears of the unit's trouble and of STOP."""
        trouble = self.unit.trouble()
        if trouble is not None and trouble.fault not in self.lock.active:
            self.gate.fault(trouble.fault, trouble.what)
        if self.board["stop_asked"] and Fault.STOP not in self.lock.active:
            self.gate.fault(Fault.STOP)

    # ---- the gate's surroundings

    def _intent(self, data: dict[str, Any]) -> None:
        if self.journal_fails:
            raise OSError("the disk is full")

    def _situation(self, pulse: Pulse, now_s: float) -> Situation:
        calm = {"threshold": None, "rig": None, "eeg_simulated": True}
        return replace(good(now_s, pulse=pulse), **(calm | self.changes))

    def _pass(self, dt_s: float) -> None:
        end_s = self.clock.now_s() + dt_s
        while self.clock.now_s() < end_s:
            if self.beating:
                self.board.beat("engine")
            self.clock.sleep_until(min(end_s, self.clock.now_s() + TICK_S))

    # ---- operations

    def wait(self) -> None:
        self._pass(self.random.choice((0.001, 0.01, 0.05, 0.1)))

    def get_armed(self) -> None:
        """What a careful operator does."""
        for fault in list(self.lock.active):
            self.lock.cleared(fault, self.clock.now_s())
        self.lock.preflight_ok()
        if self.lock.lamp is Lamp.HELD:
            self.lock.resume()
        if self.lock.lamp in (Lamp.SAFE, Lamp.READY):
            self._set(self.random.choice(NEAR))
            self.lock.arm_requested(self.clock.now_s())
            self.lock.arm_confirmed(self.clock.now_s())
            self._arm()

    def _arm(self) -> None:
        try:
            self.gate.arm()
        except NotReady:
            self._must(self.lock.lamp is not Lamp.ARMED, "armed though it failed")

    def _set(self, power: Any) -> None:
        try:
            self.gate.set_power(power)
        except NotReady:
            self._must(self.lock.lamp is not Lamp.ARMED, "armed though the power could not be set")

    def arm_out_of_order(self) -> None:
        step = self.random.choice(("request", "confirm", "arm", "resume", "hold"))
        now_s = self.clock.now_s()
        if step == "arm":
            self._arm()
        elif step == "request":
            self.lock.arm_requested(now_s)
        elif step == "confirm":
            self.lock.arm_confirmed(now_s)
        elif step == "resume":
            self.lock.resume()
        else:
            self.lock.hold("a pause")

    def set_power(self) -> None:
        """Now and then what no unit has; while armed too."""
        self._set(self.random.choice(FAR if self.random.random() < 0.03 else NEAR))

    def set_shape(self) -> None:
        """A train, a pair, or single pulses again; also what the unit has not, what is beyond the rules, while armed."""
        train = pair = None
        if self.random.random() < 0.7:
            if self.random.random() < (0.95 if self.kind.trains else 0.05):
                train = self.random.choice(TRAINS)
            elif self.random.random() < (0.95 if self.kind.pairs else 0.05):
                pair = self.random.choice(PAIRS)
        if self.random.random() < 0.8 and self.lock.lamp is Lamp.ARMED:
            self.gate.disarm("to set a train")
        try:
            said = self.gate.set_pair(pair) if self.kind.pairs or pair else self.gate.set_train(train)
        except NotReady:
            self._must(self.lock.lamp is not Lamp.ARMED, "armed though the train could not be set")
            return
        if not isinstance(said, tuple):
            self.shape, self.otherwise = (train, pair), False

    def _wanted(self, power: int) -> Pulse:
        now_s, self.pulse_id = self.clock.now_s(), self.pulse_id + 1
        train, pair = self.shape if self.random.random() < 0.97 else (None, None)
        return Pulse(
            pulse_id=self.pulse_id, target=f"t{self.tally.runs % 7}", power_pct_mso=power, train=train, pair=pair,
            purpose=Purpose.MAPPING if train is None else Purpose.TREATMENT,
            power_pct_rmt=None, due_s=now_s, deadline_s=now_s + self.random.choice((0.001, 0.05, 0.5)),
        )  # fmt: skip

    def shoot(self) -> None:
        """A pulse as a session asks for it, now and then too soon, too late, or held up in the journal."""
        if self.lock.lamp is not Lamp.ARMED and self.random.random() < 0.8:
            self.get_armed()
        power = self.unit.status().power_pct_mso
        if power is None:
            return
        last_s = self.gate._last_pulse_t_s
        if last_s is not None and self.random.random() < 0.9:
            pause_s = max(1.0, self.gate._recharge_s, 5.0 if self.shape[0] is not None else 0.0)
            self._pass(max(0.0, last_s + pause_s - self.clock.now_s() + 0.02))
        wanted = self._wanted(power if self.random.random() < 0.97 else power + 1)
        permit = self.gate.permit(wanted, self.clock.now_s())
        if isinstance(permit, Permit):
            self.held = [*self.held[-4:], (wanted, permit)]
            if self.random.random() < 0.05:
                self._pass(self.random.choice((0.002, 0.06, 0.6)))
            if self.random.random() < 0.97:
                self._fire(wanted, permit)

    def fire_again(self) -> None:
        """A permit that was spent or left lying, through the gate."""
        if self.held:
            self._fire(*self.random.choice(self.held))

    def _fire(self, wanted: Pulse, permit: Permit) -> None:
        before, missed, train = self.given, self.edge.missed, wanted.train
        self.now_firing, self.train_runs = permit, train is not None
        try:
            result = self.gate.fire(wanted, permit)
            if result.outcome is Outcome.FIRED and train is not None:
                self.tally.trains += 1
                result = self._follow(train)
            self._pass(0.0 if wanted.n_pulses == 1 else 0.2 if train is None else train.duration_s + 1.0)
            self._rest()
        finally:
            self.now_firing, self.train_runs = None, False
        gone = self.given - before
        self.tally.outcomes[str(result.outcome)] += 1
        n = wanted.n_pulses
        closing = result.closing or {"delivery": "not_delivered"}
        low = closing.get("delivered_min", n if closing["delivery"] == "delivered" else 0)
        high = closing.get("delivered_max", 0 if closing["delivery"] == "not_delivered" else n)
        if self.edge.missed > missed:  # it was not ready before the edge either, and nobody can see that
            low = 0
        self._must(low <= gone <= high, f"{result.outcome}: {gone} discharges, said to be {low} to {high}")
        self.spare += high - gone
        if result.outcome is Outcome.FIRED:
            exact = gone == low == high and (train is not None or low == n)
            self._must(exact or self.edge.missed > missed, f"acknowledged, and {gone} discharges")
            self.tally.cut += 0 < gone < n
            self.tally.pairs += wanted.pair is not None
        elif result.outcome is Outcome.UNCERTAIN:
            self.tally.uncertain += 1
            self.tally.uncertain_ungiven += high - gone
            self._must(self.lock.lamp is Lamp.TRIPPED, "an unknown outcome that did not trip")
        else:
            self._must(gone == 0, f"{result.outcome}, and {gone} discharges")

    def _rest(self) -> None:
        """Until the coil rests: what another set may give longer than what was asked for."""
        if self.otherwise:
            self._pass(0.2)  # the second pulse of a pair that was none
        end_s = self.clock.now_s() + 60.0
        while self.sim.train_running:
            self._must(self.clock.now_s() < end_s, "a train without an end in the unit")
            self._pass(0.1)

    def _follow(self, train: Train) -> GateResult:
        """A train under way, now and then with something in its middle; its end, as the gate tells it."""
        upset_at = self.random.uniform(0.0, 2 * train.duration_s)
        start_s = self.clock.now_s()
        while self.clock.now_s() < start_s + train.duration_s + 5.0:
            result = self.gate.train_over()
            if result is not None:
                return result
            if self.clock.now_s() - start_s > upset_at:
                upset_at = math.inf
                self._upset()
            self._pass(0.05)
            self._look()
        raise Broken(f"a train without an end (seed {self.seed}, operation {self.tally.operations})")

    def _upset(self) -> None:
        what = self.random.choice(
            ("disarm", "stop", "freeze", "line", "fault", "fire", "set", "line", "disarm")
        )
        self.last = [*self.last[-24:], f"{self.clock.now_s() - START_S:.3f} in the train: {what}"]
        if what == "disarm":
            self.gate.disarm("in a train")
        elif what == "stop":
            self.board.ask_stop()
        elif what == "freeze":
            self.beating = False
            self._pass(FROZEN_S)
            self.beating = True
        elif what == "line":
            self.line_fault()
        elif what == "fault":
            self.gate.fault(Fault.OPERATOR_GONE)
        elif what == "fire":
            again = self.gate.permit(self._wanted(self.unit.status().power_pct_mso or 0), self.clock.now_s())
            self._must(not isinstance(again, Permit), "a permit while a train is under way")
        else:
            self._must(isinstance(self.gate.set_train(None), tuple), "set while a train is under way")

    def cheat(self) -> None:
        """Past the gate, to the driver itself: permits that are foreign, made up, expired, spent, of another power."""
        now_s, power = self.clock.now_s(), self.unit.status().power_pct_mso
        what: dict[str, Any] = {
            "permit_id": 10**9, "run_id": self.run_id, "pulse_id": 1, "power_pct_mso": power, "expires_s": now_s + 0.5,
        }  # fmt: skip
        kind = self.random.choice(("run", "key", "expired", "never", "spent", "power", "none", "nan"))
        changes: dict[str, dict[str, Any]] = {
            "run": {"run_id": "run-0"}, "expired": {"expires_s": now_s}, "never": {"expires_s": math.inf},
            "nan": {"expires_s": math.nan}, "power": {"power_pct_mso": 41},
        }  # fmt: skip
        what |= changes.get(kind, {})
        permit: Any = Permit(**what, seal=Permit.seal_for(b"x" if kind == "key" else self.key, **what))
        if kind == "none":
            permit = self.random.choice((None, "permit", object()))
        elif kind == "spent":
            spent = [p for _, p in self.held if self._fired_of[p.run_id, p.permit_id]]
            if not spent:
                return
            permit = spent[-1]
        try:
            receipt = self.unit.fire(permit)  # now_firing is None: a discharge would be Broken
        except NotReady:
            return
        self._must(receipt.delivery is Delivery.NOT_DELIVERED, f"a {kind} permit: {receipt.delivery}")

    def disarm(self) -> None:
        self.gate.disarm("a wish")
        self._must(self.lock.lamp not in (Lamp.ARMED, Lamp.HELD), "armed after disarm")
        if self.unit.trouble() is None and not self._deaf():
            self._pass(0.05)
            self._must(not self._sim_armed(), "the unit is armed after disarm")

    def stop(self) -> None:
        self.board.ask_stop()
        self._pass(0.05)
        self._must(not self._sim_armed(), "armed 50 ms after STOP")

    def freeze(self) -> None:
        """The engine hangs: no heartbeat, and yet the clock goes on."""
        self.beating = False
        self._pass(self.random.choice((0.1, FROZEN_S, 2.0)))
        if self.clock.now_s() - self.meddled_s < MEDDLED_S:
            self._pass(OWN_WATCHDOG_S)  # armed by another, and nobody looks while the engine hangs
        frozen_s = self.board.age_s("engine")
        if frozen_s >= FROZEN_S:
            self._must(not self._sim_armed(), f"armed with an engine hung for {frozen_s:.2f} s")
        self.beating = True
        self.board.beat("engine")

    def line_fault(self) -> None:
        what, now_s = dict(self.random.choice(self.faults)), self.clock.now_s()
        if what["kind"] in GONE and self.random.random() < 0.7:
            return
        self.sim.inject(LineFault(**what), now_s)
        self.last[-1] += f" ({what['kind']} {what.get('data', b'').decode('latin-1')!r})"
        if what["kind"] is FaultKind.CABLE_OUT:
            self.deaf_until_s = max(self.deaf_until_s, now_s + what["end_s"])
        if what["kind"] in MEDDLES:
            head = what.get("data", b" ")[:1]
            self.meddled_s = now_s
            self.powers_s = now_s if head == b"@" else self.powers_s
            self.otherwise |= what["kind"] is FaultKind.TRAIN_MODE or head in (b"A", b"B", b"C", b"D")
            self._pass(0.001)  # it happens now
            self._pass(0.02)  # what it was answered is over before ours

    def mend(self) -> None:
        if not self.sim.unplugged(self.clock.now_s()):
            self.sim.clear()

    def fault(self) -> None:
        some = [f for f in Fault if FAULTS[f].action is not Action.TRIP]
        self.gate.fault(self.random.choice(some))
        self._must(self.lock.lamp is not Lamp.ARMED, "armed under a fault")

    def surroundings(self) -> None:
        bad = (
            {"recorder_age_s": 9.0}, {"durable_lag_s": math.nan}, {"stream": None}, {"operator_age_s": math.inf},
            {"port_age_s": -9.0}, {"eeg_simulated": None},
        )  # fmt: skip
        self.changes = self.random.choice((*bad, {}, {}, {}, {}, {}, {}))

    def journal(self) -> None:
        self.journal_fails = self.random.random() < 0.03

    def announce(self) -> None:
        due_s = self.clock.now_s() + self.random.choice((-1.0, 0.0, 0.08, 1.0, math.nan))
        try:
            self.gate.announce(due_s)
        except NotReady:
            self._must(math.isnan(due_s), "an instant that is one was refused")

    def refresh(self) -> None:
        try:
            self.unit.refresh()
        except NotReady:
            return


OPERATIONS: dict[str, Callable[[Soak], None]] = {
    name: getattr(Soak, name)
    for name in (
        "wait", "shoot", "cheat", "set_power", "get_armed", "arm_out_of_order", "fire_again", "disarm", "freeze",
        "line_fault", "mend", "fault", "surroundings", "journal", "announce", "refresh", "stop", "set_shape",
    )
}  # fmt: skip
WEIGHTS: dict[str, float] = {
    "wait": 20, "shoot": 8, "cheat": 30, "set_power": 3, "get_armed": 3, "arm_out_of_order": 6, "fire_again": 10, "disarm": 3,
    "freeze": 0.5, "line_fault": 2, "mend": 4, "fault": 1, "surroundings": 6, "journal": 3, "announce": 12, "refresh": 2,
    "stop": 0.1, "set_shape": 1,
}  # fmt: skip
