"""Owns the streaming XDF reader: memory-mapped, tolerant of a torn tail; owns no interpretation of the
streams.

Chunk headers are walked first (counts only), then each stream is filled into one array; chunks whose
samples all carry a
stamp, or only the first, are read with one stride. XDF 1.0 (github.com/sccn/xdf); files of other recorders
read too.
"""

from __future__ import annotations

import mmap
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtloop.errors import IntegrityProblem
from rtloop.model.samples import F64
from rtloop.record.xdf_write import (
    BOUNDARY,
    BOUNDARY_UUID,
    CLOCK_OFFSET,
    FILE_HEADER,
    MAGIC,
    SAMPLES,
    STREAM_FOOTER,
    STREAM_HEADER,
    row_dtype,
)

_DTYPES = {
    "float32": "<f4", "double64": "<f8", "int8": "<i1", "int16": "<i2", "int32": "<i4", "int64": "<i8",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class XdfChunk:
    """Where one chunk lies: ``start`` is the offset of its first byte, ``content``..``end`` its content
    after the tag."""

    tag: int
    start: int
    content: int
    end: int
    stream: int = 0  # 0 for chunks of no stream


@dataclass(kw_only=True)
class XdfStream:
    """One stream. ``data`` is [n_samples, n_channels] of its own type, or a list of n_samples texts
    (``text``)."""

    stream: int
    name: str
    kind: str
    rate_hz: float
    format: str
    labels: tuple[str, ...]
    units: tuple[str, ...]
    types: tuple[str, ...]
    places_mm: tuple[
        tuple[float, float, float] | None, ...
    ] = ()  # X right, Y front, Z up; empty: none is told
    source_id: str = ""
    stamps_s: F64 = field(default_factory=lambda: np.empty(0))
    data: npt.NDArray[Any] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    texts: list[str] = field(default_factory=list)
    clock_offsets: list[tuple[float, float]] = field(default_factory=list)  # (collected_s, offset_s)
    footer: dict[str, str] | None = None

    @property
    def text(self) -> bool:
        return self.format == "string"

    @property
    def count(self) -> int:
        """Samples in the stream."""
        return len(self.stamps_s)


@dataclass(frozen=True, kw_only=True)
class XdfFile:
    """A file as read. ``torn_tail_bytes`` > 0: the writer died within a chunk; ``problems`` are anything
    else."""

    streams: tuple[XdfStream, ...]
    boundaries: int
    torn_tail_bytes: int
    size_bytes: int
    problems: tuple[str, ...]
    offsets: dict[int, list[int]]  # stream -> file offset of the end of each Samples chunk

    def stream(self, name: str) -> XdfStream:
        """The stream of this name; IntegrityProblem when there is not exactly one."""
        found = [s for s in self.streams if s.name == name]
        if len(found) != 1:
            raise IntegrityProblem(
                f"the recording holds {len(found)} streams named {name!r}", expected="exactly one",
                found=", ".join(s.name for s in self.streams) or "none",
            )  # fmt: skip
        return found[0]


def _open(path: str | Path) -> mmap.mmap:
    try:
        with open(path, "rb") as file:
            if file.read(4) != MAGIC:
                raise IntegrityProblem(f"{path} is not an XDF file", expected="the first four bytes 'XDF:'")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as err:
        raise IntegrityProblem(f"cannot read the recording {path}", found=str(err)) from err


def iter_chunks(buffer: mmap.mmap | bytes) -> Iterator[XdfChunk]:
    """Every whole chunk in order; stops at a torn tail (compare the last ``end`` with the size)."""
    size, at = len(buffer), len(MAGIC)
    while at < size:
        width = buffer[at]
        if width not in (1, 4, 8) or at + 1 + width + 2 > size:
            return
        length = int.from_bytes(buffer[at + 1 : at + 1 + width], "little")
        content, end = at + 1 + width + 2, at + 1 + width + length
        if length < 2 or end > size:
            return
        tag = int.from_bytes(buffer[content - 2 : content], "little")
        owner = 0
        if tag in (STREAM_HEADER, SAMPLES, CLOCK_OFFSET, STREAM_FOOTER) and end - content >= 4:
            owner = int.from_bytes(buffer[content : content + 4], "little")
        yield XdfChunk(tag=tag, start=at, content=content, end=end, stream=owner)
        at = end


def read_xdf(path: str | Path) -> XdfFile:
    """Read a whole file (arrays in memory, one copy). IntegrityProblem when it is no XDF file at all."""
    buffer = _open(path)
    try:
        return _read(buffer)
    finally:
        buffer.close()


def _read(buffer: mmap.mmap) -> XdfFile:
    streams: dict[int, XdfStream] = {}
    chunks: dict[int, list[XdfChunk]] = {}
    problems: list[str] = []
    end, boundaries = len(MAGIC), 0
    for chunk in iter_chunks(buffer):
        end = chunk.end
        try:
            if chunk.tag == STREAM_HEADER:
                streams[chunk.stream] = _header(chunk.stream, bytes(buffer[chunk.content + 4 : chunk.end]))
                chunks[chunk.stream] = []
            elif chunk.tag == BOUNDARY:
                boundaries += 1
                if buffer[chunk.content : chunk.end] != BOUNDARY_UUID:
                    problems.append(f"the boundary chunk at byte {chunk.start} is altered")
            elif chunk.tag == FILE_HEADER:
                continue
            elif chunk.stream not in streams:
                problems.append(
                    f"the chunk at byte {chunk.start} (tag {chunk.tag}) belongs to no known stream"
                )
            elif chunk.tag == SAMPLES:
                chunks[chunk.stream].append(chunk)
            elif chunk.tag == CLOCK_OFFSET:
                offset = struct.unpack_from("<dd", buffer, chunk.content + 4)
                streams[chunk.stream].clock_offsets.append((offset[0], offset[1]))
            elif chunk.tag == STREAM_FOOTER:
                streams[chunk.stream].footer = _footer(bytes(buffer[chunk.content + 4 : chunk.end]))
        except (ET.ParseError, KeyError, ValueError, struct.error) as err:
            problems.append(f"the chunk at byte {chunk.start} (tag {chunk.tag}) cannot be read: {err}")
    for number, stream in streams.items():
        _fill(stream, buffer, chunks[number], problems)
    if end < len(buffer) and buffer.rfind(BOUNDARY_UUID, end) >= 0:
        problems.append(f"the chunks are damaged from byte {end} on, and more follows: not a torn tail")
    return XdfFile(
        streams=tuple(streams.values()), boundaries=boundaries, torn_tail_bytes=len(buffer) - end,
        size_bytes=len(buffer), problems=tuple(problems),
        offsets={n: [c.end for c in cs] for n, cs in chunks.items()},
    )  # fmt: skip


def _header(number: int, xml: bytes) -> XdfStream:
    root = ET.fromstring(xml)
    n = int(root.findtext("channel_count", "0"))
    channels = root.findall("desc/channels/channel")
    if len(channels) != n:
        channels = []

    def column(tag: str, default: str) -> tuple[str, ...]:
        if not channels:
            return tuple(f"{i + 1}" if tag == "label" else default for i in range(n))
        return tuple((c.findtext(tag) or default).strip() for c in channels)

    form = root.findtext("channel_format", "float32")
    if form != "string" and form not in _DTYPES:
        raise ValueError(f"unknown channel format {form!r}")
    return XdfStream(
        stream=number, name=root.findtext("name", ""), kind=root.findtext("type", ""),
        rate_hz=float(root.findtext("nominal_srate") or 0.0), format=form, labels=column("label", ""),
        units=column("unit", ""), types=column("type", ""), places_mm=tuple(map(_place_mm, channels)),
        source_id=root.findtext("source_id") or "",
    )  # fmt: skip


def _place_mm(channel: ET.Element) -> tuple[float, float, float] | None:
    """LSL's ``location`` of a channel, as written; None: none, or no numbers."""
    try:
        x, y, z = (float(channel.findtext(f"location/{axis}") or "none") for axis in "XYZ")
    except ValueError:
        return None
    return (x, y, z) if np.isfinite([x, y, z]).all() and (x or y or z) else None


def _footer(xml: bytes) -> dict[str, str]:
    return {child.tag: (child.text or "").strip() for child in ET.fromstring(xml) if not len(child)}


def _varlen(buffer: mmap.mmap, at: int) -> tuple[int, int]:
    width = buffer[at]
    if width not in (1, 4, 8):
        raise ValueError(f"length byte {width} at {at}")
    return int.from_bytes(buffer[at + 1 : at + 1 + width], "little"), at + 1 + width


def _fill(stream: XdfStream, buffer: mmap.mmap, chunks: list[XdfChunk], problems: list[str]) -> None:
    """Two passes: counts, then values into arrays of the final size."""
    usable: list[tuple[XdfChunk, int, int]] = []
    for chunk in chunks:
        try:
            count, at = _varlen(buffer, chunk.content + 4)
            if count > chunk.end - at:
                raise ValueError(f"{count} samples in {chunk.end - at} bytes")
            usable.append((chunk, count, at))
        except (ValueError, IndexError) as err:
            problems.append(f"the samples chunk at byte {chunk.start} cannot be read: {err}")
    total, n = sum(count for _, count, _ in usable), len(stream.labels)
    stream.stamps_s = np.zeros(total)
    dtype = np.dtype(_DTYPES.get(stream.format, "<f4"))
    stream.data = np.zeros((0 if stream.text else total, n), dtype)
    step_s = 1.0 / stream.rate_hz if stream.rate_hz > 0 else 0.0
    done, last_s = 0, 0.0
    for chunk, count, at in usable:
        stamps = stream.stamps_s[done : done + count]
        try:
            if stream.text:
                stream.texts += _texts(buffer, at, chunk.end, stamps, n, last_s, step_s)
            else:
                _numbers(buffer, at, chunk.end, stamps, stream.data[done : done + count], last_s, step_s)
        except (ValueError, IndexError, struct.error) as err:
            problems.append(f"the samples chunk at byte {chunk.start} cannot be read: {err}")
            stream.texts += [""] * (done + count - len(stream.texts)) if stream.text else []
        done += count
        if count:
            last_s = float(stamps[-1])


def _numbers(
    buffer: mmap.mmap, at: int, end: int, stamps: F64, out: npt.NDArray[Any], last_s: float, step_s: float
) -> None:
    count, n = out.shape
    if count == 0:
        return
    full = row_dtype(n, out.dtype.str)
    bare = np.dtype([("bytes", "u1"), ("values", out.dtype.str, (n,))])
    if end - at == count * full.itemsize:
        rows = np.frombuffer(buffer, full, count, at)
        if bool((rows["bytes"] == 8).all()):
            stamps[:], out[:] = rows["stamp"], rows["values"]
            return
        del rows
    if end - at == full.itemsize + (count - 1) * bare.itemsize and buffer[at] == 8:
        first = np.frombuffer(buffer, full, 1, at)
        rest = np.frombuffer(buffer, bare, count - 1, at + full.itemsize)
        if not bool(rest["bytes"].any()):
            out[0], out[1:] = first["values"][0], rest["values"]
            stamps[:] = float(first["stamp"][0]) + step_s * np.arange(count)
            return
        del first, rest
    width = n * out.dtype.itemsize
    for i in range(count):
        at, last_s = _stamp(buffer, at, last_s, step_s)
        stamps[i] = last_s
        if at + width > end:
            raise ValueError("the samples do not fit the chunk")
        out[i] = np.frombuffer(buffer[at : at + width], out.dtype)
        at += width
    if at != end:
        raise ValueError("bytes are left over")


def _stamp(buffer: mmap.mmap, at: int, last_s: float, step_s: float) -> tuple[int, float]:
    if buffer[at] == 0:
        return at + 1, last_s + step_s
    if buffer[at] != 8:
        raise ValueError(f"stamp of {buffer[at]} bytes")
    return at + 9, float(struct.unpack_from("<d", buffer, at + 1)[0])


def _texts(
    buffer: mmap.mmap, at: int, end: int, stamps: F64, n: int, last_s: float, step_s: float
) -> list[str]:
    out = []
    for i in range(len(stamps)):
        at, last_s = _stamp(buffer, at, last_s, step_s)
        stamps[i] = last_s
        values = []
        for _ in range(n):
            length, at = _varlen(buffer, at)
            if at + length > end:
                raise ValueError("the text does not fit the chunk")
            values.append(buffer[at : at + length].decode(errors="replace"))
            at += length
        out.append("\t".join(values))
    return out


def iter_samples(path: str | Path, name: str) -> Iterator[tuple[F64, npt.NDArray[Any]]]:
    """Chunk by chunk, for files larger than memory: (stamps_s float64[m], data [m, n_channels]) of a
    numeric stream."""
    buffer = _open(path)
    try:
        stream: XdfStream | None = None
        last_s = 0.0
        for chunk in iter_chunks(buffer):
            if chunk.tag == STREAM_HEADER:
                found = _header(chunk.stream, bytes(buffer[chunk.content + 4 : chunk.end]))
                stream = found if found.name == name and not found.text else stream
            elif chunk.tag == SAMPLES and stream is not None and chunk.stream == stream.stream:
                count, at = _varlen(buffer, chunk.content + 4)
                stamps, data = np.empty(count), np.empty((count, len(stream.labels)), _DTYPES[stream.format])
                step_s = 1.0 / stream.rate_hz if stream.rate_hz > 0 else 0.0
                _numbers(buffer, at, chunk.end, stamps, data, last_s, step_s)
                last_s = float(stamps[-1]) if count else last_s
                yield stamps, data
    finally:
        buffer.close()
