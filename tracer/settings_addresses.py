"""How the text of an address is read: each function returns it, or raises ValueError saying what was expected."""

from __future__ import annotations

from ddmiddleware.tracing.settings_values import read_int


def port(value: str) -> int:
    """Read a TCP port."""
    number = read_int(value)
    if not 1 <= number <= 65535:
        raise ValueError("expected a port between 1 and 65535")
    return number


def host(value: str) -> str:
    """Read a host name or address; one of IPv6 may stand in brackets."""
    value = value.strip().removeprefix("[").removesuffix("]")
    if not value or not all(character.isalnum() or character in "-._:%" for character in value):
        raise ValueError("expected a host name or an address")
    return value


def folder(value: str) -> str:
    """Read the absolute path of a folder."""
    import os

    if not os.path.isabs(value) or "\0" in value:
        raise ValueError("expected an absolute path")
    return value


def agent_url(value: str) -> str:
    """Check an agent's address: ``http://host:port``, ``https://host:port`` or ``unix:///path``.

    ``file:///path`` stands for a folder that takes the agent's place: the spool.
    """
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(value)
    if any(character <= " " for character in value):
        raise ValueError("expected no spaces")
    if parts.scheme in ("http", "https") and parts.hostname:
        _ = parts.port  # raises ValueError for what is no port
    elif parts.scheme == "file" and len(parts.path) > 1 and not (parts.netloc or parts.query or parts.fragment):
        folder(unquote(parts.path))
    elif not (parts.scheme == "unix" and parts.path and not parts.netloc):
        raise ValueError("expected http://host:port, https://host:port, unix:///path or file:///path")
    return value


def http_url(value: str) -> str:
    """Check an address: ``http://host:port/path`` or ``https://host:port/path``."""
    if not value.startswith(("http://", "https://")):
        raise ValueError("expected http://host:port/path or https://host:port/path")
    return agent_url(value)


def dogstatsd_url(value: str) -> str:
    """Check a DogStatsD server's address: ``udp://host:port`` or ``unix:///path``."""
    from urllib.parse import urlsplit

    parts = urlsplit(value)
    if parts.scheme == "udp" and parts.hostname:
        _ = parts.port  # raises ValueError for what is no port
    elif not (parts.scheme == "unix" and parts.path and not parts.netloc):
        raise ValueError("expected udp://host:port or unix:///path")
    return value
