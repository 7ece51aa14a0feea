"""``ddmiddleware-run COMMAND ...``: run a program with every supported library traced, its code unchanged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from ddmiddleware.tracing import __version__, guess_service

_HELP = """\
usage: ddmiddleware-run [--debug] [--profiling] [--as-ddtrace] COMMAND [ARGUMENT ...]
       ddmiddleware-run --info | --version | --help

Run COMMAND (python, gunicorn, uvicorn, flask, celery, a script ...) and trace the requests it serves and the calls it
makes. The interpreters that it starts are traced too.

options:
  -d, --debug    log what is patched and sent
  -p, --profiling
                 profile it as well: the same as DD_PROFILING_ENABLED=true
  --as-ddtrace   let "import ddtrace" give ddmiddleware, where ddtrace is not installed
  -i, --info     show what is set and whether the collector can be reached
  -v, --version  show the version
  -h, --help     show this text

Settings are environment variables, such as DD_SERVICE and DD_TRACE_AGENT_URL: see docs/settings.md.

  ddmiddleware collector &
  DD_SERVICE=shop ddmiddleware-run gunicorn shop:app
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in place of this process; return a status only if that cannot be."""
    rest = list(sys.argv[1:] if arguments is None else arguments)
    environ = dict(os.environ)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("-h", "--help"):
            print(_HELP, end="")
            return 0
        if option in ("-v", "--version"):
            print(f"ddmiddleware {__version__}")
            return 0
        if option in ("-i", "--info"):
            from ddmiddleware import _doctor

            return _doctor.info()
        if option in ("-d", "--debug"):
            environ["DD_TRACE_DEBUG"] = "true"
        elif option in ("-p", "--profiling"):
            environ["DD_PROFILING_ENABLED"] = "true"
        elif option == "--as-ddtrace":
            environ["_DDMIDDLEWARE_AS_DDTRACE"] = "true"
        elif option == "--":
            break
        else:
            print(f"ddmiddleware-run: there is no option {option}; see ddmiddleware-run --help", file=sys.stderr)
            return 2
    if not rest:
        print(_HELP, end="", file=sys.stderr)
        return 2
    command = rest[1:] if os.path.basename(rest[0]).startswith("python") else rest
    environ["_DDMIDDLEWARE_SERVICE"] = guess_service(command)  # for interpreters whose own command says nothing
    return _replace_process(rest, _with_bootstrap(environ))


def _with_bootstrap(environ: dict[str, str]) -> dict[str, str]:
    """Put our sitecustomize first on PYTHONPATH, once."""
    bootstrap = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_bootstrap")
    path = [entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != bootstrap]
    # The process keeps its id when it becomes the command: by that its sitecustomize knows it from its children.
    return {**environ, "PYTHONPATH": os.pathsep.join([bootstrap, *path]), "_DDMIDDLEWARE_RUN": str(os.getpid())}


def _replace_process(command: list[str], environ: dict[str, str]) -> int:
    program = shutil.which(command[0], path=environ.get("PATH"))
    if program is None:
        print(f"ddmiddleware-run: {command[0]}: command not found", file=sys.stderr)
        return 127
    if os.name == "nt":  # exec would give the terminal back at once
        return subprocess.call([program, *command[1:]], env=environ)
    try:
        os.execve(program, command, environ)
    except OSError as error:
        print(f"ddmiddleware-run: cannot run {program}: {error.strerror}", file=sys.stderr)
        return 126


if __name__ == "__main__":
    sys.exit(main())
