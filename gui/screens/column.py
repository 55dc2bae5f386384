"""Owns how panels share the room: a column that scrolls, panels of which one is seen where two have no room, a place that
takes what its neighbours leave; owns no panel."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QSplitter, QTabBar, QVBoxLayout, QWidget


class Column(QScrollArea):
    """Scrolls up and down where its height is not enough, and is never narrower than what is in it.

    What holds words takes the height its width needs: a scroll area by itself gives such contents their preferred height.
    """

    def __init__(
        self, content: QWidget, words: tuple[QWidget, ...] = (), mixed: tuple[QWidget, ...] = ()
    ) -> None:
        super().__init__()
        self._words = words
        self._least_px = 0
        self._mixed = tuple((panel, panel.minimumHeight()) for panel in mixed)  # words and plots: their least
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(content)
        content.installEventFilter(self)

    def minimumSizeHint(self) -> QSize:
        return QSize(
            self.widget().minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width(), 80
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            self._fit()
            least_px = self.minimumSizeHint().width()
            if least_px != self._least_px:  # the splitter asks again only when told
                self._least_px = least_px
                self.updateGeometry()
        return False

    def _fit(self) -> None:
        content, room = self.widget(), self.maximumViewportSize()
        if isinstance(content, Either):
            content.fit(room.height())
        layout = content.layout()
        wide = room.width()

        def needed() -> int:
            for panel in self._words:  # never squeezed: a layout's own minimum lets wrapped words overlap
                panel.setMinimumHeight(max(0, panel.heightForWidth(wide)))
            for panel, least_px in self._mixed:
                inner = panel.layout()
                panel.setMinimumHeight(max(least_px, inner.minimumHeightForWidth(wide) if inner else 0))
            if layout is not None and layout.hasHeightForWidth():
                return layout.minimumHeightForWidth(wide)
            return content.minimumSizeHint().height()

        if needed() > room.height():
            wide -= self.verticalScrollBar().sizeHint().width()
        content.resize(wide, max(room.height(), needed()))


class Either(QWidget):
    """Panels one above the other; where the room is too low for all, one of ``either`` is seen at a time, chosen by its tab.

    either : panels of the splitter with the names of their tabs
    """

    def __init__(self, splitter: QSplitter, either: dict[str, QWidget]) -> None:
        super().__init__()
        self.splitter, self._either = splitter, either
        self._offered = dict.fromkeys(either, True)
        self.bar = QTabBar()
        self.bar.setDocumentMode(True)
        self.bar.setExpanding(True)
        self.bar.setAccessibleName("Which panel is seen")
        for name in either:
            self.bar.addTab(name)
        self.bar.hide()
        self.bar.currentChanged.connect(lambda _place: self._show())
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        below = splitter.widget(0) not in either.values()  # beside those that it chooses among
        if below:
            self.bar.setShape(QTabBar.Shape.RoundedSouth)
        box.addWidget(splitter, 1)
        box.insertWidget(1 if below else 0, self.bar)
        self.low = False

    def fit(self, room_px: int) -> None:
        """See all where they have room."""
        panels = [self.splitter.widget(i) for i in range(self.splitter.count())]
        hidden = {p for name, p in self._either.items() if not self._offered[name]}
        there = [p for p in panels if p not in hidden]
        least = sum(max(p.minimumHeight(), p.minimumSizeHint().height()) for p in there)
        least += self.splitter.handleWidth() * (len(there) - 1)
        low = least > room_px and sum(self._offered.values()) > 1
        if low != self.low:
            self.low = low
            self._show()

    def offer(self, name: str, there: bool) -> None:
        """Whether a panel is there at all."""
        if self._offered[name] != there:
            self._offered[name] = there
            self.bar.setTabVisible(list(self._either).index(name), there)
            self._show()

    def choose(self, name: str) -> None:
        """See this one where only one is seen."""
        self.bar.setCurrentIndex(list(self._either).index(name))

    def _show(self) -> None:
        chosen = self.bar.tabText(self.bar.currentIndex())
        self.bar.setVisible(self.low)
        for name, panel in self._either.items():
            panel.setVisible(self._offered[name] and (not self.low or name == chosen))


class Rest(QWidget):
    """Takes the height that others in its row need, whatever its content would like."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(content)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Ignored)

    def hasHeightForWidth(self) -> bool:
        return False
