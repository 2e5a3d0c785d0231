"""Tables that may not be used: what the user reads says which table, which column, how many, examples, what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from spoilt_shop import Shop, order_lines, table_of

from ml.errors import DataRejected, UsageError
from ml.stages.validate import validate


def says(message: str, *parts: str) -> None:
    missing = [part for part in parts if part not in message]
    assert not missing, f"{missing} not in:\n{message}"
    assert "next step:" in message


def spoil(shop: Shop, column: str, value: object, every: int = 10) -> None:
    for row in shop.order_lines[::every]:
        row[column] = value


def test_no_snapshot_of_the_table(shop: Shop) -> None:
    with pytest.raises(DataRejected) as caught:
        validate("order_lines")
    says(str(caught.value), "order_lines", "no snapshot", "snapshot@order_lines")


def test_a_table_that_nobody_knows(shop: Shop) -> None:
    with pytest.raises(UsageError, match="'orders' is not in"):
        validate("orders")


@pytest.mark.parametrize(
    ("spoilt", "parts"),
    [
        (lambda table: table.drop_columns(["unit_price"]), ["missing: unit_price double"]),
        (lambda table: table.append_column("colour", pa.nulls(len(table))), ["not in the contract: colour"]),
        (
            lambda table: table.set_column(5, "quantity", table["quantity"].cast("string")),
            ["quantity is string"],
        ),
    ],
    ids=["missing column", "extra column", "wrong type"],
)
def test_columns_are_not_the_contracts(shop: Shop, spoilt, parts) -> None:
    shop.put("order_lines", spoilt(table_of("order_lines", shop.order_lines)))
    with pytest.raises(DataRejected) as caught:
        validate("order_lines")
    says(str(caught.value), "table order_lines", *parts, "in the warehouse")


def test_shards_were_lost(shop: Shop) -> None:
    shop.put("order_lines", table_of("order_lines", shop.order_lines))
    (shop.folder / "data/snapshot/order_lines/part-2024-02-001.parquet").unlink()
    with pytest.raises(DataRejected) as caught:
        validate("order_lines")
    says(str(caught.value), "not whole", "600 rows in 1 shards", "1,200 rows", "take the snapshot again")


@pytest.mark.parametrize("shards", [0, 1])
def test_empty_table(shop: Shop, shards: int) -> None:
    shop.order_lines = []
    if shards:
        shop.put("products", table_of("products", shop.products))
        shop.put("order_lines", table_of("order_lines", []))
        pq.write_table(
            table_of("order_lines", []), shop.folder / "data/snapshot/order_lines/part-2024-02-000.parquet"
        )
        with pytest.raises(DataRejected) as caught:
            validate("order_lines")
        message = str(caught.value)
    else:
        message = shop.rejected()
    says(message, "table order_lines is rejected", "rows: 0", "an empty table trains nothing")


SPOILT = [
    ("order_id", None, ["order_id=None", "order_id is never null (it is required)"]),
    ("product_id", None, ["product_id=None", "product_id is never null"]),
    (
        "unit_price",
        -4.0,
        ["unit_price=-4.0", "unit_price is at least 0 and at most 1,000,000 (a price below nothing"],
    ),
    ("unit_price", float("nan"), ["unit_price=nan"]),
    ("unit_price", float("inf"), ["unit_price=inf"]),
    ("quantity", 0.0, ["quantity=0.0", "a line of nothing"]),
    ("quantity", 1e9, ["quantity=1000000000.0", "nobody orders or returns so many"]),
    ("ordered_at", datetime(2024, 3, 1), ["ordered_at=2024-03-01 00:00:00", "later than can be known"]),
    ("ordered_at", datetime(1970, 1, 1), ["ordered_at=1970-01-01 00:00:00", "before the store"]),
    ("ordered_at", datetime(2019, 5, 1), ["ordered_at=2019-05-01 00:00:00", "sold before its launch"]),
    ("product_id", "nobody", ["product_id=nobody", "product_id is found in products.product_id"]),
]


@pytest.fixture(scope="module")
def message_of_a_spoilt_table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What a user reads when 3 % of the rows are broken in each of the ways of `SPOILT`."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("shop")
        patch.chdir(folder)
        shop = Shop(folder)
        for i, (column, value, _parts) in enumerate(SPOILT):
            for row in shop.order_lines[i::33]:
                row[column] = value
        raise_limits(shop, examples=200)
        yield shop.rejected()


def raise_limits(shop: Shop, examples: int) -> None:
    params = yaml.safe_load((shop.folder / "params.yaml").read_text())
    (shop.folder / "params.yaml").write_text(yaml.safe_dump({**params, "validate": {"examples": examples}}))


@pytest.mark.parametrize(("column", "value", "parts"), SPOILT, ids=lambda value: str(value)[:20])
def test_more_broken_rows_than_tolerated(
    message_of_a_spoilt_table: str, column: str, value: object, parts: list[str]
) -> None:
    says(
        message_of_a_spoilt_table,
        "table order_lines is rejected",
        f"column {column}: ",
        "tolerated 2 %",
        *parts,
    )


def test_a_refusal_counts_and_quotes_a_few(shop: Shop) -> None:
    spoil(shop, "unit_price", -4.0)
    message = shop.rejected()
    says(message, "one expectation is broken", "column unit_price: 120 of 1,200 rows (10.00%), tolerated 2 %")
    assert message.count("unit_price=-4.0") == 5


def test_duplicate_keys(shop: Shop) -> None:
    shop.order_lines += [dict(row) for row in shop.order_lines[:30]]
    message = shop.rejected()
    says(
        message,
        "column order_id, line_no: 60 of 1,230 rows (4.88%)",
        "order_id=o0301-0, line_no=0",
        "cannot be known",
    )


def test_ten_times_the_usual_volume(shop: Shop) -> None:
    shop.accept_yesterday()
    again = [{**row, "order_id": f"again-{i}"} for i, row in enumerate(shop.order_lines[-20:] * 60)]
    shop.order_lines += again
    says(shop.rejected(), "rows: 2400", "has rows: at most 2,180", "a load that ran more than once")


def test_most_of_the_table_is_gone(shop: Shop) -> None:
    shop.accept_yesterday()
    shop.order_lines = shop.order_lines[-400:]
    says(shop.rejected(), "rows: 400", "has rows: at least 590", "half of the rows")


@pytest.mark.parametrize("column", ["customer_id", "product_id"])
def test_text_that_is_not_utf8(shop: Shop, column: str) -> None:
    table = table_of("order_lines", shop.order_lines)
    place = table.schema.get_field_index(column)
    raw = [b"caf\xe9" if i % 100 == 0 else b"p1" for i in range(len(table))]
    latin = pa.Array.from_buffers(pa.string(), len(raw), pa.array(raw, pa.binary()).buffers())
    shop.put("products", table_of("products", shop.products))
    shop.put("order_lines", table.set_column(place, column, latin), shards=1)
    with pytest.raises(DataRejected) as caught:
        validate("order_lines")
    says(
        str(caught.value),
        f"column {column} holds text that is not UTF-8",
        "12 values",
        r"b'caf\xe9'",
        "encoding",
    )


def test_a_refusal_leaves_what_was_accepted_and_says_why_in_the_report(shop: Shop) -> None:
    shop.validate()
    before = {file: file.read_bytes() for file in (shop.folder / "data/validated/order_lines").iterdir()}
    spoil(shop, "unit_price", -1.0)
    shop.rejected()
    assert {
        file: file.read_bytes() for file in (shop.folder / "data/validated/order_lines").iterdir()
    } == before
    report = json.loads((shop.report("order_lines") / "result.json").read_text())
    assert report["accepted"] is False
    assert "unit_price" in (shop.report("order_lines") / "docs/index.html").read_text()
    assert not list(shop.folder.glob("data/*/.*"))


def test_several_reasons_are_told_at_once(shop: Shop) -> None:
    spoil(shop, "unit_price", -1.0)
    spoil(shop, "quantity", 0.0)
    says(shop.rejected(), "2 expectations are broken", "column unit_price", "column quantity")


def test_rejected_products(shop: Shop) -> None:
    for row in shop.products[:5]:
        row["title"] = None
    says(
        shop.rejected("products"), "table products", "column title: 5 of 50 rows", "product_id=p0, title=None"
    )


def test_clean_shop_is_accepted(shop: Shop) -> None:
    assert shop.validate()["rows"] == {"in": 1200, "passed": 1200, "quarantined": 0, "reasons": {}}
    assert len(order_lines()) == 1200


def test_four_weeks_without_a_sale(shop: Shop) -> None:
    shop.order_lines = order_lines(until=date(2024, 1, 20))
    says(shop.rejected(), "table order_lines is rejected", "ordered_at", "nothing was sold for four weeks")
