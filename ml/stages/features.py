"""Stage `features`: validated tables in, one family's feature table out."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ml.config import load_params
from ml.contracts import TABLES
from ml.contracts.base import event_time
from ml.errors import DataRejected
from ml.families import family as family_of
from ml.seams.engine import open_engine
from ml.stages import NEWEST, run_stage_main
from ml.stages.family_params import params_of

if TYPE_CHECKING:
    import ibis


def features(name: str) -> None:
    """Compute the matrix of family `name` from data/validated into data/features/<name>/.

    The rows are checked by the family's suite; DataRejected if a table is missing or a critical expectation fails.
    """
    params = load_params()
    record = family_of(name)
    target = Path("data/features") / name
    with open_engine(params.features, Path(f"data/scratch-{name}")) as engine:
        tables = {table: engine.table(table, _validated(table)) for table in record.tables}
        matrix = record.features(tables, params.as_of, params_of(record, params))
        engine.write(matrix, target, record.key)
        newest = _newest(tables[record.tables[0]], record.tables[0])
    (target / NEWEST).write_text(json.dumps({"table": record.tables[0], "newest": newest}))
    _check(name, target, params.as_of)


def _newest(rows: ibis.Table, table: str) -> str | None:
    """When the last of the events happened that the family learns from; None for a table without time."""
    when = event_time(TABLES[table])
    found = rows[when].max().to_pyarrow().as_py() if when else None
    return found.isoformat() if found else None


def _validated(table: str) -> Path:
    folder = Path("data/validated") / table
    if not any(folder.glob("*.parquet")):
        raise DataRejected(
            f"table {table}: no validated rows in {folder}",
            expected="the rows that passed `validate`",
            next_step=f"run the stages snapshot@{table} and validate@{table} first, or pull them with `dvc pull`",
        )
    return folder


def _check(name: str, target: Path, as_of: date) -> None:
    from ml.seams.quality import check_features

    suite = Path("expectations/features") / f"{name}.json"
    check_features(str(target / "*.parquet"), suite, target, as_of=as_of)


if __name__ == "__main__":
    run_stage_main(features)
