"""Uploads of profiles, as a Datadog Agent takes them: multipart/form-data (RFC 7578) of an event and the pprof."""

from __future__ import annotations

import gzip
import json
import os
from typing import Any

from ddmiddleware.profiling import pprof
from ddmiddleware.profiling.event import event_of
from ddmiddleware.profiling.native_connection import NativeConnection
from ddmiddleware.profiling.provenance import code_provenance
from ddmiddleware.profiling.samples import Profile
from ddmiddleware.tracing import (
    Delivery,
    Settings,
    Span,
    Unreachable,
    __version__,
    container_headers,
    warn,
)

_PATH = "/profiling/v1/input"
_AGENTLESS_PATH = "/api/v2/profile"
_RETRIED = frozenset((408, 429, *range(500, 600)))
_BOUNDARY = f"ddmiddleware-{os.urandom(16).hex()}"
_HEADERS = {
    "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
    "User-Agent": f"ddmiddleware/{__version__}",
    "DD-EVP-ORIGIN": "ddmiddleware",
    "DD-EVP-ORIGIN-VERSION": __version__,
}


class Uploader(Delivery):
    """Keeps what cannot be sent within ``DD_TRACE_WRITER_BUFFER_SIZE_BYTES``, tries again later, and says so once."""

    retried = _RETRIED
    what = unit = "profiles"

    def __init__(self, settings: Settings) -> None:
        url, path = _address(settings)
        headers = {**_HEADERS, **container_headers(settings["DD_EXTERNAL_ENV"])}
        if settings["DD_PROFILING_AGENTLESS"]:
            headers["DD-API-KEY"] = settings["DD_API_KEY"]
            if not settings["DD_API_KEY"]:
                warn("DD_PROFILING_AGENTLESS needs DD_API_KEY: profiles will be refused")
        connection = NativeConnection(url, settings["DD_PROFILING_API_TIMEOUT_MS"] / 1000)
        super().__init__(connection, path, headers, _NoEncoder(), settings["DD_TRACE_WRITER_BUFFER_SIZE_BYTES"])
        self._settings = settings
        self._number = 0
        self._provenance = b""

    @property
    def retry_at(self) -> float:
        """When to send again what could not be sent; 0 where nothing is left."""
        return super().retry_at if self._payloads else 0.0

    def put(self, profile: Profile) -> None:  # type: ignore[override]  # a delivery puts bodies
        """Encode *profile* as one request."""
        parts = {"profile.pprof": pprof.encode(profile)}
        if self._settings["DD_PROFILING_ENABLE_CODE_PROVENANCE"]:
            if not self._provenance:
                self._provenance = gzip.compress(code_provenance())
            parts["code-provenance.json"] = self._provenance
        event = json.dumps(event_of(profile, self._settings, list(parts), self._number), separators=(",", ":"))
        self._number += 1
        super().put(_body({"event": event.encode(), **parts}), 1, 1)

    def close(self) -> None:
        """Close the connection, and say what is lost with it."""
        if self._payloads:
            warn("%d profiles are lost: %s", len(self._payloads), self.trouble)
        super().close()


class _NoEncoder:
    """Profiles are encoded one by one: there is none under way."""

    chunks = spans = size = 0

    def add(self, chunk: list[Span]) -> None:
        """Take no span."""

    def take(self) -> bytes:
        """Have nothing."""
        return b""


def _address(settings: Settings) -> tuple[str, str]:
    if settings["DD_PROFILING_AGENTLESS"]:
        return f"https://intake.profile.{settings['DD_SITE']}", _AGENTLESS_PATH
    return settings.agent_address, _PATH


def post(body: bytes, event: dict[str, Any], settings: Settings) -> str:
    """Send one profile that is encoded already, and wait for the answer; return what went wrong, or ``""``."""
    url, path = _address(settings)
    connection = NativeConnection(url, settings["DD_PROFILING_API_TIMEOUT_MS"] / 1000)
    parts = {"event": json.dumps(event).encode(), "profile.pprof": body}
    try:
        status, _ = connection.request("POST", path, _HEADERS, _body(parts), None)
    except Unreachable as error:
        return f"cannot send the profile to {connection.address}: {error}"
    finally:
        connection.close()
    return "" if 200 <= status < 300 else f"{connection.address} answered {status}"


def _body(parts: dict[str, bytes]) -> bytes:
    pieces = []
    for name, content in parts.items():
        file, kind = ("event.json", "application/json") if name == "event" else (name, "application/octet-stream")
        disposition = f'Content-Disposition: form-data; name="{name}"; filename="{file}"'
        pieces += [f"--{_BOUNDARY}\r\n{disposition}\r\nContent-Type: {kind}\r\n\r\n".encode(), content, b"\r\n"]
    return b"".join((*pieces, f"--{_BOUNDARY}--\r\n".encode()))
