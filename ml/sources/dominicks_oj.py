"""Dominick's orange juice: weekly sales of eleven products in 83 supermarkets of Chicago, 1990 to 1992.

Original: object `yx` of data set `orangeJuice` in the R package bayesm, saved as Parquet or CSV
(https://cran.r-project.org/package=bayesm). The data belong to the Kilts Center, Chicago Booth: academic research
only. Cite Montgomery (1997), Marketing Science 16(4), 315-337.

- A product is a brand in a store, `store|brand`; its category is the juice, so that equal juices share a season.
- Week 1 began on Thursday 1989-09-14. A week is one order line at 00:00 of its first day; quantity is exp(logmove),
  which is whole. A week without a row sold nothing that was recorded: it stays absent.
- Prices are per ounce in the file and per package here.
- The promotion plan covers every week of the file, those without sales (`logmove` is null) too:
  `discount` where a price is at least half a percent below the highest of its last 13 weeks, with the percentage
  that is taken off; `feature` where the juice was advertised (`feat` > 0);
  `display` for a coupon in the store (`deal`).
  Every row gives the prices of all juices of its store and week, so a juice's price is known in weeks that it lacks.
- Events are the public occasions of the United States.

Dropped, counted: `no sales given` (`logmove` is null: known to the plan alone), `unknown brand`.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from ml.sources import Loaded
from ml.sources.occasions import events, united_states
from ml.sources.reading import contract_table, count, database, files, register

ORIGIN = "https://cran.r-project.org/package=bayesm"
BRANDS: tuple[tuple[int, str, int], ...] = (
    (1, "Tropicana Premium", 64),
    (2, "Tropicana Premium", 96),
    (3, "Floridas Natural", 64),
    (4, "Tropicana", 64),
    (5, "Minute Maid", 64),
    (6, "Minute Maid", 96),
    (7, "Citrus Hill", 64),
    (8, "Tree Fresh", 64),
    (9, "Florida Gold", 64),
    (10, "Dominicks", 64),
    (11, "Dominicks", 128),
)
"""Number in the file, maker, ounces of a package."""

PRICES = tuple(f"price{number}" for number, _, _ in BRANDS)
COLUMNS = ("store", "brand", "week", "logmove", *PRICES, "deal", "feat")
EXPECTED = f"yx.parquet or yx.csv with store, brand, week, logmove, price1 to price11, deal, feat; original: {ORIGIN}"

_PREPARE = (
    f"""
CREATE TABLE juices AS FROM (VALUES {", ".join(str(brand) for brand in BRANDS)}) AS juice(brand, maker, ounces)""",
    """
CREATE TABLE weeks AS SELECT
    CAST(store AS INTEGER) AS store, CAST(brand AS INTEGER) AS brand, CAST(week AS INTEGER) AS week,
    concat_ws('|', CAST(store AS INTEGER), CAST(brand AS INTEGER)) AS product_id,
    DATE '1989-09-14' + 7 * (CAST(week AS INTEGER) - 1) AS start_day,
    round(exp(CAST(logmove AS DOUBLE))) AS quantity,
    CAST(deal AS DOUBLE) > 0 AS coupon, CAST(feat AS DOUBLE) > 0 AS advertised
FROM yx""",
    f"""
CREATE TABLE prices AS
WITH listed AS (
    UNPIVOT (SELECT CAST(store AS INTEGER) AS store, CAST(week AS INTEGER) AS week,
        {", ".join(f"CAST({price} AS DOUBLE) AS {price}" for price in PRICES)} FROM yx)
    ON {", ".join(PRICES)} INTO NAME juice VALUE per_ounce
), packages AS (
    SELECT store, brand, week, max(per_ounce) * any_value(ounces) AS price
    FROM listed JOIN juices ON juice = 'price' || brand GROUP BY ALL
)
SELECT *, max(price) OVER (
    PARTITION BY store, brand ORDER BY week RANGE BETWEEN 12 PRECEDING AND CURRENT ROW
) AS regular FROM packages""",
)

_PRODUCTS = """
SELECT product_id, concat(maker, ' ', ounces, 'oz, store ', store) AS title,
    concat(maker, ' ', ounces, 'oz') AS category, maker AS brand, round(median(price), 4) AS price
FROM (SELECT DISTINCT store, brand, product_id FROM weeks) sold
JOIN juices USING (brand) JOIN prices USING (store, brand)
GROUP BY product_id, store, brand, maker, ounces ORDER BY store, brand"""

_ORDER_LINES = """
SELECT concat_ws('|', product_id, week) AS order_id, 1 AS line_no, start_day AS ordered_at, product_id,
    quantity, round(price, 4) AS unit_price
FROM weeks JOIN prices USING (store, brand, week)
WHERE quantity IS NOT NULL ORDER BY week, store, brand"""

_PROMOTIONS = """
WITH plan AS (
    SELECT 'discount' AS kind, product_id, week, round(100 * (1 - price / regular), 2) AS discount_pct
    FROM prices JOIN (SELECT DISTINCT store, brand, product_id FROM weeks) USING (store, brand)
    WHERE price < regular * 0.995
    UNION ALL SELECT 'feature', product_id, week, NULL FROM weeks WHERE advertised
    UNION ALL SELECT 'display', product_id, week, NULL FROM weeks WHERE coupon
)
SELECT concat(kind, '-', week) AS promotion_id, product_id, DATE '1989-09-14' + 7 * (week - 1) AS start_day,
    DATE '1989-09-14' + 7 * week - 1 AS end_day, kind, discount_pct
FROM plan ORDER BY week, kind, product_id"""


def load(path: Path) -> Loaded:
    """Contract tables from the file or folder `path`. Raises UsageError if `yx` is not there."""
    with database() as connection:
        register(connection, "yx", files(path, "yx"), COLUMNS, EXPECTED)
        for statement in _PREPARE:
            connection.execute(statement)
        return Loaded(_tables(connection), count(connection, "FROM yx"), _dropped(connection))


def _tables(connection: duckdb.DuckDBPyConnection) -> dict[str, pa.Table]:
    return {
        "products": contract_table(connection, "products", _PRODUCTS),
        "order_lines": contract_table(connection, "order_lines", _ORDER_LINES),
        "promotions": contract_table(connection, "promotions", _PROMOTIONS),
        "events": events(occasion for year in range(1989, 1995) for occasion in united_states(year)),
    }


def _dropped(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    unknown = count(connection, "FROM weeks ANTI JOIN juices USING (brand)")
    untold = count(connection, "FROM weeks SEMI JOIN juices USING (brand) WHERE quantity IS NULL")
    return {reason: n for reason, n in (("unknown brand", unknown), ("no sales given", untold)) if n}
