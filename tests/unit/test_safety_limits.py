"""Limits as data: complete, cited, only ever tightened."""

from __future__ import annotations

import math
from importlib import resources

import pytest

from rtloop.errors import ValidationProblem
from rtloop.safety.limits import NAMES, confirmed, load_limits, parse_limits, tightest

TEXT = resources.files("rtloop.safety").joinpath("limits.toml").read_text("utf-8")


def test_shipped_numbers() -> None:
    limits = load_limits()
    assert {r.name for r in limits.rows} == set(NAMES)
    assert (limits.max_single_pct_rmt, limits.min_interval_s, limits.confirm_window_s) == (140, 1.0, 10)
    assert (limits.coil_warn_c, limits.coil_stop_c, limits.threshold_max_age_days) == (37, 39, 7)
    assert (limits.eeg_hold_s, limits.eeg_disarm_s, limits.status_max_age_s) == (0.05, 0.25, 1.0)
    assert all(r.citation and r.unit for r in limits.rows)


def test_train_table_is_whole_and_unverified() -> None:
    table = {(t.hz, t.pct_mt): t.longest_s for t in load_limits().trains}
    assert set(table) == {(hz, pct) for hz in (1, 5, 10, 20, 25) for pct in (90, 100, 110, 120, 130)}
    for (hz, pct), longest_s in table.items():  # more intense or faster is never allowed for longer
        assert all(longest_s >= table[other] for other in table if other[0] >= hz and other[1] >= pct)
    assert not any(t.verified for t in load_limits().trains)
    assert any(name.startswith("train 10 Hz") for name in load_limits().unverified)


@pytest.mark.req("R-LIMIT-TIGHTEN")
@pytest.mark.parametrize(
    ("name", "loose"), [("max_power_pct_mso", 101), ("min_interval_s", 0.9), ("coil_stop_c", 41)]
)
def test_site_may_not_loosen(name: str, loose: float) -> None:
    with pytest.raises(ValidationProblem) as problem:
        load_limits({name: loose, "max_pulses_day": 10})
    assert name in str(problem.value)
    assert "only tighten" in str(problem.value)


@pytest.mark.req("R-LIMIT-TIGHTEN")
def test_site_tightens_and_is_named() -> None:
    limits = load_limits({"max_power_pct_mso": 80, "min_interval_s": 2.0})
    assert (limits.max_power_pct_mso, limits.min_interval_s) == (80, 2.0)
    assert limits.row("max_power_pct_mso").set_by == "site"
    assert limits.row("coil_stop_c").set_by == "published"


@pytest.mark.req("R-LIMIT-TIGHTEN")
def test_tightest_of_four_wins_in_either_direction() -> None:
    limits = tightest(
        load_limits(), device={"max_power_pct_mso": 90, "min_interval_s": 4.0},
        site={"max_power_pct_mso": 85, "min_interval_s": 2.0}, prescription={"max_power_pct_mso": 95},
    )  # fmt: skip
    assert (limits.max_power_pct_mso, limits.min_interval_s) == (85, 4.0)
    assert limits.row("min_interval_s").set_by == "device"


@pytest.mark.req("R-NAN")
@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0, 0.0, True, "80"])
def test_odd_values_are_refused(bad: object) -> None:
    with pytest.raises(ValidationProblem):
        load_limits({"max_power_pct_mso": bad})  # type: ignore[dict-item]
    with pytest.raises(ValidationProblem):
        tightest(load_limits(), device={"max_power_pct_mso": bad})  # type: ignore[dict-item]


def test_unknown_name_is_refused() -> None:
    with pytest.raises(ValidationProblem, match="max_powr"):
        load_limits({"max_powr": 80})


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('name = "coil_stop_c", value = 39', 'name = "coil_stop_c", value = nan', "value"),
        ('name = "coil_stop_c"', 'name = "coil_warn_c"', "coil_stop_c is missing"),
        ('unit = "pulses"', 'unit = "pulses", extra = 1', "extra"),
        ("hz = 1,", 'hz = "1",', "hz"),
        ('stricter = "higher"', 'stricter = "wider"', "stricter"),
    ],
)
def test_a_damaged_file_is_refused_with_words(old: str, new: str, word: str) -> None:
    assert old in TEXT
    with pytest.raises(ValidationProblem, match=word):
        parse_limits(TEXT.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("{ hz = 20, pct_mt = 110, longest_s = 1.6, longest_tested = false, verified = false },", "", "is missing"),
        ("hz = 25, pct_mt = 130", "hz = 25, pct_mt = 120", "occurs twice"),
        ("hz = 25, pct_mt = 130, longest_s = 0.24", "hz = 25, pct_mt = 130, longest_s = 2.4", "is longer than"),
        ("hz = 10, pct_mt = 120, longest_s = 4.2", "hz = 10, pct_mt = 120, longest_s = 5.5", "is longer than"),
        ("hz = 10, pct_mt = 120, longest_s = 4.2", "hz = 10, pct_mt = 120, longest_s = nan", "longest_s"),
        ("longest_s = 4.2, longest_tested = false", "longest_s = 4.2", "longest_tested is missing"),
        ("longest_s = 4.2, longest_tested = false, verified = false", "longest_s = 4.2, longest_tested = false", "verified"),
        ('citation = "Rossi 2009', 'source = "Rossi 2009', "citation"),
        ('citation = "Rossi 2009 Table 4 (10.1016/j.clinph.2009.08.016)', 'citation = "" # "', "citation"),
        ('citation = "Chen 1997', 'citation = "  ", more = "Chen 1997', "citation = '  '"),
        ("[trains]", "[[trains]]", "not a table"),
        ("[trains]", "[train]", "unknown key"),
    ],
)  # fmt: skip
def test_a_table_of_trains_with_a_hole_or_a_contradiction_is_refused(old: str, new: str, word: str) -> None:
    assert old in TEXT
    with pytest.raises(ValidationProblem, match=word):
        parse_limits(TEXT.replace(old, new))


def test_every_row_of_trains_is_cited() -> None:
    assert all("10.1016/j.clinph.2009.08.016" in t.citation for t in load_limits().trains)
    own = TEXT.replace("longest_s = 4.2,", 'longest_s = 4.2, citation = "another",')
    assert {t.citation for t in parse_limits(own).trains if t.longest_s == 4.2} == {"another"}


@pytest.mark.req("R-LIMIT-TIGHTEN")
def test_a_site_confirms_rows_by_name_and_only_those_that_exist() -> None:
    limits = load_limits()
    assert {"max_power_pct_mso", "train 10 Hz 90 %", "max_treatment_pulses_day"} <= set(limits.unverified)
    checked = confirmed(limits, ["train 10 Hz 90 %", "max_power_pct_mso"])
    assert set(limits.unverified) - set(checked.unverified) == {"train 10 Hz 90 %", "max_power_pct_mso"}
    assert confirmed(limits, limits.unverified).unverified == ()
    with pytest.raises(ValidationProblem, match="train 10 Hz"):
        confirmed(limits, ["train 10 Hz"])


@pytest.mark.req("R-LIMIT-TIGHTEN")
@pytest.mark.parametrize(
    ("name", "tight", "loose"),
    [
        ("max_train_pct_rmt", 110, 121), ("min_between_trains_s", 26, 4.9), ("max_treatment_pulses_session", 1, 3001),
        ("max_treatment_pulses_day", 1000, 3001), ("max_treatment_sessions_day", 1, 2), ("train_end_max_wait_s", 1, 2),
        ("max_treatment_pulses_course", 30000, 36001), ("max_treatment_sessions_course", 10, 13),
    ],
)  # fmt: skip
def test_the_limits_of_trains_and_treatment_only_tighten(name: str, tight: float, loose: float) -> None:
    assert getattr(load_limits({name: tight}), name) == tight
    with pytest.raises(ValidationProblem, match=name):
        load_limits({name: loose})
    assert getattr(tightest(load_limits(), prescription={name: loose}), name) != loose
