"""What the worker's thread does every ten seconds: metrics of the process, and of our own health."""

from __future__ import annotations

import time

from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.process import forks_wait
from ddmiddleware.tracing.settings import Settings

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from ddmiddleware.tracing.dogstatsd import DogStatsD
    from ddmiddleware.tracing.tracer import Tracer

    class Job(Protocol):
        """Reports something, again and again."""

        def start(self) -> bool:
            """Begin; return False where there is nothing to do."""

        def report(self) -> None:
            """Do it once."""

        def stop(self, deadline: float | None = None) -> None:
            """End; at the process's end there is until *deadline* (monotonic seconds) to report what was not yet."""

    MakeJob = Callable[[Settings, DogStatsD], Job]


_SHORTEST_S = 0.01
# What rooms above this one report, each with the settings of the tracer that does it.
_more: list[tuple[Settings, MakeJob]] = []


class Timers:
    """The jobs that the settings ask for; none, and no cost, where they ask for none."""

    def __init__(self, settings: Settings, health: Callable[[], dict[str, int]]) -> None:
        self._settings = settings
        self._health = health
        self._jobs: list[Job] = []
        self._client: DogStatsD | None = None
        self._interval_s = 0.0
        self._due_at = 0.0
        self.wanted = False
        self.refresh()

    def refresh(self) -> None:
        """Do from now on what the settings say now."""
        self.close()
        settings = self._settings
        self._interval_s = max(settings["DD_RUNTIME_METRICS_INTERVAL_SECONDS"], _SHORTEST_S)
        self.wanted = (
            settings["DD_RUNTIME_METRICS_ENABLED"]
            or settings["DD_TRACE_HEALTH_METRICS_ENABLED"]
            or any(owner is settings for owner, _ in _more)
        )

    def within(self, longest_s: float | None) -> float | None:
        """Return how long the thread may sleep, where it would sleep *longest_s* or, with None, for ever."""
        if not self.wanted:
            return longest_s
        left_s = max(self._due_at - time.monotonic(), 0)
        return left_s if longest_s is None else min(left_s, longest_s)

    @property
    def running(self) -> bool:
        """Whether jobs wait for their time."""
        return self._client is not None

    def run(self, deadline: float | None = None) -> None:
        """Do what is due; with a *deadline* it is the process's end, and all is done for the last time."""
        if not self.wanted:
            return
        if deadline is not None:
            if self._client is None:
                self._open()
            self.close(deadline)
            return
        if time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + self._interval_s
        if self._client is None:
            self._open()
            return
        for job in self._jobs:
            with guard:
                job.report()
        self._client.flush()

    def _open(self) -> None:
        with forks_wait:
            from ddmiddleware.tracing.dogstatsd import DogStatsD, address, tags
            from ddmiddleware.tracing.health_metrics import HealthMetrics
            from ddmiddleware.tracing.runtime_metrics import RuntimeMetrics
        settings = self._settings
        client = DogStatsD(address(settings), tags(settings))
        jobs: list[Job] = []
        if settings["DD_RUNTIME_METRICS_ENABLED"]:
            jobs.append(RuntimeMetrics(client))
        if settings["DD_TRACE_HEALTH_METRICS_ENABLED"]:
            jobs.append(HealthMetrics(client, self._health))
        jobs += [make(settings, client) for owner, make in _more if owner is settings]
        self._jobs = [job for job in jobs if job.start()]
        self._client = client

    def close(self, deadline: float | None = None) -> None:
        """End all jobs; in a forked child too, for what it inherited.

        With a *deadline* what they have not reported yet is sent until then.
        """
        self.wanted = False
        self._due_at = 0.0
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            with guard:
                job.stop(deadline)
        client, self._client = self._client, None
        if client is not None:
            if deadline is not None:
                client.flush()
            client.close()


def add_job(tracer: Tracer, make: MakeJob) -> None:
    """Let *tracer*'s thread do the job that *make* returns too, in forked children as well; it starts no thread."""
    _more.append((tracer.settings, make))
    tracer._worker._timers.refresh()


def remove_job(tracer: Tracer, make: MakeJob) -> None:
    """End the job of *make*."""
    _more[:] = [(owner, made) for owner, made in _more if made != make]
    tracer._worker._timers.refresh()


def report_runtime_metrics(
    tracer: Tracer, on: bool, dogstatsd_url: str | None = None, interval_s: float | None = None
) -> None:
    """Send metrics of the process from now on, or no more, with or without a span to begin with.

    See ``ddmiddleware.runtime.RuntimeMetrics``; what is None stays as it is set.
    """
    if not tracer.enabled:
        return
    settings = tracer.settings
    settings["DD_RUNTIME_METRICS_ENABLED"] = on
    if dogstatsd_url is not None:
        settings["DD_DOGSTATSD_URL"] = dogstatsd_url
    if interval_s is not None:
        settings["DD_RUNTIME_METRICS_INTERVAL_SECONDS"] = interval_s
    tracer._worker.report_metrics()
