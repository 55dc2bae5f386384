"""Whoever comes from MagPy finds every public call of it in the driver's documentation."""

from __future__ import annotations

from pathlib import Path

import pytest
from magpy import magstim

TEXT = (Path(__file__).parents[2] / "docs/drivers.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["Magstim", "BiStim", "Rapid"])
def test_every_public_call_of_magpy_is_in_the_table(name: str) -> None:
    made = getattr(magstim, name)
    section = TEXT[TEXT.index(f"| **{name}") :].split("\n| **")[0]
    calls = [call for call, value in vars(made).items() if callable(value) or isinstance(value, staticmethod)]
    missing = [call for call in calls if not call.startswith("_") and f"`{call}(" not in section]
    assert len(calls) > 3
    assert not missing
