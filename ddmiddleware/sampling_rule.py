"""A rule of sampling set in code, under the name of ``ddtrace.sampling_rule``."""

from ddmiddleware.sampler import SamplingRule

__all__ = ["SamplingRule"]
