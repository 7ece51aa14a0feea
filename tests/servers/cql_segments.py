"""The segments that CQL's protocol is sent in from its version 5 on, each with two checksums, not compressed.

https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v5.spec (section 2.2)
"""

from __future__ import annotations

import socket
import zlib

from tests.servers.sockets import exactly

_PAYLOAD_MAX = (1 << 17) - 1
_SELF_CONTAINED = 1 << 17
_CRC24_START, _CRC24_POLYNOMIAL = 0x875060, 0x1974F0B
_CRC32_START = zlib.crc32(b"\xfa\x2d\x55\xca")


class Segments:
    """A socket's bytes, without the segments that they come in and with those that they go out in."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._left = b""

    def recv(self, count: int) -> bytes:
        """Return up to *count* bytes; several messages may be in one segment, or one in several."""
        if not self._left:
            header = exactly(self._connection, 6)
            assert header[3:] == _crc24(header[:3]), "a header is broken"
            length = int.from_bytes(header[:3], "little") & _PAYLOAD_MAX
            payload = exactly(self._connection, length)
            sum_ = exactly(self._connection, 4)
            assert sum_ == _crc32(payload), "a payload is broken"
            self._left = payload
        taken, self._left = self._left[:count], self._left[count:]
        return taken

    def sendall(self, message: bytes) -> None:
        """Send one message, in as many segments as it needs."""
        parts = [message[start : start + _PAYLOAD_MAX] for start in range(0, len(message), _PAYLOAD_MAX)]
        for part in parts:
            header = (len(part) | (_SELF_CONTAINED if len(parts) == 1 else 0)).to_bytes(3, "little")
            self._connection.sendall(header + _crc24(header) + part + _crc32(part))


def _crc24(header: bytes) -> bytes:
    crc = _CRC24_START
    for byte in header:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= _CRC24_POLYNOMIAL
    return crc.to_bytes(3, "little")


def _crc32(payload: bytes) -> bytes:
    return zlib.crc32(payload, _CRC32_START).to_bytes(4, "little")
