"""What stands for ``threading.Lock`` and ``threading.RLock`` while locks are profiled (``_locks.c``).

Both are called as the real ones, and give a real one to the standard library and to ourselves. What else they give
looks like a real one to ``isinstance``, ``pickle``, ``copy`` and ``Condition``, and what was made before looks like one
of them.
"""

from __future__ import annotations

import threading
from operator import attrgetter
from typing import Any

from ddmiddleware.profiling import _locks


class _Kind(type):
    _kind: type
    _real: Any

    def __instancecheck__(cls, instance: object) -> bool:
        return type.__instancecheck__(cls, instance) or ("_kind" in vars(cls) and isinstance(instance, cls._kind))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return type.__subclasscheck__(cls, subclass) or ("_kind" in vars(cls) and issubclass(subclass, cls._kind))

    def stand_for(cls, real: Any) -> None:
        """Make locks around those that *real* makes, with all of their attributes."""
        cls._real, example = real, real()
        cls._kind = type(example)
        for name in dir(example):
            if not (name.startswith("__") or hasattr(cls, name)):
                setattr(cls, name, property(attrgetter(f"_lock.{name}")))


class Lock(_locks.Lock, metaclass=_Kind):
    __slots__ = ()

    def __init_subclass__(cls) -> None:
        raise TypeError(f"type '{Lock._kind.__module__}.{Lock._kind.__qualname__}' is not an acceptable base type")


class RLock(_locks.RLock, metaclass=_Kind):
    __slots__ = ()


Lock.stand_for(threading.Lock)
RLock.stand_for(threading.RLock)
for _class in (Lock, RLock):  # found by pickle where they stand
    _class.__module__ = "threading"
