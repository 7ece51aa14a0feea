"""What ``ddmiddleware-run --info`` shows: the settings in force, and whether the collector answers."""

from __future__ import annotations

import platform
from typing import Any

from ddmiddleware.integrations import TABLE
from ddmiddleware.tracing import SETTINGS_TABLE, __version__, reach


def show(settings: Any) -> int:
    """Print the settings and try the collector; return 0 if it can be reached, else 1."""
    print(f"ddmiddleware {__version__}, {platform.python_implementation()} {platform.python_version()}")
    print(f"service: {settings.service}")
    print("settings (* as set in the environment):")
    for row in SETTINGS_TABLE:
        mark = "*" if any(settings.environ.get(name) for name in (row.name, *row.aliases)) else " "
        value = settings[row.name]
        shown = "500-599" if row.name == "DD_TRACE_HTTP_SERVER_ERROR_STATUSES" and mark == " " else value
        print(f" {mark} {row.name} = {_plain(shown)}")
    print("integrations: " + ", ".join(sorted(TABLE)))
    problem = reach(settings)
    print(f"collector at {settings.agent_address}: " + (problem or "reachable"))
    if problem:
        print("start one with: ddmiddleware collector")
    return 1 if problem else 0


def _plain(value: Any) -> str:
    if isinstance(value, frozenset):
        return ",".join(str(item) for item in sorted(value))
    if isinstance(value, tuple):
        return ",".join(value) or "-"
    if isinstance(value, dict):
        return ",".join(f"{key}:{item}" for key, item in value.items()) or "-"
    return str(value) if value != "" else "-"
