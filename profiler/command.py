"""``ddmiddleware profile``: profile running processes for a while."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Sequence

from ddmiddleware.profiling.asking import Answer, alive, ask_all, processes
from ddmiddleware.profiling.formats import FORMATS
from ddmiddleware.profiling.on_demand import LONGEST_S
from ddmiddleware.profiling.output import write_private
from ddmiddleware.tracing import default_settings

_FORMATS = [name for name in FORMATS if name != "top"]
_HELP = """\
usage: ddmiddleware profile [OPTION ...] PID ... | --all-workers

Ask processes that run for a profile of the next seconds, and write it to a file for each. They must be yours, and be
profiled already: started with ddmiddleware-run --profiling, DD_PROFILING_ENABLED=true or ddmiddleware.profiling.

options:
  --all-workers       all processes of yours that can be asked; with a PID, it and those below it
  --seconds SECONDS   how long (10)
  --endpoint PATTERN  only what was done for these endpoints, such as "GET /users/*"
  --format FORMAT     pprof (go tool pprof), speedscope (speedscope.app), chrome (ui.perfetto.dev) or collapsed
                      (flamegraph.pl); pprof if not given
  -o, --output FILE   where to; profile-SERVICE-PID.pprof and so on if not given
  --open              send it to the collector (DD_TRACE_AGENT_URL) and open that in the browser
  -h, --help          show this text

The exit status is 0 if there is a profile of every process, 1 if not, 2 for wrong arguments.

  ddmiddleware profile --seconds 30 --endpoint "GET /checkout" 4711
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status."""
    if "-h" in arguments or "--help" in arguments:
        print(_HELP, end="")
        return 0
    try:
        options = _parsed(arguments)
    except SystemExit:  # argparse has said what is wrong
        return 2
    asked, problems = chosen(options.pids, options.all_workers)
    if not asked:
        for problem in problems or [_NOBODY]:
            _say(problem)
        return 1
    with _Progress(f"profiling {_counted(len(asked))} for {options.seconds:g} s", options.seconds):
        answers, more = ask_all(asked.items(), options.seconds, options.format, options.endpoint)
    problems += more
    for answer in answers:
        problem = _keep(answer, options, len(asked) > 1)
        problems += [problem] if problem else []
    for problem in problems:
        _say(problem)
    return 1 if problems else 0


_NOBODY = (
    "no process of yours can be asked for a profile: start one with ddmiddleware-run --profiling or "
    "DD_PROFILING_ENABLED=true"
)


def chosen(pids: Sequence[int], all_workers: bool) -> tuple[dict[int, str], list[str]]:
    """Return the sockets of the processes that are meant, and what is wrong with the others."""
    found = processes(default_settings["DD_PROFILING_ON_DEMAND_DIR"])
    if all_workers:
        if not pids:
            return found, []
        below = {pid: path for pid, path in found.items() if not _ancestors(pid).isdisjoint(pids)}
        return below, [] if below else [f"process {pids[0]} and those below it cannot be asked for a profile"]
    problems = []
    for pid in pids:
        if not alive(pid):
            problems.append(f"there is no process {pid}")
        elif pid not in found:
            problems.append(
                f"process {pid} cannot be asked for a profile: it is not profiled, or not yours. Start it with "
                "ddmiddleware-run --profiling or DD_PROFILING_ENABLED=true; of gunicorn ask the workers (--all-workers)"
            )
    return {pid: found[pid] for pid in pids if pid in found}, problems


def _ancestors(pid: int) -> set[int]:
    found = set()
    while pid > 1 and pid not in found:
        found.add(pid)
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                pid = int(file.read().rpartition(")")[2].split()[1])  # proc(5): the state, then the parent
        except (OSError, ValueError, IndexError):
            break
    return found


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # it does not return
        _say(f"{message}; see ddmiddleware profile --help")
        raise SystemExit(2)


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="ddmiddleware profile", add_help=False, allow_abbrev=False)
    parser.add_argument("pids", nargs="*", type=int, metavar="PID")
    parser.add_argument("--all-workers", action="store_true")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--endpoint", default="")
    parser.add_argument("--format", choices=_FORMATS, default="pprof")
    parser.add_argument("--output", "-o", default="")
    parser.add_argument("--open", action="store_true")
    options = parser.parse_args(arguments)
    if not options.pids and not options.all_workers:
        parser.error("which processes? give a PID or --all-workers")
    if not 0 < options.seconds <= LONGEST_S:
        parser.error(f"--seconds has to be above 0, up to {LONGEST_S:.0f}")
    if options.open and options.format != "pprof":
        parser.error("--open takes no --format: the collector reads pprof")
    return options


def _keep(answer: Answer, options: argparse.Namespace, several: bool) -> str:
    """Write one profile, or send it where it is to be opened; return what went wrong."""
    told = answer.told
    if options.open:
        from ddmiddleware.profiling.upload import post

        problem = post(answer.body, told["event"], default_settings)
        if not problem:
            import webbrowser

            webbrowser.open(f"{default_settings.agent_address}/profiles")
        return problem
    suffix = FORMATS[options.format].suffix
    path = options.output or f"profile-{_plain(told['service'])}-{told['pid']}{suffix}"
    if options.output and several:
        root, extension = os.path.splitext(path)
        path = f"{root}-{told['pid']}{extension}"
    try:
        write_private(path, answer.body)
    except OSError as error:
        return f"cannot write {path}: {error.strerror}"
    of = f" of {options.endpoint}" if options.endpoint else ""
    print(f"{path}: {told['samples']} stacks{of}, {len(answer.body) / 1000:.1f} kB")
    return ""


def _plain(service: str) -> str:
    return "".join(character if character.isalnum() or character in "-_" else "-" for character in service)


def _counted(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _say(message: str) -> None:
    print(f"ddmiddleware profile: {message}", file=sys.stderr)


class _Progress:
    """One line, with the seconds that are left where it is written to a terminal."""

    def __init__(self, text: str, seconds: float) -> None:
        self._text, self._until = text, time.monotonic() + seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._over.wait(0.2):
            left_s = max(self._until - time.monotonic(), 0)
            print(f"\r\033[K{self._text}: {left_s:.0f} s left", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> None:
        if sys.stderr.isatty():
            self._thread.start()
        else:
            print(self._text, file=sys.stderr)

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
            print("\r\033[K", end="", file=sys.stderr, flush=True)
