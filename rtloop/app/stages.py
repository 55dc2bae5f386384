"""Owns how ``[signal.stages]`` of a plan becomes settings of the cleaning chain; owns no default of either."""

from __future__ import annotations

from typing import Any

from rtloop.errors import ValidationProblem
from rtloop.plan.schema import Stages

#: keys of ``muscle = { ... }`` -> setting of the chain
MUSCLE = {
    "most": "muscle_most", "ratio": "muscle_ratio", "allowance": "muscle_allowance", "until_ms": "muscle_until_s",
    "early": "muscle_early", "first": "spatial_first", "every": "spatial_every", "memory": "spatial_memory",
    "channels": "spatial_channels",
}  # fmt: skip


def stages_of(stages: Stages) -> dict[str, Any]:
    """Settings of ``ChainSpec`` by name. Where ``muscle`` is on and ``decay`` is not named, the decay is fitted in the
    first trials only (docs/decisions/0014), and unless ``early = false`` is said, patterns are learnt before the brain can have
    answered (0015).

    Raises
    ------
    ValidationProblem : a stage that is only switched has a setting that does not exist
    """
    given = {k: v for k, v in stages.model_dump().items() if v is not None}
    first_trials, earlier_trials = given.pop("first_trials"), given.pop("earlier_trials")
    tables = {k: given.pop(k) for k in ("sound", "muscle") if k in given}
    words = {"reference": "average", "decay": "first"}
    wrong = [k for k, v in given.items() if not isinstance(v, bool) and v != words.get(k)]
    if wrong:
        raise ValidationProblem(
            "a stage of the chain has a setting that does not exist",
            expected='true or false (reference: also "average"; decay: also "first")',
            found=", ".join(f"{k} = {given[k]!r}" for k in wrong), todo="correct [signal.stages]",
        )  # fmt: skip
    out: dict[str, Any] = {"average_reference" if k == "reference" else k: bool(v) for k, v in given.items()}
    for name, value in tables.items():
        out[name] = value is not False
        for key, setting in ({} if isinstance(value, bool) else value).items():
            if setting is not None:
                out |= _setting(name, key, setting)
    if given.get("decay", "first" if out.get("muscle") else True) == "first":
        out |= {"decay": False, "decay_first": True}
    if out.get("muscle") and not out.get("decay"):
        out.setdefault("muscle_early", True)
    if first_trials == "leave_out":
        out["leave_out_first"] = True
    if earlier_trials == "reclean":
        out["reclean_earlier"] = True
    return out


def _setting(name: str, key: str, value: float) -> dict[str, Any]:
    if name == "sound":
        return {f"sound_{key}": float(value)}
    if key == "until_ms":
        return {MUSCLE[key]: value * 1e-3}
    return {MUSCLE[key]: value}
