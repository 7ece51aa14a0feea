"""One fresh interpreter: `python -I -S import_probe.py PATHS STATEMENTS...` prints the process's state around each.

Run without the site module, because an editable install's finder would already have imported much of what is measured.
"""

import os
import sys
import time

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def _state() -> dict[str, object]:
    with open("/proc/self/statm") as statm:
        rss = int(statm.read().split()[1]) * _PAGE_BYTES
    threads = len(os.listdir("/proc/self/task"))
    return {
        "cpu_ms": time.process_time() * 1e3,
        "rss_mb": rss / 2**20,
        "modules": list(sys.modules),
        "threads": threads,
    }


sys.path += sys.argv[1].split(os.pathsep)
application = {"__name__": "application"}
states = [_state()]
for statements in sys.argv[2:]:
    exec(statements, application)
    states.append(_state())

import json  # noqa: E402 (what the measured statements import themselves must not be here yet)

print(json.dumps(states), flush=True)
os._exit(0)
