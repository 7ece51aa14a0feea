"""How another process is asked for a profile: the other end of ``on_demand.py``."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from ddmiddleware.profiling.on_demand import folder_of

_ANSWER_MAX = 1 << 30
_LINE_MAX = 1 << 20
_LATE_S = 15.0  # beyond the seconds that were asked for
_AT_A_TIME = 64


class Refused(Exception):
    """There is no profile; the message says why."""


class Answer(NamedTuple):
    """What one process answered: *told* has ``service``, ``pid``, ``samples`` and ``event``."""

    told: dict[str, Any]
    body: bytes


def processes(folder: str = "") -> dict[int, str]:
    """Return the sockets of all processes of this user that can be asked, by process id."""
    folder = folder_of(folder)
    try:
        names = os.listdir(folder)
    except OSError:
        return {}
    found = {}
    for name in names:
        pid, _, suffix = name.partition(".")
        if suffix == "sock" and pid.isdigit() and alive(int(pid)):
            found[int(pid)] = os.path.join(folder, name)
    return dict(sorted(found.items()))


def alive(pid: int) -> bool:
    """Return whether there is a process with that id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def ask(pid: int, path: str, seconds: float, format: str, endpoint: str = "") -> Answer:
    """Wait for the profile of one process; raise Refused where there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds + _LATE_S)
        try:
            connection.connect(path)
            request = {"seconds": seconds, "format": format, "endpoint": endpoint or None}
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as file:
                line = file.readline(_LINE_MAX)
                told = json.loads(line) if line else {"error": "it ended meanwhile"}
                if "error" in told:
                    raise Refused(f"process {pid}: {told['error']}")
                size = int(told["bytes"])
                body = file.read(size) if size <= _ANSWER_MAX else b""
        except TimeoutError:
            raise Refused(f"process {pid}: no answer in time") from None
        except (OSError, ValueError, KeyError) as error:
            raise Refused(f"process {pid}: {getattr(error, 'strerror', None) or 'the answer makes no sense'}") from None
    if len(body) != size:
        raise Refused(f"process {pid}: the answer is cut off")
    return Answer(told, body)


def ask_all(
    paths: Iterable[tuple[int, str]], seconds: float, format: str, endpoint: str = ""
) -> tuple[list[Answer], list[str]]:
    """Ask several processes at the same time; return their answers, and why there is none of the others."""
    answers: list[Answer] = []
    problems: list[str] = []
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        waiting = [pool.submit(ask, pid, path, seconds, format, endpoint) for pid, path in paths]
        for one in waiting:
            try:
                answers.append(one.result())
            except Refused as refused:
                problems.append(str(refused))
    return answers, problems
