"""A unit that another program sets anew, found before a pulse, or told after it; silence of an armed unit; slow replies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from client_tools import Made, receipt
from contract_tools import EA, EH, Bench, bench

from drivers import stepped
from drivers.firing import NUMBERS_FRESH_S
from drivers.magstim.exchange import ARMED_REPLY_S, REPLY_DEADLINE_S
from drivers.magstim.units import MOST_PULSES
from drivers.requests import FIRE_S, Answer, Request
from drivers.train_run import TrainRun
from drivers.trouble import UnitProblem
from drivers.watch import CLOSED
from hardware_sim.faults import FaultKind
from hardware_sim.packet import sealed
from rtloop.model.pulse import Delivery, Pair, Train
from rtloop.model.status import Fault

TRAIN = Train(frequency_hz=10, n_pulses=20)
MODELS: list[tuple[str, dict[str, Any]]] = [
    ("200", {}), ("bistim", {}), ("rapid", {"version": (9, 0, 0)}), ("rapid", {"version": (7, 1)}),
]  # fmt: skip


def another(b: Bench, *commands: bytes) -> None:
    """Another program sends these on the same line, now."""
    for command in commands:
        b.inject(FaultKind.TWO_OWNERS, data=sealed(command))
        b.line.wire.visible(b.clock.now_s())


def second_pulse(b: Bench, power_pct_mso: int) -> None:
    """At the panel of a BiStim²."""
    b.sim._ramp_b = type(b.sim._ramp_b)(power_pct_mso)  # type: ignore[attr-defined]


def unseen(b: Bench, *commands: bytes) -> None:
    """So shortly before a pulse that is due that no look comes in between."""
    due_s = b.clock.now_s() + 0.3
    b.unit.announce(due_s)
    b.sleep(0.24)
    another(b, *commands)
    b.sleep(due_s - b.clock.now_s())
    assert b.unit.trouble() is None


@pytest.fixture(params=MODELS, ids=["200", "bistim", "rapid 9", "rapid 7"])
def b(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    model, sim = request.param
    with bench("stepped", tmp_path, model=model, arming_s=0.1, power_pct_mso=40, **sim) as made:
        made.ready(40)
        made.sleep(2.1)
        yield made


@pytest.fixture(params=[(9, 0, 0), (7, 1)], ids=["9", "7"])
def train(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Armed with a train; a disarm does not stop it."""
    with bench(
        "stepped", tmp_path, model="rapid", version=request.param, arming_s=0.1, power_pct_mso=40
    ) as made:
        made.unit.set_train(TRAIN)
        made.ready(40)
        made.sleep(2.1)
        yield made


# ---- before a pulse


@pytest.mark.req("R-BELIEF")
def test_another_power_set_before_the_look_at_a_due_pulse_is_found(b: Bench) -> None:
    b.unit.announce(b.clock.now_s() + 0.2)
    another(b, b"@090")
    b.sleep(0.2)
    assert b.unit.fire(b.permit(40)).delivery is Delivery.NOT_DELIVERED
    assert not b.sent(EH)
    assert b.unit.trouble().fault is Fault.UNIT_UNEXPECTED
    assert "the unit says 90 %" in str(b.unit.trouble())
    assert not b.armed()


@pytest.mark.req("R-BELIEF")
def test_what_the_unit_holds_is_never_long_unread_while_it_is_armed(b: Bench) -> None:
    watch, oldest_s = b.unit._worker._watch, 0.0
    for _ in range(300):
        b.sleep(0.01)
        oldest_s = max(oldest_s, b.clock.now_s() - watch.numbers_s)
    assert oldest_s < 0.25
    for _ in range(3):
        due_s = b.clock.now_s() + 0.7
        b.unit.announce(due_s)
        b.sleep(due_s - b.clock.now_s())
        assert 0.02 < due_s - watch.numbers_s < 0.09


@pytest.mark.req("R-BELIEF")
@pytest.mark.parametrize(("age_s", "fires"), [(0.99, True), (NUMBERS_FRESH_S, False), (math.nan, False)])
def test_old_numbers_fire_nothing(b: Bench, age_s: float, fires: bool) -> None:
    watch, firing = b.unit._worker._watch, b.unit._worker._firing
    with b.unit._at_work():
        b.clock.advance(1000.0 - b.clock.now_s() % 1000.0)  # whole seconds: 1.0 s is 1.0 s
        b.board.beat("engine")
        now_s = b.clock.now_s()
        watch.status, watch.numbers_s = replace(watch.status, t_s=now_s), now_s - age_s
        why = firing._refusal(b.permit(40), now_s)
    found = f"refused: the power and what it gives by one command were read {age_s:.2f} s ago"
    assert why == ("" if fires else found)


# ---- after a pulse


@pytest.mark.req("R-BELIEF")
def test_a_pulse_given_at_another_power_is_told_at_once(b: Bench) -> None:
    unseen(b, b"@045")
    fired = b.unit.fire(b.permit(40))
    assert fired.delivery is Delivery.DELIVERED
    b.sleep(0.12)
    trouble = b.unit.trouble()
    assert trouble is not None
    assert trouble.fault is Fault.UNIT_UNEXPECTED
    assert "the unit says 45 %; the last pulse or train may have been given so" in str(trouble)
    assert b.sent(EA, since_s=fired.t_sent_s)
    assert [d.power_pct_mso for d in b.sim.discharges] == [45]


@pytest.mark.req("R-BELIEF")
def test_a_pulse_given_at_another_power_is_told_though_a_disarm_came_first(b: Bench) -> None:
    unseen(b, b"@045")
    assert b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED
    b.unit.disarm()
    b.sleep(0.15)
    assert "may have been given so" in str(b.unit.trouble())


@pytest.mark.req("R-BELIEF")
def test_a_pulse_given_at_another_power_is_told_though_the_unit_is_closed_at_once(b: Bench) -> None:
    unseen(b, b"@045")
    assert b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED
    b.unit.close()
    assert "may have been given so" in str(b.unit.trouble())
    assert b.board["port_state"] == CLOSED
    assert not b.armed()


@pytest.mark.req("R-UNCERTAIN", "R-DISARM")
@pytest.mark.parametrize("fault", [FaultKind.MUTE, FaultKind.CABLE_OUT])
def test_a_fire_command_that_meets_silence_is_told_within_half_a_second(b: Bench, fault: FaultKind) -> None:
    b.inject(fault)
    start_s = b.clock.now_s()
    fired = b.unit.fire(b.permit(40))
    assert b.clock.now_s() - start_s <= 0.5
    assert fired.delivery is Delivery.UNCERTAIN
    exchange = b.unit._worker._watch.unit.exchange
    assert exchange.reply_s == REPLY_DEADLINE_S  # afterwards it is heard out again


@pytest.mark.parametrize("due", ["soon", None, True, math.nan, math.inf, -math.inf])
def test_a_pulse_is_due_at_an_instant_and_nothing_else(b: Bench, due: Any) -> None:
    with pytest.raises(UnitProblem, match="due at a number of seconds"):
        b.unit.announce(due)
    assert b.unit.trouble() is None


@pytest.mark.req("R-BELIEF")
def test_a_pulse_of_unknown_outcome_at_another_power_is_told_too(tmp_path: Path) -> None:
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)
        b.sleep(2.1)
        unseen(b, b"@045")
        b.inject(FaultKind.BAD_CRC, only="EH", times=1)
        assert b.unit.fire(b.permit(40)).delivery is Delivery.UNCERTAIN
        watch = b.unit._worker._watch
        b.sleep(0.2)
        assert watch.power_pct_mso == 45
        assert watch.numbers_s > watch.fired_s


@pytest.mark.req("R-UNCERTAIN")
def test_a_second_pulse_set_right_before_a_single_one_counts(tmp_path: Path) -> None:
    with bench("stepped", tmp_path, model="bistim", arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)
        second_pulse(b, 30)
        fired = b.unit.fire(b.permit(40))
        assert (fired.delivery, fired.pulses_min, fired.pulses_max) == (Delivery.UNCERTAIN, 0, 2)
        assert "power B 30 %" in fired.reason
        b.sleep(0.2)
        assert b.discharges == 2


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("commands", "given"), [((b"B0200",), 40), ((b"D00050",), 50)], ids=["faster", "longer"]
)
def test_a_train_of_other_numbers_is_told_and_counted_as_the_unit_holds_it(
    train: Bench, commands: tuple[bytes, ...], given: int
) -> None:
    wide = train.sim.version >= (9,)  # type: ignore[attr-defined]
    unseen(train, *(c if wide or c[:1] == b"B" else b"D0050" for c in commands))
    assert train.unit.fire(train.permit(40, train=TRAIN)).delivery is Delivery.DELIVERED
    train.sleep(0.15)
    assert train.unit.trouble().fault is Fault.UNIT_UNEXPECTED
    assert f"{given} pulses" in str(train.unit.trouble())
    end = train.train_end(within_s=3.0)
    assert (end.delivery, end.pulses_min, end.pulses_max) == (Delivery.UNCERTAIN, 0, given)
    assert f"the unit gives another train: {given} pulses" in end.reason
    train.sleep(4.0)
    assert train.discharges == given


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("how", ["bad_crc", "lost"])
@pytest.mark.parametrize("of", ["single", "train"])
def test_after_a_garbled_or_lost_reply_the_unit_is_asked_what_it_gave(
    tmp_path: Path, how: str, of: str
) -> None:
    setting = TRAIN if of == "train" else None
    with bench("stepped", tmp_path, model="rapid", version=(9, 0, 0), arming_s=0.1, power_pct_mso=40) as b:
        if setting is not None:
            b.unit.set_train(setting)
        b.ready(40)
        if setting is None:
            b.inject(FaultKind.TRAIN_MODE)
        else:
            unseen(b, b"B0200")
        b.inject(FaultKind.UNCERTAIN_FIRE, how=how)
        fired = b.unit.fire(b.permit(40, train=setting))
        n = 20 if setting is None else 40
        assert (fired.delivery, fired.pulses_min, fired.pulses_max) == (Delivery.UNCERTAIN, 0, n)
        assert b.unit.trouble().fault is Fault.UNCERTAIN_PULSE
        b.sleep(3.0)
        assert b.discharges == n


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("event", ["stop", "disarm"])
def test_an_urgent_word_in_the_look_after_a_pulse_does_not_hide_a_train(tmp_path: Path, event: str) -> None:
    with bench("stepped", tmp_path, model="rapid", version=(9, 0, 0), arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)
        b.inject(FaultKind.TRAIN_MODE)
        watch = b.unit._worker._watch
        fire = watch.unit.fire

        def fire_and(**how: float) -> object:
            reply = fire(**how)
            if event == "stop":
                b.board.ask_stop()
            else:
                b.board["disarm_asked"] += 1
            return reply

        watch.unit.fire = fire_and
        fired = b.unit.fire(b.permit(40))
        assert (fired.delivery, fired.pulses_max) == (Delivery.UNCERTAIN, 20)
        assert b.sent(EA, since_s=fired.t_sent_s)


# ---- a train without an end


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(("told", "most"), [(None, MOST_PULSES), (20, 34), (50, 50)])
def test_a_train_past_its_end_may_go_on_for_a_second_and_is_what_the_unit_says_or_the_longest(
    told: int | None, most: int
) -> None:
    run = TrainRun(TRAIN, t_sent_s=0.0, t_reply_s=0.005, stops=False)
    if told is not None:
        run.told(told, "" if told == 20 else "50 pulses")
    run.seen(running=True, t_asked_s=run.ends_s, t_reply_s=run.ends_s + 0.01)
    assert run.over(run.ends_s + 0.2)
    end = run.receipt(None)
    assert (end.delivery, end.pulses_max) == (Delivery.UNCERTAIN, most)
    assert end.pulses_min == (0 if told == 50 else 20)


@pytest.mark.req("R-UNCERTAIN")
def test_a_train_whose_numbers_were_not_told_is_not_known(tmp_path: Path) -> None:
    for untold in (True, False):
        run = TrainRun(TRAIN, t_sent_s=0.0, t_reply_s=0.005, stops=False)
        if not untold:
            run.told(20, "")
        run.seen(running=True, t_asked_s=1.9, t_reply_s=1.91)
        run.seen(running=False, t_asked_s=2.0, t_reply_s=2.01)
        end = run.receipt(None)
        assert (end.delivery is Delivery.UNCERTAIN) == untold
        assert (end.reason == "the unit did not tell which train it gave") == untold


@pytest.mark.req("R-UNCERTAIN")
def test_a_longer_train_whose_numbers_cannot_be_read_counts_as_the_longest(train: Bench) -> None:
    if train.sim.version < (9,):  # type: ignore[attr-defined]
        return  # below 9 the unit then says nothing at all: silent
    unseen(train, b"D00050")
    train.inject(FaultKind.MUTE, only="\\")
    assert train.unit.fire(train.permit(40, train=TRAIN)).delivery is Delivery.DELIVERED
    end = train.train_end(within_s=3.5)
    assert (end.delivery, end.pulses_max) == (Delivery.UNCERTAIN, MOST_PULSES)


# ---- silence


@pytest.mark.req("R-BELIEF")
@pytest.mark.parametrize("announce_s", [None, 0.059, 0.1])
def test_an_armed_unit_that_falls_silent_is_an_error_within_half_a_second(
    b: Bench, announce_s: float | None
) -> None:
    for wait_s in (0.0, 0.03, 0.06, 0.09, 0.12, 0.15, 0.18):
        b.sleep(wait_s)
        b.inject(FaultKind.MUTE)
        silent_s = b.clock.now_s()
        while b.unit.trouble() is None:
            if announce_s is not None:
                b.unit.announce(b.clock.now_s() + announce_s)
            b.sleep(0.005)
            assert b.clock.now_s() - silent_s <= 0.5
        assert b.unit.trouble().fault is Fault.UNIT_SILENT
        b.sim.clear()
        b.sleep(0.5)
        b.ready(40)
        b.sleep(0.3)


# ---- slow replies


@pytest.mark.req("R-UNCERTAIN")
def test_the_answer_of_a_port_that_lives_is_waited_for(tmp_path: Path) -> None:
    m = Made(tmp_path)
    try:
        m.serves_disarm(0.01)
        given = receipt(Delivery.UNCERTAIN, pulses_min=0, pulses_max=MOST_PULSES)
        m.conn.reply = lambda r: (
            [(FIRE_S - 0.1, Answer(n=r.n, receipt=given))] if isinstance(r, Request) else []
        )
        m.clock.listen(lambda _: m.board.beat("port"))
        assert m.unit.fire(m.permit()) is given
        m.conn.reply = lambda _: []
        start_s = m.clock.now_s()
        late = m.unit.fire(m.permit())
        assert late.delivery is Delivery.UNCERTAIN
        assert f"within {FIRE_S:g} s" in late.reason
        assert FIRE_S <= m.clock.now_s() - start_s <= FIRE_S + 0.7
    finally:
        m.end()


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("version", [(9, 0, 0), (7, 1)])
def test_a_unit_slow_in_each_reply_is_heard_out_within_the_deadline(
    tmp_path: Path, version: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for deadline_s, heard in ((FIRE_S, True), (0.6, False)):
        monkeypatch.setattr(stepped, "FIRE_S", deadline_s)
        folder = tmp_path / f"{deadline_s}"
        folder.mkdir()
        with bench("stepped", folder, model="rapid", version=version, arming_s=0.1, power_pct_mso=40) as b:
            b.ready(40)
            b.inject(FaultKind.TRAIN_MODE)
            b.inject(FaultKind.DELAYED_REPLY, delay_s=ARMED_REPLY_S - 0.04)
            fired = b.unit.fire(b.permit(40))
            assert fired.delivery is Delivery.UNCERTAIN
            assert (fired.pulses_max is not None) == heard
            assert not heard or fired.pulses_max >= 20


def test_a_pair_may_take_all_of_its_numbers(tmp_path: Path) -> None:
    pair = Pair(power_b_pct_mso=35, interval_ms=3)
    with bench("stepped", tmp_path, model="bistim", arming_s=0.1, power_pct_mso=40) as b:
        b.unit.set_pair(pair)
        b.ready(40)
        second_pulse(b, 30)
        fired = b.unit.fire(b.permit(40, pair=pair))
        assert (fired.delivery, fired.pulses_max) == (Delivery.DELIVERED, 2)
        b.sleep(0.2)
        assert "power B 30 %" in str(b.unit.trouble())
        assert "may have been given so" in str(b.unit.trouble())
