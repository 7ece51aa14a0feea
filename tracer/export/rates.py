"""The sampling rates in an agent's answer."""

from __future__ import annotations

import json
from collections.abc import Callable

from ddmiddleware.tracing.log import debug

_ANSWER_MAX = 1 << 16


def read_rates(answer: bytes) -> dict[str, float] | None:
    """Return ``rate_by_service`` of a JSON *answer*, without what is no rate; None where there is no such thing."""
    if len(answer) >= _ANSWER_MAX:  # what is longer came in cut
        return None
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return None  # v0.3 agents answered OK
    rates = found.get("rate_by_service") if isinstance(found, dict) else None
    if not isinstance(rates, dict):
        return None
    debug("the agent's sampling rates: %s", rates)
    return {key: float(rate) for key, rate in rates.items() if isinstance(rate, (int, float)) and 0 <= rate <= 1}


class Answers:
    """Takes the body of each answer, and hands the rates on where it differs from the one before."""

    def __init__(self, take_rates: Callable[[dict[str, float]], None]) -> None:
        self._take_rates = take_rates
        self._last = b""

    def __call__(self, answer: bytes) -> None:
        if answer != self._last:
            self._last = answer
            rates = read_rates(answer)
            if rates is not None:
                self._take_rates(rates)
