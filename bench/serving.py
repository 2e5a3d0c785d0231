"""How long the fused ranker takes to rank 1,000 candidates of one query on one core.

    python -m bench.serving [--size small] [--candidates 1000] [--times 50]

Fits the family `relevance_fusion` on the simulated world, writes and reads its files, and asks it as MLflow would:
a data frame of a query and products in, a ranked data frame with scores and reasons out. Prints a Markdown table of
milliseconds; the first call, which indexes the catalogue, is shown apart.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.quality import lay_out
from bench.throughput import process
from ml.config import load_params
from ml.families import family
from ml.families.loading import ABOUT, digests
from ml.families.pyfunc import ServedModel
from ml.seams.engine import open_engine

ROOT = Path(__file__).resolve().parents[1]
FAMILY = "relevance_fusion"


def main() -> None:
    """Parse the arguments, fit, ask, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="small", help="of the world")
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--times", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print("\n".join(measure(options, Path(scratch))))


def measure(options: Namespace, folder: Path) -> list[str]:
    """The rows of the table."""
    fitted(options, folder)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])  # one core is what is measured
    served = ServedModel(folder / "model")
    queries, products = known(folder)
    seconds, spent = [], []
    for number in range(options.times + 1):
        frame = request(queries[number % len(queries)], products, options.candidates, number)
        start, busy = time.perf_counter(), time.process_time()
        answer = served.predict(frame)
        seconds.append(time.perf_counter() - start)
        spent.append(time.process_time() - busy)
        assert len(answer) == options.candidates
    first, rest = seconds[0] * 1000, np.asarray(seconds[1:]) * 1000
    processor = np.asarray(spent[1:]) * 1000
    row = (options.candidates, len(products), first, np.median(rest), np.quantile(rest, 0.95), rest.min())
    return [
        "| candidates | products known | first call | median | 95 % | least | processor: median | least |",
        "|---|---|---|---|---|---|---|---|",
        "| {} | {} | {:.0f} ms | {:.1f} ms | {:.1f} ms | {:.1f} ms ".format(*row)
        + f"| {np.median(processor):.1f} ms | {processor.min():.1f} ms |",
    ]


def fitted(options: Namespace, folder: Path) -> None:
    """Fit on the world and write the model's folder as the stage `train` does."""
    record, params = family(FAMILY), load_params(ROOT / "params.yaml")
    own = record.params()
    as_of = lay_out(Namespace(data="world", path=None, size=options.size, as_of=None), record.tables, folder)
    for name in record.tables:
        process(folder / "work", "-m", "ml.stages.validate", name)
    with open_engine(params.features, folder / "spill") as engine:
        tables = {name: engine.table(name, folder / "work/data/validated" / name) for name in record.tables}
        engine.write(record.features(tables, as_of, own), folder / "matrix", record.key)
        model = record.fit(engine.table("matrix", folder / "matrix"), as_of, own)
    record.save(model, folder / "model/final")
    about = {"family": FAMILY, "as_of": as_of.isoformat(), "matrix": {}, "files": digests(folder / "model")}
    (folder / "model" / ABOUT).write_text(json.dumps(about))


def known(folder: Path) -> tuple[list[str], list[str]]:
    """Queries and products that the model remembers."""
    memory = json.loads((folder / "model/final/memory.json").read_text())
    catalogue = json.loads((folder / "model/final/catalogue.json").read_text())
    return sorted(memory["relevant"]), catalogue["products"]["product_id"]


def request(query: str, products: list[str], candidates: int, seed: int) -> Any:
    """A query with that many products; beyond the catalogue, products with a title that the model does not know."""
    random = np.random.default_rng(seed)
    some = [str(product) for product in random.permutation(products)[:candidates]]
    new = [f"new {number}" for number in range(candidates - len(some))]
    titles: list[str | None] = [None] * len(some) + [f"{query} {number}" for number in range(len(new))]
    return pd.DataFrame({"query": query, "product_id": some + new, "title": titles})


if __name__ == "__main__":
    main()
