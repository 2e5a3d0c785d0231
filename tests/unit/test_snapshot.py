"""The snapshot stage: months, shards, bytes that depend on rows alone, and nothing half written."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.errors import DataRejected, UsageError
from ml.seams.warehouse import connect
from ml.stages import snapshot as stage

SCHEMA = arrow_schema(TABLES["order_lines"])
ROWS = [
    {
        "order_id": f"o{n % 7}",
        "line_no": n,
        "ordered_at": datetime(2024, 1, 1) + timedelta(hours=5 * n),
        "customer_id": None if n % 3 else f"c{n}",
        "product_id": f"p{n % 5}",
        "quantity": 1.0 + n % 4,
        "unit_price": n / 7,
    }
    for n in range(400)
]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace with its own warehouse file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BELLWETHER_WAREHOUSE_URL", f"duckdb:///{tmp_path}/warehouse.duckdb")
    return tmp_path


def fill(rows: list[dict[str, Any]], table: str = "order_lines") -> None:
    with connect(f"duckdb:///{Path.cwd()}/warehouse.duckdb") as warehouse:
        warehouse.write(table, pa.Table.from_pylist(rows, schema=arrow_schema(TABLES[table])))


def take(
    as_of: date = date(2024, 12, 31), table: str = "order_lines", **snapshot: Any
) -> Mapping[str, bytes]:
    """Run the stage; the files of the snapshot with their bytes."""
    tables = {str(name): {"checked_against": str(name)} for name in TABLES}
    params = {"as_of": as_of, "tables": tables, "families": {}, "snapshot": {"months_from": 0, **snapshot}}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    stage.snapshot(table)
    return {file.name: file.read_bytes() for file in sorted(Path("data/snapshot", table).iterdir())}


def manifest(files: Mapping[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files["manifest.json"])
    return found


def rows_of(table: str = "order_lines") -> list[dict[str, Any]]:
    shards = sorted(Path("data/snapshot", table).glob("*.parquet"))
    return [row for shard in shards for row in pq.read_table(shard).to_pylist()]


def test_a_small_table_is_one_shard() -> None:
    fill(ROWS)
    assert list(take(months_from=401)) == ["manifest.json", "part-all-000.parquet"]
    assert len(rows_of()) == 400


def test_one_shard_a_month_with_exactly_its_rows() -> None:
    fill(ROWS)
    files = take()
    assert list(files) == ["manifest.json", *(f"part-2024-0{month}-000.parquet" for month in (1, 2, 3))]
    assert rows_of() == sorted(ROWS, key=lambda row: (row["ordered_at"], row["order_id"], row["line_no"]))
    assert {
        row["ordered_at"].month
        for row in pq.read_table("data/snapshot/order_lines/part-2024-02-000.parquet").to_pylist()
    } == {2}


def test_the_manifest_tells_what_is_there() -> None:
    fill(ROWS)
    files = take(date(2024, 2, 1))
    told = manifest(files)
    assert (told["table"], told["as_of"], told["rows"]) == ("order_lines", "2024-02-01", 149)
    assert told["event_time"] == {
        "column": "ordered_at",
        "min": "2024-01-01T00:00:00",
        "max": "2024-01-31T20:00:00",
    }
    assert told["shards"] == [
        {"file": "part-2024-01-000.parquet", "rows": 149, "bytes": len(files["part-2024-01-000.parquet"])}
    ]
    assert told["bytes"] == told["shards"][0]["bytes"]
    assert len(told["schema_digest"]) == 64


def test_long_months_are_cut_into_shards_of_equal_length() -> None:
    fill(ROWS)
    files = take(date(2024, 2, 1), rows_per_shard=60)
    assert [shard["rows"] for shard in manifest(files)["shards"]] == [60, 60, 29]
    assert list(files)[-1] == "part-2024-01-002.parquet"
    assert len(rows_of()) == 149


@hypothesis_settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 1000),
    row_group=st.sampled_from([7, 50, 1000]),
    per_shard=st.sampled_from([45, 10_000]),
)
def test_bytes_depend_on_rows_alone(seed: int, row_group: int, per_shard: int) -> None:
    """Whatever the order of rows in the warehouse, and the batches in which they come out."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stage, "ROW_GROUP", row_group)
        fill(ROWS)
        first = take(rows_per_shard=per_shard)
        patched.setattr("ml.seams.dialects.by_duckdb.BATCH_ROWS", 11 + seed)
        fill(random.Random(seed).sample(ROWS, len(ROWS)))
        assert take(rows_per_shard=per_shard) == first


def test_new_rows_leave_old_months_as_they_were() -> None:
    fill(ROWS[:300])
    before = take()
    fill(ROWS)
    after = take()
    assert before["part-2024-01-000.parquet"] == after["part-2024-01-000.parquet"]
    assert before["part-2024-03-000.parquet"] != after["part-2024-03-000.parquet"]


def test_nulls_duplicates_and_rows_without_time_are_kept_for_validation() -> None:
    with duckdb.connect("warehouse.duckdb") as warehouse:
        warehouse.register("fitting", pa.Table.from_pylist(ROWS[:3], schema=SCHEMA))
        warehouse.execute("CREATE TABLE order_lines AS FROM fitting")
        warehouse.execute("INSERT INTO order_lines FROM order_lines LIMIT 1")
        warehouse.execute("INSERT INTO order_lines (order_id, quantity) VALUES (NULL, 'NaN'), ('x', NULL)")
    files = take()
    assert manifest(files)["rows"] == 6
    assert [
        row["order_id"]
        for row in pq.read_table("data/snapshot/order_lines/part-none-000.parquet").to_pylist()
    ] == [None, "x"]


def test_a_table_without_event_time_is_one_part() -> None:
    fill([{"creator_id": f"c{n}", "followers": n} for n in range(3)], "creators")
    files = take(table="creators")
    assert list(files) == ["manifest.json", "part-none-000.parquet"]
    assert manifest(files)["event_time"] == {"column": None, "min": None, "max": None}


def test_columns_that_differ_are_told_in_the_manifest() -> None:
    fill(ROWS)
    with duckdb.connect("warehouse.duckdb") as warehouse:
        warehouse.execute("ALTER TABLE order_lines DROP customer_id")
        warehouse.execute("ALTER TABLE order_lines ADD COLUMN colour TEXT")
    told = manifest(take())
    assert (told["missing_optional_columns"], told["extra_columns"]) == (["customer_id"], ["colour"])


def test_a_view_over_parquet_is_a_table(tmp_path: Path) -> None:
    fill(ROWS)
    expected = take()
    with duckdb.connect("warehouse.duckdb") as warehouse:
        warehouse.execute(f"COPY order_lines TO '{tmp_path}/lines.parquet'")
        warehouse.execute("DROP TABLE order_lines")
        warehouse.execute(f"CREATE VIEW order_lines AS FROM '{tmp_path}/lines.parquet'")
    assert take() == expected


def test_an_empty_table_is_rejected_and_leaves_the_last_snapshot() -> None:
    fill(ROWS)
    before = take()
    fill([])
    with pytest.raises(DataRejected, match=r"order_lines in .* has no rows known before 2024-12-31"):
        take()
    assert {
        file.name: file.read_bytes() for file in sorted(Path("data/snapshot/order_lines").iterdir())
    } == before
    assert [folder.name for folder in Path("data/snapshot").iterdir()] == ["order_lines"]


def test_a_plan_may_be_empty() -> None:
    fill([], "promotions")
    files = take(table="promotions")
    assert (manifest(files)["rows"], list(files)) == (0, ["manifest.json", "part-none-000.parquet"])
    assert rows_of("promotions") == []


def test_a_first_day_before_all_rows_is_told() -> None:
    fill(ROWS)
    with pytest.raises(DataRejected, match="as_of is not before its first row"):
        take(date(2023, 1, 1))


def test_a_missing_table_is_told() -> None:
    fill(ROWS)
    with pytest.raises(
        DataRejected, match=r"(?s)table posts is missing .*found: order_lines.*create a view named posts"
    ):
        take(table="posts")


def test_a_missing_warehouse_is_told() -> None:
    with pytest.raises(UsageError, match=r"(?s)no warehouse at duckdb:.*bellwether load"):
        take()


def test_text_of_a_view_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    text = pa.array([b"fine", b"caf\xe9"], pa.binary()).view(pa.string())
    table = pa.Table.from_pylist(ROWS[:2], schema=SCHEMA).set_column(4, "product_id", text)
    pq.write_table(table, "lines.parquet")
    with duckdb.connect("warehouse.duckdb") as warehouse:
        warehouse.execute(f"CREATE VIEW order_lines AS FROM '{tmp_path}/lines.parquet'")
    with pytest.raises(DataRejected, match=r"(?s)table order_lines: text that is not UTF-8.*caf\\xE9"):
        take()
    assert not list(Path("data/snapshot").iterdir())


def test_an_unknown_table_is_told() -> None:
    with pytest.raises(UsageError, match="unknown table"):
        take(table="orders")
