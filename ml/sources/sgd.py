"""Schema-Guided Dialogue: people (simulated, then paraphrased) who give an assistant several tasks in one dialogue.

Original: https://github.com/google-research-datasets/dstc8-schema-guided-dialogue (CC BY-SA 4.0; Rastogi et al., AAAI
2020), one row a turn: tables `turns_train` and `turns_dev` (Parquet) with `dialogue_id`, `turn_idx`, `speaker`,
`utterance`, `services`, `active_intents` and `acts`. Either of the two will do; the official order (train, then dev
with services that train never saw) is the order of time, so a split by time within a part is at random by dialogue
(`untimed`).

The one annotator is `schema`: the labels are the simulator's own state, not a person's opinion.

- `intent`, on every user turn: the active intent (`FindEvents`), or `NONE`. A turn that goes from one goal to the next
  has a frame for each, in either order: it is of the one that was not active before. Intents of the same name in two
  services are one.
- `goal_boundary`, on every user turn: `yes` on the first turn with another service or another intent than the last
  active one, else `no`. `NONE` (a thank-you, a refusal of an offer) goes on with the goal that it follows.
- `goal_success`, on the last turn of a goal: `yes` or `no` after its last NOTIFY_SUCCESS or NOTIFY_FAILURE, so that a
  failure which a second attempt mends is a success. A goal with neither (a search that books nothing) has no label:
  whether it succeeded is not known.

Acts, services and slots are what the labels are made from; `action`, `domain` and `intent` of `turns` stay null, or
they would give the labels away. Part of the dialogues has no acts of users; those of the assistant are there in all.
Nothing is dropped.
"""

from __future__ import annotations

from pathlib import Path

from ml.sources import Loaded
from ml.sources.reading import count, database, files, register
from ml.sources.untimed import dialogue_tables

ORIGIN = "https://github.com/google-research-datasets/dstc8-schema-guided-dialogue"
COLUMNS = ("dialogue_id", "turn_idx", "speaker", "utterance", "services", "active_intents", "acts")
PARTS = ("turns_train", "turns_dev")
EXPECTED = f"turns_train.parquet and turns_dev.parquet (or one of them) with {', '.join(COLUMNS)}; original: {ORIGIN}"

_PREPARE = (
    """
CREATE TABLE said AS SELECT dialogue_id, CAST(turn_idx AS BIGINT) AS turn_idx,
    if(speaker = 'USER', 'user', 'assistant') AS speaker, utterance AS text,
    if(dialogue_id LIKE 'dev%', 1, 0) AS part, acts,
    list_filter(
        list_transform(range(1, coalesce(len(active_intents), 0) + 1), lambda i: [services[i], active_intents[i]]),
        lambda pair: pair[2] <> 'NONE'
    ) AS active
FROM utterances""",
    """
CREATE TABLE aimed AS SELECT *,
    coalesce(list_filter(active, lambda pair: NOT list_contains(before, pair))[-1], active[-1]) AS pursued
FROM (SELECT *, coalesce(last_value(CASE WHEN len(active) > 0 THEN active END IGNORE NULLS) OVER (
        PARTITION BY dialogue_id ORDER BY turn_idx ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), []) AS before FROM said)""",
    """
CREATE TABLE followed AS SELECT *, speaker = 'user' AND pursued IS NOT NULL AND coalesce(pursued <> last_value(pursued
    IGNORE NULLS) OVER (PARTITION BY dialogue_id ORDER BY turn_idx ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
    true) AS begins
FROM aimed""",
    """
CREATE TABLE numbered AS SELECT *,
    sum(CAST(begins AS INTEGER)) OVER (PARTITION BY dialogue_id ORDER BY turn_idx) AS goal
FROM followed""",
    """
CREATE TABLE ended AS SELECT dialogue_id, max(turn_idx) AS turn_idx,
    arg_max(list_contains(acts, 'NOTIFY_SUCCESS'), turn_idx) FILTER (
        speaker = 'assistant' AND list_has_any(acts, ['NOTIFY_SUCCESS', 'NOTIFY_FAILURE'])) AS succeeded
FROM numbered WHERE goal > 0 GROUP BY dialogue_id, goal""",
    """
CREATE TABLE marked AS SELECT *, 'schema' AS annotator_id FROM (
    SELECT dialogue_id, turn_idx, 'intent' AS kind, coalesce(pursued[2], 'NONE') AS label
    FROM numbered WHERE speaker = 'user'
    UNION ALL SELECT dialogue_id, turn_idx, 'goal_boundary', if(begins, 'yes', 'no')
    FROM numbered WHERE speaker = 'user'
    UNION ALL SELECT dialogue_id, turn_idx, 'goal_success', if(succeeded, 'yes', 'no')
    FROM ended WHERE succeeded IS NOT NULL)""",
)


def load(path: Path) -> Loaded:
    """Contract tables from the file or folder `path`. Raises UsageError if no turns are there."""
    with database() as connection:
        register(connection, "utterances", _found(path), COLUMNS, EXPECTED)
        for statement in _PREPARE:
            connection.execute(statement)
        tables = dialogue_tables(connection)
        return Loaded(tables, count(connection, "FROM utterances"), {})


def _found(path: Path) -> list[Path]:
    named = [file for part in PARTS for file in files(path, part) if file.stem == part]
    return named or ([path] if path.is_file() else [])
