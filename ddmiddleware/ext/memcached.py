"""Keys of memcached tags."""

CMD = "memcached.command"
QUERY = "memcached.query"
SERVICE = "memcached"
