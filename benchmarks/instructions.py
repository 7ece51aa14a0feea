"""Instructions added per request and per call, counted by valgrind: what a busy machine does not change.

A process that makes some requests is compared with one that makes more of them, so that its start and its end count
for nothing. They say how much is done, not how long it takes: memory that is not at hand costs time and no instruction.
"""

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.calls import OF_DDTRACE
from benchmarks.clients import CLIENTS
from benchmarks.figures import Outcome, Table, Verdict, number
from benchmarks.peers import DDTRACE_QUIET, NOTHING, OPENTELEMETRY, OURS, ROOT, Peer, environment
from benchmarks.processes import NotMeasuredError, Progress, Sink, sink
from benchmarks.servers import http_server, redis_server
from benchmarks.web import BUDGETS, LABELS

_PEERS = (NOTHING, OURS, DDTRACE_QUIET, OPENTELEMETRY)
_FEW, _MORE = 50, 250
_COUNT = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
_COUNTED = re.compile(r"I\s+refs:\s+([\d,]+)")
_LIMIT_S = 300


def measure_instructions(_rounds: int, quick: bool, progress: Progress) -> Outcome:
    """Two processes for each peer and case; no rounds, as there is no chance in it."""
    if shutil.which("valgrind") is None:
        return Outcome(problems=["valgrind is not installed"])
    cases = [*LABELS, *CLIENTS] if not quick else ["flask", "redis GET"]
    found: dict[tuple[Peer, str], float] = {}
    problems: list[str] = []
    with http_server() as http, redis_server() as redis, ThreadPoolExecutor(2) as both:
        for case in cases:
            for peer in _PEERS:
                progress.step(f"{case}, {peer.label}")
                url = redis if case.startswith("redis") else http
                try:
                    _run(peer, _commands(case, url, _FEW), ())  # what Python compiles once is compiled then
                    few, more = both.map(_count, (peer, peer), [_commands(case, url, made) for made in (_FEW, _MORE)])
                    found[peer, case] = (more - few) / (_MORE - _FEW)
                except NotMeasuredError as error:
                    problems.append(f"{peer.name}, {case}: {error}")
                    found[peer, case] = math.nan
    note = "In thousands, of the whole process; a peer's are those that it adds to the baseline's."
    header = ("case", *(peer.label for peer in _PEERS), "ddmiddleware / ddtrace", "ddmiddleware / OpenTelemetry")
    rows = [_row(found, case) for case in cases]
    verdicts = []
    for case in cases:
        what = f"Instructions added per {_label(case)}, of"
        of_ddtrace, of_opentelemetry = BUDGETS.get(case, (OF_DDTRACE, None))
        verdicts.append(Verdict(f"{what} ddtrace", of_ddtrace, _ratio(found, DDTRACE_QUIET, case), "x"))
        if of_opentelemetry is not None:
            measured = _ratio(found, OPENTELEMETRY, case)
            verdicts.append(Verdict(f"{what} OpenTelemetry", of_opentelemetry, measured, "x"))
    raw = {f"{peer.name}/{case}": count for (peer, case), count in found.items()}
    return Outcome([Table("Instructions per request and call", header, rows, note)], verdicts, problems, raw)


def _commands(case: str, url: str, made: int) -> list[dict[str, Any]]:
    """Return what a child is to do: some requests, or calls ten at a time, and then as many as are *made*."""
    if case in LABELS:
        return [{"do": "requests", "app": case, "bursts": 1, "requests": count} for count in (_FEW, made)]
    calls = [{"do": "calls", "client": case, "bursts": 1, "requests": n // 10, "calls": 10} for n in (_FEW, made)]
    return [{"do": "prepare_client", "client": case, "url": url}, *calls]


def _count(peer: Peer, commands: list[dict[str, Any]]) -> int:
    counted = _COUNTED.search(_run(peer, commands, _COUNT))
    if counted is None:
        raise NotMeasuredError("valgrind has not said how many")
    return int(counted[1].replace(",", ""))


def _run(peer: Peer, commands: list[dict[str, Any]], under: Sequence[str]) -> str:
    """Let a process of *peer* do all *commands*; return what it said."""
    with sink() as end:
        program = subprocess.run(
            [*under, sys.executable, "-m", "benchmarks.child", peer.module],
            cwd=ROOT,
            env=environment(peer, end.url, PYTHONHASHSEED="0"),
            input="".join(json.dumps(command) + "\n" for command in commands),
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        if program.returncode:
            last = (program.stderr.strip().splitlines() or ["no output"])[-1]
            raise NotMeasuredError(f"exit status {program.returncode}: {last}")
        if peer is not NOTHING:
            _check(end, commands)
    return program.stderr


def _check(end: Sink, commands: list[dict[str, Any]]) -> None:
    """Find out whether every request and every call has got its span to the sink."""
    made = sum(command["requests"] * (1 + command.get("calls", 0)) for command in commands if "requests" in command)
    spans = end.counted()["spans"]
    if spans < made:
        raise NotMeasuredError(f"{spans} spans of at least {made} reached the sink")


def _added(found: Mapping[tuple[Peer, str], float], peer: Peer, case: str) -> float:
    return found[peer, case] - found[NOTHING, case]


def _ratio(found: Mapping[tuple[Peer, str], float], peer: Peer, case: str) -> float:
    ours, theirs = _added(found, OURS, case), _added(found, peer, case)
    return ours / theirs if ours > 0 and theirs > 0 else math.nan  # less than without a tracer is no figure


def _row(found: Mapping[tuple[Peer, str], float], case: str) -> list[str]:
    added = [number(_added(found, peer, case) / 1000, 1) for peer in _PEERS[1:]]
    ratios = [number(_ratio(found, peer, case), 3) for peer in (DDTRACE_QUIET, OPENTELEMETRY)]
    return [_label(case), number(found[NOTHING, case] / 1000, 1), *added, *ratios]


def _label(case: str) -> str:
    return f"{LABELS[case]} request" if case in LABELS else case
