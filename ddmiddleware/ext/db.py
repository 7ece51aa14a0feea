"""Keys of database tags."""

NAME = "db.name"
ROWCOUNT = "db.row_count"
SYSTEM = "db.system"
USER = "db.user"
