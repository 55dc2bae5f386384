"""Owns which trial sits in which slot of a history and whether it counts; owns no numbers of a trial."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtloop.errors import ValidationProblem
from rtloop.model.samples import I64, Bool


class TrialSlots:
    """Trial ids in the order of arrival. A slot is never reused; a trial is taken out by ceasing to count."""

    def __init__(self, capacity: int) -> None:
        self.capacity = max(1, capacity)
        self._slot: dict[int, int] = {}
        self._counts: Bool = np.zeros(self.capacity, dtype=np.bool_)
        self.n = 0

    def __len__(self) -> int:
        return len(self._slot)

    def __contains__(self, trial_id: int) -> bool:
        return trial_id in self._slot

    @property
    def full(self) -> bool:
        return len(self._slot) >= self.capacity

    def counting(self) -> I64:
        """int64[n] slots that count, in order of arrival."""
        return np.flatnonzero(self._counts[: len(self._slot)])

    def ids(self) -> list[int]:
        """Ids of the trials that count, in order of arrival."""
        return [i for i, slot in self._slot.items() if self._counts[slot]]

    def enter(self, trial_id: int) -> int:
        """A new slot, not counting yet; an id twice is refused."""
        if trial_id in self._slot:
            raise ValidationProblem(f"trial {trial_id} is already there", todo="give every trial its own id")
        slot = len(self._slot)
        self._slot[trial_id] = slot
        return slot

    def of(self, trial_id: int) -> int:
        """The slot of a trial; unknown ids are refused."""
        if trial_id not in self._slot:
            raise ValidationProblem(
                f"trial {trial_id} is unknown", expected="the id of a trial seen before",
                found=f"{len(self._slot)} trials", todo="look the id up in the trial list",
            )  # fmt: skip
        return self._slot[trial_id]

    def counts(self, trial_id: int) -> bool:
        """Whether a trial counts; unknown ids are refused."""
        return bool(self._counts[self.of(trial_id)])

    def count(self, trial_id: int, counts: bool) -> int | None:
        """Change whether a trial counts; its slot if that changed anything, else None; unknown ids are
        refused."""
        slot = self.of(trial_id)
        if bool(self._counts[slot]) == counts:
            return None
        self._counts[slot] = counts
        self.n += 1 if counts else -1
        return slot

    def grow(self) -> None:
        """Double the capacity."""
        self._counts = np.concatenate([self._counts, np.zeros(self.capacity, dtype=np.bool_)])
        self.capacity *= 2


def touch(slot: int, *arrays: npt.NDArray[np.generic]) -> None:
    """Write zeros to a slot that no trial has yet, where there is one: the system gives memory at the first write to it, and
    takes up to milliseconds for that. A trial that comes finds its memory there."""
    for array in arrays:
        if slot < len(array):
            array[slot] = 0


def grown(array: npt.NDArray[np.generic], capacity: int) -> npt.NDArray[np.generic]:
    """A copy with room for ``capacity`` trials along the first axis."""
    out = np.empty((capacity, *array.shape[1:]), dtype=array.dtype)
    out[: array.shape[0]] = array
    return out
