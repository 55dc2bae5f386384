"""Owns the fields of the start screen; owns neither what they mean nor what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from gui.desk import Devices, Form, Settings
from gui.screens.treat_form import TreatForm
from gui.shown import Tone
from gui.starting import HUMAN_NOT, KINDS, PLANS, mode_words


class Choice(QWidget):
    """Buttons of which one is pressed; Tab reaches them, the arrow keys move."""

    chosen = Signal(str)

    def __init__(self, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        self.buttons: dict[str, QPushButton] = {}
        self._group = QButtonGroup(self)
        for name, text in choices:
            button = QPushButton(text)
            button.setCheckable(True)
            button.setProperty("choice", "true")
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            button.clicked.connect(lambda _=False, name=name: self.chosen.emit(name))
            self._group.addButton(button)
            self.buttons[name] = button
            row.addWidget(button)

    def set(self, name: str) -> None:
        self.buttons[name].setChecked(True)

    @property
    def value(self) -> str:
        return next((n for n, b in self.buttons.items() if b.isChecked()), "")


class PathField(QWidget):
    """A path that is typed or chosen on the choosing page."""

    changed = Signal()
    browse = Signal()

    def __init__(self, placeholder: str = "") -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self.edit = QLineEdit()
        self.edit.setPlaceholderText(placeholder)
        self.edit.textChanged.connect(self.changed)
        self.button = QPushButton("Choose")
        self.button.setProperty("thin", "true")
        self.button.clicked.connect(self.browse)
        row.addWidget(self.edit, 1)
        row.addWidget(self.button)
        self.setFocusProxy(self.edit)

    @property
    def text(self) -> str:
        return self.edit.text().strip()


def _editable(placeholder: str) -> QComboBox:
    box = QComboBox()
    box.setEditable(True)
    box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(12)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    line = box.lineEdit()
    assert line is not None
    line.setPlaceholderText(placeholder)
    return box


def _offer(box: QComboBox, texts: Sequence[str]) -> None:
    """Other texts to choose from; what is typed stays."""
    if [box.itemText(i) for i in range(box.count())] == list(texts):
        return
    typed = box.currentText()
    box.blockSignals(True)
    box.clear()
    box.addItems(list(texts))
    box.setCurrentIndex(-1)
    box.setEditText(typed)
    box.blockSignals(False)


class StartForm(QWidget):
    """``changed`` at every change; ``value()`` is the form; ``browse`` asks for a path for one of the fields by name."""

    changed = Signal()
    browse = Signal(str)

    def __init__(
        self, plans: Callable[[str], tuple[str, ...]], scenes: Sequence[str], settings: Settings
    ) -> None:
        super().__init__()
        self._plans = plans
        self.kind = Choice(tuple(KINDS.items()))
        self.mode = Choice((("SIMULATED", "SIMULATED"), ("BENCH", "BENCH"), ("HUMAN", "HUMAN")))
        self.mode.buttons["HUMAN"].setEnabled(False)
        self.mode.buttons["HUMAN"].setToolTip(HUMAN_NOT)
        self.mode_words, self.human = QLabel(), QLabel(f"HUMAN is disabled. {HUMAN_NOT}")
        for label in (self.mode_words, self.human):
            label.setWordWrap(True)
            policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            policy.setHeightForWidth(True)
            label.setSizePolicy(policy)
        self.human.setProperty("tone", str(Tone.OFF))
        self.plan = _editable("a plan of the library, or the path of a .toml file")
        self.plan_browse = QPushButton("Choose")
        self.plan_browse.setProperty("thin", "true")
        self.plan_browse.clicked.connect(lambda: self.browse.emit("plan"))
        self.participant = QLineEdit()
        self.participant.setMaxLength(40)
        self.stream = _editable(settings.stream or "the only EEG stream there is")
        self.source_id = QLineEdit()
        self.source_id.setPlaceholderText(settings.source_id or "only where names repeat")
        self.markers = QLineEdit()
        self.markers.setPlaceholderText(settings.markers or "none")
        self.port = _editable(settings.port or "for example /dev/ttyUSB0 or COM3")
        self.data_dir = PathField(settings.data_dir)
        self.waivers = PathField("none: every rule holds")
        self.scene = _editable("default")
        self.scene.addItems(list(scenes))
        self.seed, self.channels, self.rate_hz = QSpinBox(), QSpinBox(), QSpinBox()
        self.seed.setRange(0, 2**31 - 1)
        self.channels.setRange(8, 256)
        self.rate_hz.setRange(1000, 25000)
        self.rate_hz.setSingleStep(1000)
        self.rate_hz.setSuffix(" Hz")
        self.background, self.faults = PathField("none: noise and rhythms"), PathField("none")
        self.treatment = TreatForm(PathField, self._rows)
        self.unit_words = QLabel()
        self._lay()
        self._connect()

    def _lay(self) -> None:
        box = QVBoxLayout(self)
        box.setSpacing(8)
        plan = QWidget()
        row = QHBoxLayout(plan)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.plan, 1)
        row.addWidget(self.plan_browse)
        self._top_rows = top = self._rows(
            ("Session", self.kind), ("Mode", self.mode), ("", self.mode_words), ("", self.human), ("&Plan", plan),
            ("&Waivers", self.waivers), ("Pa&rticipant", self.participant), ("&Data folder", self.data_dir),
        )  # fmt: skip
        self._label(top, plan).setBuddy(self.plan)
        box.addLayout(top)
        for spin in (self.seed, self.channels, self.rate_hz):
            spin.setMinimumWidth(120)
        self.real, self.simulated = QGroupBox("Devices"), QGroupBox("Simulated bedside")
        self._real_rows = self._rows(
            ("EEG &stream", self.stream), ("Source &id", self.source_id), ("&Markers", self.markers),
            ("Unit", self.unit_words), ("P&ort", self.port),
        )  # fmt: skip
        self.real.setLayout(self._real_rows)
        self._sim_rows = self._rows(
            ("S&cene", self.scene), ("S&eed", self.seed), ("C&hannels", self.channels), ("Ra&te", self.rate_hz),
            ("&Background", self.background), ("&Faults", self.faults),
        )  # fmt: skip
        self.simulated.setLayout(self._sim_rows)
        box.addWidget(self.treatment)
        box.addWidget(self.real)
        box.addWidget(self.simulated)
        box.addStretch(1)

    def _rows(self, *rows: tuple[str, QWidget]) -> QFormLayout:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
        for name, widget in rows:
            form.addRow(name, widget)
            if name:
                widget.setAccessibleName(name.replace("&", ""))
        return form

    @staticmethod
    def _label(form: QFormLayout, field: QWidget) -> QLabel:
        label = form.labelForField(field)
        assert isinstance(label, QLabel)
        return label

    def _connect(self) -> None:
        self.kind.chosen.connect(self._kind_chosen)
        self.mode.chosen.connect(self._mode_chosen)
        for box in (self.plan, self.stream, self.port, self.scene):
            box.editTextChanged.connect(self.changed)
        for line in (self.participant, self.source_id, self.markers):
            line.textChanged.connect(self.changed)
        for spin in (self.seed, self.channels, self.rate_hz):
            spin.valueChanged.connect(self.changed)
        self.treatment.changed.connect(self.changed)
        self.treatment.browse.connect(self.browse)
        for name in ("data_dir", "background", "faults", "waivers"):
            field: PathField = getattr(self, name)
            field.changed.connect(self.changed)
            field.browse.connect(lambda name=name: self.browse.emit(name))

    # -- values ---------------------------------------------------------------------------------------------------

    def fill(self, form: Form) -> None:
        """Show a form; what it leaves open gets the usual first choice."""
        simulate = form.simulate or form.mode == "SIMULATED"
        self.blockSignals(True)
        self.kind.set(form.kind)
        self.mode.set("SIMULATED" if simulate else form.mode or "BENCH")
        self._offer_plans(form.plan or PLANS[form.kind][not simulate])
        self.participant.setText(form.participant)
        self.stream.setEditText(form.stream)
        self.source_id.setText(form.source_id)
        self.markers.setText(form.markers)
        self.port.setEditText(form.port)
        self.data_dir.edit.setText(form.data_dir)
        self.scene.setEditText(form.scene or "default")
        self.seed.setValue(1 if form.seed is None else form.seed)
        self.channels.setValue(63 if form.channels is None else form.channels)
        self.rate_hz.setValue(round(5000 if form.rate_hz is None else form.rate_hz))
        self.background.edit.setText(form.background)
        self.faults.edit.setText(form.faults)
        self.waivers.edit.setText(form.waivers)
        self.treatment.fill(form)
        self.blockSignals(False)
        self._arrange()

    def value(self) -> Form:
        """The form as it stands; fields of the other bedside are left out."""
        kind, mode = self.kind.value, self.mode.value
        simulate = mode == "SIMULATED"
        common = {
            "kind": kind, "plan": self.plan.currentText().strip(), "participant": self.participant.text().strip(),
            "data_dir": self.data_dir.text, "simulate": simulate, "mode": "" if kind == "watch" and not simulate else mode,
            "waivers": "" if kind == "watch" else self.waivers.text,
        }  # fmt: skip
        if kind == "treat":
            common |= self.treatment.value()
        if simulate:
            return Form(
                **common, scene=self.scene.currentText().strip(), seed=self.seed.value(), channels=self.channels.value(),
                rate_hz=float(self.rate_hz.value()), background=self.background.text,
                faults="" if kind == "watch" else self.faults.text,
            )  # fmt: skip
        return Form(
            **common, stream=self.stream.currentText().strip(), source_id=self.source_id.text().strip(),
            markers=self.markers.text().strip(), port="" if kind == "watch" else self.port.currentText().strip(),
        )  # fmt: skip

    def put(self, field: str, path: str) -> None:
        """A path that was chosen for a field."""
        if field == "plan":
            self.plan.setEditText(path)
        else:
            of = self.treatment if field in ("threshold", "study") else self
            getattr(of, field).edit.setText(path)

    def offer(self, devices: Devices) -> None:
        """Streams and ports that were found, to choose from."""
        _offer(self.stream, devices.streams)
        _offer(self.port, devices.ports)

    # -- what hangs together --------------------------------------------------------------------------------------

    def _kind_chosen(self) -> None:
        self._offer_plans("")
        self._arrange()
        self.changed.emit()

    def _mode_chosen(self) -> None:
        usual = PLANS[self.kind.value]
        if self.plan.currentText() in usual:  # not chosen by hand
            self.plan.setEditText(usual[self.mode.value != "SIMULATED"])
        self._arrange()
        self.changed.emit()

    def _offer_plans(self, chosen: str) -> None:
        _offer(self.plan, self._plans(self.kind.value))
        self.plan.setEditText(chosen or PLANS[self.kind.value][self.mode.value != "SIMULATED"])

    def _arrange(self) -> None:
        watch, simulate = self.kind.value == "watch", self.mode.value == "SIMULATED"
        treats = self.kind.value == "treat"
        self.treatment.setVisible(treats)
        self.unit_words.setText("as the plan names it" if treats else "Magstim 200²")
        self.mode.buttons["BENCH"].setText("REAL STREAM" if watch else "BENCH")
        self.mode.buttons["HUMAN"].setVisible(not watch)
        self.human.setVisible(not watch and not simulate)
        self.mode_words.setText(mode_words(self.value()))
        self.real.setVisible(not simulate)
        self.simulated.setVisible(simulate)
        self._top_rows.setRowVisible(self.waivers, not watch)
        for row in (3, 4):
            self._real_rows.setRowVisible(row, not watch)
        for row in (0, 2, 3, 4):  # of a treatment's simulated bedside the seed alone is chosen
            self._sim_rows.setRowVisible(row, not treats)
        self._sim_rows.setRowVisible(5, not watch and not treats)
        for row in (1, 2):
            self._real_rows.setRowVisible(row, not treats)
        self.participant.setPlaceholderText(
            "made up by itself" if simulate else "a pseudonymous code; never a name"
        )
