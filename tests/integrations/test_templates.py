"""Template engines: Jinja2 and Mako."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
from mako.lookup import TemplateLookup
from mako.runtime import Context
from mako.template import Template

from ddmiddleware import config, patch, unpatch
from ddmiddleware.tracing import default_tracer
from tests.integrations.likeness import outcomes
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
    assert Template("${name}").render(name="me") == "me"
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
        Template("x").render()
    finally:
        config.mako.service = None
    assert [span["service"] for span in recorder.take()] == ["pages"]


def raises(environment: Any, name: str) -> Any:
    return environment.get_template(name).render()


def in_context(template: Any, **names: Any) -> str:
    text = io.StringIO()
    template.render_context(Context(text, **names))
    return text.getvalue()


JINJA2: dict[str, Callable[[Any], Any]] = {
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
FROM_ANOTHER = """<%
try:
    {}["missing"]
except KeyError as error:
    raise OSError(5, "theirs") from error
%>"""
MAKO: dict[str, Callable[[Any], Any]] = {
    "render": lambda e: e.get_template("page.mako").render(name="me"),
    "render_unicode": lambda e: e.get_template("page.mako").render_unicode(name="me"),
    "bytes": lambda _: Template("${a}", output_encoding="utf-8").render(a="\u20ac"),
    "not encodable": lambda _: Template("${a}", output_encoding="ascii").render(a="\u20ac"),
    "within a context": lambda e: in_context(e.get_template("page.mako"), name="me"),
    "a def": lambda e: e.get_template("page.mako").get_def("row").render(x=1),
    "no such def": lambda e: e.get_template("page.mako").get_def("none").render(),
    "inherits": lambda e: raises(e, "inherits.mako"),
    "includes": lambda e: e.get_template("includes.mako").render(name="me"),
    "includes nothing": lambda e: raises(e, "missing.mako"),
    "missing": lambda e: raises(e, "nothing"),
    "syntax": lambda _: Template("% if x:\n").render(),
    "undefined": lambda e: raises(e, "page.mako"),
    "strictly undefined": lambda _: Template("${name}", strict_undefined=True).render(),
    "an error of theirs": lambda _: Template("${1 / 0}").render(),
    "from another": lambda _: Template(FROM_ANOTHER).render(),
    "handled": lambda _: Template("${1 / 0}", error_handler=lambda _context, error: error is not None).render(),
    "shown": lambda _: re.sub("0x[0-9a-f]+", "0x", str(Template("${1 / 0}", format_exceptions=True).render())),
    "wrong call": lambda _: Template("x").render(1),
    "a wrong context": lambda _: Template("x").render_context(None),
    "no context": lambda _: Template("x").render_context(),
}


def test_same_results_with_and_without(recorder: Recorder) -> None:
    loader = jinja2.DictLoader({"plain": "plain", "bad": "{% if %}", "includes": '{% include "plain" %}'})
    unpatch()
    without = outcomes(JINJA2, jinja2.Environment(loader=loader))
    assert recorder.take() == []
    patch(jinja2=True, mako=True)
    assert outcomes(JINJA2, jinja2.Environment(loader=loader)) == without
    recorder.take()


def test_same_results_of_mako_with_and_without(folder: Path, recorder: Recorder) -> None:
    (folder / "inherits.mako").write_text('<%inherit file="base.mako"/>within')
    (folder / "base.mako").write_text("<b>${self.body()}</b>")
    (folder / "includes.mako").write_text('<%include file="page.mako"/>!')
    (folder / "missing.mako").write_text('<%include file="nothing.mako"/>')
    unpatch()
    without = outcomes(MAKO, TemplateLookup([str(folder)]))
    assert recorder.take() == []
    patch(jinja2=True, mako=True)
    assert outcomes(MAKO, TemplateLookup([str(folder)])) == without
    assert len(recorder.take()) >= len(MAKO) - 4
