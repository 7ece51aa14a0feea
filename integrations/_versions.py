"""Which versions of a library an integration is made for."""

from __future__ import annotations

import re

from ddmiddleware.tracing import warn

# What else brings a library, by another name: the same, compiled beforehand.
_ALSO = {"psycopg2": ("psycopg2-binary",)}


def supported(name: str, requires: str) -> bool:
    """Return whether the installed distribution meets *requires* (``redis>=4.1``; empty for the standard library).

    A version that is too old is reported in one line. One that cannot be found or read counts as supported: a library
    that is vendored or runs from its source tree has none.
    """
    found = installed(requires)
    if meets(found, requires):
        return True
    warn("%s %s is not traced: version %s or newer is needed", name, found, requires.partition(">=")[2])
    return False


def installed(requires: str) -> str | None:
    """Return the version of the distribution that *requires* names, or None where there is none to be found.

    It may be installed by another name, or by both: then the newer of them counts.
    """
    library = requires.partition(">=")[0]
    versions = [_version(name) for name in (library, *_ALSO.get(library, ())) if name]
    return max(versions, key=_release, default=None)


def _version(distribution: str) -> str | None:
    from importlib import metadata

    try:
        fields = metadata.metadata(distribution)
    except metadata.PackageNotFoundError:
        return None
    versions = fields.get_all("Version")
    return str(versions[0]) if versions else None


def meets(version: str | None, requires: str) -> bool:
    """Return whether *version* is new enough for *requires*, or cannot be read."""
    release = _release(version)
    return not release or release >= _release(requires.partition(">=")[2])


def _release(version: object) -> tuple[int, ...]:
    """Return the numbers of a version's release segment, without the zeros at its end (PEP 440)."""
    numbers = re.match(r"v?(?:\d+!)?(\d+(?:\.\d+)*)", version) if isinstance(version, str) else None
    return tuple(int(number) for number in re.sub(r"(\.0+)+$", "", numbers[1]).split(".")) if numbers else ()
