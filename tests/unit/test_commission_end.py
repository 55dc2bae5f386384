"""The ends of a walk: what the record says, who signs it, and what Ctrl-C leaves; the frozen and the killed engine judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commission_tools import FIRMWARE, site_file

from rtloop.app import commission as whole
from rtloop.app import commission_orphan, halt
from rtloop.app.commission import CommissionRequest, commission
from rtloop.app.commission_child import ChildSpec
from rtloop.app.commission_orphan import orphan
from rtloop.app.commission_steps import Walk
from rtloop.app.commissioned import covered
from rtloop.app.config import load_site
from rtloop.app.unit_line import UnitWanted
from rtloop.board import ENDED, Board
from rtloop.clock import WALL
from rtloop.errors import NotReady, OperatorAbort
from rtloop.model.status import Mode, UnitIdentity
from rtloop.record.commissioning import STEPS, STEPS_TRAINS, read_record
from rtloop.safety.limits import load_limits

STREAM = {"name": "amp", "source_id": "amp-1", "rate_hz": 1000.0, "channels": 9}


class Ada:
    """Somebody who answers as she is told to; an answer that is an exception is what she does instead."""

    name = "Ada Example"

    def __init__(self, *, phantom: Any = True, standby: Any = True, signs: Any = "Ada Example") -> None:
        self.answers = {"phantom": phantom, "standby": standby, "signature": signs}
        self.asked: list[str] = []

    def _answer(self, what: str) -> Any:
        if isinstance(found := self.answers[what], BaseException):
            raise found
        return found

    def confirms(self, what: str, question: str, tick: Callable[[], None]) -> bool:
        tick()
        return bool(self._answer(what))

    def says(self, word: str, why: str, tick: Callable[[], None]) -> None:
        self.asked.append(f"{word}: {why}")
        tick()

    def act(self, what: str, words: str) -> None: ...

    def signature(self, tick: Callable[[], None]) -> str:
        return str(self._answer("signature"))


def walked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, person: Ada, *, stops: bool | None = None, failed: str = "",
    verified: bool = True, ends: BaseException | None = None,
) -> tuple[str, dict[str, Any], int, list[str]]:  # fmt: skip
    """A walk at a site whose unit is not touched: every step's finding is made here."""

    def _walk(place: Any, walk: Walk) -> Any:
        if ends is not None:
            raise ends
        for step in STEPS + (STEPS_TRAINS if stops is not None else ()):
            seen = {"pulses_seen": 10.0} if step == "pulses" else {}
            walk.found(step, "done", "expected", "found", step != failed, numbers=seen)
        unit = UnitIdentity(model="200", port=place.unit.port, simulated=False, firmware=FIRMWARE)
        return whole._Found(unit=unit, stream=STREAM, trains=stops is not None, stops_running_train=stops)

    monkeypatch.setattr(whole, "_walk", _walk)
    said: list[str] = []
    request = CommissionRequest(by=person.name, site=site_file(folder, verified=verified))
    return *commission(request, said.append, lambda bedside: person), said  # type: ignore[return-value]


def test_a_walk_that_passed_and_was_signed_says_so_and_lists_what_is_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, data, code, said = walked(tmp_path, monkeypatch, Ada())
    assert code == 0
    assert "every step passed; signed by Ada Example" in text
    assert read_record(Path(data["record"])).missing == ()
    assert "[passed] unplug" in said[-1]  # what is signed stands before the signature
    assert not any("verified by nobody" in words for words in (text, *said))


@pytest.mark.req("R-UNSTOPPABLE")
@pytest.mark.parametrize(
    ("stops", "words"), [(True, "EA stops a running train"), (False, "EA does NOT stop a running train")]
)
def test_the_record_and_the_last_words_tell_whether_ea_stops_a_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops: bool, words: str
) -> None:
    text, data, code, _ = walked(tmp_path, monkeypatch, Ada(), stops=stops)
    assert code == 0
    assert words in text
    assert read_record(Path(data["record"])).stops_running_train is stops


def test_limits_that_nobody_verified_are_told_before_the_walk_and_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, _, code, said = walked(tmp_path, monkeypatch, Ada(), verified=False)
    assert code == 0
    assert "will NOT let a person under the coil" in said[1]
    assert "HUMAN stays refused" in text


@pytest.mark.req("R-MODE")
@pytest.mark.parametrize(
    "signs", ["somebody else", "", KeyboardInterrupt(), OperatorAbort("nobody is at the terminal any more")]
)
def test_a_record_that_is_not_signed_is_kept_and_covers_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signs: Any
) -> None:
    text, data, code, _ = walked(tmp_path, monkeypatch, Ada(signs=signs))
    assert code == 6
    assert "NOT signed as Ada Example" in text
    record = read_record(Path(data["record"]))
    assert record.signature == (signs if isinstance(signs, str) else "")
    assert record.missing == ()
    assert not covered(load_site(tmp_path / "rtloop.toml", environ={})).ok


@pytest.mark.req("R-MODE")
def test_a_step_that_did_not_pass_is_named_before_the_signature_and_in_the_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, data, code, said = walked(tmp_path, monkeypatch, Ada(), failed="unplug")
    assert code == 5
    assert "NOT passed: unplug: not passed" in text
    assert "will not let a person under the coil" in said[-1]
    assert "[FAILED] unplug" in said[-1]
    assert data["signature"] == "Ada Example"  # a walk that failed may be signed: it is a finding too


@pytest.mark.parametrize("err", [KeyboardInterrupt(), OperatorAbort("nobody is at the terminal any more")])
def test_whoever_leaves_at_the_phantom_has_connected_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, err: BaseException
) -> None:
    with pytest.raises(OperatorAbort, match="nothing was connected; no record was written"):
        walked(tmp_path, monkeypatch, Ada(phantom=err))
    assert not (tmp_path / "commissioning").exists()


def test_an_interrupt_between_two_runs_leaves_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OperatorAbort, match="interrupted; nothing is connected; no record"):
        walked(tmp_path, monkeypatch, Ada(), ends=KeyboardInterrupt())
    assert not (tmp_path / "commissioning").exists()


@pytest.mark.req("R-STOP")
def test_stop_of_a_data_folder_finds_the_runs_of_commissioning_in_it(tmp_path: Path) -> None:
    for name in ("20261123-010101_aaaa", "commissioning/20261123-010102_bbbba"):
        (tmp_path / name).mkdir(parents=True)
        Board.create(tmp_path / name / "board").close()
    assert [name for name, _ in halt._boards(None, None, tmp_path)] == [
        "20261123-010101_aaaa", "20261123-010102_bbbba",
    ]  # fmt: skip


# -- an engine that is frozen or killed ---------------------------------------------------------------------------


class Child:
    """Stands in for the engine's process: what its port process would leave on the board and on the line."""

    ea_after_s: float | None = 0.2
    late: int = 0  # so many confirmations are refused

    def __init__(self, spec: ChildSpec) -> None:
        self.spec, self.closed = spec, 0

    def open(self) -> None:
        with Board(self.spec.board) as board:
            board["unit_instr"], board["unit_t"] = 0b1001, board.now_ns()

    def tell(self, word: str) -> None:
        if word == "confirm" and self.late:
            type(self).late -= 1
            raise NotReady("the engine to be killed or frozen did not get so far")
        with Board(self.spec.board) as board:
            board["unit_instr"] = 0b1010 if word == "confirm" else 0b1001

    def signal(self, number: int) -> float:
        now_s = WALL.now_s()
        if self.ea_after_s is not None:
            ea = {"t_s": now_s + self.ea_after_s, "sent": b"EA\x79".hex()}
            Path(self.spec.unit.options["transcript"]).write_text(json.dumps(ea) + "\n")
            with Board(self.spec.board) as board:
                board["unit_instr"], board["unit_t"] = 0b1001, board.now_ns() + 1_000
        return now_s

    def close(self) -> None:
        with Board(self.spec.board) as board:
            board["beat_port"] = ENDED


def judged(folder: Path, monkeypatch: pytest.MonkeyPatch, person: Ada, child: type[Child]) -> Walk:
    monkeypatch.setattr(commission_orphan, "ChildEngine", child)
    folder.mkdir(exist_ok=True)
    spec = ChildSpec(
        mode=Mode.BENCH, limits=load_limits(), board=folder / "board", run_id="0123abcde", key=bytes(32), power_pct_mso=40,
        unit=UnitWanted(model="200", port="x", simulated=False, options={"transcript": folder / "bytes.jsonl"}),
    )  # fmt: skip
    walk = Walk(person=person, say=lambda words: None, power_pct_mso=40, n_pulses=10)
    orphan(walk, spec, freeze=False)
    return walk


@pytest.mark.req("R-ORPHAN")
@pytest.mark.parametrize(
    ("after_s", "saw", "passed", "words"),
    [
        (0.299, True, True, "standby read back"),
        (0.301, True, False, "EA on the line after 301 ms"),
        (0.2, False, False, "does NOT show standby"),
        (None, True, False, "EA NOT on the line, standby NOT read back"),
    ],
)
def test_a_killed_engine_passes_only_with_ea_in_time_standby_read_back_and_seen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after_s: float | None,
    saw: bool,
    passed: bool,
    words: str,
) -> None:
    child = type("Child", (Child,), {"ea_after_s": after_s})
    (found,) = judged(tmp_path, monkeypatch, Ada(standby=saw), child).steps
    assert found.passed is passed
    assert words in found.found


def test_a_confirmation_that_was_too_late_for_the_engine_is_asked_again_and_any_other_refusal_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(Ada):
        def says(self, word: str, why: str, tick: Callable[[], None]) -> None:
            super().says(word, why, tick)
            if word == "confirm" and len(self.asked) == 2:
                monkeypatch.setattr(commission_orphan, "WALL", Later())

    class Later:
        now_s = staticmethod(lambda: WALL.now_s() + 60.0)
        sleep_until = staticmethod(lambda t_s: WALL.sleep_until(t_s - 60.0))

    refused_once = type("Child", (Child,), {"late": 1})
    person = Slow()
    judged(tmp_path, monkeypatch, person, refused_once)
    assert [a.split(":")[0] for a in person.asked] == ["arm", "confirm", "arm", "confirm"]
    assert "too late, nothing is armed" in person.asked[2]
    monkeypatch.setattr(commission_orphan, "WALL", WALL)
    with pytest.raises(NotReady):
        judged(tmp_path / "b", monkeypatch, Ada(), type("Child", (Child,), {"late": 1}))


@pytest.mark.req("R-ORPHAN")
@pytest.mark.parametrize(
    ("after_s", "words"),
    [(0.2, "interrupted; the unit says standby"), (None, "standby NOT confirmed: use the unit's own switch")],
)
def test_an_interrupt_while_the_engine_is_dead_says_what_is_known_of_the_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after_s: float | None, words: str
) -> None:
    child = type("Child", (Child,), {"ea_after_s": after_s})
    with pytest.raises(OperatorAbort, match=words):
        judged(tmp_path, monkeypatch, Ada(standby=KeyboardInterrupt()), child)
