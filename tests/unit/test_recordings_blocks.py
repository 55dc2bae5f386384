"""What a channel is taken for, and which block a pulse belongs to, is said or refused, never guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recordings_tools import watch_plan

from rtloop.app.cli import main
from rtloop.eeg.layout import Kind
from rtloop.errors import UsageProblem, ValidationProblem
from rtloop.model.montage import HEAD_RADIUS_M, names_for, position_of
from rtloop.model.pulse import PulseSeen, Source
from rtloop.plan.load import load_plan
from rtloop.plan.schema import Plan
from rtloop.record.read_layout import PULSES, layout_for
from rtloop.record.read_open import Mark, OpenChannel
from rtloop.session.dealing import BlockMap, deal, read_block_map, return_visits, told


def channels(*names: str, kind: Kind = Kind.EEG) -> tuple[OpenChannel, ...]:
    return tuple(OpenChannel(name=n, kind=kind) for n in names)


# -- channels ----------------------------------------------------------------------------------------------------


def test_names_say_what_is_no_scalp_electrode() -> None:
    layout, words = layout_for(channels("Cz", "C3", "VEOG", "EMG1", "ECG", "Status", "APB-l", "T8"))
    assert {c.name: c.kind for c in layout.channels} == {
        "Cz": Kind.EEG, "C3": Kind.EEG, "VEOG": Kind.EOG, "EMG1": Kind.EMG, "ECG": Kind.MISC, "Status": Kind.TRIG,
        "APB-l": Kind.EMG, "T8": Kind.EEG,
    }  # fmt: skip
    assert sum("by its name" in w for w in words) == 5


def test_every_channel_without_a_place_is_listed_and_can_be_declared() -> None:
    rows = channels("Cz", "C3", "E7", "Oddity")
    with pytest.raises(ValidationProblem, match=r"2 EEG channel.*E7, Oddity.*--not-eeg"):
        layout_for(rows)
    layout, words = layout_for(rows, not_eeg=("E7", "Odd.*"))
    assert layout.montage.names == ("Cz", "C3")
    assert any("E7, Oddity" in w for w in words)
    with pytest.raises(UsageProblem, match="no channel is called E8"):
        layout_for(rows, not_eeg=("E8",))
    with pytest.raises(ValidationProblem, match="no EEG channel"):
        layout_for(channels("EMG1"))


def test_places_of_the_file_serve_names_that_are_unknown_whatever_their_origin() -> None:
    names = names_for(16)
    shift = np.array([0.004, 0.018, 0.043])  # the origin of a head frame lies between the ears
    rows = [
        OpenChannel(
            name=f"E{i}", kind=Kind.EEG, position_m=tuple(float(v) for v in 0.095 * position_of(n) + shift)
        )
        for i, n in enumerate(names)
    ]
    layout, words = layout_for((*rows, *channels("Cz")))
    wanted = np.array([position_of(n) for n in names]) * HEAD_RADIUS_M
    np.testing.assert_allclose(layout.montage.positions_m[:16], wanted, atol=1e-6)
    np.testing.assert_allclose(layout.montage.positions_m[16], position_of("Cz") * HEAD_RADIUS_M)
    assert any("16 of 17" in w for w in words)


@pytest.mark.parametrize("flat", [True, False])
def test_places_that_are_on_no_sphere_are_not_believed(flat: bool) -> None:
    rng = np.random.default_rng(2)
    points = rng.uniform(-0.1, 0.1, (12, 3)) * ([1, 1, 0] if flat else [1, 1, 1])
    rows = [
        OpenChannel(name=f"E{i}", kind=Kind.EEG, position_m=tuple(map(float, p)))
        for i, p in enumerate(points)
    ]
    with pytest.raises(ValidationProblem, match="12 EEG channel"):
        layout_for(tuple(rows))


def test_events_take_the_place_of_a_trigger_channel() -> None:
    rows = (*channels("Cz", "C3"), *channels("STI", kind=Kind.TRIG))
    assert layout_for(rows)[0].names[layout_for(rows)[0].trigger_column] == "STI"  # type: ignore[index]
    layout, _ = layout_for(rows, events=True)
    assert layout.names[layout.trigger_column] == PULSES  # type: ignore[index]
    assert layout.channels[2].kind is Kind.MISC


# -- blocks ------------------------------------------------------------------------------------------------------


def pulses(*at_s: float) -> list[PulseSeen]:
    return [PulseSeen(sample=round(t * 1000), source=Source.TRIGGER, t_s=t) for t in at_s]


def marks(*rows: tuple[float, str], exact: bool = True) -> list[Mark]:
    return [Mark(sample=round(t * 1000), t_s=t, name=name, exact=exact) for t, name in rows]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return load_plan(watch_plan(tmp_path, ("M1", "C3", 2), ("DLPFC", "F3", 1)))


def test_in_the_plans_order_only_where_the_numbers_agree(plan: Plan) -> None:
    dealt = deal(pulses(1, 2, 3), [], plan)
    assert list(dealt.values()) == [("M1", "run"), ("M1", "run"), ("DLPFC", "run")]
    with pytest.raises(ValidationProblem, match=r"M1 2, DLPFC 1; found: 4 pulses.*--blocks"):
        deal(pulses(1, 2, 3, 4), [], plan)
    assert "M1: 2 pulse(s), 1.0 to 2.0 s" in told(dealt, 1000.0)


def test_one_target_takes_all(plan: Plan) -> None:
    assert set(deal(pulses(1, 2, 3, 4), [], plan, target="DLPFC/control").values()) == {("DLPFC", "control")}
    with pytest.raises(ValidationProblem, match="no target 'ACC'"):
        deal(pulses(1), [], plan, target="ACC")
    with pytest.raises(ValidationProblem, match="no block 'shame'"):
        deal(pulses(1), [], plan, target="M1/shame")
    with pytest.raises(UsageProblem, match="exclude"):
        deal(pulses(1), [], plan, target="M1", blocks=BlockMap())


def test_only_pulses_at_an_event_count_where_events_are_named(plan: Plan) -> None:
    dealt = deal(
        pulses(1, 2, 3),
        marks((1.004, "R128"), (2.02, "R128"), (3.0, "S1")),
        plan,
        target="M1",
        events=("R128",),
    )
    assert list(dealt.values()) == [("M1", "run"), None, None]
    far = marks((2.02, "R128"), exact=False)  # a marker from another line may be 40 ms away
    assert list(deal(pulses(1, 2), far, plan, target="M1", events=("R128",)).values()) == [
        None,
        ("M1", "run"),
    ]
    with pytest.raises(ValidationProblem, match=r"no pulse was found.*'S1' x 1"):
        deal(pulses(1), marks((1.0, "S1")), plan, target="M1", events=("R128",))
    with pytest.raises(ValidationProblem, match="no pulse was found"):
        deal([], [], plan)


def test_a_map_deals_by_events_sections_and_numbers(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(
        '[pulses]\n"S *1" = "M1"\n[sections]\n"break" = "nobody"\n"sham" = "DLPFC/control"\n[numbers]\n"6-7" = "DLPFC"\n'
    )
    blocks = read_block_map(path, plan)
    events = marks(
        (0.5, "Comment/break"), (1.0, "Stimulus/S  1"), (2.5, "sham"), (3.001, "S 1"), (4.5, "break")
    )
    dealt = deal(pulses(1, 2, 3, 4, 5, 6, 7), events, plan, blocks=blocks)
    assert list(dealt.values()) == [
        ("M1", "run"), None, ("M1", "run"), ("DLPFC", "control"), None, ("DLPFC", "run"), ("DLPFC", "run"),
    ]  # fmt: skip
    with pytest.raises(ValidationProblem, match="gives no pulse to any target"):
        deal(pulses(1), [], plan, blocks=BlockMap(pulses={"x": ("M1", "run")}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[pulses]\n"S1" = "PSI"', "no target 'PSI'"),
        ('[puls]\n"S1" = "M1"', r"unknown table \[puls\]"),
        ("", "names no event"),
        ('[numbers]\n"1-5" = "M1"\n"5-9" = "DLPFC"', "no span of pulses of its own"),
        ('[numbers]\n"9-1" = "M1"', "no span"),
        ("pulses = 3", r"\[pulses\] is no table"),
        ("[pulses\n", "cannot be read"),
    ],
)
def test_a_wrong_map_is_refused_with_everything_that_is_wrong(
    plan: Plan, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(ValidationProblem, match=words):
        read_block_map(tmp_path / "map.toml", plan)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["a.vhdr", "--target", "M1"], 2, "--target needs --plan"),
        (["a.vhdr", "--plan", "watch"], 3, "there is no recording a.vhdr"),
        (["a.vhdr", "b.vhdr"], 3, "there is no recording a.vhdr"),
        (["a.vhdr", "--plan", "no-such-plan"], 3, "no plan is called no-such-plan"),
        (
            ["a.vhdr", "--plan", "watch", "--blocks", "absent.toml"],
            3,
            "the map of events absent.toml cannot be read",
        ),
    ],
)
def test_the_command_line_says_what_is_wrong(
    arguments: list[str], code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["replay", *arguments])
    assert ended.value.code == code
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_return_visit_is_a_long_enough_stretch_after_another_target_had_the_coil() -> None:
    def dealt(text: str) -> dict[int, tuple[str, str] | None]:
        blocks = {
            "m": ("M1", "run"), "p": ("PSI", "run"), "c": ("M1", "control"), "v": ("PSI", "preview"), "-": None,
        }  # fmt: skip
        return {100 * k: blocks[sign] for k, sign in enumerate(text)}

    assert return_visits(dealt("mmmmpppp"), 4) == set()
    assert return_visits(dealt("mmmmppppmmmm"), 4) == {800}
    assert return_visits(dealt("mmmmppppmmmmpppp"), 4) == {800, 1200}
    assert return_visits(dealt("mmmmppppmmm"), 4) == set()  # nothing can be learnt in it
    assert return_visits(dealt("mpmpmpmpmp"), 4) == set()
    assert return_visits(dealt("mmmmccccmmmm"), 4) == set()  # the coil was at the target's own control
    assert return_visits(dealt("mmmm---mmmm"), 4) == set()
    assert return_visits(dealt("mmmmvvvvmmmm"), 4) == {800}
    assert return_visits(dealt("mmmmpppp--mm--mm"), 4) == {1000}
