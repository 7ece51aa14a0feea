"""``ddmiddleware config``: every setting with its value in force, where that comes from, and what it means."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from ddmiddleware.tracing import SETTINGS_TABLE, default_settings

_HELP = """\
usage: ddmiddleware config [--changed] [--json]

Show every setting: its value in force, where that comes from (the environment, the command line, the default), and
what it means. What is set in code shows only in that program: ddmiddleware.config.effective() and .sources().

options:
  --changed   only what is not the default
  --json      as JSON: settings by lower-case name, mistyped names, names of ddtrace that have no effect here
  -h, --help  show this text
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status: 0, or 2 for wrong arguments."""
    if "-h" in arguments or "--help" in arguments:
        print(_HELP, end="")
        return 0
    unknown = [argument for argument in arguments if argument not in ("--changed", "--json")]
    if unknown:
        print(f"ddmiddleware config: there is no option {unknown[0]}; see ddmiddleware config --help", file=sys.stderr)
        return 2
    found = report("--changed" in arguments)
    if "--json" in arguments:
        print(json.dumps(found, indent=2))
    else:
        show(found)
    return 0


def report(changed: bool = False) -> dict[str, Any]:
    """Return the settings by lower-case name, or only those that are *changed*, and the names that are none.

    Those of single integrations are there where the environment has them.
    """
    values, sources = default_settings.effective(), default_settings.sources()
    helps = {row.name.lower(): row.help for row in SETTINGS_TABLE}
    mistyped, left_out = default_settings.sort_out()
    settings = {
        name: {"value": value, "source": sources[name], "help": helps[name]}
        for name, value in values.items()
        if not changed or sources[name] not in ("default", "command line")
    }
    for name, value in default_settings.of_integrations().items():
        settings[name.lower()] = {"value": value, "source": f"environment {name}", "help": "Of one integration."}
    return {
        "settings": settings,
        "mistyped": mistyped,
        "without_effect": left_out,
    }


def show(found: dict[str, Any], helps: bool = True) -> None:
    """Print a report as text, with or without what each setting means."""
    for name, setting in found["settings"].items():
        print(f"{name.upper()} = {setting['value'] or '-'}  ({setting['source']})")
        if helps:
            print(f"    {setting['help']}")
    for name, nearest in found["mistyped"].items():
        print(f"{name} is no setting" + (f": is it {nearest}?" if nearest else ""))
    for name in found["without_effect"]:
        print(f"{name} is of ddtrace, and has no effect here")
