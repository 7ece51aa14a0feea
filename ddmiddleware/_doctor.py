"""``ddmiddleware doctor``: whether everything is in place, and what is not."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ddmiddleware import _config_command
from ddmiddleware.integrations import diagnosis, patch_all
from ddmiddleware.tracing import __version__, default_settings, reach

_HELP = """\
usage: ddmiddleware doctor [--json] [--no-patch-first] [MODULE ...]

Report the versions in use, what is traced of each supported library and what switched it, whether the collector can be
reached, and mistyped settings. The modules given are imported first, as your program imports them, with everything
patched; then the report also says when and by which import each library was patched, and which references to its
functions escape, with file and line.

options:
  --json            as JSON
  --no-patch-first  import the modules before anything is patched, to see what a late patch_all() misses
  -h, --help        show this text

The exit status is 0 if all is well, else 1.

  ddmiddleware doctor shop.wsgi
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status: 0 if all is well, 1 if not, 2 for wrong arguments."""
    if "-h" in arguments or "--help" in arguments:
        print(_HELP, end="")
        return 0
    options = [argument for argument in arguments if argument.startswith("-")]
    unknown = [option for option in options if option not in ("--json", "--no-patch-first")]
    if unknown:
        print(f"ddmiddleware doctor: there is no option {unknown[0]}; see ddmiddleware doctor --help", file=sys.stderr)
        return 2
    modules = [argument for argument in arguments if not argument.startswith("-")]
    found = examine(modules, "--no-patch-first" not in options)
    if "--json" in options:
        print(json.dumps(found, indent=2))
    else:
        _show(found)
    return 1 if found["problems"] else 0


def info() -> int:
    """Print the settings that are set and whether the collector answers; return 0 if it does, else 1."""
    print(_title(_versions()))
    _config_command.show(_config_command.report(changed=True), helps=False)
    return 1 if _show_agent(_agent()) else 0


def examine(modules: Sequence[str], patch_first: bool) -> dict[str, Any]:
    """Import *modules*, before or after patching everything, and return what there is to say."""
    if patch_first:
        patch_all()
    imported = [_imported(module) for module in modules]
    patch_all()
    settings = _config_command.report(changed=True)
    found = {
        **_versions(),
        "enabled": default_settings["DD_TRACE_ENABLED"],
        "agent": _agent(),
        "modules": imported,
        "integrations": diagnosis(),
        "mistyped": settings["mistyped"],
        "without_effect": settings["without_effect"],
    }
    found["problems"] = list(_problems(found))
    return found


def _versions() -> dict[str, Any]:
    return {
        "version": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(terse=True),
    }


def _title(found: dict[str, Any]) -> str:
    return f"ddmiddleware {found['version']}, {found['python']}, {found['platform']}"


def _agent() -> dict[str, str]:
    return {"url": default_settings.effective()["dd_trace_agent_url"], "problem": reach(default_settings)}


def _imported(module: str) -> dict[str, Any]:
    if os.getcwd() not in sys.path:  # as python -m has it
        sys.path.insert(0, os.getcwd())
    began, error = time.perf_counter(), ""
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as raised:  # whatever the user's module does
        error = f"{type(raised).__name__}: {raised}"
    return {"module": module, "seconds": round(time.perf_counter() - began, 3), "error": error}


def _problems(found: dict[str, Any]) -> Iterator[str]:
    if found["agent"]["problem"]:
        yield f"the collector at {found['agent']['url']} cannot be reached: {found['agent']['problem']}"
    for module in found["modules"]:
        if module["error"]:
            yield f"{module['module']} cannot be imported: {module['error']}"
    for name, nearest in found["mistyped"].items():
        yield f"{name} is no setting" + (f": is it {nearest}?" if nearest else "")
    if found["enabled"]:
        for integration in found["integrations"]:
            yield from _problems_of(integration)


def _problems_of(integration: dict[str, Any]) -> Iterator[str]:
    name = integration["name"]
    if integration["on"] and not integration["supported"]:
        yield f"{name} {integration['version']} is not traced: {integration['requires']} is needed"
    elif integration["on"] and integration["imported"] and not integration["patched"] and name != "methods":
        yield f"{name} is imported and not patched"
    if name == "methods":
        yield from (f"DD_TRACE_METHODS names {path}, which is not there" for path in integration["missing"])
    for stale in integration["stale"]:
        yield (
            f"{stale['name']} still means the original of {stale['path']}, and is not traced: "
            f"{stale['file']}:{stale['line']}"
        )


def _show(found: dict[str, Any]) -> None:
    print(_title(found))
    if not found["enabled"]:
        print("switched off: DD_TRACE_ENABLED=false")
    _show_agent(found["agent"])
    for module in found["modules"]:
        print(f"imported {module['module']} in {module['seconds']} s")
    for integration in found["integrations"]:
        _show_integration(integration)
    for name in found["without_effect"]:
        print(f"{name} is of ddtrace, and has no effect here")
    print("\nproblems:" if found["problems"] else "\nall is well")
    for problem in found["problems"]:
        print(f"  {problem}")


def _show_agent(agent: dict[str, str]) -> bool:
    """Print whether the collector answers; return whether it does not."""
    print(f"collector at {agent['url']}: {agent['problem'] or 'reachable'}")
    if agent["problem"]:
        print("start one with: ddmiddleware collector")
    return bool(agent["problem"])


def _show_integration(integration: dict[str, Any]) -> None:
    state = "on" if integration["on"] else "off"
    version = integration["version"] or ("standard library" if integration["installed"] else "not installed")
    needs = f", needs {integration['requires']}" if integration["requires"] else ""
    used = "" if integration["imported"] else ", not imported"
    print(f"{integration['name']}: {state} ({integration['by']}), {version}{needs}{used}")
    for patched in integration["patched"]:
        print(f"    {patched['module']} patched after {patched['seconds']} s, by {patched['where']}")
