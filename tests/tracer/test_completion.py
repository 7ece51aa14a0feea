"""What the settings add to finished spans: identity, host, commit, process, base service and peers."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from ddmiddleware.tracing import Tracer
from ddmiddleware.tracing.origins import process_tags
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import child, root
from tests.tracer.processes import run

OUT = {"span.kind": "client"}
TOP = {"_dd.top_level": 1}  # of another service than its parent


def nested(tracer: Tracer) -> None:
    """Finish a span of the service, and one of another inside."""
    with tracer.trace("a"):
        tracer.trace("b", service="redis").finish()
    tracer.flush()


@pytest.mark.parametrize(
    ("environ", "of_root"),
    [
        ({"DD_TRACE_REPORT_HOSTNAME": "true", "DD_HOSTNAME": "web-1"}, {"_dd.hostname": "web-1"}),
        ({"DD_TRACE_REPORT_HOSTNAME": "true"}, {"_dd.hostname": os.uname().nodename}),
        ({"DD_HOSTNAME": "web-1"}, {}),
        ({"DD_GIT_COMMIT_SHA": "c0ffee"}, {"_dd.git.commit.sha": "c0ffee"}),
        ({"DD_GIT_COMMIT_SHA": "c0ffee", "DD_TRACE_GIT_METADATA_ENABLED": "false"}, {}),
        (
            {"DD_GIT_REPOSITORY_URL": "https://user:token@example.com/a.git"},
            {"_dd.git.repository_url": "https://example.com/a.git"},
        ),
        (
            {"DD_TAGS": "git.commit.sha:c0ffee,git.repository_url:ssh://me@example.com/a@b"},
            {"_dd.git.commit.sha": "c0ffee", "_dd.git.repository_url": "ssh://example.com/a@b"},
        ),
        ({"DD_MAIN_PACKAGE": "no-such-package"}, {"_dd.python_main_package": "no-such-package"}),
        ({"DD_EXPERIMENTAL_PROPAGATE_PROCESS_TAGS_ENABLED": "true"}, {"_dd.tags.process": process_tags()}),
    ],
)
def test_the_first_span_of_a_chunk_tells(
    environ: dict[str, str], of_root: dict[str, str], agent: RecordingAgent, make_tracer: MakeTracer
) -> None:
    nested(make_tracer(agent.url, **environ))
    assert plain(agent.spans) == [root("a", meta=of_root), child("b", 2, service="redis", metrics=TOP)]


def test_a_part_of_a_trace_tells_its_commit_but_no_host(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    host = {"DD_TRACE_REPORT_HOSTNAME": "true", "DD_HOSTNAME": "web-1"}
    tracer = make_tracer(agent.url, DD_TRACE_PARTIAL_FLUSH_MIN_SPANS="1", DD_GIT_COMMIT_SHA="c0ffee", **host)
    nested(tracer)
    told = [{key for key in span["meta"] if key in ("_dd.hostname", "_dd.git.commit.sha")} for span in agent.spans]
    assert sorted(told, key=len) == [{"_dd.git.commit.sha"}, {"_dd.git.commit.sha", "_dd.hostname"}]


def test_the_main_package_knows_what_it_was_built_from(agent: RecordingAgent, tmp_path: Path) -> None:
    info = tmp_path / "shop-1.0.dist-info"
    info.mkdir()
    link = "Project-URL: source_code_link, https://me:pw@example.com/shop#c0ffee"
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n{link}\n")
    script = (
        f"import sys; sys.path.append({str(tmp_path)!r}); from ddmiddleware import tracer; tracer.trace('a').finish()"
    )
    run(script, agent.url, DD_MAIN_PACKAGE="shop")
    run(script, agent.url, DD_MAIN_PACKAGE="shop", DD_GIT_COMMIT_SHA="mine")
    built, mine = (span["meta"] for span in agent.spans)
    assert {key: value for key, value in built.items() if "git" in key or "package" in key} == {
        "_dd.git.commit.sha": "c0ffee",
        "_dd.git.repository_url": "https://example.com/shop",
        "_dd.python_main_package": "shop",
    }
    assert mine["_dd.git.commit.sha"] == "mine"
    assert "_dd.git.repository_url" not in mine, "two sources would name a commit of another repository"


def test_what_a_process_runs(agent: RecordingAgent, tmp_path: Path) -> None:
    (tmp_path / "My App").mkdir()
    script = tmp_path / "My App" / "serve.py"
    code = "from ddmiddleware import tracer; tracer.trace('a').finish()"
    script.write_text(code)
    runs = (
        f"import os, subprocess, sys; os.chdir({str(script.parent)!r}); subprocess.run([sys.executable, *sys.argv[1:]])"
    )
    paths = os.pathsep.join((str(Path(__file__).parent.parent.parent), str(script.parent)))
    for arguments in ([str(script)], ["-m", "serve"]):
        run(runs, agent.url, *arguments, DD_EXPERIMENTAL_PROPAGATE_PROCESS_TAGS_ENABLED="1", PYTHONPATH=paths)
    where = "entrypoint.basedir:my_app,entrypoint.name:serve,entrypoint.type:{},entrypoint.workdir:my_app"
    assert [span["meta"]["_dd.tags.process"] for span in agent.spans] == [
        where.format("script"),
        where.format("module"),
    ]


def test_a_process_without_a_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.delitem(sys.modules, "__main__")
    assert process_tags() == "entrypoint.type:script"


def test_another_service_tells_which_one_it_belongs_to(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url, DD_SERVICE_MAPPING="shop:store,redis:cache", DD_VERSION="1")
    with tracer.trace("a"):
        tracer.trace("b", service="redis").finish()
        with tracer.trace("c", service="store") as span:
            span.set_tag("version", "mine")
    tracer.flush()
    assert plain(agent.spans) == [
        root("a", service="store") | {"meta": {"_dd.p.dm": "-0", "language": "python", "version": "1"}},
        child("b", 2, service="cache", meta={"_dd.base_service": "store"}, metrics=TOP),
        child("c", 3, service="store", metrics=TOP) | {"meta": {"version": "mine"}},
    ]


@pytest.mark.parametrize(
    ("environ", "tags", "added"),
    [
        ({}, {**OUT, "out.host": "db-1"}, {}),
        ({"DEFAULTS_ENABLED": "true"}, {"out.host": "db-1"}, {}),
        ({"DEFAULTS_ENABLED": "true"}, {"span.kind": "server", "out.host": "db-1"}, {}),
        ({"DEFAULTS_ENABLED": "true"}, OUT, {}),
        (
            {"DEFAULTS_ENABLED": "true"},
            {**OUT, "out.host": "db-1", "db.name": "orders"},
            {"peer.service": "orders", "_dd.peer.service.source": "db.name"},
        ),
        (
            {"DEFAULTS_ENABLED": "true", "MAPPING": "db-1:main"},
            {"span.kind": "producer", "out.host": "db-1"},
            {
                "peer.service": "main",
                "_dd.peer.service.source": "out.host",
                "_dd.peer.service.remapped_from": "db-1",
            },
        ),
        (
            {"MAPPING": "mine:ours"},
            {**OUT, "peer.service": "mine", "out.host": "db-1"},
            {
                "peer.service": "ours",
                "_dd.peer.service.source": "peer.service",
                "_dd.peer.service.remapped_from": "mine",
            },
        ),
        ({"MAPPING": "mine:ours"}, {**OUT, "out.host": "mine"}, {}),
    ],
)
def test_peers(
    environ: dict[str, str], tags: dict[str, str], added: dict[str, str], agent: RecordingAgent, make_tracer: MakeTracer
) -> None:
    tracer = make_tracer(agent.url, **{f"DD_TRACE_PEER_SERVICE_{name}": value for name, value in environ.items()})
    with tracer.trace("a") as span:
        span.set_tags(tags)
    tracer.flush()
    assert plain(agent.spans) == [root("a", meta={**tags, **added})]


def test_the_first_schema_names_peers_by_itself(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_SPAN_ATTRIBUTE_SCHEMA="v1")
    with tracer.trace("a") as span:
        span.set_tags({**OUT, "out.host": "db-1"})
    tracer.flush()
    assert agent.spans[0]["meta"]["peer.service"] == "db-1"


def test_what_code_sets_holds_from_then_on(agent: RecordingAgent, tracer: Tracer) -> None:
    tracer.trace("a").finish()
    changes: dict[str, Any] = {
        "DD_SERVICE": "late",
        "DD_ENV": "prod",
        "DD_VERSION": "2",
        "DD_TAGS": {"team": "blue"},
        "DD_GIT_COMMIT_SHA": "c0ffee",
    }
    for name, value in changes.items():
        tracer.settings[name] = value
    tracer.trace("b").finish()
    tracer.settings["DD_TRACE_ENABLED"] = False
    tracer.trace("c").finish()
    tracer.flush()
    tags = {"env": "prod", "version": "2", "team": "blue", "_dd.git.commit.sha": "c0ffee"}
    late = root("b", 2, 2, meta=tags) | {"service": "late"}
    assert plain(agent.spans) == [root("a"), late]
    assert tracer.get_log_correlation_context() == {
        "dd.trace_id": "0",
        "dd.span_id": "0",
        "dd.service": "late",
        "dd.env": "prod",
        "dd.version": "2",
    }
