"""Owns what each field of a study's records may hold: a field means the same in every record; owns no record."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from rtloop.model.course import Arm, is_code, is_day, whole


class Role(StrEnum):
    """What a person of the study is there for. Unblinded: statistician or allocator, not at the bedside."""

    OPERATOR = "operator"
    ASSESSOR = "assessor"
    UNBLINDED = "unblinded"


#: scales with fixed limits; any other scale is a named finite number. pgic: 1 (very much improved) to 7 (very much worse) [A]
SCALES: dict[str, tuple[float, float]] = {"pain": (0.0, 10.0), "pgic": (1.0, 7.0)}
SCALE_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
SEVERITY = ("mild", "moderate", "severe")
RELATED = ("not related", "possible", "probable", "causal")
AE_STATE = ("ongoing", "resolved", "resolved with sequelae", "fatal", "not known")
#: what makes an event serious (the axis of ISO 14155, in our words)
SERIOUS = (
    "death",
    "life at risk",
    "lasting harm",
    "hospital",
    "treatment to prevent these",
    "foetus or birth",
)
#: what a map may answer to a question
ANSWERS = ("decided", "undecided", "not_comparable")
#: by what a target was chosen: the map's own answer; the classic arm, whatever the map says; where the map does not answer, left
#: M1 or one of its targets by lot (the course's ``if_undecided``)
RULES = ("map", "classic arm", "classic", "chance")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.,:/+²-]{0,79}")
_SHA = re.compile(r"[0-9a-f]{64}")


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= 500


def _name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def number(value: object) -> bool:
    """Whether this is a finite number (no bool)."""
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def measured(value: object) -> bool:
    """Whether this is [value, low, high] with low <= high; the interval may be absent (None, None)."""
    if not (isinstance(value, list | tuple) and len(value) == 3 and number(value[0])):
        return False
    low, high = value[1:]
    return (low is None and high is None) or (number(low) and number(high) and low <= high)


def _scales(value: object) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    return all(
        isinstance(k, str) and SCALE_NAME.fullmatch(k) and number(v) and SCALES.get(k, (-math.inf, math.inf))[0] <= v
        <= SCALES.get(k, (-math.inf, math.inf))[1]
        for k, v in value.items()
    )  # fmt: skip


def _named_measures(value: object) -> bool:
    return isinstance(value, Mapping) and all(_name(k) and measured(v) for k, v in value.items())


def _texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(_text(v) for v in value)


def _entries(value: object) -> bool:
    arms = list(Arm)
    return isinstance(value, list | tuple) and bool(value) and all(
        isinstance(e, list | tuple) and len(e) == 3 and isinstance(e[0], str) and e[1] in arms
        and (e[2] == "" or is_code(e[2]))
        for e in value
    )  # fmt: skip


def _answers(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        k in ("low", "high") and isinstance(a, list | tuple) and len(a) == 4 and a[0] in ANSWERS
        and ((a[0] == "decided") == (a[1] != "")) and (a[1] == "" or _name(a[1]))
        and (a[2] is None or whole(a[2], 1, 1_000_000)) and isinstance(a[3], str) and len(a[3]) <= 500
        for k, a in value.items()
    )  # fmt: skip


#: field -> (whether a value will do, what will do in words); a field means the same in every record
CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "participant": (is_code, "a code such as P017 or S01-P017, no name and no birth date"),
    "day": (is_day, "a date, YYYY-MM-DD"),
    "to_day": (is_day, "a date, YYYY-MM-DD"),
    "person": (_text, "a name"),
    "role": (lambda v: v in list(Role), f"one of {', '.join(Role)}"),
    "name": (_text, "a text"),
    "what": (_text, "a text of at most 500 characters"),
    "stratum": (lambda v: v == "" or _name(v), "a name, or empty where the study has no strata"),
    "strata": (lambda v: isinstance(v, list | tuple) and all(map(_name, v)) and len(set(v)) == len(v), "different names"),
    "blinded": (lambda v: type(v) is bool, "true or false"),
    "simulated": (lambda v: type(v) is bool, "true or false"),
    "eligible": (lambda v: type(v) is bool, "true or false"),
    "accepted": (lambda v: type(v) is bool, "true or false"),
    "anticipated": (lambda v: type(v) is bool, "true or false"),
    "device_deficiency": (lambda v: type(v) is bool, "true or false"),
    "findings": (_texts, "a list of texts"),
    "form": (_name, "the name of the checklist"),
    "form_version": (_name, "its version"),
    "signed_by": (_text, "the name of the person who signed"),
    "course": (lambda v: isinstance(v, Mapping), "a course"),
    "version": (_text, "the version of rtloop"),
    "pct_mso": (lambda v: whole(v, 1, 100), "a whole number of % MSO, 1 to 100"),
    "low_pct_mso": (lambda v: v is None or (number(v) and 0 < v <= 110), "a number of % MSO, or none"),
    "high_pct_mso": (lambda v: v is None or (number(v) and 0 < v <= 110), "a number of % MSO, or none"),
    "method": (lambda v: v == "EMG", '"EMG": a visible twitch reads about 11 % too high'),
    "coil": (_name, "the name of the coil"),
    "waveform": (_name, "the waveform"),
    "unit": (_name, "the model of the unit"),
    "target": (_name, "the name of a target"),
    "session": (_name, "the name of the session's folder"),
    "visit": (lambda v: whole(v, 0, 1000), "the number of a treatment"),
    "assessment": (lambda v: isinstance(v, str) and bool(v), "the name of an assessment of the course"),
    "scales": (_scales, "name = number; pain 0 to 10, pgic 1 to 7, names in small letters"),
    "corrects": (lambda v: v is None or whole(v, 0, 10**9), "the number of the record it corrects"),
    "severity": (lambda v: v in SEVERITY, f"one of {', '.join(SEVERITY)}"),
    "related": (lambda v: v in RELATED, f"one of {', '.join(RELATED)}"),
    "state": (lambda v: v in AE_STATE, f"one of {', '.join(AE_STATE)}"),
    "serious": (lambda v: isinstance(v, list | tuple) and all(s in SERIOUS for s in v), f"none or more of {', '.join(SERIOUS)}"),
    "action": (lambda v: v == "" or _text(v), "what was done, or empty"),
    "kept": (
        lambda v: v in ("list_made", "allocated", "mapped", "probed", "target_resolved"), "a kind of sealed record",
    ),
    "answers": (_answers, "question (low, high) = [kind, target or empty, more pulses or none, words]"),
    "rule": (lambda v: v in RULES, f"one of {', '.join(RULES)}"),
    "words": (lambda v: isinstance(v, str) and len(v) <= 1000, "a text"),
    "sealed_n": (lambda v: whole(v, 0, 10**9), "the number of the sealed record"),
    "sealed_hash": (lambda v: isinstance(v, str) and bool(_SHA.fullmatch(v)), "the hash of the sealed record"),
    "source": (lambda v: v in ("imported", "generated"), "imported or generated"),
    "seed": (lambda v: isinstance(v, str) and len(v) <= 200, "a text"),
    "blocks": (lambda v: isinstance(v, list | tuple) and all(whole(b, 1, 1000) for b in v), "sizes of blocks"),
    "entries": (_entries, "rows of stratum, arm (low, high, classic), participant or empty"),
    "arm": (lambda v: v in list(Arm), f"one of {', '.join(Arm)}"),
    "position": (lambda v: whole(v, 1, 10**6), "a place in the list, from 1"),
    "scores": (_named_measures, "target = [score, low, high]"),
    "values": (_named_measures, "name = [value, low, high]"),
    "n_accepted": (lambda v: isinstance(v, Mapping) and all(whole(n, 0, 100_000) for n in v.values()), "target = trials"),
    "decision": (lambda v: isinstance(v, str) and len(v) <= 500, "a text"),
}  # fmt: skip


def frozen(value: Any) -> Any:
    """Lists to tuples, all the way down, as records hold them."""
    if isinstance(value, list | tuple):
        return tuple(frozen(v) for v in value)
    if isinstance(value, Mapping):
        return {k: frozen(v) for k, v in value.items()}
    return value


def plain(value: Any) -> Any:
    """Tuples to lists, all the way down, as JSON gives them back."""
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return value
