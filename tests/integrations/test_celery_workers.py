"""Workers as they run in production: processes of their own, at a real broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.rabbit_server import RabbitServer
from tests.integrations.servers import RedisServer
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.processes import environment

pytestmark = pytest.mark.once

BY_HAND = (sys.executable,)
BY_COMMAND = (sys.executable, "-m", "ddmiddleware", "run", sys.executable)
TASKS = "tests.integrations.celery_app."
Environ = dict[str, str]


@pytest.fixture
def agent() -> Iterator[RecordingAgent]:
    with RecordingAgent() as agent:
        yield agent


@pytest.fixture
def at_redis(agent: RecordingAgent, redis_server: RedisServer) -> Environ:
    url = f"redis://127.0.0.1:{redis_server.port}"
    return environment(
        agent.url, BROKER=f"{url}/8", BACKEND=f"{url}/9", DD_TESTING_RAISE="true", DD_TRACE_REDIS_ENABLED="false"
    )


@pytest.fixture
def at_rabbit(at_redis: Environ, rabbit_server: RabbitServer) -> Environ:
    return {**at_redis, "BROKER": rabbit_server.url}


@contextmanager
def worker(environ: Environ, log: Path, pool: str, *options: str, by: tuple[str, ...] = BY_HAND) -> Iterator[None]:
    """Run a worker that stops by SIGTERM, as it is to: what it has begun it finishes."""
    if by is BY_HAND:
        environ["PATCHED_BY_HAND"] = "1"
    quiet = ("-c", "2", "--without-gossip", "--without-mingle", "-l", "warning")
    command = (*by, "-m", "celery", "-A", TASKS[:-1], "worker", "-P", pool, *quiet, *options)
    with log.open("w") as out:
        process = subprocess.Popen(command, env=environ, stdout=out, stderr=out, start_new_session=True)
    try:
        yield
        process.terminate()
        assert process.wait(30) == 0, log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
    assert "ddmiddleware" not in log.read_text().replace(str(log.parent), ""), log.read_text()


def send(environ: Environ, *names: str, by: tuple[str, ...] = BY_HAND) -> Any:
    """Send tasks, and return what came back."""
    command = (*by, "-m", "tests.integrations.celery_send", *names)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tree(agent: RecordingAgent) -> dict[str, list[str]]:
    """Return each trace, by the name of what was sent: one line a span, below its parent, in an order of its own."""
    spans = plain(agent.spans)
    below: dict[int, list[dict[str, Any]]] = {}
    for span in spans:
        below.setdefault(span["parent_id"], []).append(span)

    def lines(span: dict[str, Any], depth: int) -> list[str]:
        state = span["meta"].get("celery.state", "")
        line = f"{'  ' * depth}{span['name']} {span['resource'].removeprefix(TASKS)} {state}".rstrip()
        children = sorted(lines(child, depth + 1) for child in below.get(span["span_id"], ()))
        return [line, *(one for child in children for one in child)]

    assert all(span["trace_id"] == root["trace_id"] for root in spans for span in below.get(root["span_id"], ()))
    return {root["resource"]: lines(root, 0)[1:] for root in below[0]}


def step(task: str, state: str = "SUCCESS", depth: int = 1, *inside: str) -> list[str]:
    """Return the lines of one task, sent and run."""
    within = [f"{'  ' * (depth + 2)}{line}" for line in inside]
    return [f"{'  ' * depth}celery.apply {task}", f"{'  ' * (depth + 1)}celery.run {task} {state}", *within]


ADD = step("add", "SUCCESS", 1, "inside inside")
CHAIN = [
    "  celery.apply add",
    "    celery.run add SUCCESS",
    "      celery.apply add",
    "        celery.run add SUCCESS",
    "          celery.apply add",
    "            celery.run add SUCCESS",
    "              inside inside",
    "          inside inside",
    "      inside inside",
]


def check_everything(agent: RecordingAgent, environ: Environ) -> None:
    sent = ["delay", "arguments", "name", "chain", "group", "retry", "failure", "expected", "ignored", "rejected"]
    answers = send(environ, *sent, "redelivered", "within")
    assert answers == {
        "delay": 3,
        "arguments": [[1, "a"], {"b": 2}],
        "name": 7,
        "chain": 10,
        "group": [2, 4],
        "retry": "done",
        "failure": "KeyError('boom')",
        "expected": "LookupError('no such thing')",
        "ignored": None,
        "rejected": None,
        "redelivered": True,
        "within": 36,
    }
    agent.wait_for_spans(sum(map(len, EVERYTHING.values())) + len(EVERYTHING))


EVERYTHING = {
    "delay": ADD,
    "arguments": step("echo"),
    "name": ADD,
    "chain": CHAIN,
    "group": ADD * 2,
    "retry": [*step("flaky", "RETRY"), *step("flaky", "SUCCESS", 3)],
    "failure": step("boom", "FAILURE"),
    "expected": step("expected", "FAILURE"),
    "ignored": step("ignored", "IGNORED"),
    "rejected": step("rejected", "REJECTED"),
    "redelivered": [*step("redelivered", "REJECTED"), "    celery.run redelivered SUCCESS"],
    "within": [*step("parent"), "      celery.apply add", "        celery.run add SUCCESS", "          inside inside"],
}


def test_prefork(agent: RecordingAgent, at_rabbit: Environ, tmp_path: Path) -> None:
    with worker(at_rabbit, tmp_path / "log", "prefork"):
        check_everything(agent, at_rabbit)
    assert tree(agent) == EVERYTHING
    [failure] = [span for span in agent.spans if span["error"]]
    assert failure["meta"]["error.stack"].rstrip().endswith("KeyError: 'boom'")
    [retry] = [span for span in agent.spans if "celery.retry.reason" in span["meta"]]
    assert retry["meta"]["celery.retry.reason"] == "Retry in 0s: OSError('not yet')"


@pytest.mark.parametrize("pool", ["threads", "gevent", "solo"])
def test_other_pools(agent: RecordingAgent, at_redis: Environ, tmp_path: Path, pool: str) -> None:
    with worker(at_redis, tmp_path / "log", pool, by=BY_COMMAND):
        assert send(at_redis, "delay", "chain", "retry", "within", by=BY_COMMAND)["chain"] == 10
    assert tree(agent) == {name: EVERYTHING[name] for name in ("delay", "chain", "retry", "within")}


def test_every_child_delivers(agent: RecordingAgent, at_rabbit: Environ, tmp_path: Path) -> None:
    """Ten children, each of which runs one task and ends."""
    at_rabbit["DD_TRACE_WRITER_INTERVAL_SECONDS"] = "60"
    with worker(at_rabbit, tmp_path / "log", "prefork", "--max-tasks-per-child=1", "-c", "5", by=BY_COMMAND):
        assert send(at_rabbit, "many", by=BY_COMMAND)["many"] == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert tree(agent) == {"many": ADD * 10}
    assert len(agent.requests) == 11  # one of each child and one of who sends: none asks who the agent is, and waits


def test_children_inherit_what_sends(agent: RecordingAgent, at_redis: Environ, tmp_path: Path) -> None:
    """Each would import it again at its end, for the one task that it runs."""
    with worker(at_redis, tmp_path / "log", "prefork", "--max-tasks-per-child=1"):
        inherited = send(at_redis, "loaded")["loaded"]
    needed = {"redaction", "encoding", "export.choice", "export.agent", "export.http"}
    assert {f"ddmiddleware.tracing.{name}" for name in needed} | {"http.client"} <= set(inherited)
    agent.wait_for_spans(3)


def test_a_chord(agent: RecordingAgent, at_redis: Environ, tmp_path: Path) -> None:
    """What comes after all of them is part of the same trace, below the last one that ran."""
    with worker(at_redis, tmp_path / "log", "prefork"):
        assert send(at_redis, "chord") == {"chord": 6}
    lines = [line.strip() for line in tree(agent)["chord"]]
    assert sorted(lines) == sorted([line.strip() for line in [*ADD * 2, *step("total")]])
    assert "      celery.apply total" in tree(agent)["chord"]


def test_without_distributed_tracing(agent: RecordingAgent, at_redis: Environ, tmp_path: Path) -> None:
    at_redis["DD_CELERY_DISTRIBUTED_TRACING"] = "false"
    with worker(at_redis, tmp_path / "log", "solo"):
        send(at_redis, "delay")
    assert sorted((span["trace_id"], span["name"]) for span in plain(agent.spans)) == [
        (1, "celery.apply"),
        (1, "request"),
        (2, "celery.run"),
        (2, "inside"),
    ]


def test_revoked(agent: RecordingAgent, at_redis: Environ, tmp_path: Path) -> None:
    """What never ran has no span but that of who sent it."""
    with worker(at_redis, tmp_path / "log", "solo"):
        send(at_redis, "delay", "revoked")
    assert tree(agent) == {"delay": ADD, "revoked": ["  celery.apply add"]}


def test_killed(agent: RecordingAgent, at_redis: Environ, tmp_path: Path) -> None:
    """A child that is killed sends nothing: its parent tells of the task. One that exits by itself has told."""
    with worker(at_redis, tmp_path / "log", "prefork"):
        answers = send(at_redis, "limit", "killed", "SIGTERM", "SIGKILL", "exits")
    assert {name: answer.partition("(")[0] for name, answer in answers.items()} == {
        "limit": "TimeLimitExceeded",
        "killed": "WorkerLostError",
        "SIGTERM": "TaskRevokedError",
        "SIGKILL": "TaskRevokedError",
        "exits": "WorkerLostError",
    }
    told_by_the_child = ["  celery.apply stuck", "    celery.run stuck", "      inside inside"]
    assert tree(agent) == {
        "limit": step("stuck", "FAILURE"),
        "killed": step("stuck", "FAILURE"),
        "SIGTERM": told_by_the_child,
        "SIGKILL": step("stuck", "REVOKED"),
        "exits": told_by_the_child,
    }
    told = {root["trace_id"]: root["resource"] for root in agent.spans if not root["parent_id"]}
    runs = {told[span["trace_id"]]: span for span in agent.spans if span["name"] == "celery.run"}
    assert {name: (span["error"], span["meta"].get("error.type")) for name, span in runs.items()} == {
        "limit": (1, "billiard.exceptions.TimeLimitExceeded"),
        "killed": (1, "billiard.exceptions.WorkerLostError"),
        "SIGTERM": (1, "builtins.SystemExit"),
        "SIGKILL": (0, None),
        "exits": (1, "builtins.SystemExit"),
    }
    assert runs["limit"]["duration"] > 900_000_000  # from when it began to run, not from when it was killed


def test_a_time_limit_of_the_worker(agent: RecordingAgent, at_redis: Environ, tmp_path: Path) -> None:
    with worker(at_redis, tmp_path / "log", "prefork", "--time-limit=1"):
        send(at_redis, "waits")
    assert tree(agent) == {"waits": step("stuck", "FAILURE")}
