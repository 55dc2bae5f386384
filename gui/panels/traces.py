"""Owns the live traces of all EEG channels, and the same picture for a stretch of a recording; owns no timer and no clock.

Live it sweeps: the newest sample walks from left to right over the last ten seconds, so that nothing but the newest columns
moves (steadier to look at from a distance, and cheap). The spans come from ``gui.raster``, the axes from pyqtgraph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from gui.panels.lanes import LaneNames, Picture
from gui.raster import Raster
from gui.shown import Tone
from gui.theme import SYMBOL, Theme
from rtloop.eeg.ring import Ring
from rtloop.model.samples import F32

WINDOW_S = 10.0
#: µV that fit into one lane
SPANS_UV = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
_AT_FIRST_UV = 50
AUTO = 0  # the choice of finding the span from the lanes' height and the channels' spread
#: a lane of h px is to hold the usual swing, and a column of the picture to fill at most this much of it (px)
_FILL, _LEAST_FILL_PX = 0.4, 1.0
_TOLD_APART_PX = (1, 5)  # in lanes of this height every other trace is fainter
_SETTLED = 0.05  # a level that moved by this share of a lane is drawn anew


def _rgb(colour: str) -> int:
    return 0xFF000000 | int(colour[1:], 16)


def _words(span_uv: float, before: str = "") -> str:
    return f"{before}{span_uv:g} µV per lane" if span_uv < 1000 else f"{before}{span_uv / 1000:g} mV per lane"


def span_for(lo: F32, hi: F32, level: F32, lane_px: float) -> float:
    """µV per lane with which single traces are told apart; 0 where nothing is there yet.

    ``lo, hi`` float32[n_channels, n_columns] least and greatest of each column of the picture (not finite: nothing there),
    ``level`` float32[n_channels] centres. The median channel's usual column must leave most of its lane free, and nine
    tenths of its columns must stay within its lane.
    """
    step = max(1, lo.shape[1] // 128)
    low, high = lo[:, ::step], hi[:, ::step]
    there = np.isfinite(low) & np.isfinite(high) & (low <= high)
    seen = there.any(axis=1)
    if not seen.any():
        return 0.0
    low, high = (np.where(there, x, np.nan)[seen] for x in (low, high))
    extent, middle = high - low, 0.5 * (high + low) - level[seen, None]
    column_uv = float(np.median(np.nanmedian(extent, axis=1)))
    swing_uv = float(np.median(np.nanpercentile(np.abs(middle), 90, axis=1)))
    fill_px = max(_FILL * lane_px - 1.0, _LEAST_FILL_PX)  # a span is a pixel high at least
    return max(column_uv * lane_px / fill_px, 2.0 * swing_uv)


def _mixed(colour: str, ground: str) -> int:
    """Half of the one, half of the other."""
    return _rgb(
        "#"
        + "".join(f"{(int(colour[i : i + 2], 16) + int(ground[i : i + 2], 16)) // 2:02x}" for i in (1, 3, 5))
    )


class TracesPanel(QFrame):
    """Traces of all channels, each about its own level, clipped to its lane.

    Keys: + and - (µV per lane); for a recording also Left, Right (a quarter), PageUp, PageDown (a whole window), Home, End,
    Ctrl+Left, Ctrl+Right (previous and next event).
    """

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._ring: Ring | None = None
        self._data: F32 | None = None
        self._columns = np.arange(0)
        self._rate_hz, self._first = 1.0, 0
        self._names: tuple[str, ...] = ()
        self._bad: dict[str, str] = {}
        self._pulses: tuple[int, ...] = ()
        self._gaps: tuple[int, ...] = ()
        self._since_level = 0
        self._title, self._words = QLabel(), QLabel()
        self._title.setProperty("role", "title")
        self._words.setTextFormat(Qt.TextFormat.PlainText)
        for label in (self._title, self._words):
            label.setMinimumWidth(1)  # else many bad channels make the column wide
        self.gain = QComboBox()
        self.gain.setAccessibleName("Microvolts per lane")
        self.gain.addItem("auto", AUTO)
        for span in SPANS_UV:
            self.gain.addItem(_words(span), span)
        self.gain.setToolTip(
            "How many microvolts fit into one channel's lane (keys + and -); auto: found from the traces"
        )
        self.gain.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._axis = LaneNames()
        self.plot = pg.PlotWidget(axisItems={"left": self._axis})
        self.plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        item = self.plot.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.layout.setContentsMargins(0, 4, 12, 0)
        self._bottom = item.getAxis("bottom")
        self._bottom.setStyle(tickLength=0)
        for axis in (self._axis, self._bottom):  # else both are painted again at every frame, 1 ms each
            axis.setCacheMode(pg.AxisItem.CacheMode.DeviceCoordinateCache)
        self._box = item.getViewBox()
        self._box.setMouseEnabled(False, False)
        self._box.setDefaultPadding(0.0)
        self._box.invertY(True)
        self._picture = Picture(self._box)
        self._box.addItem(self._picture, ignoreBounds=True)
        self._box.setRange(xRange=(0.0, WINDOW_S), yRange=(0.0, 1.0), padding=0.0)
        self._box.sigResized.connect(lambda _: self._fit())
        head, column = QHBoxLayout(), QVBoxLayout(self)
        head.addWidget(self._title)
        head.addWidget(self._words, 1)
        head.addWidget(self.gain)
        column.setContentsMargins(6, 4, 6, 4)
        column.addLayout(head)
        column.addWidget(self.plot, 1)
        self._found_uv = 0.0  # not yet
        self.gain.currentIndexChanged.connect(lambda _: self._again())
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Take another set of colours."""
        self._theme = theme
        self.plot.setBackground(theme.panel)
        self._axis.inks = (theme.ink, theme.tone(Tone.ATTENTION))
        self._axis.setPen(theme.line)
        self._bottom.setPen(theme.line)
        self._bottom.setTextPen(theme.muted)
        self._axis.renew()
        self._again()

    def set_source(
        self, ring: Ring, names: Sequence[str], columns: Sequence[int], rate_hz: float
    ) -> None:  # fmt: skip
        """Follow a ring: the EEG channels' ``names`` and their ``columns`` in it. Forgets bad channels, pulses and gaps."""
        if len(names) != len(columns) or not all(0 <= c < ring.n_channels for c in columns):
            raise ValueError(f"{len(names)} names, {len(columns)} columns, ring of {ring.n_channels}")
        self._ring, self._data = ring, None
        self._columns = np.ascontiguousarray(columns, dtype=np.int64)
        self._start(names, rate_hz, "seconds of the sweep")

    def set_recording(
        self, data: F32, rate_hz: float, names: Sequence[str], events: Iterable[tuple[float, str]] = ()
    ) -> None:
        """Show a recording, float32[n_channels, n_samples] µV; ``events`` are (seconds after its start, label)."""
        if data.ndim != 2 or len(names) != data.shape[0] or data.dtype != np.float32:
            raise ValueError(f"{len(names)} names do not fit {data.dtype}{data.shape}")
        self._ring, self._data, self._first = None, data, 0
        self._start(names, rate_hz, "seconds of the recording")
        self.set_pulses([round(t_s * rate_hz) for t_s, _ in events])

    def _start(self, names: Sequence[str], rate_hz: float, below: str) -> None:
        self._names, self._rate_hz = tuple(names), float(rate_hz)
        self._axis.names, self._axis.bad = self._names, frozenset()
        self._axis.renew()
        self._bottom.setLabel(below)
        self._pulses, self._gaps, self._bad = (), (), {}
        self._picture.put(None)
        self._box.setRange(xRange=(0.0, WINDOW_S), yRange=(0.0, float(len(names))), padding=0.0)
        self._fit()

    def set_bad(self, bad: Mapping[str, str]) -> None:
        """Mark channels as bad: name -> why."""
        if dict(bad) != self._bad:
            self._bad = dict(bad)
            self._axis.bad = frozenset(self._bad)
            self._axis.renew()
            self._again()

    def set_pulses(self, samples: Iterable[int]) -> None:
        """Where pulses (or events) are, as sample indices: a line behind the traces."""
        if (pulses := tuple(sorted(int(s) for s in samples))) != self._pulses:
            self._pulses = pulses
            self._again()

    def set_gaps(self, samples: Iterable[int]) -> None:
        """Where the stream lost samples: a line in the gap's colour."""
        if (gaps := tuple(sorted(int(s) for s in samples))) != self._gaps:
            self._gaps = gaps
            self._again()

    @property
    def span_uv(self) -> float:
        """µV that fit into one lane."""
        return float(self.gain.currentData() or self._found_uv or _AT_FIRST_UV)

    def tick(self) -> int:
        """Draw what is new in the ring; returns how many columns of pixels that were."""
        if self._ring is None or not self._fit():
            return 0
        raster = self._picture.raster
        assert raster is not None
        k0, k1 = raster.sweep(self._ring, self._columns)
        if k0 == k1:
            return 0
        self._since_level += k1 - k0
        due = self._since_level > raster.width // 10 or (k1 <= raster.width // 10)
        if (due and self._relevel()) or k1 - k0 >= raster.width // 2:
            self._paint()
            return k1 - k0
        w = raster.width
        for x in range(k0, k1 + raster.ahead):
            raster.ground[x % w] = self._ground_rgb
        self._mark(raster, k0 - raster.ahead)
        x0, count = k0 % w, k1 - k0 + raster.ahead + raster.thick
        for a, b in ((x0, min(x0 + count, w)), (0, x0 + count - w)):
            if b > a:
                raster.draw(a, b)
                per_px = WINDOW_S / w
                self._picture.update(
                    QRectF((a - 1) * per_px, 0.0, (b - a + 2) * per_px, float(len(self._names)))
                )
        return k1 - k0

    def _relevel(self) -> bool:
        """Centre the lanes anew; whether that is worth a new picture."""
        assert self._picture.raster is not None
        self._since_level = 0
        before = self._picture.raster.level.copy()
        moved = self._picture.raster.find_levels()
        if self._find_span() or moved > _SETTLED * self.span_uv:
            return True
        self._picture.raster.level[:] = before
        return False

    def _find_span(self) -> bool:
        """Where the span is found: find it, steadily; whether it changed."""
        if self.gain.currentData() != AUTO or (raster := self._picture.raster) is None:
            return False
        need_uv = span_for(raster.lo, raster.hi, raster.level, raster.height / max(1, len(self._names)))
        if not need_uv or 0.4 * self._found_uv < need_uv <= self._found_uv:
            return False
        before, self._found_uv = self._found_uv, next((s for s in SPANS_UV if s >= need_uv), SPANS_UV[-1])
        self.gain.setItemText(0, _words(self._found_uv, "auto: "))
        return self._found_uv != before

    def _fit(self) -> bool:
        """Have a raster of the view's size in the screen's own pixels; False where there is no room yet."""
        if not self._names:
            return False
        ratio = self.plot.devicePixelRatioF()
        width, height = round(self._box.width() * ratio), round(self._box.height() * ratio)
        if width < 64 or height < 16:
            return False
        if (old := self._picture.raster) is not None and (old.width, old.height) == (width, height):
            return True
        samples = max(1, round(WINDOW_S * self._rate_hz))
        thick = max(1, round(ratio))
        raster = Raster(n_channels=len(self._names), samples=samples, width=width, height=height, thick=thick)
        self._picture.put(raster)
        self._axis.renew()
        if self._ring is not None:
            raster.sweep(self._ring, self._columns)
        self._again(page=True)
        return True

    def _again(self, page: bool = False) -> None:
        """Draw everything anew from the spans (``page``: take the recording's spans anew too), and say what is shown."""
        raster = self._picture.raster
        if raster is not None:
            if self._data is not None and page:
                raster.page(self._data, self._first)
            raster.find_levels()
            self._find_span()
            self._paint()
        self._say()

    def _paint(self) -> None:
        raster, theme = self._picture.raster, self._theme
        assert raster is not None
        bad, good = _rgb(theme.tone(Tone.ATTENTION)), _rgb(theme.trace)
        low = _TOLD_APART_PX[0] <= raster.height / len(self._names) < _TOLD_APART_PX[1]
        other = _mixed(theme.trace, theme.panel) if low else good
        raster.colours[:] = [
            bad if n in self._bad else (good, other)[i % 2] for i, n in enumerate(self._names)
        ]
        raster.gap_colour, raster.span_uv = _rgb(theme.gap), self.span_uv
        self._ground_rgb = _rgb(theme.panel)
        raster.ground[:] = self._ground_rgb
        self._mark(raster, None)
        raster.draw()
        self._picture.update()

    def _mark(self, raster: Raster, since: int | None) -> None:
        """Colour the ground at pulses and gaps of the shown stretch (from grid column ``since`` on) and at the cursor."""
        n, w = raster.samples, raster.width
        if self._data is not None:
            first, end = self._first * w // n, (self._first * w // n) + w
        else:
            if raster.newest is None:
                return
            first, end = max(raster.newest - w + raster.ahead, since or 0), raster.newest
        shift = 0 if self._data is None else first
        for samples, colour in ((self._pulses, self._theme.accent), (self._gaps, self._theme.gap)):
            at = np.searchsorted(samples, (first * n // w, end * n // w + 1))
            for sample in samples[at[0] : at[1]]:
                if first <= (k := sample * w // n) < end:
                    for x in range(2 * raster.thick):
                        raster.ground[(k - shift + x) % w] = _rgb(colour)
        if self._data is None:
            for x in range(raster.thick):
                raster.ground[(end + 1 + x) % w] = _rgb(self._theme.muted)

    def _say(self) -> None:
        n = len(self._names)
        bad = f"   {SYMBOL[Tone.ATTENTION]} bad: {', '.join(self._bad)}" if self._bad else ""
        if self._data is not None:
            first_s, whole_s = self._first / self._rate_hz, self._data.shape[1] / self._rate_hz
            self._title.setText(
                f"Recording · {n} channels · {first_s:.1f} to {first_s + WINDOW_S:.1f} s of {whole_s:.1f} s"
            )
        else:
            self._title.setText(
                f"Live traces · {n} channels · last {WINDOW_S:g} s" if n else "Live traces · no stream"
            )
        self._words.setText(bad)
        self._words.setToolTip("\n".join(f"{name}: {why}" for name, why in self._bad.items()))
        self._words.setStyleSheet(f"color: {self._theme.tone(Tone.ATTENTION)}")

    def go_to(self, first_s: float) -> None:
        """Show the recording from this second on (kept inside it)."""
        if self._data is None:
            return
        latest = max(0, self._data.shape[1] - round(WINDOW_S * self._rate_hz))
        self._first = min(max(0, round(first_s * self._rate_hz)), latest)
        start_s = self._first / self._rate_hz
        self._box.setRange(xRange=(start_s, start_s + WINDOW_S), padding=0.0)
        self._again(page=True)

    def _step(self, by: int) -> None:
        """The next larger or smaller span, from where it stands."""
        at = min(max(SPANS_UV.index(round(self.span_uv)) + by, 0), len(SPANS_UV) - 1)
        self.gain.setCurrentIndex(self.gain.findData(SPANS_UV[at]))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Gain and scrolling; every other key goes on to the window."""
        key, now_s = event.key(), self._first / self._rate_hz
        jump = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        steps = {
            Qt.Key.Key_Left: -WINDOW_S / 4, Qt.Key.Key_Right: WINDOW_S / 4, Qt.Key.Key_PageUp: -WINDOW_S,
            Qt.Key.Key_PageDown: WINDOW_S, Qt.Key.Key_Home: -np.inf, Qt.Key.Key_End: np.inf,
        }  # fmt: skip
        if key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self._step(-1)
        elif key in (Qt.Key.Key_Minus, Qt.Key.Key_Underscore):
            self._step(1)
        elif self._data is not None and jump and key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            lead_s = WINDOW_S / 5  # an event jumped to stands a fifth into the view
            events_s = [s / self._rate_hz for s in self._pulses]
            here_s, slack_s = now_s + lead_s, 1.0 / self._rate_hz
            later, earlier = (
                [e for e in events_s if e > here_s + slack_s],
                [e for e in events_s if e < here_s - slack_s],
            )
            wanted = later[:1] if key == Qt.Key.Key_Right else earlier[-1:]
            if wanted:
                self.go_to(wanted[0] - lead_s)
        elif self._data is not None and key in steps:
            whole_s = self._data.shape[1] / self._rate_hz
            self.go_to(min(max(now_s + steps[key], 0.0), whole_s))
        else:
            super().keyPressEvent(event)
