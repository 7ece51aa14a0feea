"""Patterns of sampling rules: ``*`` stands for any text, ``?`` for one character; case does not count.

The value may come from a stranger (a path, a header), so no pattern may take more than linear time over it: a regular
expression would step back, these do not.
"""

from __future__ import annotations


class Glob:
    """A pattern that a whole text matches or does not."""

    __slots__ = ("_first", "_last", "_middle", "wild")

    def __init__(self, pattern: str) -> None:
        first, *rest = pattern.lower().split("*")
        self._first = _Part(first)
        self._last = _Part(rest[-1]) if rest else None
        self._middle = [_Part(part) for part in rest[:-1] if part]
        self.wild = pattern != "" and not pattern.strip("*?")

    def matches(self, value: str) -> bool:
        """Return whether all of *value* fits the pattern."""
        value = value.lower()
        first, last = self._first, self._last
        if last is None:
            return len(value) == first.length and first.fits(value, 0)
        start, end = first.length, len(value) - last.length
        if end < start or not first.fits(value, 0) or not last.fits(value, end):
            return False
        # What stands between two stars has a fixed length, so its leftmost place leaves the most to the others.
        for part in self._middle:
            found = part.find(value, start, end)
            if found < 0:
                return False
            start = found + part.length
        return True


class _Part:
    """What stands between two stars."""

    __slots__ = ("_any", "_bits", "_last_bit", "_runs", "_text", "length")

    def __init__(self, text: str) -> None:
        self.length = len(text)
        self._text = text if "?" not in text else None
        self._bits: dict[str, int] | None = None
        # The literal runs, and where each begins.
        self._runs: list[tuple[int, str]] = []
        at = 0
        for run in text.split("?"):
            if run:
                self._runs.append((at, run))
            at += len(run) + 1

    def fits(self, value: str, start: int) -> bool:
        """Return whether the part stands in *value* at *start*; there are enough characters."""
        return all(value.startswith(run, start + at) for at, run in self._runs)

    def find(self, value: str, start: int, end: int) -> int:
        """Return the leftmost place of the part in ``value[start:end]``, or -1."""
        if self._text is not None:
            return value.find(self._text, start, end)  # linear: CPython's two-way search
        # Bit i of *state* says that the first i + 1 characters of the part fit where we are (the Shift-And algorithm).
        bits = self._bits if self._bits is not None else self._prepare()
        anything, last_bit = self._any, self._last_bit
        state = 0
        for at in range(start, end):
            state = (state << 1 | 1) & bits.get(value[at], anything)
            if state & last_bit:
                return at + 1 - self.length
        return -1

    def _prepare(self) -> dict[str, int]:
        bits: dict[str, int] = {}
        literal = 0
        for begin, run in self._runs:
            for at, character in enumerate(run, begin):
                bits[character] = bits.get(character, 0) | 1 << at
                literal |= 1 << at
        self._last_bit = 1 << self.length - 1
        self._any = (1 << self.length) - 1 ^ literal  # every ? of the part
        for character in bits:
            bits[character] |= self._any
        self._bits = bits
        return bits
