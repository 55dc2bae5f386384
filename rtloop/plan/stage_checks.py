"""Owns what may stand together in ``[signal]`` where stages learn from trials; owns no other table and no stage."""

from __future__ import annotations

from collections.abc import Iterator

from rtloop.plan.problems import Problem
from rtloop.plan.schema import Signal, Stages


def stage_problems(signal: Signal) -> Iterator[Problem]:
    """Switches of the spatial stage against the others, and the second gap against the first."""
    second = signal.recharge_gap_ms
    if second is not None and not signal.gap_ms[1] < second[0] < second[1]:
        yield Problem(
            where="signal.recharge_gap_ms", what="the second gap is no stretch after the first",
            expected=f"a start after {signal.gap_ms[1]:g} ms, then an end", found=f"[{second[0]:g}, {second[1]:g}]",
            todo="give the times of the recharge spike, ms from the pulse",
        )  # fmt: skip
    seen: set[str] = set()
    for k, (first, last) in enumerate(signal.sub_windows_ms or ()):
        name = f"{first:.0f}-{last:.0f}"
        if name in seen or not signal.window_ms[0] <= first < last <= signal.window_ms[1]:
            yield Problem(
                where=f"signal.sub_windows_ms[{k}]", what="a part of the score window is no part of it, or is there twice",
                expected=f"{signal.window_ms[0]:g} <= start < end <= {signal.window_ms[1]:g} ms, each once, whole ms apart",
                found=f"[{first:g}, {last:g}]", todo="correct its times",
            )  # fmt: skip
        seen.add(name)
    yield from _spatial(signal.stages)


def _spatial(stages: Stages) -> Iterator[Problem]:
    muscle, spatial = bool(stages.muscle), bool(stages.muscle or stages.sound)
    if muscle and stages.decay is True:
        yield Problem(
            where="signal.stages.decay", what="the per-trial decay fit spoils every projection: of one pattern it makes many",
            expected='"first" or false where muscle is on', found="true",
            todo='write decay = "first": it then serves the first trials only',
        )  # fmt: skip
    if stages.decay == "first" and not spatial:
        yield Problem(
            where="signal.stages.decay", what="there are no first trials where no stage learns from them",
            expected="true or false where sound and muscle are off", found='"first"', todo="write decay = true",
        )  # fmt: skip
    if stages.first_trials == "leave_out" and not spatial:
        yield Problem(
            where="signal.stages.first_trials", what="there are no first trials where no stage learns from them",
            expected='"count" where sound and muscle are off', found='"leave_out"', todo="remove the key",
        )  # fmt: skip
    if stages.earlier_trials == "reclean" and not spatial:
        yield Problem(
            where="signal.stages.earlier_trials", what="no filter comes to be by which earlier trials could be cleaned again",
            expected='"keep" where sound and muscle are off', found='"reclean"', todo="remove the key, or switch muscle on",
        )  # fmt: skip
    if spatial and (stages.reference is False or stages.bridge is False):
        yield Problem(
            where="signal.stages", what="the spatial stage needs the stages before it",
            expected="bridge and reference on where sound or muscle is on",
            found=f"bridge {stages.bridge}, reference {stages.reference}", todo="switch them on, or the spatial stage off",
        )  # fmt: skip
