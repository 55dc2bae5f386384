"""Any order of adding, removing and reinstating ends where a fresh start with the same trials would."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtloop.measures.connectivity import RunningConnectivity
from rtloop.model.estimate import MEASURES

BANDS = {"alpha": slice(0, 2), "low_beta": slice(2, 3), "high_beta": slice(3, 6)}


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    channels=st.integers(2, 6),
    n=st.integers(3, 12),
    moves=st.lists(st.tuples(st.booleans(), st.integers(0, 11)), max_size=25),
)
def test_history_of_moves_does_not_matter(seed, channels, n, moves):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((2, n, channels, 6)) * rng.uniform(0.1, 50)
    good = rng.uniform(size=(n, channels)) > 0.1
    r = RunningConnectivity(channels, BANDS, capacity=1, dtype=np.float64)
    for i in range(n):
        r.add(i, a[0, i], a[1, i], good[i])
    counting = set(range(n))
    for out, i in moves:
        if i < n:
            assert (r.remove if out else r.reinstate)(i) == ((i in counting) == out)
            (counting.discard if out else counting.add)(i)
    fresh = RunningConnectivity(channels, BANDS, dtype=np.float64)
    for i in sorted(counting):
        fresh.add(i, a[0, i], a[1, i], good[i])
    assert r.n == len(counting)
    assert np.array_equal(r.pair_counts, fresh.pair_counts)
    if len(counting) >= 3:
        some = fresh.pair_counts >= 3
        for m in MEASURES:
            assert np.allclose(r.pair_values()[m][some], fresh.pair_values()[m][some], atol=1e-7), m
