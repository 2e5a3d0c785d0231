"""Online Retail (UCI): every invoice line of a British gift wholesaler, 2010-12-01 to 2011-12-09.

Original: https://archive.ics.uci.edu/dataset/352/online+retail (CC BY 4.0; Chen, Sain and Guo, 2012,
doi:10.1057/dbm.2012.17). Save the sheet as CSV, or give Parquet with the same columns; any part of it will do.

Dropped from `order_lines`, each line counted under the first reason that holds:

- `not a product`: stock codes such as POST, DOT, M, S, BANK CHARGES, AMAZONFEE and gift vouchers. Products are
  five digits with up to two letters, and the DCGS series; 23444 is a carriage charge.
- `price not positive`: corrections of stock ("damaged", "found", "wrongly coded") and of bad debt, not sales.
- `no quantity`: nothing was sold.
- `order cancelled within a day`: an order line, and the cancellation by the same customer of exactly its quantity
  at most a day later; both go. The largest two lines of the year are such a pair, 16 minutes apart.

Other cancellations (invoice C...) are returns, and stay as negative quantities. Exact duplicates stay: the till
wrote two lines. Codes that differ only in case stay apart, as in the original. Local time is taken for UTC.

There is no product table: the title is the most frequent description in capitals (notes of the stock room are in
lower case), the category is read off the title (`gift_categories`), the price is the median unit price, and the
launch is the first sale, or null (always sold) if that is within the first four weeks of the file. There are
no promotions. Events are the public occasions of the United Kingdom in 2010 to 2012.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.sources import Loaded
from ml.sources.gift_categories import category
from ml.sources.occasions import events, united_kingdom
from ml.sources.reading import contract_table, count, database, files, register

ORIGIN = "https://archive.ics.uci.edu/dataset/352/online+retail"
COLUMNS = (
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID",
)  # fmt: skip
EXPECTED = f"transactions.parquet, or a CSV of the sheet, with {', '.join(COLUMNS)}; original: {ORIGIN}"
UNDONE_WITHIN = timedelta(days=1)
PRODUCT = "^([0-9]{5}[A-Za-z]{0,2}|DCGS[A-Z0-9]+)$"
CARRIAGE = "23444"

_LINES = f"""
CREATE TABLE lines AS SELECT
    position, CAST(InvoiceNo AS VARCHAR) AS order_id, trim(CAST(StockCode AS VARCHAR)) AS product_id,
    regexp_replace(trim(Description), '\\s+', ' ', 'g') AS description,
    CAST(Quantity AS DOUBLE) AS quantity, CAST(UnitPrice AS DOUBLE) AS unit_price,
    coalesce(
        try_cast(InvoiceDate AS TIMESTAMP),
        try_strptime(CAST(InvoiceDate AS VARCHAR), ['%m/%d/%Y %H:%M', '%m/%d/%y %H:%M'])
    ) AS ordered_at,
    CAST(CAST(try_cast(CustomerID AS DOUBLE) AS BIGINT) AS VARCHAR) AS customer_id,
    row_number() OVER (PARTITION BY InvoiceNo ORDER BY position) AS line_no,
    CASE
        WHEN NOT coalesce(regexp_matches(trim(CAST(StockCode AS VARCHAR)), '{PRODUCT}'), false) THEN 'not a product'
        WHEN trim(CAST(StockCode AS VARCHAR)) = '{CARRIAGE}' THEN 'not a product'
        WHEN NOT coalesce(CAST(UnitPrice AS DOUBLE) > 0, false) THEN 'price not positive'
        WHEN coalesce(CAST(Quantity AS DOUBLE), 0) = 0 THEN 'no quantity'
    END AS reason
FROM invoices"""

_PRODUCTS = """
WITH names AS (
    SELECT product_id, description, upper(description) = description AS proper, count(*) AS n
    FROM kept WHERE description <> '' GROUP BY ALL
), titles AS (
    SELECT product_id, first(description ORDER BY proper DESC, n DESC, description) AS title FROM names GROUP BY ALL
), sold AS (
    SELECT product_id, median(unit_price) AS price, date_trunc('day', min(ordered_at)) AS first_day
    FROM kept GROUP BY ALL
)
SELECT product_id, coalesce(title, product_id) AS title, price,
    CASE WHEN first_day >= (SELECT date_trunc('day', min(ordered_at)) + INTERVAL 28 DAY FROM lines) THEN first_day END
        AS launched_at
FROM sold LEFT JOIN titles USING (product_id) ORDER BY product_id"""


def load(path: Path) -> Loaded:
    """Contract tables from the file or folder `path`. Raises UsageError if the invoices are not there."""
    with database() as connection:
        register(connection, "invoices", files(path, "transactions"), COLUMNS, EXPECTED)
        connection.execute(_LINES)
        _mark_undone(connection)
        connection.execute("CREATE TABLE kept AS SELECT * FROM lines WHERE reason IS NULL")
        return Loaded(_tables(connection), count(connection, "FROM lines"), _dropped(connection))


def _tables(connection: duckdb.DuckDBPyConnection) -> Mapping[str, pa.Table]:
    return {
        "products": _products(connection),
        "order_lines": contract_table(connection, "order_lines", "FROM kept ORDER BY ordered_at, position"),
        "promotions": arrow_schema(TABLES["promotions"]).empty_table(),
        "events": events(occasion for year in (2010, 2011, 2012) for occasion in united_kingdom(year)),
    }


def _products(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    rows = connection.execute(_PRODUCTS).to_arrow_table().to_pylist()
    told = [row | {"category": category(row["title"])} for row in rows]
    return pa.Table.from_pylist(told, schema=arrow_schema(TABLES["products"]))


def _dropped(connection: duckdb.DuckDBPyConnection) -> Mapping[str, int]:
    query = "SELECT reason, count(*) FROM lines WHERE reason IS NOT NULL GROUP BY ALL ORDER BY ALL"
    return {str(reason): int(n) for reason, n in connection.execute(query).fetchall()}


def _mark_undone(connection: duckdb.DuckDBPyConnection) -> None:
    query = """SELECT position, customer_id, product_id, quantity, ordered_at FROM lines
    WHERE reason IS NULL AND customer_id IS NOT NULL
    QUALIFY min(quantity) OVER (PARTITION BY customer_id, product_id, abs(quantity)) < 0
    ORDER BY ordered_at, position"""
    undone = pa.table({"undone": pa.array(_undone(connection.execute(query).fetchall()), pa.int64())})
    connection.register("undone_lines", undone)
    connection.execute(
        "UPDATE lines SET reason = 'order cancelled within a day' WHERE position IN (SELECT undone FROM undone_lines)"
    )


def _undone(lines: Iterable[tuple[int, str, str, float, datetime]]) -> list[int]:
    """Positions of order lines and of the cancellations that undo them: each the latest one not yet undone."""
    waiting: dict[tuple[str, str, float], list[tuple[int, datetime]]] = defaultdict(list)
    undone: list[int] = []
    for position, customer, product, quantity, moment in lines:
        orders = waiting[customer, product, abs(quantity)]
        if quantity > 0:
            orders.append((position, moment))
        elif orders and moment - orders[-1][1] <= UNDONE_WITHIN:
            undone += [orders.pop()[0], position]
    return undone
