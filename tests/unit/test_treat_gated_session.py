"""A whole treatment whose trains wait for a state of the EEG, on the stepped clock, against a person whose state is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from treat_session_tools import Person, Treating, request_of, stepped_treatment
from treat_tools import GATE, spoiled

from rtloop.app.treat_asked import GATED_SCENE
from rtloop.errors import ValidationProblem
from rtloop.model.course import GATE_CALIBRATED, GATE_OPENED, Ended
from rtloop.plan.sections import text_of
from rtloop.plan.treat_load import load_treatment
from rtloop.record.journal import read_journal
from rtloop.record.treat_facts import facts_of
from rtloop.treat.calibrating import Calibrated
from rtloop.treat.gate_table import gate_table
from rtloop.treat.gating import waits_expected_s

SPEC = {"n_channels": 63, "scene": GATED_SCENE}
#: short for a test: the pause of 6 s does not hold recovery and window
SHORT = (
    ("recovery_s = 4.0", "recovery_s = 3.5"), ("window_s = 4.0", "window_s = 3.0"), ("quantile = 0.5", "quantile = 0.4"),
    ("calibration_max_s = 200.0", "calibration_max_s = 100.0"), ("time_out_s = 20.0", "time_out_s = 15.0"),
)  # fmt: skip
#: shorter still, where the truth of the state is not asked for
BRIEF = (
    ("window_s = 3.0", "window_s = 1.5"), ("calibration_max_s = 100.0", "calibration_max_s = 40.0"),
    ("time_out_s = 15.0", "time_out_s = 6.0"), ("recovery_s = 3.5", "recovery_s = 5.0"),
)  # fmt: skip
Act = Callable[[Treating], None]


class Meddler(Person):
    """The simulated operator, beside whom things happen: (kind of event, test of its data, what is done), each once."""

    def __init__(self, *acts: tuple[str, Callable[[Mapping[str, Any]], bool], Act]) -> None:
        super().__init__()
        self.session: Treating | None = None
        self.acts = list(acts)

    def tell(self, kind: str, data: Mapping[str, Any], now_s: float) -> None:
        super().tell(kind, data, now_s)
        for act in list(self.acts):
            if act[0] == kind and act[1](data):
                self.acts.remove(act)
                assert self.session is not None
                act[2](self.session)


def entered(phase: str, train: int | None = None) -> tuple[str, Callable[[Mapping[str, Any]], bool]]:
    return "phase_entered", lambda d: d["phase"] == phase and train in (None, d["train"])


def faulty(**fault: Any) -> Act:
    return lambda session: session.script.bench.inject(fault)


def held(
    tmp_path: Path, *changes: tuple[str, str], person: Person | None = None, trains: int = 3
) -> Treating:
    """A session, run to its end."""
    text = text_of("treat-quick", "treatment plan", "treatment")[1].decode()
    path = tmp_path / "gated.toml"
    path.write_text(
        spoiled(text, ("count = 3", f"count = {trains}"), ("session_max = 30", "session_max = 300"))
        + spoiled(spoiled(GATE, *SHORT), *changes)
    )
    with stepped_treatment(request_of(tmp_path, plan=str(path)), person, spec=dict(SPEC)) as session:
        if isinstance(person, Meddler):
            person.session = session
        session.runner.run()
    return session


def firsts(session: Treating) -> list[int]:
    """The sample of the first pulse of each train."""
    samples = [d.sample for d in session.script.bench.sampler.discharges]
    return [s for s, before in zip(samples, [-(10**6), *samples], strict=False) if s - before > 500]


def truth_before(session: Treating, sample: float) -> float:
    """Locking of the sources over the window before a sample."""
    head = session.script.bench.sampler.head
    assert head.rhythm is not None
    return head.rhythm.locking(sample / head.rate_hz - 3.0, sample / head.rate_hz)


def test_trains_begin_only_where_the_state_holds(tmp_path: Path) -> None:
    session = held(tmp_path, trains=6)
    (calibrated,) = session.told(GATE_CALIBRATED)
    openings = session.told(GATE_OPENED)
    assert session.runner.machine.end is not None
    assert session.runner.machine.end.ended is Ended.COMPLETE
    assert [g["train"] for g in session.told("train_given")] == [1, 2, 3, 4, 5, 6]
    assert calibrated["electrodes"] == ["C3", "CP3", "FC3", "C1"]
    assert len(calibrated["windows"]) == 20
    assert calibrated["low"] < calibrated["limit"] < calibrated["high"]
    for number, opening in enumerate(openings, 1):
        assert (opening["train"], opening["by"], opening["give"]) == (number, "state", True)
        assert opening["judged"] == opening["value"] < opening["limit"] == calibrated["limit"]
        assert all(v is None or v >= calibrated["limit"] for _, v, _ in opening["values"][:-1])
    assert any(o["waited_s"] > 2.0 for o in openings), "some had to wait"
    events = read_journal(session.script.folder.journal).events
    table = gate_table((e.kind, e.data) for e in events)
    assert table is not None
    assert ([r.train for r in table.rows], table.share_by) == ([1, 2, 3, 4, 5, 6], {"state": 1.0})
    facts = facts_of(events)
    assert facts is not None
    assert facts.gate_words[0].startswith("Calibrated on C3, CP3, FC3, C1: plv in the alpha band")
    assert facts.gate_words[1].startswith("6 trains waited: median ")
    begun = firsts(session)
    assert len(begun) == 6
    usual = [truth_before(session, s) for s in np.linspace(begun[0], begun[0] + 24_000, 97)]
    at_trains = [truth_before(session, s) for s in begun]
    assert max(at_trains) < 0.75 < np.quantile(usual, 0.75), (
        "not while the sources are locked, which they often are"
    )
    phases = [e["phase"] for e in session.told("phase_entered")]
    assert phases.index("before") < phases.index("calibrating") < phases.index("arm") < phases.index("gate")
    # from the opening to the first pulse: the value is of just before the train
    sent = [e["t_sent_s"] for e in session.told("train_started")]
    opened = [_instant(session, o["train"]) for o in openings]
    assert all(0 <= s - o < 0.5 for s, o in zip(sent, opened, strict=True))
    # recovery and window after a train of 1 s, in a pause of 6 s
    assert all(o["values"][0][2].startswith("too soon after a ") for o in openings[1:])


def _instant(session: Treating, train: int) -> float:
    return next(
        e.t_s for e in read_journal(session.script.folder.journal).events
        if e.kind == GATE_OPENED and e.data["train"] == train
    )  # fmt: skip


def test_a_control_waits_as_the_rule_makes_wait_and_says_the_same(tmp_path: Path) -> None:
    session = held(tmp_path, *BRIEF, ('begin_by = "state"', 'begin_by = "control"'), trains=6)
    (calibrated,) = session.told(GATE_CALIBRATED)
    openings = session.told(GATE_OPENED)
    assert [g["train"] for g in session.told("train_given")] == [1, 2, 3, 4, 5, 6]
    series, limit = calibrated["values"], calibrated["limit"]
    for opening in openings:
        if opening["by"] == "control":
            at = (opening["replayed_from"] + opening["valid"] - 1) % len(series)
            assert opening["judged"] == series[at] < limit
            ahead = [
                series[(opening["replayed_from"] + k) % len(series)] for k in range(opening["valid"] - 1)
            ]
            assert all(v >= limit for v in ahead)
    assert {o["by"] for o in openings} <= {"control", "time_out"}
    assert len({o["replayed_from"] for o in openings}) > 1
    said = "\n".join(session.script.said)
    assert "control" not in said.lower()
    assert f"train 1 waited {openings[0]['waited_s']:.1f} s" in said


@pytest.mark.parametrize("then", ["give", "skip"])
def test_without_a_valid_value_the_time_runs_out(tmp_path: Path, then: str) -> None:
    muscle = faulty(kind="noise", uv=60.0, channels=["C3"])
    person = Meddler((*entered("gate", 2), muscle))
    session = held(tmp_path, *BRIEF, ('then = "give"', f'then = "{then}"'), person=person)
    first, second, third = session.told(GATE_OPENED)
    assert first["train"] == 1
    for opening in (second, third):
        assert (opening["by"], opening["give"], opening["judged"]) == ("time_out", then == "give", None)
        assert opening["waited_s"] == pytest.approx(6.0, abs=0.2)
        assert opening["valid"] == 0
        assert any("C3" in why for why in opening["spoiled"])
    assert [g["train"] for g in session.told("train_given")] == ([1, 2, 3] if then == "give" else [1])
    (given,) = session.told("treatment_given")
    assert (given["delivered"], given["refused"], given["uncertain"]) == (
        (30, 0, 0) if then == "give" else (10, 20, 0)
    )


def test_a_stream_that_is_lost_in_the_wait_gives_no_train(tmp_path: Path) -> None:
    # locked from the wait's begin on: it would still wait when the stream goes
    person = Meddler((*entered("gate", 2), faulty(kind="freeze", for_s=3.0)))
    session = held(tmp_path, *BRIEF, person=person)
    faults = session.told("fault_raised")
    assert any(f["fault"] in ("stream_stale", "stream_lost") for f in faults), faults
    assert [g["train"] for g in session.told("train_given")] == [1, 2, 3]
    events = session.told("phase_entered")
    gates = [e for e in events if e["phase"] == "gate" and e["train"] == 2]
    assert len(gates) >= 2, "armed anew, and waited anew"
    second = next(o for o in session.told(GATE_OPENED) if o["train"] == 2)
    assert second["give"]
    assert all(
        why
        in ("", "too soon after a train", "too soon after a pulse", "samples are missing", "no samples came")
        for *_, why in second["values"]
    )


def test_a_calibration_that_finds_nothing_gives_nothing(tmp_path: Path) -> None:
    person = Meddler((*entered("calibrating"), faulty(kind="noise", uv=60.0, channels=["C3"])))
    person.left = [(*entered("paused"), "stop")]
    session = held(tmp_path, *BRIEF, person=person)
    assert session.told(GATE_CALIBRATED) == session.told("train_given") == session.told("arm_requested") == []
    (paused,) = session.told("treatment_paused")
    assert paused["words"].startswith(
        "the calibration found no limit: 1 of 20 windows without artifact after 40 s"
    )
    assert "C3" in paused["words"]
    assert session.runner.machine.end is not None
    assert session.runner.machine.end.ended is Ended.STOPPED


def test_too_few_electrodes_near_the_place_are_refused_before_any_pulse(tmp_path: Path) -> None:
    plan = "treat-10hz-4s-gated"
    with (
        pytest.raises(ValidationProblem, match="too few electrodes near the place that gates the trains"),
        stepped_treatment(request_of(tmp_path, plan=plan)) as session,
    ):
        session.runner.run()


def test_the_expected_waits_are_those_of_the_rule() -> None:
    gate = load_treatment("treat-10hz-4s-gated").gate
    assert gate is not None
    series = (0.9, 0.9, 0.1, 0.9)
    calibrated = Calibrated(
        limit=0.5, low=None, high=None, windows=series, values=series, spoiled={}, took_s=1.0
    )
    assert waits_expected_s(gate, calibrated) == (1.0, 0.5, 0.0, 1.5)
    never = Calibrated(limit=0.05, low=None, high=None, windows=series, values=series, spoiled={}, took_s=1.0)
    assert set(waits_expected_s(gate, never)) == {20.0}
