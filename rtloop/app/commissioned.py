"""Owns what a commissioning record is bound to, as it is here and now, and the look for one; judges none (rtloop.record)."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from rtloop import __version__
from rtloop.app.config import Site, user_config_dir
from rtloop.app.site_unit import OutputAt, SiteUnit
from rtloop.clock import WALL
from rtloop.durable import canonical
from rtloop.model.status import UnitIdentity
from rtloop.record.commissioning import (
    NO_LINE,
    Connected,
    LimitsBound,
    Record,
    SoftwareBound,
    StreamBound,
    commissioned,
    newest_records,
)
from rtloop.safety.limits import Limits

FOLDER = "commissioning"
#: packages of which every source is bound: what decides whether, when and how a pulse goes out lies all over them
SOURCES = ("drivers", "rtloop")
#: distributions that write to the unit's line, bound by their version
ON_THE_LINE = ("MagPy_TMS", "pyserial")


@dataclass(frozen=True, kw_only=True)
class Covered:
    """The best record there is and everything that is wrong with it; ``reasons`` () means HUMAN is covered."""

    path: Path | None
    record: Record | None
    reasons: tuple[str, ...]
    connected: Connected
    valid_days: float

    @property
    def ok(self) -> bool:
        return self.record is not None and not self.reasons

    @property
    def words(self) -> str:
        """For a list of findings."""
        if self.record is None or self.path is None:
            return self.reasons[0]
        by = f"{self.path.name}, signed by {self.record.signatory} on {self.record.signed_utc[:10]}"
        return by if self.ok else f"{by}, does not cover a person: {'; '.join(self.reasons)}"

    @property
    def unit_options(self) -> dict[str, Any]:
        """What the driver may take from the record (``drivers.requests.Options``); nothing unless it covers.

        Without it a train under way cannot be stopped: whatever was not seen at commissioning is not believed.
        """
        stops = self.ok and self.record is not None and self.record.stops_running_train is True
        return {"stops_running_train": True} if stops else {}

    def with_devices(self, unit: UnitIdentity, stream: dict[str, Any], *, simulated_eeg: bool) -> Covered:
        """Judged anew, now that unit and amplifier answer; nothing simulated is ever covered."""
        found = replace(self.connected, model=unit.model, firmware=unit.firmware, stream=stream_bound(stream))
        reasons = commissioned(self.record, WALL.utc(), found, valid_days=self.valid_days)
        if unit.simulated or simulated_eeg:
            reasons = (*reasons, "something at the bedside is simulated")
        return replace(self, connected=found, reasons=reasons)


def ea_words(stops: bool) -> str:
    """What follows from what was seen of ``EA`` in the middle of a train."""
    if stops:
        return "EA stops a running train on this unit: where this record covers, a session counts on that"
    return (
        "EA does NOT stop a running train on this unit: once fired a train runs to its end, for the seconds that are told "
        "before it is armed, whatever software does; only the unit's own stop may end it"
    )


def covered(site: Site) -> Covered:
    """The newest record of this site's unit that covers it; else the newest, with every reason why it does not."""
    found = Connected(
        software=software_bound(), limits=limits_bound(site.limits()), model=site.unit.model,
        port_identity=port_identity(site.unit.port or ""), **wiring_bound(site.unit),
    )  # fmt: skip
    days = site.commissioning.valid_days
    records, broken = newest_records(records_folder(site), site.unit.model)
    best: Covered | None = None
    for path, record in records:
        reasons = commissioned(record, WALL.utc(), found, valid_days=days)
        judged = Covered(path=path, record=record, reasons=reasons, connected=found, valid_days=days)
        if judged.ok:
            return judged
        best = best or judged
    if best is not None:
        return best
    none = commissioned(None, WALL.utc(), found, valid_days=days)
    return Covered(path=None, record=None, reasons=(*none, *broken), connected=found, valid_days=days)


def records_folder(site: Site) -> Path:
    """Where this site's records lie: beside its site file, else in the user's configuration folder."""
    return (Path(site.file).parent if site.file else user_config_dir()) / FOLDER


def software_bound() -> SoftwareBound:
    """Version and source as installed, and what they speak to the unit with."""
    digest = hashlib.sha256()
    for name, data in sorted(_sources()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return SoftwareBound(version=__version__, source_sha256=digest.hexdigest())


def _sources() -> list[tuple[str, bytes]]:
    found = [(name, metadata.version(name).encode()) for name in ON_THE_LINE]
    for package in SOURCES:
        root = Path(str(resources.files(package)))
        for path in root.rglob("*"):
            if path.suffix in (".py", ".toml") and path.is_file():
                found.append((f"{package}/{path.relative_to(root).as_posix()}", path.read_bytes()))
    return found


def limits_bound(limits: Limits) -> LimitsBound:
    """The site's limits, every row with its source and whether it was verified."""
    return LimitsBound(
        sha256=hashlib.sha256(canonical(asdict(limits))).hexdigest(), unverified=limits.unverified
    )


def stream_bound(sender: dict[str, Any]) -> StreamBound:
    """The stream of a session (``wiring.Bench.stream``)."""
    return StreamBound(
        name=str(sender["name"]), source_id=str(sender.get("source_id", "")), rate_hz=float(sender["rate_hz"]),
        channels=int(sender["channels"]),
    )  # fmt: skip


def wiring_bound(unit: SiteUnit) -> dict[str, Any]:
    """What the site file says of the unit's mains and output lines (``UnitBound``, ``Connected``)."""
    return {
        "supply_v": unit.supply_v, "trigger": _line_bound(unit.trigger), "stop_line": _line_bound(unit.stop_line),
    }  # fmt: skip


def _line_bound(line: OutputAt | None) -> str:
    return NO_LINE if line is None else line.words(port_identity(line.port))


def port_identity(port: str) -> str:
    """What names the line best: the adapter's own USB serial number where it has one, else the port's name."""
    if not port or "://" in port:
        return port
    from serial.tools import list_ports

    for p in list_ports.comports():
        if p.device == port and p.serial_number and p.vid is not None and p.pid is not None:
            return f"USB {p.vid:04x}:{p.pid:04x} {p.serial_number}"
    return port
