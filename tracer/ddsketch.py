"""A sketch of a distribution: quantiles within 0.775 % of the truth, from counters alone.

https://arxiv.org/abs/1908.10693. The bins are those of ddtrace 4.16, so that an agent can merge ours with its: bin *i*
holds what lies between gamma to the power of *i - 1338.5* and of one more. So the agent reads it (sketches-go); the
Python package ddsketch takes each bin for the one below.
"""

from __future__ import annotations

import struct
from math import floor, log

GAMMA = 1.015625  # a relative accuracy of (gamma - 1) / (gamma + 1) = 1/129
OFFSET = 1338.5
MAX_BINS = 2048
_PER_LOG = 1 / log(GAMMA)
_CENTER = 2 * GAMMA / (1 + GAMMA)
# Fields 1 and 2 of IndexMapping, inside field 1 of DDSketch.
_MAPPING = b"\x0a\x12" + struct.pack("<BdBd", 0x09, GAMMA, 0x11, OFFSET)
_NO_NEGATIVES = b"\x1a\x00"


class DDSketch:
    """Counts values of at least 0 in logarithmic bins; the lowest fall together where they would be more than 2048."""

    __slots__ = ("_bins", "_zeros")

    def __init__(self) -> None:
        self._bins: dict[int, int] = {}
        self._zeros = 0

    def add(self, value: float) -> None:
        """Count *value*, a finite number; one below 0 counts as 0."""
        if value <= 0:
            self._zeros += 1
            return
        index = floor(log(value) * _PER_LOG + OFFSET)
        bins = self._bins
        if index in bins:
            bins[index] += 1
            return
        bins[index] = 1
        if len(bins) > MAX_BINS:
            self._collapse()

    def _collapse(self) -> None:
        lowest = max(self._bins) - MAX_BINS + 1
        for index in [index for index in self._bins if index < lowest]:
            self._bins[lowest] = self._bins.get(lowest, 0) + self._bins.pop(index)

    @property
    def count(self) -> int:
        """How many values were added."""
        return self._zeros + sum(self._bins.values())

    def quantile(self, share: float) -> float:
        """Return the value below which *share* (0 to 1) of the values lie; raise ValueError where there are none."""
        count = self.count
        if not count:
            raise ValueError("the sketch is empty")
        rank = share * (count - 1)
        passed = self._zeros
        if passed > rank:
            return 0.0
        for index in sorted(self._bins):
            passed += self._bins[index]
            if passed > rank:
                break
        return float(GAMMA ** (index - OFFSET) * _CENTER)

    def encode(self) -> bytes:
        """Return the protobuf message ``DDSketch`` of https://github.com/DataDog/sketches-go (ddsketch.proto)."""
        positives = b""
        if self._bins:
            self._collapse()
            first, last = min(self._bins), max(self._bins)
            counts = [self._bins.get(index, 0) for index in range(first, last + 1)]
            zigzag = first << 1 if first >= 0 else (-first << 1) - 1
            packed = struct.pack(f"<{len(counts)}d", *counts)
            positives = b"\x12" + _varint(len(packed)) + packed + b"\x18" + _varint(zigzag)
        zeros = struct.pack("<Bd", 0x21, self._zeros) if self._zeros else b""
        return _MAPPING + b"\x12" + _varint(len(positives)) + positives + _NO_NEGATIVES + zeros


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
