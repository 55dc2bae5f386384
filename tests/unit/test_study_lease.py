"""The lease: one computer runs a participant; one that was killed or stopped loses it, and finds out when it wakes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from study_tools import folder_in_memory

from rtloop.clock import SteppedClock
from rtloop.errors import IntegrityProblem, NotReady, ValidationProblem
from rtloop.study.lease import EXPIRES_S, HOLDS_S, Lease, holder_of, take

HOLDER = """
import os, sys, time
from pathlib import Path
from rtloop.clock import WALL
from rtloop.errors import NotReady
from rtloop.study.lease import take
# a slow machine may stand still for a second: no deadline below that
lease = take(Path(sys.argv[1]), "P017", host=sys.argv[2], holds_s=2.0, expires_s=4.0, wait_s=float(sys.argv[3]))
print("held", WALL.now_s(), flush=True)
while True:
    before = lease.held
    try:
        lease.renew()
    except NotReady as lost:
        print("lost", int(before), WALL.now_s(), lost.found, flush=True)
        break
    print("beat", WALL.now_s(), flush=True)
    time.sleep(0.05)
"""


@pytest.fixture
def leases() -> Iterator[Path]:
    with folder_in_memory() as folder:
        yield folder


def start(folder: Path, host: str, wait_s: float) -> subprocess.Popen[str]:
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), host, str(wait_s)],
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )


def line(process: subprocess.Popen[str], word: str) -> list[str]:
    """The next line that begins with a word."""
    assert process.stdout is not None
    while text := process.stdout.readline():
        if text.startswith(word):
            return text.split(maxsplit=3)
    raise AssertionError(f"{word} was never said")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and SIGSTOP are POSIX signals")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
def test_two_processes_of_two_hosts_never_hold_it_both(leases: Path, how: str) -> None:
    first, second = start(leases, "bedside-1", 0.0), None
    try:
        line(first, "beat")
        with pytest.raises(NotReady, match=r"P017 is run by another computer; .*bedside-1 \(process"):
            take(leases, "P017", host="bedside-2", wait_s=0.0, holds_s=2.0, expires_s=4.0)
        second = start(leases, "bedside-2", 60.0)
        line(first, "beat")
        first.send_signal(getattr(signal, how))
        stopped_s = time.monotonic()
        held_s = float(line(second, "held")[1])
        assert held_s - stopped_s > 4.0  # not before the first one's hold was over, by its own clock
        found = holder_of(leases, "P017")
        assert found is not None
        assert (found.host, found.number) == ("bedside-2", 2)
        if how == "SIGSTOP":
            assert first.stdout is not None
            first.send_signal(signal.SIGCONT)
            _, before, _, why = line(first, "lost")
            assert before == "0"  # it knew by itself before it looked at the folder
            assert "not renewed for more than 2 s" in why
            assert first.wait(10) == 0
        line(second, "beat")
    finally:
        for p in (first, second):
            if p is not None:
                p.kill()
                p.wait(10)
                if p.stdout is not None:
                    p.stdout.close()


def test_given_back_it_is_free_at_once(leases: Path) -> None:
    clock = SteppedClock()
    with take(leases, "P017", clock=clock, host="a") as one:
        assert one.held
    one.release()
    assert not one.held
    begun_s = clock.now_s()
    two = take(leases, "P017", clock=clock, host="b")
    assert two.held
    assert clock.now_s() == begun_s
    with pytest.raises(NotReady, match="it was given back"):
        one.renew()
    assert take(leases, "P018", clock=clock).held  # another participant is another lease


def test_a_holder_that_shows_nothing_is_taken_over_after_two_waits(leases: Path) -> None:
    """Clocks of two computers that never agreed: the second one's is hours off and of another epoch."""
    one = take(leases, "P017", clock=SteppedClock(1000.0), host="a")
    other = SteppedClock(9_000_000.0)
    two = take(leases, "P017", clock=other, host="b")
    assert other.now_s() - 9_000_000.0 >= 2 * EXPIRES_S
    assert two.held
    with pytest.raises(NotReady, match="another computer has taken it over"):
        one.renew()
    assert not one.held


def test_one_that_lives_is_told_at_its_first_sign_of_life(leases: Path) -> None:
    clock = SteppedClock()
    one = take(leases, "P017", clock=clock, host="a")
    clock.listen(lambda now_s: one.renew())
    with pytest.raises(NotReady, match="a \\(process"):
        take(leases, "P017", clock=clock, host="b")
    assert clock.now_s() < 1000.0 + 1.0
    assert one.held


def test_a_holder_that_wakes_while_it_is_taken_over_gets_nothing_and_the_other_waits(leases: Path) -> None:
    """It wakes after the next claim was made and before that one counts: only one is ever held."""
    clock = SteppedClock()
    one = take(leases, "P017", clock=clock, host="a")
    seen: list[tuple[bool, int]] = []

    def wakes(now_s: float) -> None:
        if now_s > 1000.0 + EXPIRES_S + 1.0 and not seen:
            found = holder_of(leases, "P017")
            assert found is not None
            with pytest.raises(NotReady):
                one.renew()
            seen.append((one.held, found.number))

    clock.listen(wakes)
    two = take(leases, "P017", clock=clock, host="b")
    assert seen == [(False, 2)]
    assert two.held


def test_held_ends_by_the_own_clock_and_comes_not_back(leases: Path) -> None:
    clock = SteppedClock()
    one = take(leases, "P017", clock=clock)
    clock.advance(HOLDS_S - 0.01)
    assert one.held
    one.renew()
    clock.advance(HOLDS_S - 0.01)
    assert one.held
    clock.advance(0.02)
    assert not one.held
    with pytest.raises(NotReady, match="not renewed for more than 5 s"):
        one.renew()
    with pytest.raises(NotReady):
        one.renew()
    assert not one.held


def test_a_suspended_computer_knows_by_its_wall_clock(leases: Path) -> None:
    class Suspended(SteppedClock):
        asleep_s = 0.0

        def utc(self) -> str:
            return SteppedClock(self.now_s() + self.asleep_s).utc()

    clock = Suspended()
    one = take(leases, "P017", clock=clock)
    assert one.held
    clock.asleep_s = 60.0  # the monotonic clock stood still meanwhile
    assert not one.held


def test_a_folder_that_went_away_loses_it(leases: Path) -> None:
    one = take(leases / ".", "P017", clock=SteppedClock())
    moved = leases.with_name(f"{leases.name}-away")
    leases.rename(moved)
    try:
        with pytest.raises(NotReady, match="nothing can be written into"):
            one.renew()
        assert not one.held
    finally:
        moved.rename(leases)


def test_two_that_claim_at_once_get_one(leases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, made = SteppedClock(), []

    def late(folder: Path, participant: str) -> None:
        if not made:
            made.append("b")
            made.append(take(folder, participant, clock=clock, host="b"))  # type: ignore[arg-type]

    monkeypatch.setattr(
        "rtloop.study.lease.holder_of", lambda f, p: late(f, p) or holder_of(f, p) if made else late(f, p)
    )
    with pytest.raises(NotReady, match="b \\(process"):
        take(leases, "P017", clock=clock, host="a", wait_s=0.0)
    assert isinstance(made[1], Lease)
    assert made[1].held


def test_a_claim_that_cannot_be_read_and_a_wrong_code_are_refused(leases: Path) -> None:
    (leases / "P017.00000003").write_text(json.dumps({"host": "x"}))
    with pytest.raises(IntegrityProblem, match="the claim 3 on P017"):
        take(leases, "P017", clock=SteppedClock())
    with pytest.raises(
        ValidationProblem, match="'Jane' is no code; holds_s = 9, expected at most half of expires_s = 10"
    ):
        take(leases, "Jane", holds_s=9, expires_s=10)
