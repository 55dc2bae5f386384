"""Owns what is left when a session has ended: verified record, result, report, words for people; owns none of their content."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rtloop.app.setting import Setting
from rtloop.model.view import View
from rtloop.plan.schema import Kind
from rtloop.record.folder import SessionFolder
from rtloop.record.verify import verify
from rtloop.session.beside_rows import contrast_line
from rtloop.session.deciding import decision_lines
from rtloop.session.display import blinded, decision_words, number, table
from rtloop.session.earlier import Visit, earlier_probes
from rtloop.session.line import SignalLine
from rtloop.session.orders import Finish
from rtloop.session.outcome import result_dict, write_report

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Sat:
    """How a session ended."""

    text: str
    data: dict[str, Any]
    exit_code: int


def close(
    setting: Setting, folder: SessionFolder, view: View, line: SignalLine, finish: Finish, code: int, head_hash: str,
    say: Say,
) -> Sat:  # fmt: skip
    """Verify, report, result: what is left when everything has ended."""
    visits = _visits(setting, folder)
    result = result_dict(view, finish.reason, head_hash)
    checked = verify(folder.path)
    result |= {
        "exit_code": code,
        "folder": str(folder.path),
        "record_whole": checked.ok,
        "report": str(folder.report),
    }
    _keep_result(folder, result, say)  # first: figures may fail
    try:
        write_report(folder, view, line, head_hash, visits)
    except Exception as err:
        say(f"the report could not be written: {err}; rtloop report {folder.path} tries again")
        result["report"] = None
    _keep_result(folder, result, say)
    if checked.ok and code in (0, 6):
        folder.tidy()
    words = [f"{setting.mode}: {finish.reason}", table(view), *contrast_line(view), *decision_words(view)]
    words += decision_lines(view)
    words += [_visit_words(v) for v in visits if not blinded(view)]
    words += [f"record: {'whole' if checked.ok else 'NOT whole, see rtloop verify'} in {folder.path}"]
    words += [f"report: {result['report'] or 'none'}"]
    return Sat(text="\n".join(words), data=result, exit_code=code if checked.ok or code else 7)


def _keep_result(folder: SessionFolder, result: dict[str, Any], say: Say) -> None:
    try:
        folder.result.write_text(json.dumps(result, indent=1, allow_nan=False))
    except OSError as err:
        say(f"the result could not be written: {err}; the journal holds all of it")


def _visits(setting: Setting, folder: SessionFolder) -> tuple[Visit, ...]:
    if setting.plan.kind is not Kind.PROBE:
        return ()
    return earlier_probes(
        folder.path.parent, setting.participant, setting.plan.targets[0].name, simulated=setting.request.simulate,
        but=folder.path,
    )  # fmt: skip


def _visit_words(v: Visit) -> str:
    return (
        f"earlier probe {v.utc[:16]}: LOCAL dwPLI² x1000 {number(v.local, 1e3)}, LMFP {number(v.lmfp_uv, 1, 2)} µV, "
        f"ITC {number(v.itc_local, 1, 2)}, n = {v.n_accepted}"
    )
