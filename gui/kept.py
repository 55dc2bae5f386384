"""Owns the keeping of a pure function's last results by the identity of its arguments; owns no function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
_VALUES = (str, int, float, bool, tuple)


def _same(a: Any, b: Any) -> bool:
    """Identity for what is replaced whole when it changes (mappings of a view), equality for small values."""
    return a is b or (type(a) is type(b) and isinstance(a, _VALUES) and len_of(a) <= 8 and a == b)


def len_of(x: Any) -> int:
    """Length of a tuple, else 0: long tuples are compared by identity alone."""
    return len(x) if isinstance(x, tuple) else 0


def kept(f: Callable[..., T], *, results: int = 4) -> Callable[..., T]:
    """``f`` that works again only when an argument is another object (a view's parts are never changed in place).

    The arguments are held, so that an identity cannot be given to something else. For one thread.
    """
    last: list[tuple[tuple[Any, ...], T]] = []

    def g(*args: Any) -> T:
        for known, result in last:
            if len(known) == len(args) and all(_same(a, b) for a, b in zip(known, args, strict=True)):
                return result
        result = f(*args)
        last.insert(0, (args, result))
        del last[results:]
        return result

    g.__doc__, g.__name__ = f.__doc__, getattr(f, "__name__", "kept")
    return g


def kept_each(f: Callable[..., T]) -> Callable[..., list[T]]:
    """``f(key, row, *more)`` of every row, in order; works again only for rows that are other objects than the last time, and
    for all where one of ``more`` is another object."""
    known: dict[int, tuple[Mapping[str, Any], T]] = {}
    beside: tuple[Any, ...] = ()

    def g(rows: Mapping[int, Mapping[str, Any]], *more: Any) -> list[T]:
        nonlocal known, beside
        same = len(more) == len(beside) and all(a is b for a, b in zip(more, beside, strict=True))
        before, known, beside = known if same else {}, {}, more
        for key, row in rows.items():
            pair = before.get(key)
            known[key] = pair if pair is not None and pair[0] is row else (row, f(key, row, *more))
        return [result for _, result in known.values()]

    return g
