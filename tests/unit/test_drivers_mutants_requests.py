"""What mutation testing found unproved in what is said to the port process and at the STOP line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from trigger_tools import Desk, output_desk

from drivers import stop_line
from drivers.magstim.exchange import ARMED_REPLY_S, REPLY_DEADLINE_S
from drivers.requests import FIRE_S, RE_ARM, Ask, Options, Request, Trip, unanswered
from drivers.single import SOON_S, TRIES_S
from rtloop.model.pulse import Delivery, Train
from rtloop.model.status import Fault
from rtloop.ports import Permit

# ---- requests


def test_a_request_says_nothing_that_was_not_asked() -> None:
    assert Request(n=3, ask=Ask.ARM) == Request(
        n=3, ask=Ask.ARM, power_pct_mso=0, train=None, pair=None, permit=None, due_s=0.0
    )


def test_options_that_are_not_given_promise_nothing() -> None:
    options = Options()
    assert (options.supply_v, options.unlock_code, options.software_at_least) == (240, "", ())
    assert options.stops_running_train is False
    assert (options.trigger, options.stop_line, options.stop_level, options.transcript) == (
        None,
        None,
        "low",
        None,
    )


def test_the_answer_to_a_fire_command_has_the_time_of_every_exchange_that_may_come_before_it() -> None:
    """And no more than an operator can wait."""
    write_s, ea_s = 0.3, 0.3 + SOON_S + 0.1
    before_s, fire_s = write_s + ARMED_REPLY_S, write_s + ARMED_REPLY_S
    asked_s = (
        TRIES_S + 2 * REPLY_DEADLINE_S + ea_s
    )  # the last try, twice where the first answer may be an older one's
    assert before_s + fire_s + ea_s + 2 * asked_s < FIRE_S <= 6.0


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(("train", "bounds"), [(None, (None, None)), (2, (0, 2)), (20, (0, 20))])
def test_a_fire_command_without_an_answer_may_have_given_nothing_to_all_of_it(
    train: int | None, bounds: tuple[int | None, int | None]
) -> None:
    fields = {
        "permit_id": 1, "run_id": "r", "pulse_id": 1, "power_pct_mso": 40, "expires_s": 9.0,
        "train": None if train is None else Train(frequency_hz=10, n_pulses=train), "pair": None,
    }  # fmt: skip
    receipt = unanswered(Permit(**fields, seal=b""), None, "no answer")  # type: ignore[arg-type]
    assert (receipt.delivery, receipt.reason) == (Delivery.UNCERTAIN, "no answer")
    assert (receipt.t_sent_s, receipt.t_reply_s) == (None, None)
    assert (receipt.pulses_min, receipt.pulses_max) == bounds


@pytest.mark.req("R-BELIEF")
@pytest.mark.parametrize("fault", list(Fault))
def test_what_arming_anew_clears_is_told_so_and_the_rest_ends_the_run(fault: Fault) -> None:
    clears = fault in (Fault.ENGINE_LATE, Fault.UNIT_SILENT, Fault.UNIT_UNEXPECTED)
    assert (fault in RE_ARM) == clears
    problem = Trip(fault=fault, words="why", t_s=1.0).problem()
    assert problem.fault is fault
    assert ("rest of this run" in problem.what) != clears
    assert problem.todo == (
        "find the cause, arm again" if clears else "find the cause, note it, start a new run"
    )
    assert "why" in problem.what


# ---- the STOP line


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with output_desk(tmp_path) as made:
        yield made


@pytest.mark.req("R-STOP")
def test_a_stop_line_may_take_50_ms(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = desk.stop()
    desk.port.slow_s = 0.049
    assert stop.assert_stop()
    monkeypatch.setattr(stop_line, "ANSWER_S", 0.0625)  # so many seconds to the last bit of a float
    desk.port.slow_s = 0.0625
    assert stop.assert_stop()
    assert (stop.trouble, stop.stopping) == ("", True)
    desk.port.slow_s = 0.064
    assert not stop.assert_stop()
    assert stop.stopping  # late, but so it is
