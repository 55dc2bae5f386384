"""Owns what the tests of the simulated unit share: packets made by hand and a unit that is ready to fire."""

from __future__ import annotations

from hardware_sim.magstim import Unit200

T0_S = 100.0


def packet(body: bytes) -> bytes:
    """Body and checksum, written apart from the simulator's own."""
    total = 0
    for byte in body:
        total = (total + byte) % 256
    return body + bytes([255 - total])


class Bench:
    """A unit with its own instant: ``ask`` sends a packet now and moves on to the end of the reply."""

    def __init__(self, unit: Unit200, now_s: float = T0_S) -> None:
        self.unit, self.now_s = unit, now_s
        unit.tick(now_s)

    def ask(self, body: bytes) -> bytes:
        return self.raw(packet(body))

    def raw(self, data: bytes) -> bytes:
        replies = self.unit.receive(data, self.now_s)
        self.now_s = max([self.now_s + 0.02, *(t_s for t_s, _ in replies)])
        self.unit.tick(self.now_s)
        return b"".join(reply for _, reply in replies)

    def wait(self, seconds: float, *, alive: bool = False, step_s: float = 0.01) -> None:
        """Let time pass, with a keep-alive every 0.4 s when ``alive``."""
        end_s, poke_s = self.now_s + seconds, self.now_s
        while self.now_s < end_s:
            if alive and self.now_s >= poke_s:
                self.unit.receive(packet(b"Q@"), self.now_s)
                poke_s = self.now_s + 0.4
            self.now_s = min(end_s, self.now_s + step_s)
            self.unit.tick(self.now_s)

    def make_ready(self, power_pct_mso: int = 40) -> None:
        """Control, power, arm, and wait until the unit says ready."""
        assert self.ask(b"Q@")[1] & 0x80
        assert self.ask(b"@%03d" % power_pct_mso)[:1] == b"@"
        assert self.ask(b"EB")[1:2] not in (b"S", b"?")
        self.wait(1.2, alive=True)
        self.ask(b"Q@")
        assert self.unit.state().ready


def ready_bench(power_pct_mso: int = 40, **options: object) -> Bench:
    """A fresh 200² that can fire at once."""
    bench = Bench(Unit200(**options))  # type: ignore[arg-type]
    bench.make_ready(power_pct_mso)
    return bench
