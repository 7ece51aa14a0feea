"""What Python says about a patched function, its class and its module: the same as before."""

from __future__ import annotations

import asyncio
import copy
import importlib
import inspect
import pickle
import sys
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ddmiddleware import patch, patch_all, unpatch
from ddmiddleware.integrations import TABLE
from ddmiddleware.integrations._patching import Integration
from ddmiddleware.tracing import guarded
from tests.django_project import set_up
from tests.integrations.example import OLDER

set_up()  # some of Django's modules cannot be imported without settings
pytestmark = [
    pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated"),
    # What Connexion imports:
    pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`"),
    pytest.mark.filterwarnings("ignore:jsonschema"),
    # What has never been initialised cannot be closed.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <function .*__del__:pytest.PytestUnraisableExceptionWarning"
    ),
]

# Their classes get a method of their own that they only inherited.
_INHERITED = (
    *("MySQLdb.connections", "asyncpg.protocol.protocol", "connexion.apps.asynchronous", "django.test.client"),
    "pylibmc.client",
)
REPLACED = [
    (name, f"{replacement.module}:{replacement._attribute}", replacement.adds)
    for name in sorted(TABLE.keys() - {"otel"})  # which replaces no function but OpenTelemetry's own registers
    for integration in [importlib.import_module(TABLE[name].loads).integration]
    for part in (integration, *integration._parts)
    for replacement in part.replacements
    if replacement.module not in _INHERITED and replacement.module not in OLDER
]
TARGETS = [(name, path) for name, path, adds in REPLACED if not adds]
ADDED = [(name, path) for name, path, adds in REPLACED if adds]


def resolve(path: str) -> tuple[Any, str]:
    """Return the owner that ``module:Class.method`` names, and the attribute's name."""
    module, _, attribute = path.partition(":")
    owner = importlib.import_module(module)
    *parents, name = attribute.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, name


def shown(probe: Callable[[], Any]) -> Any:
    """Return what *probe* gives, or how it fails."""
    try:
        return probe()
    except Exception as error:
        return repr(error)


FUNCTION_PROBES: dict[str, Callable[[Any], Any]] = {
    "signature": lambda f: str(inspect.signature(f)),
    "evaluated signature": lambda f: str(inspect.signature(f, eval_str=True)),
    "name": lambda f: f.__name__,
    "qualname": lambda f: f.__qualname__,
    "module": lambda f: f.__module__,
    "doc": lambda f: f.__doc__,
    "annotations": lambda f: dict(f.__annotations__),
    "source": inspect.getsource,
    "source lines": inspect.getsourcelines,
    "callable": callable,
    "type": type,
    "isfunction": inspect.isfunction,
    "ismethod": inspect.ismethod,
    "isroutine": inspect.isroutine,
    "isbuiltin": inspect.isbuiltin,
    "ismethoddescriptor": inspect.ismethoddescriptor,
    "isgeneratorfunction": inspect.isgeneratorfunction,
    "iscoroutinefunction": inspect.iscoroutinefunction,
    "isasyncgenfunction": inspect.isasyncgenfunction,
    "coroutine marker": lambda f: hasattr(f, "_is_coroutine"),
    "pickle": lambda f: pickle.loads(pickle.dumps(f)) is f,
    "pickled": lambda f: pickle.dumps(f),
    "copy": lambda f: copy.copy(f) is f,
    "deepcopy": lambda f: copy.deepcopy(f) is f,
    "weak reference": lambda f: weakref.ref(f)() is f,
    "equality": lambda f: (f == f, f != f, hash(f) == hash(f), f in {f}),
    "binds": lambda f: getattr(type("Holder", (), {"attribute": f})(), "attribute") is f,  # noqa: B009 (a probe)
    "self": lambda f: getattr(f, "__self__", None),
    "type parameters": lambda f: getattr(f, "__type_params__", None),
    "overridable": lambda f: getattr(f, "__isabstractmethod__", False),
}
# connect is a built-in function, and what stands for it is not: it is a static method, which binds to nothing either.
EXPECTED = {
    "sqlite3:connect": {"type", "static type", "isbuiltin", "ismethoddescriptor", "annotations", "self"},
    # A function with a cache; what stands for it is a function with the methods of that cache.
    "sanic.router:Router.get": {"type", "static type", "isfunction", "ismethoddescriptor", "class members"},
    # Which is another name of _full_lookup, by which pickle does not find what stands here.
    "sanic.handlers:ErrorHandler._lookup": {"pickle", "pickled"},
    # A descriptor, which leaves no frame behind; what it gives is a function.
    "structlog._base:BoundLoggerBase._process_event": {"static type"},
}
# What Cython has compiled is no function to inspect; what stands for it is, and is found among a class's functions.
COMPILED = {"type", "static type", "isfunction", "ismethoddescriptor", "coroutine marker", "class members"}
if sys.version_info >= (3, 12):
    COMPILED.add("type parameters")  # which a function in Python has, if empty
# Replaced only where a setting, the version or another replacement of the same function asks for it.
OPTIONAL = {
    "blinker.base:Signal.send",
    "django.core.handlers.base:BaseHandler.get_response",
    "django.core.handlers.base:BaseHandler.get_response_async",
    "django.core.handlers.base:BaseHandler.make_view_atomic",
    "django.core.handlers.base:convert_exception_to_response",
    "flask.app:Flask.ensure_sync",
    "flask.templating:_render",
    "pyramid.router:Router.__call__",
    "starlette.routing:Route.handle",
}
CLASS_PROBES: dict[str, Callable[[Any], Any]] = {
    "type": type,
    "mro": lambda c: c.__mro__,
    "names": dir,
    "own names": lambda c: sorted(vars(c)),
    "pickle": lambda c: pickle.loads(pickle.dumps(c)) is c,
    "subclass": lambda c: type("Sub", (c,), {}).__mro__[1:] == c.__mro__,
    "issubclass": lambda c: issubclass(type("Sub", (c,), {}), c),
    "isinstance": lambda c: isinstance(c.__new__(c), c),
    "union": lambda c: str(c | None),
    "hash": hash,
    "abstract": inspect.isabstract,
    "members": lambda c: [name for name, _ in inspect.getmembers(c, inspect.isfunction)],
    "source": inspect.getsource,
    "reduce": lambda c: copy.copy(c) is c,
}


def look(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    owner, name = resolve(path)
    function = {key: shown(partial(probe, getattr(owner, name))) for key, probe in FUNCTION_PROBES.items()}
    function["static type"] = type(inspect.getattr_static(owner, name)).__name__
    owned = {key: shown(partial(probe, owner)) for key, probe in CLASS_PROBES.items()}
    return function, owned if isinstance(owner, type) else {"names": dir(owner)}


@pytest.mark.parametrize(("name", "path"), TARGETS)
def test_nothing_looks_different(name: str, path: str) -> None:
    look(path)  # looking makes some classes' __annotations__
    function, owner = look(path)
    before = getattr(*resolve(path))
    patch(**{name: True})
    assert getattr(*resolve(path)) is not before or path in OPTIONAL
    function_patched, owner_patched = look(path)
    differences = {key for key, value in function_patched.items() if value != function[key]}
    differences |= {f"class {key}" for key, value in owner_patched.items() if value != owner[key]}
    compiled = type(before).__name__ == "cython_function_or_method"
    assert differences == EXPECTED.get(path, COMPILED if compiled else set())
    unpatch(name)
    assert look(path) == (function, owner)
    assert getattr(*resolve(path)) is before


@pytest.mark.parametrize(("name", "path"), ADDED)
def test_what_a_class_has_more_hardly_shows(name: str, path: str) -> None:
    owner, attribute = resolve(path)

    def classes() -> dict[str, Any]:
        return {key: shown(partial(probe, owner)) for key, probe in CLASS_PROBES.items()}

    before = classes()
    patch(**{name: True})
    patched = classes()
    assert attribute in vars(owner)
    assert not hasattr(owner, attribute)
    assert {key for key, value in patched.items() if value != before[key]} == {"names", "own names"}
    empty = owner.__new__(owner)
    with pytest.raises(AttributeError, match=f"object has no attribute '{attribute}'"):
        getattr(empty, attribute)
    with pytest.raises(AttributeError, match=attribute):
        delattr(empty, attribute)
    setattr(empty, attribute, None)
    assert vars(empty) == {attribute: None}
    delattr(empty, attribute)
    unpatch(name)
    assert classes() == before


def test_subclasses_made_before_and_after() -> None:
    import requests

    class Before(requests.Session):
        def send(self, request: Any, **kwargs: Any) -> Any:
            return super().send(request, **kwargs)

    bound: Any = Before().send
    patch_all()

    class After(requests.Session):
        pass

    for kind in (Before, After):
        assert isinstance(kind(), requests.Session)
        assert issubclass(kind, requests.Session)
        assert kind.__mro__[1:] == requests.Session.__mro__
    assert After.send is requests.Session.send
    assert bound == bound.__self__.send
    assert inspect.ismethod(requests.Session().send)
    session = requests.Session()
    session.headers["x"] = "1"
    assert pickle.loads(pickle.dumps(session)).headers == session.headers
    assert copy.deepcopy(session.headers) == session.headers
    method: Any = pickle.loads(pickle.dumps(session.send))
    assert method.__func__ is requests.Session.send
    for each in (bound.__self__, session, method.__self__):
        each.close()


@pytest.mark.usefixtures("recorder")
def test_a_wrong_call_is_refused_as_before() -> None:
    """With the same words, for the frames below are the library's own."""
    from concurrent.futures import ThreadPoolExecutor

    import httpx
    import requests

    with ThreadPoolExecutor(1) as pool, requests.Session() as session, httpx.Client() as client:
        calls: list[Callable[[], Any]] = [
            lambda: pool.submit(),  # type: ignore[call-arg]
            lambda: session.send(),  # type: ignore[call-arg]
            lambda: session.send(requests.Request("GET", "http://127.0.0.1:1/")),  # type: ignore[arg-type]
            lambda: session.send(1, 2, 3),  # type: ignore[arg-type, call-arg]
            lambda: client.send(),  # type: ignore[call-arg]
            lambda: client.send(None),  # type: ignore[arg-type]
            lambda: asyncio.run(httpx.AsyncClient().send()),  # type: ignore[call-arg]
        ]
        before = [shown(call) for call in calls]
        assert all(isinstance(message, str) for message in before)
        patch_all()
        guarded.raises = False  # a call without a request cannot be described
        assert [shown(call) for call in calls] == before


@pytest.mark.usefixtures("recorder")
def test_static_and_class_methods_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    library = type(sys)("library_of_methods")
    code = (
        "class Base:\n"
        "    def inherited(self, x): return self, x\n"
        "class Owner(Base):\n"
        "    @staticmethod\n"
        "    def static(x): return x\n"
        "    @classmethod\n"
        "    def of_class(cls, x): return cls, x\n"
        "def function(x=1): return x\n"
    )
    exec(code, library.__dict__)
    monkeypatch.setitem(sys.modules, library.__name__, library)
    seen: list[tuple[Any, ...]] = []
    integration = Integration("library_of_methods")
    paths = ("Owner.static", "Owner.of_class", "Owner.inherited", "function", "Owner.missing", "Missing.method")

    @integration.traces(*(f"library_of_methods:{path}" for path in paths), name="call")
    def described(call: Any) -> None:
        seen.append((call.arg(0, "x"), call.args))

    owner, base = library.Owner, library.Base
    before = dict(vars(owner)), dict(vars(base)), dict(vars(library))
    integration.patch()
    instance = owner()
    assert [type(vars(owner)[name]).__name__ for name in ("static", "of_class")] == ["staticmethod", "classmethod"]
    assert owner.static(1) == instance.static(1) == 1
    assert owner.of_class(2) == instance.of_class(2) == (owner, 2)
    assert instance.inherited(x=3) == (instance, 3)
    assert base().inherited(4)[1] == 4
    assert library.function() == 1
    assert library.function(5) == 5
    assert seen == [(1, (1,)), (1, (1,)), (2, (2,)), (2, (2,)), (3, ()), (None, ()), (5, (5,))]
    integration.unpatch()
    assert (dict(vars(owner)), dict(vars(base)), dict(vars(library))) == before
