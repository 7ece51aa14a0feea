"""What an example of an integration is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.integrations.recorder import Recorder

Names = dict[str, Any]

# Where we patch what only older versions have than the one that is installed.
OLDER = frozenset(
    (
        "pymongo.message",
        *(f"elasticsearch.{part}" for part in ("transport", "_async.transport", "connection.base")),
        *(f"pymongo.{part}{of}" for part in ("", "synchronous.", "asynchronous.") for of in ("network", "server")),
    )
)


class Example(NamedTuple):
    """*imports* are executed into names; *use* returns how often the call was traced; *fail* raises the error given.

    *over* are the integrations whose spans stand for the call where this one is off.
    """

    imports: str
    use: Callable[[Names, Recorder], int]
    fail: Callable[[Names, BaseException], None]
    over: tuple[str, ...] = ()
