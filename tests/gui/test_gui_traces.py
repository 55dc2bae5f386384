"""The panel of live traces and of a recording: what is painted, what keys do, what is said."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QColor, QImage, QKeyEvent
from PySide6.QtWidgets import QApplication

from gui.panels.traces import SPANS_UV, TracesPanel
from gui.shown import Tone
from gui.theme import DARK, LIGHT
from rtloop.eeg.ring import Ring

RATE_HZ = 500.0
NAMES = ("Fp1", "Cz", "Oz", "T7")


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    ring = Ring.create(tmp_path / "ring", n_channels=6, rate_hz=RATE_HZ)
    yield ring
    ring.path.unlink()


@pytest.fixture
def panel(qtbot) -> TracesPanel:
    panel = TracesPanel(DARK)
    qtbot.addWidget(panel)
    panel.resize(700, 300)
    panel.show()
    QApplication.processEvents()
    return panel


def colours(panel: TracesPanel) -> np.ndarray:
    """What the view shows, uint32[height, width]."""
    QApplication.processEvents()
    image = panel.plot.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    return np.frombuffer(image.constBits(), np.uint32).reshape(image.height(), image.width()).copy()


def has(pixels: np.ndarray, colour: str) -> int:
    return int((pixels == QColor(colour).rgb()).sum())


def waves(n: int) -> np.ndarray:
    t_s = np.arange(n) / RATE_HZ
    return (30.0 * np.sin(2 * np.pi * 3.0 * t_s)[:, None] + 1000.0 * np.arange(6)).astype(np.float32)


def test_qt_hands_none_back_whole() -> None:
    """A Qt binding that loses a reference to None at every call ends the process within minutes.

    PySide6 6.12.0 under Python below 3.12 does; the pinned version must not.
    """
    timer = QTimer()
    before = sys.getrefcount(None)
    for _ in range(1000):
        timer.setInterval(5)
    assert sys.getrefcount(None) > before - 500


def test_the_sweep_is_painted_as_it_comes(panel: TracesPanel, ring: Ring) -> None:
    panel.set_source(ring, NAMES, (0, 1, 2, 5), RATE_HZ)
    assert panel.tick() == 0
    assert has(colours(panel), DARK.trace) == 0
    ring.write(waves(1000), 0.0, 0.0)
    assert panel.tick() > 0
    some = has(colours(panel), DARK.trace)
    assert some > 200
    for _ in range(20):
        ring.write(waves(100), 0.0, 0.0)
        panel.tick()
    assert has(colours(panel), DARK.trace) > 2.5 * some
    assert panel.tick() == 0, "nothing new, nothing done"


def test_every_painted_part_is_the_whole_picture(panel: TracesPanel, ring: Ring) -> None:
    """Painting new columns only leaves what painting everything would, over more than two sweeps."""
    panel.set_source(ring, NAMES, (0, 1, 2, 5), RATE_HZ)
    panel.set_pulses([1200, 7000, 10100])
    x = waves(12000)
    for at in range(0, len(x), 83):
        ring.write(x[at : at + 83], 0.0, 0.0)
        panel.tick()
    raster = panel._picture.raster
    assert raster is not None
    kept = raster.image.copy()
    panel._paint()
    np.testing.assert_array_equal(kept, raster.image)


def test_pulses_gaps_and_bad_channels_are_seen(panel: TracesPanel, ring: Ring) -> None:
    panel.set_source(ring, NAMES, (0, 1, 2, 5), RATE_HZ)
    ring.write(waves(4000), 0.0, 0.0)
    panel.tick()
    before = colours(panel)
    assert has(before, DARK.accent) == has(before, DARK.gap) == has(before, DARK.tone(Tone.ATTENTION)) == 0
    panel.set_pulses([1000, 2500, 99999])
    panel.set_gaps([3000])
    panel.set_bad({"Oz": "line noise"})
    after = colours(panel)
    lines = np.flatnonzero((after == QColor(DARK.accent).rgb()).sum(axis=0) > after.shape[0] / 2)
    assert len(lines) == 4  # two pulses, two pixels each; the one to come is not there
    assert has(after, DARK.gap) > after.shape[0] / 2
    assert has(after, DARK.tone(Tone.ATTENTION)) > 100
    assert "Oz" in panel._words.text()
    assert "line noise" in panel._words.toolTip()


def test_lost_samples_leave_a_gap_in_the_lane(panel: TracesPanel, ring: Ring) -> None:
    x = waves(3000)
    x[1000:1100, 1] = np.nan
    ring.write(x, 0.0, 0.0)
    panel.set_source(ring, NAMES, (0, 1, 2, 5), RATE_HZ)
    panel.tick()
    rows = np.flatnonzero((colours(panel) == QColor(DARK.gap).rgb()).any(axis=1))
    raster = panel._picture.raster
    assert raster is not None
    assert abs(len(rows) - raster.height / 4) <= 1, "one lane of four"


def test_keys_set_the_gain_and_leave_escape_to_the_window(panel: TracesPanel, ring: Ring, qtbot) -> None:
    panel.set_source(ring, NAMES, (0, 1, 2, 5), RATE_HZ)
    ring.write(waves(4000), 0.0, 0.0)
    panel.tick()
    panel.gain.setCurrentIndex(SPANS_UV.index(200))
    small = has(colours(panel), DARK.trace)
    span = panel.span_uv
    qtbot.keyClick(panel, Qt.Key.Key_Plus)
    assert panel.span_uv == SPANS_UV[SPANS_UV.index(int(span)) - 1] < span
    assert has(colours(panel), DARK.trace) > small
    for _ in range(20):
        qtbot.keyClick(panel, Qt.Key.Key_Minus)
    assert panel.span_uv == SPANS_UV[-1]

    escape = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier)
    panel.keyPressEvent(escape)
    assert not escape.isAccepted()


def test_a_recording_is_scrolled_by_keys(panel: TracesPanel, qtbot) -> None:
    data = np.ascontiguousarray(waves(20000)[:, :4].T)
    panel.set_recording(data, RATE_HZ, NAMES, [(5.0, "pulse"), (28.0, "pulse")])
    QApplication.processEvents()
    assert "0.0 to 10.0 s of 40.0 s" in panel._title.text()
    assert has(colours(panel), DARK.trace) > 500
    for key, shown in (
        (Qt.Key.Key_Right, "2.5 to 12.5"), (Qt.Key.Key_PageDown, "12.5 to 22.5"), (Qt.Key.Key_End, "30.0 to 40.0"),
        (Qt.Key.Key_Right, "30.0 to 40.0"), (Qt.Key.Key_PageUp, "20.0 to 30.0"), (Qt.Key.Key_Home, "0.0 to 10.0"),
    ):  # fmt: skip
        qtbot.keyClick(panel, key)
        assert shown in panel._title.text()
    for shown in ("3.0 to 13.0", "26.0 to 36.0", "26.0 to 36.0"):
        qtbot.keyClick(panel, Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
        assert shown in panel._title.text()
    lines = (colours(panel) == QColor(DARK.accent).rgb()).sum(axis=0) > 150
    assert lines.any(), "the event is in view"
    qtbot.keyClick(panel, Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier)
    assert "3.0 to 13.0" in panel._title.text()


def test_resizing_and_the_other_theme_keep_the_traces(panel: TracesPanel, ring: Ring) -> None:
    panel.set_source(ring, NAMES, (0, 1, 2, 5), RATE_HZ)
    ring.write(waves(6000), 0.0, 0.0)
    panel.tick()
    panel.resize(1000, 500)
    QApplication.processEvents()
    panel.set_theme(LIGHT)
    pixels = colours(panel)
    assert has(pixels, LIGHT.trace) > 1000
    assert has(pixels, DARK.trace) == has(pixels, DARK.panel) == 0
    panel.resize(120, 60)  # too small for anything: no error
    QApplication.processEvents()
    panel.tick()


def test_more_channels_than_rows_are_all_drawn(panel: TracesPanel, tmp_path: Path) -> None:
    n = 900
    panel.set_recording(np.zeros((n, 6000), np.float32), RATE_HZ, [f"E{i}" for i in range(n)])
    panel.set_bad({"E450": "flat"})
    pixels = colours(panel)
    assert has(pixels, DARK.trace) > 100_000
    assert has(pixels, DARK.tone(Tone.ATTENTION)) > 10  # its name, if no more than that


def test_what_does_not_fit_is_refused(panel: TracesPanel, ring: Ring) -> None:
    with pytest.raises(ValueError, match="columns"):
        panel.set_source(ring, NAMES, (0, 1, 2), RATE_HZ)
    with pytest.raises(ValueError, match="columns"):
        panel.set_source(ring, NAMES, (0, 1, 2, 6), RATE_HZ)
    with pytest.raises(ValueError, match="names"):
        panel.set_recording(np.zeros((3, 10), np.float32), RATE_HZ, NAMES)


def test_auto_leaves_single_traces_apart(panel: TracesPanel) -> None:
    rng = np.random.default_rng(1)
    data = (20.0 * rng.standard_normal((60, 5000))).astype(np.float32)
    panel.set_recording(data, RATE_HZ, [f"E{i}" for i in range(60)])
    QApplication.processEvents()
    assert panel.gain.currentText() == f"auto: {panel.span_uv:g} µV per lane"
    found = panel.span_uv
    panel.gain.setCurrentIndex(panel.gain.findData(20))
    solid = (panel._picture.raster.image == QColor(DARK.panel).rgb()).mean()  # type: ignore[union-attr]
    panel.gain.setCurrentIndex(0)
    assert panel.span_uv == found > 100.0
    free = (panel._picture.raster.image == QColor(DARK.panel).rgb()).mean()  # type: ignore[union-attr]
    assert free > 0.3 > 3 * solid
