"""Sampling set in code, under the names of ``ddtrace.sampler``: ``tracer.configure(sampler=DatadogSampler(...))``.

Each stands for settings; those of the environment are the better place, as they need no change of code.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class SamplingRule:
    """Which traces a rule is for, by patterns (``*`` and ``?``), and the share of them to keep, from 0 to 1.

    A bad rule is reported where the sampler is set, and left out.
    """

    def __init__(
        self,
        sample_rate: float,
        service: str | None = None,
        name: str | None = None,
        resource: str | None = None,
        tags: dict[str, str] | None = None,
        provenance: str = "default",
    ) -> None:
        fields = {"service": service, "name": name, "resource": resource, "tags": tags}
        self.written: dict[str, Any] = {"sample_rate": sample_rate, "provenance": provenance}
        self.written.update((key, value) for key, value in fields.items() if value is not None)


class BaseSampler:
    """What ``tracer.configure(sampler=...)`` takes; this one, as it is, goes by the agent's rates."""

    def settings(self) -> dict[str, object]:
        """Return what it stands for, by the names of settings."""
        return {"DD_TRACE_SAMPLING_RULES": [], "DD_TRACE_SAMPLE_RATE": None}


class RateByServiceSampler(BaseSampler):
    """Goes by the rates that the agent answers with; so it is where nothing is set."""


class RateSampler(BaseSampler):
    """Keeps a share of all traces, from 0 to 1."""

    def __init__(self, sample_rate: float = 1.0) -> None:
        self.sample_rate = sample_rate

    def settings(self) -> dict[str, object]:
        """Return the one rule: so many traces a second are no limit to it."""
        return {
            "DD_TRACE_SAMPLING_RULES": [{"sample_rate": self.sample_rate}],
            "DD_TRACE_SAMPLE_RATE": None,
            "DD_TRACE_RATE_LIMIT": -1.0,
        }


class AllSampler(RateSampler):
    """Keeps all traces."""

    def __init__(self) -> None:
        super().__init__(1.0)


class DatadogSampler(BaseSampler):
    """Goes by *rules*, the first that matches; by *default_sample_rate* else, and where that is None by the agent.

    *rate_limit* is how many traces a second the rules may keep (``DD_TRACE_RATE_LIMIT`` where None).
    """

    def __init__(
        self,
        rules: Sequence[SamplingRule] | None = None,
        default_sample_rate: float | None = None,
        rate_limit: float | None = None,
    ) -> None:
        self._rules = [rule.written for rule in rules or ()]
        if default_sample_rate is not None:
            self._rules.append({"sample_rate": default_sample_rate})
        self._limit = rate_limit

    def settings(self) -> dict[str, object]:
        """Return the rules and their limit."""
        found: dict[str, object] = {"DD_TRACE_SAMPLING_RULES": self._rules, "DD_TRACE_SAMPLE_RATE": None}
        return found if self._limit is None else {**found, "DD_TRACE_RATE_LIMIT": float(self._limit)}
