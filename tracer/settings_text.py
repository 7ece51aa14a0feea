"""How the value of a setting is shown: as text that could stand in the environment, without what is secret."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ddmiddleware.tracing.settings import Settings
    from ddmiddleware.tracing.settings_row import Setting

_CREDENTIALS = re.compile(r"//[^/\s]*@")
_SECRET = re.compile(r"_(API_KEY|APP_KEY|HEADERS|TOKEN|PASSWORD|SECRET)$")
_MASK = "***"
_TEXT_MAX = 200


def shown(settings: Settings, name: str) -> str:
    """Return the value in force of a setting as text."""
    value, source = settings.found(name)
    text = _plain(value)
    if text is None:  # made of what has no text of its own: rules, patterns
        variable = source.removeprefix("environment ")
        text = settings.environ.get(variable, "") if variable != source else str(value)
    return masked(name, text, settings.row(name).secret)


def masked(name: str, text: str, secret: bool = False) -> str:
    """Return *text* without the credentials of URLs; of what is *secret*, or secret by its *name*, nothing."""
    if text and (secret or _SECRET.search(name)):
        return _MASK
    return _CREDENTIALS.sub(f"//{_MASK}@", text)


def unread(name: str, text: str, error: ValueError, setting: Setting) -> str:
    """Return what is said of a *text* that a setting cannot have, and what counts in its place."""
    default = _plain(setting.default)
    cut = f"{text[:_TEXT_MAX]}..." if len(text) > _TEXT_MAX else text
    given = _MASK if setting.secret else repr(masked(name, cut))
    return f"{name}={given} is no valid value ({str(error)[:_TEXT_MAX]}); " + (
        "it counts as unset" if default in (None, "", "0") else f"using {default}"
    )


def _plain(value: object) -> str | None:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    if isinstance(value, dict):
        return _joined(None if (text := _plain(item)) is None else f"{key}:{text}" for key, item in value.items())
    if isinstance(value, (set, frozenset)):
        if value and all(type(item) is int for item in value):
            return ",".join(_ranges(sorted(value)))
        return _joined(_plain(item) for item in sorted(value, key=str))
    if isinstance(value, (tuple, list)):
        return _joined(_plain(item) for item in value)
    return None


def _joined(parts: Iterable[str | None]) -> str | None:
    found = list(parts)
    texts = [part for part in found if part is not None]
    return ",".join(texts) if len(texts) == len(found) else None


def _ranges(numbers: list[int]) -> Iterable[str]:
    """Yield sorted *numbers* as text, what is consecutive as ``first-last``."""
    start = previous = numbers[0]
    for number in [*numbers[1:], None]:
        if number != previous + 1:
            yield str(start) if start == previous else f"{start}-{previous}"
            start = number or 0
        previous = number or 0
