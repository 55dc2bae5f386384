"""Owns the drawing of the running average, its field power and its maps at draggable latencies; owns no averaging.

GMFP here is the standard deviation over channels of the average (Lehmann & Skrandies 1980), as in rtloop.measures.evoked.
"""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QWidget

from gui.panels.elided import Elided
from gui.panels.parts import Panel, ToneLabel
from gui.panels.plots import Butterfly, Plot, is_local, outside_gap, round_up, some_columns, steady_limit
from gui.panels.topography import BAR_PX, Maps
from gui.shown import Evoked
from gui.theme import Theme
from rtloop.link.pages import BlockPage, PagesSpec
from rtloop.model.samples import F32, F64, Bool

RANGE_MS = (-100.0, 400.0)
LATENCIES_MS = (20.0, 45.0, 60.0, 100.0, 180.0)
MAPS_PX, POWER_PX = 84, 66


def field_power(average_uv: F32) -> tuple[F64, Bool]:
    """GMFP float64[n_times] in µV over channels that have trials, and which those are, bool[n_channels]."""
    used = np.asarray(np.any(average_uv != 0.0, axis=1) & np.isfinite(average_uv).all(axis=1))
    return np.std(average_uv[used].astype(np.float64), axis=0) if used.any() else np.zeros(
        average_uv.shape[1]
    ), used


class EvokedPanel(Panel):
    """Butterfly, GMFP on the same axis, five latencies (lines to drag, fields to type) that feed a row of maps."""

    latencies = Signal(tuple)  # five times in ms, when the operator moved one

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Running average", theme, parent)
        self.counts, self.reasons = ToneLabel(), Elided()
        self.butterfly = Butterfly(theme, corner="average, µV", unit_below="")
        self.butterfly.setMinimumHeight(70)
        self.butterfly.getPlotItem().getAxis("bottom").setStyle(showValues=False)
        self.butterfly.getPlotItem().getAxis("bottom").setHeight(8)  # half of the lowest number: -15 is no 15
        self.power = Plot(theme, corner="GMFP, µV", unit_below="ms")
        self.power.setFixedHeight(POWER_PX)
        self.power.setToolTip("GMFP: standard deviation over channels of the average, µV")
        self.curve = pg.PlotCurveItem()
        self.maps = Maps(theme, labels=False)
        self.maps.setFixedHeight(MAPS_PX)
        self.marks: list[pg.InfiniteLine] = []
        self.fields: list[QDoubleSpinBox] = []
        self._positions = LATENCIES_MS
        self._gap, self._average = (0.0, 0.0), np.empty((0, 0), np.float32)
        self._spec: PagesSpec | None = None
        self._page: BlockPage | None = None
        self._block, self._local = "", ()
        self._maps_limit: float | None = None
        self._power_limit: float | None = None
        self._timer = QTimer(self, singleShot=True, interval=15)
        self._timer.timeout.connect(self._show_maps)
        self._build()
        self.set_theme(theme)

    def _build(self) -> None:
        self.power.addItem(self.curve, ignoreBounds=True)
        self.power.getPlotItem().disableAutoRange()
        self.power.setXLink(self.butterfly)
        fields = QGridLayout()  # each under its map
        fields.setContentsMargins(0, 0, 0, 0)
        fields.setHorizontalSpacing(0)
        name = QLabel("ms")
        name.setProperty("tone", "off")
        name.setFixedWidth(BAR_PX)
        fields.addWidget(name, 0, len(LATENCIES_MS))
        for i, at in enumerate(LATENCIES_MS):
            mark = pg.InfiniteLine(at, angle=90, movable=True, bounds=RANGE_MS)
            mark.sigPositionChanged.connect(lambda line, i=i: self._moved(i, line.value()))
            self.butterfly.addItem(mark, ignoreBounds=True)
            field = QDoubleSpinBox(decimals=0, minimum=RANGE_MS[0], maximum=RANGE_MS[1], value=at)
            field.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
            field.setAlignment(Qt.AlignmentFlag.AlignCenter)
            field.setFixedWidth(42)
            field.setAccessibleName(f"Latency of map {i + 1}, ms")
            field.setToolTip(
                "Arrow keys move by 1 ms, Page Up and Page Down by 10 ms; or drag the line in the plot."
            )
            field.valueChanged.connect(lambda value, i=i: self._moved(i, value))
            fields.addWidget(field, 0, i, Qt.AlignmentFlag.AlignHCenter)
            fields.setColumnStretch(i, 1)
            self.marks.append(mark)
            self.fields.append(field)
        self.body.addWidget(self.counts)
        self.body.addWidget(self.reasons)
        self.body.setSpacing(2)
        self.body.addWidget(self.butterfly, 1)
        self.body.addWidget(self.power)
        self.body.addWidget(self.maps)
        self.body.addLayout(fields)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        for part in (self.butterfly, self.power, self.maps):
            part.set_theme(theme)
        self.curve.setPen(pg.mkPen(theme.ink, width=2))
        for mark in self.marks:
            mark.setPen(pg.mkPen(theme.accent, width=1))
            mark.setHoverPen(pg.mkPen(theme.accent, width=3))

    @property
    def positions_ms(self) -> tuple[float, ...]:
        """The five latencies, ms."""
        return self._positions

    def set_latencies(self, positions_ms: tuple[float, ...]) -> None:
        """Put the lines where they were (not emitted)."""
        kept = (float(at) for at in positions_ms)
        self._positions = tuple(min(max(at, RANGE_MS[0]), RANGE_MS[1]) for at in kept)[: len(self.marks)]
        self._positions += LATENCIES_MS[len(self._positions) :]
        self._place()
        self._timer.start()

    def show_it(self, evoked: Evoked, page: BlockPage | None, spec: PagesSpec | None) -> bool:
        """Show a block's average; ``page`` None where there is none yet. Whether a plot was drawn anew."""
        if self.changed("evoked", evoked):
            self.set_title(evoked.title)
            self.counts.show_it(evoked.counts)
            self.reasons.say(" · ".join(evoked.reasons))
            self.reasons.setHidden(not evoked.reasons)
        if spec is not None and spec is not self._spec:
            self.maps.set_positions(spec.names, spec.positions_m)
        same = spec is self._spec and _same(page, self._page) and evoked.block == self._block
        if same and evoked.gap_ms == self._gap and evoked.local == self._local:
            return False
        if evoked.block != self._block or spec is not self._spec:  # another average: its own ranges
            self.butterfly.limit = self._power_limit = self._maps_limit = None
        self._spec, self._page, self._block = spec, page, evoked.block
        self._gap, self._local = evoked.gap_ms, evoked.local
        self._show_arrays()
        return True

    def _show_arrays(self) -> None:
        page, spec = self._page, self._spec
        self.butterfly.show_gap(self._gap)
        if page is None or spec is None or page.n == 0:
            self._average = np.empty((0, 0), np.float32)
            self.butterfly.clear_lines()
            self.curve.setData([], [])
            self._timer.start()
            return
        times = spec.times_s * 1e3
        power, used = field_power(page.average_uv)
        self._average = page.average_uv
        self.butterfly.lines.set_data(times, page.average_uv[used], is_local(spec.names, self._local)[used])
        seen = outside_gap(times, self._gap, RANGE_MS)
        limit = steady_limit(
            self.butterfly.limit, page.average_uv[:, some_columns(seen)][used], share_pct=99.5
        )
        self.butterfly.show_range(RANGE_MS, limit)
        outside = np.where((times >= self._gap[0]) & (times <= self._gap[1]), np.nan, power)
        shown = (times >= RANGE_MS[0]) & (times <= RANGE_MS[1])
        self.curve.setData(times[shown], outside[shown], connect="finite")
        most = steady_limit(self._power_limit, power[seen], share_pct=100.0, room=1.1)
        if most != self._power_limit:
            self._power_limit = most
            self.power.setYRange(0.0, most, padding=0.0)
            self.power.getPlotItem().getAxis("left").setTicks(
                [[(0.0, "0"), (most, f"{most:g}")]]
            )  # no room for more
        self._timer.start()  # the maps in a frame of their own: no frame holds all the work of a pulse

    def _moved(self, which: int, at_ms: float) -> None:
        if self._gap[0] <= at_ms < self._gap[1] and self._gap[1] > 0:
            at_ms = float(np.ceil(self._gap[1]))  # what is bridged is not a measurement
        positions = list(self._positions)
        positions[which] = float(round(at_ms))
        if tuple(positions) == self._positions:
            self._place()
            return
        self._positions = tuple(positions)
        self._place()
        self._timer.start()
        self.latencies.emit(self._positions)

    def _place(self) -> None:
        for mark, field, at in zip(self.marks, self.fields, self._positions, strict=True):
            for part in (mark, field):
                if part.value() != at:
                    part.blockSignals(True)
                    part.setValue(at)
                    part.blockSignals(False)

    def _show_maps(self) -> None:
        self._timer.stop()
        if self._spec is None or not self._average.size:
            n_channels = 0 if self._spec is None else len(self._spec.names)
            self.maps.show_values(np.empty((n_channels, 0), np.float32), (), 1.0)
            return
        times = self._spec.times_s * 1e3
        at = np.abs(times[None, :] - np.array(self._positions)[:, None]).argmin(axis=1)
        values = self._average[:, at]
        size = np.abs(values[np.isfinite(values)])
        need = float(size.max()) if size.size else 1.0
        if self._maps_limit is None or not 0.5 * self._maps_limit <= need <= self._maps_limit:
            self._maps_limit = round_up(need)
        self.maps.show_values(values, self._positions, self._maps_limit)


def _same(a: BlockPage | None, b: BlockPage | None) -> bool:
    if a is b:
        return True
    if a is None or b is None or (a.block, a.n) != (b.block, b.n):
        return False
    return np.array_equal(a.average_uv, b.average_uv)
