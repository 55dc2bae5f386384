"""Owns the reading of byte transcripts (drivers.magstim.transcript) and their replay against the driver, byte by byte.

A golden file holds the distinct exchanges of a walk, in the order in which they first came: one JSON object a line,
``{"sent": hex, "received": hex}``, after a first line that says of which unit. To make one from the transcripts of
``rtloop commission``: ``python tests/transcript_tools.py MODEL FILE... > tests/golden/commission/NAME.jsonl``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from drivers.magstim.ports import port_of
from drivers.magstim.units import facts_of
from rtloop.clock import SteppedClock
from rtloop.model.pulse import Pair, Train

Exchange = tuple[bytes, bytes]


def entries(path: Path) -> list[dict[str, Any]]:
    """The lines of a transcript, whole to its end."""
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert found, f"{path} is empty"
    assert found[-1].get("end"), f"{path} was cut off"
    sent = sum(len(bytes.fromhex(e.get("sent", ""))) for e in found)
    received = sum(len(bytes.fromhex(e.get("received", e.get("dropped", "")))) for e in found)
    assert (found[-1]["bytes_sent"], found[-1]["bytes_received"]) == (sent, received), path
    return found


def exchanges(path: Path) -> list[Exchange]:
    """(sent, received) of each command with a whole reply. A command cut short by EA, and that EA, have none."""
    raw: list[tuple[bytes, bytearray]] = []
    for entry in entries(path):
        if "sent" in entry:
            raw.append((bytes.fromhex(entry["sent"]), bytearray()))
        elif raw:
            raw[-1][1].extend(bytes.fromhex(entry.get("received", entry.get("dropped", ""))))
    kept: list[Exchange] = []
    for i, (sent, received) in enumerate(raw):
        cut = sent[:2] == b"EA" or (i + 1 < len(raw) and raw[i + 1][0][:2] == b"EA")
        last = i == len(raw) - 1  # a cable may have been pulled
        if _whole(sent, bytes(received)):
            kept.append((sent, bytes(received)))
        else:
            assert cut or last, f"{path}: {sent!r} was answered {bytes(received)!r}"
    return kept


def _whole(sent: bytes, received: bytes) -> bool:
    total = 0
    for byte in received[:-1]:
        total = (total + byte) % 256
    return received[:1] == sent[:1] and len(received) >= 3 and received[-1] == 255 - total


def distinct(found: Iterable[Exchange]) -> list[Exchange]:
    """Each exchange once, settings with all their commands."""
    seen: set[tuple[Exchange, ...]] = set()
    kept: list[Exchange] = []
    for group in groups(list(found)):
        if group not in seen:
            seen.add(group)
            kept += group
    return kept


def groups(found: list[Exchange]) -> list[tuple[Exchange, ...]]:
    """The exchanges that belong together: the commands of one setting, else each by itself."""
    out: list[tuple[Exchange, ...]] = []
    i = 0
    while i < len(found):
        sent = found[i][0]
        n = 4 if sent[:1] == b"[" and int(sent[1:-1]) else 3 if sent[:1] == b"A" else 1
        out.append(tuple(found[i : i + n]))
        i += n
    return out


class ReplayLine:
    """A line on which a recorded unit answers: what is written must be what was written then, byte by byte."""

    def __init__(self, found: Iterable[Exchange]) -> None:
        self._left, self._input = list(found), bytearray()

    @property
    def in_waiting(self) -> int:
        return len(self._input)

    def read(self, size: int = 1, /) -> bytes:
        out = bytes(self._input[:size])
        del self._input[:size]
        return out

    def write(self, data: bytes, /) -> int:
        assert self._left, f"{data!r} was written after the last command of the transcript"
        sent, received = self._left.pop(0)
        assert data == sent, f"written: {data.hex()}, in the transcript: {sent.hex()}"
        self._input += received
        return len(data)

    def reset_input_buffer(self) -> None:
        self._input.clear()

    def close(self) -> None:
        assert not self._left, f"never written: {self._left[0][0].hex()}"


def replay(model: str, found: list[Exchange], *, unlock_code: str = "") -> dict[str, int]:
    """Have the driver say every command of a transcript again and take every reply; how often it did what.

    Fails when the driver now writes another byte, or takes a reply no more, or reads another value in it.
    """
    line, clock = ReplayLine(found), SteppedClock()
    port: Any = port_of(facts_of(model), line, clock, lambda: False, unlock_code=unlock_code)
    done: dict[str, int] = {}
    for group in groups(found):
        name = _say(port, group)
        done[name] = done.get(name, 0) + 1
    line.close()
    return done


def _say(port: Any, group: tuple[Exchange, ...]) -> str:
    received, body = group[0][1], group[0][0][:-1]
    command = body[:1]
    if command == b"N":
        version = ".".join(map(str, port.identify()))
        assert version.encode() in received
        return "identify"
    if command == b"[":
        train = None
        if len(group) == 4:
            train = Train(frequency_hz=int(group[1][0][1:-1]) / 10, n_pulses=int(group[3][0][1:-1]))
        port.set_setting(train)
        return "single pulses" if train is None else "train"
    if command == b"A":
        fine, power_b = group[1][0][:1] == b"Y", int(body[1:])
        pair = Pair(power_b_pct_mso=power_b, interval_ms=int(group[2][0][1:-1]) / (10 if fine else 1))
        port.set_setting(pair if power_b else None)
        return "pair" if power_b else "single pulses"
    if command == b"x":
        reply = port.own_rapid(body, len(received))
        name = "look"
    elif command == b"@":
        reply, name = port.set_power(int(body[1:])), "set_power"
    elif command == b"E":
        name = {b"EA": "disarm", b"EB": "arm", b"EH": "fire"}[body]
        reply = getattr(port, name)()
    else:
        name = {
            b"Q": "take_control",
            b"R": "release",
            b"J": "parameters",
            b"\\": "parameters",
            b"F": "temperature",
        }[command]
        reply = getattr(port, name)()
    assert reply.instr == received[1]
    if command == b"J":
        assert reply.power_pct_mso == int(received[2:5])
    if command == b"F":
        assert reply.coil_temp_c == max(int(received[2:5]), int(received[5:8])) / 10
    if command == b"\\":
        assert reply.power_pct_mso == int(received[3:6])
    return name


def golden(path: Path) -> tuple[dict[str, Any], list[Exchange]]:
    """A golden file: what its first line says, and its exchanges."""
    first, *rest = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return first, [(bytes.fromhex(e["sent"]), bytes.fromhex(e["received"])) for e in rest]


if __name__ == "__main__":
    wanted, *paths = sys.argv[1:]
    print(
        json.dumps(
            {"model": wanted, "unit": "say here which unit, or that it was simulated", "unlock_code": ""}
        )
    )
    for s, r in distinct(e for p in paths for e in exchanges(Path(p))):
        print(json.dumps({"sent": s.hex(), "received": r.hex()}))
