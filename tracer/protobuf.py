"""Protocol Buffers by hand: what writes a field, and what reads the few that we are answered.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
_SMALL = [bytes((number,)) for number in range(128)]
_UNSIGNED_64 = (1 << 64) - 1
_double = struct.Struct("<d").pack
_fixed64 = struct.Struct("<Q").pack
_fixed32 = struct.Struct("<I").pack


def varint(number: int) -> bytes:
    """Return a whole number of 64 bits; a negative one takes ten bytes (the types int32, int64 and enum)."""
    if 0 <= number < 128:
        return _SMALL[number]
    number &= _UNSIGNED_64
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)


def field_number(field: int, number: int) -> bytes:
    """Return a field of one of the types that are written as varints."""
    return varint(field << 3 | _VARINT) + varint(number)


def field_bytes(field: int, value: bytes) -> bytes:
    """Return a field of bytes, of text in UTF-8, or of a message."""
    return varint(field << 3 | _LEN) + varint(len(value)) + value


def field_text(field: int, value: str) -> bytes:
    """Return a field of text."""
    return field_bytes(field, value.encode())


def field_double(field: int, value: float) -> bytes:
    """Return a field of type double."""
    return varint(field << 3 | _I64) + _double(value)


def field_fixed64(field: int, value: int) -> bytes:
    """Return a field of type fixed64."""
    return varint(field << 3 | _I64) + _fixed64(value)


def field_fixed32(field: int, value: int) -> bytes:
    """Return a field of type fixed32."""
    return varint(field << 3 | _I32) + _fixed32(value)


def read_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and value of each field: a number, or bytes; raise ValueError for what is no message."""
    place = 0
    while place < len(message):
        key, place = _read_varint(message, place)
        kind = key & 7
        if kind == _VARINT:
            number, place = _read_varint(message, place)
            yield key >> 3, number
            continue
        if kind == _LEN:
            size, place = _read_varint(message, place)
        elif kind in (_I64, _I32):
            size = 8 if kind == _I64 else 4
        else:
            raise ValueError(f"no wire type {kind}")
        if place + size > len(message):
            raise ValueError("it ends in the middle of a field")
        yield key >> 3, message[place : place + size]
        place += size


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("it ends in the middle of a number")
        byte = message[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number & _UNSIGNED_64, place
    raise ValueError("a number is longer than ten bytes")
