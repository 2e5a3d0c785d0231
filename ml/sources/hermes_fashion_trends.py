"""HERMES fashion trends: weekly visibility of 100 trends on social media, 2015 to 2019.

Original: https://github.com/etidav/HERMES, `data/f1_main_100_sequences.csv` and
`data/f1_fashion_forward_100_sequences.csv` (research use; cite David, Bellot, Le Corff, arXiv:2202.03224); or one
`series` file (.parquet or .csv) with date, series_id, main and fashion_forward.

- A trend is a product, `market_gender_category_number`; its category is `gender category`.
- The set holds shares, not posts. A share becomes posts: of everybody's (`main`) and of influencers'
  (`fashion_forward`) visibility, one post for every `POSTS_AT`-th of the series' own mean share, evenly over the
  week. Fractions are carried on, so that a series keeps its sums; how large a trend is against another is not kept.
- There are two creators a market, `everybody` and `fashion forward`; the number of their followers is not known
  (0). The platform is the market (br, cn, eu, jp, us …).
- There are no reshares, texts, images, prices (0) or orders. The last week's posts end on the Sunday after it.

Dropped: nothing; `read` counts weeks of series, each of which becomes any number of posts, none too.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from ml.sources import Loaded
from ml.sources.reading import contract_table, count, database, files, register

ORIGIN = "https://github.com/etidav/HERMES"
POSTS_AT = 4
"""Posts a week of a series at its mean share."""

COLUMNS = ("date", "series_id", "main", "fashion_forward")
EXPECTED = f"series.parquet or series.csv with {', '.join(COLUMNS)}; original: {ORIGIN}"
_WIDE = ("f1_main_100_sequences.csv", "f1_fashion_forward_100_sequences.csv")

_SHARES = """
CREATE TABLE shares AS
SELECT CAST(date AS DATE) AS week, CAST(series_id AS VARCHAR) AS product_id, crowd,
    greatest(coalesce(share, 0), 0) AS share
FROM (UNPIVOT (
    SELECT date, series_id, CAST(main AS DOUBLE) AS "everybody", CAST(fashion_forward AS DOUBLE) AS "fashion forward"
    FROM series
) ON "everybody", "fashion forward" INTO NAME crowd VALUE share)"""

_COUNTED = f"""
CREATE TABLE counted AS
WITH summed AS (
    SELECT *, sum(share) OVER (PARTITION BY product_id, crowd ORDER BY week) AS reached,
        avg(share) OVER (PARTITION BY product_id, crowd) / {POSTS_AT} AS worth
    FROM shares
)
SELECT week, product_id, crowd, CASE WHEN worth > 0 THEN
    CAST(floor(reached / worth + 1e-6) - floor((reached - share) / worth + 1e-6) AS BIGINT) ELSE 0 END AS posts
FROM summed"""

_POSTS = """
SELECT concat_ws('|', product_id, crowd, week, place) AS post_id,
    CAST(week AS TIMESTAMP) + to_microseconds(CAST((place + 0.5) / posts * 604800 AS BIGINT) * 1000000) AS posted_at,
    product_id, concat(split_part(product_id, '_', 1), ' ', crowd) AS creator_id,
    split_part(product_id, '_', 1) AS platform
FROM (SELECT *, unnest(range(posts)) AS place FROM counted) ORDER BY posted_at, post_id"""

_PRODUCTS = """
SELECT product_id, replace(product_id, '_', ' ') AS title,
    concat_ws(' ', split_part(product_id, '_', 2), split_part(product_id, '_', 3)) AS category, 0.0 AS price
FROM (SELECT DISTINCT product_id FROM shares) ORDER BY product_id"""

_CREATORS = """
SELECT DISTINCT concat(split_part(product_id, '_', 1), ' ', crowd) AS creator_id, 0 AS followers
FROM counted ORDER BY creator_id"""


def load(path: Path) -> Loaded:
    """Contract tables from the file or folder `path`. Raises UsageError if it holds neither form of the set."""
    with database() as connection:
        if path.is_dir() and all((path / name).is_file() for name in _WIDE):
            _register_wide(connection, path)
        else:
            register(connection, "series", files(path, "series"), COLUMNS, EXPECTED)
        connection.execute(_SHARES)
        connection.execute(_COUNTED)
        queries = {"products": _PRODUCTS, "creators": _CREATORS, "posts": _POSTS}
        tables = {name: contract_table(connection, name, query) for name, query in queries.items()}
        return Loaded(tables, count(connection, "FROM series"), {})


def _register_wide(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """The authors' two wide files (a first column of dates, one column a series) as the table `series`."""
    for table, name in zip(("main", "forward"), _WIDE, strict=True):
        source = str(folder / name).replace("'", "''")
        connection.execute(f"CREATE VIEW wide_{table} AS SELECT * FROM read_csv('{source}', header = true)")
        first = connection.execute(f"DESCRIBE wide_{table}").fetchall()[0][0]
        long = f'UNPIVOT wide_{table} ON COLUMNS(* EXCLUDE "{first}") INTO NAME series_id VALUE share'
        connection.execute(
            f'CREATE TABLE {table} AS SELECT "{first}" AS date, series_id, share FROM ({long})'
        )
    connection.execute(
        """CREATE TABLE series AS SELECT date, series_id, main.share AS main, forward.share AS fashion_forward
           FROM main JOIN forward USING (date, series_id)"""
    )
