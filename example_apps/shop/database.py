"""The shop's SQLite file: its tables, its first rows, and connections to it."""

import os
import sqlite3
import tempfile
from pathlib import Path

PATH = Path(os.environ.get("SHOP_DATABASE") or Path(tempfile.gettempdir()) / "example-shop.sqlite3")

SKUS = ("apron", "bowl", "cup", "dish", "fork", "grater", "jug", "knife", "lamp", "mug", "pan", "spoon")
FIRST_ORDERS = 120

_SCHEMA = """
CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, sku TEXT NOT NULL UNIQUE, price_cents INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, total_cents INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS order_lines (order_id INTEGER NOT NULL, product_id INTEGER, quantity INTEGER);
"""


def connect() -> sqlite3.Connection:
    """Open a connection whose rows are read by column name; the caller closes it."""
    connection = sqlite3.connect(PATH, timeout=10)
    connection.row_factory = sqlite3.Row
    return connection


def prepare() -> None:
    """Make the tables and fill them, where that has not been done."""
    connection = connect()
    with connection:
        connection.executescript(_SCHEMA)
        connection.executemany(
            "INSERT OR IGNORE INTO products (id, sku, price_cents) VALUES (?, ?, ?)",
            [(number, sku, 350 * number) for number, sku in enumerate(SKUS, 1)],
        )
        connection.executemany(
            "INSERT OR IGNORE INTO orders (id, customer, total_cents) VALUES (?, ?, ?)",
            [(number, f"customer {number % 17}", 700 * (number % 9 + 1)) for number in range(1, FIRST_ORDERS + 1)],
        )
    connection.close()
