"""Owns the compiled acquisition loop: C pull -> ring -> chunk log -> head; owns no thread and no connection.

It runs without the interpreter's lock from start to end, so no Python load in the process can delay it.
"""

from __future__ import annotations

from typing import Any

from rtloop.eeg.atomic import call_clock, call_pull, load_acquire, store_release
from rtloop.eeg.ring import HEAD, copy_to_twin, publish
from rtloop.jit import kernel
from rtloop.model.samples import F32, F64

#: slots of the shared flags, int64[8]
STOP, STATE, ERROR = 0, 1, 2
#: values of STATE
RUNNING, STOPPED, LOST, FAILED = 1, 2, 3, 4
#: a step between two stamps in one pull that differs this much from the sample period begins a new chunk row
SPLIT_S = 1e-3
_LSL_LOST = -2  # lsl_lost_error
_LSL_TIMEOUT = -1


@kernel(
    "void(int64, int64, int64, float32[::1], float64[::1], int64[::1], float32[::1], boolean, float64[::1],"
    "int64[::1], int32[::1], float64, float64)"
)
def acquire(
    pull: int,
    clock: int,
    inlet: int,
    data: F32,
    log: F64,
    header: Any,
    factors: F32,
    scaled: bool,
    stamps: F64,
    flags: Any,
    error: Any,
    period_s: float,
    timeout_s: float,
) -> None:
    """Pull until told to stop or the stream is lost: block for one frame, drain, scale, publish.

    Parameters
    ----------
    pull, clock, inlet : addresses of lsl_pull_chunk_f, lsl_local_clock and the inlet
    data, log, header : the ring's arrays
    factors : float32[n_channels], sample as sent x factor = sample stored; used when ``scaled``
    stamps : float64[max frames per pull], s, scratch
    flags, error : int64[8] shared with Python, int32[1] scratch
    period_s, timeout_s : sample period; how long one pull may block
    """
    n_channels, capacity, doubled = header[1], header[2], header[4]
    most = stamps.size
    row = n_channels * 4
    base = data.ctypes.data
    stamps_at, error_at, flags_at = stamps.ctypes.data, error.ctypes.data, flags.ctypes.data
    while load_acquire(flags_at + 8 * STOP) == 0:
        head = header[HEAD]
        pos = head & (capacity - 1)
        at = base + pos * row
        error[0] = 0
        got = call_pull(pull, inlet, at, stamps_at, n_channels, 1, timeout_s, error_at)
        if got > 0:
            got += call_pull(
                pull, inlet, at + row, stamps_at + 8, (most - 1) * n_channels, most - 1, 0.0, error_at
            )
        n = got // n_channels
        if n > 0:
            now_s = call_clock(clock)
            if scaled:
                for r in range(pos, pos + n):
                    for c in range(n_channels):
                        data[r * n_channels + c] *= factors[c]
            if doubled:
                copy_to_twin(data, pos, n, n_channels, capacity)
            first = 0
            for i in range(1, n):
                if not abs(stamps[i] - stamps[i - 1] - period_s) <= SPLIT_S:
                    publish(header, log, head + first, i - first, stamps[i - 1], now_s)
                    first = i
            publish(header, log, head + first, n - first, stamps[n - 1], now_s)
        if error[0] != 0 and error[0] != _LSL_TIMEOUT:
            store_release(flags_at + 8 * ERROR, error[0])
            store_release(flags_at + 8 * STATE, LOST if error[0] == _LSL_LOST else FAILED)
            return
    store_release(flags_at + 8 * STATE, STOPPED)
