"""The Complete Journey (dunnhumby, 84.51°): a year of groceries of 2,400 households, 2017.

Original: the R package completejourney (https://cran.r-project.org/package=completejourney, CC0), its data sets
saved as Parquet or CSV: `transactions` or `transactions_sample`, `products`, `promotions` or `promotions_sample`,
and where they are wanted `coupons` with `campaign_descriptions`.

- An order line is a product in a basket; the package's sample is of lines, so baskets are incomplete.
- unit_price is what a card holder paid before coupons, (sales_value + coupon_match_disc) / quantity; a product's
  price is the median without the card's discount. Quantities of products sold by weight are as recorded.
- A product's category is its product_category, or its department where it has none.
- Promotions are weekly, over all stores: `display` (a place in the store), `feature` (a place in the mailer), and
  `email` (coupons sent to households, from campaign_descriptions). Week 1 ended on Sunday 2017-01-01.
- R wrote identifier 900000 as `9e+05`; it is restored everywhere.
- Events are the public occasions of the United States. Times are taken for UTC.

Dropped from `order_lines`, each under the first reason that holds:

- `no such product`: the product table does not have it.
- `fuel`: quantities are thousandths of a gallon, not units.
- `no quantity`: coupons and corrections.

Products that were never sold have no price and are dropped, and the promotions of such products with them (the
promotions cover two stores and many products that the sample of lines does not touch).
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from ml.sources import Loaded
from ml.sources.occasions import events, united_states
from ml.sources.reading import contract_table, count, database, files, register

ORIGIN = "https://cran.r-project.org/package=completejourney"
COLUMNS = {
    "transactions": (
        "household_id", "basket_id", "product_id", "quantity", "sales_value", "retail_disc", "coupon_match_disc",
        "transaction_timestamp",
    ),
    "products": ("product_id", "department", "brand", "product_category", "product_type", "package_size"),
    "promotions": ("product_id", "display_location", "mailer_location", "week"),
    "coupons": ("product_id", "campaign_id"),
    "campaign_descriptions": ("campaign_id", "start_date", "end_date"),
}  # fmt: skip
OPTIONAL = ("coupons", "campaign_descriptions")

_PREPARE = (
    """
CREATE TABLE catalogue AS SELECT
    replace(product_id, '9e+05', '900000') AS product_id, brand,
    coalesce(product_category, department, 'UNKNOWN') AS category,
    concat_ws(' ', coalesce(product_type, product_category, department, 'UNKNOWN'), package_size) AS title,
    coalesce(department = 'FUEL' OR product_category = 'FUEL' OR product_type LIKE 'GASOLINE%', false) AS fuel
FROM (SELECT CAST(COLUMNS(*) AS VARCHAR) FROM products)""",
    """
CREATE TABLE lines AS SELECT
    CAST(basket_id AS VARCHAR) AS order_id, row_number() OVER (PARTITION BY basket_id ORDER BY position) AS line_no,
    CAST(transaction_timestamp AS TIMESTAMP) AS ordered_at, CAST(household_id AS VARCHAR) AS customer_id, product_id,
    CAST(quantity AS DOUBLE) AS quantity,
    (CAST(sales_value AS DOUBLE) + CAST(coupon_match_disc AS DOUBLE)) / nullif(CAST(quantity AS DOUBLE), 0)
        AS unit_price,
    CAST(retail_disc AS DOUBLE) / nullif(CAST(quantity AS DOUBLE), 0) AS card_discount,
    CASE WHEN catalogue.product_id IS NULL THEN 'no such product' WHEN fuel THEN 'fuel'
        WHEN coalesce(CAST(quantity AS DOUBLE), 0) = 0 THEN 'no quantity' END AS reason
FROM (SELECT * REPLACE (replace(CAST(product_id AS VARCHAR), '9e+05', '900000') AS product_id) FROM transactions)
LEFT JOIN catalogue USING (product_id)""",
    "CREATE TABLE kept AS FROM lines WHERE reason IS NULL",
    """
CREATE TABLE plan AS
WITH places AS (
    SELECT replace(CAST(product_id AS VARCHAR), '9e+05', '900000') AS product_id, CAST(week AS INTEGER) AS week,
        bool_or(CAST(display_location AS VARCHAR) <> '0') AS shown,
        bool_or(CAST(mailer_location AS VARCHAR) <> '0') AS mailed
    FROM promotions GROUP BY ALL
)
SELECT concat(kind, '-', week) AS promotion_id, product_id, DATE '2016-12-26' + 7 * (week - 1) AS start_day,
    DATE '2016-12-26' + 7 * week - 1 AS end_day, kind
FROM (SELECT *, 'display' AS kind FROM places WHERE shown UNION ALL SELECT *, 'feature' FROM places WHERE mailed)""",
)

_COUPONS = """
INSERT INTO plan SELECT DISTINCT
    concat('campaign-', c.campaign_id), replace(CAST(product_id AS VARCHAR), '9e+05', '900000'),
    CAST(start_date AS DATE), CAST(end_date AS DATE), 'email'
FROM coupons c JOIN campaign_descriptions d ON CAST(c.campaign_id AS VARCHAR) = CAST(d.campaign_id AS VARCHAR)"""

_PRODUCTS = """
SELECT product_id, title, category, brand, price
FROM catalogue JOIN (
    SELECT product_id, round(median(unit_price + card_discount), 4) AS price FROM kept GROUP BY ALL
) USING (product_id) ORDER BY product_id"""

_PROMOTIONS = """
FROM plan SEMI JOIN kept USING (product_id) ORDER BY start_day, promotion_id, product_id"""


def load(path: Path) -> Loaded:
    """Contract tables from the folder `path`. Raises UsageError that names a file which is not there."""
    with database() as connection:
        given = [name for name in COLUMNS if _register(connection, name, path)]
        for statement in _PREPARE:
            connection.execute(statement)
        if set(OPTIONAL) <= set(given):
            connection.execute(_COUPONS)
        return Loaded(_tables(connection), count(connection, "FROM lines"), _dropped(connection))


def _register(connection: duckdb.DuckDBPyConnection, name: str, path: Path) -> bool:
    found = [file for stem in (name, f"{name}_sample") for file in files(path, stem) if file.stem == stem][:1]
    if not found and name in OPTIONAL:
        return False
    told = f"{name} or {name}_sample (.parquet or .csv) with {', '.join(COLUMNS[name])}; original: {ORIGIN}"
    register(connection, name, found, COLUMNS[name], told)
    return True


def _tables(connection: duckdb.DuckDBPyConnection) -> dict[str, pa.Table]:
    return {
        "products": contract_table(connection, "products", _PRODUCTS),
        "order_lines": contract_table(
            connection, "order_lines", "FROM kept ORDER BY ordered_at, order_id, line_no"
        ),
        "promotions": contract_table(connection, "promotions", _PROMOTIONS),
        "events": events(occasion for year in (2016, 2017, 2018) for occasion in united_states(year)),
    }


def _dropped(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    query = "SELECT reason, count(*) FROM lines WHERE reason IS NOT NULL GROUP BY ALL ORDER BY ALL"
    return {str(reason): int(n) for reason, n in connection.execute(query).fetchall()}
