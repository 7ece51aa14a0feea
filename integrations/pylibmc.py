"""Memcached commands of pylibmc.

https://sendapatch.se/projects/pylibmc/
"""

from ddmiddleware.integrations import _memcached
from ddmiddleware.integrations._patching import Call, Integration

integration = Integration(
    "pylibmc", requires="pylibmc>=1.6", service="memcached", kind="client", db_system="memcached", wire="memcached"
)

_PORT = 11211


def _server(call: Call) -> None:
    """Describe the server where there is one; which of several a key is on, the library decides in C."""
    if len(call.self.addresses) != 1:
        return
    address = str(call.self.addresses[0])
    if address.startswith("/"):
        call.tags["out.host"] = address
        return
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        host, port = address, str(_PORT)
    call.tags["out.host"] = host
    call.metrics["network.destination.port"] = int(port)


# The methods of Client, which it inherits from a class written in C that nothing can be put into.
_memcached.trace(
    integration,
    "pylibmc.client:Client",
    "memcached.cmd",
    _server,
    (*_memcached.ONE_KEY, "flush_all", "get_stats"),
    ("add_multi", "delete_multi", "get_multi", "incr_multi", "set_multi"),
)
