"""ESCI, the Shopping Queries Data Set: how relevant a product is for a real query (Reddy et al. 2022).

Original: https://github.com/amazon-science/esci-data (Apache-2.0; arXiv:2206.06588), as tables `judgments_titles_500q`
(query, product_id, product_text, esci_label) and, where there is one, `judgments_150q` (query, product_id, esci_label),
Parquet or CSV.

- Grades: E(xact) 3, S(ubstitute) 2, C(omplement) 1, I(rrelevant) 0.
- The label is what several people agreed on: it stands as the judgement of one annotator, `esci`. Who they were is not
  told, so nothing can be learned of annotators here.
- A product is what `product_text` (the title's first 200 characters) says. Nothing is known of prices (1 for all, so
  that ratios say nothing) and categories (`all`).
- No times are told: queries are laid evenly over 2022, in the order of the MD5 of their text, so that a split by time
  is a split by query, at random.

Dropped, counted: `no such label`, `product without a title` (the second table tells ids alone: its rows are kept where
the first has the product), `judged before` (the same query and product again).
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from ml.sources import Loaded
from ml.sources.reading import contract_table, count, database, files, register

ORIGIN = "https://github.com/amazon-science/esci-data"
TITLED, UNTITLED = "judgments_titles_500q", "judgments_150q"
COLUMNS = ("query", "product_id", "esci_label")
EXPECTED = (
    f"{TITLED} (.parquet or .csv) with {', '.join(COLUMNS)}, product_text; and, if it is there, "
    f"{UNTITLED} with {', '.join(COLUMNS)}; original: {ORIGIN}"
)

_JUDGED = """
CREATE TABLE judged AS
WITH titles AS (
    SELECT product_id, arg_min(product_text, place) AS title FROM titled
    WHERE trim(product_text) <> '' GROUP BY product_id
), every AS (
    SELECT query, product_id, esci_label, place, 1 AS part FROM titled
    UNION ALL BY NAME SELECT query, product_id, esci_label, place, 2 AS part FROM untitled
), graded AS (
    SELECT * FROM every LEFT JOIN (FROM (VALUES ('E', 3), ('S', 2), ('C', 1), ('I', 0)) AS t(esci_label, grade))
    USING (esci_label) LEFT JOIN titles USING (product_id)
)
SELECT *, CASE
    WHEN grade IS NULL THEN 'no such label'
    WHEN title IS NULL THEN 'product without a title'
    WHEN row_number() OVER (PARTITION BY query, product_id, grade IS NULL ORDER BY part, place) > 1 THEN 'judged before'
END AS dropped FROM graded"""
_PRODUCTS = """
SELECT product_id, any_value(title) AS title, 'all' AS category, 1.0 AS price FROM judged WHERE dropped IS NULL
GROUP BY product_id ORDER BY product_id"""
_JUDGEMENTS = """
WITH days AS (
    SELECT query, DATE '2022-01-01' + CAST(floor(
        (row_number() OVER (ORDER BY md5(query), query) - 1) * 364 / count(*) OVER ()) AS INTEGER) AS day
    FROM (SELECT DISTINCT query FROM judged WHERE dropped IS NULL)
)
SELECT query, product_id, 'esci' AS annotator_id, CAST(day AS TIMESTAMP) AS judged_at, grade
FROM judged JOIN days USING (query) WHERE dropped IS NULL ORDER BY judged_at, query, product_id"""


def load(path: Path) -> Loaded:
    """Contract tables from the file or folder `path`. Raises UsageError if the titled judgements are not there."""
    with database() as connection:
        register(
            connection, "titled", _named(path, TITLED), (*COLUMNS, "product_text"), EXPECTED, order="place"
        )
        if more := _named(path, UNTITLED):
            register(connection, "untitled", more, COLUMNS, EXPECTED, order="place")
        else:
            connection.execute("CREATE TABLE untitled AS FROM titled LIMIT 0")
        connection.execute(_JUDGED)
        return Loaded(_tables(connection), count(connection, "FROM judged"), _dropped(connection))


def _named(path: Path, stem: str) -> list[Path]:
    found = [file for file in files(path, stem) if file.stem == stem]
    return found or ([path] if path.is_file() and stem == TITLED else [])


def _tables(connection: duckdb.DuckDBPyConnection) -> dict[str, pa.Table]:
    return {
        "products": contract_table(connection, "products", _PRODUCTS),
        "judgements": contract_table(connection, "judgements", _JUDGEMENTS),
    }


def _dropped(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    query = "SELECT dropped, count(*) FROM judged WHERE dropped IS NOT NULL GROUP BY dropped ORDER BY dropped"
    return {str(reason): int(n) for reason, n in connection.execute(query).fetchall()}
