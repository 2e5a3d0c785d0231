"""What the fused ranker earns in the simulated world, whose true grades and chances to buy are known.

    python -m bench.fusion [--size small] [--seed 7] [--methods ips none lambdarank_unbiased]

Fits the family `relevance_fusion` on the world's log with each method of `debias` ("none" is the naive one) and ranks
the candidates of every query as of the world's end. What stands first is then judged by the truth: its grade over 3,
and the chance that a customer who looks at it buys it, both weighed by how often the query is asked.

The ceiling is the Optimal strategy as far as the features allow it: a booster that is told the true chances of four
fifths of the queries ranks the others by the same columns. "Optimal" itself knows what no column tells.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.quality import lay_out
from bench.throughput import process
from ml.config import load_params
from ml.families.relevance_fusion import FAMILY, fusing
from ml.families.relevance_fusion.cases import Cases, cases_of
from ml.families.relevance_fusion.columns import FEATURES
from ml.families.relevance_fusion.fusing import Point
from ml.families.relevance_fusion.model import Model, score_rows
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.families.relevance_fusion.rankers import RANKERS, hashed
from ml.families.relevance_fusion.scoring import candidates_at
from ml.families.relevance_fusion.sheet import Floats, Sheet
from ml.families.relevance_fusion.worth import case_names, case_order
from ml.seams.engine import open_engine
from ml.toolkit import boosting
from ml.world.blueprint import blueprint
from ml.world.rows import names_of
from ml.world.search.part import search_truth
from ml.world.search.plan import search_plan
from ml.world.search.sessions import VOICE_SHARE

ROOT = Path(__file__).resolve().parents[1]
METHODS = ("ips", "none", "lambdarank_unbiased")
FOLDS = 5
_PAIR = ["query", "product_id", "modality"]


@dataclass(frozen=True, slots=True)
class Truth:
    """Candidates in the order of their cases; grade over 3 and chance to buy of each, weight of each case."""

    known: Sheet
    cases: Cases
    grade: Floats
    purchase: Floats
    weight: Floats

    def worth(self, score: Floats) -> tuple[float, float]:
        """Relevance and purchases of what a score puts first."""
        first = self.cases.best(score)
        relevance, purchase = (
            float(np.average(values[first], weights=self.weight)) for values in (self.grade, self.purchase)
        )
        return relevance, purchase


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a method reached: the points of the sweep, the one in service, the one of most purchases, the ceiling, and
    single scores by name; all as (relevance, purchases)."""

    curve: Mapping[Point, tuple[float, float]]
    service: Point
    buying: Point
    ceiling: tuple[float, float]
    singles: Mapping[str, tuple[float, float]]

    def beside(self, single: tuple[float, float]) -> float:
        """The most purchases of a point of the curve that is at least as relevant as another ranking."""
        return max(
            (bought for relevance, bought in self.curve.values() if relevance >= single[0] - 1e-9),
            default=0.0,
        )


def main() -> None:
    """Parse the arguments, fit each method, print what it reached."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="small", help="of the world")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(options, Path(scratch))
    print("\n".join([*summary(found), "", *curves(found)]))


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Outcome]:
    """The outcome of each method on one world."""
    params = load_params(ROOT / "params.yaml")
    given = argparse.Namespace(data="world", path=None, as_of=None, **vars(options))
    as_of = lay_out(given, FAMILY.tables, folder)
    for name in FAMILY.tables:
        process(folder / "work", "-m", "ml.stages.validate", name)
    own = RelevanceFusionParams(**params.families[FAMILY.name].params)
    with open_engine(params.features, folder / "spill") as engine:
        tables = {name: engine.table(name, folder / "work/data/validated" / name) for name in FAMILY.tables}
        engine.write(FAMILY.features(tables, as_of, own), folder / "matrix", FAMILY.key)
        matrix = engine.table("matrix", folder / "matrix")
        found = {}
        for method in options.methods:
            some = own.model_copy(update={"debias": method})
            model = FAMILY.fit(matrix, as_of, some)
            truth = truth_of(candidates_at(model, matrix, as_of), options.size, options.seed)
            found[method] = outcome(model, truth, some)
    return found


def truth_of(known: Sheet, size: str, seed: int) -> Truth:
    """Candidates with what the world knows of them; those that it does not know are left out."""
    world = blueprint(size, seed)
    told = search_truth(world, names_of(world))
    queries = search_plan(world).queries
    asked = pa.table({"query": pa.array(queries.texts), "often": queries.weight})
    place = pa.table({**{name: known.rows[name] for name in _PAIR}, "row": np.arange(known.rows.num_rows)})
    pairs = told["outcomes"].join(told["relevance"], ["query", "product_id"])
    found = place.join(pairs, _PAIR, join_type="inner").join(asked, "query", join_type="inner")
    found = found.sort_by("row")
    some = known.take(found["row"].to_numpy())
    order = case_order(some.rows)
    some, found = some.take(order), found.take(pa.array(order))
    cases = cases_of(case_names(some.rows))
    voice = np.asarray(found["modality"].to_pylist()) == "voice"
    often = found["often"].to_numpy() * np.where(voice, VOICE_SHARE, 1 - VOICE_SHARE)
    return Truth(some, cases, found["grade"].to_numpy() / 3, found["purchase"].to_numpy(), often[cases.start])


def outcome(model: Model, truth: Truth, params: RelevanceFusionParams) -> Outcome:
    """What a model reaches. The points are those that its own trial chose, not the truth."""
    made = score_rows(model, truth.known.seen)
    scored = fusing.sweep(made.chances, made.mixed, model.fusion.units, params)
    trial = model.fusion.curve.to_pylist()
    most = max(trial, key=lambda row: row["purchase"])
    singles = {f"only {name}": made.chances[name] for name in RANKERS} | {
        "bm25": column(truth.known, "bm25"),
        "popularity": np.nan_to_num(column(truth.known, "units_3")),
    }
    return Outcome(
        curve={point: truth.worth(score) for point, score in scored.items()},
        service=model.fusion.point,
        buying=Point(most["fusion"], most["weight"]),
        ceiling=truth.worth(attainable(truth)),
        singles={name: truth.worth(score) for name, score in singles.items()}
        | {"Optimal": truth.worth(truth.purchase)},
    )


def column(known: Sheet, name: str) -> Floats:
    """One of the columns that the rankers see."""
    return known.seen[:, list(FEATURES).index(name)].astype(np.float64)


def attainable(truth: Truth) -> Floats:
    """The chance to buy as far as the columns tell it, of each query learned from the others' true chances."""
    group = hashed(truth.known.texts("query"), 11, FOLDS)
    recipe = boosting.Recipe("binary:logistic", rounds=300, depth=6, minimum_weight=1.0, columns=0.6)
    said = np.zeros(len(group))
    for fold in range(FOLDS):
        learn, judge = group != fold, group == fold
        table = boosting.Table.of(list(FEATURES), truth.known.seen[learn], recipe)
        booster = boosting.grow(recipe, table, truth.purchase[learn])
        said[judge] = boosting.predict(booster, list(FEATURES), truth.known.seen[judge])
    return said


def summary(found: Mapping[str, Outcome]) -> Iterator[str]:
    """What stands first by ranking: relevance, purchases, and what the curve offers at that relevance."""
    yield "| method | ranking | relevance | purchases | of the ceiling | the curve, at that relevance or above |"
    yield "|---|---|---|---|---|---|"
    for method, one in found.items():
        rows = {
            f"in service ({one.service.name})": one.curve[one.service],
            f"most purchases ({one.buying.name})": one.curve[one.buying],
            "ceiling: told the truth": one.ceiling,
            **one.singles,
        }
        for name, (relevance, bought) in rows.items():
            beside = one.beside((relevance, bought))
            yield (
                f"| {method} | {name} | {relevance:.4f} | {bought:.4f} | {bought / one.ceiling[1]:.1%} | "
                f"{f'{beside:.4f}' if beside else '–'} |"
            )


def curves(found: Mapping[str, Outcome]) -> Iterator[str]:
    """Each method's curve: relevance and purchases by fusion and weight, and the area that it dominates."""
    yield "| method | area | points (weight of relevance: relevance, purchases) |"
    yield "|---|---|---|"
    for method, one in found.items():
        area = fusing.hypervolume(list(one.curve.values()))
        points = "; ".join(f"{p.name}: {r:.3f}, {b:.4f}" for p, (r, b) in one.curve.items())
        yield f"| {method} | {area:.4f} | {points} |"


if __name__ == "__main__":
    main()
