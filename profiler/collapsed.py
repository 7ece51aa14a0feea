"""A profile as collapsed stacks: one line each, for flamegraph.pl and all that read its format.

https://github.com/brendangregg/FlameGraph: frames from the root on, joined by semicolons, a space, and the value.
"""

from __future__ import annotations

from ddmiddleware.profiling.formats import leading
from ddmiddleware.profiling.samples import Profile


def encode(profile: Profile, value: str = "") -> bytes:
    """Return the lines, the sum of *value* (a name in ``UNITS``; CPU time where empty) behind each stack.

    The root is the endpoint, where a sample has one, and the thread else.
    """
    value = value or leading(profile)
    lines: dict[str, int] = {}
    for sample in profile.samples:
        number = sample.values.get(value, 0)
        if number:
            labels = sample.labels
            root = labels.get("trace endpoint") or labels.get("thread name") or "no thread"
            line = ";".join([_plain(str(root)), *(_plain(name) for name, _, _ in reversed(sample.stack))])
            lines[line] = lines.get(line, 0) + number
    return "".join(f"{line} {number}\n" for line, number in sorted(lines.items())).encode("utf-8", "replace")


def _plain(name: str) -> str:
    return name.replace(";", ":").replace("\n", " ")
