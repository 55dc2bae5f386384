"""One record a pulse, whatever became of it; one pulse off by itself; what trigger or artifact should have shown."""

from __future__ import annotations

from typing import Any

import pytest
from test_session_accounts import TEN, follow, pulse, receipt, seen

from rtloop.model.event import Event
from rtloop.model.pulse import Delivery, FireReceipt, Outcome, PulseSeen, Source
from rtloop.model.status import Fault
from rtloop.model.view import fold_all, permitted
from rtloop.record.verify import verify
from rtloop.safety.gate import GateResult
from rtloop.session.accounts import Accounts
from rtloop.session.loopback import NEWEST, SINGLE_OFF_S, Band, Loopback, band_words
from rtloop.session.tally import Tally


def tally(**more: Any) -> Tally:
    return Tally(accounts=Accounts(), blocks={1: "run", 2: "control"}, **more)


def closed(outcome: Outcome, *, charged: bool, receipt: FireReceipt | None = None) -> GateResult:
    return GateResult(outcome=outcome, receipt=receipt, closing={"pulse_id": 1} if charged else None)


def said_no(t_sent_s: float | None, delivery: Delivery = Delivery.NOT_DELIVERED) -> FireReceipt:
    return FireReceipt(delivery=delivery, t_sent_s=t_sent_s, t_reply_s=None, status=None)


@pytest.mark.parametrize(
    ("outcome", "permit_id", "charged", "sent_s", "kind"),
    [
        (Outcome.REFUSED, None, False, None, "pulse_refused"),  # by a rule, when a permit was asked for
        (Outcome.MISSED, 7, False, None, "pulse_refused"),  # by a rule, at the last look
        (Outcome.MISSED, 7, True, None, "pulse_closed"),  # charged, too late to be sent
        (Outcome.REFUSED, 7, True, 2.0, "pulse_closed"),  # sent, and the unit said no
    ],
)
def test_a_refused_or_missed_pulse_has_its_record_at_once(
    outcome: Outcome, permit_id: int | None, charged: bool, sent_s: float | None, kind: str
) -> None:
    t = tally()
    result = closed(outcome, charged=charged, receipt=said_no(sent_s) if charged else None)
    first, record = t.closed(pulse(), result, sent_s, permit_id)
    assert (first.kind, record.kind) == (kind, "pulse_accounted")
    d = record.data
    stations = [d[k] for k in ("commanded", "permitted", "permit_id", "sent", "acknowledged", "delivery")]
    assert stations == [1, permit_id is not None, permit_id, sent_s is not None, False, "not_delivered"]
    assert (d["delivered_min"], d["delivered_max"], d["seen"], d["ok"]) == (0, 0, 0, True)
    assert d["outcome"] == outcome.value
    assert d["words"] == f"not delivered: {outcome.value}"
    assert not list(t.look(99.0))  # one record
    assert [n.kind for n in t.ended()] == ["latency_measured"]


def test_of_an_uncertain_pulse_it_is_not_known_whether_it_was_sent() -> None:
    for t_sent_s, sent in ((None, None), (1.9, True)):
        t = tally()
        broken = said_no(t_sent_s, Delivery.UNCERTAIN)
        t.closed(pulse(), closed(Outcome.UNCERTAIN, charged=True, receipt=broken), 2.0, 3)
        *_, record = t.look(9.0)
        assert (record.data["sent"], record.data["permit_id"]) == (sent, 3)
        assert record.data["delivered_max"] == 1


def test_the_end_of_a_session_closes_what_is_still_open_and_says_so() -> None:
    t = tally()
    t.closed(pulse(), closed(Outcome.FIRED, charged=True, receipt=receipt()), 2.0, 1)
    assert not list(t.look(2.1))
    record, delay = t.ended()
    assert (record.data["pulse_id"], record.data["ok"], delay.kind) == (1, False, "latency_measured")
    assert "the session ended before" in record.data["words"]
    assert [n.kind for n in t.ended()] == ["latency_measured"]


def test_where_no_stream_can_show_a_pulse_its_record_says_so_with_the_same_fields() -> None:
    t = tally(blind="no EEG here")
    _, unseen, record = t.closed(pulse(), closed(Outcome.FIRED, charged=True, receipt=receipt()), 2.0, 1)
    assert unseen.data == {"pulse_id": 1, "seen": 0, "expected": 1, "words": "no EEG here"}
    assert (unseen.fault, record.data["ok"], record.data["seen"]) == (None, True, 0)
    (started,) = t.closed(pulse(train=TEN), GateResult(outcome=Outcome.FIRED, receipt=receipt()), 5.0, 2)
    over = GateResult(outcome=Outcome.FIRED, receipt=receipt(9, 10), closing={"pulse_id": 1})
    closing, unseen, record = t.train_over(over)
    assert (started.kind, closing.kind, unseen.data["expected"]) == ("train_started", "pulse_closed", 9)
    assert (record.data["delivered_min"], record.data["delivered_max"]) == (9, 10)
    assert not list(t.ended())


def test_a_session_tells_seen_expected_and_words_of_a_pulse_that_is_missing() -> None:
    t = tally()
    t.closed(pulse(), closed(Outcome.FIRED, charged=True, receipt=receipt()), 2.0, 1)
    missing, _ = t.look(9.0)
    assert missing.data == {
        "pulse_id": 1,
        "seen": 0,
        "expected": 1,
        "words": "pulse 1 was acknowledged and is not in the stream",
    }


# -- trigger and artifact -------------------------------------------------------------------------------------------


def half(*sources: Source, absent: tuple[Source, ...]) -> PulseSeen:
    return PulseSeen(sample=2010, source=sources[0], t_s=2.01, sources=sources, absent=absent)


@pytest.mark.parametrize(
    ("sight", "words"),
    [
        (half(Source.TRIGGER, absent=(Source.ARTIFACT,)), "seen by trigger, no artifact in the EEG"),
        (half(Source.ARTIFACT, absent=(Source.TRIGGER,)), "seen by artifact, no edge in the trigger channel"),
        (half(Source.MARKER, absent=(Source.TRIGGER, Source.ARTIFACT)),
         "seen by marker, no edge in the trigger channel and no artifact in the EEG"),
        (half(Source.TRIGGER, Source.ARTIFACT, absent=()), ""),
        (half(Source.ARTIFACT, absent=()), ""),  # no trigger channel in this stream
    ],
)  # fmt: skip
def test_what_lacks_is_told_once_and_stands_in_the_record(sight: PulseSeen, words: str) -> None:
    t = tally()
    t.closed(pulse(), closed(Outcome.FIRED, charged=True, receipt=receipt()), 2.0, 1)
    row, fault = t.accounts.saw(sight)
    assert fault is None
    assert t.mismatch(row, sight) == (f"pulse 1: {words}" if words else "")
    assert t.mismatch(row, sight) == ""
    (record,) = t.look(9.0)
    assert record.data["ok"] is (not words)
    assert words in record.data["words"]
    assert record.data["delivered_min"] == 1  # seen is delivered


def test_of_a_control_block_no_artifact_is_wanted_but_the_edge_is() -> None:
    for absent, wrong in ((Source.ARTIFACT, False), (Source.TRIGGER, True)):
        t = tally()
        t.closed(pulse(2), closed(Outcome.FIRED, charged=True, receipt=receipt()), 2.0, 1)
        by = Source.TRIGGER if absent is Source.ARTIFACT else Source.ARTIFACT
        sight = half(by, absent=(absent,))
        assert bool(t.mismatch(t.accounts.saw(sight)[0], sight)) is wrong


def test_a_pulse_of_somebody_else_lacks_nothing() -> None:
    t = Tally(accounts=Accounts(listening=True))
    sight = half(Source.TRIGGER, absent=(Source.ARTIFACT,))
    assert t.mismatch(t.accounts.saw(sight)[0], sight) == ""


# -- the delay of a single pulse ------------------------------------------------------------------------------------


@pytest.mark.req("R-DELAY")
@pytest.mark.parametrize("off_s", [SINGLE_OFF_S + 0.001, -SINGLE_OFF_S - 0.001, 0.388])
@pytest.mark.parametrize("before", [0, 3, NEWEST])
def test_a_single_pulse_that_is_off_is_told_from_the_first_on(off_s: float, before: int) -> None:
    loop = Loopback(Band(expected_s=0.030))
    assert follow(loop, [0.030] * before) == []
    (said,) = follow(loop, [0.030 + off_s])
    assert said.startswith(f"a pulse came {30.0 + off_s * 1e3:.1f} ms after the command")
    assert "expected 30.0 ± 20.0 ms" in said
    assert not loop.numbers()["ok"]
    assert follow(loop, [0.030]) == [""]  # the next is as it should be


@pytest.mark.req("R-DELAY")
def test_within_the_band_of_one_pulse_nothing_is_said() -> None:
    loop = Loopback(Band(expected_s=0.030))
    assert follow(loop, [0.030 + 0.99 * SINGLE_OFF_S, 0.030 - 0.99 * SINGLE_OFF_S, 0.030] * 5) == []


@pytest.mark.req("R-DELAY")
def test_what_was_learnt_judges_the_next_pulse() -> None:
    loop = Loopback()
    assert follow(loop, [0.012] * NEWEST) == [""]
    assert len(follow(loop, [0.399])) == 1


@pytest.mark.req("R-DELAY")
def test_a_pulse_that_is_off_is_a_fault_and_its_record_is_not_ok() -> None:
    t = tally(loopback=Loopback(Band(expected_s=0.012)))
    t.closed(pulse(), closed(Outcome.FIRED, charged=True, receipt=receipt()), 2.0, 1)
    late = seen(2.399)
    row, _ = t.accounts.saw(late)
    (news,) = t.saw(row, late)
    assert news.fault is not None
    assert news.fault[0] is Fault.LATENCY_OFF
    (record,) = t.look(9.0)
    assert not record.data["ok"]
    assert "399.0 ms after the command" in record.data["words"]
    assert record.data["loopback_s"] == pytest.approx(0.399)


def test_the_band_of_one_pulse_is_said_and_an_older_one_still_reads() -> None:
    band = Band(expected_s=0.012).data()
    assert "median of the newest 5, each pulse ± 20 ms" in band_words(band)
    assert "each pulse" not in band_words({k: v for k, v in band.items() if k != "single_off_s"})
    with pytest.raises(ValueError, match="for one pulse"):
        Band(off_s=0.010, single_off_s=0.005)


# -- readers --------------------------------------------------------------------------------------------------------


def test_the_view_tells_permitted_by_the_record_and_in_older_journals_by_the_charge() -> None:
    def view_of(*events: tuple[str, dict[str, Any]]) -> Any:
        return fold_all(
            Event(n=n, t_s=0.0, utc="2026-01-01T00:00:00+00:00", kind=kind, data={"pulse_id": 1, **data})
            for n, (kind, data) in enumerate(events)
        ).pulses[1]

    old = ("pulse_accounted", {"commanded": 1, "sent": True, "delivered_max": 1})
    assert permitted(view_of(("pulse_intended", {"permit_id": 4})))
    assert permitted(view_of(("pulse_intended", {"permit_id": 4}), old))
    assert not permitted(view_of(("pulse_refused", {"outcome": "refused"})))
    late = ("pulse_accounted", {"permitted": True, "permit_id": 4, "sent": False, "delivered_max": 0})
    assert permitted(view_of(("pulse_refused", {"outcome": "missed"}), late))


RECORD = {"permit_id": 1, "commanded": 1, "permitted": True, "sent": True, "delivered_min": 1, "delivered_max": 1,
          "seen": 1}  # fmt: skip
GIVEN = [("pulse_seen", {"pulse_id": 1, "sample": 100, "source": "trigger"})]


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({}, ""),
        ({"permit_id": 2}, "charged with permit 1, its account says 2"),
        ({"permit_id": None}, "permitted: True, with permit None"),
        ({"permit_id": None, "permitted": False}, "sent without a permit or a charge"),
        ({"sent": False}, "nothing was sent, yet up to 1 delivered"),
        (None, "pulse 1: commanded, and its record was never closed"),
    ],
)
def test_verify_holds_the_stations_of_a_record_against_each_other(
    tmp_path: Any, record: dict[str, Any] | None, words: str
) -> None:
    from test_record_verify import INTENT, problems, session

    events: list[tuple[str, dict[str, Any]]] = [
        ("pulse_intended", {"pulse_id": 1, **INTENT, "permit_id": 1}),
        ("pulse_closed", {"pulse_id": 1, "outcome": "fired", "permit_id": 1}),
        *GIVEN,
        ("pulse_refused", {"pulse_id": 2, "outcome": "refused"}),
        ("pulse_accounted", {"pulse_id": 2, **RECORD, "permit_id": None, "permitted": False, "sent": False,
                             "delivered_min": 0, "delivered_max": 0, "seen": 0}),
    ]  # fmt: skip
    if record is not None:
        events.append(("pulse_accounted", {"pulse_id": 1, **RECORD, **record}))
    found = problems(verify(session(tmp_path, events).path))
    assert (words in found) if words else (found == "")
