"""Measures ddmiddleware, ddtrace and OpenTelemetry side by side: `python -m benchmarks` from the repository's root."""
