"""A profile as a Chrome trace, for Perfetto (https://ui.perfetto.dev) and ``chrome://tracing``.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU: "X" events with microseconds. Stacks of
a thread lie side by side, equal ones joined: a flame graph of wall time, and no course of time.
"""

from __future__ import annotations

import json
from typing import Any

from ddmiddleware.profiling.formats import leading, present
from ddmiddleware.profiling.samples import UNITS, Frame, Profile

_NS_PER_US = 1000


def encode(profile: Profile) -> bytes:
    """Return the JSON document; a profile without wall time shows its leading value, one unit a microsecond."""
    value = "wall-time" if "wall-time" in present(profile) else leading(profile)
    scale = _NS_PER_US if UNITS[value] == "nanoseconds" else 1
    threads: dict[str, dict[tuple[Frame, ...], int]] = {}
    for sample in profile.samples:
        width = sample.values.get(value, 0)
        if width > 0:
            endpoint = sample.labels.get("trace endpoint")
            roots = ((str(endpoint), "", 0),) if endpoint else ()
            stacks = threads.setdefault(str(sample.labels.get("thread name", "no thread")), {})
            stack = roots + sample.stack[::-1]
            stacks[stack] = stacks.get(stack, 0) + width
    events: list[dict[str, Any]] = []
    for number, (thread, stacks) in enumerate(sorted(threads.items()), 1):
        events.append({"ph": "M", "pid": 1, "tid": number, "name": "thread_name", "args": {"name": thread}})
        events += [{"ph": "X", "pid": 1, "tid": number, **event} for event in _laid_out(stacks, scale)]
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}, separators=(",", ":")).encode()


def _laid_out(stacks: dict[tuple[Frame, ...], int], scale: int) -> list[dict[str, Any]]:
    """Return one event per frame, stacks in order, frames that neighbours share joined."""
    events = []
    open_frames: list[tuple[Frame, int]] = []
    now = 0
    for stack, width in [*sorted(stacks.items()), ((), 0)]:
        shared = 0
        while shared < min(len(stack), len(open_frames)) and stack[shared] == open_frames[shared][0]:
            shared += 1
        while len(open_frames) > shared:
            (name, file, line), begun = open_frames.pop()
            times = {"ts": begun / scale, "dur": (now - begun) / scale}
            events.append({"name": name, **times, "args": {"file": file, "line": line}})
        open_frames += [(frame, now) for frame in stack[shared:]]
        now += width
    return events
