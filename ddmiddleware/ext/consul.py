"""Keys of Consul tags."""

APP = "consul"
CMD = "consul.command"
KEY = "consul.key"
SERVICE = "consul"
