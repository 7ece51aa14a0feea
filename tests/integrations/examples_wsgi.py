"""The examples of WSGI frameworks: one request to an application of one route."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults

from tests.integrations.example import Example, Names
from tests.integrations.recorder import Recorder


def _flask_app(names: Names, view: Callable[[], str]) -> Any:
    app = names["Flask"]("test")
    app.testing = True
    app.add_url_rule("/", "view", view)
    return app.test_client()


def _use_flask(names: Names, recorder: Recorder) -> int:
    recorder.take()
    with _flask_app(names, lambda: "hello").get("/"):
        pass
    return len(recorder.take())


def _fail_flask(names: Names, error: BaseException) -> None:
    def view() -> str:
        raise error

    _flask_app(names, view).get("/")


def _get_wsgi(app: Any) -> None:
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    body = app(environ, lambda *_: lambda _data: None)
    if hasattr(body, "close"):
        body.close()


def _get_bottle(names: Names, view: Callable[[], object]) -> None:
    app = names["Bottle"]()
    app.catchall = False
    app.route("/", callback=view)
    _get_wsgi(app)


def _use_bottle(names: Names, recorder: Recorder) -> int:
    recorder.take()
    _get_bottle(names, lambda: "hello")
    return len(recorder.take())


def _fail_bottle(names: Names, error: BaseException) -> None:
    def view() -> None:
        raise error

    _get_bottle(names, view)


def _get_cherrypy(names: Names, view: Callable[[], object]) -> None:
    class Root:
        index = names["expose"](lambda self: view())

    app = names["Application"](Root(), config={"/": {"request.throw_errors": True}})
    app.wsgiapp.pipeline.clear()  # which answers exceptions
    _get_wsgi(app)


def _use_cherrypy(names: Names, recorder: Recorder) -> int:
    recorder.take()
    _get_cherrypy(names, lambda: "hello")
    return len(recorder.take())


def _fail_cherrypy(names: Names, error: BaseException) -> None:
    def view() -> None:
        raise error

    _get_cherrypy(names, view)


def _get_falcon(names: Names, view: Callable[[], object]) -> None:
    class Resource:
        def on_get(self, req: Any, resp: Any) -> None:
            view()

    app = names["App"]()
    app.add_error_handler(Exception, names["propagate"])
    app.add_route("/", Resource())
    _get_wsgi(app)


def _use_falcon(names: Names, recorder: Recorder) -> int:
    recorder.take()
    _get_falcon(names, lambda: None)
    return len(recorder.take())


def _fail_falcon(names: Names, error: BaseException) -> None:
    def view() -> None:
        raise error

    _get_falcon(names, view)


def _get_pyramid(names: Names, view: Callable[[Any], object]) -> None:
    with names["Configurator"]() as config:
        config.add_route("home", "/")
        config.add_view(view, route_name="home", renderer="string")
    _get_wsgi(config.make_wsgi_app())


def _use_pyramid(names: Names, recorder: Recorder) -> int:
    recorder.take()
    _get_pyramid(names, lambda request: "hello")
    return len(recorder.take())


def _fail_pyramid(names: Names, error: BaseException) -> None:
    def view(request: Any) -> None:
        raise error

    _get_pyramid(names, view)


WSGI_EXAMPLES = {
    "bottle": Example("from bottle import Bottle", _use_bottle, _fail_bottle),
    "cherrypy": Example(
        "from cherrypy import Application, expose, log\nlog.screen = False", _use_cherrypy, _fail_cherrypy
    ),
    "falcon": Example(
        "from falcon import App\ndef propagate(req, resp, ex, params):\n    raise ex",
        _use_falcon,
        _fail_falcon,
    ),
    "flask": Example("from flask import Flask", _use_flask, _fail_flask),
    "pyramid": Example(
        "import warnings\n"
        "with warnings.catch_warnings():\n"
        "    warnings.simplefilter('ignore')  # of its WebOb, which imports cgi\n"
        "    from pyramid.config import Configurator",
        _use_pyramid,
        _fail_pyramid,
    ),
}
