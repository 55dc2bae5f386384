"""The contract every stimulator driver keeps, on a stepped line, a socket and a pseudo-terminal.

Here for the 200²; ``test_drivers_models`` inherits it for every other unit and adds trains and pairs.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from contract_tools import EA, EB, EH, KEY, Bench, bench

from drivers.trouble import UnitProblem
from drivers.watch import CLOSED, FAILED
from hardware_sim.faults import FaultKind
from rtloop.model.pulse import Delivery
from rtloop.model.status import Fault


class Bed:
    """The bench of one kind of unit on one kind of line."""

    kind = ""
    model = "200"
    sim: ClassVar[dict[str, Any]] = {}  # options of the simulated unit
    gap_s = 2.0  # between single pulses at 40 %
    heads = frozenset(
        (b"Q", b"E", b"@", b"J", b"F")
    )  # the only commands that a session of single pulses needs
    told_by_the_reply = True  # to EH, which is of before the pulse
    late_s = 0.1  # how long a port process of its own may wait for a core

    @pytest.fixture
    def b(self, tmp_path: Path) -> Iterator[Bench]:
        with bench(self.kind, tmp_path, model=self.model, arming_s=0.1, power_pct_mso=40, **self.sim) as made:
            yield made

    def fires(self, b: Bench, *, since_s: float = 0.0) -> list[float]:
        """When a fire command went out."""
        return b.sent(EH, since_s=since_s)

    def spoil(self, b: Bench, how: str = "bad_crc") -> None:
        """The next pulse is given, and nobody can say so."""
        b.inject(FaultKind.UNCERTAIN_FIRE, how=how)


class Few(Bed):
    """What is tried of every unit on every kind of line."""

    @pytest.mark.req("R-PERMIT", "R-UNCERTAIN")
    def test_one_permit_gives_one_pulse_even_of_unknown_outcome_and_no_other_gives_any(
        self, b: Bench
    ) -> None:
        b.ready(40)
        good, lower = (b.permit(40, permit_id=n, ttl_s=20) for n in (8, 7))
        foreign = {
            "run-8": b.permit(40, permit_id=9, run="run-8"),
            "seal": b.permit(40, permit_id=9, key=b"z" * 32),
            "expired": b.permit(40, permit_id=9, ttl_s=-0.001),
        }
        for word, permit in {**foreign, "no permit": None}.items():
            receipt = b.unit.fire(permit)
            assert (receipt.delivery, receipt.t_sent_s) == (Delivery.NOT_DELIVERED, None), word
            assert word in receipt.reason
        assert not self.fires(b)
        self.spoil(b)
        assert b.unit.fire(good).delivery is Delivery.UNCERTAIN
        b.until(lambda: not b.armed(), within_s=0.1)
        for permit in (good, lower):
            receipt = b.unit.fire(permit)
            assert (receipt.delivery, receipt.t_sent_s) == (Delivery.NOT_DELIVERED, None)
            assert "not above the last spent" in receipt.reason
        assert "unknown outcome" in b.unit.fire(b.permit(40, permit_id=10)).reason
        assert b.unit.trouble().fault is Fault.UNCERTAIN_PULSE
        assert len(self.fires(b)) == b.discharges == 1


class Ends(Few):
    """With one cheap look at silence and at disarm from every state; ``Whole`` has each of them by itself."""

    @pytest.mark.req("R-DISARM")
    def test_silence_is_told_in_time_and_disarm_works_from_every_state(self, b: Bench) -> None:
        for enter in (lambda: b.unit.set_power(40), b.unit.arm, b.unit.disarm):
            enter()
            _disarms(b)
        b.unit.arm()
        assert b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED  # a plain disarm took nothing away
        _disarms(b)
        b.sleep(0.2)  # it has been confirmed
        b.inject(FaultKind.MUTE)
        start_s = b.clock.now_s()
        with pytest.raises(UnitProblem) as problem:
            b.unit.set_power(41)
        assert b.clock.now_s() - start_s <= 0.5
        assert problem.value.fault is Fault.UNIT_SILENT
        _disarms(b)  # silent as it is
        b.board.ask_stop()
        b.until(lambda: b.board["stop_confirmed"] == -1, within_s=1.0)
        _disarms(b)
        assert len(self.fires(b)) == b.discharges == 1


def _disarms(b: Bench) -> None:
    """Within 0.5 s, with EA on the line, and the unit itself rests."""
    mark_s = b.clock.now_s()
    b.unit.disarm()
    assert b.clock.now_s() - mark_s <= 0.5 + (0.0 if b.stepped else Bed.late_s)
    b.until(lambda: bool(b.sent(EA, since_s=mark_s)), within_s=0.05)
    assert not b.armed()


class Wire(Few):
    """What is tried of the 200² on every kind of line."""

    def test_a_pulse_and_its_numbers(self, b: Bench) -> None:
        assert b.unit.status().standby
        assert b.unit.set_power(37).power_pct_mso == 37
        assert b.unit.arm().ready
        before_s = b.clock.now_s()
        receipt = b.unit.fire(b.permit(37))
        assert receipt.delivery is Delivery.DELIVERED, receipt
        assert before_s <= receipt.t_sent_s < receipt.t_reply_s <= before_s + 0.1
        assert receipt.status.ready == self.told_by_the_reply
        assert [d.power_pct_mso for d in b.sim.discharges] == [37]
        assert abs(b.sim.discharges[0].t_s - receipt.t_sent_s) < 0.03
        b.unit.disarm()
        b.sleep(0.1)
        assert b.unit.status().standby
        assert not b.armed()

    def test_unplug_is_seen_at_once(self, b: Bench) -> None:
        b.ready()
        b.inject(FaultKind.UNPLUG)
        b.sleep(0.05)
        start_s = b.clock.now_s()
        receipt = b.unit.fire(b.permit(40))
        assert b.clock.now_s() - start_s < 0.5
        assert receipt.delivery in (Delivery.NOT_DELIVERED, Delivery.UNCERTAIN)
        with pytest.raises(UnitProblem) as problem:
            b.unit.set_power(30)
        assert problem.value.fault is Fault.UNIT_LOST
        with pytest.raises(UnitProblem) as problem:
            b.unit.disarm()
        assert problem.value.fault is Fault.UNIT_LOST
        b.sleep(1.2)
        assert not b.armed()  # by its own watchdog
        assert b.discharges == 0

    @pytest.mark.req("R-DISARM")
    @pytest.mark.parametrize("mute", [False, True])
    def test_stop_reaches_the_line_even_past_a_mute_unit(self, b: Bench, mute: bool) -> None:
        b.ready()
        if mute:
            b.inject(FaultKind.MUTE, only=b.keep[:1].decode())
            b.inject(FaultKind.MUTE, only="Q")
        asked_s = b.stop_while_a_reply_is_awaited()
        b.until(lambda: bool(b.sent(EA, since_s=asked_s)), within_s=0.3)
        assert b.sent(EA, since_s=asked_s)[0] - asked_s <= 0.05  # measured: about 6 ms
        assert not b.armed()
        b.until(lambda: b.board["stop_confirmed"] == (-1 if mute else 1), within_s=1.0)
        assert b.board["stop_served"] > 0
        with pytest.raises(UnitProblem) as problem:
            b.unit.arm()
        assert problem.value.fault is Fault.STOP
        assert b.unit.fire(b.permit(40)).delivery is Delivery.NOT_DELIVERED
        b.unit.disarm()  # never refused

    def test_closing_leaves_it_disarmed_and_released(self, b: Bench) -> None:
        b.ready()
        mark_s = b.clock.now_s()
        b.unit.close()
        assert b.sent(EA, since_s=mark_s)
        assert b.sent(b"R@", since_s=mark_s)
        assert not b.armed()
        b.unit.close()
        b.unit.disarm()


class Core(Wire):
    """What is tried through a real port process as well."""

    @pytest.mark.req("R-PERMIT")
    def test_no_permit_that_is_wrong_puts_a_byte_of_fire_on_the_line(self, b: Bench) -> None:
        b.ready(40)
        good = b.permit(40, permit_id=10)
        wrong = {
            "another run": b.permit(40, run="run-8"),
            "made up": replace(good, seal=b"x" * 32),
            "another key": b.permit(40, key=b"z" * 32),
            "changed power": replace(good, power_pct_mso=41),
            "other power": b.permit(41, permit_id=11),
            "expired": b.permit(40, ttl_s=-0.001),
            "not a number": b.permit(40, expires_s=math.nan),
            "never expires": b.permit(40, expires_s=math.inf),
            "none": None,
        }
        for name, permit in wrong.items():
            receipt = b.unit.fire(permit)
            assert receipt.delivery is Delivery.NOT_DELIVERED, name
            assert receipt.t_sent_s is None, name
            assert receipt.reason.startswith("missed" if name == "expired" else "refused"), (
                name,
                receipt.reason,
            )
        assert not self.fires(b)
        assert b.unit.fire(good).delivery is Delivery.DELIVERED  # and the good one still goes

    @pytest.mark.req("R-UNCERTAIN")
    @pytest.mark.parametrize("how", ["lost", "bad_crc"])
    def test_a_pulse_of_unknown_outcome_disarms_and_trips(self, b: Bench, how: str) -> None:
        b.ready(40)
        self.spoil(b, how)
        start_s = b.clock.now_s()
        receipt = b.unit.fire(b.permit(40))
        assert b.clock.now_s() - start_s <= 0.5 + self.late_s
        assert receipt.delivery is Delivery.UNCERTAIN
        assert receipt.t_sent_s is not None
        b.until(lambda: not b.armed(), within_s=0.1)
        assert b.discharges == 1
        assert b.unit.fire(b.permit(40)).delivery is Delivery.NOT_DELIVERED
        with pytest.raises(UnitProblem, match="rest of this run") as problem:
            b.unit.arm()
        assert problem.value.fault is Fault.UNCERTAIN_PULSE
        b.sleep(0.3)
        assert b.unit.trouble().fault is Fault.UNCERTAIN_PULSE
        assert b.discharges == 1

    @pytest.mark.req("R-ORPHAN")
    def test_an_engine_that_freezes_loses_the_unit(self, b: Bench) -> None:
        b.ready()
        b.sleep(0.3)
        b.beating = False
        frozen_s = b.board["beat_engine"] * 1e-9
        b.until(lambda: bool(b.sent(EA, since_s=frozen_s)), within_s=0.6)
        late_s = b.sent(EA, since_s=frozen_s)[0] - b.board["beat_engine"] * 1e-9
        assert 0.2 < late_s <= 0.3
        b.beating = True
        b.sleep(0.3)
        receipt = b.unit.fire(b.permit(40))
        assert (receipt.delivery, receipt.t_sent_s) == (Delivery.NOT_DELIVERED, None)
        assert not b.armed()
        assert b.unit.set_power(41).standby  # allowed again, and arms nothing
        assert b.unit.arm().ready  # the operator armed anew: the fault table lets this clear it
        assert b.discharges == 0


class Replies(Bed):
    """What a unit answers to ``EH``, and what comes of it."""

    def test_an_acknowledged_pulse_with_a_bad_status_byte_is_uncertain(self, b: Bench) -> None:
        b.ready(40)
        b.inject(FaultKind.REPLACE_COIL)
        receipt = b.unit.fire(b.permit(40))
        assert receipt.delivery is Delivery.UNCERTAIN
        assert "replaced" in receipt.reason
        b.until(lambda: not b.armed(), within_s=0.1)

    def test_a_unit_that_refuses_is_not_delivered(self, b: Bench) -> None:
        b.ready(40)
        b.inject(FaultKind.ANSWER_CONFLICT, only="EH", times=1)
        receipt = b.unit.fire(b.permit(40))
        assert receipt.delivery is Delivery.NOT_DELIVERED, receipt
        assert receipt.t_sent_s is not None
        assert b.discharges == 0
        assert b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED

    @pytest.mark.req("R-UNCERTAIN")
    @pytest.mark.parametrize("pulses", [0, 1])
    def test_a_lone_question_mark_after_fire_is_uncertain(self, b: Bench, pulses: int) -> None:
        """A unit knows the fire command: the byte was damaged on its way, and the true reply may yet come."""
        b.ready(40)
        how: dict[str, Any] = {"kind": FaultKind.STRAY_BYTES, "data": b"?", "delay_s": 0.02}
        b.inject(**(how if pulses else {"kind": FaultKind.ANSWER_UNKNOWN}), only="EH", times=1)
        receipt = b.unit.fire(b.permit(40))
        assert receipt.delivery is Delivery.UNCERTAIN, receipt
        b.until(lambda: not b.armed(), within_s=0.1)
        b.sleep(0.3)
        assert b.discharges == pulses
        assert b.unit.status().standby  # the late reply was taken for nothing else
        assert b.unit.trouble().fault is Fault.UNCERTAIN_PULSE

    @pytest.mark.req("R-RATE")
    def test_two_pulses_closer_than_the_unit_allows_are_refused_by_the_driver_itself(self, b: Bench) -> None:
        b.ready(40)
        b.inject(FaultKind.FIRE_WITHOUT_DISCHARGE, times=1)  # so the unit itself would be ready again at once
        assert b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED
        b.sleep(0.75 * self.gap_s)
        assert b.unit.status().ready
        receipt = b.unit.fire(b.permit(40))
        assert (receipt.delivery, receipt.t_sent_s) == (Delivery.NOT_DELIVERED, None)
        assert f"{self.gap_s:g} s needed" in receipt.reason
        assert len(self.fires(b)) == 1

    def test_half_a_reply_to_fire_is_uncertain(self, b: Bench) -> None:
        b.ready(40)
        b.inject(FaultKind.SHORT_REPLY, only="EH", n_bytes=2)
        assert b.unit.fire(b.permit(40)).delivery is Delivery.UNCERTAIN
        b.until(lambda: not b.armed(), within_s=0.1)

    def test_stray_bytes_before_the_reply_to_fire_are_uncertain(self, b: Bench) -> None:
        b.ready(40)
        b.inject(FaultKind.STRAY_BYTES, only="EH", data=b"?")
        assert b.unit.fire(b.permit(40)).delivery is Delivery.UNCERTAIN
        assert b.discharges == 1


class Most(Core, Ends):
    """What is tried however the unit is fired."""

    @pytest.mark.req("R-PERMIT")
    def test_a_spent_permit_and_a_lower_one_never_fire_again(self, b: Bench) -> None:
        b.ready(40)
        good, lower, next_one = (b.permit(40, permit_id=n, ttl_s=20) for n in (5, 4, 6))
        assert b.unit.fire(good).delivery is Delivery.DELIVERED
        b.sleep(self.gap_s + 0.2)
        for permit in (good, lower):
            receipt = b.unit.fire(permit)
            assert (receipt.delivery, receipt.t_sent_s) == (Delivery.NOT_DELIVERED, None)
            assert "not above the last spent" in receipt.reason
        assert b.discharges == 1
        assert b.unit.fire(next_one).delivery is Delivery.DELIVERED
        assert b.discharges == 2

    def test_a_unit_that_is_still_charging_is_not_fired(self, b: Bench) -> None:
        b.ready(40)
        assert b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED
        b.sleep(0.3)
        assert "not ready" in b.unit.fire(b.permit(40)).reason
        assert len(self.fires(b)) == 1

    def test_two_missed_keep_alives_in_standby_trip_and_one_does_not(self, b: Bench) -> None:
        b.inject(FaultKind.MUTE, times=1)
        b.sleep(4.0)
        assert b.unit.trouble() is None
        b.inject(FaultKind.MUTE)
        b.sleep(5.0)
        assert b.unit.trouble().fault is Fault.UNIT_SILENT

    def test_not_armed_does_not_fire(self, b: Bench) -> None:
        b.unit.set_power(40)
        receipt = b.unit.fire(b.permit(40))
        assert receipt.delivery is Delivery.NOT_DELIVERED
        assert "not armed" in receipt.reason
        assert not self.fires(b)

    @pytest.mark.req("R-DISARM")
    @pytest.mark.parametrize("kind", [FaultKind.UNPLUG, FaultKind.MUTE, None])
    def test_a_unit_lost_or_silent_at_the_end_is_not_told_as_disarmed_and_released(
        self, b: Bench, kind: FaultKind | None
    ) -> None:
        b.ready()
        if kind is not None:
            b.inject(kind)
            b.sleep(1.0)
        b.unit.close()
        assert b.board["port_state"] == (CLOSED if kind is None else FAILED)

    def test_silence_while_armed_disarms(self, b: Bench) -> None:
        b.ready()
        b.inject(FaultKind.MUTE)
        took_s = b.until(lambda: not b.armed(), within_s=1.0)
        assert took_s <= 0.4 + 0.01 + self.late_s  # a keep-alive's interval and a reply's deadline
        b.sleep(0.1)
        assert b.unit.trouble().fault is Fault.UNIT_SILENT

    @pytest.mark.req("R-UNCERTAIN")
    def test_a_unit_that_is_silent_at_a_fire_command_is_told_in_time(self, b: Bench) -> None:
        b.ready(40)
        b.inject(FaultKind.MUTE)
        start_s = b.clock.now_s()
        assert b.unit.fire(b.permit(40)).delivery is Delivery.UNCERTAIN
        assert b.clock.now_s() - start_s <= 0.5 + self.late_s
        b.until(lambda: not b.armed(), within_s=0.1)
        b.until(
            lambda: b.unit.trouble() is not None, within_s=1.0 + self.late_s
        )  # after it was asked whether it rests
        assert b.unit.trouble().fault is Fault.UNCERTAIN_PULSE

    def test_a_bad_check_byte_is_an_error(self, b: Bench) -> None:
        b.inject(FaultKind.BAD_CRC, times=1, only="@")
        with pytest.raises(UnitProblem) as problem:
            b.unit.set_power(30)
        assert problem.value.fault is Fault.UNIT_UNEXPECTED

    def test_unasked_bytes_are_not_taken_for_a_reply(self, b: Bench) -> None:
        b.inject(FaultKind.UNSOLICITED_BYTES, data=b"\x45\x8c\x2e")
        b.sleep(0.05)
        assert b.unit.set_power(33).power_pct_mso == 33

    @pytest.mark.parametrize("kind", [FaultKind.COIL_ABSENT, FaultKind.REPLACE_COIL])
    def test_a_coil_that_vanishes_or_must_be_replaced_disarms(self, b: Bench, kind: FaultKind) -> None:
        b.ready()
        b.inject(kind)
        b.until(lambda: not b.armed() and b.unit.trouble() is not None, within_s=0.25 + self.late_s)
        assert b.unit.trouble().fault is Fault.UNIT_UNEXPECTED

    def test_a_unit_that_never_gets_ready_is_disarmed_again(self, b: Bench) -> None:
        b.inject(FaultKind.STUCK_BUSY)
        start_s = b.clock.now_s()
        with pytest.raises(UnitProblem, match="ready"):
            b.unit.arm()
        assert b.clock.now_s() - start_s < 2.5
        b.until(lambda: not b.armed(), within_s=0.1)

    def test_standby_of_its_own_shows_in_the_status(self, b: Bench) -> None:
        b.ready()
        b.inject(FaultKind.STANDBY_UNEXPECTEDLY)
        b.until(lambda: b.unit.status().standby, within_s=0.25 + self.late_s)
        assert b.unit.fire(b.permit(40)).delivery is Delivery.NOT_DELIVERED

    def test_the_status_stays_young_and_the_arming_holds(self, b: Bench) -> None:
        b.ready()
        oldest_s = 0.0
        for _ in range(50):
            b.sleep(0.05)
            oldest_s = max(oldest_s, b.unit.status().age_s(b.clock.now_s()))
        assert oldest_s < 0.25 + self.late_s
        assert b.armed()
        assert b.unit.status().ready
        assert b.unit.status().coil_temp_c == pytest.approx(22.0, abs=0.2)

    @pytest.mark.parametrize("before_s", [0.005, 0.02, 0.035, 0.05])
    def test_nothing_is_sent_just_before_an_announced_pulse(self, b: Bench, before_s: float) -> None:
        """Though a reading of the temperature, each 2 s, would fall due just before it."""
        b.ready()
        mark_s = b.clock.now_s()
        b.until(lambda: bool(b.sent(b"F", since_s=mark_s)), within_s=2.5)
        due_s = b.sent(b"F", since_s=mark_s)[-1] + 2.0 + before_s
        b.unit.announce(due_s)
        b.sleep(due_s - b.clock.now_s())
        assert not [t_s for t_s, _ in b.sim.packets if due_s - 0.05 < t_s < due_s]
        assert b.sent(b.keep, since_s=due_s - 0.12)  # a fresh status byte shortly before it
        b.sleep(0.5)
        for put_off in (b.keep, b"F"):
            assert b.sent(put_off, since_s=due_s)  # not left out
        assert b.armed()

    def test_the_sim_was_given_only_well_known_commands(self, b: Bench) -> None:
        b.ready()
        assert b.unit.fire(b.permit(40, key=KEY)).delivery is Delivery.DELIVERED
        b.sleep(1.5)
        with b.lock():
            heads = {packet[:1] for _, packet in b.sim.packets}
        assert heads <= self.heads

    def test_silence_is_an_error_in_time(self, b: Bench) -> None:
        b.unit.set_power(30)
        b.inject(FaultKind.MUTE)
        start_s = b.clock.now_s()
        with pytest.raises(UnitProblem) as problem:
            b.unit.set_power(31)
        assert b.clock.now_s() - start_s <= 0.5
        assert problem.value.fault is Fault.UNIT_SILENT

    @pytest.mark.req("R-DISARM")
    def test_disarm_from_every_state(self, b: Bench) -> None:
        def tripped() -> None:
            b.board.ask_stop()
            b.until(lambda: b.board["stop_confirmed"] == 1, within_s=1.0)

        states = [lambda: None, lambda: b.unit.set_power(30), b.unit.arm, b.unit.disarm]
        for enter in states:
            enter()
            _disarms(b)
        assert b.unit.arm().ready  # a plain disarm takes nothing away
        assert len(b.sent(EB)) == 2
        tripped()
        _disarms(b)

    @pytest.mark.req("R-DISARM")
    @pytest.mark.parametrize("on_the_way", ["ramp", "arming"])
    def test_disarm_in_the_middle_of_a_ramp_or_of_arming_ends_it(self, b: Bench, on_the_way: str) -> None:
        command, ask = {
            "ramp": (b"@090", lambda: b.unit.set_power(90)),  # half a second from 40 %
            "arming": (EB, b.unit.arm),  # 0.1 s
        }[on_the_way]
        with b.meanwhile(command, b.unit.disarm, after_s=0.03) as asked_s, pytest.raises(UnitProblem):
            ask()
        assert b.clock.now_s() - asked_s[0] < 0.1
        assert 0 <= b.sent(EA, since_s=asked_s[0])[0] - asked_s[0] <= 0.05
        b.sleep(0.3)
        assert not b.armed()
        assert b.unit.trouble() is None  # a plain disarm takes nothing away
        b.ready(40)


class Whole(Most, Replies):
    """All of it, for every model; on lines with a real port process only when RTLOOP_LONG is set (1 to 3 min each)."""


class InThisProcess(Most):
    """With what only a port process in this one can show."""

    kind = "stepped"
    late_s = 0.0

    @pytest.mark.req("R-BELIEF")
    def test_silence_is_told_within_half_a_second_wherever_in_the_keep_alive_it_begins(
        self, b: Bench
    ) -> None:
        for after_s in (0.0, 0.03, 0.06, 0.09, 0.12, 0.15):
            b.ready(40)
            mark_s = b.clock.now_s()
            b.until(lambda mark_s=mark_s: bool(b.sent(b.keep, since_s=mark_s)), within_s=0.5)
            b.sleep(after_s)
            b.inject(FaultKind.MUTE)
            took_s = b.until(lambda: b.unit.trouble() is not None, within_s=1.0)
            assert took_s <= 0.45
            assert b.unit.trouble().fault is Fault.UNIT_SILENT
            assert not b.armed()
            with b.lock():
                b.sim.clear()
            b.sleep(1.1)  # until no late reply can come any more

    @pytest.mark.req("R-BELIEF")
    @pytest.mark.parametrize(("still_s", "fired"), [(0.95, True), (1.01, False), (3.0, False)])
    def test_a_port_process_that_stood_still_fires_on_no_old_status_byte(
        self, b: Bench, still_s: float, fired: bool
    ) -> None:
        """It got no core: what it saw last may long be over, though the engine lives and the permit is good."""
        b.ready(40)
        b.unit._busy = True  # no step of it
        b.sleep(b.unit.status().t_s + still_s - b.clock.now_s())
        b.unit._busy = False
        receipt = b.unit.fire(b.permit(40))
        assert receipt.delivery is (Delivery.DELIVERED if fired else Delivery.NOT_DELIVERED)
        assert len(self.fires(b)) == b.discharges == fired
        if not fired:
            assert f"the last status byte is {still_s:.2f} s old" in receipt.reason


class Stepped(InThisProcess, Whole):
    """All of it on a stepped line."""


class TestStepped(Stepped):
    kind = "stepped"


class TestSocket(Whole if os.environ.get("RTLOOP_LONG") else Core):  # type: ignore[misc]
    kind = "socket"


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
class TestPty(Whole if os.environ.get("RTLOOP_LONG") else Wire):  # type: ignore[misc]
    kind = "pty"
