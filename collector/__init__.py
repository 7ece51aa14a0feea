"""The local collector: it receives traces as a Datadog agent would, stores them in SQLite and shows them.

It needs the extra `ddmiddleware[collector]`; importing this package loads nothing of it.
"""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run the collector until SIGINT or SIGTERM, and return the exit status.

    argv: the arguments after the command's name, as `--help` describes them. The status is 0 after a stop by signal,
    1 when the collector cannot start (one line on stderr says why); bad arguments raise SystemExit(2).
    """
    try:
        from ddmiddleware.collector.command import run
    except ModuleNotFoundError as error:
        print(
            f"ddmiddleware collector: {error.name} is not installed; run: pip install 'ddmiddleware[collector]'",
            file=sys.stderr,
        )
        return 1
    return run(argv)
