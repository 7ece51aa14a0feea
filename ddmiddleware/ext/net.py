"""Keys of network tags."""

PEER_SERVICE = "peer.service"
TARGET_HOST = "out.host"
TARGET_NAME = "network.destination.name"
TARGET_PORT = "network.destination.port"
