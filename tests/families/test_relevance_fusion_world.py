"""The fused ranker where the truth is known: what stands first is bought almost as often as the features allow."""

from __future__ import annotations

from functools import cache

import pyarrow.compute as pc
import pytest
from small_shop import materialised, opened

from bench.fusion import Outcome, outcome, truth_of
from ml.families.relevance_fusion import FAMILY
from ml.families.relevance_fusion.fusing import SCORES, Point, hypervolume
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.families.relevance_fusion.scoring import candidates_at
from ml.world import simulate

FIRST = Point(SCORES, 0.0)


@cache
def found() -> dict[str, Outcome]:
    world = simulate("small", seed=7)
    clean = world.tables["searches"].join(
        world.truth["dirty_searches"].select(["search_id"]), "search_id", join_type="left anti"
    )
    tables = {name: world.tables[name] for name in FAMILY.tables} | {
        "judgements": world.tables["judgements"].filter(pc.field("grade") <= 3),
        "searches": clean.sort_by([("search_id", "ascending"), ("position", "ascending")]),
    }
    made = {}
    params = RelevanceFusionParams(mixes=(0.5,), nthread=1)
    matrix = materialised(FAMILY.features(opened(tables), world.end, params), FAMILY.key)
    for method in ("ips", "none"):
        some = params.model_copy(update={"debias": method})
        model = FAMILY.fit(matrix, world.end, some)
        made[method] = outcome(model, truth_of(candidates_at(model, matrix, world.end), "small", 7), some)
    return made


def test_the_ranking_by_demand_reaches_what_the_features_allow() -> None:
    one = found()["ips"]
    assert one.ceiling[1] < one.singles["Optimal"][1]
    assert one.curve[FIRST][1] > 0.95 * one.ceiling[1]


def test_the_operating_point_is_relevant_and_wanted() -> None:
    one = found()["ips"]
    relevance, bought = one.curve[one.service]
    assert relevance > 0.85 * one.singles["only relevance"][0]
    assert bought > 1.1 * one.singles["only relevance"][1]


@pytest.mark.parametrize("name", ["bm25", "popularity", "only relevance"])
def test_at_the_relevance_of_each_other_ranking_the_curve_sells_more(name: str) -> None:
    one = found()["ips"]
    assert one.beside(one.singles[name]) > one.singles[name][1]


def test_the_curve_dominates_that_of_the_naive_rankers() -> None:
    one, naive = found()["ips"], found()["none"]
    for point, reached in naive.curve.items():
        assert one.beside(reached) > 0.97 * reached[1], point
    assert hypervolume(list(one.curve.values())) > 1.02 * hypervolume(list(naive.curve.values()))
    assert one.curve[FIRST][1] > 1.05 * naive.curve[FIRST][1]
