from collections.abc import Callable
from types import CodeType
from typing import Any

class Lock:
    _code: CodeType | None
    _offset: int
    def __new__(cls, *args: Any, **kwargs: Any) -> Any: ...

class RLock(Lock): ...

def start(
    report: Callable[[Any, str, int], None],
    wanted: dict[str, bool],
    decide: Callable[[str], bool],
    passed_over: CodeType,
) -> None: ...
def stop() -> None: ...
