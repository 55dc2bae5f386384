"""The plan's [quality] table: defaults for old plans, every wrong value told, and what of it reaches the chain and the lights."""

from __future__ import annotations

import pytest
from session_tools import tiny

from rtloop.app.setting import chain_of, quality_of
from rtloop.dsp.spec import ChainSpec
from rtloop.errors import ValidationProblem
from rtloop.plan.load import library, load_plan, parse_plan
from rtloop.quality.limits import RECORDING

WHOLE = """
[quality]
yellow_share = 0.5
hold = [2, 6, 3]
still_ms = 0.0
rebuild = false

[quality.limits]
rejected_pct = [10.0, 25.0]
split_half_r = [0.9]
muscle_uv = [40, 100]

[quality.trial]
line_noise_uv = [4.0]

[quality.reject]
max_blink_uv = 60.0
min_channels = 16
max_bad_channels_pct = 20
"""


def test_a_plan_without_the_table_gets_the_defaults():
    plan = parse_plan(tiny())
    assert plan.quality is None
    spec = chain_of(plan)
    assert (spec.hold_bad_trials, spec.hold_of_last, spec.hold_good_trials) == (3, 10, 5)
    assert (spec.max_still_s, spec.rebuild) == (0.03, True)
    plain = ChainSpec()
    assert all(
        getattr(spec, name) == getattr(plain, name)
        for name in vars(plain)
        if name.startswith(("max_m", "max_p"))
    )
    assert quality_of(plan).of_recording("rejected_pct") == RECORDING["rejected_pct"].limits
    for name in library():
        assert quality_of(load_plan(name)).to_dict()["yellow_share"] == 0.75


def test_a_whole_table_reaches_the_chain_and_the_lights():
    plan = parse_plan(tiny() + WHOLE)
    spec, limits = chain_of(plan), quality_of(plan)
    assert (spec.hold_bad_trials, spec.hold_of_last, spec.hold_good_trials) == (2, 6, 3)
    assert (spec.max_still_s, spec.rebuild) == (0.0, False)
    assert (spec.max_blink_uv, spec.min_channels, spec.max_bad_channels_pct) == (60.0, 16, 20.0)
    assert isinstance(spec.min_channels, int)
    assert ChainSpec.from_dict(spec.to_dict()) == spec
    assert limits.of_recording("rejected_pct") == (10.0, 25.0)
    assert limits.of_recording("split_half_r") == (0.9,)
    assert limits.of_recording("muscle_uv") == (40, 100)
    assert limits.of_trial("line_noise_uv") == (4.0,)
    assert limits.yellow_share == 0.5


@pytest.mark.parametrize(
    ("table", "where", "words"),
    [
        ("[quality.limits]\nblinks = [1.0]\n", "quality.limits", "blinks is not known"),
        ("[quality.limits]\nblink_pct = [30.0, 15.0]\n", "quality.limits", "YELLOW not above RED"),
        ("[quality.limits]\nsplit_half_r = [0.5, 0.8]\n", "quality.limits", "YELLOW not below RED"),
        ("[quality.limits]\nblink_pct = []\n", "quality.limits", "one number, or two"),
        ("[quality.trial]\nmax_blink_uv = [3.0]\n", "quality.trial", "max_blink_uv is not known"),
        ("[quality.reject]\nflat_uv = 3.0\n", "quality.reject", "flat_uv"),
        ("[quality.reject]\nmax_blink_uv = -3.0\n", "quality.reject.max_blink_uv", "-3"),
        ("[quality.reject]\nmin_channels = 7.5\n", "quality.reject.min_channels", "7.5"),
        ("[quality]\nhold = [5, 4, 3]\n", "quality.hold", "at most 4"),
        ("[quality]\nyellow_share = 0.0\n", "quality.yellow_share", "0"),
        ("[quality]\nwrong = 1\n", "quality.wrong", "not known"),
    ],
)
def test_each_wrong_value_is_told_with_its_place(table, where, words):
    with pytest.raises(ValidationProblem) as told:
        parse_plan(tiny() + "\n" + table)
    assert where in str(told.value)
    assert words in str(told.value)
