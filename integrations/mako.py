"""Mako templates, as they are rendered.

https://www.makotemplates.org
"""

from ddmiddleware.integrations import _templates
from ddmiddleware.integrations._patching import Call, Integration

integration = Integration("mako", requires="mako>=1.0", service="mako")


def _rendered(call: Call) -> None:
    # A part of another template, such as a def, is known by its function alone.
    part = getattr(call.self, "callable_", None)
    name = getattr(call.self, "filename", None) or (part and part.__name__ != "render_body" and part.__name__)
    _templates.template(call, "mako", name, measured=True)


for _method in ("render", "render_unicode", "render_context"):
    integration.traces(f"mako.template:Template.{_method}", name=f"mako.template.{_method}", type="template")(_rendered)
