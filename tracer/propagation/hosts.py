"""Which hosts the headers of a trace may go to."""

from __future__ import annotations

import re
from functools import lru_cache

from ddmiddleware.tracing.settings import settings

_HOST_MAX = 255


def may_reach(host: str) -> bool:
    """Return whether ``DD_TRACE_PROPAGATION_HOSTS`` lists *host*, a name or address without a port; all if it is unset.

    Names match in any case, with or without the dot at the end; an IPv6 address with or without brackets.
    """
    globs: tuple[str, ...] = settings["DD_TRACE_PROPAGATION_HOSTS"]
    if not globs:
        return True
    if len(host) > _HOST_MAX:
        return False
    return _pattern(globs).fullmatch(_plain(host)) is not None


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


@lru_cache(maxsize=8)
def _pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    patterns = (re.escape(_plain(glob)).replace(r"\*", ".*").replace(r"\?", ".") for glob in globs)
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
