"""Owns which files are mutated and which tests must notice; owns no run. The tests that kill most, fastest, come first."""

from __future__ import annotations

_TRAIN_RUNS = "tests/unit/test_drivers_mutants_trains.py"
_SETTINGS = "tests/unit/test_drivers_mutants_settings.py"
_TRIGGER = ("tests/unit/test_drivers_mutants_trigger.py", "tests/unit/test_drivers_trigger.py")
_LINE = ("tests/unit/test_drivers_mutants_line.py",)
_CLIENT = ("tests/unit/test_drivers_mutants_client.py",)
_OPENING = ("tests/unit/test_drivers_mutants_opening.py",)
_FOUND = "tests/unit/test_drivers_found_setting.py"
_REOPENED = "tests/unit/test_drivers_reopened.py"
_LATE, _SLOW = "tests/unit/test_drivers_late_replies.py", "tests/unit/test_drivers_slow_units.py"
_GIVEN = "tests/unit/test_drivers_given_otherwise.py"
_WATCH = (
    "tests/unit/test_drivers_mutants_watch.py",
    "tests/unit/test_drivers_mutants_look.py",
    _LATE,
    _GIVEN,
)
_SAFETY = "tests/unit/test_safety_mutants.py"
_RULES = "tests/unit/test_safety_mutants_rules.py"
_GATE = "tests/unit/test_safety_gate.py"
_GATE_MORE = "tests/unit/test_safety_mutants_gate.py"
_TRAINS = "tests/unit/test_safety_trains.py"
_TRAIN_RULES = "tests/unit/test_safety_train_rules.py"

#: source file -> its tests (files or node ids), in the order in which they are tried
TARGETS: dict[str, tuple[str, ...]] = {
    "drivers/opening.py": _OPENING,
    "drivers/pause.py": _OPENING,
    "drivers/permits.py": ("tests/unit/test_drivers_mutants.py",),
    "drivers/pacing.py": (_TRAIN_RUNS, "tests/unit/test_drivers_trains.py", _REOPENED),
    "drivers/train_run.py": (_TRAIN_RUNS, "tests/unit/test_drivers_trains.py", _LATE),
    "drivers/firing.py": ("tests/unit/test_drivers_mutants_firing.py", _FOUND, _LATE, _GIVEN, *_TRIGGER),
    "drivers/single.py": ("tests/unit/test_drivers_mutants_single.py",),
    "drivers/worker.py": (
        "tests/unit/test_drivers_worker.py",
        "tests/unit/test_drivers_worker_states.py",
        "tests/unit/test_drivers_unasked.py",
        _SLOW,
        "tests/unit/test_drivers_opening.py",
        "tests/unit/test_drivers_opening_cut.py::test_a_ramp_is_waited_for_between_looks_and_not_by_asking_without_end",
    ),
    "drivers/unasked.py": ("tests/unit/test_drivers_unasked.py",),
    "drivers/reading.py": (_SETTINGS,),
    "drivers/requests.py": ("tests/unit/test_drivers_mutants_requests.py",),
    "drivers/settings.py": (_SETTINGS,),
    "drivers/stop_line.py": (
        "tests/unit/test_drivers_mutants_requests.py",
        "tests/unit/test_drivers_trigger.py",
    ),
    "drivers/refusals.py": (_SETTINGS,),
    "drivers/watch.py": _WATCH,
    "drivers/keeping.py": _WATCH,
    "drivers/trigger.py": _TRIGGER,
    "drivers/client.py": _CLIENT,
    "drivers/magstim/magpy_port.py": _LINE,
    "drivers/magstim/exchange.py": (*_LINE, _LATE, _SLOW),
    "drivers/magstim/rapid_port.py": ("tests/unit/test_drivers_rapid_port.py",),
    "drivers/magstim/units.py": ("tests/unit/test_drivers_units.py",),
    "drivers/magstim/bistim_port.py": ("tests/unit/test_drivers_bistim_port.py",),
    "rtloop/safety/ledger.py": ("tests/unit/test_safety_ledger.py", _SAFETY, _GATE, _REOPENED),
    "rtloop/safety/interlock.py": ("tests/unit/test_safety_interlock.py", _SAFETY, _GATE),
    "rtloop/safety/gate.py": (_GATE, _GATE_MORE, _TRAINS, _REOPENED),
    "rtloop/safety/train_rules.py": (_TRAIN_RULES, _GATE_MORE),
    "rtloop/safety/train_end.py": (
        f"{_TRAINS}::test_what_an_end_says_and_what_it_bounds",
        _GATE_MORE,
        _TRAINS,
    ),
    "rtloop/safety/rules.py": (_RULES, "tests/unit/test_safety_rules.py"),
    "rtloop/safety/limits.py": (_RULES, "tests/unit/test_safety_limits.py"),
    "rtloop/safety/situation.py": (
        _RULES,
        "tests/unit/test_safety_rules.py",
        "tests/unit/test_safety_train_rules.py",
    ),
    "rtloop/safety/waivers.py": (_RULES, "tests/unit/test_safety_waivers.py"),
    "rtloop/safety/locked.py": (
        "tests/unit/test_safety_mutants_locked.py",
        "tests/unit/test_safety_locked.py",
    ),
}
#: tried when named on the command line; their survivors are not gone through
NOT_YET: dict[str, tuple[str, ...]] = {}
#: small and pure: every mutant of these is tried in every run, sampled or not
ALWAYS = ("drivers/permits.py",)
