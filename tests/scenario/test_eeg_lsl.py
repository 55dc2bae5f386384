"""Real LSL on loopback: one outlet is required and pinned; whatever goes wrong with it is seen."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from eeg_tools import NAMES, describe, noise, running, until

from rtloop.clock import WALL
from rtloop.eeg import lsl
from rtloop.eeg.source import EegSource
from rtloop.errors import NotReady, ValidationProblem
from rtloop.model.pulse import Source
from rtloop.model.status import Fault

pylsl = lsl._pylsl()


def opened(path, **kwargs):
    return EegSource.from_lsl(lsl.find_stream(wait_s=8.0), path, **kwargs)


def words(source):
    return [b.what for b in source.health(WALL.now_s()).breaches]


def faults(source):
    return {b.fault for b in source.health(WALL.now_s()).breaches}


def test_no_stream_is_an_error_in_words():
    with pytest.raises(NotReady, match="no LSL stream at all") as caught:
        lsl.find_stream(name="amp", wait_s=0.0)
    assert "named 'amp'" in caught.value.expected
    assert caught.value.todo


@pytest.mark.req("R-STREAM")
def test_one_of_several_is_told_apart_two_alike_are_refused():
    first, other = pylsl.StreamOutlet(describe()), pylsl.StreamOutlet(describe("b", source_id="serial-2"))
    found = lsl.find_stream(name="amp", expected_rate_hz=1000.0, expected_channels=8)
    assert found.layout is not None
    assert found.layout.names == NAMES
    assert found.same_host
    assert lsl.another_outlet(found) == []
    with pytest.raises(NotReady, match="2 streams match"):
        lsl.find_stream()
    twin = pylsl.StreamOutlet(describe(source_id="serial-1"))
    with pytest.raises(NotReady, match="2 streams match") as caught:
        lsl.find_stream(name="amp")
    assert caught.value.found.count("uid") == 2
    assert caught.value.found.count(found.listing.hostname) == 2
    assert len(lsl.another_outlet(found)) == 1
    del first, other, twin


def test_wrong_rate_count_and_names_are_refused():
    outlet = pylsl.StreamOutlet(describe())
    with pytest.raises(NotReady, match=r"another sampling rate.*5000 Hz.*1000 Hz"):
        lsl.find_stream(expected_rate_hz=5000.0)
    with pytest.raises(NotReady, match=r"number of channels.*64.*8"):
        lsl.find_stream(expected_channels=64)
    del outlet
    outlet = pylsl.StreamOutlet(describe(names=("Cz", "X1", "C3", "X2"), source_id="s2"))
    with pytest.raises(ValidationProblem, match=r"2 EEG channel.*X1, X2"):
        lsl.find_stream(source_id="s2")
    del outlet


def test_units_become_microvolts_and_the_trigger_column_is_split_off(tmp_path):
    outlet = pylsl.StreamOutlet(describe(unit="V", trigger=True))
    source = opened(tmp_path / "ring")
    frames = np.hstack([noise(50) * 1e-6, np.ones((50, 1), np.float32)]).astype(np.float32)
    outlet.push_chunk(frames)
    assert until(lambda: source.head() == 50)
    np.testing.assert_allclose(source.window(0, 50).data, noise(50), rtol=1e-6)
    assert source.window(0, 50).data.base is not None
    assert source.ring.view(0, 1)[0, 8] == 1.0
    assert source.montage.names == NAMES
    assert source.layout.trigger_column == 8
    source.close()
    del outlet


def test_a_good_amplifier_is_healthy_and_a_killed_one_is_lost(tmp_path):
    with running() as child:
        source = opened(tmp_path / "ring")
        assert until(lambda: source.health(WALL.now_s()).ok, 6.0), words(source)
        health = source.health(WALL.now_s())
        assert abs(health.rate_hz - 1000) < 20
        assert health.gaps == 0
        assert abs(source.time_of(source.head()) - WALL.now_s()) < 0.1
        child.kill()
        killed_s = WALL.now_s()
        assert until(lambda: Fault.STREAM_LOST in faults(source), 2.0)
        assert WALL.now_s() - killed_s < 1.0
        source.close()


def test_faults_of_the_amplifier_are_named(tmp_path):
    faulty = [(1.2, "drop"), (1.6, "nan"), (2.0, "frozen"), (2.5, "silent")]
    with running(faults=faulty, bad=True):
        source = opened(tmp_path / "ring")
        seen: set[str] = set()
        bad: set[str] = set()

        def look():
            health = source.health(WALL.now_s())
            seen.update(b.what for b in health.breaches)
            bad.update(health.bad_channels)
            return "the EEG stream is lost" in seen and source.head() > 0 and health.age_s > 0.3

        assert until(look, 8.0), seen
        source.close()
    assert {
        "samples are missing",
        "samples are not numbers",
        "the amplifier repeats itself",
        "the EEG stream stands still",
    } <= seen
    assert bad >= {"Cz", "C4"}


def test_a_rate_that_is_not_kept_is_a_breach(tmp_path):
    with running(rate_hz=5000.0, true_rate_hz=970.0):
        source = opened(tmp_path / "ring")
        assert until(lambda: source.head() > 2000, 6.0)
        assert "the sampling rate is wrong" in words(source)
        source.close()


@pytest.mark.req("R-STREAM")
def test_an_impostor_is_seen_and_never_followed(tmp_path):
    with running():
        source = opened(tmp_path / "ring")
        assert until(lambda: source.health(WALL.now_s()).ok, 6.0), words(source)
        impostor = pylsl.StreamOutlet(describe(source_id="serial-1"))
        assert until(lambda: Fault.STREAM_IMPOSTOR in faults(source), 4.0)
        breach = source.health(WALL.now_s()).breaches[-1]
        assert impostor.get_info().uid() in breach.found
    assert until(lambda: Fault.STREAM_LOST in faults(source), 3.0)
    head = source.head()
    for _ in range(20):
        impostor.push_chunk(noise(10))
        time.sleep(0.05)
    assert source.head() == head
    source.close()
    del impostor


def test_markers_text_and_numbers_reach_the_finder(tmp_path):
    text = pylsl.StreamOutlet(pylsl.StreamInfo("m1", "Markers", 1, 0, "string", "m1"))
    number = pylsl.StreamOutlet(pylsl.StreamInfo("m2", "Markers", 1, 0, "int32", "m2"))
    with running():
        first = lsl.find_stream(name="m1", kind="Markers")
        began_s = WALL.now_s()
        found = [first, lsl.find_stream(name="m2", kind="Markers", seen=first.seen)]
        assert (
            WALL.now_s() - began_s < 0.5 * lsl.RESOLVE_S
        )  # the look that found the first has seen the other, too
        with pytest.raises(NotReady, match="2 streams match"):
            lsl.find_stream(kind="Markers", seen=first.seen)
        source = opened(tmp_path / "ring", markers=found)
        assert until(lambda: source.head() > 200)
        sent_s = WALL.now_s()
        text.push_sample(["pulse"], sent_s)
        number.push_sample([7], sent_s + 0.2)
        seen: list = []
        assert until(lambda: len(seen) >= 2 or bool(seen.extend(source.pulses(WALL.now_s()))), 4.0)
        assert [p.source for p in seen] == [Source.MARKER] * 2
        assert abs(seen[0].t_s - sent_s) < 0.002
        assert sorted(source.take_markers()) == [(sent_s, "pulse"), (sent_s + 0.2, "7")]
        source.close()
    del text, number


def test_nothing_is_lost_while_a_thread_holds_the_interpreter_lock(tmp_path):
    stop = threading.Event()
    rows = list(np.random.default_rng(1).random(200_000))

    def hold():
        while not stop.is_set():
            sorted(rows)

    with running(rate_hz=5000.0, ramp=True):
        source = opened(tmp_path / "ring")
        thread = threading.Thread(target=hold)
        thread.start()
        try:
            time.sleep(1.5)
        finally:
            stop.set()
            thread.join()
        n = source.head()
        assert n > 5000
        ramp = source.window(0, n).data[:, 0]
        assert (np.diff(ramp) == 1).all()
        _, chunks = source.ring.chunks(0)
        assert np.diff(chunks[:, 3]).max() < 0.5
        source.close()
