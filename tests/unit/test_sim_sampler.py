"""The digitiser on a stepped clock: exact samples, the trigger column, every fault of the stream."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hardware_sim.bench import BedsideSpec, SteppedBench
from hardware_sim.sampler import FAULTS
from rtloop.clock import SteppedClock
from rtloop.errors import ValidationProblem

SPEC = BedsideSpec(n_channels=16, rate_hz=1000.0)


def _bench(**changes: object) -> tuple[SteppedClock, SteppedBench]:
    clock = SteppedClock()
    return clock, SteppedBench(clock, BedsideSpec(n_channels=16, rate_hz=1000.0, **changes))  # type: ignore[arg-type]


def _run(clock: SteppedClock, bench: SteppedBench, seconds: float, step_s: float = 0.01) -> np.ndarray:
    parts = []
    for _ in range(round(seconds / step_s)):
        clock.advance(step_s)
        frames, t_s = bench.frames_until(clock.now_s())
        assert math.isnan(t_s) or abs(t_s - clock.now_s()) < 0.0011
        parts.append(frames)
    return np.concatenate(parts)


def _sealed(body: bytes) -> bytes:
    return body + bytes([~sum(body) & 0xFF])


def _say(bench: SteppedBench, body: bytes, reply: int = 3) -> bytes:
    bench.line.write(_sealed(body))
    return bench.line.read(reply)


def test_a_pulse_through_the_line_is_in_the_frames_at_its_sample_with_its_trigger() -> None:
    clock, bench = _bench()
    origin_s = clock.now_s()
    bench.frames_until(origin_s)
    said = [_say(bench, b"Q@"), _say(bench, b"@060")]
    for _ in range(10):  # the ramp of the power
        clock.advance(0.1)
        said.append(_say(bench, b"J@", 12))
    said.append(_say(bench, b"EB"))
    for _ in range(12):
        clock.advance(0.1)
        said.append(_say(bench, b"J@", 12))
    _run(clock, bench, 0.1)
    _say(bench, b"EH")
    taken = bench.sampler.head.position
    frames = _run(clock, bench, 0.5)
    (pulse,) = bench.discharges
    assert pulse["by"] == "unit"
    assert pulse["power_pct_mso"] == 60
    assert pulse["late_samples"] == 0
    assert pulse["sample"] == math.ceil((pulse["t_s"] - origin_s) * 1000.0 - 1e-6)
    trigger = np.flatnonzero(frames[:, -1] > 0)
    assert trigger[0] + taken == pulse["sample"]
    assert len(trigger) == 10
    assert np.abs(frames[trigger[0], :-1]).max() > 5000.0
    assert np.abs(frames[: trigger[0], :-1]).max() < 200.0


def test_an_external_stimulator_fires_with_jitter_at_the_placed_target() -> None:
    clock, bench = _bench(auto_fire_s=(0.3, 0.5), fire_power_pct_mso=70.0)
    _run(clock, bench, 2.0)
    bench.place("ACC")
    frames = _run(clock, bench, 2.0, step_s=2.0)  # one long step: the same pulses
    instants = np.array([d["t_s"] for d in bench.discharges])
    gaps = np.diff(instants)
    assert len(instants) >= 7
    assert np.all((gaps >= 0.3) & (gaps <= 0.5))
    assert gaps.std() > 0.01
    assert {d["target"] for d in bench.discharges} == {"M1", "ACC"}
    assert all(d["late_samples"] == 0 for d in bench.discharges)
    edges = np.flatnonzero(np.diff((frames[:, -1] > 0).astype(int)) == 1).size
    assert edges == sum(d["target"] == "ACC" for d in bench.discharges)


@pytest.mark.parametrize("kind", ["nan", "flat", "saturate"])
def test_bad_samples_in_the_named_channels_for_the_named_time(kind: str) -> None:
    clock, bench = _bench()
    _run(clock, bench, 0.1)
    bench.inject({"kind": kind, "channels": ["Fp1", "AF7"], "for_s": 0.2})
    frames = _run(clock, bench, 0.5)
    names = bench.sampler.names
    wrong = {"nan": np.isnan(frames), "flat": frames == 0.0, "saturate": frames == 100_000.0}[kind][:, :-1]
    hit = {names[i] for i in np.flatnonzero(wrong.any(axis=0))}
    assert hit == {"Fp1", "AF7"}
    assert 150 <= wrong[:, names.index("Fp1")].sum() <= 250


def test_an_electrode_that_loosens_is_noisy_for_a_while_and_then_itself_again() -> None:
    (clock, bench), (same, plain) = _bench(), _bench()
    for c, b in ((clock, bench), (same, plain)):
        _run(c, b, 0.1)
    bench.inject({"kind": "noise", "channels": ["Fp1", "AF7"], "uv": 80.0, "for_s": 0.4})
    added = _run(clock, bench, 1.0) - _run(same, plain, 1.0)
    names = bench.sampler.names
    assert {names[i] for i in np.flatnonzero(added.any(axis=0))} == {"Fp1", "AF7"}
    noisy = added[:390, names.index("Fp1")]
    assert noisy.std() == pytest.approx(80.0, rel=0.15)
    assert abs(np.corrcoef(noisy, added[:390, names.index("AF7")])[0, 1]) < 0.2
    assert not added[420:].any()


def test_freeze_drop_and_die() -> None:
    clock, bench = _bench()
    _run(clock, bench, 0.1)
    bench.inject({"kind": "freeze", "for_s": 0.2})
    assert 780 <= len(_run(clock, bench, 1.0)) <= 820
    bench.inject({"kind": "drop", "samples": 37})
    assert len(_run(clock, bench, 1.0)) == 963
    bench.inject({"kind": "die"})
    assert len(_run(clock, bench, 0.2)) == 0
    assert bench.sampler.dead


def test_an_outlet_that_vanished_returns_as_another_and_time_has_gone_on() -> None:
    clock, bench = _bench()
    _run(clock, bench, 0.1)
    bench.inject({"kind": "die", "for_s": 0.3})
    assert 680 <= len(_run(clock, bench, 1.0)) <= 720
    assert (bench.outlet, bench.sampler.dead) == (1, False)
    bench.inject({"kind": "die"})
    bench.sampler.discharge(clock.now_s() + 0.1, 60.0)
    assert len(_run(clock, bench, 1.0)) == 0
    bench.inject({"kind": "return"})
    bench.inject({"kind": "return"})
    frames = _run(clock, bench, 0.5)  # each block's last stamp is checked to be now
    assert 490 <= len(frames) <= 511
    assert not frames[:, -1].any()
    assert np.abs(frames[:, :-1]).max() < 300.0, "the pulse of the time between is in the stream"
    assert bench.outlet == 2
    assert len(bench.discharges) == 1


def test_wrong_rate_and_repeated_blocks() -> None:
    clock, bench = _bench()
    block = _run(clock, bench, 0.1)[-10:]
    bench.inject({"kind": "repeat", "for_s": 0.1})
    repeated = _run(clock, bench, 0.05)
    np.testing.assert_array_equal(repeated[:10], block)
    np.testing.assert_array_equal(repeated[10:20], block)
    _run(clock, bench, 0.2)
    bench.inject({"kind": "rate", "factor": 0.02})
    clock.advance(0.1)
    bench.frames_until(clock.now_s())
    clock.advance(2.0)
    assert 35 <= len(bench.frames_until(clock.now_s())[0]) <= 45


def test_pulses_that_leave_no_trace_no_trigger_or_were_not_commanded() -> None:
    clock, bench = _bench()
    _run(clock, bench, 0.1)
    for kind, artifact, trigger in (
        ("miss_pulses", False, False),
        ("miss_triggers", True, False),
        ("miss_artifacts", False, True),
        (None, True, True),
    ):
        if kind:
            bench.inject({"kind": kind, "count": 1})
        bench.sampler.discharge(clock.now_s() + 0.05, 60.0)
        frames = _run(clock, bench, 1.0)
        assert bool(np.abs(frames[:, :-1]).max() > 5000.0) is artifact, kind
        assert bool(frames[:, -1].any()) is trigger, kind
    assert [d["seen"] for d in bench.discharges] == [False, True, True, True]
    bench.inject({"kind": "pulse"})
    assert np.abs(_run(clock, bench, 0.5)).max() > 5000.0
    assert bench.discharges[-1]["by"] == "fault"


def test_faults_that_do_not_exist_are_refused_with_all_reasons() -> None:
    _, bench = _bench()
    with pytest.raises(ValidationProblem, match="freeze") as problem:
        bench.sampler.inject({"kind": "melt", "for": 1, "channels": ["Qz"], "count": -1})
    for word in ("melt", "'for'", "Qz", "count"):
        assert word in str(problem.value)
    with pytest.raises(ValidationProblem, match="hot_coil"):
        bench.inject({"kind": "melt"})
    bench.inject({"kind": "hot_coil", "temp_c": 45.0})
    assert "die" in FAULTS


def test_a_setup_that_cannot_be_is_refused_with_all_reasons() -> None:
    with pytest.raises(ValidationProblem) as problem:
        BedsideSpec(n_channels=7, rate_hz=math.nan, transport="usb", auto_fire_s=(2.0, 1.0))
    for word in ("n_channels", "rate_hz", "usb", "auto_fire_s"):
        assert word in str(problem.value)
