"""Owns ordered loads and stores and the call of C functions by address, from compiled code; owns no data.

Addresses are passed as integers, so that the compiled callers can be cached on disk between runs.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_I64 = ir.IntType(64)
_ULONG = ir.IntType(8 * ctypes.sizeof(ctypes.c_ulong))


def _store_release(typingctx: Any, address: Any, value: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[1], builder.inttoptr(args[0], _I64.as_pointer()), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), build


def _load_acquire(typingctx: Any, address: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(builder.inttoptr(args[0], _I64.as_pointer()), "acquire", 8)

    return types.int64(types.int64), build


def _call_clock(typingctx: Any, function: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.DoubleType(), [])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), [])

    return types.float64(types.int64), build


def _call_pull(
    typingctx: Any,
    function: Any,
    inlet: Any,
    data: Any,
    stamps: Any,
    n_data: Any,
    n_stamps: Any,
    timeout: Any,
    error: Any,
) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(_ULONG, [byte, byte, byte, _ULONG, _ULONG, ir.DoubleType(), byte])
        pointer, inlet, data, stamps, n_data, n_stamps, timeout, error = args
        pull = builder.inttoptr(pointer, kind.as_pointer())
        got = builder.call(
            pull,
            [
                builder.inttoptr(inlet, byte),
                builder.inttoptr(data, byte),
                builder.inttoptr(stamps, byte),
                builder.trunc(n_data, _ULONG) if _ULONG.width < 64 else n_data,
                builder.trunc(n_stamps, _ULONG) if _ULONG.width < 64 else n_stamps,
                timeout,
                builder.inttoptr(error, byte),
            ],
        )
        return builder.zext(got, _I64) if _ULONG.width < 64 else got

    i64 = types.int64
    return types.int64(i64, i64, i64, i64, i64, i64, types.float64, i64), build


def _copy_bytes(typingctx: Any, target: Any, source: Any, count: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        target, source, count = args
        cgutils.raw_memcpy(builder, builder.inttoptr(target, byte), builder.inttoptr(source, byte), count, 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), build


if numba.config.DISABLE_JIT:  # plain Python twins, for debugging only

    def store_release(address: int, value: int) -> None:
        ctypes.c_int64.from_address(int(address)).value = int(value)

    def load_acquire(address: int) -> int:
        return ctypes.c_int64.from_address(int(address)).value

    def copy_bytes(target: int, source: int, count: int) -> None:
        ctypes.memmove(int(target), int(source), int(count))

    def call_clock(function: int) -> float:
        return float(ctypes.CFUNCTYPE(ctypes.c_double)(int(function))())

    def call_pull(
        function: int,
        inlet: int,
        data: int,
        stamps: int,
        n_data: int,
        n_stamps: int,
        timeout: float,
        error: int,
    ) -> int:
        p, n = ctypes.c_void_p, ctypes.c_ulong
        pull = ctypes.CFUNCTYPE(n, p, p, p, n, n, ctypes.c_double, p)(int(function))
        return int(pull(int(inlet), int(data), int(stamps), n_data, n_stamps, timeout, int(error)))
else:
    store_release = intrinsic(_store_release)
    load_acquire = intrinsic(_load_acquire)
    copy_bytes = intrinsic(_copy_bytes)
    call_clock = intrinsic(_call_clock)
    #: pull(function, inlet, data, stamps, n_data, n_stamps, timeout, error): addresses and counts as int64
    call_pull = intrinsic(_call_pull)
