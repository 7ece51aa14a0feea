"""Template engines: Jinja2 and Mako."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import mako.template
import pytest
from mako.lookup import TemplateLookup

from ddmiddleware import config, patch, unpatch
from ddmiddleware.tracing import default_tracer
from tests.integrations.recorder import Recorder, failed


@pytest.fixture(autouse=True)
def _patched() -> None:
    patch(jinja2=True, mako=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.html").write_text("<b>{% block body %}{% endblock %}</b>")
    (tmp_path / "page.html").write_text('{% extends "base.html" %}{% block body %}{{ name }}{% endblock %}')
    (tmp_path / "page.mako").write_text("<%def name='row(x)'>[${x}]</%def>Hello ${name}")
    return tmp_path


def span(name: str, template: str, **changes: Any) -> dict[str, Any]:
    engine = name.partition(".")[0]
    tags = {"component": engine, f"{engine}.template_name": template, **changes.pop("tags", {})}
    if "render" in name:
        tags["_dd.measured"] = 1
    service = "mako" if engine == "mako" else "shop"
    shape = {"trace": 1, "parent": 0, "service": service, "type": "template", "error": 0}
    return {**shape, "name": name, "resource": template, "tags": tags, **changes}


def test_jinja2(folder: Path, recorder: Recorder) -> None:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(folder))
    with default_tracer.trace("work"):
        page = environment.get_template("page.html")
        assert page.render(name="me") == "<b>me</b>"
        assert environment.get_template("page.html") is page
    page_path, base_path = ({"jinja2.template_path": str(folder / name)} for name in ("page.html", "base.html"))
    assert recorder.take()[1:] == [
        span("jinja2.load", "page.html", parent=1, tags=page_path),
        span("jinja2.compile", "page.html", parent=2),
        span("jinja2.render", "page.html", parent=1),
        span("jinja2.load", "base.html", parent=4, tags=base_path),
        span("jinja2.compile", "base.html", parent=5),
        span("jinja2.load", "page.html", parent=1, tags=page_path),
    ]


def test_jinja2_of_text_and_asynchronous(recorder: Recorder) -> None:
    template = jinja2.Environment(enable_async=True).from_string("{{ name }}")
    assert template.render(name="me") == "me"
    assert asyncio.run(template.render_async(name="me")) == "me"
    assert recorder.take() == [
        span("jinja2.compile", "<memory>"),
        span("jinja2.render", "<memory>", trace=2),
        span("jinja2.render", "<memory>", trace=3),
    ]


def test_jinja2_errors(recorder: Recorder) -> None:
    environment = jinja2.Environment(loader=jinja2.DictLoader({"bad": "{% if %}", "zero": "{{ 1 / 0 }}"}))
    with pytest.raises(jinja2.TemplateNotFound) as missing:
        environment.get_template("missing")
    with pytest.raises(jinja2.TemplateSyntaxError):
        environment.get_template("bad")
    zero = environment.get_template("zero")
    with pytest.raises(ZeroDivisionError):
        zero.render()
    spans = recorder.take()
    assert spans[0] == span("jinja2.load", "missing", error=1, tags=failed(missing.value))
    assert [(span["name"], span["error"]) for span in spans[1:]] == [
        ("jinja2.load", 1),
        ("jinja2.compile", 1),
        ("jinja2.load", 0),
        ("jinja2.compile", 0),
        ("jinja2.render", 1),
    ]


def test_mako(folder: Path, recorder: Recorder) -> None:
    page = TemplateLookup([str(folder)]).get_template("page.mako")
    assert page.render_unicode(name="me") == "Hello me"
    assert page.render(name="me") == "Hello me"
    assert page.get_def("row").render(x=1) == "[1]"
    assert mako.template.Template("${name}").render(name="me") == "me"
    with pytest.raises(NameError):
        page.render()
    file = str(folder / "page.mako")
    spans = recorder.take()
    assert spans.pop()["error"] == 1
    assert spans == [
        span("mako.template.render_unicode", file),
        span("mako.template.render", file, trace=2),
        span("mako.template.render", "render_row", trace=3),
        span("mako.template.render", "<memory>", trace=4),
    ]


def test_service(recorder: Recorder) -> None:
    config.mako.service = "pages"
    try:
        mako.template.Template("x").render()
    finally:
        config.mako.service = None
    assert [span["service"] for span in recorder.take()] == ["pages"]


def raises(environment: Any, name: str) -> Any:
    return environment.get_template(name).render()


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "render": lambda e: e.from_string("{{ a }}").render(a=1),
    "render a dictionary": lambda e: e.from_string("{{ a }}").render({"a": 1}),
    "pieces": lambda e: [*e.from_string("{{ a }}b").generate(a=1)],
    "module": lambda e: e.from_string("{% macro m() %}x{% endmacro %}").module.m(),
    "include": lambda e: raises(e, "includes"),
    "select": lambda e: e.select_template(["nothing", "plain"]).render(),
    "missing": lambda e: raises(e, "nothing"),
    "syntax": lambda e: raises(e, "bad"),
    "source": lambda e: e.compile("{{ a }}", raw=True),
    "wrong call": lambda e: e.from_string("x").render(1, 2),
}


def test_same_results_with_and_without(recorder: Recorder) -> None:
    loader = jinja2.DictLoader({"plain": "plain", "bad": "{% if %}", "includes": '{% include "plain" %}'})

    def outcomes() -> dict[str, Any]:
        environment = jinja2.Environment(loader=loader)
        found = {}
        for name, operation in OPERATIONS.items():
            try:
                found[name] = operation(environment)
            except Exception as error:
                found[name] = (type(error), error.args, type(error.__cause__), type(error.__context__))
        return found

    unpatch()
    without = outcomes()
    assert recorder.take() == []
    patch(jinja2=True, mako=True)
    assert outcomes() == without
    recorder.take()
