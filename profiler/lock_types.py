"""What stands for ``threading.Lock`` and ``threading.RLock`` while locks are profiled (``_locks.c``).

Both are called as the real ones, and give a real one to the standard library and to ourselves. What else they give looks
like a real one to ``isinstance``, ``pickle``, ``copy`` and ``Condition``, and what was made before looks like one of them.
"""

from __future__ import annotations

import threading
from typing import Any

from ddmiddleware.profiling import _locks


class _Kind(type):
    _kind: type

    def __instancecheck__(cls, instance: object) -> bool:
        return type.__instancecheck__(cls, instance) or ("_kind" in vars(cls) and isinstance(instance, cls._kind))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return type.__subclasscheck__(cls, subclass) or ("_kind" in vars(cls) and issubclass(subclass, cls._kind))


class Lock(_locks.Lock, metaclass=_Kind):
    __slots__ = ()
    _real: Any = threading.Lock
    _kind = type(threading.Lock())

    def __init_subclass__(cls) -> None:
        raise TypeError(f"type '{Lock._kind.__module__}.{Lock._kind.__qualname__}' is not an acceptable base type")


class RLock(_locks.RLock, metaclass=_Kind):
    __slots__ = ()
    _real: Any = threading.RLock
    _kind = type(threading.RLock())


for _class in (Lock, RLock):  # found by pickle where they stand
    _class.__module__ = "threading"
