"""What is installed, supported, on, patched when and by what, and what escapes; for ``ddmiddleware doctor``."""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import Any

from ddmiddleware.integrations import TABLE, switched_by
from ddmiddleware.integrations._patching import Integration
from ddmiddleware.integrations._stale import stale
from ddmiddleware.integrations._versions import installed, meets
from ddmiddleware.tracing import default_settings, guarded


def diagnosis() -> list[dict[str, Any]]:
    """Return what is to say of each integration, and of the functions that ``DD_TRACE_METHODS`` names."""
    # Taken first, for some of ours import their library.
    imported = {name for name, row in TABLE.items() if any(module in sys.modules for module in row.modules)}
    found = [_of(name, row.loads, name in imported) for name, row in sorted(TABLE.items())]
    methods = sys.modules.get("ddmiddleware.integrations._methods")
    if methods is not None:
        found.append(_of("methods", methods.__name__, True))
    return found


def _of(name: str, loads: str, imported: bool) -> dict[str, Any]:
    integration: Integration | None = None
    # Its library may not be there, or be something else by its name.
    with guarded, contextlib.suppress(ImportError):
        integration = importlib.import_module(loads).integration
    parts = () if integration is None else integration.everything()
    requires = _needed(integration, parts)
    version = installed(requires)
    replacements = [replacement for part in parts for replacement in part.replacements]
    originals = {id(each.original): each.path for each in replacements if each.original is not None}
    on, by = switched_by(name) if name in TABLE else (True, default_settings.source("DD_TRACE_METHODS"))
    return {
        "name": name,
        "installed": version is not None or (not requires and integration is not None),
        "version": version,
        "requires": requires,
        "supported": meets(version, requires),
        "on": on,
        "by": by,
        "imported": imported,
        "patched": [
            {"module": module, "seconds": round(event.seconds, 3), "where": event.where}
            for part in parts
            for module, event in part.events.items()
        ],
        "missing": [replacement.path for replacement in replacements if replacement.missing],
        "stale": [each._asdict() for each in stale(originals)] if originals else [],
    }


def _needed(integration: Integration | None, parts: tuple[Integration, ...]) -> str:
    """Return what an integration needs: of the libraries that it is for, of one that is too old, or is there at all."""
    # A part by the integration's own name is the same library in another version, or by another name.
    needs = [part.requires for part in parts if integration is not None and part.name == integration.name]
    too_old = [each for each in needs if not meets(installed(each), each)]
    there = [each for each in needs if installed(each) is not None]
    return next(iter((*too_old, *there, *needs)), "")
