"""Foreign values as text that can always be written as UTF-8."""

import json


def clean(value: object) -> str:
    """Return text for any decoded JSON or msgpack value.

    Lone surrogates, which a JSON escape can smuggle in and no UTF-8 writer accepts, become question marks.
    """
    if isinstance(value, str):
        text = value
    elif isinstance(value, dict | list | bool) or value is None:
        text = json.dumps(value, default=repr, ensure_ascii=False, skipkeys=True)
    else:
        text = str(value)
    return text.encode("utf-8", "replace").decode("utf-8")


def text_map(value: object) -> dict[str, str]:
    """Return a map of text to text for any decoded map; anything else is the empty map."""
    if not isinstance(value, dict):
        return {}
    return {clean(key): clean(item) for key, item in value.items()}
