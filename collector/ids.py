"""Trace and span ids as the wire, SQLite and the pages write them.

On the wire a span id is an unsigned 64-bit number, and a trace id too: the high half of a 128-bit trace id is the tag
`_dd.p.tid`. SQLite has signed 64-bit numbers only. Pages and JSON write 32 and 16 hexadecimal digits.
"""

import re

U64_MAX = 2**64 - 1
I64_MAX = 2**63 - 1
I64_MIN = -(2**63)

_HIGH_HALF = re.compile(r"[0-9a-fA-F]{16}")
_TRACE_ID = re.compile(r"(?P<high>[0-9a-fA-F]{16})?(?P<low>[0-9a-fA-F]{16})")
_DECIMAL = re.compile(r"[0-9]{1,20}")


def to_signed(number: int) -> int:
    """Return the signed 64-bit number with the same bits as an unsigned one."""
    return number - 2**64 if number > I64_MAX else number


def to_unsigned(number: int) -> int:
    """Return the unsigned 64-bit number with the same bits as a signed one."""
    return number & U64_MAX


def high_half(tag: str) -> int:
    """Return the high 64 bits written in a `_dd.p.tid` tag, or 0 when the tag is not 16 hexadecimal digits."""
    return int(tag, 16) if _HIGH_HALF.fullmatch(tag) else 0


def trace_hex(high: int, low: int) -> str:
    """Write a trace id as 32 hexadecimal digits, from halves of either sign."""
    return f"{to_unsigned(high):016x}{to_unsigned(low):016x}"


def span_hex(span_id: int) -> str:
    """Write a span id of either sign as 16 hexadecimal digits."""
    return f"{to_unsigned(span_id):016x}"


def parse_trace_id(text: str) -> tuple[int, int] | None:
    """Read a trace id as (high, low), both unsigned: 32 or 16 hexadecimal digits, or a decimal number.

    Return None for any other text. A decimal number is the low half, as logs show it; sixteen digits are taken as
    hexadecimal, also when all of them are decimal.
    """
    if match := _TRACE_ID.fullmatch(text):
        return int(match["high"] or "0", 16), int(match["low"], 16)
    if _DECIMAL.fullmatch(text) and (number := int(text)) <= U64_MAX:
        return 0, number
    return None
