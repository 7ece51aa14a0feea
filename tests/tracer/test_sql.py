"""SQL and CQL without literals: a table of statements, and what must hold for any."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddmiddleware.tracing.sql import without_literals

# Of each pair, the second line is what the first one becomes.
STATEMENTS = r"""
select * from t where a = 'it''s' and b = -5 and c <> 1.5e-3
select * from t where a = ? and b = ? and c <> ?

SELECT a-1, -1, +.5, 0xFF, 1_000, a - -2 FROM t LIMIT 10
SELECT a-?, ?, ?, ?, ?, a - ? FROM t LIMIT ?

SELECT TRUE, FALSE, NULL, CURRENT_DATE FROM t2 AS x1
SELECT TRUE, FALSE, NULL, CURRENT_DATE FROM t2 AS x1

SELECT * FROM t WHERE id IN (1, 2, 3) AND x IN (%s, %s) AND y IN ($1,$2)
SELECT * FROM t WHERE id IN (?) AND x IN (%s) AND y IN ($1)

INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y'), (3, 'z')
INSERT INTO t (a, b) VALUES (?)

INSERT INTO t VALUES (1, NOW()), (2, NOW()); DELETE FROM u
INSERT INTO t VALUES (?, NOW()); DELETE FROM u

SELECT ?, ?1, %s, %(name)s, :name, :1, $1, @p1, @@version, x::text
SELECT ?, ?1, %s, %(name)s, :name, :1, $1, @p1, @@version, x::text

select $4111111111111111, ?4111111111111111, $12.50
select $?, ??, $?

SELECT a -- why 'not'
SELECT a

SELECT /*+ INDEX(t 'x') */ a /* more */ FROM t
SELECT a FROM t

SELECT 1 /* a /* nested */ comment */ + x
SELECT ? + x

SELECT 1 /* a /* it's not nested */ 'in' MySQL */ + x
SELECT ?

SELECT /*!50000 'executed */ secret' */ a
SELECT

SELECT a # a comment of MySQL
SELECT a

SELECT a -> '$.b' # ' either a comment or an operator
SELECT a -> ?

SELECT 5--3
SELECT ?

SELECT 5--'secret'
SELECT ?

SELECT E'it\'s', N'x', X'ff', B'01', U&'\0061', _utf8'x' FROM t
SELECT ?, ?, ?, ?, ?, _utf8? FROM t

SELECT 'C:\\' FROM t
SELECT ? FROM t

INSERT INTO t VALUES ('it\'s', 'secret')
INSERT INTO t VALUES (?

SELECT q'[it's]', nq'{it's}', Q'!it's!' FROM dual
SELECT ?, ?, ? FROM dual

SELECT $$it's$$, $tag$ it's $$ $tag$ FROM t
SELECT ?, ? FROM t

SELECT '''quoted''', 'a' 'b' FROM t
SELECT ?, ? ? FROM t

SELECT "u"."id" FROM "user" AS "u" JOIN "team" ON "team"."id" = "u"."team" WHERE "u"."name" = "secret"
SELECT "u"."id" FROM "user" AS "u" JOIN "team" ON "team"."id" = "u"."team" WHERE "u"."name" = ?

INSERT INTO "t" ("a", "b") VALUES ("secret", "secret")
INSERT INTO "t" ("a", "b") VALUES (?)

SELECT EXTRACT(YEAR FROM "secret"), TRIM(LEADING FROM "secret") FROM `my table`
SELECT EXTRACT(YEAR FROM ?), TRIM(LEADING FROM ?) FROM `my table`

SELECT `it's secret` FROM t
SELECT ?

SELECT [Order Details].[Unit Price] FROM [Order Details] WHERE [a] = 'x'
SELECT [Order Details].[Unit Price] FROM [Order Details] WHERE [a] = ?

ALTER USER bob IDENTIFIED BY hunter2 REPLACE "hunter1"
ALTER USER bob IDENTIFIED BY ? REPLACE ?

CREATE USER bob WITH PASSWORD 'hunter2'
CREATE USER bob WITH PASSWORD ?

INSERT INTO k.t (a) VALUES ({'a': 1, 'b': -2}) USING TTL 86400
INSERT INTO k.t (a) VALUES ({?}) USING TTL ?

UPDATE t SET l = ['a', 'b'], s = {'a', 'b'}, m = {street: 'x', zip:1} WHERE id = 550e8400-e29b-41d4-a716-446655440000
UPDATE t SET l = [?], s = {?}, m = {street: ?, zip:?} WHERE id = ?

SELECT 0xCAFE, 1h30m, P3Y6M4DT12H30M5S, P0003-06-04T12:30:05, e29b8400-e29b-41d4-a716-446655440000 FROM t // CQL
SELECT ?, ?, ?, ?, ? FROM t

SELECT 'secret
SELECT ?

SELECT "secret
SELECT ?

SELECT $a$ secret $b$
SELECT ?

SELECT a /* secret
SELECT a

SELECT   a,€ b
SELECT a, b

EXEC proc @p1 = 'secret', @p2 = -1
EXEC proc @p1 = ?, @p2 = ?
"""
PAIRS = [pair.split("\n") for pair in STATEMENTS.strip().split("\n\n")]


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_a_statement(before: str, after: str) -> None:
    assert without_literals(before) == after
    assert without_literals(after) == after


def test_lines_and_spaces() -> None:
    assert without_literals("SELECT a, -- one\r\n\tb  -- two\nFROM t") == "SELECT a, b FROM t"
    assert without_literals("SELECT a -- one\r'two\nsecret'") == "SELECT a", "a line may end there in PostgreSQL"
    assert without_literals("") == without_literals(" \n\0") == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('SELECT "id", max("n") FROM "t" WHERE "id" = 5', 'SELECT "id", max("n") FROM "t" WHERE "id" = ?'),
        ('UPDATE "t" SET "a" = 1, "b" = "secret"', 'UPDATE "t" SET "a" = ?, "b" = ?'),
        ('SELECT * FROM "t" WHERE "a" IN ("x", "y") ORDER BY "a"', 'SELECT * FROM "t" WHERE "a" IN (?) ORDER BY "a"'),
        ('SET x TO "secret"', "SET x TO ?"),
        ('ALTER USER "bob" IDENTIFIED BY "secret"', 'ALTER USER "bob" IDENTIFIED BY ?'),
    ],
)
def test_where_double_quotes_mean_names(before: str, after: str) -> None:
    assert without_literals(before, names=True) == after
    assert without_literals(after, names=True) == after


SECRET = "s3cr3t"
_filling = st.text(st.sampled_from(" \n\t,;:.+-*/=<>()[]{}#$@%?'\"`\\ab1é"), max_size=6)
_inside = st.text(st.sampled_from(" ,;:.-*=()#@%?ab1é"), max_size=6)
# Every way to write SECRET as a literal, in any dialect; what is around it cannot end it.
_literals = st.builds(
    lambda form, before, after: form.replace("X", before + SECRET + after),
    st.sampled_from(["'X'", "E'X\\'X'", "'X''X'", "N'X'", "$$X$$", "$t$X$t$", "q'[X]'", "q'!X!'", "-- X\n", "/* X */"]),
    _inside,
    _inside,
)
_plain = st.sampled_from(
    ["select ", " from ", "insert into t (a) values (", ") ", ", ", " = ", "a.b", '"a"."b"', "`a`", "[a]", " in (", "-"]
)


@given(st.lists(st.one_of(_literals, _plain), max_size=12).map(" ".join))
def test_no_literal_survives(statement: str) -> None:
    redacted = without_literals(statement)
    assert SECRET not in redacted, redacted
    assert without_literals(redacted) == redacted


@given(st.sampled_from(["'X'", '"X"', "'a\\'X'", '"a\\"X"', "'''X'''", "/* /* */ 'X' */"]), st.booleans())
def test_no_literal_survives_a_doubt(form: str, names: bool) -> None:
    literal = form.replace("X", f" {SECRET} ")
    assert SECRET not in without_literals(f"select * from t where a = {literal} and b = {literal}", names)


@given(st.lists(st.one_of(_literals, _plain, _filling), max_size=12).map("".join), st.booleans())
@settings(max_examples=500)
def test_it_is_idempotent(statement: str, names: bool) -> None:
    redacted = without_literals(statement, names)
    assert without_literals(redacted, names) == redacted


@given(st.text(), st.booleans())
def test_it_is_idempotent_on_any_text(statement: str, names: bool) -> None:
    redacted = without_literals(statement, names)
    assert without_literals(redacted, names) == redacted


@pytest.mark.parametrize("piece", ["'", '"', "(", "'a''", "$a$", "q'a", "/*", "--x\n", "\\", "E'\\'", "1e", "(a),"])
def test_a_long_one(piece: str) -> None:
    """It ends; that it takes linear time is argued in the module, and was measured on 1 MB of each."""
    redacted = without_literals(piece * (25_000 // len(piece)))
    assert len(redacted) <= 25_000
