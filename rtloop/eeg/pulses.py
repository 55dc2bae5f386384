"""Owns finding each pulse once: it pairs trigger, artifact, marker and fire time and names the best instant.

It owns no decision about a pulse that was not seen or not wanted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from rtloop.eeg.clockmap import ClockMap
from rtloop.eeg.onset import OnsetLimits, Onsets
from rtloop.eeg.ring import Ring
from rtloop.errors import NotReady
from rtloop.model.pulse import PulseSeen, Source


@dataclass(frozen=True, kw_only=True)
class PulseLimits:
    """How sources are paired and how far they may disagree. The tolerance is that of the worse of the two."""

    wait_s: float = 0.060  # a pulse is told this long after its instant, for the cross-check to arrive
    pair_s: dict[Source, float] = field(
        default_factory=lambda: {
            Source.TRIGGER: 0.010,
            Source.ARTIFACT: 0.010,
            Source.MARKER: 0.040,
            Source.HOST: 0.025,
        }
    )
    tolerance_s: dict[Source, float] = field(
        default_factory=lambda: {
            Source.TRIGGER: 0.002,
            Source.ARTIFACT: 0.002,
            Source.MARKER: 0.020,
            Source.HOST: 0.015,
        }
    )
    marker_delay_s: float = (
        0.0  # constant delay of the EEG stamps against the marker stamps (amplifier driver)
    )
    host_delay_s: float = 0.0  # from the fire time to the pulse in the EEG
    recharge_s: float | None = None  # latency of the recharge spike, which is no pulse
    recharge_tolerance_s: float = 0.003
    pulse_markers: frozenset[str] | None = None  # None: every marker means a pulse
    onset: OnsetLimits = field(default_factory=OnsetLimits)
    settle_missing_s: float = (
        1.0  # after so much missing the amplifier was restarted: it settles, as at the start
    )
    recovers_s: float = 0.020  # after a pulse, channels move again by then
    standing_share: float = (
        0.80  # of the channels must stand still from then on (or until then) to be no pulse
    )


class PulseFinder:
    """Looks at every new sample once; ``take`` returns the pulses whose waiting time is over, each once.

    Call ``ClockMap.update`` before. A pulse that only the host told of is returned with source HOST and an
    alarm: it was *not* seen in the stream.

    A marker from a time whose samples are missing is returned with its own instant and the first sample after them.
    Across a seam of the clock map nothing is compared. An onset that only the artifact tells of is no pulse when
    nearly all channels stand still from it on, or did until it (an amplifier that saturates, goes flat, or comes
    back from that). That is believed only where the trigger channel has shown a pulse before: it would have shown
    this one. Without a trigger such an onset is told as a pulse: rather one too many than one lost.

    No two pulses are told at one sample: of several in one gap of samples the later ones get the samples after the first.
    """

    def __init__(
        self,
        ring: Ring,
        clock_map: ClockMap,
        *,
        columns: tuple[int, ...],
        trigger: int | None,
        limits: PulseLimits | None = None,
    ) -> None:
        self._ring, self._map = ring, clock_map
        self.limits = limits or PulseLimits()
        self._onsets = Onsets(
            rate_hz=ring.rate_hz, columns=columns, trigger=trigger, limits=self.limits.onset
        )
        self._has_trigger = trigger is not None
        self._cursor = self._onsets.span
        self._told_s: list[tuple[float, Source]] = []  # markers and fire times not yet placed
        self._waiting: list[tuple[float, Source]] = []  # (sample, source)
        self._done: list[tuple[float, set[Source]]] = []  # pulses told, newest last
        self._taken: set[int] = set()  # samples at which a pulse was told
        self._settled = round(
            self.limits.onset.settle_s * ring.rate_hz
        )  # before it no artifact is looked for
        self._trigger_works = False  # it has shown a pulse, with its artifact
        self._seam = -1  # the newest seam that the search has passed
        self._columns = np.array(columns)
        self.skipped_samples = 0
        self.standing = 0  # onsets that were no pulses, since the channels stood still

    def expect(self, t_s: float) -> None:
        """The host's own fire time, LSL seconds."""
        if not math.isfinite(t_s):
            raise ValueError(f"fire time {t_s}")
        self._told_s.append((t_s + self.limits.host_delay_s, Source.HOST))

    def marker(self, t_s: float, value: str) -> None:
        """A marker, LSL seconds."""
        wanted = self.limits.pulse_markers
        if math.isfinite(t_s) and (wanted is None or value in wanted):
            self._told_s.append((t_s + self.limits.marker_delay_s, Source.MARKER))

    def take(self) -> list[PulseSeen]:
        """Pulses newly found, in order."""
        head = min(self._ring.head(), self._map.seen)
        if head == 0 or not self._map.ready:
            return []
        if self._map.seams and self._map.seams[-1].sample > self._seam:
            self._pass_seams()
        self._search(head)
        out = self._place_told(head)
        wait = self.limits.wait_s * self._ring.rate_hz
        while self._waiting:
            self._waiting.sort()
            group = self._group(self._waiting)
            if (
                head < max(s for s, _ in group.values()) + wait
                and head < min(s for s, _ in group.values()) + 2 * wait
            ):
                break
            if list(group) == [Source.ARTIFACT] and self._stands(round(group[Source.ARTIFACT][0]), head):
                self._waiting.remove(group[Source.ARTIFACT])
                self.standing += 1
                continue
            out.append(self._told(group))
        return out

    def _place_told(self, head: int) -> list[PulseSeen]:
        """Give each marker and fire time its sample, once samples as late as it have come: not before is it known whether
        it fell where none are. A marker that did is a pulse all the same, told at its own instant; a fire time is nothing.
        """
        newest_s, out, early = self._map.time_of(head - 1), [], []
        for t_s, source in self._told_s:
            if t_s > newest_s:
                early.append((t_s, source))
                continue
            sample = self._map.sample_of(t_s)
            missing_s = self._map.time_of(sample) - t_s
            if missing_s <= self.limits.pair_s[source]:
                self._add(sample, source)
            elif source is Source.MARKER:
                words = f"samples are missing around it: the next one is {missing_s:.2f} s after the marker"
                own = self._own_sample(round(sample))
                out.append(PulseSeen(sample=own, source=source, t_s=t_s, alarm=words, sources=(source,)))
        self._told_s = early
        return out

    def _own_sample(self, sample: int) -> int:
        """This sample, or the next one at which no pulse was told yet: a sample names its pulse."""
        while sample in self._taken:
            sample += 1
        self._taken.add(sample)
        return sample

    def _pass_seams(self) -> None:
        """Search up to each new seam, and after it without what was before it."""
        for seam in [x for x in self._map.seams if x.sample > self._seam]:
            self._search(seam.sample)
            settle = not abs(seam.missing_s) < self.limits.settle_missing_s
            self._onsets.restart(seam.sample, settle=settle)
            if settle:
                self._settled = seam.sample + round(self.limits.onset.settle_s * self._ring.rate_hz)
            self._cursor, self._seam = max(self._cursor, seam.sample + self._onsets.span), seam.sample

    def _stands(self, sample: int, head: int) -> bool:
        """Whether this onset is the channels' coming to a standstill, or the end of one."""
        rate = self._ring.rate_hz
        late, end = sample + round(self.limits.recovers_s * rate), sample + round(self.limits.wait_s * rate)
        span = late - sample
        if not self._trigger_works or end - late < span or end > head or sample - span < 0:
            return False
        try:
            stretches = (self._ring.view(late, end - late), self._ring.view(sample - span, span))
        except NotReady:  # already overwritten: told as what it looked like
            return False
        return any(
            np.count_nonzero((rows[:, self._columns] == rows[0, self._columns]).all(axis=0))
            >= self.limits.standing_share * len(self._columns)
            for rows in stretches
        )

    def _search(self, head: int) -> None:
        span = self._onsets.span
        if self._cursor - span < self._ring.head() - self._ring.readable:
            self.skipped_samples += head - self._cursor
            self._cursor = head
        if head <= self._cursor:
            return
        rows = self._ring.view(self._cursor - span, head - self._cursor + span)
        onsets, edges = self._onsets.search(rows, self._cursor)
        self._cursor = head
        for sample in edges.tolist():
            self._add(sample, Source.TRIGGER)
        for sample in onsets.tolist():
            if not self._is_recharge(sample):
                self._add(sample, Source.ARTIFACT)

    def _is_recharge(self, sample: int) -> bool:
        after_s, rate = self.limits.recharge_s, self._ring.rate_hz
        if after_s is None:
            return False
        known = [s for s, _ in self._done] + [s for s, source in self._waiting if source is not Source.HOST]
        return any(abs((sample - s) / rate - after_s) <= self.limits.recharge_tolerance_s for s in known)

    def _add(self, sample: float, source: Source) -> None:
        """Keep a candidate, unless it is the late word on a pulse already told."""
        if source in (Source.MARKER, Source.HOST):
            near = self.limits.pair_s[source] * self._ring.rate_hz
            for s, sources in self._done:
                if source not in sources and abs(sample - s) <= near:
                    sources.add(source)
                    return
        self._waiting.append((sample, source))

    def _group(self, waiting: list[tuple[float, Source]]) -> dict[Source, tuple[float, Source]]:
        """The earliest candidate and, of each other source, the one nearest to the best of them."""
        rate = self._ring.rate_hz
        group = {waiting[0][1]: waiting[0]}
        for _ in range(2):  # the second time round the best source's instant
            anchor = min(group.values(), key=lambda row: row[1].rank)
            chosen = {anchor[1]: anchor}
            for sample, source in waiting:
                worst = max((source, anchor[1]), key=lambda x: x.rank)
                near = abs(sample - anchor[0])
                if source is anchor[1] or near > self.limits.pair_s[worst] * rate:
                    continue
                if source not in chosen or near < abs(chosen[source][0] - anchor[0]):
                    chosen[source] = (sample, source)
            group = chosen
        return group

    def _told(self, group: dict[Source, tuple[float, Source]]) -> PulseSeen:
        for row in group.values():
            self._waiting.remove(row)
        ranked = sorted(group, key=lambda s: s.rank)
        best, check = ranked[0], ranked[1] if len(ranked) > 1 else None
        sample = round(group[best][0])
        absent = self._absent(group, group[best][0])
        self._done.append((group[best][0], set(group)))
        del self._done[:-16]
        self._trigger_works |= {Source.TRIGGER, Source.ARTIFACT} <= set(group)
        alarms = self._alarms(group)
        apart = None
        if check is not None:
            apart = group[check][0] - group[best][0]
            allowed_s = self.limits.tolerance_s[check]
            if not abs(apart) <= allowed_s * self._ring.rate_hz:
                alarms.append(
                    f"{check.value} and {best.value} disagree by {apart / self._ring.rate_hz * 1e3:+.1f} ms "
                    f"(allowed ±{allowed_s * 1e3:.0f} ms)"
                )
        return PulseSeen(
            sample=sample if best is Source.HOST else self._own_sample(sample),
            source=best,
            t_s=self._map.time_of(sample),
            checked_by=check,
            disagreement_samples=apart,
            alarm="; ".join(alarms),
            sources=tuple(ranked),
            absent=absent,
        )

    def _absent(self, group: dict[Source, tuple[float, Source]], sample: float) -> tuple[Source, ...]:
        """Trigger and artifact, where each was looked for at ``sample`` and told nothing: no artifact is while the channels
        settle.
        """
        settled = sample >= self._settled + self.limits.pair_s[Source.ARTIFACT] * self._ring.rate_hz
        looked = ((Source.TRIGGER, self._has_trigger), (Source.ARTIFACT, settled))
        return tuple(source for source, wanted in looked if wanted and source not in group)

    def _alarms(self, group: dict[Source, tuple[float, Source]]) -> list[str]:
        out = []
        if list(group) == [Source.HOST]:
            return ["only the host's own fire time: no pulse seen in the stream"]
        if Source.ARTIFACT not in group:
            out.append("no artifact in the EEG")
        if self._has_trigger and Source.TRIGGER not in group:
            out.append("no edge in the trigger channel")
        return out
