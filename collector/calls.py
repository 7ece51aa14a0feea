"""The calls of one endpoint in one profile, as they are stored: arrays in which a subtree is a slice.

The nodes are in preorder: what a call called follows it. So whatever a page shows, it steps over what is too small to
be seen, and the time it takes does not grow with the profile. The total of a subtree is the difference of two running
sums.
"""

import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import msgpack

# Unsigned numbers of 4 bytes for nodes, functions and lines, of 8 for what was measured; in this machine's order.
_NUMBER, _AMOUNT = "I", "Q"

Rows = list[tuple[int, int, int]]


def pack(value: Any) -> bytes:
    """Write a value compactly."""
    # The fastest level: most of what there is to save is repeated text, which every level finds.
    return zlib.compress(msgpack.packb(value), 1)


def unpack(body: bytes) -> Any:
    """Read what `pack` wrote."""
    return msgpack.unpackb(zlib.decompress(body), strict_map_key=False)


def pack_structure(functions: list[tuple[str, str]], numbers: list[int], sizes: list[int], lines: list[int]) -> bytes:
    """Write the nodes: the functions' names and files, and by node the function, the nodes of its subtree, the line."""
    # Which nodes a function has: sorted by function, and then as they are.
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    counts = [0] * len(functions)
    for number in numbers:
        counts[number] += 1
    arrays = [array(_NUMBER, items).tobytes() for items in (numbers, sizes, lines, order, counts)]
    return pack([functions, *arrays])


def pack_measured(rows: Rows) -> bytes:
    """Write what was measured: rows of a node, the line in it, and the amount."""
    rows = sorted(rows)
    nodes, lines, amounts = zip(*rows, strict=True) if rows else ((), (), ())
    return pack([array(_NUMBER, nodes).tobytes(), array(_NUMBER, lines).tobytes(), array(_AMOUNT, amounts).tobytes()])


def unpack_measured(body: bytes) -> Rows:
    """Read what `pack_measured` wrote."""
    nodes, lines, amounts = unpack(body)
    return list(zip(_array(_NUMBER, nodes), _array(_NUMBER, lines), _array(_AMOUNT, amounts), strict=True))


def _array(kind: str, content: bytes) -> "array[int]":
    found = array(kind)
    found.frombytes(content)
    return found


class Calls:
    """Nodes with what was measured of one value; node 0 is the root.

    By number of a function: `functions`, names and files. By node: `numbers`, `sizes` and `lines`.
    """

    def __init__(self, structure: bytes, rows: Rows) -> None:
        functions, *arrays = unpack(structure)
        self.functions: list[tuple[str, str]] = [(name, file) for name, file in functions]
        self.numbers, self.sizes, self.lines, self._order, counts = (_array(_NUMBER, item) for item in arrays)
        self._first = [0, *accumulate(counts)]
        self.rows = rows
        self.own: dict[int, int] = {}
        for node, _, amount in rows:
            self.own[node] = self.own.get(node, 0) + amount
        amounts = array(_AMOUNT, bytes(8 * len(self.numbers)))
        for node, amount in self.own.items():
            amounts[node] = amount
        self._sums = array(_AMOUNT, accumulate(amounts, initial=0))

    def total(self, node: int) -> int:
        """Return what was measured in a call with all that it called."""
        return self._sums[node + self.sizes[node]] - self._sums[node]

    def nodes_of(self, number: int) -> "array[int]":
        """Return the nodes of a function, in order."""
        return self._order[self._first[number] : self._first[number + 1]]

    def walk(self, top: int, least: int) -> Iterator[tuple[int, int]]:
        """Yield (node, depth below *top*) of the nodes below it with a total of *least*, which all their callers have.

        A caller comes before what it called.
        """
        sizes, sums = self.sizes, self._sums
        node, end = top + 1, top + sizes[top]
        ends: list[int] = []
        while node < end:
            after = node + sizes[node]
            if sums[after] - sums[node] < least:
                node = after
                continue
            while ends and ends[-1] <= node:
                ends.pop()
            ends.append(after)
            yield node, len(ends)
            node += 1

    def ways(self, ends: list[int]) -> Iterator[tuple[int, int]]:
        """Yield (node, depth) of the nodes, which are sorted, and of all their callers but the root."""
        node, last = 1, len(self.sizes)
        above: list[int] = []
        while node < last:
            after = node + self.sizes[node]
            at = bisect_left(ends, node)
            if at == len(ends):
                return
            if ends[at] >= after:
                node = after
                continue
            while above and above[-1] <= node:
                above.pop()
            above.append(after)
            yield node, len(above)
            node += 1

    def outermost(self, numbers: set[int], top: int) -> list[int]:
        """Return the nodes below *top*, or itself, of these functions, without those below one of them."""
        last = top + self.sizes[top]
        nodes = sorted(node for number in numbers for node in self.nodes_of(number) if top <= node < last)
        found = []
        end = -1
        for node in nodes:
            if node >= end:
                found.append(node)
                end = node + self.sizes[node]
        return found
