"""User Satisfaction Simulation: dialogues of four corpora, each user turn rated 1 to 5 by three to seven people.

Original: https://github.com/sunnweiwei/user-satisfaction-simulation (Sun et al., SIGIR 2021), files `dataset/*.txt` as
one table `turns` (Parquet or CSV) with `dialogue_id`, `turn_idx`, `speaker` (USER, SYSTEM), `text`, `satisfaction`
(the list of ratings, e.g. [3, 3, 2]) and `is_overall`. The repository has no licence for the ratings: research only.

- A rating is an annotation of kind `satisfaction`, label "1" to "5", on the user's turn that it stands on. The raters
  saw what came before that turn: they judge how the user felt when saying it.
- The annotator is `<dialogue>:<place in the list>`. Raters are anonymous and cannot be told apart across dialogues;
  within one, a place is one rater. An annotator of one dialogue alone has no confusion that could be estimated.
- The dialogue acts are the authors' own notes, not an assistant's output: `action` stays null. So do the confidences.
- The set tells no times; see `untimed`.

Dropped from `turns`, counted: `rates the whole dialogue` (rows OVERALL: their ratings are of no turn, and are no goal
success either: dialogues that fail are rated like those that succeed). Ties are kept as they are, rating by rating.
"""

from __future__ import annotations

from pathlib import Path

from ml.sources import Loaded
from ml.sources.reading import count, database, files, register
from ml.sources.untimed import dialogue_tables

ORIGIN = "https://github.com/sunnweiwei/user-satisfaction-simulation"
COLUMNS = ("dialogue_id", "turn_idx", "speaker", "text", "satisfaction", "is_overall")
EXPECTED = f"turns.parquet or turns.csv with {', '.join(COLUMNS)}; original: {ORIGIN}"

_PREPARE = (
    """
CREATE TABLE said AS SELECT CAST(dialogue_id AS VARCHAR) AS dialogue_id, CAST(turn_idx AS BIGINT) AS turn_idx,
    if(upper(speaker) = 'USER', 'user', 'assistant') AS speaker, coalesce(text, '') AS text, 0 AS part,
    CAST(CAST(satisfaction AS VARCHAR) AS BIGINT[]) AS ratings
FROM utterances WHERE NOT CAST(is_overall AS BOOLEAN)""",
    """
CREATE TABLE marked AS SELECT dialogue_id, turn_idx, 'satisfaction' AS kind,
    concat(dialogue_id, ':', place) AS annotator_id, CAST(ratings[place] AS VARCHAR) AS label
FROM (SELECT *, unnest(range(1, len(ratings) + 1)) AS place FROM said WHERE len(ratings) > 0)""",
)


def load(path: Path) -> Loaded:
    """Contract tables from the file or folder `path`. Raises UsageError if the turns are not there."""
    with database() as connection:
        register(connection, "utterances", files(path, "turns"), COLUMNS, EXPECTED)
        for statement in _PREPARE:
            connection.execute(statement)
        read = count(connection, "FROM utterances")
        tables = dialogue_tables(connection)
        overall = read - tables["turns"].num_rows
        return Loaded(tables, read, {"rates the whole dialogue": overall} if overall else {})
