"""What redis and its fork valkey share: one client under two names, with clusters and their asyncio twins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ddmiddleware.integrations import _commands
from ddmiddleware.integrations._patching import Call, Integration
from ddmiddleware.tracing import Span, active

_PORT = 6379


def integration_of(library: str, client: str, requires: str) -> Integration:
    """Return the integration of *library*, whose client's class is called *client*."""
    integration = Integration(library, requires=requires, service=library, kind="client", db_system=library)
    name = f"{library}.command"

    # execute_command, because typed helpers and scripts all end there exactly once; immediate_execute_command, because
    # a pipeline that watches keys sends with it at once.
    @integration.traces(
        f"{library}.client:{client}.execute_command",
        f"{library}.client:Pipeline.immediate_execute_command",
        f"{library}.asyncio.client:{client}.execute_command",
        f"{library}.asyncio.client:Pipeline.immediate_execute_command",
        name=name,
        type=library,
    )
    def command(call: Call) -> None:
        _commands.command(call, call.arg(0, "command"), len(call.args))
        _server(call, call.self.connection_pool.connection_kwargs)

    # execute, because a pipeline's execute_command only queues.
    @integration.traces(
        f"{library}.client:Pipeline.execute", f"{library}.asyncio.client:Pipeline.execute", name=name, type=library
    )
    def pipeline(call: Call) -> None:
        _commands.pipeline(call, [queued[0][0] for queued in call.self.command_stack])
        _server(call, call.self.connection_pool.connection_kwargs)

    @integration.traces(
        f"{library}.cluster:{client}Cluster.execute_command",
        f"{library}.asyncio.cluster:{client}Cluster.execute_command",
        name=name,
        type=library,
    )
    def cluster_command(call: Call) -> None:
        _commands.command(call, call.arg(0, "command"), len(call.args))
        call.metrics[f"out.{library}_db"] = 0  # clusters have no other

    @integration.traces(
        f"{library}.cluster:ClusterPipeline.execute",
        f"{library}.asyncio.cluster:ClusterPipeline.execute",
        name=name,
        type=library,
    )
    def cluster_pipeline(call: Call) -> None:
        _commands.pipeline(call, [queued.args[0] for queued in _queue(call.self)])
        call.metrics[f"out.{library}_db"] = 0

    # _execute_command, because only by then it is clear which node that is. There may be several: the first is shown.
    @integration.observes(
        f"{library}.cluster:{client}Cluster._execute_command",
        f"{library}.asyncio.cluster:{client}Cluster._execute_command",
    )
    def node(_cluster: Any, target_node: Any, *_args: Any, **_options: Any) -> None:
        span = active.get()
        if type(span) is Span and span.name == name and "out.host" not in span._meta:
            span._meta["out.host"] = str(target_node.host)
            span._metrics["network.destination.port"] = int(target_node.port)

    for traced in (command, pipeline, cluster_command, cluster_pipeline):
        traced.returned(_commands.rows)

    return integration


def _server(call: Call, options: dict[str, Any]) -> None:
    _commands.server(call, options, _PORT)


def _queue(pipeline: Any) -> Sequence[Any]:
    """Return the commands that wait; the newer versions keep them with the way in which they are sent."""
    holder = getattr(pipeline, "_execution_strategy", pipeline)
    for name in ("_command_queue", "command_stack", "_command_stack"):
        if hasattr(holder, name):
            found: Sequence[Any] = getattr(holder, name)
            return found
    return ()
