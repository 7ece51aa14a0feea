"""Profiles written in each format, read by what others publish for it.

``speedscope.schema.json`` is ``file-format-schema.json`` of npm's speedscope 1.25.0 (MIT).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddmiddleware.profiling import chrome_trace, collapsed, pprof, speedscope
from ddmiddleware.profiling.samples import NUMERIC_LABELS, UNITS, Profile, Sample
from tests.profiler.profile_proto import read

MAIN = ("main", "/srv/app.py", 10)
VIEW = ("View.get", "/srv/views.py", 20)
QUERY = ("query", "/srv/db.py", 300)
LABELS: dict[str, str | int] = {"thread name": "MainThread", "thread id": 7, "trace endpoint": "GET /buy"}


def a_profile() -> Profile:
    return Profile(
        start_ns=1_700_000_000_000_000_000,
        end_ns=1_700_000_060_000_000_000,
        samples=[
            Sample((QUERY, VIEW, MAIN), {"cpu-time": 30_000_000, "wall-time": 50_000_000, "cpu-samples": 3}, LABELS),
            Sample((VIEW, MAIN), {"wall-time": 20_000_000}, {"thread name": "MainThread", "span id": (1 << 63) + 1}),
            Sample((QUERY,), {"alloc-space": 4096, "alloc-samples": 1}, {}),
            Sample((VIEW, MAIN), {"cpu-time": 5_000_000, "wall-time": 20_000_000}, LABELS),
        ],
        tags={"sampler": "native", "service": "shop"},
    )


def test_pprof() -> None:
    found = read(pprof.encode(a_profile()))
    assert found.types == [
        *(("cpu-time", "nanoseconds"), ("cpu-samples", "count"), ("wall-time", "nanoseconds")),
        *(("alloc-space", "bytes"), ("alloc-samples", "count")),
    ]
    assert found.samples == [
        ((QUERY, VIEW, MAIN), {"cpu-time": 30_000_000, "wall-time": 50_000_000, "cpu-samples": 3}, LABELS),
        # int64 in the schema: Datadog's own profiles hold ids in the same way
        ((VIEW, MAIN), {"wall-time": 20_000_000}, {"thread name": "MainThread", "span id": (1 << 63) + 1 - (1 << 64)}),
        ((QUERY,), {"alloc-space": 4096, "alloc-samples": 1}, {}),
        ((VIEW, MAIN), {"cpu-time": 5_000_000, "wall-time": 20_000_000}, LABELS),
    ]
    assert (found.time_ns, found.duration_ns) == (1_700_000_000_000_000_000, 60_000_000_000)
    assert found.default_type == "cpu-time"
    assert found.comments == ["sampler:native", "service:shop"]


def test_pprof_of_nothing() -> None:
    found = read(pprof.encode(Profile(5, 5)))
    assert (found.samples, found.duration_ns) == ([], 0)
    assert found.types == [("cpu-time", "nanoseconds"), ("wall-time", "nanoseconds")]


FRAMES = st.tuples(st.text(), st.text(), st.integers(0, 1 << 31))
TEXT_LABELS = st.dictionaries(st.sampled_from(["trace endpoint", "thread name", "lock name"]), st.text(min_size=1))
NUMBER_LABELS = st.dictionaries(st.sampled_from(sorted(NUMERIC_LABELS)), st.integers(1, (1 << 63) - 1))
SAMPLES = st.builds(
    lambda stack, values, texts, numbers: Sample(stack, values, texts | numbers),
    *(st.lists(FRAMES, max_size=5).map(tuple), st.dictionaries(st.sampled_from(list(UNITS)), st.integers(1, 1 << 62))),
    *(TEXT_LABELS, NUMBER_LABELS),
)


@given(st.lists(SAMPLES, max_size=8))
def test_pprof_of_anything(samples: list[Sample]) -> None:
    found = read(pprof.encode(Profile(1, 2, samples)))
    assert found.samples == [(sample.stack, sample.values, sample.labels) for sample in samples]


def test_a_lone_surrogate_is_replaced() -> None:
    profile = Profile(1, 2, [Sample((("f\udcff", "\udcff.py", 1),), {"wall-time": 1}, {"thread name": "\udcff"})])
    assert read(pprof.encode(profile)).samples == [((("f?", "?.py", 1),), {"wall-time": 1}, {"thread name": "?"})]
    for module in (collapsed, speedscope, chrome_trace):
        assert module.encode(profile)


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed: apt-get install golang-go")
def test_pprof_in_gos_reader(tmp_path: Path) -> None:
    file = tmp_path / "profile.pprof"
    file.write_bytes(pprof.encode(a_profile()))
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PPROF_TMPDIR": str(tmp_path)}

    def pprof_says(*options: str) -> str:
        command = ["go", "tool", "pprof", *options, str(file)]
        return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout

    top = pprof_says("-top", "-sample_index=wall-time")
    assert "Duration: 60s, Total samples = 90ms" in top
    lines = {line.split()[-1]: line.split()[:5] for line in top.splitlines() if line.endswith(("query", "get", "main"))}
    assert lines["query"][:2] == ["50ms", "55.56%"]
    assert lines["View.get"] == ["40ms", "44.44%", "100%", "90ms", "100%"]
    assert lines["main"][3:] == ["90ms", "100%"]
    tags = pprof_says("-tags", "-sample_index=cpu-time")
    assert "GET /buy" in tags
    assert "35.0ms" in tags


def test_collapsed() -> None:
    assert collapsed.encode(a_profile()).decode().splitlines() == [
        "GET /buy;main;View.get 5000000",
        "GET /buy;main;View.get;query 30000000",
    ]
    assert collapsed.encode(a_profile(), "wall-time").decode().splitlines() == [
        "GET /buy;main;View.get 20000000",
        "GET /buy;main;View.get;query 50000000",
        "MainThread;main;View.get 20000000",
    ]
    odd = Profile(1, 2, [Sample((("a;b\nc", "x.py", 1),), {"alloc-space": 7}, {})])
    assert collapsed.encode(odd) == b"no thread;a:b c 7\n"


def test_speedscope() -> None:
    document = json.loads(speedscope.encode(a_profile()))
    schema = json.loads((Path(__file__).parent / "speedscope.schema.json").read_text())
    jsonschema.validate(document, schema)
    names = [view["name"] for view in document["profiles"]]
    assert names == [
        *("cpu-time, MainThread", "cpu-samples, MainThread", "wall-time, MainThread"),
        *("alloc-space, no thread", "alloc-samples, no thread"),
    ]
    wall = document["profiles"][2]
    frames = [frame["name"] for frame in document["shared"]["frames"]]
    assert (wall["unit"], wall["endValue"], wall["weights"]) == (
        "nanoseconds",
        90_000_000,
        [50_000_000, *[20_000_000] * 2],
    )
    assert [frames[number] for number in wall["samples"][0]] == ["GET /buy", "main", "View.get", "query"]
    jsonschema.validate(json.loads(speedscope.encode(Profile(1, 2))), schema)


def test_chrome_trace() -> None:
    events: list[dict[str, Any]] = json.loads(chrome_trace.encode(a_profile()))["traceEvents"]
    assert [event["args"] for event in events if event["ph"] == "M"] == [{"name": "MainThread"}]
    drawn = {(event["name"], event["ts"], event["dur"]) for event in events if event["ph"] == "X"}
    assert drawn == {
        *(("GET /buy", 0, 70_000), ("main", 0, 70_000), ("View.get", 0, 70_000), ("query", 20_000, 50_000)),
        *(("main", 70_000, 20_000), ("View.get", 70_000, 20_000)),
    }
