"""What is said of a profile beside its samples: ``event.json`` of an upload, and the tags."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from typing import Any

from ddmiddleware.profiling.samples import Profile
from ddmiddleware.tracing import Settings, __version__, runtime_id

_SHOWN_SETTINGS = ("STACK", "MEMORY", "HEAP", "LOCK", "EXCEPTION", "GC", "ENDPOINT_COLLECTION")


def event_of(profile: Profile, settings: Settings, attachments: list[str], number: int) -> dict[str, Any]:
    """Return ``event.json`` of the protocol's version 4."""
    shown = {name: settings[f"DD_PROFILING_{name}_ENABLED"] for name in _SHOWN_SETTINGS}
    return {
        "attachments": attachments,
        "tags_profiler": ",".join(f"{key}:{value}" for key, value in tags(profile, settings, number).items()),
        "start": _iso(profile.start_ns),
        "end": _iso(profile.end_ns),
        "family": "python",
        "version": "4",
        "endpoint_counts": profile.endpoint_counts or None,
        "internal": {"sample_count": len(profile.samples), **profile.tags},
        "info": {"profiler": {"settings": {f"{name.lower()}_enabled": value for name, value in shown.items()}}},
    }


def tags(profile: Profile, settings: Settings, number: int = 0) -> dict[str, str]:
    """Return the tags of a profile: what was set, whose it is, and how it was made."""
    found = {**settings["DD_TAGS"], **settings["DD_PROFILING_TAGS"], "service": settings.service}
    optional = {
        "env": settings.env,
        "version": settings.version,
        "git.commit.sha": settings["DD_GIT_COMMIT_SHA"],
        "git.repository_url": settings["DD_GIT_REPOSITORY_URL"],
    }
    found |= {key: value for key, value in optional.items() if value}
    found |= {
        "language": "python",
        "runtime": platform.python_implementation(),
        "runtime_version": platform.python_version(),
        "runtime-id": runtime_id(),
        "runtime_platform": f"{platform.machine()}-{platform.system().lower()}",
        "profiler_version": __version__,
        "process_id": str(os.getpid()),
        "profile_seq": str(number),
        **profile.tags,
    }
    return {key: str(value).replace(",", "_") for key, value in found.items()}


def _iso(time_ns: int) -> str:
    """Return a time of RFC 3339 with nanoseconds."""
    whole = datetime.fromtimestamp(time_ns // 10**9, timezone.utc)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{time_ns % 10**9:09d}Z"
