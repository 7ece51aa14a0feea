"""What is left of the texts of exceptions: messages of databases and of others, and tracebacks."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddmiddleware.tracing.messages import is_drivers, message, stack
from ddmiddleware.tracing.secrets import Secrets

SECRETS = Secrets()

# Of each pair, the second text is what the first one becomes, whatever kind of exception says it.
MESSAGES = r"""
(sqlite3.IntegrityError) UNIQUE constraint failed: users.email
[SQL: INSERT INTO users (email, n) VALUES ('bob', 5)]
[parameters: ('bob', 'hunter2')]
(Background on this error at: https://sqlalche.me/e/20/gkpj)
---
(sqlite3.IntegrityError) UNIQUE constraint failed: users.email
[SQL: INSERT INTO users (email, n) VALUES (?)]
[parameters: ?]
(Background on this error at: https://sqlalche.me/e/20/gkpj)

duplicate key value violates unique constraint "users_email_key"
DETAIL:  Key (email, n)=(bob (the second), 5) already exists.
---
duplicate key value violates unique constraint "users_email_key"
DETAIL:  Key (email, n)=(?) already exists.

null value in column "a" violates not-null constraint
DETAIL:  Failing row contains (1, bob, null).
---
null value in column "a" violates not-null constraint
DETAIL:  Failing row contains (?).

relation "users" does not exist
LINE 1: select * from users where a = 'bob'
                      ^
---
relation "users" does not exist
LINE 1: select * from users where a = ?
                      ^

Command # 1 (SET a hunter2) of pipeline caused error: WRONGTYPE Operation against a key
---
Command # 1 (?) of pipeline caused error: WRONGTYPE Operation against a key

unknown command 'FOO', with args beginning with: 'hunter2' 'bob'
---
unknown command 'FOO', with args beginning with: ?

cannot run insert into t values ('hunter2', 42) now
---
cannot run insert into t values (?, ?) now

E11000 duplicate key error collection: db.c index: email_1 dup key: { email: "bob" }
---
E11000 duplicate key error collection: db.c index: email_1 dup key: ?

Max retries exceeded with url: /p?x=1&api_key=zz (Caused by NewConnectionError("it can't"))
---
Max retries exceeded with url: /p?x=1&api_key=<redacted> (Caused by NewConnectionError("it can't"))

cannot connect to postgres://bob:hunter2@db/shop with password: 'hunter2'
---
cannot connect to postgres://db/shop with password: <redacted>

invalid headers {'Cookie': 'a=b; c=d', 'x': 'y'}, Authorization: Basic dXNlcjpwYXNz
---
invalid headers {'Cookie': <redacted>, 'x': 'y'}, Authorization: <redacted>

Command '['mysql', '--password', 'hunter2', '--host=db']' failed; root:hunter2@db; AKIAIOSFODNN7EXAMPLE
---
Command '['mysql', '--password', <redacted>, '--host=db']' failed; <redacted>@db; <redacted>

sent bearer abc.def-123 and eyJhbGciOiJIUzI1NiJ9.e30.abc of bob@example.com, card 4111 1111 1111 1111
---
sent bearer <redacted> and <redacted> of <redacted>, card <redacted>

-----BEGIN RSA PRIVATE KEY-----
MIIEow
-----END RSA PRIVATE KEY-----
is no key
---
<redacted>
is no key

Basic authentication failed, the token is not valid; it's 'not' a 'secret'; order 4111111111111112
---
Basic authentication failed, the token is not valid; it's 'not' a 'secret'; order 4111111111111112
"""


@pytest.mark.parametrize("pair", MESSAGES.strip().split("\n\n"))
def test_a_message(pair: str) -> None:
    before, after = pair.split("\n---\n")
    assert message(before, SECRETS, database=False) == after
    assert message(after, SECRETS, database=False) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("(1062, \"Duplicate entry 'bob o'neil' for key 'a.b'\")", "(1062, \"Duplicate entry ? for key 'a.b'\")"),
        ("(1064, \"... to use near 'hunter2'' at line 1\")", '(1064, "... to use near ? at line 1")'),
        ('near "hunter2": syntax error', "near ?: syntax error"),
        ('invalid input syntax for type integer: "hunter2"', "invalid input syntax for type integer: ?"),
        ("can't convert 'bob' or \"it's\" or E'x'", "can't convert ? or ? or E?"),
        ("bad value 'hunter2 without an end", "bad value ?"),
        ("bad value 'it\\' hunter2'", "bad value ?"),
        ("UNIQUE constraint failed: users.email", "UNIQUE constraint failed: users.email"),
        ("line 1:3 no viable alternative at input 'x' ([hunter2]...)", "line 1:3 no viable alternative at input ?"),
    ],
)
def test_a_message_of_a_database(before: str, after: str) -> None:
    assert message(before, SECRETS, database=True) == after
    assert message(after, SECRETS, database=True) == after


def test_whose_exceptions_are_those_of_databases() -> None:
    for name in ("sqlite3.OperationalError", "psycopg2.errors.UniqueViolation", "django.db.utils.DataError"):
        assert is_drivers(name)
    for name in ("builtins.ValueError", "django.http.Http404", "shop.redis.Error", "sqlite3x.Error"):
        assert not is_drivers(name)


STACK = """Traceback (most recent call last):
  File "/a/b.py", line 3, in x
    cursor.execute("insert into t values ('source')", password="hunter2", token=token)
    ~~~~^^^^^
sqlite3.IntegrityError: bad 'hunter2'
  indented "hunter2"

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/a/b.py", line 4, in y
    connect("redis://:hunter2@db")
ValueError: can't do 'this' password=hunter2
"""
SHOWN = """Traceback (most recent call last):
  File "/a/b.py", line 3, in x
    cursor.execute("insert into t values ('source')", password=<redacted>, token=token)
    ~~~~^^^^^
sqlite3.IntegrityError: bad ?
  indented ?

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/a/b.py", line 4, in y
    connect("redis://db")
ValueError: can't do 'this' password=<redacted>
"""


def test_a_stack() -> None:
    assert stack(STACK, SECRETS, database=False) == SHOWN
    assert stack(SHOWN, SECRETS, database=False) == SHOWN
    assert "'this'" not in stack(STACK, SECRETS, database=True)
    assert "'source'" in stack(STACK, SECRETS, database=True)
    frames = STACK.partition("\n")[2]
    assert stack(frames, SECRETS, database=False) == SHOWN.partition("\n")[2], "as set_traceback has it"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with 3.11")
def test_a_group() -> None:
    text = """  + Exception Group Traceback (most recent call last):
  |   File "/a/b.py", line 3, in x
  |     raise ExceptionGroup("it's 'bob'", errors)
  | ExceptionGroup: it's 'bob' (1 sub-exception)
  +-+---------------- 1 ----------------
    | sqlite3.IntegrityError: bad 'hunter2'
    +------------------------------------"""
    shown = stack(text, SECRETS, database=False)
    assert "hunter2" not in shown
    assert shown.startswith(text.partition("  | ExceptionGroup")[0])


LINES = st.lists(st.sampled_from([*STACK.split("\n"), *MESSAGES.split("\n"), "'", '"', "(1, 'a", "  | x", "[SQL: "]))


@given(LINES.map("\n".join), st.booleans())
def test_whatever_comes(text: str, database: bool) -> None:
    for change in (message, stack):
        assert "hunter3" not in change(text + "\nValueError: password=hunter3", SECRETS, database)
