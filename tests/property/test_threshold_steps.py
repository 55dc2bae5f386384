"""Whatever a muscle does: both methods end, keep their bounds, and the likelihood moves the right way."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rtloop.model.threshold import Answer, counted, whole
from rtloop.threshold.adaptive import AdaptiveSpec
from rtloop.threshold.curve import Curve, fitted
from rtloop.threshold.methods import Spec, next_step
from rtloop.threshold.relative import RelativeSpec
from rtloop.threshold.steps import Do

ANSWERS = st.lists(
    st.builds(lambda p, r: Answer(pct_mso=p, response=r), st.integers(20, 80), st.booleans()), min_size=1, max_size=12
)  # fmt: skip
SPECS = st.one_of(
    st.builds(
        lambda start, most, rise: AdaptiveSpec(
            start_pct_mso=start, most_pct_mso=most, rise_pct=rise, pulses_min=4, pulses_max=15
        ),
        st.integers(20, 50), st.integers(50, 100), st.integers(1, 20),
    ),
    st.builds(
        lambda start, most, fine: RelativeSpec(start_pct_mso=start, most_pct_mso=most, fine_pct=fine, pulses_max=60),
        st.integers(20, 50), st.integers(50, 100), st.integers(1, 3),
    ),
)  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True)
@given(spec=SPECS, script=st.lists(st.booleans(), min_size=1, max_size=40))
def test_any_muscle_ends_any_method_within_its_bounds(spec: Spec, script: list[bool]) -> None:
    answers: list[Answer] = []
    while (step := next_step(spec, answers)).do is Do.GIVE:
        assert spec.least_pct_mso <= step.pct_mso <= spec.most_pct_mso
        assert step.why
        answers.append(Answer(pct_mso=step.pct_mso, response=script[len(answers) % len(script)]))
        assert len(answers) <= spec.pulses_max
    assert next_step(spec, answers) == step
    if step.do is Do.FOUND:
        assert 1 <= whole(step.estimate_pct_mso) <= spec.most_pct_mso
        assert step.low_pct_mso is None or step.low_pct_mso <= step.estimate_pct_mso
        assert step.high_pct_mso is None or step.high_pct_mso >= step.estimate_pct_mso
    if isinstance(spec, RelativeSpec) and step.do is Do.FOUND:
        at = int(step.estimate_pct_mso)
        yes, _ = counted(answers)[at]
        below = counted(answers)[at - spec.fine_pct]
        assert yes >= spec.needed
        assert below[1] - below[0] > spec.of - spec.needed


@settings(max_examples=60, deadline=None, derandomize=True)
@given(answers=ANSWERS, at=st.integers(0, 11))
def test_one_more_response_never_raises_the_estimate_and_the_order_of_pulses_counts_for_nothing(
    answers: list[Answer], at: int
) -> None:
    curve, i = Curve(), at % len(answers)
    yes = [*answers[:i], Answer(pct_mso=answers[i].pct_mso, response=True), *answers[i + 1 :]]
    no = [*answers[:i], Answer(pct_mso=answers[i].pct_mso, response=False), *answers[i + 1 :]]
    assert fitted(curve, yes).estimate_pct_mso <= fitted(curve, no).estimate_pct_mso + 1e-6
    assert fitted(curve, answers[::-1]) == fitted(curve, answers)
