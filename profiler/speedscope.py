"""A profile for https://www.speedscope.app: one view per kind of value and thread.

https://www.speedscope.app/file-format-schema.json
"""

from __future__ import annotations

import json
from typing import Any

from ddmiddleware.profiling.formats import present
from ddmiddleware.profiling.samples import UNITS, Frame, Profile, Sample
from ddmiddleware.tracing import __version__

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"
_UNITS = {"nanoseconds": "nanoseconds", "bytes": "bytes", "count": "none"}


def encode(profile: Profile) -> bytes:
    """Return the JSON document."""
    frames: dict[Frame, int] = {}
    views = [
        _view(f"{value}, {thread}", value, samples, frames)
        for value in present(profile)
        for thread, samples in sorted(_threads(profile, value).items())
    ]
    shared = [{"name": name, "file": file, "line": line} for name, file, line in frames]
    document = {
        "$schema": _SCHEMA,
        "exporter": f"ddmiddleware {__version__}",
        "name": profile.tags.get("service", "profile"),
        "shared": {"frames": shared},
        "profiles": views,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _threads(profile: Profile, value: str) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in profile.samples:
        if sample.values.get(value):
            found.setdefault(str(sample.labels.get("thread name", "no thread")), []).append(sample)
    return found


def _view(name: str, value: str, samples: list[Sample], frames: dict[Frame, int]) -> dict[str, Any]:
    stacks = []
    for sample in samples:
        endpoint = sample.labels.get("trace endpoint")
        stack = [*sample.stack, (str(endpoint), "", 0)] if endpoint else list(sample.stack)
        stacks.append([frames.setdefault(frame, len(frames)) for frame in reversed(stack)])
    weights = [sample.values[value] for sample in samples]
    return {
        "type": "sampled",
        "name": name,
        "unit": _UNITS[UNITS[value]],
        "startValue": 0,
        "endValue": sum(weights),
        "samples": stacks,
        "weights": weights,
    }
