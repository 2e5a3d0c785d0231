"""Retweets under #auspol: 3,333 cascades with the follower count of everyone in them.

Original: `data/auspol.rda` of the R package evently, https://github.com/behavioral-ds/evently (CC BY-NC 4.0:
non-commercial use only), its list of data frames flattened to Parquet or CSV: cascade_id (place in the list),
event_idx (row of the frame), time (seconds since the original tweet), magnitude (followers), user.

- A cascade is a product; its first row is the original tweet, and the parent of all retweets.
- The set has no dates. The cascades are placed an hour apart in the order of the file, from 2018-01-01: what a creator
  did "before" is then an order of the file and no more, so this set says nothing about creators' histories.
- A creator's followers are the largest number seen of them.

Dropped from `posts`: `weeks later`, retweets more than four weeks after the original (of years-old tweets).
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from ml.sources import Loaded
from ml.sources.reading import contract_table, count, database, files, register

ORIGIN = "https://github.com/behavioral-ds/evently"
COLUMNS = ("cascade_id", "event_idx", "time", "magnitude", "user")
EXPECTED = f"events.parquet or .csv with {', '.join(COLUMNS)}; original: {ORIGIN}"

_EVENTS = """
CREATE TABLE events AS SELECT
    CAST(CAST(cascade_id AS BIGINT) AS VARCHAR) AS product_id, CAST(event_idx AS BIGINT) AS place,
    CAST(CAST("user" AS BIGINT) AS VARCHAR) AS creator_id, CAST(magnitude AS BIGINT) AS followers,
    TIMESTAMP '2018-01-01' + to_hours(dense_rank() OVER (ORDER BY CAST(cascade_id AS BIGINT)) - 1)
        + to_microseconds(CAST(round(CAST("time" AS DOUBLE) * 1e6) AS BIGINT)) AS posted_at,
    CASE WHEN CAST("time" AS DOUBLE) > 28 * 86400 THEN 'weeks later' END AS reason
FROM retweets"""

_POSTS = """
SELECT format('{}-{:06d}', product_id, place) AS post_id, posted_at, product_id, creator_id, 'twitter' AS platform,
    CASE WHEN place > first THEN format('{}-{:06d}', product_id, first) END AS parent_post_id
FROM (SELECT *, min(place) OVER (PARTITION BY product_id) AS first FROM events WHERE reason IS NULL)
ORDER BY posted_at, post_id"""

_PRODUCTS = """
SELECT DISTINCT product_id, 'tweet ' || product_id AS title, 'auspol' AS category, 0.0 AS price
FROM events WHERE reason IS NULL ORDER BY product_id"""

_CREATORS = """
SELECT creator_id, greatest(max(followers), 0) AS followers FROM events WHERE reason IS NULL
GROUP BY creator_id ORDER BY creator_id"""


def load(path: Path) -> Loaded:
    """Contract tables from the file or folder `path`. Raises UsageError if the retweets are not there."""
    with database() as connection:
        register(connection, "retweets", files(path, "events"), COLUMNS, EXPECTED)
        connection.execute(_EVENTS)
        queries = {"products": _PRODUCTS, "posts": _POSTS, "creators": _CREATORS}
        tables = {name: contract_table(connection, name, query) for name, query in queries.items()}
        return Loaded(tables, count(connection, "FROM events"), _dropped(connection))


def _dropped(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    query = "SELECT reason, count(*) FROM events WHERE reason IS NOT NULL GROUP BY ALL ORDER BY ALL"
    return {str(reason): int(n) for reason, n in connection.execute(query).fetchall()}
