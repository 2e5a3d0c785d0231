"""One fit of a family's model, and one use of it, over a whole feature table: what `bench.throughput` times.

    python -m bench.learning fit ground_truth       # data/features/<family> -> data/model/<family>/final
    python -m bench.learning score ground_truth     # that model's predictions -> data/scores/<family>.parquet
    python -m bench.learning publish ground_truth   # what it would publish -> data/publications/<family>/

Run in a workspace (params.yaml, data/), where the stages up to `features` have run. The stage `train` fits once more
for each window of the backtest, on less; `evaluate` scores the windows.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml.config import load_params
from ml.families import family as family_of
from ml.seams.engine import open_engine
from ml.stages.family_params import params_of

STEPS = ("fit", "score", "publish")


def main() -> None:
    """Run the step that is named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("family")
    options = parser.parse_args()
    params, record = load_params(), family_of(options.family)
    with open_engine(params.features, Path(f"data/scratch-{record.name}")) as engine:
        matrix = engine.table("matrix", Path("data/features") / record.name)
        model = Path("data/model") / record.name / "final"
        own = params_of(record, params)
        if options.step == "fit":
            record.save(record.fit(matrix, params.as_of, own), model)
        elif options.step == "score":
            write({record.name: record.score(record.load(model), matrix, params.as_of)}, Path("data/scores"))
        else:
            tables = {name: engine.table(name, Path("data/validated") / name) for name in record.tables}
            made = record.publications(record.load(model), matrix, tables, params.as_of, own)
            write(made, Path("data/publications") / record.name)


def write(tables: Mapping[str, pa.Table], folder: Path) -> None:
    """One Parquet file each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        pq.write_table(rows, folder / f"{name}.parquet")


if __name__ == "__main__":
    main()
