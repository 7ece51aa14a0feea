"""A strict decoder of pprof: it refuses a profile at the first thing that is wrong, and says where that is.

https://github.com/google/pprof/blob/main/proto/profile.proto
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from ddmiddleware.collector.ids import I64_MAX
from ddmiddleware.collector.protobuf import WireError, fields, signed, varints

T = TypeVar("T")

MAX_SAMPLES = 200_000
MAX_DEPTH = 2_048
MAX_LABELS = 64
MAX_TYPES = 64
MAX_TEXT = 1_000

_TYPE, _SAMPLE, _LOCATION, _FUNCTION, _STRING, _TIME, _DURATION, _COMMENT = 1, 2, 4, 5, 6, 9, 10, 13


class PprofError(ValueError):
    """The bytes are no profile; the message says what is wrong and where."""


class Frame(NamedTuple):
    """A function, its file, and a line in it; 0 where the line is not known."""

    name: str
    file: str
    line: int


class Sample(NamedTuple):
    """A stack of indices of frames, the root first; values in the order of the types; labels."""

    stack: list[int]
    values: list[int]
    labels: dict[str, str | int]


@dataclass(slots=True)
class Pprof:
    """A decoded profile. Times are nanoseconds since the Unix epoch, 0 where it says nothing."""

    types: list[tuple[str, str]]
    frames: list[Frame]
    samples: list[Sample]
    start_ns: int
    duration_ns: int
    comments: list[str]


def decode(body: bytes) -> Pprof:
    """Decode an uncompressed profile; raise PprofError."""
    reader = _Reader()
    place = "profile"
    counts = dict.fromkeys((_TYPE, _SAMPLE, _LOCATION, _FUNCTION, _STRING), 0)
    names = {_TYPE: "sample type", _SAMPLE: "sample", _LOCATION: "location", _FUNCTION: "function", _STRING: "string"}
    try:
        for number, value in fields(body):
            if number in names:
                place = f"{names[number]} {counts[number]}"
                counts[number] += 1
                reader.keep(number, _bytes(value))
            elif number in (_TIME, _DURATION, _COMMENT):
                reader.number(number, value)
            place = "profile"
        place = "profile"
        return reader.profile()
    except (WireError, ValueError) as error:
        if isinstance(error, PprofError):
            raise
        raise PprofError(f"{place}: {error}") from None


class _Reader:
    """Keeps the messages until all are there, for their order is free and each points to others."""

    def __init__(self) -> None:
        self._messages: dict[int, list[bytes]] = {_TYPE: [], _SAMPLE: [], _LOCATION: [], _FUNCTION: [], _STRING: []}
        self._numbers = {_TIME: 0, _DURATION: 0}
        self._comments: list[int] = []
        self._strings: list[str] = []
        self._keys: dict[int, str] = {}

    def keep(self, number: int, message: bytes) -> None:
        kept = self._messages[number]
        if number == _SAMPLE and len(kept) == MAX_SAMPLES:
            raise ValueError(f"there are more than {MAX_SAMPLES} samples")
        if number == _TYPE and len(kept) == MAX_TYPES:
            raise ValueError(f"there are more than {MAX_TYPES} sample types")
        kept.append(message)

    def number(self, number: int, value: int | bytes) -> None:
        if number == _COMMENT:
            self._comments += varints(value) if isinstance(value, bytes) else [value]
        else:
            self._numbers[number] = signed(_int(value))

    def profile(self) -> Pprof:
        self._strings = [message.decode("utf-8", "replace") for message in self._messages[_STRING]]
        if not self._strings or self._strings[0]:
            raise PprofError("string 0: must be there, and empty")
        types = [self._of(_TYPE, "sample type", index, self._type) for index in range(len(self._messages[_TYPE]))]
        if not types:
            raise PprofError("profile: it has no sample type")
        if len({name for name, _ in types}) != len(types):
            raise PprofError("profile: two sample types have the same name")
        functions: dict[int, tuple[str, str]] = {}
        for index in range(len(self._messages[_FUNCTION])):
            number, function = self._of(_FUNCTION, "function", index, self._function)
            if number in functions:
                raise PprofError(f"function {index}: the id {number} is taken")
            functions[number] = function
        known: dict[Frame, int] = {}
        locations: dict[int, list[int]] = {}
        for index in range(len(self._messages[_LOCATION])):
            number, found = self._of(_LOCATION, "location", index, lambda message: _location(message, functions))
            if number in locations:
                raise PprofError(f"location {index}: the id {number} is taken")
            locations[number] = [known.setdefault(frame, len(known)) for frame in found]
        samples = [
            self._of(_SAMPLE, "sample", index, lambda message: self._sample(message, locations, len(types)))
            for index in range(len(self._messages[_SAMPLE]))
        ]
        start_ns, duration_ns = self._numbers[_TIME], self._numbers[_DURATION]
        if start_ns < 0 or duration_ns < 0 or start_ns + duration_ns > I64_MAX:
            raise PprofError("profile: its time or its duration is negative or too large")
        comments = [self._string(index, "a comment") for index in self._comments[:MAX_LABELS]]
        return Pprof(types, list(known), samples, start_ns, duration_ns, comments)

    def _of(self, number: int, name: str, index: int, read: Callable[[bytes], T]) -> T:
        try:
            return read(self._messages[number][index])
        except PprofError:
            raise
        except ValueError as error:
            raise PprofError(f"{name} {index}: {error}") from None

    def _string(self, index: int, what: str) -> str:
        if not 0 <= index < len(self._strings):
            raise ValueError(f"{what} points to string {index} of {len(self._strings)}")
        return self._strings[index]

    def _type(self, message: bytes) -> tuple[str, str]:
        name = unit = 0
        for number, value in fields(message):
            if number == 1:
                name = _int(value)
            elif number == 2:
                unit = _int(value)
        if not name:
            raise ValueError("it has no name")
        return self._string(name, "its name")[:MAX_TEXT], self._string(unit, "its unit")[:MAX_TEXT]

    def _function(self, message: bytes) -> tuple[int, tuple[str, str]]:
        identity = name = file = 0
        for number, value in fields(message):
            if number == 1:
                identity = _int(value)
            elif number == 2:
                name = _int(value)
            elif number == 4:
                file = _int(value)
        if not identity:
            raise ValueError("its id must not be 0")
        return identity, (self._string(name, "its name")[:MAX_TEXT], self._string(file, "its file")[:MAX_TEXT])

    def _sample(self, message: bytes, locations: dict[int, list[int]], types: int) -> Sample:
        ids: list[int] = []
        values: list[int] = []
        labels: dict[str, str | int] = {}
        for number, value in fields(message):
            if number == 1:
                ids += varints(value) if isinstance(value, bytes) else [value]
            elif number == 2:
                values += varints(value) if isinstance(value, bytes) else [value]
            elif number == 3:
                key, label = self._label(_bytes(value))
                labels[key] = label
                if len(labels) > MAX_LABELS:
                    raise ValueError(f"it has more than {MAX_LABELS} labels")
        if len(values) != types:
            raise ValueError(f"it has {len(values)} values, and there are {types} sample types")
        if max(values) > I64_MAX:
            raise ValueError("a value is negative")
        stack: list[int] = []
        for identity in reversed(ids):
            frames = locations.get(identity)
            if frames is None:
                raise ValueError(f"there is no location {identity}")
            stack += frames
        if len(stack) > MAX_DEPTH:
            raise ValueError(f"its stack has more than {MAX_DEPTH} frames")
        return Sample(stack, values, labels)

    def _label(self, message: bytes) -> tuple[str, str | int]:
        key = text = count = 0
        for number, value in fields(message):
            if number == 1:
                key = _int(value)
            elif number == 2:
                text = _int(value)
            elif number == 3:
                count = signed(_int(value))
        if not key:
            raise ValueError("a label has no key")
        return self._string(key, "a label's key"), self._string(text, "a label") if text else count


def _location(message: bytes, functions: dict[int, tuple[str, str]]) -> tuple[int, list[Frame]]:
    """Return the location's id and its frames, the caller first: inlined functions share one location."""
    identity = address = 0
    frames: list[Frame] = []
    for number, value in fields(message):
        if number == 1:
            identity = _int(value)
        elif number == 3:
            address = _int(value)
        elif number == 4:
            frames.append(_line(_bytes(value), functions))
    if not identity:
        raise ValueError("its id must not be 0")
    if len(frames) > MAX_LABELS:
        raise ValueError(f"it has more than {MAX_LABELS} lines")
    return identity, frames[::-1] or [Frame(f"0x{address:x}", "", 0)]


def _line(message: bytes, functions: dict[int, tuple[str, str]]) -> Frame:
    function = line = 0
    for number, value in fields(message):
        if number == 1:
            function = _int(value)
        elif number == 2:
            line = signed(_int(value))
    if function not in functions:
        raise ValueError(f"there is no function {function}")
    if not 0 <= line < 2**31:
        raise ValueError("a line is negative, or beyond any file's end")
    return Frame(*functions[function], line)


def _int(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("there are bytes where a number must be")
    return value


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("there is a number where bytes must be")
    return value
