"""One row of the table of settings."""

from __future__ import annotations

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Setting:
    """One row: the environment variable, how its text is read, the default, and what it means.

    An alias is a name, or a name with the function that reads its text; that returns None where the text says nothing
    of this setting.
    The text of a *secret* one is not logged.
    """

    def __init__(
        self,
        name: str,
        parse: Callable[[str], Any],
        default: Any,
        help: str,
        aliases: tuple[str | tuple[str, Callable[[str], Any]], ...] = (),
        secret: bool = False,
    ) -> None:
        self.secret = secret
        self.name, self.parse, self.default, self.help = name, parse, default, help
        named = [(alias, parse) if isinstance(alias, str) else alias for alias in aliases]
        self.aliases = tuple(alias for alias, _ in named)
        self.readers = ((name, parse), *named)
