"""Owns the public face of XDF: the writer of ``xdf_write`` and the reader of ``xdf_read``; owns no code of
its own."""

from rtloop.record.xdf_read import XdfChunk, XdfFile, XdfStream, iter_chunks, iter_samples, read_xdf
from rtloop.record.xdf_write import StreamLayout, XdfWriter

__all__ = [
    "StreamLayout", "XdfChunk", "XdfFile", "XdfStream", "XdfWriter", "iter_chunks", "iter_samples",
    "read_xdf",
]  # fmt: skip
