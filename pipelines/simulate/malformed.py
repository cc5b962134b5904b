"""Break a good line in one of the ways that feeds break them, and say which fault a reader should find."""

from __future__ import annotations

import json

DEPTH = 400  # levels of nesting; no platform sends half as many
_TEXT = b'"text":"'
_TIME = b'"created_at":"'
_ID = b'"id":"'


def fault(bits: int) -> str:
    """Return the fault that `broken` gives a line for the same 64 bits, of schemas.reasons.Fault."""
    return _WAYS[bits % len(_WAYS)][0]


def broken(line: bytes, bits: int) -> bytes:
    """Return a canonical line broken in the way that 64 bits choose."""
    ways = _WAYS[bits % len(_WAYS)][1]
    return ways[(bits >> 8) % len(ways)](line, bits >> 16)


def _cut(line: bytes, bits: int) -> bytes:
    end = len(line) // 4 + bits % (len(line) // 2)
    return line[:end].decode(errors="ignore").encode()


def _replace_text(line: bytes, value: bytes) -> bytes:
    """Put another JSON value in place of the text, which ends before `lang_hint`."""
    head, _, rest = line.partition(_TEXT)
    return head + b'"text":' + value + b"," + rest[rest.index(b'"lang_hint"') :]


def _in_text(line: bytes, inserted: bytes) -> bytes:
    head, mark, rest = line.partition(_TEXT)
    return head + mark + inserted + rest


def _replace_id(line: bytes, value: bytes) -> bytes:
    return b'{"id":' + value + line[line.index(b',"author_id"') :]


def _replace_time(line: bytes, value: str) -> bytes:
    head, _, rest = line.partition(_TIME)
    return head + b'"created_at":' + value.encode() + rest[rest.index(b'"') + 1 :]


def _not_json(line: bytes, bits: int) -> bytes:
    return (
        line.replace(b'"', b"'"),
        line[:-1] + b",}",
        line[:-1],
        line[1:],
        b"upstream connect error or disconnect before headers",
        b"<html><body>502</body></html>",
        _in_text(line, b"\t"),  # a control character must be escaped
        line + line,
    )[bits % 8]


def _wrong_text(line: bytes, bits: int) -> bytes:
    return _replace_text(line, (b'["a","b"]', b'{"full":"a"}', b"true", b"12.5")[bits & 3])


def _wrong_id(line: bytes, bits: int) -> bytes:
    return _replace_id(line, (b'["1"]', b'{"$oid":"1"}', b"true")[bits % 3])


def _bad_bytes(line: bytes, bits: int) -> bytes:
    return _in_text(line, (b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\xbd", b"caf\xe9 ", b"\xf0\x9f\x98", b"\x80")[bits % 6])


def _lone_surrogate(line: bytes, bits: int) -> bytes:
    return _in_text(line, (b"\\ud83d ", b"\\ude42", b"\\udfff\\ud800")[bits % 3])


def _bad_time(line: bytes, bits: int) -> bytes:
    times = (
        "yesterday",
        "2026-13-45T99:00:00Z",
        "0000-00-00T00:00:00Z",
        "99999-01-01T00:00:00Z",
        "1899-12-31T00:00:00Z",
    )
    return _replace_time(line, json.dumps(times[bits % len(times)]))


def _deep(line: bytes, bits: int) -> bytes:
    head, _, _ = line.partition(b'"extra":')
    depth = DEPTH + bits % 2000
    return head + b'"extra":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"


_WAYS = (
    ("bad_json", (_cut, _not_json)),
    ("bad_encoding", (_bad_bytes, _lone_surrogate)),
    ("bad_type", (_wrong_text, _wrong_id, lambda line, bits: _replace_time(line, '{"$date":0}'))),
    ("bad_time", (_bad_time,)),
    (
        "missing_id",
        (lambda line, bits: _replace_id(line, b"null"), lambda line, bits: b"{" + line[line.index(b'"author_id"') :]),
    ),
    ("missing_text", (lambda line, bits: _replace_text(line, b"null"),)),
    ("nul", (lambda line, bits: _in_text(line, b"\\u0000"), lambda line, bits: _in_text(line, b"\0"))),
    ("too_deep", (_deep,)),
)
