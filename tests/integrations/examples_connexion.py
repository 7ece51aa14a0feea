"""The example of Connexion: its middleware around an application that knows nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.integrations.example import Example, Names
from tests.integrations.recorder import Recorder
from tests.middleware.requests_by_hand import asked


def _app(names: Names, view: Callable[[], bytes]) -> Any:
    async def wrapped(_scope: Any, _receive: Any, send: Any) -> None:
        body = view()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return names["ConnexionMiddleware"](wrapped, middlewares=[])


def _use(names: Names, recorder: Recorder) -> int:
    recorder.take()
    asked(_app(names, lambda: b"hello"))
    return len(recorder.take())


def _fail(names: Names, error: BaseException) -> None:
    def view() -> bytes:
        raise error

    asked(_app(names, view))


CONNEXION = Example(
    "import warnings\nwith warnings.catch_warnings():\n    warnings.simplefilter('ignore')  # of jsonschema's\n"
    "    from connexion import ConnexionMiddleware",
    _use,
    _fail,
)
