"""Owns what is told of a judged trial and of a block, in one order for live and recorded sessions; owns no judgement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rtloop.dsp.channels import held_words
from rtloop.model.view import View, key_of
from rtloop.record import kinds
from rtloop.session.display import ranking_dict
from rtloop.session.judging import block_judged, trial_judged
from rtloop.session.line import Again, SignalLine, Trial, again_dict, trial_dict
from rtloop.session.looking import early_measured


class Teller:
    """Emits the events of trials and blocks.

    Parameters
    ----------
    emit : journals an event and folds it into the view; called as ``emit(kind, **data)``
    view : the view as it is now
    criteria : target -> what a block is held against, by name (from the plan)
    """

    def __init__(
        self, line: SignalLine, emit: Callable[..., None], view: Callable[[], View],
        criteria: Mapping[str, Mapping[str, Any]],
    ) -> None:  # fmt: skip
        self._line, self._emit, self._view, self._criteria = line, emit, view, criteria

    def trial(self, trial: Trial) -> None:
        """What was judged, which channels are now left out, the scores after it, and when due the lights of its block."""
        line, label = self._line, trial.label
        quality = trial_judged(trial, line.spec, line.limits)
        self._emit(kinds.TRIAL_JUDGED, **trial_dict(trial, line.montage, quality))
        if changed := line.channels.take_news():
            self._emit("channels_held", held=line.held_names(), words=held_words(changed, line.montage.names))
        if filtered := line.filters.take_news(trial.trial_id, label.target, label.block):
            self._emit("filter_changed", **filtered)
        if hindered := line.filters.hindered(key_of(label.target, label.block), trial.trial_id):
            self._emit(kinds.NOTE_WRITTEN, words=hindered, by="engine")
        if trial.scores is not None:
            self.scores(label.target, label.block, trial.scores.to_dict(), trial.stage_s["scores"])
        if label.block == "preview" and trial.verdict.accepted:
            self._emit("early_measured", **early_measured(self._view(), line, label))
        if line.due_for_quality(label):
            self.quality(label.target, label.block, running=True)

    def again(self, again: Again) -> None:
        """What became of an earlier trial that was cleaned again; after the last one the scores and the lights of its block."""
        line, trial, label = self._line, again.trial, again.trial.label
        quality = trial_judged(trial, line.spec, line.limits)
        if filtered := line.filters.take_news(trial.trial_id, label.target, label.block):
            self._emit("filter_changed", **filtered)
        self._emit("trial_recleaned", **again_dict(again, line.montage, quality))
        if trial.scores is not None:
            self.scores(label.target, label.block, trial.scores.to_dict(), 0.0)
        if label.block == "preview" and not again.left:
            self._emit("early_measured", **early_measured(self._view(), line, label))
        if not again.left:
            self.quality(label.target, label.block, running=True)

    def scores(self, target: str, block: str, scores: Mapping[str, Any], scores_s: float) -> None:
        """The scores of a block, and the ranking where two targets have some."""
        self._emit(kinds.SCORES_UPDATED, target=target, block=block, scores=scores, scores_s=scores_s)
        view = self._view()
        if (
            block == "run"
            and sum(t.block == "run" and t.scores is not None for t in view.targets.values()) > 1
        ):
            self._emit(kinds.RANKING_MADE, **ranking_dict(view))

    def quality(self, target: str, block: str, *, running: bool) -> None:
        """The lights of a block."""
        criteria = self._criteria.get(target, {})
        self._emit(
            "quality_judged",
            **block_judged(self._view(), self._line, target, block, criteria, running=running),
        )
