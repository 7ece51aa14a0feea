"""Jinja2 templates, as they are loaded, compiled and rendered, whole or in pieces.

https://jinja.palletsprojects.com
"""

from typing import Any

from ddmiddleware.integrations import _generators, _templates
from ddmiddleware.integrations._patching import Call, Integration, Traced

integration = Integration("jinja2", requires="jinja2>=2.10")


def _is_sync(template: Any, *_args: Any, **_kwargs: Any) -> bool:
    """Return whether a method does it itself; in an asynchronous environment it calls its asynchronous twin."""
    return not template.environment.is_async


def _rendered(call: Call) -> None:
    _templates.template(call, "jinja2", call.self.name, measured=True)


_RENDER = "jinja2.environment:Template.render"
integration.traces(_RENDER, name="jinja2.render", type="template", when=_is_sync)(_rendered)
integration.traces(f"{_RENDER}_async", name="jinja2.render", type="template")(_rendered)
_pieces = Traced(integration, "jinja2.render", "template", _rendered, _is_sync)
_pieces_async = Traced(integration, "jinja2.render", "template", _rendered)


# generate, because stream and dump take their pieces from it. In Jinja2 2 it is no generator itself: it is left alone.
@integration.replaces("jinja2.environment:Template.generate")
def generate(original: Any) -> Any:
    return _pieces.wrapper(original) if _generators.yields(original) else original


@integration.replaces("jinja2.environment:Template.generate_async")
def generate_async(original: Any) -> Any:
    return _pieces_async.wrapper(original) if _generators.yields(original) else original


@integration.traces("jinja2.environment:Environment.compile", name="jinja2.compile", type="template")
def compile(call: Call) -> None:
    _templates.template(call, "jinja2", call.arg(1, "name"))


# _load_template, because get_template, select_template, extends and include all end there.
@integration.traces("jinja2.environment:Environment._load_template", name="jinja2.load", type="template")
def load(call: Call) -> None:
    _templates.template(call, "jinja2", call.arg(0, "name"))


@load.returned
def loaded(call: Call, result: Any) -> None:
    if result.filename:
        call.tags["jinja2.template_path"] = str(result.filename)
