"""What the settings add to a finished chunk: the tags of every span, of the local root, and of the chunk as a whole."""

from __future__ import annotations

import os

from ddmiddleware.tracing.constants import ENV_KEY, ORIGIN_KEY, VERSION_KEY
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.settings import Settings
from ddmiddleware.tracing.text import text

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from ddmiddleware.tracing.context import LocalTrace
    from ddmiddleware.tracing.peers import Peers
    from ddmiddleware.tracing.span import Span

BASE_SERVICE = "_dd.base_service"
HOSTNAME = "_dd.hostname"
_COMMIT, _REPOSITORY = "git.commit.sha", "git.repository_url"


class Completion:
    """Reads the settings once, and again when code sets one; so ``config.env = ...`` holds from the next chunk on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._first: dict[str, str] | None = None
        self._configure()
        settings.listen(self._configure)

    def _configure(self, _changed: str = "") -> None:
        settings = self._settings
        self.service = settings.service
        self._renamed: dict[str, str] = settings["DD_SERVICE_MAPPING"]
        tags = {key: value for key, value in settings["DD_TAGS"].items() if key not in ("service", VERSION_KEY)}
        if settings["DD_TRACE_GIT_METADATA_ENABLED"]:  # they are tags of the chunk then
            tags.pop(_COMMIT, None)
            tags.pop(_REPOSITORY, None)
        if settings.env:
            tags[ENV_KEY] = settings.env
        self._tags: dict[str, str] = tags
        self._version = settings.version
        self._host = _hostname(settings)
        self._peers = _peers(settings)
        self._each = bool(tags or self._version or self._renamed or self._peers)
        if self._first is not None:
            self._first = _of_chunks(settings)

    def complete(self, chunk: list[Span], root: Span | None, trace: LocalTrace) -> None:
        """Add what is missing to the spans of *chunk*; *root* is the local root, where it is among them."""
        if self._first is None:
            self._begin()
        if self._first:
            chunk[0]._meta.update(self._first)
        if self._host and root is not None:
            root._meta[HOSTNAME] = self._host
        if self._each or trace.origin:
            self._complete_each(chunk, trace.origin)
            return
        service = self.service
        for span in chunk:
            # Mostly it is the very same object.
            if span.service is not service and span.service and span.service != service:
                span._meta[BASE_SERVICE] = service

    def _begin(self) -> None:
        """Do with the first chunk what may read files and import modules."""
        self._first = {}  # a signal handler that finishes a span meanwhile goes without
        with guard:
            self._first = _of_chunks(self._settings)
            self._settings.check()

    def _complete_each(self, chunk: list[Span], origin: str | None) -> None:
        service, renamed = self.service, self._renamed
        base = renamed.get(service, service)
        for span in chunk:
            meta = span._meta
            for key, value in self._tags.items():
                meta.setdefault(key, value)
            if self._version and span.service == service:
                meta.setdefault(VERSION_KEY, self._version)
            if origin:
                meta[ORIGIN_KEY] = origin
            if renamed:
                own = text(span.service)
                span.service = renamed.get(own, own)
            if span.service and span.service != base:
                meta[BASE_SERVICE] = base
            if self._peers is not None:
                self._peers.name(meta)


def _peers(settings: Settings) -> Peers | None:
    defaults = settings["DD_TRACE_PEER_SERVICE_DEFAULTS_ENABLED"] or settings["DD_TRACE_SPAN_ATTRIBUTE_SCHEMA"] == "v1"
    if not defaults and not settings["DD_TRACE_PEER_SERVICE_MAPPING"]:
        return None
    from ddmiddleware.tracing.peers import Peers

    return Peers(defaults, settings["DD_TRACE_PEER_SERVICE_MAPPING"])


def _hostname(settings: Settings) -> str:
    if not settings["DD_TRACE_REPORT_HOSTNAME"]:
        return ""
    name: str = settings["DD_HOSTNAME"]
    if name or not hasattr(os, "uname"):
        return name or os.environ.get("COMPUTERNAME", "")
    return os.uname().nodename


def _of_chunks(settings: Settings) -> dict[str, str]:
    tags = {}
    if settings["DD_TRACE_GIT_METADATA_ENABLED"] and _knows_commit(settings):
        from ddmiddleware.tracing.origins import commit_tags

        tags.update(commit_tags(settings))
    if settings["DD_EXPERIMENTAL_PROPAGATE_PROCESS_TAGS_ENABLED"]:
        from ddmiddleware.tracing.origins import process_tags

        tags["_dd.tags.process"] = process_tags()
    return tags


def _knows_commit(settings: Settings) -> bool:
    return bool(
        settings["DD_GIT_COMMIT_SHA"]
        or settings["DD_GIT_REPOSITORY_URL"]
        or settings["DD_MAIN_PACKAGE"]
        or _COMMIT in settings["DD_TAGS"]
        or _REPOSITORY in settings["DD_TAGS"]
    )
