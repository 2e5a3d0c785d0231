"""What is special to seasonality: weekly shops, new and dead products, collections, empty plans."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from small_shop import END, materialised, opened, shop

from ml.families.seasonality import FAMILY
from ml.families.seasonality.bands import learn_bands
from ml.families.seasonality.params import SeasonalityParams

PARAMS = SeasonalityParams(rounds=12, text_components=2, autoets_series=3, training_days=100, nthread=1)


def matrix_of(tables: dict[str, pa.Table]) -> ibis.Table:
    return materialised(FAMILY.features(opened(tables), END, PARAMS), FAMILY.key)


@cache
def daily() -> tuple[dict[str, pa.Table], ibis.Table, Any]:
    tables = shop()
    matrix = matrix_of(tables)
    return tables, matrix, FAMILY.fit(matrix, END, PARAMS)


def test_forecasts_reach_from_the_origin_to_the_horizon() -> None:
    _, matrix, model = daily()
    made = FAMILY.score(model, matrix, END)
    days = made.column("day").unique().to_pylist()
    assert sorted(days) == [END + timedelta(days=number) for number in range(28)]
    low, middle, high, mean = (made.column(name).to_numpy() for name in ("q10", "q50", "q90", "mean"))
    assert (low >= 0).all()
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert (mean >= 0).all()


def test_a_product_that_the_model_never_saw_is_forecast() -> None:
    _, matrix, _ = daily()
    model = FAMILY.fit(matrix.filter(matrix.product_id != "p009"), END, PARAMS)
    made = FAMILY.score(model, matrix, END)
    unseen = made.filter(pc.equal(made.column("product_id"), "p009"))
    assert len(unseen) == 28
    assert pc.sum(unseen.column("mean")).as_py() > 1


def test_a_product_discontinued_long_ago_has_no_forecast() -> None:
    tables = shop(products=6, days=500)
    last = END - timedelta(days=450)
    lines = tables["order_lines"]
    dead = pc.and_(
        pc.equal(lines.column("product_id"), "p001"), pc.greater(lines.column("ordered_at"), pa.scalar(last))
    )
    matrix = matrix_of({**tables, "order_lines": lines.filter(pc.invert(dead))})
    ahead = matrix.filter(matrix.day >= ibis.date(END)).select("product_id").distinct().to_pyarrow()
    assert "p001" not in ahead.column("product_id").to_pylist()


def test_weekly_data_is_forecast_by_weeks() -> None:
    tables = shop(products=30, days=420, every=7)
    matrix = matrix_of(tables)
    model = FAMILY.fit(matrix, END, PARAMS)
    made = FAMILY.score(model, matrix, END)
    assert model.step == 7
    assert sorted(made.column("day").unique().to_pylist()) == [
        END + timedelta(weeks=number) for number in range(8)
    ]
    baselines = FAMILY.baselines(matrix, END, PARAMS)
    assert all(rows.num_rows == made.num_rows for rows in baselines.values())


def test_autoets_stays_within_what_was_ever_sold() -> None:
    _, matrix, _ = daily()
    made = FAMILY.baselines(matrix, END, PARAMS)["autoets"]
    assert np.isfinite(made.column("mean").to_numpy()).all()
    sold = matrix.aggregate(most=matrix.units.sum()).to_pyarrow().column("most")[0].as_py()
    assert pc.sum(made.column("mean")).as_py() < sold


def test_collections_hold_certain_lifts_with_reasons() -> None:
    tables, matrix, model = daily()
    made = FAMILY.publications(model, matrix, opened(tables), END, PARAMS)
    items = made["collection_items"].to_pylist()
    assert {item["collection_id"] for item in items} == set(
        made["collections"].column("collection_id").to_pylist()
    )
    assert items
    for item in items:
        assert 1.1 < item["lift_low"] <= item["lift_high"]
        assert sum(item["forecast_mean"]) >= 3
        assert "a week expected" in item["reason"]
        assert len(item["history"]) == 26
        assert len(item["forecast_mean"]) == len(item["forecast_q10"]) == len(item["forecast_q90"]) == 4


def test_what_an_occasion_lifts_is_not_shown_again_as_rising() -> None:
    tables, matrix, model = daily()
    items = FAMILY.publications(model, matrix, opened(tables), END, PARAMS)["collection_items"].to_pylist()
    of = {
        name: {i["product_id"] for i in items if i["collection_id"] == name}
        for name in {i["collection_id"] for i in items}
    }
    rising = of.pop("rising-now", set())
    assert all(len(products) >= 3 for products in of.values())
    assert not rising & set().union(*of.values())


def test_a_shop_without_plans_still_gets_its_collection() -> None:
    tables = shop()
    bare = {**tables, "events": tables["events"].slice(0, 0), "promotions": tables["promotions"].slice(0, 0)}
    matrix = matrix_of(bare)
    model = FAMILY.fit(matrix, END, PARAMS)
    made = FAMILY.publications(model, matrix, opened(bare), END, PARAMS)
    assert made["collections"].column("collection_id").to_pylist() == ["rising-now"]
    items = made["collection_items"].to_pylist()
    assert items and all(item["lift_low"] > 1 for item in items)
    assert made["forecasts"].num_rows > 0


def test_a_day_that_nothing_was_forecast_for_counts_in_full() -> None:
    _, matrix, _ = daily()
    fold = FAMILY.folds(matrix, END, PARAMS)[-1]
    truth = fold.truth.to_pyarrow()
    nothing = FAMILY.baselines(fold.test, fold.as_of, PARAMS)["tsb"].slice(0, 0)
    losses = FAMILY.losses(nothing, truth)
    assert losses.column("loss").to_pylist() == losses.column("weight").to_pylist()
    assert FAMILY.metrics(nothing, truth)["wape_total"] == 1.0


def test_contributions_add_up() -> None:
    _, matrix, model = daily()
    rows = FAMILY.explain(model, matrix, END, PARAMS)
    summed = rows.group_by("product_id").aggregate([("contribution", "sum")])
    assert np.isfinite(summed.column("contribution_sum").to_numpy()).all()
    assert pc.count_distinct(rows.column("feature")).as_py() > 3


def test_bands_widen_with_what_was_seen() -> None:
    expected = np.repeat([1.0, 100.0], 500)
    actual = expected * np.tile(np.linspace(0.5, 1.5, 500), 2)
    around = learn_bands(actual, expected, 0.0, bins=2).around(np.array([100.0]))
    np.testing.assert_allclose(around[0], [60, 100, 140], rtol=0.01)


def test_products_without_a_title_and_of_no_category_are_forecast() -> None:
    tables, _, model = daily()
    products = tables["products"]
    for name in ("title", "category"):
        place = products.schema.get_field_index(name)
        products = products.set_column(
            place, pa.field(name, pa.string()), pa.nulls(len(products), pa.string())
        )
    matrix = matrix_of({**tables, "products": products})
    made = FAMILY.score(model, matrix, END)
    assert made.column("product_id").unique().to_pylist() == sorted(products.column("product_id").to_pylist())


def test_features_are_the_same_bytes_whatever_the_threads_do() -> None:
    tables = shop(products=12, days=120)
    made = []
    for threads in (1, 2, 2):
        connection = ibis.duckdb.connect(threads=threads)
        for name, table in tables.items():
            connection.con.register(name, table)
        opened_tables = {name: connection.table(name) for name in tables}
        made.append(FAMILY.features(opened_tables, END, PARAMS).order_by(FAMILY.key).to_pyarrow())
    assert made[0].equals(made[1])
    assert made[0].equals(made[2])


def test_the_figure_of_examples_names_products_and_axes() -> None:
    tables, matrix, model = daily()
    fold = FAMILY.folds(matrix, END, PARAMS)[-1]
    drawn = FAMILY.figures(FAMILY.score(model, fold.test, fold.as_of), fold.truth.to_pyarrow())["examples"]
    shown = [axes.get_title() for axes in drawn.axes]
    assert shown and set(shown) <= set(tables["products"].column("title").to_pylist())
    assert all(axes.get_ylabel() == "units" and axes.get_legend() for axes in drawn.axes)
    assert drawn.axes[-1].get_xlabel()
