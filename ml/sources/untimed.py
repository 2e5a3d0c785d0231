"""Dialogues of data sets that tell no times: they are given times, in an order that means nothing.

The contract has a time for every turn and families split by it, so an adapter lays the dialogues evenly over one
year from 2020-01-01, ordered by the MD5 of their id: a split by time is then a split by dialogue, at random, and no
dialogue is ever on both sides. Where a data set has official parts (train, then validation), the parts follow each
other and are shuffled within. Turns of a dialogue are ten seconds apart, and people annotate it a day later.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from ml.sources.reading import contract_table

_CLOCK = """
CREATE TABLE clock AS SELECT dialogue_id,
    TIMESTAMP '2020-01-01' + to_microseconds(CAST(floor(
        (row_number() OVER (ORDER BY part, md5(dialogue_id), dialogue_id) - 1) * 364 * 86400e6 / count(*) OVER ()
    ) AS BIGINT)) AS begun_at
FROM (SELECT dialogue_id, min(part) AS part FROM said GROUP BY dialogue_id)"""

_TURNS = """
SELECT dialogue_id, turn_idx, begun_at + to_seconds(10 * turn_idx) AS said_at, speaker, text
FROM said JOIN clock USING (dialogue_id) ORDER BY said_at, dialogue_id, turn_idx"""
_ANNOTATIONS = """
SELECT dialogue_id, turn_idx, kind, annotator_id, begun_at + to_seconds(10 * turn_idx) + INTERVAL 1 DAY AS annotated_at,
    label
FROM marked JOIN clock USING (dialogue_id) ORDER BY annotated_at, dialogue_id, turn_idx, kind, annotator_id"""


def dialogue_tables(connection: duckdb.DuckDBPyConnection) -> dict[str, pa.Table]:
    """`turns` and `annotations` from the tables `said` and `marked`, with the times that they lack.

    `said` has dialogue_id, turn_idx, speaker, text and part (the official part's place in the order of parts), `marked`
    has dialogue_id, turn_idx, kind, annotator_id and label.
    """
    connection.execute(_CLOCK)
    return {
        "turns": contract_table(connection, "turns", _TURNS),
        "annotations": contract_table(connection, "annotations", _ANNOTATIONS),
    }
