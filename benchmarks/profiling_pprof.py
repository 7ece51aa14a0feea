"""Reads pprof files of any profiler, and the requests that pyroscope sends them in."""

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import zstandard

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Seen:
    """One sample: bare function names, leaf first, its values by their names, and its labels."""

    stack: tuple[str, ...]
    values: Mapping[str, int]
    labels: Mapping[str, Any]


def plain(content: bytes) -> bytes:
    """*content* without its compression, if it has one."""
    if content.startswith(_GZIP):
        return gzip.decompress(content)
    if content.startswith(_ZSTD):
        return zstandard.ZstdDecompressor().decompressobj().decompress(content)
    return content


def read(content: bytes) -> list[Seen]:
    """The samples of a file; raise where it is none."""
    strings: list[str] = []
    types: list[int] = []
    samples: list[bytes] = []
    lines: dict[int, list[int]] = {}
    functions: dict[int, int] = {}
    for number, value in fields(plain(content)):
        if number == 6:
            strings.append(value.decode())
        elif number == 1:
            types.append(dict(fields(value)).get(1, 0))
        elif number == 2:
            samples.append(value)
        elif number == 4:
            location = list(fields(value))
            lines[dict(location)[1]] = [dict(fields(line)).get(1, 0) for at, line in location if at == 4]
        elif number == 5:
            function = dict(fields(value))
            functions[function[1]] = function.get(2, 0)
    names = {number: strings[name].rpartition(".")[2] for number, name in functions.items()}
    stacks = {number: [names[function] for function in found] for number, found in lines.items()}
    return [_sample(sample, [strings[kind] for kind in types], strings, stacks) for sample in samples]


def _sample(content: bytes, types: list[str], strings: list[str], stacks: dict[int, list[str]]) -> Seen:
    locations: list[int] = []
    values: list[int] = []
    labels: dict[str, Any] = {}
    for number, value in fields(content):
        if number == 1:
            locations += integers(value)
        elif number == 2:
            values += integers(value)
        elif number == 3:
            label = dict(fields(value))
            labels[strings[label[1]]] = strings[label[2]] if 2 in label else label.get(3, 0)
    stack = tuple(name for location in locations for name in stacks[location])
    return Seen(stack, dict(zip(types, values, strict=True)), labels)


def pushed(content: bytes) -> list[bytes]:
    """The pprof files in a request to pyroscope's push service (push.v1): series, samples, a profile in each."""
    return [
        profile
        for at_request, series in fields(plain(content))
        if at_request == 1
        for at_series, sample in fields(series)
        if at_series == 2
        for at_sample, profile in fields(sample)
        if at_sample == 1
    ]


def fields(content: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protobuf message by their numbers: an int, or bytes."""
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(content, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, at = _varint(content, at)
        else:
            size = {1: 8, 5: 4}[kind]
        if at + size > len(content):
            raise ValueError("a protobuf message ends too early")
        yield tag >> 3, content[at : at + size]
        at += size


def integers(value: int | bytes) -> list[int]:
    """A repeated integer, packed or not."""
    if isinstance(value, int):
        return [value]
    found = []
    at = 0
    while at < len(value):
        number, at = _varint(value, at)
        found.append(number)
    return found


def _varint(content: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = content[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
