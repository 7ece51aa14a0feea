"""What belongs to one process: its runtime id, and what a forked child has to make anew."""

from __future__ import annotations

import os
import sys
import threading  # before our hooks are registered: in a forked child it forgets all threads that ours have started
import time

from ddmiddleware.tracing.guard import guard

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FORK_WAITS_S = 5.0
_before_fork: list[Callable[[], None]] = []
_after_fork_in_parent: list[Callable[[], None]] = []
_after_fork_in_child: list[Callable[[], None]] = []
_at_service_end: list[Callable[[], object]] = []
_at_supervision: list[Callable[[], object]] = []


class _Process:
    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.pid = os.getpid()
        self.exit_until: float | None = None
        self.runtime_id = os.urandom(16).hex()


process = _Process()
# Held while a thread of ours imports: a child forked meanwhile would wait for ever for what that thread had begun.
forks_wait = threading.Lock()


def at_fork(
    *,
    before: Callable[[], None] | None = None,
    in_parent: Callable[[], None] | None = None,
    in_child: Callable[[], None] | None = None,
) -> None:
    """Call these at every fork, in the order of registration: before it, and after it on either side."""
    for callback, callbacks in (
        (before, _before_fork),
        (in_parent, _after_fork_in_parent),
        (in_child, _after_fork_in_child),
    ):
        if callback is not None:
            callbacks.append(callback)


def names_resolve_at_exit() -> None:
    """Load what gevent resolves names with: once Python's exit has begun, it cannot be imported any more.

    gevent does so itself when it patches a process of one thread.
    """
    if "gevent.monkey" in sys.modules and "concurrent.futures.thread" not in sys.modules:
        with forks_wait:
            try:
                import concurrent.futures.thread  # noqa: F401
            except RuntimeError:  # the exit has begun
                return


def runtime_id() -> str:
    """Return the id of this process, another one after a fork."""
    return process.runtime_id


def exit_deadline(timeout_s: float, share: float = 1.0) -> float:
    """Return until when (monotonic seconds) a part of ours may delay the exit of the process.

    All parts share one deadline, *timeout_s* after the first of them asks; one that others come after takes only a
    *share* of the time that is left.
    """
    now = time.monotonic()
    if process.exit_until is None:
        process.exit_until = now + timeout_s
    return now + max(process.exit_until - now, 0) * share


def keep_interrupt() -> None:
    """At exit, let Python end by SIGINT if an uncaught KeyboardInterrupt ends the program.

    Python forgets it when code is evaluated after it, as importing some modules does (``run_eval_code_obj`` in
    pythonrun.c): the exit status would be another one than without us.
    """
    if getattr(sys, "last_type", None) is KeyboardInterrupt and not hasattr(sys, "ps1"):
        try:
            exec("raise KeyboardInterrupt")
        except KeyboardInterrupt:
            return


def at_multiprocessing_exit(callback: Callable[[], object]) -> None:
    """Call *callback* at the end of a child of ``multiprocessing``: ``os._exit`` ends it, and ``atexit`` is not run."""
    child, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if child is not None and util is not None and child.parent_process() is not None:
        util.Finalize(None, callback, exitpriority=-100)


def at_service_end(callback: Callable[[], object]) -> None:
    """Call *callback* when a server says that it will serve no more; it may end by a signal, without exit handlers."""
    _at_service_end.append(callback)


def service_ended() -> None:
    """Call those that wait for it: a server says that it will serve no more."""
    _call(_at_service_end)


def at_supervision(callback: Callable[[], object]) -> None:
    """Call *callback* when a server says that from now on other processes serve, and this one looks after them."""
    _at_supervision.append(callback)


def supervising() -> None:
    """Call those that wait for it: other processes serve, and this one looks after them."""
    _call(_at_supervision)


def _forking() -> None:
    _call(_before_fork)
    forks_wait.acquire(timeout=_FORK_WAITS_S)


def _forked_in_parent() -> None:
    if forks_wait.locked():
        forks_wait.release()
    _call(_after_fork_in_parent)


def _forked_in_child() -> None:
    if forks_wait.locked():
        forks_wait.release()
    process.renew()
    _call(_after_fork_in_child)


def notice_fork() -> None:
    """Do what a forked child does, if nobody told Python that this is one."""
    if process.pid != os.getpid():
        _forked_in_child()


def _call(callbacks: Sequence[Callable[[], object]]) -> None:
    for callback in callbacks:
        with guard:
            callback()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_forking, after_in_parent=_forked_in_parent, after_in_child=_forked_in_child)
