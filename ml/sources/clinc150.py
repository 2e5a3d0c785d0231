"""CLINC150: single requests to an assistant, of 150 intents and of none of them.

Original: https://github.com/clinc/oos-eval (CC BY 3.0; Larson et al., EMNLP 2019), `data_full.json` as one table
`queries_full` (Parquet or CSV) with `split`, `text` and `intent`; out-of-scope requests have the intent `oos`.

- A request is a dialogue of one user turn, `clinc-<row>`; its intent is an annotation by `authors`.
- The training parts (`train`, `oos_train`) come before all others in time; within, the order is at random (`untimed`).
- `domain` is a function of the intent, and stays null. There is hardly any training of `oos` (100 of 15,100): it is
  an intent like the others here, and what to do with it is the family's matter.

Nothing is dropped; some of the texts occur in the official test part too, which is not read.
"""

from __future__ import annotations

from pathlib import Path

from ml.sources import Loaded
from ml.sources.reading import count, database, files, register
from ml.sources.untimed import dialogue_tables

ORIGIN = "https://github.com/clinc/oos-eval"
COLUMNS = ("split", "text", "intent")
EXPECTED = f"queries_full.parquet or queries_full.csv with {', '.join(COLUMNS)}; original: {ORIGIN}"

_PREPARE = (
    """
CREATE TABLE said AS SELECT concat('clinc-', position) AS dialogue_id, 0 AS turn_idx, 'user' AS speaker, text, intent,
    if(split IN ('train', 'oos_train'), 0, 1) AS part
FROM queries""",
    """
CREATE TABLE marked AS SELECT dialogue_id, turn_idx, 'intent' AS kind, 'authors' AS annotator_id, intent AS label
FROM said""",
)


def load(path: Path) -> Loaded:
    """Contract tables from the file or folder `path`. Raises UsageError if the queries are not there."""
    with database() as connection:
        register(connection, "queries", files(path, "queries_full"), COLUMNS, EXPECTED)
        for statement in _PREPARE:
            connection.execute(statement)
        tables = dialogue_tables(connection)
        return Loaded(tables, count(connection, "FROM queries"), {})
