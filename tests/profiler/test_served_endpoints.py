"""Under real servers CPU time is charged to its endpoint: in pools of threads, and with many requests interleaved."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.profiler.sampling import has_extension
from tests.servers_real.servers import BIN, Server

pytestmark = pytest.mark.skipif(not has_extension(), reason="the sampler in C is not built")
ROOT = Path(__file__).parent.parent.parent
SERVERS = {
    "gunicorn gthread": (BIN / "gunicorn", "--threads=8", "--worker-class=gthread", "tests.profiler.served:wsgi"),
    "gunicorn gevent": (BIN / "gunicorn", "--worker-class=gevent", "tests.profiler.served:wsgi"),
    "uvicorn": (BIN / "uvicorn", "--port=0", "tests.profiler.served:asgi"),
}
SECONDS = 2
CLIENTS = {"gunicorn gthread": 8, "gunicorn gevent": 50, "uvicorn": 100}


@pytest.mark.parametrize("name", SERVERS)
def test_cpu_time_is_charged_to_its_endpoint(name: str, tmp_path: Path) -> None:
    command = [str(word) for word in SERVERS[name]]
    if "gunicorn" in name:
        command[1:1] = ["--bind=127.0.0.1:0", "--workers=1"]
    with Server(tmp_path, "http://127.0.0.1:1", *command, PYTHONPATH=str(ROOT)) as server:
        server.wait_for("http://127.0.0.1:")
        assert server.get("/start") == "started"
        until = time.monotonic() + SECONDS

        def client(_number: int) -> None:
            while time.monotonic() < until:
                server.get(random.choice(("/much", "/some", "/little")))

        with ThreadPoolExecutor(CLIENTS[name]) as pool:
            list(pool.map(client, range(CLIENTS[name])))
        off, nobodys = (float(word) for word in server.get("/stop").split())
    print(name, round(off, 1), nobodys)
    assert nobodys <= 1
    assert off < 20  # a short run: see tests/stress/profiler_truth.py for the budget
