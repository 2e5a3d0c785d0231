"""How labels get better with the number of human answers: the family's annotation queue against random order.

    python -m bench.labelling [--size small] [--rounds 5] [--seeds 1 2 3 4 5] [--answers 150] [--figure FILE.svg]

All but a few of the labels that people gave in the world are laid aside. Then, round after round, people answer what
they are asked (as the world holds it) and the model learns again; the other way asks as many questions in random order.
Both begin alike, and are judged on the same later dialogues, the hold-out of the backtest. Prints a Markdown table with
95 % intervals of the difference over the repetitions; `--figure` draws it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.quality import ROOT, lay_out, process
from ml.config import load_params
from ml.families import family
from ml.families.ground_truth.columns import KEY, votes
from ml.families.ground_truth.exchanges import exchanges_of
from ml.families.ground_truth.publishing import annotation_queue
from ml.families.ground_truth.scoring import predictions
from ml.families.record import Fold
from ml.seams.engine import open_engine

KINDS = ("goal_boundary", "satisfaction")
SHOWN = ("boundary_f1", "defect_pr_auc", "loss")
QUEUE, RANDOM = "queue", "random"
Flags = np.ndarray


@dataclass(frozen=True, slots=True)
class Pool:
    """Exchanges of the past, what people would answer, and the hold-out that every model is judged by."""

    rows: pa.Table
    answers: dict[str, pa.ChunkedArray]
    fold: Fold
    as_of: date
    params: Any

    def asked_for(self, given: dict[str, Flags]) -> pa.Table:
        """The matrix of the past in which only these answers were given."""
        rows = self.rows
        for kind in KINDS:
            place = rows.column_names.index(votes(kind))
            kept = pc.if_else(pa.array(given[kind]), self.answers[kind], pa.scalar(None, pa.string()))
            rows = rows.set_column(place, votes(kind), kept)
        return rows


def main() -> None:
    """Parse the arguments, simulate, print, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="small", help="of the world")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="one repetition each")
    parser.add_argument("--answers", type=int, default=150, help="questions answered in a round")
    parser.add_argument(
        "--matrix", type=Path, help="folder of a feature table made before, with a file as_of beside it"
    )
    parser.add_argument("--figure", type=Path, help="file to draw to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        pool = pool_of(*matrix_of(options, Path(scratch)))
        found = list(simulate(pool, options.rounds, options.answers, options.seeds))
    print("\n".join(table(found)))
    if options.figure:
        draw(found, options.figure)


def matrix_of(options: argparse.Namespace, folder: Path) -> tuple[pa.Table, date]:
    """The feature table of the world, as a retrain would make it."""
    if options.matrix:
        rows = (
            ibis.duckdb.connect().read_parquet(str(options.matrix / "*.parquet")).order_by(*KEY).to_pyarrow()
        )
        return rows, date.fromisoformat((options.matrix.parent / "as_of").read_text())
    record, params = family("ground_truth"), load_params(ROOT / "params.yaml")
    as_of = lay_out(
        argparse.Namespace(data="world", path=None, size=options.size, as_of=None), record.tables, folder
    )
    for name in record.tables:
        process(folder / "work", "-m", "ml.stages.validate", name)
    with open_engine(params.features, folder / "spill") as engine:
        tables = {name: engine.table(name, folder / "work/data/validated" / name) for name in record.tables}
        engine.write(record.features(tables, as_of, record.params()), folder / "matrix", record.key)
        return engine.table("matrix", folder / "matrix").order_by(*KEY).to_pyarrow(), as_of


def pool_of(rows: pa.Table, as_of: date) -> Pool:
    """The hold-out, and the annotated dialogues of its past; labels of other kinds are nobody's business here."""
    record = family("ground_truth")
    params = record.params(rounds=60, folds=3, encoder="")  # with one, meaning is found not to help here
    for kind in ("goal_success", "intent"):
        rows = rows.set_column(
            rows.column_names.index(votes(kind)), votes(kind), pa.nulls(len(rows), pa.string())
        )
    fold = record.folds(ibis.memtable(rows), as_of, params)[-1]
    past = fold.train.order_by(*KEY).to_pyarrow().combine_chunks()
    return Pool(past, {kind: past.column(votes(kind)) for kind in KINDS}, fold, fold.as_of, params)


def simulate(pool: Pool, rounds: int, answers: int, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """One row for each seed, way and round: how many answers were given, and the metrics. Both ways begin alike."""
    for seed in seeds:
        first = first_answers(pool, answers, seed)
        start = learned(pool, first)
        for way in (QUEUE, RANDOM):
            given, (model, found) = first, start
            for number in range(rounds + 1):
                if number:
                    given = more_answers(pool, model, given, answers, way, seed * 100 + number)
                    model, found = learned(pool, given)
                count = sum(int(flags.sum()) for flags in given.values())
                yield {"seed": seed, "way": way, "answers": count, **found}


def learned(pool: Pool, given: dict[str, Flags]) -> tuple[Any, dict[str, float]]:
    """A model of these answers, and its metrics on the hold-out."""
    record = family("ground_truth")
    model = record.fit(ibis.memtable(pool.asked_for(given)), pool.as_of, pool.params)
    found = record.metrics(record.score(model, pool.fold.test, pool.as_of), pool.fold.truth.to_pyarrow())
    return model, {name: found.get(name, float("nan")) for name in SHOWN}


def first_answers(pool: Pool, answers: int, seed: int) -> dict[str, Flags]:
    """Answers to as many random questions."""
    nothing = {kind: np.zeros(len(pool.rows), bool) for kind in KINDS}
    return _with(pool, nothing, _open(pool, nothing, seed)[:answers])


def more_answers(
    pool: Pool, model: Any, given: dict[str, Flags], answers: int, way: str, seed: int
) -> dict[str, Flags]:
    """The answers to the next questions: those of the queue, or random ones."""
    questions = _open(pool, given, seed)
    if way == QUEUE:
        questions = _queued(pool, model, given, questions)
    return _with(pool, given, questions[:answers])


def _open(pool: Pool, given: dict[str, Flags], seed: int) -> list[tuple[int, str]]:
    """Questions that somebody can answer and nobody has, in random order: row and kind."""
    found = [
        (int(row), kind)
        for kind in KINDS
        for row in np.flatnonzero(pool.answers[kind].is_valid().to_numpy(zero_copy_only=False) & ~given[kind])
    ]
    order = np.random.default_rng(seed).permutation(len(found))
    return [found[place] for place in order]


def _queued(
    pool: Pool, model: Any, given: dict[str, Flags], questions: list[tuple[int, str]]
) -> list[tuple[int, str]]:
    """The same questions in the order of the queue: nothing counts as sure, or little would be asked."""
    exchanges = exchanges_of(pool.asked_for(given).combine_chunks())
    made = unsure(predictions(model, exchanges))
    queue = annotation_queue(model, exchanges, made, len(made) * len(KINDS)).select(
        ["dialogue_id", "turn_idx", "kind"]
    )
    rank = {tuple(row.values()): place for place, row in enumerate(queue.to_pylist())}
    keys = list(zip(*(pool.rows.column(name).to_pylist() for name in KEY), strict=True))
    last = len(rank)
    return sorted(questions, key=lambda asked: rank.get((*keys[asked[0]], asked[1]), last))


def unsure(made: pa.Table) -> pa.Table:
    """The same predictions, none of them sure enough to be published."""
    for name in [name for name in made.column_names if name.endswith("_sure")]:
        made = made.set_column(made.column_names.index(name), name, pa.array(np.zeros(len(made), bool)))
    return made


def _with(pool: Pool, given: dict[str, Flags], answered: Sequence[tuple[int, str]]) -> dict[str, Flags]:
    made = {kind: flags.copy() for kind, flags in given.items()}
    for row, kind in answered:
        made[kind][row] = True
    return made


def gains(found: Sequence[dict[str, Any]], name: str, count: int) -> tuple[float, float, float]:
    """How much higher a metric is by the queue than in random order after `count` answers: mean and 95 % interval.

    Seed by seed, so that both began with the same answers (Student's t).
    """
    by_way = {way: {row["seed"]: row[name] for row in found if row["way"] == way and row["answers"] == count}
              for way in (QUEUE, RANDOM)}  # fmt: skip
    differences = np.array([by_way[QUEUE][seed] - by_way[RANDOM][seed] for seed in by_way[QUEUE]])
    mean, seeds = float(differences.mean()), len(differences)
    if seeds < 2:
        return mean, float("-inf"), float("inf")
    from scipy.stats import t

    reach = float(t.ppf(0.975, seeds - 1) * differences.std(ddof=1) / np.sqrt(seeds))
    return mean, mean - reach, mean + reach


def means(found: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, dict[str, float]]]]:
    """For each number of answers the mean of each metric over the seeds, by way."""
    for count in sorted({row["answers"] for row in found}):
        same = [row for row in found if row["answers"] == count]
        yield (
            count,
            {
                way: {
                    name: float(np.mean([row[name] for row in same if row["way"] == way])) for name in SHOWN
                }
                for way in (QUEUE, RANDOM)
            },
        )


def table(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Markdown, one row for each number of answers: by the queue, in random order, the difference with its interval."""
    heads = [f"{name}, {way}" for name in SHOWN for way in (QUEUE, RANDOM, "difference (95 %)")]
    yield "| answers | " + " | ".join(heads) + " |"
    yield "|---|" + "---|" * len(heads)
    for count, by_way in means(found):
        cells = []
        for name in SHOWN:
            cells += [f"{by_way[way][name]:.3f}" for way in (QUEUE, RANDOM)]
            mean, low, high = gains(found, name, count)
            cells.append("0" if low == high else f"{mean:+.3f} ({low:+.3f} to {high:+.3f})")
        yield f"| {count:,} | " + " | ".join(cells) + " |"


def draw(found: Sequence[dict[str, Any]], file: Path) -> None:
    """One panel for each metric: each way's mean, and all of its repetitions, thin."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(SHOWN), 3.4), layout="constrained")
    points = list(means(found))
    counts = [count for count, _ in points]
    for axes, name in zip(figure.subplots(1, len(SHOWN)), SHOWN, strict=True):
        for way, colour in ((QUEUE, "C0"), (RANDOM, "C1")):
            for seed in {row["seed"] for row in found}:
                some = [row for row in found if row["seed"] == seed and row["way"] == way]
                axes.plot(
                    [row["answers"] for row in some], [row[name] for row in some], color=colour, alpha=0.25
                )
            axes.plot(counts, [by_way[way][name] for _, by_way in points], "o-", color=colour, label=way)
        axes.set(xlabel="answers of people", title=name)
        axes.legend()
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


if __name__ == "__main__":
    main()
