"""Owns the panel of the head: which montage, connections and words the view draws; owns neither the drawing nor the choice."""

from __future__ import annotations

import numpy as np
from PySide6.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from gui import shown
from gui.panels.head_view import HeadView, Link
from gui.theme import Theme
from rtloop.link.pages import BlockPage, PagesSpec
from rtloop.model.samples import F32
from rtloop.record.topography import flat


def strongest_links(pairs: F32, n_channels: int, k: int) -> list[Link]:
    """The ``k`` greatest positive values, strongest first, as (channel, channel, value).

    ``pairs`` float32[n_pairs] in the order of ``numpy.triu_indices(n_channels, 1)``; NaN is passed over. dwPLI² is debiased
    and may be negative: that is no connection.
    """
    if pairs.shape != (n_channels * (n_channels - 1) // 2,):
        raise ValueError(f"pairs {pairs.shape} do not fit {n_channels} channels")
    good = np.flatnonzero(pairs > 0.0)  # false for NaN
    best = good[np.argsort(pairs[good])[::-1][:k]]
    first, second = np.triu_indices(n_channels, 1)
    return [(int(first[i]), int(second[i]), float(pairs[i])) for i in best]


class HeadPanel(QFrame):
    """Electrodes from above, nose up: LOCAL ringed, bad crossed, the strongest connections as lines with their numbers."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", True)
        self._title = QLabel("Head")
        self._title.setProperty("role", "title")
        self.view = HeadView(theme)
        self._seen: tuple[object, ...] = ()
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 4)
        column.setSpacing(2)
        column.addWidget(self._title)
        column.addWidget(self.view, 1)

    def set_theme(self, theme: Theme) -> None:
        """Take another set of colours."""
        self.view.theme = theme
        self.view.renew()

    def show_it(self, head: shown.Head, page: BlockPage | None, spec: PagesSpec | None) -> bool:
        """Show the montage of ``spec`` and the connections of ``page``; whether it was drawn anew, as when something changed."""
        seen = (
            head,
            page.block if page else None,
            page.n if page else None,
            id(page),
            spec.names if spec else None,
        )
        if seen == self._seen:
            return False
        self._seen = seen
        self._page = page  # kept, so that its id stays its own
        view = self.view
        view.head = head
        if spec is not None:
            if view.names != spec.names:
                view.names, view.places = spec.names, flat(np.asarray(spec.positions_m, float))
        else:
            view.names, view.places = (), np.empty((0, 2))
        view.links, view.legend = [], ""
        if head.masked:
            view.legend = head.masked
        elif (
            spec is not None
            and page is not None
            and page.pairs.ndim == 2
            and 0 <= head.band < len(page.pairs)
        ):
            view.links = strongest_links(page.pairs[head.band], len(spec.names), head.strongest)
            band = spec.bands[head.band] if head.band < len(spec.bands) else ""
            if view.links:
                view.legend = f"{len(view.links)} strongest, {band.replace('_', ' ')}: dwPLI² × 1000"
            else:
                view.legend = "no connection above zero yet"
        else:
            view.legend = "no connections yet" if head.block else ""
        self._title.setText(f"Head · coil for {head.target}" if head.target else "Head")
        self._title.setToolTip(head.words)
        bad = ", ".join(f"{name} ({why})" for name, why in head.bad) or "none"
        said = "; ".join(f"{view.names[a]}-{view.names[b]} {1e3 * v:.0f}" for a, b, v in view.links[:5])
        view.setAccessibleDescription(f"Bad: {bad}. LOCAL: {', '.join(head.local)}. {view.legend}: {said}")
        view.renew()
        return True
