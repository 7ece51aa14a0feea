"""What takes most: endpoints and functions by CPU and wall time, for ``ddmiddleware top``."""

from __future__ import annotations

import json

from ddmiddleware.profiling.samples import Profile

_FUNCTIONS = 500  # sent per process, the hottest ones


def encode(profile: Profile) -> bytes:
    """Return the JSON document: CPU and wall nanoseconds by endpoint, and by endpoint and function (self time)."""
    endpoints: dict[str, list[int]] = {}
    functions: dict[tuple[str, str, str], list[int]] = {}
    for sample in profile.samples:
        cpu, wall = sample.values.get("cpu-time", 0), sample.values.get("wall-time", 0)
        if not (cpu or wall):
            continue
        endpoint = str(sample.labels.get("trace endpoint", ""))
        name, file, _ = sample.stack[0] if sample.stack else ("", "", 0)
        for sums in (
            endpoints.setdefault(endpoint, [0, 0]),
            functions.setdefault((endpoint, name, file), [0, 0]),
        ):
            sums[0] += cpu
            sums[1] += wall
    hottest = sorted(functions.items(), key=lambda item: item[1], reverse=True)[:_FUNCTIONS]
    return json.dumps(
        {
            "ns": profile.end_ns - profile.start_ns,
            "endpoints": [[endpoint, *sums] for endpoint, sums in endpoints.items()],
            "functions": [[*key, *sums] for key, sums in hottest],
        }
    ).encode()
