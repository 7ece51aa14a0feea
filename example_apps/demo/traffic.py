"""Makes the requests, each with a trace id of its own, so that its trace can be told from all others."""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from example_apps.demo.plan import Endpoint

TIMEOUT_S = 20


@dataclass(slots=True)
class Visit:
    """One request and its answer: *trace_id* (32 hex digits) and *span_id* (16) are those that its headers carried."""

    endpoint: Endpoint
    trace_id: str
    span_id: str
    elapsed_s: float = 0
    status: int = 0
    problem: str = ""


def drive(endpoints: Sequence[Endpoint], urls: Mapping[str, str], at_once: int) -> Iterator[Visit]:
    """Make a request to each endpoint, *at_once* of them at a time, and yield each when it is answered."""
    # No connection is used twice: uvicorn closes one after an unhandled exception, whatever has been sent on it since.
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(trust_env=False, timeout=TIMEOUT_S, limits=limits) as client:
        pool = ThreadPoolExecutor(at_once)
        try:
            futures = [pool.submit(visit, client, endpoint, urls[endpoint.service]) for endpoint in endpoints]
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def visit(client: httpx.Client, endpoint: Endpoint, url: str) -> Visit:
    """Make one request, read its whole body, and say what was wrong with the answer, if anything."""
    made = Visit(endpoint, secrets.token_hex(16), secrets.token_hex(8))
    headers = {"traceparent": f"00-{made.trace_id}-{made.span_id}-01"}
    started = time.perf_counter()
    try:
        if endpoint.messages:
            made.status = _converse(url + endpoint.url_path, headers, endpoint.messages)
        else:
            answer = client.request(endpoint.method, url + endpoint.url_path, headers=headers, json=endpoint.json)
            made.status = answer.status_code
        if made.status != endpoint.status:
            made.problem = f"answered {made.status}, not {endpoint.status}"
    except (httpx.HTTPError, WebSocketException, OSError) as error:
        made.problem = f"not answered: {error!r}"
    made.elapsed_s = time.perf_counter() - started
    return made


def _converse(url: str, headers: Mapping[str, str], messages: Sequence[str]) -> int:
    """Send messages over a websocket, each when the one before is answered, and return the handshake's status."""
    address = url.replace("http://", "ws://", 1)
    with connect(address, additional_headers=headers, open_timeout=TIMEOUT_S, proxy=None) as socket:
        for message in messages:
            socket.send(message)
            socket.recv(timeout=TIMEOUT_S)
        return socket.response.status_code if socket.response is not None else 0
