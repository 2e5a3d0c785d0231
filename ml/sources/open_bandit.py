"""Open Bandit: results shown in a fashion shop's recommendation strip by two policies, with the true propensities.

Original: https://github.com/st-tech/zr-obp (Apache-2.0), folders `obd/{bts,random}/{men,women}` (10,000 impressions
each of the full data set of ZOZO Research; Saito et al. 2020, arXiv:2008.07146), as tables `impressions_<campaign>`
(Parquet or CSV) that also tell `behavior_policy` and `campaign`, the names of the folders.

- An impression is a search of its own, with one result: the sample keeps neither page views nor users. Its position
  (1 left, 2 centre, 3 right) is kept; its query is the campaign, whose page it was; its modality is screen; engaged is
  the click.
- Purchases are not told: `purchased` is false throughout, so nothing can be learned of purchases here.
- A product is an item of a campaign. Nothing is known of titles ("men item 12") or prices (1 for all, so that ratios
  say nothing); its hashed features are left out.
- The contract has no column for propensities, which few shops log: `logged` gives them beside the tables, by the
  `search_id` of the same impression.

Dropped, counted: `impossible propensity` (not in (0, 1]).
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from ml.sources import Loaded
from ml.sources.reading import contract_table, count, database, files, register

ORIGIN = "https://github.com/st-tech/zr-obp"
CAMPAIGNS = ("men", "women")
COLUMNS = ("behavior_policy", "campaign", "timestamp", "item_id", "position", "click", "propensity_score")
EXPECTED = (
    f"impressions_men and impressions_women (.parquet or .csv) with {', '.join(COLUMNS)}; original: {ORIGIN}"
)

_IMPRESSIONS = """
CREATE TABLE impressions AS
WITH every AS ({every})
SELECT concat_ws('-', campaign, behavior_policy,
        row_number() OVER (PARTITION BY campaign, behavior_policy ORDER BY searched_at, place)) AS search_id, *
FROM every WHERE propensity > 0 AND propensity <= 1"""
_ONE = """
SELECT campaign, behavior_policy, timezone('UTC', CAST("timestamp" AS TIMESTAMPTZ)) AS searched_at, place,
    CAST(item_id AS BIGINT) AS item_id, CAST(position AS BIGINT) AS position, CAST(click AS BIGINT) AS click,
    CAST(propensity_score AS DOUBLE) AS propensity FROM {table}"""
_PRODUCTS = """
SELECT DISTINCT concat_ws('-', campaign, item_id) AS product_id, concat(campaign, ' item ', item_id) AS title,
    campaign AS category, 1.0 AS price
FROM impressions ORDER BY category, length(product_id), product_id"""
_SEARCHES = """
SELECT search_id, position, searched_at, campaign AS query, 'screen' AS modality,
    concat_ws('-', campaign, item_id) AS product_id, click > 0 AS engaged, false AS purchased
FROM impressions ORDER BY searched_at, search_id"""
_LOGGED = """
SELECT search_id, campaign, behavior_policy, item_id, position, click, propensity FROM impressions
ORDER BY searched_at, search_id"""


def load(path: Path) -> Loaded:
    """Contract tables from the folder `path`. Raises UsageError if the impressions are not there."""
    with database() as connection:
        read = _read(connection, path)
        tables = {
            "products": contract_table(connection, "products", _PRODUCTS),
            "searches": contract_table(connection, "searches", _SEARCHES),
        }
        wrong = read - tables["searches"].num_rows
        return Loaded(tables, read, {"impossible propensity": wrong} if wrong else {})


def logged(path: Path) -> pa.Table:
    """search_id, campaign, behavior_policy, item_id, position, click (0 or 1), propensity: one row an impression."""
    with database() as connection:
        _read(connection, path)
        return connection.execute(_LOGGED).to_arrow_table()


def _read(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Fill the table `impressions`; the number of rows in the files."""
    for campaign in CAMPAIGNS:
        found = [
            file for file in files(path, f"impressions_{campaign}") if file.stem.endswith(f"_{campaign}")
        ]
        register(connection, campaign, found, COLUMNS, EXPECTED, order="place")
    every = " UNION ALL ".join(_ONE.format(table=campaign) for campaign in CAMPAIGNS)
    connection.execute(_IMPRESSIONS.format(every=every))
    return sum(count(connection, f"FROM {campaign}") for campaign in CAMPAIGNS)
