"""Bodies that tell what is done with them."""

from __future__ import annotations

from collections.abc import Iterator


class MissingError(Exception):
    """What applications raise here."""


class Body:
    """An iterable that tells what is done with it."""

    def __init__(self, log: list[str], *parts: bytes, fails: str = "") -> None:
        self.log, self.parts, self.fails = log, iter(parts), fails

    def __iter__(self) -> Iterator[bytes]:
        self.log.append("iter")
        return self

    def __next__(self) -> bytes:
        self.log.append("next")
        part = next(self.parts, None)
        if part is None and self.fails == "next":
            raise MissingError("in the middle of the body")
        if part is None:
            raise StopIteration
        return part

    def close(self) -> None:
        self.log.append("close")
        if self.fails == "close":
            raise MissingError("at close")


class Sized(Body):
    def __len__(self) -> int:
        self.log.append("len")
        return 1
