"""Write the pages of the documentation that come from the code: ``make docs``.

``--check`` writes nothing and fails where a page is out of date.
"""

import importlib
import pathlib
import sys
from typing import Any

from ddmiddleware.integrations import TABLE
from ddmiddleware.tracing import SETTINGS_TABLE

FOLDER = pathlib.Path(__file__).parent


def settings() -> str:
    lines = [
        "# Settings",
        "",
        "Environment variables; made from the table in `tracer/settings_table.py` by `make docs`. A bad value is",
        "reported in one log line and the default is used. `ddmiddleware config` shows the values in force;",
        "[configuration.md](configuration.md) tells how to set them in code.",
        "",
        "| name | default | meaning |",
        "|---|---|---|",
    ]
    for row in SETTINGS_TABLE:
        names = f"`{row.name}`" + "".join(f", also `{alias}`" for alias in row.aliases)
        lines.append(f"| {names} | {_default(row.default)} | {row.help} |")
    lines += [
        "| `DD_TRACE_<NAME>_ENABLED` | true | Switch one integration, such as `DD_TRACE_REDIS_ENABLED=false`. |",
        "| `DD_<NAME>_SERVICE`, also `DD_<NAME>_SERVICE_NAME` | | Service of one integration's spans, such as "
        "`DD_REDIS_SERVICE=cache`. |",
        "| `DD_<NAME>_DISTRIBUTED_TRACING`, also `DD_<NAME>_DISTRIBUTED_TRACING_ENABLED` | true | Read and write trace "
        "headers, such as `DD_REQUESTS_DISTRIBUTED_TRACING=false`. |",
        "| `DD_CELERY_PRODUCER_SERVICE`, `DD_CELERY_WORKER_SERVICE` | celery-producer, celery-worker | Services of the "
        "spans of who sends tasks, and of who runs them. |",
    ]
    return "\n".join(lines) + "\n"


def _default(value: Any) -> str:
    if isinstance(value, frozenset):
        return f"{min(value)}-{max(value)}"
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value not in ("", {}, (), None) else ""


def integrations() -> str:
    lines = [
        "# Integrations",
        "",
        "What `patch_all()` traces; made from the table in `integrations/__init__.py` by `make docs`. Each can be",
        "switched: `patch_all(redis=False)`, `DD_TRACE_REDIS_ENABLED=false` or `DD_PATCH_MODULES=redis:false`.",
        "",
        "| name | traces | needs |",
        "|---|---|---|",
    ]
    for name, row in sorted(TABLE.items()):
        module = importlib.import_module(row.loads)
        what = (module.__doc__ or "").split("\n")[0].rstrip(".")
        lines.append(f"| `{name}` | {what} | {module.integration.requires or 'standard library'} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    stale = []
    for name, text in (("settings.md", settings()), ("integrations.md", integrations())):
        path = FOLDER / name
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text)
    print(", ".join(stale) + (" out of date" if "--check" in sys.argv else " written") if stale else "up to date")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
