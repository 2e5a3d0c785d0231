"""Tables given as files: what is mended, what is refused, and how that is told."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.contracts import TABLES
from ml.errors import DataRejected, UsageError
from ml.seams.conform import nullable_schema
from ml.seams.tables import read_folder

PROMOTIONS = {"promotion_id": ["1"], "product_id": ["p"], "end_day": [date(2024, 1, 2)], "kind": ["email"]}


def lines(**changed: object) -> pa.Table:
    columns = {
        "order_id": ["a"],
        "line_no": pa.array([1], pa.int16()),
        "ordered_at": [datetime(2024, 1, 1, 12, tzinfo=UTC)],
        "product_id": ["p"],
        "quantity": [2],
        "unit_price": pa.array([1.5], pa.float32()),
        "colour": ["red"],
    }
    return pa.table({name: value for name, value in (columns | changed).items() if value is not None})


def test_what_can_be_cast_is_cast_and_optional_columns_are_null(tmp_path: Path) -> None:
    pq.write_table(lines(), tmp_path / "order_lines.parquet")
    table = read_folder(tmp_path)["order_lines"]
    assert table.schema.equals(nullable_schema(TABLES["order_lines"]))
    assert table.to_pylist() == [
        {
            "order_id": "a",
            "line_no": 1,
            "ordered_at": datetime(2024, 1, 1, 12),
            "customer_id": None,
            "product_id": "p",
            "quantity": 2.0,
            "unit_price": 1.5,
        }
    ]


def test_a_folder_of_shards_is_one_table(tmp_path: Path) -> None:
    (tmp_path / "order_lines").mkdir()
    for number in range(2):
        pq.write_table(lines(), tmp_path / "order_lines" / f"part-{number}.parquet")
    assert read_folder(tmp_path, ["order_lines"])["order_lines"].num_rows == 2


def test_a_day_may_be_a_midnight_but_nothing_else(tmp_path: Path) -> None:
    pq.write_table(
        pa.table(PROMOTIONS | {"start_day": [datetime(2024, 1, 1)]}), tmp_path / "promotions.parquet"
    )
    assert read_folder(tmp_path)["promotions"]["start_day"].to_pylist() == [date(2024, 1, 1)]
    pq.write_table(
        pa.table(PROMOTIONS | {"start_day": [datetime(2024, 1, 1, 5)]}), tmp_path / "promotions.parquet"
    )
    with pytest.raises(
        DataRejected, match=r"(?s)promotions, column start_day.*2024-01-01 05:00:00 is not at midnight"
    ):
        read_folder(tmp_path)


def test_a_wrong_type_is_refused(tmp_path: Path) -> None:
    pq.write_table(lines(quantity=["2"]), tmp_path / "order_lines.parquet")
    with pytest.raises(DataRejected, match=r"(?s)wrong type in column quantity.*found: quantity is string"):
        read_folder(tmp_path)


def test_a_missing_required_column_is_refused(tmp_path: Path) -> None:
    pq.write_table(lines(quantity=None), tmp_path / "order_lines.parquet")
    with pytest.raises(DataRejected, match="required columns missing: quantity"):
        read_folder(tmp_path)


def test_text_that_is_not_utf8_is_counted_and_shown(tmp_path: Path) -> None:
    raw = pa.array([b"can\xe9"], pa.binary())
    pq.write_table(lines(product_id=raw.view(pa.string())), tmp_path / "order_lines.parquet")
    with pytest.raises(
        DataRejected, match=r"not UTF-8 in column product_id\n  found: product_id: 1 rows, such as b'can"
    ):
        read_folder(tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    pq.write_table(lines(), tmp_path / "orders.parquet")
    with pytest.raises(UsageError, match=r"(?s)no table products in .*found: orders.parquet"):
        read_folder(tmp_path, ["products"])
    with pytest.raises(UsageError, match="no such folder"):
        read_folder(tmp_path / "nowhere")


def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "order_lines.parquet").write_text("nonsense")
    with pytest.raises(DataRejected, match=r"table order_lines in .* cannot be read"):
        read_folder(tmp_path)
