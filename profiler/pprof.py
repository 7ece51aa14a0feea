"""A profile as pprof: Protocol Buffers by hand, compressed with gzip.

https://github.com/google/pprof/blob/main/proto/profile.proto: the numbers of the fields. The names of labels and sample
types are Datadog's (``samples.py``).
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator

from ddmiddleware.profiling.samples import NUMERIC_LABELS, UNITS, Frame, Profile, Sample
from ddmiddleware.tracing import field_bytes, field_number, varint

_SAMPLE_TYPE, _SAMPLE, _LOCATION, _FUNCTION, _STRING, _TIME, _DURATION, _COMMENT, _DEFAULT_TYPE = (
    1,
    2,
    4,
    5,
    6,
    9,
    10,
    13,
    14,
)
# What a reader shows first, and what a profile without a sample is said to hold.
_FIRST = ("cpu-time", "wall-time")
_SLICE = 200  # samples, after which other threads get their turn
_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 1  # half the time of 6, for files that are 8 % larger
_CACHED = 1 << 12

_VARINTS = [varint(number) for number in range(_CACHED)]


def encode(profile: Profile) -> bytes:
    """Return *profile* as the content of a ``.pprof`` file; it takes turns with other threads."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    packed = [packer.compress(part) for part in _Writer(profile).parts()]
    packed.append(packer.flush())
    return b"".join(packed)


class _Writer:
    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._strings = {"": 0}
        self._functions: dict[tuple[str, str], int] = {}
        self._locations: dict[Frame, int] = {}
        self._labels: dict[tuple[str, str | int], bytes] = {}
        self._known: dict[int, bytes] = {}  # by the identity of a frame, which the profile keeps alive
        self._keys: dict[str, bytes] = {}
        present = {name for sample in profile.samples for name in sample.values}
        self._types = [name for name in UNITS if name in present] or list(_FIRST)

    def parts(self) -> Iterator[bytes]:
        """Yield the message in pieces; their order is free (Protocol Buffers, "Field Order")."""
        for name in self._types:
            yield field_bytes(_SAMPLE_TYPE, self._value_type(name))
        samples = self._profile.samples
        for first in range(0, len(samples), _SLICE):
            yield b"".join(map(self._sample, samples[first : first + _SLICE]))
            time.sleep(0)
        default = next((name for name in _FIRST if name in self._types), self._types[0])
        yield field_number(_DEFAULT_TYPE, self._string(default))
        yield field_number(_TIME, self._profile.start_ns)
        yield field_number(_DURATION, self._profile.end_ns - self._profile.start_ns)
        for key, value in sorted(self._profile.tags.items()):
            yield field_number(_COMMENT, self._string(f"{key}:{value}"))
        yield b"".join(map(self._location, self._locations.items()))
        yield b"".join(map(self._function, self._functions.items()))
        # The last, as all above may add to them.
        yield b"".join(field_bytes(_STRING, text.encode("utf-8", "replace")) for text in self._strings)

    def _string(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings))

    def _value_type(self, name: str) -> bytes:
        return field_number(1, self._string(name)) + field_number(2, self._string(UNITS[name]))

    def _sample(self, sample: Sample) -> bytes:
        values = sample.values
        counted = b"".join([_number(values.get(name, 0)) for name in self._types])
        known = self._labels
        labels = b"".join([known.get(item) or self._label(item) for item in sample.labels.items()])
        # 0x12: field 2, bytes
        body = b"".join((self._stack(sample.stack), b"\x12", _number(len(counted)), counted, labels))
        return b"".join((b"\x12", _number(len(body)), body))

    def _stack(self, stack: tuple[Frame, ...]) -> bytes:
        """Return the ids of the locations; frames are known by their identity first, as hashing one takes longer."""
        try:
            numbers = b"".join(map(self._known.__getitem__, map(id, stack)))
        except KeyError:
            for frame in stack:
                self._known[id(frame)] = _number(self._locations.setdefault(frame, len(self._locations) + 1))
            return self._stack(stack)
        return b"\x0a" + _number(len(numbers)) + numbers  # 0x0a: field 1, bytes

    def _label(self, item: tuple[str, str | int]) -> bytes:
        key, value = item
        body = self._keys.get(key)
        if body is None:
            body = self._keys[key] = field_number(1, self._string(key))
        if key in NUMERIC_LABELS:
            body += b"\x18" + varint(int(value))  # 0x18: field 3, a number
        else:
            body += field_number(2, self._string(str(value)))
        label = self._labels[item] = b"\x1a" + _number(len(body)) + body  # 0x1a: field 3, bytes
        return label

    def _location(self, item: tuple[Frame, int]) -> bytes:
        (name, file, line), number = item
        function = self._functions.setdefault((name, file), len(self._functions) + 1)
        body = field_number(1, function) + field_number(2, line)
        return field_bytes(_LOCATION, field_number(1, number) + field_bytes(4, body))

    def _function(self, item: tuple[tuple[str, str], int]) -> bytes:
        (name, file), number = item
        named, filed = self._string(name), self._string(file)
        body = field_number(1, number) + field_number(2, named)
        return field_bytes(_FUNCTION, body + field_number(3, named) + field_number(4, filed))


def _number(number: int) -> bytes:
    return _VARINTS[number] if 0 <= number < _CACHED else varint(number)
