"""Owns the form of one rule broken in a rehearsal, and what each rule cites; owns no rule."""

from __future__ import annotations

from dataclasses import dataclass

from rtloop.safety.limits import Limits, TrainRow
from rtloop.safety.rules import Refusal

#: rule -> names of the limits whose citations it has
_LIMITS_OF = {
    "power_cap": ("max_power_pct_mso",),
    "rmt_cap": ("max_single_pct_rmt",),
    "threshold_fresh": ("threshold_max_age_days",),
    "interval": ("min_interval_s",),
    "dose": ("max_pulses_target_session", "max_pulses_session", "max_pulses_day"),
    "train_rmt_cap": ("max_train_pct_rmt",),
    "between_trains": ("min_between_trains_s", "interval_margin_s"),
    "treatment_dose": ("max_treatment_pulses_session", "max_treatment_pulses_day"),
    "treatment_session": ("max_treatment_sessions_day",),
    "treatment_course": ("max_treatment_pulses_course", "max_treatment_sessions_course"),
}
CITED = {
    "threshold_known": "design note STIMULATOR section 3: refuse without a dated EMG threshold",
    "threshold_by_emg": "design note STIMULATOR section 3: a visible twitch runs 11 % high",
    "threshold_own": "design note STIMULATOR section 3: a threshold holds for one person and set-up",
    "intensity_agrees": "design note STIMULATOR section 3: % RMT to % MSO rounds down",
    "interval": "design note STIMULATOR section 1: 200², 2 / 3 / 4 s below 50 / below 80 / to 100 %",
}
#: the same where the unit is one that gives trains
CITED_OF_TRAINS = {
    "interval": "design note STIMULATOR section 1: Rapid², at least 0.5 s after a train, and its energy wait",
    "unit_offers": "design note STIMULATOR section 1: trains of a Rapid² only",
    "train_unit": "design note STIMULATOR section 1 and MagPy 1.4 (10.1016/j.jneumeth.2016.11.006): frequency, energy, length",
}


@dataclass(frozen=True, kw_only=True)
class Breach:
    """One rule broken. ``step`` is the index of the step, None for the whole plan; ``where`` says it."""

    step: int | None
    where: str
    rule: str
    expected: str
    found: str
    todo: str
    citation: str

    def words(self) -> str:
        """One line."""
        said = f"{self.where}: {self.rule}: expected {self.expected}, found {self.found}; {self.todo}"
        return f"{said} ({self.citation})"


def citation_of(
    refusal: Refusal, limits: Limits, *, trains: bool = False, row: TrainRow | None = None
) -> str:
    """Where the rule has its number from. ``trains``: of a unit that gives them; ``row``: of the table that was read."""
    cited = CITED | CITED_OF_TRAINS if trains else CITED
    out = [cited[refusal.rule]] if refusal.rule in cited else []
    out += [limits.row(n).citation for n in _LIMITS_OF.get(refusal.rule, ())]
    if refusal.rule in ("train_length", "train_longest_tested", "train_row_checked"):
        # beyond the table no row is read: that of its edge says where the table is from
        out.append((row or limits.trains[-1]).citation)
    return "; ".join(dict.fromkeys(out)) or "the gate's own rule"
