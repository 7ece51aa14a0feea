"""What a part of an upload is compressed with, known by its first bytes: gzip, Zstandard, or nothing."""

import importlib
import zlib
from typing import Any

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
# A stream may ask for 2**this bytes to look back into; RFC 8878 (section 3.1.1.1.2) recommends to support 2**23.
_WINDOW_LOG = 27
_LIBRARIES = ("compression.zstd", "backports.zstd")


class CompressionError(ValueError):
    """The content cannot be decompressed; the message says why."""


class MissingLibraryError(CompressionError):
    """It could be, with a library that is not installed; the message names it."""


def decompress(content: bytes, limit: int) -> bytes:
    """Return what was compressed, at most *limit* bytes; raise CompressionError."""
    if content.startswith(_GZIP):
        plain = _gunzip(content, limit)
    elif content.startswith(_ZSTD):
        plain = _unzstd(content, limit)
    else:
        plain = content
    if len(plain) > limit:
        raise CompressionError(f"it is larger than {limit} bytes")
    return plain


def _gunzip(content: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    try:
        # One byte more than is allowed, so that the caller sees the excess.
        plain = stream.decompress(content, limit + 1)
    except zlib.error as error:
        raise CompressionError(f"the gzip stream is broken ({error})") from None
    _check_end("gzip", stream, len(plain) > limit)
    return plain


def _unzstd(content: bytes, limit: int) -> bytes:
    zstd = _library()
    try:
        stream = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
        plain: bytes = stream.decompress(content, limit + 1)
    except zstd.ZstdError as error:
        raise CompressionError(f"the zstd stream is broken ({error})") from None
    _check_end("zstd", stream, len(plain) > limit)
    return plain


def _check_end(name: str, stream: Any, stopped: bool) -> None:
    if not (stopped or stream.eof):
        raise CompressionError(f"the {name} stream ends too early")
    if stream.unused_data:
        raise CompressionError(f"something follows the end of the {name} stream")


def _library() -> Any:
    for name in _LIBRARIES:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise MissingLibraryError("it is compressed with zstd, which needs Python 3.14 or: pip install backports.zstd")
