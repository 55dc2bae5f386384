"""Owns how panels share the room: a column that scrolls, a place that takes what its neighbours leave; owns no panel."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget


class Column(QScrollArea):
    """Scrolls up and down where its height is not enough, and is never narrower than what is in it.

    What holds words takes the height its width needs: a scroll area by itself gives such contents their preferred height.
    """

    def __init__(
        self, content: QWidget, words: tuple[QWidget, ...] = (), mixed: tuple[QWidget, ...] = ()
    ) -> None:
        super().__init__()
        self._words = words
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
        return False

    def _fit(self) -> None:
        content, room = self.widget(), self.maximumViewportSize()
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
