"""An upload of the profiler: an event in JSON, and profiles; as Datadog's tracers send it, old ones included."""

import json
import re
from datetime import datetime, timezone
from typing import Any

from ddmiddleware.collector.compression import CompressionError, MissingLibraryError, decompress
from ddmiddleware.collector.ids import I64_MAX
from ddmiddleware.collector.multipart import Part, boundary_of, parts_of
from ddmiddleware.collector.pprof import Pprof, PprofError, decode
from ddmiddleware.collector.profile import MAX_RESOURCE, Profile
from ddmiddleware.collector.profile import parts_of as endpoints_of
from ddmiddleware.collector.text import clean

# Of a profile that is not compressed any more: its samples take some twenty times that as objects.
MAX_PROFILE = 32 * 2**20
MAX_EVENT = 2**20
MAX_REQUESTS = 2_000

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:?\d\d)?")
# Of 1.0, which has form fields instead of an event.
_OLD_FIELDS = {"recording-start": "start", "recording-end": "end", "runtime-id": "runtime-id", "runtime": "language"}


class UploadError(ValueError):
    """The body is no upload of profiles; the message says what is wrong and where."""


def read_upload(body: bytes, content_type: str) -> Profile:
    """Read the body of a request to `/profiling/v1/input`.

    Raises UploadError, MultipartError, PprofError, CompressionError: the message says what is wrong and where.
    """
    parts = parts_of(body, boundary_of(content_type))
    event, tags = _event(parts)
    decoded = [_decoded(part) for part in parts if _is_profile(part)]
    if not decoded:
        names = ", ".join(repr(part.file or part.name)[:60] for part in parts)
        raise UploadError(f"no part is a pprof file; there are {names or 'none'}")
    start_ns, end_ns = _times(event, decoded)
    service = tags.get("service") or "unnamed"
    # Without an id of its own, a process is known by its number where it runs.
    process = tags.get("runtime-id") or f"{tags.get('host', '')}:{tags.get('process_id', '')}"
    comments = dict(comment.split(":", 1) for profile in decoded for comment in profile.comments if ":" in comment)
    endpoints, units = endpoints_of(decoded)
    return Profile(
        service=service[:MAX_RESOURCE],
        env=tags.get("env", "")[:MAX_RESOURCE],
        process=process[:MAX_RESOURCE],
        sampler=(tags.get("sampler") or comments.get("sampler", ""))[:MAX_RESOURCE],
        start_ns=start_ns,
        end_ns=end_ns,
        units=units,
        requests=_requests(event),
        parts=endpoints,
    )


def _is_profile(part: Part) -> bool:
    # 1.0 names it chunk-data, and the file profile.pb.gz.
    return part.file.endswith((".pprof", ".pb.gz")) or part.name == "chunk-data"


def _decoded(part: Part) -> Pprof:
    place = part.file or part.name
    try:
        return decode(decompress(part.content, MAX_PROFILE))
    except MissingLibraryError as error:
        raise MissingLibraryError(f"{place}: {error}") from None
    except CompressionError as error:
        raise CompressionError(f"{place}: {error}") from None
    except PprofError as error:
        raise PprofError(f"{place}: {error}") from None


def _event(parts: list[Part]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the upload says of its profiles, and the tags."""
    for part in parts:
        if part.name == "event" or part.file == "event.json":
            event = _json(part)
            tags = event.get("tags_profiler", "")
            if not isinstance(tags, str):
                raise UploadError("event.json: 'tags_profiler' must be text")
            return event, _tags(tags.split(","))
    fields = {
        _OLD_FIELDS[part.name]: part.content.decode("utf-8", "replace") for part in parts if part.name in _OLD_FIELDS
    }
    if "start" not in fields:
        raise UploadError("there is no part 'event'")
    tags = [part.content.decode("utf-8", "replace") for part in parts if part.name == "tags[]"]
    return dict(fields), {**fields, **_tags(tags)}


def _json(part: Part) -> dict[str, Any]:
    if len(part.content) > MAX_EVENT:
        raise UploadError(f"event.json: it is larger than {MAX_EVENT} bytes")
    try:
        event = json.loads(part.content)
    except (ValueError, RecursionError) as error:
        raise UploadError(f"event.json: it is no JSON ({error})") from None
    if not isinstance(event, dict):
        raise UploadError("event.json: must be an object")
    return event


def _tags(tags: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag in tags:
        key, colon, value = clean(tag).partition(":")
        if colon:
            found.setdefault(key.strip(), value.strip())
    return found


def _times(event: dict[str, Any], profiles: list[Pprof]) -> tuple[int, int]:
    start_ns, end_ns = _time(event, "start"), _time(event, "end")
    if start_ns is None or end_ns is None:
        start_ns = min(profile.start_ns for profile in profiles)
        end_ns = max(profile.start_ns + profile.duration_ns for profile in profiles)
        if not start_ns:
            raise UploadError("event.json: 'start' and 'end' are missing, and the profile has no time")
    if start_ns > end_ns:
        raise UploadError("event.json: 'end' is before 'start'")
    return start_ns, end_ns


def _time(event: dict[str, Any], key: str) -> int | None:
    """Return a time of RFC 3339 as nanoseconds; None where there is none."""
    text = event.get(key)
    if text is None:
        return None
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise UploadError(f"event.json: {key!r} must be a time such as 2026-01-31T12:00:00.123456789Z")
    zone = "+00:00" if match[3] in (None, "Z") else f"{match[3][:3]}:{match[3][-2:]}"
    try:
        whole = datetime.fromisoformat(match[1] + zone).astimezone(timezone.utc)
        seconds = int(whole.timestamp())
    except (ValueError, OverflowError):
        raise UploadError(f"event.json: {key!r} is no time that exists") from None
    found = seconds * 10**9 + int((match[2] or "0").ljust(9, "0"))
    if not 0 <= found <= I64_MAX:
        raise UploadError(f"event.json: {key!r} must be between 1970 and 2262")
    return found


def _requests(event: dict[str, Any]) -> dict[str, int]:
    counts = event.get("endpoint_counts")
    if counts is None:
        return {}
    if not isinstance(counts, dict):
        raise UploadError("event.json: 'endpoint_counts' must be an object")
    found: dict[str, int] = {}
    for endpoint, count in list(counts.items())[:MAX_REQUESTS]:
        if type(count) is not int or not 0 <= count < 2**53:
            raise UploadError("event.json: 'endpoint_counts' must map text to whole numbers")
        found[clean(endpoint)[:MAX_RESOURCE]] = count
    return found
