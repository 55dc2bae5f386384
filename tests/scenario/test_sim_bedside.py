"""The simulated bedside over the wire: LSL stream, serial line, own process, nothing left behind."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pylsl
import pytest
import serial
from pylsl.util import LostError

from hardware_sim.amplifier import Amplifier, use_session
from hardware_sim.bench import Bedside, BedsideSpec, interrupted_after, run_forever, start_bedside
from hardware_sim.head import Head
from hardware_sim.sampler import Sampler
from hardware_sim.scene import load_scene
from rtloop.clock import WALL
from rtloop.errors import NotReady, ValidationProblem
from rtloop.model.montage import Montage, names_for

use_session(os.environ["RTLOOP_LSL_SESSION"])
ROOT = Path(__file__).parents[2]


def _inlet(source_id: str) -> Any:
    found = pylsl.resolve_byprop("source_id", source_id, 1, 5.0)
    assert found, f"no stream {source_id}"
    inlet = pylsl.StreamInlet(found[0], max_buflen=30, recover=False)
    inlet.open_stream(5.0)
    return inlet


def _pull(inlet: Any, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    data, stamps = [], []
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        chunk, times = inlet.pull_chunk(timeout=0.05, max_samples=4096)
        data += list(chunk)
        stamps += list(times)
    return np.asarray(data), np.asarray(stamps)


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_the_outlet_tells_names_units_places_and_the_pulse() -> None:
    scene = load_scene("default")
    head = Head(scene, Montage.from_names(names_for(20)), 2000.0, seed=3)
    sampler = Sampler(head, start_s=WALL.now_s(), target="M1", lag_s=0.002)
    amplifier = Amplifier(sampler, stream_name="sim-outlet", source_id="sim-outlet-1")
    amplifier.start()
    try:
        inlet, markers = _inlet("sim-outlet-1"), _inlet("sim-outlet-1-markers")
        info = inlet.info(2.0)
        assert (info.type(), info.nominal_srate(), info.channel_count()) == ("EEG", 2000.0, 21)
        channel = info.desc().child("channels").child("channel")
        rows = []
        for _ in range(21):
            place = [channel.child("location").child_value(axis) for axis in "XYZ"]
            rows.append(
                (
                    channel.child_value("label"),
                    channel.child_value("type"),
                    channel.child_value("unit"),
                    place,
                )
            )
            channel = channel.next_sibling("channel")
        assert tuple(r[0] for r in rows) == (*names_for(20), "TRIG")
        assert {r[1:3] for r in rows[:-1]} == {("EEG", "microvolts")}
        assert rows[-1][1:3] == ("TRIG", "none")
        np.testing.assert_allclose(
            [[float(v) for v in r[3]] for r in rows[:-1]], 1e3 * head.montage.positions_m, atol=1e-3
        )
        _pull(inlet, 0.3)
        fired_s = WALL.now_s() + 0.05
        sampler.discharge(fired_s, 60.0)
        data, stamps = _pull(inlet, 0.5)
        marker, marked_s = markers.pull_sample(timeout=20.0)
        assert marker == ["pulse"]
        assert marked_s == pytest.approx(fired_s, abs=1e-6)
        rising = np.flatnonzero(np.diff(data[:, -1]) > 0) + 1
        assert len(rising) == 1
        assert 0.0 <= stamps[rising[0]] - fired_s < 0.0006, "trigger is not at the next sample"
        assert np.abs(data[: rising[0], :-1]).max() < 200.0 < 10_000.0 < np.abs(data[rising[0], :-1]).max()
        assert (data[:, -1] > 0).sum() == 20
        assert np.diff(stamps) == pytest.approx(0.0005, abs=2e-5)
        assert abs(pylsl.local_clock() - stamps[-1]) < 0.2
        assert sampler.discharges[0].late_samples == 0
        sampler.inject({"kind": "die"})
        with pytest.raises(LostError):
            _pull(inlet, 5.0)
        assert not amplifier.running
        sampler.inject({"kind": "return"})
        again = _inlet("sim-outlet-1")
        assert again.info(2.0).uid() != info.uid()
        assert amplifier.running
        _, stamps = _pull(again, 0.3)
        assert abs(pylsl.local_clock() - stamps[-1]) < 0.2, "the sample clock stood still meanwhile"
        assert np.diff(stamps) == pytest.approx(0.0005, abs=2e-5)
    finally:
        amplifier.close()


def _sealed(body: bytes) -> bytes:
    return body + bytes([~sum(body) & 0xFF])


def _say(port: Any, body: bytes, reply: int = 3) -> bytes:
    port.write(_sealed(body))
    got = port.read(reply)
    assert len(got) == reply, f"{body!r} -> {got!r}"
    return bytes(got)


def _fire_once(address: str) -> bytes:
    """Raw bytes: control, power 40 %, arm, wait for ready, fire, disarm."""
    with serial.serial_for_url(address, baudrate=9600, timeout=5.0) as port:
        _say(port, b"Q@")
        _say(port, b"@040")
        time.sleep(0.45)
        _say(port, b"EB")
        end_s = time.monotonic() + 20.0
        while not _say(port, b"J@", 12)[1] & 0b100:
            assert time.monotonic() < end_s, "the unit never says ready"
            time.sleep(0.1)
        answer = _say(port, b"EH")
        _say(port, b"EA")
        return answer


@pytest.fixture
def bedside() -> Any:
    spec = BedsideSpec(n_channels=16, rate_hz=1000.0, stream_name="sim-bed", target="DLPFC")
    with start_bedside(spec) as handle:
        yield handle


def test_a_pulse_through_the_serial_line_reaches_the_stream_and_the_process_ends(bedside: Bedside) -> None:
    inlet = _inlet(bedside.source_id)
    assert bedside.port.startswith("socket://")
    assert bedside.pid != os.getpid()
    answer = _fire_once(bedside.port)
    assert answer[0:1] == b"E"
    assert answer[1] & 0b100
    data, stamps = _pull(inlet, 0.4)
    (pulse,) = bedside.discharges()
    assert (pulse["target"], pulse["power_pct_mso"], pulse["late_samples"], pulse["by"]) == (
        "DLPFC",
        40,
        0,
        "unit",
    )
    rising = np.flatnonzero(np.diff(data[:, -1]) > 0) + 1
    assert len(rising) == 1
    assert 0.0 <= stamps[rising[0]] - pulse["t_s"] < 0.0011

    bedside.place("ACC")
    bedside.fire()
    assert bedside.discharges()[-1]["target"] in ("ACC", "DLPFC")  # on record once the instant has passed
    with pytest.raises(ValidationProblem, match="V1"):
        bedside.place("V1")
    with pytest.raises(ValidationProblem, match="melt"):
        bedside.inject({"kind": "melt"})
    assert set(bedside.truth()) == {"M1", "DLPFC", "ACC", "PSI"}

    bedside.inject({"kind": "mute"})
    with serial.serial_for_url(bedside.port, baudrate=9600, timeout=0.3) as port:
        port.write(_sealed(b"J@"))
        assert port.read(12) == b""
    bedside.inject({"kind": "freeze", "for_s": 0.5})
    time.sleep(0.1)
    _pull(inlet, 0.1)
    assert len(_pull(inlet, 0.15)[0]) == 0
    assert len(_pull(inlet, 0.5)[0]) > 50
    bedside.close()
    assert _gone(bedside.pid)
    with pytest.raises(NotReady):
        bedside.discharges()


def test_the_process_ends_with_its_parent() -> None:
    code = (
        "import os, sys\n"
        "from hardware_sim.bench import BedsideSpec, start_bedside\n"
        "if __name__ == '__main__':\n"
        "    bed = start_bedside(BedsideSpec(n_channels=8, rate_hz=1000.0, transport='none'))\n"
        "    print(bed.pid, flush=True)\n"
        "    os._exit(1)\n"
    )
    parent = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=40, cwd=ROOT, check=False
    )
    assert parent.stdout.strip(), parent.stderr
    pid = int(parent.stdout.split()[0])
    end_s = time.monotonic() + 5.0
    while not _gone(pid) and time.monotonic() < end_s:
        time.sleep(0.05)
    assert _gone(pid), f"the bedside {pid} outlives its parent"


def test_a_scene_that_is_wrong_is_told_to_the_caller() -> None:
    with pytest.raises(ValidationProblem, match="no-such-scene"):
        start_bedside(BedsideSpec(scene="no-such-scene", n_channels=8, rate_hz=1000.0))


def test_the_terminal_serves_places_and_fires() -> None:
    said: list[str] = []

    def lines() -> Any:
        yield "place PSI\n"
        yield "fire\n"
        time.sleep(0.2)
        yield "pulses\n"
        yield "place V1\n"
        yield "inject not json\n"
        yield "quit\n"

    spec = BedsideSpec(n_channels=8, rate_hz=1000.0, stream_name="sim-terminal", auto_fire_s=(30.0, 40.0))
    run_forever(spec, said.append, lines())
    text = "\n".join(said)
    assert "SIMULATED" in said[0]
    assert "socket://" in text
    assert '"target": "PSI"' in text
    assert text.count("not done") == 2
    assert said[-1] == "bedside closed"
    assert not math.isnan(WALL.now_s())


def test_the_end_of_the_time_interrupts_within_it_and_never_afterwards() -> None:
    """Around the very moment at which the time is over: what comes comes inside, whoever is first."""
    inside = 0
    try:
        for turn in range(60):
            try:
                with interrupted_after(0.002):
                    time.sleep(turn * 1e-4)
            except KeyboardInterrupt:
                inside += 1
            time.sleep(0.001)
    except KeyboardInterrupt:
        pytest.fail("an interrupt came after its block")
    assert 0 < inside < 60
    assert not [t for t in threading.enumerate() if isinstance(t, threading.Timer)]
