"""One set of expectations for every kind of warehouse: the same table gives the same rows and bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from ml.config import parse_params
from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.errors import DataRejected, SeamUnavailable, UsageError
from ml.seams.contents import contents_of
from ml.seams.warehouse import Warehouse, connect
from ml.stages.snapshot import write_snapshot

pytestmark = pytest.mark.integration

AS_OF = date(2024, 3, 1)
LINES = TABLES["order_lines"]
KINDS = ["postgresql", "duckdb", "sqlite"]


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty warehouse of each kind."""
    if request.param == "postgresql":
        address: str = request.getfixturevalue("fresh_postgres")
        return address
    return f"{request.param}:///{tmp_path}/warehouse.db"


@pytest.fixture()
def warehouse(url: str) -> Iterator[Warehouse]:
    with connect(url) as opened:
        yield opened


def lines(**changed: list[Any]) -> pa.Table:
    """Five order lines over two months; one on the very midnight of `as_of`, one without a customer."""
    columns: dict[str, list[Any]] = {
        "order_id": ["b", "a", "a", "c", "d"],
        "line_no": [1, 2, 1, 1, 1],
        "ordered_at": [
            datetime(2024, 2, 2, 10),
            datetime(2024, 1, 31, 23, 59, 59, 999_999),
            datetime(2024, 1, 31, 23, 59, 59, 999_999),
            datetime(2024, 3, 1),
            datetime(2024, 2, 29, 23, 59, 59),
        ],
        "customer_id": ["é", None, "x", "y", "z"],
        "product_id": ["p", "q", "p", "p", "p"],
        "quantity": [1.0, -2.0, 0.5, 4.0, 1e9],
        "unit_price": [2.5, 0.0, 1 / 3, 1.0, -1.0],
    }
    return pa.table(columns | changed, schema=arrow_schema(LINES))


def read(warehouse: Warehouse, before: date = AS_OF) -> pa.Table:
    return (
        warehouse.read(LINES, before)
        .read_all()
        .sort_by([("ordered_at", "ascending"), ("line_no", "ascending")])
    )


def snapshot_bytes(
    warehouse: Warehouse, folder: Path, table: str = "order_lines", **snapshot: Any
) -> Mapping[str, bytes]:
    params = parse_params(
        {
            "as_of": AS_OF,
            "tables": {table: {"checked_against": table}},
            "families": {},
            "snapshot": {"months_from": 0, **snapshot},
        },
        "test",
    )
    folder.mkdir()
    write_snapshot(warehouse, TABLES[table], params, folder)
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_what_is_written_is_read_up_to_the_day(warehouse: Warehouse) -> None:
    warehouse.write("order_lines", lines())
    assert "order_lines" in warehouse.tables()
    assert list(warehouse.columns("order_lines")) == arrow_schema(LINES).names
    assert read(warehouse)["order_id"].to_pylist() == ["a", "a", "b", "d"]
    assert read(warehouse, date(2024, 3, 2)).equals(
        lines().cast(read(warehouse).schema).sort_by([("ordered_at", "ascending"), ("line_no", "ascending")])
    )


def test_plans_reach_ahead_and_rows_without_time_stay(warehouse: Warehouse) -> None:
    days = [AS_OF + timedelta(days=n) for n in (-1, 119, 120)]
    promotions = pa.table(
        {
            "promotion_id": ["1", "2", "3"],
            "product_id": ["p"] * 3,
            "start_day": days,
            "end_day": days,
            "kind": ["email"] * 3,
            "discount_pct": [None, 0.1, 0.2],
        },
        schema=arrow_schema(TABLES["promotions"]),
    )
    warehouse.write("promotions", promotions)
    assert sorted(warehouse.read(TABLES["promotions"], AS_OF).read_all()["promotion_id"].to_pylist()) == [
        "1",
        "2",
    ]
    warehouse.write("products", _products([None, datetime(2024, 2, 29), datetime(2024, 3, 1)]))
    known = warehouse.read(TABLES["products"], AS_OF).read_all()
    assert sorted(known["product_id"].to_pylist()) == ["p0", "p1"]


def _products(launched: list[datetime | None]) -> pa.Table:
    rows = [
        {"product_id": f"p{n}", "launched_at": when, "title": "T", "category": "c", "price": 1.0}
        for n, when in enumerate(launched)
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(TABLES["products"]))


def test_every_kind_gives_the_same_bytes_in_any_order(fresh_postgres: str, tmp_path: Path) -> None:
    found = []
    addresses = {kind: f"{kind}:///{tmp_path}/{kind}.db" for kind in ("duckdb", "sqlite")}
    for order, (kind, address) in enumerate((addresses | {"postgresql": fresh_postgres}).items()):
        with connect(address) as warehouse:
            warehouse.write(
                "order_lines", lines().take([[0, 1, 2, 3, 4], [4, 2, 0, 3, 1], [3, 4, 1, 0, 2]][order])
            )
            found.append(snapshot_bytes(warehouse, tmp_path / kind))
    assert found[0] == found[1] == found[2]
    assert sorted(found[0]) == ["manifest.json", "part-2024-01-000.parquet", "part-2024-02-000.parquet"]


def test_published_tables_are_replaced_together(warehouse: Warehouse, url: str) -> None:
    first = {
        "a": pa.table({"n": [1, 2], "l": [[1.0], None]}),
        "b": pa.table({"d": pa.array([date(2024, 1, 1)])}),
    }
    warehouse.swap(first)
    warehouse.swap({"a": pa.table({"n": [3], "l": [[2.0, 0.5]]}), "b": first["b"].slice(0, 0)})
    assert _ask(url, "SELECT n, l FROM bellwether_a") == [(3, "[2.0, 0.5]")]
    assert _ask(url, "SELECT count(*) FROM bellwether_b") == [(0,)]
    warehouse.swap({"a": pa.table({"other": ["x"]})})
    assert _ask(url, "SELECT other FROM bellwether_a") == [("x",)]


def _published() -> pa.Table:
    """Every kind of value that a family publishes, with what databases like to change."""
    third, tiny = 1 / 3, 5e-324
    columns: dict[str, tuple[pa.DataType, list[Any]]] = {
        "name": (pa.string(), ["a", "é\x1f\\", "", None, "a"]),
        "share": (pa.float64(), [third, -0.0, float("nan"), None, tiny]),
        "reach": (pa.float32(), [0.1, float("inf"), None, 1.0, 2.0]),
        "rank": (pa.int32(), [1, -2, None, 4, 5]),
        "sure": (pa.bool_(), [True, False, None, True, False]),
        "day": (pa.date32(), [date(2024, 2, 29), None, date(1969, 12, 31), AS_OF, AS_OF]),
        "said_at": (
            pa.timestamp("us"),
            [datetime(2024, 2, 29, 1, 2, 3, 4), None, datetime(1969, 1, 1), *[_NOON] * 2],
        ),
        "history": (pa.list_(pa.float64()), [[third, 2.0], [], None, [1e22], [0.1]]),
    }
    return pa.table({name: pa.array(values, kind) for name, (kind, values) in columns.items()})


_NOON = datetime(2024, 3, 1, 12)


def test_what_was_published_has_the_same_digest_when_it_is_read_back(warehouse: Warehouse) -> None:
    table = _published()
    made = contents_of(table)
    warehouse.swap({"things": table.take([4, 2, 0, 1, 3])})
    assert warehouse.digest("things", made.columns) == made.digest
    assert warehouse.digest("things", {**made.columns, "more": "text"}) is None
    warehouse.swap({"things": table.slice(0, 0)})
    assert warehouse.digest("things", made.columns) == contents_of(table.slice(0, 0)).digest


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE bellwether_things SET share = 0.3333333333333334 WHERE rank = 1",
        "UPDATE bellwether_things SET name = '' WHERE rank = 4",
        "UPDATE bellwether_things SET rank = 6 - rank",
        "UPDATE bellwether_things SET said_at = NULL",
        "UPDATE bellwether_things SET sure = NOT sure",
    ],
)
def test_whatever_is_changed_in_a_published_table_changes_its_digest(
    warehouse: Warehouse, url: str, change: str
) -> None:
    made = contents_of(_published())
    warehouse.swap({"things": _published()})
    _do_closed(warehouse, url, change)
    assert warehouse.digest("things", made.columns) not in (None, made.digest)


def test_a_failed_swap_leaves_everything_as_it_was(warehouse: Warehouse, url: str) -> None:
    warehouse.swap({"a": pa.table({"n": [1]}), "b": pa.table({"n": [1]})})
    broken = pa.table({"n": pa.nulls(1, pa.struct([]))})
    with pytest.raises(Exception):  # noqa: B017
        warehouse.swap({"a": pa.table({"n": [2]}), "b": broken})
    assert _ask(url, "SELECT n FROM bellwether_a") == [(1,)]


def _ask(url: str, query: str) -> list[tuple[Any, ...]]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def _do(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a_missing_table_names_the_nearest_one(warehouse: Warehouse, url: str) -> None:
    _do(url, "CREATE TABLE order_line (x int)")
    with pytest.raises(
        DataRejected, match=r"table order_lines is missing in the warehouse .*\n.*found: order_line "
    ):
        warehouse.read(LINES, AS_OF)


def test_missing_and_extra_columns(warehouse: Warehouse, url: str) -> None:
    warehouse.write("order_lines", lines())
    _do(url, "CREATE VIEW promotions AS SELECT order_id FROM order_lines")
    with pytest.raises(
        DataRejected, match="table promotions: required columns promotion_id, product_id, start_day"
    ):
        warehouse.read(TABLES["promotions"], AS_OF)
    warehouse.close()
    _do(
        url,
        "ALTER TABLE order_lines ADD COLUMN colour text",
        "ALTER TABLE order_lines DROP COLUMN customer_id",
    )
    survey = warehouse.survey(LINES)
    assert (survey.missing_optional, survey.extra) == (("customer_id",), ("colour",))
    assert read(warehouse)["customer_id"].null_count == 4


def test_a_wrong_type_names_column_and_both_types(warehouse: Warehouse, url: str) -> None:
    others = "order_id, line_no, ordered_at, customer_id, product_id, unit_price"
    warehouse.write("order_lines", lines())
    _do(
        url,
        "ALTER TABLE order_lines RENAME TO original",
        f"CREATE VIEW order_lines AS SELECT {others}, CAST(quantity AS text) AS quantity FROM original",
    )
    with pytest.raises(
        DataRejected, match=r"(?s)table order_lines: wrong type in column quantity.*expected: .*DOUBLE"
    ):
        read(warehouse)


def test_days_are_counted_only_of_times_that_are_there(warehouse: Warehouse, url: str) -> None:
    warehouse.write("order_lines", lines())
    assert sum(warehouse.rows_by_day(LINES, AS_OF).values()) == 4
    warehouse.close()
    _do(url, "ALTER TABLE order_lines RENAME COLUMN ordered_at TO order_date")
    with pytest.raises(DataRejected, match="table order_lines: required column ordered_at"):
        warehouse.rows_by_day(LINES, AS_OF)
    warehouse.close()
    others = "order_id, line_no, customer_id, product_id, quantity, unit_price"
    _do(
        url,
        "ALTER TABLE order_lines RENAME TO original",
        f"CREATE VIEW order_lines AS SELECT {others}, CAST('03.11.2023 09:34' AS text) AS ordered_at FROM original",
    )
    with pytest.raises(
        DataRejected, match=r"(?s)table order_lines: wrong type in column ordered_at.*TIMESTAMP"
    ):
        warehouse.rows_by_day(LINES, AS_OF)


def test_an_empty_table_is_rejected(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.write("order_lines", lines().slice(0, 0))
    with pytest.raises(DataRejected, match=r"table order_lines in .* has no rows known before 2024-03-01"):
        snapshot_bytes(warehouse, tmp_path / "snapshot")


def test_loading_never_replaces_a_view(warehouse: Warehouse, url: str) -> None:
    warehouse.write("order_lines", lines())
    _do(
        url, "ALTER TABLE order_lines RENAME TO original", "CREATE VIEW order_lines AS SELECT * FROM original"
    )
    with pytest.raises(UsageError, match="cannot replace order_lines"):
        warehouse.write("order_lines", lines())
    assert _ask(url, "SELECT count(*) FROM order_lines") == [(5,)]


def test_rows_that_stop_half_way_leave_the_old_table(warehouse: Warehouse, url: str) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield lines().to_batches()[0]
        raise DataRejected("half way")

    warehouse.write("order_lines", lines().slice(0, 2))
    with pytest.raises(DataRejected, match="half way"):
        warehouse.write("order_lines", pa.RecordBatchReader.from_batches(lines().schema, broken()))
    assert _ask(url, "SELECT count(*) FROM order_lines") == [(2,)]


def test_zone_aware_times_become_utc_and_exact_numbers_doubles(fresh_postgres: str) -> None:
    with connect(fresh_postgres) as warehouse:
        warehouse.write("order_lines", lines())
        _do(
            fresh_postgres,
            "SET TIME ZONE 'America/New_York'",
            "ALTER TABLE order_lines ALTER ordered_at TYPE timestamptz USING ordered_at AT TIME ZONE 'UTC'",
            "ALTER TABLE order_lines ALTER quantity TYPE numeric(20, 3)",
            "ALTER TABLE order_lines ALTER line_no TYPE smallint",
        )
        got = read(warehouse)
        assert got["ordered_at"].to_pylist()[-1] == datetime(2024, 2, 29, 23, 59, 59)
        assert got["quantity"].to_pylist() == [0.5, -2.0, 1.0, 1e9]


def test_text_that_is_not_utf8_is_counted_and_shown_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/w.db"
    with connect(url) as warehouse:
        warehouse.write("order_lines", lines())
        _do(url, "UPDATE order_lines SET customer_id = CAST(x'63616EE9' AS TEXT) WHERE line_no = 1")
        with pytest.raises(
            DataRejected, match=r"(?s)not UTF-8 in column customer_id.*customer_id: 4 rows, .*can\\xe9"
        ):
            read(warehouse)


def test_text_that_is_not_utf8_is_counted_and_shown_postgresql(ascii_postgres: str) -> None:
    with connect(ascii_postgres) as warehouse:
        warehouse.write("order_lines", lines())
        garble = "UPDATE order_lines SET customer_id = E'can\\xe9' WHERE line_no = 1"
        _do(f"{ascii_postgres}&client_encoding=utf8", garble)
        with pytest.raises(
            DataRejected, match=r"(?s)not UTF-8 in column customer_id.*customer_id: 4 rows, .*can\\xe9"
        ):
            read(warehouse)


def test_stale_tables_are_removed_together_but_never_views(warehouse: Warehouse, url: str) -> None:
    warehouse.write("order_lines", lines())
    warehouse.write("products", _products([None]))
    _do_closed(warehouse, url, "CREATE VIEW events AS SELECT * FROM order_lines")
    with pytest.raises(UsageError, match="cannot replace"):
        warehouse.remove(["products", "events"])
    assert {"products", "events"} <= warehouse.tables()
    warehouse.remove(["products"])
    assert warehouse.tables() == {"order_lines", "events"}


def _do_closed(warehouse: Warehouse, url: str, *statements: str) -> None:
    warehouse.close()
    _do(url, *statements)


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    with (
        connect("postgresql://me:secret@127.0.0.1:1/shop") as warehouse,
        pytest.raises(
            SeamUnavailable, match=r"PostgreSQL at postgresql://me:\*\*\*@127.0.0.1:1/shop"
        ) as caught,
    ):
        warehouse.tables()
    assert "secret" not in str(caught.value)


def test_addresses_that_cannot_be_used() -> None:
    with pytest.raises(UsageError, match="address cannot be used"):
        connect("nonsense")
    with pytest.raises(UsageError, match="address cannot be used"):
        connect("nosuchdb://x/y")
