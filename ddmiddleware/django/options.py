"""``settings.DDMIDDLEWARE``: what the environment can set, by the same names, shorter or whole.

``SERVICE`` is ``DD_SERVICE``, ``INSTRUMENT_TEMPLATES`` is ``DD_DJANGO_INSTRUMENT_TEMPLATES``, ``TRACE_AGENT_URL`` or
``AGENT_URL`` is ``DD_TRACE_AGENT_URL``. It is code, and so goes before the environment.

``SPAN_MODIFIER``, ``REQUEST_HOOK`` and ``RESPONSE_HOOK`` are functions or their dotted names: see docs/requests.md.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from ddmiddleware._header_tags import wanted
from ddmiddleware._hooks import Hooks, hooks
from ddmiddleware.integrations import options_of
from ddmiddleware.tracing import SETTINGS_TABLE, default_settings, default_tracer, warn

_ROWS = {row.name: row for row in SETTINGS_TABLE}
_PREFIXES = ("DD_DJANGO_", "DD_", "DD_TRACE_", "")
_HOOKS = ("SPAN_MODIFIER", "REQUEST_HOOK", "RESPONSE_HOOK")
# Of the integration, and no rows of the table: what each is called there, and the row that is read as it is.
_OPTIONS = {
    "DJANGO_SERVICE": ("service", "DD_SERVICE"),
    "DJANGO_DISTRIBUTED_TRACING": ("distributed_tracing", "DD_TRACE_ENABLED"),
    "DISTRIBUTED_TRACING": ("distributed_tracing", "DD_TRACE_ENABLED"),
}
_taken: list[object] = []


class _Current:
    """What cannot be a setting, as it is made of functions."""

    hooks: Hooks | None = None


current = _Current()


def take_over() -> bool:
    """Set what ``settings.DDMIDDLEWARE`` says, once; return whether that changed anything."""
    from django.conf import settings

    given = getattr(settings, "DDMIDDLEWARE", None) if settings.configured else None
    if given is None or _taken == [id(given)]:
        return False
    _taken[:] = [id(given)]
    if not isinstance(given, Mapping):
        warn("settings.DDMIDDLEWARE is no dictionary; it has no effect")
        return False
    functions = {}
    for key, value in given.items():
        if key in _HOOKS:
            functions[key.lower()] = _function(key, value)
        else:
            _set(str(key), value)
    current.hooks = hooks(**functions)
    default_tracer.service = default_settings.service
    default_tracer.enabled = default_settings["DD_TRACE_ENABLED"]
    default_tracer.reconfigured()
    return True


def _function(key: str, value: Any) -> Any:
    """Return a hook, or None where it is none; what is wrong with it is said."""
    from django.utils.module_loading import import_string

    try:
        found = import_string(value) if isinstance(value, str) else value
    except ImportError as error:
        found, wrong = None, str(error)
    else:
        wrong = "" if found is None or callable(found) else "expected a function or its dotted name"
    if wrong:
        warn("settings.DDMIDDLEWARE[%r] cannot be %r (%s); it has no effect", key, value, wrong)
        return None
    return found


def _set(key: str, value: Any) -> None:
    option, like = _OPTIONS.get(key.removeprefix("DD_"), ("", ""))
    name = like or next((prefix + key for prefix in _PREFIXES if prefix + key in _ROWS), None)
    if name is None:
        warn("settings.DDMIDDLEWARE[%r] is no setting, it has no effect%s", key, _nearest(key))
        return
    try:
        read = _read(name, value)
    except ValueError as error:
        shown = "***" if _ROWS[name].secret else repr(value)
        warn("settings.DDMIDDLEWARE[%r] cannot be %s (%s); it has no effect", key, shown, error)
        return
    if option:
        options_of("django").set(option, read)
    else:
        default_settings[name] = read


def _read(name: str, value: Any) -> Any:
    """Return a value as code writes it, or as the environment does, as that of a setting; raise ValueError."""
    row = _ROWS[name]
    if isinstance(value, Mapping):
        if not isinstance(row.default, dict):
            raise ValueError("expected no dictionary")
        if name == "DD_TRACE_HEADER_TAGS":
            return wanted(value)
        return {str(key): item if isinstance(item, bool) else str(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        rules = any(isinstance(item, Mapping) for item in value)
        value = json.dumps(value) if rules else ",".join(map(str, value))
    return row.parse("" if value is None else str(value))


def _nearest(key: str) -> str:
    short = {row.removeprefix(prefix): row for prefix in _PREFIXES for row in _ROWS if row.startswith(prefix)}
    found = difflib.get_close_matches(key.upper(), short, 1)
    return f"; is it {found[0]!r}?" if found else ""
