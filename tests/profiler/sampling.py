"""Run the stack collector over a piece of a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ddmiddleware.profiling.native_sampler import NativeSampler
from ddmiddleware.profiling.python_sampler import PythonSampler
from ddmiddleware.profiling.samples import Sample
from ddmiddleware.profiling.stack_collector import StackCollector
from ddmiddleware.tracing import Settings, Span, Tracer

# Twice as many samples as the default budget gives on a machine that other tests use too.
SETTINGS = {"DD_PROFILING_MAX_TIME_USAGE_PCT": "100"}


class Nowhere:
    """Takes the spans of a tracer whose spans nobody wants."""

    def put(self, chunk: list[Span]) -> None:
        """Forget *chunk*."""


def quiet_tracer() -> Tracer:
    tracer = Tracer(Settings({}))
    tracer.divert(Nowhere())
    return tracer


def has_extension() -> bool:
    return isinstance(StackCollector(Settings({}))._sampler, NativeSampler)


@contextmanager
def sampled(kind: str = "", tracer: Tracer | None = None, **settings: str) -> Iterator[list[Sample]]:
    """Sample what runs inside; the list has the samples after it. *kind* is ``native``, ``python`` or any."""
    chosen, tracer = Settings({**SETTINGS, **settings}), tracer or quiet_tracer()
    collector = StackCollector(chosen, tracer)
    if kind == "python":
        collector._sampler = PythonSampler(chosen, tracer)
    samples: list[Sample] = []
    collector.start()
    try:
        assert kind in ("", collector.tags()["sampler"])
        yield samples
    finally:
        collector.stop()
        samples.extend(collector.collect())


def total(samples: list[Sample], value: str) -> int:
    return sum(sample.values.get(value, 0) for sample in samples)


def by(samples: list[Sample], value: str, key: Callable[[Sample], str | None]) -> Counter[str]:
    """Add *value* up by *key*, without what has none."""
    found: Counter[str] = Counter()
    for sample in samples:
        name = key(sample)
        if name is not None:
            found[name] += sample.values.get(value, 0)
    return found


def function_of(sample: Sample, names: set[str]) -> str | None:
    """Return the innermost of *names* in a sample's stack, wherever it is defined."""
    short = (name.rpartition(".")[2] for name, _, _ in sample.stack)
    return next((name for name in short if name in names), None)


def endpoint_of(sample: Sample, function: str = "spin") -> str | None:
    """Return the endpoint that a sample inside of *function* is charged to."""
    if function_of(sample, {function}) is None or "task state" in sample.labels:
        return None
    return str(sample.labels.get("trace endpoint", "no endpoint"))
