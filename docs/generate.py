"""Write the pages of the documentation that come from the code: ``make docs``.

``--check`` writes nothing and fails where a page is out of date. ``--tested`` notes the installed versions of the
libraries as tested: to be called where the tests have passed.
"""

import importlib
import json
import pathlib
import sys
from typing import Any

from ddmiddleware.integrations import TABLE
from ddmiddleware.integrations._versions import _release, installed
from ddmiddleware.tracing import SETTINGS_TABLE

FOLDER = pathlib.Path(__file__).parent
TESTED = FOLDER / "integrations" / "tested.json"


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
        "| `DD_<NAME>_SPLIT_BY_DOMAIN` | false | Name the service of an HTTP client's spans after the host and port "
        "that is called. |",
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
        "What `patch_all()` traces; made from the code by `make docs`. Each can be switched: `patch_all(redis=False)`,",
        "`DD_TRACE_REDIS_ENABLED=false` or `DD_PATCH_MODULES=redis:false`. The service of each one's spans is",
        "`DD_<NAME>_SERVICE`, in code `config.redis.service`; where the column names none, it is the application's.",
        "[adding.md](adding.md) tells how to add one.",
        "",
        "**One message on the wire has one span.** Libraries stand on one another: requests on urllib3, that on",
        "http.client; SQLAlchemy on a driver. The outermost that is on has the span, its headers go out, and what is",
        "beneath runs without. A redirect or a retry is a message of its own and has a span of its own, a child of the",
        "first, or beside it where the library's function ends with each answer (urllib3's managers, urllib). aiohttp",
        "follows redirects in one call, which has one span. Different wires are parent and child: a cache, its Redis.",
        "",
        "| name | traces | spans | needs | tested with | service | options |",
        "|---|---|---|---|---|---|---|",
    ]
    tested = json.loads(TESTED.read_text())
    for name, row in sorted(TABLE.items()):
        module = importlib.import_module(row.loads)
        what = (module.__doc__ or "").split("\n")[0].rstrip(".")
        parts = module.integration.everything()
        spans = ", ".join(dict.fromkeys(f"`{span}`" for part in parts for span in part.names))
        # A part by the integration's own name is the same library in another version, or by another name.
        of_row = [part.requires for part in parts if part.requires and part.name == module.integration.name]
        needs = ", ".join(dict.fromkeys(of_row))
        versions = [version for each in of_row for version in tested.get(each.partition(">=")[0], ())]
        with_ = ", ".join(dict.fromkeys(versions)) if needs else "Python 3.10-3.14"
        service = module.integration.options._default_service or ""
        lines.append(
            f"| `{name}`{'' if row.on else ' (off)'} | {what} | {spans} | {needs or 'standard library'} | {with_} "
            f"| {service} | {_options(name, module)} |"
        )
    lines += [
        "",
        "What looks different while patched, of all that `tests/integrations/test_fidelity.py` looks at (type,",
        "signature, annotations, source, pickle, copy, equality, `inspect.is*`, mro, members, of all that is patched):",
        "",
        "1. `sqlite3.connect` is a Python function and no built-in: its type, `__annotations__`, `__self__`,",
        "   `inspect.isbuiltin`, `ismethoddescriptor`. Connections and cursors are of subclasses of the same names.",
        "2. `structlog.BoundLoggerBase._process_event` is found as a descriptor by `inspect.getattr_static`.",
        "3. `dir()` of a class shows an attribute that only its instances have otherwise, where one is watched there.",
        "4. MySQLdb's connection, asyncpg's protocol, some classes of Connexion and Django have as their own a method",
        "   that they only inherited. psycopg2's connections and cursors are of subclasses, as sqlite3's.",
        "",
        "`unpatch()` puts the very same objects back.",
    ]
    return "\n".join(lines) + "\n"


def _options(name: str, module: Any) -> str:
    wire = module.integration.wire
    own = [row.name for row in SETTINGS_TABLE if f"_{name.upper()}_" in row.name]
    if hasattr(module, "_http_client"):
        own.insert(0, f"DD_{name.upper()}_SPLIT_BY_DOMAIN")
    if wire in ("http", "message"):
        own.insert(0, f"DD_{name.upper()}_DISTRIBUTED_TRACING")
    return ", ".join(f"`{each}`" for each in own)


def remember_tested() -> None:
    """Add the versions that are installed to those that the tests have run with: the oldest and the newest are kept."""
    tested = json.loads(TESTED.read_text()) if TESTED.exists() else {}
    everything = [
        part for row in TABLE.values() for part in importlib.import_module(row.loads).integration.everything()
    ]
    for needs in sorted({part.requires for part in everything}):
        version = installed(needs)
        if version is not None:
            library = needs.partition(">=")[0]
            found = sorted({*tested.get(library, ()), version}, key=_release)
            tested[library] = [found[0], found[-1]] if len(found) > 1 else found
    TESTED.write_text(json.dumps(tested, indent=1, sort_keys=True) + "\n")


def main() -> int:
    if "--tested" in sys.argv:
        remember_tested()
    stale = []
    for name, text in (("settings.md", settings()), ("integrations/README.md", integrations())):
        path = FOLDER / name
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text)
    print(", ".join(stale) + (" out of date" if "--check" in sys.argv else " written") if stale else "up to date")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
