"""Small plans, a stepped session with spies, and a fake line for the engine: ground for the session tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hardware_sim.bench import SteppedBench
from rtloop.app.sitting import Request, Sat, Sitting
from rtloop.app.stepped import hold_stepped
from rtloop.model.event import Event
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal

HEAD = """
[plan]
name = "{name}"
kind = "{kind}"
schema = 1

[unit]
model = "200"
coil = "70 mm figure-of-eight"
waveform = "monophasic"

[timing]
isi_s = [2.05, 2.15]
lead_s = 0.3

[caps]
power_pct_mso_max = 49
pulses_total_max = 60

[signal]
window_ms = [15.0, 300.0]
gap_ms = [-2.0, 10.0]

[arm]
question = "none"

[order]
kind = "as_listed"
"""
TARGET = """
[[targets]]
name = "{target}"
coil_at = "{coil_at}"
intensity_pct_mso = 45
pulses_wanted = {wanted}
pulses_max = {most}
preview = {{ pulses = 1, steps_pct_mso = [45] }}
accept = {{ early_response_uv_min = 6.0, rejected_share_max = 0.3 }}
"""
COIL_AT = {"M1": "C3", "DLPFC": "F3", "ACC": "FCz", "PSI": "C5"}


def tiny(*targets: str, wanted: int = 4, most: int = 6, kind: str = "map", name: str = "tiny") -> str:
    """A plan of one preview pulse and a few run pulses at each target."""
    parts = [HEAD.format(name=name, kind=kind)]
    parts += [
        TARGET.format(target=t, coil_at=COIL_AT[t], wanted=wanted, most=most) for t in targets or ("M1",)
    ]
    return "".join(parts)


def write_plan(folder: Path, text: str) -> Path:
    """The plan as a file."""
    path = folder / "plan.toml"
    path.write_text(text)
    return path


Each = Callable[[Sitting, SteppedBench, float], None]


@dataclass
class Held:
    """A stepped session after its end."""

    sat: Sat | None
    said: list[str]
    folder: SessionFolder
    events: tuple[Event, ...]
    sitting: Sitting
    bench: SteppedBench
    lamps: list[tuple[float, str]] = field(default_factory=list)

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        """Data of all events of one kind."""
        return [dict(e.data) for e in self.events if e.kind == kind]

    @property
    def text(self) -> str:
        """Everything that was said to people."""
        return "\n".join([*self.said, self.sat.text if self.sat else ""])


def hold_tiny(
    tmp_path: Path, *, plan: str | None = None, each: Each | None = None, kind: str = "map", seed: int = 3,
    limit_s: float = 240.0, **more: Any,
) -> Held:  # fmt: skip
    """A whole session on the stepped clock with 16 channels at 1 kHz; ``each(sitting, bench, now_s)`` after every step."""
    path = write_plan(tmp_path, plan or tiny())
    said: list[str] = []
    seen: dict[str, Any] = {}
    lamps: list[tuple[float, str]] = []

    def spy(sitting: Sitting, bench: SteppedBench, now_s: float) -> None:
        seen.update(sitting=sitting, bench=bench)
        lamp = sitting.interlock.lamp.value
        if not lamps or lamps[-1][1] != lamp:
            lamps.append((now_s, lamp))
        if each is not None:
            each(sitting, bench, now_s)

    request = Request(
        kind=kind, plan=str(path), simulate=True, data_dir=tmp_path / "data", seed=seed, rate_hz=1000.0,
        **{"channels": 16, **more},
    )  # fmt: skip
    sat = hold_stepped(request, said.append, limit_s=limit_s, each=spy)
    folder = seen["sitting"].folder
    events = tuple(read_journal(folder.journal).events)
    return Held(
        sat=sat, said=said, folder=folder, events=events, sitting=seen["sitting"], bench=seen["bench"], lamps=lamps
    )  # fmt: skip
