"""Owns what a window sees of trials and running sums while a session runs: fills the mapped pages; owns no computing.

Nothing here may stop the loop: a failure is told once, in words, and nothing is written after it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rtloop.dsp.chain import Chain
from rtloop.errors import RtloopError
from rtloop.link.pages import BlockPage, PagesSpec, PagesWriter, TrialPage
from rtloop.model.estimate import POOLED
from rtloop.model.samples import F32
from rtloop.model.view import key_of
from rtloop.ports import SampleSource
from rtloop.session.line import SignalLine, Trial

RAW_S = (-0.050, 0.150)
MAX_BYTES = 128_000_000
_PIECE_S = 0.010  # where samples are missing the raw window is filled in pieces of this length


def pages_spec(line: SignalLine, source: SampleSource, *, max_bytes: int = MAX_BYTES) -> PagesSpec:
    """What the pages of a session hold, with as many trials as fit into ``max_bytes`` (8 to 400)."""
    spec, montage, rate_hz = line.spec, line.montage, source.rate_hz
    chain = Chain(spec.without_learning(), rate_hz=rate_hz, montage=montage)
    a, b = np.searchsorted(chain.times_s, [spec.average_s[0] - 1e-9, spec.average_s[1] + 1e-9])
    before = round(-RAW_S[0] * rate_hz)
    return PagesSpec(
        names=montage.names, positions_m=montage.positions_m, times_s=chain.times_s[a:b], raw_rate_hz=rate_hz,
        raw_first_s=-before / rate_hz, n_raw=before + round(RAW_S[1] * rate_hz) + 1, bands=(*chain.kernels.bands, POOLED),
        gap_s=(float(spec.gap_s[0]), float(spec.gap_s[1])),
    ).fit(max_bytes)  # fmt: skip


class Results:
    """Writes each judged trial and each block's running sums into the mapped pages.

    Every method returns "" or, once, the words of what went wrong (to be journalled as a note); it never raises, and
    writes nothing more after that. ``writer`` None: nothing is ever written.
    """

    def __init__(self, writer: PagesWriter | None, line: SignalLine, source: SampleSource) -> None:
        self._writer, self._line, self._source = writer, line, source
        self.words = ""  # why nothing is written any more; empty while all is well
        if writer is not None:
            self._before = round(-writer.spec.raw_first_s * writer.spec.raw_rate_hz)
            self._raw: F32 = np.empty((writer.spec.n_raw, len(writer.spec.names)), np.float32)

    @classmethod
    def open(
        cls, path: Path | None, line: SignalLine, source: SampleSource, *, max_bytes: int | None = None
    ) -> Results:
        """Make the pages at ``path`` (None: none). When they cannot be made, ``words`` says why and nothing is written.

        ``max_bytes`` None: half of what is free there, at most 128 MB.
        """
        if path is None:
            return cls(None, line, source)
        try:
            most = (
                min(MAX_BYTES, shutil.disk_usage(path.parent).free // 2) if max_bytes is None else max_bytes
            )
            return cls(PagesWriter.create(path, pages_spec(line, source, max_bytes=most)), line, source)
        except (RtloopError, OSError, ValueError, MemoryError) as err:
            results = cls(None, line, source)
            results.words = _words(err)
            return results

    def trial(self, trial: Trial) -> str:
        """Write a trial; call it when it was judged (its samples are still in the ring then)."""
        return self._safely(lambda writer: self._trial(writer, trial))

    def block(self, target: str, block: str) -> str:
        """Write a block's sums; call it after each judged or moved trial and after the restart of a block."""
        return self._safely(lambda writer: self._block(writer, target, block))

    def close(self) -> None:
        """Unmap the pages; the file stays."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _safely(self, write: Callable[[PagesWriter], None]) -> str:
        if self._writer is None:
            return ""
        try:
            write(self._writer)
        except Exception as err:  # whatever it is, a window is not worth a session
            self.words = _words(err)
            self.close()
            return self.words
        return ""

    def _trial(self, writer: PagesWriter, trial: Trial) -> None:
        clean, n = trial.clean, len(writer.spec.names)
        kept = None
        if clean is not None:
            scorer = self._line.scorers[key_of(trial.label.target, trial.label.block)]
            kept = clean.eeg_uv[:, scorer.kept]
        writer.write_trial(
            TrialPage(
                trial_id=trial.trial_id, pulse_id=trial.label.pulse_id, sample=trial.seen.sample,
                block=key_of(trial.label.target, trial.label.block),
                raw_uv=self._raw_around(trial.seen.sample).T, clean_uv=kept,
                decay_uv=np.zeros(n, np.float32) if clean is None else clean.decay_uv,
                good=np.zeros(n, np.bool_) if clean is None else clean.good,
            )
        )  # fmt: skip

    def _block(self, writer: PagesWriter, target: str, block: str) -> None:
        key = key_of(target, block)
        scorer = self._line.scorers.get(key)
        if scorer is None:
            return
        none = np.empty((0, 0), np.float32)
        writer.write_block(
            BlockPage(
                block=key, n=scorer.n_accepted, average_uv=scorer.average(),
                pairs=none if block == "preview" else scorer.lagged_pairs(),
            )
        )  # fmt: skip

    def _raw_around(self, sample: int) -> F32:
        """float32[n_raw, n_channels]: a view of the ring where all samples are there, else a copy with NaN."""
        first, count = sample - self._before, self._raw.shape[0]
        if first >= 0 and first + count <= self._source.head() and self._source.valid(first, count):
            return self._source.window(first, count).data
        self._raw[...] = np.nan
        step = max(1, round(_PIECE_S * self._source.rate_hz))
        a, end = max(first, 0), min(first + count, self._source.head())
        while a < end:
            n = min(step, end - a)
            if self._source.valid(a, n):
                self._raw[a - first : a - first + n] = self._source.window(a, n).data
            a += n
        return self._raw


def _words(err: Exception) -> str:
    told = str(err) if isinstance(err, RtloopError) else f"{type(err).__name__}: {err}"
    return f"a window shows no (new) waveforms in this session; scores and record are not touched: {told}"
