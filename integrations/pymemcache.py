"""Memcached commands of pymemcache: of the client, and by it those of pools and of several servers.

https://pymemcache.readthedocs.io
"""

from ddmiddleware.integrations import _memcached
from ddmiddleware.integrations._patching import Call, Integration

integration = Integration(
    "pymemcache",
    requires="pymemcache>=3.4",
    service="memcached",
    kind="client",
    db_system="memcached",
    wire="memcached",
)


def _server(call: Call) -> None:
    server = call.self.server
    if isinstance(server, str):  # the path of a socket
        call.tags["out.host"] = server
    else:
        call.tags["out.host"] = str(server[0])
        call.metrics["network.destination.port"] = int(server[1])


# The methods of Client, because PooledClient and HashClient call it for each server that has one of the keys.
_memcached.trace(
    integration,
    "pymemcache.client.base:Client",
    "memcached.command",
    _server,
    (*_memcached.ONE_KEY, "cache_memlimit", "flush_all", "raw_command", "stats", "version"),
    ("delete_many", "delete_multi", "get_many", "get_multi", "gets_many", "set_many", "set_multi"),
)
