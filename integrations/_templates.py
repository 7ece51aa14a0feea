"""What template engines share: a span is named after the template, never after what it is rendered with."""

from __future__ import annotations

from ddmiddleware.integrations._patching import Call

_UNNAMED = "<memory>"  # made from text: no two of them need to be told apart


def template(call: Call, engine: str, name: object, path: object = None, measured: bool = False) -> None:
    """Describe work on the template *name*, which stands in the file at *path*, if it does."""
    text = str(name) if name else _UNNAMED
    call.span.resource = text
    call.tags[f"{engine}.template_name"] = text
    if path:
        call.tags[f"{engine}.template_path"] = str(path)
    if measured:
        call.metrics["_dd.measured"] = 1
