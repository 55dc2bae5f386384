"""Owns what a treatment's screen shows besides what every session's does: trains, countdown, checklist, what was told; owns no
train, no pause and no rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gui.asking import always_shown, asked, button, confirm_left_s, why_no_words, why_not_confirm
from gui.heading import arming, engine_trouble
from gui.kept import kept
from gui.live import Live
from gui.numbers import age
from gui.phrases import TREAT_WORDS, WORDS, capital
from gui.shown import Button, Fact, Line, Progress, Question, Tone, Treatment
from rtloop.model.treat_view import TrainView, TreatView
from rtloop.model.view import View
from rtloop.model.waiver import waiver_words

#: phases in which a train may be given without another word
GOING = ("setting", "arm", "pause", "gate", "train", "cooling", "calibrating")
ANSWERS = ("yes", "no", "none", "mild", "moderate", "severe")
_NAMES = {**WORDS, **TREAT_WORDS}
_CHECKLISTS = {"before": "Checklist before the treatment", "after": "Checklist after the treatment"}
_ALWAYS = ("pause", "sensation", "adverse", "note", "abort", "stop", "emergency")


def treatment_shown(view: View, live: Live) -> Treatment | None:
    """Everything that only a treatment has; None of another session."""
    t = view.treatment
    if t is None:
        return None
    clock, share = _clock(view, t, live)
    return Treatment(
        headline=_headline(view, t), clock=clock, share=share, facts=_facts(view, t, live), setting=_setting(view.started),
        trains=_trains(t.trains), told=_told(t.sensations, t.adverse_events), field=_field(view),
        name=str((view.started.get("treatment") or {}).get("by") or ""), why_not_tell=why_no_words(view, live),
    )  # fmt: skip


# -- where it stands -------------------------------------------------------------------------------------------


def _headline(view: View, t: TreatView) -> Line:
    if view.ended is not None:
        whole = t.begun == t.count
        return Line(text=f"{t.begun} of {t.count} trains given", tone=Tone.GOOD if whole else Tone.ATTENTION)
    if t.phase in _CHECKLISTS:
        return Line(text=_CHECKLISTS[t.phase], tone=Tone.ATTENTION)
    under = t.under_way
    if under is not None:
        return Line(text=f"TRAIN {under.number} of {t.count}", tone=Tone.ATTENTION)
    if t.train is None:
        return Line(text=f"{t.begun} of {t.count} trains given" if t.count else "")
    word = "PAUSED before train" if t.phase == "paused" else "Next: train"
    return Line(
        text=f"{word} {t.train} of {t.count}", tone=Tone.ATTENTION if t.phase == "paused" else Tone.PLAIN
    )


def _clock(view: View, t: TreatView, live: Live) -> tuple[Line, float | None]:
    """What is waited for, with its seconds; and how much of a pause or a train is over."""
    if view.ended is not None or live.review or engine_trouble(view, live):
        return Line(), None
    now_s, under = live.now_s, t.under_way
    if under is not None and under.begun_s is not None:
        left_s = max(0.0, under.begun_s + under.length_s - now_s)
        done = 1.0 - left_s / under.length_s if under.length_s else None
        return Line(text=f"pulses are being given, {left_s:.0f} s left", tone=Tone.ATTENTION), done
    if t.phase == "paused":
        return Line(
            text="disarmed; nothing is given until somebody resumes and arms", tone=Tone.ATTENTION
        ), None
    if t.phase == "cooling":
        return Line(text=f"the coil cools, for {age(_in_phase_s(t, now_s))}", tone=Tone.ATTENTION), None
    if t.phase == "calibrating":
        return Line(text=f"the limit is being found, for {age(_in_phase_s(t, now_s))}"), None
    if t.phase == "gate":
        return Line(text=f"waits for its state, for {age(_in_phase_s(t, now_s))}"), None
    if t.phase not in GOING or t.due_s is None or t.train is None:
        return Line(), None
    left_s = t.due_s - now_s
    if left_s > 0:
        share = 1.0 - left_s / t.pause_s if t.pause_s else None
        return Line(text=f"begins in {left_s:.0f} s" if left_s >= 9.5 else f"begins in {left_s:.1f} s"), share
    if view.lamp == "ARMED":
        return Line(text="begins now", tone=Tone.ATTENTION), None
    if view.lamp == "HELD":
        return Line(text="held: it begins when what holds it is over", tone=Tone.ATTENTION), None
    return Line(text="waits for arming", tone=Tone.ATTENTION), None


def _in_phase_s(t: TreatView, now_s: float) -> float:
    return 0.0 if t.phase_since_s is None else now_s - t.phase_since_s


def _facts(view: View, t: TreatView, live: Live) -> tuple[Fact, ...]:
    least, most = t.pulses()
    planned, over = t.planned, view.ended is not None
    if t.given is not None:
        planned, least = int(t.given["planned"]), int(t.given["delivered"])
        most = least + int(t.given["uncertain"])
    left = None if planned is None else planned - most
    facts = [
        _power(view, t),
        Fact(name="planned", value="not armed yet" if planned is None else f"{planned} pulses",
             meaning="what this run set out to give when arming was first asked for"),
        Fact(name="delivered", value=f"{least}", meaning="pulses that were certainly given, as the unit says"),
        Fact(name="uncertain", value=f"{most - least}", tone=Tone.BAD if over and most > least else Tone.PLAIN,
             meaning="pulses that may have been given: they count as given; a train under way is uncertain until it is over"),
        Fact(name="not given" if over else "left", value="-" if left is None else f"{left}",
             meaning="pulses that were certainly not given" if over else "pulses that are still to be given"),
        _since(t, live, over=over),
        _coil(view, t, live),
    ]  # fmt: skip
    if t.pulses_before:
        facts.insert(2, Fact(name="earlier today", value=f"{t.pulses_before} pulses",
                             meaning="given by earlier runs of this session"))  # fmt: skip
    if t.calibrated is not None:
        low, high = (t.calibrated.get(k) for k in ("low", "high"))
        between = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
        facts.append(Fact(name="gate's limit", value=f"{t.calibrated['limit']:.3f}{between}",
                          meaning=f"from this participant's calibration: {t.calibrated.get('condition')}"))  # fmt: skip
    if t.opening is not None:
        waited = f"{float(t.opening['waited_s']):.1f} s" if t.opening.get("waited_s") is not None else "-"
        facts.append(
            Fact(
                name="last wait",
                value=waited,
                meaning=str(t.opening.get("words") or "the wait of a gated train"),
            )
        )
    if t.refused:
        facts.append(Fact(name="not begun", value="; ".join(t.refused), tone=Tone.ATTENTION,
                          meaning="why the newest train was not given"))  # fmt: skip
    return tuple(facts)


def _power(view: View, t: TreatView) -> Fact:
    meaning = "of the train whose turn it is, % of the maximum output, and of the motor threshold"
    power, threshold = t.power_pct_mso, (view.started.get("threshold") or {}).get("pct_mso")
    if power is None:
        return Fact(name="power", value="-", tone=Tone.OFF, meaning=meaning)
    of = f" = {100 * power / threshold:.0f} % of threshold" if threshold else ""
    powers = ((view.started.get("treatment") or {}).get("rehearsal") or {}).get("powers_pct_mso") or [power]
    ramp = ", ramping up" if power < powers[-1] else ""
    return Fact(
        name="power",
        value=f"{power} % MSO{of}{ramp}",
        tone=Tone.ATTENTION if ramp else Tone.PLAIN,
        meaning=meaning,
    )


def _since(t: TreatView, live: Live, *, over: bool) -> Fact:
    meaning = "time since the END of the last train; the pause counts from there"
    if t.last_over_s is None or over or live.review:
        return Fact(name="since last train", value="-", tone=Tone.OFF, meaning=meaning)
    since_s = live.now_s - t.last_over_s
    return Fact(name="since last train", value="under way" if since_s < 0 else age(since_s), meaning=meaning)


def _coil(view: View, t: TreatView, live: Live) -> Fact:
    stop_c = (view.started.get("limits") or {}).get("coil_stop_c")
    found = live.unit_temp_c if live.unit_temp_c is not None else t.coil_c
    meaning = "of the coil, as the unit says between trains" + (
        f"; no train begins above {stop_c:g} °C" if stop_c else ""
    )
    if found is None:
        return Fact(name="coil", value="-", tone=Tone.OFF, meaning=meaning)
    near = stop_c is not None and found >= stop_c - 3.0
    return Fact(
        name="coil", value=f"{found:.1f} °C", tone=Tone.ATTENTION if near else Tone.PLAIN, meaning=meaning
    )


@kept
def _setting(started: Mapping[str, Any]) -> tuple[Fact, ...]:
    s, d = started.get("treatment") or {}, started.get("threshold") or {}
    target = ", ".join(str(x) for x in started.get("targets") or ())
    low, high = d.get("low_pct_mso"), d.get("high_pct_mso")
    between = "" if low is None or high is None else f" [{low:g}, {high:g}]"
    rows = (
        ("participant", str(started.get("participant") or "-"), "whose code the session was started with"),
        ("target", f"{target} ({s.get('coil_at')})", "where the plan, or the study's allocation, puts the coil"),
        ("coil", f"{s.get('coil')}, {s.get('current_direction')}", "the coil and its current direction, as the plan names them"),
        ("trains", f"{s.get('trains')} of {s.get('train_pulses')} pulses at {s.get('frequency_hz'):g} Hz, pause {_pause(s)}",
         "pulses, frequency and pause from the end of a train"),
        ("threshold", f"{d.get('pct_mso')} % MSO{between}", f"{d.get('method')}, told by {d.get('told_by')}"),
        ("taken", str(d.get("made_utc") or "")[:10], "UTC day on which the threshold was taken"),
        ("treated by", str(s.get("by") or "-"), "who treats, as the session was started"),
    )  # fmt: skip
    return tuple(Fact(name=n, value=v, meaning=m) for n, v, m in rows) if s else ()


def _pause(s: Mapping[str, Any]) -> str:
    return "none" if s.get("pause_s") is None else f"{float(s['pause_s']):g} s"


@kept
def _trains(trains: Mapping[int, TrainView]) -> tuple[Line, ...]:
    return tuple(_train(t) for t in trains.values() if t.most or t.begun_s is not None)


def _train(t: TrainView) -> Line:
    where = f"train {t.number} · {t.power_pct_mso} % MSO"
    if not t.closed:
        return Line(text=f"{where} · under way", tone=Tone.ATTENTION)
    given = f"{t.most}" if t.least == t.most else f"{t.least} to {t.most}"
    seen = "" if not t.seen else f", {t.seen} seen in the EEG"
    bad = t.ok is False or t.least != t.most
    said = f": {t.words}" if bad and t.words else ""
    return Line(
        text=f"{where} · {given} of {t.planned} pulses given{seen}{said}", tone=Tone.BAD if bad else Tone.GOOD
    )


@kept
def _told(
    sensations: tuple[Mapping[str, Any], ...], events: tuple[Mapping[str, Any], ...]
) -> tuple[Line, ...]:
    rows = [(str(d.get("utc", "")), "sensation", d) for d in sensations]
    rows += [(str(d.get("utc", "")), "ADVERSE EVENT", d) for d in events]
    return tuple(
        Line(
            text=f"{utc[11:19]}  {what} after train {d.get('train')}: {d.get('what')} ({d.get('severity') or 'no severity'})",
            tone=Tone.PLAIN if what == "sensation" else Tone.ATTENTION,
        )
        for utc, what, d in sorted(rows, key=lambda r: r[0])
    )  # fmt: skip


# -- what is asked ---------------------------------------------------------------------------------------------


def _field(view: View) -> str:
    if view.ended is not None or view.phase not in _CHECKLISTS:
        return ""
    return "name" if "sign NAME" in view.options else "words"


def asks_for_treatment(view: View, live: Live) -> bool:
    """Whether a treatment asks something of its own, or tells how it ended: not before its pre-flight is over."""
    return view.treatment is not None and view.phase != "started"


def treat_question(view: View, live: Live) -> Question:
    """What the operator is asked, and the words that answer it."""
    if view.ended is not None or live.review:
        return Question(phase="ended", words=_how_it_ended(view), buttons=())
    what, todo = asked(view)
    no = why_no_words(view, live)
    words = [o.split()[0] for o in view.options if o.split()[0] in _NAMES]
    if view.phase in _CHECKLISTS:
        answers = [w for w in words if w in ANSWERS or w == "sign"]
        buttons = [_button(w, no, primary=w == "sign") for w in answers]
        return Question(phase=view.phase, words=capital(what), buttons=(*buttons, _button("back", no)))
    if view.phase == "arm" and not no:
        left_s = confirm_left_s(view, live)
        if arming(view, live):
            todo = "the unit charges, a moment"
        elif left_s is not None and not why_not_confirm(view, live):
            todo = f"confirm within {left_s:.0f} s"
    shown = [w for w in words if w in ("arm", "confirm", "resume", "reconnect")]
    text = f"{capital(what)}: {todo}" if what and todo else capital(what)
    if view.phase == "arm" and (waived := waiver_words(view.started)):
        text += f". WAIVED: {'; '.join(waived)}"
    return Question(phase=view.phase, words=text, buttons=tuple(button(w, view, live) for w in shown))


def _how_it_ended(view: View) -> str:
    """What it came to: planned = delivered + not given + uncertain."""
    g = view.treatment.given if view.treatment is not None else None
    if g is None:
        return "no pulse was set out to be given"
    return (
        f"{g['ended']}: {g['planned']} pulses planned = {g['delivered']} delivered + {g['refused']} not given + "
        f"{g['uncertain']} uncertain (counted as given); {g['trains_given']} of {g['trains_planned']} trains"
    )


def treat_always(view: View, live: Live) -> tuple[Button, ...]:
    """The words that are there in every phase; of a review none."""
    base = {b.word: b for b in always_shown(view, live)}
    if not base:
        return ()
    no = why_no_words(view, live)
    seat = [b for w, b in base.items() if w not in _ALWAYS]
    t = view.treatment
    assert t is not None
    if seat:
        return (*seat, *(base[w] for w in ("note", "stop", "emergency") if w in base))
    why_pause = no or (
        "it is paused" if t.paused else "" if t.phase in GOING else "no train is going to be given now"
    )
    mine = {
        "pause": _button("pause", why_pause), "sensation": _button("sensation", no), "adverse": _button("adverse", no),
        "abort": _button("abort", no or ("" if t.phase not in ("after", "over") else "no more trains are given")),
    }  # fmt: skip
    return tuple(mine.get(w) or base[w] for w in _ALWAYS if w in mine or w in base)


def _button(word: str, why_not: str, *, primary: bool = False) -> Button:
    text, key = _NAMES[word]
    return Button(
        word=word, text=text, key=key, enabled=not why_not, why_not=why_not, primary=primary and not why_not
    )


def treat_progress(progress: Progress, view: View) -> Progress:
    """The plan's panel with the trains of the session; the dose as in every session."""
    t = view.treatment
    assert t is not None
    done = t.begun - (1 if t.under_way is not None else 0)
    where = f"{done} of {t.count} trains"
    if view.ended is not None:
        where = f"the session has ended: {t.begun} of {t.count} trains"
    share = done / t.count if t.count else 0.0
    return Progress(where=where, share=share, steps=(), dose=progress.dose, countdown_s=None, countdown="")
