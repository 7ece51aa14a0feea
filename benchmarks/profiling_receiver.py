"""Takes profiles over HTTP: `python -m benchmarks.profiling_receiver STEM` prints its port, keeps each body in STEM.N.

It serves until its input ends.
"""

import itertools
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_NUMBERS = itertools.count(1)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = f"{sys.argv[1]}.{next(_NUMBERS)}"
        with open(f"{name}.part", "wb") as file:
            file.write(body)
        os.replace(f"{name}.part", name)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
