"""``peer.service``: the name of what a client's span calls."""

from __future__ import annotations

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Mapping

PEER_SERVICE = "peer.service"
_SOURCE = "_dd.peer.service.source"
_REMAPPED = "_dd.peer.service.remapped_from"
# The most telling first: a database or a queue, then the service of a call, then the host.
_SOURCES = (
    "db.name",
    "db.instance",
    "mongodb.db",
    "messaging.destination.name",
    "queuename",
    "topicname",
    "streamname",
    "tablename",
    "bucketname",
    "messaging.kafka.bootstrap.servers",
    "rpc.service",
    "server.address",
    "network.destination.name",
    "peer.hostname",
    "out.host",
)


class Peers:
    """Names the peer of a span; *defaults* says whether by its other tags, *renamed* what names become."""

    def __init__(self, defaults: bool, renamed: Mapping[str, str]) -> None:
        self._defaults = defaults
        self._renamed = renamed

    def name(self, meta: dict[str, str]) -> None:
        """Add the tags to *meta* where it is that of a client's or producer's span; a name that is there is kept."""
        if meta.get("span.kind") not in ("client", "producer"):
            return
        peer, source = meta.get(PEER_SERVICE), PEER_SERVICE
        if not peer and self._defaults:
            source = next((key for key in _SOURCES if meta.get(key)), "")
            peer = meta.get(source)
        if not peer:
            return
        meta[_SOURCE] = source
        renamed = self._renamed.get(peer)
        if renamed:
            meta[_REMAPPED] = peer
        meta[PEER_SERVICE] = renamed or peer
