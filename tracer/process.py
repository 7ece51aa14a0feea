"""What belongs to one process: its runtime id, and what a forked child has to make anew."""

import os
import sys
import threading
from collections.abc import Callable

_FORK_WAITS_S = 5.0
_after_fork: list[Callable[[], None]] = []


class _Process:
    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.pid = os.getpid()
        self.runtime_id = os.urandom(16).hex()


process = _Process()
# Held while a thread of ours imports: a child forked meanwhile would wait for ever for what that thread had begun.
forks_wait = threading.Lock()


def after_fork_in_child(callback: Callable[[], None]) -> None:
    """Call *callback* in every forked child, in the order of registration, before the application goes on there."""
    _after_fork.append(callback)


def at_multiprocessing_exit(callback: Callable[[], object]) -> None:
    """Call *callback* at the end of a child of ``multiprocessing``: ``os._exit`` ends it, and ``atexit`` is not run."""
    child, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if child is not None and util is not None and child.parent_process() is not None:
        util.Finalize(None, callback, exitpriority=-100)


def _before_fork() -> None:
    forks_wait.acquire(timeout=_FORK_WAITS_S)


def _forked_in_parent() -> None:
    if forks_wait.locked():
        forks_wait.release()


def _forked() -> None:
    _forked_in_parent()
    process.renew()
    for callback in _after_fork:
        callback()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_forked_in_parent, after_in_child=_forked)
