"""What is set for one integration: in code (``config.redis.service = "cache"``), or else in the environment."""

from __future__ import annotations

from ddmiddleware.tracing import default_settings

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from typing import Any


class Options:
    """The options of one integration; whoever needs one reads it anew, so that code can set it at any time.

    *service* is the service of its spans, None for the application's own; *distributed_tracing* says whether trace
    headers are read and written; *header_tags* are the headers to tag, in lower case, with the tag of each, and
    *query_string* says whether that is tagged; *split_by_domain* has each host that a client calls for its service.
    """

    NAMES = ("service", "distributed_tracing", "header_tags", "query_string", "split_by_domain")

    service: str | None
    distributed_tracing: bool
    header_tags: dict[str, str]
    query_string: bool
    split_by_domain: bool

    def __init__(self, name: str) -> None:
        self.name = name
        self._default_service: str | None = None
        self._in_code: dict[str, Any] = {}
        self._configure()
        default_settings.listen(self._configure)

    def default_service(self, service: str | None) -> None:
        """Name the service where nobody sets one; schema v1, and the switch for it, do without such names."""
        self._default_service = service
        self._configure()

    def set(self, option: str, value: Any) -> None:
        """Set one of ``NAMES`` in code; None leaves it to the environment again."""
        self._in_code[option] = value
        self._configure()

    def _configure(self, _changed: str = "") -> None:
        """Put every option in place as a plain attribute: the service is read on every call."""
        set_in_code = self._in_code.get
        of_application = (
            default_settings["DD_TRACE_SPAN_ATTRIBUTE_SCHEMA"] == "v1"
            or default_settings["DD_TRACE_REMOVE_INTEGRATION_SERVICE_NAMES_ENABLED"]
        )
        self.service = (
            set_in_code("service")
            or self._text("DD_{}_SERVICE", "DD_{}_SERVICE_NAME")
            or (None if of_application else self._default_service)
        )
        distributed = set_in_code("distributed_tracing")
        if distributed is None:
            distributed = self._switch("DD_{}_DISTRIBUTED_TRACING", "DD_{}_DISTRIBUTED_TRACING_ENABLED")
        self.distributed_tracing = distributed is None or bool(distributed)
        split = set_in_code("split_by_domain")
        self.split_by_domain = bool(self._switch("DD_{}_SPLIT_BY_DOMAIN") if split is None else split)
        tags = set_in_code("header_tags")
        self.header_tags = default_settings["DD_TRACE_HEADER_TAGS"] if tags is None else tags
        query = set_in_code("query_string")
        self.query_string = bool(default_settings["DD_TRACE_QUERY_STRING_ENABLED"] if query is None else query)

    def _text(self, *patterns: str) -> str:
        names = (pattern.format(self.name.upper()) for pattern in patterns)
        return next((text for name in names if (text := default_settings.text(name))), "")

    def _switch(self, *patterns: str) -> bool | None:
        names = (pattern.format(self.name.upper()) for pattern in patterns)
        return next((on for name in names if (on := default_settings.switch(name)) is not None), None)


_all: dict[str, Options] = {}


def options_of(name: str) -> Options:
    """Return the options of the integration *name*; they are there before it is loaded."""
    found = _all.get(name)
    return _all.setdefault(name, Options(name)) if found is None else found
