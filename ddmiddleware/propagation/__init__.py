"""Headers, under the names of ``ddtrace.propagation``."""
