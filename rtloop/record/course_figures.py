"""Owns the figures of a course and of a study, as data URIs; owns no numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rtloop.record.figures import ACCENT, GRID, INK, MUTED, OKABE_ITO, data_uri, new_figure, style_axes

ARM_COLOURS = {"low": OKABE_ITO[0], "high": OKABE_ITO[1], "classic": OKABE_ITO[2]}
ARM_MARKS = {"low": "v", "high": "^", "classic": "o"}


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A value at a day (0: of the first treatment) with its interval, None where it has none."""

    day: float
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One quantity over the weeks. ``limits``: of its scale, None: as the values are; ``line``: whether values are joined."""

    label: str
    dots: tuple[Dot, ...]
    limits: tuple[float, float] | None = None
    line: bool = True


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Pulses of one session; None for a treatment that was not given."""

    label: str
    planned: int
    delivered: int
    uncertain: int


def dose_figure(bars: Sequence[Bar]) -> str:
    """Planned and delivered pulses of each session; SVG data URI. What is uncertain is hatched, on top of what is certain."""
    figure = new_figure(7.6, 2.5)
    axes = figure.add_axes((0.1, 0.2, 0.88, 0.7))
    at = range(len(bars))
    axes.bar(
        at,
        [b.planned for b in bars],
        color="none",
        edgecolor=MUTED,
        linewidth=1.0,
        width=0.7,
        label="planned",
    )
    axes.bar(at, [b.delivered for b in bars], color=ACCENT, width=0.7, label="certainly delivered")
    unsure = [(k, b) for k, b in enumerate(bars) if b.uncertain]
    if unsure:
        axes.bar(
            [k for k, _ in unsure], [b.uncertain for _, b in unsure], bottom=[b.delivered for _, b in unsure], color="white",
            edgecolor=OKABE_ITO[1], hatch="////", linewidth=0.8, width=0.7, label="uncertain, counts as given",
        )  # fmt: skip
    axes.set_xticks(list(at), [b.label for b in bars])
    axes.set_ylabel("pulses", fontsize=8)
    axes.set_xlabel("treatment", fontsize=8)
    top = max((max(b.planned, b.delivered + b.uncertain) for b in bars), default=1)
    axes.set_ylim(0, top * 1.3)
    style_axes(axes)
    axes.grid(False, axis="x")
    axes.legend(loc="upper right", fontsize=8, frameon=False, ncols=3)
    return data_uri(figure, "svg")


def weeks_figure(panels: Sequence[Panel], treatments: Sequence[float], zero: str) -> str:
    """Each quantity over the days, one under the other, with the days of treatment as ticks; SVG data URI."""
    height = 0.75 + 1.25 * len(panels)
    figure = new_figure(7.6, height)
    rows = figure.add_gridspec(
        len(panels), 1, hspace=0.28, left=0.12, right=0.97, top=1 - 0.12 / height, bottom=0.52 / height
    )
    first = None
    days = [d.day for p in panels for d in p.dots] + list(treatments)
    low, high = min(days, default=0.0), max(days, default=1.0)
    margin = max(1.0, 0.03 * (high - low))
    for k, panel in enumerate(panels):
        axes = figure.add_subplot(rows[k], sharex=first)
        first = first or axes
        style_axes(axes)
        for day in treatments:
            axes.axvline(day, color=GRID, linewidth=1.4, zorder=0.5)
        dots = sorted(panel.dots, key=lambda d: d.day)
        if panel.line and len(dots) > 1:
            axes.plot([d.day for d in dots], [d.value for d in dots], color=MUTED, linewidth=0.8, zorder=1)
        for d in dots:
            if d.low is not None and d.high is not None:
                axes.plot([d.day, d.day], [d.low, d.high], color=ACCENT, linewidth=2.0, solid_capstyle="butt")
        axes.plot([d.day for d in dots], [d.value for d in dots], "o", color=ACCENT, markersize=4.5)
        axes.set_ylabel(panel.label, fontsize=8)
        axes.yaxis.set_label_coords(-0.075, 0.5)
        axes.grid(False, axis="x")
        if panel.limits is not None:
            axes.set_ylim(*panel.limits)
        axes.set_xlim(low - margin, high + margin)
        axes.tick_params(labelbottom=k == len(panels) - 1)
        if k == len(panels) - 1:
            axes.set_xlabel(f"days since {zero}; grey lines: treatments", fontsize=8)
    return data_uri(figure, "svg")


def courses_figure(
    lines: Mapping[str, Sequence[tuple[str, Sequence[Dot]]]], label: str, limits: tuple[float, float]
) -> str:
    """One quantity of everybody over the days, a panel for each group (an arm, or "everybody"); SVG data URI.

    ``lines``: group -> (participant, dots).
    """
    figure = new_figure(2.6 * max(2, len(lines)), 2.7)
    rows = figure.add_gridspec(
        1, max(1, len(lines)), wspace=0.12, left=0.07, right=0.98, top=0.88, bottom=0.19
    )
    for k, (group, people) in enumerate(lines.items()):
        axes = figure.add_subplot(rows[k])
        style_axes(axes)
        colour = ARM_COLOURS.get(group, ACCENT)
        for _, dots in people:
            ordered = sorted(dots, key=lambda d: d.day)
            axes.plot(
                [d.day for d in ordered],
                [d.value for d in ordered],
                color=colour,
                alpha=0.35,
                linewidth=0.8,
                marker=".",
            )
        axes.set_title(f"{group} (n = {len(people)})", fontsize=9, color=INK)
        axes.set_ylim(*limits)
        axes.set_xlabel("days since the first treatment", fontsize=8)
        if k == 0:
            axes.set_ylabel(label, fontsize=8)
        else:
            axes.tick_params(labelleft=False)
    return data_uri(figure, "svg")


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """Participants of one arm, and the fitted line where there is one: (intercept, slope)."""

    arm: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    fit: tuple[float, float] | None
    title: str


def association_figure(arms: Sequence[Scatter], x_label: str, y_label: str) -> str:
    """One panel for each arm, same axes; SVG data URI."""
    figure = new_figure(2.6 * max(1, len(arms)), 2.9)
    rows = figure.add_gridspec(1, max(1, len(arms)), wspace=0.1, left=0.09, right=0.98, top=0.84, bottom=0.17)
    first = None
    for k, arm in enumerate(arms):
        axes = figure.add_subplot(rows[k], sharex=first, sharey=first)
        first = first or axes
        style_axes(axes)
        colour = ARM_COLOURS.get(arm.arm, ACCENT)
        axes.plot(
            arm.x,
            arm.y,
            ARM_MARKS.get(arm.arm, "o"),
            color=colour,
            markersize=4.5,
            alpha=0.8,
            linestyle="none",
        )
        if arm.fit is not None:
            ends = (min(arm.x), max(arm.x))
            axes.plot(ends, [arm.fit[0] + arm.fit[1] * x for x in ends], color=INK, linewidth=1.2)
        axes.set_title(arm.title, fontsize=8.5, color=INK)
        axes.set_xlabel(x_label, fontsize=8)
        if k == 0:
            axes.set_ylabel(y_label, fontsize=8)
        else:
            axes.tick_params(labelleft=False)
    return data_uri(figure, "svg")
