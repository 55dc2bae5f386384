"""Owns the checks between the keys of ``[gate]`` of a treatment plan, and how long its waits may take; owns no key."""

from __future__ import annotations

from collections.abc import Iterator

from rtloop.plan.checks import coil_misplaced
from rtloop.plan.problems import Problem
from rtloop.plan.treat_schema import COIL, StateGate, Trains


def gate_wrong(gate: StateGate, trains: Trains | None) -> Iterator[Problem]:
    """Everything wrong between the keys of ``[gate]``, and with the pause (``trains`` None: not known)."""
    if gate.near != COIL:
        yield from coil_misplaced("gate", gate.near, "near")
    if not gate.every_s <= gate.window_s:
        yield Problem(
            where="gate.every_s", what="samples between two looks would be in no window",
            expected=f"at most window_s = {gate.window_s:g} s", found=f"{gate.every_s:g} s", todo="look more often",
        )  # fmt: skip
    least_s = gate.calibration_windows * gate.window_s
    if not gate.calibration_max_s >= least_s:
        yield Problem(
            where="gate.calibration_max_s", what="the calibration ends before its windows can be there",
            expected=f"at least {gate.calibration_windows} x {gate.window_s:g} s = {least_s:g} s",
            found=f"{gate.calibration_max_s:g} s", todo="allow more time (artifacts cost windows), or ask for fewer",
        )  # fmt: skip
    if not gate.time_out_s >= 2 * gate.every_s:
        yield Problem(
            where="gate.time_out_s", what="the wait is over before it was looked twice",
            expected=f"at least 2 x every_s = {2 * gate.every_s:g} s", found=f"{gate.time_out_s:g} s",
            todo="wait longer, or look more often",
        )  # fmt: skip
    pause_s = None if trains is None else trains.pause_s
    if pause_s is not None and not first_value_s(gate, pause_s) < gate.time_out_s:
        yield Problem(
            where="gate.time_out_s", what="no value can come before the time is out",
            expected=f"recovery_s + window_s = {gate.recovery_s + gate.window_s:g} s to be less than pause_s + time_out_s",
            found=f"{pause_s + gate.time_out_s:g} s", todo="lengthen the pause or the time-out, or shorten the window",
        )  # fmt: skip


def first_value_s(gate: StateGate, pause_s: float) -> float:
    """From the end of a pause to the first value that may count, at the least."""
    return max(0.0, gate.recovery_s + gate.window_s - pause_s)


def waits_s(gate: StateGate | None, trains: int, pause_s: float | None) -> tuple[float, float] | None:
    """What the calibration and the waits of so many trains add to a session, fewest and most seconds; None without a gate.

    The most: every train waits until the time is out. A session that is paused by hand or by a fault takes longer.
    """
    if gate is None:
        return None
    later = 0.0 if pause_s is None else first_value_s(gate, pause_s)
    fewest = gate.calibration_windows * gate.window_s + (trains - 1) * later
    return fewest, gate.calibration_max_s + trains * gate.time_out_s
