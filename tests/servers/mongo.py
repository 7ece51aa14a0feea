"""A server that speaks MongoDB's wire protocol: what the driver needs to connect, and documents in memory.

https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ (OP_MSG; OP_QUERY for the first hello)
"""

from __future__ import annotations

import contextlib
import socketserver
import struct
import threading
from typing import Any

import bson

from tests.servers.sockets import Server, exactly

Document = dict[str, Any]
_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_UNACKNOWLEDGED = 2  # the flag moreToCome
_BATCH = 2


class MongoServer(Server):
    """Keeps inserted documents, finds those with equal fields, in batches of two.

    The collection ``slow`` is answered when ``released`` is set, ``closes`` closes the connection, ``fails`` is an
    error.
    """

    def __init__(self) -> None:
        super().__init__(_Connection)
        self.documents: dict[str, list[Document]] = {}
        self.commands: list[Document] = []
        self.released = threading.Event()
        self._cursors: dict[int, tuple[str, list[Document]]] = {}

    def ended(self) -> None:
        """Let go of those that wait."""
        self.released.set()

    def reply(self, command: Document) -> Document:
        """Return the answer to a command."""
        name = next(iter(command))
        if name.lower() in ("hello", "ismaster"):
            limits = {"maxBsonObjectSize": 1 << 24, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000}
            return {
                "ok": 1.0,
                "isWritablePrimary": True,
                "ismaster": True,
                "logicalSessionTimeoutMinutes": 30,
                "minWireVersion": 0,
                "maxWireVersion": 25,
                **limits,
            }
        self.commands.append(command)
        collection = str(command.get("collection", command[name]))
        if collection == "slow":
            self.released.wait(10)
        if collection == "closes":
            raise ConnectionAbortedError
        if collection == "fails":
            return {"ok": 0.0, "errmsg": "unknown operator: $nope", "code": 2, "codeName": "BadValue"}
        answer = getattr(self, f"_{name}", None)
        if answer is None:
            return {"ok": 0.0, "errmsg": f"no such command: '{name}'", "code": 59, "codeName": "CommandNotFound"}
        found: Document = answer(command, collection)
        return {"ok": 1.0, **found}

    def _insert(self, command: Document, collection: str) -> Document:
        kept = self.documents.setdefault(collection, [])
        for index, document in enumerate(command["documents"]):
            if any(document["_id"] == other["_id"] for other in kept):
                return {"n": index, "writeErrors": [_duplicate(index, f"{command['$db']}.{collection}", document)]}
            kept.append(document)
        return {"n": len(command["documents"])}

    def _matching(self, collection: str, query: Document) -> list[Document]:
        kept = self.documents.get(collection, [])
        return [document for document in kept if all(document.get(key) == value for key, value in query.items())]

    def _find(self, command: Document, collection: str) -> Document:
        found = self._matching(collection, command.get("filter", {}))
        return self._batch(f"{command['$db']}.{collection}", found[: command.get("limit") or None], "firstBatch")

    def _aggregate(self, command: Document, collection: str) -> Document:
        matched = [stage["$match"] for stage in command["pipeline"] if "$match" in stage]
        found = self._matching(collection, matched[0] if matched else {})
        return self._batch(f"{command['$db']}.{collection}", found, "firstBatch")

    def _getMore(self, command: Document, _collection: str) -> Document:
        namespace, rest = self._cursors.pop(command["getMore"])
        return self._batch(namespace, rest, "nextBatch")

    def _batch(self, namespace: str, documents: list[Document], name: str) -> Document:
        number = 0
        if len(documents) > _BATCH:
            number = len(self.commands) + 1000
            self._cursors[number] = (namespace, documents[_BATCH:])
        return {"cursor": {"id": bson.Int64(number), "ns": namespace, name: documents[:_BATCH]}}

    def _update(self, command: Document, collection: str) -> Document:
        changed = 0
        for update in command["updates"]:
            for document in self._matching(collection, update["q"]):
                document.update(update["u"].get("$set", {}))
                changed += 1
        return {"n": changed, "nModified": changed}

    def _delete(self, command: Document, collection: str) -> Document:
        gone = [document for delete in command["deletes"] for document in self._matching(collection, delete["q"])]
        self.documents[collection] = [kept for kept in self.documents.get(collection, []) if kept not in gone]
        return {"n": len(gone)}

    def _bulkWrite(self, command: Document, _collection: str) -> Document:
        """Answer the client's bulk write, which may be of several collections; only inserts are known."""
        inserts = [operation for operation in command["ops"] if "insert" in operation]
        if len(inserts) < len(command["ops"]):
            return {"ok": 0.0, "errmsg": "only inserts are known", "code": 238, "codeName": "NotImplemented"}
        for operation in inserts:
            collection = command["nsInfo"][operation["insert"]]["ns"].partition(".")[2]
            self.documents.setdefault(collection, []).append(operation["document"])
        done: list[Document] = [{"ok": 1.0, "idx": index, "n": 1} for index in range(len(inserts))]
        counts = dict.fromkeys(("nErrors", "nMatched", "nModified", "nUpserted", "nDeleted"), 0)
        batch = {"cursor": {"id": bson.Int64(0), "ns": "admin.$cmd.bulkWrite", "firstBatch": done}}
        return {**batch, **counts, "nInserted": len(inserts)}

    def _nothing(self, _command: Document, _collection: str) -> Document:
        return {}

    _ping = _endSessions = _killCursors = _drop = _nothing


def _duplicate(index: int, namespace: str, document: Document) -> Document:
    number = document["_id"]
    shown = f'"{number}"' if isinstance(number, str) else number
    message = f"E11000 duplicate key error collection: {namespace} index: _id_ dup key: {{ _id: {shown} }}"
    return {"index": index, "code": 11000, "errmsg": message, "keyPattern": {"_id": 1}, "keyValue": {"_id": number}}


class _Connection(socketserver.BaseRequestHandler):
    server: Any

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                length, request, _, operation = struct.unpack("<iiii", exactly(self.request, 16))
                body = exactly(self.request, length - 16)
                answered, flags = self._answer(operation, body)
                if not flags & _UNACKNOWLEDGED:
                    reply = _OP_MSG if operation == _OP_MSG else _OP_REPLY
                    self.request.sendall(struct.pack("<iiii", 16 + len(answered), 1, request, reply) + answered)

    def _answer(self, operation: int, body: bytes) -> tuple[bytes, int]:
        owner: MongoServer = self.server.owner
        if operation == _OP_QUERY:
            name_end = body.index(b"\0", 4)
            answered = bson.encode(owner.reply(bson.decode(body[name_end + 9 :])))
            return struct.pack("<iqii", 8, 0, 0, 1) + answered, 0
        (flags,) = struct.unpack_from("<i", body)
        return struct.pack("<iB", 0, 0) + bson.encode(owner.reply(_command(body))), flags


def _command(body: bytes) -> Document:
    """Read the sections of an OP_MSG: the command, and the lists of documents that belong to it."""
    command: Document = {}
    position = 4
    while position < len(body):
        kind = body[position]
        (length,) = struct.unpack_from("<i", body, position + 1)
        section = body[position + 1 : position + 1 + length]
        if kind == 0:
            command.update(bson.decode(section))
        else:
            end = section.index(b"\0", 4)
            command[section[4:end].decode()] = bson.decode_all(section[end + 1 :])
        position += 1 + length
    return command
