"""How the text of a setting is read: each function returns the value, or raises ValueError saying what was expected."""

from __future__ import annotations

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from typing import Any


def boolean(value: str) -> bool:
    """Read a switch; raise ValueError for what is neither on nor off."""
    word = value.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError("expected true or false")


def inverted(value: str) -> bool:
    """Read a switch that means the opposite: ``OTEL_SDK_DISABLED``."""
    return not boolean(value)


def auto_boolean(value: str) -> bool:
    """Read a switch that others may leave to ddtrace: ``auto`` means on."""
    return value.strip().lower() == "auto" or boolean(value)


def debug_level(value: str) -> bool:
    """Read a log level (``OTEL_LOG_LEVEL``): whether it shows what is meant for debugging."""
    level = value.strip().lower()
    if level not in ("trace", "debug", "verbose", "info", "warn", "warning", "error", "fatal", "none"):
        raise ValueError("expected a log level")
    return level in ("trace", "debug", "verbose")


def read_int(value: str) -> int:
    """Read a whole number; what is none is -1, which is none of ours: the caller says what was expected."""
    try:
        return int(value)
    except ValueError:
        return -1


def read_float(value: str) -> float:
    """Read a number; what is none is NaN, which is in no range: the caller says what was expected."""
    try:
        return float(value)
    except ValueError:
        return float("nan")


def whole(value: str) -> int:
    """Read a number that is at least 1."""
    number = read_int(value)
    if number < 1:
        raise ValueError("expected a number of at least 1")
    return number


def seconds(value: str) -> float:
    """Read a time in seconds, between 0 and an hour."""
    number = read_float(value)
    if not 0 <= number <= 3600:
        raise ValueError("expected seconds between 0 and 3600")
    return number


def pairs(value: str) -> dict[str, str]:
    """Read ``key:value`` pairs, separated by commas or spaces."""
    found = {}
    for part in value.replace(",", " ").split():
        key, colon, text = part.partition(":")
        if not colon or not key:
            raise ValueError(f"expected key:value, got {part!r}")
        found[key] = text
    return found


def switches(value: str) -> dict[str, bool]:
    """Read ``name:true,other:false``."""
    return {name: boolean(word) for name, word in pairs(value).items()}


def methods(value: str) -> tuple[str, ...]:
    """Read ``module:function,Class.method;module2:function`` as paths of one function each."""
    found = []
    for part in value.split(";"):
        module, _, names = part.strip().partition(":")
        if part.strip():
            paths = [f"{module}:{name.strip()}" for name in names.split(",")]
            if not all(piece.isidentifier() for path in paths for piece in path.replace(":", ".").split(".")):
                raise ValueError("expected module:function,Class.method;module2:function")
            found += paths
    return tuple(found)


def header_tags(value: str) -> dict[str, str]:
    """Read ``header`` or ``header:tag``, separated by commas; a header without one has a tag of its own name."""
    found = {}
    for part in value.split(","):
        header, _, tag = part.partition(":")
        if not header.strip():
            raise ValueError("expected header or header:tag, separated by commas")
        found[header.strip().lower()] = tag.strip()
    return found


def header(value: str) -> str:
    """Read the name of a header, in lower case (RFC 9110, section 5.1)."""
    name = value.strip().lower()
    if not name or not all(character.isascii() and (character.isalnum() or character in "-_.") for character in name):
        raise ValueError("expected the name of a header")
    return name


def patterns(value: str) -> tuple[str, ...]:
    """Read regular expressions, separated by commas."""
    return tuple(pattern(part.strip()) for part in value.split(",") if part.strip())


def repository(value: str) -> str:
    """Read a repository's address, and leave out the credentials in it."""
    scheme, separator, rest = value.strip().partition("://")
    authority, slash, path = rest.partition("/")
    return scheme + separator + authority.rpartition("@")[2] + slash + path


def schema(value: str) -> str:
    """Read a version of how spans are named."""
    if value not in ("v0", "v1"):
        raise ValueError("expected v0 or v1")
    return value


def database_comments(value: str) -> str:
    """Read what is written into statements: ``disabled``, ``service``, ``full``; more of a service's is the same."""
    value = value.strip().lower()
    if value not in ("disabled", "service", "dynamic_service", "full"):
        raise ValueError("expected disabled, service or full")
    return "service" if value == "dynamic_service" else value


def statuses(value: str) -> frozenset[int]:
    """Read HTTP statuses and ranges of them, such as ``404,500-599``."""
    found: set[int] = set()
    for part in value.split(","):
        first, dash, last = part.strip().partition("-")
        low, high = read_int(first), read_int(last if dash else first)
        if not 100 <= low <= high <= 599:
            raise ValueError("expected statuses between 100 and 599, such as 500-599")
        found.update(range(low, high + 1))
    return frozenset(found)


def rate(value: str) -> float:
    """Read a share from 0 to 1."""
    number = read_float(value)
    if not 0 <= number <= 1:
        raise ValueError("expected a number from 0 to 1")
    return number


def limit(value: str) -> float:
    """Read how many there may be; a negative number sets no limit."""
    number = read_float(value)
    if not abs(number) < float("inf"):
        raise ValueError("expected a number, negative for no limit")
    return number


def rules(value: str) -> list[Any]:
    """Read a JSON list; what is in it is checked where it is used."""
    import json

    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise ValueError("expected a JSON list of rules")
    return found


def otel_sampler(value: str) -> str:
    """Read the name of one of OpenTelemetry's samplers."""
    name = value.strip().lower()
    if name.removeprefix("parentbased_") not in ("always_on", "always_off", "traceidratio"):
        raise ValueError("expected always_on, always_off or traceidratio, or one of them behind parentbased_")
    return name


def api_version(value: str) -> str:
    """Read a version of the agent's protocol."""
    if value not in ("v0.4", "v0.5"):
        raise ValueError("expected v0.4 or v0.5")
    return value


def exporters(value: str) -> tuple[str, ...]:
    """Read where traces go: ``agent`` (or ``datadog``), ``otlp``, ``console`` and ``spool``; or ``none``."""
    found: dict[str, None] = {}
    for part in value.split(","):
        word = part.strip().lower()
        word = "agent" if word == "datadog" else word
        if word not in ("agent", "otlp", "console", "spool", "none"):
            raise ValueError("expected agent, otlp, console, spool or none, separated by commas")
        found[word] = None
    if "none" in found and len(found) > 1:
        raise ValueError("expected none alone")
    return tuple(found)


class Secrets:
    """Names with values that no page and no log line shows."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secrets) and self.values == other.values

    def __repr__(self) -> str:
        return ",".join(f"{name}=***" for name in self.values)


def headers(value: str) -> Secrets:
    """Read HTTP headers: ``key=value`` pairs, separated by commas, values percent-encoded (OTLP exporter)."""
    from urllib.parse import unquote

    found = {}
    for part in filter(None, map(str.strip, value.split(","))):
        name, equals, text = part.partition("=")
        name, text = name.strip().lower(), unquote(text.strip())
        # RFC 9110, sections 5.1 and 5.5
        valid = all(c.isascii() and (c.isalnum() or c in "!#$%&'*+-.^_`|~") for c in name)
        if not (equals and name and valid and all(" " <= c <= "~" or c == "\t" for c in text)):
            raise ValueError("expected HTTP headers as key=value,key=value")
        found[name] = text
    return Secrets(found)


def otlp_protocol(value: str) -> str:
    """Read how OTLP is spoken."""
    if value not in ("http/protobuf", "http/json"):
        raise ValueError("expected http/protobuf or http/json; gRPC is not spoken")
    return value


def metrics_exporter(value: str) -> str:
    """Read where metrics go by OpenTelemetry's settings."""
    if value not in ("otlp", "none"):
        raise ValueError("expected otlp or none")
    return value


def compression(value: str) -> str:
    """Read how bodies are compressed."""
    if value not in ("gzip", "none"):
        raise ValueError("expected gzip or none")
    return value


def milliseconds(value: str) -> int:
    """Read a time in milliseconds, between 1 and an hour."""
    number = read_int(value)
    if not 1 <= number <= 3_600_000:
        raise ValueError("expected milliseconds between 1 and 3600000")
    return number


def seconds_as_ms(value: str) -> int:
    """Read a time in seconds, between a millisecond and an hour, and return milliseconds."""
    return milliseconds(str(int(seconds(value) * 1000)))


def percent(value: str) -> float:
    """Read a share in per cent, above 0 and up to 100."""
    number = read_float(value)
    if not 0 < number <= 100:
        raise ValueError("expected a number above 0, up to 100")
    return number


def keys(value: str) -> tuple[str, ...]:
    """Read names, separated by commas."""
    return tuple(part for word in value.split(",") if (part := word.strip()))


def words(value: str) -> tuple[str, ...]:
    """Read names whose case does not matter, separated by commas."""
    return keys(value.lower())


def extract_behavior(value: str) -> str:
    """Read what becomes of an incoming trace."""
    word = value.strip().lower()
    if word not in ("continue", "restart", "ignore"):
        raise ValueError("expected continue, restart or ignore")
    return word


def tags_length(value: str) -> int:
    """Read how long ``x-datadog-tags`` may get; 512 is what its readers take."""
    number = read_int(value)
    if not 0 <= number <= 512:
        raise ValueError("expected a number between 0 and 512")
    return number


def pattern(value: str) -> str:
    """Check a regular expression."""
    import re

    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"expected a regular expression: {error}") from None
    return value
