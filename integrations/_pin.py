"""Settings of one client object, or of all instances of a class: the service and tags of its spans (ddtrace's Pin)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from ddmiddleware.tracing import Tracer, default_tracer

_ATTRIBUTE = "_ddmiddleware_pin"


class Pin:
    """What is pinned onto an object: ``Pin.override(client, service="billing-cache", tags={"tier": "1"})``."""

    # Looked up on every call only once there is any.
    placed = False

    def __init__(
        self, service: str | None = None, tags: Mapping[str, object] | None = None, tracer: Tracer | None = None
    ) -> None:
        self.service = service
        self.tags = dict(tags) if tags else None
        self.tracer = tracer or default_tracer

    @staticmethod
    def get_from(obj: Any) -> Pin | None:
        """Return what is pinned onto *obj*, or onto its class; None where there is nothing."""
        try:
            found = getattr(obj, _ATTRIBUTE, None)
        except Exception:  # any code of the object's own may run here
            return None
        return found if isinstance(found, Pin) else None

    @classmethod
    def override(
        cls,
        obj: Any,
        service: str | None = None,
        tags: Mapping[str, object] | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        """Pin onto *obj*, keeping of what was pinned before whatever is not given here."""
        before = cls.get_from(obj) or cls()
        before.clone(service, tags, tracer).onto(obj)

    def clone(
        self, service: str | None = None, tags: Mapping[str, object] | None = None, tracer: Tracer | None = None
    ) -> Pin:
        """Return a copy with the given parts replaced."""
        return Pin(service or self.service, tags or self.tags, tracer or self.tracer)

    def onto(self, obj: Any) -> None:
        """Pin onto *obj*; one that takes no attributes stays as it is."""
        with contextlib.suppress(AttributeError, TypeError):
            setattr(obj, _ATTRIBUTE, self)
            Pin.placed = True

    def remove_from(self, obj: Any) -> None:
        """Take off *obj* what is pinned onto it itself."""
        with contextlib.suppress(AttributeError, TypeError):
            delattr(obj, _ATTRIBUTE)

    def enabled(self) -> bool:
        """Return whether its tracer makes spans."""
        return self.tracer.enabled
