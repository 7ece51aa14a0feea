"""The time windows that pages look at."""

from dataclasses import dataclass

LENGTHS_S = {"5m": 300, "15m": 900, "1h": 3_600, "6h": 21_600, "24h": 86_400}
ALL = "all"
NAMES = (*LENGTHS_S, ALL)
DEFAULT = "1h"


@dataclass(frozen=True)
class Window:
    """From one time on, in nanoseconds since the Unix epoch.

    It ends now, but requests that seem to begin later are inside: the clocks of other machines may run ahead.
    """

    name: str
    since_ns: int
    until_ns: int

    @classmethod
    def named(cls, name: str, now_ns: int) -> "Window":
        """Make a window by its name; a name that is not in NAMES means the default."""
        if name == ALL:
            return cls(ALL, 0, now_ns)
        name = name if name in LENGTHS_S else DEFAULT
        return cls(name, now_ns - LENGTHS_S[name] * 10**9, now_ns)
