"""Which versions of a library an integration is made for."""

from __future__ import annotations

import re

from ddmiddleware.tracing import warn


def supported(name: str, requires: str) -> bool:
    """Return whether the installed distribution meets *requires* (``redis>=4.1``; empty for the standard library).

    A version that is too old is reported in one line. One that cannot be found or read counts as supported: a library
    that is vendored or runs from its source tree has none.
    """
    if not requires:
        return True
    from importlib import metadata

    distribution, _, minimum = requires.partition(">=")
    try:
        fields = metadata.metadata(distribution)
    except metadata.PackageNotFoundError:
        return True
    [found, *_] = fields.get_all("Version") or [None]
    release = _release(found)
    if not release or release >= _release(minimum):
        return True
    warn("%s %s is not traced: version %s or newer is needed", name, found, minimum)
    return False


def _release(version: object) -> tuple[int, ...]:
    """Return the numbers of a version's release segment, without the zeros at its end (PEP 440)."""
    numbers = re.match(r"v?(?:\d+!)?(\d+(?:\.\d+)*)", version) if isinstance(version, str) else None
    return tuple(int(number) for number in re.sub(r"(\.0+)+$", "", numbers[1]).split(".")) if numbers else ()
