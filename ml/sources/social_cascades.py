"""Adoption cascades: links on Twitter (2010), phrases in MemeTracker (2008/09), books on Douban (2008 to 2011).

Originals: Twitter and MemeTracker https://github.com/albertyang33/FOREST, Douban https://github.com/slingling/MS-HGAT
(research use; cite Hodas and Lerman 2014; Leskovec, Backstrom and Kleinberg 2009; Zhong et al. 2012). Each as a file
`twitter`, `memetracker` or `douban` (.parquet or .csv) with one row per adoption: cascade_id, event_idx, user, time.
The three share no users, so a load takes one of them: give the file, or a folder that holds no more than one.

- A cascade is a product, of the category that the file is named after; an adoption is a post, in the order of
  event_idx. The first adoption is taken as the parent of all others: the sets say who came after whom, not from whom.
- Times are milliseconds (Twitter), seconds (Douban) or hours (MemeTracker) since 1970; their size tells which.
- Nothing is known of followers (0), prices (0), texts or images, and there are no orders.

Dropped from `posts`: `no time` and `no user`, rows where these are missing. Cascades below the authors' minimum size
(4, 5 and 6) were never in the files.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from ml.errors import UsageError
from ml.sources import Loaded
from ml.sources.reading import contract_table, count, database, files, register

ORIGIN = "https://github.com/albertyang33/FOREST and https://github.com/slingling/MS-HGAT"
COLUMNS = ("cascade_id", "event_idx", "user", "time")
SETS = ("twitter", "memetracker", "douban")
EXPECTED = f"one of {', '.join(SETS)} (.parquet or .csv) with {', '.join(COLUMNS)}; original: {ORIGIN}"

_EVENTS = """
CREATE TABLE events AS SELECT
    CAST(CAST(cascade_id AS BIGINT) AS VARCHAR) AS product_id, CAST(event_idx AS BIGINT) AS place,
    CAST(CAST("user" AS BIGINT) AS VARCHAR) AS creator_id, position,
    make_timestamp(CAST(round(CAST("time" AS DOUBLE) * unit) AS BIGINT)) AS posted_at,
    CASE WHEN "time" IS NULL THEN 'no time' WHEN "user" IS NULL THEN 'no user' END AS reason
FROM adoptions, (
    SELECT CASE WHEN max(CAST("time" AS DOUBLE)) > 1e11 THEN 1e3 WHEN max(CAST("time" AS DOUBLE)) > 1e8 THEN 1e6
        ELSE 3.6e9 END AS unit FROM adoptions)"""

_POSTS = """
SELECT {post} AS post_id, posted_at, product_id, creator_id, '{name}' AS platform,
    CASE WHEN place > first THEN format('{{}}-{{:06d}}', product_id, first) END AS parent_post_id
FROM (SELECT *, min(place) OVER (PARTITION BY product_id) AS first FROM events WHERE reason IS NULL)
ORDER BY posted_at, post_id"""


def load(path: Path) -> Loaded:
    """Contract tables from one file, or from a folder with one. Raises UsageError where there are several, or none."""
    file = _one(path)
    name = file.stem
    with database() as connection:
        register(connection, "adoptions", [file], COLUMNS, EXPECTED)
        connection.execute(_EVENTS)
        posts = contract_table(
            connection, "posts", _POSTS.format(post="format('{}-{:06d}', product_id, place)", name=name)
        )
        tables = {
            "products": contract_table(connection, "products", _products(name)),
            "posts": posts,
            "creators": contract_table(connection, "creators", _CREATORS),
        }
        return Loaded(tables, count(connection, "FROM events"), _dropped(connection))


_CREATORS = "SELECT DISTINCT creator_id, 0 AS followers FROM events WHERE reason IS NULL ORDER BY creator_id"


def _products(name: str) -> str:
    return f"""SELECT DISTINCT product_id, '{name} ' || product_id AS title, '{name}' AS category, 0.0 AS price
    FROM events WHERE reason IS NULL ORDER BY product_id"""


def _one(path: Path) -> Path:
    found = [path] if path.is_file() else [f for name in SETS for f in files(path, name) if f.stem == name]
    if len(found) == 1:
        return found[0]
    raise UsageError(
        "one of the three sets at a time: they share no users, and lie years apart",
        found=", ".join(file.name for file in found) or "none of the files",
        expected=EXPECTED,
        next_step="give the file itself: --path DIR/twitter.parquet",
    )


def _dropped(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    query = "SELECT reason, count(*) FROM events WHERE reason IS NOT NULL GROUP BY ALL ORDER BY ALL"
    return {str(reason): int(n) for reason, n in connection.execute(query).fetchall()}
