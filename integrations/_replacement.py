"""One attribute of a module or class that stands replaced while its integration is on."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from ddmiddleware.integrations._references import rebind
from ddmiddleware.tracing import guarded

_ABSENT = object()


class _Applied(NamedTuple):
    """What was put where: *own* is false where the owner only inherited *raw*."""

    owner: Any
    name: str
    raw: Any
    new: Any
    own: bool
    rebound: bool


class Over:
    """A data descriptor over what a class's instances hold under *name*; *read* makes of it what is found there.

    What is stored stays as it is, and is what is found again once the descriptor is gone. The class itself still has no
    such attribute.
    """

    def __init__(self, name: str, read: Callable[[Any], Any]) -> None:
        self._name, self._read = name, read

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None or self._name not in instance.__dict__:
            what = f"type object {owner.__name__!r}" if instance is None else f"{owner.__name__!r} object"
            raise AttributeError(f"{what} has no attribute {self._name!r}")
        return self._read(instance.__dict__[self._name])

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._name] = value

    def __delete__(self, instance: Any) -> None:
        if instance.__dict__.pop(self._name, _ABSENT) is _ABSENT:
            raise AttributeError(f"{type(instance).__name__!r} object has no attribute {self._name!r}")


class Replacement:
    """A path ``module:Class.method`` or ``module:function``, and the function that makes what shall stand there."""

    def __init__(self, path: str, build: Callable[[Any, bool], Any], adds: bool = False) -> None:
        """*adds* says that the class has no such attribute, its instances do; *build* gets None then."""
        self.path = path
        self.missing = False
        self.module, _, self._attribute = path.partition(":")
        self._build = build
        self.adds = adds
        self._applied: _Applied | None = None

    def apply(self) -> None:
        """Put the replacement in place, once; what this version of the library lacks is left alone.

        A module that another thread is importing is waited for.
        """
        owner: Any = importlib.import_module(self.module)
        if self._applied is not None:
            return
        *parents, name = self._attribute.split(".")
        for parent in parents:
            owner = getattr(owner, parent, None)
        raw = _lookup(owner, name)
        self.missing = raw is _ABSENT
        if raw is _ABSENT and self.adds and isinstance(owner, type):
            self.missing, raw = False, None
        elif raw is _ABSENT:
            return
        new = self._replace(raw, isinstance(owner, type))
        if new is raw:
            return
        # Not where an attribute only holds a function that is known elsewhere by a name of its own.
        rebound = not isinstance(owner, type) and inspect.isroutine(raw) and raw.__name__ == name
        self._applied = _Applied(owner, name, raw, new, name in vars(owner), rebound)
        setattr(owner, name, new)
        if rebound:
            rebind(raw, new)

    @property
    def original(self) -> Any:
        """The function in whose place ours stands, or None."""
        if self._applied is None:
            return None
        raw = self._applied.raw
        function = raw.__func__ if isinstance(raw, (staticmethod, classmethod)) else raw
        return function if inspect.isroutine(function) else None

    def _replace(self, raw: Any, method: bool) -> Any:
        if isinstance(raw, (staticmethod, classmethod)):
            return type(raw)(self._replace(raw.__func__, isinstance(raw, classmethod)))
        new = self._build(raw, method)
        if new is raw or not inspect.isroutine(raw):
            return new
        functools.update_wrapper(new, raw)
        return _Unbound(new) if inspect.isbuiltin(raw) else new

    def undo(self) -> None:
        """Put the very same object back.

        Where somebody has put something around ours since, both stay, for taking theirs away is not our business: ours
        does nothing while its integration is off.
        """
        done = self._applied
        if done is None or vars(done.owner).get(done.name) is not done.new:
            return
        if done.own:
            setattr(done.owner, done.name, done.raw)
        else:
            delattr(done.owner, done.name)
        if done.rebound:
            rebind(done.new, done.raw)
        self._applied = None


class _Unbound(staticmethod):  # type: ignore[type-arg]
    """A function in the place of a built-in one: as an attribute of a class it is not bound to instances either."""

    def __get__(self, instance: object, owner: type | None = None, /) -> Any:
        return self

    def __reduce__(self) -> str:
        """Pickle by reference, as functions do."""
        return self.__qualname__


def _lookup(owner: Any, name: str) -> Any:
    """Return what stands on *owner*, or on a base of it, without binding it."""
    for scope in getattr(owner, "__mro__", (owner,)):
        if name in getattr(scope, "__dict__", ()):
            return vars(scope)[name]
    return _ABSENT


def observer(observe: Callable[..., None], original: Any) -> Any:
    """Return a function of the same kind as *original* that calls *observe* with the same arguments first."""
    if inspect.iscoroutinefunction(original):

        async def observed_async(*args: Any, **kwargs: Any) -> Any:
            with guarded:
                observe(*args, **kwargs)
            return await original(*args, **kwargs)

        return observed_async

    def observed(*args: Any, **kwargs: Any) -> Any:
        with guarded:
            observe(*args, **kwargs)
        return original(*args, **kwargs)

    return observed
