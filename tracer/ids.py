"""Span and trace ids, from a generator of our own: an application's ``random.seed`` must not repeat them."""

import time
from _random import Random  # the base of random.Random, whose module costs two milliseconds

_random = Random()
random_bits = _random.getrandbits


def trace_id() -> int:
    """Return a 128-bit id: 32 bits of unix seconds, 32 zero bits, 64 random bits (the layout ddtrace sends)."""
    return int(time.time()) << 96 | (random_bits(64) or 1)


def short_trace_id() -> int:
    """Return a 64-bit id, for services that know no longer ones."""
    return random_bits(64) or 1


def reseed() -> None:
    """Start a new random sequence; a forked child calls it, or it would repeat its parent's ids."""
    _random.seed()
