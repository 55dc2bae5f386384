"""Owns the figure of a treatment session: trains over time, and the coil's temperature; owns no numbers."""

from __future__ import annotations

from rtloop.record.figures import ACCENT, GRID, MUTED, OKABE_ITO, data_uri, new_figure, style_axes
from rtloop.record.treat_facts import TreatFacts


def session_figure(f: TreatFacts, stop_c: float) -> str:
    """Each train as a bar from its first pulse to its end, as high as the pulses planned; below it the coil. SVG data URI."""
    figure = new_figure(9.0, 3.6 if f.coil else 2.3)
    grid = figure.add_gridspec(
        2 if f.coil else 1, 1, hspace=0.28, left=0.07, right=0.985, top=0.97, bottom=0.14
    )
    top = figure.add_subplot(grid[0])
    for row in f.trains:
        width = max(row.end_s - row.begun_s, 1.0) / 60
        at = row.begun_s / 60
        top.bar(at, row.planned, width, align="edge", facecolor="none", edgecolor=MUTED, linewidth=0.6)
        top.bar(at, row.least, width, align="edge", color=ACCENT)
        top.bar(at, row.most - row.least, width, bottom=row.least, align="edge", color=OKABE_ITO[4])
    top.set_ylabel("pulses of a train", fontsize=8)
    style_axes(top)
    low = top
    if f.coil:
        low = figure.add_subplot(grid[1], sharex=top)
        low.plot(
            [t / 60 for t, _ in f.coil], [c for _, c in f.coil], color=OKABE_ITO[1], marker=".", linewidth=1.2
        )
        low.axhline(stop_c, color=MUTED, linewidth=0.8, linestyle="--")
        low.set_ylabel("coil (°C)", fontsize=8)
        style_axes(low)
        top.tick_params(labelbottom=False)
    low.set_xlabel("minutes since the session began", fontsize=8)
    for axes in {top, low}:
        axes.spines["bottom"].set_color(GRID)
    return data_uri(figure, "svg")
