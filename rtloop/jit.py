"""Owns the options under which numba compiles; owns no kernel.

``fastmath`` is never full: NaN and inf must survive. Set ``NUMBA_DISABLE_JIT=1`` to run every kernel as plain Python; it then
warns as little of what is no number as the compiled one does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

#: reassociation and fused multiply-add only: lets sums vectorise, keeps NaN, inf and signed zero meaningful
SUM_FLAGS = {"reassoc", "contract"}


def kernel(signature: str | list[str] | None = None, *, sums: bool = False) -> Callable[[F], F]:
    """Compile a private kernel: nogil, cached on disk, explicit signature (compiled at import: the warm-up).

    Parameters
    ----------
    signature : numba signature(s); None compiles at the first call (tests only)
    sums : allow reassociation of floating sums (vectorised reductions)
    """
    if numba.config.DISABLE_JIT:
        return _plain
    options: dict[str, Any] = {"nogil": True, "cache": True, "fastmath": SUM_FLAGS if sums else False}
    if signature is None:
        return numba.njit(**options)  # type: ignore[no-any-return]
    return numba.njit(signature, **options)  # type: ignore[no-any-return]


def _plain(function: F) -> F:
    """The kernel as it is written: inf - inf is no number, without a warning."""

    @functools.wraps(function)
    def quiet(*args: Any) -> Any:
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            return function(*args)

    return quiet  # type: ignore[return-value]
