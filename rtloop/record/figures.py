"""Owns the figures of the report, as data URIs; owns no numbers. matplotlib (Agg) is imported when one is
drawn."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtloop.record.report_input import Evoked, RankRow
from rtloop.record.topography import flat, grid, interpolation

#: latencies of the maps, ms: the TEP components at M1 (design notes, SCIENCE section 4)
MAP_MS = (30.0, 45.0, 60.0, 100.0, 180.0)
INK, MUTED, ACCENT, GRID = "#1c2733", "#66727f", "#0b5c8a", "#d9dfe5"
#: Okabe-Ito, safe for the colour-blind
OKABE_ITO = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def new_figure(width: float, height: float) -> Any:
    """An empty figure, inches; drawn by Agg, without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def data_uri(figure: Any, kind: str) -> str:
    """The figure (``kind`` svg or png) as a data URI."""
    from matplotlib import rc_context

    out = io.BytesIO()
    meta = {"Date": None} if kind == "svg" else {"Software": None}
    with rc_context({"svg.hashsalt": "rtloop"}):  # the same numbers give the same file
        figure.savefig(out, format=kind, metadata=meta)
    mime = "image/svg+xml" if kind == "svg" else "image/png"
    return f"data:{mime};base64,{base64.b64encode(out.getvalue()).decode()}"


def style_axes(axes: Any) -> None:
    """The house's axes: light, without a box."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)
    axes.tick_params(colors=MUTED, labelsize=8, length=3)
    axes.xaxis.label.set_color(MUTED)
    axes.yaxis.label.set_color(MUTED)
    axes.grid(True, color=GRID, linewidth=0.5)
    axes.set_axisbelow(True)


def evoked_figure(evoked: Evoked) -> str:
    """Butterfly, GMFP and five maps of one target; PNG data URI. Stretches without numbers are left blank."""
    figure = new_figure(9.0, 5.9)
    rows = figure.add_gridspec(
        2, 1, height_ratios=(2, 1), hspace=0.1, left=0.065, right=0.985, top=0.985, bottom=0.385
    )
    maps = figure.add_gridspec(1, 1, left=0.02, right=0.945, top=0.285, bottom=0.02)
    data = evoked.data_uv - evoked.data_uv.mean(axis=0)
    shown = (evoked.times_ms >= -100) & (evoked.times_ms <= 400)
    t, d = evoked.times_ms[shown], data[:, shown]
    local = [evoked.montage.index(n) for n in evoked.local_names if n in evoked.montage.names]
    top = figure.add_subplot(rows[0])
    top.plot(t, d.T, color="#8a97a5", linewidth=0.5, alpha=0.75)
    for i in local:
        top.plot(t, d[i], color=OKABE_ITO[1], linewidth=1.1, label=None if i != local[0] else "near the coil")
    top.set_ylabel("µV", fontsize=8)
    low = figure.add_subplot(rows[1], sharex=top)
    gmfp = np.sqrt(np.mean(d**2, axis=0))
    low.fill_between(t, gmfp, color=ACCENT, alpha=0.15, linewidth=0)
    low.plot(t, gmfp, color=ACCENT, linewidth=1.3)
    low.set_ylabel("GMFP (µV)", fontsize=8)
    low.set_xlabel("ms after the pulse", fontsize=8, labelpad=1)
    top.tick_params(labelbottom=False)
    if len(t):
        after = np.abs(d[:, t > 10]) if np.any(t > 10) else np.abs(d)
        limit = float(np.nanmax(after)) * 1.15 if after.size and np.isfinite(after).any() else 1.0
        top.set_ylim(-limit, limit)
        low.set_ylim(0, (float(np.nanmax(gmfp[t > 10])) if np.any(t > 10) else 1.0) * 1.2 or 1.0)
        low.set_xlim(float(t[0]), float(t[-1]))
    for axes in (top, low):
        style_axes(axes)
        axes.axvline(0, color=INK, linewidth=0.9)
        if evoked.gap_ms is not None:
            axes.axvspan(*evoked.gap_ms, color="#f2c14e", alpha=0.45, linewidth=0)
        for at in MAP_MS:
            axes.axvline(at, color=MUTED, linewidth=0.5, linestyle=(0, (3, 3)))
    if local:
        top.legend(loc="upper right", fontsize=8, frameon=False)
    _maps(figure, maps[0], evoked, data)
    return data_uri(figure, "png")


def _maps(figure: Any, place: Any, evoked: Evoked, data: Any) -> None:
    cells = place.subgridspec(1, len(MAP_MS) + 1, width_ratios=[1] * len(MAP_MS) + [0.06], wspace=0.08)
    points, axis = grid()
    matrix = interpolation(evoked.montage.positions_m, points)
    spots = flat(evoked.montage.positions_m)
    step = np.median(np.diff(evoked.times_ms)) if len(evoked.times_ms) > 1 else 1.0
    at = [int(np.argmin(np.abs(evoked.times_ms - ms))) for ms in MAP_MS]
    there = [abs(evoked.times_ms[i] - ms) <= step for i, ms in zip(at, MAP_MS, strict=True)]
    values = data[:, at]
    limit = max((float(np.abs(values[:, k]).max()) for k, ok in enumerate(there) if ok), default=1.0) or 1.0
    outside = np.hypot(points[:, 0], points[:, 1]) > 1.0
    image = None
    for k, ms in enumerate(MAP_MS):
        axes = figure.add_subplot(cells[k])
        axes.set_aspect("equal")
        axes.axis("off")
        axes.set_title(f"{ms:g} ms", fontsize=8, color=INK, pad=1, y=0.99)
        axes.set_xlim(-1.15, 1.15)
        axes.set_ylim(-1.12, 1.2)
        _head(axes)
        if not (there[k] and np.isfinite(values[:, k]).all()):
            axes.text(0, 0, "not recorded", fontsize=7, ha="center", color=MUTED)
            continue
        field = np.ma.masked_array(matrix @ values[:, k], outside).reshape(len(axis), len(axis))
        box = (axis[0], axis[-1], axis[0], axis[-1])
        image = axes.imshow(
            field,
            extent=box,
            origin="lower",
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
            interpolation="bilinear",
        )
        from matplotlib.patches import Circle

        image.set_clip_path(Circle((0, 0), 1.0, transform=axes.transData))
        axes.contour(axis, axis, field, levels=6, colors=INK, linewidths=0.35, alpha=0.5)
        near = np.hypot(spots[:, 0], spots[:, 1]) <= 1.0
        axes.scatter(spots[near, 0], spots[near, 1], s=1.5, color=INK, linewidths=0)
    if image is not None:
        bar = figure.colorbar(image, cax=figure.add_subplot(cells[-1]))
        bar.ax.tick_params(labelsize=7, colors=MUTED, length=2)
        bar.set_label("µV", fontsize=7, color=MUTED, labelpad=1)
        bar.outline.set_visible(False)


def _head(axes: Any) -> None:
    turn = np.linspace(0, 2 * np.pi, 181)
    axes.plot(np.sin(turn), np.cos(turn), color=INK, linewidth=1.0)
    axes.plot([-0.12, 0.0, 0.12], [0.993, 1.13, 0.993], color=INK, linewidth=1.0)


def ranking_figure(rows: Sequence[RankRow]) -> str:
    """Scores with their intervals, in the order displayed; SVG data URI."""
    figure = new_figure(7.6, 0.55 + 0.38 * len(rows))
    axes = figure.add_axes(
        (0.13, 0.42 / (0.55 + 0.38 * len(rows)), 0.84, 0.36 * len(rows) / (0.55 + 0.38 * len(rows)))
    )
    for y, row in enumerate(rows):
        if row.score.present:
            axes.plot(
                [row.score.low, row.score.high], [y, y], color=ACCENT, linewidth=2.2, solid_capstyle="butt"
            )
            axes.plot([row.score.value], [y], "o", color=ACCENT, markersize=6)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_yticks(range(len(rows)), [r.target for r in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("global dwPLI², pooled 8-30 Hz, 95 % interval", fontsize=8)
    style_axes(axes)
    axes.tick_params(axis="y", labelsize=9, colors=INK, length=0)
    return data_uri(figure, "svg")
