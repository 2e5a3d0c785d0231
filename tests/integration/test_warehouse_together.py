"""Several at once, and systems that go away: a reader never sees half, and each outage says which and where."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from ml.contracts import TABLES
from ml.errors import SeamUnavailable
from ml.seams.warehouse import connect

pytestmark = pytest.mark.integration


def publications(version: int, rows: int = 500) -> dict[str, pa.Table]:
    return {name: pa.table({"version": [version] * rows}) for name in ("first", "second")}


BOTH = "SELECT (SELECT sum(version) FROM bellwether_first), (SELECT sum(version) FROM bellwether_second)"
ROWS = "SELECT min(version), max(version), count(*) FROM bellwether_{}"


@contextmanager
def swapping(url: str, times: int) -> Iterator[threading.Thread]:
    def swap() -> None:
        with connect(url) as warehouse:
            for version in range(1, times + 1):
                warehouse.swap(publications(version))

    thread = threading.Thread(target=swap)
    thread.start()
    yield thread
    thread.join()


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_a_reader_never_sees_half(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = request.getfixturevalue("fresh_postgres") if kind == "postgresql" else f"sqlite:///{tmp_path}/w.db"
    with connect(url) as warehouse:
        warehouse.swap(publications(0))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    seen = set()
    with engine.connect() as reader, swapping(url, 15) as writer:
        while writer.is_alive():
            first, second = reader.exec_driver_sql(BOTH).one()
            reader.rollback()
            assert first == second
            assert first % 500 == 0
            seen.add(first)
    assert seen


def test_a_reader_keeps_its_snapshot_over_several_statements(fresh_postgres: str) -> None:
    engine = sa.create_engine(fresh_postgres, isolation_level="REPEATABLE READ", poolclass=sa.NullPool)
    with connect(fresh_postgres) as warehouse, engine.connect() as reader:
        warehouse.swap(publications(1))
        assert reader.exec_driver_sql(ROWS.format("first")).one() == (1, 1, 500)
        warehouse.swap(publications(2))
        assert reader.exec_driver_sql(ROWS.format("second")).one() == (1, 1, 500)


def test_two_that_publish_at_once_leave_one_of_both(fresh_postgres: str) -> None:
    with swapping(fresh_postgres, 5), swapping(fresh_postgres, 5):
        pass
    with sa.create_engine(fresh_postgres, poolclass=sa.NullPool).connect() as reader:
        assert reader.exec_driver_sql(ROWS.format("first")).one() == (5, 5, 500)
        assert reader.exec_driver_sql(ROWS.format("second")).one() == (5, 5, 500)


def test_a_locked_table_is_an_outage_that_names_the_server(
    fresh_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.seams.dialects.by_adbc.LOCK_WAIT_S", 0.2)
    with connect(fresh_postgres) as warehouse:
        warehouse.swap(publications(1))
        with sa.create_engine(fresh_postgres, poolclass=sa.NullPool).begin() as other:
            other.exec_driver_sql("LOCK TABLE bellwether_second IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(
                SeamUnavailable, match=r"(?s)PostgreSQL at .*/shop.* is away or locked.*lock timeout"
            ):
                warehouse.swap(publications(2))
        with sa.create_engine(fresh_postgres, poolclass=sa.NullPool).connect() as reader:
            assert reader.exec_driver_sql(ROWS.format("first")).one() == (1, 1, 500)


def test_a_server_that_dies_in_the_middle_is_an_outage(fresh_postgres: str) -> None:
    engine = sa.create_engine(fresh_postgres, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE VIEW creators AS SELECT 'c' || n AS creator_id, n AS followers "
            "FROM generate_series(1, 3000000) n"
        )
    with connect(fresh_postgres) as warehouse:
        reader = warehouse.read(TABLES["creators"], date(2024, 1, 1))
        assert reader.read_next_batch().num_rows
        with engine.connect() as admin:
            admin.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND datname = 'shop'"
            )
        with pytest.raises(SeamUnavailable, match=r"PostgreSQL at .* is away or locked"):
            reader.read_all()


def test_a_duckdb_file_that_another_process_writes_is_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.seams.dialects.by_duckdb.LOCK_WAIT_S", 0.5)
    opened = f"import duckdb, sys; c = duckdb.connect({str(tmp_path / 'w.db')!r})"
    hold = f"{opened}; print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with connect(f"duckdb:///{tmp_path}/w.db") as warehouse:
            with pytest.raises(SeamUnavailable, match=r"(?s)warehouse duckdb:.* cannot be opened.*lock"):
                warehouse.tables()
            with pytest.raises(SeamUnavailable, match=r"(?s)warehouse duckdb:.* cannot be opened.*lock"):
                warehouse.swap(publications(1))
        other.communicate("")


def test_a_locked_sqlite_file_is_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.seams.dialects.by_cursor.LOCK_WAIT_S", 0.2)
    url = f"sqlite:///{tmp_path}/w.db"
    with connect(url) as warehouse, sa.create_engine(url, poolclass=sa.NullPool).connect() as other:
        warehouse.swap(publications(1))
        other.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(
            SeamUnavailable, match=r"(?s)warehouse sqlite:.*is away or locked.*database is locked"
        ):
            warehouse.swap(publications(2))
        assert "bellwether_first" in warehouse.tables()
