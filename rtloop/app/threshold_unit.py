"""Owns one pulse of a threshold: it is given, and its answer read from an EMG channel or typed by a person; owns no method.

The stimulator is that of any script (``script_unit``): gate, two steps of arming, journal, dose, presence. Nothing is added
to what may fire, only what may be read afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtloop.app.script_unit import FIRE_WITHIN_S, WAIT_SLICE_S, Tms
from rtloop.app.script_words import Receipt
from rtloop.eeg.layout import Kind
from rtloop.errors import NotReady, OperatorAbort, ValidationProblem
from rtloop.record import kinds
from rtloop.threshold.mep import Mep, MepSpec, measured

#: a pulse that was given is in the stream within this, with what follows it
SEEN_WITHIN_S = 2.0
#: a person has so long to answer; then the pulse does not count and is given again
ANSWER_WITHIN_S = 45.0
YES, NO, AGAIN, END = ("yes", "y"), ("no", "n"), ("again", "a"), ("end",)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What came of a pulse. ``response`` None: it does not count, ``words`` say why."""

    response: bool | None
    words: str
    by: str
    pp_uv: float | None = None
    rest_rms_uv: float | None = None


class ThresholdTms(Tms):
    """The stimulator of a script whose pulses are judged."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._seen: dict[int, int] = {}  # pulse_id -> the sample at which it was found
        super().__init__(*arguments, **named)

    @property
    def power_pct_mso(self) -> int | None:
        """What was set and read back last; None: nothing, or it was not taken."""
        return self._power

    def column(self, channel: str) -> int:
        """The column of an EMG channel; NotReady lists those there are."""
        channels = self._bench.source.layout.channels
        found = [i for i, c in enumerate(channels) if c.name == channel and c.unit == "µV"]
        if not found:
            have = ", ".join(c.name for c in channels if c.kind is Kind.EMG)
            raise NotReady(
                f"the stream has no channel {channel} in volts", expected=f"a channel {channel}",
                found=f"of type EMG: {have or 'none'}", todo="correct --emg, or name the channel in the amplifier software",
            )  # fmt: skip
        return found[0]

    def by_emg(self, receipt: Receipt, channel: str, spec: MepSpec) -> Judged:
        """The answer as the channel shows it. Not judged where the stream did not show pulse or muscle whole."""
        mep = self._measured(receipt, self.column(channel), spec)
        return Judged(
            response=mep.response, words=mep.words(), by=f"EMG channel {channel}", pp_uv=mep.pp_uv, rest_rms_uv=mep.rest_rms_uv
        )  # fmt: skip

    def by_a_person(self, question: str) -> Judged:
        """The answer as typed. OperatorAbort at "end"; not judged where nobody answers in time."""
        self._here()
        self.setting.say(f"-> {question} [yes / no / again: it does not count / end]")
        end_s = self._clock.now_s() + ANSWER_WITHIN_S
        while (left_s := end_s - self._clock.now_s()) > 0:
            said = self._person(left_s, self._loop.present, self._clock).strip().lower()
            if said in YES or said in NO:
                return Judged(response=said in YES, words=f"{said!r} was typed", by="person at the terminal")
            if said in AGAIN:
                return Judged(response=None, words="it was taken out", by="person at the terminal")
            if said in END:
                raise OperatorAbort("the operator ended the threshold", todo="start again when ready")
            if said:
                self.setting.say("   yes, no, again or end")
        return Judged(
            response=None, words=f"nobody answered within {ANSWER_WITHIN_S:g} s", by="person at the terminal"
        )

    def tell(self, kind: str, /, *, sync: bool = False, **data: Any) -> None:
        """An event of the method's own, journalled."""
        self._here()
        self._loop.emit(kind, sync=sync, **data)

    def _measured(self, receipt: Receipt, column: int, spec: MepSpec) -> Mep:
        source = self._bench.source
        before_s, after_s = spec.reach_s()
        before, after = (int(np.ceil(s * source.rate_hz)) + 1 for s in (before_s, after_s))
        end_s = self._clock.now_s() + SEEN_WITHIN_S
        while (at := self._seen.get(receipt.pulse_id)) is None or source.head() < at + after:
            if not self._clock.now_s() < end_s:
                missing = "the pulse" if at is None else "what follows the pulse"
                return _unjudged(f"{missing} is not in the stream within {SEEN_WITHIN_S:g} s")
            self.wait(WAIT_SLICE_S)
        first = at - before
        if first < 0:
            return _unjudged("the stream had only just begun")
        emg_uv = source.ring.view(first, before + after)[:, column].copy()
        if not source.intact(first):
            return _unjudged("the samples were overwritten before they were read")
        if not self._loop.ask(lambda: source.valid(first, before + after), FIRE_WITHIN_S):
            return _unjudged("samples are missing around the pulse")
        try:
            return measured(emg_uv, source.rate_hz, before, spec)
        except ValidationProblem as err:
            return _unjudged(str(err))

    def _show(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == kinds.PULSE_SEEN:
            self._seen.setdefault(int(data["pulse_id"]), int(data["sample"]))
        super()._show(kind, data)


def _unjudged(why: str) -> Mep:
    return Mep(pp_uv=None, rest_rms_uv=None, response=None, reasons=(why,))
