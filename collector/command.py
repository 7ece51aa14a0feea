"""The command `ddmiddleware collector`."""

import argparse
import errno
import logging
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from ddmiddleware.collector.database import StoreError
from ddmiddleware.collector.limits import Limits
from ddmiddleware.collector.server import build_app
from ddmiddleware.collector.spool import Spool
from ddmiddleware.collector.store import Store

log = logging.getLogger(__name__)

FLUSH_S = 5.0

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


class StartError(Exception):
    """The collector cannot start; the message says why and what to do."""


def run(argv: Sequence[str]) -> int:
    """Run the command; see `ddmiddleware.collector.main`."""
    options = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING, format="collector: %(message)s", stream=sys.stderr
    )
    limits = Limits(options.max_age * 10**9, options.max_size)
    try:
        with _listening(options.host, options.port) as listener, _path(options.store) as path:
            store = Store(path, limits)
            address = _address(options.host, listener.getsockname()[1])
            app = build_app(store, bound=options.host, address=address, names=options.allow_host)
            spool = Spool(options.spool, store, keep=options.keep_spool) if options.spool else None
            _serve(app, listener, options.verbose, f"collector listening on {address} (traces in {path})")
            if spool is not None:
                spool.stop()
            if not store.close(FLUSH_S):
                log.error("stopped with traces that could not be stored in %s", path)
            if spool is not None:
                spool.remove_stored()
    except (StartError, StoreError) as error:
        print(f"ddmiddleware collector: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ddmiddleware collector",
        description="Receive traces and profiles as a Datadog agent would, keep them on this machine and show them in a"
        " browser.",
        epilog="Send them with DD_TRACE_AGENT_URL=http://127.0.0.1:8126, then open that address.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=_port, default=8126, help="port to listen on, 0 for any free one (default: %(default)s)"
    )
    parser.add_argument(
        "--store",
        metavar="FILE",
        help="SQLite file for what arrives, or 'memory' for one that is removed at the end"
        " (default: $XDG_STATE_HOME/ddmiddleware/collector.db, that is ~/.local/state/ddmiddleware/collector.db)",
    )
    parser.add_argument(
        "--max-age", type=_age, default="24h", metavar="AGE", help="keep all so long: 90m, 24h, 7d (default: 24h)"
    )
    parser.add_argument(
        "--max-size", type=_size, default="1g", metavar="SIZE", help="keep the file so small: 200m, 2g (default: 1g)"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="also answer requests for this host name, such as a container's; may be given several times",
    )
    parser.add_argument(
        "--spool",
        type=_folder,
        metavar="DIR",
        help="also take what services wrote to this folder (DD_TRACE_AGENT_URL=file://DIR), now and from now on",
    )
    parser.add_argument(
        "--keep-spool", action="store_true", help="leave its files there; they are taken again after a restart"
    )
    parser.add_argument("--verbose", action="store_true", help="log every request")
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 2**16):
        raise argparse.ArgumentTypeError("must be a number from 0 to 65535")
    return int(text)


def _age(text: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", text.lower())
    if match is None:
        raise argparse.ArgumentTypeError("must be a number with s, m, h or d, such as 24h")
    return int(match[1]) * _SECONDS[match[2]]


def _folder(text: str) -> Path:
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError("must be a folder")
    return path


def _size(text: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,14})([kmg]?)i?b?", text.lower())
    if match is None or (size := int(match[1]) * _BYTES[match[2]]) < 2**20:
        raise argparse.ArgumentTypeError("must be a number of bytes or with k, m or g, at least 1m")
    return size


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """Bind and listen, so that a client that read the ready line is never refused; raise StartError."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With the protocol named, asyncio turns Nagle's algorithm off; otherwise each answer takes 40 ms.
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartError(f"cannot listen on {host}: {error.strerror}; choose another --host") from error
    with listener:
        # A stopped collector's connections linger; they must not keep the next one from starting.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(place)
            listener.listen(1024)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                advice = "is a Datadog agent or another collector running? Stop it, or choose another --port"
                raise StartError(f"port {port} on {host} is in use; {advice}") from error
            raise StartError(f"cannot listen on {host} port {port}: {error.strerror}; choose another one") from error
        yield listener


@contextmanager
def _path(choice: str | None) -> Iterator[Path]:
    """Yield where to store: what the user chose, or the default, or a folder that is removed in the end."""
    if choice is not None and choice != "memory":
        yield Path(choice)
        return
    state = os.environ.get("XDG_STATE_HOME", "")
    # The XDG base directory specification: a relative path is to be ignored.
    folder = (Path(state) if os.path.isabs(state) else Path("~/.local/state").expanduser()) / "ddmiddleware"
    path = folder / "collector.db"
    if choice is None and _is_writable(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="ddmiddleware-collector-") as temporary:
        if choice is None:
            log.warning("%s is not writable; traces are kept until the collector stops, in %s", path, temporary)
        yield Path(temporary) / "collector.db"


def _is_writable(path: Path) -> bool:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


def _serve(app: ASGIApp, listener: socket.socket, verbose: bool, ready: str) -> None:
    """Serve until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=verbose,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)

    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    # uvicorn replaces these while it serves, and in the end raises the signal again for them: both ways it is no error.
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    print(ready, flush=True)
    server.run(sockets=[listener])
