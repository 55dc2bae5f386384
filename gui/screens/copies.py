"""Owns the copies of mapped pages that a screen draws; owns neither the pages nor what is drawn of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

KEPT = 8


class Copies:
    """A page's copy, taken again only when something was written since."""

    def __init__(self) -> None:
        self._pages: dict[str, tuple[Any, Any]] = {}

    def clear(self) -> None:
        self._pages.clear()

    def trial(self, pages: Any, trial_id: int | None) -> Any:
        """The page of a trial (rtloop.link.pages.TrialPage), or None."""
        if pages is None or trial_id is None:
            return None
        return self._page(f"trial {trial_id}", pages, lambda: pages.trial(trial_id))

    def block(self, pages: Any, block: str) -> Any:
        """The page of a block (rtloop.link.pages.BlockPage), or None."""
        if pages is None or not block:
            return None
        return self._page(f"block {block}", pages, lambda: pages.block(block))

    def _page(self, key: str, pages: Any, take: Callable[[], Any]) -> Any:
        stamp = (id(pages), pages.count)
        kept = self._pages.get(key)
        if kept is None or kept[0] != stamp:
            if len(self._pages) > KEPT:
                self._pages.clear()
            kept = self._pages[key] = (stamp, take())
        return kept[1]
