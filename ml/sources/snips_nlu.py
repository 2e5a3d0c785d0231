"""Snips: spoken-style requests of seven intents.

Original: https://github.com/sonos/nlu-benchmark (CC0; Coucke et al., 2018, arXiv:1805.10190), the files
`train_<Intent>_full.json` of `2017-06-custom-intent-engines` as one table `train_full` (Parquet or CSV) with `intent`,
`idx` (place in its file) and `text`.

- A request is a dialogue of one user turn, `snips-<intent>-<idx>`; its intent is an annotation by `authors`.
- The order in time is at random (`untimed`).

Dropped, counted: `said before` (the same words with the same intent: on both sides of a split they would be a copy of
the answer). A text that two intents share stays in both.
"""

from __future__ import annotations

from pathlib import Path

from ml.sources import Loaded
from ml.sources.reading import count, database, files, register
from ml.sources.untimed import dialogue_tables

ORIGIN = "https://github.com/sonos/nlu-benchmark"
COLUMNS = ("intent", "idx", "text")
EXPECTED = f"train_full.parquet or train_full.csv with {', '.join(COLUMNS)}; original: {ORIGIN}"

_PREPARE = (
    """
CREATE TABLE said AS SELECT concat('snips-', intent, '-', idx) AS dialogue_id, 0 AS turn_idx, 'user' AS speaker, text,
    intent, 0 AS part
FROM queries QUALIFY row_number() OVER (PARTITION BY intent, text ORDER BY position) = 1""",
    """
CREATE TABLE marked AS SELECT dialogue_id, turn_idx, 'intent' AS kind, 'authors' AS annotator_id, intent AS label
FROM said""",
)


def load(path: Path) -> Loaded:
    """Contract tables from the file or folder `path`. Raises UsageError if the queries are not there."""
    with database() as connection:
        register(connection, "queries", files(path, "train_full"), COLUMNS, EXPECTED)
        for statement in _PREPARE:
            connection.execute(statement)
        tables = dialogue_tables(connection)
        read = count(connection, "FROM queries")
        again = read - tables["turns"].num_rows
        return Loaded(tables, read, {"said before": again} if again else {})
