"""Request bodies, read whole and within limits, compressed or not."""

import zlib

from starlette.requests import Request

MAX_BODY = 50 * 2**20


class BodyError(Exception):
    """A body that is refused: the HTTP status to answer, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """Return the request's body, decompressed when its content encoding is gzip (RFC 9110 section 8.4.1.3).

    limit: bytes, before and after decompression. Raises BodyError with 413 beyond it, 415 for another encoding, 400
    for a broken stream; nothing is read further then.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise BodyError(415, f"the content encoding {encoding!r} is not supported; use gzip or none")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise BodyError(413, f"the body is larger than {limit} bytes")
    parts: list[bytes] = []
    size = 0
    inflate = None if encoding == "identity" else _Inflate(limit)
    async for part in request.stream():
        if inflate is not None:
            part = inflate.feed(part)
        size += len(part)
        if size > limit:
            raise BodyError(413, f"the body is larger than {limit} bytes")
        parts.append(part)
    if inflate is not None:
        inflate.end()
    return b"".join(parts)


class _Inflate:
    """Decompresses gzip piece by piece and stops at the limit, so that a small body cannot fill the memory."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._stream = zlib.decompressobj(wbits=31)

    def feed(self, part: bytes) -> bytes:
        if not part:
            return b""
        if self._stream.eof:
            raise BodyError(400, "something follows the end of the gzip stream")
        try:
            # One byte more than is allowed, so that the caller sees the excess.
            plain = self._stream.decompress(part, self._left + 1)
        except zlib.error as error:
            raise BodyError(400, f"the gzip stream is broken ({error})") from None
        self._left -= len(plain)
        if self._stream.unused_data:
            raise BodyError(400, "something follows the end of the gzip stream")
        return plain

    def end(self) -> None:
        if not self._stream.eof:
            raise BodyError(400, "the gzip stream ends too early")
