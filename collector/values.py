"""The values that profiles measure: what pages call them, which come first, and how their numbers are written."""

from ddmiddleware.collector import formatting

# By the names of Datadog's profilers, in the order of choice.
LABELS = {
    "cpu-time": "CPU time",
    "wall-time": "Wall time",
    "alloc-space": "Allocated memory",
    "alloc-samples": "Allocations",
    "heap-space": "Live heap",
    "heap-live-samples": "Live objects",
    "lock-acquire-wait": "Lock wait",
    "lock-release-hold": "Lock held",
    "lock-acquire": "Lock acquires",
    "lock-release": "Lock releases",
    "exception-samples": "Exceptions",
    "gc-time": "Garbage collection",
    "gc-samples": "Collections",
    "cpu-samples": "CPU samples",
    "wall-samples": "Wall samples",
}

# What is there at a moment, and is there again in the next profile: the last one of each process counts.
GAUGES = frozenset(("heap-space", "heap-live-samples", "inuse_space", "inuse_objects"))

_ORDER = {name: number for number, name in enumerate(LABELS)}
_SIZES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def label(name: str) -> str:
    """Return what pages call a value."""
    return LABELS.get(name, name)


def rank(name: str) -> tuple[int, str]:
    """Return what to sort values by."""
    return _ORDER.get(name, len(_ORDER)), name


def written(number: float, unit: str) -> str:
    """Write a measured number with its unit: a time, a size, or a count."""
    if unit == "nanoseconds":
        return formatting.duration(round(number))
    if unit == "bytes":
        for name, size in _SIZES:
            if number >= size * 0.9995:
                return f"{formatting.three_digits(number / size)} {name}"
        return f"{round(number)} B"
    text = formatting.count(round(number)) if number >= 100 or number == int(number) else f"{number:.2f}"
    return text if unit in ("count", "") else f"{text} {unit}"
