"""Each library's subclasses and instances that an application has made before the patch."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from ddmiddleware import patch
from tests.integrations.examples import EXAMPLES
from tests.integrations.recorder import Recorder
from tests.integrations.rows import ROWS, Imported

pytestmark = [
    pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated"),
    pytest.mark.filterwarnings("ignore:Inheritance class"),  # of aiohttp's
]


# Whose instances functions make, in these examples.
_MADE_BY_FUNCTIONS = (
    *("asyncpg", "mariadb", "mysql", "mysqldb", "psycopg", "sqlalchemy", "sqlite3"),
    *("gevent", "httpx", "logging", "loguru", "requests"),
)
# What is made while a request is answered, or to serve it.
_LATE = ("HttpResponse", "Response", "TCPSite")


def classes(names: dict[str, Any]) -> dict[str, type]:
    """Return the classes among an application's names that are no exceptions."""
    found = {name: value for name, value in names.items() if isinstance(value, type)}
    return {name: value for name, value in found.items() if not issubclass(value, BaseException)}


class Maker:
    """Stands for a class: calls *made* after each instance that it makes."""

    def __init__(self, of: type, made: Callable[[], None]) -> None:
        self._of, self._made = of, made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        instance = self._of(*args, **kwargs)
        self._made()
        return instance

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)

    def __mro_entries__(self, _bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self._of,)


@pytest.mark.parametrize("name", ROWS)
def test_subclasses(name: str, imported: Imported, recorder: Recorder) -> None:
    names = imported(name)
    for key, value in classes(names).items():
        names[key] = type(value)(value.__name__, (value,), {"__module__": __name__})
    assert EXAMPLES[name].use(names, recorder) == 0
    patch(**{name: True})
    assert EXAMPLES[name].use(names, recorder) == 1


@pytest.mark.parametrize("name", [name for name in ROWS if name not in _MADE_BY_FUNCTIONS])
def test_instances(name: str, imported: Imported, recorder: Recorder) -> None:
    """The patch comes right after the last one is made, and before it is used."""
    names = imported(name)
    made, all_made = itertools.count(1), 0

    def count() -> None:
        if next(made) == all_made:
            patch(**{name: True})

    names.update({key: Maker(value, count) for key, value in classes(names).items() if key not in _LATE})
    assert EXAMPLES[name].use(names, recorder) == 0
    made, all_made = itertools.count(1), next(made) - 1
    assert all_made
    assert EXAMPLES[name].use(names, recorder) == 1
