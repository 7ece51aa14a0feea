"""Redis commands and pipelines, of the client and the asyncio client.

https://redis.readthedocs.io
"""

from typing import Any

from ddmiddleware.integrations import _commands
from ddmiddleware.integrations._patching import Call, Integration

integration = Integration("redis", requires="redis>=4.1", service="redis", kind="client", db_system="redis")

_PORT = 6379


# execute_command, because typed helpers and scripts all end there exactly once; immediate_execute_command, because a
# pipeline that watches keys sends with it at once.
@integration.traces(
    "redis.client:Redis.execute_command",
    "redis.client:Pipeline.immediate_execute_command",
    "redis.asyncio.client:Redis.execute_command",
    "redis.asyncio.client:Pipeline.immediate_execute_command",
    name="redis.command",
    type="redis",
)
def command(call: Call) -> None:
    _commands.command(call, call.arg(0, "command"), len(call.args))
    _commands.server(call, call.self.connection_pool.connection_kwargs, _PORT)


# execute, because a pipeline's execute_command only queues.
@integration.traces(
    "redis.client:Pipeline.execute", "redis.asyncio.client:Pipeline.execute", name="redis.command", type="redis"
)
def pipeline(call: Call) -> None:
    _commands.pipeline(call, [_name(queued) for queued in call.self.command_stack])
    _commands.server(call, call.self.connection_pool.connection_kwargs, _PORT)


def _name(queued: Any) -> object:
    """Return the name of a queued command: an ``(args, options)`` pair, its arguments starting with the name."""
    return queued[0][0]


@command.returned
@pipeline.returned
def rows(call: Call, result: Any) -> None:
    _commands.rows(call, result)
