"""Owns the measuring of the ongoing EEG between trains, and what of it makes a train wait; owns no condition and no wait
(rtloop.treat.gating), no measure (rtloop.measures.local_window) and no train.

It runs in the session's own thread, from the ring, off the acquisition; only what the clock map knows is asked of the loop's.
A window ends with the newest sample: nothing later can be in it. A stream that stands still, a gap, a pulse in the window or too
shortly before it: no value, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rtloop.app.treat_unit import TreatTms
from rtloop.eeg.source import EegSource
from rtloop.errors import NotReady
from rtloop.measures.local_window import LocalWindow
from rtloop.model.course import GATE_CALIBRATED, GATE_OPENED
from rtloop.plan.treat_schema import StateGate, TreatmentPlan
from rtloop.record import kinds
from rtloop.treat.calibrating import FRESH_S, Calibrated, Calibration, Reading
from rtloop.treat.gating import By, Opening, TrainGate
from rtloop.treat.machine import Machine
from rtloop.treat.orders import Phase

#: a stream without a sample for so long stands still (as the watch of the stream calls it lost)
STILL_S = 0.25
#: events of a pulse in the stream, whoever gave it
_PULSES = (kinds.PULSE_SEEN, kinds.PULSE_UNCOMMANDED)

Ask = Callable[[Callable[[], Any]], Any]
Tell = Callable[..., None]


class LiveWindows:
    """The newest window of the stream as a ``Reading``.

    ``ask``: has something done in the thread that the source belongs to. ``recovery_s``: so long before a window no pulse may be.
    """

    def __init__(self, source: EegSource, window: LocalWindow, ask: Ask, *, recovery_s: float) -> None:
        self._source, self.window, self._ask, self._recovery_s = source, window, ask, recovery_s
        self._last_pulse = -(10**15)

    def saw_pulse(self, sample: int) -> None:
        """A pulse was found in the stream, its first sample here."""
        self._last_pulse = max(self._last_pulse, sample)

    def read(self, now_s: float) -> Reading:
        """The newest window; some 10 ms of work."""
        source, n = self._source, self.window.samples
        end = source.head()
        first = end - n
        if end == 0:
            return Reading.nothing(now_s, "no samples came")
        if first < 0:
            return Reading(first_s=now_s, last_s=now_s, value=None, reason="the stream had only just begun")

        def known() -> tuple[bool, float, float]:
            return source.valid(first, n), source.time_of(first), source.time_of(end - 1)

        valid, first_s, last_s = self._ask(known)
        if now_s - last_s > STILL_S:
            return Reading.nothing(now_s, "no samples came")

        def none(reason: str) -> Reading:
            return Reading(first_s=first_s, last_s=last_s, value=None, reason=reason)

        if not valid:
            return none("samples are missing")
        if self._last_pulse >= first - self._recovery_s * source.rate_hz:
            return none("too soon after a pulse")
        found = self.window.of(source.window(first, n).data)
        if not source.intact(first):
            return none("the samples were overwritten before they were read")
        if found.value is None:
            return none(found.reason)
        return Reading(first_s=first_s, last_s=last_s, value=found.value)


class StateGating:
    """Calibrates before the first train, then opens the machine for each train; ``turn`` and ``heard`` by the runner.

    ``seed``: of the control's draws, the session's own. Whoever stands there is told the same in both arms.
    """

    def __init__(
        self, gate: StateGate, windows: LiveWindows, tell: Tell, say: Callable[[str], None], *, seed: str
    ) -> None:
        self.gate, self._windows, self._tell, self._say, self._seed = gate, windows, tell, say, seed
        self.calibrated: Calibrated | None = None
        self._calibration: Calibration | None = None
        self._trains: TrainGate | None = None
        self._told_progress = ""

    def heard(self, kind: str, data: Mapping[str, Any]) -> None:
        """An event of the session."""
        if kind in _PULSES:
            self._windows.saw_pulse(int(data["sample"]))

    def turn(self, machine: Machine, now_s: float) -> None:
        """One turn, after the machine was asked."""
        if machine.phase is Phase.CALIBRATING:
            self._calibrate(machine, now_s)
            return
        self._calibration = None
        trains = self._trains
        if trains is None:
            return
        if machine.phase is not Phase.GATE or machine.step is None:
            trains.cancel()
            return
        if machine.is_open(now_s):
            return
        if not trains.waiting:
            trains.train_over(machine.over_s)
            trains.begin(machine.step.index, now_s)
        if trains.wants(now_s):
            trains.take(self._windows.read(now_s), now_s)
        if (opening := trains.look(now_s)) is not None:
            self._opened(machine, opening, now_s)

    def _opened(self, machine: Machine, opening: Opening, now_s: float) -> None:
        self._tell(GATE_OPENED, sync=True, **opening.data())
        self._say(f"   {opening.words}")
        if opening.by is By.NO_STREAM:
            machine.pause(f"no EEG came while train {opening.index + 1} waited for its state")
        elif opening.give:
            machine.opened(now_s + FRESH_S)
        else:
            machine.passed_over()

    def _calibrate(self, machine: Machine, now_s: float) -> None:
        if self._calibration is None:
            self._calibration = Calibration(self.gate, now_s)
            near = ", ".join(self._windows.window.names)
            self._say(
                f"   calibrating on {near}: let the person rest; at most {self.gate.calibration_max_s:g} s"
            )
        made = self._calibration
        if not made.wants(now_s):
            return
        made.take(self._windows.read(now_s), now_s)
        if (done := made.done()) is not None:
            self.calibrated = done
            self._trains = TrainGate(self.gate, done, seed=self._seed)
            names, rate_hz = list(self._windows.window.names), self._windows.window.rate_hz
            self._tell(GATE_CALIBRATED, sync=True, **done.data(self.gate), electrodes=names, rate_hz=rate_hz)
            self._say(f"   {done.words()}")
            machine.calibrated()
        elif why := made.failed(now_s):
            self._calibration = None
            machine.pause(f"the calibration found no limit: {why}")


def gating_of(tms: TreatTms, plan: TreatmentPlan, target: str) -> StateGating | None:
    """The gating of a session, None where the plan has none; the control draws by the session's own id.

    NotReady or ValidationProblem before any pulse where the stream cannot tell the state.
    """
    gate, setting = plan.gate, tms.setting
    if gate is None:
        return None
    if not setting.sees:
        raise NotReady(
            "trains that wait for a state of the EEG need the EEG", expected="the amplifier's stream", found="none is used",
            todo="name the stream with --stream, or take a plan without [gate]",
        )  # fmt: skip
    source = tms.source
    window = LocalWindow(
        source.montage, gate.near_m(plan.target(target).coil_at), source.rate_hz, band=gate.band, measure=gate.measure,
        window_s=gate.window_s, swing_uv_max=gate.swing_uv_max, fast_uv_max=gate.fast_uv_max,
    )  # fmt: skip
    windows = LiveWindows(source, window, tms.ask, recovery_s=gate.recovery_s)
    return StateGating(gate, windows, tms.tell, setting.say, seed=setting.session)
