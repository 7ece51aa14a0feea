"""Keys of SQL tags."""

DB = "sql.db"
QUERY = "sql.query"
ROWS = "sql.rows"
