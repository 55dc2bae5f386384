"""Owns how a sensation and an adverse event are said in one line, and what they become; owns no file and no judgement.

``adverse WORDS; severity=mild; related=possible; serious=none; anticipated=yes; device=no; state=ongoing`` : the axes of ISO
14155 in the words of ``rtloop.study.fields``. Words come first; every axis is to be said.
"""

from __future__ import annotations

from typing import Any

from rtloop.study.fields import AE_STATE, RELATED, SERIOUS, SEVERITY

WORDS_MAX = 500
_YES_NO = {"yes": True, "no": False}
#: axis -> what may be said
AXES: dict[str, tuple[str, ...]] = {
    "severity": SEVERITY, "related": RELATED, "serious": ("none", *SERIOUS), "anticipated": ("yes", "no"),
    "device": ("yes", "no"), "state": AE_STATE,
}  # fmt: skip
EXAMPLE = "adverse headache; severity=mild; related=possible; serious=none; anticipated=yes; device=no; state=ongoing"


def sensation(text: str) -> tuple[dict[str, Any], str]:
    """Data of ``sensation_told``; or why it is none. A leading grade (mild, moderate, severe) is its severity."""
    words = text.strip()
    first, _, rest = words.partition(" ")
    severity = first.lower() if first.lower() in SEVERITY else None
    what = rest.strip() if severity else words
    if not what:
        return {}, "say what is felt: sensation [mild | moderate | severe] WORDS"
    if len(what) > WORDS_MAX:
        return {}, f"at most {WORDS_MAX} characters"
    return {"what": what, "severity": severity}, ""


def adverse_event(text: str) -> tuple[dict[str, Any], str]:
    """Data of ``adverse_event_told``; or everything that is wrong with it. Several kinds of serious: serious=a, b."""
    what, *parts = [p.strip() for p in text.split(";")]
    said: dict[str, str] = {}
    bad = [] if what and "=" not in what else ["say what happened first"]
    bad += [f"at most {WORDS_MAX} characters"] if len(what) > WORDS_MAX else []
    for part in filter(None, parts):
        axis, _, value = (x.strip().lower() for x in part.partition("="))
        if axis not in AXES:
            bad.append(f"no axis {axis!r}")
        elif axis in said:
            bad.append(f"{axis} is said twice")
        elif not all(v.strip() in AXES[axis] for v in (value.split(",") if axis == "serious" else [value])):
            bad.append(f"{axis}: expected {', '.join(AXES[axis])}, found {value!r}")
        said[axis] = value
    bad += [f"{axis} is not said ({', '.join(values)})" for axis, values in AXES.items() if axis not in said]
    serious = [v.strip() for v in said.get("serious", "").split(",") if v.strip() not in ("", "none")]
    if not bad and serious and "none" in said["serious"]:
        bad.append("serious: none, or which")
    if bad:
        return {}, f"{'; '.join(bad)}. Such as: {EXAMPLE}"
    return {
        "what": what, "severity": said["severity"], "related": said["related"], "serious": serious,
        "anticipated": _YES_NO[said["anticipated"]], "device_deficiency": _YES_NO[said["device"]], "state": said["state"],
    }, ""  # fmt: skip
