"""What changed or lasts is told once: lamp and faults, a long hold, channels, the numbers on the board."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtloop.board import Board
from rtloop.clock import SteppedClock
from rtloop.model.event import Event
from rtloop.model.status import Fault, Lamp, Mode, StreamHealth
from rtloop.model.view import View, fold, fold_all
from rtloop.safety.interlock import Interlock
from rtloop.session.bulletin import HOLD_LASTS_S, Bulletin


def health(t_s: float, **more: object) -> StreamHealth:
    given = {
        "t_s": t_s, "head": 500, "rate_hz": 999.5, "nominal_rate_hz": 1000.0, "age_s": 0.01, "gaps": 2, "lost_samples": 7,
        "clock_residual_s": -0.0005,
    }  # fmt: skip
    return StreamHealth(**{**given, **more})  # type: ignore[arg-type]


class Ground:
    def __init__(self, path: Path) -> None:
        self.clock = SteppedClock(100.0)
        self.board = Board.create(path / "board", clock=self.clock)
        self.lock = Interlock(Mode.SIMULATED, confirm_window_s=5.0)
        self.bulletin = Bulletin(self.lock, self.board)
        self.lock.preflight_ok()

    def arm(self) -> None:
        now_s = self.clock.now_s()
        self.lock.arm_requested(now_s)
        self.lock.arm_confirmed(now_s)
        self.lock.unit_ready(now_s)
        assert self.lock.lamp is Lamp.ARMED

    def look(self, seconds: float = 0.02, **more: object) -> list[tuple[str, dict]]:
        self.clock.advance(seconds)
        return self.bulletin.standing(self.clock.now_s(), health(self.clock.now_s(), **more), {})


@pytest.fixture
def g(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    yield made
    made.board.close()


def test_a_hold_that_lasts_is_told_once_with_its_cause_and_what_to_do(g: Ground) -> None:
    g.arm()
    told = []
    for _ in range(2):
        g.lock.fault(Fault.STREAM_BAD, g.clock.now_s(), "30 channels are flat")
        assert g.lock.lamp is Lamp.HELD
        told.append([n for _ in range(int(2 * HOLD_LASTS_S / 0.02)) for n in g.look()])
        g.lock.cleared(Fault.STREAM_BAD, g.clock.now_s())
        assert g.look() == []
    for episode in told:
        ((kind, data),) = episode
        assert kind == "hold_lasts"
        assert data["faults"] == ["stream_bad"]
        assert "30 channels are flat" in data["words"]
        assert "electrodes" in data["todo"]


def test_a_short_hold_and_a_disarmed_unit_are_not_told(g: Ground) -> None:
    g.lock.fault(Fault.STREAM_BAD, g.clock.now_s(), "flat")  # SAFE: nothing is held
    assert [n for _ in range(300) for n in g.look()] == []
    g.lock.cleared(Fault.STREAM_BAD, g.clock.now_s())
    g.arm()
    for _ in range(5):
        g.lock.fault(Fault.STREAM_STALE, g.clock.now_s(), "stale")
        assert [n for _ in range(90) for n in g.look()] == []
        g.lock.cleared(Fault.STREAM_STALE, g.clock.now_s())
        assert g.look() == []


def test_channels_are_told_when_they_change_and_not_too_often(g: Ground) -> None:
    assert g.look() == []
    ((kind, data),) = g.look(bad_channels=("C3", "Cz"))
    assert (kind, data["bad"]) == ("channels_judged", ["C3", "Cz"])
    flapping = [n for i in range(50) for n in g.look(bad_channels=("C3",) if i % 2 else ("C3", "Cz"))]
    assert len(flapping) <= 2
    news = [n for _ in range(30) for n in g.look(bad_channels=())]
    assert news[-1][1]["bad"] == []
    assert "good again: " in news[-1][1]["words"]


def test_the_boards_numbers_hold_no_nan_and_say_when_the_sample_came(g: Ground) -> None:
    g.look()
    b = g.board
    assert [b[n] for n in ("stream_rate_mhz", "stream_gaps", "stream_lost", "stream_ok", "head")] == [
        999_500,
        2,
        7,
        1,
        500,
    ]
    assert b["clock_residual_ns"] == -500_000
    assert b["stream_t"] == pytest.approx((g.clock.now_s() - 0.01) * 1e9, abs=10)
    g.look(rate_hz=math.nan, age_s=math.inf, clock_residual_s=math.nan)
    assert [b[n] for n in ("stream_rate_mhz", "stream_t", "stream_ok", "clock_residual_ns")] == [0, 0, 0, 0]


def test_the_next_pulse_is_on_the_board_only_while_it_may_come(g: Ground) -> None:
    g.arm()
    due_s = g.clock.now_s() + 2.0
    g.bulletin.announced(due_s)
    assert g.board["next_due"] == int(due_s * 1e9)
    g.lock.fault(Fault.STREAM_STALE, g.clock.now_s(), "stale")
    g.look()
    assert g.board["next_due"] == 0
    g.lock.cleared(Fault.STREAM_STALE, g.clock.now_s())
    g.look()
    assert g.board["next_due"] == int(due_s * 1e9)
    g.lock.fault(Fault.STREAM_LOST, g.clock.now_s(), "lost")
    g.look()
    g.lock.cleared(Fault.STREAM_LOST, g.clock.now_s())
    g.arm()
    g.look()
    assert g.board["next_due"] == 0  # an old instant is not shown again


# -- the view -----------------------------------------------------------------------------------------------------


def events(*rows: tuple[str, dict]) -> list[Event]:
    return [
        Event(n=n, t_s=float(n), utc="2026-01-01T00:00:00Z", kind=k, data=d) for n, (k, d) in enumerate(rows)
    ]


def early(power: int | None, n: int, kind: str = "early_measured", target: str = "M1") -> tuple[str, dict]:
    return kind, {
        "target": target,
        "block": "preview",
        "power_pct_mso": power,
        "n_accepted": n,
        "early": {"value": n},
    }


def test_the_view_keeps_the_newest_early_response_of_each_intensity_of_this_place() -> None:
    rows = [early(35, 1), early(40, 1), early(35, 2), early(40, 5, "block_looked_at")]
    view = fold_all(events(*rows))
    assert [(r["power_pct_mso"], r["n_accepted"]) for r in view.early["M1"]] == [(35, 2), (40, 5)]
    old = ("block_looked_at", {"target": "M1", "block": "run", "early_local_pp_uv": 3.0})  # an older journal
    review = early(None, 9, "block_looked_at")
    assert fold_all(events(*rows, old, review)).early == view.early
    placed_anew = ("phase_entered", {"phase": "place", "target": "M1", "words": "", "options": []})
    assert fold_all(events(*rows, early(40, 1, target="ACC"), placed_anew)).early.keys() == {"ACC"}


def test_the_view_follows_scores_channels_power_notes_and_preflight() -> None:
    def scores(n: int, value: float | None) -> tuple[str, dict]:
        e = {"value": value, "low": value, "high": value, "why_absent": "" if value else "too few"}
        both = {"global": {"pooled": e}, "local": {"pooled": e}}
        return "scores_updated", {
            "target": "M1", "block": "run", "scores": {"n_accepted": n, "connectivity": {"dwpli2": both}}
        }  # fmt: skip

    rows = [
        ("preflight_checked", {"items": [{"name": "disk", "ok": True, "expected": "", "found": ""}]}),
        ("channels_judged", {"bad": ["Cz"], "words": "flat"}), ("power_set", {"power_pct_mso": 45}),
        ("note_written", {"words": "warm", "by": "operator"}), ("note_written", {"words": "older"}),
        ("block_restarted", {"target": "M1", "block": "run"}), scores(2, None), scores(3, 0.02),
    ]  # fmt: skip
    view = fold_all(events(*rows))
    assert [p["n"] for p in view.paths["M1"]] == [2, 3]
    assert view.paths["M1"][0]["global"]["pooled"] == [None, None, None]
    assert view.paths["M1"][1]["local"]["pooled"] == [0.02, 0.02, 0.02]
    assert (view.bad_channels, view.power_pct_mso, view.preflight[0]["name"]) == (("Cz",), 45, "disk")
    assert [(n["by"], n["words"]) for n in view.notes] == [("operator", "warm"), ("engine", "older")]
    assert fold(view, events(("block_restarted", {"target": "M1", "block": "run"}))[0]).paths == {}
    assert fold(View(), events(("hold_lasts", {"words": "w"}))[0]).history
