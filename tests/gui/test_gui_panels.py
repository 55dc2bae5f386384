"""Each panel shows what it is given, says the right words, hides what is masked, and does nothing when nothing changed."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import panels_tools as made
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QVBoxLayout, QWidget

from gui.panels.beside import BesidePanel
from gui.panels.early import EarlyPanel
from gui.panels.evoked import EvokedPanel, field_power
from gui.panels.latency import LatencyPanel
from gui.panels.log import LogPanel
from gui.panels.parts import ToneLabel
from gui.panels.plots import Butterfly, steady_limit
from gui.panels.progress import ProgressPanel
from gui.panels.pulses import PulsesPanel
from gui.panels.question import Asked, QuestionPanel
from gui.panels.scores import ScoresPanel
from gui.panels.spans import LinePicture
from gui.panels.stream import StreamPanel
from gui.panels.targets import TargetTable
from gui.panels.trial import TrialPanel
from gui.panels.trials import TrialList
from gui.panels.unit import UnitPanel
from gui.shown import Beside, Button, Line, Stop, Table, Tone
from gui.theme import DARK, LIGHT

SHOW: dict[type, Any] = {
    QuestionPanel: lambda p: p.show_it(made.QUESTION, made.ALWAYS),
    UnitPanel: lambda p: p.show_it(made.unit(), Stop()),
    StreamPanel: lambda p: p.show_it(made.STREAM),
    TrialPanel: lambda p: p.show_it(made.trial(), made.trial_page(1), made.spec(), made.LOCAL),
    TrialList: lambda p: p.show_it(made.rows(60), 57),
    EvokedPanel: lambda p: p.show_it(made.evoked(), made.block_page(), made.spec()),
    EarlyPanel: lambda p: p.show_it(made.early()),
    ScoresPanel: lambda p: p.show_it(made.scores()),
    TargetTable: lambda p: p.show_it(made.scores()),
    ProgressPanel: lambda p: p.show_it(made.PROGRESS),
    PulsesPanel: lambda p: p.show_it(made.PULSES),
    LatencyPanel: lambda p: p.show_it(made.LATENCY),
    LogPanel: lambda p: p.show_it(made.LOG),
}


@pytest.fixture
def panel(qtbot: Any) -> Any:
    """``panel(Class)``: a shown panel."""

    def make(kind: Any) -> Any:
        widget = kind(LIGHT)
        qtbot.addWidget(widget)
        widget.resize(700, 420)
        widget.show()
        return widget

    return make


def texts(widget: QWidget) -> str:
    """All visible words of labels."""
    QApplication.processEvents()  # what was just added is shown with the next round of events
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


# ---- words and keys ----


def test_a_question_says_the_words_of_its_buttons(panel: Any, qtbot: Any) -> None:
    p = panel(QuestionPanel)
    p.show_it(made.QUESTION, made.ALWAYS)
    said: list[tuple[str, tuple[str, ...]]] = []
    p.said.connect(lambda word, args: said.append((word, args)))
    for button in (*p.answers, *p.always):
        qtbot.mouseClick(button.push, Qt.MouseButton.LeftButton)
    assert [word for word, _ in said] == ["go", "again", "pause", "quit"]  # skip and resume are disabled
    assert made.QUESTION.words in texts(p)
    assert "the last target cannot be skipped" in texts(p)
    assert p.answers[2].push.toolTip() == "the last target cannot be skipped"


def test_the_primary_answer_is_the_biggest(panel: Any) -> None:
    p = panel(QuestionPanel)
    p.show_it(made.QUESTION, ())
    assert [b.push.property("letters") for b in p.answers] == ["big", "middle", "middle"]
    assert [b.push.property("primary") for b in p.answers] == ["true", "false", "false"]


def test_keys_answer_but_not_while_typing_and_never_escape(panel: Any, qtbot: Any) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    p, field = QuestionPanel(LIGHT), QLineEdit()
    box = QVBoxLayout(window)
    box.addWidget(p)
    box.addWidget(field)
    escape = Button(word="stop_all", text="x", key="Esc")
    p.show_it(replace(made.QUESTION, buttons=(*made.QUESTION.buttons, escape)), made.ALWAYS)
    window.show()
    window.activateWindow()
    with qtbot.waitActive(window, timeout=20_000):
        pass
    said: list[str] = []
    p.said.connect(lambda word, args: said.append(word))
    p.setFocus()
    p.answers[0].push.setFocus()
    for key in (Qt.Key.Key_F5, Qt.Key.Key_F7, Qt.Key.Key_Escape):  # F7 belongs to a disabled button
        qtbot.keyClick(window, key)
    assert said == ["go"]
    field.setFocus()
    qtbot.keyClick(field, Qt.Key.Key_F5)
    assert said == ["go"]
    p.answers[0].push.setFocus()
    p.show_it(replace(made.QUESTION, buttons=(Button(word="accept", text="Accept", key="F5"),)), ())
    qtbot.wait(1)
    assert (
        not field.hasFocus()
    )  # the button with the focus is gone: it must not go to a field, where keys are letters
    qtbot.keyClick(
        window.focusWidget(), Qt.Key.Key_Space
    )  # nor to the next answer, which a second press would give
    assert said == ["go"]
    qtbot.keyClick(window, Qt.Key.Key_F5)
    qtbot.keyClick(window, Qt.Key.Key_F8)  # pause is no longer offered
    assert said == ["go", "accept"]


def test_an_answer_that_changes_its_reason_keeps_its_button(panel: Any) -> None:
    p = panel(QuestionPanel)
    p.show_it(made.QUESTION, made.ALWAYS)
    before = p.answers
    changed = replace(made.QUESTION.buttons[0], enabled=False, why_not="the unit is not ready")
    p.show_it(replace(made.QUESTION, buttons=(changed, *made.QUESTION.buttons[1:])), made.ALWAYS)
    assert p.answers is before
    assert not before[0].push.isEnabled()
    assert "the unit is not ready" in texts(p)


# ---- unit, stream, log, pulses, latency, progress ----


def test_the_lamp_has_word_symbol_and_colour(panel: Any) -> None:
    p = panel(UnitPanel)
    p.show_it(made.unit(), Stop(words="STOP asked"))
    assert p.lamp.text() == "▲ ARMED"
    assert LIGHT.tone(Tone.ATTENTION) in p.lamp.styleSheet()
    p.show_it(
        made.unit(lamp="TRIPPED", tone=Tone.BAD, says="no answer for 0.9 s"),
        Stop(words="confirmed", tone=Tone.GOOD),
    )
    assert p.lamp.text() == "✖ TRIPPED"
    assert LIGHT.tone(Tone.BAD) in p.lamp.styleSheet()
    p.set_theme(DARK)
    assert DARK.tone(Tone.BAD) in p.lamp.styleSheet()
    for words in ("52 % MSO", "28.5 °C", "no answer for 0.9 s", "✓ confirmed"):
        assert words in texts(p)


def test_facts_come_and_go(panel: Any) -> None:
    p = panel(StreamPanel)
    p.show_it(made.STREAM)
    assert "✓ 4999.8 Hz of 5000" in texts(p)
    p.show_it(made.STREAM[:1])
    assert "clock residual" not in texts(p)
    p.show_it(made.STREAM)
    assert "clock residual" in texts(p)


def test_pulses_progress_latency_and_log_show_their_words(panel: Any) -> None:
    pulses = panel(PulsesPanel)
    pulses.show_it(made.PULSES)
    assert "✖ pulse 41: sent, not seen in the EEG" in texts(pulses)
    assert pulses.rows.lines.item(0).text() == made.PULSES.rows[0]
    for width, columns in ((220, 1), (500, 2), (220, 1)):  # no number without room, however narrow
        pulses.resize(width, 420)
        QApplication.processEvents()
        assert pulses.facts.columns == columns
        values = [w for w in pulses.facts.findChildren(ToneLabel) if w.text()]
        assert [w.text() for w in values] == [f.value for f in made.PULSES.facts]
        assert all(w.width() >= w.fontMetrics().horizontalAdvance(w.text()) for w in values)
    progress = panel(ProgressPanel)
    progress.show_it(made.PROGRESS)
    assert progress.bar.value() == 210
    assert progress.bar.text() == "21 % of the pulses"
    assert progress.steps.currentIndex().data().startswith("▶ DLPFC: preview")
    latency = panel(LatencyPanel)
    latency.show_it(made.LATENCY)
    assert latency.bars.texts()[1] == "✖ clean and judge  16.0 · median 9.8 · 95 % 14.4 / 12 ms"
    log = panel(LogPanel)
    log.show_it(made.LOG)
    assert log.list.lines.rowCount() == len(made.LOG)
    assert log.list.lines.item(1).text() == "✖ 14:22:07  stream gap of 40 ms: held"  # newest on top


def test_a_broken_budget_is_seen_in_the_bar(panel: Any) -> None:
    p = panel(LatencyPanel)
    p.show_it(made.LATENCY[1:2])
    image = p.bars.grab().toImage()
    wide = {image.pixelColor(x, round(p.bars._row_px() * 0.65)).name() for x in range(image.width())}
    assert LIGHT.tone(Tone.BAD) in wide


@pytest.mark.parametrize("kind", ["more", "rolling", "changed", "fewer", "other", "none", "many more"])
def test_a_list_shows_exactly_its_lines_after_any_change(panel: Any, kind: str) -> None:
    lines = tuple(Line(text=f"line {i}", tone=(Tone.GOOD, Tone.BAD)[i % 2]) for i in range(60))
    before = lines[20:40]
    after = {
        "more": lines[17:40], "rolling": lines[17:37], "changed": (*lines[20:30], Line(text="x"), *lines[31:40]),
        "fewer": lines[25:40], "other": lines[:20], "none": (), "many more": lines[:50],
    }[kind]  # fmt: skip
    p = panel(lambda theme: LogPanel(theme, newest_first=False))
    p.show_it(before)
    p.show_it(after)
    model = p.list.lines
    shown = [
        (model.item(i).text(), model.item(i).foreground().color().name()) for i in range(model.rowCount())
    ]
    signs = {Tone.GOOD: "✓ ", Tone.BAD: "✖ ", Tone.PLAIN: ""}
    assert shown == [(signs[line.tone] + line.text, LIGHT.tone(line.tone)) for line in after]


# ---- single trial ----


def test_a_trial_is_drawn_as_its_page(panel: Any) -> None:
    p, page, spec = panel(TrialPanel), made.trial_page(1), made.spec()
    p.show_it(made.trial(), page, spec, made.LOCAL)
    assert np.array_equal(p.raw.lines.values, page.raw_uv[page.good])
    assert np.array_equal(p.clean.lines.values, page.clean_uv[page.good])
    assert p.raw.lines.times_ms == pytest.approx(spec.raw_times_s * 1e3)
    front = [
        name
        for name, there in zip(np.array(spec.names)[page.good], p.clean.lines.front, strict=True)
        if there
    ]
    assert set(front) == set(made.LOCAL)
    assert p.clean.gap.getRegion() == made.GAP_MS
    assert "2 bad, not drawn" in texts(p)
    assert "▲ 38 µV of 40" in texts(p)
    assert p.clean.limit is not None
    assert p.clean.limit < 100 < np.abs(page.raw_uv).max()  # the pulse's spike sets no range


def test_taking_out_an_inspected_trial_and_reinstating_it(panel: Any, qtbot: Any) -> None:
    p = panel(TrialPanel)
    said: list[tuple[str, tuple[str, ...]]] = []
    p.said.connect(lambda word, args: said.append((word, args)))
    p.show_it(made.trial(), made.trial_page(1), made.spec(), made.LOCAL)
    qtbot.mouseClick(p.move.push, Qt.MouseButton.LeftButton)
    out = made.trial(
        verdict=Line(text="taken out by the operator", tone=Tone.BAD),
        move=Button(word="reinstate", text="Reinstate", args=("34",)),
    )
    p.show_it(out, made.trial_page(1), made.spec(), made.LOCAL)
    assert "✖ taken out by the operator" in texts(p)
    qtbot.mouseClick(p.move.push, Qt.MouseButton.LeftButton)
    assert said == [("take_out", ("34",)), ("reinstate", ("34",))]
    p.show_it(made.trial(move=None), made.trial_page(1), made.spec(), made.LOCAL)
    assert not p.move.isVisible()


def test_a_trial_without_pages_or_cleaning_shows_no_curve(panel: Any) -> None:
    p = panel(TrialPanel)
    p.show_it(made.trial(), made.trial_page(1), made.spec(), made.LOCAL)
    p.show_it(made.trial(), replace(made.trial_page(2), clean_uv=None), made.spec(), made.LOCAL)
    assert p.raw.lines.values.size
    assert not p.clean.lines.values.size
    p.show_it(made.trial(trial_id=None), None, made.spec(), made.LOCAL)
    assert not p.raw.lines.values.size
    assert "no samples of this trial here" in texts(p)


def test_the_raw_range_can_be_chosen(panel: Any) -> None:
    p = panel(TrialPanel)
    p.show_it(made.trial(), made.trial_page(1), made.spec(), made.LOCAL)
    p.raw_range.setCurrentIndex(2)
    assert p.raw.viewRange()[1] == pytest.approx([-1000.0, 1000.0])
    p.raw_range.setCurrentIndex(0)
    assert p.raw.viewRange()[1][1] < 200.0


# ---- list of trials ----


def test_the_list_is_newest_first_and_choosing_tells_the_trial(panel: Any, qtbot: Any) -> None:
    p = panel(TrialList)
    p.show_it(made.rows(700), None)
    said: list[int | None] = []
    p.chosen.connect(said.append)
    assert p.list.lines.item(0).text() == "✓ 699  M1  good"
    assert p.list.lines.item(4).text().startswith("✖ 695  M1  muscle")
    assert p.follow.isChecked()
    qtbot.mouseClick(
        p.list.viewport(), Qt.MouseButton.LeftButton, pos=p.list.visualRect(p.list.lines.index(4, 0)).center()
    )
    assert said == [695]
    p.show_it(made.rows(700), 695)
    assert not p.follow.isChecked()
    p.show_it(made.rows(703), 695)
    assert p.list.currentIndex().row() == 7  # the choice stays with the trial
    qtbot.mouseClick(p.follow, Qt.MouseButton.LeftButton)
    assert said == [695, None]
    p.show_it(made.rows(703), None)
    assert p.follow.isChecked()


# ---- running average ----


def test_the_average_and_its_field_power_are_those_of_the_page(panel: Any) -> None:
    p, page, spec = panel(EvokedPanel), made.block_page(), made.spec()
    p.show_it(made.evoked(), page, spec)
    used = [i for i in range(len(spec.names)) if i != 5]  # channel 5 has no trials
    assert np.array_equal(p.butterfly.lines.values, page.average_uv[used])
    times, power = p.curve.getData()
    at = [int(np.argmin(abs(spec.times_s * 1e3 - t))) for t in (-50.0, 45.0, 180.0)]
    wanted = [
        np.sqrt(np.mean((page.average_uv[used][:, i] - page.average_uv[used][:, i].mean()) ** 2)) for i in at
    ]
    found = [power[int(np.argmin(abs(times - spec.times_s[i] * 1e3)))] for i in at]
    assert found == pytest.approx(wanted, rel=1e-5)
    assert np.isnan(power[int(np.argmin(abs(times - 5.0)))])  # the gap is not a measurement
    assert "34 accepted, 6 rejected" in texts(p)
    assert "muscle after the pulse: 4 · blink: 2" in texts(p)


def test_field_power_is_that_of_the_measures() -> None:
    from rtloop.measures.evoked import RunningEvoked

    x = np.random.default_rng(1).standard_normal((3, 6, 40)).astype(np.float32)
    running = RunningEvoked(6, np.arange(40) / 1000.0, np.ones(40, bool), 1)
    for i, trial in enumerate(x):
        running.add(i, trial, np.ones(6, bool), np.ones((2, 6, 1)))
    value, _ = running.fields(np.ones(6, bool), (0, 1), (0.0, 0.039), each=False)
    assert field_power(running.average())[0].mean() == pytest.approx(value[0], rel=1e-5)


def test_latencies_move_by_line_and_by_key_and_are_kept(panel: Any, qtbot: Any) -> None:
    p = panel(EvokedPanel)
    p.show_it(made.evoked(), made.block_page(), made.spec())
    told: list[tuple[float, ...]] = []
    p.latencies.connect(told.append)
    p.set_latencies((15.0, 30.0, 55.0, 110.0, 200.0))
    assert told == []
    p.marks[1].setValue(33.4)
    assert told[-1] == (15.0, 33.0, 55.0, 110.0, 200.0)
    qtbot.keyClick(p.fields[2], Qt.Key.Key_Up)
    assert told[-1] == p.positions_ms == (15.0, 33.0, 56.0, 110.0, 200.0)
    assert p.marks[2].value() == 56.0
    p.marks[0].setValue(4.0)  # inside the gap
    assert p.positions_ms[0] == made.GAP_MS[1]
    p.show_it(made.evoked(), made.block_page(6), made.spec())
    assert p.positions_ms == (10.0, 33.0, 56.0, 110.0, 200.0)
    qtbot.waitUntil(lambda: not p._timer.isActive(), timeout=20_000)
    at = np.argmin(abs(made.spec().times_s[:, None] * 1e3 - np.array(p.positions_ms)), axis=0)
    assert np.array_equal(p.maps._values, made.block_page(6).average_uv[:, at])


def test_no_average_clears_the_old_one(panel: Any) -> None:
    p = panel(EvokedPanel)
    p.show_it(made.evoked(), made.block_page(), made.spec())
    p.show_it(made.evoked(block="DLPFC"), None, made.spec())
    assert not p.butterfly.lines.values.size
    assert len(p.curve.getData()[0]) == 0
    p._show_maps()
    assert p.maps._values.size == 0


def test_the_range_does_not_jitter() -> None:
    x = np.linspace(-10, 10, 1000)
    limit = steady_limit(None, x)
    assert limit == 15.0
    assert [steady_limit(limit, x * k) for k in (0.7, 1.1, 0.6)] == [15.0] * 3
    assert steady_limit(limit, x * 2) == 30.0
    assert steady_limit(limit, x * 0.3) == 4.0
    assert steady_limit(None, np.array([np.nan])) == 1.0


# ---- early response ----


def test_early_steps_against_the_criterion(panel: Any, qtbot: Any) -> None:
    p = panel(EarlyPanel)
    p.show_it(made.early())
    x, y = p.points.getData()
    assert (list(x), list(y)) == ([0.0, 1.0], [3.9, 7.1])  # the third is not tried yet
    assert p.bars.opts["top"] == pytest.approx([1.96 * 0.9] * 2)
    assert p.criterion.value() == 6.0
    said: list[tuple[str, tuple[str, ...]]] = []
    p.said.connect(lambda word, args: said.append((word, args)))
    for button in p.buttons:
        qtbot.mouseClick(button.push, Qt.MouseButton.LeftButton)
    assert said == [("preview", ("56",))]
    assert "10 accepted pulses first: 7 so far" in texts(p)
    assert p.words.isHidden()
    p.show_it(replace(made.early(), criterion_uv=None))
    assert not p.criterion.isVisible()
    p.show_it(replace(made.early(), since=Line(text="seen before this placement")))
    assert not p.words.isHidden()
    assert p.words.text() == "seen before this placement"
    p.show_it(replace(made.early(), steps=(), since=Line(text="not this")))
    assert p.words.text().endswith(made.early().words.text)


# ---- scores ----


def test_scores_are_drawn_with_band_style_and_name(panel: Any) -> None:
    p = panel(ScoresPanel)
    p.show_it(made.scores())
    assert set(p.global_.drawn) == {"M1", "DLPFC", "parietal"}
    one = made.scores().global_[0]
    x, y = p.global_.drawn["M1"].curve.getData()
    assert (x == one.n).all()
    assert (y == one.value).all()
    band = p.global_.drawn["M1"].band.polygon()
    assert band.boundingRect().top() == pytest.approx(min(one.low))
    assert band.boundingRect().bottom() == pytest.approx(max(one.high))
    pens = {
        t: (d.curve.opts["pen"].color().name(), d.curve.opts["pen"].style())
        for t, d in p.global_.drawn.items()
    }
    assert pens["DLPFC"] == (LIGHT.curves[1], Qt.PenStyle.DashLine)
    assert len({style for _, style in pens.values()}) == 3
    names = [d.name.toPlainText() for d in p.global_.drawn.values()]
    assert names == ["M1", "DLPFC", "parietal"]
    high = sorted(d.name.pos().y() for d in p.local.drawn.values())
    assert min(np.diff(high)) > 0.08 * (
        p.local.viewRange()[1][1] - p.local.viewRange()[1][0]
    )  # none over another


def test_the_band_is_asked_for(panel: Any) -> None:
    p = panel(ScoresPanel)
    p.show_it(made.scores())
    told: list[str] = []
    p.band.connect(told.append)
    p.bands.setCurrentIndex(1)
    p.bands.activated.emit(1)
    assert told == ["low_beta"]


def test_in_a_narrow_panel_nothing_covers_a_name_and_no_title_is_cut_silently(panel: Any) -> None:
    p = panel(ScoresPanel)
    p.show_it(made.scores())
    assert p.global_.corner.toPlainText() == "GLOBAL × 1000 · by accepted pulses"
    p.resize(300, 204)
    QApplication.processEvents()
    assert p.global_.corner.toPlainText() == "GLOBAL × 1000"
    assert p.title.written().endswith("…")
    assert p.title.toolTip() == f"{p.title.text()}\nValue and 95 % interval, × 1000."
    trial = panel(TrialPanel)
    trial.show_it(made.trial(), None, None, ())
    trial.resize(390, 300)
    QApplication.processEvents()
    values = [value for _, value in trial.facts._cells]
    assert all(value.width() >= value.sizeHint().width() for value in values)  # with their units


def test_what_stands_beside_the_scores_is_words_and_tables(panel: Any) -> None:
    p = panel(BesidePanel)
    table = Table(caption="Value ± SE", head=("Measure", "pooled"), rows=(("a < b", "0.044 ± 0.026"),))
    p.show_it(
        Beside(title="Beside the scores of M1", words=(Line(text="Real against sham"),), tables=(table,))
    )
    said = p.text.toPlainText()
    for words in ("Real against sham", "Value ± SE", "Measure", "a < b", "0.044", "± 0.026"):
        assert words in said, words
    p.set_theme(DARK)
    assert p.text.toPlainText() == said
    p.show_it(Beside(words=(Line(text="masked"),)))
    assert p.text.toPlainText().strip() == "masked"


def test_how_it_ended_is_whole_or_says_that_it_goes_on(panel: Any) -> None:
    p = panel(QuestionPanel)
    p.resize(500, 180)
    p.show_end(
        (
            Line(text="M1 16 accepted"),
            Line(text="It is the place of the lowest score."),
        )
    )
    assert texts(p).endswith("It is the place of the lowest score.")
    long = " ".join(f"Target {i} has an SNR of 0.1, at least 0.5 are wanted." for i in range(60))
    p.show_end((Line(text=long),))
    QApplication.processEvents()
    assert p.words.written().endswith(Asked.GOES_ON)
    assert p.words.toolTip() == long
    p.resize(1400, 900)
    QApplication.processEvents()
    assert p.words.written() == long


def test_masked_scores_show_words_and_no_number(panel: Any) -> None:
    scores, table = panel(ScoresPanel), panel(TargetTable)
    for p in (scores, table):
        p.show_it(made.scores())
        p.show_it(made.scores(masked="masked: blinded study"))
    assert "masked: blinded study" in texts(scores)
    assert not scores.plots.isVisible()
    assert not scores.global_.drawn
    assert not scores.local.drawn
    cells = [[table.table.item(i, j).text() for j in range(10)] for i in range(4)]
    assert cells[0] == [
        "M1",
        "100 / 100",
        "0",
        "masked",
        "masked",
        "0.8",  # quality is shown
        "masked",
        "masked",
        "✓ yes",
        "accepted",
    ]
    assert not any("18.0" in text or "0.71" in text for row in cells for text in row)


def test_the_table_marks_the_current_target(panel: Any) -> None:
    p = panel(TargetTable)
    p.show_it(made.scores())
    assert p.table.item(2, 0).text() == "▶ parietal"
    assert p.table.item(2, 3).text() == "20.0 [14.0, 26.0]"
    assert p.table.item(2, 3).font().bold()
    assert not p.table.item(0, 3).font().bold()
    assert p.table.item(1, 0).foreground().color() == QColor(LIGHT.curves[1])
    assert "▲ Undecided: about 60 more pulses per target" in texts(p)


def test_a_score_without_interval_leaves_a_hole_not_an_error(panel: Any) -> None:
    p, whole = panel(ScoresPanel), made.scores().global_[0]
    nan = (float("nan"),) * len(whole.n)
    p.show_it(made.scores(global_=(replace(whole, low=nan, high=nan),), local=()))
    assert not p.global_.drawn["M1"].name.isVisible()


# ---- nothing in vain, nothing left behind ----


def test_showing_the_same_again_draws_nothing(
    panel: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyqtgraph as pg

    panels = {kind: panel(kind) for kind in SHOW}
    for kind, show in SHOW.items():
        show(panels[kind])
    counted: list[str] = []
    for owner, name in ((pg.PlotCurveItem, "setData"), (pg.ScatterPlotItem, "setData"), (QLabel, "setText")):
        original = getattr(owner, name)

        def count(self: Any, *args: Any, original: Any = original, name: str = name, **more: Any) -> Any:
            counted.append(name)
            return original(self, *args, **more)

        monkeypatch.setattr(owner, name, count)
    lines = [p.lines for k in panels.values() for p in k.findChildren(Butterfly)]
    before = [line.n_set for line in lines], panels[ScoresPanel].global_.n_set, panels[TargetTable].n_set
    assert before[1] == 3
    for _ in range(3):
        for kind, show in SHOW.items():
            show(panels[kind])
    assert counted == []
    assert (
        [line.n_set for line in lines],
        panels[ScoresPanel].global_.n_set,
        panels[TargetTable].n_set,
    ) == before
    panels[ScoresPanel].show_it(made.scores(41))  # one target went on: only its curve is set
    assert panels[ScoresPanel].global_.n_set == 4


@pytest.mark.parametrize("kind", list(SHOW), ids=lambda k: k.__name__)
def test_a_theme_change_and_the_end_leave_nothing(kind: type, qtbot: Any) -> None:
    def live() -> int:
        gc.collect()
        QApplication.sendPostedEvents(None, 52)  # QEvent.DeferredDelete
        return len(QApplication.allWidgets())

    before = live()
    widget = kind(LIGHT)
    SHOW[kind](widget)
    widget.show()
    widget.grab()
    widget.set_theme(DARK)
    widget.grab()
    assert live() > before
    gone = weakref.ref(widget)
    widget.close()
    widget.deleteLater()
    del widget
    assert live() == before
    assert gone() is None


# ---- the picture of many lines ----


def naive(
    times: Any, values: Any, x: tuple[float, float], y: tuple[float, float], size: tuple[int, int]
) -> Any:
    """Lines per pixel by walking along each column in small steps; a slow twin."""
    width, height = size
    counts = np.zeros((height, width), int)
    for row in values:
        for j in range(width):
            at = np.linspace(x[0] + j * (x[1] - x[0]) / width, x[0] + (j + 1) * (x[1] - x[0]) / width, 4001)
            v = np.interp(at, times, row)
            rows = np.floor((y[1] - v) * height / (y[1] - y[0]))
            for r in range(int(max(rows.min(), 0)), int(min(rows.max(), height - 1)) + 1):
                counts[r, j] += 1
    return counts


@pytest.mark.parametrize("n", [7, 40, 400])
def test_the_picture_counts_the_lines_on_each_pixel(n: int) -> None:
    rng = np.random.default_rng(n)
    times, values = np.linspace(0.0, 10.0, n), rng.uniform(-1.3, 1.3, (5, n)).astype(np.float32)
    shades = np.stack([np.arange(8), np.arange(8) * 10]).astype(np.uint32)
    behind = np.zeros(5, bool)
    picture = LinePicture()
    where = {"x": (0.0, 10.0), "y": (-1.0, 1.0), "size": (40, 30)}
    found = picture.draw(times, values, behind, shades=shades, **where).copy()
    wanted = np.minimum(naive(times, values, (0.0, 10.0), (-1.0, 1.0), (40, 30)), 7)
    assert (found != wanted).mean() < 0.01  # rounding at the edge of a pixel
    ahead = picture.draw(times, values, ~behind, shades=shades, **where)
    assert ((ahead > 0) >= (found > 0)).all()
    assert set(np.unique(ahead)) <= set(shades[1].tolist())


def test_missing_samples_and_what_is_outside_leave_the_picture_empty() -> None:
    times = np.linspace(0.0, 10.0, 101)
    values = np.zeros((1, 101), np.float32)
    values[0, 40:60] = np.nan
    shades = np.stack([np.arange(8), np.arange(8)]).astype(np.uint32)
    found = LinePicture().draw(
        times, values, np.zeros(1, bool), x=(-10.0, 10.0), y=(-1, 1), size=(200, 21), shades=shades
    )
    seen = np.flatnonzero(found.any(axis=0))
    assert seen.min() in (99, 100)  # the first sample is on the edge between them
    assert not found[:, 141:159].any()
    assert set(np.flatnonzero(found.any(axis=1))) == {10}


def test_the_butterfly_paints_its_lines_and_those_in_front(panel: Any) -> None:
    plot = panel(Butterfly)
    plot.show_range((-100.0, 400.0), 10.0)
    times = np.linspace(-100, 400, 501)
    plot.lines.set_data(times, np.array([[-5.0] * 501, [5.0] * 501], np.float32), np.array([False, True]))
    image = plot.grab().toImage()
    view = plot.getPlotItem().getViewBox().sceneBoundingRect().toRect()
    colours = [
        image.pixelColor(view.center().x(), y).name() for y in range(view.top() + 1, view.bottom() - 4)
    ]
    assert colours.count(LIGHT.local) == 0  # one line is not fully opaque
    not_ground = [c for c in colours if c != QColor(LIGHT.panel).name()]
    assert len(not_ground) == 3  # two pixels in front, one behind
    assert QColor(not_ground[0]).red() > QColor(not_ground[0]).blue() + 80  # orange above


# ---- room ----


def test_the_table_shows_every_column_in_a_narrow_place(panel: Any) -> None:
    p = panel(TargetTable)
    p.resize(800, 230)
    p.show_it(made.scores())
    QApplication.processEvents()
    header, view = p.table.horizontalHeader(), p.table.viewport()
    assert header.length() <= view.width()
    assert p.table.rowViewportPosition(3) + p.table.rowHeight(3) <= view.height()
    narrow = p.table.font().pointSizeF()
    p.resize(1700, 400)
    QApplication.processEvents()
    assert p.table.font().pointSizeF() > 1.2 * narrow


def test_the_first_wide_intervals_do_not_set_the_range(panel: Any) -> None:
    p = panel(ScoresPanel)
    n = tuple(range(3, 31))
    one = replace(
        made.scores().global_[0], n=n, value=(10.0,) * 28, low=(-990.0,) * 5 + (5.0,) * 23, high=(999.0,) * 5 + (15.0,) * 23
    )  # fmt: skip
    p.show_it(made.scores(global_=(one,), local=(), wanted=50))
    x, y = p.global_.viewRange()
    assert y == [0.0, 15.0]
    assert (x[0], 50.0 < x[1] < 75.0) == (0.0, True)
    p.show_it(made.scores(global_=(replace(one, value=(80.0,) + (10.0,) * 27),), local=(), wanted=50))
    assert p.global_.viewRange()[1][1] == 80.0  # no value is outside


def test_an_intensity_without_buttons_is_a_row_of_words(panel: Any) -> None:
    p = panel(EarlyPanel)
    p.show_it(made.early())
    p.show_it(replace(made.early(), buttons=()))
    assert p.buttons == ()
    assert "3.9 µV [2.1, 5.7]" in texts(p)
    assert "▶ 52 %" in texts(p)
    assert "n 10, rejected 1" in texts(p)


def test_long_words_end_in_dots_with_the_whole_in_the_tool_tip(panel: Any) -> None:
    from gui.panels.elided import Elided

    p = panel(lambda theme: Elided())
    p.say("trigger, checked by artifact (+0 samples)", meaning="what the instant was taken from")
    p.resize(60, 20)
    assert p.toolTip() == "trigger, checked by artifact (+0 samples)\nwhat the instant was taken from"
    assert p.sizeHint().height() < 24
