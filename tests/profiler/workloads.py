"""Programs whose true shares are known, for the profiler to be measured by.

Each is a set of functions that a thread calls in random order; how long each took, by the clock, is the truth.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence


def _per_ms() -> int:
    """Return how many rounds of ``spin`` take a millisecond."""
    best = 1e9
    for _ in range(20):
        start = time.perf_counter()
        spin(10_000)
        best = min(best, time.perf_counter() - start)
    return int(10_000 * 0.001 / best)


def spin(rounds: int) -> int:
    total = 0
    for number in range(rounds):
        total += number * 3 % 7
    return total


PER_MS = _per_ms()
_BIG = {f"k{number}": [number, str(number), {"a": number}] for number in range(3500)}
_TEXT = "abc 123 def-456 " * 3500
_PAIRS = re.compile(r"(\w+)[- ](\d+)")
_NUMBERS = [(number * 7919) % 60013 for number in range(23_000)]
_BLOB = os.urandom(1 << 16) * 2
_READ, _WRITE = os.pipe()


def half() -> int:
    return spin(5 * PER_MS)


def third() -> int:
    return spin(3 * PER_MS)


def fifth() -> int:
    return spin(2 * PER_MS)


def encode() -> str:
    return json.dumps(_BIG)


def match() -> list[tuple[str, str]]:
    return _PAIRS.findall(_TEXT)


def order() -> list[int]:
    return sorted(_NUMBERS)


def digest() -> None:
    for _ in range(400):
        hashlib.sha256(b"x" * 2000).digest()


def sleep() -> None:
    time.sleep(0.005)


def compress() -> bytes:
    return zlib.compress(_BLOB, 6)


def compute() -> int:
    return spin(3 * PER_MS)


def wait() -> None:
    time.sleep(0.001)


def short() -> int:
    return spin(PER_MS // 5)


def pipe() -> None:
    os.write(_WRITE, b"x")
    os.read(_READ, 1)


WORKLOADS: dict[str, Sequence[Callable[[], object]]] = {
    "pure": (half, third, fifth),
    "holding the GIL in C": (encode, match, order, digest),
    "without the GIL": (sleep, compress, third),
    "compute and wait": (compute, wait),
    "short waits": (short, pipe),
}


def run(functions: Sequence[Callable[[], object]], seconds: float, calls: int = 0) -> tuple[Counter[str], Counter[str]]:
    """Call *functions* in random order; return the seconds of wall and of CPU time that each of them took.

    That goes on for *seconds*, and until there were *calls*: few are made where a process gets little of the processor.
    """
    wall: Counter[str] = Counter()
    cpu: Counter[str] = Counter()
    end = time.perf_counter() + seconds
    made = 0
    while time.perf_counter() < end or made < calls:
        made += 8
        for function in random.choices(functions, k=8):
            # The CPU clock is a system call, where a busy machine parts the thread from its processor: not a part of
            # the function's time, and no sample finds it there.
            cpu_before, wall_before = time.thread_time(), time.perf_counter()
            function()
            wall_after, cpu_after = time.perf_counter(), time.thread_time()
            wall[function.__name__] += wall_after - wall_before
            cpu[function.__name__] += cpu_after - cpu_before
    return wall, cpu


def shares(amounts: Counter[str]) -> dict[str, float]:
    """Return *amounts* in per cent of their sum."""
    total = sum(amounts.values()) or 1
    return {name: 100 * amount / total for name, amount in amounts.items()}


def error(truth: Counter[str], seen: Counter[str]) -> float:
    """Return half of the summed differences of the shares, in points: what is charged to the wrong place."""
    true_shares, seen_shares = shares(truth), shares(seen)
    return sum(abs(true_shares.get(name, 0) - seen_shares.get(name, 0)) for name in {*true_shares, *seen_shares}) / 2
