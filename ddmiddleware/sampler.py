"""Sampling set in code, under the names of ``ddtrace.sampler``."""

from ddmiddleware.tracing import (
    AllSampler,
    BaseSampler,
    DatadogSampler,
    RateByServiceSampler,
    RateSampler,
    SamplingRule,
)

__all__ = ["AllSampler", "BaseSampler", "DatadogSampler", "RateByServiceSampler", "RateSampler", "SamplingRule"]
