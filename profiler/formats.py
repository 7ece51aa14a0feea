"""The formats a profile can be written in, by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from ddmiddleware.profiling.samples import UNITS, Profile


class _Format(NamedTuple):
    suffix: str
    module: str


FORMATS = {
    "pprof": _Format(".pprof", "pprof"),
    "collapsed": _Format(".collapsed.txt", "collapsed"),
    "speedscope": _Format(".speedscope.json", "speedscope"),
    "chrome": _Format(".trace.json", "chrome_trace"),
    "top": _Format(".top.json", "hottest"),
}


def encoder(name: str) -> Callable[[Profile], bytes]:
    """Return the function that writes the format *name*, a key of ``FORMATS``."""
    function: Callable[[Profile], bytes] = import_module(f"ddmiddleware.profiling.{FORMATS[name].module}").encode
    return function


def present(profile: Profile) -> list[str]:
    """Return the names of the values that *profile* has, in the order of ``UNITS``."""
    found = {name for sample in profile.samples for name, value in sample.values.items() if value}
    return [name for name in UNITS if name in found]


def leading(profile: Profile) -> str:
    """Return the name of the value that matters first: CPU time where there is any."""
    found = present(profile)
    return next((name for name in ("cpu-time", "wall-time") if name in found), found[0] if found else "cpu-time")
