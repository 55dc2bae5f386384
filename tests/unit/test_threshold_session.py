"""``rtloop threshold`` on the stepped clock: a script's session, gate, arming and dose; answers by EMG and by a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from stepped_script_tools import Stepped, last_line, stepped_script
from threshold_tools import RIG, made

from rtloop.app import threshold_unit
from rtloop.app.dose import ledger_of
from rtloop.app.threshold import Course, find, kept, setting_of, take_threshold, taken, told
from rtloop.app.threshold_asked import ThresholdRequest, Wanted, wanted
from rtloop.app.threshold_unit import ThresholdTms
from rtloop.errors import NotReady, OperatorAbort, RtloopError, SafetyStop, UsageProblem, ValidationProblem
from rtloop.model.pulse import Purpose
from rtloop.model.status import Lamp, Mode
from rtloop.model.threshold import ToldBy
from rtloop.record.journal import read_journal
from rtloop.record.thresholds import FILE_NAME, TAKEN, read_threshold, write_threshold
from rtloop.record.verify import verify
from rtloop.threshold.adaptive import AdaptiveSpec
from rtloop.threshold.mep import MepSpec
from rtloop.threshold.steps import Do

MUSCLE = {"scene": "twitch"}
SAID = {
    "coil": RIG.coil, "waveform": RIG.waveform, "current_direction": RIG.current_direction, "muscle": "FDI",
    "participant": "P001",
}  # fmt: skip


def request_of(tmp_path: Path, **changes: Any) -> ThresholdRequest:
    fields: dict[str, Any] = {
        "simulate": True, "participant": "P001", "data_dir": tmp_path / "data", "interval_s": 2.0, "start_pct_mso": 38,
    }  # fmt: skip
    return ThresholdRequest(**(fields | changes))


def short(want: Wanted, pulses: int) -> Wanted:
    """The same with few pulses."""
    return replace(
        want, spec=AdaptiveSpec(start_pct_mso=38, rise_pct=4, pulses_min=pulses, pulses_max=pulses)
    )


def test_the_simulated_bedside_gives_a_threshold_by_emg_with_its_record(tmp_path: Path) -> None:
    request = request_of(tmp_path)
    want = short(wanted(request), 8)
    setting = setting_of(request, want, print)
    with stepped_script(setting, spec=MUSCLE, of=ThresholdTms) as s:
        assert isinstance(s.tms, ThresholdTms)

        def hear(words: str) -> None:
            s.said.append(words)
            if words.startswith("   pulse 3 "):
                s.bench.inject({"kind": "freeze", "for_s": 0.12})  # held for a moment: it goes on by itself

        course = find(s.tms, request, want, hear)
        assert s.tms.lamp is not Lamp.ARMED
        found = taken(course, want, setting, request, s.folder.path.name, s.clock.utc())
        assert found is not None
        kept(s.tms, found, s.folder.path)
        dose = s.tms.dose()
    assert found.low_pct_mso is not None
    assert found.high_pct_mso is not None
    assert found.low_pct_mso - 1 <= 38.0 <= found.high_pct_mso + 1  # scenes/twitch.toml
    truth = [round(mep.pp_uv) for _, mep in s.bench.sampler.head.meps]
    answered = s.told("threshold_answered")
    assert len(answered) == len(truth) == found.pulses_given == dose.session == 8
    for row, pp_uv in zip(answered, truth, strict=True):
        assert row["response"] is (row["pp_uv"] >= 50.0)
        assert pp_uv < 40 or row["pp_uv"] == pytest.approx(
            pp_uv, rel=0.35
        )  # 1000 samples a second, 3 µV of noise
    assert [d["power_pct_mso"] for d in s.told("pulse_closed")] == [a.pct_mso for a in found.answers]
    assert {d["purpose"] for d in s.told("pulse_intended")} == {Purpose.PROBE.value}
    assert (dose.course, ledger_of(tmp_path / "data", "P001", simulated=True).count()) == (0, 8)
    assert read_threshold(s.folder.path)[0] == found
    assert [e.data["threshold"] for e in read_journal(s.folder.journal).events if e.kind == TAKEN] == [
        found.data()
    ]
    assert (found.mode, found.rig.coil, found.session) == (
        Mode.SIMULATED,
        "70 mm figure-of-eight",
        s.folder.path.name,
    )
    text, data, code = told(course, found, s.folder.path)
    assert (code, data["found"], data["threshold"]["pct_mso"]) == (0, True, found.pct_mso)
    assert text.startswith(f"threshold: {found.pct_mso} % of maximum output (95 %: ")
    assert text.endswith(f"8 pulses counted of 8 given\nwritten: {s.folder.path / FILE_NAME}")
    assert s.said[0].startswith(
        "adaptive maximum likelihood; a response is: at least 50 µV peak to peak, 15 to 50 ms after"
    )
    assert s.told("fault_raised")
    assert len(s.told("arm_confirmed")) <= 2
    assert verify(s.folder.path).ok


def typist(answers: list[str]) -> Callable[[list[str]], str]:
    """A person who types what arming asks for, and then these answers, one a question."""
    left = iter(answers)

    def answer(said: list[str]) -> str:
        return next(left) if said[-1].startswith(("-> pulse", "   yes, no")) else last_line(said)

    return answer


def by_a_person(
    tmp_path: Path, answers: list[str], pulses: int = 4
) -> tuple[Stepped, Course | None, RtloopError | None]:
    """A session of a stepped unit that is taken for a real one."""
    request = request_of(tmp_path, simulate=False, port="/dev/ttyUSB0", **SAID)
    want = short(wanted(request), pulses)
    setting = setting_of(request, want, print)
    course = err = None
    with stepped_script(setting, real=True, answer=typist(answers), of=ThresholdTms) as s:
        assert isinstance(s.tms, ThresholdTms)
        try:
            course = find(s.tms, request, want, s.said.append)
        except RtloopError as no:
            err = no
    return s, course, err


def test_a_person_arms_in_words_and_types_the_answers_of_a_real_unit(tmp_path: Path) -> None:
    s, course, err = by_a_person(tmp_path, ["y", "perhaps", "no", "again", "no", "YES"])
    assert err is None
    assert course is not None
    assert (course.given, [a.response for a in course.answers]) == (5, [True, False, False, True])
    assert course.step.do is Do.FOUND
    assert len(s.bench.discharges) == 5
    assert "   yes, no, again or end" in s.said
    assert any("type within 10 s: the coil is on the hot spot" in line for line in s.said)
    assert any(
        "-> pulse 1 at 38 %: did the muscle answer? [yes / no / again: it does not count / end]" in x
        for x in s.said
    )
    assert [d["response"] for d in s.told("threshold_answered")] == [True, False, None, False, True]
    assert {d["by"] for d in s.told("threshold_answered")} == {"person at the terminal"}


def test_a_person_who_is_silent_is_asked_again_and_one_who_ends_it_disarms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert threshold_unit.ANSWER_WITHIN_S < 55.0  # the unit stays armed for so long without a pulse
    monkeypatch.setattr(threshold_unit, "ANSWER_WITHIN_S", 6.0)
    s, course, err = by_a_person(tmp_path, ["y", "", "end"])
    assert course is None
    assert isinstance(err, OperatorAbort)
    assert [d["words"] for d in s.told("threshold_answered")] == [
        "'y' was typed",
        "nobody answered within 6 s",
    ]
    assert len(s.bench.discharges) == 3
    assert not s.armed


def test_five_pulses_that_cannot_be_judged_end_it(tmp_path: Path) -> None:
    request = request_of(tmp_path)
    want = replace(wanted(request), mep=MepSpec(rest_rms_uv=0.5))
    with stepped_script(setting_of(request, want, print), spec=MUSCLE, of=ThresholdTms) as s:
        assert isinstance(s.tms, ThresholdTms)
        with pytest.raises(
            NotReady,
            match=r"5 pulses in a row did not count.*the muscle was not at rest: expected at most 0.5",
        ):
            find(s.tms, request, want, s.said.append)
        assert not s.armed
    assert len(s.bench.discharges) == 5


def test_a_channel_that_the_stream_does_not_have_is_told_before_any_pulse(tmp_path: Path) -> None:
    request = request_of(tmp_path, emg="APB")
    want = wanted(request)
    with stepped_script(setting_of(request, want, print), spec=MUSCLE, of=ThresholdTms) as s:
        assert isinstance(s.tms, ThresholdTms)
        with pytest.raises(NotReady, match=r"no channel APB in volts.*of type EMG: FDI"):
            find(s.tms, request, want, s.said.append)
    assert s.bench.discharges == []


def test_a_threshold_that_is_not_found_is_no_threshold(tmp_path: Path) -> None:
    request = request_of(tmp_path, start_pct_mso=10, most_pct_mso=12)
    want = wanted(request)
    assert want.caps["max_power_pct_mso"] == 12.0
    setting = setting_of(request, want, print)
    with stepped_script(setting, spec=MUSCLE, of=ThresholdTms) as s:
        assert isinstance(s.tms, ThresholdTms)
        course = find(s.tms, request, want, s.said.append)
    assert taken(course, want, setting, request, "x", s.clock.utc()) is None
    text, data, code = told(course, None, s.folder.path)
    assert (code, data["found"]) == (4, False)
    assert text.startswith("no threshold: the muscle answered to no pulse, up to 12 %")
    assert max(d["power_pct_mso"] for d in s.told("pulse_closed")) == 12


def test_over_a_person_the_gate_wants_a_threshold_before_the_first_pulse(tmp_path: Path) -> None:
    with pytest.raises(SafetyStop, match="mode HUMAN refuses this script") as no:
        take_threshold(request_of(tmp_path, simulate=False, port="/dev/ttyUSB0", mode="human", **SAID), print)
    assert "threshold_known: expected a dated motor threshold, found none" in no.value.found
    assert not (tmp_path / "data").exists()


def test_an_earlier_threshold_is_of_this_person_with_this_set_up_and_of_a_person(tmp_path: Path) -> None:
    """It caps the pulses: one that a simulation made, or that is of somebody else, would cap them anywhere."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    human = request_of(tmp_path, simulate=False, port="/dev/ttyUSB0", mode="human", **SAID)
    good = made(made_utc=now, rig=wanted(human).rig)
    for i, (one, words) in enumerate((
        (replace(good, mode=Mode.SIMULATED), "taken in: expected HUMAN, found SIMULATED"),
        (replace(good, participant="P002"), "participant: expected P001, found P002"),
        (replace(good, told_by=ToldBy.VISUAL), "told by: expected EMG"),
        (replace(good, cap_on=False), "EEG cap: expected on, found off"),
        (replace(good, made_utc="2020-01-01T00:00:00+00:00"), "age: expected at most 7 days"),
        (replace(good, rig=replace(good.rig, coil="another")), "coil: expected"),
    )):  # fmt: skip
        write_threshold(tmp_path / f"{i}.json", one)
        with pytest.raises(ValidationProblem, match="the motor threshold cannot be used") as no:
            wanted(replace(human, earlier=tmp_path / f"{i}.json"))
        assert words in no.value.found
        assert no.value.found.count("expected") == 1
    write_threshold(tmp_path / "good.json", good)
    assert wanted(replace(human, earlier=tmp_path / "good.json")).gate["threshold"].pct_mso == 50.0


def test_everything_that_is_wrong_with_the_wish_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem) as no:
        wanted(
            request_of(
                tmp_path,
                simulate=False,
                participant=None,
                method="guess",
                emg="FDI",
                visual=True,
                ask=True,
                interval_s=0.0,
                earlier=tmp_path / "none.json",
            )
        )
    for words in (
        "no method guess", "nothing for --participant, --coil, --waveform, --current-direction", "--visual and --emg exclude",
        "--ask works only with --simulate", "no unit is named", "no stream is named", "--interval-s cannot be",
        "none.json cannot be trusted",
    ):  # fmt: skip
        assert words in str(no.value), words
