"""[signal.stages] of a plan: what each switch sets in the chain, and what may not stand together."""

from __future__ import annotations

import pytest
from session_tools import tiny

from rtloop.app.setting import chain_of
from rtloop.dsp.spec import ChainSpec
from rtloop.errors import ValidationProblem
from rtloop.plan.load import load_plan, parse_plan


def chain(stages: str, signal: str = "") -> ChainSpec:
    text = tiny().replace("gap_ms = [-2.0, 10.0]\n", f"gap_ms = [-2.0, 10.0]\n{signal}")
    return chain_of(parse_plan(f"{text}\n[signal.stages]\n{stages}\n"))


def test_every_stage_can_be_switched_and_what_is_not_named_stays() -> None:
    plain = chain_of(parse_plan(tiny()))
    assert not plain.muscle
    assert not plain.sound
    assert plain.decay
    for name in ("bridge", "decay", "detrend", "quality"):
        assert chain(f"{name} = false").to_dict() == {**plain.to_dict(), name: False}
    assert chain("reference = false").to_dict() == {**plain.to_dict(), "average_reference": False}
    assert chain("blink = true").to_dict() == {**plain.to_dict(), "blink": True}
    assert chain("sound = true").to_dict() == {**plain.to_dict(), "sound": True}
    with_muscle = {**plain.to_dict(), "muscle": True, "decay": False, "muscle_early": True}
    assert chain("muscle = true").to_dict() == {**with_muscle, "decay_first": True}
    assert chain('muscle = true\ndecay = "first"') == chain("muscle = true")
    assert chain("muscle = true\ndecay = false").to_dict() == with_muscle
    late = {**with_muscle, "decay_first": True, "muscle_early": False}
    assert chain("muscle = { early = false }").to_dict() == late
    assert chain("muscle = false") == plain
    for name in ("map-200", "probe-m1", "bedside"):
        assert chain_of(load_plan(name)).muscle
        assert chain_of(load_plan(name)).decay_first
        assert chain_of(load_plan(name)).muscle_early


def test_settings_and_the_second_gap_reach_the_chain() -> None:
    spec = chain(
        "muscle = { most = 5, until_ms = 80.0, first = 8, every = 2, memory = 40, channels = 20, ratio = 6.0 }\n"
        'sound = { lambda0 = 0.03 }\nfirst_trials = "leave_out"',
        "recharge_gap_ms = [60.0, 66.0]\n",
    )
    assert (spec.muscle_most, spec.muscle_until_s, spec.muscle_ratio) == (5, 0.08, 6.0)
    assert (spec.spatial_first, spec.spatial_every, spec.spatial_memory, spec.spatial_channels) == (
        8,
        2,
        40,
        20,
    )
    assert (spec.sound, spec.sound_lambda0, spec.leave_out_first) == (True, 0.03, True)
    assert spec.sub_windows_s == ChainSpec().sub_windows_s
    parts = chain("", "sub_windows_ms = [[20, 90], [90, 250]]\n").sub_windows_s
    assert parts == ((20 * 1e-3, 90 * 1e-3), (90 * 1e-3, 250 * 1e-3))
    assert not spec.reclean_earlier
    assert chain('muscle = true\nearlier_trials = "reclean"').reclean_earlier
    assert chain('muscle = true\nearlier_trials = "keep"') == chain("muscle = true")
    assert spec.recharge_gap_s == (0.06, 0.066)
    assert ChainSpec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("stages", "signal", "words"),
    [
        ("muscle = true\ndecay = true", "", "the per-trial decay fit spoils every projection"),
        ('decay = "first"', "", 'expected: true or false where sound and muscle are off; found: "first"'),
        ('earlier_trials = "reclean"', "", 'expected: "keep" where sound and muscle are off; found: "reclean"'),
        ("sound = true\nreference = false", "", "the spatial stage needs the stages before it"),
        ("muscle = { depth = 3 }", "", "depth"),
        ("muscle = { most = 0 }", "", "most"),
        ('bridge = "spline"', "", "bridge = 'spline'"),
        ("", "sub_windows_ms = [[20, 90], [20.2, 90]]", "or is there twice"),
        ("", "sub_windows_ms = [[5, 90]]", "expected: 15 <= start < end <= 300 ms, each once"),
        ("", "recharge_gap_ms = [8.0, 20.0]", "the second gap is no stretch after the first"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told(stages: str, signal: str, words: str) -> None:
    with pytest.raises(ValidationProblem) as caught:
        chain(stages, signal + "\n")
    assert words in str(caught.value)
