"""``ddmiddleware top``: the hottest endpoints and functions of running processes, live in the terminal."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any, TypeVar

from ddmiddleware.profiling.asking import ask_all
from ddmiddleware.profiling.command import chosen

_HELP = """\
usage: ddmiddleware top [--seconds SECONDS] [--once] [PID ...]

Show, again and again, which endpoints and functions of your running processes use the CPU: in percent of one core, over
the last seconds. Without a PID all processes that can be asked are shown (see ddmiddleware profile --help).

options:
  --seconds SECONDS  how long each look lasts (2)
  --once             look once, and write it as plain text
  -h, --help         show this text

Ctrl-C ends it.
"""
_Key = TypeVar("_Key")
_CLEAR = "\033[H\033[J"
_NO_ENDPOINT = "(no endpoint)"
_ENDPOINTS = 8


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status: 0, 1 where nobody can be asked, 2 for wrong arguments."""
    if "-h" in arguments or "--help" in arguments:
        print(_HELP, end="")
        return 0
    try:
        seconds, once, pids = _parsed(arguments)
    except ValueError as error:
        print(f"ddmiddleware top: {error}; see ddmiddleware top --help", file=sys.stderr)
        return 2
    live = not once and sys.stdout.isatty()
    try:
        while True:
            asked, problems = chosen(pids, all_workers=not pids)
            answers, more = ask_all(asked.items(), seconds, "top")
            for problem in (problems + more) if not answers else ():
                print(f"ddmiddleware top: {problem}", file=sys.stderr)
            if not answers:
                if not (problems or more):
                    print("ddmiddleware top: no process of yours can be asked for a profile", file=sys.stderr)
                return 1
            services = sorted({answer.told["service"] for answer in answers})
            size = shutil.get_terminal_size()
            lines = shown([json.loads(answer.body) for answer in answers], services, size.columns, size.lines)
            print(_CLEAR * live + "\n".join(lines), end="" if live else "\n", flush=True)
            if not live:
                return 0
    except KeyboardInterrupt:
        print()
        return 0


def shown(found: list[dict[str, Any]], services: list[str], columns: int, rows: int) -> list[str]:
    """Return the lines of one look: sums over processes."""
    endpoints: dict[str, float] = {}
    functions: dict[tuple[str, str, str], float] = {}
    for one in found:
        ns = max(one["ns"], 1)
        for endpoint, cpu, _ in one["endpoints"]:
            endpoints[endpoint] = endpoints.get(endpoint, 0) + cpu / ns * 100
        for endpoint, name, file, cpu, _ in one["functions"]:
            key = (name, file, endpoint)
            functions[key] = functions.get(key, 0) + cpu / ns * 100
    total = sum(endpoints.values())
    processes = f"{len(found)} process{'es' if len(found) != 1 else ''}"
    lines = [f"{', '.join(services)}: {processes}, {total:.1f} % of a core at {time.strftime('%H:%M:%S')}", ""]
    lines.append("  CPU %  endpoint")
    lines += [f"{cpu:7.1f}  {_printable(name) or _NO_ENDPOINT}" for name, cpu in _hottest(endpoints)[:_ENDPOINTS]]
    lines += ["", "  CPU %  function"]
    for (name, file, endpoint), cpu in _hottest(functions)[: max(rows - len(lines) - 1, 5)]:
        lines.append(f"{cpu:7.1f}  {_printable(name)}  {_tail(file)}  {_printable(endpoint) or _NO_ENDPOINT}")
    return [line[:columns] for line in lines]


def _hottest(sums: dict[_Key, float]) -> list[tuple[_Key, float]]:
    return sorted(((key, cpu) for key, cpu in sums.items() if cpu > 0), key=lambda item: -item[1])


def _tail(file: str) -> str:
    return _printable("/".join(file.rsplit("/", 2)[-2:]))


def _printable(text: str) -> str:
    """Leave out what would move a terminal's cursor."""
    return "".join(character for character in text if character.isprintable())


def _parsed(arguments: Sequence[str]) -> tuple[float, bool, list[int]]:
    seconds, once, pids = 2.0, False, []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--once":
            once = True
        elif argument == "--seconds":
            if not rest:
                raise ValueError("--seconds needs a number")
            seconds = float(rest.pop(0))
            if not 0 < seconds <= 60:
                raise ValueError("--seconds has to be above 0, up to 60")
        elif argument.isdigit():
            pids.append(int(argument))
        else:
            raise ValueError(f"there is no option {argument}")
    return seconds, once, pids
