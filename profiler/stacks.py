"""Stacks of Python frames: taken while the program runs, named when the profile is made."""

from __future__ import annotations

import sys
from bisect import bisect_right
from types import CodeType, FrameType, FunctionType, ModuleType

from ddmiddleware.profiling.samples import Frame

Stack = tuple[Frame, ...]

_QUALIFIED = sys.version_info >= (3, 11)  # code objects know the class they stand in


def capture(depth: int = 64, skip: int = 0) -> Stack:
    """Return the caller's stack, leaf first, at most *depth* frames, without the *skip* innermost ones of them."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and skip:
        frame, skip = frame.f_back, skip - 1
    return walk(frame, depth)


def walk(frame: FrameType | None, depth: int = 64) -> Stack:
    """Return the stack that ends with *frame*; it holds no frame and no code, so it keeps nothing of the program's."""
    found: list[Frame] = []
    while frame is not None and len(found) < depth:
        code = frame.f_code
        found.append((name_of(code), code.co_filename, frame.f_lineno or 0))
        frame = frame.f_back
    return tuple(found)


if _QUALIFIED:

    def name_of(code: CodeType) -> str:
        """Return the qualified name of what *code* belongs to."""
        return code.co_qualname

    def symbolise(stack: Stack) -> Stack:
        """Return *stack* with the best names there are: those of ``capture`` are."""
        return stack

else:

    def name_of(code: CodeType) -> str:
        """Return the name of what *code* belongs to; ``symbolise`` finds its class."""
        return code.co_name

    def symbolise(stack: Stack) -> Stack:
        """Return *stack* with qualified names, as far as its modules' classes tell them (Python 3.10)."""
        return tuple((_qualified(name, file, line), file, line) for name, file, line in stack)


def frame_at(code: CodeType, offset: int) -> Frame:
    """Return the frame that executes *code* at the byte *offset*."""
    lines = [entry for entry in code.co_lines() if entry[2] is not None]
    index = bisect_right(lines, offset, key=lambda entry: entry[0]) - 1
    return name_of(code), code.co_filename, lines[index][2] or 0 if index >= 0 else 0


def class_of(name: str) -> str:
    """Return the class in a qualified *name*, or ``""``: that which ``class name`` labels."""
    owner, _, _ = name.rpartition(".")
    return "" if owner.endswith("<locals>") else owner.rpartition("<locals>.")[2]


_FILES_MAX = 2_000
_functions: dict[str, dict[tuple[str, int], str]] = {}  # by file: qualified names by name and first line


def _qualified(name: str, file: str, line: int) -> str:
    """Return the qualified name of the function *name* that holds *line* of *file*: the last one that begins before."""
    if name.startswith("<"):
        return name
    known = _functions.get(file)
    if known is None:
        if len(_functions) >= _FILES_MAX:
            _functions.clear()
        known = _functions[file] = _index(file)
    starts = [(first, found) for (short, first), found in known.items() if short == name and first <= line]
    return max(starts)[1] if starts else name


def _index(file: str) -> dict[tuple[str, int], str]:
    found: dict[tuple[str, int], str] = {}
    for module in list(sys.modules.values()):
        if issubclass(type(module), ModuleType) and vars(module).get("__file__") == file:
            for value in list(vars(module).values()):
                _add(value, file, found, 0)
    return found


def _add(value: object, file: str, found: dict[tuple[str, int], str], nested: int) -> None:
    kind = type(value)  # never isinstance: proxies as Flask's answer it by running code of the application's
    if kind is classmethod or kind is staticmethod:
        value = value.__func__  # type: ignore[attr-defined]  # see above
    elif kind is property:
        value = value.fget  # type: ignore[attr-defined]
    while type(value) is FunctionType:
        _add_code(value.__code__, value.__qualname__, file, found)
        value = value.__dict__.get("__wrapped__")
    if issubclass(kind, type) and nested < 5:
        for member in list(vars(value).values()):
            _add(member, file, found, nested + 1)


def _add_code(code: CodeType, qualified: str, file: str, found: dict[tuple[str, int], str]) -> None:
    key = code.co_name, code.co_firstlineno
    if code.co_filename != file or key in found:
        return
    found[key] = qualified
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _add_code(constant, f"{qualified}.<locals>.{constant.co_name}", file, found)
