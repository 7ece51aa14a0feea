"""Reads pprof files with Google's protobuf, by the published schema.

https://github.com/google/pprof/blob/main/proto/profile.proto
"""

from __future__ import annotations

import gzip
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# message: (name, number, type), with a star where repeated; what is no scalar is another message.
SCHEMA = {
    "Profile": (
        *(("sample_type", 1, "ValueType*"), ("sample", 2, "Sample*"), ("mapping", 3, "Mapping*")),
        *(("location", 4, "Location*"), ("function", 5, "Function*"), ("string_table", 6, "string*")),
        *(("drop_frames", 7, "int64"), ("keep_frames", 8, "int64"), ("time_nanos", 9, "int64")),
        *(("duration_nanos", 10, "int64"), ("period_type", 11, "ValueType"), ("period", 12, "int64")),
        *(("comment", 13, "int64*"), ("default_sample_type", 14, "int64")),
    ),
    "ValueType": (("type", 1, "int64"), ("unit", 2, "int64")),
    "Sample": (("location_id", 1, "uint64*"), ("value", 2, "int64*"), ("label", 3, "Label*")),
    "Label": (("key", 1, "int64"), ("str", 2, "int64"), ("num", 3, "int64"), ("num_unit", 4, "int64")),
    "Mapping": (
        *(("id", 1, "uint64"), ("memory_start", 2, "uint64"), ("memory_limit", 3, "uint64")),
        *(("file_offset", 4, "uint64"), ("filename", 5, "int64"), ("build_id", 6, "int64")),
        *(("has_functions", 7, "bool"), ("has_filenames", 8, "bool"), ("has_line_numbers", 9, "bool")),
        ("has_inline_frames", 10, "bool"),
    ),
    "Location": (
        *(("id", 1, "uint64"), ("mapping_id", 2, "uint64"), ("address", 3, "uint64")),
        *(("line", 4, "Line*"), ("is_folded", 5, "bool")),
    ),
    "Line": (("function_id", 1, "uint64"), ("line", 2, "int64")),
    "Function": (
        *(("id", 1, "uint64"), ("name", 2, "int64"), ("system_name", 3, "int64")),
        *(("filename", 4, "int64"), ("start_line", 5, "int64")),
    ),
}


class Read(NamedTuple):
    """What a pprof file says: each sample as its stack (leaf first), its values and its labels."""

    types: list[tuple[str, str]]
    samples: list[tuple[tuple[tuple[str, str, int], ...], dict[str, int], dict[str, Any]]]
    time_ns: int
    duration_ns: int
    default_type: str
    comments: list[str]


def _message() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="profile.proto", package="perftools.profiles", syntax="proto3")
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            kind, star = kind.rstrip("*"), kind.endswith("*")
            added = message.field.add(name=field, number=number, label=3 if star else 1)
            if kind in SCHEMA:
                added.type, added.type_name = (
                    descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE,
                    f".{file.package}.{kind}",
                )
            else:
                added.type = getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("perftools.profiles.Profile"))


PROFILE = _message()


def read(content: bytes) -> Read:
    """Read a file's *content*; raise for whatever does not fit together."""
    profile = PROFILE.FromString(gzip.decompress(content))
    strings = list(profile.string_table)
    assert strings[0] == ""
    functions = {found.id: (strings[found.name], strings[found.filename]) for found in profile.function}
    locations = {}
    for found in profile.location:
        (line,) = found.line
        locations[found.id] = (*functions[line.function_id], line.line)
    assert 0 not in locations
    assert 0 not in functions
    types = [(strings[kind.type], strings[kind.unit]) for kind in profile.sample_type]
    samples = []
    for sample in profile.sample:
        assert len(sample.value) == len(types)
        values = {name: value for (name, _), value in zip(types, sample.value, strict=True) if value}
        labels = {strings[label.key]: strings[label.str] if label.str else label.num for label in sample.label}
        samples.append((tuple(locations[number] for number in sample.location_id), values, labels))
    default = strings[profile.default_sample_type]
    comments = [strings[number] for number in profile.comment]
    return Read(types, samples, profile.time_nanos, profile.duration_nanos, default, comments)
