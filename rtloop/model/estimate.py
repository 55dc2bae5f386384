"""Owns a number with its uncertainty and the scores of one target; owns no way of computing them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: SCIENCE section 1; pooled is the mean of the three
BANDS_HZ: dict[str, tuple[float, float]] = {
    "alpha": (8.0, 12.0),
    "low_beta": (13.0, 20.0),
    "high_beta": (21.0, 30.0),
}
POOLED = "pooled"
MEASURES = ("dwpli2", "wpli", "plv", "ppc")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value, its standard error, and a 95 % interval; all NaN-free or ``why_absent`` says why there is no number."""

    value: float
    se: float
    low: float
    high: float
    n: int  # trials behind it
    unit: str = ""
    why_absent: str = ""

    @classmethod
    def normal(cls, value: float, se: float, *, n: int, unit: str = "") -> Estimate:
        """Plain 95 % interval: value ± 1.96 SE."""
        return cls(value=value, se=se, low=value - 1.96 * se, high=value + 1.96 * se, n=n, unit=unit)

    @classmethod
    def absent(cls, why: str, *, n: int = 0, unit: str = "") -> Estimate:
        """No number, and the reason."""
        nan = math.nan
        return cls(value=nan, se=nan, low=nan, high=nan, n=n, unit=unit, why_absent=why)

    @property
    def present(self) -> bool:
        return not self.why_absent

    def to_dict(self) -> dict[str, Any]:
        """For JSON: NaN becomes None."""
        return {k: (None if isinstance(v, float) and math.isnan(v) else v) for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Estimate:
        made: dict[str, Any] = {k: (math.nan if v is None else v) for k, v in d.items()}
        return cls(**made)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Everything that is known of one target after its latest accepted trial.

    ``connectivity`` maps measure -> scope ("global", "local"; of dwpli2 also "local_8", "seed") -> band (BANDS_HZ
    and "pooled") -> Estimate. The primary score is ``connectivity["dwpli2"]["global"]["pooled"]``. Evoked maps
    "gmfp_uv", "lmfp_uv", "early_local_pp_uv", "itc_local", "ersp_local_db" (per band names suffixed ``:band``),
    "snr" -> Estimate.
    """

    target: str
    n_accepted: int
    n_rejected: int
    connectivity: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    evoked: Mapping[str, Estimate] = field(default_factory=dict)

    def score(self, scope: str, measure: str = "dwpli2", band: str = POOLED) -> Estimate:
        """One estimate, by scope ("global" or "local")."""
        return self.connectivity[measure][scope][band]

    def to_dict(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "n_accepted": self.n_accepted,
            "n_rejected": self.n_rejected,
            "connectivity": {
                m: {s: {b: e.to_dict() for b, e in bands.items()} for s, bands in scopes.items()}
                for m, scopes in self.connectivity.items()
            },
            "evoked": {k: e.to_dict() for k, e in self.evoked.items()},
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Scores:
        return cls(
            target=d["target"],
            n_accepted=d["n_accepted"],
            n_rejected=d["n_rejected"],
            connectivity={
                m: {s: {b: Estimate.from_dict(e) for b, e in bands.items()} for s, bands in scopes.items()}
                for m, scopes in d["connectivity"].items()
            },
            evoked={k: Estimate.from_dict(e) for k, e in d["evoked"].items()},
        )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a trial or channel is used, with every reason as (rule, found, limit, unit)."""

    accepted: bool
    reasons: tuple[tuple[str, float, float, str], ...] = ()
    numbers: Mapping[str, float] = field(
        default_factory=dict
    )  # name with unit suffix -> value, always recorded

    def words(self) -> str:
        """The reasons, readable."""
        return "; ".join(
            f"{rule}: {found:.3g} {unit} (limit {limit:g})" for rule, found, limit, unit in self.reasons
        )
