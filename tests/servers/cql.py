"""A server that speaks Cassandra's protocol: what the driver needs to connect, and answers by the name of the table.

https://cassandra.apache.org/doc/latest/cassandra/reference/native-protocol.html (versions 4 and 5)
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import struct
import threading
from typing import Any, NamedTuple

from tests.servers.cql_segments import Segments
from tests.servers.sockets import Server, exactly

_ERROR, _STARTUP, _READY, _OPTIONS, _SUPPORTED, _QUERY = 0, 1, 2, 5, 6, 7
_RESULT, _PREPARE, _EXECUTE, _REGISTER, _BATCH = 8, 9, 10, 11, 13
_VOID, _ROWS, _SET_KEYSPACE, _PREPARED = 1, 2, 3, 4
_INT, _UUID, _TEXT, _INET, _SET_OF_TEXT = 0x09, 0x0C, 0x0D, 0x10, 0x22
_PROTOCOL, _UNAVAILABLE, _WRITE_TIMEOUT, _READ_TIMEOUT, _SYNTAX, _INVALID, _UNPREPARED = (
    *(0x0A, 0x1000, 0x1100, 0x1200),
    *(0x2000, 0x2200, 0x2500),
)
_QUORUM = 4

_ID = bytes(15) + b"\x07"
_LOCALHOST = b"\x7f\0\0\1"
_NODE = {
    "key": (_TEXT, b"local"),
    "cluster_name": (_TEXT, b"shop"),
    "data_center": (_TEXT, b"dc1"),
    "rack": (_TEXT, b"r1"),
    "release_version": (_TEXT, b"3.11.4"),
    "partitioner": (_TEXT, b"org.apache.cassandra.dht.Murmur3Partitioner"),
    "cql_version": (_TEXT, b"3.4.4"),
    "host_id": (_UUID, _ID),
    "schema_version": (_UUID, _ID),
    "rpc_address": (_INET, _LOCALHOST),
    "broadcast_address": (_INET, _LOCALHOST),
    "listen_address": (_INET, _LOCALHOST),
    "tokens": (_SET_OF_TEXT, b"\0\0\0\1\0\0\0\x010"),
}
PEOPLE = [("ann", 31), ("bob", 42), ("cyd", 53), ("dan", 64), ("eve", 75)]


class Options(NamedTuple):
    """What a client says about how its statement is to be run."""

    consistency: int
    page_size: int
    page_from: int


class CqlServer(Server):
    """Answers ``SELECT ... FROM people`` with rows, in pages, and everything else with nothing.

    The tables ``unavailable``, ``read_timeout``, ``write_timeout``, ``missing`` and ``closes`` fail as they are called,
    ``slow`` answers when ``released`` is set, ``nonsense`` is a syntax error. ``forget()`` makes prepared statements
    unknown, as a restart does. *version* is the newest of the protocol that it speaks.
    """

    def __init__(self, version: int = 5) -> None:
        super().__init__(_Connection)
        self.version = version
        self.spoken: set[int] = set()  # once a client has started
        self.statements: list[str] = []
        self.prepared: dict[bytes, str] = {}
        self.released = threading.Event()
        self.last: Options | None = None

    def forget(self) -> None:
        """Forget all prepared statements."""
        self.prepared.clear()

    def ended(self) -> None:
        """Let go of those that wait."""
        self.released.set()

    def reply(self, version: int, operation: int, body: bytes) -> tuple[int, bytes]:
        """Return the operation code and body of the answer to a request."""
        if operation == _OPTIONS:
            return _SUPPORTED, struct.pack(">H", 2) + _string("CQL_VERSION") + struct.pack(">H", 1) + _string(
                "3.4.4"
            ) + (_string("COMPRESSION") + struct.pack(">H", 0))
        if operation in (_STARTUP, _REGISTER):
            return _READY, b""
        if operation == _QUERY:
            (length,) = struct.unpack_from(">i", body)
            return self._run(body[4 : 4 + length].decode(), _options(version, body[4 + length :]))
        if operation == _PREPARE:
            (length,) = struct.unpack_from(">i", body)
            return self._prepare(version, body[4 : 4 + length].decode())
        if operation == _EXECUTE:
            (length,) = struct.unpack_from(">H", body)
            statement = self.prepared.get(body[2 : 2 + length])
            if statement is None:
                return _error(_UNPREPARED, "unknown statement", body[: 2 + length])
            position = 2 + length
            if version > 4:  # the id of the result's columns, as they were when it was prepared
                position += 2 + struct.unpack_from(">H", body, position)[0]
            return self._run(statement, _options(version, body[position:]))
        if operation == _BATCH:
            return self._batch(body)
        return _error(_PROTOCOL, f"unknown operation {operation}")

    def _prepare(self, version: int, statement: str) -> tuple[int, bytes]:
        number = struct.pack(">q", hash(statement))
        self.prepared[number] = statement
        count = statement.count("?")
        columns = b"".join(_string(f"p{index}") + struct.pack(">H", _TEXT) for index in range(count))
        of = _string("shop") + _string("people")
        nothing_known = struct.pack(">ii", 4, 0)  # of the result, until it is there
        about = struct.pack(">iii", 1, count, 0) + of + columns + nothing_known
        name = struct.pack(">H", len(number)) + number
        return _RESULT, struct.pack(">i", _PREPARED) + name + (name if version > 4 else b"") + about

    def _batch(self, body: bytes) -> tuple[int, bytes]:
        _, count = struct.unpack_from(">BH", body)
        position = 3
        for _ in range(count):
            kind = body[position]
            (length,) = struct.unpack_from(">H" if kind else ">i", body, position + 1)
            position += 3 if kind else 5
            text = body[position : position + length]
            self.statements.append(self.prepared[text] if kind else text.decode())
            position = _after_values(body, position + length)
        return self._answer(self.statements[-1], Options(struct.unpack_from(">H", body, position)[0], 0, 0))

    def _run(self, statement: str, options: Options) -> tuple[int, bytes]:
        self.last = options
        if " system" not in statement:
            self.statements.append(statement)
        return self._answer(statement, self.last)

    def _answer(self, statement: str, options: Options) -> tuple[int, bytes]:
        table = (re.search(r"\b(?:FROM|INTO|UPDATE|USE) ([\w.\"]+)", statement) or ["", ""])[1].strip('"')
        if table == "system.local":
            return _rows(
                table, {name: kind for name, (kind, _) in _NODE.items()}, [[text for _, text in _NODE.values()]]
            )
        if table.startswith("system"):
            return _rows("system.peers", {"peer": _INET}, [])
        if statement.startswith("USE"):
            return _RESULT, struct.pack(">i", _SET_KEYSPACE) + _string(table)
        if table == "unavailable":
            return _error(_UNAVAILABLE, "Cannot achieve consistency level", struct.pack(">Hii", _QUORUM, 2, 1))
        if table == "read_timeout":
            return _error(_READ_TIMEOUT, "Operation timed out", struct.pack(">HiiB", _QUORUM, 1, 2, 1))
        if table == "write_timeout":
            late = struct.pack(">Hii", _QUORUM, 1, 2) + _string("SIMPLE")
            return _error(_WRITE_TIMEOUT, "Operation timed out", late)
        if table == "missing":
            return _error(_INVALID, "unconfigured table missing")
        if table == "nonsense":
            return _error(_SYNTAX, "line 1:9 no viable alternative at input 'secret'")
        if table == "closes":
            raise ConnectionAbortedError
        if not statement.startswith("SELECT"):
            return _RESULT, struct.pack(">i", _VOID)
        until = options.page_from + (options.page_size or len(PEOPLE))
        shown = [[name.encode(), struct.pack(">i", age)] for name, age in PEOPLE[options.page_from : until]]
        return _rows("shop.people", {"name": _TEXT, "age": _INT}, shown, until if until < len(PEOPLE) else 0)


class _Connection(socketserver.BaseRequestHandler):
    server: Any
    request: socket.socket

    def handle(self) -> None:
        owner: CqlServer = self.server.owner
        sending = threading.Lock()
        stream: Any = self.request  # or the segments on it

        def answer(version: int, number: int, operation: int, body: bytes) -> None:
            if operation == _QUERY and b" FROM slow" in body:
                owner.released.wait(10)
            send(version, number, *owner.reply(version, operation, body))

        def send(version: int, number: int, code: int, body: bytes) -> None:
            with sending:
                stream.sendall(struct.pack(">BBhBi", 0x80 | version, 0, number, code, len(body)) + body)

        def late(*request: Any) -> None:
            with contextlib.suppress(OSError):  # the client has given up
                answer(*request)

        waiting = []
        try:
            while True:
                version, _, number, operation, length = struct.unpack(">BBhBi", exactly(stream, 9))
                body = exactly(stream, length)
                if version > owner.version:  # as a real node does, in the version it has
                    highest = f"Invalid or unsupported protocol version ({version}); highest is {owner.version}"
                    send(owner.version, number, *_error(_PROTOCOL, highest))
                elif operation == _QUERY and b" FROM slow" in body:
                    waiting.append(threading.Thread(target=late, args=(version, number, operation, body)))
                    waiting[-1].start()
                else:
                    answer(version, number, operation, body)
                    if operation == _STARTUP:
                        owner.spoken.add(version)
                        stream = Segments(self.request) if version > 4 else self.request
        except OSError:
            pass
        finally:
            for thread in waiting:
                thread.join(10)


def _options(version: int, body: bytes) -> Options:
    kind = ">Hi" if version > 4 else ">HB"
    consistency, flags = struct.unpack_from(kind, body)
    position = struct.calcsize(kind)
    if flags & 0x01:
        position = _after_values(body, position)
    page_size = page_from = 0
    if flags & 0x04:
        (page_size,) = struct.unpack_from(">i", body, position)
        position += 4
    if flags & 0x08:
        (page_from,) = struct.unpack_from(">i", body, position + 4)
    return Options(consistency, page_size, page_from)


def _after_values(body: bytes, position: int) -> int:
    (count,) = struct.unpack_from(">H", body, position)
    position += 2
    for _ in range(count):
        (length,) = struct.unpack_from(">i", body, position)
        position += 4 + max(length, 0)
    return position


def _rows(table: str, columns: dict[str, int], rows: list[list[bytes]], more_from: int = 0) -> tuple[int, bytes]:
    keyspace, _, name = table.partition(".")
    about = struct.pack(">ii", 3 if more_from else 1, len(columns))
    if more_from:
        about += struct.pack(">ii", 4, more_from)
    about += _string(keyspace) + _string(name)
    for column, kind in columns.items():
        about += _string(column) + struct.pack(">H", kind) + (struct.pack(">H", _TEXT) if kind == _SET_OF_TEXT else b"")
    values = b"".join(struct.pack(">i", len(value)) + value for row in rows for value in row)
    return _RESULT, struct.pack(">i", _ROWS) + about + struct.pack(">i", len(rows)) + values


def _error(code: int, message: str, details: bytes = b"") -> tuple[int, bytes]:
    return _ERROR, struct.pack(">i", code) + _string(message) + details


def _string(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()
