"""The ASGI application: the agent's protocol and the viewer on one port, behind one check of access."""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.types import ASGIApp

from ddmiddleware.collector.access import Access
from ddmiddleware.collector.agent import Agent
from ddmiddleware.collector.store import Store
from ddmiddleware.collector.viewer import Viewer


def build_app(store: Store, *, bound: str, address: str, names: Iterable[str] = ()) -> ASGIApp:
    """Build the application.

    bound: the host that the server listens on. address: the URL that users reach it by, shown to them. names: host
    names to allow besides (see `access.Access`).
    """
    app = Starlette(routes=[*Agent(store).routes(), *Viewer(store, address).routes()])
    return Access(app, bound, names)
