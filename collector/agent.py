"""The Datadog agent's protocol: `/info`, the three trace endpoints, profiles, and what tracers post besides.

Everything answers to POST and PUT, as tracers of different age use either.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version

import msgpack
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ddmiddleware.collector.body import BodyError, read_body
from ddmiddleware.collector.chunk import Chunk, pack
from ddmiddleware.collector.compression import CompressionError, MissingLibraryError
from ddmiddleware.collector.database import StoreError
from ddmiddleware.collector.decoding import PayloadError, Trace, decode_v04, decode_v05
from ddmiddleware.collector.multipart import MultipartError
from ddmiddleware.collector.pprof import PprofError
from ddmiddleware.collector.store import QueueFullError, Store
from ddmiddleware.collector.upload import UploadError, read_upload

log = logging.getLogger(__name__)

# A body up to this size is decoded within a few milliseconds; a larger one goes to a thread, so that others are
# answered meanwhile.
INLINE_BODY = 32 * 2**10
COMPLAINT_INTERVAL_S = 60.0

_METHODS = ["POST", "PUT"]
_STATS = "/v0.6/stats"
PROFILES = "/profiling/v1/input"
_TYPES = ("application/msgpack", "application/x-msgpack", "")

Decoder = Callable[[bytes], Iterator[Trace]]


class Agent:
    """Takes traces and profiles into a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._complain_at = 0.0
        # A profile takes a hundred times its size while it is decoded: one at a time.
        self._decoding = asyncio.Semaphore(1)

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the protocol."""
        decoders = {"/v0.3/traces": decode_v04, "/v0.4/traces": decode_v04, "/v0.5/traces": decode_v05}
        return [
            Route("/info", _info([*decoders, _STATS, PROFILES])),
            *(Route(path, self._taker(decoder), methods=_METHODS) for path, decoder in decoders.items()),
            Route("/telemetry/proxy/{rest:path}", _ignore, methods=_METHODS),
            Route("/v0.7/config", _ignore, methods=_METHODS),
            Route(_STATS, _ignore_stats, methods=_METHODS),
            Route(PROFILES, self._take_profiles, methods=_METHODS),
        ]

    def _taker(self, decoder: Decoder) -> Callable[[Request], object]:
        async def take(request: Request) -> Response:
            try:
                chunks = await _chunks(request, decoder)
                self._store.put(chunks)
            except BodyError as error:
                return _refusal(request, error.status, str(error))
            except PayloadError as error:
                self._complain(request.url.path, error)
                return _refusal(request, 400, str(error))
            except QueueFullError:
                return _refusal(request, 429, "traces arrive faster than they can be stored")
            except StoreError as error:
                return _refusal(request, 507, str(error))
            except ClientDisconnect:
                return Response(status_code=400)
            # The rate for every service and environment that no other key names: keep all.
            return JSONResponse({"rate_by_service": {"service:,env:": 1.0}})

        return take

    async def _take_profiles(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "")
        try:
            body = await read_body(request)
            async with self._decoding:
                profile = await run_in_threadpool(read_upload, body, kind)
            self._store.put([profile])
        except BodyError as error:
            return _refusal(request, error.status, str(error))
        except (UploadError, MultipartError, PprofError, CompressionError) as error:
            self._complain(request.url.path, error)
            return _refusal(request, 415 if isinstance(error, MissingLibraryError) else 400, str(error))
        except QueueFullError:
            return _refusal(request, 429, "profiles arrive faster than they can be stored")
        except StoreError as error:
            return _refusal(request, 507, str(error))
        except ClientDisconnect:
            return Response(status_code=400)
        return JSONResponse({})

    def _complain(self, path: str, error: ValueError) -> None:
        """Tell the user of a broken tracer, who may not look at its log; not with every payload, though."""
        if time.monotonic() >= self._complain_at:
            self._complain_at = time.monotonic() + COMPLAINT_INTERVAL_S
            log.warning("%s: refused a payload: %s", path, error)


async def _chunks(request: Request, decoder: Decoder) -> list[Chunk]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        raise BodyError(415, f"the content type {kind!r} is not supported; use application/msgpack")
    body = await read_body(request)
    if len(body) <= INLINE_BODY:
        return [pack(trace) for trace in decoder(body)]
    return await run_in_threadpool(lambda: [pack(trace) for trace in decoder(body)])


def _refusal(request: Request, status: int, reason: str) -> Response:
    headers = {"Retry-After": "1"} if status in (429, 507) else {}
    if status in (413, 415):
        # The rest of the body is not read.
        headers["Connection"] = "close"
    return JSONResponse({"error": f"{request.url.path}: {reason}"}, status, headers)


def _info(endpoints: list[str]) -> Callable[[Request], Response]:
    body = {
        "version": f"ddmiddleware-{version('ddmiddleware')}",
        "endpoints": endpoints,
        "client_drop_p0s": False,
        "span_meta_structs": False,
        "long_running_spans": False,
        "config": {},
    }

    def info(request: Request) -> Response:
        return JSONResponse(body)

    return info


async def _ignore_stats(request: Request) -> Response:
    """Take statistics that a tracer counted, and keep nothing of them: the spans are counted here."""
    try:
        payload = msgpack.unpackb(await read_body(request), strict_map_key=False)
    except BodyError as error:
        return _refusal(request, error.status, str(error))
    except (ValueError, RecursionError) as error:
        return _refusal(request, 400, f"the body is no msgpack: {error}")
    except ClientDisconnect:
        return Response(status_code=400)
    if not isinstance(payload, dict) or not isinstance(payload.get("Stats"), list):
        return _refusal(request, 400, "the body is no map with an array Stats")
    return JSONResponse({})


async def _ignore(request: Request) -> Response:
    """Take what tracers post unasked, so that they log no error, and keep nothing of it."""
    try:
        await read_body(request)
    except BodyError as error:
        return _refusal(request, error.status, str(error))
    except ClientDisconnect:
        return Response(status_code=400)
    return JSONResponse({})
