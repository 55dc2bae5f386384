"""Owns the check of every fault of the simulated unit and of the fault file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from simunit_tools import Bench, packet, ready_bench

from hardware_sim.faults import Fault, FaultKind, load_faults, parse_faults
from hardware_sim.magstim import Unit200
from rtloop.errors import ValidationProblem


def faulty(kind: FaultKind, **fields: object) -> Bench:
    """A ready unit that has the fault from now on."""
    bench = ready_bench()
    bench.unit.inject(Fault(kind=kind, **fields))  # type: ignore[arg-type]
    return bench


def test_mute_obeys_and_says_nothing() -> None:
    bench = faulty(FaultKind.MUTE)
    assert bench.ask(b"@050") == b""
    assert bench.unit.state().setpoint_pct_mso == 50
    bench.unit.clear(FaultKind.MUTE)
    assert bench.ask(b"Q@")[:1] == b"Q"


def test_with_the_cable_out_nothing_is_heard_and_the_unit_lets_go_by_itself() -> None:
    bench = faulty(FaultKind.CABLE_OUT)
    for _ in range(20):
        assert bench.ask(b"Q@") == b""  # asking does not keep it armed, as it would with ``mute``
        bench.wait(0.1)
    assert not bench.unit.state().armed
    assert not bench.unit.state().remote
    assert not bench.unit.unplugged(bench.now_s)
    bench.unit.clear(FaultKind.CABLE_OUT)
    assert bench.ask(b"Q@")[:1] == b"Q"


def test_short_reply() -> None:
    assert faulty(FaultKind.SHORT_REPLY).ask(b"J@") == b"J"
    assert faulty(FaultKind.SHORT_REPLY, n_bytes=11).ask(b"J@") == b"J\x8c040000000"
    assert faulty(FaultKind.SHORT_REPLY, n_bytes=0).ask(b"J@") == b""


def test_delayed_reply_is_late_and_later_ones_queue_behind() -> None:
    bench = faulty(FaultKind.DELAYED_REPLY, delay_s=0.3, times=1)
    ((late_s, _),) = bench.unit.receive(packet(b"J@"), bench.now_s)
    assert late_s - bench.now_s == pytest.approx(0.3 + 0.001 + 15 * 10 / 9600)
    ((next_s, _),) = bench.unit.receive(packet(b"Q@"), bench.now_s + 0.02)
    assert next_s == pytest.approx(late_s + 3 * 10 / 9600)


def test_bad_crc_changes_only_the_last_byte() -> None:
    reply = faulty(FaultKind.BAD_CRC).ask(b"J@")
    good = packet(b"J\x8c040000000")
    assert reply[:-1] == good[:-1]
    assert reply[-1] != good[-1]


def test_stray_and_unsolicited_bytes() -> None:
    assert faulty(FaultKind.STRAY_BYTES, data=b"\x00E").ask(b"Q@") == b"\x00E" + packet(b"Q\x8c")
    bench = faulty(FaultKind.STRAY_BYTES, data=b"?", delay_s=0.02)
    (early_s, stray), (late_s, reply) = bench.unit.receive(packet(b"Q@"), bench.now_s)
    assert (stray, reply) == (b"?", packet(b"Q\x8c"))
    assert late_s - early_s == pytest.approx(0.02 + 2 * 10 / 9600)
    bench = ready_bench()
    bench.unit.inject(Fault(kind=FaultKind.UNSOLICITED_BYTES, data=b"zz", start_s=0.05))
    sent = [reply for i in range(20) for reply in bench.unit.tick(bench.now_s + i * 0.01)]
    assert sent == [(pytest.approx(bench.now_s + 0.05 + 0.001 + 2 * 10 / 9600), b"zz")]


def test_answers_that_refuse_leave_the_unit_as_it_was() -> None:
    assert faulty(FaultKind.ANSWER_UNKNOWN).ask(b"Q@") == b"?"
    bench = faulty(FaultKind.ANSWER_CONFLICT, only="EH")
    assert bench.ask(b"EH") == packet(b"ES")
    assert bench.unit.discharges == []
    assert bench.ask(b"Q@") == packet(b"Q\x8c")


def test_stuck_busy_arms_but_is_never_ready() -> None:
    bench = Bench(Unit200(faults=(Fault(kind=FaultKind.STUCK_BUSY, end_s=5.0),)))
    bench.ask(b"Q@")
    bench.ask(b"EB")
    bench.wait(4.5, alive=True)
    assert bench.ask(b"EH") == packet(b"ES")
    assert bench.ask(b"Q@") == packet(b"Q\x8a")
    bench.wait(0.5, alive=True)
    assert bench.ask(b"Q@") == packet(b"Q\x8c")


@pytest.mark.parametrize(
    ("fault", "instr"),
    [
        (Fault(kind=FaultKind.COIL_ABSENT), 0x81),
        (Fault(kind=FaultKind.ERROR_BIT), 0xA9),
        (Fault(kind=FaultKind.ERROR_BIT, fatal=True), 0xE9),
        (Fault(kind=FaultKind.HOT_COIL, temp_c=40.1), 0x89),
    ],
)
def test_protections_disarm_and_refuse_to_arm_until_the_cause_is_gone(fault: Fault, instr: int) -> None:
    bench = ready_bench()
    bench.unit.inject(fault)
    assert bench.ask(b"Q@") == packet(bytes([ord("Q"), instr]))
    assert bench.ask(b"EB") == packet(b"ES")
    assert bench.ask(b"EH") == packet(b"ES")
    bench.unit.clear()
    assert bench.ask(b"EB") == packet(b"E\x89")
    assert bench.unit.discharges == []


def test_replace_coil_and_a_merely_warm_coil_only_show() -> None:
    assert faulty(FaultKind.REPLACE_COIL).ask(b"Q@") == packet(b"Q\x9c")
    bench = faulty(FaultKind.HOT_COIL, temp_c=38.5)
    assert bench.ask(b"F@") == packet(b"F\x8c385385")


@pytest.mark.parametrize(("how", "reply"), [("lost", b""), ("bad_crc", None)])
def test_uncertain_fire_discharges_though_the_reply_is_no_proof(how: str, reply: bytes | None) -> None:
    bench = faulty(FaultKind.UNCERTAIN_FIRE, how=how)
    said = bench.ask(b"EH")
    assert len(bench.unit.discharges) == 1
    if reply is None:
        assert said[:2] == b"E\x8c"
        assert said != packet(said[:2])
    else:
        assert said == reply
    assert bench.ask(b"Q@") == packet(b"Q\x8a")


def test_an_uncertain_fire_that_conflicts_is_answered_plainly() -> None:
    bench = Bench(Unit200(faults=(Fault(kind=FaultKind.UNCERTAIN_FIRE),)))
    assert bench.ask(b"EH") == packet(b"ES")


def test_fire_without_discharge_is_acknowledged() -> None:
    bench = faulty(FaultKind.FIRE_WITHOUT_DISCHARGE, times=1)
    assert bench.ask(b"EH") == packet(b"E\x8c")
    assert bench.unit.discharges == []
    assert bench.ask(b"EH") == packet(b"E\x8c")
    assert len(bench.unit.discharges) == 1


def test_standby_unexpectedly_happens_once() -> None:
    bench = faulty(FaultKind.STANDBY_UNEXPECTEDLY, start_s=0.2)
    bench.wait(0.15)
    assert bench.ask(b"Q@") == packet(b"Q\x8c")
    bench.wait(0.1)
    assert bench.ask(b"Q@") == packet(b"Q\x89")
    assert bench.ask(b"EB") == packet(b"E\x89")
    bench.wait(1.1, alive=True)
    assert bench.unit.state().ready


def test_an_unplugged_unit_hears_nothing_and_loses_control_by_itself() -> None:
    bench = faulty(FaultKind.UNPLUG)
    assert bench.ask(b"EH") == b""
    assert bench.unit.unplugged(bench.now_s)
    bench.wait(1.1)
    assert not bench.unit.state().armed
    assert bench.unit.discharges == []


def test_faults_given_at_the_start_count_from_the_first_instant_shown() -> None:
    fault = Fault(kind=FaultKind.MUTE, start_s=2.0, end_s=3.0)
    bench = Bench(Unit200(faults=(fault,)), now_s=5000.0)
    for now_s, heard in [(5001.9, True), (5002.1, False), (5002.9, False), (5003.1, True)]:
        bench.now_s = now_s
        assert (bench.ask(b"Q@") != b"") is heard, now_s


def test_a_fault_file_is_read() -> None:
    text = """
    [[fault]]
    kind = "stray_bytes"
    start_s = 1.5
    data = "00ff"
    only = "EH"
    times = 2
    [[fault]]
    kind = "error_bit"
    start_s = 3
    end_s = 4
    fatal = true
    """
    assert load_faults(text) == (
        Fault(kind=FaultKind.STRAY_BYTES, start_s=1.5, data=b"\x00\xff", only="EH", times=2),
        Fault(kind=FaultKind.ERROR_BIT, start_s=3, end_s=4, fatal=True),
    )
    assert load_faults("") == ()


def test_all_mistakes_of_a_fault_file_are_told_at_once() -> None:
    text = """
    colour = 1
    [[fault]]
    kind = "muet"
    start_s = 0
    [[fault]]
    kind = "mute"
    start_s = -1
    strat_s = 2
    [[fault]]
    kind = "hot_coil"
    end_s = nan
    fatal = true
    [[fault]]
    kind = "unplug"
    start_s = 1
    end_s = 2
    [[fault]]
    kind = "stray_bytes"
    start_s = 1
    data = "xyz"
    """
    with pytest.raises(ValidationProblem) as caught:
        load_faults(text)
    found = caught.value.found
    for words in (
        "'colour'",
        "fault 1: kind must be one of",
        "fault 2 (mute): unknown key 'strat_s'",
        "fault 2 (mute): start_s must be",
        "fault 3: 'start_s' is missing",
        "fault 3 (hot_coil): 'temp_c' is missing",
        "fault 3 (hot_coil): 'fatal' does not belong here",
        "fault 3 (hot_coil): end_s must be",
        "fault 4 (unplug): 'end_s' does not belong here",
        "fault 5: data must be hex digits",
    ):
        assert words in found, words


@pytest.mark.parametrize(
    "text", ["[fault]\nkind = 'mute'\nstart_s = 0", "fault = 3", "[[fault", "fault = [1]"]
)
def test_a_fault_file_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(ValidationProblem):
        load_faults(text)


def test_every_kind_can_be_written_in_a_file() -> None:
    extra = {"delayed_reply": {"delay_s": 0.1}, "hot_coil": {"temp_c": 41}}
    extra |= {"stray_bytes": {"data": "00"}, "unsolicited_bytes": {"data": "00"}, "port_back": {"end_s": 2}}
    tables = [{"kind": str(kind), "start_s": 1.0, **extra.get(kind, {})} for kind in FaultKind]
    assert [fault.kind for fault in parse_faults(tables)] == list(FaultKind)


def test_a_fault_made_in_code_is_checked_too() -> None:
    with pytest.raises(ValidationProblem):
        Fault(kind=FaultKind.MUTE, start_s=float("nan"))
    with pytest.raises(ValidationProblem):
        Fault(kind=FaultKind.DELAYED_REPLY)


def test_the_documented_file_format_is_the_one_that_is_read() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "simulated-units.md").read_text(encoding="utf-8")
    example = text.split("```toml")[1].split("```")[0]
    assert [fault.kind for fault in load_faults(example)] == ["port_back", "bad_crc", "two_owners"]
    values = {
        "delay_s": 0.1,
        "data": "00",
        "temp_c": 41,
        "n_bytes": 1,
        "only": "EH",
        "times": 1,
        "fatal": True,
    }
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ?([^|]*)\|$", text.split("## Fault file")[1], re.MULTILINE)
    assert len(rows) == len(FaultKind)
    assert {kind for kind, _ in rows} == set(FaultKind)
    for kind, keys in rows:
        table = {"kind": kind, "start_s": 0.0} | ({} if "no `end_s`" in keys else {"end_s": 1.0})
        named = set(re.findall(r"`(\w+)`", keys.replace("no `end_s`", ""))) & set(values)
        parse_faults([table | {key: values[key] for key in named}])
        for key in re.findall(r"\*\*`(\w+)`\*\*", keys):
            with pytest.raises(ValidationProblem):
                parse_faults([{k: v for k, v in (table | {n: values[n] for n in named}).items() if k != key}])
