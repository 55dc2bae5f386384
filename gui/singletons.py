"""Owns a guard against a Qt binding that loses references to None, True and False; owns nothing else.

The wheels of PySide6 6.12.0 return these as if they were immortal, which they are only from Python 3.12 on (PEP 683): under
3.10 and 3.11 each call that returns nothing takes one reference from None, and after a minute of drawing the interpreter
dies ("deallocating None"). 6.11 does not. So they are made as good as immortal here, where they are not.
"""

from __future__ import annotations

import ctypes
import sys

SINGLETONS = (None, True, False, NotImplemented, ...)
SPARE = 1 << 40


def keep() -> bool:
    """Give the singletons so many references that none is ever let go; True when something was done.

    Does nothing where they are immortal, outside CPython, and where the count is not found in its place (a debug build).
    """
    if (
        sys.version_info >= (3, 12)
        or sys.implementation.name != "cpython"
        or ctypes.sizeof(ctypes.c_void_p) != 8
    ):
        return False
    done = False
    for one in SINGLETONS:
        count = ctypes.c_ssize_t.from_address(id(one))
        if count.value < SPARE and abs(count.value - sys.getrefcount(one)) < 100:
            count.value += SPARE
            done = True
    return done
