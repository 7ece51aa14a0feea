"""Sampling rules as they stand in the settings: JSON objects, checked one by one."""

from __future__ import annotations

from ddmiddleware.tracing.glob import Glob
from ddmiddleware.tracing.log import warn
from ddmiddleware.tracing.sampling import Share

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from ddmiddleware.tracing.span import Span

    AnyRule = TypeVar("AnyRule")

_PROVENANCES = ("customer", "dynamic", "default")  # in the order in which they are asked
_MAKERS = {"customer": "-11", "dynamic": "-12", "default": "-3"}
_KEYS = ("sample_rate", "service", "name", "resource", "tags", "provenance", "discard")
_TOLD = 5


class Rule:
    """Which local roots a rule is for, and the share of their traces that it keeps."""

    __slots__ = ("_common", "_name", "_resource", "_service", "_tags", "discard", "maker", "place", "share")

    def __init__(self, written: dict[str, Any], common: Mapping[str, str]) -> None:
        """Read one object; raise ValueError naming the key that is wrong. *common* are the tags of every span."""
        known_keys(written, _KEYS)
        if "sample_rate" not in written:
            raise ValueError("sample_rate is missing")
        self.share = Share(rate(written, "sample_rate"))
        self._service = pattern(written, "service")
        self._name = pattern(written, "name")
        self._resource = pattern(written, "resource")
        tags = written.get("tags", {})
        if not isinstance(tags, dict):
            raise ValueError("tags: expected an object")
        self._tags = [(key, pattern(tags, key)) for key in tags]
        self._common = common
        provenance = written.get("provenance", "default")
        if provenance not in _PROVENANCES:
            raise ValueError(f"provenance: expected one of {', '.join(_PROVENANCES)}")
        self.place, self.maker = _PROVENANCES.index(provenance), _MAKERS[provenance]
        self.discard = written.get("discard", False)
        if not isinstance(self.discard, bool):
            raise ValueError("discard: expected true or false")

    def matches(self, service: str, name: str, resource: str, span: Span) -> bool:
        """Return whether the rule is for the trace under *span*."""
        return (
            (self._service is None or self._service.matches(service))
            and (self._name is None or self._name.matches(name))
            and (self._resource is None or self._resource.matches(resource))
            and all(wanted is None or self._has(span, key, wanted) for key, wanted in self._tags)
        )

    def _has(self, span: Span, key: str, wanted: Glob) -> bool:
        value = span._meta.get(key)
        if value is None:
            number = span._metrics.get(key)
            if number is None:
                value = self._common.get(key)
                return value is not None and wanted.matches(value)
            if number != int(number):
                return wanted.wild  # a fraction has no text that could be agreed on
            value = str(int(number))
        return wanted.matches(value)


def trace_rules(setting: str, written: list[Any], common: Mapping[str, str], tell: bool) -> list[Rule]:
    """Return the rules of *setting* in the order in which they are asked: the first that matches decides."""
    return sorted(read(setting, written, lambda each: Rule(each, common), tell), key=lambda rule: rule.place)


def read(
    setting: str, written: list[Any], make: Callable[[dict[str, Any]], AnyRule], tell: bool = True
) -> list[AnyRule]:
    """Make a rule of each object in *written*; those that are wrong are left out, with one warning where *tell* is."""
    rules: list[AnyRule] = []
    problems: list[str] = []
    for number, each in enumerate(written, 1):
        try:
            if not isinstance(each, dict):
                raise ValueError("expected an object")
            rules.append(make(each))
        except ValueError as error:
            problems.append(f"rule {number} is left out ({error})")
    if problems and tell:
        more = [f"and {len(problems) - _TOLD} more"] if len(problems) > _TOLD else []
        warn("%s: %s", setting, "; ".join(problems[:_TOLD] + more))
    return rules


def known_keys(written: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Raise ValueError for a key that no rule has: a misspelt one would make the rule match too much."""
    for key in written:
        if key not in keys:
            raise ValueError(f"unknown key {key[:40]!r}")


def rate(written: dict[str, Any], key: str) -> float:
    """Return a number from 0 to 1; a text that is one counts."""
    found = number(written, key)
    if not 0 <= found <= 1:
        raise ValueError(f"{key}: expected a number from 0 to 1")
    return found


def number(written: dict[str, Any], key: str) -> float:
    """Return a number; a text that is one counts."""
    try:
        if not isinstance(written[key], bool):
            return float(written[key])
    except (TypeError, ValueError, OverflowError):
        pass  # said below
    raise ValueError(f"{key}: expected a number")


def pattern(written: dict[str, Any], key: str) -> Glob | None:
    """Return the pattern under *key*, or None where there is none."""
    if key not in written:
        return None
    if not isinstance(written[key], str):
        raise ValueError(f"{key[:40]}: expected text")
    return Glob(written[key])
