"""Owns the driver's own check of a permit: genuine, of this run, unspent, unexpired; owns no minting."""

from __future__ import annotations

import math

from rtloop.ports import Permit

LONGEST_S = 60.0


class PermitCheck:
    """Remembers the last spent permit for the whole run."""

    def __init__(self, *, run_id: str, key: bytes) -> None:
        self._run_id, self._key = run_id, key
        self._last_spent: int | None = None

    def refusal(self, permit: object, *, now_s: float) -> str:
        """Why this permit gives no leave now, or "". Comparisons are written so that NaN is refused."""
        if not isinstance(permit, Permit):
            return f"refused: no permit, but {type(permit).__name__}"
        if permit.run_id != self._run_id:
            return f"refused: permit of run {permit.run_id!r}, this run is {self._run_id!r}"
        if not permit.genuine(self._key):
            return "refused: the seal of the permit is not genuine"
        if self._last_spent is not None and not permit.permit_id > self._last_spent:
            return f"refused: permit {permit.permit_id} is not above the last spent one, {self._last_spent}"
        if not math.isfinite(permit.expires_s) or permit.expires_s > now_s + LONGEST_S:
            return f"refused: a permit must expire within {LONGEST_S:g} s, this one says {permit.expires_s!r}"
        if not now_s < permit.expires_s:
            return f"missed: the permit expired {1e3 * (now_s - permit.expires_s):.1f} ms ago"
        return ""

    def spend(self, permit: Permit) -> None:
        """To be called before the first byte goes out."""
        self._last_spent = permit.permit_id
