"""What a stream description may say, and what is refused, all at once."""

from __future__ import annotations

import numpy as np
import pytest

from rtloop.eeg.layout import Described, Kind, Layout, layout_of
from rtloop.errors import ValidationProblem
from rtloop.model.montage import HEAD_RADIUS_M, Montage


def entry(label="Cz", kind="EEG", unit="microvolts", location_mm=None):
    return Described(label=label, kind=kind, unit=unit, location_mm=location_mm)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("microvolts", 1), ("uV", 1), ("µV", 1), ("μV", 1), (" UV ", 1), ("mV", 1e3), ("millivolts", 1e3),
     ("volts", 1e6), ("V", 1e6), ("nV", 1e-3), ("nanovolts", 1e-3)],
)  # fmt: skip
def test_units_become_factors(unit, factor):
    assert layout_of([entry(unit=unit)]).channels[0].factor == factor


def test_every_unknown_unit_is_listed():
    with pytest.raises(ValidationProblem) as caught:
        layout_of([entry(unit="furlong"), entry("C3", unit=""), entry("C4", unit="MV"), entry("Pz")])
    assert caught.value.found == "Cz: furlong, C3: none, C4: MV"


def test_kinds_and_columns():
    layout = layout_of(
        [
            entry("VEOG", "EOG"),
            entry("Cz"),
            entry("T", "TRIG", ""),
            entry("C3"),
            entry("acc", "ACC", "g"),
            entry("C4", ""),
        ]
    )
    assert [c.kind for c in layout.channels] == [Kind.EOG, Kind.EEG, Kind.TRIG, Kind.EEG, Kind.MISC, Kind.EEG]
    assert layout.eeg_columns == (1, 3, 5)
    assert layout.trigger_column == 2
    assert layout.montage.names == ("Cz", "C3", "C4")


def test_a_location_wins_over_the_name_and_lands_on_the_sphere():
    layout = layout_of([entry("Cz", location_mm=(40.0, 0.0, 0.0)), entry("C3", location_mm=(0.0, 0.0, 0.0))])
    np.testing.assert_allclose(layout.montage.positions_m[0], [HEAD_RADIUS_M, 0, 0])
    np.testing.assert_allclose(layout.montage.positions_m[1], Montage.from_names(("C3",)).positions_m[0])
    assert layout_of([entry("E17", location_mm=(0.0, 1.0, 1.0))]).montage.names == ("E17",)


def test_unknown_and_doubled_names_are_refused():
    with pytest.raises(ValidationProblem, match="X1, X2"):
        layout_of([entry("Cz"), entry("X1"), entry("X2")])
    with pytest.raises(ValidationProblem, match=r"occur twice.*Cz"):
        layout_of([entry("Cz"), entry("Cz."), entry("C3")])
    with pytest.raises(ValidationProblem, match="no EEG channel"):
        layout_of([entry("T", "TRIG")])


def test_a_montage_makes_a_layout_and_comes_back():
    montage = Montage.from_names(("Cz", "C3"))
    layout = Layout.from_montage(montage, trigger="TRIG")
    assert layout.trigger_column == 2
    np.testing.assert_array_equal(layout.montage.positions_m, montage.positions_m)
