"""The adapters on the real data: every row is loaded or counted as dropped, and the tables fit the contract."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema, key, references
from ml.sources import SOURCES, Loaded, load

PUBLIC_DATA = Path(os.environ.get("BELLWETHER_PUBLIC_DATA", Path(__file__).parents[2] / "../shared/data"))
MAIN_FILE = {
    "online_retail_uci": "transactions.parquet",
    "dominicks_oj": "yx.parquet",
    "completejourney": "transactions_sample.parquet",
}

pytestmark = pytest.mark.public_data


@cache
def loaded(name: str) -> Loaded:
    if not (PUBLIC_DATA / name).is_dir():
        pytest.skip(f"no {name} in {PUBLIC_DATA}: set BELLWETHER_PUBLIC_DATA")
    return load(name, PUBLIC_DATA / name)


@pytest.mark.parametrize("name", SOURCES)
def test_rows_in_are_rows_loaded_and_dropped(name: str) -> None:
    found = loaded(name)
    rows = pq.read_metadata(PUBLIC_DATA / name / MAIN_FILE[name]).num_rows
    assert found.read == rows == found.tables["order_lines"].num_rows + sum(found.dropped.values())


@pytest.mark.parametrize("name", SOURCES)
def test_tables_are_as_the_contract_says(name: str) -> None:
    for table, rows in loaded(name).tables.items():
        contract = TABLES[table]
        assert rows.schema.equals(arrow_schema(contract))
        assert not [f.name for f in rows.schema if not f.nullable and rows[f.name].null_count], table
        assert _distinct(rows, key(contract)) == rows.num_rows, table


@pytest.mark.parametrize("name", SOURCES)
def test_every_reference_is_met(name: str) -> None:
    tables = loaded(name).tables
    for table, rows in tables.items():
        for column, target in references(TABLES[table]).items():
            other, target_column = target.split(".")
            assert pc.all(pc.is_in(rows[column], tables[other][target_column])).as_py() in (True, None), table


def _distinct(rows: pa.Table, columns: tuple[str, ...]) -> int:
    return int(rows.select(list(columns)).group_by(list(columns)).aggregate([]).num_rows)


def test_the_gift_shop_has_no_postage_and_no_undone_order() -> None:
    tables = loaded("online_retail_uci").tables
    lines = tables["order_lines"]
    assert not {"POST", "DOT", "M", "S", "AMAZONFEE", "23444"} & set(lines["product_id"].to_pylist())
    assert pc.max(lines["quantity"]).as_py() < 74_215
    assert pc.min(lines["unit_price"]).as_py() > 0
    assert pc.sum(pc.less(lines["quantity"], 0)).as_py() > 5_000


def test_gift_categories_cover_most_products() -> None:
    categories = loaded("online_retail_uci").tables["products"]["category"]
    assert 15 <= len(categories.unique()) <= 30
    assert pc.mean(pc.equal(categories, "other gifts").cast(pa.float64())).as_py() < 0.1


def test_juice_is_weekly_with_a_plan_for_every_week() -> None:
    tables = loaded("dominicks_oj").tables
    assert set(pc.day_of_week(tables["order_lines"]["ordered_at"]).unique().to_pylist()) == {3}
    assert set(tables["promotions"]["kind"].unique().to_pylist()) == {"discount", "feature", "display"}
    discounts = tables["promotions"]["discount_pct"].drop_null()
    assert pc.min(discounts).as_py() > 0 and 1 < pc.max(discounts).as_py() < 100


def test_the_identifier_that_r_wrote_as_a_number_is_restored() -> None:
    promotions = loaded("completejourney").tables["promotions"]
    assert not any("e+" in identifier for identifier in promotions["product_id"].unique().to_pylist())
