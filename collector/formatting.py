"""Numbers, times and names as pages write them: the filters of the templates."""

import zlib
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

COLORS = 10
MAX_SHOWN_TEXT = 10_000


def duration(ns: int) -> str:
    """Write a duration with three significant digits, such as `12.3 ms`, `1.50 s` or `2 min 5 s`."""
    if ns < 0:
        return f"-{duration(-ns)}"
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)):
        number = ns / size
        if number < (59.95 if unit == "s" else 999.5):
            return f"{ns} ns" if unit == "ns" else f"{three_digits(number)} {unit}"
    minutes, seconds = divmod(round(ns / 1e9), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"


def three_digits(number: float) -> str:
    """Write a number below a thousand with three significant digits."""
    return f"{number:.2f}" if number < 9.995 else f"{number:.1f}" if number < 99.95 else f"{number:.0f}"


def rate(per_second: float) -> str:
    """Write a rate per second, or per minute or hour when it is low, such as `12.3/s`, `4.50/min`."""
    for unit, seconds in (("s", 1), ("min", 60)):
        if per_second * seconds >= 1:
            return f"{three_digits(per_second * seconds)}/{unit}"
    return f"{three_digits(per_second * 3600)}/h"


def percent(part: float) -> str:
    """Write a share of 1 as a percentage; a share that is not zero never reads as zero, nor a part as the whole."""
    if part == 0 or part == 1:
        return f"{part:.0%}"
    if part < 0.001:
        return "<0.1%"
    return f"{min(part, 0.999):.1%}"


def count(number: int) -> str:
    """Write a whole number with its thousands apart."""
    return f"{number:,}"


def clock_time(ns: int) -> str:
    """Write the local time of day, with milliseconds."""
    return _local(ns).strftime("%H:%M:%S.") + f"{ns // 1_000_000 % 1000:03d}"


def date_time(ns: int) -> str:
    """Write the local date and time, with milliseconds."""
    return _local(ns).strftime("%Y-%m-%d ") + clock_time(ns)


def iso(ns: int) -> str:
    """Write a time as UTC in ISO 8601, for machines."""
    return datetime.fromtimestamp(ns // 10**9, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{ns % 10**9:09d}Z"


def _local(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 10**9).astimezone()


def clip(text: str, length: int = MAX_SHOWN_TEXT) -> str:
    """Cut a long text and say by how much."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text) - length:,} more characters)"


def without_stack(tags: dict[str, str]) -> dict[str, str]:
    """Leave out the error's stack, which pages show on its own."""
    return {key: value for key, value in tags.items() if key != "error.stack"}


def colors(services: Iterable[str]) -> dict[str, int]:
    """Give each service a color number below COLORS: always the same one, unless another one of these has it."""
    given: dict[str, int] = {}
    for service in sorted(services):
        color = zlib.crc32(service.encode("utf-8", "replace")) % COLORS
        if len(given) < COLORS:
            while color in given.values():
                color = (color + 1) % COLORS
        given[service] = color
    return given


def link(path: str, query: dict[str, str], **changes: str | None) -> str:
    """Write an address with a query that has changed, leaving out what is empty."""
    changed = {key: value for key, value in {**query, **changes}.items() if value}
    return f"{path}?{urlencode(changed)}" if changed else path


FILTERS: dict[str, Any] = {
    "duration": duration,
    "rate": rate,
    "percent": percent,
    "count": count,
    "clock_time": clock_time,
    "date_time": date_time,
    "iso": iso,
    "clip": clip,
    "without_stack": without_stack,
}
