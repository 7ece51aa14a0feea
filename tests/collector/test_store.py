"""The store: its caps, a full disk, and files that it cannot use."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ddmiddleware.collector.chunk import Chunk, pack
from ddmiddleware.collector.database import StoreError
from ddmiddleware.collector.decoding import decode_v04
from ddmiddleware.collector.limits import Limits
from ddmiddleware.collector.profile import Part, Profile
from ddmiddleware.collector.store import QueueFullError, Store
from tests.collector.payloads import SECOND, new_trace_id, span, v04

MIB = 2**20
ROOMY = Limits(3600 * SECOND, 1024 * MIB)
DEADLINE_S = 20


def chunk(size: int = 0, **fields) -> Chunk:
    """Return a chunk of one span whose stored body has about so many bytes."""
    filler = random.Random(size).randbytes(size).hex()
    (trace,) = decode_v04(v04([[span(new_trace_id(), **{"meta": {"filler": filler}, **fields})]]))
    return pack(trace)


def count(store: Store) -> int:
    with store.reader() as connection:
        return int(connection.execute("SELECT count(*) FROM chunks").fetchone()[0])


def wait(wanted: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE_S
    while not wanted():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)


def test_everything_is_written_at_the_end(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db", ROOMY)
    store.put([chunk() for _ in range(3_000)])
    assert store.close(DEADLINE_S)
    again = Store(tmp_path / "a.db", ROOMY)
    assert count(again) == 3_000
    assert again.close(DEADLINE_S)
    assert (tmp_path / "a.db").stat().st_mode & 0o077 == 0


def test_old_chunks_go(tmp_path: Path) -> None:
    now = 100 * SECOND
    store = Store(tmp_path / "a.db", Limits(10 * SECOND, 1024 * MIB), clock=lambda: now)
    store.put([chunk(service="gone") for _ in range(5_000)])
    wait(lambda: count(store) == 5_000)
    now = 109 * SECOND
    store.put([chunk(17 * MIB, service="kept")])  # large enough for the writer to trim at once
    wait(lambda: count(store) == 5_001)
    now = 111 * SECOND
    store.put([chunk(17 * MIB, service="new")])
    wait(lambda: count(store) == 2)
    with store.reader() as connection:
        assert connection.execute("SELECT count(*) FROM requests").fetchone() == (2,)
    wait(lambda: endpoints(store) == ["kept", "new"])
    assert store.close(DEADLINE_S)


def endpoints(store: Store) -> list[str]:
    with store.reader() as connection:
        return [row[0] for row in connection.execute("SELECT service FROM endpoints ORDER BY 1")]


def test_the_file_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = Store(path, Limits(3600 * SECOND, 8 * MIB))
    last = 0
    for _ in range(30):
        chunks = [chunk(MIB // 8) for _ in range(8)]
        last = chunks[-1].trace_low
        wait(lambda chunks=chunks: accepted(store, chunks))
    assert store.close(DEADLINE_S)
    # Reopening trims what came after the last look at the size.
    store = Store(path, Limits(3600 * SECOND, 8 * MIB))
    wait(lambda: path.stat().st_size <= 8 * MIB)
    with store.reader() as connection:
        kept = connection.execute("SELECT trace_low FROM chunks ORDER BY id").fetchall()
    assert 40 <= len(kept) <= 70
    assert kept[-1][0] == last - 2**64
    assert store.close(DEADLINE_S)


def accepted(store: Store, chunks: list[Chunk]) -> bool:
    try:
        store.put(chunks)
    except QueueFullError:
        return False
    return True


def test_a_smaller_cap_shrinks_an_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = Store(path, ROOMY)
    store.put([chunk(MIB) for _ in range(12)])
    assert store.close(DEADLINE_S)
    assert path.stat().st_size > 12 * MIB
    store = Store(path, Limits(3600 * SECOND, 3 * MIB))
    wait(lambda: path.stat().st_size <= 3 * MIB)
    assert count(store) == 2
    assert store.close(DEADLINE_S)


def test_a_full_queue_refuses(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db", ROOMY, queue_bytes=2 * MIB)
    holder = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")  # the writer now waits
    taken = 0
    while accepted(store, [chunk(MIB)]):
        taken += 1
    assert 2 <= taken <= 4
    holder.execute("ROLLBACK")
    holder.close()
    wait(lambda: count(store) == taken)
    assert store.close(DEADLINE_S)


def test_a_full_disk_is_reported_and_recovered_from(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(small_disk / "a.db", ROOMY, retry_s=0.02)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2 * MIB))
    taken = 0

    def refused() -> str:
        nonlocal taken
        try:
            store.put([chunk(MIB // 4)])
            taken += 1
            time.sleep(0)
        except (StoreError, QueueFullError) as error:
            return str(error)
        return ""

    wait(lambda: bool(refused()))
    assert refused() == (
        f"{small_disk}/a.db: database or disk is full; free space on that disk, or choose another file with --store"
    )
    count(store)  # can still be read
    ballast.unlink()
    if taken * MIB // 4 < 3 * MIB:
        wait(lambda: count(store) == taken)
        store.put([chunk()])
        wait(lambda: count(store) == taken + 1)
    assert store.close(DEADLINE_S)
    assert [record.message for record in caplog.records] == [
        f"cannot store what arrives: {small_disk}/a.db: database or disk is full;"
        " free space on that disk, or choose another file with --store",
        f"storing again in {small_disk}/a.db",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not a database at all" * 100, "file is not a database; the file is damaged: stop the collector and move"),
        (None, "belongs to another program; choose another file with --store"),
    ],
)
def test_foreign_files_are_refused(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "a.db"
    if content is None:
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE customers (name)")
        other.close()
        content = path.read_bytes()
    else:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=str(path)) as raised:
        Store(path, ROOMY)
    assert reason in str(raised.value)
    assert path.read_bytes() == content


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    assert Store(path, ROOMY).close(DEADLINE_S)
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StoreError, match="another version of the collector; remove it or choose"):
        Store(path, ROOMY)


def upload(number: int, service: str = "shop", size: int = 0) -> Profile:
    """Return a profile of one endpoint that takes about so many bytes."""
    filler = random.Random(number).randbytes(size)
    part = Part("GET /", 1, filler, {"cpu-time": 5}, {"cpu-time": b"x"}, None)
    return Profile(service, "", str(number), "", number, number + 1, {"cpu-time": "nanoseconds"}, {"GET /": 3}, [part])


def rows(store: Store) -> dict[str, int]:
    with store.reader() as connection:
        return {
            table: int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
            for table in ("profiles", "profile_parts", "profile_values", "profile_sums", "series")
        }


def test_old_profiles_go(tmp_path: Path) -> None:
    now = 100 * SECOND
    store = Store(tmp_path / "a.db", Limits(10 * SECOND, 1024 * MIB), clock=lambda: now)
    store.put([upload(number, "gone") for _ in range(2) for number in range(50)])
    # Each was sent twice, and is there once.
    wait(lambda: rows(store)["profiles"] == 50)
    assert rows(store) == {
        "profiles": 50, "profile_parts": 50, "profile_values": 50, "profile_sums": 100, "series": 1
    }  # fmt: skip
    now = 111 * SECOND
    store.put([upload(100, size=17 * MIB)])  # large enough for the writer to trim at once
    wait(lambda: rows(store)["profiles"] == 1)
    wait(
        lambda: rows(store) == {"profiles": 1, "profile_parts": 1, "profile_values": 1, "profile_sums": 2, "series": 1}
    )
    assert store.close(DEADLINE_S)


def test_the_oldest_go_first_whatever_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    now = 100
    store = Store(path, ROOMY, clock=lambda: now)
    for number in range(12):
        now += 1
        store.put([chunk(MIB // 4), upload(number, size=MIB // 2)])
        wait(lambda number=number: rows(store)["profiles"] == number + 1)
    assert store.close(DEADLINE_S)
    store = Store(path, Limits(3600 * SECOND, 6 * MIB), clock=lambda: now)
    wait(lambda: path.stat().st_size <= 6 * MIB)
    kept = rows(store)["profiles"]
    assert 4 <= kept <= 8
    assert abs(count(store) - kept) <= 1
    with store.reader() as connection:
        assert connection.execute("SELECT max(received_ns) FROM profiles").fetchone() == (now,)
    assert store.close(DEADLINE_S)


def test_a_store_of_before_there_were_profiles(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    assert Store(path, ROOMY).close(DEADLINE_S)
    with sqlite3.connect(path) as old:
        for table in ("profiles", "profile_parts", "profile_values", "profile_sums", "series", "kinds"):
            old.execute(f"DROP TABLE {table}")
        old.execute("PRAGMA user_version = 1")
    old.close()
    store = Store(path, ROOMY)
    store.put([upload(1), chunk()])
    assert store.close(DEADLINE_S)
    again = Store(path, ROOMY)
    assert (rows(again)["profiles"], count(again)) == (1, 1)
    assert again.close(DEADLINE_S)


def test_unusable_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="File exists; choose another file"):
        Store(tmp_path / "file" / "a.db", ROOMY)
    with pytest.raises(StoreError, match="choose another file"):
        Store(Path("/proc/ddmiddleware/a.db"), ROOMY)


def test_a_read_only_disk_is_named(small_disk: Path) -> None:
    assert Store(small_disk / "a.db", ROOMY).close(DEADLINE_S)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreError, match=r"a\.db: .*(Read-only|readonly|unable to open)") as raised:
        Store(small_disk / "a.db", ROOMY)
    assert "--store" in str(raised.value)


def test_damage_while_running_does_not_crash(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = Store(path, ROOMY, retry_s=0.02)
    store.put([chunk(MIB) for _ in range(4)])
    wait(lambda: count(store) == 4)
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    with path.open("r+b") as file:
        file.write(os.urandom(64 * 1024))

    def refused() -> bool:
        try:
            store.put([chunk()])
        except StoreError as error:
            return str(path) in str(error)
        return False

    wait(refused)
    with pytest.raises(StoreError, match="the file is damaged"):
        count(store)
    assert not store.close(DEADLINE_S)


def test_a_payload_sent_twice_counts_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db", ROOMY)
    twice = chunk()
    store.put([twice, twice])
    wait(lambda: count(store) == 2)
    with store.reader() as connection:
        assert connection.execute("SELECT count(*), sum(entry) FROM requests").fetchone() == (1, 1)
    assert store.close(DEADLINE_S)
