"""Owns our append-only XDF 1.0 writer: one write per chunk; owns neither the choice of what is written nor
the syncing.

Format: XDF 1.0 (github.com/sccn/xdf, "Specifications"): chunk = length-of-length, length, tag, content.
Each sample
carries its own time stamp (8 bytes, 3 % at 64 channels): nothing has to be deduced, and a reader can use
one stride.
"""

from __future__ import annotations

import hashlib
import os
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from rtloop.durable import create_append_only, sync_data, write_all
from rtloop.errors import ValidationProblem
from rtloop.model.samples import F32, F64

MAGIC = b"XDF:"
FILE_HEADER, STREAM_HEADER, SAMPLES, CLOCK_OFFSET, BOUNDARY, STREAM_FOOTER = 1, 2, 3, 4, 5, 6
BOUNDARY_UUID = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")


@dataclass(frozen=True, kw_only=True)
class StreamLayout:
    """What a stream holds: float32 channels, or (``text``) one channel of strings."""

    name: str
    kind: str  # LSL content type: "EEG", "Markers"
    labels: tuple[str, ...] = ("text",)
    units: tuple[str, ...] = ("none",)
    types: tuple[str, ...] = ("text",)
    rate_hz: float = 0.0
    text: bool = False
    source_id: str = ""

    def __post_init__(self) -> None:
        if not self.labels or not len(self.labels) == len(self.units) == len(self.types):
            raise ValidationProblem(
                f"the stream {self.name} is described unevenly", expected="as many units and types as names",
                found=f"{len(self.labels)} names, {len(self.units)} units, {len(self.types)} types",
            )  # fmt: skip
        if not self.rate_hz >= 0.0 or (self.text and len(self.labels) != 1):
            raise ValidationProblem(f"the stream {self.name} has no legal rate or too many text channels")


@dataclass(kw_only=True)
class _Written:
    layout: StreamLayout
    count: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    offsets: list[tuple[float, float]] = field(default_factory=list)


def _chunk(tag: int, content: bytes) -> bytes:
    return struct.pack("<BIH", 4, len(content) + 2, tag) + content


def _count(n: int) -> bytes:
    return struct.pack("<BB", 1, n) if n < 256 else struct.pack("<BI", 4, n)


class XdfWriter:
    """A new XDF file (mode 0600, O_APPEND|O_EXCL). Every method raises OSError when the disk takes no more.

    What a returned call wrote survives the death of the process; ``sync`` makes it survive a power cut.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._fd = create_append_only(self.path)
        self._streams: dict[int, _Written] = {}
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        header = '<?xml version="1.0"?><info><version>1.0</version></info>'
        self._write(MAGIC + _chunk(FILE_HEADER, header.encode()))

    def _write(self, data: bytes) -> None:
        write_all(self._fd, data)
        self._digest.update(data)
        self.size_bytes += len(data)

    def add_stream(self, layout: StreamLayout, *, created_s: float) -> int:
        """Write a stream header; returns the stream id (1, 2, ...)."""
        stream = len(self._streams) + 1
        self._streams[stream] = _Written(layout=layout)
        self._write(
            _chunk(STREAM_HEADER, struct.pack("<I", stream) + _header_xml(layout, created_s).encode())
        )
        return stream

    def samples(self, stream: int, stamps_s: F64, data: F32) -> None:
        """One Samples chunk: ``stamps_s`` float64[m], seconds; ``data`` float32[m, n_channels]."""
        n, m = len(self._streams[stream].layout.labels), len(stamps_s)
        if data.shape != (m, n):
            raise ValueError(f"data {data.shape} do not fit {m} stamps and {n} channels")
        if m == 0:
            return
        rows = np.empty(m, dtype=row_dtype(n))
        rows["bytes"], rows["stamp"], rows["values"] = 8, stamps_s, data
        self._write(_chunk(SAMPLES, struct.pack("<I", stream) + _count(m) + rows.tobytes()))
        self._note(stream, m, float(stamps_s[0]), float(stamps_s[-1]))

    def strings(self, stream: int, stamps_s: Sequence[float], texts: Sequence[str]) -> None:
        """One Samples chunk of texts, one per stamp (seconds)."""
        parts = [struct.pack("<I", stream), _count(len(texts))]
        for stamp, text in zip(stamps_s, texts, strict=True):
            raw = text.encode()
            parts += [struct.pack("<Bd", 8, stamp), _count(len(raw)), raw]
        if texts:
            self._write(_chunk(SAMPLES, b"".join(parts)))
            self._note(stream, len(texts), stamps_s[0], stamps_s[-1])

    def _note(self, stream: int, count: int, first_s: float, last_s: float) -> None:
        written = self._streams[stream]
        if written.count == 0:
            written.first_s = first_s
        written.count, written.last_s = written.count + count, last_s

    def clock_offset(self, stream: int, collected_s: float, offset_s: float) -> None:
        """What must be added to the stream's stamps at ``collected_s`` to get the recorder's clock,
        seconds."""
        self._write(_chunk(CLOCK_OFFSET, struct.pack("<Idd", stream, collected_s, offset_s)))
        self._streams[stream].offsets.append((collected_s, offset_s))

    def boundary(self) -> None:
        """A landmark from which a damaged file can be read again."""
        self._write(_chunk(BOUNDARY, BOUNDARY_UUID))

    def footers(self) -> None:
        """Write every stream's footer; nothing may be written to the streams after it."""
        for stream, w in self._streams.items():
            offsets = "".join(
                f"<offset><time>{t!r}</time><value>{v!r}</value></offset>" for t, v in w.offsets
            )
            xml = (
                f'<?xml version="1.0"?><info><first_timestamp>{w.first_s!r}</first_timestamp>'
                f"<last_timestamp>{w.last_s!r}</last_timestamp><sample_count>{w.count}</sample_count>"
                f"<clock_offsets>{offsets}</clock_offsets></info>"
            )
            self._write(_chunk(STREAM_FOOTER, struct.pack("<I", stream) + xml.encode()))

    def digest(self) -> str:
        """SHA-256 (hex) of everything written so far."""
        return self._digest.hexdigest()

    def sync(self) -> None:
        """Make everything written survive a power cut; may be called from another thread."""
        sync_data(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def row_dtype(n_channels: int, value: str = "<f4") -> np.dtype[np.void]:
    """One sample with its own stamp, as it lies in the file: packed, no padding."""
    return np.dtype([("bytes", "u1"), ("stamp", "<f8"), ("values", value, (n_channels,))])


def _header_xml(layout: StreamLayout, created_s: float) -> str:
    def tag(name: str, value: object) -> str:
        return f"<{name}>{escape(str(value))}</{name}>"

    channels = "".join(
        f"<channel>{tag('label', label)}{tag('unit', unit)}{tag('type', kind)}</channel>"
        for label, unit, kind in zip(layout.labels, layout.units, layout.types, strict=True)
    )
    fields = {
        "name": layout.name, "type": layout.kind, "channel_count": len(layout.labels),
        "nominal_srate": repr(float(layout.rate_hz)),
        "channel_format": "string" if layout.text else "float32",
        "source_id": layout.source_id, "version": "1.1", "created_at": repr(created_s), "uid": uuid.uuid4(),
        "session_id": "", "hostname": "",
    }  # fmt: skip
    body = "".join(tag(k, v) for k, v in fields.items())
    return f'<?xml version="1.0"?><info>{body}<desc><channels>{channels}</channels></desc></info>'
