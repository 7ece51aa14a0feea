"""What is lost when a process ends, in one line of its log: a collector that was away must not look like no traffic."""

from __future__ import annotations

from ddmiddleware.tracing.log import warn

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Iterable


def tell_lost(given_up: int, dropped: int, troubles: Iterable[str]) -> bool:
    """Say how many spans were *given_up* now, for what *troubles*, and *dropped* before from a full queue.

    Return whether there was something to say. What an agent refused was said when it did so.
    """
    parts = []
    if given_up:
        why = "; ".join(filter(None, troubles))
        parts.append(f"{given_up} could not be sent at the end" + (f" ({why})" if why else ""))
    if dropped:
        parts.append(f"{dropped} came while too many waited to be sent")
    if parts:
        warn("%d spans are lost: %s", given_up + dropped, "; ".join(parts))
    return bool(parts)
