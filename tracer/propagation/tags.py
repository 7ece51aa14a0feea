"""What may stand in ``_dd.p.*`` tags, whichever header carries them."""

from __future__ import annotations

import re

KEY = re.compile(r"[!-+\--<>-~]+")  # printable ASCII but space , =
VALUE = re.compile(r"[!-+\--~](?:[ -+\--~]*[!-+\--~])?")  # printable ASCII but , and no space around it
PRIORITY = re.compile(r"-?\d{1,3}", re.ASCII)
ERROR = "_dd.propagation_error"
_DECISION = re.compile(r"-\d{1,3}", re.ASCII)


def priority(text: str) -> int | None:
    """Read a sampling priority; None where *text* is none."""
    return int(text) if PRIORITY.fullmatch(text) else None


def is_decision(text: str) -> bool:
    """Return whether *text* names who decided on sampling: ``-0`` to ``-255``, the ones not invented yet included."""
    return bool(_DECISION.fullmatch(text)) and int(text) >= -255
