"""A connection that leaves gevent alone where it is used on a thread of its own.

The profiler's thread is a real one if it was started before gevent patched the modules, as in a worker of gunicorn.
gevent's sockets would make a hub and a pool for it, which is too late when the process exits.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from functools import partial
from http.client import HTTPConnection, HTTPSConnection
from typing import Any

from ddmiddleware.tracing import Connection


class NativeConnection(Connection):
    """As its base, without gevent's sockets on a thread that is not gevent's."""

    def _open(self, timeout: float) -> HTTPConnection:
        http = super()._open(timeout)
        monkey = sys.modules.get("gevent.monkey")
        # On Linux the main thread, where greenlets run, has the id of the process.
        if monkey is None or threading.get_native_id() == os.getpid() or isinstance(http, HTTPSConnection):
            return http
        if monkey.is_module_patched("socket"):
            http._create_connection = partial(_connect, monkey)  # type: ignore[attr-defined]  # HTTPConnection calls it
        return http


def _connect(monkey: Any, address: tuple[str, int], timeout: float, source: object = None) -> socket.socket:
    """Do what ``socket.create_connection`` does, with what the module had before it was patched."""
    made: type[socket.socket] = monkey.get_original("socket", "socket")
    problem: OSError | None = None
    for family, kind, protocol, _, place in monkey.get_original("socket", "getaddrinfo")(
        *address, 0, socket.SOCK_STREAM
    ):
        found = made(family, kind, protocol)
        try:
            found.settimeout(timeout)
            found.connect(place)
        except OSError as error:
            problem = error
            found.close()
        else:
            return found
    raise problem or OSError("the address has no host")
