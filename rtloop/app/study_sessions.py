"""Owns the way from session folders into a study: treatments, adverse events, thresholds, maps, probes; changes no folder.

What a treatment gave is counted from the journal's own intents and outcomes, as the dose ledger counts: what nobody closed was
given. An end that the session itself wrote is taken only if it agrees with that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtloop.app.halt import folder_runs
from rtloop.errors import IntegrityProblem, NotReady, RtloopError
from rtloop.model.course import (
    ADVERSE_EVENT_TOLD,
    TREATMENT_BEGUN,
    TREATMENT_GIVEN,
    Ended,
    TreatmentBegun,
    TreatmentGiven,
)
from rtloop.model.event import Event
from rtloop.model.pulse import Delivery, Purpose
from rtloop.model.status import Mode
from rtloop.model.threshold import Threshold, ToldBy
from rtloop.record import kinds
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.record.thresholds import FILE_NAME, TAKEN, read_threshold
from rtloop.safety.ledger import PULSE_CLOSED, PULSE_INTENDED, Charge, Ledger
from rtloop.study.records import AdverseEvent, Mapped, Probed, ThresholdTaken
from rtloop.study.state import runs_of
from rtloop.study.study import Study

#: values of a probe that a study keeps (rtloop.session.scorer names them)
PROBE_VALUES = ("lmfp_uv", "gmfp_uv", "itc_local:pooled", "early_local_pp_uv", "snr")


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What came of it: lines on what was taken in, and on folders that could not be."""

    taken: tuple[str, ...]
    problems: tuple[str, ...]


def gather(study: Study, data_dir: Path, *, by: str) -> Gathered:
    """Take in what the session folders of a data directory hold of this study's participants and the study does not yet.

    Twice is as good as once. Folders of sessions that run are left for later; a damaged one is a problem, and hides no other.
    """
    study.follow()
    taken: list[str] = []
    problems: list[str] = []
    for folder in SessionFolder.all_in(data_dir):
        if not folder.journal.is_file() or folder_runs(folder.path):
            continue
        try:
            for line in _take(study, folder, by):
                taken.append(f"{folder.path.name}: {line}")
        except RtloopError as err:
            problems.append(f"{folder.path.name}: {err}")
    return Gathered(taken=tuple(taken), problems=tuple(problems))


def gather_run(study: Study, data_dir: Path, run: TreatmentBegun, *, by: str) -> list[str]:
    """Take in the folder of one run that has no end yet, after a crash; what was taken in, in words.

    IntegrityProblem where the folder is not there, is damaged or does not know the run; NotReady where it still runs.
    """
    folder = SessionFolder(path=data_dir / run.folder)
    if not folder.journal.is_file():
        raise IntegrityProblem(
            f"the folder of the run {run.run_id} is not here", expected=str(folder.path), found="no journal there",
            todo=f"gather it on {run.host}; until then all its {run.planned} pulses count as given",
        )  # fmt: skip
    if folder_runs(folder.path):
        raise NotReady(
            f"the run {run.run_id} still runs", expected="one session of a participant at a time", found=str(folder.path),
            todo="end that session first",
        )  # fmt: skip
    taken = list(_take(study, folder, by))
    if not isinstance(runs_of(study.state.participants[run.participant])[run.run_id], TreatmentGiven):
        raise IntegrityProblem(
            f"the journal in {folder.path} does not know the run {run.run_id}", expected="its beginning and its pulses",
            found="; ".join(taken) or "nothing of it", todo="keep the folder and find out which one is that run's",
        )  # fmt: skip
    return [f"{folder.path.name}: {line}" for line in taken]


def _take(study: Study, folder: SessionFolder, by: str) -> Iterator[str]:
    read = read_journal(folder.journal)
    first = next((e for e in read.events if e.kind in (TREATMENT_BEGUN, kinds.SESSION_STARTED)), None)
    code = "" if first is None else str(first.data.get("participant", ""))
    if code not in study.state.participants:
        return
    if read.problems:
        raise IntegrityProblem(
            "its journal is damaged", found="; ".join(read.problems[:3]), todo=f"rtloop verify {folder.path}"
        )
    given = treatment_of(read.events, head_hash=read.head_hash)
    if given is not None:
        if not _fits(study, given.mode):
            return
        known = runs_of(study.state.participants[given.participant]).get(given.run_id)
        if not isinstance(known, TreatmentGiven) or given.given_most > known.given_most:
            study.write(given, by=by)
            yield f"treatment {given.visit} of {given.participant}, {given.given_most} of {given.planned} pulses"
        yield from _adverse(study, code, read.events, by)
        return
    if first is not None and _fits(study, str(first.data.get("mode", ""))):
        yield from _adverse(study, code, read.events, by)
    yield from _thresholds(study, folder, read.events, by)
    yield from _scored(study, folder, read.events, by)


def gather_events(study: Study, folder: Path, participant: str, *, by: str) -> list[str]:
    """Take in the adverse events that were told in one session of a participant; what was taken in, in words.

    IntegrityProblem where its journal cannot be read whole.
    """
    read = read_journal(SessionFolder(path=folder).journal)
    if read.problems:
        raise IntegrityProblem(
            f"the journal in {folder} is damaged",
            found="; ".join(read.problems[:3]),
            todo=f"rtloop verify {folder}",
        )
    return list(_adverse(study, participant, read.events, by))


def _adverse(study: Study, code: str, events: Sequence[Event], by: str) -> Iterator[str]:
    """Adverse events told in a session, once: of as many alike on one day as it tells, those that the study has not yet.

    One that was corrected in the study since is not taken in again.
    """
    told: Counter[AdverseEvent] = Counter()
    for event in events:
        if event.kind != ADVERSE_EVENT_TOLD:
            continue
        axes = ("what", "severity", "related", "anticipated", "device_deficiency", "state")
        record = AdverseEvent(
            participant=code, day=event.utc[:10], serious=tuple(event.data["serious"]), **{k: event.data[k] for k in axes}
        )  # fmt: skip
        told[record] += 1
        if told[record] > sum(known == record for _, known in study.state.participants[code].events):
            study.write(record, by=by)
            yield f"adverse event of {code}: {record.what}"


def _thresholds(study: Study, folder: SessionFolder, events: Sequence[Event], by: str) -> Iterator[str]:
    """The motor thresholds that a session found, from its journal; its file must say the same. One told by eye is left out.

    An interval that the pulses do not bound on both sides is none here.
    """
    for event in events:
        if event.kind != TAKEN:
            continue
        found = Threshold.of(event.data["threshold"])
        if (folder.path / FILE_NAME).exists() and read_threshold(folder.path)[0] != found:
            raise IntegrityProblem(
                f"{FILE_NAME} is not what its journal says", expected=found.words(), found=read_threshold(folder.path)[0].words(),
                todo="keep the folder, and take the threshold again",
            )  # fmt: skip
        if found.told_by is not ToldBy.EMG or not _fits(study, found.mode):
            continue
        closed = found.low_pct_mso is not None and found.high_pct_mso is not None
        record = ThresholdTaken(
            participant=found.participant, day=found.day, pct_mso=found.pct_mso, method="EMG", unit=found.rig.unit_model,
            low_pct_mso=found.low_pct_mso if closed else None, high_pct_mso=found.high_pct_mso if closed else None,
            coil=found.rig.coil, waveform=found.rig.waveform_words,
        )  # fmt: skip
        if record not in study.state.participants[found.participant].thresholds:
            study.write(record, by=by)
            yield f"motor threshold of {found.participant}, {found.pct_mso} % of maximum output"


def _fits(study: Study, mode: str) -> bool:
    """Simulated and real sessions are kept apart; coils on a phantom belong to no participant."""
    simulated = study.state.study is not None and study.state.study.simulated
    return mode == (Mode.SIMULATED if simulated else Mode.HUMAN)


def treatment_of(events: Sequence[Event], *, head_hash: str) -> TreatmentGiven | None:
    """What a journal says of its treatment run; None when it had none. IntegrityProblem when it contradicts itself."""
    begun = next((TreatmentBegun.of(e.data) for e in events if e.kind == TREATMENT_BEGUN), None)
    if begun is None:
        return None
    said = next((TreatmentGiven.of(e.data) for e in reversed(events) if e.kind == TREATMENT_GIVEN), None)
    delivered, most, trains = counted(events)
    if most > begun.planned or trains > begun.trains_planned:
        raise IntegrityProblem(
            f"the run {begun.run_id} gave more than it set out to give", expected=f"at most {begun.planned} pulses",
            found=f"{most} pulses in {trains} trains", todo="keep the folder, and find out why before the next treatment",
        )  # fmt: skip
    if said is not None:
        if said.begun != begun or said.given_most < most or said.trains_given < trains:
            raise IntegrityProblem(
                f"the run {begun.run_id} ended with other numbers than its pulses say",
                expected=f"{most} pulses, {trains} trains",
                found=f"{said.given_most} pulses, {said.trains_given} trains", todo="keep the folder, and find out why",
            )  # fmt: skip
        return said
    return TreatmentGiven(
        **begun.data(), ended_utc=events[-1].utc, ended=Ended.CRASHED, delivered=delivered, refused=begun.planned - most,
        uncertain=most - delivered, trains_given=trains, words="nobody wrote its end: counted from the journal",
        head_hash=head_hash,
    )  # fmt: skip


def counted(events: Iterable[Event]) -> tuple[int, int, int]:
    """(pulses certainly given, pulses that may have been given, trains of which a pulse may have been) of a run's treatment."""
    events = list(events)
    ledger = Ledger.from_events(events)
    charges = [Charge.of(e.data) for e in events if e.kind == PULSE_INTENDED]
    treated = {c.permit_id: c for c in charges if c.purpose == Purpose.TREATMENT}
    least: dict[int, int] = {}
    for e in events:
        if e.kind == PULSE_CLOSED and e.data["permit_id"] in treated:
            permit = e.data["permit_id"]
            whole = treated[permit].n_pulses if e.data["delivery"] == Delivery.DELIVERED else 0
            low = e.data.get("delivered_min")
            low = whole if low is None else low
            least[permit] = min(low, least.get(permit, low))
    most = {permit: ledger.count(permit_id=permit, purpose=str(Purpose.TREATMENT)) for permit in treated}  # type: ignore[arg-type]
    return (
        sum(min(least.get(p, 0), n) for p, n in most.items()),
        sum(most.values()),
        sum(n > 0 for n in most.values()),
    )


def _scored(study: Study, folder: SessionFolder, events: Sequence[Event], by: str) -> Iterator[str]:
    """The scores of a map or a probe that ended, with their intervals."""
    from rtloop.app.study_map import answers_of
    from rtloop.model.estimate import Estimate
    from rtloop.model.view import fold_all
    from rtloop.session.display import runs, scores_of

    view = fold_all(events)
    kind, started = view.started.get("kind"), view.started
    mode = Mode.SIMULATED if started.get("scene") is not None else str(started.get("mode", ""))
    end = next((e for e in reversed(events) if e.kind == kinds.SESSION_ENDED), None)
    if (
        kind not in ("map", "probe")
        or end is None
        or not _fits(study, mode)
        or _known(study, folder.path.name)
    ):
        return
    made = [(t.name, s) for t in runs(view) if (s := scores_of(t)) is not None]
    code, day = str(started["participant"]), events[0].utc[:10]

    def row(e: Estimate) -> tuple[float, float | None, float | None]:
        return e.value, e.low, e.high

    accepted = {name: s.n_accepted for name, s in made}
    if kind == "map" and (
        scores := {n: row(s.score("global")) for n, s in made if s.score("global").present}
    ):
        words = str((view.decision or {}).get("words", ""))[:500]
        whole = bool(end.data.get("clean")) and all(t.accepted_by_operator for t in runs(view))
        answers = {q: (a.kind, a.target, a.more_pulses, a.words) for q, a in answers_of(view, events).items()}
        study.write(
            Mapped(participant=code, day=day, session=folder.path.name, accepted=whole, decision=words,
                   scores=scores, n_accepted={n: accepted[n] for n in scores}, answers=answers),
            by=by,
        )  # fmt: skip
        yield f"map of {code}"
    for name, s in made if kind == "probe" else ():
        wanted = {"local": s.score("local"), **{k: s.evoked[k] for k in PROBE_VALUES if k in s.evoked}}
        values = {k: row(e) for k, e in wanted.items() if e.present}
        if values:
            study.write(
                Probed(participant=code, day=day, session=folder.path.name, target=name, values=values,
                       n_accepted={name: accepted[name]}),
                by=by,
            )  # fmt: skip
            yield f"probe of {code}"


def _known(study: Study, session: str) -> bool:
    return session in study.sealed_sessions()
