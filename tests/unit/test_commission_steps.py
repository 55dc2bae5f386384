"""Each step of commissioning on the stepped clock: what it finds on a unit that behaves, and on one that does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from commission_tools import Hand, SteppedStand, good, site_in

from hardware_sim.bench import SteppedBench
from rtloop.app import commission_bench, commission_steps, preflight
from rtloop.app.commission_bench import Stand
from rtloop.app.commission_steps import (
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
from rtloop.app.commissioned import covered, records_folder
from rtloop.app.preflight import Item
from rtloop.errors import NotReady, SafetyStop
from rtloop.model.pulse import Pulse, Purpose, Train
from rtloop.model.status import Fault, Lamp, UnitIdentity
from rtloop.record.commissioning import write_record

DOES = {"hardware_stop": "standby_unexpectedly", "unplug": "unplug"}


@pytest.fixture(autouse=True)
def longer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commission_bench, "TICK_S", 0.004)
    monkeypatch.setattr(commission_bench, "TRIES", 2)
    monkeypatch.setattr(commission_steps, "HARDWARE_S", 4.0)


def stood(folder: Path, model: str = "200", **does: str) -> SteppedStand:
    return SteppedStand(folder, model, lambda bench: Hand(bench, DOES | does))


def test_a_200_passes_every_step_that_needs_no_second_process(tmp_path: Path) -> None:
    with stood(tmp_path) as s:
        identity(s.walk, s.stand, "200")
        power(s.walk, s.stand, 100)
        pulses(s.walk, s.stand)
        hardware_stop(s.walk, s.stand)
        s.stand.gate.disarm("over")
        stop(s.walk, s.stand)
    assert [(x.step, x.passed) for x in s.walk.steps] == [
        (n, True) for n in ("identity", "power", "pulses", "hardware_stop", "stop")
    ], s.said


def test_what_comes_and_goes_is_never_in_order_and_a_stop_ends_the_pre_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter(range(10**6))

    def flickering(*_: object) -> list[Item]:
        return [Item(name="stream", ok=next(looks) % 50 > 0, expected="no breach", found="it comes and goes")]

    with stood(tmp_path) as s:
        monkeypatch.setattr(preflight, "checked", flickering)
        with pytest.raises(NotReady, match="comes and goes"):
            s.stand.settle(tmp_path, lambda words: None)
        s.stand.bench.board.ask_stop()
        with pytest.raises(SafetyStop, match="STOP was asked for"):
            s.stand.settle(tmp_path, lambda words: None)


def test_a_bistim_sets_pairs_and_a_rapid_sets_trains(tmp_path: Path) -> None:
    with stood(tmp_path / "b", "bistim") as s:
        pair_setting(s.walk, s.stand)
    with stood(tmp_path / "r", "rapid") as r:
        identity(r.walk, r.stand, "rapid")
        power(r.walk, r.stand, 100)
        train_setting(r.walk, r.stand)
    assert all(x.passed for x in (*s.walk.steps, *r.walk.steps)), (s.said, r.said)


def test_another_model_than_the_sites_and_a_unit_that_wants_no_power_fail(tmp_path: Path) -> None:
    with stood(tmp_path) as s:
        identity(s.walk, s.stand, "bistim")
        assert not s.walk.steps[-1].passed
        s.bench.inject({"kind": "answer_conflict", "only": "@"})
        with pytest.raises(NotReady):
            power(s.walk, s.stand, 100)


def test_pulses_that_the_eeg_does_not_show_do_not_pass(tmp_path: Path) -> None:
    with stood(tmp_path) as s:
        s.walk.n_pulses = 2
        s.stand.set_power(40)
        s.bench.inject({"kind": "fire_without_discharge"})
        pulses(s.walk, s.stand)
    (found,) = s.walk.steps
    assert not found.passed
    assert found.numbers["pulses_fired"] == 2
    assert found.numbers["pulses_seen"] == 0


class Edge:
    """A trigger line to a stepped unit."""

    bench: SteppedBench | None = None
    edges, trouble = 0, ""

    def fire(self, *, not_after_s: float) -> float:
        assert self.bench is not None
        now_s = self.bench.clock.now_s()
        assert now_s < not_after_s
        self.bench.unit.trigger_edge(now_s)
        self.edges += 1
        return now_s

    def close(self) -> None: ...


@pytest.mark.req("R-TRIGGER")
def test_where_the_site_has_a_trigger_line_its_pulses_are_those_of_the_record(tmp_path: Path) -> None:
    edge = Edge()
    with SteppedStand(tmp_path, "200", lambda bench: Hand(bench, DOES), trigger=edge) as s:
        edge.bench = s.bench
        s.stand.set_power(40)
        pulses(s.walk, s.stand)
    (found,) = s.walk.steps
    assert found.passed, found
    assert (edge.edges, found.numbers["pulses_seen"]) == (10, 10.0)


# -- EA in the middle of a train ----------------------------------------------------------------------------------


@pytest.mark.req("R-UNSTOPPABLE")
@pytest.mark.parametrize("obeys", [True, False])
def test_whether_ea_stops_a_train_is_seen_in_the_eeg_and_either_answer_passes(
    tmp_path: Path, obeys: bool
) -> None:
    with stood(tmp_path, "rapid") as s:
        if obeys:
            s.bench.inject({"kind": "train_obeys_ea"})
        s.stand.set_power(40)
        assert train_and_disarm(s.walk, s.stand) is obeys
    (found,) = s.walk.steps
    assert found.passed, found
    if obeys:
        assert 6 <= found.numbers["pulses_seen_in_train"] <= 9  # 0.65 s of 10 Hz, and what is on its way
        assert found.numbers["pulses_after_ea"] == 0
        assert "EA stops a running train" in found.found
    else:
        assert found.numbers["pulses_seen_in_train"] == 20
        assert found.numbers["pulses_after_ea"] > 10
        assert "EA does NOT stop a running train" in found.found


def test_a_train_of_which_the_eeg_shows_too_little_is_not_clear_and_does_not_pass(tmp_path: Path) -> None:
    with stood(tmp_path, "rapid") as s:
        s.stand.set_power(40)
        s.bench.inject({"kind": "fire_without_discharge"})
        with pytest.raises(NotReady, match="a train of unknown outcome"):
            train_and_disarm(s.walk, s.stand)
    assert not s.walk.steps[-1].passed
    assert "not clear" in s.walk.steps[-1].found


# -- the unit's own stop, and the cable ---------------------------------------------------------------------------


def late(bench: SteppedBench, in_s: float) -> None:
    """What a busy computer does: samples come 80 ms late for a moment, and none is lost."""
    usual_s, from_s = bench.sampler.lag_s, bench.clock.now_s() + in_s

    def catch_up(now_s: float) -> None:
        bench.sampler.lag_s = usual_s + (0.08 if from_s <= now_s < from_s + 0.08 else 0.0)

    bench.clock.listen(catch_up)


class Thinks(Hand):
    """Does what is to be done so long after being told; a moment without samples comes first."""

    later_s = 2.5

    def act(self, what: str, words: str) -> None:
        if what in self._does:
            end_s = self._bench.clock.now_s() + self.later_s
            late(self._bench, 1.0)
            self._bench.clock.listen(lambda now_s: self._now(what, now_s >= end_s))

    def _now(self, what: str, due: bool) -> None:
        if due and what in self._does:
            self._bench.inject({"kind": self._does.pop(what)})


@pytest.mark.req("R-ORPHAN")
@pytest.mark.parametrize(("step", "name"), [(hardware_stop, "hardware_stop"), (unplug, "unplug")])
def test_a_hold_of_a_moment_before_or_meanwhile_does_not_end_the_time_to_act(
    tmp_path: Path, step: Callable[[Walk, Stand], None], name: str
) -> None:
    with SteppedStand(tmp_path, "200", lambda bench: Thinks(bench, dict(DOES))) as s:
        s.stand.set_power(40)
        s.walk.n_pulses = 1
        late(s.bench, 1.5)  # while armed
        pulses(s.walk, s.stand)
        before = [fault for _, fault, _ in s.stand.faults]
        assert Fault.STREAM_STALE in before
        t0_s = s.clock.now_s()
        step(s.walk, s.stand)
        assert s.clock.now_s() - t0_s >= Thinks.later_s
    assert [fault for _, fault, _ in s.stand.faults[len(before) :]].count(Fault.STREAM_STALE) >= 1
    found = s.walk.steps[-1]
    assert (found.step, found.passed) == (name, True), found


@pytest.mark.req("R-ORPHAN")
def test_what_an_earlier_step_told_is_no_stop_and_no_cable_of_this_one(tmp_path: Path) -> None:
    with SteppedStand(tmp_path, "200", lambda bench: Hand(bench, {})) as s:
        now_s = s.clock.now_s()
        s.stand.faults += [(now_s, f, "earlier") for f in (Fault.UNIT_UNEXPECTED, Fault.UNIT_LOST)]
        for step in (hardware_stop, unplug):
            t0_s = s.clock.now_s()
            step(s.walk, s.stand)
            assert s.clock.now_s() - t0_s >= 4.0
            s.stand.gate.disarm("over")
    assert [(x.step, x.passed) for x in s.walk.steps] == [("hardware_stop", False), ("unplug", False)]
    assert "no error was told" in s.walk.steps[-1].found


@pytest.mark.parametrize(
    ("hand", "why"), [("", "status byte NOT standby"), ("cable_out", "NOT standby by the unit itself")]
)
def test_a_stop_that_nobody_pressed_and_a_cable_instead_of_a_stop_do_not_pass(
    tmp_path: Path, hand: str, why: str
) -> None:
    does = {"hardware_stop": hand} if hand else {}
    with SteppedStand(tmp_path, "200", lambda bench: Hand(bench, does)) as s:
        hardware_stop(s.walk, s.stand)
    (found,) = s.walk.steps
    assert not found.passed
    assert why in found.found
    if not hand:
        assert found.numbers["until_standby_s"] >= 4.0


@pytest.mark.req("R-ORPHAN")
@pytest.mark.parametrize(
    ("how", "words", "vanished", "within_ms"),
    [
        ("unplug", "the port vanished", 1.0, 450.0),
        ("cable_out", "the port stayed, the unit fell silent", 0.0, 700.0),
    ],
)
def test_a_port_that_vanishes_and_a_unit_that_only_falls_silent_are_told_apart(
    tmp_path: Path, how: str, words: str, vanished: float, within_ms: float
) -> None:
    with stood(tmp_path, unplug=how) as s:
        unplug(s.walk, s.stand)
        unit = s.bench.unit.state()
    (found,) = s.walk.steps
    assert found.passed, found
    assert words in found.found
    assert found.numbers["port_vanished"] == vanished
    assert 0.0 < found.numbers["told_after_ms"] <= within_ms
    assert not unit.armed  # its own watchdog: EA could not reach it


@pytest.mark.req("R-ORPHAN")
@pytest.mark.parametrize(
    ("hand", "words"),
    [
        ("", "no error was told"),
        ("standby_unexpectedly", "no error was told"),  # its own stop pressed instead
    ],
)
def test_a_cable_that_nobody_pulled_does_not_pass(tmp_path: Path, hand: str, words: str) -> None:
    with SteppedStand(tmp_path, "200", lambda bench: Hand(bench, {"unplug": hand} if hand else {})) as s:
        unplug(s.walk, s.stand)
    (found,) = s.walk.steps
    assert not found.passed
    assert words in found.found


def test_a_unit_that_answers_again_by_itself_was_not_unplugged(tmp_path: Path) -> None:
    class Wobbles(Hand):
        def act(self, what: str, words: str) -> None:
            if what == "unplug":
                self._bench.inject({"kind": "cable_out", "end_s": 1.5})

    with SteppedStand(tmp_path, "200", lambda bench: Wobbles(bench, {})) as s:
        unplug(s.walk, s.stand)
    assert not s.walk.steps[-1].passed
    assert "answers again" in s.walk.steps[-1].found


# -- the words of arming ------------------------------------------------------------------------------------------


class Slow(Hand):
    """Says ``confirm`` so late, the first ``times`` times."""

    late, times = 2.1, 1

    def says(self, word: str, why: str, tick: Callable[[], None]) -> None:
        self.heard = [*getattr(self, "heard", []), (word, why)]
        if word == "confirm" and self.times:
            self.times -= 1
            end_s = self._bench.clock.now_s() + self.late
            while self._bench.clock.now_s() < end_s:
                tick()


def test_a_confirmation_that_comes_too_late_arms_nothing_and_both_words_are_asked_again(
    tmp_path: Path,
) -> None:
    with SteppedStand(tmp_path, "200", lambda bench: Slow(bench, DOES), caps={"confirm_window_s": 2.0}) as s:
        s.stand.set_power(40)
        s.stand.arm(s.walk.person, "the unit will be ARMED")
        assert s.stand.lock.lamp is Lamp.ARMED
        heard = s.walk.person.heard  # type: ignore[attr-defined]
        assert [word for word, _ in heard] == ["arm", "confirm", "arm", "confirm"]
        assert "within 2 s" in heard[1][1]
        assert "too late, nothing is armed" in heard[2][1]
        s.stand.gate.disarm("over")
        s.walk.person.times = 99  # type: ignore[attr-defined]
        with pytest.raises(NotReady, match="not armed"):
            s.stand.arm(s.walk.person, "the unit will be ARMED")
        assert not s.bench.unit.state().armed


# -- what follows from the record ---------------------------------------------------------------------------------


@pytest.mark.req("R-UNSTOPPABLE")
@pytest.mark.parametrize(("seen", "cannot_stop_s"), [(True, 0.5), (False, 1.9), (None, 1.9)])
def test_a_session_believes_that_ea_stops_a_train_only_if_the_covering_record_says_so(
    tmp_path: Path, seen: bool | None, cannot_stop_s: float
) -> None:
    site = site_in(tmp_path)
    write_record(records_folder(site) / "a.json", replace(good(site), stops_running_train=seen).sealed())
    options = covered(site).unit_options
    pulse = Pulse(
        pulse_id=1, target="t", purpose=Purpose.PROBE, power_pct_mso=40, power_pct_rmt=None, due_s=0.0, deadline_s=1.0,
        train=Train(frequency_hz=10.0, n_pulses=20),
    )  # fmt: skip
    with SteppedStand(tmp_path, "rapid", lambda bench: Hand(bench, DOES), **options) as s:
        assert s.stand.gate.uninterruptible_s(pulse) == pytest.approx(cannot_stop_s)


@pytest.mark.req("R-UNSTOPPABLE")
def test_a_record_that_does_not_cover_is_not_believed_about_trains(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    record = replace(good(site), stops_running_train=True)
    write_record(records_folder(site) / "a.json", replace(record, signature="").sealed())
    found = covered(site)
    assert not found.ok
    assert found.unit_options == {}
    write_record(records_folder(site) / "b.json", record.sealed())
    found = covered(site)
    assert found.unit_options == {"stops_running_train": True}
    other = UnitIdentity(model="200", port=site.unit.port or "", simulated=False, firmware="another")
    stream = {"name": "amp", "source_id": "amp-1", "rate_hz": 1000.0, "channels": 9}
    assert found.with_devices(other, stream, simulated_eeg=False).unit_options == {}
