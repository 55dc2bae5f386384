"""Owns the rules for trains, pairs and treatment, each a small pure function; owns no state, no device and no time.

Choices: without a threshold (SIMULATED, BENCH) the table of trains is read at its highest intensity. A train's length is
what the unit counts, pulses over frequency. Of a pair discharged at once (0 ms) the powers are added up against the caps:
how much more than one alone it gives is not known. All treatment of a participant's ledger is one course.
"""

from __future__ import annotations

from fractions import Fraction

from rtloop.model.pulse import Pair, Purpose, Train
from rtloop.model.status import Mode
from rtloop.safety.limits import Limits, TrainRow, train_name
from rtloop.safety.situation import Rule, Said, Situation, refuse, within

# ---- what the unit can give and was set to give


def unit_offers(s: Situation, limits: Limits) -> Said:
    train, pair, can = s.pulse.train, s.pulse.pair, s.capabilities
    want = "trains" if pair is None else "pairs"
    if (train is None and pair is None) or (can is not None and getattr(can, want) is True):
        return None
    found = "unknown" if can is None else "it does not"
    return refuse("unit_offers", f"a unit that gives {want}", found, "use a unit that can")


def unit_shape(s: Situation, limits: Limits) -> Said:
    want = (s.pulse.train, s.pulse.pair)
    ok, todo = s.shape == want, "disarm; set it and read it back, then arm again"
    found = "not known" if s.shape is None else _shape_words(*s.shape)
    return None if ok else refuse("unit_shape", f"a unit set to {_shape_words(*want)}", found, todo)


def _shape_words(train: Train | None, pair: Pair | None) -> str:
    if train is not None:
        return f"{train.n_pulses} pulses at {train.frequency_hz:g} Hz"
    return (
        "single pulses"
        if pair is None
        else f"pairs {pair.interval_ms:g} ms apart, B at {pair.power_b_pct_mso} %"
    )


def train_unit(s: Situation, limits: Limits) -> Said:
    if s.pulse.train is None or s.unit_says == ():
        return None
    found = "not asked" if s.unit_says is None else "; ".join(s.unit_says)
    todo = "shorten the train, or lower its frequency or intensity"
    return refuse("train_unit", "a train that the unit itself allows", found, todo)


def train_under_way(s: Situation, limits: Limits) -> Said:
    ok, found = s.train_under_way is False, "not known" if s.train_under_way is None else "a train under way"
    return None if ok else refuse("train_under_way", "no train under way", found, "wait for its end")


# ---- intensity and length of a train, power of a pair


def train_rmt_cap(s: Situation, limits: Limits) -> Said:
    if s.pulse.train is None:
        return None
    cap, claimed, actual = limits.max_train_pct_rmt, s.pulse.power_pct_rmt, _pct_rmt(s)
    ok = (actual is None or within(0, float(actual), cap)) and (claimed is None or within(0, claimed, cap))
    found = f"{'no threshold' if actual is None else f'{float(actual):.1f} %'} (asked: {claimed} %)"
    words = f"a train of at most {cap:g} % of threshold"
    return None if ok else refuse("train_rmt_cap", words, found, "lower the intensity")


def _pct_rmt(s: Situation) -> Fraction | None:
    power = s.pulse.power_pct_mso
    return s.pct_rmt(power) if type(power) is int else None


def _row(s: Situation, limits: Limits) -> TrainRow | None:
    train, whole = s.pulse.train, type(s.pulse.power_pct_mso) is int
    return limits.train_row(train.frequency_hz, _pct_rmt(s)) if train is not None and whole else None


def _length(rule: str, s: Situation, limits: Limits, row: TrainRow) -> Said:
    train = s.pulse.train
    assert train is not None
    length_s = Fraction(train.n_pulses) / Fraction(str(train.frequency_hz))
    if length_s <= Fraction(str(row.longest_s)):
        return None
    sign = "longest tested: " if row.longest_tested else ""
    words = f"at most {sign}{row.longest_s:g} s at up to {row.hz:g} Hz and {row.pct_mt:g} % of threshold"
    sure = "checked" if row.verified else "not checked against its source"
    todo = "shorten the train" + ("; only a signed waiver goes beyond" if row.longest_tested else "")
    return refuse(rule, f"{words} ({sure})", f"{float(length_s):g} s", todo)


def train_length(s: Situation, limits: Limits) -> Said:
    if s.pulse.train is None:
        return None
    row = _row(s, limits)
    if row is None:
        found = f"{s.pulse.train.frequency_hz:g} Hz at {s.pulse.power_pct_mso} % of maximum output"
        words = "a train within the published table"
        return refuse("train_length", words, found, "lower the frequency or the intensity")
    return None if row.longest_tested else _length("train_length", s, limits, row)


def train_longest_tested(s: Situation, limits: Limits) -> Said:
    row = _row(s, limits)
    if row is None or not row.longest_tested or s.waived("train_longest_tested"):
        return None
    return _length("train_longest_tested", s, limits, row)


def train_row_checked(s: Situation, limits: Limits) -> Said:
    row = _row(s, limits) if s.mode is Mode.HUMAN else None
    if row is None or row.verified is True:
        return None
    words = "over a person, a row of the table that the site has checked"
    return refuse(
        "train_row_checked", words, train_name(row), "check it against its source; the site signs it"
    )


def pair_caps(s: Situation, limits: Limits) -> Said:
    if s.pulse.pair is None:
        return None
    a, b, at_once = s.pulse.power_pct_mso, s.pulse.pair.power_b_pct_mso, s.pulse.pair.interval_ms == 0
    power = a + b if at_once else max(a, b)
    ok = type(a) is int and within(0, power, limits.max_power_pct_mso)
    share = s.pct_rmt(power) if ok else None
    ok = ok and (share is None or share <= limits.max_single_pct_rmt)
    words = f"at most {limits.max_power_pct_mso:g} % of maximum output, {limits.max_single_pct_rmt:g} % of threshold"
    found = f"{a} and {b} %{', discharged at once' if at_once else ''}"
    return None if ok else refuse("pair_caps", words, found, "lower the intensities")


# ---- time between trains, and treatment


def between_trains(s: Situation, limits: Limits) -> Said:
    if s.pulse.train is None or s.last_train_end_s is None:
        return None
    gap_s = max(limits.min_between_trains_s, s.min_interval_s)
    ok = s.min_interval_s >= 0 and s.now_s - s.last_train_end_s >= gap_s
    words, found = f"{gap_s:g} s since the end of the last train", f"{s.now_s - s.last_train_end_s:.3f} s"
    return None if ok else refuse("between_trains", words, found, "wait; the unit and the person need it")


def treatment_dose(s: Situation, limits: Limits) -> Said:
    c = s.counts
    return _treatment("treatment_dose", s, (
        (c.treatment_session, s.pulse.n_pulses, limits.max_treatment_pulses_session, "pulses in this session"),
        (c.treatment_day, s.pulse.n_pulses, limits.max_treatment_pulses_day, "pulses today"),
    ))  # fmt: skip


def treatment_session(s: Situation, limits: Limits) -> Said:
    others, cap = s.counts.other_treatment_sessions_day, limits.max_treatment_sessions_day
    return _treatment("treatment_session", s, ((others, 1, cap, "treatment sessions today"),))


def treatment_course(s: Situation, limits: Limits) -> Said:
    c = s.counts
    said = _treatment("treatment_course", s, (
        (c.treatment_course, s.pulse.n_pulses, limits.max_treatment_pulses_course, "pulses in this course"),
        (c.other_treatment_sessions, 1, limits.max_treatment_sessions_course, "sessions in this course"),
    ))  # fmt: skip
    return None if s.waived("treatment_course") else said


def _treatment(rule: str, s: Situation, caps: tuple[tuple[int, int, float, str], ...]) -> Said:
    if s.pulse.purpose is not Purpose.TREATMENT:
        return None
    full = [(n + more, cap, what) for n, more, cap, what in caps if not (n >= 0 and n + more <= cap)]
    expected = "; ".join(f"at most {cap:g} {what}" for _, cap, what in full)
    found = "; ".join(f"{n} with this one" for n, _, _ in full)
    return refuse(rule, expected, found, "end here; what is uncertain counts as given") if full else None


#: what holds already when a train or pair is set on the unit
SHAPE_RULES: tuple[Rule, ...] = (
    unit_offers, train_unit, train_rmt_cap, train_length, train_longest_tested, train_row_checked, pair_caps,
)  # fmt: skip
TRAIN_RULES: tuple[Rule, ...] = (between_trains,)
TREATMENT_RULES: tuple[Rule, ...] = (treatment_dose, treatment_session, treatment_course)
