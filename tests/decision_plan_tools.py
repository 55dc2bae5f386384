"""A small plan of two targets that asks a question of the map: ground for the tests of the decision in sessions."""

from __future__ import annotations

from session_tools import tiny

DECISION = """
[decision]
looks = 2
n0 = 12
block = 8
block_max = 10
repairs = 1

[comparability]
accepted_min = 12
"""


def asking(
    text: str = DECISION, *, question: str = "low", cap: int = 120, wanted: int = 12, kind: str = "map"
) -> str:
    plan = tiny("M1", "PSI", wanted=wanted, most=14, kind=kind) + text
    plan = plan.replace('question = "none"', f'question = "{question}"')
    return plan.replace("pulses_total_max = 60", f"pulses_total_max = {cap}")
