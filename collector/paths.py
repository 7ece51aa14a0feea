"""What a call is known by in every profile: the functions from the root down to it, as a short text.

It is the number of the path and the one of its last function, 16 and 8 hexadecimal digits: the latter says where to
look for the path among all calls of a profile.
"""

import re
from zlib import crc32

from ddmiddleware.collector.calls import Calls

_TEXT = re.compile(r"[0-9a-f]{24}")

# An odd number without a pattern: the golden ratio's digits.
_MIX = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1

Function = tuple[str, str]


def number_of(function: Function) -> int:
    """Return a function's number."""
    return crc32("\0".join(function).encode("utf-8", "replace"))


def below(path: int, function: int) -> int:
    """Return the number of the path that goes on with a function; 0 is the path of the root."""
    mixed = ((path ^ function) + 1) * _MIX & _MASK
    return mixed ^ mixed >> 31


def text_of(path: int, function: int) -> str:
    """Return what addresses call the path."""
    return f"{path:016x}{function:08x}"


def number_in(text: str) -> int:
    """Return the number of the path that a text is of; the root's text is empty."""
    return int(text[:16], 16) if text else 0


def is_text(text: str) -> bool:
    """Say whether a text can be a path's."""
    return _TEXT.fullmatch(text) is not None


def follow(calls: Calls, functions: list[Function]) -> list[int]:
    """Return the nodes from the root down along these functions, as far as there are any."""
    nodes = [0]
    for function in functions:
        node, end = nodes[-1] + 1, nodes[-1] + calls.sizes[nodes[-1]]
        while node < end and calls.functions[calls.numbers[node]] != function:
            node += calls.sizes[node]
        if node >= end:
            break
        nodes.append(node)
    return nodes


def find(calls: Calls, text: str) -> list[int] | None:
    """Return the nodes from the root to the path's end; None where it is not among the calls."""
    if not text:
        return [0]
    path, last = number_in(text), int(text[16:], 16)
    wanted = {number for number, function in enumerate(calls.functions) if number and number_of(function) == last}
    ends = sorted(node for number in wanted for node in calls.nodes_of(number))
    if not ends:
        return None
    nodes, numbers = [0], [0]
    for node, depth in calls.ways(ends):
        del nodes[depth:], numbers[depth:]
        nodes.append(node)
        numbers.append(below(numbers[-1], number_of(calls.functions[calls.numbers[node]])))
        if numbers[-1] == path:
            return nodes
    return None
