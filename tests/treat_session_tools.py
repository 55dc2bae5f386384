"""Treatment sessions on the stepped clock: the session's own objects over stepped devices; ground for the tests of treatments."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepped_script_tools import Stepped, stepped_script

from rtloop.app.treat_asked import TreatRequest, Wanted, wanted
from rtloop.app.treat_given import Books
from rtloop.app.treat_run import Runner
from rtloop.app.treat_unit import TreatTms
from rtloop.app.treat_words import Simulated
from rtloop.record.folder import SessionFolder
from rtloop.session.orders import Said


class Person(Simulated):
    """The simulated operator, who also says ``words`` when their time comes.

    ``words``: (kind of event, a test of its data, words to be said at once), each said once, in any order.
    """

    def __init__(self, *words: tuple[str, Callable[[Mapping[str, Any]], bool], str]) -> None:
        super().__init__(after_s=0.1)
        self.left = list(words)

    def tell(self, kind: str, data: Mapping[str, Any], now_s: float) -> None:
        super().tell(kind, data, now_s)
        for row in list(self.left):
            if row[0] == kind and row[1](data):
                self.left.remove(row)
                word, *args = row[2].split()
                self._plans.append((now_s, Said(word=word, args=tuple(args))))


@dataclass
class Treating:
    """A session under way, and afterwards."""

    script: Stepped
    runner: Runner
    want: Wanted

    def told(self, kind: str) -> list[dict[str, Any]]:
        return self.script.told(kind)


def request_of(tmp_path: Path, **changes: Any) -> TreatRequest:
    fields: dict[str, Any] = {
        "plan": "treat-quick", "simulate": True, "participant": "P017", "data_dir": tmp_path / "data",
    }  # fmt: skip
    return TreatRequest(**(fields | changes))


@contextlib.contextmanager
def stepped_treatment(
    request: TreatRequest, operator: Simulated | None = None, **more: Any
) -> Iterator[Treating]:
    """The session of a request on the stepped clock, to be run by the caller: ``t.runner.run()``."""
    want, setting = wanted(request, print)
    study = more.pop("study", None)
    with stepped_script(setting, of=more.pop("of", TreatTms), **more) as s:
        assert isinstance(s.tms, TreatTms)
        SessionFolder(path=s.folder.path).keep_plan(want.plan.source)
        runner = Runner(s.tms, want, operator or Person(), Books(want, s.clock, study), s.clock, study=study)
        yield Treating(s, runner, want)
