"""Protocol Buffers by hand, against Google's."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ddmiddleware.tracing import protobuf

_INT64 = st.integers(-(2**63), 2**63 - 1)


@given(_INT64)
def test_a_number(number: int) -> None:
    assert protobuf.field_number(3, number) == AnyValue(int_value=number).SerializeToString()


@given(st.floats())
def test_a_double(number: float) -> None:
    assert protobuf.field_double(4, number) == AnyValue(double_value=number).SerializeToString()


@given(st.text())
def test_a_text(text: str) -> None:
    assert protobuf.field_text(1, text) == AnyValue(string_value=text).SerializeToString()


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_fixed_widths(wide: int, narrow: int) -> None:
    written = protobuf.field_fixed64(7, wide) + protobuf.field_fixed32(16, narrow)
    assert Span.FromString(written) == Span(start_time_unix_nano=wide, flags=narrow)


@given(st.integers(0, 2**64 - 1), st.binary(), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_reading(number: int, data: bytes, wide: int, narrow: int) -> None:
    written = protobuf.field_number(1, number) + protobuf.field_bytes(200, data)
    written += protobuf.field_fixed64(3, wide) + protobuf.field_fixed32(4, narrow)
    assert list(protobuf.read_fields(written)) == [
        (1, number),
        (200, data),
        (3, wide.to_bytes(8, "little")),
        (4, narrow.to_bytes(4, "little")),
    ]


@given(st.binary())
def test_reading_anything(data: bytes) -> None:
    with contextlib.suppress(ValueError):  # and nothing else
        list(protobuf.read_fields(data))


@pytest.mark.parametrize("data", [b"\x0a\x02x", b"\x08", b"\x0b", b"\x08" + b"\xff" * 11, b"\x09\0\0", b"\x80"])
def test_reading_what_is_cut(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"it ends|no wire type|ten bytes"):
        list(protobuf.read_fields(data))
