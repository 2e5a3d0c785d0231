"""Every metric of a family against its baselines, on the windows of its backtest, in one run.

    python -m bench.quality                                   # the simulated world
    python -m bench.quality --data online_retail_uci --path DIR [--as-of DATE]
    python -m bench.quality --family ground_truth --data clinc150 --path DIR --windows 1

The rows are those that pass the stage `validate`; the windows, cases and truths are those of the stage `evaluate`:
rolling origins, oldest first. Prints Markdown tables; with `--out FILE` also writes all figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.throughput import make_workspace, process
from ml.actions.load import tables_of, write_folder
from ml.config import load_params
from ml.contracts import TABLES
from ml.contracts.base import arrow_schema, event_time
from ml.families import family
from ml.seams.conform import known_before
from ml.seams.engine import open_engine
from ml.stages.family_params import params_of

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", default="seasonality")
    parser.add_argument("--data", default="world", help="world or a data set of ml/sources")
    parser.add_argument("--path", type=Path, help="folder of the data set's files")
    parser.add_argument("--size", default="small", help="of the world")
    parser.add_argument("--as-of", type=date.fromisoformat, help="default: the day after the newest event")
    parser.add_argument("--windows", type=int, default=0, help="only so many, the newest; default: all")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a family's parameter"
    )
    parser.add_argument("--out", type=Path, help="JSON file for all figures")
    options = parser.parse_args()
    figures = measure(options)
    for window, models in figures["windows"].items():
        print(f"\n### {options.data}, {window}\n")
        print("\n".join(markdown(models)))
    print("\nseconds: " + ", ".join(f"{name} {value:.0f}" for name, value in figures["seconds"].items()))
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1, sort_keys=True))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All metrics by window and model, and how long each step took."""
    params = load_params(ROOT / "params.yaml")
    record = family(options.family)
    given = dict(setting.split("=", 1) for setting in options.set)
    own = record.params.model_validate(params_of(record, params).model_dump() | given)
    sceptic = with_every_baseline(own)
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        as_of = lay_out(options, record.tables, folder)
        with Timed(seconds, "validate"):
            for name in record.tables:
                if (folder / "work/data/snapshot" / name).exists():
                    process(folder / "work", "-m", "ml.stages.validate", name)
        with open_engine(params.features, folder / "spill") as engine:
            tables = {
                name: engine.table(name, folder / "work/data/validated" / name) for name in record.tables
            }
            with Timed(seconds, "features"):
                engine.write(record.features(tables, as_of, own), folder / "matrix", record.key)
            matrix = engine.table("matrix", folder / "matrix")
            windows = {}
            for fold in record.folds(matrix, as_of, own)[-options.windows :]:
                windows[fold.name] = dict(judged(record, fold, own, sceptic, seconds))
    return {"data": options.data, "as_of": as_of.isoformat(), "windows": windows, "seconds": seconds}


class Timed:
    """Add the seconds inside the block to `into[name]`."""

    def __init__(self, into: dict[str, float], name: str) -> None:
        self.into, self.name = into, name

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.into[self.name] = self.into.get(self.name, 0.0) + time.perf_counter() - self.start


def with_every_baseline(own: Any) -> Any:
    """The parameters of the baselines: with those that a retrain leaves out, for they take minutes."""
    if "encoder_baselines" not in type(own).model_fields:
        return own
    return own.model_copy(update={"encoder_baselines": True})


def judged(
    record: Any, fold: Any, own: Any, sceptic: Any, seconds: dict[str, float]
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Metrics of the family's own model and of each baseline on one window."""
    truth = fold.truth.to_pyarrow()
    with Timed(seconds, "fit"):
        model = record.fit(fold.train, fold.as_of, own)
    with Timed(seconds, "score"):
        predictions = record.score(model, fold.test, fold.as_of)
    yield record.name, record.metrics(predictions, truth)
    with Timed(seconds, "baselines"):
        baselines = record.baselines(fold.test, fold.as_of, sceptic)
    for name, predicted in baselines.items():
        yield name, record.metrics(predicted, truth)


def lay_out(options: argparse.Namespace, names: tuple[str, ...], folder: Path) -> date:
    """Make a workspace with a snapshot of the tables, cut at `as_of`; returns it. What the data set lacks is empty."""
    seed = getattr(options, "seed", 7)
    tables, _ = tables_of(options.data, path=options.path, size=options.size, seed=seed)
    there = [name for name in names if name in tables]
    write_folder(folder / "all", {name: tables[name] for name in there})
    as_of: date = options.as_of or max(day_after(folder / "all" / f"{name}.parquet", name) for name in there)
    make_workspace(folder / "work", as_of.isoformat())
    for name in there:
        rows = known_before(TABLES[name], pq.read_table(folder / "all" / f"{name}.parquet"), as_of)
        write_shard(folder / "work/data/snapshot" / name, rows)
    for name in set(names) - set(there):
        write_shard(folder / "work/data/validated" / name, arrow_schema(TABLES[name]).empty_table())
    return as_of


def write_shard(target: Path, rows: Any) -> None:
    """One shard with its manifest."""
    target.mkdir(parents=True)
    pq.write_table(rows, target / "part-000.parquet")
    (target / "manifest.json").write_text(json.dumps({"rows": len(rows)}))


def day_after(file: Path, table: str) -> date:
    """The day after the newest event of a table; the first of all days where it has none, or no time, or plans."""
    when = event_time(TABLES[table])
    if when is None or TABLES[table].info["known_ahead"]:
        return date.min
    newest = pc.max(pq.read_table(file, columns=[when])[when]).as_py()
    return date.fromordinal(newest.toordinal() + 1) if newest else date.min


def markdown(models: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """One row per metric, one column per model."""
    names = list(models)
    yield "| metric | " + " | ".join(names) + " |"
    yield "|---|" + "---|" * len(names)
    for metric in next(iter(models.values())):
        values = (models[name].get(metric) for name in names)
        yield f"| {metric} | " + " | ".join("–" if v is None else f"{v:.4g}" for v in values) + " |"


if __name__ == "__main__":
    main()
