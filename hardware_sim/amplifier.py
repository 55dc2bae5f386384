"""Owns the simulated amplifier on the network: one LSL outlet of samples, one of markers, in real time.

It owns neither the signal nor its faults (``hardware_sim.sampler``). Frames carry the instant of the last
sample of their block on LSL's clock, which is the monotonic clock. Nothing that could identify a person is in
the description.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import traceback
from typing import Any

import pylsl

from hardware_sim.sampler import TRIGGER_S, Discharge, Sampler
from rtloop import private_lsl
from rtloop.clock import WALL, Clock
from rtloop.errors import NotReady, ValidationProblem

_configured = False


def use_session(session: str) -> None:
    """Keep to one LSL session and this machine (the variable RTLOOP_LSL_SESSION); before any other LSL
    call.
    """
    global _configured
    if session and not _configured:
        pylsl.set_config_content(private_lsl.settings(session))
    _configured = True


class Amplifier:
    """Streams a sampler over LSL from a thread of its own.

    The EEG outlet (type "EEG", float32) has one column per electrode in microvolts, one typed EMG for the muscle of
    a scene that has one and, unless the sampler
    has none, a column TRIG (type "TRIG", unit "none"): above 0 for 10 ms from the sample of the pulse. The
    marker outlet (``<name>-markers``, type "Markers") says "pulse" with the instant of the discharge plus
    ``marker_delay_s``. When the sampler dies both vanish; when it returns both are there again, with new uids.

    Parameters
    ----------
    chunk_s : seconds per block; at least 10 frames are sent at once (25 from 10 kHz)
    """

    def __init__(
        self, sampler: Sampler, *, stream_name: str, source_id: str, chunk_s: float = 0.01,
        markers: bool = True,
        marker_delay_s: float = 0.0, clock: Clock = WALL,
    ) -> None:  # fmt: skip
        if not 0.0 < chunk_s <= 0.5:
            raise ValidationProblem("chunk length out of range", expected="0 to 0.5 s", found=str(chunk_s))
        use_session(os.environ.get("RTLOOP_LSL_SESSION", ""))
        self.sampler, self.stream_name, self.source_id = sampler, stream_name, source_id
        rate_hz = sampler.head.rate_hz
        self.chunk_frames = max(25 if rate_hz >= 10_000 else 10, round(chunk_s * rate_hz))
        self.busy_s = 0.0  # time spent making and pushing blocks
        self._clock, self._marker_delay_s = clock, marker_delay_s
        self._with_markers = markers
        self._outlet: Any = None
        self._markers: Any = None
        self._appear()
        sampler.on_pulse = self._mark
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"amplifier {stream_name}", daemon=True)
        self.failure: BaseException | None = None

    def _appear(self) -> None:
        self._outlet = pylsl.StreamOutlet(self._description(), max_buffered=30)
        self._markers = pylsl.StreamOutlet(self._marker_description()) if self._with_markers else None

    def _description(self) -> Any:
        head = self.sampler.head
        info = pylsl.StreamInfo(
            self.stream_name, "EEG", len(self.sampler.names), head.rate_hz, pylsl.cf_float32, self.source_id
        )
        desc = info.desc()
        desc.append_child("acquisition").append_child_value("manufacturer", "rtloop").append_child_value(
            "model", "simulated amplifier"
        )
        channels = desc.append_child("channels")
        for name, place in zip(head.montage.names, head.montage.positions_m, strict=True):
            channel = channels.append_child("channel")
            channel.append_child_value("label", name)
            channel.append_child_value("type", "EEG")
            channel.append_child_value("unit", "microvolts")
            location = channel.append_child("location")
            for axis, metres in zip("XYZ", place, strict=True):
                location.append_child_value(axis, f"{1000.0 * metres:.3f}")
        for name in head.emg_names:
            channel = channels.append_child("channel")
            channel.append_child_value("label", name)
            channel.append_child_value("type", "EMG")
            channel.append_child_value("unit", "microvolts")
        if self.sampler.trigger:
            channel = channels.append_child("channel")
            channel.append_child_value("label", "TRIG")
            channel.append_child_value("type", "TRIG")
            channel.append_child_value("unit", "none")
        return info

    def _marker_description(self) -> Any:
        info = pylsl.StreamInfo(
            f"{self.stream_name}-markers",
            "Markers",
            1,
            pylsl.IRREGULAR_RATE,
            pylsl.cf_string,
            f"{self.source_id}-markers",
        )
        info.desc().append_child_value("of_stream", self.stream_name)
        return info

    def _mark(self, pulse: Discharge) -> None:
        if self._markers is not None:
            self._markers.push_sample(["pulse"], pulse.t_s + self._marker_delay_s)

    def start(self) -> None:
        """Begin to stream."""
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the outlet is there and blocks are being sent."""
        return self._thread.is_alive() and not self.sampler.dead

    @property
    def living(self) -> bool:
        """Whether its thread runs: what has vanished may return."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                sampler = self.sampler
                due_s = sampler.time_of(sampler.head.position + self.chunk_frames - 1) + sampler.lag_s
                wait_s = due_s - self._clock.now_s()
                if wait_s > 0 and self._ending.wait(min(wait_s, 0.1)):
                    break
                now_s = self._clock.now_s()
                if now_s < due_s:
                    continue
                frames, last_s = sampler.take(due_s if now_s - due_s < TRIGGER_S else now_s)
                if sampler.dead:
                    self._outlet = self._markers = None  # without owner it is destroyed: listeners lose it
                elif self._outlet is None:
                    self._appear()
                if len(frames) and math.isfinite(last_s):
                    self._outlet.push_chunk(frames, last_s)
                self.busy_s += self._clock.now_s() - now_s
        except BaseException as err:
            self.failure = err
            traceback.print_exception(err, file=sys.stderr)  # else only its silence would be seen
        finally:
            self._outlet = None

    def close(self) -> None:
        """Stop within 2 s; the outlets vanish. Raises NotReady if the thread does not end."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(2.0)
            if self._thread.is_alive():
                raise NotReady("the simulated amplifier does not end", expected="an end within 2 s")
        self._outlet = self._markers = None
        self.sampler.on_pulse = None
        if self.failure is not None:
            raise NotReady("the simulated amplifier failed", found=repr(self.failure)) from self.failure


__all__ = ["Amplifier", "use_session"]
