"""Metrics of the process, sent by DogStatsD: ``RuntimeMetrics.enable()``, or ``DD_RUNTIME_METRICS_ENABLED=true``."""

from __future__ import annotations

from ddmiddleware.tracing import Tracer, default_tracer, report_runtime_metrics


class RuntimeMetrics:
    """Switches the metrics of the process that has the tracer."""

    @staticmethod
    def enable(
        tracer: Tracer | None = None, dogstatsd_url: str | None = None, flush_interval: float | None = None
    ) -> None:
        """Send metrics to *dogstatsd_url* every *flush_interval* seconds, by the thread of *tracer*.

        What is None is as set elsewhere: the default tracer, ``DD_DOGSTATSD_URL``, ten seconds. A forked child begins
        again with its first finished span.
        """
        report_runtime_metrics(tracer or default_tracer, True, dogstatsd_url, flush_interval)

    @staticmethod
    def disable(tracer: Tracer | None = None) -> None:
        """Stop what ``enable`` or ``DD_RUNTIME_METRICS_ENABLED`` began; returns at once."""
        report_runtime_metrics(tracer or default_tracer, False)


__all__ = ["RuntimeMetrics"]
