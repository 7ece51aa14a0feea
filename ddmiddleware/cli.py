"""``ddmiddleware COMMAND``: the tools that belong to the suite."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ddmiddleware.tracing import __version__

_HELP = """\
usage: ddmiddleware COMMAND [ARGUMENT ...]

commands:
  collector   store traces on this machine and show them in the browser
  run         run a program with tracing: the same as ddmiddleware-run
  profile     profile running processes for a while
  top         show which endpoints and functions use the CPU, live
  config      show every setting, its value in force, and where that comes from
  doctor      check what is installed, traced and reachable, and what escapes
  info        show what is set and whether the collector can be reached

options:
  -v, --version  show the version
  -h, --help     show this text; ddmiddleware COMMAND --help tells more of a command
"""

_INFO_HELP = """\
usage: ddmiddleware info

Show what is set, and whether the collector can be reached. The exit status is 0 if it can, else 1.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    rest = list(sys.argv[1:] if arguments is None else arguments)
    command = rest.pop(0) if rest else ""
    if command == "collector":
        from ddmiddleware import collector

        return collector.main(rest)
    if command == "run":
        from ddmiddleware import run

        return run.main(rest)
    if command == "profile":
        from ddmiddleware import profiling

        return profiling.profile_command(rest)
    if command == "top":
        from ddmiddleware import profiling

        return profiling.top_command(rest)
    if command == "config":
        from ddmiddleware import _config_command

        return _config_command.main(rest)
    if command == "doctor":
        from ddmiddleware import _doctor

        return _doctor.main(rest)
    if command == "info":
        from ddmiddleware import _doctor

        if "-h" in rest or "--help" in rest:
            print(_INFO_HELP, end="")
            return 0
        if rest:
            print(f"ddmiddleware info: there is no option {rest[0]}; see ddmiddleware info --help", file=sys.stderr)
            return 2
        return _doctor.info()
    if command in ("-v", "--version"):
        print(f"ddmiddleware {__version__}")
        return 0
    if command in ("-h", "--help"):
        print(_HELP, end="")
        return 0
    if command:
        print(f"ddmiddleware: there is no command {command!r}", file=sys.stderr)
    print(_HELP, end="", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
