"""A few broken rows do not stop a table: they are put aside with their reasons, and the rest goes on as it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from spoilt_shop import AS_OF, Shop, warnings_of


def inode(file: Path) -> int:
    return file.stat().st_ino


ONE_OF_EACH = [
    ("line_no", None, "line_no is never null"),
    ("unit_price", -4.0, "a price below nothing"),
    ("quantity", 0.0, "a line of nothing"),
    ("quantity", -80995.0, "nobody orders or returns so many"),
    ("ordered_at", datetime(2024, 3, 2), "later than can be known"),
    ("ordered_at", datetime(1970, 1, 1), "before the store"),
    ("ordered_at", datetime(2019, 12, 31), "sold before its launch"),
    ("product_id", "nobody", "nothing is known of what it refers to"),
]


def test_one_row_broken_in_each_way(shop: Shop) -> None:
    for i, (column, value, _reason) in enumerate(ONE_OF_EACH):
        shop.order_lines[100 * i][column] = value
    result = shop.validate()
    assert (result["rows"]["passed"], result["rows"]["quarantined"]) == (1192, 8)
    for row, (column, value, reason) in zip(shop.quarantined().to_pylist(), ONE_OF_EACH, strict=True):
        assert row[column] == value
        assert any(reason in said for said in row["reasons"])
        assert any(reason in said for said in result["rows"]["reasons"])


def test_all_rows_of_a_duplicate_key_are_put_aside(shop: Shop) -> None:
    shop.order_lines.insert(3, {**shop.order_lines[1], "quantity": 2.0})
    shop.order_lines.append(dict(shop.order_lines[1]))
    result = shop.validate()
    assert result["rows"]["quarantined"] == 3
    assert {(row["order_id"], row["line_no"]) for row in shop.quarantined().to_pylist()} == {("o0301-0", 1)}


def test_a_row_broken_twice_is_put_aside_once_with_both_reasons(shop: Shop) -> None:
    shop.order_lines[7].update(quantity=0.0, unit_price=-1.0)
    assert shop.validate()["rows"]["quarantined"] == 1
    assert len(shop.quarantined().to_pylist()[0]["reasons"]) == 2


def test_clean_shards_keep_their_bytes_and_the_others_their_order(shop: Shop) -> None:
    shop.order_lines[5]["quantity"] = 0.0
    shop.validate()
    snapshot = sorted((shop.folder / "data/snapshot/order_lines").glob("*.parquet"))
    validated = sorted((shop.folder / "data/validated/order_lines").glob("*.parquet"))
    assert [file.name for file in snapshot] == [file.name for file in validated]
    assert inode(snapshot[0]) != inode(validated[0])
    assert inode(snapshot[1]) == inode(validated[1])
    kept = [row for i, row in enumerate(shop.order_lines) if i != 5]
    assert shop.passed().to_pylist() == kept


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_same_input_same_bytes(shop: Shop) -> None:
    shop.order_lines[5]["quantity"] = 0.0
    shop.validate()
    first = bytes_of(shop.folder / "data")
    shop.validate()
    second = bytes_of(shop.folder / "data")
    assert [name for name in first if first[name] != second[name]] == []
    assert first.keys() == second.keys()


def test_nothing_new_since_yesterday(shop: Shop) -> None:
    shop.accept_yesterday()
    shop.order_lines = shop.order_lines[:-20]
    said = warnings_of(shop.validate())
    assert any("nothing has arrived since the last accepted snapshot: rows: 1180" in one for one in said)


def test_every_row_of_a_day_is_missing(shop: Shop) -> None:
    shop.accept_yesterday()
    shop.order_lines = shop.order_lines[:-20]
    assert "a day on which there were always rows has none: column ordered_at: 2024-02-29" in warnings_of(
        shop.validate()
    )


def test_a_wholesaler_orders_more_than_a_corner_shop(shop: Shop) -> None:
    for row in shop.order_lines:
        row["quantity"] *= 5000
    assert shop.validate()["rows"]["quarantined"] == 0


def test_stale_table(shop: Shop) -> None:
    shop.set_as_of(AS_OF + timedelta(days=9))
    said = warnings_of(shop.validate())
    assert [one for one in said if one.startswith("the newest row is old")] == [
        "the newest row is old: the load may have stopped: column ordered_at: 2024-02-29 09:30:00"
    ]


def test_category_never_seen(shop: Shop) -> None:
    shop.accept_yesterday()
    shop.products[3]["category"] = "Gartenzwerge"
    result = shop.validate("products")
    assert any(
        "a value that no accepted snapshot had" in one and "Gartenzwerge" in one
        for one in warnings_of(result)
    )
    assert result["rows"]["quarantined"] == 0


def test_drift_of_a_column(shop: Shop) -> None:
    shop.accept_yesterday()
    today = shop.order_lines[-20:]
    shop.order_lines += [{**row, "order_id": f"x{i}"} for i in range(9) for row in today]
    for row in shop.order_lines[-200:]:
        row["unit_price"] *= 100
    assert any(
        "unlike those accepted before" in one and "unit_price" in one for one in warnings_of(shop.validate())
    )


def test_an_ordinary_day_raises_no_warning(shop: Shop) -> None:
    shop.accept_yesterday()
    assert warnings_of(shop.validate()) == []
    assert warnings_of(shop.validate("products")) == []


def test_without_history_the_result_says_what_was_not_asked(shop: Shop) -> None:
    result = shop.validate()
    skipped = [one for one in result["expectations"] if one["skipped"]]
    kinds = {"expect_every_usual_day_to_have_rows", "expect_column_distribution_to_be_stable"}
    assert kinds <= {one["type"] for one in skipped}
    assert all("no snapshot of this table has been accepted before" in one["message"] for one in skipped)


def test_a_backfill_is_not_compared_with_its_future(shop: Shop) -> None:
    shop.accept()
    shop.set_as_of(AS_OF - timedelta(days=30))
    shop.order_lines = [
        row for row in shop.order_lines if row["ordered_at"].date() < AS_OF - timedelta(days=30)
    ]
    assert [one for one in shop.validate()["expectations"] if one["skipped"]]
