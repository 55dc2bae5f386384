"""The head view and the row of scalp maps: what is drawn, what is masked, what a pointer is told."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication, QWidget

from gui.panels.head import HeadPanel, strongest_links
from gui.panels.topography import Maps
from gui.shown import Head, Tone
from gui.theme import DARK, LIGHT
from rtloop.link.pages import BlockPage, PagesSpec
from rtloop.model.montage import NAMES_63, Montage

PAIRS = 63 * 62 // 2
SPEC = PagesSpec(
    names=NAMES_63, positions_m=Montage.from_names(NAMES_63).positions_m, times_s=np.arange(5) / 1e3,
    raw_rate_hz=1000.0, raw_first_s=-0.1, n_raw=5, bands=("alpha", "low_beta", "pooled"), gap_s=(-0.002, 0.01),
)  # fmt: skip


def head(**more) -> Head:
    return Head(**{
        "target": "M1", "local": ("C3", "C1"), "bad": (("T8", "flat"),), "block": "M1", "band": 2, "strongest": 5, **more,
    })  # fmt: skip


def page(n: int = 3, seed: int = 0) -> BlockPage:
    pairs = np.random.default_rng(seed).normal(0.0, 0.1, (3, PAIRS)).astype(np.float32)
    pairs[:, ::7] = np.nan
    return BlockPage(block="M1", n=n, average_uv=np.zeros((63, 5), np.float32), pairs=pairs)


def pixels(widget: QWidget) -> np.ndarray:
    QApplication.processEvents()
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    return np.frombuffer(image.constBits(), np.uint32).reshape(image.height(), image.width()).copy()


@pytest.fixture
def panel(qtbot) -> HeadPanel:
    panel = HeadPanel(LIGHT)
    qtbot.addWidget(panel)
    panel.resize(420, 420)
    panel.show()
    return panel


def test_strongest_links_are_the_greatest_with_their_channels() -> None:
    values = np.full((4, 4), np.nan, np.float32)
    values[0, 3], values[1, 2], values[2, 3], values[0, 1], values[0, 2] = 0.4, 0.9, -2.0, 0.0, 0.1
    pairs = values[np.triu_indices(4, 1)]
    assert [link[:2] for link in strongest_links(pairs, 4, 2)] == [(1, 2), (0, 3)]
    assert [link[:2] for link in strongest_links(pairs, 4, 9)] == [(1, 2), (0, 3), (0, 2)]
    assert strongest_links(np.full(6, np.nan, np.float32), 4, 9) == []
    with pytest.raises(ValueError, match="pairs"):
        strongest_links(pairs, 5, 2)


def test_connections_are_drawn_with_their_numbers(panel: HeadPanel) -> None:
    block = page()
    panel.show_it(head(), block, SPEC)
    wanted = np.sort(block.pairs[2][np.isfinite(block.pairs[2])])[::-1][:5]
    assert [v for _, _, v in panel.view.links] == pytest.approx(wanted.tolist())
    assert panel.view.legend == "5 strongest, pooled: dwPLI² × 1000"
    strong = (pixels(panel.view) == QColor(LIGHT.accent).rgb()).sum()
    panel.show_it(head(strongest=0), block, SPEC)
    assert strong > (pixels(panel.view) == QColor(LIGHT.accent).rgb()).sum() + 50


def test_a_masked_head_shows_words_and_no_lines(panel: HeadPanel) -> None:
    panel.show_it(head(masked="masked: blinded study"), page(), SPEC)
    assert panel.view.links == []
    assert panel.view.legend == "masked: blinded study"
    assert (pixels(panel.view) == QColor(LIGHT.accent).rgb()).sum() == 0
    at = panel.view.points()[0]
    assert not any("dwPLI" in panel.view.says(q) for q in at)
    assert "dwPLI² ×" not in panel.view.accessibleDescription()


def test_the_other_band_and_the_next_pulse_are_followed(panel: HeadPanel) -> None:
    panel.show_it(head(), page(), SPEC)
    first = panel.view.links
    panel.show_it(head(band=0), page(), SPEC)
    assert panel.view.links != first
    assert "alpha" in panel.view.legend
    panel.show_it(head(band=0), page(n=4, seed=1), SPEC)
    other = panel.view.links
    panel.show_it(
        head(band=0), page(n=4, seed=2), SPEC
    )  # an accepted trial taken out and another in: n is the same
    assert panel.view.links != other


def test_the_pointer_is_told_why_a_channel_is_bad(panel: HeadPanel) -> None:
    panel.show_it(head(), page(), SPEC)
    points, disc = panel.view.points()
    assert "bad: flat" in panel.view.says(points[NAMES_63.index("T8")])
    assert "LOCAL electrode of M1" in panel.view.says(points[NAMES_63.index("C3")] + QPointF(disc / 2, 0.0))
    assert panel.view.says(QPointF(1.0, 1.0)) == ""
    assert "T8 (flat)" in panel.view.accessibleDescription()


def test_nose_is_up_left_is_left_and_all_is_inside(panel: HeadPanel) -> None:
    panel.show_it(head(), page(), SPEC)
    points, disc = panel.view.points()
    at = dict(zip(NAMES_63, points, strict=True))
    assert at["Fpz"].y() < at["Cz"].y() < at["Oz"].y()
    assert at["T7"].x() < at["Cz"].x() < at["T8"].x()
    assert disc >= 12.0, "names legible in a panel of 420 px"
    for q in points:
        assert disc <= q.x() <= panel.view.width() - disc
        assert disc <= q.y() <= panel.view.height() - 46 - disc + 1
    x = np.array([[q.x(), q.y()] for q in points])
    apart = np.hypot(*(x[:, None] - x[None]).transpose(2, 0, 1)) + 1e3 * np.eye(63)
    assert (apart > 1.7 * disc).all(), "discs hardly touch"


def test_bad_and_local_are_seen_before_anything_is_known(panel: HeadPanel) -> None:
    panel.show_it(head(), None, SPEC)
    seen = pixels(panel.view)
    assert (seen == QColor(LIGHT.tone(Tone.BAD)).rgb()).sum() > 10
    assert (seen == QColor(LIGHT.local).rgb()).sum() > 50
    assert panel.view.legend == "no connections yet"
    empty = BlockPage(block="M1", n=0, average_uv=np.zeros((63, 5), np.float32))
    panel.show_it(head(), empty, SPEC)
    assert panel.view.links == []
    panel.show_it(head(), None, None)
    panel.set_theme(DARK)
    assert (pixels(panel.view) == QColor(LIGHT.panel).rgb()).sum() == 0


def test_maps_follow_values_limit_and_theme(qtbot) -> None:
    maps = Maps(LIGHT)
    qtbot.addWidget(maps)
    maps.resize(700, 150)
    maps.show()
    nothing = pixels(maps)
    maps.set_positions(SPEC.names, SPEC.positions_m)
    values = np.zeros((63, 3), np.float32)
    values[NAMES_63.index("C3")] = (8.0, 0.0, -8.0)
    maps.show_values(values, (30.0, 45.0, 60.0), 10.0)
    seen = pixels(maps)
    assert (seen != nothing).any()
    cell = (700 - 84) / 3
    red, blue = (seen >> 16) & 255, seen & 255
    warm, cold = (red.astype(int) - blue > 100), (blue.astype(int) - red > 60)
    parts = [slice(int(i * cell), int((i + 1) * cell)) for i in range(3)]
    assert [bool(warm[:, s].any()) for s in parts] == [True, False, False]
    assert [bool(cold[:, s].any()) for s in parts] == [False, False, True]
    maps.show_values(values, (30.0, 45.0, 60.0), 100.0)
    assert (pixels(maps) != seen).any(), "another limit, other colours and numbers"
    maps.show_values(np.full((63, 1), -3.3, np.float32), (30.0,))
    assert maps.limit_uv == 4.0, "found from the values"
    maps.show_values(values, (30.0, 45.0, 60.0), 8.0)
    maps.set_theme(DARK)
    assert "30 ms, 45 ms, 60 ms" in maps.accessibleDescription()
    with pytest.raises(ValueError, match="latencies"):
        maps.show_values(values, (30.0,), 1.0)
