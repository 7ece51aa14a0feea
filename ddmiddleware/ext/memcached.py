"""Keys of memcached tags."""

CMD = "memcached.command"
DBMS_NAME = "memcached"
QUERY = "memcached.query"
SERVICE = "memcached"
