"""Keys of user tags."""

EMAIL = "usr.email"
EXISTS = "usr.exists"
ID = "usr.id"
NAME = "usr.name"
ROLE = "usr.role"
SCOPE = "usr.scope"
SESSION_ID = "usr.session_id"
