"""Uploads of profiles as profilers send them."""

from __future__ import annotations

import gzip
import json
import time
from datetime import datetime, timezone
from typing import Any

SECOND = 10**9
BOUNDARY = "a-boundary"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"

Stack = tuple[tuple[str, str, int], ...]


class Profile:
    """Writes pprof field by field, so that a test can say anything."""

    def __init__(self, *types: tuple[str, str]) -> None:
        self.strings = [""]
        self.fields: list[tuple[int, int | bytes]] = []
        self.functions: dict[tuple[str, str], int] = {}
        self.locations: dict[tuple[str, str, int], int] = {}
        for name, unit in types:
            self.fields.append((1, message((1, self.text(name)), (2, self.text(unit)))))

    def text(self, text: str) -> int:
        if text not in self.strings:
            self.strings.append(text)
        return self.strings.index(text)

    def sample(self, stack: Stack, *values: int, **labels: str | int) -> Profile:
        """Add a sample; the stack's root comes first, and an underscore in a label is a space."""
        ids = [self.location(frame) for frame in reversed(stack)]
        named = [self.label(key.replace("_", " "), value) for key, value in labels.items()]
        body = message((1, packed(*ids)), (2, packed(*values)), *((3, label) for label in named))
        self.fields.append((2, body))
        return self

    def label(self, key: str, value: str | int) -> bytes:
        if isinstance(value, str):
            return message((1, self.text(key)), (2, self.text(value)))
        return message((1, self.text(key)), (3, value))

    def location(self, frame: tuple[str, str, int]) -> int:
        name, file, line = frame
        if frame not in self.locations:
            function = self.functions.get((name, file))
            if function is None:
                function = self.functions[name, file] = len(self.functions) + 1
                self.fields.append((5, message((1, function), (2, self.text(name)), (4, self.text(file)))))
            self.locations[frame] = len(self.locations) + 1
            self.fields.append((4, message((1, len(self.locations)), (4, message((1, function), (2, line))))))
        return self.locations[frame]

    def encode(self) -> bytes:
        return message(*self.fields, *((6, text.encode()) for text in self.strings))


def message(*fields: tuple[int, int | bytes]) -> bytes:
    """Encode a message of Protocol Buffers."""
    parts = []
    for number, value in fields:
        if isinstance(value, bytes):
            parts.append(varint(number << 3 | 2) + varint(len(value)) + value)
        else:
            parts.append(varint(number << 3) + varint(value))
    return b"".join(parts)


def packed(*numbers: int) -> bytes:
    return b"".join(map(varint, numbers))


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes((*found, number))


def iso(time_ns: int) -> str:
    whole = datetime.fromtimestamp(time_ns // SECOND, timezone.utc)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{time_ns % SECOND:09d}Z"


def event(**changes: Any) -> dict[str, Any]:
    """Return an event of a minute that ends now; tags are those of `tags`, as text."""
    now = time.time_ns()
    found = {"start": iso(now - 60 * SECOND), "end": iso(now), "family": "python", "version": "4", **changes}
    tags = {"service": "shop", "env": "test", "runtime-id": "one", **found.pop("tags", {})}
    return {"tags_profiler": ",".join(f"{key}:{value}" for key, value in tags.items()), **found}


def body(profile: Profile | bytes, **changes: Any) -> bytes:
    """Return the body of an upload; bytes are the file as it is."""
    content = profile if isinstance(profile, bytes) else gzip.compress(profile.encode())
    described = json.dumps(event(**changes)).encode()
    return multipart(("event", "event.json", described), ("profile.pprof", "profile.pprof", content))


def multipart(*parts: tuple[str, str, bytes]) -> bytes:
    found = []
    for name, file, content in parts:
        named = f'form-data; name="{name}"' + (f'; filename="{file}"' if file else "")
        found.append(f"--{BOUNDARY}\r\nContent-Disposition: {named}\r\n\r\n".encode() + content + b"\r\n")
    return b"".join((*found, f"--{BOUNDARY}--\r\n".encode()))
