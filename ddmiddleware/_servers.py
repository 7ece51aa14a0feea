"""What some servers need for the last spans to get out: they are ended by a signal, and so run no exit handlers.

And uWSGI forks without Python's knowledge. What the setup of each server is, ``docs/servers.md`` says.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import wrapt

from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import at_fork, default_settings, default_tracer, guarded, notice_fork

# A part of all frameworks.
integration = Integration("servers")


def _flush() -> None:
    default_tracer.flush(default_settings["DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS"])


# shutdown, because after it uvicorn sends itself the signal that ended it; and not every application has a lifespan,
# whose end is the last moment elsewhere.
@integration.replaces("uvicorn.server:Server.shutdown")
def shut_down(original: Any) -> Any:
    async def shutting_down(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await original(self, *args, **kwargs)
        finally:
            with guarded:
                if integration.patched:
                    _flush()

    return shutting_down


# run and serve_forever, because only while they run is a signal theirs.
@integration.replaces(
    "waitress.server:BaseWSGIServer.run",
    "waitress.server:MultiSocketServer.run",
    "werkzeug.serving:BaseWSGIServer.serve_forever",
)
def serve(original: Any) -> Any:
    def serving(self: Any, *args: Any, **kwargs: Any) -> Any:
        taken = False
        with guarded:
            taken = integration.patched and _take_sigterm()
        try:
            return original(self, *args, **kwargs)
        finally:
            with guarded:
                if taken:
                    _give_back_sigterm()

    return serving


def _take_sigterm() -> bool:
    """Handle SIGTERM, if it is nobody's and so ends the process at once."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return False
    signal.signal(signal.SIGTERM, _terminate)
    return True


def _give_back_sigterm() -> None:
    if signal.getsignal(signal.SIGTERM) is _terminate:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, _frame: object) -> None:
    """Send what is finished, and end as the process would have without us; a second signal does not wait."""
    signal.signal(number, signal.SIG_DFL)
    with guarded:
        _flush()
    signal.raise_signal(number)


# A child that is stuck outside of Python would not be ended by its parent's signal.
at_fork(in_child=_give_back_sigterm)


def watch_uwsgi() -> None:
    """Notice each fork of uWSGI, where this is one, and that which brought this process about.

    It tells Python of forks only with ``py-call-uwsgi-fork-hooks``; it calls ``post_fork_hook`` always.
    """
    uwsgi: Any = sys.modules.get("uwsgi")
    if uwsgi is None or not hasattr(uwsgi, "masterpid"):
        return
    notice_fork()
    uwsgi.post_fork_hook = partial(_forked, getattr(uwsgi, "post_fork_hook", None))
    # Which puts a hook of its own in the place of any.
    wrapt.register_post_import_hook(lambda module: module.postfork_chain.insert(0, notice_fork), "uwsgidecorators")


def _forked(others: Callable[[], object] | None) -> None:
    with guarded:
        notice_fork()
    if others is not None:
        others()
