"""References to a module's function that other modules took by ``from module import function``."""

from __future__ import annotations

import sys
from typing import Any


def rebind(old: Any, new: Any) -> None:
    """Make every module-level name in the process that means *old* mean *new*.

    Our own modules keep theirs, and names that belong to no plain module dictionary are left alone.
    """
    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] == "ddmiddleware":
            continue
        try:
            names = object.__getattribute__(module, "__dict__")  # a lazy module would be loaded by its own
        except AttributeError:
            continue
        if type(names) is not dict:
            continue
        for value in list(names.values()):  # twice as fast as going through the items
            if value is old:
                names.update([(name, new) for name, value in list(names.items()) if value is old])
                break
