"""Owns the fenced load and store of one 64-bit word in shared memory; owns no layout.

A sequence lock needs more than release and acquire: the odd number must be visible before the data that follow it, and the
data must be read before the number is read again. A full fence on both sides gives that on every processor.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from rtloop.jit import kernel

_I64 = ir.IntType(64)


def _store_fenced(typingctx: Any, address: Any, value: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        builder.store_atomic(args[1], builder.inttoptr(args[0], _I64.as_pointer()), "monotonic", 8)
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), build


def _load_fenced(typingctx: Any, address: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        word = builder.load_atomic(builder.inttoptr(args[0], _I64.as_pointer()), "monotonic", 8)
        builder.fence("seq_cst")
        return word

    return types.int64(types.int64), build


if numba.config.DISABLE_JIT:  # plain Python twins, for debugging only
    from rtloop.eeg.atomic import load_acquire as _load
    from rtloop.eeg.atomic import store_release as _store
else:
    _store, _load = intrinsic(_store_fenced), intrinsic(_load_fenced)


@kernel("void(int64, int64)")
def store(address: int, value: int) -> None:
    """Write the word at ``address``; nothing before or after it moves across."""
    _store(address, value)


@kernel("int64(int64)")
def load(address: int) -> int:
    """Read the word at ``address``; nothing before or after it moves across."""
    return _load(address)
