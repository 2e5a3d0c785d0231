"""CamRest676: people look for a restaurant in Cambridge, with a wizard as the assistant; did they finish?

Original: https://github.com/shawnwun/NNDIAL, data/CamRest676.json (Apache-2.0; Wen et al., EACL 2017) as two tables
(Parquet or CSV): `dialogues` with `dialogue_id` and `finished`; `turns` with `dialogue_id`, `turn`, `usr_transcript`
and `sys_sent`.

- A row of the original is an exchange, and becomes two turns: the user's, then the assistant's.
- `finished` is an annotation `goal_success`, `yes` or `no`, on the dialogue's last turn, by `wizard`. A dialogue is one
  goal; nobody marked boundaries, so there are none. 96 in 100 finished: accuracy says nothing here.
- The user's slots and the wizard's acts are notes, not an assistant's output: they are left out.
- The set tells no times; see `untimed`.

Dropped, each exchange counted once: `no such dialogue` (its dialogue is not in `dialogues`).
"""

from __future__ import annotations

from pathlib import Path

from ml.sources import Loaded
from ml.sources.reading import count, database, files, register
from ml.sources.untimed import dialogue_tables

ORIGIN = "https://github.com/shawnwun/NNDIAL"
COLUMNS = {
    "dialogues": ("dialogue_id", "finished"),
    "turns": ("dialogue_id", "turn", "usr_transcript", "sys_sent"),
}

_PREPARE = (
    """
CREATE TABLE exchanges AS SELECT CAST(t.dialogue_id AS VARCHAR) AS dialogue_id, CAST(t.turn AS BIGINT) AS turn,
    usr_transcript, sys_sent, CAST(d.finished AS BOOLEAN) AS finished
FROM turns t JOIN dialogues d ON CAST(t.dialogue_id AS VARCHAR) = CAST(d.dialogue_id AS VARCHAR)""",
    """
CREATE TABLE said AS SELECT dialogue_id, 2 * turn AS turn_idx, 'user' AS speaker,
    coalesce(usr_transcript, '') AS text, 0 AS part
FROM exchanges UNION ALL SELECT dialogue_id, 2 * turn + 1, 'assistant', coalesce(sys_sent, ''), 0 FROM exchanges""",
    """
CREATE TABLE marked AS SELECT dialogue_id, 2 * max(turn) + 1 AS turn_idx, 'goal_success' AS kind,
    'wizard' AS annotator_id, if(any_value(finished), 'yes', 'no') AS label
FROM exchanges GROUP BY dialogue_id""",
)


def load(path: Path) -> Loaded:
    """Contract tables from the folder `path`. Raises UsageError that names a file which is not there."""
    with database() as connection:
        for name, columns in COLUMNS.items():
            found = [file for file in files(path, name) if file.stem == name]
            told = f"{name}.parquet or {name}.csv with {', '.join(columns)}; original: {ORIGIN}"
            register(connection, name, found, columns, told)
        for statement in _PREPARE:
            connection.execute(statement)
        read, kept = count(connection, "FROM turns"), count(connection, "FROM exchanges")
        tables = dialogue_tables(connection)
        return Loaded(tables, read, {"no such dialogue": read - kept} if read > kept else {})
