"""FastAPI under the real uvicorn: hung-up clients, background tasks, and a thousand websockets."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections import Counter
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.recording_agent import RecordingAgent
from tests.servers_real.servers import RUN, Server, until

CAFE = """
import asyncio, os
import fastapi
from fastapi.responses import StreamingResponse

app = fastapi.FastAPI()
router = fastapi.APIRouter(prefix="/v1")
jobs = asyncio.Queue()
kept = []

async def work():
    while True:
        done = await jobs.get()
        done.set()

async def later():
    await asyncio.sleep(0.2)

@router.get("/users/{number}")
async def user(number: int):
    if not kept:
        kept.append(asyncio.create_task(work()))
    done = asyncio.Event()
    jobs.put_nowait(done)
    await done.wait()
    return number

@router.post("/users", status_code=201)
def add(tasks: fastapi.BackgroundTasks):
    tasks.add_task(later)

@router.get("/endless")
async def endless():
    async def parts():
        while True:
            yield b"data: x\\n\\n"
            await asyncio.sleep(0.01)
    return StreamingResponse(parts(), media_type="text/event-stream")

@router.websocket("/chat/{room}")
async def chat(websocket: fastapi.WebSocket, room: str):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)

app.include_router(router)
"""
UVICORN = ("uvicorn", "--port", "0", "bar:app", "--no-access-log")
OFTEN = {"DD_TRACE_WRITER_INTERVAL_SECONDS": "0.02"}


class Cafe(Server):
    """Ready to serve."""

    def __init__(self, folder: Path, agent: RecordingAgent, *command: str, **environ: str) -> None:
        (folder / "bar.py").write_text(CAFE)
        super().__init__(folder, agent.url, *(command or (RUN, *UVICORN)), **environ)

    def __enter__(self) -> Cafe:
        self.wait_for("http://127.0.0.1")
        return self

    def send(self, request: str) -> socket.socket:
        """Begin a request by hand, and return the connection."""
        client = socket.create_connection(("127.0.0.1", self.port), 30)
        client.sendall(f"{request} HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n".encode())
        return client


def test_clients_that_hang_up(agent: RecordingAgent, tmp_path: Path) -> None:
    with Cafe(tmp_path, agent, **OFTEN) as server:
        clients = [server.send("GET /v1/endless") for _ in range(20)]
        for client in clients:
            assert client.recv(100)
            client.close()
        spans = agent.wait_for_spans(20)
        server.stop()
        assert "Traceback" not in server.output
        assert "ddmiddleware" not in server.output
    assert {(span["resource"], span["error"], span["meta"]["http.disconnected"]) for span in spans} == {
        ("GET /v1/endless", 0, "true")
    }


def test_a_background_task_that_outlives_its_request(agent: RecordingAgent, tmp_path: Path) -> None:
    with Cafe(tmp_path, agent, **OFTEN) as server:
        with server.send("POST /v1/users") as client:
            assert client.recv(1000).startswith(b"HTTP/1.1 201")
        request, task = sorted(agent.wait_for_spans(2), key=lambda span: span["name"], reverse=True)
        server.stop()
    assert (request["resource"], task["name"], task["resource"]) == (
        "POST /v1/users",
        "fastapi.background_task",
        "later",
    )
    assert task["trace_id"] != request["trace_id"]
    assert request["start"] + request["duration"] < task["start"] + task["duration"]
    (link,) = json.loads(task["meta"]["_dd.span_links"])
    assert int(link["span_id"], 16) == request["span_id"]


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to see how much memory is used")
def test_a_thousand_idle_websockets(agent: RecordingAgent, tmp_path: Path) -> None:
    """Each of 5,000 messages is a trace of two spans; memory is flat once all are connected."""

    async def converse(server: Cafe) -> tuple[int, int]:
        address = f"ws://127.0.0.1:{server.port}/v1/chat/tea"
        sockets: list[ClientConnection] = []
        for _ in range(20):
            sockets += await asyncio.gather(
                *(connect(address, proxy=None, compression=None, open_timeout=60) for _ in range(50))
            )

        async def ask(client: ClientConnection, text: str) -> None:
            await client.send(text)
            assert await client.recv() == text

        sizes = []
        for number in range(5):
            await asyncio.gather(*(ask(client, str(number)) for client in sockets))
            sizes.append(_resident(server.process.pid))
        for client in sockets:
            await client.close()
        return sizes[1], sizes[-1]

    with Cafe(tmp_path, agent, **OFTEN) as server:
        early, late = asyncio.run(converse(server))
        until(lambda: sum(span["name"] == "websocket.close" for span in agent.spans) == 1000)
        server.stop()
        assert "Traceback" not in server.output
        assert "ddmiddleware" not in server.output
    names = Counter(span["name"] for span in agent.spans)
    assert names == {
        "fastapi.request": 1000,
        "websocket.receive": 5000,
        "websocket.send": 5000,
        "websocket.close": 1000,
    }
    assert max(Counter(span["trace_id"] for span in agent.spans).values()) == 2
    assert late - early < 8_000_000, (early, late)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_request_once(agent: RecordingAgent, tmp_path: Path, workers: int) -> None:
    options = ("--workers", str(workers)) if workers > 1 else ()
    with Cafe(tmp_path, agent, RUN, *UVICORN, *options, **OFTEN) as server:
        server.wait_for("Application startup complete", workers)
        for number in range(1, 61):
            assert server.get(f"/v1/users/{number}", number) == str(number)
        server.stop()
    assert sorted(span["trace_id"] for span in agent.spans) == list(range(1, 61))
    assert {(span["name"], span["resource"]) for span in agent.spans} == {("fastapi.request", "GET /v1/users/{number}")}


EXPLICIT = """
from ddmiddleware.fastapi import TraceMiddleware
from bar import app
app.add_middleware(TraceMiddleware)
"""


@pytest.mark.parametrize("patch", [False, True], ids=["", "patch_all"])
@pytest.mark.parametrize("run", [False, True], ids=["", "run"])
@pytest.mark.parametrize("explicit", [False, True], ids=["", "explicit"])
def test_all_combinations(agent: RecordingAgent, tmp_path: Path, patch: bool, run: bool, explicit: bool) -> None:
    code = "import ddmiddleware; ddmiddleware.patch_all()\n" if patch else ""
    (tmp_path / "combined.py").write_text(code + (EXPLICIT if explicit else "from bar import app\n"))
    command = [*([RUN] if run else []), *UVICORN]
    command[command.index("bar:app")] = "combined:app"
    with Cafe(tmp_path, agent, *command) as server:
        assert server.get("/v1/users/7", 7) == "7"
        server.stop()
    found = [(span["trace_id"], span["name"], span["resource"]) for span in agent.spans]
    assert found == ([(7, "fastapi.request", "GET /v1/users/{number}")] if patch or run or explicit else [])
