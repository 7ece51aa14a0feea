"""How ``OTEL_RESOURCE_ATTRIBUTES`` is read: OpenTelemetry's description of a service, and tags."""

from __future__ import annotations

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable

# What of OpenTelemetry's resource (semantic conventions, service and deployment) is a setting of its own here.
_RESOURCE = ("service.name", "service.version", "deployment.environment.name", "deployment.environment")


def resource(value: str) -> dict[str, str]:
    """Read ``OTEL_RESOURCE_ATTRIBUTES``: ``key=value`` pairs, separated by commas, percent-encoded (W3C Baggage)."""
    from urllib.parse import unquote

    found = {}
    for part in value.split(","):
        key, equals, text = part.partition("=")
        if part.strip():
            if not equals or not key.strip():
                raise ValueError(f"expected key=value, got {part!r}")
            found[key.strip()] = unquote(text.strip())
    return found


def resource_tags(value: str) -> dict[str, str]:
    """Read the attributes of a resource that are no setting of their own."""
    return {key: text for key, text in resource(value).items() if key not in _RESOURCE}


def resource_attribute(*keys: str) -> Callable[[str], str | None]:
    """Return a function that reads the first of *keys* that a resource has, or None."""

    def read(value: str) -> str | None:
        attributes = resource(value)
        return next((attributes[key] for key in keys if attributes.get(key)), None)

    return read
