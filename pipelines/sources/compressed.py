"""Gzip and Zstandard streams as chunks of plain bytes, in bounded memory, honest about a missing end."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

import zstandard

from pipelines.sources.lines import CHUNK, BrokenStream

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def plain_chunks(file: BinaryIO, compression: str) -> Iterator[bytes]:
    """Yield a file's decompressed bytes; raise BrokenStream after the last readable byte of a damaged one."""
    if compression == "gz":
        return _gunzip(file)
    if compression == "zst":
        return _unzstd(file)
    return iter(lambda: file.read(CHUNK), b"")


def _gunzip(file: BinaryIO) -> Iterator[bytes]:
    """Yield the members of a gzip file one after the other; zero padding behind one is allowed."""
    data = file.read(CHUNK)
    while data:
        engine = zlib.decompressobj(wbits=31)
        while not engine.eof:
            if not data:
                raise BrokenStream(f"expected the end of the gzip stream, got the end of the file at {file.tell()}")
            try:
                plain = engine.decompress(data, CHUNK)
            except zlib.error:
                raise BrokenStream(f"expected gzip data, got something else before byte {file.tell()}") from None
            if plain:
                yield plain
            data = engine.unconsumed_tail or (b"" if engine.eof else file.read(CHUNK))
        data = engine.unused_data.lstrip(b"\0")
        while not data and (more := file.read(CHUNK)):
            data = more.lstrip(b"\0")


def _unzstd(file: BinaryIO) -> Iterator[bytes]:
    """Yield the frames of a zstd file one after the other."""
    reader = zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(
        file, read_across_frames=True, closefd=False
    )
    try:
        while plain := reader.read1(CHUNK):
            yield plain
    except zstandard.ZstdError:
        raise BrokenStream(f"expected zstd data, got something else before byte {file.tell()}") from None
    if not _zstd_whole(file):
        raise BrokenStream(f"expected the end of the zstd frame, got the end of the file at {file.seek(0, 2)}")


def _zstd_whole(file: BinaryIO) -> bool:
    """Tell whether a zstd file ends where a frame ends: the decompressor itself is silent about a cut.

    Walks the block headers of RFC 8878, section 3.1, reading a few bytes each.
    """
    size = file.seek(0, 2)
    file.seek(0)
    while file.tell() < size:
        magic = file.read(4)
        if magic[1:] == b"\x2a\x4d\x18":  # a skippable frame carries its length
            file.seek(int.from_bytes(file.read(4), "little"), 1)
            continue
        if magic != ZSTD_MAGIC or not _skip_frame(file):
            return False
    return file.tell() == size


def _skip_frame(file: BinaryIO) -> bool:
    """Move behind the frame whose magic number was just read; False when the file ends inside it."""
    descriptor = (file.read(1) or b"\0")[0]
    single_segment = descriptor >> 5 & 1
    window = 0 if single_segment else 1
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    content = (single_segment, 2, 4, 8)[descriptor >> 6]
    file.seek(window + dictionary + content, 1)
    while True:
        header = file.read(3)
        if len(header) < 3:
            return False
        block = int.from_bytes(header, "little")
        is_last, is_run, block_bytes = block & 1, block >> 1 & 3 == 1, block >> 3
        file.seek(1 if is_run else block_bytes, 1)
        if is_last:
            file.seek(4 if descriptor >> 2 & 1 else 0, 1)  # checksum
            return True
