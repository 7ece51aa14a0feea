"""Messages of Protocol Buffers, read field by field.

https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator

_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5


class WireError(ValueError):
    """The bytes are no message; what is wrong and at which byte of it."""


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield each field's number and its value, an unsigned number or bytes; raise WireError.

    Fields of a fixed size are left out: no message that is read here has one.
    """
    at, end = 0, len(data)
    while at < end:
        start = at
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise WireError(f"byte {start}: a field has the number 0")
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
        elif wire == _LEN:
            size, at = _varint(data, at)
            if size > end - at:
                raise WireError(f"byte {start}: field {number} is longer than what is left")
            yield number, data[at : at + size]
            at += size
        elif wire in (_I64, _I32):
            at += 8 if wire == _I64 else 4
            if at > end:
                raise WireError(f"byte {start}: field {number} is longer than what is left")
        else:
            raise WireError(f"byte {start}: field {number} has the wire type {wire}, which is not known")


def varints(data: bytes) -> list[int]:
    """Return the unsigned numbers of a packed field; raise WireError."""
    if data.isascii():  # each of them is one byte
        return list(data)
    found = []
    at, end = 0, len(data)
    while at < end:
        byte = data[at]
        if byte < 128:
            found.append(byte)
            at += 1
        else:
            number, at = _varint(data, at)
            found.append(number)
    return found


def signed(number: int) -> int:
    """Return an int64 that was read as unsigned."""
    return number - 2**64 if number >= 2**63 else number


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at a byte, and where the next one begins."""
    start = at
    number = shift = 0
    while True:
        if at >= len(data):
            raise WireError(f"byte {start}: the message ends within a number")
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift > 63:
            raise WireError(f"byte {start}: a number has more than 64 bits")
    if number >= 2**64:
        raise WireError(f"byte {start}: a number has more than 64 bits")
    return number, at
