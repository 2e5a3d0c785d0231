"""Window features, recomputed by SQL that was written by hand and shares nothing with the Ibis expressions."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import duckdb
import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_shop import END, opened, shop

from ml.families.seasonality.features import features
from ml.families.seasonality.params import SeasonalityParams
from ml.toolkit.standings import standings

TABLES = ("order_lines", "products", "promotions", "events")

DENSE = """
CREATE TABLE daily AS SELECT product_id, CAST(ordered_at AS DATE) AS day, greatest(sum(quantity), 0) AS units,
    CAST(sum(CASE WHEN quantity > 0 THEN 1 ELSE 0 END) AS DOUBLE) AS lines
    FROM order_lines WHERE ordered_at < DATE '{as_of}' GROUP BY ALL;
CREATE TABLE tamed AS SELECT a.product_id, a.day, a.units, a.lines, least(a.units, 20 + 8 * pow(
    (6 + coalesce(sum(sqrt(b.units)), 0)) / (3 + count(b.units)), 2)) AS tamed
    FROM daily a LEFT JOIN daily b ON a.product_id = b.product_id AND b.day < a.day
    GROUP BY a.product_id, a.day, a.units, a.lines;
"""

BY_DAY = """
SELECT m.product_id, m.day, coalesce(sum(t.{column}), 0) AS value FROM rows m LEFT JOIN tamed t
    ON t.product_id = m.product_id AND t.day >= m.day - INTERVAL {far} DAY AND t.day < m.day - INTERVAL {near} DAY
    GROUP BY ALL ORDER BY 1, 2
"""


@cache
def computed() -> tuple[pa.Table, duckdb.DuckDBPyConnection]:
    tables = shop(products=12, days=150)
    made = features(opened(tables), END, SeasonalityParams()).order_by("product_id", "day").to_pyarrow()
    connection = duckdb.connect()
    for name in TABLES:
        connection.register(name, tables[name])
    connection.execute(DENSE.format(as_of=END))
    past = made.filter(pc.less_equal(made.column("day"), pa.scalar(END)))
    connection.register("rows", past.select(["product_id", "day"]))
    return past, connection


@pytest.mark.parametrize(
    ("feature", "column", "near", "far"),
    [
        ("units_28", "units", 0, 28),
        ("units_84", "units", 0, 84),
        ("tamed_7", "tamed", 0, 7),
        ("tamed_84", "tamed", 0, 84),
        ("tamed_364", "tamed", 0, 364),
        ("tamed_28_before_28", "tamed", 28, 56),
        ("tamed_28_before_56", "tamed", 56, 84),
        ("lines_7", "lines", 0, 7),
        ("lines_84", "lines", 0, 84),
    ],
)
def test_rolling_sums(feature: str, column: str, near: int, far: int) -> None:
    made, connection = computed()
    expected = connection.execute(BY_DAY.format(column=column, near=near, far=far)).to_arrow_table()
    ours = np.asarray(made.column(feature).to_pylist(), dtype=np.float64)
    np.testing.assert_allclose(ours, expected.column("value").to_numpy(), rtol=1e-6, atol=1e-5)


def test_rolling_sums_before_they_are_narrowed() -> None:
    """The expressions themselves, before the matrix narrows them to single precision: 1e-9."""
    from ml.toolkit.windows import cumulate, lags, rolling, spans

    units = np.random.default_rng(7).gamma(0.5, 3, size=(9, 200))
    flat = pa.table(
        {"product": np.repeat(np.arange(9), 200), "step": np.tile(np.arange(200), 9), "units": units.ravel()}
    )
    table = ibis.memtable(flat)
    summed = lags(
        cumulate(table, ["units"], "product", "step"), {"units": spans([(28, 0), (7, 28)])}, "product", "step"
    )
    made = summed.select(
        "product", "step", recent=rolling(summed, "units", 28), earlier=rolling(summed, "units", 7, 28)
    )
    ours = made.order_by("product", "step").to_pyarrow()
    theirs = duckdb.sql(
        """SELECT coalesce(sum(units) OVER (w ROWS BETWEEN 28 PRECEDING AND 1 PRECEDING), 0) AS recent,
            coalesce(sum(units) OVER (w ROWS BETWEEN 35 PRECEDING AND 29 PRECEDING), 0) AS earlier
            FROM flat WINDOW w AS (PARTITION BY product ORDER BY step) ORDER BY product, step"""
    ).to_arrow_table()
    for name in ("recent", "earlier"):
        np.testing.assert_allclose(
            ours.column(name).to_numpy(), theirs.column(name).to_numpy(), rtol=1e-9, atol=1e-9
        )


def test_the_last_sale() -> None:
    made, connection = computed()
    expected = connection.execute(
        """SELECT m.product_id, m.day, date_diff('day', max(t.day), m.day) AS since, date_diff('day', min(t.day), m.day)
        AS selling FROM rows m LEFT JOIN tamed t ON t.product_id = m.product_id AND t.day < m.day AND t.units > 0
        GROUP BY m.product_id, m.day ORDER BY m.product_id, m.day"""
    ).to_arrow_table()
    for ours, theirs in (("days_since_sale", "since"), ("selling_days", "selling")):
        assert made.column(ours).to_pylist() == expected.column(theirs).to_pylist()


def test_promotions_are_spread_over_their_days() -> None:
    made, connection = computed()
    expected = connection.execute(
        """SELECT m.product_id, m.day, coalesce(max(p.discount_pct), 0) AS discount,
        coalesce(max(CASE WHEN p.kind = 'email' THEN 1 ELSE 0 END), 0) AS email FROM rows m LEFT JOIN promotions p
        ON p.product_id = m.product_id AND m.day BETWEEN p.start_day AND p.end_day GROUP BY ALL ORDER BY 1, 2"""
    ).to_arrow_table()
    assert made.column("promo_discount").to_pylist() == expected.column("discount").to_pylist()
    assert made.column("promo_email").to_pylist() == expected.column("email").to_pylist()


def test_every_day_from_the_first_sale_or_launch_to_the_end_of_the_horizon() -> None:
    made, _ = computed()
    by_product: dict[str, list[date]] = {}
    for product, day in zip(
        made.column("product_id").to_pylist(), made.column("day").to_pylist(), strict=True
    ):
        by_product.setdefault(product, []).append(day)
    for days in by_product.values():
        assert days == [days[0] + timedelta(days=number) for number in range(len(days))]


def test_a_total_read_at_a_moment_is_of_what_came_before_it() -> None:
    """Entries of the very moment are not counted, and those of another name never."""
    at = "CAST('2026-01-01' AS TIMESTAMP) + to_hours({})"
    connection = ibis.duckdb.connect()
    connection.raw_sql(
        f"CREATE TABLE sold AS SELECT i % 3 AS who, {at.format('i // 6')} AS at FROM range(90) AS r(i)"
    )
    connection.raw_sql(
        f"CREATE TABLE asked AS SELECT i AS one, i % 4 AS who, {at.format('i % 20 - 2')} AS now FROM range(120) AS r(i)"
    )
    sold, asked = connection.table("sold"), connection.table("asked")
    moments = sold.group_by("who", since=sold["at"]).aggregate(n=sold.count())
    running = ibis.window(group_by="who", order_by="since", preceding=None, following=0)
    totals = moments.select("who", "since", total=moments.n.sum().over(running).cast("int64"))
    back = {"now_": asked.now, "earlier": asked.now - ibis.interval(hours=5)}
    ours = standings(asked, ["one"], back, totals, "who").order_by("one").to_pyarrow()
    counted = "(SELECT count(*) FROM sold AS s WHERE s.who = a.who AND s.at < a.now - to_hours({}))"
    by_hand = f"SELECT one, {counted.format(0)} AS now_, {counted.format(5)} AS earlier FROM asked AS a ORDER BY one"
    theirs = connection.con.sql(by_hand).to_arrow_table()
    assert ours.to_pydict() == theirs.to_pydict() and sum(ours["earlier"].to_pylist()) > 0
